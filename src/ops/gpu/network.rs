//! What networks are made of: elementwise operations, pooling, and the parts of a convolution.
//!
//! Tensors are f32, f16 or bf16; arithmetic is f32, and each element is rounded once, when it leaves.

use candle_core::{DType, Result, Tensor, bail};

use super::{Arg, Card, File, Grid, Held, suffix, tensor};
use crate::ops::check;
use crate::ops::params::ConvParams;

/// Neighbouring channels that one thread gives, where the channels are a multiple: `LANES` of `kernels/core/network.h`.
const LANES: usize = 8;

/// As many threads as a kernel needs that works on [`LANES`] channels at once where it can.
fn lanes(count: usize, channels: usize) -> Result<Grid> {
    Grid::elements(if channels.is_multiple_of(LANES) { count / LANES } else { count })
}

/// `x * scale + shift` per channel; `factors` is `(2, channels)`, f32.
///
/// # Errors
/// When a shape or type is another; the driver's.
pub fn affine(card: &Card, x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let [.., c] = check::sides("affine", x.layout())?;
    if factors.dims() != [2, c] || factors.dtype() != DType::F32 {
        bail!("affine: expected (2, {c}) factors, got {:?}, {:?}", factors.shape(), factors.dtype());
    }
    let count = x.elem_count();
    let (channels, total) = (c as i32, count as i64);
    let mut y = card.room(x.dtype(), count)?;
    card.launch(
        File::Pointwise,
        &entry("affine", x)?,
        lanes(count, c)?,
        &mut [
            Held::of("affine", x)?.arg(),
            Held::of("affine", factors)?.arg(),
            Held::of("affine", factors)?.arg_from(c),
            Arg::Out(&mut y),
            Arg::value(&channels),
            Arg::value(&total),
        ],
    )?;
    Ok(tensor(y, x.shape()))
}

/// `x` times one factor per image and channel, and `base` added where there is one.
///
/// # Errors
/// When a shape or type is another; the driver's.
pub fn scale_channels(card: &Card, x: &Tensor, scale: &Tensor, base: Option<&Tensor>) -> Result<Tensor> {
    let [n, h, w, c] = check::sides("scale_channels", x.layout())?;
    check::dims("scale_channels", scale.layout(), &[n, 1, 1, c])?;
    same_type("scale_channels", x, scale)?;
    let added = added("scale_channels", x, base, &[n, h, w, c])?;
    let count = x.elem_count();
    let (pixels, channels, total) = ((h * w) as i32, c as i32, count as i64);
    let has_base = i32::from(base.is_some());
    let mut y = card.room(x.dtype(), count)?;
    card.launch(
        File::Pointwise,
        &entry("scale_channels", x)?,
        Grid::elements(count)?,
        &mut [
            Held::of("scale_channels", x)?.arg(),
            Held::of("scale_channels", scale)?.arg(),
            Held::of("scale_channels", added)?.arg(),
            Arg::Out(&mut y),
            Arg::value(&pixels),
            Arg::value(&channels),
            Arg::value(&has_base),
            Arg::value(&total),
        ],
    )?;
    Ok(tensor(y, x.shape()))
}

/// The same numbers as f32, f16 or bf16; each rounded once.
///
/// # Errors
/// When a type is another; the driver's.
pub fn cast(card: &Card, x: &Tensor, dtype: DType) -> Result<Tensor> {
    if x.dtype() == dtype {
        return Ok(x.clone());
    }
    let name = match (x.dtype(), dtype) {
        (DType::F32, to) => format!("from_f32_{}", suffix("cast", to)?),
        (from, DType::F32) => format!("to_f32_{}", suffix("cast", from)?),
        _ => return cast(card, &cast(card, x, DType::F32)?, dtype),
    };
    let count = x.elem_count();
    let total = count as i64;
    let mut y = card.room(dtype, count)?;
    card.launch(
        File::Pointwise,
        &name,
        Grid::elements(count)?,
        &mut [Held::of("cast", x)?.arg(), Arg::Out(&mut y), Arg::value(&total)],
    )?;
    Ok(tensor(y, x.shape()))
}

/// The logistic function.
///
/// # Errors
/// When a shape or type is another; the driver's.
pub fn sigmoid(card: &Card, x: &Tensor) -> Result<Tensor> {
    let count = x.elem_count();
    let total = count as i64;
    let mut y = card.room(x.dtype(), count)?;
    card.launch(
        File::Pointwise,
        &entry("sigmoid", x)?,
        Grid::elements(count)?,
        &mut [Held::of("sigmoid", x)?.arg(), Arg::Out(&mut y), Arg::value(&total)],
    )?;
    Ok(tensor(y, x.shape()))
}

/// The second input and the first, each pixel repeated 2x2.
///
/// # Errors
/// When a shape or type is another; the driver's.
pub fn upsample2_add(card: &Card, small: &Tensor, x: &Tensor) -> Result<Tensor> {
    let [n, h, w, c] = check::sides("upsample2_add", small.layout())?;
    check::dims("upsample2_add", x.layout(), &[n, 2 * h, 2 * w, c])?;
    same_type("upsample2_add", small, x)?;
    let count = x.elem_count();
    let (height, width, channels, total) = (h as i32, w as i32, c as i32, count as i64);
    let mut y = card.room(x.dtype(), count)?;
    card.launch(
        File::Pointwise,
        &entry("upsample2_add", x)?,
        Grid::elements(count)?,
        &mut [
            Held::of("upsample2_add", small)?.arg(),
            Held::of("upsample2_add", x)?.arg(),
            Arg::Out(&mut y),
            Arg::value(&height),
            Arg::value(&width),
            Arg::value(&channels),
            Arg::value(&total),
        ],
    )?;
    Ok(tensor(y, x.shape()))
}

/// The largest of each 2x2.
///
/// # Errors
/// When a shape or type is another; the driver's.
pub fn max_pool2(card: &Card, x: &Tensor) -> Result<Tensor> {
    let [n, h, w, c] = check::sides("max_pool2", x.layout())?;
    if h < 2 || w < 2 {
        bail!("max_pool2: expected height and width of at least 2, got {:?}", x.shape());
    }
    let count = n * (h / 2) * (w / 2) * c;
    let [ni, hi, wi, ci] = [n, h, w, c].map(|v| v as i32);
    let mut y = card.room(x.dtype(), count)?;
    card.launch(
        File::Pool,
        &entry("max_pool2", x)?,
        Grid::elements(count)?,
        &mut [
            Held::of("max_pool2", x)?.arg(),
            Arg::Out(&mut y),
            Arg::value(&ni),
            Arg::value(&hi),
            Arg::value(&wi),
            Arg::value(&ci),
        ],
    )?;
    Ok(tensor(y, (n, h / 2, w / 2, c)))
}

/// Every so many rows and columns.
///
/// # Errors
/// When a shape or type is another, or `step` is 0; the driver's.
pub fn subsample(card: &Card, x: &Tensor, step: usize) -> Result<Tensor> {
    let [n, h, w, c] = check::sides("subsample", x.layout())?;
    if step == 0 {
        bail!("subsample: expected a step of at least 1, got 0");
    }
    let (oh, ow) = (h.div_ceil(step), w.div_ceil(step));
    let [ni, hi, wi, ci, si] = [n, h, w, c, step].map(|v| v as i32);
    let mut y = card.room(x.dtype(), n * oh * ow * c)?;
    card.launch(
        File::Pool,
        &entry("subsample", x)?,
        Grid::elements(n * oh * ow * c)?,
        &mut [
            Held::of("subsample", x)?.arg(),
            Arg::Out(&mut y),
            Arg::value(&ni),
            Arg::value(&hi),
            Arg::value(&wi),
            Arg::value(&ci),
            Arg::value(&si),
        ],
    )?;
    Ok(tensor(y, (n, oh, ow, c)))
}

/// The mean over all pixels.
///
/// # Errors
/// When a shape or type is another; the driver's.
pub fn global_avg_pool(card: &Card, x: &Tensor) -> Result<Tensor> {
    let [n, h, w, c] = check::sides("global_avg_pool", x.layout())?;
    let (ni, pixels, ci) = (n as i32, (h * w) as i32, c as i32);
    let mut y = card.room(x.dtype(), n * c)?;
    card.launch(
        File::Pool,
        &entry("global_avg_pool", x)?,
        Grid::elements(n * c)?,
        &mut [
            Held::of("global_avg_pool", x)?.arg(),
            Arg::Out(&mut y),
            Arg::value(&ni),
            Arg::value(&pixels),
            Arg::value(&ci),
        ],
    )?;
    Ok(tensor(y, (n, 1, 1, c)))
}

/// Rows of patches, `(patches, kernel * channels)`.
///
/// # Errors
/// When `x` is not of the shape in `p`, or of another type; the driver's.
pub fn im2col(card: &Card, x: &Tensor, p: ConvParams) -> Result<Tensor> {
    check::dims("im2col", x.layout(), &[p.n, p.height, p.width, p.channels].map(|v| v as usize))?;
    let rows = (p.n * p.out_height * p.out_width) as usize;
    let patch = (p.kernel_y * p.kernel_x * p.channels) as usize;
    let mut y = card.room(x.dtype(), rows * patch)?;
    card.launch(
        File::Conv,
        &entry("im2col", x)?,
        lanes(rows * patch, p.channels as usize)?,
        &mut [Held::of("im2col", x)?.arg(), Arg::Out(&mut y), Arg::value(&p)],
    )?;
    Ok(tensor(y, (rows, patch)))
}

/// What follows a matrix product: bias `(channels)` and slopes, f32, on the device, and the kind of activation.
#[derive(Debug, Clone, Copy)]
pub struct Following<'a> {
    /// One a channel.
    pub bias: &'a Tensor,
    /// One a channel where the activation asks for them.
    pub slope: &'a Tensor,
    /// As in [`ConvParams::activation`].
    pub activation: i32,
}

impl Following<'_> {
    fn check(&self, op: &str, channels: usize) -> Result<()> {
        let (bias, slope) = (self.bias.elem_count(), self.slope.elem_count());
        let slopes = if self.activation == 2 { channels } else { 1 };
        let floats = [self.bias, self.slope].iter().all(|t| t.dtype() == DType::F32);
        if bias != channels || slope < slopes || !floats {
            bail!("{op}: expected {channels} biases and {slopes} slopes, f32, got {bias} and {slope}");
        }
        Ok(())
    }
}

/// `activation(x + bias) + residual`, channels last.
///
/// # Errors
/// When a shape or type is another; the driver's.
pub fn bias_act(card: &Card, x: &Tensor, residual: Option<&Tensor>, f: &Following<'_>) -> Result<Tensor> {
    let Some(&c) = x.dims().last() else { bail!("bias_act: expected channels, got {:?}", x.shape()) };
    f.check("bias_act", c)?;
    let count = x.elem_count();
    let (c, total, with) = (c as i32, count as i64, i32::from(residual.is_some()));
    let added = added("bias_act", x, residual, x.dims())?;
    let mut y = card.room(x.dtype(), count)?;
    card.launch(
        File::Conv,
        &entry("bias_act", x)?,
        lanes(count, c as usize)?,
        &mut [
            Held::of("bias_act", x)?.arg(),
            Held::of("bias_act", f.bias)?.arg(),
            Held::of("bias_act", f.slope)?.arg(),
            Held::of("bias_act", added)?.arg(),
            Arg::Out(&mut y),
            Arg::value(&c),
            Arg::value(&f.activation),
            Arg::value(&with),
            Arg::value(&total),
        ],
    )?;
    Ok(tensor(y, x.shape()))
}

/// A depthwise convolution with what follows it; weights `(kernel, channels)`, f32, on the device.
///
/// # Errors
/// When a shape or type is another; the driver's.
pub fn depthwise(
    card: &Card,
    (x, residual): (&Tensor, Option<&Tensor>),
    weight: &Tensor,
    f: &Following<'_>,
    p: ConvParams,
) -> Result<Tensor> {
    let [n, h, w, c] = [p.n, p.out_height, p.out_width, p.channels].map(|v| v as usize);
    check::dims("depthwise", x.layout(), &[n, p.height as usize, p.width as usize, c])?;
    f.check("depthwise", c)?;
    let p = ConvParams { activation: f.activation, residual: i32::from(residual.is_some()), ..p };
    let taps = (p.kernel_y * p.kernel_x) as usize;
    if weight.elem_count() != taps * c || weight.dtype() != DType::F32 {
        bail!("depthwise: expected {taps} x {c} weights, f32, got {:?}, {:?}", weight.shape(), weight.dtype());
    }
    let count = n * h * w * c;
    let added = added("depthwise", x, residual, &[n, h, w, c])?;
    let mut y = card.room(x.dtype(), count)?;
    card.launch(
        File::Conv,
        &entry("depthwise", x)?,
        lanes(count, c)?,
        &mut [
            Held::of("depthwise", x)?.arg(),
            Held::of("depthwise", weight)?.arg(),
            Held::of("depthwise", f.bias)?.arg(),
            Held::of("depthwise", f.slope)?.arg(),
            Held::of("depthwise", added)?.arg(),
            Arg::Out(&mut y),
            Arg::value(&p),
        ],
    )?;
    Ok(tensor(y, (n, h, w, c)))
}

/// The name of an operation's entry for the type of `x`.
fn entry(op: &str, x: &Tensor) -> Result<String> {
    Ok(format!("{op}_{}", suffix(op, x.dtype())?))
}

fn same_type(op: &str, a: &Tensor, b: &Tensor) -> Result<()> {
    if a.dtype() != b.dtype() {
        bail!("{op}: expected a second input in {:?}, got {:?}", a.dtype(), b.dtype());
    }
    Ok(())
}

/// The residual, checked. Without one a kernel reads none, and is given its input for a pointer.
fn added<'a>(op: &str, x: &'a Tensor, residual: Option<&'a Tensor>, shape: &[usize]) -> Result<&'a Tensor> {
    let Some(residual) = residual else { return Ok(x) };
    check::dims(op, residual.layout(), shape)?;
    same_type(op, x, residual)?;
    Ok(residual)
}
