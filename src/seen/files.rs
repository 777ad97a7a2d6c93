//! The table of a dump's files: what an audit without the dump must know of it.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::SEEN_VERSION;
use super::contract::digest;
use crate::dump::{Dump, FilePrint};
use crate::{Error, Result};

/// One file of the dump. Every part has all of them, and the SHA-256 of its share, so that no machine reads them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpFileRow {
    /// [`SEEN_VERSION`].
    pub seen_version: i32,
    /// Names the dump, as in the rows.
    pub dump: String,
    /// Position among the files, from 0.
    pub file: i32,
    /// Number of files.
    pub files: i32,
    /// Where it was.
    pub path: String,
    /// Its size, bytes.
    pub bytes: i64,
    /// Its rows.
    pub rows: i64,
    /// Columns of the dump that are there, by the names that `chehra` has for them.
    pub columns: Vec<String>,
    /// The table of workers that lay beside the dump; an audit that has only what was seen must be given it.
    pub workers: Option<String>,
    /// 64 hexadecimal digits; in another part where it is null.
    pub sha256: Option<String>,
}

impl DumpFileRow {
    /// The files of a dump, without their hashes.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be looked at.
    pub fn of(dump: &Dump) -> Result<Vec<DumpFileRow>> {
        let listed = dump.listed()?;
        let (name, columns) = (identity(&listed)?, dump.columns());
        let workers = dump.workers_path().map(|path| path.display().to_string());
        let row = |(at, file): (usize, &crate::dump::Listed)| DumpFileRow {
            seen_version: SEEN_VERSION,
            dump: name.clone(),
            file: at as i32,
            files: listed.len() as i32,
            path: file.path.display().to_string(),
            bytes: file.size as i64,
            rows: file.rows as i64,
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            workers: workers.clone(),
            sha256: None,
        };
        Ok(listed.iter().enumerate().map(row).collect())
    }

    /// As the record of a run has it; `None` without its hash.
    pub fn print(&self) -> Option<FilePrint> {
        let sha256 = self.sha256.clone()?;
        Some(FilePrint { path: Path::new(&self.path).to_path_buf(), size: self.bytes as u64, sha256 })
    }
}

/// Names a dump by what its files are called and what their footers say. Folders do not count: each machine may have mounted
/// the dump elsewhere.
fn identity(files: &[crate::dump::Listed]) -> Result<String> {
    let named = |file: &crate::dump::Listed| {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, file.size, file.rows, file.footer.clone())
    };
    digest(&files.iter().map(named).collect::<Vec<_>>())
}

/// Columns of the table.
pub fn schema() -> SchemaRef {
    let named = [
        ("seen_version", DataType::Int32),
        ("dump", DataType::Utf8),
        ("file", DataType::Int32),
        ("files", DataType::Int32),
        ("path", DataType::Utf8),
        ("bytes", DataType::Int64),
        ("rows", DataType::Int64),
        ("columns", DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)))),
        ("workers", DataType::Utf8),
        ("sha256", DataType::Utf8),
    ];
    let fields = named.into_iter().map(|(name, data_type)| Arc::new(Field::new(name, data_type, true)));
    Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()))
}

/// Rows of the table.
///
/// # Errors
/// [`Error::Bug`].
pub(super) fn to_batch(files: &[DumpFileRow]) -> Result<RecordBatch> {
    let bug = |error: &dyn std::fmt::Display| Error::bug("writing the files of a dump", error);
    let fields: Vec<FieldRef> = schema().fields().iter().cloned().collect();
    serde_arrow::to_record_batch(&fields, &files).map_err(|error| bug(&error))
}

/// What rows of the table say.
///
/// # Errors
/// What is wrong with them, in words.
pub(super) fn from_batch(batch: &RecordBatch) -> Result<Vec<DumpFileRow>, String> {
    serde_arrow::from_record_batch(batch).map_err(|error| error.to_string())
}
