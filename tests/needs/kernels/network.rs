//! Convolutions in parts, elementwise operations, pooling.

use candle_core::{DType, Device, Tensor};
use chehra::ops::gpu::network::{self, Following};
use chehra::ops::params::ConvParams;
use chehra::ops::{
    Activation, Conv2d, ConvShape, affine, global_avg_pool, max_pool2, scale_channels, scale_channels_add, sigmoid,
    subsample, upsample2_add,
};

use super::shim::{TYPES, cards};
use super::{Noise, floats, worst};

/// Random values as a type holds them: in it, and in f32 as the CPU computes.
fn held(noise: &mut Noise, dtype: DType, shape: &[usize]) -> (Tensor, Tensor) {
    let values = noise.floats(shape.iter().product());
    let held = Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    let back = held.to_dtype(DType::F32).unwrap();
    (held, back)
}

fn close(what: &str, found: &Tensor, expected: &Tensor, share: f32) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (floats(found), floats(expected));
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    let (off, allowed) = (worst(&found, &expected), largest * share);
    assert!(off <= allowed, "{what}: off by {off}, {allowed} allowed");
}

/// Kernel, stride, padding, height, width, cin, cout.
type Conv = ([usize; 2], usize, [usize; 4], usize, usize, usize, usize);

// Channels in eights and others: kernels take eight at a time where they can.
const DENSE: [Conv; 6] = [
    ([3, 3], 1, [1; 4], 7, 5, 3, 8),
    ([3, 3], 2, [1; 4], 9, 8, 5, 7),
    ([3, 3], 2, [0, 0, 1, 1], 8, 8, 4, 6),
    ([1, 1], 1, [0; 4], 6, 7, 9, 5),
    ([1, 1], 2, [0; 4], 7, 7, 6, 3),
    ([3, 3], 2, [1; 4], 7, 9, 16, 24),
];
const DEPTHWISE: [Conv; 5] = [
    ([3, 3], 1, [1; 4], 7, 5, 3, 3),
    ([3, 3], 2, [1; 4], 9, 8, 33, 33),
    ([3, 3], 2, [0, 0, 1, 1], 8, 8, 4, 4),
    ([7, 7], 1, [0; 4], 7, 7, 5, 5),
    ([3, 3], 1, [1; 4], 6, 5, 24, 24),
];

fn activations(noise: &mut Noise, cout: usize) -> [(Activation, i32); 3] {
    [(Activation::None, 0), (Activation::Relu, 1), (Activation::PRelu(noise.floats(cout)), 2)]
}

/// One convolution: what goes in, what comes out of the CPU's own, and what follows the products.
struct Case {
    shape: ConvShape,
    params: ConvParams,
    x: Tensor,
    residual: Tensor,
    weight: Vec<f32>,
    bias: Tensor,
    slope: Tensor,
    activation: i32,
    plain: Tensor,
    added: Tensor,
}

impl Case {
    fn all(noise: &mut Noise, dtype: DType, conv: Conv, depthwise: bool) -> Vec<Case> {
        let (kernel, stride, pad, h, w, cin, cout) = conv;
        let shape = ConvShape { cin, cout, kernel, stride, pad, groups: if depthwise { cin } else { 1 } };
        let (n, (oh, ow)) = (3, shape.output(h, w));
        let [ky, kx] = kernel;
        let params = ConvParams {
            n: n as i32,
            height: h as i32,
            width: w as i32,
            channels: cin as i32,
            out_height: oh as i32,
            out_width: ow as i32,
            kernel_y: ky as i32,
            kernel_x: kx as i32,
            stride: stride as i32,
            pad_top: pad[0] as i32,
            pad_left: pad[1] as i32,
            ..ConvParams::default()
        };
        let mut case = |(kind, activation): (Activation, i32)| {
            let (x, x_held) = held(noise, dtype, &[n, h, w, cin]);
            let (residual, residual_held) = held(noise, dtype, &[n, oh, ow, cout]);
            let (weight, bias) = (noise.floats(cout * cin / shape.groups * ky * kx), noise.floats(cout));
            let reference = Conv2d::new(shape, &weight, &bias, kind.clone()).unwrap();
            let plain = reference.forward(&x_held).unwrap();
            let added = reference.forward_add(&x_held, &residual_held).unwrap();
            let slope = match kind {
                Activation::PRelu(slope) => slope,
                _ => vec![0.0],
            };
            let [bias, slope] = [bias, slope].map(|v| Tensor::new(v, &Device::Cpu).unwrap());
            Case { shape, params, x, residual, weight, bias, slope, activation, plain, added }
        };
        activations(&mut Noise(77), cout).into_iter().map(&mut case).collect()
    }

    fn following(&self) -> Following<'_> {
        Following { bias: &self.bias, slope: &self.slope, activation: self.activation }
    }

    /// `(kernel * cin, cout)` of weights in the order of ONNX.
    fn matrix(&self) -> Tensor {
        let ConvShape { cin, cout, kernel: [ky, kx], .. } = self.shape;
        let weight = Tensor::from_slice(&self.weight, (cout, cin, ky * kx), &Device::Cpu).unwrap();
        weight.permute((2, 1, 0)).unwrap().contiguous().unwrap().reshape((ky * kx * cin, cout)).unwrap()
    }
}

/// Patches, a plain matrix product, bias and activation: together a convolution.
pub fn dense_convolutions_are_those_of_the_cpu() {
    let mut noise = Noise(11);
    for (dtype, epsilon) in TYPES {
        for case in DENSE.into_iter().flat_map(|conv| Case::all(&mut noise, dtype, conv, false)) {
            for (dialect, card) in cards() {
                let what = format!("{dialect} {dtype:?} {:?}", case.shape);
                let rows = network::im2col(&card, &case.x, case.params).unwrap();
                let product = rows.to_dtype(DType::F32).unwrap().matmul(&case.matrix()).unwrap();
                let product = product.to_dtype(dtype).unwrap();
                let residual = case.residual.reshape(product.dims()).unwrap();
                for (residual, expected) in [(None, &case.plain), (Some(&residual), &case.added)] {
                    let found = network::bias_act(&card, &product, residual, &case.following()).unwrap();
                    close(&what, &found.reshape(expected.dims()).unwrap(), expected, 1e-5 + 2.0 * epsilon);
                }
                let wrong = ConvParams { channels: case.params.channels + 1, ..case.params };
                assert!(network::im2col(&card, &case.x, wrong).is_err(), "{what}: other channels");
                assert!(network::bias_act(&card, &rows, None, &case.following()).is_err(), "{what}: few biases");
            }
        }
    }
}

/// In f32 to the last bit: the order of arithmetic is the CPU's.
pub fn depthwise_convolutions_are_those_of_the_cpu() {
    let mut noise = Noise(12);
    for (dtype, epsilon) in TYPES {
        for case in DEPTHWISE.into_iter().flat_map(|conv| Case::all(&mut noise, dtype, conv, true)) {
            let (c, taps) = (case.shape.cin, case.weight.len() / case.shape.cin);
            let weight = Tensor::from_slice(&case.weight, (c, taps), &Device::Cpu).unwrap();
            let weight = weight.t().unwrap().contiguous().unwrap();
            for (dialect, card) in cards() {
                let what = format!("{dialect} {dtype:?} {:?}", case.shape);
                for (residual, expected) in [(None, &case.plain), (Some(&case.residual), &case.added)] {
                    let follow = case.following();
                    let found = network::depthwise(&card, (&case.x, residual), &weight, &follow, case.params).unwrap();
                    close(&what, &found, expected, epsilon);
                }
                let few = weight.narrow(0, 0, taps - 1).unwrap();
                let refused = network::depthwise(&card, (&case.x, None), &few, &case.following(), case.params);
                assert!(refused.is_err(), "{what}: few weights");
            }
        }
    }
}

pub fn elementwise_operations_are_those_of_the_cpu() {
    let mut noise = Noise(13);
    // Of more than one block of threads, and of less.
    for ([n, h, w, c], (dtype, epsilon)) in [[2usize, 6, 8, 5], [1, 2, 2, 1], [3, 2, 10, 17], [2, 4, 6, 16]]
        .into_iter()
        .flat_map(|shape| TYPES.map(|of| (shape, of)))
    {
        let (x, x_held) = held(&mut noise, dtype, &[n, h, w, c]);
        let (factors, factors_held) = held(&mut noise, dtype, &[n, 1, 1, c]);
        let (base, base_held) = held(&mut noise, dtype, &[n, h, w, c]);
        let (small, small_held) = held(&mut noise, dtype, &[n, h / 2, w / 2, c]);
        let (scale, shift) = (noise.floats(c), noise.floats(c));
        let both = Tensor::from_vec([scale.clone(), shift.clone()].concat(), (2, c), &Device::Cpu).unwrap();
        for (dialect, card) in cards() {
            let what = |op: &str| format!("{dialect} {op} {dtype:?}");
            let found = network::affine(&card, &x, &both).unwrap();
            close(&what("affine"), &found, &affine(&x_held, &scale, &shift).unwrap(), epsilon);
            let found = network::scale_channels(&card, &x, &factors, None).unwrap();
            close(&what("scale_channels"), &found, &scale_channels(&x_held, &factors_held).unwrap(), epsilon);
            let found = network::scale_channels(&card, &x, &factors, Some(&base)).unwrap();
            let expected = scale_channels_add(&x_held, &factors_held, &base_held).unwrap();
            close(&what("scale_channels_add"), &found, &expected, epsilon);
            assert!(network::scale_channels(&card, &x, &factors, Some(&small)).is_err());
            for (other, _) in TYPES {
                let found = network::cast(&card, &x, other).unwrap();
                assert_eq!(found.dtype(), other);
                close(&what("cast"), &found, &x.to_dtype(other).unwrap(), 0.0);
            }
            assert!(network::cast(&card, &x, DType::U8).is_err());
            let found = network::sigmoid(&card, &x).unwrap();
            close(&what("sigmoid"), &found, &sigmoid(&x_held).unwrap(), epsilon + 1e-6);
            let found = network::upsample2_add(&card, &small, &x).unwrap();
            close(&what("upsample2_add"), &found, &upsample2_add(&small_held, &x_held).unwrap(), epsilon);
            assert!(network::upsample2_add(&card, &x, &small).is_err());
            assert!(network::scale_channels(&card, &small, &x, None).is_err());
            assert!(network::affine(&card, &x, &both.narrow(0, 0, 1).unwrap()).is_err());
            // Part of a larger tensor, from its middle, is read from where it begins.
            if n > 1 {
                let part = |x: &Tensor| x.narrow(0, 1, n - 1).unwrap();
                let found = network::affine(&card, &part(&x), &both).unwrap();
                close(&what("part"), &found, &affine(&part(&x_held), &scale, &shift).unwrap(), epsilon);
            }
            if c > 1 {
                assert!(network::sigmoid(&card, &x.narrow(3, 0, 1).unwrap()).is_err(), "{}", what("strided"));
            }
        }
    }
}

pub fn pooling_is_that_of_the_cpu() {
    let mut noise = Noise(14);
    for (shape, (dtype, epsilon)) in
        [[2usize, 7, 9, 5], [1, 2, 2, 1], [3, 4, 6, 33]].into_iter().flat_map(|shape| TYPES.map(|of| (shape, of)))
    {
        let (x, x_held) = held(&mut noise, dtype, &shape);
        for (dialect, card) in cards() {
            let what = |op: &str| format!("{dialect} {op} {dtype:?} {shape:?}");
            let found = network::max_pool2(&card, &x).unwrap();
            close(&what("max_pool2"), &found, &max_pool2(&x_held).unwrap(), 0.0);
            let found = network::global_avg_pool(&card, &x).unwrap();
            close(&what("global_avg_pool"), &found, &global_avg_pool(&x_held).unwrap(), epsilon);
            for step in [1, 2, 3] {
                let found = network::subsample(&card, &x, step).unwrap();
                close(&what("subsample"), &found, &subsample(&x_held, step).unwrap(), 0.0);
            }
            assert!(network::subsample(&card, &x, 0).is_err());
            assert!(network::max_pool2(&card, &x.narrow(1, 0, 1).unwrap().contiguous().unwrap()).is_err());
        }
    }
}
