//! The optional table of workers: a reference photo of each, from which their face is known beforehand.
//!
//! Columns: `worker_id` (text) and `photo` (binary) are required, `district` (text) is optional; anything else is left
//! alone, with a word in the log.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::cells::{Blob, pictures, texts};
use super::partitions::DumpFile;
use super::schema::{Kind, Wanted};
use super::submission::from_folder;
use super::table::{Batches, Chunk, Row, Table};
use super::times::Clock;
use crate::Result;

/// One row of the table of workers. A `None` is a null cell.
#[derive(Debug, Clone)]
pub struct WorkerRow {
    /// Position in the table, from 0.
    pub row: u64,
    /// The worker's id, as in the dump.
    pub worker_id: Option<String>,
    /// The worker's district.
    pub district: Option<String>,
    /// The reference photo: an encoded picture.
    pub photo: Option<Blob>,
}

/// An opened table of workers: half a million reference photos are streamed like the dump is.
#[derive(Debug, Clone)]
pub struct Workers {
    table: Arc<Table>,
}

const COLUMNS: [(&str, bool, Kind); 3] =
    [("worker_id", true, Kind::Text), ("district", false, Kind::Text), ("photo", true, Kind::Picture)];

impl Workers {
    /// Reads the footer and checks the columns. A table without rows is a table.
    ///
    /// # Errors
    /// [`crate::Error::Input`] as for the dump.
    pub fn open(path: &Path) -> Result<Workers> {
        let table = checked_table(path)?;
        let plan = &table.files[0].plan;
        let others = plan.arrow.fields().iter().enumerate().filter(|(i, _)| plan.roots.binary_search(i).is_err());
        let others: Vec<&str> = others.map(|(_, field)| field.name().as_str()).collect();
        if !others.is_empty() {
            log::warn!("{}: columns not read: {}", path.display(), super::schema::list(&others));
        }
        Ok(Workers { table: Arc::new(table) })
    }

    /// Whether a table can be opened: asked before any work.
    ///
    /// # Errors
    /// As [`Workers::open`].
    pub fn check(path: &Path) -> Result<()> {
        checked_table(path).map(drop)
    }

    /// Rows of the table.
    pub fn total_rows(&self) -> u64 {
        self.table.rows()
    }

    /// Streams the rows; see [`super::Dump::batches`].
    pub fn batches(&self, batch_rows: usize, max_batch_bytes: usize, start_row: u64) -> Batches<WorkerRow> {
        self.table.batches(batch_rows, max_batch_bytes, start_row)
    }
}

fn checked_table(path: &Path) -> Result<Table> {
    let wanted = COLUMNS.map(|(name, required, kind)| Wanted { name, source: name.to_owned(), required, kind });
    let table = Table::open(&[DumpFile { path: path.to_path_buf(), root: None }], &wanted, &Clock::default())?;
    table.check_columns()?;
    Ok(table)
}

/// The ids in a table of workers, each once, without a look at a photo.
///
/// # Errors
/// As [`Workers::open`] and [`Workers::batches`].
pub fn worker_ids(path: &Path) -> Result<Vec<String>> {
    let mut ids: Vec<String> = id_cells(path)?.into_iter().flatten().collect();
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// Where each worker stands in a table of workers, without a look at a photo; of several rows the first.
///
/// # Errors
/// As [`worker_ids`].
pub fn worker_rows(path: &Path) -> Result<HashMap<String, u64>> {
    let mut rows = HashMap::new();
    for (row, id) in (0..).zip(id_cells(path)?) {
        if let Some(id) = id {
            rows.entry(id).or_insert(row);
        }
    }
    Ok(rows)
}

/// The cell of each row.
fn id_cells(path: &Path) -> Result<Vec<Option<String>>> {
    let (name, required, kind) = COLUMNS[0];
    let wanted = [Wanted { name, source: name.to_owned(), required, kind }];
    let file = DumpFile { path: path.to_path_buf(), root: None };
    let table = Arc::new(Table::open(&[file], &wanted, &Clock::default())?);
    let mut ids = Vec::new();
    for batch in table.batches::<IdCell>(4096, usize::MAX, 0) {
        ids.extend(batch?.into_iter().map(|IdCell(id)| id));
    }
    Ok(ids)
}

/// The id of one row.
struct IdCell(Option<String>);

impl Row for IdCell {
    fn from_chunk(chunk: &Chunk) -> Result<Vec<Self>> {
        Ok(chunk.cells(0, texts, from_folder)?.into_iter().map(IdCell).collect())
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// The whole table in memory: for small ones.
///
/// # Errors
/// As [`Workers::open`] and [`Workers::batches`].
pub fn read_workers(path: &Path) -> Result<Vec<WorkerRow>> {
    let mut rows = Vec::new();
    for batch in Workers::open(path)?.batches(64, 64 << 20, 0) {
        rows.extend(batch?);
    }
    Ok(rows)
}

impl Row for WorkerRow {
    fn from_chunk(chunk: &Chunk) -> Result<Vec<Self>> {
        let text = |at: usize| chunk.cells(at, texts, from_folder);
        let rows = text(0)?.into_iter().zip(text(1)?).zip(chunk.cells(2, pictures, |_| None)?).enumerate();
        Ok(rows
            .map(|(i, ((worker_id, district), photo))| WorkerRow {
                row: chunk.first_row + i as u64,
                worker_id,
                district,
                photo,
            })
            .collect())
    }

    fn bytes(&self) -> usize {
        self.photo.as_ref().map_or(0, |b| b.len())
    }
}
