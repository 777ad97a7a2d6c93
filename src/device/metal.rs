//! Apple GPUs.

use super::{Card, Survey};

/// Whether this binary can use Metal.
pub(super) const BUILT: bool = true;

/// Says why none is opened: the kernels are there and checked through the host shim, the networks do not call them yet, and
/// half a network on the CPU is what `--device metal` must never become.
pub(super) fn open(number: usize) -> Result<candle_core::Device, (String, String)> {
    let fix = "use --device cpu or auto; see GPU in the README".to_owned();
    let cards = survey().cards.len();
    if number >= cards {
        return Err((format!("Metal lists {cards} GPUs"), fix));
    }
    Err(("the networks do not run on Metal yet".to_owned(), fix))
}

/// What is there.
pub(super) fn survey() -> Survey {
    let cards: Vec<Card> = candle_metal_kernels::metal::Device::all()
        .iter()
        .map(|device| Card {
            name: device.architecture_name(),
            memory: device.recommended_max_working_set_size() as u64,
            free: None,
            compute_capability: None,
            processors: None,
        })
        .collect();
    let problem = cards.is_empty().then(|| "Metal lists no GPU".to_owned());
    Survey { built: true, driver: None, problem, cards }
}

/// Bytes that may still be allocated without paging, in Metal's own estimate.
pub(super) fn free(device: &candle_core::Device) -> Option<u64> {
    let device = device.as_metal_device().ok()?.metal_device();
    let used = device.current_allocated_size();
    Some(device.recommended_max_working_set_size().saturating_sub(used) as u64)
}
