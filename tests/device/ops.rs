//! Convolutions as composed for a device, elementwise operations and pools, in every type that the device computes in, on
//! random inputs. References are the CPU's own operations.

use candle_core::{DType, Device, Tensor};
use chehra::ops::{
    Activation, ChannelMap, Conv2d, ConvShape, Parameters, Precision, affine, global_avg_pool, max_pool2,
    scale_channels, scale_channels_add, sigmoid, subsample, upsample2_add,
};

/// What a device computes in, and the share of the largest value that this may cost.
fn precisions(device: &Device) -> &'static [(Precision, f32)] {
    match device.is_cpu() {
        true => &[(Precision::F32, 1e-5)],
        false => &[(Precision::F32, 1e-5), (Precision::F16, 2e-3), (Precision::Bf16, 2e-2)],
    }
}

pub fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

pub fn tensor(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values(seed, shape.iter().product()), shape, &Device::Cpu).unwrap()
}

pub fn flat(x: &Tensor) -> Vec<f32> {
    let x = x.to_device(&Device::Cpu).unwrap().to_dtype(DType::F32).unwrap();
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn close(what: &str, found: &Tensor, expected: &Tensor, share: f32) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (flat(found), flat(expected));
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() <= share * largest, "{what}: {a} for {b}, largest {largest}");
    }
}

/// Dense, strided, pointwise and depthwise, with each activation, with and without a residual.
pub fn convolutions(device: &Device) {
    let cases = [
        ([3, 3], 1, [1; 4], 1, 9, 7, 12, 20),
        ([3, 3], 2, [1; 4], 1, 8, 9, 5, 3),
        ([3, 3], 2, [0, 0, 1, 1], 1, 8, 8, 3, 16),
        ([1, 1], 1, [0; 4], 1, 5, 6, 33, 17),
        ([1, 1], 2, [0; 4], 1, 7, 7, 8, 8),
        ([3, 3], 1, [1; 4], 24, 7, 5, 24, 24),
        ([7, 7], 1, [0; 4], 9, 7, 7, 9, 9),
    ];
    for (seed, (kernel, stride, pad, groups, h, w, cin, cout)) in cases.into_iter().enumerate() {
        let seed = seed as u64 * 100;
        let shape = ConvShape { cin, cout, kernel, stride, pad, groups };
        let weight = values(seed + 1, cout * cin / groups * kernel[0] * kernel[1]);
        let (bias, x) = (values(seed + 2, cout), tensor(seed + 3, &[3, h, w, cin]));
        let (oh, ow) = shape.output(h, w);
        let residual = tensor(seed + 4, &[3, oh, ow, cout]);
        for activation in [Activation::None, Activation::Relu, Activation::PRelu(values(seed + 5, cout))] {
            let reference = Conv2d::new(shape, &weight, &bias, activation.clone()).unwrap();
            let (plain, added) = (reference.forward(&x).unwrap(), reference.forward_add(&x, &residual).unwrap());
            for &(precision, share) in precisions(device) {
                let conv = Conv2d::composed(
                    shape,
                    Parameters { weight: &weight, bias: &bias },
                    activation.clone(),
                    precision,
                    device,
                )
                .unwrap();
                let (x, residual) = (x.to_device(device).unwrap(), residual.to_device(device).unwrap());
                let what = format!("{shape:?} {activation:?} {precision:?}");
                close(&what, &conv.forward(&x).unwrap(), &plain, share);
                close(&what, &conv.forward_add(&x, &residual).unwrap(), &added, share);
                assert!(conv.forward(&x.narrow(3, 0, cin - 1).unwrap()).is_err(), "{what}");
            }
        }
    }
}

/// One each.
pub fn elementwise_operations_and_pools(device: &Device) {
    let (x, small, factors) = (tensor(1, &[2, 6, 10, 7]), tensor(2, &[2, 3, 5, 7]), tensor(3, &[2, 1, 1, 7]));
    let (scale, shift) = (values(4, 7), values(5, 7));
    let map = |_: &Device| ChannelMap::new(scale.clone(), shift.clone());
    type Op<'a> = (&'a str, Box<dyn Fn(&Device, &[Tensor; 3]) -> candle_core::Result<Tensor> + 'a>);
    let ops: [Op<'_>; 9] = [
        ("affine", Box::new(|_, [x, ..]| affine(x, &scale, &shift))),
        ("channel map", Box::new(|device, [x, ..]| map(device).forward(x))),
        ("scale_channels", Box::new(|_, [x, _, factors]| scale_channels(x, factors))),
        ("scale_channels_add", Box::new(|_, [x, _, factors]| scale_channels_add(x, factors, x))),
        ("sigmoid", Box::new(|_, [x, ..]| sigmoid(x))),
        ("upsample2_add", Box::new(|_, [x, small, _]| upsample2_add(small, x))),
        ("max_pool2", Box::new(|_, [x, ..]| max_pool2(x))),
        ("global_avg_pool", Box::new(|_, [x, ..]| global_avg_pool(x))),
        ("subsample", Box::new(|_, [x, ..]| subsample(x, 3))),
    ];
    for (name, op) in &ops {
        let expected = op(&Device::Cpu, &[x.clone(), small.clone(), factors.clone()]).unwrap();
        for &(precision, share) in precisions(device) {
            let dtype = match precision {
                Precision::F32 => DType::F32,
                Precision::F16 => DType::F16,
                Precision::Bf16 => DType::BF16,
                Precision::Bf16x3 => continue,
            };
            let own = [&x, &small, &factors].map(|t| t.to_device(device).unwrap().to_dtype(dtype).unwrap());
            close(&format!("{name} {precision:?}"), &op(device, &own).unwrap(), &expected, share);
        }
    }
}
