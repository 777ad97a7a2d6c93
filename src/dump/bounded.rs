//! A row group read without ever holding a cell that is too large.
//!
//! The Parquet reader unpacks a page into memory as a whole, and believes what its header says of its size. Here the header is
//! looked at first. A large page of plain byte arrays is unpacked in pieces, twice: once to see whether any cell is too large,
//! and if so once more to make the page that has a stand-in for each such cell ([`super::oversize`]). Pages of gzip and
//! Brotli are unpacked here in any case, for their libraries unpack more than the header says. What is large and cannot be
//! unpacked in pieces is refused.

use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::{Compression, Encoding, Type as Physical};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

use super::oversize::{MAX_PICTURE_CELL, MAX_TEXT_CELL, STAND_IN, StandIn};
use super::page_header::{PageHeader, PageKind, parse};
use super::schema::Plan;
use super::unpack::unpacked;
use crate::objects::InputFile;

/// Pages of texts that are no larger are not looked into.
const TEXT_PAGE: u64 = 256 << 10;
/// Most bytes of a page of texts that cannot be unpacked in pieces, and of any other.
const MAX_WHOLE_PAGE: [u64; 2] = [16 << 20, 256 << 20];
/// Most bytes of a page's header: writers may put the least and the greatest value of the page there.
const MAX_HEADER: u64 = 16 << 20;
/// Bytes that are copied at a time.
const PIECE: usize = 64 << 10;

/// Reads wanted columns of one row group, `batch_rows` rows at a time, of them those that are selected.
///
/// # Errors
/// The Parquet reader's.
pub fn group_reader(
    file: InputFile,
    metadata: &Arc<ParquetMetaData>,
    group: usize,
    plan: &Plan,
    batch_rows: usize,
    selection: Option<RowSelection>,
) -> Result<ParquetRecordBatchReader> {
    let mask = ProjectionMask::roots(&plan.parquet, plan.roots.iter().copied());
    let levels = parquet_to_arrow_field_levels(&plan.parquet, mask, Some(plan.arrow.fields()))?;
    file.plan(|| wanted_ranges(metadata.row_group(group), &plan.roots));
    let (file, metadata) = (Arc::new(file), metadata.clone());
    let limits = [CellLimits::PICTURE, CellLimits::TEXT];
    let group = Group { file, metadata, group, pictures: plan.pictures.clone(), limits };
    ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, batch_rows, selection)
}

/// Where some root columns lie.
pub(super) fn wanted_ranges(group: &RowGroupMetaData, roots: &[usize]) -> Vec<Range<u64>> {
    let leaves = group.columns().iter().enumerate();
    let wanted = leaves.filter(|(leaf, _)| roots.contains(&group.schema_descr().get_column_root_idx(*leaf)));
    let range = |column: &ColumnChunkMetaData| {
        let (start, length) = column.byte_range();
        start..start.saturating_add(length)
    };
    wanted.map(|(_, column)| range(column)).collect()
}

/// What is held of a column's cells.
#[derive(Debug, Clone, Copy)]
struct CellLimits {
    /// Most bytes of a cell.
    cell: usize,
    /// Pages that are no larger are not looked into.
    small_page: u64,
    is_picture: bool,
}

impl CellLimits {
    const PICTURE: CellLimits =
        CellLimits { cell: MAX_PICTURE_CELL, small_page: MAX_PICTURE_CELL as u64, is_picture: true };
    const TEXT: CellLimits = CellLimits { cell: MAX_TEXT_CELL, small_page: TEXT_PAGE, is_picture: false };
}

/// One row group of a file.
struct Group {
    file: Arc<InputFile>,
    metadata: Arc<ParquetMetaData>,
    group: usize,
    /// Root columns of pictures.
    pictures: Vec<usize>,
    /// Of pictures, and of all else.
    limits: [CellLimits; 2],
}

impl Group {
    fn meta(&self) -> &RowGroupMetaData {
        self.metadata.row_group(self.group)
    }
}

impl RowGroups for Group {
    fn num_rows(&self) -> usize {
        self.meta().num_rows().max(0) as usize
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        let column = self.meta().column(leaf);
        let is_picture = self.pictures.contains(&self.meta().schema_descr().get_column_root_idx(leaf));
        let limits = self.limits[usize::from(!is_picture)];
        let pages = BoundedPages::new(self.file.clone(), column, self.num_rows(), limits)?;
        Ok(Box::new(Chunk(Some(Ok(Box::new(pages))))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.meta()))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// The one column chunk of a row group.
struct Chunk(Option<Result<Box<dyn PageReader>>>);

impl Iterator for Chunk {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take()
    }
}

impl PageIterator for Chunk {}

/// Pages of a column chunk, none of them with a cell that is too large.
struct BoundedPages {
    file: Arc<InputFile>,
    inner: SerializedPageReader<InputFile>,
    column: Column,
    /// Where the next header is, and where the chunk ends.
    at: u64,
    end: u64,
}

/// What must be known of a column to read its pages.
struct Column {
    compression: Compression,
    is_byte_array: bool,
    has_definition_levels: bool,
    has_repetition_levels: bool,
    limits: CellLimits,
}

impl BoundedPages {
    fn new(
        file: Arc<InputFile>,
        column: &ColumnChunkMetaData,
        rows: usize,
        limits: CellLimits,
    ) -> Result<BoundedPages> {
        let inner = SerializedPageReader::new(file.clone(), column, rows, None)?;
        let (start, length) = column.byte_range();
        let descr = column.column_descr();
        let column = Column {
            compression: column.compression(),
            is_byte_array: column.column_type() == Physical::BYTE_ARRAY,
            has_definition_levels: descr.max_def_level() > 0,
            has_repetition_levels: descr.max_rep_level() > 0,
            limits,
        };
        Ok(BoundedPages { file, inner, column, at: start, end: start.saturating_add(length) })
    }

    /// The header of the next page that a reader looks at, and where its bytes begin.
    fn next_header(&mut self) -> Result<Option<(PageHeader, u64)>> {
        while self.at < self.end {
            let (mut length, left) = (1024, self.end - self.at);
            let header = loop {
                let bytes = self.file.get_bytes(self.at, left.min(length) as usize)?;
                match parse(&bytes) {
                    Ok(header) => break header,
                    Err(_) if length < left && length < MAX_HEADER => length *= 16,
                    Err(found) => return Err(ParquetError::General(found)),
                }
            };
            let begins = self.at + header.length;
            self.at = begins + header.packed;
            if header.kind != PageKind::Other {
                return Ok(Some((header, begins)));
            }
        }
        Ok(None)
    }

    /// The page, where the Parquet reader is not to unpack it.
    fn own(&self, header: &PageHeader, begins: u64) -> Result<Option<Page>> {
        let Column { compression, limits, .. } = self.column;
        if header.unpacked > limits.small_page && self.column.is_cut(header) {
            let (kept, large) = self.cells(header, begins, None)?;
            if large > 0 {
                let mut bytes = Vec::with_capacity(kept as usize);
                self.cells(header, begins, Some(&mut bytes))?;
                return Ok(Some(page(header, bytes)));
            }
        } else if header.unpacked > MAX_WHOLE_PAGE[usize::from(!self.column.is_byte_array || limits.is_picture)] {
            let written = header.encoding.map_or("an unknown encoding".to_owned(), |encoding| encoding.to_string());
            return Err(ParquetError::General(format!(
                "a page of {} bytes in {written} and {compression}, which cannot be unpacked in pieces",
                header.unpacked
            )));
        }
        match compression {
            Compression::GZIP(_) | Compression::BROTLI(_) => self.unpacked_page(header, begins).map(Some),
            _ => Ok(None),
        }
    }

    /// The whole page, unpacked, and no byte more than its header says.
    fn unpacked_page(&self, header: &PageHeader, begins: u64) -> Result<Page> {
        let mut bytes = Vec::with_capacity(header.unpacked as usize);
        self.with_values(header, begins, &mut bytes, |values, left, bytes| {
            values.take(left + 1).read_to_end(bytes).map(drop)
        })?;
        if bytes.len() as u64 != header.unpacked {
            let found = format!("a page of {} bytes where its header says {}", bytes.len(), header.unpacked);
            return Err(ParquetError::General(found));
        }
        Ok(page(header, bytes))
    }

    /// Goes over the cells of a page: how many bytes it has with a stand-in for each that is too large, and how many are; and
    /// writes those bytes.
    fn cells(&self, header: &PageHeader, begins: u64, out: Option<&mut Vec<u8>>) -> Result<(u64, u64)> {
        let (mut none, is_written) = (Vec::new(), out.is_some());
        let out = out.unwrap_or(&mut none);
        let (mut kept, mut large) = (0, 0);
        let levels = self.column.has_definition_levels && header.kind == PageKind::Data;
        self.with_values(header, begins, out, |values, left, out| {
            let mut values = values.take(left + 1);
            if levels {
                let length = read_length(&mut values)?.ok_or_else(cut_short)?;
                if is_written {
                    out.extend_from_slice(&length.to_le_bytes());
                }
                kept += 4 + copy(&mut values, length.into(), is_written.then_some(out))?;
            }
            while let Some(length) = read_length(&mut values)? {
                if length as usize <= self.column.limits.cell {
                    if is_written {
                        out.extend_from_slice(&length.to_le_bytes());
                    }
                    kept += 4 + copy(&mut values, length.into(), is_written.then_some(out))?;
                    continue;
                }
                (large, kept) = (large + 1, kept + 4 + STAND_IN as u64);
                match is_written {
                    false => drop(copy(&mut values, length.into(), None)?),
                    true => {
                        let cell = stand_in(&mut values, length.into())?;
                        out.extend_from_slice(&(cell.len() as u32).to_le_bytes());
                        out.extend_from_slice(&cell);
                    }
                }
            }
            match values.limit() {
                1 => Ok(()),
                left => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{left} bytes too few in a page"))),
            }
        })?;
        if let PageKind::DataV2 { definition_bytes, repetition_bytes, .. } = header.kind {
            kept += u64::from(definition_bytes) + u64::from(repetition_bytes);
        }
        Ok((kept, large))
    }

    /// Gives `read` the unpacked values of a page and how many bytes they must be, with the levels of version 2, which are
    /// never packed, in `out` before; and compares the checksum.
    fn with_values(
        &self,
        header: &PageHeader,
        begins: u64,
        out: &mut Vec<u8>,
        read: impl FnOnce(&mut dyn Read, u64, &mut Vec<u8>) -> io::Result<()>,
    ) -> Result<()> {
        let mut packed =
            Checked { inner: self.file.get_read(begins)?.take(header.packed), hash: crc32fast::Hasher::new() };
        let mut left = header.unpacked;
        let mut compression = self.column.compression;
        if let PageKind::DataV2 { definition_bytes, repetition_bytes, is_packed, .. } = header.kind {
            let levels = u64::from(definition_bytes) + u64::from(repetition_bytes);
            left = left
                .checked_sub(levels)
                .ok_or_else(|| ParquetError::General("levels larger than their page".into()))?;
            copy(&mut packed, levels, Some(out))?;
            if !is_packed || left == 0 {
                compression = Compression::UNCOMPRESSED;
            }
        }
        let values = unpacked(&mut packed, compression)?;
        let mut values =
            values.ok_or_else(|| ParquetError::General(format!("{compression} cannot be unpacked in pieces")))?;
        read(&mut values, left, out)?;
        drop(values);
        io::copy(&mut packed, &mut io::sink())?;
        match header.checksum {
            Some(expected) if packed.hash.finalize() != expected => {
                Err(ParquetError::General("a page whose checksum is another".into()))
            }
            _ => Ok(()),
        }
    }
}

impl Column {
    /// Whether cells that are too large can be cut from a page.
    fn is_cut(&self, header: &PageHeader) -> bool {
        let is_data = header.kind == PageKind::Data;
        let are_levels_known = !is_data || !self.has_definition_levels || header.levels[0] == Some(Encoding::RLE);
        let is_streamed = !matches!(self.compression, Compression::LZO | Compression::LZ4);
        self.is_byte_array && header.is_plain() && !self.has_repetition_levels && are_levels_known && is_streamed
    }
}

impl Iterator for BoundedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for BoundedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let own = match self.next_header()? {
            Some((header, begins)) => self.own(&header, begins)?,
            None => None,
        };
        if own.is_none() {
            return self.inner.get_next_page();
        }
        self.inner.peek_next_page()?;
        self.inner.skip_next_page()?;
        Ok(own)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.next_header()?;
        self.inner.peek_next_page()?;
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

/// The page with these bytes as its levels and values.
fn page(header: &PageHeader, bytes: Vec<u8>) -> Page {
    let (buf, num_values) = (bytes.into(), header.values);
    let encoding = header.encoding.unwrap_or(Encoding::PLAIN);
    let [definition, repetition] = header.levels.map(|levels| levels.unwrap_or(Encoding::RLE));
    match header.kind {
        PageKind::Dictionary { is_sorted } => Page::DictionaryPage { buf, num_values, encoding, is_sorted },
        PageKind::DataV2 { rows, nulls, definition_bytes, repetition_bytes, .. } => Page::DataPageV2 {
            buf,
            num_values,
            encoding,
            num_nulls: nulls,
            num_rows: rows,
            def_levels_byte_len: definition_bytes,
            rep_levels_byte_len: repetition_bytes,
            is_compressed: false,
            statistics: None,
        },
        PageKind::Data | PageKind::Other => Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding: definition,
            rep_level_encoding: repetition,
            statistics: None,
        },
    }
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "a cell that ends after its page")
}

/// The length before a cell; `None` at the end of the page.
fn read_length(values: &mut dyn Read) -> io::Result<Option<u32>> {
    let mut bytes = [0; 4];
    let mut read = 0;
    while read < 4 {
        match values.read(&mut bytes[read..])? {
            0 if read == 0 => return Ok(None),
            0 => return Err(cut_short()),
            more => read += more,
        }
    }
    Ok(Some(u32::from_le_bytes(bytes)))
}

/// Takes so many bytes, and keeps them where there is a place for them.
fn copy(values: &mut dyn Read, bytes: u64, out: Option<&mut Vec<u8>>) -> io::Result<u64> {
    let mut values = values.take(bytes);
    let read = match out {
        Some(out) => io::copy(&mut values, out)?,
        None => io::copy(&mut values, &mut io::sink())?,
    };
    if read == bytes { Ok(read) } else { Err(cut_short()) }
}

/// Takes a cell, and makes what stands for it.
fn stand_in(values: &mut dyn Read, bytes: u64) -> io::Result<Vec<u8>> {
    let mut cell = StandIn::default();
    let mut piece = vec![0; PIECE];
    let mut left = bytes;
    while left > 0 {
        let most = left.min(PIECE as u64) as usize;
        match values.read(&mut piece[..most])? {
            0 => return Err(cut_short()),
            read => {
                cell.take(&piece[..read]);
                left -= read as u64;
            }
        }
    }
    Ok(cell.finish())
}

/// Bytes whose CRC-32 is taken as they pass.
struct Checked<R> {
    inner: R,
    hash: crc32fast::Hasher,
}

impl<R: BufRead> Read for Checked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.hash.update(&out[..read]);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Checked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Ok(bytes) = self.inner.fill_buf() {
            self.hash.update(&bytes[..count.min(bytes.len())]);
        }
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelector};
    use parquet::basic::{BrotliLevel, GzipLevel, ZstdLevel};
    use parquet::file::properties::{WriterProperties, WriterVersion};

    use super::super::oversize::cell_bytes;
    use super::*;

    const LIMIT: usize = 20_000;

    /// Cells of no bytes, few and many, compressible and not; every seventh is null.
    fn cells() -> Vec<Option<Vec<u8>>> {
        let noise = |seed: u64, bytes: usize| {
            let mut state = seed;
            (0..bytes)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect::<Vec<u8>>()
        };
        let sizes = [0, 5, 9_000, LIMIT, LIMIT + 1, 300_000, 70, 1_500_000, 12];
        let cell = |row: usize| {
            let bytes = sizes[row % sizes.len()];
            (row % 7 != 3)
                .then(|| if row.is_multiple_of(2) { vec![row as u8; bytes] } else { noise(row as u64, bytes) })
        };
        (0..40).map(cell).collect()
    }

    fn write(path: &std::path::Path, properties: WriterProperties) {
        let column: ArrayRef = Arc::new(BinaryArray::from_iter(cells()));
        let numbers: ArrayRef = Arc::new(StringArray::from_iter_values((0..40).map(|row| format!("S-{row}"))));
        let batch = RecordBatch::try_from_iter([("id", numbers), ("selfie", column)]).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    /// Ids and cells, read with small limits, `rows` at a time.
    fn read(path: &std::path::Path, rows: usize, selection: Option<RowSelection>) -> Vec<(String, Option<Vec<u8>>)> {
        let file = InputFile::open(path).unwrap();
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&file, options).unwrap();
        let levels = parquet_to_arrow_field_levels(metadata.parquet_schema(), ProjectionMask::all(), None).unwrap();
        let limits = [CellLimits { cell: LIMIT, small_page: 1_000, is_picture: true }; 2];
        let metadata = metadata.metadata().clone();
        let group = Group { file: Arc::new(file), metadata, group: 0, pictures: vec![1], limits };
        let reader = ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, rows, selection).unwrap();
        let mut found = Vec::new();
        for batch in reader {
            let batch = batch.unwrap();
            let (ids, cells) = (batch.column(0).as_string::<i32>(), batch.column(1).as_binary::<i32>());
            for row in 0..batch.num_rows() {
                found.push((ids.value(row).to_owned(), cells.is_valid(row).then(|| cells.value(row).to_vec())));
            }
        }
        found
    }

    #[test]
    fn large_cells_are_cut_whatever_wrote_them() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("t.parquet");
        let compressions = [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::default()),
            Compression::BROTLI(BrotliLevel::default()),
            Compression::LZ4_RAW,
            Compression::ZSTD(ZstdLevel::default()),
        ];
        let mut cut = 0;
        for compression in compressions {
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                for has_dictionary in [true, false] {
                    let properties = WriterProperties::builder()
                        .set_compression(compression)
                        .set_writer_version(version)
                        .set_dictionary_enabled(has_dictionary)
                        .set_encoding(Encoding::PLAIN)
                        .set_data_page_size_limit(8 << 20);
                    write(&path, properties.build());
                    for (rows, skipped) in [(3, 0), (40, 0), (4, 17)] {
                        let select = || vec![RowSelector::skip(skipped), RowSelector::select(40 - skipped)].into();
                        let found = read(&path, rows, (skipped > 0).then(select));
                        assert_eq!(found.len(), 40 - skipped);
                        for ((id, found), (row, cell)) in found.iter().zip(cells().iter().enumerate().skip(skipped)) {
                            assert_eq!(id, &format!("S-{row}"));
                            match (found, cell) {
                                (Some(found), Some(cell)) if cell.len() > LIMIT => {
                                    assert_eq!((found.len(), cell_bytes(found)), (STAND_IN, cell.len() as u64));
                                    cut += 1;
                                }
                                _ => assert_eq!(found, cell, "{compression} {version:?} {row}"),
                            }
                        }
                    }
                }
            }
        }
        assert!(cut > 500, "{cut}");
    }
}
