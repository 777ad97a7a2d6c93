//! The operations the networks are made of, one trait method per device, each held to a plain reference.
//!
//! Every activation tensor is f32 (on a GPU also f16 or bf16, on AMX tiles also bf16) in NHWC order:
//! `(batch, height, width, channels)`. Channels last makes a 1x1 convolution a matrix product and lets every other
//! operation run along contiguous channels. Inputs are contiguous and not empty; anything else is an error that names
//! the operation, what it expected and what it got, because a silent copy in the middle of a network would be a cost
//! that nobody sees.

pub mod chain;
pub(crate) mod check;
pub mod conv;
pub mod cpu;
pub mod gpu;
mod on_device;
pub mod params;
mod plain;
pub mod pointwise;
pub mod pool;
mod spec;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use chain::{Chain, Layer};
pub use conv::Conv2d;
pub use pointwise::{ChannelMap, affine, scale_channels, scale_channels_add, sigmoid, upsample2_add};
pub use pool::{global_avg_pool, max_pool2, subsample};
pub use spec::{Activation, ConvShape, Parameters, Precision, multiply_adds};
