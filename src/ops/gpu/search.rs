//! The integer scan of the gallery.

use std::ops::Range;

use candle_core::{DType, Result, Storage, bail};

use super::{Arg, Card};
use crate::ops::params::{MOST_TOP, SearchHit, SearchParams, SearchReach};

/// Hits of one pass that come back at most; a pass with more is said to be full.
pub const CAPACITY: usize = 1 << 22;

/// Probes on the device, with limits that only rise.
#[derive(Debug)]
pub struct DevicePanel {
    card: Card,
    words: usize,
    probes: Storage,
    starts: Storage,
    reaches: Storage,
    limits: Storage,
    /// Room for hits, made for the first pass.
    hits: Option<Storage>,
    /// Hits of one pass that come back at most.
    capacity: usize,
    count: usize,
}

/// Rows in a device's memory.
#[derive(Debug)]
pub struct DeviceChunk {
    codes: Storage,
    scales: Storage,
    residuals: Storage,
    words: usize,
    rows: usize,
    first_row: usize,
}

impl DeviceChunk {
    /// Copies rows of `width` codes over.
    ///
    /// # Errors
    /// When lengths do not fit; the driver's, out of memory among them.
    pub fn upload(card: &Card, width: usize, chunk: Chunk<'_>) -> Result<DeviceChunk> {
        let rows = chunk.scales.len();
        if rows == 0 || chunk.blocks.len() != rows.div_ceil(16) * width * 16 || chunk.residuals.len() != rows {
            bail!("search: {} bytes for {rows} rows of {width} codes", chunk.blocks.len());
        }
        Ok(DeviceChunk {
            codes: card.upload(chunk.blocks)?,
            scales: card.upload(chunk.scales)?,
            residuals: card.upload(chunk.residuals)?,
            words: width / 4,
            rows,
            first_row: chunk.first_row,
        })
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.rows.div_ceil(16) * self.words * 64 + self.rows * 8
    }
}

/// One pass over a chunk of rows.
#[derive(Debug)]
pub enum Pass {
    /// Every row that may be near enough, in no order.
    Hits(Vec<SearchHit>),
    /// There were more than a list holds: take fewer rows.
    Full,
}

/// Rows as they lie in a store.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// `[block of 16][codes / 4][16][4]`, each byte code + 128.
    pub blocks: &'a [u8],
    /// One a row.
    pub scales: &'a [f32],
    /// One a row.
    pub residuals: &'a [f32],
    /// Number of the first row.
    pub first_row: usize,
}

impl DevicePanel {
    /// Copies probes over: `codes` has `width` codes a probe, a multiple of 64; limits are keys of
    /// [`limit_key`](crate::ops::params::limit_key).
    ///
    /// # Errors
    /// When lengths do not fit; the driver's.
    pub fn new(
        card: &Card,
        width: usize,
        codes: &[i8],
        starts: &[i32],
        reaches: &[SearchReach],
        limits: &[u32],
    ) -> Result<DevicePanel> {
        let count = starts.len();
        if !width.is_multiple_of(64) || codes.len() != width * count || reaches.len() != count || limits.len() != count
        {
            bail!("search: {} codes of {width}, {count} starts, {} reaches", codes.len(), reaches.len());
        }
        // Four codes a word, as they lie.
        let codes: Vec<u8> = codes.iter().map(|&code| code as u8).collect();
        Ok(DevicePanel {
            words: width / 4,
            probes: card.upload(&codes)?,
            starts: card.upload(starts)?,
            reaches: card.upload(reaches)?,
            limits: card.upload(limits)?,
            hits: None,
            capacity: CAPACITY,
            count,
            card: card.clone(),
        })
    }

    /// The same with another room for hits than [`CAPACITY`].
    #[must_use]
    pub fn with_capacity(self, capacity: usize) -> DevicePanel {
        DevicePanel { capacity, hits: None, ..self }
    }

    /// Sets the limits anew.
    ///
    /// # Errors
    /// When there are not as many as probes; the driver's.
    pub fn set_limits(&mut self, limits: &[u32]) -> Result<()> {
        if limits.len() != self.count {
            bail!("search: {} limits for {} probes", limits.len(), self.count);
        }
        self.limits = self.card.upload(limits)?;
        Ok(())
    }

    /// Copies a chunk of rows over and compares all probes with it, as [`DevicePanel::scan_part`].
    ///
    /// # Errors
    /// When lengths do not fit; the driver's, out of memory among them.
    pub fn scan(&mut self, chunk: Chunk<'_>, top: usize) -> Result<Pass> {
        if chunk.scales.is_empty() {
            return Ok(Pass::Hits(Vec::new()));
        }
        let chunk = DeviceChunk::upload(&self.card, self.words * 4, chunk)?;
        self.scan_part(&chunk, 0..chunk.rows, top)
    }

    /// Compares all probes with some rows of a chunk, the first a multiple of 16. With `top`, limits rise to what so many rows
    /// surely reach. Hits are counted in 32 bits: fewer than 2^32 pairs may be compared at a time.
    ///
    /// # Errors
    /// When lengths do not fit; the driver's, out of memory among them.
    pub fn scan_part(&mut self, chunk: &DeviceChunk, part: Range<usize>, top: usize) -> Result<Pass> {
        let fits = part.start.is_multiple_of(16) && part.end <= chunk.rows && chunk.words == self.words;
        if !fits || top > MOST_TOP || u32::try_from(part.len() * self.count).is_err() {
            bail!("search: rows {part:?} of {}, {} words, {} probes, {top} best", chunk.rows, self.words, self.count);
        }
        let rows = part.len();
        if rows == 0 || self.count == 0 {
            return Ok(Pass::Hits(Vec::new()));
        }
        let mut hits = match self.hits.take() {
            Some(hits) => hits,
            None => self.card.room(DType::U8, self.capacity * size_of::<SearchHit>())?,
        };
        let mut found = self.card.upload(&[0u32])?;
        let p = SearchParams {
            probes: self.count as i32,
            words: self.words as i32,
            rows: rows as i32,
            first_row: (chunk.first_row + part.start) as i32,
            top: top as i32,
            capacity: self.capacity as u32,
        };
        let kernel = self.card.gpu.scan(self.count, self.words, rows);
        self.card.launch(
            kernel.file,
            kernel.name,
            kernel.grid,
            &mut [
                // All three lie there as bytes.
                Arg::In(&chunk.codes, part.start / 16 * self.words * 64),
                Arg::In(&chunk.scales, part.start * size_of::<f32>()),
                Arg::In(&chunk.residuals, part.start * size_of::<f32>()),
                Arg::whole(&self.probes),
                Arg::whole(&self.starts),
                Arg::whole(&self.reaches),
                Arg::Out(&mut self.limits),
                Arg::Out(&mut hits),
                Arg::Out(&mut found),
                Arg::value(&p),
            ],
        )?;
        let found = self.card.read::<u32>(&found, 1)?.first().copied().unwrap_or(0) as usize;
        let pass = if found > self.capacity { Pass::Full } else { Pass::Hits(self.card.read(&hits, found)?) };
        self.hits = Some(hits);
        Ok(pass)
    }
}
