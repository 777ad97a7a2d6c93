//! Each stage of the pipeline by itself, on pictures and networks that ship with the program.
//!
//! ```text
//! cargo bench --bench pipeline                    every stage, one thread; networks in f32 (0), bf16x3 (1), bf16 (2)
//! cargo bench --bench pipeline -- embed           those with "embed" in their name
//! cargo bench --bench pipeline -- --test          each once, without the clock: what CI runs
//! ```

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use chehra::config::Policy;
use chehra::face::Detection;
use chehra::face::align::{Crop, SIDE};
use chehra::face::detect::{Detector, HeadsNet};
use chehra::face::resize::{Fit, shrink_into};
use chehra::gallery::dot::Kernel;
use chehra::gallery::generate::Crowd;
use chehra::gallery::{Filter, Gallery, Probe, Store, Want, exact};
use chehra::nn::{WeightStore, Yunet, load_embedder, load_liveness};
use chehra::ops::Precision;
use chehra::photo::{Background, Fingerprint, Miniature, Photo, Reduced, Thumbnail, decode};
use divan::Bencher;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn weights() -> WeightStore {
    WeightStore::open(Some(&root("weights"))).expect("the weights of the source tree")
}

/// A JPEG of 1280x960: a face from the fixtures, enlarged, so that decoding has a phone's work to do.
fn jpeg(side: (u32, u32)) -> Vec<u8> {
    let picture = image::open(root("fixtures/faces/obama.jpg")).expect("a picture of the fixtures");
    let picture = picture.resize_to_fill(side.0, side.1, image::imageops::FilterType::Triangle).to_rgb8();
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 85);
    picture.write_with_encoder(encoder).expect("memory takes a JPEG");
    bytes
}

fn photo() -> Photo {
    decode(&jpeg((1280, 960)), &Policy::default().photo).expect("a whole picture")
}

/// Pixels that a network cannot skip.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as f32
    })
    .take(count)
    .collect()
}

#[divan::bench(args = [(640, 480), (1280, 960), (2560, 1920)])]
fn decode_jpeg(bencher: Bencher<'_, '_>, side: (u32, u32)) {
    let (bytes, limits) = (jpeg(side), Policy::default().photo);
    bencher.bench_local(|| decode(&bytes, &limits));
}

/// The decoder that `image` brings, without the walk over the file that finds damage.
#[divan::bench(args = [(1280, 960)])]
fn decode_jpeg_with_image(bencher: Bencher<'_, '_>, side: (u32, u32)) {
    let bytes = jpeg(side);
    bencher.bench_local(|| image::load_from_memory(&bytes).map(|picture| picture.to_rgb8()));
}

/// Hashes, miniature, thumbnail and background of a picture, from one walk over it.
#[divan::bench]
fn fingerprint(bencher: Bencher<'_, '_>) {
    let (bytes, photo) = (jpeg((1280, 960)), photo());
    bencher.bench_local(|| {
        let reduced = Reduced::of(&photo);
        let (miniature, thumbnail) = (Miniature::from(&reduced), Thumbnail::from(&reduced));
        let background = Background::from_reduced(&reduced, &photo, &[[400.0, 300.0, 200.0, 260.0]]);
        (Fingerprint::from_reduced(&bytes, &reduced), miniature, thumbnail, background)
    });
}

/// What the detector sees: the photo at one of its two scales.
#[divan::bench(args = [640, 224])]
fn shrink(bencher: Bencher<'_, '_>, long_side: usize) {
    let photo = photo();
    let fit = Fit::new(&photo, long_side);
    let (width, height) = fit.padded();
    let mut out = vec![0.0; width * height * 3];
    bencher.bench_local(move || shrink_into(&photo, fit, &mut out));
}

#[divan::bench(consts = [0, 1])]
fn detect<const PRECISION: usize>(bencher: Bencher<'_, '_>) {
    let weights = weights().with_precision(precision(PRECISION));
    let detector = Detector::new(Yunet::load(&weights).expect("the detector"), Policy::default().detection);
    let photo = photo();
    bencher.bench_local(|| detector.detect(&photo).expect("faces"));
}

/// The detector's network alone, on pictures of 640x480.
#[divan::bench(args = [1, 8, 32])]
fn detector(bencher: Bencher<'_, '_>, batch: usize) {
    let (network, (width, height)) = (Yunet::load(&weights()).expect("the detector"), (640, 480));
    let pixels = noise(batch * height * width * 3);
    bencher
        .counter(divan::counter::ItemsCount::new(batch))
        .with_inputs(|| pixels.clone())
        .bench_local_values(|pixels| network.heads(pixels, batch, height, width).expect("heads"));
}

/// The grain of one large face.
#[divan::bench]
fn grain(bencher: Bencher<'_, '_>) {
    let photo = photo();
    let face = Detection { bbox: [420.0, 200.0, 320.0, 420.0], landmarks: [[0.0; 2]; 5], score: 1.0 };
    bencher.bench_local(|| chehra::face::grain::estimate(&photo, &face));
}

#[divan::bench]
fn align(bencher: Bencher<'_, '_>) {
    let detector = Detector::new(Yunet::load(&weights()).expect("the detector"), Policy::default().detection);
    let photo = photo();
    let faces = detector.detect(&photo).expect("faces");
    bencher.bench_local(|| Crop::new(&photo, &faces[0]));
}

/// The precision that a bench's constant stands for; the next simpler one where the CPU lacks it.
fn precision(number: usize) -> Precision {
    let wanted = [Precision::F32, Precision::Bf16x3, Precision::Bf16][number];
    if wanted.is_supported() { wanted } else { Precision::F32 }
}

#[divan::bench(args = [1, 8, 32], consts = [0, 1, 2])]
fn embed_sface<const PRECISION: usize>(bencher: Bencher<'_, '_>, batch: usize) {
    embed(bencher, "sface", batch, precision(PRECISION));
}

#[divan::bench(args = [1, 8, 32], consts = [0, 1, 2])]
fn embed_mobilefacenet<const PRECISION: usize>(bencher: Bencher<'_, '_>, batch: usize) {
    embed(bencher, "mobilefacenet192", batch, precision(PRECISION));
}

fn embed(bencher: Bencher<'_, '_>, name: &str, batch: usize, precision: Precision) {
    let network = load_embedder(&weights().with_precision(precision), name).expect("an embedder");
    let crops = Tensor::from_vec(noise(batch * SIDE * SIDE * 3), (batch, SIDE, SIDE, 3), &Device::Cpu);
    let crops = crops.expect("a tensor");
    bencher.counter(divan::counter::ItemsCount::new(batch)).bench_local(|| network.embed(&crops).expect("embeddings"));
}

#[divan::bench(args = [1, 8, 32], consts = [0, 1])]
fn liveness<const PRECISION: usize>(bencher: Bencher<'_, '_>, batch: usize) {
    let weights = weights().with_precision(precision(PRECISION));
    let network = load_liveness(&weights, "liveness").expect("the liveness network");
    let side = network.input_size();
    let crops = Tensor::from_vec(noise(batch * side * side * 3), (batch, side, side, 3), &Device::Cpu);
    let crops = crops.expect("a tensor");
    bencher.counter(divan::counter::ItemsCount::new(batch)).bench_local(|| network.bona_fide(&crops).expect("scores"));
}

#[divan::bench]
fn search_20k(bencher: Bencher<'_, '_>) {
    let crowd = Crowd::new(128, 1);
    let rows = crowd.rows(0..20_000).expect("templates");
    let gallery = Gallery::from_rows(&rows).expect("a gallery");
    let probes: Vec<Probe<'_>> = rows[..256]
        .iter()
        .map(|(member, template)| Probe { template, model: &member.model, filter: Filter::default() })
        .collect();
    let counter = divan::counter::ItemsCount::new(probes.len() * rows.len());
    bencher.counter(counter).bench_local(|| exact::search(&gallery, &probes, Want::Above(0.45), Kernel::best()));
}

#[divan::bench(sample_count = 5)]
fn write_10k_members(bencher: Bencher<'_, '_>) {
    let rows = Crowd::new(128, 1).rows(0..10_000).expect("templates");
    let counter = divan::counter::ItemsCount::new(rows.len());
    bencher.counter(counter).with_inputs(|| tempfile::tempdir().expect("a folder")).bench_local_values(|folder| {
        let store = Store::open_or_create(folder.path()).expect("a store");
        store.begin().and_then(|mut writer| writer.add_run("night", &rows)).expect("a commit");
        folder
    });
}
