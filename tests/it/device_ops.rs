//! One test body per operation for every device: the CPU by plain composition always, a GPU where the binary has the feature
//! and the machine the GPU. References are the CPU's own operations.
//!
//! On a machine with a card: `cargo --config kernels/build/cuda.toml test --release --features cuda --test it device_ops`; on a
//! Mac: `cargo test --release --features metal --test it device_ops`.

use candle_core::{DType, Device, Tensor};
use chehra::device::{self, DeviceChoice};
use chehra::gallery::dot::{LANES, ZERO, dot, padded, put};
use chehra::nn::{WeightStore, load_embedder, load_liveness};
use chehra::ops::gpu::Card;
use chehra::ops::gpu::search::{Chunk, DevicePanel, Pass};
use chehra::ops::params::{SearchHit, SearchReach, limit_key};
use chehra::ops::{
    Activation, ChannelMap, Conv2d, ConvShape, Precision, affine, global_avg_pool, max_pool2, scale_channels, sigmoid,
    subsample, upsample2_add,
};

/// The CPU, and the first card where there is one; says what was left out.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::Cpu];
    for choice in [DeviceChoice::Cuda(0), DeviceChoice::Metal(0)] {
        match device::open(choice) {
            Ok(device) => devices.push(device),
            Err(error) => eprintln!("left out: {error}"),
        }
    }
    devices
}

/// What a device computes in, and the share of the largest value that this may cost.
fn precisions(device: &Device) -> &'static [(Precision, f32)] {
    match device.is_cpu() {
        true => &[(Precision::F32, 1e-5)],
        false => &[(Precision::F32, 1e-5), (Precision::F16, 2e-3), (Precision::Bf16, 2e-2)],
    }
}

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

fn flat(x: &Tensor) -> Vec<f32> {
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

#[test]
fn convolutions() {
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
            for device in devices() {
                for &(precision, share) in precisions(&device) {
                    let conv =
                        Conv2d::composed(shape, (&weight, &bias), activation.clone(), precision, &device).unwrap();
                    let (x, residual) = (x.to_device(&device).unwrap(), residual.to_device(&device).unwrap());
                    let what = format!("{shape:?} {activation:?} {precision:?} {:?}", device.location());
                    close(&what, &conv.forward(&x).unwrap(), &plain, share);
                    close(&what, &conv.forward_add(&x, &residual).unwrap(), &added, share);
                    assert!(conv.forward(&x.narrow(3, 0, cin - 1).unwrap()).is_err(), "{what}");
                }
            }
        }
    }
}

#[test]
fn elementwise_operations_and_pools() {
    let (x, small, factors) = (tensor(1, &[2, 6, 10, 7]), tensor(2, &[2, 3, 5, 7]), tensor(3, &[2, 1, 1, 7]));
    let (scale, shift) = (values(4, 7), values(5, 7));
    let map = |_: &Device| ChannelMap::new(scale.clone(), shift.clone());
    type Op<'a> = (&'a str, Box<dyn Fn(&Device, &[Tensor; 3]) -> candle_core::Result<Tensor> + 'a>);
    let ops: [Op<'_>; 8] = [
        ("affine", Box::new(|_, [x, ..]| affine(x, &scale, &shift))),
        ("channel map", Box::new(|device, [x, ..]| map(device).forward(x))),
        ("scale_channels", Box::new(|_, [x, _, factors]| scale_channels(x, factors))),
        ("sigmoid", Box::new(|_, [x, ..]| sigmoid(x))),
        ("upsample2_add", Box::new(|_, [x, small, _]| upsample2_add(small, x))),
        ("max_pool2", Box::new(|_, [x, ..]| max_pool2(x))),
        ("global_avg_pool", Box::new(|_, [x, ..]| global_avg_pool(x))),
        ("subsample", Box::new(|_, [x, ..]| subsample(x, 3))),
    ];
    for (name, op) in &ops {
        let expected = op(&Device::Cpu, &[x.clone(), small.clone(), factors.clone()]).unwrap();
        for device in devices() {
            for &(precision, share) in precisions(&device) {
                let dtype = match precision {
                    Precision::F32 => DType::F32,
                    Precision::F16 => DType::F16,
                    Precision::Bf16 => DType::BF16,
                    Precision::Bf16x3 => continue,
                };
                let own = [&x, &small, &factors].map(|t| t.to_device(&device).unwrap().to_dtype(dtype).unwrap());
                close(&format!("{name} {precision:?}"), &op(&device, &own).unwrap(), &expected, share);
            }
        }
    }
}

/// Embeddings and probabilities of a card stay near those of the CPU.
#[test]
fn networks() {
    let store = WeightStore::open(None).unwrap();
    let crops = (tensor(7, &[3, 112, 112, 3]).affine(127.0, 128.0)).unwrap();
    let faces = (tensor(8, &[3, 128, 128, 3]).affine(127.0, 128.0)).unwrap();
    for device in devices().into_iter().filter(|device| !device.is_cpu()) {
        for name in ["sface", "mobilefacenet192"] {
            let expected = flat(&load_embedder(&store, name).unwrap().embed(&crops).unwrap());
            for (precision, least) in [(Precision::F32, 0.99999), (Precision::F16, 0.9999), (Precision::Bf16, 0.999)] {
                let store = store.clone().with_device(device.clone()).with_precision(precision);
                let embedder = load_embedder(&store, name).unwrap();
                let found = flat(&embedder.embed(&crops.to_device(&device).unwrap()).unwrap());
                for (a, b) in found.chunks(embedder.dim()).zip(expected.chunks(embedder.dim())) {
                    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
                    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
                    assert!(cosine > least, "{name} {precision:?}: {cosine}");
                }
            }
        }
        let expected = load_liveness(&store, "liveness").unwrap().bona_fide(&faces).unwrap();
        let on_device = load_liveness(&store.clone().with_device(device.clone()), "liveness").unwrap();
        let found = on_device.bona_fide(&faces.to_device(&device).unwrap()).unwrap();
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?} for {expected:?}");
    }
}

/// The scan of a GPU brings back every row within reach, with the sums of the CPU.
#[test]
fn search() {
    for (dim, rows, probes) in [(64usize, 300usize, 5usize), (512, 1000, 70), (1024, 33, 3)] {
        let codes = |seed, count: usize| -> Vec<Vec<i8>> {
            let values = values(seed, count * dim);
            values.chunks(dim).map(|row| row.iter().map(|v| (v * 127.0) as i8).collect()).collect()
        };
        let (rows, probes) = (codes(31, rows), codes(32, probes));
        let width = padded(dim);
        let mut blocks = vec![ZERO; rows.len().div_ceil(LANES) * LANES * width];
        for (at, codes) in rows.iter().enumerate() {
            put(&mut blocks[at / LANES * LANES * width..][..LANES * width], at % LANES, codes);
        }
        let mut panel = Vec::new();
        for codes in &probes {
            panel.extend_from_slice(codes);
            panel.resize(panel.len().next_multiple_of(width), 0);
        }
        let starts: Vec<i32> = probes.iter().map(|c| -128 * c.iter().map(|&c| i32::from(c)).sum::<i32>()).collect();
        // What reaches a limit is told by the sum alone: a power of two loses nothing.
        let reach = SearchReach { scale: 1.0 / 4096.0, grown: 1.0, slack: 0.0, residual: 0.0, rounding: 0.0 };
        let (reaches, scales, residuals) =
            (vec![reach; probes.len()], vec![1.0 / 4096.0; rows.len()], vec![0.0; rows.len()]);
        for least in [-(1 << 25), 0, 50_000] {
            let limits = vec![limit_key(least as f32 / (1 << 24) as f32); probes.len()];
            let mut expected = Vec::new();
            for (p, probe) in probes.iter().enumerate() {
                let hit =
                    |(r, row): (usize, &Vec<i8>)| SearchHit { probe: p as u32, row: r as u32, sum: dot(probe, row) };
                expected.extend(rows.iter().enumerate().map(hit).filter(|hit| hit.sum >= least));
            }
            for device in devices().into_iter().filter(|device| !device.is_cpu()) {
                let card = Card::of(&device).unwrap();
                let mut panel = DevicePanel::new(&card, width, &panel, &starts, &reaches, &limits).unwrap();
                let chunk = Chunk { blocks: &blocks, scales: &scales, residuals: &residuals, first_row: 0 };
                let Pass::Hits(mut hits) = panel.scan(chunk, 0).unwrap() else { panic!("a full list") };
                hits.sort_unstable();
                let (count, all, name) = (hits.len(), expected.len(), card.scan_name());
                assert!(hits == expected, "{name} dim {dim} least {least}: {count} hits for {all}, or others");
            }
        }
    }
}
