//! Stands in for `device/cuda.rs` in a binary built without it.

use super::survey::Survey;

/// Whether this binary can use CUDA.
pub(super) const BUILT: bool = false;

/// Says that it cannot.
pub(super) fn open(_: usize) -> Result<candle_core::Device, (String, String)> {
    let found = "this binary was built without CUDA (feature 'cuda')".to_owned();
    Err((found, "use --device cpu or auto, or build it with the CUDA toolkit: see docs/gpu.md".to_owned()))
}

/// Unknown.
pub(super) fn integer_peak(_: usize) -> Option<f64> {
    None
}

/// Nothing.
pub(super) fn survey() -> Survey {
    Survey::default()
}

/// No device of this kind is ever open.
pub(super) fn free(_: &candle_core::Device) -> Option<u64> {
    None
}
