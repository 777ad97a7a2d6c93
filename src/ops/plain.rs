//! The plain reference of the convolutions, to which every fast path is held.

use std::borrow::Cow;

use half::{bf16, f16};

use super::spec::{Activation, ConvShape, Precision};

/// The reference: the definition, one output element after the other.
#[derive(Debug, Clone)]
pub(super) struct Plain {
    pub(super) shape: ConvShape,
    /// `(cout, cin / groups, kernel_y, kernel_x)`
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) activation: Activation,
}

/// The sum of two bf16 that stands for a value: sixteen significant bits of it.
fn split(value: f32) -> f32 {
    let high = bf16::from_f32(value).to_f32();
    high + bf16::from_f32(value - high).to_f32()
}

/// The values as a precision holds them.
pub(super) fn rounded(values: &[f32], precision: Precision) -> Cow<'_, [f32]> {
    match precision {
        Precision::F32 => values.into(),
        Precision::F16 => values.iter().map(|&v| f16::from_f32(v).to_f32()).collect(),
        Precision::Bf16 => values.iter().map(|&v| bf16::from_f32(v).to_f32()).collect(),
        Precision::Bf16x3 => values.iter().map(|&v| split(v)).collect(),
    }
}

impl Plain {
    /// Every output is a sum from the bias over kernel rows, kernel columns and input channels, in that order, each
    /// step rounded once; padding is zeros like any others.
    pub(super) fn forward(&self, x: &[f32], [_, h, w]: [usize; 3], residual: Option<&[f32]>, y: &mut [f32]) {
        let ConvShape { cin, cout, kernel: [ky, kx], stride, pad, groups } = self.shape;
        let (oh, ow) = self.shape.output(h, w);
        let per_group = cin / groups;
        for (index, out) in y.iter_mut().enumerate() {
            let (o, ox, oy, b) = (index % cout, index / cout % ow, index / cout / ow % oh, index / cout / ow / oh);
            let mut sum = self.bias[o];
            for dy in 0..ky {
                let iy = (oy * stride + dy).checked_sub(pad[0]).filter(|&v| v < h);
                for dx in 0..kx {
                    let ix = (ox * stride + dx).checked_sub(pad[1]).filter(|&v| v < w);
                    for i in 0..per_group {
                        let channel = if groups == 1 { i } else { o };
                        let v = match (iy, ix) {
                            (Some(iy), Some(ix)) => x[((b * h + iy) * w + ix) * cin + channel],
                            _ => 0.0,
                        };
                        sum = v.mul_add(self.weight[((o * per_group + i) * ky + dy) * kx + dx], sum);
                    }
                }
            }
            let sum = match &self.activation {
                Activation::None => sum,
                Activation::Relu => {
                    if sum > 0.0 {
                        sum
                    } else {
                        0.0
                    }
                }
                Activation::PRelu(slope) => {
                    if sum > 0.0 {
                        sum
                    } else {
                        slope[o] * sum
                    }
                }
            };
            *out = sum + residual.map_or(-0.0, |r| r[index]);
        }
    }
}
