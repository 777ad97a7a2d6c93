//! The kernels of `kernels/` on whatever device launches them: each operation written once, for CUDA, Metal and the tests.
//!
//! [`network`], [`faces`] and [`search`] check shapes and types as their CPU counterparts do, say how many threads are needed
//! and hand a kernel its arguments in the order of its entry. What differs between devices is behind [`Gpu`]: how a kernel is
//! found and launched, and how bytes get over and back. A binary built without a kind of device has `absent` in its place.
//! The tests of `tests/needs/kernels` bring a `Gpu` of their own, which runs the kernels on the CPU: so argument order, sizes
//! and grids are held to the CPU's operations on any machine. Nothing here waits for a device, but reading a result does.

#[cfg(not(all(feature = "cuda", feature = "metal")))]
mod absent;
#[cfg(feature = "cuda")]
mod cuda;
pub mod faces;
mod launch;
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
pub use launch::{Arg, File, Gpu, Grid, Kernel, THREADS, cuda_scan, metal_scan};

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
