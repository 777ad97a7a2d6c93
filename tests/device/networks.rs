//! Networks of a card beside those of the CPU, with the weights that ship.

use candle_core::Device;
use chehra::nn::{WeightStore, Yunet, load_embedder, load_liveness};
use chehra::ops::Precision;

use crate::ops::{flat, tensor};

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Embeddings point where those of the CPU point.
pub fn embedders(device: &Device) {
    let store = WeightStore::open(None).unwrap();
    let crops = (tensor(7, &[3, 112, 112, 3]).affine(127.0, 128.0)).unwrap();
    for name in ["sface", "mobilefacenet192"] {
        let expected = flat(&load_embedder(&store, name).unwrap().embed(&crops).unwrap());
        for (precision, least) in [(Precision::F32, 0.99999), (Precision::F16, 0.9999), (Precision::Bf16, 0.999)] {
            let store = store.clone().with_device(device.clone()).with_precision(precision);
            let embedder = load_embedder(&store, name).unwrap();
            let found = flat(&embedder.embed(&crops.to_device(device).unwrap()).unwrap());
            for (a, b) in found.chunks(embedder.dim()).zip(expected.chunks(embedder.dim())) {
                let cosine = cosine(a, b);
                println!("{name} {precision:?}: cosine {cosine:.9}");
                assert!(cosine > least, "{name} {precision:?}: {cosine}");
            }
        }
    }
}

/// Probabilities and heads are those of the CPU, but for the last bits.
pub fn liveness_and_detector(device: &Device) {
    let store = WeightStore::open(None).unwrap();
    let own = store.clone().with_device(device.clone());
    let faces = (tensor(8, &[3, 128, 128, 3]).affine(127.0, 128.0)).unwrap();
    let expected = load_liveness(&store, "liveness").unwrap().bona_fide(&faces).unwrap();
    let found = load_liveness(&own, "liveness").unwrap().bona_fide(&faces.to_device(device).unwrap()).unwrap();
    println!("liveness: {found:?} for {expected:?}");
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?} for {expected:?}");
    let pictures = (tensor(9, &[2, 96, 160, 3]).affine(127.0, 128.0)).unwrap();
    let expected = Yunet::load(&store).unwrap().raw(&pictures).unwrap();
    let found = Yunet::load(&own).unwrap().raw(&pictures.to_device(device).unwrap()).unwrap();
    for (a, b) in found.iter().zip(&expected) {
        let (a, b) = (flat(a), flat(b));
        let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
        let off = a.iter().zip(&b).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        println!("detector: off by {off} of {largest}");
        assert!(off <= 1e-4 * largest, "heads are off by {off} of {largest}");
    }
}
