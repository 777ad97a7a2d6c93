//! Tables of a SEEN on disk: written whole or not at all, read with the columns of this version.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::files::{self, DumpFileRow};
use super::record::{self, Origin};
use crate::dump::open_parquet;
use crate::error::guarded;
use crate::infer::Analysis;
use crate::objects::{self, Scratch};
use crate::output::{create_private, parent, sync_folder};
use crate::{Error, Result};

/// Rows of a row group, about 4 KiB each.
const GROUP: usize = 4096;
/// What helps against a table that cannot be used.
pub(super) const SEE_AGAIN: &str = "take it out of the folder and make this part anew: `chehra see`";

/// What is said of bytes at which the reader panicked.
const UNREADABLE: &str = "bytes that are no such table";

/// Writes a table of rows under its name when it is whole; the bytes follow from the rows alone.
///
/// # Errors
/// [`Error::Io`] when the disk refuses; then nothing of it is left.
pub fn write_rows(path: &Path, origin: &Origin, analyses: &[Analysis]) -> Result<()> {
    let batches = analyses.chunks(GROUP).map(|rows| record::to_batch(origin, rows));
    write(path, &record::schema(), batches)
}

/// Writes a table of the dump's files in the same way.
///
/// # Errors
/// As [`write_rows`].
pub fn write_dump(path: &Path, files: &[DumpFileRow]) -> Result<()> {
    write(path, &files::schema(), std::iter::once(files::to_batch(files)))
}

fn write(path: &Path, schema: &SchemaRef, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<()> {
    if objects::is_address(path) {
        // Written here first: an object appears whole or not at all.
        let scratch = Scratch::new().map_err(Error::io("make a folder for", path))?;
        let file = scratch.path().join(path.file_name().unwrap_or_default());
        write(&file, schema, batches)?;
        return objects::put(path, &file).map_err(Error::io("write", path));
    }
    // Spark and `chehra` pass over names that begin with a dot.
    let temporary = hidden(path);
    let written = (|| {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let refused = |e: parquet::errors::ParquetError| {
            Error::of_reader(&temporary, &e, |found| Error::bug("writing what was seen", found))
        };
        let file = create_private(&temporary)?;
        let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(refused)?;
        for batch in batches {
            writer.write(&batch?).map_err(refused)?;
        }
        let file = writer.into_inner().map_err(refused)?;
        file.sync_all().map_err(Error::io("flush", &temporary))?;
        fs::rename(&temporary, path).map_err(Error::io("rename", path))?;
        sync_folder(parent(path))
    })();
    if written.is_err() {
        // Best effort: the error that is told came first.
        drop(fs::remove_file(&temporary));
    }
    written
}

/// The name of a table in the making.
pub(super) fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

/// Reads some columns of a table, as this version has them.
pub(super) struct Reader {
    path: PathBuf,
    schema: SchemaRef,
    inner: ParquetRecordBatchReader,
}

impl Reader {
    /// The columns of `schema`, which all must be there.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file.
    pub(super) fn open(path: &Path, schema: SchemaRef) -> Result<Reader> {
        let refuse = |found: String| Error::input(path, "a part of SEEN", "a table of `chehra see`", found, SEE_AGAIN);
        let builder = open_parquet(path, refuse)?;
        let there = builder.schema().clone();
        let mut roots = Vec::new();
        for field in schema.fields() {
            let at = there.index_of(field.name()).map_err(|_| refuse(format!("no column `{}`", field.name())))?;
            roots.push(at);
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let inner = guarded(|| builder.with_projection(mask).with_batch_size(GROUP).build());
        let inner = inner.ok_or_else(|| refuse(UNREADABLE.to_owned()))?.map_err(|error| refuse(error.to_string()))?;
        Ok(Reader { path: path.to_path_buf(), schema, inner })
    }

    fn refuse(&self, found: String) -> Error {
        Error::input(&self.path, "a part of SEEN", "a table of `chehra see`, whole", found, SEE_AGAIN)
    }

    /// Other writers name elements of lists otherwise and say that nothing is null: the same columns all the same.
    fn brought_to_schema(&self, batch: &RecordBatch) -> Result<RecordBatch, String> {
        let column = |field: &arrow::datatypes::FieldRef| -> Result<ArrayRef, String> {
            let column = batch.column_by_name(field.name()).ok_or_else(|| format!("no column `{}`", field.name()))?;
            cast(column, field.data_type()).map_err(|error| format!("column `{}`: {error}", field.name()))
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| error.to_string())
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match guarded(|| self.inner.next()) {
            Some(batch) => batch?.map_err(|error| error.to_string()),
            None => Err(UNREADABLE.to_owned()),
        };
        let batch = batch.and_then(|batch| self.brought_to_schema(&batch));
        Some(batch.map_err(|found| self.refuse(found)))
    }
}

/// The analyses of a table of rows.
///
/// # Errors
/// [`Error::Input`] naming the file and what is wrong with it.
pub(super) fn read_rows(path: &Path) -> Result<impl Iterator<Item = Result<Vec<Analysis>>>> {
    let path = path.to_path_buf();
    let reader = Reader::open(&path, seen_columns())?;
    Ok(reader.map(move |batch| {
        let refuse = |found| Error::input(&path, "a part of SEEN", "rows as they were seen", found, SEE_AGAIN);
        record::from_batch(&batch?).map_err(refuse)
    }))
}

/// The columns of a row beside its origin.
fn seen_columns() -> SchemaRef {
    let whole = record::schema();
    let first = whole.index_of(record::ROW).unwrap_or(0);
    Arc::new(Schema::new(whole.fields().iter().skip(first).cloned().collect::<Vec<_>>()))
}
