//! The integer scan of the gallery.

use candle_core::{DType, Result, Storage, bail};

use super::{Arg, Card, File, Grid, Kernel};
use crate::ops::params::{MOST_TOP, SEARCH_PROBES, SearchHit, SearchParams, SearchReach};

/// Hits of one pass that come back at most; a pass with more is said to be full.
const CAPACITY: usize = 1 << 22;

/// How `search_mma` and `search_dp4a` of CUDA are launched: several blocks a multiprocessor, each with many steps, so that
/// limits have time to rise, and a panel of probes in the memory that a block shares.
pub fn cuda_scan(name: &'static str, probes: usize, words: usize, rows: usize) -> Kernel<'static> {
    const STEP: usize = 256;
    let panels = probes.div_ceil(SEARCH_PROBES);
    let across = rows.div_ceil(STEP).min((4 * 132usize).div_ceil(panels)).max(1);
    let shared = SEARCH_PROBES * (words + 4) * 4;
    Kernel { file: File::Search, name, grid: Grid { blocks: [across, panels], threads: STEP, shared } }
}

/// How `search` of Metal is launched: a thread for a row and eight probes.
pub fn metal_scan(probes: usize, rows: usize) -> Kernel<'static> {
    let blocks = [rows.div_ceil(super::THREADS), probes.div_ceil(8)];
    Kernel { file: File::Search, name: "search", grid: Grid { blocks, threads: super::THREADS, shared: 0 } }
}

/// Probes on the device, with limits that only rise.
#[derive(Debug)]
pub struct DevicePanel {
    card: Card,
    words: usize,
    probes: Storage,
    starts: Storage,
    reaches: Storage,
    limits: Storage,
    count: usize,
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
            count,
            card: card.clone(),
        })
    }

    /// Compares all probes with a chunk of rows. With `top`, limits rise to what so many rows surely reach.
    ///
    /// # Errors
    /// When lengths do not fit; the driver's, out of memory among them.
    pub fn scan(&mut self, chunk: Chunk<'_>, top: usize) -> Result<Pass> {
        let rows = chunk.scales.len();
        let blocks = rows.div_ceil(16);
        if chunk.blocks.len() != blocks * self.words * 64 || chunk.residuals.len() != rows || top > MOST_TOP {
            bail!("search: {} bytes for {rows} rows of {} words, {top} best", chunk.blocks.len(), self.words);
        }
        if rows == 0 || self.count == 0 {
            return Ok(Pass::Hits(Vec::new()));
        }
        let (codes, scales) = (self.card.upload(chunk.blocks)?, self.card.upload(chunk.scales)?);
        let residuals = self.card.upload(chunk.residuals)?;
        let mut hits = self.card.room(DType::U8, CAPACITY * size_of::<SearchHit>())?;
        let mut found = self.card.upload(&[0u32])?;
        let p = SearchParams {
            probes: self.count as i32,
            words: self.words as i32,
            rows: rows as i32,
            first_row: chunk.first_row as i32,
            top: top as i32,
            capacity: CAPACITY as u32,
        };
        let kernel = self.card.gpu.scan(self.count, self.words, rows);
        self.card.launch(
            kernel.file,
            kernel.name,
            kernel.grid,
            &mut [
                Arg::whole(&codes),
                Arg::whole(&scales),
                Arg::whole(&residuals),
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
        if found > CAPACITY {
            return Ok(Pass::Full);
        }
        Ok(Pass::Hits(self.card.read(&hits, found)?))
    }
}
