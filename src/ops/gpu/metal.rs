//! Apple GPUs, through candle's command encoder: the kernels of `kernels/metal`, compiled on the device once per process.
//!
//! candle's buffers are not tracked by Metal; its encoder places barriers by what it is told is read and written. So every
//! buffer is declared here as one or the other. Bytes go over in buffers of their own and never in one from candle's pool,
//! which the device may still be reading.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, OnceLock, PoisonError};

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::metal_backend::{DeviceId, MetalStorage};
use candle_core::{DType, Device, Error, MetalDevice, Result, Shape, Storage, bail};
use candle_metal_kernels::metal::{ComputeCommandEncoder, ComputePipeline, Library};
use objc2_metal::{MTLCompileOptions, MTLSize};

use super::launch::{Arg, Gpu, Grid, Kernel, metal_scan};
use super::msl;

/// Launches through candle's commands.
pub(super) struct Launcher;

impl Gpu for Launcher {
    fn upload(&self, device: &Device, parts: &[&[u8]]) -> Result<Storage> {
        let device = device.as_metal_device()?;
        let joined;
        let bytes = match parts {
            [one] if !one.is_empty() => one,
            parts => {
                joined = parts.concat();
                if joined.is_empty() { &[0][..] } else { &joined }
            }
        };
        let buffer = device.new_buffer_builder().with_data(bytes).build()?;
        Ok(Storage::Metal(MetalStorage::new(buffer, device.clone(), bytes.len(), DType::U8)))
    }

    fn room(&self, device: &Device, dtype: DType, count: usize) -> Result<Storage> {
        // SAFETY: numbers, which whoever asks has a kernel write before anything reads them.
        Ok(Storage::Metal(unsafe { device.as_metal_device()?.alloc_uninit(&Shape::from(count), dtype)? }))
    }

    fn read(&self, from: &Storage, into: &mut [u8]) -> Result<()> {
        let Storage::Metal(storage) = from else { bail!("reading: expected a storage of Metal") };
        if into.is_empty() {
            return Ok(());
        }
        if into.len() > storage.buffer().length() {
            bail!("reading: {} bytes of {}", into.len(), storage.buffer().length());
        }
        let device = storage.device();
        let shared = device.new_buffer_builder().with_size(into.len()).build()?;
        {
            let mut copy = device.blit_command_encoder()?;
            copy.copy_from_buffer(storage.buffer(), 0, &shared, 0, into.len());
        }
        device.flush_and_wait_current()?;
        let bytes = shared.contents();
        if bytes.is_null() {
            bail!("reading: Metal gave a buffer that the CPU cannot see");
        }
        // SAFETY: a buffer that both see, at least as long as asked for, and the device has done with it.
        unsafe { std::ptr::copy_nonoverlapping(bytes, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    fn launch(&self, device: &Device, kernel: Kernel<'_>, args: &mut [Arg<'_>]) -> Result<()> {
        let device = device.as_metal_device()?;
        let Grid { blocks: [across, down], threads, shared } = kernel.grid;
        let pipeline = pipeline(device, kernel.name)?;
        let most = pipeline.max_total_threads_per_threadgroup();
        // Kernels number their threads in 32 bits.
        if threads > most || shared > 0 || u32::try_from(across * threads).is_err() {
            bail!("metal: {}: {:?} with at most {most} threads of a group", kernel.name, kernel.grid);
        }
        let commands = device.command_encoder()?;
        let encoder: &ComputeCommandEncoder = commands.as_ref();
        encoder.set_compute_pipeline_state(&pipeline);
        for (at, arg) in args.iter().enumerate() {
            match arg {
                Arg::In(Storage::Metal(storage), from) => {
                    let offset = from * storage.dtype().size_in_bytes();
                    encoder.set_input_buffer(at, Some(storage.buffer()), offset);
                }
                Arg::Out(Storage::Metal(storage)) => encoder.set_output_buffer(at, Some(storage.buffer()), 0),
                Arg::Value(bytes) => encoder.set_bytes_directly(at, bytes.len(), bytes.as_ptr().cast()),
                _ => bail!("metal: {}: expected a storage of Metal", kernel.name),
            }
        }
        encoder.dispatch_thread_groups(size(across, down), size(threads, 1));
        Ok(())
    }

    fn scan(&self, probes: usize, _: usize, rows: usize) -> Kernel<'static> {
        metal_scan(probes, rows)
    }

    fn scan_name(&self) -> &'static str {
        "metal simdgroup"
    }
}

fn size(width: usize, height: usize) -> MTLSize {
    MTLSize { width, height, depth: 1 }
}

/// What was compiled for a device.
struct Compiled {
    library: Library,
    pipelines: HashMap<String, ComputePipeline>,
}

/// All kernels, with arithmetic as it is written: else the compiler takes every number to be finite, and the kernels ask
/// whether they are.
fn library(device: &MetalDevice) -> Result<Library> {
    let options = MTLCompileOptions::new();
    // What replaces it is there from macOS 15 on; this is there everywhere.
    #[expect(deprecated, reason = "see above")]
    options.setFastMathEnabled(false);
    let library = device.metal_device().new_library_with_source(&msl::source(), Some(&options));
    library.map_err(|e| Error::wrap(e).context("compiling kernels/metal"))
}

/// An entry on a device.
fn pipeline(device: &MetalDevice, name: &str) -> Result<ComputePipeline> {
    static COMPILED: OnceLock<Mutex<HashMap<DeviceId, Compiled>>> = OnceLock::new();
    let mut compiled = COMPILED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let Compiled { library, pipelines } = match compiled.entry(device.id()) {
        Entry::Occupied(there) => there.into_mut(),
        Entry::Vacant(free) => free.insert(Compiled { library: library(device)?, pipelines: HashMap::new() }),
    };
    if let Some(pipeline) = pipelines.get(name) {
        return Ok(pipeline.clone());
    }
    let function = library.get_function(name, None).map_err(|e| {
        let why = if name.ends_with("_bf16") { "bf16 needs macOS 14 or later" } else { "no such kernel" };
        Error::wrap(e).context(why)
    })?;
    let pipeline = device.metal_device().new_compute_pipeline_state_with_function(&function).map_err(Error::wrap)?;
    pipelines.insert(name.to_owned(), pipeline.clone());
    Ok(pipeline)
}
