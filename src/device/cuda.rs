//! NVIDIA cards.
//!
//! CUDA is not linked: the binary is built with cudarc's `dynamic-loading` (`kernels/build/cuda.toml`), so that it starts on
//! any machine. cudarc panics when it misses a library, hence every one is opened here first and kept open; the loader
//! then finds it by its name. Folders named in [`LIBRARIES`] are looked into before the loader's own: CUDA installed with
//! Python packages lies where no loader looks.

use std::panic::catch_unwind;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use candle_core::cuda_backend::cudarc::driver::{CudaContext, result, sys};
use libloading::Library;

use super::needs;
use super::survey::{Card, Survey};

/// Whether this binary can use CUDA.
pub(super) const BUILT: bool = true;

/// The environment variable with folders of CUDA libraries, separated by colons.
pub const LIBRARIES: &str = "CHEHRA_CUDA_LIBS";

/// What is needed, under the names it may have; the first is what a message names.
const NEEDED: [(&str, &[&str]); 4] = [
    ("the NVIDIA driver", &["libcuda.so.1", "libcuda.so"]),
    ("cuBLASLt", &["libcublasLt.so.13", "libcublasLt.so"]),
    ("cuBLAS", &["libcublas.so.13", "libcublas.so"]),
    ("cuRAND", &["libcurand.so.10", "libcurand.so"]),
];

/// Opens card number N.
pub(super) fn open(number: usize) -> Result<candle_core::Device, (String, String)> {
    let listed =
        |found: String| (found, "list the cards with `chehra devices`, or use --device cpu or auto".to_owned());
    libraries().clone()?;
    let count = caught(CudaContext::device_count).map_err(listed)?;
    if number as u64 >= count.max(0) as u64 {
        return Err(listed(format!("the driver lists {count} cards, numbered from 0")));
    }
    let (name, found) = caught(move || capability(number as i32)).map_err(listed)?;
    needs::capability(&name, found)?;
    // Before the libraries take theirs: cuBLAS without memory says only that it was not initialised.
    let opened = caught(move || {
        let context = CudaContext::new(number)?;
        context.mem_get_info().map(|memory| (context, memory))
    });
    let (context, (free, total)) = opened.map_err(listed)?;
    needs::memory(&name, free as u64, total as u64)?;
    // A stream of its own, on which cudarc orders what several threads put there.
    let device = caught(move || candle_core::Device::new_cuda_with_stream(number)).map_err(listed)?;
    drop(context);
    wait_asleep(&device);
    keep_memory(&device);
    Ok(device)
}

/// Name and compute capability of card number N.
fn capability(number: i32) -> Result<(String, (i32, i32)), result::DriverError> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    let device = result::device::get(number)?;
    // SAFETY: the device is the driver's own answer.
    let attribute = |which| unsafe { result::device::get_attribute(device, which) };
    Ok((result::device::get_name(device)?, (attribute(MAJOR)?, attribute(MINOR)?)))
}

/// Lets threads sleep while they wait for the card. By itself the driver spins: then the cores that decode have one less, and
/// processor time says nothing of what was computed on them. Where that is refused, it is only so.
fn wait_asleep(device: &candle_core::Device) {
    let Ok(device) = device.as_cuda_device() else { return };
    if let Err(error) = device.cuda_stream().context().set_blocking_synchronize() {
        log::debug!("threads spin while they wait for the card: {error}");
    }
}

/// The pool from which a device's memory comes; none where the driver has no pools.
fn pool(device: &candle_core::Device) -> Option<(sys::CUmemoryPool, Arc<CudaContext>)> {
    let context = device.as_cuda_device().ok()?.cuda_stream().context().clone();
    context.bind_to_thread().ok()?;
    let mut pool = std::ptr::null_mut();
    // SAFETY: a pointer to a local, and the context's own device.
    let status = unsafe { sys::cuDeviceGetDefaultMemPool(&mut pool, context.cu_device()) };
    (context.has_async_alloc() && status == sys::CUresult::CUDA_SUCCESS).then_some((pool, context))
}

/// Lets the pool keep what is freed, up to half of the card, for the next allocation: by itself it gives everything back
/// whenever the host waits, which is after every batch. Where that is refused, it is only slower.
fn keep_memory(device: &candle_core::Device) {
    let Some((pool, context)) = pool(device) else { return };
    let mut most = context.total_mem().unwrap_or(0) as u64 / 2;
    let which = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the pool is the device's; this attribute is a number of 64 bits.
    let status = unsafe { sys::cuMemPoolSetAttribute(pool, which, std::ptr::from_mut(&mut most).cast()) };
    if status != sys::CUresult::CUDA_SUCCESS {
        log::debug!("the driver keeps no freed memory: {status:?}");
    }
}

/// What is there.
pub(super) fn survey() -> Survey {
    let survey = Survey { built: true, ..Survey::default() };
    if let Err((found, _)) = libraries() {
        return Survey { problem: Some(found.clone()), ..survey };
    }
    match caught(|| (0..CudaContext::device_count()?).map(card).collect::<Result<Vec<_>, _>>()) {
        Ok(cards) => {
            let problem = cards.is_empty().then(|| "the driver lists no card".to_owned());
            Survey { driver: driver(), problem, cards, ..survey }
        }
        Err(problem) => Survey { problem: Some(problem), ..survey },
    }
}

/// Bytes of a card's memory that are free.
pub(super) fn free(device: &candle_core::Device) -> Option<u64> {
    use sys::CUmemPool_attribute::{
        CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT as RESERVED, CU_MEMPOOL_ATTR_USED_MEM_CURRENT as USED,
    };
    let card = device.as_cuda_device().ok()?;
    let (free, _) = card.cuda_stream().context().mem_get_info().ok()?;
    // What the pool keeps for later is taken in the driver's eyes, and free in ours.
    let kept = pool(device).map_or(0, |(pool, _)| {
        let number = |which| {
            let mut value = 0u64;
            // SAFETY: as above.
            let status = unsafe { sys::cuMemPoolGetAttribute(pool, which, std::ptr::from_mut(&mut value).cast()) };
            (status == sys::CUresult::CUDA_SUCCESS).then_some(value)
        };
        number(RESERVED).zip(number(USED)).map_or(0, |(reserved, used)| reserved.saturating_sub(used))
    });
    Some(free as u64 + kept)
}

/// A folder that has one of these libraries, or the loader's own search: opened and kept for the life of the program.
pub(super) fn library(names: &[&str]) -> Option<&'static Library> {
    let folders = std::env::var(LIBRARIES).unwrap_or_default();
    let given = folders.split(':').filter(|folder| !folder.is_empty());
    let paths = given.flat_map(|folder| names.iter().map(move |name| Path::new(folder).join(name)));
    let names = names.iter().map(|name| Path::new(name).to_path_buf());
    // SAFETY: these are NVIDIA's own libraries, whose initialisers any CUDA program runs.
    let found = paths.chain(names).find_map(|path| unsafe { Library::new(path) }.ok())?;
    Some(Box::leak(Box::new(found)))
}

/// Opens what is needed, once; else says what is missing and what to do.
fn libraries() -> &'static Result<(), (String, String)> {
    static OPENED: OnceLock<Result<(), (String, String)>> = OnceLock::new();
    OPENED.get_or_init(|| {
        let missing: Vec<String> = NEEDED
            .iter()
            .filter(|(_, names)| library(names).is_none())
            .map(|(what, names)| format!("{what} ({})", names[0]))
            .collect();
        if missing.is_empty() {
            // Before anything else is asked of it: an older one lacks functions, over which cudarc panics.
            return needs::driver(driver_version());
        }
        let found = format!("looked for {} and not found: {}", places(), missing.join(", "));
        let fix = "install the NVIDIA driver (580 or later) and the CUDA 13 libraries, or name their folders in";
        Err((found, format!("{fix} {LIBRARIES}; or use --device cpu or auto")))
    })
}

/// Where [`library`] looks, in words.
pub(super) fn places() -> String {
    needs::places(LIBRARIES, std::env::var(LIBRARIES).ok().as_deref(), |folder| Path::new(folder).is_dir())
}

/// The version of CUDA that the driver is for, as 1000 times major and 10 times minor; 0 where it does not say.
fn driver_version() -> i32 {
    let mut version = 0;
    // SAFETY: the library is open, every driver has this function, and the pointer is to a local.
    let status = unsafe { sys::cuDriverGetVersion(&mut version) };
    if status == sys::CUresult::CUDA_SUCCESS { version } else { 0 }
}

/// Runs what may fail in CUDA's own way or panic over a function that a library lacks.
fn caught<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E> + std::panic::UnwindSafe) -> Result<T, String> {
    match catch_unwind(work) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("CUDA: {error}")),
        Err(_) => Err("CUDA: a function is missing from an installed library (see the message above)".to_owned()),
    }
}

fn card(number: i32) -> Result<Card, result::DriverError> {
    use sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT as PROCESSORS;
    let (name, (major, minor)) = capability(number)?;
    let device = result::device::get(number)?;
    // SAFETY: the device is the driver's own answer.
    let processors = unsafe { result::device::get_attribute(device, PROCESSORS) }?;
    // SAFETY: as above.
    let memory = unsafe { result::device::total_mem(device) }? as u64;
    let free = CudaContext::new(number as usize).and_then(|context| context.mem_get_info());
    Ok(Card {
        name,
        memory,
        free: free.ok().map(|(free, _)| free as u64),
        compute_capability: Some(format!("{major}.{minor}")),
        processors: u32::try_from(processors).ok(),
    })
}

/// From NVIDIA's data sheets, dense: A100 624 at 1.41 GHz on 108 multiprocessors, A10 250, L40S 733, H100 1979.
pub(super) fn integer_peak(number: usize) -> Option<f64> {
    use sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE as KILOHERTZ;
    libraries().as_ref().ok()?;
    let number = i32::try_from(number).ok()?;
    let card = caught(move || card(number)).ok()?;
    let a_clock = match card.compute_capability.as_deref()? {
        "8.0" => 4096.0,
        "8.6" | "8.9" => 2048.0,
        "9.0" => 8192.0,
        _ => return None,
    };
    let device = result::device::get(number).ok()?;
    // SAFETY: the device is the driver's own answer.
    let clock = f64::from(unsafe { result::device::get_attribute(device, KILOHERTZ) }.ok()?) * 1e3;
    Some(f64::from(card.processors?) * clock * a_clock / 1e12)
}

fn driver() -> Option<String> {
    Some(driver_version()).filter(|&version| version > 0).map(needs::dotted)
}
