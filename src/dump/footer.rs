//! What a Parquet file says of itself, and what can be said of a file that is none.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::footer_scan::{self, FooterScan};
use super::regular::regular;
use super::schema::REWRITE;
use crate::error::{guarded, system_error};
use crate::objects::InputFile;
use crate::{Error, Result};

/// As much of a page as its header takes, as a rule.
const PAGE_HEADER: u64 = 1 << 10;

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

/// Opens a Parquet file whose footer is fit to be read: see [`super::footer_scan`].
///
/// # Errors
/// [`Error::Input`] that says what the file is when it is not Parquet, as far as that can be told; [`Error::Io`].
fn open_scanned(path: &Path) -> Result<(InputFile, FooterScan)> {
    regular(path)?;
    let file = InputFile::open(path).map_err(Error::io("open", path))?;
    let size = file.size().map_err(Error::io("look at", path))?;
    if let Some(other) = not_parquet(&file, size).map_err(Error::io("read", path))? {
        return Err(Error::input(path, "the file", "a Parquet file", other.found(), other.fix(path)));
    }
    let scan = footer_scan::scan(&file, size).map_err(Error::io("read", path))?;
    let scan = scan.map_err(|found| Error::input(path, "the footer", "a readable Parquet footer", found, REWRITE))?;
    Ok((file, scan))
}

/// Opens a Parquet file that nobody vouches for, for a reader of its own.
///
/// # Errors
/// What `unusable` makes of what was found, when it is none, not there, or one whose footer cannot be read;
/// [`Error::Io`] when the system refuses in a way that says nothing about the file.
pub fn open_parquet(
    path: &Path,
    unusable: impl FnOnce(String) -> Error,
) -> Result<ParquetRecordBatchReaderBuilder<InputFile>> {
    let opened = open_scanned(path).and_then(|(file, _)| {
        // Where its columns lie is asked here, under guard: of a place before the file's beginning the reader makes a panic.
        let opened = || {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
            let groups = builder.metadata().row_groups().iter();
            groups.flat_map(|group| group.columns()).for_each(|column| {
                let _ = column.byte_range();
            });
            Ok::<_, ParquetError>(builder)
        };
        guard(opened).map_err(|unread| unread.into_error(path, "the footer", "a readable Parquet footer"))
    });
    opened.map_err(|error| match error {
        Error::Input { found, .. } => unusable(found),
        Error::Io { source, .. } => Error::of_file(path, source, unusable),
        other => other,
    })
}

/// Whether a file is Parquet with all of these columns.
pub fn has_columns(path: &Path, names: &[&str]) -> bool {
    let opened = open_parquet(path, |found| Error::bug("looking at a file", found));
    opened.is_ok_and(|builder| names.iter().all(|name| builder.schema().index_of(name).is_ok()))
}

/// Reads a file's footer.
///
/// # Errors
/// As [`open_parquet`].
pub fn footer(path: &Path, options: ArrowReaderOptions) -> Result<ArrowReaderMetadata> {
    let (file, _) = open_scanned(path)?;
    let metadata = guard(|| ArrowReaderMetadata::load(&file, options));
    metadata.map_err(|unread| unread.into_error(path, "the footer", "a readable Parquet footer"))
}

/// Checks all that can be told of some root columns without unpacking a page: that they are not encrypted, that their
/// compression is known, that they lie within the file, and that each begins with a page.
///
/// # Errors
/// [`Error::Input`] that names the column; [`Error::Io`].
pub fn check_columns(path: &Path, roots: &[usize]) -> Result<()> {
    let (file, scan) = open_scanned(path)?;
    let file = Arc::new(file);
    let size = file.size().map_err(Error::io("look at", path))?;
    let metadata =
        guard(|| ArrowReaderMetadata::load(&*file, ArrowReaderOptions::new().with_skip_arrow_metadata(true)))
            .map_err(|unread| unread.into_error(path, "the footer", "a readable Parquet footer"))?;
    for (number, group) in metadata.metadata().row_groups().iter().enumerate() {
        file.fetch(|| first_pages(group, roots, size)).map_err(Error::io("read", path))?;
        let leaves = group.columns().iter().enumerate();
        for (leaf, column) in
            leaves.filter(|(leaf, _)| roots.contains(&group.schema_descr().get_column_root_idx(*leaf)))
        {
            let item = format!("column `{}`, row group {number}", column.column_path().string());
            if scan.encrypted.contains(&leaf) {
                let fix = "write the dump without encryption, or decrypt it before: no key is known here";
                return Err(Error::input(path, item, "a column in plain bytes", "an encrypted one", fix));
            }
            if matches!(column.compression(), Compression::LZO) {
                let fix = "write it with another compression (zstd, snappy, gzip, lz4, brotli, none)";
                return Err(Error::input(path, item, "a compression that is read here", "LZO", fix));
            }
            let (start, length) = (column.data_page_offset(), column.compressed_size());
            let start = column.dictionary_page_offset().map_or(start, |dictionary| dictionary.min(start));
            let end = u64::try_from(start).ok().zip(u64::try_from(length).ok()).map(|(s, l)| s.saturating_add(l));
            if end.is_none_or(|end| end > size) {
                let found = format!("{length} bytes from byte {start} on, in a file of {size} bytes");
                return Err(Error::input(path, item, "bytes within the file", found, REWRITE));
            }
            if column.num_values() > 0 {
                let rows = group.num_rows().max(0) as usize;
                let page = guard(|| SerializedPageReader::new(file.clone(), column, rows, None)?.peek_next_page());
                match page.map_err(|unread| unread.into_error(path, &item, "a readable first page"))? {
                    Some(_) => {}
                    None => return Err(Error::input(path, item, "a readable first page", "no page", REWRITE)),
                }
            }
        }
    }
    Ok(())
}

/// Where the first pages of some root columns begin, as far as their headers reach.
fn first_pages(group: &RowGroupMetaData, roots: &[usize], size: u64) -> Vec<Range<u64>> {
    let leaves = group.columns().iter().enumerate();
    let wanted = leaves.filter(|(leaf, _)| roots.contains(&group.schema_descr().get_column_root_idx(*leaf)));
    let first = |column: &ColumnChunkMetaData| {
        let start = column.dictionary_page_offset().unwrap_or(i64::MAX).min(column.data_page_offset());
        let length = u64::try_from(column.compressed_size()).ok()?.min(PAGE_HEADER);
        let start = u64::try_from(start).ok()?;
        let end = start.saturating_add(length).min(size);
        (start < end).then_some(start..end)
    };
    wanted.filter_map(|(_, column)| first(column)).collect()
}

/// What a file is that is no whole, plain Parquet file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NotParquet {
    Empty,
    Encrypted,
    CutOff(u64),
    StartDamaged,
    Arrow,
    Excel,
    Zip,
    Gzip,
    Avro,
    Orc,
    Picture,
    Json,
    Text,
    Unknown(u64, Vec<u8>),
}

impl NotParquet {
    fn found(&self) -> String {
        let text = match self {
            NotParquet::Empty => "an empty file (0 bytes)",
            NotParquet::Encrypted => "an encrypted Parquet file",
            NotParquet::CutOff(size) => {
                return format!("the start of a Parquet file cut off after {size} bytes, its footer gone");
            }
            NotParquet::StartDamaged => "the end of a Parquet file whose start is damaged",
            NotParquet::Arrow => "an Arrow IPC (Feather) file",
            NotParquet::Excel => "an Excel workbook",
            NotParquet::Zip => "a ZIP file",
            NotParquet::Gzip => "a gzip file",
            NotParquet::Avro => "an Avro file",
            NotParquet::Orc => "an ORC file",
            NotParquet::Picture => "a picture",
            NotParquet::Json => "text (JSON?)",
            NotParquet::Text => "text (CSV?)",
            NotParquet::Unknown(size, head) => return format!("{size} bytes that start with {head:02x?}"),
        };
        text.to_owned()
    }

    /// What to do about it: damage is mended by a copy, another format by a conversion.
    fn fix(&self, path: &Path) -> String {
        let name = path.display();
        let duckdb = |scan: &str| {
            format!(
                "convert it to Parquet; where it has the pictures as base64, DuckDB does so in one line:\n  \
                 duckdb -c \"COPY (FROM {scan}) TO 'dump.parquet'\"\n  \
                 where it has the names of picture files, put their bytes beside each row:\n  \
                 duckdb -c \"COPY (SELECT d.*, p.content AS selfie FROM {scan} d JOIN read_blob('photos/*') p ON \
                 p.filename = 'photos/' || d.photo_file) TO 'dump.parquet'\""
            )
        };
        let csv = |file: &str| duckdb(&format!("read_csv('{file}', all_varchar = true, max_line_size = 33554432)"));
        let spark = |format: &str| {
            format!("convert it, in Spark: spark.read.format(\"{format}\").load(\"{name}\").write.parquet(\"dump\")")
        };
        match self {
            NotParquet::Encrypted => "decrypt it first, or write it without encryption: no key is known here".into(),
            NotParquet::Arrow => format!(
                "convert it, in Python: pyarrow.parquet.write_table(pyarrow.feather.read_table(\"{name}\"), \
                 \"dump.parquet\")"
            ),
            NotParquet::Excel => {
                format!("save it as CSV (UTF-8) in Excel, then {}", csv(&path.with_extension("csv").to_string_lossy()))
            }
            NotParquet::Zip => "unpack it first (unzip), and name the Parquet files in it".into(),
            NotParquet::Gzip => "unpack it first (gunzip); inside a Parquet file, gzip is fine".into(),
            NotParquet::Avro => spark("avro"),
            NotParquet::Orc => spark("orc"),
            NotParquet::Picture => format!("to see what is found in one picture: chehra inspect {name}"),
            NotParquet::Json => duckdb(&format!("read_json('{name}', maximum_object_size = 33554432)")),
            NotParquet::Text => csv(&name.to_string()),
            NotParquet::Empty | NotParquet::CutOff(_) | NotParquet::StartDamaged | NotParquet::Unknown(..) => {
                REWRITE.into()
            }
        }
    }
}

/// What a file is, if it is not a whole, plain Parquet file.
fn not_parquet(file: &InputFile, size: u64) -> std::io::Result<Option<NotParquet>> {
    if size == 0 {
        return Ok(Some(NotParquet::Empty));
    }
    let head = &file.bytes_at(0, size.min(256) as usize)?[..];
    let tail = if size >= 4 { file.bytes_at(size - 4, 4)? } else { Default::default() };
    let starts = |magic: &[u8]| head.starts_with(magic);
    // The first file of a workbook's ZIP; others name theirs differently.
    let is_workbook =
        || [&b"[Content_Types].xml"[..], b"_rels/.rels", b"xl/"].iter().any(|name| head[30..].starts_with(name));
    let text = std::str::from_utf8(head).map_or_else(|e| &head[..e.valid_up_to()], str::as_bytes);
    // A letter may be cut at the end of what was read.
    let is_text = text.len() + 4 > head.len() && !text.iter().any(|b| b.is_ascii_control() && !b.is_ascii_whitespace());
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(match () {
        () if &tail[..] == b"PARE" => Some(NotParquet::Encrypted),
        () if starts(b"PAR1") && &tail[..] == b"PAR1" && size >= 12 => None,
        () if starts(b"PAR1") => Some(NotParquet::CutOff(size)),
        () if &tail[..] == b"PAR1" => Some(NotParquet::StartDamaged),
        () if starts(b"ARROW1") => Some(NotParquet::Arrow),
        () if starts(b"PK\x03\x04") && head.len() > 30 && is_workbook() => Some(NotParquet::Excel),
        () if starts(b"PK\x03\x04") => Some(NotParquet::Zip),
        () if starts(b"\x1f\x8b") => Some(NotParquet::Gzip),
        () if starts(b"Obj\x01") => Some(NotParquet::Avro),
        () if starts(b"ORC") => Some(NotParquet::Orc),
        () if starts(b"\xff\xd8\xff") || starts(b"\x89PNG") => Some(NotParquet::Picture),
        () if is_text && matches!(first, Some(b'{' | b'[')) => Some(NotParquet::Json),
        () if is_text => Some(NotParquet::Text),
        () => Some(NotParquet::Unknown(size, head[..head.len().min(6)].to_vec())),
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

/// Why the Parquet reader gave up.
#[derive(Debug)]
pub enum Unread {
    /// The system refused to read, which says nothing about the file.
    Refused(std::io::Error),
    /// The bytes are not what they must be.
    Damaged(String),
}

impl Unread {
    /// The error that names the file and the part of it.
    pub fn into_error(self, path: &Path, item: impl Into<String>, expected: &str) -> Error {
        match self {
            Unread::Refused(error) => Error::io("read", path)(error),
            Unread::Damaged(found) => Error::input(path, item, expected, found, REWRITE),
        }
    }
}

impl From<String> for Unread {
    fn from(found: String) -> Self {
        Unread::Damaged(found)
    }
}

/// Runs the Parquet reader over bytes that nobody vouches for: it answers most damage with an error, some with a
/// panic, and both are the file's fault; what the operating system refuses is not.
pub fn guard<T, E: std::error::Error + 'static>(read: impl FnOnce() -> Result<T, E>) -> Result<T, Unread> {
    match guarded(read) {
        Some(result) => result.map_err(|error| match system_error(&error) {
            Some(refused) => Unread::Refused(refused),
            None => Unread::Damaged(error.to_string()),
        }),
        None => Err(Unread::Damaged("damage that the Parquet reader gave up on".to_owned())),
    }
}

/// The error for a row group that cannot be read.
pub fn damaged(path: &Path, group: usize, found: impl Into<Unread>) -> Error {
    found.into().into_error(path, format!("row group {group}"), "readable pages")
}
