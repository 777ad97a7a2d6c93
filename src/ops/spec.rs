//! What a convolution is, whoever computes it: geometry, activation, precision, and what it costs.

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{Result, bail};

/// What follows a convolution, applied per output channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `x` where positive, else zero.
    Relu,
    /// `x` where positive, else `slope[channel] * x`.
    PRelu(Vec<f32>),
}

/// In what the factors of a convolution are kept. Sums are f32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Every instruction set gives the same bits.
    #[default]
    F32,
    /// Weights and inputs are rounded to eight significant bits, twice the speed. The same bits for any batch and
    /// thread count on one machine, but other machines may round the sums otherwise. Depthwise convolutions, which
    /// memory bounds, and pictures of fewer than eight channels stay in f32 (or split, see [`Precision::Bf16x3`]).
    Bf16,
    /// Each factor is the sum of two bf16, and three of the four products are summed: sixteen significant bits at a third of
    /// the rate of bf16 on AMX, which is several times that of f32. Where there is no AMX, f32 is faster and exact, so it is
    /// not there. The same bits for any batch and thread count on one machine.
    Bf16x3,
    /// Weights and activations are rounded to eleven significant bits. GPUs alone.
    F16,
}

/// What a convolution has learnt.
#[derive(Debug, Clone, Copy)]
pub struct Parameters<'a> {
    /// In the order of ONNX and PyTorch: `(cout, cin / groups, kernel_y, kernel_x)`.
    pub weight: &'a [f32],
    /// `(cout)`.
    pub bias: &'a [f32],
}

/// The geometry of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Input channels.
    pub cin: usize,
    /// Output channels.
    pub cout: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Stride in both directions.
    pub stride: usize,
    /// Zero padding: top, left, bottom, right.
    pub pad: [usize; 4],
    /// 1 (dense) or `cin` (depthwise, `cout == cin`).
    pub groups: usize,
}

impl ConvShape {
    /// Output height and width for an input height and width, which with the padding hold at least one kernel.
    pub fn output(&self, height: usize, width: usize) -> (usize, usize) {
        let side = |n: usize, k: usize, a: usize, b: usize| (n + a + b - k) / self.stride + 1;
        let [top, left, bottom, right] = self.pad;
        (side(height, self.kernel[0], top, bottom), side(width, self.kernel[1], left, right))
    }

    /// Multiply-adds for one image, padded taps included.
    pub fn multiply_adds(&self, height: usize, width: usize) -> usize {
        let (oh, ow) = self.output(height, width);
        oh * ow * self.cout * self.cin / self.groups * self.kernel[0] * self.kernel[1]
    }

    pub(super) fn check(&self, parameters: Parameters, activation: &Activation) -> Result<()> {
        let Parameters { weight, bias } = parameters;
        let ConvShape { cin, cout, kernel: [ky, kx], stride, groups, .. } = *self;
        if [cin, cout, ky, kx, stride].contains(&0) {
            bail!("conv2d {self:?}: expected channels, kernel and stride of at least 1");
        }
        if groups != 1 && (groups != cin || cout != cin) {
            bail!("conv2d {self:?}: expected groups of 1, or of cin with cout equal to cin");
        }
        let expected = cout * (cin / groups) * ky * kx;
        if weight.len() != expected || bias.len() != cout {
            let (w, b) = (weight.len(), bias.len());
            bail!("conv2d {self:?}: expected {expected} weights and {cout} biases, got {w} and {b}");
        }
        if let Activation::PRelu(slope) = activation
            && slope.len() != cout
        {
            bail!("conv2d {self:?}: expected {cout} slopes, got {}", slope.len());
        }
        Ok(())
    }
}

/// Multiply-adds of all convolutions of this process so far.
pub(super) static MULTIPLY_ADDS: AtomicU64 = AtomicU64::new(0);

/// How many multiply-adds the convolutions of this process have done: what a benchmark holds against the clock.
pub fn multiply_adds() -> u64 {
    MULTIPLY_ADDS.load(Ordering::Relaxed)
}
