//! Workers by evidence of enrolling from home, from `call_first.parquet`.

use std::path::Path;

use arrow::datatypes::Float64Type;

use super::scope::Scope;
use crate::Result;
use crate::report::table::{read, value};

/// A worker who stands out, in the order of the table.
pub(super) struct Called {
    pub(super) worker: String,
    pub(super) district: String,
    pub(super) score: f64,
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
