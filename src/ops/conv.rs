//! 2-D convolution with folded bias and fused activation, in NHWC.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

/// What follows a convolution, applied per output channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, else `slope[channel] * x`.
    PRelu(Vec<f32>),
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
    /// Output height and width for an input height and width.
    pub fn output(&self, height: usize, width: usize) -> (usize, usize) {
        let side = |n: usize, k: usize, a: usize, b: usize| (n + a + b - k) / self.stride + 1;
        let [top, left, bottom, right] = self.pad;
        (side(height, self.kernel[0], top, bottom), side(width, self.kernel[1], left, right))
    }
}

/// A convolution ready to run: weights packed for the device at load time.
#[derive(Debug, Clone)]
pub struct Conv2d {
    shape: ConvShape,
    /// `[kernel_y][kernel_x][cin / groups][cout]`
    weight: Vec<f32>,
    bias: Vec<f32>,
    activation: Activation,
}

impl Conv2d {
    /// Packs a convolution.
    ///
    /// `weight` is in the order of ONNX and PyTorch, `(cout, cin / groups, kernel_y, kernel_x)`; `bias` has `cout` values.
    ///
    /// # Errors
    /// When a length does not fit the shape.
    pub fn new(shape: ConvShape, weight: &[f32], bias: &[f32], activation: Activation) -> candle_core::Result<Self> {
        let per_group = shape.cin / shape.groups;
        let [ky, kx] = shape.kernel;
        if weight.len() != shape.cout * per_group * ky * kx || bias.len() != shape.cout {
            candle_core::bail!("conv {shape:?}: {} weights and {} biases do not fit", weight.len(), bias.len());
        }
        let mut packed = vec![0.0; weight.len()];
        for o in 0..shape.cout {
            for i in 0..per_group {
                for p in 0..ky * kx {
                    packed[(p * per_group + i) * shape.cout + o] = weight[(o * per_group + i) * ky * kx + p];
                }
            }
        }
        Ok(Conv2d { shape, weight: packed, bias: bias.to_vec(), activation })
    }

    /// The geometry.
    pub fn shape(&self) -> ConvShape {
        self.shape
    }

    /// `activation(conv(x) + bias)`: `(n, h, w, cin)` to `(n, h', w', cout)`.
    ///
    /// # Errors
    /// When `x` is not contiguous f32 with `cin` channels.
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        x.contiguous()?.apply_op1_no_bwd(self)
    }
}

impl CustomOp1 for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d_nhwc"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        if c != self.shape.cin {
            candle_core::bail!("conv2d_nhwc: {} input channels expected, got {:?}", self.shape.cin, layout.shape());
        }
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("conv2d_nhwc: a contiguous input expected");
        };
        let x = &storage.as_slice::<f32>()?[start..end];
        let (oh, ow) = self.shape.output(h, w);
        let mut y = vec![0f32; n * oh * ow * self.shape.cout];
        self.plain(x, (n, h, w), &mut y);
        Ok((CpuStorage::F32(y), Shape::from((n, oh, ow, self.shape.cout))))
    }
}

impl Conv2d {
    /// The reference: every output is a sum over kernel rows, kernel columns and input channels, in that order.
    fn plain(&self, x: &[f32], (n, h, w): (usize, usize, usize), y: &mut [f32]) {
        let ConvShape { cin, cout, kernel: [ky, kx], stride, pad, groups } = self.shape;
        let (oh, ow) = self.shape.output(h, w);
        let per_group = cin / groups;
        for (index, out) in y.chunks_exact_mut(cout).enumerate() {
            let (b, oy, ox) = (index / (oh * ow), index / ow % oh, index % ow);
            debug_assert!(b < n);
            out.copy_from_slice(&self.bias);
            for dy in 0..ky {
                let Some(iy) = (oy * stride + dy).checked_sub(pad[0]).filter(|&v| v < h) else { continue };
                for dx in 0..kx {
                    let Some(ix) = (ox * stride + dx).checked_sub(pad[1]).filter(|&v| v < w) else { continue };
                    let pixel = &x[((b * h + iy) * w + ix) * cin..][..cin];
                    for i in 0..per_group {
                        let weights = &self.weight[((dy * kx + dx) * per_group + i) * cout..][..cout];
                        for (o, (out, &k)) in out.iter_mut().zip(weights).enumerate() {
                            let v = if groups == 1 { pixel[i] } else { pixel[o] };
                            *out = v.mul_add(k, *out);
                        }
                    }
                }
            }
            match &self.activation {
                Activation::None => {}
                Activation::Relu => out.iter_mut().for_each(|v| *v = v.max(0.0)),
                Activation::PRelu(slope) => {
                    out.iter_mut().zip(slope).for_each(|(v, &s)| *v = if *v > 0.0 { *v } else { s * *v });
                }
            }
        }
    }
}
