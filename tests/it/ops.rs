//! Every operation on every instruction set of this machine gives the bits of the plain reference, and the reference
//! agrees with candle's own operations and with the definition. In bf16 and with split factors, which round their sums as
//! they come, every set stays within a stated distance of it.

use candle_core::{D, DType, Device, Tensor};
use chehra::ops::cpu::Isa;
use chehra::ops::{
    Activation, Chain, Conv2d, ConvShape, Layer, Precision, affine, global_avg_pool, max_pool2, scale_channels,
    scale_channels_add, sigmoid, upsample2_add,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Values in -1..1, the same for the same seed on every machine.
fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn tensor(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values(seed, shape.iter().product()), shape, &Device::Cpu).unwrap()
}

fn bits(x: &Tensor) -> Vec<u32> {
    x.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

/// The fast instruction sets of this machine.
fn fast() -> Vec<Isa> {
    Isa::ALL.into_iter().filter(|&isa| isa != Isa::Plain && isa.is_supported()).collect()
}

#[derive(Debug, Clone)]
struct Case {
    shape: ConvShape,
    input: [usize; 3],
    /// 0 none, 1 ReLU, 2 PReLU.
    activation: u8,
    residual: bool,
}

fn square(cin: usize, cout: usize, kernel: usize, stride: usize, pad: usize) -> ConvShape {
    ConvShape { cin, cout, kernel: [kernel; 2], stride, pad: [pad; 4], groups: 1 }
}

fn depthwise(channels: usize, kernel: usize, stride: usize, pad: usize) -> ConvShape {
    ConvShape { groups: channels, ..square(channels, channels, kernel, stride, pad) }
}

fn weights(shape: ConvShape) -> (Vec<f32>, Vec<f32>) {
    let count = shape.cout * shape.cin / shape.groups * shape.kernel[0] * shape.kernel[1];
    (values(1, count), values(2, shape.cout))
}

fn conv(case: &Case) -> Conv2d {
    let (weight, bias) = weights(case.shape);
    let activation = match case.activation {
        0 => Activation::None,
        1 => Activation::Relu,
        _ => Activation::PRelu(values(3, case.shape.cout)),
    };
    Conv2d::new(case.shape, &weight, &bias, activation).unwrap()
}

fn run(case: &Case, isa: Isa) -> Tensor {
    let ([n, h, w], shape) = (case.input, case.shape);
    let x = tensor(4, &[n, h, w, shape.cin]);
    let conv = isa.with(|| conv(case)).unwrap();
    assert_eq!(conv.isa(), isa);
    if !case.residual {
        return conv.forward(&x).unwrap();
    }
    let (oh, ow) = shape.output(h, w);
    conv.forward_add(&x, &tensor(5, &[n, oh, ow, shape.cout])).unwrap()
}

/// One body for every kind of convolution: the same bits on every instruction set.
fn same_bits(case: &Case) {
    let expected = run(case, Isa::Plain);
    for isa in fast() {
        let got = run(case, isa);
        assert_eq!(got.dims(), expected.dims(), "{isa} {case:?}");
        let differ = bits(&got).iter().zip(bits(&expected)).position(|(&a, b)| a != b);
        assert_eq!(differ, None, "{isa} {case:?}: first differing element");
    }
}

fn case(shape: ConvShape, input: [usize; 3], activation: u8, residual: bool) -> Case {
    Case { shape, input, activation, residual }
}

#[test]
fn pointwise_convolutions_give_the_same_bits() {
    for (cin, cout) in [(1, 1), (13, 103), (103, 13), (52, 231), (64, 128), (512, 33), (400, 64), (1024, 48)] {
        same_bits(&case(square(cin, cout, 1, 1, 0), [2, 5, 3], 2, false));
        same_bits(&case(square(cin, cout, 1, 1, 0), [1, 7, 7], 0, true));
    }
    same_bits(&case(square(64, 96, 1, 2, 0), [2, 7, 8], 1, false));
    same_bits(&case(square(256, 32, 1, 2, 0), [2, 6, 5], 1, true));
}

#[test]
fn fully_connected_layers_give_the_same_bits() {
    same_bits(&case(square(1003, 131, 1, 1, 0), [1, 1, 1], 0, false));
    same_bits(&case(square(1536, 128, 1, 1, 0), [17, 1, 1], 0, false));
}

#[test]
fn dense_convolutions_give_the_same_bits() {
    for stride in [1, 2] {
        for (cin, cout) in [(3, 32), (16, 16), (13, 52), (64, 70), (256, 33), (512, 17)] {
            same_bits(&case(square(cin, cout, 3, stride, 1), [2, 7, 9], 2, false));
            same_bits(&case(square(cin, cout, 3, stride, 0), [1, 6, 7], 1, true));
        }
    }
    same_bits(&case(ConvShape { pad: [0, 1, 2, 3], ..square(5, 20, 3, 1, 0) }, [2, 4, 3], 0, true));
    same_bits(&case(ConvShape { kernel: [5, 2], ..square(7, 35, 3, 2, 2) }, [3, 9, 8], 0, false));
    same_bits(&case(square(64, 40, 7, 1, 0), [3, 7, 7], 0, false));
    // Wide and high enough for several bands.
    same_bits(&case(square(64, 8, 3, 1, 1), [1, 40, 120], 1, false));
    same_bits(&case(square(1100, 8, 3, 1, 1), [3, 5, 5], 1, false));
}

#[test]
fn depthwise_convolutions_give_the_same_bits() {
    for stride in [1, 2] {
        for channels in [1, 13, 16, 52, 64, 103, 231] {
            same_bits(&case(depthwise(channels, 3, stride, 1), [2, 9, 15], 2, true));
            same_bits(&case(depthwise(channels, 3, stride, 0), [1, 5, 17], 0, false));
        }
    }
    for channels in [13, 64, 199, 512] {
        same_bits(&case(depthwise(channels, 7, 1, 0), [2, 7, 7], 0, false));
        same_bits(&case(depthwise(channels, 5, 2, 2), [1, 8, 7], 1, true));
        same_bits(&case(depthwise(channels, 3, 3, 1), [1, 8, 7], 1, false));
    }
}

fn any_case() -> impl Strategy<Value = Case> {
    let kernel = (1usize..=5, 1usize..=5, 1usize..=3);
    let pad = prop::array::uniform4(0usize..=2);
    let sides = (1usize..=3, 0usize..=9, 0usize..=20);
    (kernel, pad, sides, 1usize..=70, 1usize..=70, any::<bool>(), 0u8..3, any::<bool>()).prop_map(
        |((ky, kx, stride), pad, (n, h, w), cin, cout, dense, activation, residual)| {
            let (cout, groups) = if dense { (cout, 1) } else { (cin, cin) };
            let shape = ConvShape { cin, cout, kernel: [ky, kx], stride, pad, groups };
            Case { shape, input: [n, h + ky, w + kx], activation, residual }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(6),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn any_convolution_gives_the_same_bits(case in any_case()) {
        same_bits(&case);
    }
}

#[test]
fn the_reference_agrees_with_candle() {
    for shape in [square(13, 20, 3, 2, 1), square(8, 8, 1, 1, 0), depthwise(12, 3, 1, 1)] {
        let case = case(shape, [2, 9, 9], 0, false);
        let (weight, bias) = weights(shape);
        let kernel = (shape.cout, shape.cin / shape.groups, shape.kernel[0], shape.kernel[1]);
        let kernel = Tensor::from_vec(weight, kernel, &Device::Cpu).unwrap();
        let x = tensor(4, &[2, 9, 9, shape.cin]).permute((0, 3, 1, 2)).unwrap();
        let y = x.conv2d(&kernel, shape.pad[0], shape.stride, 1, shape.groups).unwrap();
        let bias = Tensor::from_vec(bias, (1, 1, 1, shape.cout), &Device::Cpu).unwrap();
        let y = y.permute((0, 2, 3, 1)).unwrap().broadcast_add(&bias).unwrap();
        let worst = (y - run(&case, Isa::Plain)).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        assert!(worst.to_scalar::<f32>().unwrap() < 1e-5, "{shape:?}: {worst}");
    }
}

#[test]
fn a_picture_alone_gives_the_bits_it_gives_in_a_batch() {
    for shape in [square(64, 70, 1, 1, 0), square(20, 33, 3, 2, 1), depthwise(52, 3, 1, 1)] {
        let conv = conv(&case(shape, [5, 7, 7], 2, false));
        let x = tensor(4, &[5, 7, 7, shape.cin]);
        let together = conv.forward(&x).unwrap();
        for i in 0..5 {
            let alone = conv.forward(&x.narrow(0, i, 1).unwrap()).unwrap();
            assert_eq!(bits(&alone), bits(&together.narrow(0, i, 1).unwrap()), "{shape:?} {i}");
        }
    }
}

#[test]
fn neighbours_in_memory_do_not_matter() {
    // Not-a-number on either side of the input and of the residual would show in the result if it were read.
    let between = |x: &Tensor| {
        let n = x.dim(0).unwrap();
        let nan = x.affine(0.0, f64::NAN).unwrap();
        Tensor::cat(&[&nan, x, &nan], 0).unwrap().narrow(0, n, n).unwrap()
    };
    let shapes = [
        (square(13, 20, 1, 1, 0), [1, 5, 3]),
        (square(512, 33, 1, 1, 0), [1, 5, 3]),
        (square(13, 20, 3, 1, 1), [1, 5, 4]),
        (square(13, 20, 3, 2, 0), [2, 6, 5]),
        (square(9, 31, 1, 2, 0), [2, 4, 6]),
        (depthwise(13, 3, 1, 1), [1, 5, 9]),
        (depthwise(70, 3, 2, 0), [2, 6, 8]),
        (depthwise(52, 7, 1, 0), [1, 7, 7]),
    ];
    for (shape, [n, h, w]) in shapes {
        let x = tensor(4, &[n, h, w, shape.cin]);
        let (oh, ow) = shape.output(h, w);
        let residual = tensor(5, &[n, oh, ow, shape.cout]);
        for isa in fast() {
            for precision in [Precision::F32, Precision::Bf16, Precision::Bf16x3] {
                let (weight, bias) = weights(shape);
                let make = || Conv2d::with_precision(shape, &weight, &bias, Activation::Relu, precision);
                let Ok(conv) = isa.with(make).unwrap() else { continue };
                let expected = conv.forward_add(&x, &residual).unwrap();
                let got = conv.forward_add(&between(&x), &between(&residual)).unwrap();
                assert_eq!(bits(&got), bits(&expected), "{isa} {precision:?} {shape:?}");
            }
        }
    }
}

#[test]
fn threads_do_not_change_bits() {
    let conv = conv(&case(square(40, 33, 3, 1, 1), [1, 20, 20], 2, false));
    let pictures: Vec<Tensor> = (0..8).map(|i| tensor(i, &[1, 20, 20, 40])).collect();
    let alone: Vec<_> = pictures.iter().map(|x| bits(&conv.forward(x).unwrap())).collect();
    let (conv, pictures) = (&conv, &pictures);
    std::thread::scope(|scope| {
        let runs: Vec<_> = pictures.iter().map(|x| scope.spawn(move || bits(&conv.forward(x).unwrap()))).collect();
        for (run, alone) in runs.into_iter().zip(alone) {
            assert_eq!(run.join().unwrap(), alone);
        }
    });
}

#[test]
fn bf16_follows_its_reference_and_stays_near_f32() {
    let shapes = [
        (square(64, 70, 1, 1, 0), [2, 7, 7]),
        (square(103, 33, 1, 1, 0), [1, 5, 3]),
        (square(13, 52, 3, 2, 1), [2, 7, 9]),
        (square(64, 32, 3, 1, 0), [1, 6, 7]),
        (square(1024, 17, 1, 1, 0), [3, 3, 3]),
        (square(511, 40, 3, 1, 1), [2, 5, 4]),
    ];
    let near = |a: &Tensor, b: &Tensor, bound: f32| {
        let [a, b] = [a, b].map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        let error: f32 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
        let size: f32 = b.iter().map(|b| b * b).sum();
        assert!((error / size).sqrt() < bound, "relative error {}", (error / size).sqrt());
    };
    for (shape, [n, h, w]) in shapes {
        let (weight, bias) = weights(shape);
        let x = tensor(4, &[n, h, w, shape.cin]);
        let (oh, ow) = shape.output(h, w);
        let residual = tensor(5, &[n, oh, ow, shape.cout]);
        let make = |precision| {
            let slopes = Activation::PRelu(values(3, shape.cout));
            Conv2d::with_precision(shape, &weight, &bias, slopes, precision)
        };
        let run = |precision| make(precision).unwrap().forward_add(&x, &residual).unwrap();
        let (exact, rounded) = Isa::Plain.with(|| (run(Precision::F32), run(Precision::Bf16))).unwrap();
        near(&rounded, &exact, 5e-3);
        for isa in fast() {
            if isa.with(|| Precision::Bf16.is_supported()).unwrap() {
                let got = isa.with(|| run(Precision::Bf16)).unwrap();
                near(&got, &rounded, 1e-5);
                let conv = isa.with(|| make(Precision::Bf16)).unwrap().unwrap();
                let alone = conv.forward_add(&x.narrow(0, n - 1, 1).unwrap(), &residual.narrow(0, n - 1, 1).unwrap());
                assert_eq!(bits(&alone.unwrap()), bits(&got.narrow(0, n - 1, 1).unwrap()), "{isa} {shape:?}");
            } else {
                let message = isa.with(|| make(Precision::Bf16)).unwrap().unwrap_err().to_string();
                assert!(message.contains("Bf16"), "{message}");
            }
        }
    }
}

/// The relative distance of two tensors, f32 or bf16.
fn distance(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let [a, b] = [a, b].map(|t| t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap());
    let error: f32 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
    let size: f32 = b.iter().map(|b| b * b).sum();
    (error / size.max(1e-30)).sqrt()
}

/// Largest relative distance of a convolution from the reference of its own precision, whose factors are rounded alike: sums
/// are rounded elsewhere, and of split factors the product of the two small parts is left out.
fn own_reference(precision: Precision) -> f32 {
    if precision == Precision::Bf16x3 { 4e-6 } else { 1e-6 }
}

fn tiled(case: &Case, precision: Precision) -> Conv2d {
    let (weight, bias) = weights(case.shape);
    let activation = match case.activation {
        0 => Activation::None,
        1 => Activation::Relu,
        _ => Activation::PRelu(values(3, case.shape.cout)),
    };
    Conv2d::with_precision(case.shape, &weight, &bias, activation, precision).unwrap()
}

fn forward(conv: &Conv2d, case: &Case) -> Tensor {
    let ([n, h, w], shape) = (case.input, case.shape);
    let x = tensor(4, &[n, h, w, shape.cin]);
    let (oh, ow) = shape.output(h, w);
    match case.residual {
        true => conv.forward_add(&x, &tensor(5, &[n, oh, ow, shape.cout])).unwrap(),
        false => conv.forward(&x).unwrap(),
    }
}

/// Holds the tiles to the plain reference of the same precision, and to f32 by a bound that the precision promises.
fn near_reference(case: &Case) {
    if !Isa::Amx.is_supported() {
        return;
    }
    let exact = run(case, Isa::Plain);
    for (precision, bound) in [(Precision::Bf16, 6e-3), (Precision::Bf16x3, 1.5e-5)] {
        let conv = Isa::Amx.with(|| tiled(case, precision)).unwrap();
        let got = forward(&conv, case);
        // Depthwise convolutions and the first layer of a picture are more precise than asked for.
        let plain = forward(&Isa::Plain.with(|| tiled(case, conv.precision())).unwrap(), case);
        let off = distance(&got, &plain);
        assert!(off < own_reference(conv.precision()), "{precision:?} {case:?}: {off} from its reference");
        assert!(distance(&got, &exact) < bound, "{precision:?} {case:?}: {} from f32", distance(&got, &exact));
        assert!(distance(&forward(&conv.narrow(), case), &got) < 4e-3, "{precision:?} {case:?}: handed on in bf16");
    }
}

#[test]
fn tiles_follow_the_reference() {
    for (cin, cout) in [(1, 1), (3, 17), (13, 103), (103, 13), (52, 231), (64, 128), (512, 33), (400, 64), (1024, 48)] {
        near_reference(&case(square(cin, cout, 1, 1, 0), [2, 5, 3], 2, false));
        near_reference(&case(square(cin, cout, 1, 1, 0), [1, 7, 7], 0, true));
        near_reference(&case(square(cin, cout, 1, 2, 0), [3, 6, 7], 1, true));
        near_reference(&case(square(cin, cout, 3, 1, 1), [2, 7, 9], 2, false));
        near_reference(&case(square(cin, cout, 3, 2, 1), [1, 6, 7], 1, true));
    }
    near_reference(&case(square(3, 32, 3, 1, 1), [1, 112, 112], 2, false));
    near_reference(&case(square(1536, 128, 1, 1, 0), [37, 1, 1], 0, false));
    near_reference(&case(ConvShape { pad: [0, 1, 2, 3], ..square(5, 20, 3, 1, 0) }, [2, 4, 3], 0, true));
    near_reference(&case(ConvShape { kernel: [5, 2], ..square(7, 35, 3, 2, 2) }, [3, 9, 8], 0, false));
    for channels in [1, 13, 64, 103] {
        near_reference(&case(depthwise(channels, 3, 1, 1), [2, 9, 15], 2, true));
        near_reference(&case(depthwise(channels, 7, 1, 0), [2, 7, 7], 0, false));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 120,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn any_convolution_on_tiles_follows_the_reference(case in any_case()) {
        near_reference(&case);
    }
}

/// Layers for a chain: `(kernel, stride, pad, depthwise, cout)` each, on `cin` channels.
fn chain(mut cin: usize, layers: &[(usize, usize, usize, bool, usize)], precision: Precision) -> Vec<Conv2d> {
    let mut convs = Vec::new();
    for (i, &(kernel, stride, pad, dw, cout)) in layers.iter().enumerate() {
        let shape = if dw { depthwise(cin, kernel, stride, pad) } else { square(cin, cout, kernel, stride, pad) };
        convs.push(tiled(&case(shape, [1, 1, 1], (i % 3) as u8, false), precision));
        cin = shape.cout;
    }
    convs
}

#[test]
fn a_chain_gives_the_bits_of_its_layers() {
    type Layers = &'static [(usize, usize, usize, bool, usize)];
    let chains: &[(usize, [usize; 3], Layers)] = &[
        (32, [2, 12, 12], &[(3, 1, 1, true, 0), (1, 1, 0, false, 64)]),
        (13, [3, 9, 7], &[(3, 2, 1, true, 0), (1, 1, 0, false, 40)]),
        (3, [2, 64, 50], &[(3, 2, 1, false, 20), (3, 1, 1, true, 0), (1, 1, 0, false, 33)]),
        (48, [1, 120, 90], &[(1, 1, 0, false, 103), (3, 1, 1, true, 0), (1, 1, 0, false, 48)]),
        (64, [9, 14, 14], &[(1, 1, 0, false, 128), (3, 2, 1, true, 0), (1, 1, 0, false, 64)]),
        (64, [5, 7, 7], &[(1, 1, 0, false, 52), (7, 1, 0, true, 0), (1, 1, 0, false, 130)]),
        (16, [1, 160, 128], &[(1, 1, 0, false, 32), (3, 1, 1, true, 0)]),
        // A dense kernel behind another layer begins a chain of its own.
        (16, [1, 20, 20], &[(1, 1, 0, false, 32), (3, 1, 1, false, 16), (3, 1, 1, true, 0), (1, 1, 0, false, 16)]),
        // Many images of every layer, with halos that reach over bands.
        (32, [1, 200, 64], &[(3, 1, 1, true, 0), (1, 1, 0, false, 64), (3, 2, 1, true, 0), (1, 1, 0, false, 64)]),
    ];
    for &(cin, [n, h, w], layers) in chains {
        for isa in fast() {
            for precision in [Precision::F32, Precision::Bf16x3] {
                if isa.with(|| !precision.is_supported()).unwrap() {
                    continue;
                }
                let convs = isa.with(|| chain(cin, layers, precision)).unwrap();
                let x = tensor(6, &[n, h, w, cin]);
                let apart = convs.iter().fold(x.clone(), |x, conv| conv.forward(&x).unwrap());
                let whole = Chain::new(convs).unwrap();
                let together = whole.forward(&x).unwrap();
                assert_eq!(together.dims(), apart.dims());
                assert_eq!(bits(&together), bits(&apart), "{isa} {precision:?} {layers:?}");
                let residual = tensor(7, apart.dims());
                let added = whole.forward_add(&x, &residual).unwrap();
                assert_eq!(
                    bits(&added),
                    bits(&(apart + &residual).unwrap()),
                    "{isa} {precision:?} {layers:?} + residual"
                );
                for i in 0..n {
                    let alone = whole.forward(&x.narrow(0, i, 1).unwrap()).unwrap();
                    assert_eq!(bits(&alone), bits(&together.narrow(0, i, 1).unwrap()), "{isa} {precision:?} image {i}");
                }
            }
        }
        if Isa::Amx.is_supported() {
            narrow_chain(cin, [n, h, w], layers);
        }
    }
}

/// In bf16, maps handed on in bf16: near the layers by themselves in f32, and the same bits for an image alone.
fn narrow_chain(cin: usize, [n, h, w]: [usize; 3], layers: &[(usize, usize, usize, bool, usize)]) {
    let x = tensor(6, &[n, h, w, cin]);
    let exact = chain(cin, layers, Precision::F32).iter().fold(x.clone(), |x, conv| conv.forward(&x).unwrap());
    let convs = Isa::Amx.with(|| chain(cin, layers, Precision::Bf16)).unwrap();
    let whole = Chain::new(convs.into_iter().map(Conv2d::narrow)).unwrap();
    for x in [x.clone(), x.to_dtype(DType::BF16).unwrap()] {
        let got = whole.forward(&x).unwrap();
        assert_eq!(got.dtype(), DType::BF16);
        assert!(distance(&got, &exact) < 1.5e-2, "{layers:?}: {}", distance(&got, &exact));
        let residual = tensor(7, got.dims());
        let sum = (&exact + &residual).unwrap();
        for residual in [residual.clone(), residual.to_dtype(DType::BF16).unwrap()] {
            let added = whole.forward_add(&x, &residual).unwrap();
            assert!(distance(&added, &sum) < 1.5e-2, "{layers:?} + {:?}", residual.dtype());
        }
        let wide = |t: &Tensor| bits(&t.to_dtype(DType::F32).unwrap());
        for i in 0..n {
            let alone = whole.forward(&x.narrow(0, i, 1).unwrap()).unwrap();
            assert_eq!(wide(&alone), wide(&got.narrow(0, i, 1).unwrap()), "{layers:?} image {i}");
        }
    }
}

#[test]
fn a_chain_with_pools_gives_the_bits_of_its_layers() {
    for (cin, [n, h, w]) in [(3, [2, 96, 128]), (13, [1, 21, 18]), (20, [6, 8, 8])] {
        for isa in fast() {
            let Ok(precision) = isa.with(|| if isa == Isa::Amx { Precision::Bf16x3 } else { Precision::F32 }) else {
                continue;
            };
            let unit = |cin, cout| chain(cin, &[(1, 1, 0, false, cout), (3, 1, 1, true, 0)], precision);
            let [a, b] = isa.with(|| [unit(cin, 33), unit(33, 70)]).unwrap();
            let x = tensor(6, &[n, h, w, cin]);
            let run =
                |x: &Tensor, layers: &[Conv2d]| layers.iter().fold(x.clone(), |x, conv| conv.forward(&x).unwrap());
            let apart = run(&max_pool2(&run(&max_pool2(&x).unwrap(), &a)).unwrap(), &b);
            let layers = [Layer::MaxPool2(cin)].into_iter().chain(a.into_iter().map(Layer::from));
            let layers = layers.chain([Layer::MaxPool2(33)]).chain(b.into_iter().map(Layer::from));
            let whole = Chain::new(layers.clone()).unwrap();
            assert_eq!(bits(&whole.forward(&x).unwrap()), bits(&apart), "{isa} {cin}");
            let ends = Chain::new(layers.chain([Layer::MaxPool2(70)])).unwrap();
            assert_eq!(bits(&ends.forward(&x).unwrap()), bits(&max_pool2(&apart).unwrap()), "{isa} {cin}");
        }
    }
}

#[test]
fn unfit_chains_are_errors() {
    let conv = |cin, cout| tiled(&case(square(cin, cout, 1, 1, 0), [1, 1, 1], 0, false), Precision::F32);
    assert!(Chain::new(Vec::<Conv2d>::new()).unwrap_err().to_string().contains("at least one layer"));
    assert!(Chain::new(vec![conv(3, 4), conv(5, 6)]).unwrap_err().to_string().contains("4 input channels"));
}

#[test]
fn odd_values_go_through_activations_alike() {
    // The weight 1 hands each value on; not-a-number becomes zero under ReLU and stays under PReLU.
    let odd = [0.0, -0.0, 1.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, -1e-40, 1e38];
    let x = Tensor::from_slice(&odd, (1, odd.len(), 1, 1), &Device::Cpu).unwrap();
    for activation in [Activation::None, Activation::Relu, Activation::PRelu(vec![-0.25])] {
        for shape in [square(1, 1, 1, 1, 0), depthwise(1, 3, 1, 1)] {
            let mut weight = vec![0.0; shape.kernel[0] * shape.kernel[1]];
            let middle = weight.len() / 2;
            weight[middle] = 1.0;
            let make = || Conv2d::new(shape, &weight, &[-0.0], activation.clone()).unwrap().forward(&x).unwrap();
            let plain = bits(&Isa::Plain.with(make).unwrap());
            for isa in fast() {
                for (got, &plain) in bits(&isa.with(make).unwrap()).into_iter().zip(&plain) {
                    let both_nan = f32::from_bits(got).is_nan() && f32::from_bits(plain).is_nan();
                    assert!(got == plain || both_nan, "{isa} {activation:?} {shape:?}: {got:x} {plain:x}");
                }
            }
        }
    }
}

/// One body for the operations without weights: the same bits on every instruction set; the plain result.
fn everywhere(work: impl Fn() -> Tensor) -> Tensor {
    let plain = Isa::Plain.with(&work).unwrap();
    for isa in fast() {
        let got = isa.with(&work).unwrap();
        assert_eq!(got.dims(), plain.dims());
        assert_eq!(bits(&got), bits(&plain), "{isa}");
    }
    plain
}

fn close(a: &Tensor, b: &Tensor, tolerance: f32) {
    assert_eq!(a.dims(), b.dims());
    let worst = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
    assert!(worst <= tolerance, "{worst}");
}

fn nchw(x: &Tensor) -> Tensor {
    x.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap()
}

#[test]
fn max_pool2_takes_the_largest_of_each_square() {
    for [n, h, w, c] in [[1, 2, 2, 1], [2, 6, 8, 16], [1, 7, 5, 13], [3, 4, 10, 52]] {
        let x = tensor(6, &[n, h, w, c]);
        let got = everywhere(|| max_pool2(&x).unwrap());
        assert_eq!(got.dims(), [n, h / 2, w / 2, c]);
        close(&nchw(&got), &nchw(&x).max_pool2d(2).unwrap(), 0.0);
    }
}

#[test]
fn max_pool2_prefers_any_number_to_none() {
    let nan = f32::NAN;
    for square in [[nan, 1.0, -2.0, 0.5], [-2.0, nan, 1.0, nan], [0.5, -1.0, 1.0, nan], [nan, nan, nan, 1.0]] {
        let x = Tensor::from_slice(&square, (1, 2, 2, 1), &Device::Cpu).unwrap();
        assert_eq!(bits(&everywhere(|| max_pool2(&x).unwrap())), [1f32.to_bits()], "{square:?}");
    }
}

#[test]
fn global_avg_pool_is_the_mean() {
    for [n, h, w, c] in [[1, 1, 1, 1], [2, 7, 7, 128], [3, 5, 4, 13]] {
        let x = tensor(7, &[n, h, w, c]);
        let got = everywhere(|| global_avg_pool(&x).unwrap());
        let mean = x.flatten(1, 2).unwrap().mean_keepdim(1).unwrap().reshape((n, 1, 1, c)).unwrap();
        close(&got, &mean, 1e-6);
    }
}

#[test]
fn upsample2_add_repeats_each_pixel_in_a_square() {
    for [n, h, w, c] in [[1, 1, 1, 1], [2, 5, 4, 64], [1, 3, 7, 13]] {
        let (small, large) = (tensor(8, &[n, h, w, c]), tensor(9, &[n, 2 * h, 2 * w, c]));
        let got = everywhere(|| upsample2_add(&small, &large).unwrap());
        let up = nchw(&small).upsample_nearest2d(2 * h, 2 * w).unwrap();
        close(&nchw(&got), &(up + nchw(&large)).unwrap(), 0.0);
    }
}

#[test]
fn channel_operations_follow_their_formulas() {
    for [n, h, w, c] in [[1, 1, 1, 1], [2, 5, 4, 64], [3, 3, 7, 13]] {
        let (x, s) = (tensor(10, &[n, h, w, c]), tensor(11, &[n, 1, 1, c]));
        let scaled = x.broadcast_mul(&s).unwrap();
        close(&everywhere(|| scale_channels(&x, &s).unwrap()), &scaled, 0.0);
        let base = (&x * 0.3).unwrap();
        close(&everywhere(|| scale_channels_add(&x, &s, &base).unwrap()), &(&base + scaled).unwrap(), 0.0);
        let (a, b) = (values(12, c), values(13, c));
        let [ta, tb] = [&a, &b].map(|v| Tensor::from_slice(v, c, &Device::Cpu).unwrap());
        let expected = x.broadcast_mul(&ta).unwrap().broadcast_add(&tb).unwrap();
        close(&everywhere(|| affine(&x, &a, &b).unwrap()), &expected, 1e-6);
    }
    let x = Tensor::new(&[-1e30f32, -2.0, 0.0, 2.0, 1e30], &Device::Cpu).unwrap();
    let y = everywhere(|| sigmoid(&x).unwrap());
    close(&y, &Tensor::new(&[0f32, 0.119_202_92, 0.5, 0.880_797_1, 1.0], &Device::Cpu).unwrap(), 1e-7);
}

#[test]
fn unfit_inputs_are_errors_that_say_what_was_expected() {
    let conv = conv(&case(square(4, 6, 3, 1, 0), [1, 3, 3], 0, false));
    let x = tensor(1, &[1, 5, 5, 4]);
    let says = |result: candle_core::Result<Tensor>, words: &[&str]| {
        let message = result.unwrap_err().to_string();
        assert!(words.iter().all(|w| message.contains(w)), "{words:?} in {message:?}");
    };
    says(conv.forward(&x.t().unwrap()), &["conv2d", "contiguous", "strides"]);
    says(conv.forward(&x.to_dtype(DType::F64).unwrap()), &["conv2d", "F32", "F64"]);
    says(conv.forward(&x.narrow(0, 0, 0).unwrap()), &["conv2d", "at least one", "[0, 5, 5, 4]"]);
    says(conv.forward(&tensor(1, &[1, 5, 5, 3])), &["4 input channels", "[1, 5, 5, 3]"]);
    says(conv.forward(&tensor(1, &[1, 2, 5, 4])), &["kernel", "[1, 2, 5, 4]"]);
    says(conv.forward(&tensor(1, &[5, 5, 4])), &["(batch, height, width, channels)", "[5, 5, 4]"]);
    says(conv.forward_add(&x, &tensor(1, &[1, 5, 5, 6])), &["conv2d_add", "[1, 3, 3, 6]", "[1, 5, 5, 6]"]);
    says(max_pool2(&tensor(1, &[1, 1, 5, 4])), &["max_pool2", "at least 2"]);
    says(global_avg_pool(&x.narrow(D::Minus1, 0, 2).unwrap()), &["global_avg_pool", "contiguous"]);
    says(upsample2_add(&x, &x), &["upsample2_add", "[1, 10, 10, 4]"]);
    says(scale_channels(&x, &tensor(1, &[1, 1, 1, 3])), &["scale_channels", "[1, 1, 1, 4]"]);
    says(affine(&x, &[1.0; 3], &[0.0; 4]), &["affine", "4 factors", "got 3 and 4"]);
    says(sigmoid(&x.to_dtype(DType::F16).unwrap()), &["sigmoid", "F16"]);
}

#[test]
fn unfit_weights_are_errors() {
    let unfit = |shape, weights: usize, biases: usize, activation| {
        Conv2d::new(shape, &vec![0.0; weights], &vec![0.0; biases], activation).unwrap_err().to_string()
    };
    assert!(unfit(square(4, 6, 3, 1, 0), 215, 6, Activation::None).contains("216 weights and 6 biases, got 215"));
    assert!(unfit(square(4, 6, 3, 1, 0), 216, 6, Activation::PRelu(vec![0.0])).contains("6 slopes, got 1"));
    let grouped = ConvShape { groups: 2, ..square(4, 6, 3, 1, 0) };
    assert!(unfit(grouped, 108, 6, Activation::None).contains("groups"));
    assert!(unfit(square(4, 6, 3, 0, 0), 216, 6, Activation::None).contains("stride"));
}
