//! Stands in for `device/metal.rs` in a binary built without it.

use super::survey::Survey;

/// Whether this binary can use Metal.
pub(super) const BUILT: bool = false;

/// Says that it cannot.
pub(super) fn open(_: usize) -> Result<candle_core::Device, (String, String)> {
    let found = "this binary was built without Metal (feature 'metal')".to_owned();
    Err((found, "use --device cpu or auto, or build it with --features metal on a Mac: see docs/gpu.md".to_owned()))
}

/// Nothing.
pub(super) fn survey() -> Survey {
    Survey::default()
}

/// No device of this kind is ever open.
pub(super) fn free(_: &candle_core::Device) -> Option<u64> {
    None
}

/// See `free`.
pub(super) fn number(registered: usize) -> usize {
    registered
}
