//! The folder of a sample: written with `sample.json` last, read back and checked against hashes and seed.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, ListBuilder, StringArray, StringBuilder,
};
use arrow::datatypes::{Float32Type, Float64Type, Int64Type};

use super::list::{drawn, drawn_again};
use super::record::{FrameRow, ListRow, Sample, SampleRecord, Stratum, VERSION, frame_hash, list_hash};
use crate::output::{create_private_folder, write_durably};
use crate::reason::Verdict;
use crate::report::table;
use crate::verdict::write_table;
use crate::{Error, Result};

/// Frame and list, in a folder made for them.
pub fn write(out: &Path, record: &SampleRecord, frame: &[FrameRow], list: &[ListRow]) -> Result<()> {
    create_private_folder(out)?;
    let text = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let stratum = |at: usize| &record.strata[at];
    let of = |get: fn(&Stratum) -> &str, at: Vec<usize>| text(at.into_iter().map(|s| Some(get(stratum(s)))).collect());
    let mut reasons = ListBuilder::new(StringBuilder::new());
    frame.iter().for_each(|row| reasons.append_value(row.reasons.iter().map(|reason| Some(reason.code()))));
    let strata = |rows: Vec<usize>| -> ArrayRef {
        Arc::new(Int64Array::from(rows.into_iter().map(|s| s as i64).collect::<Vec<_>>()))
    };
    let places = || frame.iter().map(|row| row.stratum).collect::<Vec<_>>();
    write_table(
        &out.join("frame.parquet"),
        vec![
            ("submission_id", text(frame.iter().map(|row| Some(row.submission_id.as_str())).collect())),
            ("stratum", strata(places())),
            ("division", of(|s| &s.division, places())),
            ("district", of(|s| &s.district, places())),
            ("booth_id", text(frame.iter().map(|row| row.booth_id.as_deref()).collect())),
            ("mobile_end", text(frame.iter().map(|row| row.mobile_end.as_deref()).collect())),
            ("verdict", text(frame.iter().map(|row| Some(row.verdict.code())).collect())),
            ("reasons", Arc::new(reasons.finish())),
            ("liveness", Arc::new(frame.iter().map(|row| row.liveness).collect::<Float32Array>())),
            ("similarity", Arc::new(frame.iter().map(|row| row.similarity).collect::<Float32Array>())),
            (
                "review_at_false_share",
                Arc::new(frame.iter().map(|row| row.review_at_false_share).collect::<Float64Array>()),
            ),
        ],
    )?;
    let places = || list.iter().map(|row| row.stratum).collect::<Vec<_>>();
    let number = |get: fn(&ListRow) -> u64| -> ArrayRef {
        Arc::new(list.iter().map(|row| i64::try_from(get(row)).ok()).collect::<Int64Array>())
    };
    let checked = places().into_iter().map(|s| Some(stratum(s).booth_checked)).collect::<BooleanArray>();
    write_table(
        &out.join("sample.parquet"),
        vec![
            ("submission_id", text(list.iter().map(|row| Some(row.submission_id.as_str())).collect())),
            ("stratum", strata(places())),
            ("run_id", of(|s| &s.run_id, places())),
            ("division", of(|s| &s.division, places())),
            ("district", of(|s| &s.district, places())),
            ("booth_checked", Arc::new(checked)),
            ("draw", number(|row| row.draw)),
            ("place", number(|row| row.place)),
            (
                "inclusion_probability",
                Arc::new(list.iter().map(|row| Some(row.inclusion_probability)).collect::<Float64Array>()),
            ),
        ],
    )
}

/// `sample.json`, last: a folder without it is no sample.
pub fn finish(out: &Path, record: &SampleRecord) -> Result<()> {
    let text = serde_json::to_string_pretty(record).map_err(|e| Error::bug("writing sample.json", e))?;
    write_durably(&out.join("sample.json"), text.as_bytes())
}

impl Sample {
    /// Reads a sample and checks it: list and frame are those of the record, and the seed draws this list from this frame.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder is no sample, or was changed.
    pub fn read(path: &Path) -> Result<Sample> {
        let file = path.join("sample.json");
        let refuse = |found: String| {
            Error::input(&file, "sample", "the record of a sample", found, "name a folder that `chehra sample` made")
        };
        let bytes = std::fs::read(&file).map_err(|e| refuse(e.to_string()))?;
        let record: SampleRecord = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
        if record.version != VERSION {
            return Err(refuse(format!("version {}", record.version)));
        }
        let sample = Sample {
            path: path.to_path_buf(),
            frame: read_frame(&path.join("frame.parquet"))?,
            list: read_list(&path.join("sample.parquet"))?,
            record,
        };
        sample.check()?;
        Ok(sample)
    }

    fn check(&self) -> Result<()> {
        let changed = |file: &str, found: &str| {
            let fix =
                "restore the folder as `chehra sample` wrote it: answers to a list that was changed prove nothing";
            Error::input(self.path.join(file), "sample", "what its seed draws and its hash says", found, fix)
        };
        if frame_hash(&self.frame) != self.record.frame_sha256 {
            return Err(changed("frame.parquet", "another population than the one drawn from"));
        }
        if list_hash(&self.list) != self.record.list_sha256 {
            return Err(changed("sample.parquet", "another list: rows were added, taken away or changed"));
        }
        let members = |number: usize| self.frame.iter().filter(|row| row.stratum == number).count() as u64;
        let strata = &self.record.strata;
        if self.frame.iter().any(|row| row.stratum >= strata.len())
            || strata.iter().enumerate().any(|(number, stratum)| members(number) != stratum.members)
        {
            return Err(changed("sample.json", "strata of other sizes than in frame.parquet"));
        }
        let again = match &self.record.second {
            None => drawn(strata, &self.frame, &self.record.seed),
            Some(second) => drawn_again(&self.frame, &self.record.seed, second.probability),
        };
        if again.iter().map(|row| &row.submission_id).ne(self.list.iter().map(|row| &row.submission_id)) {
            return Err(changed("sample.json", "a seed that draws another list"));
        }
        Ok(())
    }
}

fn read_frame(path: &Path) -> Result<Vec<FrameRow>> {
    let columns = [
        "submission_id",
        "stratum",
        "booth_id",
        "mobile_end",
        "verdict",
        "reasons",
        "liveness",
        "similarity",
        "review_at_false_share",
    ];
    let mut frame = Vec::new();
    table::read(path, &columns, |batch| {
        let (ids, booths, ends) = (batch.texts("submission_id")?, batch.texts("booth_id")?, batch.texts("mobile_end")?);
        let (verdicts, reasons) = (batch.texts("verdict")?, batch.lists("reasons")?);
        let strata = batch.numbers::<Int64Type>("stratum")?;
        let (liveness, similarity) =
            (batch.numbers::<Float32Type>("liveness")?, batch.numbers::<Float32Type>("similarity")?);
        let shares = batch.numbers::<Float64Type>("review_at_false_share")?;
        for row in 0..batch.rows() {
            frame.push(FrameRow {
                submission_id: ids.get(row).unwrap_or_default().to_owned(),
                stratum: table::value(strata, row).and_then(|s| usize::try_from(s).ok()).unwrap_or(usize::MAX),
                booth_id: booths.get(row).map(str::to_owned),
                mobile_end: ends.get(row).map(str::to_owned),
                verdict: verdicts.get(row).and_then(table::verdict).unwrap_or(Verdict::Review),
                reasons: reasons.get(row).into_iter().filter_map(table::reason).collect(),
                liveness: table::value(liveness, row),
                similarity: table::value(similarity, row),
                review_at_false_share: table::value(shares, row),
            });
        }
        Ok(())
    })?;
    Ok(frame)
}

fn read_list(path: &Path) -> Result<Vec<ListRow>> {
    let mut list = Vec::new();
    table::read(path, &["submission_id", "stratum", "draw", "place", "inclusion_probability"], |batch| {
        let ids = batch.texts("submission_id")?;
        let whole = |name| batch.numbers::<Int64Type>(name);
        let (strata, draws, places) = (whole("stratum")?, whole("draw")?, whole("place")?);
        let chances = batch.numbers::<Float64Type>("inclusion_probability")?;
        for row in 0..batch.rows() {
            let number = |column| table::value(column, row).and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX);
            list.push(ListRow {
                submission_id: ids.get(row).unwrap_or_default().to_owned(),
                stratum: number(strata) as usize,
                draw: number(draws),
                place: number(places),
                inclusion_probability: table::value(chances, row).unwrap_or(0.0),
            });
        }
        Ok(())
    })?;
    Ok(list)
}
