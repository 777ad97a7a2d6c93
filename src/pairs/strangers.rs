//! Scores of people who are known to differ, for the curve: no labels needed.
//!
//! The two people of one selfie are never the same person, and members whom different workers enrolled in different
//! districts almost never are. Both kinds are drawn evenly, the same ones on every run.

use crate::Result;
use crate::dump::facts::is_same_name;
use crate::gallery::{Gallery, Row};
use crate::infer::template::similarity;
use crate::infer::{Analysis, Template};
use crate::matching::ImpostorScore;
use crate::matching::strata::quality_stratum;
use crate::reason::Reason;
use crate::roles::Cast;

/// So many members are compared at the most: 2,000 make two million pairs.
const MEMBERS: usize = 2_000;

/// Numbers of faces that are no members start here.
const OTHERS: u64 = 1 << 40;

/// Members of different districts and workers, drawn evenly over a gallery of one model.
///
/// # Errors
/// [`crate::Error::Input`] when a stored row is damaged.
pub fn of_members(gallery: &Gallery) -> Result<Vec<ImpostorScore>> {
    let step = gallery.live().div_ceil(MEMBERS).max(1);
    let rows: Vec<(u32, Row)> = gallery.iter().step_by(step).collect();
    let templates: Vec<Template> = rows.iter().map(|(row, _)| gallery.template(*row)).collect::<Result<_>>()?;
    let mut scores = Vec::new();
    for (place, (a, one)) in rows.iter().enumerate() {
        for (other_place, (b, other)) in rows.iter().enumerate().skip(place + 1) {
            if differ(one, other) {
                let similarity = similarity(&templates[place], &templates[other_place]);
                let stratum = quality_stratum(one.quality, other.quality);
                scores.push(ImpostorScore { a: (*a).into(), b: (*b).into(), similarity, stratum });
            }
        }
    }
    Ok(scores)
}

/// Worker and member of each selfie, unless they look like one person.
pub fn of_selfies(analyses: &[Analysis], casts: &[Cast]) -> Vec<ImpostorScore> {
    analyses.iter().zip(casts).filter_map(|(analysis, cast)| of_selfie(analysis, cast)).collect()
}

fn of_selfie(analysis: &Analysis, cast: &Cast) -> Option<ImpostorScore> {
    let reading = |index: usize| analysis.faces().get(index)?.reading.as_ref();
    if cast.reasons.contains(&Reason::MemberIsWorker) {
        return None;
    }
    let (worker, member) = (reading(cast.worker?)?, reading(cast.member?)?);
    let number = OTHERS + 2 * analysis.row;
    let stratum = quality_stratum(worker.quality.score, member.quality.score);
    let similarity = similarity(&worker.template, &member.template);
    Some(ImpostorScore { a: number, b: number + 1, similarity, stratum })
}

/// Members of different districts and workers are almost never one person.
pub(super) fn differ(one: &Row, other: &Row) -> bool {
    one.worker_id != other.worker_id && !is_same_name(one.district, other.district)
}
