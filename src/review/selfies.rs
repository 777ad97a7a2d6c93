//! The latest selfies of each worker of a night, and the workers' reference photos: whom to expect in a selfie.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::tables;
use crate::Result;
use crate::dump::{Workers, worker_rows};

/// Selfies of a worker that are offered, and one more, for that which is looked at is among them.
const KEPT: usize = 13;

/// A selfie of a worker.
#[derive(Debug, Clone)]
pub struct Selfie {
    /// Its position in the dump.
    pub row: u64,
    /// The submission.
    pub submission: String,
    /// When it was taken.
    pub captured_at: i64,
    /// What became of it.
    pub verdict: String,
}

/// The latest selfies of each worker of a night, newest first.
#[derive(Debug, Default)]
pub struct Selfies(HashMap<String, Vec<Selfie>>);

impl Selfies {
    /// Reads them from a run folder.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the table cannot be read.
    pub fn read(run: &Path) -> Result<Selfies> {
        let mut by_worker: HashMap<String, Vec<Selfie>> = HashMap::new();
        let columns = ["submission_id", "worker_id", "captured_at", "row", "verdict"];
        tables::read(&run.join("verdicts.parquet"), &columns, |rows| {
            let (ids, workers) = (rows.words("submission_id")?, rows.texts("worker_id")?);
            let (times, places, verdicts) = (rows.times("captured_at")?, rows.integers("row")?, rows.words("verdict")?);
            for (at, worker) in workers.into_iter().enumerate() {
                let (Some(worker), false) = (worker, verdicts[at] == "unreadable") else { continue };
                let selfies = by_worker.entry(worker).or_default();
                selfies.push(Selfie {
                    row: places[at].unsigned_abs(),
                    submission: ids[at].clone(),
                    captured_at: times[at],
                    verdict: verdicts[at].clone(),
                });
                if selfies.len() >= 4 * KEPT {
                    keep_latest(selfies);
                }
            }
            Ok(())
        })?;
        by_worker.values_mut().for_each(keep_latest);
        Ok(Selfies(by_worker))
    }

    /// The latest selfies of a worker but one.
    pub fn beside(&self, worker: &str, row: Option<u64>) -> Vec<&Selfie> {
        let own = self.0.get(worker).into_iter().flatten();
        own.filter(|selfie| Some(selfie.row) != row).take(KEPT - 1).collect()
    }
}

fn keep_latest(selfies: &mut Vec<Selfie>) {
    selfies.sort_by_key(|selfie| (std::cmp::Reverse(selfie.captured_at), selfie.row));
    selfies.truncate(KEPT);
}

/// The reference photos of workers, where the run had a table of them.
#[derive(Debug)]
pub struct References {
    table: Option<PathBuf>,
    rows: OnceLock<HashMap<String, u64>>,
}

impl References {
    /// Of the table that the run names; where it is no longer there, nobody has a photo.
    pub fn new(table: Option<PathBuf>) -> References {
        References { table: table.filter(|path| path.is_file()), rows: OnceLock::new() }
    }

    /// Whether a worker has one.
    pub fn has(&self, worker: &str) -> bool {
        self.row(worker).is_some()
    }

    /// The encoded photo of a worker.
    pub fn photo(&self, worker: &str) -> Option<Vec<u8>> {
        let (table, row) = (self.table.as_deref()?, self.row(worker)?);
        let first = Workers::open(table).ok()?.batches(1, usize::MAX, row).next()?.ok()?.into_iter().next()?;
        first.photo.map(|photo| photo.to_vec())
    }

    fn row(&self, worker: &str) -> Option<u64> {
        let rows = self.rows.get_or_init(|| {
            let read = self.table.as_deref().map(worker_rows).transpose();
            read.unwrap_or_else(|error| {
                log::warn!("no reference photos: {error}");
                None
            })
            .unwrap_or_default()
        });
        rows.get(worker).copied()
    }
}
