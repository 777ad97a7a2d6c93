//! `suspects.parquet`: suspected photos of photos in the order in which they are worth a look.
//!
//! One still says little, fifty stills of one worker say much. Rows of workers who send far more suspicious pictures than
//! their peers (see [`super::peers`]) come first, surest first, then those of everybody else. The order is all that a worker's
//! other rows do to a row: its verdict stays what it says by itself.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, StringArray};

use super::VerdictRow;
use super::peers::{Unit, UnitRow};
use super::tables::write_table;
use crate::Result;
use crate::reason::Reason;

/// A row to look at.
#[derive(Debug, Clone, Copy)]
pub struct Suspect<'a> {
    /// The row.
    pub row: &'a VerdictRow,
    /// The lower liveness of its two faces, 0..=1.
    pub liveness: f32,
    /// How the worker stands out among peers; `None` where not.
    pub worker: Option<&'a UnitRow>,
}

/// The queue, first row first.
pub fn queue<'a>(rows: &'a [VerdictRow], peers: &'a [UnitRow]) -> Vec<Suspect<'a>> {
    let mut stands_out: HashMap<&str, &UnitRow> = HashMap::new();
    let reasons = [Some(Reason::PhotoOfPhoto), Some(Reason::PhotoOfPhotoSuspected)];
    for unit in peers.iter().filter(|row| row.unit == Unit::Worker && row.flagged && reasons.contains(&row.reason)) {
        let q = |row: &UnitRow| row.q_value.unwrap_or(1.0);
        let known = stands_out.entry(&unit.id).or_insert(unit);
        if q(unit) < q(known) {
            *known = unit;
        }
    }
    let suspect = |row: &'a VerdictRow| Suspect {
        row,
        liveness: row.member_liveness.into_iter().chain(row.worker_liveness).fold(1.0, f32::min),
        worker: row.worker_id.as_deref().and_then(|id| stands_out.get(id).copied()),
    };
    let is_suspected = |row: &&VerdictRow| row.reasons.contains(&Reason::PhotoOfPhotoSuspected);
    let mut queue: Vec<Suspect> = rows.iter().filter(is_suspected).map(suspect).collect();
    queue.sort_by(|a, b| {
        let by_worker = b.worker.is_some().cmp(&a.worker.is_some());
        by_worker.then(a.liveness.total_cmp(&b.liveness)).then(a.row.row.cmp(&b.row.row))
    });
    queue
}

/// Writes the table.
///
/// # Errors
/// [`crate::Error::Io`] when the disk refuses.
pub fn write_suspects(path: &Path, queue: &[Suspect]) -> Result<()> {
    let text = |get: fn(&VerdictRow) -> Option<&str>| -> ArrayRef {
        Arc::new(queue.iter().map(|suspect| get(suspect.row)).collect::<StringArray>())
    };
    let whole = |get: &dyn Fn(usize, &Suspect) -> Option<u64>| -> ArrayRef {
        let values = queue.iter().enumerate().map(|(at, suspect)| get(at, suspect).and_then(|n| i64::try_from(n).ok()));
        Arc::new(values.collect::<Int64Array>())
    };
    let q_values = queue.iter().map(|suspect| suspect.worker.and_then(|worker| worker.q_value));
    write_table(
        path,
        vec![
            ("rank", whole(&|at, _| Some(at as u64 + 1))),
            ("submission_id", text(|row| row.submission_id.as_deref())),
            ("worker_id", text(|row| row.worker_id.as_deref())),
            ("district", text(|row| row.district.as_deref())),
            ("verdict", text(|row| Some(row.verdict.code()))),
            ("liveness", Arc::new(queue.iter().map(|suspect| Some(suspect.liveness)).collect::<Float32Array>())),
            ("worker_stands_out", Arc::new(queue.iter().map(|s| Some(s.worker.is_some())).collect::<BooleanArray>())),
            ("worker_count", whole(&|_, suspect| suspect.worker.map(|worker| worker.count))),
            ("worker_submissions", whole(&|_, suspect| suspect.worker.map(|worker| worker.submissions))),
            ("worker_q_value", Arc::new(q_values.collect::<Float64Array>())),
            ("row", whole(&|_, suspect| Some(suspect.row.row))),
        ],
    )
}
