//! Layers read by name: the weights of a convolution, its batch-norm folded in, its slopes, packed for `ops`.
//!
//! What runs between the convolutions is in `ops` too. Every operation there treats each picture of a batch by itself
//! and in a fixed order of arithmetic, so a picture alone gives the same bits as in any batch.

use candle_core::{Device, Tensor};

use crate::Result;
use crate::nn::fold::{Affine, Linear};
use crate::nn::weights::{WeightMap, WeightStore};
use crate::ops::{Activation, Conv2d, ConvShape, Precision};

/// Stride, padding and grouping of a convolution; the rest is in the shape of its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    stride: usize,
    /// Top, left, bottom, right.
    pad: [usize; 4],
    depthwise: bool,
}

impl Geometry {
    /// One channel mix per pixel.
    pub const POINTWISE: Geometry = Geometry::dense(1, 0);

    /// Every output channel sees every input channel; `pad` zeros on each side.
    pub const fn dense(stride: usize, pad: usize) -> Self {
        Geometry { stride, pad: [pad; 4], depthwise: false }
    }

    /// Every channel is filtered by itself; `pad` zeros on each side.
    pub const fn depthwise(stride: usize, pad: usize) -> Self {
        Geometry { stride, pad: [pad; 4], depthwise: true }
    }

    /// The same with TensorFlow's "SAME" padding for a 3x3 kernel at stride 2 on even sides: zeros below and to the
    /// right only.
    pub const fn same_stride_2(self) -> Self {
        Geometry { stride: 2, pad: [0, 0, 1, 1], ..self }
    }
}

/// Reads layers by name.
pub struct Layers<'a> {
    weights: &'a WeightMap,
    precision: Precision,
    device: &'a Device,
    narrow: bool,
}

impl<'a> Layers<'a> {
    /// Over the tensors of one file, for convolutions of the precision and on the device of their store.
    pub fn new(weights: &'a WeightMap, store: &'a WeightStore) -> Self {
        Layers { weights, precision: store.precision(), device: store.device(), narrow: false }
    }

    /// The same, for networks whose maps may lie in bf16 between the layers: everything between two convolutions takes them.
    #[must_use]
    pub fn narrow(self) -> Self {
        Layers { narrow: self.precision == Precision::Bf16, ..self }
    }

    /// Packs a layer that has been read for where it will run.
    ///
    /// # Errors
    /// When the lengths do not fit.
    pub fn pack(&self, shape: ConvShape, linear: &Linear, activation: Activation) -> Result<Conv2d> {
        let conv = Conv2d::on_device(shape, linear.parameters(), activation, self.precision, self.device)?;
        Ok(if self.narrow { conv.narrow() } else { conv })
    }

    /// A fully connected layer: `(n, 1, 1, cin)` to `(n, 1, 1, cout)`. In f32, for its result is the template itself or the
    /// score; only where a CPU multiplies tiles its factors are rounded as everywhere: reading them is what it costs.
    ///
    /// # Errors
    /// When the lengths do not fit.
    pub fn dense(&self, cin: usize, linear: &Linear, activation: Activation) -> Result<Conv2d> {
        let shape = ConvShape { cin, cout: linear.bias.len(), kernel: [1, 1], stride: 1, pad: [0; 4], groups: 1 };
        let on_tiles = self.device.is_cpu() && Precision::Bf16x3.is_supported();
        let precision = if on_tiles { self.precision } else { Precision::F32 };
        Ok(Conv2d::on_device(shape, linear.parameters(), activation, precision, self.device)?)
    }

    /// The tensors.
    pub fn weights(&self) -> &'a WeightMap {
        self.weights
    }

    /// The convolution `NAME.weight` with its `NAME.bias`, where it has one, for `cin` input channels.
    ///
    /// # Errors
    /// When it is missing or made for another number of channels.
    pub fn linear(&self, name: &str, cin: usize, geometry: Geometry) -> Result<(ConvShape, Linear)> {
        let weight_name = format!("{name}.weight");
        let weight = self.weights.get(&weight_name)?;
        let &[cout, per_group, ky, kx] = weight.shape.as_slice() else {
            let found = format!("{:?}", weight.shape);
            return Err(self.weights.refuse(&weight_name, "(cout, cin / groups, height, width)", found));
        };
        let groups = if geometry.depthwise { cin } else { 1 };
        if per_group * groups != cin || (geometry.depthwise && cout != cin) || cout * ky * kx == 0 {
            let expected = format!("a kernel for {cin} channels in {groups} groups");
            return Err(self.weights.refuse(&weight_name, expected, format!("{:?}", weight.shape)));
        }
        let bias_name = format!("{name}.bias");
        let bias = match self.weights.has(&bias_name) {
            true => self.weights.vector(&bias_name, cout)?.to_vec(),
            false => vec![0.0; cout],
        };
        let shape = ConvShape { cin, cout, kernel: [ky, kx], stride: geometry.stride, pad: geometry.pad, groups };
        Ok((shape, Linear { weight: weight.values.clone(), bias }))
    }

    /// The convolution `NAME` with what follows it.
    ///
    /// # Errors
    /// As [`Layers::linear`].
    pub fn conv(&self, name: &str, cin: usize, geometry: Geometry, activation: Activation) -> Result<Conv2d> {
        let (shape, linear) = self.linear(name, cin, geometry)?;
        self.pack(shape, &linear, activation)
    }

    /// The convolution `NAME.conv`, its batch-norm `NAME.bn` folded in where there is one, and the slopes of
    /// `NAME.prelu` where there are some.
    ///
    /// # Errors
    /// As [`Layers::linear`].
    pub fn unit(&self, name: &str, cin: usize, geometry: Geometry) -> Result<Conv2d> {
        let (shape, linear) = self.unit_linear(name, cin, geometry)?;
        self.pack(shape, &linear, self.prelu(name, shape.cout)?)
    }

    /// [`Layers::unit`] before it is packed, for a first layer whose channels are still to be turned round.
    ///
    /// # Errors
    /// As [`Layers::linear`].
    pub fn unit_linear(&self, name: &str, cin: usize, geometry: Geometry) -> Result<(ConvShape, Linear)> {
        let (shape, linear) = self.linear(&format!("{name}.conv"), cin, geometry)?;
        Ok((shape, self.normed(&format!("{name}.bn"), linear)?))
    }

    /// A layer with the batch-norm that follows it, where there is one, folded in.
    ///
    /// # Errors
    /// When the batch-norm is incomplete or of another width.
    pub fn normed(&self, name: &str, linear: Linear) -> Result<Linear> {
        if !self.weights.has(&format!("{name}.running_var")) {
            return Ok(linear);
        }
        Ok(linear.clone().then(&Affine::batch_norm(self.weights, name, linear.bias.len())?))
    }

    /// The slopes of `NAME.prelu`, or no activation.
    ///
    /// # Errors
    /// When they are of another width.
    pub fn prelu(&self, name: &str, cout: usize) -> Result<Activation> {
        let name = format!("{name}.prelu.weight");
        match self.weights.has(&name) {
            true => Ok(Activation::PRelu(self.weights.vector(&name, cout)?.to_vec())),
            false => Ok(Activation::None),
        }
    }
}

/// Columns of a fully connected layer from channel-by-channel order (ONNX and PyTorch flatten `(channels, height,
/// width)`) to pixel-by-pixel order (`(height, width, channels)`).
#[must_use]
pub fn pixel_order(mut linear: Linear, channels: usize) -> Linear {
    let row = linear.weight.len() / linear.bias.len();
    let area = row / channels;
    for weights in linear.weight.chunks_exact_mut(row) {
        let old = weights.to_vec();
        for (pixel, columns) in weights.chunks_exact_mut(channels).enumerate() {
            columns.iter_mut().enumerate().for_each(|(channel, w)| *w = old[channel * area + pixel]);
        }
    }
    linear
}

/// The weights of a first layer trained on blue, green, red for input in red, green, blue.
#[must_use]
pub fn swap_red_and_blue(shape: ConvShape, mut linear: Linear) -> Linear {
    let area = shape.kernel[0] * shape.kernel[1];
    for kernel in linear.weight.chunks_exact_mut(3 * area) {
        let (blue, rest) = kernel.split_at_mut(area);
        blue.swap_with_slice(&mut rest[area..]);
    }
    linear
}

/// `(n, c)` from `(n, 1, 1, c)`.
///
/// # Errors
/// When a picture has more than one pixel.
pub fn squeeze(x: &Tensor) -> Result<Tensor> {
    Ok(x.squeeze(1)?.squeeze(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattened_columns_change_order() {
        // Two channels of a 1x3 map, one output.
        let linear = Linear { weight: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], bias: vec![0.0] };
        assert_eq!(pixel_order(linear, 2).weight, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }

    #[test]
    fn only_red_and_blue_change_places() {
        let shape = ConvShape { cin: 3, cout: 2, kernel: [1, 2], stride: 1, pad: [0; 4], groups: 1 };
        let linear = Linear { weight: (0..12).map(|i| i as f32).collect(), bias: vec![0.0; 2] };
        let swapped = swap_red_and_blue(shape, linear).weight;
        assert_eq!(swapped, [4.0, 5.0, 2.0, 3.0, 0.0, 1.0, 10.0, 11.0, 8.0, 9.0, 6.0, 7.0]);
    }
}
