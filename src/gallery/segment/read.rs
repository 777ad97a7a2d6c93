//! Reading segments, and knowing that they are what was written.
//!
//! A Parquet reader trusts what it reads: a flipped bit in a page header may make it ask for any amount of memory. So
//! nothing is parsed before its bytes have the hash that the manifest states: the footer, then either the columns of
//! facts, which every opening reads, or the whole file, which only rebuilding, compaction and `verify` read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use arrow::array::{
    Array, FixedSizeBinaryArray, Float32Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array,
    UInt64Array,
};
use half::f16;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;
use sha2::{Digest, Sha256};

use super::columns::{BATCH, FACTS, TEMPLATE, VERSION, schema};
use crate::gallery::derived::{Builder, Codes, Masters};
use crate::gallery::files::hash_file;
use crate::gallery::manifest::Segment;
use crate::gallery::member::{Facts, Row, hex};
use crate::infer::Template;
use crate::{Error, Result};

const DAMAGED: &str = "restore the file from a backup: the members in it are in no other file";

/// SHA-256 of a Parquet file's footer: its metadata, their length and the magic number.
fn footer_hash(file: &mut File) -> std::io::Result<String> {
    let mut tail = [0; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, ..] = tail;
    let length = i64::from(u32::from_le_bytes([a, b, c, d])) + 8;
    file.seek(SeekFrom::End(-length))?;
    let mut hash = Sha256::new();
    hash_bytes(file, length as u64, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

/// SHA-256 of the bytes of all columns of facts, in file order.
fn facts_hash(file: &mut File, metadata: &ParquetMetaData) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    for group in metadata.row_groups() {
        let facts = group.columns().len().saturating_sub(TEMPLATE.len());
        for column in group.columns().iter().take(facts) {
            let (start, length) = column.byte_range();
            file.seek(SeekFrom::Start(start))?;
            hash_bytes(file, length, &mut hash)?;
        }
    }
    Ok(hex(&hash.finalize()))
}

fn hash_bytes(file: &mut File, mut length: u64, hash: &mut Sha256) -> std::io::Result<()> {
    let mut buffer = vec![0; length.min(1 << 20) as usize];
    while length > 0 {
        let count = length.min(buffer.len() as u64) as usize;
        file.read_exact(&mut buffer[..count])?;
        hash.update(&buffer[..count]);
        length -= count as u64;
    }
    Ok(())
}

/// The hashes of footer and facts of a segment just written.
pub(super) fn seal(path: &Path) -> Result<[String; 2]> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let footer = footer_hash(&mut file).map_err(Error::io("read", path))?;
    let clone = file.try_clone().map_err(Error::io("read", path))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(clone).map_err(|e| Error::bug("reading a new segment", e))?;
    let facts = facts_hash(&mut file, builder.metadata()).map_err(Error::io("read", path))?;
    Ok([footer, facts])
}

/// A segment file, as the manifest describes it.
pub(in crate::gallery) struct SegmentReader<'a> {
    path: PathBuf,
    segment: &'a Segment,
}

impl<'a> SegmentReader<'a> {
    pub(in crate::gallery) fn new(store: &Path, segment: &'a Segment) -> SegmentReader<'a> {
        SegmentReader { path: segment.path(store), segment }
    }

    fn damaged(&self, item: &str, expected: impl ToString, found: impl ToString) -> Error {
        Error::input(&self.path, item, expected.to_string(), found.to_string(), DAMAGED)
    }

    /// Damage, unless the system refused to read: then the file is not to blame.
    fn unread(&self, item: &str, expected: &str, error: &(dyn std::error::Error + 'static)) -> Error {
        Error::of_reader(&self.path, error, |found| self.damaged(item, expected, found))
    }

    /// Opens the file and its footer, and checks that they are what the manifest says.
    fn open(&self) -> Result<(File, ParquetRecordBatchReaderBuilder<File>)> {
        let segment = self.segment;
        let mut file = File::open(&self.path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => self.damaged("segment", "the file that the manifest names", "no file"),
            _ => Error::io("open", &self.path)(e),
        })?;
        let length = file.metadata().map_err(Error::io("read", &self.path))?.len();
        if length != segment.bytes {
            return Err(self.damaged("segment", format!("{} bytes", segment.bytes), format!("{length} bytes")));
        }
        let found = footer_hash(&mut file).unwrap_or_else(|e| e.to_string());
        if found != segment.footer_sha256 {
            let expected = format!("sha256 {}", segment.footer_sha256);
            return Err(self.damaged("footer", expected, format!("sha256 {found}")));
        }
        let clone = file.try_clone().map_err(Error::io("read", &self.path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(clone);
        let builder = builder.map_err(|e| self.unread("footer", "of a Parquet file", &e))?;
        self.check_schema(&builder)?;
        Ok((file, builder))
    }

    fn check_schema(&self, builder: &ParquetRecordBatchReaderBuilder<File>) -> Result<()> {
        let segment = self.segment;
        let metadata = builder.metadata().file_metadata();
        let pairs = metadata.key_value_metadata().into_iter().flatten();
        let mut version = pairs.filter(|p| p.key == "chehra.segment").filter_map(|p| p.value.as_deref());
        let version = match version.next().and_then(|v| v.parse::<u32>().ok()) {
            Some(version) if version > VERSION => {
                let fix = "use the chehra that wrote the store, or a later one";
                let expected = format!("version 1 to {VERSION}");
                return Err(Error::input(&self.path, "version", expected, version.to_string(), fix));
            }
            Some(version) => version,
            None => return Err(self.damaged("metadata", "a chehra segment", "another Parquet file")),
        };
        if builder.schema().fields() != schema(version, segment.dim).fields() {
            return Err(self.damaged("schema", format!("templates of {} values", segment.dim), "other columns"));
        }
        if metadata.num_rows() != segment.rows as i64 {
            return Err(self.damaged("rows", segment.rows, metadata.num_rows()));
        }
        Ok(())
    }

    fn batches(
        &self,
        builder: ParquetRecordBatchReaderBuilder<File>,
        columns: &[&str],
    ) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        let batches = builder.with_projection(mask).with_batch_size(BATCH).build();
        let batches = batches.map_err(|e| self.unread("segment", "a whole Parquet file", &e))?;
        Ok(batches.map(|batch| batch.map_err(|e| self.unread("segment", "a whole Parquet file", &e))))
    }

    /// Reads the facts.
    pub(in crate::gallery) fn facts(&self) -> Result<Facts> {
        let (mut file, builder) = self.open()?;
        let found = facts_hash(&mut file, builder.metadata()).unwrap_or_else(|e| e.to_string());
        if found != self.segment.facts_sha256 {
            let expected = format!("sha256 {}", self.segment.facts_sha256);
            return Err(self.damaged("facts", expected, format!("sha256 {found}")));
        }
        let model = self.segment.model.as_str();
        let mut facts = Facts::default();
        for batch in self.batches(builder, FACTS)? {
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
        Ok(facts)
    }

    /// Reads every byte and checks it against the manifest.
    pub(in crate::gallery) fn check(&self) -> Result<()> {
        self.open()?;
        let found = hash_file(&self.path)?.sha256;
        if found != self.segment.sha256 {
            let expected = format!("sha256 {}", self.segment.sha256);
            return Err(self.damaged("segment", expected, format!("sha256 {found}")));
        }
        Ok(())
    }

    /// Every template in row order, having checked the file, and that codes, scale and residual follow from the master.
    pub(in crate::gallery) fn templates(&self) -> Result<impl Iterator<Item = Result<Template>>> {
        self.check()?;
        let batches = self.batches(self.open()?.1, TEMPLATE)?;
        let mut first = 0;
        Ok(batches.flat_map(move |batch| -> Vec<Result<Template>> {
            let columns = batch.as_ref().map(|batch| (TemplateColumns::of(batch), batch.num_rows()));
            match columns {
                Ok((Some(columns), rows)) => {
                    first += rows;
                    let row = |at| format!("row {}", first - rows + at);
                    let template = |at| columns.template(at).map_err(|e| self.damaged(&row(at), "a template", e));
                    (0..rows).map(template).collect()
                }
                Ok((None, _)) => vec![Err(self.damaged("templates", "their types", "others"))],
                Err(_) => batch.err().map(Err).into_iter().collect(),
            }
        }))
    }

    /// Builds the derived forms from the templates.
    pub(in crate::gallery) fn derive(&self) -> Result<(Codes, Masters)> {
        let mut builder = Builder::new(self.segment.dim, self.segment.rows as usize);
        for template in self.templates()? {
            builder.push(&template?);
        }
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
    member_doubt_percent: Option<&'a UInt8Array>,
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
            member_doubt_percent: column(batch, "member_doubt_percent"),
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
            member_doubt_percent: self.member_doubt_percent.map_or(0, |column| column.value(row)),
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
