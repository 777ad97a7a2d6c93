//! The operations on NVIDIA cards: the kernels of `kernels/cuda` loaded and launched.
//!
//! Every function here checks shape and type as its CPU counterpart does and computes what that computes; types other
//! than f32 are rounded once, when an element leaves. Kernels come as machine code for sm_80 and sm_90 with PTX for
//! newer cards, loaded once per device. Nothing here waits for the device: that happens when a result is read.

pub mod faces;
pub mod network;
pub mod search;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::cuda_backend::cudarc::driver::{CudaFunction, CudaModule, CudaView, DeviceRepr, LaunchConfig};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;
use candle_core::cuda_backend::{CudaDType, CudaDevice, CudaStorage, DeviceId, WrapErr};
use candle_core::{Layout, Result, bail};
use half::{bf16, f16};

use super::params;

/// A file of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum File {
    Faces,
    Conv,
    Pointwise,
    Pool,
    Search,
}

impl File {
    fn code(self) -> &'static [u8] {
        match self {
            File::Faces => include_bytes!(concat!(env!("OUT_DIR"), "/faces.fatbin")),
            File::Conv => include_bytes!(concat!(env!("OUT_DIR"), "/conv.fatbin")),
            File::Pointwise => include_bytes!(concat!(env!("OUT_DIR"), "/pointwise.fatbin")),
            File::Pool => include_bytes!(concat!(env!("OUT_DIR"), "/pool.fatbin")),
            File::Search => include_bytes!(concat!(env!("OUT_DIR"), "/search.fatbin")),
        }
    }
}

/// An entry of a file on a device.
pub(super) fn function(device: &CudaDevice, file: File, name: &str) -> Result<CudaFunction> {
    type Modules = HashMap<(DeviceId, File), Arc<CudaModule>>;
    static MODULES: OnceLock<Mutex<Modules>> = OnceLock::new();
    let mut modules = MODULES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let key = (device.id(), file);
    if !modules.contains_key(&key) {
        let code = Ptx::from_binary(file.code().to_vec());
        modules.insert(key, device.cuda_stream().context().load_module(code).w()?);
    }
    modules[&key].load_function(name).w()
}

/// A number that the kernels compute on.
pub trait Number: CudaDType + DeviceRepr {
    /// How entries for it end.
    const SUFFIX: &'static str;
}

impl Number for f32 {
    const SUFFIX: &'static str = "f32";
}

impl Number for f16 {
    const SUFFIX: &'static str = "f16";
}

impl Number for bf16 {
    const SUFFIX: &'static str = "bf16";
}

/// One thread an element.
pub(super) fn elements(count: usize) -> Result<LaunchConfig> {
    let Ok(blocks) = i32::try_from(count.div_ceil(256)) else { bail!("cuda: {count} elements in one launch") };
    Ok(LaunchConfig { grid_dim: (blocks as u32, 1, 1), block_dim: (256, 1, 1), shared_mem_bytes: 0 })
}

/// The elements of a contiguous tensor.
pub(super) fn view<'a, T: Number>(op: &str, storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, T>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("{op}: expected a contiguous tensor, got {:?} with strides {:?}", layout.shape(), layout.stride());
    };
    Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
}

// SAFETY: these are `repr(C)` structures of numbers, laid out as in `kernels/core`; a device may copy them.
unsafe impl DeviceRepr for params::PixelParams {}
// SAFETY: as above.
unsafe impl DeviceRepr for params::WarpFace {}
// SAFETY: as above.
unsafe impl DeviceRepr for params::CropRegion {}
// SAFETY: as above.
unsafe impl DeviceRepr for params::ShrinkPicture {}
// SAFETY: as above.
unsafe impl DeviceRepr for params::DecodePicture {}
// SAFETY: as above.
unsafe impl DeviceRepr for params::DecodeParams {}
// SAFETY: as above.
unsafe impl DeviceRepr for params::ConvParams {}
// SAFETY: as above.
unsafe impl DeviceRepr for params::SearchParams {}
// SAFETY: as above.
unsafe impl DeviceRepr for params::SearchReach {}
// SAFETY: as above.
unsafe impl DeviceRepr for params::SearchHit {}

/// Launches an entry: `launch!(device, file, "name", count; arg, arg, ..)`. The caller vouches that the arguments are
/// those of the entry and that every buffer holds what it reads and writes.
macro_rules! launch {
    ($device:expr, $file:expr, $name:expr, $config:expr; $($arg:expr),+ $(,)?) => {{
        use candle_core::cuda_backend::cudarc::driver::PushKernelArg;
        use candle_core::cuda_backend::WrapErr;
        let function = $crate::ops::cuda::function($device, $file, $name)?;
        let stream = $device.cuda_stream();
        let mut builder = stream.launch_builder(&function);
        $(builder.arg($arg);)+
        // SAFETY: the arguments are those of the entry, as each caller has checked.
        unsafe { builder.launch($config) }.w()?;
    }};
}
pub(super) use launch;
