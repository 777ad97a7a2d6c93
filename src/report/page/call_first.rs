//! Workers by evidence of enrolling from home, from `call_first.parquet`, as rows of the page.

use std::path::Path;

use arrow::datatypes::Float64Type;

use super::actions::worker_href;
use super::format::{percent, small};
use super::peers::PeerTable;
use super::scope::Scope;
use crate::Result;
use crate::presence::Sign;
use crate::report::table::{read, value};

/// Workers that are listed; the table has all.
const MOST: usize = 30;

/// A worker who stands out, in the order of the table.
pub(super) struct Called {
    worker: String,
    district: String,
    score: f64,
}

/// A row of the list.
pub(super) struct CallRow {
    pub(super) worker: String,
    pub(super) href: String,
    pub(super) district: String,
    pub(super) score: String,
    pub(super) signs: Vec<SignCell>,
}

/// One sign of it.
pub(super) struct SignCell {
    pub(super) key: String,
    pub(super) count: String,
    pub(super) peer_rate: String,
}

/// Those who stand out, of a part of the drive; nobody in a run of an earlier version, which has no such table.
///
/// # Errors
/// [`crate::Error::Input`] for a table of another form.
pub(super) fn read_called(tables: &Path, scope: &Scope) -> Result<Vec<Called>> {
    let (path, mut called) = (tables.join("call_first.parquet"), Vec::new());
    if !path.exists() {
        return Ok(called);
    }
    read(&path, &["worker_id", "district", "score", "flagged"], |batch| {
        let (workers, districts) = (batch.texts("worker_id")?, batch.texts("district")?);
        let (scores, flagged) = (batch.numbers::<Float64Type>("score")?, batch.flags("flagged")?);
        for row in (0..batch.rows()).filter(|&row| flagged.value(row) && scope.has(districts.get(row))) {
            called.push(Called {
                worker: workers.get(row).unwrap_or_default().to_owned(),
                district: districts.get(row).unwrap_or_default().to_owned(),
                score: value(scores, row).unwrap_or_default(),
            });
        }
        Ok(())
    })?;
    Ok(called)
}

/// The first of them, with the signs by which they stand out, surest first.
pub(super) fn rows(called: &[Called], peers: &PeerTable) -> Vec<CallRow> {
    let is_sign = |code: &str| Sign::ALL.iter().any(|sign| sign.reason().code() == code);
    let row = |called: &Called| {
        let own = peers.workers.iter().filter(|standing| standing.id == called.worker && is_sign(&standing.reason));
        CallRow {
            worker: called.worker.clone(),
            href: worker_href(&called.worker),
            district: called.district.clone(),
            score: small(called.score),
            signs: own
                .map(|standing| SignCell {
                    key: format!("r.{}", standing.reason),
                    count: format!("{} / {}", standing.count, standing.submissions),
                    peer_rate: percent(standing.peer_rate),
                })
                .collect(),
        }
    };
    called.iter().take(MOST).map(row).collect()
}
