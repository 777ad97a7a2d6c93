//! Warp, crop, shrink, decode, suppress.

use candle_core::{Device, Tensor};
use chehra::face::align::{Similarity, warp_into};
use chehra::face::crop::{Colours, Region, resize_into};
use chehra::face::decode::{Heads, Placement, decode, suppress};
use chehra::face::device::{Placed, decode_picture};
use chehra::face::resize::{Fit, shrink_into};
use chehra::face::{Detection, align};
use chehra::ops::gpu::Card;
use chehra::ops::gpu::faces::{Candidates, Pictures, Pixels, upright};
use chehra::ops::params::{CELL_VALUES, DecodePicture, MOST_CANDIDATES, PixelParams, UprightPicture};
use chehra::photo::Photo;

use super::shim::{TYPES, cards};
use super::{Noise, floats, worst};

/// Where photos lie, one behind the other.
fn placed(photos: &[Photo]) -> Vec<Placed> {
    let mut offset = 0;
    let place = |photo: &Photo| {
        let place = Placed { offset, width: photo.width, height: photo.height };
        offset += photo.rgb.len();
        place
    };
    photos.iter().map(place).collect()
}

fn upload(card: &Card, photos: &[Photo]) -> Pictures {
    let pixels: Vec<&[u8]> = photos.iter().map(|photo| photo.rgb.as_slice()).collect();
    Pictures::upload(card, &pixels).unwrap()
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

pub fn faces_are_warped_as_on_the_cpu() {
    let mut noise = Noise(1);
    let photos = photos(&mut noise);
    let mut faces = Vec::new();
    let mut expected = Vec::new();
    for (photo, place) in photos.iter().zip(&placed(&photos)) {
        for transform in transforms(&mut noise, photo) {
            faces.push(place.warp(&transform));
            let mut out = vec![0.0; align::SIDE * align::SIDE * 3];
            warp_into(photo, &transform, (align::SIDE, align::SIDE), &mut out);
            expected.extend(out);
        }
    }
    for (dialect, card) in cards() {
        let pictures = upload(&card, &photos);
        for (dtype, epsilon) in TYPES {
            for (blue_first, mean, factor) in [(0, 0.0, 1.0), (1, 127.5, 1.0 / 127.5)] {
                let side = align::SIDE as i32;
                let p = PixelParams { count: faces.len() as i32, width: side, height: side, blue_first, mean, factor };
                let found = floats(&pictures.warp(dtype, &faces, p).unwrap());
                let wanted: Vec<f32> = ordered(&expected, blue_first == 1).map(|v| (v - mean) * factor).collect();
                let off = worst(&found, &wanted);
                // Positions are off by some 1e-5 of a pixel.
                let allowed = (0.02 + 255.0 * epsilon) * factor;
                assert!(off <= allowed, "{dialect} {dtype:?}: off by {off} of {allowed}");
            }
        }
        let p = PixelParams { count: 1, ..PixelParams::default() };
        assert!(pictures.warp(TYPES[0].0, &faces, p).is_err(), "{dialect}: another number of faces");
    }
}

fn ordered(pixels: &[f32], blue_first: bool) -> impl Iterator<Item = f32> {
    pixels.chunks_exact(3).flat_map(move |p| if blue_first { [p[2], p[1], p[0]] } else { [p[0], p[1], p[2]] })
}

pub fn surroundings_are_resized_as_on_the_cpu() {
    let mut noise = Noise(2);
    let photos = photos(&mut noise);
    let places = placed(&photos);
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
        for (dialect, card) in cards() {
            let (count, side) = (regions.len() as i32, side as i32);
            let p = PixelParams { count, width: side, height: side, blue_first: 0, mean: 0.0, factor: 1.0 };
            for (dtype, epsilon) in TYPES {
                let found = upload(&card, &photos).crop_resize(dtype, &regions, p).unwrap();
                let off = worst(&floats(&found), &expected);
                assert!(off < 1e-3 + 255.0 * epsilon, "{dialect} {dtype:?} {side}: {off}");
            }
        }
    }
}

pub fn photos_are_shrunk_as_on_the_cpu() {
    let mut noise = Noise(3);
    // One size after padding, different sizes before.
    for (sizes, long) in [([(640, 480), (637, 470), (1281, 959)], 640), ([(33, 20), (64, 31), (61, 32)], 64)] {
        let photos: Vec<Photo> = sizes.into_iter().map(|(w, h)| noise.photo(w, h)).collect();
        let places = placed(&photos);
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
        for (dialect, card) in cards() {
            let (count, width, height) = (from.len() as i32, width as i32, height as i32);
            let p = PixelParams { count, width, height, blue_first: 1, mean: 0.0, factor: 1.0 };
            let pictures = upload(&card, &photos);
            let found = pictures.shrink(TYPES[0].0, &from, p).unwrap();
            assert_eq!(found.dims(), [photos.len(), height as usize, width as usize, 3]);
            assert_eq!(floats(&found), expected, "{dialect}: the order of arithmetic is the CPU's");
            for (dtype, epsilon) in &TYPES[1..] {
                let off = worst(&floats(&pictures.shrink(*dtype, &from, p).unwrap()), &expected);
                assert!(off <= 255.0 * epsilon, "{dialect} {dtype:?}: {off}");
            }
        }
    }
}

/// All eight orientations of every size, turned, and then gathered from there and from the host into one buffer.
pub fn pictures_are_turned_upright_and_gathered_as_on_the_cpu() {
    let mut noise = Noise(5);
    let photos = photos(&mut noise);
    let stored: Vec<u8> = photos.iter().flat_map(|photo| photo.rgb.iter().copied()).collect();
    let (mut list, mut expected, mut upright_photos) = (Vec::new(), Vec::new(), Vec::new());
    for (photo, place) in photos.iter().zip(placed(&photos)) {
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
            let (width, height) = (turned.width() as usize, turned.height() as usize);
            let rgb = turned.into_rgb8().into_raw();
            expected.extend_from_slice(&rgb);
            upright_photos.push(Photo { width, height, rgb });
        }
    }
    for (dialect, card) in cards() {
        let there = card.copied(&stored).unwrap();
        let (buffer, host) = upright(&card, &there, &list, expected.len()).unwrap();
        assert!(host == expected, "{dialect}");
        let buffer = std::sync::Arc::new(buffer);
        // Every third from the host.
        let mixed: Vec<Pixels<'_>> = upright_photos
            .iter()
            .zip(&list)
            .enumerate()
            .map(|(at, (photo, p))| match at % 3 {
                0 => Pixels::Host(&photo.rgb),
                _ => Pixels::Device { buffer: buffer.clone(), from: p.to as usize, length: photo.rgb.len() },
            })
            .collect();
        let pictures = Pictures::gather(&card, &mixed).unwrap();
        let regions: Vec<_> = placed(&upright_photos)
            .iter()
            .map(|place| place.crop(Region { left: 0, top: 0, width: place.width, height: place.height }))
            .collect();
        let p = PixelParams { count: regions.len() as i32, width: 9, height: 9, factor: 1.0, ..PixelParams::default() };
        let found = floats(&pictures.crop_resize(TYPES[0].0, &regions, p).unwrap());
        let mut wanted = vec![0.0; found.len()];
        for (photo, out) in upright_photos.iter().zip(wanted.chunks_exact_mut(9 * 9 * 3)) {
            let region = Region { left: 0, top: 0, width: photo.width, height: photo.height };
            resize_into(photo, region, 9, Colours::Rgb, out);
        }
        let off = worst(&found, &wanted);
        assert!(off < 1e-3, "{dialect}: {off}");
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Two levels of three pictures of two photos: the first photo is looked at twice.
pub fn boxes_become_the_same_faces() {
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
    let expected: Vec<Vec<Detection>> = expected.into_iter().map(|f| suppress(f, max_iou, max_faces)).collect();
    for (dialect, card) in cards() {
        let mut candidates = Candidates::new(&card, 2).unwrap();
        for (stride, rows, cols, heads) in &levels {
            let heads = Tensor::from_slice(heads, (3, *rows, *cols, CELL_VALUES), &Device::Cpu).unwrap();
            candidates.add(&heads, &pictures, *stride, min_score).unwrap();
            assert!(candidates.add(&heads, &pictures[1..], *stride, min_score).is_err(), "a picture too few");
        }
        let kept = candidates.suppress(max_iou, max_faces).unwrap();
        for (photo, (faces, kept)) in expected.iter().zip(&kept).enumerate() {
            let kept = kept.as_ref().unwrap();
            assert_eq!(kept.len(), faces.len(), "{dialect} photo {photo}");
            for (face, values) in faces.iter().zip(kept) {
                let wanted: Vec<f32> = face.bbox.into_iter().chain(face.landmarks.into_iter().flatten()).collect();
                assert!(worst(&values[..14], &wanted) < 1e-3, "{dialect}: {values:?} for {face:?}");
                assert!((values[14] - face.score).abs() < 1e-6);
            }
        }
    }
}

/// A list that is full is said to be, and none has lost a face in silence; a photo without candidates has no faces.
pub fn more_candidates_than_a_list_holds_are_left_to_the_host() {
    let side = 48usize;
    assert!(side * side > MOST_CANDIDATES);
    let heads = vec![0.0f32; 2 * side * side * CELL_VALUES];
    let heads = Tensor::from_vec(heads, (2, side, side, CELL_VALUES), &Device::Cpu).unwrap();
    // Every cell of the first picture scores 0.5; no box of the second begins in its photo.
    let place = |inside| Placement { ratio: (1.0, 1.0), inside };
    let pictures = [decode_picture(0, place((1e6, 1e6))), decode_picture(1, place((0.0, 0.0)))];
    for (dialect, card) in cards() {
        let mut candidates = Candidates::new(&card, 3).unwrap();
        candidates.add(&heads, &pictures, 8, 0.4).unwrap();
        let kept = candidates.suppress(0.3, 5).unwrap();
        assert_eq!(kept, [None, Some(Vec::new()), Some(Vec::new())], "{dialect}");
    }
}
