//! Segments: immutable Parquet files of templates with their facts, the only thing in a store that cannot be rebuilt.
//!
//! Columns: `submission_id, worker_id, district` (string), `captured_at` (timestamp, microseconds, UTC), `mobile, epic,
//! member_name` (string or null), `quality` (f32), `model` (string), `selfie_sha256` (32 bytes), `selfie_dhash` (u64),
//! `run_key` (string), `commit` (u64), `master` (dim f16, little-endian), `codes` (dim i8), `scale, residual` (f32).
//! The file's own metadata name the version (`chehra.segment`) and the dimensions (`chehra.dim`).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeBinaryArray, FixedSizeBinaryBuilder, Float32Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use half::f16;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::derived::{Builder, Codes, Masters};
use super::files::{Pending, Written};
use super::member::{Facts, Row};
use crate::infer::{ModelId, Template};
use crate::{Error, Result};

/// The version written; older ones are read.
const VERSION: u32 = 1;
/// Rows encoded at a time.
const BATCH: usize = 4096;
/// Rows of a row group: what a reader must hold at once of one column.
const ROW_GROUP: usize = 65_536;
/// Most rows of a segment: what rebuilding and building a graph must hold.
pub(super) const MAX_ROWS: usize = 1 << 19;

const FACTS: &[&str] = &[
    "submission_id",
    "worker_id",
    "district",
    "captured_at",
    "mobile",
    "epic",
    "member_name",
    "quality",
    "model",
    "selfie_sha256",
    "selfie_dhash",
    "run_key",
    "commit",
];
const TEMPLATE: &[&str] = &["master", "codes", "scale", "residual"];

/// Fields of the facts, in file order.
pub(super) fn fact_fields() -> Vec<Field> {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
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
        Field::new("selfie_sha256", DataType::FixedSizeBinary(32), false),
        Field::new("selfie_dhash", DataType::UInt64, false),
        text("run_key", false),
        Field::new("commit", DataType::UInt64, false),
    ]
}

fn schema(dim: usize) -> SchemaRef {
    let mut fields = fact_fields();
    fields.push(Field::new("master", DataType::FixedSizeBinary(2 * dim as i32), false));
    fields.push(Field::new("codes", DataType::FixedSizeBinary(dim as i32), false));
    fields.push(Field::new("scale", DataType::Float32, false));
    fields.push(Field::new("residual", DataType::Float32, false));
    Arc::new(Schema::new(fields))
}

/// The facts of rows as columns, in the order of [`fact_fields`].
pub(super) fn fact_columns(rows: &[Row<'_>], model: &ModelId) -> Result<Vec<ArrayRef>> {
    let texts = |get: &dyn Fn(&Row<'_>) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(get)))
    };
    let optional = |get: for<'r> fn(&Row<'r>) -> Option<&'r str>| -> ArrayRef {
        Arc::new(rows.iter().map(get).collect::<StringArray>())
    };
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.captured_at)).with_timezone("UTC");
    let mut hashes = FixedSizeBinaryBuilder::with_capacity(rows.len(), 32);
    for row in rows {
        hashes.append_value(row.selfie_sha256).map_err(|e| Error::bug("writing a segment", e))?;
    }
    Ok(vec![
        texts(&|r| r.submission_id.to_owned()),
        texts(&|r| r.worker_id.to_owned()),
        texts(&|r| r.district.to_owned()),
        Arc::new(times),
        optional(|r| r.mobile),
        optional(|r| r.epic),
        optional(|r| r.member_name),
        Arc::new(Float32Array::from_iter_values(rows.iter().map(|r| r.quality))),
        texts(&|_| model.0.clone()),
        Arc::new(hashes.finish()),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.selfie_dhash))),
        texts(&|r| r.run_key.to_owned()),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.commit))),
    ])
}

/// Writes one segment, row by row.
pub(super) struct SegmentWriter<'a> {
    writer: ArrowWriter<Pending>,
    path: &'a Path,
    model: &'a ModelId,
    dim: usize,
    facts: Facts,
    derived: Builder,
    batch: Vec<(usize, Template)>,
}

/// A segment just written, with everything a search needs of it.
pub(super) struct Fresh {
    pub(super) written: Written,
    pub(super) facts: Facts,
    pub(super) codes: Codes,
    pub(super) masters: Masters,
}

impl<'a> SegmentWriter<'a> {
    pub(super) fn create(path: &'a Path, model: &'a ModelId, dim: usize, rows: usize) -> Result<SegmentWriter<'a>> {
        let metadata = vec![
            KeyValue::new("chehra.segment".to_string(), VERSION.to_string()),
            KeyValue::new("chehra.dim".to_string(), dim.to_string()),
        ];
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_created_by(concat!("chehra ", env!("CARGO_PKG_VERSION")).to_string())
            .set_key_value_metadata(Some(metadata));
        for name in TEMPLATE {
            // Numbers without pattern: compression and dictionaries would cost time and save nothing.
            properties = properties
                .set_column_compression((*name).into(), Compression::UNCOMPRESSED)
                .set_column_dictionary_enabled((*name).into(), false);
        }
        let pending = Pending::create(path)?;
        let writer = ArrowWriter::try_new(pending, schema(dim), Some(properties.build()))
            .map_err(|e| Error::io("write", path)(std::io::Error::other(e)))?;
        let (facts, derived) = (Facts::default(), Builder::new(dim, rows));
        Ok(SegmentWriter { writer, path, model, dim, facts, derived, batch: Vec::with_capacity(BATCH) })
    }

    pub(super) fn push(&mut self, row: Row<'_>, template: Template) -> Result<()> {
        if !self.facts.has_room() {
            return Err(Error::bug("writing a segment", "more than 4 GiB of text in one column"));
        }
        self.derived.push(&template);
        self.batch.push((self.facts.len(), template));
        self.facts.push(row);
        if self.batch.len() == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let bug = |e: arrow::error::ArrowError| Error::bug("writing a segment", e);
        let rows: Vec<Row<'_>> = self.batch.iter().map(|(row, _)| self.facts.row(*row)).collect();
        let mut columns = fact_columns(&rows, self.model)?;
        let mut masters = FixedSizeBinaryBuilder::with_capacity(rows.len(), 2 * self.dim as i32);
        let mut codes = FixedSizeBinaryBuilder::with_capacity(rows.len(), self.dim as i32);
        for (_, template) in &self.batch {
            let bytes: Vec<u8> = template.master.iter().flat_map(|v| v.to_le_bytes()).collect();
            masters.append_value(bytes).map_err(bug)?;
            let bytes: Vec<u8> = template.codes.iter().map(|&c| c as u8).collect();
            codes.append_value(bytes).map_err(bug)?;
        }
        columns.push(Arc::new(masters.finish()));
        columns.push(Arc::new(codes.finish()));
        columns.push(Arc::new(Float32Array::from_iter_values(self.batch.iter().map(|(_, t)| t.scale))));
        columns.push(Arc::new(Float32Array::from_iter_values(self.batch.iter().map(|(_, t)| t.residual))));
        let batch = RecordBatch::try_new(schema(self.dim), columns).map_err(bug)?;
        self.batch.clear();
        self.writer.write(&batch).map_err(|e| Error::io("write", self.path)(std::io::Error::other(e)))
    }

    /// Makes the file durable under its name; the folder is left to the caller.
    pub(super) fn finish(mut self) -> Result<Fresh> {
        self.flush()?;
        let path = self.path;
        let failed = |e| Error::io("write", path)(std::io::Error::other::<parquet::errors::ParquetError>(e));
        let pending = self.writer.into_inner().map_err(failed)?;
        super::failpoint::reach("segment-written");
        let written = pending.commit(true)?;
        super::failpoint::reach("segment-renamed");
        let mut facts = self.facts;
        facts.finish();
        let (codes, masters) = self.derived.finish()?;
        Ok(Fresh { written, facts, codes, masters })
    }
}

/// A segment file opened for reading.
pub(super) struct SegmentReader<'a> {
    path: &'a Path,
    dim: usize,
    rows: usize,
}

const DAMAGED: &str = "run 'chehra gallery verify' for the whole picture, and restore the file from a backup";

impl<'a> SegmentReader<'a> {
    /// Describes the file as the manifest expects it.
    pub(super) fn new(path: &'a Path, dim: usize, rows: usize) -> SegmentReader<'a> {
        SegmentReader { path, dim, rows }
    }

    fn damaged(&self, item: &str, expected: impl ToString, found: impl ToString) -> Error {
        Error::input(self.path, item, expected.to_string(), found.to_string(), DAMAGED)
    }

    fn batches(&self, columns: &[&str]) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let file = File::open(self.path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => self.damaged("segment", "the file that the manifest names", "no file"),
            _ => Error::io("open", self.path)(e),
        })?;
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| self.damaged("segment", "a Parquet file", e))?;
        let metadata = builder.metadata().file_metadata();
        let value = |key: &str| {
            let pairs = metadata.key_value_metadata().into_iter().flatten();
            pairs.filter(|p| p.key == key).find_map(|p| p.value.as_deref()).and_then(|v| v.parse::<usize>().ok())
        };
        match value("chehra.segment") {
            Some(version) if version > VERSION as usize => {
                let fix = "use the chehra that wrote the store, or a later one";
                let expected = format!("version 1 to {VERSION}");
                return Err(Error::input(self.path, "version", expected, version.to_string(), fix));
            }
            Some(_) => {}
            None => return Err(self.damaged("metadata", "a chehra segment", "another Parquet file")),
        }
        if value("chehra.dim") != Some(self.dim) || builder.schema().fields() != schema(self.dim).fields() {
            return Err(self.damaged("schema", format!("templates of {} values", self.dim), "other columns"));
        }
        if metadata.num_rows() != self.rows as i64 {
            return Err(self.damaged("rows", self.rows, metadata.num_rows()));
        }
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        let batches = builder.with_projection(mask).with_batch_size(BATCH).build();
        let path = self.path.to_owned();
        let batches = batches.map_err(|e| self.damaged("segment", "a whole Parquet file", e))?;
        Ok(batches.map(move |batch| {
            batch.map_err(|e| Error::input(&path, "segment", "a whole Parquet file", e.to_string(), DAMAGED))
        }))
    }

    /// Reads the facts, and checks their digest and model against the manifest's.
    pub(super) fn facts(&self, model: &str, digest: &str) -> Result<Facts> {
        let mut facts = Facts::default();
        for batch in self.batches(FACTS)? {
            let batch = batch?;
            let columns = FactColumns::of(&batch).ok_or_else(|| self.damaged("facts", "their types", "others"))?;
            for row in 0..batch.num_rows() {
                if columns.model.value(row) != model {
                    return Err(self.damaged("model", model, columns.model.value(row)));
                }
                facts.push(columns.row(row));
            }
        }
        facts.finish();
        let found = facts.digest();
        if facts.len() != self.rows || found != digest {
            return Err(self.damaged("facts", format!("sha256 {digest}"), format!("sha256 {found}")));
        }
        Ok(facts)
    }

    /// Calls `each` with every template in row order, having checked that codes, scale and residual follow from the
    /// master.
    pub(super) fn templates(&self, mut each: impl FnMut(Template) -> Result<()>) -> Result<()> {
        let mut row = 0;
        for batch in self.batches(TEMPLATE)? {
            let batch = batch?;
            let columns =
                TemplateColumns::of(&batch).ok_or_else(|| self.damaged("templates", "their types", "others"))?;
            for at in 0..batch.num_rows() {
                let template =
                    columns.template(at).map_err(|e| self.damaged(&format!("row {row}"), "a template", e))?;
                each(template)?;
                row += 1;
            }
        }
        if row != self.rows { Err(self.damaged("rows", self.rows, row)) } else { Ok(()) }
    }

    /// Builds the derived forms from the templates.
    pub(super) fn derive(&self) -> Result<(Codes, Masters)> {
        let mut builder = Builder::new(self.dim, self.rows);
        self.templates(|template| {
            builder.push(&template);
            Ok(())
        })?;
        builder.finish()
    }
}

struct FactColumns<'a> {
    texts: [&'a StringArray; 6],
    captured_at: &'a TimestampMicrosecondArray,
    quality: &'a Float32Array,
    model: &'a StringArray,
    sha256: &'a FixedSizeBinaryArray,
    numbers: [&'a UInt64Array; 2],
    run_key: &'a StringArray,
}

fn column<'a, T: 'static>(batch: &'a RecordBatch, name: &str) -> Option<&'a T> {
    batch.column_by_name(name)?.as_any().downcast_ref()
}

impl<'a> FactColumns<'a> {
    fn of(batch: &'a RecordBatch) -> Option<FactColumns<'a>> {
        let text = |name| column::<StringArray>(batch, name);
        Some(FactColumns {
            texts: [
                text("submission_id")?,
                text("worker_id")?,
                text("district")?,
                text("mobile")?,
                text("epic")?,
                text("member_name")?,
            ],
            captured_at: column(batch, "captured_at")?,
            quality: column(batch, "quality")?,
            model: text("model")?,
            sha256: column(batch, "selfie_sha256")?,
            numbers: [column(batch, "selfie_dhash")?, column(batch, "commit")?],
            run_key: text("run_key")?,
        })
    }

    fn row(&self, row: usize) -> Row<'a> {
        let [submission_id, worker_id, district, mobile, epic, member_name] = self.texts;
        let optional = |column: &'a StringArray| column.is_valid(row).then(|| column.value(row));
        Row {
            submission_id: submission_id.value(row),
            worker_id: worker_id.value(row),
            district: district.value(row),
            captured_at: self.captured_at.value(row),
            mobile: optional(mobile),
            epic: optional(epic),
            member_name: optional(member_name),
            quality: self.quality.value(row),
            selfie_sha256: self.sha256.value(row).first_chunk().unwrap_or(&[0; 32]),
            selfie_dhash: self.numbers[0].value(row),
            run_key: self.run_key.value(row),
            commit: self.numbers[1].value(row),
        }
    }
}

struct TemplateColumns<'a> {
    master: &'a FixedSizeBinaryArray,
    codes: &'a FixedSizeBinaryArray,
    scale: &'a Float32Array,
    residual: &'a Float32Array,
}

impl<'a> TemplateColumns<'a> {
    fn of(batch: &'a RecordBatch) -> Option<TemplateColumns<'a>> {
        Some(TemplateColumns {
            master: column(batch, "master")?,
            codes: column(batch, "codes")?,
            scale: column(batch, "scale")?,
            residual: column(batch, "residual")?,
        })
    }

    fn template(&self, row: usize) -> Result<Template, String> {
        let master = self.master.value(row).as_chunks::<2>().0.iter().map(|&b| f16::from_le_bytes(b)).collect();
        let template = Template::from_master(master).map_err(|e| e.to_string())?;
        let codes = self.codes.value(row).iter().map(|&c| c as i8);
        let same = template.codes.iter().copied().eq(codes)
            && template.scale.to_bits() == self.scale.value(row).to_bits()
            && template.residual.to_bits() == self.residual.value(row).to_bits();
        if same { Ok(template) } else { Err("codes that do not follow from the master".into()) }
    }
}
