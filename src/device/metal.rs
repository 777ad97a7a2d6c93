//! Apple GPUs.

use candle_metal_kernels::metal::Device;
use objc2_metal::{MTLDevice as _, MTLGPUFamily};

use super::survey::{Card, Survey};

/// Whether this binary can use Metal.
pub(super) const BUILT: bool = true;

/// Opens GPU number N.
pub(super) fn open(number: usize) -> Result<candle_core::Device, (String, String)> {
    let fix = "list the GPUs with `chehra devices`, or use --device cpu or auto".to_owned();
    let all = Device::all();
    let Some(device) = all.get(number) else {
        return Err((format!("Metal lists {} GPUs, numbered from 0", all.len()), fix));
    };
    if let Some(problem) = unfit(device) {
        return Err((problem, fix));
    }
    candle_core::Device::new_metal(number).map_err(|error| (format!("Metal: {error}"), fix))
}

/// What is there.
pub(super) fn survey() -> Survey {
    let all = Device::all();
    let card = |device: &Device| Card {
        name: device.as_ref().name().to_string(),
        memory: device.recommended_max_working_set_size() as u64,
        free: None,
        compute_capability: None,
        processors: None,
    };
    let problem = match all.first() {
        Some(device) => unfit(device),
        None => Some("Metal lists no GPU".to_owned()),
    };
    Survey { built: true, driver: None, problem, cards: all.iter().map(card).collect() }
}

/// Why a GPU is not used. candle's matrix products take the matrix instructions of Apple's own GPUs, from the M1 on.
fn unfit(device: &Device) -> Option<String> {
    let fit = device.as_ref().supportsFamily(MTLGPUFamily::Apple7);
    (!fit).then(|| format!("{} is not of the family Apple7 (M1) or later", device.as_ref().name()))
}

/// The number under which an open device is listed; candle keeps the one that the system registers it by.
pub(super) fn number(registered: usize) -> usize {
    let all = Device::all();
    all.iter().position(|device| device.registry_id() as usize == registered).unwrap_or(registered)
}

/// Bytes that may still be allocated without paging, in Metal's own estimate.
pub(super) fn free(device: &candle_core::Device) -> Option<u64> {
    let device = device.as_metal_device().ok()?.metal_device();
    let used = device.current_allocated_size();
    Some(device.recommended_max_working_set_size().saturating_sub(used) as u64)
}
