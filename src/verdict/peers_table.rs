//! `workers_audit.parquet`: workers, booths and districts against their peers, one row per unit and reason.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};

use super::peers::UnitRow;
use super::tables::write_table;
use crate::Result;

/// Writes the table in the order given. The reason of the row for "any verdict but accept" is written as `any`.
///
/// # Errors
/// [`crate::Error::Io`] when the disk refuses.
pub fn write_workers_audit(path: &Path, rows: &[UnitRow]) -> Result<()> {
    let text =
        |get: fn(&UnitRow) -> Option<&str>| -> ArrayRef { Arc::new(rows.iter().map(get).collect::<StringArray>()) };
    let count = |get: fn(&UnitRow) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|r| i64::try_from(get(r)).ok()).collect::<Int64Array>())
    };
    let number =
        |get: fn(&UnitRow) -> Option<f64>| -> ArrayRef { Arc::new(rows.iter().map(get).collect::<Float64Array>()) };
    write_table(
        path,
        vec![
            ("unit", text(|r| Some(r.unit.code()))),
            ("id", text(|r| Some(&r.id))),
            ("district", text(|r| r.district.as_deref())),
            ("division", text(|r| r.division.as_deref())),
            ("submissions", count(|r| r.submissions)),
            ("reason", text(|r| Some(r.reason.map_or("any", |reason| reason.code())))),
            ("count", count(|r| r.count)),
            ("rate", number(|r| Some(r.rate))),
            ("rate_low", number(|r| Some(r.rate_low))),
            ("rate_high", number(|r| Some(r.rate_high))),
            ("shrunken_rate", number(|r| Some(r.shrunken_rate))),
            ("peers", text(|r| r.peers.map(|p| p.code()))),
            ("peer_submissions", count(|r| r.peer_submissions)),
            ("peer_count", count(|r| r.peer_count)),
            ("p_value", number(|r| r.p_value)),
            ("q_value", number(|r| r.q_value)),
            ("flagged", Arc::new(rows.iter().map(|r| Some(r.flagged)).collect::<BooleanArray>())),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy::{PeersPolicy, VerdictPolicy};
    use crate::reason::{Reason, Verdict};
    use crate::verdict::peers::{Judged, compare};
    use arrow::array::{Array, AsArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    #[test]
    fn the_table_reads_back() {
        let judged = Judged {
            worker_id: Some("W"),
            booth_id: None,
            district: Some("Ujjain"),
            division: None,
            verdict: Verdict::Reject,
            reasons: &[Reason::MemberIsWorker],
        };
        let rows = compare(&[judged], &VerdictPolicy::default(), &PeersPolicy::default());
        let temp = tempfile::tempdir().unwrap();
        for (name, rows) in [("some.parquet", &rows[..]), ("none.parquet", &[])] {
            let path = temp.path().join(name);
            write_workers_audit(&path, rows).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
            assert_eq!(reader.schema().fields().len(), 17);
            let read: Vec<_> = reader.build().unwrap().map(|b| b.unwrap()).collect();
            assert_eq!(read.iter().map(|b| b.num_rows()).sum::<usize>(), rows.len());
            if let Some(batch) = read.first() {
                let reasons: Vec<_> = batch["reason"].as_string::<i32>().iter().flatten().collect();
                assert_eq!(reasons, ["any", "member_is_worker", "any", "member_is_worker"]);
                assert_eq!(batch["q_value"].null_count(), 4);
            }
        }
    }
}
