//! The kernels of `kernels/` on whatever device launches them: each operation written once, for CUDA, Metal and the tests.
//!
//! [`network`], [`faces`] and [`search`] check shapes and types as their CPU counterparts do, say how many threads are needed
//! and hand a kernel its arguments in the order of its entry. What differs between devices is behind [`Gpu`]: how a kernel is
//! found and launched, and how bytes get over and back. A binary built without a kind of device has `absent` in its place.
//! The tests of `tests/it/kernels` bring a `Gpu` of their own, which runs the kernels on the CPU: so argument order, sizes
//! and grids are held to the CPU's operations on any machine. Nothing here waits for a device, but reading a result does.

#[cfg(not(all(feature = "cuda", feature = "metal")))]
mod absent;
#[cfg(feature = "cuda")]
mod cuda;
pub mod faces;
#[cfg(feature = "metal")]
mod metal;
pub mod msl;
pub mod network;
#[cfg(feature = "cuda")]
mod pinned;
pub mod search;

use candle_core::op::BackpropOp;
use candle_core::{DType, Device, Result, Shape, Storage, StorageRef, Tensor, bail};

use super::params::{Plain, bytes_of, bytes_of_mut};
#[cfg(not(feature = "cuda"))]
use absent as cuda;
#[cfg(not(feature = "metal"))]
use absent as metal;

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
    fn whole(storage: &'a Storage) -> Self {
        Arg::In(storage, 0)
    }
}

/// A contiguous tensor while a kernel is told of it.
struct Held<'a> {
    storage: StorageRef<'a>,
    from: usize,
}

impl<'a> Held<'a> {
    fn of(op: &str, x: &'a Tensor) -> Result<Held<'a>> {
        let (storage, layout) = x.storage_and_layout();
        let Some((from, _)) = layout.contiguous_offsets() else {
            bail!("{op}: expected a contiguous tensor, got {:?} with strides {:?}", layout.shape(), layout.stride());
        };
        Ok(Held { storage, from })
    }

    /// Its elements.
    fn arg(&self) -> Arg<'_> {
        self.arg_from(0)
    }

    /// Its elements from number N on.
    fn arg_from(&self, skip: usize) -> Arg<'_> {
        Arg::In(&self.storage, self.from + skip)
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

/// A device and how it is used.
#[derive(Clone)]
pub struct Card {
    device: Device,
    gpu: &'static dyn Gpu,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Card({:?})", self.device)
    }
}

impl Card {
    /// A GPU of candle's.
    ///
    /// # Errors
    /// For the CPU, which has operations of its own.
    pub fn of(device: &Device) -> Result<Card> {
        let gpu: &'static dyn Gpu = match device {
            Device::Cuda(_) => &cuda::Launcher,
            Device::Metal(_) => &metal::Launcher,
            Device::Cpu => bail!("gpu: expected a GPU, got the CPU"),
        };
        Ok(Card::through(device.clone(), gpu))
    }

    /// Any device by any way.
    pub fn through(device: Device, gpu: &'static dyn Gpu) -> Card {
        Card { device, gpu }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// See [`Gpu::scan_name`].
    pub fn scan_name(&self) -> &'static str {
        self.gpu.scan_name()
    }

    /// Bytes in the device's memory.
    ///
    /// # Errors
    /// The driver's, out of memory among them.
    pub fn copied(&self, bytes: &[u8]) -> Result<Storage> {
        self.upload(bytes)
    }

    fn upload<T: Plain>(&self, items: &[T]) -> Result<Storage> {
        self.gpu.upload(&self.device, &[bytes_of(items)])
    }

    /// See [`Gpu::room`]; at least one element.
    fn room(&self, dtype: DType, count: usize) -> Result<Storage> {
        self.gpu.room(&self.device, dtype, count.max(1))
    }

    /// The first elements of a storage.
    fn read<T: Plain>(&self, from: &Storage, count: usize) -> Result<Vec<T>> {
        let mut items = vec![T::default(); count];
        self.gpu.read(from, bytes_of_mut(&mut items))?;
        Ok(items)
    }

    fn launch(&self, file: File, name: &str, grid: Grid, args: &mut [Arg<'_>]) -> Result<()> {
        self.gpu.launch(&self.device, Kernel { file, name, grid }, args)
    }
}

/// A storage in which a kernel has written every element, as a tensor.
fn tensor(storage: Storage, shape: impl Into<Shape>) -> Tensor {
    Tensor::from_storage(storage, shape, BackpropOp::none(), false)
}

/// How entries for a type of number end.
fn suffix(op: &str, dtype: DType) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("f32"),
        DType::F16 => Ok("f16"),
        DType::BF16 => Ok("bf16"),
        other => bail!("{op}: expected f32, f16 or bf16, got {other:?}"),
    }
}

/// Whether an error says that a device has no memory left: in the words of CUDA, cuBLAS, candle's Metal and Metal.
pub fn is_out_of_memory(error: &str) -> bool {
    let text = error.to_ascii_uppercase();
    let words = ["OUT_OF_MEMORY", "OUT OF MEMORY", "OUTOFMEMORY", "ALLOC_FAILED", "INSUFFICIENT MEMORY"];
    // What a failed allocation is called by candle-metal-kernels, and by nothing else.
    let metal = "FAILED TO CREATE METAL RESOURCE: BUFFER";
    words.iter().any(|words| text.contains(words)) || text.contains(metal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_memory_is_told_from_other_faults() {
        for text in [
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            "CublasError(CUBLAS_STATUS_ALLOC_FAILED)",
            "Metal error Failed to create metal resource: Buffer",
            "Command buffer error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        ] {
            assert!(is_out_of_memory(text), "{text}");
        }
        for text in ["an illegal memory access", "Failed to create metal resource: CommandBuffer", "no such kernel"] {
            assert!(!is_out_of_memory(text), "{text}");
        }
    }

    #[test]
    fn the_cpu_has_no_card() {
        assert!(Card::of(&Device::Cpu).is_err());
    }
}
