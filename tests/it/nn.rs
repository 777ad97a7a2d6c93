//! The networks against the runtimes they were made for, and the weights against tampering.
//!
//! The goldens are made by `fixtures/golden/make.py`, which names the runtimes. Every tolerance stands at the top.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use chehra::Error;
use chehra::exit::Exit;
use chehra::nn::{WeightStore, Yunet, YunetLevel, load_embedder, load_liveness};
use chehra::ops::Precision;
use serde::Deserialize;

/// Smallest cosine between an embedding and the reference's.
const COSINE: f64 = 0.9999;
/// The same for an embedder in bf16.
const COSINE_BF16: f64 = 0.999;
/// Largest difference of a bona fide probability.
const PROBABILITY: f32 = 1e-3;
/// Largest difference of a box side or landmark, pixels.
const PIXELS: f32 = 0.5;
/// Largest difference of a detector probability.
const DETECTION: f32 = 1e-3;

#[derive(Deserialize)]
struct Golden {
    sface: BTreeMap<String, Vec<f64>>,
    mobilefacenet192: BTreeMap<String, Vec<f64>>,
    liveness: BTreeMap<String, Vec<f32>>,
    yunet: BTreeMap<String, Vec<Cell>>,
}

/// One cell of the detector, decoded to pixels.
#[derive(Deserialize)]
struct Cell {
    stride: usize,
    cell: usize,
    cls: f32,
    obj: f32,
    bbox: [f32; 4],
    landmarks: [[f32; 2]; 5],
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn golden() -> Golden {
    serde_json::from_str(&fs::read_to_string(folder("fixtures/golden/golden.json")).unwrap()).unwrap()
}

fn weights() -> WeightStore {
    WeightStore::open(Some(&folder("weights"))).unwrap()
}

/// A golden picture as `(1, height, width, 3)`, red, green, blue, 0..=255.
fn picture(name: &str) -> Tensor {
    let picture = image::open(folder("fixtures/golden").join(name)).unwrap().to_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let values: Vec<f32> = picture.into_raw().into_iter().map(f32::from).collect();
    Tensor::from_vec(values, (1, height, width, 3), &Device::Cpu).unwrap()
}

fn blue_first(x: &Tensor) -> Tensor {
    let order = Tensor::new(&[2u32, 1, 0], &Device::Cpu).unwrap();
    x.index_select(&order, 3).unwrap()
}

fn cosine(a: &[f32], b: &[f64]) -> f64 {
    let a: Vec<f64> = a.iter().map(|&v| f64::from(v)).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&a, b) / (dot(&a, &a) * dot(b, b)).sqrt()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// What this machine can compute in that promises the tolerances above.
fn precise() -> Vec<Precision> {
    [Precision::F32, Precision::Bf16x3].into_iter().filter(|precision| precision.is_supported()).collect()
}

/// Checks an embedder against its golden, and that a batch of any size gives each picture the bits it has alone.
fn check_embedder(name: &str, dim: usize, expected: &BTreeMap<String, Vec<f64>>) {
    for precision in precise() {
        check_embedder_in(precision, COSINE, (name, dim), expected);
    }
    if Precision::Bf16.is_supported() {
        check_embedder_in(Precision::Bf16, COSINE_BF16, (name, dim), expected);
    }
}

fn check_embedder_in(
    precision: Precision,
    least: f64,
    (name, dim): (&str, usize),
    expected: &BTreeMap<String, Vec<f64>>,
) {
    let network = load_embedder(&weights().with_precision(precision), name).unwrap();
    assert_eq!(network.dim(), dim);
    assert!(network.id().starts_with(&format!("{name}:")) && network.id().len() == name.len() + 13);
    let crops: Vec<Tensor> = expected.keys().map(|file| picture(file)).collect();
    let alone: Vec<Vec<f32>> =
        crops.iter().map(|crop| network.embed(crop).unwrap().squeeze(0).unwrap().to_vec1().unwrap()).collect();
    assert!(alone.len() >= 7);
    let mut worst = (1.0f64, 0.0f64);
    for (values, (file, reference)) in alone.iter().zip(expected) {
        assert_eq!(values.len(), dim);
        let similarity = cosine(values, reference);
        assert!(similarity > least, "{file} in {precision:?}: cosine {similarity}");
        let largest = reference.iter().fold(0f64, |m, v| m.max(v.abs()));
        let off = values.iter().zip(reference).fold(0f64, |m, (&v, r)| m.max((f64::from(v) - r).abs())) / largest;
        worst = (worst.0.min(similarity), worst.1.max(off));
    }
    println!("{name} in {precision:?}: cosine at least {:.9}, values within {:.2e} of the largest", worst.0, worst.1);
    for size in [2, 3, crops.len()] {
        let batch = network.embed(&Tensor::cat(&crops[..size], 0).unwrap()).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(batch.len(), size);
        for (row, single) in batch.iter().zip(&alone) {
            assert_eq!(bits(row), bits(single), "{name} in a batch of {size}");
        }
    }
}

#[test]
fn sface_matches_onnx_runtime() {
    check_embedder("sface", 128, &golden().sface);
}

#[test]
fn mobilefacenet_matches_litert() {
    check_embedder("mobilefacenet192", 192, &golden().mobilefacenet192);
}

#[test]
fn two_pictures_of_one_person_are_closer_than_two_persons() {
    let network = load_embedder(&weights(), "sface").unwrap();
    let embed =
        |file: &str| -> Vec<f32> { network.embed(&picture(file)).unwrap().flatten_all().unwrap().to_vec1().unwrap() };
    let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let (a1, a2, b1, b2) = (
        embed("face_person_a_1.png"),
        embed("face_person_a_2.png"),
        embed("face_person_b_1.png"),
        embed("face_person_b_2.png"),
    );
    let mated = cosine(&a1, &wide(&a2)).min(cosine(&b1, &wide(&b2)));
    let impostor = cosine(&a1, &wide(&b1)).max(cosine(&a2, &wide(&b2)));
    assert!(mated > 0.363 && impostor < 0.363, "mated {mated}, impostor {impostor}");
}

#[test]
fn liveness_matches_onnx_runtime() {
    precise().into_iter().for_each(check_liveness);
}

fn check_liveness(precision: Precision) {
    let network = load_liveness(&weights().with_precision(precision), "liveness").unwrap();
    assert_eq!((network.input_size(), network.box_scale()), (128, 2.7));
    let expected = golden().liveness;
    let crops: Vec<Tensor> = expected.keys().map(|file| picture(file)).collect();
    let batch = network.bona_fide(&Tensor::cat(&crops, 0).unwrap()).unwrap();
    assert_eq!(batch.len(), 10);
    let mut worst = 0f32;
    for ((crop, (file, reference)), in_batch) in crops.iter().zip(&expected).zip(&batch) {
        let alone = network.bona_fide(crop).unwrap();
        assert_eq!(bits(&alone), bits(&[*in_batch]), "{file} alone and in the batch");
        let off = (alone[0] - reference[0]).abs();
        assert!(off < PROBABILITY, "{file}: {} where {} is expected", alone[0], reference[0]);
        worst = worst.max(off);
    }
    println!("liveness in {precision:?}: within {worst:.2e}");
    let live = expected.keys().zip(&batch).filter(|(file, _)| file.starts_with("live"));
    assert!(live.clone().count() == 7 && live.into_iter().all(|(_, &p)| p > 0.9));
}

/// One cell of a level in pixels, as the detector's paper says.
fn decode(level: &YunetLevel, cell: usize) -> ([f32; 4], [[f32; 2]; 5]) {
    let (stride, at) = (level.stride as f32, [(cell % level.width) as f32, (cell / level.width) as f32]);
    let b = &level.bbox[4 * cell..][..4];
    let (w, h) = (b[2].exp() * stride, b[3].exp() * stride);
    let bbox = [(at[0] + b[0]) * stride - w / 2.0, (at[1] + b[1]) * stride - h / 2.0, w, h];
    let k = &level.kps[10 * cell..][..10];
    (bbox, [0, 1, 2, 3, 4].map(|i| [(at[0] + k[2 * i]) * stride, (at[1] + k[2 * i + 1]) * stride]))
}

#[test]
fn yunet_matches_opencv() {
    precise().into_iter().for_each(check_yunet);
}

fn check_yunet(precision: Precision) {
    let network = Yunet::load(&weights().with_precision(precision)).unwrap();
    let (mut faces, mut worst) = (0, (0f32, 0f32));
    for (file, cells) in golden().yunet {
        let frame = blue_first(&picture(&file));
        let (_, height, width, _) = frame.dims4().unwrap();
        let levels = network.forward(&frame).unwrap();
        assert!(cells.len() >= 50, "{file}: {} cells", cells.len());
        for level in &levels {
            assert_eq!((level.height * level.stride, level.width * level.stride), (height, width));
        }
        for expected in cells {
            let level = levels.iter().find(|level| level.stride == expected.stride).unwrap();
            let (cls, obj) = (level.cls[expected.cell], level.obj[expected.cell]);
            let off = (cls - expected.cls).abs().max((obj - expected.obj).abs());
            assert!(off < DETECTION, "{file}: {cls}, {obj} where {}, {} is expected", expected.cls, expected.obj);
            worst.0 = worst.0.max(off);
            let (bbox, landmarks) = decode(level, expected.cell);
            let mut pixels = bbox.iter().zip(&expected.bbox).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            for (a, b) in landmarks.as_flattened().iter().zip(expected.landmarks.as_flattened()) {
                pixels = pixels.max((a - b).abs());
            }
            assert!(pixels < PIXELS, "{file}: cell {} of stride {}: {pixels} px", expected.cell, expected.stride);
            worst.1 = worst.1.max(pixels);
            faces += usize::from((cls * obj).sqrt() > 0.8);
        }
    }
    println!("yunet in {precision:?}: probabilities within {:.2e}, pixels within {:.2e}", worst.0, worst.1);
    assert!(faces >= 4, "the frames hold four faces, several cells each: {faces}");
}

#[test]
fn yunet_gives_a_frame_the_same_bits_in_any_batch() {
    precise().into_iter().for_each(check_yunet_batches);
}

fn check_yunet_batches(precision: Precision) {
    let network = Yunet::load(&weights().with_precision(precision)).unwrap();
    let frame = blue_first(&picture("frame_astronaut.png"));
    let mirrored =
        Tensor::cat(&(0..10).rev().map(|i| frame.narrow(2, 32 * i, 32).unwrap()).collect::<Vec<_>>(), 2).unwrap();
    let frames = [frame.clone(), mirrored, frame.affine(0.5, 10.0).unwrap()];
    let batch = network.forward(&Tensor::cat(&frames, 0).unwrap()).unwrap();
    for (b, frame) in frames.iter().enumerate() {
        for (alone, level) in network.forward(frame).unwrap().iter().zip(&batch) {
            let cells = level.height * level.width;
            assert_eq!(level.cls.len(), 3 * cells);
            for (single, many, per_cell) in [
                (&alone.cls, &level.cls, 1),
                (&alone.obj, &level.obj, 1),
                (&alone.bbox, &level.bbox, 4),
                (&alone.kps, &level.kps, 10),
            ] {
                let part = &many[b * cells * per_cell..][..cells * per_cell];
                assert_eq!(bits(single), bits(part), "frame {b}, stride {}", level.stride);
            }
        }
    }
}

#[test]
fn inputs_of_another_shape_are_errors_and_not_answers() {
    let zeros =
        |shape: (usize, usize, usize, usize)| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    let store = weights();
    let yunet = Yunet::load(&store).unwrap();
    assert!(yunet.forward(&zeros((1, 100, 64, 3))).is_err());
    assert!(yunet.forward(&zeros((1, 64, 64, 1))).is_err());
    let none = yunet.forward(&zeros((0, 64, 96, 3))).unwrap();
    assert!(none.iter().all(|level| level.cls.is_empty()));
    let sface = load_embedder(&store, "sface").unwrap();
    assert!(sface.embed(&zeros((1, 128, 128, 3))).is_err());
    assert!(sface.embed(&zeros((0, 112, 112, 3))).is_err());
    assert!(load_liveness(&store, "liveness").unwrap().bona_fide(&zeros((1, 112, 112, 3))).is_err());
}

/// A copy of the weights folder that a test may damage.
fn copy() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["manifest.toml", "yunet.safetensors", "liveness.safetensors"] {
        fs::copy(folder("weights").join(file), copy.path().join(file)).unwrap();
    }
    copy
}

/// The message of an input error, which also decides the exit code.
fn refused<T>(result: chehra::Result<T>) -> String {
    let error = result.err().expect("this must be refused");
    assert!(matches!(error, Error::Input { .. }), "{error}");
    assert_eq!(Exit::from(&error), Exit::Input);
    error.to_string()
}

#[test]
fn weights_with_one_bit_changed_are_refused_by_their_sum() {
    let copy = copy();
    let path = copy.path().join("yunet.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = WeightStore::open(Some(copy.path())).unwrap();
    let message = refused(Yunet::load(&store));
    let expected = &store.passport("yunet").unwrap().sha256;
    for part in ["yunet.safetensors", expected, "expected:", "found:", "restore"] {
        assert!(message.contains(part), "'{part}' in: {message}");
    }
    assert_eq!(message.matches("sha256 ").count(), 2, "{message}");
    assert_eq!(message.matches(expected.as_str()).count(), 1, "{message}");
    store.verify("liveness").unwrap();
}

#[test]
fn a_truncated_file_is_refused_by_its_size() {
    let copy = copy();
    let path = copy.path().join("liveness.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let store = WeightStore::open(Some(copy.path())).unwrap();
    let message = refused(load_liveness(&store, "liveness").map(drop));
    assert!(message.contains(&format!("{} bytes", bytes.len())), "{message}");
    assert!(message.contains(&format!("{} bytes", bytes.len() / 2)), "{message}");
}

#[test]
fn a_truncated_file_with_a_manifest_to_match_is_refused_by_its_content() {
    use sha2::{Digest, Sha256};
    let copy = copy();
    let (path, manifest) = (copy.path().join("yunet.safetensors"), copy.path().join("manifest.toml"));
    let whole = fs::read(&path).unwrap();
    let half = &whole[..whole.len() / 2];
    fs::write(&path, half).unwrap();
    let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let text = fs::read_to_string(&manifest).unwrap();
    let text = text
        .replace(&hex(&whole), &hex(half))
        .replace(&format!("bytes = {}", whole.len()), &format!("bytes = {}", half.len()));
    fs::write(&manifest, text).unwrap();
    let message = refused(Yunet::load(&WeightStore::open(Some(copy.path())).unwrap()));
    assert!(message.contains("a whole safetensors file"), "{message}");
}

#[test]
fn a_missing_file_says_so() {
    let copy = copy();
    let store = WeightStore::open(Some(copy.path())).unwrap();
    let message = refused(load_embedder(&store, "sface").map(drop));
    assert!(message.contains("sface.safetensors") && message.contains("no such file"), "{message}");
    let message = refused(load_embedder(&store, "arcface").map(drop));
    assert!(message.contains("arcface") && message.contains("mobilefacenet192"), "{message}");
    let message = refused(load_embedder(&store, "yunet").map(drop));
    assert!(message.contains("yunet-s"), "{message}");
}

#[test]
fn a_folder_without_a_usable_manifest_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    let message = refused(WeightStore::open(Some(empty.path())));
    assert!(message.contains("manifest.toml") && message.contains("--weights"), "{message}");
    let whole = fs::read_to_string(folder("weights/manifest.toml")).unwrap();
    let damaged = [
        ("version = 1\n", "version = 2\n", "version"),
        ("file = \"yunet.safetensors\"", "file = \"../yunet.safetensors\"", "plain file name"),
        ("name = \"sface\"", "name = \"yunet\"", "twice"),
        ("sha256 = \"", "sha256 = \"X", "sha256"),
        ("role = \"detector\"", "role = \"oracle\"", "oracle"),
        ("colour = \"BGR\"\n", "", "colour"),
    ];
    for (from, to, word) in damaged {
        let text = whole.replacen(from, to, 1);
        assert_ne!(text, whole, "{from}");
        fs::write(empty.path().join("manifest.toml"), text).unwrap();
        let message = refused(WeightStore::open(Some(empty.path())));
        assert!(message.contains(word), "'{word}' in: {message}");
    }
}

#[test]
fn without_a_folder_named_the_weights_are_still_found() {
    // Beside the source tree that holds the test's executable, or built in.
    let store = WeightStore::open(None).unwrap();
    assert_eq!(store.entries(), weights().entries());
    for passport in store.entries() {
        store.verify(&passport.name).unwrap();
        for terms in &passport.licence_files {
            assert!(folder("weights").join(terms).is_file(), "{terms}");
        }
    }
}
