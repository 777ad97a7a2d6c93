//! Convolutions in parts, elementwise operations, pooling.

use candle_core::{Device, Tensor};
use chehra::ops::params::ConvParams;
use chehra::ops::{
    Activation, Conv2d, ConvShape, affine, global_avg_pool, max_pool2, scale_channels, sigmoid, subsample,
    upsample2_add,
};
use half::{bf16, f16};

use super::shim::{Number, Shim, dialects};
use super::{Noise, worst};

type Im2col<T> = unsafe extern "C" fn(*const T, *mut T, *const ConvParams);
type BiasAct<T> = unsafe extern "C" fn(*const T, *const f32, *const f32, *const T, *mut T, i32, i32, i32, i64);
type Depthwise<T> =
    unsafe extern "C" fn(*const T, *const f32, *const f32, *const f32, *const T, *mut T, *const ConvParams);
type Affine<T> = unsafe extern "C" fn(*const T, *const f32, *const f32, *mut T, i32, i64);
type Scale<T> = unsafe extern "C" fn(*const T, *const T, *mut T, i32, i32, i64);
type Sigmoid<T> = unsafe extern "C" fn(*const T, *mut T, i64);
type Upsample<T> = unsafe extern "C" fn(*const T, *const T, *mut T, i32, i32, i32, i64);
type Pool<T> = unsafe extern "C" fn(*const T, *mut T, i32, i32, i32, i32);
type Subsample<T> = unsafe extern "C" fn(*const T, *mut T, i32, i32, i32, i32, i32);
type Mean<T> = unsafe extern "C" fn(*const T, *mut T, i32, i32, i32);

/// Values as their type holds them.
fn held<T: Number>(values: &[f32]) -> (Vec<T>, Vec<f32>) {
    let held: Vec<T> = values.iter().map(|&v| T::of(v)).collect();
    let back = held.iter().map(|v| v.value()).collect();
    (held, back)
}

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

fn values(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn close<T: Number>(shim: &Shim, op: &str, found: &[T], expected: &[f32], slack: f32) {
    let found: Vec<f32> = found.iter().map(|v| v.value()).collect();
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    let (off, allowed) = (worst(&found, expected), largest * (T::EPSILON + slack));
    assert!(off <= allowed, "{} {op} {}: off by {off}, {allowed} allowed", shim.dialect, T::SUFFIX);
}

/// Kernel, stride, padding, height, width, cin, cout.
type Conv = ([usize; 2], usize, [usize; 4], usize, usize, usize, usize);

const CONVS: [Conv; 5] = [
    ([3, 3], 1, [1; 4], 7, 5, 3, 8),
    ([3, 3], 2, [1; 4], 9, 8, 5, 7),
    ([3, 3], 2, [0, 0, 1, 1], 8, 8, 4, 6),
    ([1, 1], 1, [0; 4], 6, 7, 9, 5),
    ([1, 1], 2, [0; 4], 7, 7, 6, 3),
];

fn activations(noise: &mut Noise, cout: usize) -> [(Activation, i32); 3] {
    [(Activation::None, 0), (Activation::Relu, 1), (Activation::PRelu(noise.floats(cout)), 2)]
}

fn slopes(activation: &Activation) -> &[f32] {
    match activation {
        Activation::PRelu(slope) => slope,
        _ => &[0.0],
    }
}

/// Patches, a plain matrix product, bias and activation: together a convolution.
fn check_dense<T: Number>() {
    let mut noise = Noise(11);
    for (kernel, stride, pad, h, w, cin, cout) in CONVS {
        for (activation, code) in activations(&mut noise, cout) {
            let n = 2;
            let shape = ConvShape { cin, cout, kernel, stride, pad, groups: 1 };
            let (oh, ow) = shape.output(h, w);
            let (x, x_held) = held::<T>(&noise.floats(n * h * w * cin));
            let weight = noise.floats(cout * cin * kernel[0] * kernel[1]);
            let (bias, (residual, residual_held)) = (noise.floats(cout), held::<T>(&noise.floats(n * oh * ow * cout)));
            let conv = Conv2d::new(shape, &weight, &bias, activation.clone()).unwrap();
            let input = tensor(&x_held, &[n, h, w, cin]);
            let plain = values(&conv.forward(&input).unwrap());
            let added = values(&conv.forward_add(&input, &tensor(&residual_held, &[n, oh, ow, cout])).unwrap());
            for shim in dialects() {
                let Some(im2col) = shim.of::<T, Im2col<T>>("im2col") else { continue };
                let p = ConvParams {
                    n: n as i32,
                    height: h as i32,
                    width: w as i32,
                    channels: cin as i32,
                    out_height: oh as i32,
                    out_width: ow as i32,
                    kernel_y: kernel[0] as i32,
                    kernel_x: kernel[1] as i32,
                    stride: stride as i32,
                    pad_top: pad[0] as i32,
                    pad_left: pad[1] as i32,
                    ..ConvParams::default()
                };
                let patch = kernel[0] * kernel[1] * cin;
                let mut rows = vec![T::of(f32::NAN); n * oh * ow * patch];
                // SAFETY: sizes as the parameters say.
                unsafe { im2col(x.as_ptr(), rows.as_mut_ptr(), &p) };
                let product: Vec<f32> = rows
                    .chunks_exact(patch)
                    .flat_map(|row| {
                        let weight = &weight;
                        (0..cout).map(move |o| {
                            let taps = row.iter().enumerate().map(|(at, v)| {
                                let (tap, i) = (at / cin, at % cin);
                                v.value() * weight[(o * cin + i) * kernel[0] * kernel[1] + tap]
                            });
                            taps.sum::<f32>()
                        })
                    })
                    .collect();
                let (product, _) = held::<T>(&product);
                let bias_act = shim.of::<T, BiasAct<T>>("bias_act").unwrap();
                for (with, expected) in [(0, &plain), (1, &added)] {
                    let mut found = vec![T::of(f32::NAN); product.len()];
                    let count = product.len() as i64;
                    let slope = slopes(&activation);
                    // SAFETY: as above.
                    unsafe {
                        bias_act(
                            product.as_ptr(),
                            bias.as_ptr(),
                            slope.as_ptr(),
                            residual.as_ptr(),
                            found.as_mut_ptr(),
                            cout as i32,
                            code,
                            with,
                            count,
                        );
                    }
                    close(shim, "im2col and bias_act", &found, expected, 1e-5 + T::EPSILON);
                }
            }
        }
    }
}

#[test]
fn dense_convolutions_are_those_of_the_cpu() {
    check_dense::<f32>();
    check_dense::<f16>();
    check_dense::<bf16>();
}

fn check_depthwise<T: Number>() {
    let mut noise = Noise(12);
    for (kernel, stride, pad, h, w, c) in [
        ([3, 3], 1, [1; 4], 7, 5, 3),
        ([3, 3], 2, [1; 4], 9, 8, 33),
        ([3, 3], 2, [0, 0, 1, 1], 8, 8, 4),
        ([7, 7], 1, [0; 4], 7, 7, 5),
    ] {
        for (activation, code) in activations(&mut noise, c) {
            let n = 3;
            let shape = ConvShape { cin: c, cout: c, kernel, stride, pad, groups: c };
            let (oh, ow) = shape.output(h, w);
            let (x, x_held) = held::<T>(&noise.floats(n * h * w * c));
            let (weight, bias) = (noise.floats(c * kernel[0] * kernel[1]), noise.floats(c));
            let (residual, residual_held) = held::<T>(&noise.floats(n * oh * ow * c));
            let conv = Conv2d::new(shape, &weight, &bias, activation.clone()).unwrap();
            let input = tensor(&x_held, &[n, h, w, c]);
            let expected = values(&conv.forward_add(&input, &tensor(&residual_held, &[n, oh, ow, c])).unwrap());
            let taps = kernel[0] * kernel[1];
            let turned: Vec<f32> = (0..taps * c).map(|at| weight[at % c * taps + at / c]).collect();
            for shim in dialects() {
                let Some(run) = shim.of::<T, Depthwise<T>>("depthwise") else { continue };
                let p = ConvParams {
                    n: n as i32,
                    height: h as i32,
                    width: w as i32,
                    channels: c as i32,
                    out_height: oh as i32,
                    out_width: ow as i32,
                    kernel_y: kernel[0] as i32,
                    kernel_x: kernel[1] as i32,
                    stride: stride as i32,
                    pad_top: pad[0] as i32,
                    pad_left: pad[1] as i32,
                    activation: code,
                    residual: 1,
                };
                let mut found = vec![T::of(f32::NAN); expected.len()];
                let slope = slopes(&activation);
                // SAFETY: sizes as the parameters say.
                unsafe {
                    run(
                        x.as_ptr(),
                        turned.as_ptr(),
                        bias.as_ptr(),
                        slope.as_ptr(),
                        residual.as_ptr(),
                        found.as_mut_ptr(),
                        &p,
                    );
                }
                close(shim, "depthwise", &found, &expected, 0.0);
            }
        }
    }
}

/// In f32 to the last bit: the order of arithmetic is the CPU's.
#[test]
fn depthwise_convolutions_are_those_of_the_cpu() {
    check_depthwise::<f32>();
    check_depthwise::<f16>();
    check_depthwise::<bf16>();
}

fn check_elements<T: Number>() {
    let mut noise = Noise(13);
    let (n, h, w, c) = (2usize, 6usize, 8usize, 5usize);
    let count = n * h * w * c;
    let (x, x_held) = held::<T>(&noise.floats(count));
    let input = tensor(&x_held, &[n, h, w, c]);
    let (scale, shift) = (noise.floats(c), noise.floats(c));
    let (factors, factors_held) = held::<T>(&noise.floats(n * c));
    let (small, small_held) = held::<T>(&noise.floats(count / 4));
    let affine = values(&affine(&input, &scale, &shift).unwrap());
    let scaled = values(&scale_channels(&input, &tensor(&factors_held, &[n, 1, 1, c])).unwrap());
    let logistic = values(&sigmoid(&input).unwrap());
    let summed = values(&upsample2_add(&tensor(&small_held, &[n, h / 2, w / 2, c]), &input).unwrap());
    let [ni, hi, wi, ci] = [n, h, w, c].map(|v| v as i32);
    for shim in dialects() {
        let Some(run) = shim.of::<T, Affine<T>>("affine") else { continue };
        let mut y = vec![T::of(f32::NAN); count];
        // SAFETY: here and below, sizes as the arguments say.
        unsafe { run(x.as_ptr(), scale.as_ptr(), shift.as_ptr(), y.as_mut_ptr(), ci, count as i64) };
        close(shim, "affine", &y, &affine, 0.0);
        let run = shim.of::<T, Scale<T>>("scale_channels").unwrap();
        // SAFETY: see above.
        unsafe { run(x.as_ptr(), factors.as_ptr(), y.as_mut_ptr(), hi * wi, ci, count as i64) };
        close(shim, "scale_channels", &y, &scaled, 0.0);
        let run = shim.of::<T, Sigmoid<T>>("sigmoid").unwrap();
        // SAFETY: see above.
        unsafe { run(x.as_ptr(), y.as_mut_ptr(), count as i64) };
        close(shim, "sigmoid", &y, &logistic, 1e-6);
        let run = shim.of::<T, Upsample<T>>("upsample2_add").unwrap();
        // SAFETY: see above.
        unsafe { run(small.as_ptr(), x.as_ptr(), y.as_mut_ptr(), hi / 2, wi / 2, ci, count as i64) };
        close(shim, "upsample2_add", &y, &summed, 0.0);
        let _ = ni;
    }
}

#[test]
fn elementwise_operations_are_those_of_the_cpu() {
    check_elements::<f32>();
    check_elements::<f16>();
    check_elements::<bf16>();
}

fn check_pools<T: Number>() {
    let mut noise = Noise(14);
    for (n, h, w, c) in [(2usize, 7usize, 9usize, 5usize), (1, 2, 2, 1), (3, 4, 6, 33)] {
        let (x, x_held) = held::<T>(&noise.floats(n * h * w * c));
        let input = tensor(&x_held, &[n, h, w, c]);
        let pooled = values(&max_pool2(&input).unwrap());
        let mean = values(&global_avg_pool(&input).unwrap());
        let [ni, hi, wi, ci] = [n, h, w, c].map(|v| v as i32);
        for shim in dialects() {
            let Some(run) = shim.of::<T, Pool<T>>("max_pool2") else { continue };
            let mut y = vec![T::of(f32::NAN); pooled.len()];
            // SAFETY: here and below, sizes as the arguments say.
            unsafe { run(x.as_ptr(), y.as_mut_ptr(), ni, hi, wi, ci) };
            close(shim, "max_pool2", &y, &pooled, 0.0);
            let run = shim.of::<T, Mean<T>>("global_avg_pool").unwrap();
            let mut y = vec![T::of(f32::NAN); mean.len()];
            // SAFETY: see above.
            unsafe { run(x.as_ptr(), y.as_mut_ptr(), ni, hi * wi, ci) };
            close(shim, "global_avg_pool", &y, &mean, 0.0);
            for step in [1, 2, 3] {
                let expected = values(&subsample(&input, step).unwrap());
                let run = shim.of::<T, Subsample<T>>("subsample").unwrap();
                let mut y = vec![T::of(f32::NAN); expected.len()];
                // SAFETY: see above.
                unsafe { run(x.as_ptr(), y.as_mut_ptr(), ni, hi, wi, ci, step as i32) };
                close(shim, "subsample", &y, &expected, 0.0);
            }
        }
    }
}

#[test]
fn pooling_is_that_of_the_cpu() {
    check_pools::<f32>();
    check_pools::<f16>();
    check_pools::<bf16>();
}
