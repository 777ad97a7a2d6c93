//! The operations the networks are made of, one trait method per device, each held to a plain reference.
//!
//! Every activation tensor is f32 in NHWC order: `(batch, height, width, channels)`. Channels last makes a 1x1
//! convolution a matrix product and lets every other operation run along contiguous channels.

pub mod conv;

pub use conv::{Activation, Conv2d, ConvShape};
