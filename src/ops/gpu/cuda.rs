//! NVIDIA cards: the kernels of `kernels/cuda`, which come as machine code for sm_80 and sm_90 with PTX for newer cards, and
//! are loaded once per device.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda_backend::cudarc::driver::sys::CUevent_flags;
use candle_core::cuda_backend::cudarc::driver::sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES as SHARED_BYTES;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaModule, CudaStream, CudaView, CudaViewMut, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;
use candle_core::cuda_backend::{CudaDevice, CudaStorage, CudaStorageSlice, DeviceId, WrapErr};
use candle_core::{DType, Device, Result, Shape, Storage, bail};

use super::launch::{Arg, File, Gpu, Grid, Kernel, cuda_scan};
use super::pinned::{Buffer, SMALL, Way, gather};

/// Launches through cudarc.
pub(super) struct Launcher;

impl Gpu for Launcher {
    /// Large parts through page-locked memory on a stream for copies, beside whatever the card computes meanwhile: cudarc has
    /// each kernel that reads them wait for them.
    fn upload(&self, device: &Device, parts: &[&[u8]]) -> Result<Storage> {
        let device = device.as_cuda_device()?;
        let total = parts.iter().map(|part| part.len()).sum::<usize>().max(1);
        if total < SMALL {
            let mut bytes = parts.concat();
            bytes.resize(total, 0);
            let bytes = device.cuda_stream().clone_htod(&bytes).w()?;
            return Ok(Storage::Cuda(CudaStorage::wrap_cuda_slice(bytes, device.clone())));
        }
        let stream = copies(device)?;
        let mut buffer = Buffer::take(stream.context(), Way::Up, total)?;
        let filled = &mut buffer.bytes()?[..total];
        gather(parts, filled);
        // SAFETY: the copy fills it.
        let mut bytes = unsafe { stream.alloc::<u8>(total) }.w()?;
        stream.memcpy_htod(&*filled, &mut bytes).w()?;
        buffer.in_use(&stream)?;
        buffer.give_back();
        Ok(Storage::Cuda(CudaStorage::wrap_cuda_slice(bytes, device.clone())))
    }

    fn room(&self, device: &Device, dtype: DType, count: usize) -> Result<Storage> {
        // SAFETY: numbers, which whoever asks has a kernel write before anything reads them.
        Ok(Storage::Cuda(unsafe { device.as_cuda_device()?.alloc_uninit(&Shape::from(count), dtype)? }))
    }

    fn read(&self, from: &Storage, into: &mut [u8]) -> Result<()> {
        let Storage::Cuda(storage) = from else { bail!("reading: expected a storage of CUDA") };
        if into.is_empty() {
            return Ok(());
        }
        let bytes = whole(storage)?.slice(..into.len());
        let stream = storage.device.cuda_stream();
        if into.len() < SMALL {
            stream.memcpy_dtoh(&bytes, into).w()?;
            let copied = stream.record_event(Some(CUevent_flags::CU_EVENT_BLOCKING_SYNC));
            return copied.and_then(|event| event.synchronize()).w();
        }
        let mut buffer = Buffer::take(stream.context(), Way::Down, into.len())?;
        stream.memcpy_dtoh(&bytes, &mut buffer.bytes()?[..into.len()]).w()?;
        buffer.in_use(&stream)?;
        buffer.wait()?;
        gather(&[&buffer.bytes()?[..into.len()]], into);
        buffer.give_back();
        Ok(())
    }

    fn launch(&self, device: &Device, kernel: Kernel<'_>, args: &mut [Arg<'_>]) -> Result<()> {
        let device = device.as_cuda_device()?;
        let function = function(device, kernel.file, kernel.name)?;
        let Grid { blocks: [across, down], threads, shared } = kernel.grid;
        if shared > 0 {
            function.set_attribute(SHARED_BYTES, shared as i32).w()?;
        }
        let config = LaunchConfig {
            grid_dim: (across as u32, down as u32, 1),
            block_dim: (threads as u32, 1, 1),
            shared_mem_bytes: shared as u32,
        };
        let mut given = args.iter_mut().map(Given::of).collect::<Result<Vec<_>>>()?;
        let stream = device.cuda_stream();
        let mut builder = stream.launch_builder(&function);
        for given in &mut given {
            match given {
                Given::In(view) => builder.arg(&*view),
                Given::Out(view) => builder.arg(view),
                // The driver copies as many bytes as the entry takes from where this one lies.
                Given::Value(bytes) => builder.arg(&bytes[0]),
            };
        }
        // SAFETY: the arguments are those of the entry, as the caller vouches.
        unsafe { builder.launch(config) }.w()?;
        Ok(())
    }

    fn scan(&self, probes: usize, words: usize, rows: usize) -> Kernel<'static> {
        cuda_scan("search_mma", probes, words, rows)
    }

    fn scan_name(&self) -> &'static str {
        "cuda mma.u8.s8"
    }
}

/// The stream on which large copies go over to a device.
fn copies(device: &CudaDevice) -> Result<Arc<CudaStream>> {
    static STREAMS: Mutex<Vec<(DeviceId, Arc<CudaStream>)>> = Mutex::new(Vec::new());
    let mut streams = STREAMS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, stream)) = streams.iter().find(|(id, _)| *id == device.id()) {
        return Ok(stream.clone());
    }
    let stream = device.cuda_stream().context().new_stream().w()?;
    streams.push((device.id(), stream.clone()));
    Ok(stream)
}

/// An argument as cudarc takes it: what it points to, as bytes.
enum Given<'a> {
    In(CudaView<'a, u8>),
    Out(CudaViewMut<'a, u8>),
    Value(&'a [u8]),
}

impl<'a> Given<'a> {
    fn of(arg: &'a mut Arg<'_>) -> Result<Given<'a>> {
        match arg {
            Arg::In(Storage::Cuda(storage), from) => {
                let size = storage.dtype().size_in_bytes();
                Ok(Given::In(whole(storage)?.slice(*from * size..)))
            }
            Arg::Out(Storage::Cuda(storage)) => Ok(Given::Out(whole_mut(storage)?)),
            Arg::Value(bytes) if !bytes.is_empty() => Ok(Given::Value(bytes)),
            _ => bail!("cuda: expected numbers and storages of CUDA"),
        }
    }
}

/// Calls `$run` on the slice of a storage, whatever its type.
macro_rules! any_slice {
    ($slice:expr, $of:ident => $run:expr) => {
        match $slice {
            CudaStorageSlice::U8($of) => $run,
            CudaStorageSlice::U32($of) => $run,
            CudaStorageSlice::F32($of) => $run,
            CudaStorageSlice::F16($of) => $run,
            CudaStorageSlice::BF16($of) => $run,
            _ => bail!("cuda: expected u8, u32, f32, f16 or bf16"),
        }
    };
}

fn whole(storage: &CudaStorage) -> Result<CudaView<'_, u8>> {
    // SAFETY: all of these may be looked at as bytes.
    let view = any_slice!(&storage.slice, s => unsafe { s.transmute::<u8>(s.num_bytes()) });
    view.ok_or_else(|| candle_core::Error::msg("cuda: a storage smaller than itself"))
}

fn whole_mut(storage: &mut CudaStorage) -> Result<CudaViewMut<'_, u8>> {
    // SAFETY: as above, and any bytes are such numbers.
    let view = any_slice!(&mut storage.slice, s => unsafe {
        let bytes = s.num_bytes();
        s.transmute_mut::<u8>(bytes)
    });
    view.ok_or_else(|| candle_core::Error::msg("cuda: a storage smaller than itself"))
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
fn function(device: &CudaDevice, file: File, name: &str) -> Result<CudaFunction> {
    type Modules = HashMap<(DeviceId, File), Arc<CudaModule>>;
    static MODULES: OnceLock<Mutex<Modules>> = OnceLock::new();
    let mut modules = MODULES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let module = match modules.entry((device.id(), file)) {
        Entry::Occupied(loaded) => loaded.into_mut(),
        Entry::Vacant(free) => {
            let code = Ptx::from_binary(file.code().to_vec());
            free.insert(device.cuda_stream().context().load_module(code).w()?)
        }
    };
    module.load_function(name).w()
}
