//! Warp, crop, shrink, decode, suppress.

use chehra::face::align::{Similarity, warp_into};
use chehra::face::crop::{Colours, Region, resize_into};
use chehra::face::decode::{Heads, Placement, decode, suppress};
use chehra::face::device::{Placed, decode_picture};
use chehra::face::resize::{Fit, shrink_into};
use chehra::face::{Detection, align};
use chehra::ops::params::{
    CELL_VALUES, CropRegion, DecodeParams, DecodePicture, FACE_VALUES, MOST_CANDIDATES, PixelParams, ShrinkPicture,
    UprightPicture, WarpFace,
};
use chehra::photo::Photo;
use half::f16;

use super::shim::{Number, dialects};
use super::{Noise, worst};

type Warp<T> = unsafe extern "C" fn(*const u8, *const WarpFace, *mut T, *const PixelParams);
type Resize<T> = unsafe extern "C" fn(*const u8, *const CropRegion, *mut T, *const PixelParams);
type Shrink<T> = unsafe extern "C" fn(*const u8, *const ShrinkPicture, *mut T, *const PixelParams);
type Decode = unsafe extern "C" fn(*const f32, *const DecodePicture, *mut f32, *mut u32, *const DecodeParams);
type Suppress = unsafe extern "C" fn(*const f32, *const u32, *mut f32, *mut u32, i32, i32, f32, i32);

/// Photos one behind the other, and where each lies.
fn placed(photos: &[Photo]) -> (Vec<u8>, Vec<Placed>) {
    let mut bytes = Vec::new();
    let places = photos.iter().map(|photo| {
        let place = Placed { offset: bytes.len(), width: photo.width, height: photo.height };
        bytes.extend_from_slice(&photo.rgb);
        place
    });
    let places = places.collect();
    (bytes, places)
}

fn photos(noise: &mut Noise) -> Vec<Photo> {
    [(97, 131), (640, 480), (33, 1), (1281, 959), (2, 3)].map(|(w, h)| noise.photo(w, h)).into()
}

/// Turned, scaled from 0.05 to 3, in the middle, over the border and far away.
fn transforms(noise: &mut Noise, photo: &Photo) -> Vec<Similarity> {
    let mut all: Vec<Similarity> = (0..7)
        .map(|i| {
            let scale = [0.05, 0.18, 0.34, 0.7, 1.0, 1.9, 3.0][i];
            let turn = f64::from(noise.float()) * 3.2;
            let (a, b) = (scale * turn.cos(), scale * turn.sin());
            let middle = [0.5 + f64::from(noise.float()) * 0.6, 0.5 + f64::from(noise.float()) * 0.6];
            let at = Similarity { a, b, tx: 0.0, ty: 0.0 }
                .apply([middle[0] * photo.width as f64, middle[1] * photo.height as f64]);
            Similarity { a, b, tx: 56.0 - at[0], ty: 56.0 - at[1] }
        })
        .collect();
    all.push(Similarity { a: 1.0, b: 0.0, tx: -1e7, ty: 1e7 });
    all
}

fn check_warp<T: Number>() {
    let mut noise = Noise(1);
    let photos = photos(&mut noise);
    let (bytes, places) = placed(&photos);
    let mut faces = Vec::new();
    let mut expected = Vec::new();
    for (photo, place) in photos.iter().zip(&places) {
        for transform in transforms(&mut noise, photo) {
            faces.push(place.warp(&transform));
            let mut out = vec![0.0; align::SIDE * align::SIDE * 3];
            warp_into(photo, &transform, (align::SIDE, align::SIDE), &mut out);
            expected.extend(out);
        }
    }
    for shim in dialects() {
        let Some(run) = shim.of::<T, Warp<T>>("warp") else { continue };
        for (blue_first, mean, factor) in [(0, 0.0, 1.0), (1, 127.5, 1.0 / 127.5)] {
            let side = align::SIDE as i32;
            let p = PixelParams { count: faces.len() as i32, width: side, height: side, blue_first, mean, factor };
            let mut found = vec![T::default(); expected.len()];
            // SAFETY: as many faces and pixels as the parameters say.
            unsafe { run(bytes.as_ptr(), faces.as_ptr(), found.as_mut_ptr(), &p) };
            let wanted: Vec<f32> = ordered(&expected, blue_first == 1).map(|v| (v - mean) * factor).collect();
            let found: Vec<f32> = found.into_iter().map(T::value).collect();
            let off = worst(&found, &wanted);
            // Positions are off by some 1e-5 of a pixel.
            let allowed = (0.02 + 255.0 * T::EPSILON) * factor;
            assert!(off <= allowed, "{} {}: off by {off} of {allowed}", shim.dialect, T::SUFFIX);
        }
    }
}

fn ordered(pixels: &[f32], blue_first: bool) -> impl Iterator<Item = f32> {
    pixels.chunks_exact(3).flat_map(move |p| if blue_first { [p[2], p[1], p[0]] } else { [p[0], p[1], p[2]] })
}

#[test]
fn faces_are_warped_as_on_the_cpu() {
    check_warp::<f32>();
    check_warp::<f16>();
}

#[test]
fn surroundings_are_resized_as_on_the_cpu() {
    let mut noise = Noise(2);
    let photos = photos(&mut noise);
    let (bytes, places) = placed(&photos);
    for side in [1usize, 80, 128] {
        let (mut regions, mut expected) = (Vec::new(), Vec::new());
        for (photo, place) in photos.iter().zip(&places) {
            for _ in 0..4 {
                let (left, top) = (noise.below(photo.width), noise.below(photo.height));
                let (width, height) = (1 + noise.below(photo.width - left), 1 + noise.below(photo.height - top));
                let region = Region { left, top, width, height };
                regions.push(place.crop(region));
                let mut out = vec![0.0; side * side * 3];
                resize_into(photo, region, side, Colours::Rgb, &mut out);
                expected.extend(out);
            }
        }
        for shim in dialects() {
            let run = shim.get::<Resize<f32>>("crop_resize_f32");
            let (count, side) = (regions.len() as i32, side as i32);
            let p = PixelParams { count, width: side, height: side, blue_first: 0, mean: 0.0, factor: 1.0 };
            let mut found = vec![f32::NAN; expected.len()];
            // SAFETY: as many regions and pixels as the parameters say.
            unsafe { run(bytes.as_ptr(), regions.as_ptr(), found.as_mut_ptr(), &p) };
            let off = worst(&found, &expected);
            assert!(off < 1e-3, "{} {side}: {off}", shim.dialect);
        }
    }
}

#[test]
fn photos_are_shrunk_as_on_the_cpu() {
    let mut noise = Noise(3);
    // One size after padding, different sizes before.
    for (sizes, long) in [([(640, 480), (637, 470), (1281, 959)], 640), ([(33, 20), (64, 31), (61, 32)], 64)] {
        let photos: Vec<Photo> = sizes.into_iter().map(|(w, h)| noise.photo(w, h)).collect();
        let (bytes, places) = placed(&photos);
        let fits: Vec<Fit> = photos.iter().map(|photo| Fit::new(photo, long)).collect();
        let (width, height) = fits.iter().map(Fit::padded).max().unwrap();
        let (mut from, mut expected) = (Vec::new(), Vec::new());
        for ((photo, place), &fit) in photos.iter().zip(&places).zip(&fits) {
            from.push(place.shrink(fit));
            let mut own = vec![0.0; fit.padded().0 * fit.padded().1 * 3];
            shrink_into(photo, fit, &mut own);
            let mut out = vec![0.0; width * height * 3];
            for (row, line) in own.chunks(fit.padded().0 * 3).enumerate() {
                out[row * width * 3..][..line.len()].copy_from_slice(line);
            }
            expected.extend(out);
        }
        for shim in dialects() {
            let run = shim.get::<Shrink<f32>>("shrink_f32");
            let (count, width, height) = (from.len() as i32, width as i32, height as i32);
            let p = PixelParams { count, width, height, blue_first: 1, mean: 0.0, factor: 1.0 };
            let mut found = vec![f32::NAN; expected.len()];
            // SAFETY: as many pictures and pixels as the parameters say.
            unsafe { run(bytes.as_ptr(), from.as_ptr(), found.as_mut_ptr(), &p) };
            assert_eq!(found, expected, "{}: the order of arithmetic is the CPU's", shim.dialect);
        }
    }
}

type Upright = unsafe extern "C" fn(*const u8, *mut u8, *const UprightPicture, u32, u32);

/// All eight orientations of every size at once, and nothing beyond the pictures is written.
#[test]
fn pictures_are_turned_upright_as_on_the_cpu() {
    let mut noise = Noise(5);
    let photos = photos(&mut noise);
    let (bytes, places) = placed(&photos);
    let (mut list, mut expected) = (Vec::new(), Vec::new());
    for (photo, place) in photos.iter().zip(&places) {
        for tag in 1..=8u8 {
            let buffer = image::RgbImage::from_raw(photo.width as u32, photo.height as u32, photo.rgb.clone()).unwrap();
            let mut turned = image::DynamicImage::ImageRgb8(buffer);
            turned.apply_orientation(image::metadata::Orientation::from_exif(tag).unwrap());
            list.push(UprightPicture {
                from: place.offset as i64,
                to: expected.len() as i64,
                width: turned.width() as i32,
                height: turned.height() as i32,
                orientation: tag.into(),
                reserved: 0,
            });
            expected.extend(turned.into_rgb8().into_raw());
            expected.extend([7; 5]);
        }
    }
    let most = photos.iter().map(|photo| photo.width * photo.height).max().unwrap();
    for shim in dialects() {
        let run = shim.get::<Upright>("upright");
        let mut found = vec![7; expected.len()];
        // SAFETY: as many pictures as are listed, each inside both buffers.
        unsafe { run(bytes.as_ptr(), found.as_mut_ptr(), list.as_ptr(), list.len() as u32, most as u32) };
        assert!(found == expected, "{}", shim.dialect);
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Two levels of three pictures of two photos: the first photo is looked at twice.
#[test]
fn boxes_become_the_same_faces() {
    const CAPACITY: usize = 512;
    let (max_iou, max_faces, min_score) = (0.3, 9, 0.6);
    let mut noise = Noise(4);
    let places = [(2.0, 2.0, 150.0, 90.0), (4.0, 4.0, 75.0, 45.0), (1.0, 1.5, 160.0, 96.0)];
    let owners = [0usize, 0, 1];
    let pictures: Vec<DecodePicture> = places
        .iter()
        .zip(owners)
        .map(|(&(a, b, c, d), photo)| decode_picture(photo, Placement { ratio: (a, b), inside: (c, d) }))
        .collect();
    let mut expected: Vec<Vec<Detection>> = vec![Vec::new(); 2];
    let mut levels = Vec::new();
    for stride in [8usize, 16] {
        let (rows, cols) = (96 / stride, 160 / stride);
        let cells = rows * cols;
        let mut heads = noise.floats(3 * cells * CELL_VALUES);
        for cell in heads.chunks_exact_mut(CELL_VALUES) {
            cell[0] = cell[0] * 4.0 + 0.5;
            cell[1] = cell[1] * 4.0 + 0.5;
            cell[4] += 1.0;
            cell[5] += 1.0;
            match noise.below(40) {
                0 => cell[noise.below(CELL_VALUES)] = f32::NAN,
                1 => cell[4] = f32::INFINITY,
                _ => {}
            }
        }
        for (n, own) in heads.chunks_exact(cells * CELL_VALUES).enumerate() {
            let part = |range: std::ops::Range<usize>| -> Vec<f32> {
                own.chunks_exact(CELL_VALUES).flat_map(|cell| cell[range.clone()].to_vec()).collect()
            };
            let (cls, obj): (Vec<f32>, Vec<f32>) =
                (part(0..1).into_iter().map(sigmoid).collect(), part(1..2).into_iter().map(sigmoid).collect());
            let (bbox, kps) = (part(2..6), part(6..16));
            let heads = Heads { stride, rows, cols, cls: &cls, obj: &obj, bbox: &bbox, kps: &kps };
            let (rx, ry, w, h) = places[n];
            decode(&heads, Placement { ratio: (rx, ry), inside: (w, h) }, min_score, &mut expected[owners[n]]);
        }
        levels.push((stride, rows, cols, heads));
    }
    assert!(expected.iter().all(|faces| faces.len() > 40), "enough to suppress");
    let counted: Vec<u32> = expected.iter().map(|faces| faces.len() as u32).collect();
    let expected: Vec<Vec<Detection>> = expected.into_iter().map(|f| suppress(f, max_iou, max_faces)).collect();
    for shim in dialects() {
        let (decode, suppress) = (shim.get::<Decode>("decode_faces"), shim.get::<Suppress>("suppress_faces"));
        let (mut candidates, mut counts) = (vec![f32::NAN; 2 * CAPACITY * FACE_VALUES], vec![0u32; 2]);
        for (stride, rows, cols, heads) in &levels {
            let p = DecodeParams {
                pictures: 3,
                rows: *rows as i32,
                columns: *cols as i32,
                stride: *stride as i32,
                capacity: CAPACITY as i32,
                min_score,
            };
            // SAFETY: as many cells as the parameters say, lists of the capacity given.
            unsafe {
                decode(heads.as_ptr(), pictures.as_ptr(), candidates.as_mut_ptr(), counts.as_mut_ptr(), &p);
            }
        }
        assert_eq!(counts, counted, "{}", shim.dialect);
        let (mut kept, mut found) = (vec![f32::NAN; 2 * max_faces * FACE_VALUES], vec![0u32; 2]);
        let (capacity, most) = (CAPACITY as i32, max_faces as i32);
        // SAFETY: as above.
        unsafe {
            suppress(
                candidates.as_ptr(),
                counts.as_ptr(),
                kept.as_mut_ptr(),
                found.as_mut_ptr(),
                2,
                capacity,
                max_iou,
                most,
            );
        }
        for (photo, faces) in expected.iter().enumerate() {
            assert_eq!(found[photo] as usize, faces.len(), "{}", shim.dialect);
            for (face, values) in faces.iter().zip(kept[photo * max_faces * FACE_VALUES..].chunks(FACE_VALUES)) {
                let wanted: Vec<f32> = face.bbox.into_iter().chain(face.landmarks.into_iter().flatten()).collect();
                assert!(worst(&values[..14], &wanted) < 1e-3, "{}: {values:?} for {face:?}", shim.dialect);
                assert!((values[14] - face.score).abs() < 1e-6);
            }
        }
    }
    const { assert!(CAPACITY <= MOST_CANDIDATES) };
}
