//! What is done to each element: per-channel factors, the sum of two scales, the logistic function.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Device, Layout, Result, Shape, Tensor, bail};

use super::check;
use super::cpu::{Isa, Loop};
use super::gpu::{self, Card};

/// `y + small`, each pixel of `small` repeated 2x2: `(n, h, w, c)` and `(n, 2h, 2w, c)` to the latter.
///
/// The step from a coarse to a finer level of a feature pyramid.
///
/// # Errors
/// When an input is not contiguous f32 in NHWC or is empty, or `y` is not twice as high and wide.
pub fn upsample2_add(small: &Tensor, y: &Tensor) -> Result<Tensor> {
    match y.device() {
        Device::Cpu => small.apply_op2_no_bwd(y, &Upsample2Add),
        device => gpu::network::upsample2_add(&Card::of(device)?, small, y),
    }
}

/// `x * s` with one factor per image and channel (squeeze and excite): `(n, h, w, c)` and `(n, 1, 1, c)`.
///
/// # Errors
/// When an input is not contiguous f32 in NHWC or is empty, or `s` has another shape.
pub fn scale_channels(x: &Tensor, s: &Tensor) -> Result<Tensor> {
    match x.device() {
        Device::Cpu => x.apply_op2_no_bwd(s, &ScaleChannels),
        device => gpu::network::scale_channels(&Card::of(device)?, x, s, None),
    }
}

/// `base + x * s` with two roundings, and one factor per image and channel: a squeeze-and-excite block with its shortcut.
/// `(n, h, w, c)`, `(n, 1, 1, c)` and `(n, h, w, c)`.
///
/// # Errors
/// When an input is not contiguous f32 in NHWC or is empty, or `s` or `base` has another shape.
pub fn scale_channels_add(x: &Tensor, s: &Tensor, base: &Tensor) -> Result<Tensor> {
    match x.device() {
        Device::Cpu => x.apply_op3_no_bwd(s, base, &ScaleChannelsAdd),
        device => gpu::network::scale_channels(&Card::of(device)?, x, s, Some(base)),
    }
}

/// The same numbers in another type. On a GPU by our own kernel: candle's would be compiled anew by the driver in every process.
pub(super) fn cast(x: &Tensor, dtype: DType) -> Result<Tensor> {
    match x.device() {
        Device::Cpu => x.to_dtype(dtype),
        device => gpu::network::cast(&Card::of(device)?, x, dtype),
    }
}

/// `x * scale + shift` with one rounding and one pair per channel: a normalisation that no convolution could take in.
///
/// # Errors
/// When `x` is not contiguous f32 in NHWC or is empty, or `scale` and `shift` have not one value per channel.
pub fn affine(x: &Tensor, scale: &[f32], shift: &[f32]) -> Result<Tensor> {
    match x.device() {
        Device::Cpu => x.apply_op1_no_bwd(&Affine { scale, shift }),
        device => gpu::network::affine(&Card::of(device)?, x, &factors(scale, shift, device)?),
    }
}

/// An [`affine`] that is applied again and again: its factors stay on the device where they were first needed.
#[derive(Debug)]
pub struct ChannelMap {
    scale: Vec<f32>,
    shift: Vec<f32>,
    kept: OnceLock<Tensor>,
}

impl ChannelMap {
    /// From one factor and one term per channel.
    pub fn new(scale: Vec<f32>, shift: Vec<f32>) -> Self {
        ChannelMap { scale, shift, kept: OnceLock::new() }
    }

    /// As [`affine`].
    ///
    /// # Errors
    /// As [`affine`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let device = x.device();
        if device.is_cpu() {
            return affine(x, &self.scale, &self.shift);
        }
        let kept = match self.kept.get() {
            Some(kept) if kept.device().same_device(device) => kept.clone(),
            _ => {
                let both = factors(&self.scale, &self.shift, device)?;
                self.kept.get_or_init(|| both.clone());
                both
            }
        };
        gpu::network::affine(&Card::of(device)?, x, &kept)
    }
}

/// Factors and terms as a GPU takes them, `(2, channels)`.
fn factors(scale: &[f32], shift: &[f32], device: &Device) -> Result<Tensor> {
    if scale.len() != shift.len() {
        bail!("affine: {} factors and {} terms", scale.len(), shift.len());
    }
    Tensor::from_vec([scale, shift].concat(), (2, scale.len()), device)
}

/// The logistic function `1 / (1 + exp(-x))` of each element, for any shape.
///
/// # Errors
/// When `x` is not contiguous f32.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    match x.device() {
        Device::Cpu => x.apply_op1_no_bwd(&Sigmoid),
        device => gpu::network::sigmoid(&Card::of(device)?, x),
    }
}

struct Upsample2Add;

impl CustomOp2 for Upsample2Add {
    fn name(&self) -> &'static str {
        "upsample2_add"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (small, [n, h, w, c]) = check::nhwc("upsample2_add", s1, l1)?;
        let large = check::same_shape("upsample2_add", s2, l2, &[n, 2 * h, 2 * w, c])?;
        let mut y = Vec::with_capacity(large.len());
        Isa::current()?.run(UpsampleLoop { small, large, sides: [w, c], y: &mut y });
        Ok((CpuStorage::F32(y), l2.shape().clone()))
    }
}

struct UpsampleLoop<'a> {
    small: &'a [f32],
    large: &'a [f32],
    sides: [usize; 2],
    y: &'a mut Vec<f32>,
}

impl Loop for UpsampleLoop<'_> {
    #[inline(always)]
    fn run(self) {
        let [w, c] = self.sides;
        for (small, rows) in self.small.chunks_exact(w * c).zip(self.large.chunks_exact(4 * w * c)) {
            for row in rows.chunks_exact(2 * w * c) {
                for (a, pair) in small.chunks_exact(c).zip(row.chunks_exact(2 * c)) {
                    let (left, right) = pair.split_at(c);
                    self.y.extend(left.iter().zip(a).map(|(y, a)| y + a));
                    self.y.extend(right.iter().zip(a).map(|(y, a)| y + a));
                }
            }
        }
    }
}

struct ScaleChannels;

impl CustomOp2 for ScaleChannels {
    fn name(&self) -> &'static str {
        "scale_channels"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, [n, h, w, c]) = check::nhwc("scale_channels", s1, l1)?;
        let scale = check::same_shape("scale_channels", s2, l2, &[n, 1, 1, c])?;
        let mut y = Vec::with_capacity(x.len());
        Isa::current()?.run(ScaleLoop { x, scale, sides: [h * w, c], y: &mut y });
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }
}

struct ScaleLoop<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    sides: [usize; 2],
    y: &'a mut Vec<f32>,
}

impl Loop for ScaleLoop<'_> {
    #[inline(always)]
    fn run(self) {
        let [pixels, c] = self.sides;
        for (image, scale) in self.x.chunks_exact(pixels * c).zip(self.scale.chunks_exact(c)) {
            for pixel in image.chunks_exact(c) {
                self.y.extend(pixel.iter().zip(scale).map(|(x, s)| x * s));
            }
        }
    }
}

struct ScaleChannelsAdd;

impl CustomOp3 for ScaleChannelsAdd {
    fn name(&self) -> &'static str {
        "scale_channels_add"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, [n, h, w, c]) = check::nhwc("scale_channels_add", s1, l1)?;
        let scale = check::same_shape("scale_channels_add", s2, l2, &[n, 1, 1, c])?;
        let base = check::same_shape("scale_channels_add", s3, l3, &[n, h, w, c])?;
        let mut y = Vec::with_capacity(x.len());
        Isa::current()?.run(ScaleAddLoop { x, scale, base, sides: [h * w, c], y: &mut y });
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }
}

struct ScaleAddLoop<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    base: &'a [f32],
    sides: [usize; 2],
    y: &'a mut Vec<f32>,
}

impl Loop for ScaleAddLoop<'_> {
    #[inline(always)]
    fn run(self) {
        let [pixels, c] = self.sides;
        let images = self.x.chunks_exact(pixels * c).zip(self.base.chunks_exact(pixels * c));
        for ((image, base), scale) in images.zip(self.scale.chunks_exact(c)) {
            for (pixel, base) in image.chunks_exact(c).zip(base.chunks_exact(c)) {
                self.y.extend(pixel.iter().zip(scale).zip(base).map(|((x, s), base)| base + x * s));
            }
        }
    }
}

struct Affine<'a> {
    scale: &'a [f32],
    shift: &'a [f32],
}

impl CustomOp1 for Affine<'_> {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, [.., c]) = check::nhwc("affine", storage, layout)?;
        let Affine { scale, shift } = *self;
        if scale.len() != c || shift.len() != c {
            let (a, b) = (scale.len(), shift.len());
            bail!("affine: expected {c} factors and {c} terms for {:?}, got {a} and {b}", layout.shape());
        }
        let mut y = Vec::with_capacity(x.len());
        Isa::current()?.run(AffineLoop { x, scale, shift, y: &mut y });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }
}

struct AffineLoop<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    y: &'a mut Vec<f32>,
}

impl Loop for AffineLoop<'_> {
    #[inline(always)]
    fn run(self) {
        for pixel in self.x.chunks_exact(self.scale.len()) {
            self.y.extend(pixel.iter().zip(self.scale).zip(self.shift).map(|((x, &a), &b)| x.mul_add(a, b)));
        }
    }
}

struct Sigmoid;

impl CustomOp1 for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = check::slice("sigmoid", storage, layout)?;
        let y = x.iter().map(|&x| 1.0 / (1.0 + (-x).exp())).collect();
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }
}
