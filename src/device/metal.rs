//! Apple GPUs.

use std::panic::catch_unwind;

use super::{Card, Survey};

/// Whether this binary can use Metal.
pub(super) const BUILT: bool = true;

/// Opens GPU number N.
pub(super) fn open(number: usize) -> Result<candle_core::Device, (String, String)> {
    let fix = || "use --device cpu or auto, or list what is there with `chehra devices`".to_owned();
    let cards = survey().cards.len();
    if number >= cards {
        return Err((format!("Metal lists {cards} GPUs"), fix()));
    }
    match catch_unwind(|| candle_core::Device::new_metal(number)) {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(error)) => Err((format!("Metal cannot open this GPU: {error}"), fix())),
        Err(_) => Err(("Metal cannot open this GPU (see the message above)".to_owned(), fix())),
    }
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
