//! Parquet rows -> [`Submission`]: the dump as the rest of the program sees it.
//!
//! A dump is one or more Parquet files. Columns are found by name (names can be mapped in the config file), their
//! types are checked before any work, and rows are streamed batch by batch so that memory does not grow with the dump.
//! What a picture shows, and whether it is one, is for [`crate::photo`] to say; which rows are answered how, for
//! [`crate::verdict`]: every row of the dump comes out here, good or bad.
//!
//! | part | |
//! |---|---|
//! | `inputs`, `remote`, `partitions`, `lakehouse`, `regular` | files, folders, globs, on a disk or in an object store -> a sorted list of files; what is no file of a dump |
//! | `schema` | which column is which, and whether its type will do |
//! | `times`, `survey` | how times are written, and what is wrong with whole columns: before any work |
//! | `footer`, `footer_scan`, `table` | what files say of themselves, hostile ones included; row groups, streaming |
//! | `bounded`, `page_header`, `unpack`, `oversize` | pages looked at before they are unpacked, so that no cell is held that is too large |
//! | `cells`, `encoded` | Arrow columns -> pictures (base64 and hex too), texts, times, flags |
//! | `submission`, `workers`, `booths` | the rows of the dump, and of the tables beside it |
//! | [`facts`] | numbers, consent and time of a row, in normal form and checked |
//! | `carry` | other columns, passed on untouched |
//! | `pick` | single rows by their position |
//! | `stream` | batches of rows that come over a pipe, without a file |
//! | `texts` | small tables of others, as texts |

mod booths;
mod bounded;
mod carry;
mod cells;
mod digits;
mod encoded;
pub mod facts;
mod footer;
mod footer_scan;
mod inputs;
mod lakehouse;
mod mistaken;
mod oversize;
mod page_header;
mod partitions;
mod pick;
mod place;
mod print;
mod regular;
mod remote;
mod schema;
mod stream;
mod submission;
mod survey;
mod table;
mod texts;
pub mod times;
mod unpack;
mod workers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use booths::{BoothPlace, Booths};
pub use carry::Carry;
pub(crate) use cells::parse_flag;
pub use cells::{Blob, MAX_TEXT};
pub use footer::has_columns;
pub(crate) use footer::open_parquet;
pub use inputs::listed;
pub use mistaken::expect_run;
pub use oversize::cell_bytes;
pub use partitions::{TRUTH_FILE, WORKERS_FILE};
pub use place::{Place, why_no_place};
pub use print::{FilePrint, Listed};
pub(crate) use regular::regular;
pub use stream::{InputColumn, Stream, input_columns};
pub use submission::{RowFacts, Submission};
pub use survey::{Survey, first_ids};
pub use table::Batches;
pub use texts::{TextColumn, read_texts};
pub use times::time_zone;
pub use workers::{WorkerRow, Workers, read_workers, worker_ids, worker_rows};

use table::FACTS_ROWS;

use crate::config::Columns;
use crate::output::Kept;
use crate::{Error, Result};

/// An opened dump: its footers are read and its columns are checked.
#[derive(Debug, Clone)]
pub struct Dump {
    table: Arc<table::Table>,
    inputs: Vec<partitions::DumpFile>,
    folders: Vec<PathBuf>,
    wanted: Vec<schema::Wanted>,
    clock: times::Clock,
    workers: Option<PathBuf>,
    pictures: Vec<String>,
    present: Vec<&'static str>,
}

impl Dump {
    /// Opens files, folders and globs as one dump, in the order of their paths (the rules for which files a folder or a
    /// glob gives are those of Spark; `workers.parquet` and `truth.parquet` in it are not part of the dump). Only
    /// footers are read, and times where they are texts or numbers.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file when one is missing, not Parquet or damaged, when it lacks a required column or
    /// has one of a wrong type, when an optional column that `columns` renames is in no file, and when the whole dump
    /// has no rows; [`Error::Usage`] when `columns` cannot be meant.
    pub fn open<P: AsRef<Path>>(inputs: &[P], columns: &Columns) -> Result<Dump> {
        let wanted = submission::wanted(columns)?;
        let clock = times::Clock::new(columns)?;
        let inputs = inputs::resolve(inputs)?;
        let mut table = table::Table::open(&inputs.files, &wanted, &clock)?;
        let first = &table.files[0].path;
        for (at, column) in wanted.iter().enumerate() {
            if !column.source.is_empty() && column.source != column.name && !table.has(at) {
                let item = format!("column `{}`", column.source);
                let expected = format!("the column that chehra.toml, section [columns], names as {}", column.name);
                let fix = "correct the name, or set it to \"\" if the dump has no such column";
                return Err(Error::input(first, item, expected, "no such column in any file", fix));
            }
        }
        if table.rows() == 0 {
            let found = match table.files.len() {
                1 => "none: the file has no rows".to_owned(),
                n => format!("none: the {n} files of the dump have no rows"),
            };
            return Err(Error::input(first, "rows", "at least one row", found, "check what wrote the dump"));
        }
        table.check_columns()?;
        let clock = match wanted.iter().position(|column| column.kind == schema::Kind::Time) {
            Some(at) => survey::read_times(&inputs.files, &table, &wanted[at], at, &clock)?,
            None => clock,
        };
        table.set_clock(&clock);
        let pictures = vec![columns.selfie.clone(), columns.photo.clone()];
        let present = wanted.iter().enumerate().filter(|(at, _)| table.has(*at)).map(|(_, w)| w.name).collect();
        let inputs::Inputs { files: inputs, workers, folders } = inputs;
        Ok(Dump { table: Arc::new(table), inputs, folders, wanted, clock, workers, pictures, present })
    }

    /// Whether any file has the column that goes by this name in `chehra`.
    pub fn has_column(&self, name: &str) -> bool {
        self.present.contains(&name)
    }

    /// Rows of the whole dump.
    pub fn total_rows(&self) -> u64 {
        self.table.rows()
    }

    /// The files in row order.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.table.files.iter().map(|f| f.path.as_path())
    }

    /// The dump as something that no output may touch: its files, and the folders that it was found in whole.
    pub fn kept(&self) -> Vec<Kept> {
        let files = self.files().map(|path| Kept::whole("a file of the dump", path));
        self.folders.iter().map(|path| Kept::whole("the dump", path)).chain(files).collect()
    }

    /// `workers.parquet` beside the dump: in a folder that was given, or beside a file that was. With several, the
    /// first by path.
    pub fn workers_path(&self) -> Option<&Path> {
        self.workers.as_deref()
    }

    /// Streams the rows from `start_row` on, in batches of `batch_rows`, or fewer where their pictures together would
    /// exceed `max_batch_bytes` (one row at least). Rows are the same whatever the two sizes. The iterator holds one
    /// page of each column besides; it ends after an error.
    ///
    /// # Errors
    /// Each item may be an [`Error::Input`] that names the file and the row group that cannot be read; the rows before
    /// it are handed out first.
    pub fn batches(&self, batch_rows: usize, max_batch_bytes: usize, start_row: u64) -> Batches<Submission> {
        self.table.batches(batch_rows, max_batch_bytes, start_row)
    }

    /// Reads single rows by their position, in that order: pages that hold none of them are passed over. `rows` are
    /// ascending and each once; at most `max_batch_bytes` of pictures are held at a time, or one row.
    ///
    /// # Errors
    /// [`Error::Input`] that names the file and the row group that cannot be read, or a row beyond the dump; whatever
    /// `each` returns.
    pub fn pick(
        &self,
        rows: &[u64],
        max_batch_bytes: usize,
        each: &mut dyn FnMut(Vec<Submission>) -> Result<()>,
    ) -> Result<()> {
        self.table.pick(rows, max_batch_bytes, each)
    }

    /// Prepares to read other columns of the same rows, with the types they were written with.
    ///
    /// # Errors
    /// See [`Carry::open`].
    pub fn carry(&self, columns: &[String]) -> Result<Carry> {
        Carry::open(&self.table, columns, &self.pictures)
    }

    /// Streams what every row says besides its pictures, in order, without reading a picture.
    ///
    /// # Errors
    /// As [`Dump::batches`].
    pub fn facts(&self) -> Result<Batches<Submission>> {
        let unread = |column: &schema::Wanted| match column.kind {
            schema::Kind::Picture => schema::Wanted { source: String::new(), required: false, ..column.clone() },
            _ => column.clone(),
        };
        let wanted: Vec<schema::Wanted> = self.wanted.iter().map(unread).collect();
        let mut table = table::Table::open(&self.inputs, &wanted, &self.clock)?;
        table.set_clock(&self.clock);
        Ok(Arc::new(table).batches(FACTS_ROWS, usize::MAX, 0))
    }

    /// Looks at the facts of every row: what is wrong with whole columns. `now` in microseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// As [`Dump::batches`].
    pub fn survey(&self, now: i64) -> Result<Survey> {
        let mut survey = Survey::default();
        for batch in self.facts()? {
            survey.count(batch?.iter().map(|row| &row.facts), now);
        }
        Ok(survey)
    }

    /// The files in row order, as far as their footers tell.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read.
    pub fn listed(&self) -> Result<Vec<Listed>> {
        self.table.files.iter().map(|file| Listed::of(&file.path, file.rows())).collect()
    }

    /// The columns that any file has, by the names that they have in `chehra`.
    pub fn columns(&self) -> &[&'static str] {
        &self.present
    }

    /// Hashes every file, in row order. This reads the whole dump once.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read.
    pub fn fingerprint(&self) -> Result<Vec<FilePrint>> {
        self.files().map(FilePrint::of).collect()
    }
}
