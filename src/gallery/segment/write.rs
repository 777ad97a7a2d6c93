//! Writing segments.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{FixedSizeBinaryBuilder, Float32Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::columns::{BATCH, TEMPLATE, VERSION, fact_columns, schema};
use super::read::seal;
use crate::gallery::derived::{Builder, Codes, Masters};
use crate::gallery::failpoint;
use crate::gallery::files::{Pending, Written};
use crate::gallery::member::{Facts, Row};
use crate::infer::{ModelId, Template};
use crate::{Error, Result};

/// Rows of a row group: what a reader must hold at once of one column.
const ROW_GROUP: usize = 65_536;
/// Most rows of a segment: what rebuilding and building a graph must hold.
pub(in crate::gallery) const MAX_ROWS: usize = 1 << 19;

/// Writes one segment, row by row.
pub(in crate::gallery) struct SegmentWriter<'a> {
    writer: ArrowWriter<Pending>,
    path: &'a Path,
    model: &'a ModelId,
    dim: usize,
    facts: Facts,
    derived: Builder,
    batch: Vec<(usize, Template)>,
}

/// A segment just written, with everything a search needs of it.
pub(in crate::gallery) struct Fresh {
    pub(in crate::gallery) written: Written,
    pub(in crate::gallery) footer_sha256: String,
    pub(in crate::gallery) facts_sha256: String,
    pub(in crate::gallery) facts: Facts,
    pub(in crate::gallery) codes: Codes,
    pub(in crate::gallery) masters: Masters,
}

impl<'a> SegmentWriter<'a> {
    pub(in crate::gallery) fn create(
        path: &'a Path,
        model: &'a ModelId,
        dim: usize,
        rows: usize,
    ) -> Result<SegmentWriter<'a>> {
        let metadata = vec![KeyValue::new("chehra.segment".to_string(), VERSION.to_string())];
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_offset_index_disabled(true)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_created_by(concat!("chehra ", env!("CARGO_PKG_VERSION")).to_string())
            .set_key_value_metadata(Some(metadata));
        for name in TEMPLATE {
            // Numbers without pattern: compression and dictionaries would cost time and save nothing.
            properties = properties
                .set_column_compression((*name).into(), Compression::UNCOMPRESSED)
                .set_column_dictionary_enabled((*name).into(), false);
        }
        let pending = Pending::create(path)?;
        let writer = ArrowWriter::try_new(pending, schema(VERSION, dim), Some(properties.build()))
            .map_err(|e| Error::io("write", path)(std::io::Error::other(e)))?;
        let (facts, derived) = (Facts::default(), Builder::new(dim, rows));
        Ok(SegmentWriter { writer, path, model, dim, facts, derived, batch: Vec::with_capacity(BATCH) })
    }

    pub(in crate::gallery) fn push(&mut self, row: Row<'_>, template: Template) -> Result<()> {
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
        let batch = RecordBatch::try_new(schema(VERSION, self.dim), columns).map_err(bug)?;
        self.batch.clear();
        self.writer.write(&batch).map_err(|e| Error::io("write", self.path)(std::io::Error::other(e)))
    }

    /// Makes the file durable under its name; the folder is left to the caller.
    pub(in crate::gallery) fn finish(mut self) -> Result<Fresh> {
        self.flush()?;
        let path = self.path;
        let failed = |e| Error::io("write", path)(std::io::Error::other::<parquet::errors::ParquetError>(e));
        let pending = self.writer.into_inner().map_err(failed)?;
        failpoint::reach("segment-written");
        let written = pending.commit()?;
        let [footer_sha256, facts_sha256] = seal(path)?;
        failpoint::reach("segment-renamed");
        let mut facts = self.facts;
        facts.finish();
        let (codes, masters) = self.derived.finish()?;
        Ok(Fresh { written, footer_sha256, facts_sha256, facts, codes, masters })
    }
}
