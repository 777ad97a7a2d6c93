//! What it takes to launch a kernel, and what kinds of devices have to offer for it.

use candle_core::{DType, Device, Result, Storage, bail};

use crate::ops::params::{Plain, SEARCH_PROBES, bytes_of};

/// Threads of a block where one thread gives one element.
pub const THREADS: usize = 256;

/// A file of kernels: `kernels/cuda/NAME.cu` and `kernels/metal/NAME.metal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of the files")]
pub enum File {
    Faces,
    Conv,
    Pointwise,
    Pool,
    Search,
}

/// How many threads work on a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Blocks across and down.
    pub blocks: [usize; 2],
    /// Of a block.
    pub threads: usize,
    /// Bytes that a block's threads share, beside those that the kernel itself declares.
    pub shared: usize,
}

impl Grid {
    /// One thread an element.
    ///
    /// # Errors
    /// When there are more than one launch can number.
    pub fn elements(count: usize) -> Result<Grid> {
        if i32::try_from(count.div_ceil(THREADS)).is_err() {
            bail!("gpu: {count} elements in one launch");
        }
        Ok(Grid { blocks: [count.div_ceil(THREADS), 1], threads: THREADS, shared: 0 })
    }
}

/// A kernel to launch.
#[derive(Debug, Clone, Copy)]
pub struct Kernel<'a> {
    /// Where it is.
    pub file: File,
    /// Its entry.
    pub name: &'a str,
    /// Its threads.
    pub grid: Grid,
}

/// One argument of a kernel, in the order of its entry: on Metal the n-th is buffer n.
#[derive(Debug)]
pub enum Arg<'a> {
    /// Elements that it reads, from number N on.
    In(&'a Storage, usize),
    /// Elements that it may read and writes.
    Out(&'a mut Storage),
    /// A number or structure, as the bytes that it has in memory.
    Value(&'a [u8]),
}

impl<'a> Arg<'a> {
    /// A number or structure.
    pub fn value<T: Plain>(value: &'a T) -> Self {
        Arg::Value(bytes_of(std::slice::from_ref(value)))
    }

    /// All that a storage has, from its start.
    pub(super) fn whole(storage: &'a Storage) -> Self {
        Arg::In(storage, 0)
    }
}

/// A kind of device. Storages are those of its own device.
pub trait Gpu: Sync {
    /// Bytes in a device's memory: the parts one behind the other, at least one byte.
    ///
    /// # Errors
    /// The driver's, out of memory among them.
    fn upload(&self, device: &Device, parts: &[&[u8]]) -> Result<Storage>;

    /// Room for elements that a kernel is about to write, with whatever lies there.
    ///
    /// # Errors
    /// The driver's, out of memory among them.
    fn room(&self, device: &Device, dtype: DType, count: usize) -> Result<Storage>;

    /// Reads the first bytes of a storage back, after everything that was launched before.
    ///
    /// # Errors
    /// The driver's.
    fn read(&self, from: &Storage, into: &mut [u8]) -> Result<()>;

    /// Launches a kernel. The caller vouches that the arguments are those of the entry, and that every storage holds what it
    /// reads and writes.
    ///
    /// # Errors
    /// When there is no such kernel; the driver's.
    fn launch(&self, device: &Device, kernel: Kernel<'_>, args: &mut [Arg<'_>]) -> Result<()>;

    /// The kernel that scans a gallery for `probes` probes of `words` words.
    fn scan(&self, probes: usize, words: usize, rows: usize) -> Kernel<'static>;

    /// What `run.json` calls that kernel.
    fn scan_name(&self) -> &'static str;
}

/// How `search_mma` and `search_dp4a` of CUDA are launched: several blocks a multiprocessor, each with many steps, so that
/// limits have time to rise, and a panel of probes in the memory that a block shares.
pub fn cuda_scan(name: &'static str, probes: usize, words: usize, rows: usize) -> Kernel<'static> {
    const STEP: usize = 256;
    let panels = probes.div_ceil(SEARCH_PROBES);
    let across = rows.div_ceil(STEP).min((4 * 132usize).div_ceil(panels)).max(1);
    let shared = SEARCH_PROBES * (words + 4) * 4;
    Kernel { file: File::Search, name, grid: Grid { blocks: [across, panels], threads: STEP, shared } }
}

/// How `search` of Metal is launched: four simdgroups for 64 rows and 32 probes.
pub fn metal_scan(probes: usize, rows: usize) -> Kernel<'static> {
    let blocks = [rows.div_ceil(64), probes.div_ceil(32)];
    Kernel { file: File::Search, name: "search", grid: Grid { blocks, threads: 128, shared: 0 } }
}
