//! `assurance.json`, `promises.parquet` and `replies_refused.csv`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

use super::super::files::plain_cell;
use super::job::AssuranceJob;
use crate::assurance::promise::Share;
use crate::assurance::record::{Assurance, Promise};
use crate::output::{self, Kept, create_private, write_durably};
use crate::replies::{Answer, Refused};
use crate::verdict::write_table;
use crate::{Error, Result};

/// Writes `assurance.json`, `promises.parquet` and `replies_refused.csv` into a folder.
///
/// # Errors
/// [`Error::Usage`] for a folder that is read; [`Error::Io`].
pub fn write(assurance: &Assurance, refused: &[Refused], out: &Path, job: &AssuranceJob) -> Result<()> {
    let samples = job.samples.iter().map(|path| Kept::whole("a sample", path));
    let responses = job.responses.iter().map(|path| Kept::itself("replies", path));
    output::check("--out", out, &samples.chain(responses).collect::<Vec<_>>())?;
    std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
    let text = serde_json::to_string_pretty(assurance).map_err(|e| Error::bug("writing assurance.json", e))?;
    write_durably(&out.join("assurance.json"), text.as_bytes())?;
    write_promises(&out.join("promises.parquet"), &assurance.promises)?;
    write_refused(&out.join("replies_refused.csv"), refused)
}

fn write_promises(path: &Path, promises: &[Promise]) -> Result<()> {
    let text =
        |get: fn(&Promise) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(promises.iter().map(get))) };
    let count = |get: &dyn Fn(&Promise) -> Option<u64>| -> ArrayRef {
        Arc::new(promises.iter().map(|p| get(p).and_then(|n| i64::try_from(n).ok())).collect::<Int64Array>())
    };
    let share = |get: fn(&Share) -> Option<f64>| -> ArrayRef {
        Arc::new(promises.iter().map(|p| get(&p.share)).collect::<Float64Array>())
    };
    let answer = |answer: Answer| count(&|p| Some(p.answers.get(&answer).copied().unwrap_or(0)));
    write_table(
        path,
        vec![
            ("level", text(|p| p.level.code())),
            ("name", text(|p| &p.name)),
            ("division", text(|p| &p.division)),
            ("members", count(&|p| Some(p.members))),
            ("drawn", count(&|p| Some(p.drawn))),
            ("calls", count(&|p| Some(p.calls))),
            ("confirmed", answer(Answer::Confirmed)),
            ("denied", answer(Answer::Denied)),
            ("wrong_data", answer(Answer::WrongData)),
            ("undelivered", answer(Answer::Undelivered)),
            ("silent", answer(Answer::Silent)),
            ("not_real", share(|s| s.estimate)),
            ("not_real_low", share(|s| Some(s.low))),
            ("not_real_high", share(|s| Some(s.high))),
            ("not_real_high_if_silent_are_alike", share(|s| Some(s.high_if_silent_are_alike))),
            ("more_calls", count(&|p| p.share.more_calls)),
        ],
    )
}

fn write_refused(path: &Path, refused: &[Refused]) -> Result<()> {
    let failed = |e: csv::Error| Error::io("write", path)(std::io::Error::other(e));
    let mut writer = csv::Writer::from_writer(create_private(path)?);
    writer.write_record(["file", "row", "submission_id", "reason", "detail"]).map_err(failed)?;
    for row in refused {
        let cells = [
            row.file.display().to_string(),
            row.row.to_string(),
            row.submission_id.clone().unwrap_or_default(),
            row.reason.code().to_owned(),
            row.detail.clone(),
        ];
        writer.write_record(cells.iter().map(|cell| plain_cell(cell))).map_err(failed)?;
    }
    writer.flush().map_err(Error::io("write", path))
}
