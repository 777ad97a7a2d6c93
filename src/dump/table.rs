//! Parquet files as one table of wanted columns, streamed.
//!
//! Opening reads footers only. Reading goes row group by row group and, inside one, page by page: the reader holds one
//! page of each wanted column and the rows it is handing out, never a whole column chunk, so memory does not grow with
//! the dump nor with the size of its row groups. How much a page is, its writer decides: polars writes pages of 1 MiB,
//! Spark of 100 rows, DuckDB of 100 MiB, pyarrow of 1024 rows (`write_batch_size=64` keeps them small), and a
//! compressed page is in memory twice while it is unpacked.
//!
//! Every row group has its own reader, so that a damaged page can be
//! named, and so that a start in the middle passes over earlier row groups by arithmetic alone.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowSelector};

use super::bounded::group_reader;
use super::footer::{check_columns, check_unchanged, damaged, footer, group_rows, guard, rows_that_fit};
use super::partitions::DumpFile;
use super::schema::{Plan, Source, Wanted};
use super::times::Clock;
use crate::objects::InputFile;
use crate::{Error, Result};

/// Rows per batch where no picture is read.
pub(super) const FACTS_ROWS: usize = 4096;

/// Several files read as one table.
#[derive(Debug, Clone)]
pub struct Table {
    /// In row order.
    pub files: Vec<TableFile>,
}

/// One file, as far as its footer tells.
#[derive(Debug, Clone)]
pub struct TableFile {
    /// Where it is.
    pub path: PathBuf,
    /// Rows of each row group.
    pub groups: Vec<u64>,
    /// Where the wanted columns are.
    pub plan: Plan,
    /// How its times are read.
    pub clock: Arc<Clock>,
}

impl TableFile {
    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.groups.iter().sum()
    }
}

impl Table {
    /// Reads the footers and finds the wanted columns in every file.
    ///
    /// # Errors
    /// [`Error::Input`] naming the first file that is not readable as Parquet or lacks what it must have.
    pub fn open(files: &[DumpFile], wanted: &[Wanted], clock: &Clock) -> Result<Table> {
        let clock = Arc::new(clock.clone());
        let open = |file: &DumpFile| open_file(file, wanted, &clock);
        Ok(Table { files: files.iter().map(open).collect::<Result<_>>()? })
    }

    /// Has times read by a clock. INT96 is an instant whatever zone the clock has.
    pub fn set_clock(&mut self, clock: &Clock) {
        let clock = Arc::new(clock.clone());
        self.files.iter_mut().for_each(|file| file.clock = clock.clone());
    }

    /// Checks the wanted columns of every file as far as that can be done without unpacking a page, so that nothing of
    /// this fails hours later.
    ///
    /// # Errors
    /// As [`check_columns`].
    pub fn check_columns(&self) -> Result<()> {
        self.files.iter().try_for_each(|file| check_columns(&file.path, &file.plan.roots))
    }

    /// Rows of all files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(TableFile::rows).sum()
    }

    /// Whether any file has the wanted column at this position.
    pub fn has(&self, wanted: usize) -> bool {
        self.files.iter().any(|f| f.plan.sources[wanted] != Source::Absent)
    }
}

fn open_file(file: &DumpFile, wanted: &[Wanted], clock: &Arc<Clock>) -> Result<TableFile> {
    let path = file.path.as_path();
    let natural = footer(path, ArrowReaderOptions::new().with_skip_arrow_metadata(true))?;
    // A writer's embedded Arrow schema that cannot be read loses hints, not data.
    let hinted = ArrowReaderMetadata::try_new(natural.metadata().clone(), ArrowReaderOptions::new());
    let hinted = hinted.map_or_else(|_| natural.schema().clone(), |m| m.schema().clone());
    let folders = file.partitions();
    let plan = Plan::new(path, wanted, &folders, natural.schema(), &hinted, natural.parquet_schema())?;
    let groups = group_rows(path, natural.metadata())?;
    Ok(TableFile { path: path.to_path_buf(), groups, plan, clock: clock.clone() })
}

/// Wanted columns of some consecutive rows of one file.
pub struct Chunk {
    /// Position of the first row in the whole table.
    pub first_row: u64,
    /// Rows.
    pub rows: usize,
    /// How times are read.
    pub clock: Arc<Clock>,
    columns: Vec<ArrayRef>,
    sources: Vec<Source>,
}

impl Chunk {
    /// Rows of `file`.
    pub(super) fn of(file: &TableFile, first_row: u64, batch: RecordBatch) -> Chunk {
        let (sources, clock) = (file.plan.sources.clone(), file.clock.clone());
        Chunk { first_row, rows: batch.num_rows(), clock, columns: batch.columns().to_vec(), sources }
    }

    /// Columns that came without a file, numbered from 0; `sources` say which of them is which wanted column.
    pub(super) fn from_columns(rows: usize, columns: Vec<ArrayRef>, sources: Vec<Source>, clock: Arc<Clock>) -> Chunk {
        Chunk { first_row: 0, rows, clock, columns, sources }
    }

    /// A wanted column, decoded by `decode`; an absent one is all null, one that a folder name tells is all the same.
    pub fn cells<T: Clone>(
        &self,
        wanted: usize,
        decode: impl Fn(&ArrayRef) -> Result<Vec<Option<T>>>,
        from_folder: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<Option<T>>> {
        match &self.sources[wanted] {
            Source::Absent => Ok(vec![None; self.rows]),
            Source::Folder(value) => Ok(vec![value.as_deref().and_then(from_folder); self.rows]),
            Source::Column(at) => decode(&self.columns[*at]),
        }
    }
}

/// A row that a table is read into.
pub trait Row: Sized {
    /// The rows of a chunk, in order.
    fn from_chunk(chunk: &Chunk) -> Result<Vec<Self>>;
    /// Bytes of the pictures that the row holds.
    fn bytes(&self) -> usize;
}

/// The rows of a table in batches; see [`Table::batches`].
pub struct Batches<R> {
    scan: Scan,
    pending: VecDeque<R>,
    failed: Option<Error>,
    batch_rows: usize,
    max_bytes: usize,
}

impl Table {
    /// Streams the rows from `start_row` on, in batches of `batch_rows`, or fewer where their pictures would exceed
    /// `max_batch_bytes` (a batch has one row at least). After an error the iterator ends.
    pub fn batches<R: Row>(self: &Arc<Self>, batch_rows: usize, max_batch_bytes: usize, start_row: u64) -> Batches<R> {
        let batch_rows = batch_rows.max(1);
        Batches {
            scan: Scan::new(self.clone(), batch_rows, max_batch_bytes, start_row),
            pending: VecDeque::new(),
            failed: None,
            batch_rows,
            max_bytes: max_batch_bytes,
        }
    }
}

impl<R: Row> Batches<R> {
    /// How many pending rows make the next batch, and whether more rows could still join it.
    fn ready(&self) -> (usize, bool) {
        let mut bytes = 0usize;
        for (count, row) in self.pending.iter().take(self.batch_rows).enumerate() {
            bytes = bytes.saturating_add(row.bytes());
            if bytes > self.max_bytes {
                return (count.max(1), false);
            }
        }
        let count = self.pending.len().min(self.batch_rows);
        (count, count < self.batch_rows)
    }
}

impl<R: Row> Iterator for Batches<R> {
    type Item = Result<Vec<R>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (count, hungry) = self.ready();
            if hungry && self.failed.is_none() {
                match self.scan.next().map(|chunk| chunk.and_then(|chunk| R::from_chunk(&chunk))) {
                    Some(Ok(rows)) => {
                        self.pending.extend(rows);
                        continue;
                    }
                    Some(Err(error)) => self.failed = Some(error),
                    None => {}
                }
            }
            // Rows before the damage are answered first.
            return match count {
                0 => self.failed.take().map(Err),
                count => Some(Ok(self.pending.drain(..count).collect())),
            };
        }
    }
}

/// Walks files and row groups.
struct Scan {
    table: Arc<Table>,
    batch_rows: usize,
    max_bytes: usize,
    /// File and row group to open next.
    file: usize,
    group: usize,
    /// Rows still to pass over before the first one handed out.
    skip: u64,
    /// Position of the next row in the whole table.
    row: u64,
    footer: Option<ArrowReaderMetadata>,
    open: Option<OpenGroup>,
    done: bool,
}

struct OpenGroup {
    reader: ParquetRecordBatchReader,
    file: usize,
    group: usize,
    rows_left: u64,
}

impl Scan {
    fn new(table: Arc<Table>, batch_rows: usize, max_bytes: usize, start_row: u64) -> Scan {
        Scan {
            table,
            batch_rows,
            max_bytes,
            file: 0,
            group: 0,
            skip: start_row,
            row: 0,
            footer: None,
            open: None,
            done: false,
        }
    }

    fn next(&mut self) -> Option<Result<Chunk>> {
        if self.done {
            return None;
        }
        let item = self.advance().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }

    fn advance(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(open) = &mut self.open {
                if open.rows_left > 0 {
                    let file = &self.table.files[open.file];
                    let batch = open.read(&file.path)?;
                    let first_row = self.row;
                    self.row += batch.num_rows() as u64;
                    return Ok(Some(Chunk::of(file, first_row, batch)));
                }
                self.open = None;
            }
            let table = self.table.clone();
            let Some(file) = table.files.get(self.file) else { return Ok(None) };
            match file.groups.get(self.group) {
                None => {
                    self.file += 1;
                    self.group = 0;
                    self.footer = None;
                }
                Some(&rows) if rows <= self.skip => {
                    self.skip -= rows;
                    self.row += rows;
                    self.group += 1;
                }
                Some(&rows) => {
                    let skip = std::mem::take(&mut self.skip);
                    self.row += skip;
                    let reader = self.open_group(file, skip)?;
                    self.open = Some(OpenGroup { reader, file: self.file, group: self.group, rows_left: rows - skip });
                    self.group += 1;
                }
            }
        }
    }

    fn open_group(&mut self, file: &TableFile, skip: u64) -> Result<ParquetRecordBatchReader> {
        let metadata = match &self.footer {
            Some(metadata) => metadata.clone(),
            None => {
                let options = ArrowReaderOptions::new()
                    .with_parquet_schema(file.plan.parquet.clone())
                    .with_schema(file.plan.arrow.clone());
                let metadata = footer(&file.path, options)?;
                check_unchanged(&file.path, &file.groups, metadata.metadata())?;
                self.footer.insert(metadata).clone()
            }
        };
        let fit = rows_that_fit(self.max_bytes, metadata.metadata(), self.group, &file.plan.roots);
        let rows = self.batch_rows.min(fit).min(file.plan.most_rows());
        let handle = InputFile::open(&file.path).map_err(Error::io("open", &file.path))?;
        let group = self.group;
        let left = (file.groups[group] - skip) as usize;
        let after = (skip > 0).then(|| vec![RowSelector::skip(skip as usize), RowSelector::select(left)].into());
        let reader = guard(|| group_reader(handle, metadata.metadata(), group, &file.plan, rows, after));
        reader.map_err(|found| damaged(&file.path, group, found))
    }
}

impl OpenGroup {
    fn read(&mut self, path: &Path) -> Result<RecordBatch> {
        let batch = match guard(|| self.reader.next().transpose()) {
            Ok(Some(batch)) if batch.num_rows() > 0 => batch,
            Ok(_) => return Err(damaged(path, self.group, format!("its end, {} rows early", self.rows_left))),
            Err(found) => return Err(damaged(path, self.group, found)),
        };
        let rows = batch.num_rows() as u64;
        if rows > self.rows_left {
            return Err(damaged(path, self.group, "more rows than the footer says".to_owned()));
        }
        self.rows_left -= rows;
        Ok(batch)
    }
}
