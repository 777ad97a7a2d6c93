//! Export to plain Parquet, and import from it.
//!
//! An export has the live rows with types that pandas, DuckDB, polars and Spark all read: strings, doubles, a UTC
//! timestamp, hexadecimal for hashes, and the template as a list of floats named `embedding`. The floats are the f16
//! masters exactly, so a store imported from an export gives the same similarities bit by bit.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float32Array, Float32Builder, Int64Array, ListArray, ListBuilder, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt8Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use half::f16;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};

use super::files::{Pending, hash_file, sync_folder};
use super::manifest::{Run, now};
use super::member::{Member, hex};
use super::notes::{Noted, Place, note};
use super::outside;
use super::segment::MAX_ROWS;
use super::store::{Commit, Store, Writer, renew};
use super::view::Gallery;
use crate::dump::open_parquet;
use crate::infer::{ModelId, Template};
use crate::{Error, Result};

/// Rows encoded at a time.
const BATCH: usize = 4096;

/// Columns of an export: name, type, whether a row may lack it.
fn columns() -> Vec<Field> {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    vec![
        text("submission_id", false),
        text("worker_id", false),
        text("district", false),
        Field::new("captured_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        text("mobile", true),
        text("epic", true),
        text("member_name", true),
        Field::new("quality", DataType::Float32, false),
        text("model", false),
        text("selfie_sha256", false),
        text("selfie_dhash", false),
        text("run_key", true),
        Field::new("commit", DataType::Int64, true),
        Field::new("embedding", DataType::List(item), false),
        Field::new("member_doubt_percent", DataType::UInt8, true),
    ]
}

impl Store {
    /// Writes all live rows to one Parquet file, replacing what is there; returns their number.
    ///
    /// # Errors
    /// [`Error::Input`] when the store is damaged, [`Error::Io`] when the disk refuses; nothing is then written.
    pub fn export(&self, path: &Path) -> Result<u64> {
        let gallery = self.view(None)?;
        let schema: SchemaRef = Arc::new(Schema::new(columns()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_column_dictionary_enabled("embedding".into(), false)
            .set_created_by(concat!("chehra ", env!("CARGO_PKG_VERSION")).to_string())
            .build();
        let failed = |e: parquet::errors::ParquetError| Error::io("write", path)(std::io::Error::other(e));
        let pending = Pending::create(path)?;
        // Before the first row is written: a killed export is swept by its note.
        let noted = self.sweep_exports().and_then(|_| note(self.path(), Place::Export, pending.temporary()));
        let noted = noted.map(Some).or_else(|error| match &error {
            Error::Io { source, .. } if is_read_only(source) => Ok(None),
            _ => Err(error),
        })?;
        let mut writer = ArrowWriter::try_new(pending, schema.clone(), Some(properties)).map_err(failed)?;
        let rows: Vec<u32> = gallery.iter().map(|(row, _)| row).collect();
        for rows in rows.chunks(BATCH) {
            let batch = RecordBatch::try_new(schema.clone(), export_columns(&gallery, rows)?);
            writer.write(&batch.map_err(|e| Error::bug("exporting", e))?).map_err(failed)?;
        }
        writer.into_inner().map_err(failed)?.commit()?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_folder(folder)?;
        noted.map_or(Ok(()), Noted::remove)?;
        Ok(rows.len() as u64)
    }
}

/// Whether a store may only be read, so that nobody can be erased from it either.
fn is_read_only(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied)
}

fn export_columns(gallery: &Gallery, numbers: &[u32]) -> Result<Vec<ArrayRef>> {
    let rows: Vec<_> = numbers.iter().filter_map(|&n| gallery.row(n)).collect();
    let texts = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let optional = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let mut embeddings = ListBuilder::new(Float32Builder::new());
    for &number in numbers {
        embeddings.values().append_slice(&gallery.master(number)?.iter().map(|v| v.to_f32()).collect::<Vec<_>>());
        embeddings.append(true);
    }
    let models: Vec<&str> = numbers.iter().filter_map(|&n| gallery.model(n)).map(|m| m.0.as_str()).collect();
    let hashes: Vec<String> = rows.iter().map(|r| hex(r.selfie_sha256)).collect();
    let dhashes: Vec<String> = rows.iter().map(|r| format!("{:016x}", r.selfie_dhash)).collect();
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.captured_at));
    Ok(vec![
        texts(rows.iter().map(|r| r.submission_id).collect()),
        texts(rows.iter().map(|r| r.worker_id).collect()),
        texts(rows.iter().map(|r| r.district).collect()),
        Arc::new(times.with_timezone("UTC")),
        optional(rows.iter().map(|r| r.mobile).collect()),
        optional(rows.iter().map(|r| r.epic).collect()),
        optional(rows.iter().map(|r| r.member_name).collect()),
        Arc::new(Float32Array::from_iter_values(rows.iter().map(|r| r.quality))),
        texts(models),
        texts(hashes.iter().map(String::as_str).collect()),
        texts(dhashes.iter().map(String::as_str).collect()),
        texts(rows.iter().map(|r| r.run_key).collect()),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.commit as i64))),
        Arc::new(embeddings.finish()),
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(|r| r.member_doubt_percent))),
    ])
}

impl Gallery {
    /// The rows of an exported file, in memory and in no store; `run_key` and `commit` are not taken over.
    ///
    /// # Errors
    /// [`Error::Input`] naming column and row when the file is not such a table.
    pub fn from_export(path: &Path) -> Result<Gallery> {
        let mut gallery = Gallery::empty();
        let (mut rows, mut read) = (Vec::new(), 0);
        for batch in import_batches(path)? {
            let batch = batch.map_err(|e| wrong(path, "file", "a whole Parquet file", e.to_string()))?;
            Import::of(&batch, path)?.rows(read, &mut rows)?;
            read += batch.num_rows();
            if rows.len() + BATCH > MAX_ROWS {
                gallery = gallery.followed_by(&Gallery::from_rows(&rows)?);
                rows.clear();
            }
        }
        Ok(gallery.followed_by(&Gallery::from_rows(&rows)?))
    }
}

impl Writer<'_> {
    /// Adds the rows of an exported file as one run, whose key is the file's hash. Rows whose submission, picture and
    /// model the store has are left out, so that a file imported twice, or a store's own export, adds nothing; so are
    /// those of members who were forgotten, but for the `renewed` ones, who consented anew. `run_key` and `commit` of the
    /// file are not taken over. Embeddings need not be normalised.
    ///
    /// # Errors
    /// [`Error::Input`] naming column and row when the file is not such a table; the store is then as it was.
    pub fn import(&mut self, path: &Path, renewed: &HashSet<String>) -> Result<Commit> {
        let key = format!("import:{}", hash_file(path)?.sha256);
        let mut next = self.manifest.clone();
        next.commit += 1;
        let consented = renew(&mut next, renewed);
        let earlier = self.manifest.run(&key).map(|run| run.commit);
        if let (Some(earlier), true) = (earlier, consented.is_empty()) {
            return Ok(Commit { commit: earlier, added: 0, repeated: true, erased_before: 0, known: 0 });
        }
        let erased = outside::owned(next.erased());
        let mut known = self.known_rows()?;
        let mut done =
            Commit { commit: next.commit, added: 0, repeated: earlier.is_some(), erased_before: 0, known: 0 };
        let (mut rows, mut read) = (Vec::new(), 0);
        for batch in import_batches(path)? {
            let batch = batch.map_err(|e| wrong(path, "file", "a whole Parquet file", e.to_string()))?;
            let first = rows.len();
            Import::of(&batch, path)?.rows(read, &mut rows)?;
            read += batch.num_rows();
            let fresh: Vec<(Member, Template)> = rows.drain(first..).collect();
            for row in fresh {
                if erased.contains(&row.0.submission_id) {
                    done.erased_before += 1;
                } else if !known.insert(identity(&row.0.submission_id, &row.0.model, &row.0.selfie_sha256)) {
                    done.known += 1;
                } else {
                    done.added += 1;
                    rows.push(row);
                }
            }
            if rows.len() + BATCH > MAX_ROWS {
                self.write_members(&mut next, &key, &rows.iter().collect::<Vec<_>>())?;
                rows.clear();
            }
        }
        self.write_members(&mut next, &key, &rows.iter().collect::<Vec<_>>())?;
        if earlier.is_none() {
            next.runs.push(Run { key, commit: next.commit, rows: done.added, at: now() });
        }
        self.commit(next)?;
        Ok(done)
    }

    /// What identifies each live row of the store.
    fn known_rows(&self) -> Result<HashSet<[u8; 16]>> {
        let gallery = self.store.view(None)?;
        let rows = gallery.iter().filter_map(|(number, row)| Some((row, gallery.model(number)?)));
        Ok(rows.map(|(row, model)| identity(row.submission_id, model, row.selfie_sha256)).collect())
    }
}

/// A membership: submission, model and picture, as a hash that no two share.
fn identity(submission_id: &str, model: &ModelId, selfie_sha256: &[u8; 32]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for text in [submission_id, &model.0] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.update(selfie_sha256);
    let mut identity = [0; 16];
    identity.copy_from_slice(&hash.finalize()[..16]);
    identity
}

fn wrong(path: &Path, item: &str, expected: &str, found: String) -> Error {
    Error::input(
        path,
        item,
        expected,
        found,
        "give a file that 'chehra gallery export' wrote, or one of the same columns",
    )
}

fn import_batches(path: &Path) -> Result<parquet::arrow::arrow_reader::ParquetRecordBatchReader> {
    let builder = open_parquet(path, |found| wrong(path, "file", "a Parquet file", found))?;
    builder.with_batch_size(BATCH).build().map_err(|e| wrong(path, "file", "a Parquet file", e.to_string()))
}

/// A batch of an export, cast to the types of [`columns`] whatever program wrote it.
struct Import<'a> {
    path: &'a Path,
    columns: Vec<ArrayRef>,
}

impl<'a> Import<'a> {
    fn of(batch: &RecordBatch, path: &'a Path) -> Result<Import<'a>> {
        let mut cast = Vec::new();
        for field in columns() {
            let name = field.name();
            let expected = format!("{}", field.data_type());
            let found = batch.column_by_name(name);
            let column = match (found, field.is_nullable()) {
                (Some(column), _) => arrow::compute::cast(column, field.data_type())
                    .map_err(|_| wrong(path, &format!("column {name}"), &expected, column.data_type().to_string()))?,
                (None, true) => arrow::array::new_null_array(field.data_type(), batch.num_rows()),
                (None, false) => {
                    return Err(wrong(path, &format!("column {name}"), &expected, "no such column".into()));
                }
            };
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(wrong(
                    path,
                    &format!("column {name}"),
                    "no nulls",
                    format!("{} nulls", column.null_count()),
                ));
            }
            cast.push(column);
        }
        Ok(Import { path, columns: cast })
    }

    fn text(&self, column: usize, row: usize) -> Option<&str> {
        let texts: &StringArray = self.columns[column].as_any().downcast_ref()?;
        texts.is_valid(row).then(|| texts.value(row))
    }

    fn rows(&self, first: usize, into: &mut Vec<(Member, Template)>) -> Result<()> {
        let count = self.columns.first().map_or(0, |c| c.len());
        let cast = || Error::bug("importing", "a column of another type than it was cast to");
        let times: &TimestampMicrosecondArray = self.columns[3].as_any().downcast_ref().ok_or_else(cast)?;
        let quality: &Float32Array = self.columns[7].as_any().downcast_ref().ok_or_else(cast)?;
        let lists: &ListArray = self.columns[13].as_any().downcast_ref().ok_or_else(cast)?;
        let doubts: &UInt8Array = self.columns[14].as_any().downcast_ref().ok_or_else(cast)?;
        for row in 0..count {
            let item = |name: &str| format!("row {}, column {name}", first + row);
            let text = |column: usize| self.text(column, row).map(str::to_owned);
            let hash = |column: usize| self.text(column, row).unwrap_or_default();
            let sha256 = from_hex(hash(9))
                .ok_or_else(|| wrong(self.path, &item("selfie_sha256"), "64 hexadecimal digits", hash(9).into()))?;
            let dhash = Some(hash(10)).filter(|h| h.len() == 16).and_then(|h| u64::from_str_radix(h, 16).ok());
            let doubt = if doubts.is_valid(row) { doubts.value(row) } else { 0 };
            if doubt > 100 {
                return Err(wrong(self.path, &item("member_doubt_percent"), "0 to 100", doubt.to_string()));
            }
            let member = Member {
                submission_id: text(0).unwrap_or_default(),
                worker_id: text(1).unwrap_or_default(),
                district: text(2).unwrap_or_default(),
                captured_at: times.value(row),
                mobile: text(4),
                epic: text(5),
                member_name: text(6),
                quality: quality.value(row),
                model: ModelId(text(8).unwrap_or_default()),
                selfie_sha256: sha256,
                selfie_dhash: dhash
                    .ok_or_else(|| wrong(self.path, &item("selfie_dhash"), "16 hexadecimal digits", hash(10).into()))?,
                member_doubt_percent: doubt,
            };
            let values = lists.value(row);
            let values: &Float32Array = values.as_any().downcast_ref().ok_or_else(cast)?;
            let template = template_of(values)
                .map_err(|e| wrong(self.path, &item("embedding"), "finite numbers, not all zero", e))?;
            into.push((member, template));
        }
        Ok(())
    }
}

/// A master as exported comes back bit by bit; anything else is an embedding.
fn template_of(values: &Float32Array) -> Result<Template, String> {
    if values.null_count() > 0 {
        return Err("a null".into());
    }
    let values = values.values();
    let master: Vec<f16> = values.iter().map(|&v| f16::from_f32(v)).collect();
    if master.iter().zip(values.iter()).all(|(m, v)| m.to_f32() == *v)
        && let Ok(template) = Template::from_master(master)
    {
        return Ok(template);
    }
    Template::from_embedding(values).map_err(|e| e.to_string())
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
