//! The integer scan of the gallery on the matrix units.

use candle_core::cuda_backend::cudarc::driver::sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES as SHARED_BYTES;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{Device, Result, bail};

use super::{File, function};
use crate::ops::params::{MOST_TOP, SEARCH_PROBES, SearchHit, SearchParams, SearchReach};

/// Rows of one step of a block.
const STEP: usize = 256;
/// Hits of one pass that come back at most; a pass with more is said to be full.
const CAPACITY: usize = 1 << 22;

/// Probes on the device, with limits that only rise.
pub struct DevicePanel {
    device: CudaDevice,
    words: usize,
    probes: CudaSlice<u32>,
    starts: CudaSlice<i32>,
    reaches: CudaSlice<SearchReach>,
    limits: CudaSlice<u32>,
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
        device: &Device,
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
        let device = device.as_cuda_device()?.clone();
        let stream = device.cuda_stream();
        let words: Vec<u32> =
            codes.as_chunks::<4>().0.iter().map(|c| u32::from_le_bytes(c.map(|code| code as u8))).collect();
        Ok(DevicePanel {
            words: width / 4,
            probes: stream.clone_htod(&words).w()?,
            starts: stream.clone_htod(starts).w()?,
            reaches: stream.clone_htod(reaches).w()?,
            limits: stream.clone_htod(limits).w()?,
            count,
            device,
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
        let stream = self.device.cuda_stream();
        let codes = stream.clone_htod(chunk.blocks).w()?;
        let (scales, residuals) = (stream.clone_htod(chunk.scales).w()?, stream.clone_htod(chunk.residuals).w()?);
        // SAFETY: only as many as the kernel has written are read.
        let mut hits = unsafe { self.device.alloc::<SearchHit>(CAPACITY)? };
        let mut found = self.device.alloc_zeros::<u32>(1)?;
        let p = SearchParams {
            probes: self.count as i32,
            words: self.words as i32,
            rows: rows as i32,
            first_row: chunk.first_row as i32,
            top: top as i32,
            capacity: CAPACITY as u32,
        };
        let scan = function(&self.device, File::Search, "search_mma")?;
        let shared = SEARCH_PROBES * (self.words + 4) * 4;
        scan.set_attribute(SHARED_BYTES, shared as i32).w()?;
        let panels = self.count.div_ceil(SEARCH_PROBES);
        // Several blocks a multiprocessor, each with many steps, so that limits have time to rise.
        let across = rows.div_ceil(STEP).min((4 * 132usize).div_ceil(panels)).max(1);
        let config = LaunchConfig {
            grid_dim: (across as u32, panels as u32, 1),
            block_dim: (STEP as u32, 1, 1),
            shared_mem_bytes: shared as u32,
        };
        let mut builder = stream.launch_builder(&scan);
        builder.arg(&codes).arg(&scales).arg(&residuals).arg(&self.probes).arg(&self.starts).arg(&self.reaches);
        builder.arg(&mut self.limits).arg(&mut hits).arg(&mut found).arg(&p);
        // SAFETY: the arguments are those of the entry, of the lengths checked above.
        unsafe { builder.launch(config) }.w()?;
        let found = self.device.clone_dtoh(&found)?.first().copied().unwrap_or(0) as usize;
        if found > CAPACITY {
            return Ok(Pass::Full);
        }
        if found == 0 {
            return Ok(Pass::Hits(Vec::new()));
        }
        Ok(Pass::Hits(self.device.clone_dtoh(&hits.slice(..found))?))
    }
}
