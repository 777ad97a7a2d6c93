//! What a Parquet file says of itself, and what can be said of a file that is none.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::ParquetMetaData;

use super::schema::REWRITE;
use crate::{Error, Result};

/// Rows per row group, which must add up to what the footer says of the file.
pub fn group_rows(path: &Path, metadata: &ParquetMetaData) -> Result<Vec<u64>> {
    let groups: Vec<i64> = metadata.row_groups().iter().map(|g| g.num_rows()).collect();
    let sum = groups.iter().try_fold(0i64, |sum, &rows| sum.checked_add(rows).filter(|_| rows >= 0));
    if sum != Some(metadata.file_metadata().num_rows()) {
        let expected = format!("row groups that add up to {} rows", metadata.file_metadata().num_rows());
        return Err(Error::input(path, "the footer", expected, format!("row groups of {groups:?} rows"), REWRITE));
    }
    Ok(groups.into_iter().map(|rows| rows as u64).collect())
}

/// Reads a file's footer.
///
/// # Errors
/// [`Error::Input`] that says what the file is when it is not Parquet, as far as that can be told.
pub fn footer(path: &Path, options: ArrowReaderOptions) -> Result<ArrowReaderMetadata> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let size = file.metadata().map_err(Error::io("look at", path))?.len();
    if let Some(found) = not_parquet(&mut file, size).map_err(Error::io("read", path))? {
        return Err(Error::input(path, "the file", "a Parquet file", found, REWRITE));
    }
    let metadata = guard(|| ArrowReaderMetadata::load(&file, options));
    metadata.map_err(|found| Error::input(path, "the footer", "a readable Parquet footer", found, REWRITE))
}

/// What a file is, if it is not a whole, plain Parquet file.
fn not_parquet(file: &mut File, size: u64) -> std::io::Result<Option<String>> {
    if size == 0 {
        return Ok(Some("an empty file (0 bytes)".to_owned()));
    }
    let mut head = [0u8; 6];
    let mut tail = [0u8; 4];
    let read = size.min(head.len() as u64) as usize;
    file.read_exact(&mut head[..read])?;
    if size >= 4 {
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut tail)?;
    }
    file.seek(SeekFrom::Start(0))?;
    let starts = |magic: &[u8]| head[..read].starts_with(magic);
    Ok(match () {
        () if &tail == b"PARE" => Some("an encrypted Parquet file".to_owned()),
        () if starts(b"PAR1") && &tail == b"PAR1" && size >= 12 => None,
        () if starts(b"PAR1") => {
            Some(format!("the start of a Parquet file cut off after {size} bytes, its footer gone"))
        }
        () if &tail == b"PAR1" => Some("the end of a Parquet file whose start is damaged".to_owned()),
        () if starts(b"ARROW1") => Some("an Arrow IPC (Feather) file".to_owned()),
        () if starts(b"PK\x03\x04") => Some("a ZIP file".to_owned()),
        () if starts(b"\x1f\x8b") => Some("a gzip file".to_owned()),
        () if starts(b"Obj\x01") => Some("an Avro file".to_owned()),
        () if starts(b"ORC") => Some("an ORC file".to_owned()),
        () if starts(b"\xff\xd8\xff") || starts(b"\x89PNG") => Some("a picture".to_owned()),
        () if head[..read].iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) => {
            Some("text (CSV or JSON?)".to_owned())
        }
        () => Some(format!("{size} bytes that start with {:02x?}", &head[..read])),
    })
}

/// A dump that changes under a running audit would give rows that belong to neither.
///
/// # Errors
/// [`Error::Input`] when the footer no longer says what it said when the dump was opened.
pub fn check_unchanged(path: &Path, expected: &[u64], metadata: &ParquetMetaData) -> Result<()> {
    let groups = group_rows(path, metadata)?;
    if groups == expected {
        return Ok(());
    }
    let (expected, found) = (format!("row groups of {expected:?} rows"), format!("row groups of {groups:?} rows"));
    Err(Error::input(path, "the file", expected, found, "do not write to a dump that is being read"))
}

/// How many rows of a row group hold `bytes` of the given root columns, going by their mean size: one at least.
pub fn rows_that_fit(bytes: usize, metadata: &ParquetMetaData, group: usize, roots: &[usize]) -> usize {
    let group = metadata.row_group(group);
    let leaves = group.columns().iter().enumerate();
    let wanted = leaves.filter(|(leaf, _)| roots.contains(&group.schema_descr().get_column_root_idx(*leaf)));
    let whole: u64 = wanted.map(|(_, column)| column.uncompressed_size().max(0) as u64).sum();
    let mean = whole / group.num_rows().max(1) as u64;
    (bytes as u64 / mean.max(1)).max(1) as usize
}

/// Runs the Parquet reader over bytes that nobody vouches for: it answers most damage with an error, some with a
/// panic, and both are the file's fault.
pub fn guard<T>(read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("damage that the Parquet reader gave up on".to_owned()),
    }
}

/// The error for a row group that cannot be read.
pub fn damaged(path: &Path, group: usize, found: String) -> Error {
    Error::input(path, format!("row group {group}"), "readable pages", found, REWRITE)
}
