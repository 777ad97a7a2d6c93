//! What a look-up takes from a run folder: the verdict on each row, and from which dump it came.

use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::ProjectionMask;
use serde::Deserialize;

use crate::dump::{FilePrint, open_parquet};
use crate::objects::is_file;
use crate::{Error, Result};

/// The verdict on one row.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs)] // the columns of the verdict table
pub struct Verdict {
    pub submission_id: Option<String>,
    pub verdict: String,
    /// Joined by commas.
    pub reasons: String,
    pub duplicate_of: Option<String>,
    pub cluster_id: Option<String>,
    pub cross_district: Option<bool>,
    pub similarity: Option<f64>,
    pub expected_false_matches: Option<f64>,
    pub member_liveness: Option<f64>,
    pub worker_liveness: Option<f64>,
    pub photo_similarity: Option<f64>,
    pub quality: Option<f64>,
}

/// A run folder.
#[derive(Debug)]
pub struct RunRecord {
    /// The folder.
    pub path: PathBuf,
    /// By what a store knows the run.
    pub store_key: String,
    /// The dump as it was.
    pub inputs: Vec<FilePrint>,
    /// In the order of the dump.
    pub verdicts: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Known {
    store_key: String,
    inputs: Vec<FilePrint>,
}

impl RunRecord {
    /// Whether a folder is one of an audit.
    pub fn is_at(path: &Path) -> bool {
        path.join("run.json").is_file() && path.join("verdicts.parquet").is_file()
    }

    /// Reads the record and the verdicts.
    ///
    /// # Errors
    /// [`Error::Input`] when either is damaged.
    pub fn read(path: &Path) -> Result<RunRecord> {
        let file = path.join("run.json");
        let refuse = |found: String| {
            Error::input(&file, "record", "the run.json of `chehra audit`", found, "audit the dump again")
        };
        let text = std::fs::read_to_string(&file).map_err(|e| refuse(e.to_string()))?;
        let Known { store_key, inputs } = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
        Ok(RunRecord { path: path.to_path_buf(), store_key, inputs, verdicts: verdicts(path)? })
    }

    /// The files of the dump, if they are there as they were.
    ///
    /// # Errors
    /// [`Error::Input`] naming the first that is gone or has changed.
    pub fn dump(&self) -> Result<Vec<PathBuf>> {
        for input in &self.inputs {
            let refuse = |found: &str| {
                let fix = "name the store that the run went into with --store, or the dump itself in place of the run";
                Error::input(&input.path, format!("the dump of {}", self.path.display()), "as it was", found, fix)
            };
            if !is_file(&input.path).map_err(Error::io("look for", &input.path))? {
                return Err(refuse("nothing (a relative path is looked for from the current folder)"));
            }
            if FilePrint::of(&input.path)?.sha256 != input.sha256 {
                return Err(refuse("another file of this name"));
            }
        }
        Ok(self.inputs.iter().map(|input| input.path.clone()).collect())
    }
}

fn verdicts(folder: &Path) -> Result<Vec<Verdict>> {
    const COLUMNS: [&str; 12] = [
        "submission_id",
        "verdict",
        "reasons",
        "duplicate_of",
        "cluster_id",
        "cross_district",
        "similarity",
        "expected_false_matches",
        "member_liveness",
        "worker_liveness",
        "photo_similarity",
        "quality",
    ];
    let path = folder.join("verdicts.parquet");
    let refuse = |found: String| {
        Error::input(&path, "table", "the verdict table of `chehra audit`", found, "audit the dump again")
    };
    let builder = open_parquet(&path, refuse)?;
    let schema = builder.schema().clone();
    let roots = COLUMNS.map(|name| schema.index_of(name));
    if let Some(missing) = COLUMNS.iter().zip(&roots).find_map(|(name, root)| root.is_err().then_some(name)) {
        return Err(refuse(format!("no column {missing}")));
    }
    let projection = ProjectionMask::roots(builder.parquet_schema(), roots.into_iter().flatten());
    let reader = builder.with_projection(projection).build().map_err(|e| refuse(e.to_string()))?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| Error::of_reader(&path, &e, refuse))?;
        let batch = Cells::of(&batch).ok_or_else(|| refuse("columns of other types".to_owned()))?;
        rows.extend((0..batch.rows).map(|row| batch.verdict(row)));
    }
    Ok(rows)
}

/// The columns of one batch.
struct Cells<'a> {
    rows: usize,
    texts: [&'a arrow::array::StringArray; 4],
    reasons: &'a arrow::array::ListArray,
    cross_district: &'a arrow::array::BooleanArray,
    numbers: Vec<arrow::array::Float64Array>,
}

impl<'a> Cells<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let number = |name: &str| {
            let cast = arrow::compute::cast(batch.column_by_name(name)?, &DataType::Float64).ok()?;
            cast.as_primitive_opt::<Float64Type>().cloned()
        };
        let names = [
            "similarity",
            "expected_false_matches",
            "member_liveness",
            "worker_liveness",
            "photo_similarity",
            "quality",
        ];
        let reasons = batch.column_by_name("reasons")?.as_list_opt::<i32>()?;
        reasons.values().as_string_opt::<i32>()?;
        Some(Cells {
            rows: batch.num_rows(),
            texts: [text("submission_id")?, text("verdict")?, text("duplicate_of")?, text("cluster_id")?],
            reasons,
            cross_district: batch.column_by_name("cross_district")?.as_boolean_opt()?,
            numbers: names.into_iter().map(number).collect::<Option<_>>()?,
        })
    }

    fn verdict(&self, row: usize) -> Verdict {
        let text = |at: usize| self.texts[at].is_valid(row).then(|| self.texts[at].value(row).to_owned());
        let number = |at: usize| self.numbers[at].is_valid(row).then(|| self.numbers[at].value(row));
        let reasons = self.reasons.value(row);
        let reasons: Vec<&str> = reasons.as_string::<i32>().iter().flatten().collect();
        Verdict {
            submission_id: text(0),
            verdict: text(1).unwrap_or_default(),
            reasons: reasons.join(","),
            duplicate_of: text(2),
            cluster_id: text(3),
            cross_district: self.cross_district.is_valid(row).then(|| self.cross_district.value(row)),
            similarity: number(0),
            expected_false_matches: number(1),
            member_liveness: number(2),
            worker_liveness: number(3),
            photo_similarity: number(4),
            quality: number(5),
        }
    }
}
