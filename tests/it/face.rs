//! Alignment, crops and shrinking against OpenCV's, on a real portrait (`fixtures/photos/make_face.py`).

use std::fs;
use std::path::{Path, PathBuf};

use chehra::config::policy::{DetectionPolicy, PhotoLimits, QualityPolicy};
use chehra::face::crop::{Colours, Region, resize_into};
use chehra::face::detect::{Detector, HeadsNet};
use chehra::face::resize::{Fit, shrink_into};
use chehra::face::{Crop, Detection, quality};
use chehra::nn::{WeightStore, Yunet, YunetLevel};
use chehra::photo::{Photo, decode};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos/face").join(name)
}

fn picture(name: &str) -> Photo {
    decode(&fs::read(file(name)).unwrap(), &PhotoLimits::default()).unwrap()
}

fn face() -> Detection {
    let text = fs::read_to_string(file("face.csv")).unwrap();
    let numbers: Vec<f32> = text.trim().split(',').map(|n| n.parse().unwrap()).collect();
    Detection {
        bbox: [numbers[0], numbers[1], numbers[2], numbers[3]],
        landmarks: std::array::from_fn(|k| [numbers[4 + 2 * k], numbers[5 + 2 * k]]),
        score: numbers[14],
    }
}

/// Largest and mean absolute difference.
fn difference(found: &[f32], expected: &Photo) -> (f32, f32) {
    assert_eq!(found.len(), expected.rgb.len());
    let errors = || found.iter().zip(&expected.rgb).map(|(f, &e)| (f - f32::from(e)).abs());
    (errors().fold(0.0, f32::max), errors().sum::<f32>() / found.len() as f32)
}

/// OpenCV rounds positions to 1/32 pixel and values to bytes: a fraction of a level on average.
#[test]
fn alignment_equals_opencv() {
    let crop = Crop::new(&picture("portrait.png"), &face()).unwrap();
    let (worst, mean) = difference(&crop.rgb, &picture("aligned.png"));
    println!("warpAffine: worst {worst}, mean {mean}");
    assert!(worst < 4.0 && mean < 0.5, "worst {worst}, mean {mean}");
}

#[test]
fn liveness_crops_equal_the_original() {
    let photo = picture("portrait.png");
    for (name, scale, side) in
        [("liveness_128.png", 2.7, 128), ("liveness_80.png", 4.0, 80), ("liveness_enlarged.png", 1.0, 128)]
    {
        let region = Region::around(&face(), scale, photo.width, photo.height);
        let mut rgb = vec![0.0; side * side * 3];
        resize_into(&photo, region, side, Colours::Rgb, &mut rgb);
        let (worst, mean) = difference(&rgb, &picture(name));
        println!("{name}: worst {worst}, mean {mean}");
        assert!(worst < 1.5 && mean < 0.35, "{name}: worst {worst}, mean {mean}");
    }
}

#[test]
fn shrinking_equals_opencv_area() {
    let photo = picture("portrait.png");
    let fit = Fit::new(&photo, 224);
    let (width, height) = fit.padded();
    let mut bgr = vec![0.0; width * height * 3];
    shrink_into(&photo, fit, &mut bgr);
    let inner: Vec<f32> = (0..fit.height * fit.width)
        .flat_map(|i| {
            let at = ((i / fit.width) * width + i % fit.width) * 3;
            [bgr[at + 2], bgr[at + 1], bgr[at]]
        })
        .collect();
    let expected = picture("shrunk_224.png");
    assert_eq!((fit.width, fit.height), (expected.width, expected.height));
    let (worst, mean) = difference(&inner, &expected);
    println!("INTER_AREA: worst {worst}, mean {mean}");
    assert!(worst < 0.6 && mean < 0.3, "worst {worst}, mean {mean}");
}

/// The same face from a camera of higher resolution gives nearly the same crop.
#[test]
fn a_large_face_gives_the_crop_of_a_small_one() {
    let photo = picture("portrait.png");
    let crop = Crop::new(&photo, &face()).unwrap();
    for factor in [2, 3, 5] {
        let (width, height) = (photo.width * factor, photo.height * factor);
        let source = |x: usize, y: usize| ((y / factor) * photo.width + x / factor) * 3;
        let rgb = (0..width * height).flat_map(|i| {
            let at = source(i % width, i / width);
            [photo.rgb[at], photo.rgb[at + 1], photo.rgb[at + 2]]
        });
        let large = Photo { width, height, rgb: rgb.collect() };
        let place = |v: f32| (v + 0.5) * factor as f32 - 0.5;
        let large_face = Detection { landmarks: face().landmarks.map(|p| p.map(place)), ..face() };
        let other = Crop::new(&large, &large_face).unwrap();
        let mean = crop.rgb.iter().zip(&other.rgb).map(|(a, b)| (a - b).abs()).sum::<f32>() / crop.rgb.len() as f32;
        println!("{factor} times larger: mean difference {mean}");
        assert!(mean < 3.0, "{factor} times larger: {mean}");
    }
}

#[test]
fn a_good_portrait_has_good_quality() {
    let policy = QualityPolicy::default();
    let crop = Crop::new(&picture("portrait.png"), &face()).unwrap();
    let found = quality::assess(&face(), &crop, &policy);
    println!("{found:?}");
    assert!(quality::failings(&found, &policy).is_empty(), "{found:?}");
    assert!(found.score > 0.6, "{found:?}");
    assert!(found.yaw.abs() < 15.0 && found.pitch.abs() < 15.0 && found.roll.abs() < 5.0, "{found:?}");
}

/// A stand-in for the network that finds bright spots: enough to follow batches, scales and coordinates.
struct Spots;

impl HeadsNet for Spots {
    fn heads(&self, nhwc: Vec<f32>, batch: usize, height: usize, width: usize) -> chehra::Result<Vec<YunetLevel>> {
        assert_eq!(nhwc.len(), batch * height * width * 3);
        let mut levels = Vec::new();
        for stride in [8, 16, 32] {
            let (rows, cols) = (height / stride, width / stride);
            let cells = batch * rows * cols;
            let mut cls = vec![0.0; cells];
            for (cell, score) in cls.iter_mut().enumerate().filter(|_| stride == 8) {
                let (n, row, col) = (cell / (rows * cols), cell / cols % rows, cell % cols);
                let at = ((n * height + row * stride + 4) * width + col * stride + 4) * 3;
                // Blue first: a red spot is none.
                *score = nhwc[at] / 255.0;
            }
            let obj = vec![1.0; cells];
            let (bbox, kps) = ([0.5, 0.5, 0.0, 0.0].repeat(cells), vec![0.5; cells * 10]);
            levels.push(YunetLevel { stride, height: rows, width: cols, cls, obj, bbox, kps });
        }
        Ok(levels)
    }
}

/// A blue square of 8 pixels.
fn spotted(width: usize, height: usize, left: usize, top: usize) -> Photo {
    let mut photo = Photo { width, height, rgb: vec![0; width * height * 3] };
    for y in top..top + 8 {
        for x in left..left + 8 {
            photo.rgb[(y * width + x) * 3 + 2] = 255;
        }
    }
    photo
}

#[test]
fn a_photo_alone_gives_what_it_gives_in_a_batch() {
    let detector = Detector::new(Spots, DetectionPolicy::default());
    let photos: Vec<Photo> =
        (0..40).map(|i| spotted(320 + i % 3 * 100, 240 + i % 2, 64 + i % 5 * 16, 80 + i % 7 * 8)).collect();
    let together = detector.detect_batch(&photos.iter().collect::<Vec<_>>()).unwrap();
    for (photo, faces) in photos.iter().zip(&together) {
        assert_eq!(&detector.detect(photo).unwrap(), faces);
        assert!(!faces.is_empty());
    }
    assert!(detector.detect_batch(&[]).unwrap().is_empty());
}

#[test]
fn coordinates_come_back_in_pixels_of_the_photo() {
    let detector = Detector::new(Spots, DetectionPolicy { scales: vec![640], ..DetectionPolicy::default() });
    let faces = detector.detect(&spotted(320, 240, 96, 64)).unwrap();
    assert_eq!(faces.len(), 1);
    assert_eq!(faces[0].bbox, [96.0, 64.0, 8.0, 8.0]);
    let mut large = spotted(1280, 960, 0, 0);
    for y in 0..16 {
        for x in 0..16 {
            large.rgb[((y + 320) * 1280 + x + 800) * 3 + 2] = 255;
        }
    }
    let faces = detector.detect(&large).unwrap();
    assert!(faces.iter().any(|f| f.bbox == [800.5, 320.5, 16.0, 16.0]), "{faces:?}");
}

fn yunet(scales: &[u32]) -> Detector {
    let store = WeightStore::open(Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("weights"))).unwrap();
    let policy = DetectionPolicy { scales: scales.to_vec(), ..DetectionPolicy::default() };
    Detector::new(Yunet::load(&store).unwrap(), policy)
}

/// The picture at `factor` times its size.
fn scaled(photo: &Photo, factor: f32) -> Photo {
    let side = |pixels: usize| (pixels as f32 * factor).round() as u32;
    let buffer = image::RgbImage::from_raw(photo.width as u32, photo.height as u32, photo.rgb.clone()).unwrap();
    let filter = image::imageops::FilterType::CatmullRom;
    let buffer = image::imageops::resize(&buffer, side(photo.width), side(photo.height), filter);
    Photo { width: buffer.width() as usize, height: buffer.height() as usize, rgb: buffer.into_raw() }
}

/// Lays a picture over another, as far as it fits.
fn paste(onto: &mut Photo, photo: &Photo, left: usize, top: usize) {
    let width = photo.width.min(onto.width - left);
    for y in 0..photo.height.min(onto.height - top) {
        let to = ((top + y) * onto.width + left) * 3;
        onto.rgb[to..to + width * 3].copy_from_slice(&photo.rgb[y * photo.width * 3..][..width * 3]);
    }
}

#[test]
fn the_detector_equals_opencv_on_the_portrait() {
    let found = yunet(&[640]).detect(&picture("portrait.png")).unwrap();
    assert_eq!(found.len(), 1);
    let (found, expected) = (found[0], face());
    assert!((found.score - expected.score).abs() < 1e-3);
    let numbers = |d: &Detection| d.bbox.into_iter().chain(d.landmarks.into_iter().flatten()).collect::<Vec<f32>>();
    for (found, expected) in numbers(&found).iter().zip(numbers(&expected)) {
        assert!((found - expected).abs() < 0.1, "{found} for {expected}");
    }
}

/// A selfie: one face fills half the height, another of 40 pixels stands behind it.
#[test]
fn a_face_filling_the_frame_and_a_small_one_behind_are_both_found() {
    let portrait = picture("portrait.png");
    let height = face().bbox[3];
    for (width, tall) in [(1280, 960), (960, 1280), (2000, 1500)] {
        let mut selfie = Photo { width, height: tall, rgb: vec![140; width * tall * 3] };
        let (near, far) = (tall as f32 * 0.5 / height, 40.0 / height * (width.max(tall) as f32 / 1280.0));
        let (large, small) = (scaled(&portrait, near), scaled(&portrait, far));
        paste(&mut selfie, &large, 0, tall - large.height.min(tall));
        paste(&mut selfie, &small, width - small.width - 10, 10);
        let found = yunet(&DetectionPolicy::default().scales).detect(&selfie).unwrap();
        let has = |side: f32| found.iter().any(|f| (f.bbox[3] / side - 1.0).abs() < 0.15);
        assert!(has(height * near) && has(height * far), "{width}x{tall}: {found:?}");
        assert_eq!(found.len(), 2, "{width}x{tall}: {found:?}");
    }
}

/// The same picture larger gives the same face, to a fraction of a pixel of the size at which the detector saw it.
#[test]
fn landmarks_do_not_shift_with_resolution() {
    let portrait = picture("portrait.png");
    let detector = yunet(&[portrait.width.max(portrait.height) as u32]);
    let base = detector.detect(&portrait).unwrap()[0];
    for factor in [2.0f32, 3.0, 5.0] {
        let found = detector.detect(&scaled(&portrait, factor)).unwrap()[0];
        let offset: Vec<[f32; 2]> = (0..5)
            .map(|k| {
                std::array::from_fn(|axis| (found.landmarks[k][axis] + 0.5) / factor - 0.5 - base.landmarks[k][axis])
            })
            .collect();
        println!("{factor} times larger: {offset:?}");
        assert!(offset.iter().flatten().all(|o| o.abs() < 0.35), "{factor}: {offset:?}");
    }
}

#[test]
fn real_photos_alone_and_in_a_batch_give_the_same_faces() {
    let portrait = picture("portrait.png");
    let photos = [scaled(&portrait, 2.6), portrait.clone(), scaled(&portrait, 0.7), scaled(&portrait, 2.6)];
    let detector = yunet(&[640, 224]);
    let together = detector.detect_batch(&photos.iter().collect::<Vec<_>>()).unwrap();
    for (photo, faces) in photos.iter().zip(&together) {
        assert_eq!(&detector.detect(photo).unwrap(), faces);
        assert_eq!(faces.len(), 1);
    }
}
