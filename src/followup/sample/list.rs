//! Frame and seed -> the list. Whoever has both can draw again.

use super::record::{FrameRow, ListRow, Stratum};
use crate::assurance::design;
use crate::assurance::random::uniform;

/// Draws the list from the frame.
pub fn drawn(strata: &[Stratum], frame: &[FrameRow], seed: &str) -> Vec<ListRow> {
    let mut by_stratum: Vec<Vec<&str>> = vec![Vec::new(); strata.len()];
    for row in frame {
        if let Some(ids) = by_stratum.get_mut(row.stratum) {
            ids.push(&row.submission_id);
        }
    }
    let mut list = Vec::new();
    for (number, (stratum, ids)) in strata.iter().zip(&by_stratum).enumerate() {
        for (draw, at) in (0u64..).zip(design::draw(seed, ids, stratum.calls)) {
            list.push(ListRow {
                submission_id: ids[at].to_owned(),
                stratum: number,
                draw,
                place: design::place(draw, stratum.calls),
                inclusion_probability: stratum.calls as f64 / ids.len() as f64,
            });
        }
    }
    list
}

/// Those of the silent who are asked again, each by its own chance.
pub fn drawn_again(frame: &[FrameRow], seed: &str, probability: f64) -> Vec<ListRow> {
    let taken = frame.iter().filter(|row| uniform(&[seed, "silent", &row.submission_id]) < probability);
    let row = |(draw, row): (u64, &FrameRow)| ListRow {
        submission_id: row.submission_id.clone(),
        stratum: row.stratum,
        draw,
        place: draw,
        inclusion_probability: probability,
    };
    (0u64..).zip(taken).map(row).collect()
}
