//! Bytes -> photo: every odd but good picture comes out as another decoder shows it, every bad one is refused.
//!
//! `fixtures/photos/make.py` made the pictures and wrote down what Pillow sees in them.

use std::fs;
use std::path::{Path, PathBuf};

use chehra::config::policy::PhotoLimits;
use chehra::photo::{Fingerprint, Photo, decode, hamming};
use chehra::reason::Reason;
use proptest::prelude::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(folder("good").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn ok(bytes: &[u8]) -> Photo {
    decode(bytes, &PhotoLimits::default()).unwrap()
}

/// Mean R, G, B of the four quarters, as make.py takes them.
fn quarters(photo: &Photo) -> Vec<f64> {
    let (w, h) = (photo.width / 2, photo.height / 2);
    let mut means = Vec::new();
    for (top, left) in [(0, 0), (0, w), (h, 0), (h, w)] {
        for channel in 0..3 {
            let rows = (top..top + h).flat_map(|y| (left..left + w).map(move |x| (y, x)));
            let sum: f64 = rows.map(|(y, x)| f64::from(photo.rgb[(y * photo.width + x) * 3 + channel])).sum();
            means.push(sum / (w * h) as f64);
        }
    }
    means
}

#[test]
fn good_pictures_look_as_in_another_decoder() {
    let table = fs::read_to_string(folder("good").join("expected.csv")).unwrap();
    let mut seen = 0;
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let expected: Vec<f64> = fields[1..].iter().map(|f| f.parse().unwrap()).collect();
        let photo = decode(&bytes(fields[0]), &PhotoLimits::default());
        let photo = photo.unwrap_or_else(|reject| panic!("{}: {reject:?}", fields[0]));
        assert_eq!((photo.width as f64, photo.height as f64), (expected[0], expected[1]), "{}", fields[0]);
        assert_eq!(photo.rgb.len(), photo.width * photo.height * 3);
        // CMYK has no one way to RGB; the others differ by rounding and chroma interpolation only.
        let tolerance = if fields[0].contains("cmyk") { 3.0 } else { 0.8 };
        for (found, expected) in quarters(&photo).iter().zip(&expected[2..]) {
            assert!((found - expected).abs() < tolerance, "{}: {found} for {expected}", fields[0]);
        }
        seen += 1;
    }
    let files = fs::read_dir(folder("good")).unwrap().count() - 1;
    assert_eq!(seen, files, "every good picture has its line in expected.csv");
    assert!(seen > 30);
}

/// Quarters would not show a column shifted or a border garbled; every pixel of every coding of the same face does.
#[test]
fn every_coding_of_the_face_shows_the_same_pixels() {
    let plain = ok(&bytes("rgb.png"));
    let names = [
        "baseline.jpg",
        "progressive.jpg",
        "full_chroma.jpg",
        "half_chroma.jpg",
        "restart.jpg",
        "progressive_restart.jpg",
        "rgb_not_ycbcr.jpg",
        "chroma_440.jpg",
        "chroma_440_progressive.jpg",
        "chroma_411.jpg",
        "chroma_411_progressive.jpg",
        "cmyk_adobe.jpg",
        "cmyk_plain.jpg",
        "exif_1.jpg",
        "appended.jpg",
        "lossy.webp",
        "lossless.webp",
        "animated.webp",
        "rgb_16.png",
        "named_as.jpg",
    ];
    for name in names {
        let photo = ok(&bytes(name));
        let stride = photo.width * 3;
        let errors = photo.rgb.iter().zip(&plain.rgb).map(|(&a, &b)| f64::from(a.abs_diff(b)));
        let (mut rows, mut columns) = (vec![0.0; photo.height], vec![0.0; photo.width]);
        for (at, error) in errors.enumerate() {
            rows[at / stride] += error / stride as f64;
            columns[at % stride / 3] += error / (3 * photo.height) as f64;
        }
        let worst = |means: &[f64]| means.iter().copied().fold(0.0, f64::max);
        let found = (worst(&rows), worst(&columns));
        assert!(found.0 < 12.0 && found.1 < 12.0, "{name}: worst row and column {found:?}");
    }
}

#[test]
fn bad_pictures_are_refused_with_their_reason() {
    let mut seen = 0;
    for entry in fs::read_dir(folder("bad")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let (reason, _) = name.split_once("__").unwrap();
        match decode(&fs::read(&path).unwrap(), &PhotoLimits::default()) {
            Ok(photo) => panic!("{name} was taken for {photo:?}"),
            Err(reject) => assert_eq!(reject.reason.code(), reason, "{name}: {}", reject.detail),
        }
        seen += 1;
    }
    assert!(seen > 35, "the walker found {seen} pictures");
}

#[test]
fn messages_name_what_was_found() {
    let detail = |name: &str| {
        let path = folder("bad").join(name);
        decode(&fs::read(path).unwrap(), &PhotoLimits::default()).unwrap_err().detail
    };
    assert_eq!(detail("unreadable_image__1x1.png"), "1x1 pixels, at least 32 expected");
    assert_eq!(detail("unreadable_image__picture.gif"), "a GIF; JPEG, PNG or WebP expected");
    assert!(detail("image_too_large__30000x30000.png").starts_with("30000x30000 pixels, at most 64000000"));
    assert!(detail("unreadable_image__truncated_then_closed.jpg").contains("data end or go wrong at unit"));
    assert!(detail("unreadable_image__progressive_first_scans_only.jpg").contains("before its last scan"));
}

#[test]
fn limits_hold() {
    let picture = bytes("baseline.jpg");
    let photo = ok(&picture);
    let too_large = |limits: PhotoLimits| decode(&picture, &limits).unwrap_err().reason == Reason::ImageTooLarge;
    let base = PhotoLimits::default();
    assert!(too_large(PhotoLimits { max_bytes: picture.len() - 1, ..base.clone() }));
    assert!(decode(&picture, &PhotoLimits { max_bytes: picture.len(), ..base.clone() }).is_ok());
    let pixels = (photo.width * photo.height) as u64;
    assert!(too_large(PhotoLimits { max_pixels: pixels - 1, ..base.clone() }));
    assert!(decode(&picture, &PhotoLimits { max_pixels: pixels, ..base.clone() }).is_ok());
    assert!(too_large(PhotoLimits { max_memory: 3 * pixels - 1, ..base.clone() }));
    let side = photo.width.min(photo.height) as u32;
    let small = decode(&picture, &PhotoLimits { min_side: side + 1, ..base.clone() }).unwrap_err();
    assert_eq!(small.reason, Reason::UnreadableImage);
    assert!(decode(&picture, &PhotoLimits { min_side: side, ..base }).is_ok());
}

/// Wherever a JPEG, PNG or WebP is cut, and whether or not an end marker is put behind the cut, it is refused.
#[test]
fn a_cut_picture_is_never_taken_for_a_whole_one() {
    let names = [
        "baseline.jpg",
        "progressive.jpg",
        "restart.jpg",
        "progressive_restart.jpg",
        "grey.jpg",
        "grey_progressive.jpg",
        "cmyk_adobe.jpg",
        "half_chroma.jpg",
        "lossy.webp",
        "exif_thumbnail.jpg",
        "one_bit.png",
        "palette.png",
    ];
    for name in names {
        let whole = bytes(name);
        ok(&whole);
        for end in 0..whole.len() {
            assert!(decode(&whole[..end], &PhotoLimits::default()).is_err(), "{name} cut at {end}");
        }
    }
}

#[test]
fn a_cut_jpeg_closed_with_an_end_marker_is_refused() {
    for name in ["baseline.jpg", "progressive.jpg", "restart.jpg", "grey.jpg", "optimised.jpg", "cmyk_adobe.jpg"] {
        let whole = bytes(name);
        let reference = ok(&whole);
        for end in 0..whole.len() - 2 {
            let mut cut = whole[..end].to_vec();
            cut.extend([0xff, 0xd9]);
            // The last bits of a scan may be padding: then nothing is missing and the picture is the same.
            if let Ok(photo) = decode(&cut, &PhotoLimits::default()) {
                assert!(photo == reference, "{name} cut at {end} of {} differs", whole.len());
            }
        }
    }
}

/// A few bytes lost inside one block may go unnoticed (the codes fall into step again); a stretch never does.
#[test]
fn a_jpeg_without_a_stretch_of_its_middle_is_refused() {
    for name in ["baseline.jpg", "restart.jpg", "progressive.jpg", "grey.jpg"] {
        let whole = bytes(name);
        let start = whole.windows(2).position(|w| w == [0xff, 0xda]).unwrap() + 14;
        let stretch = (whole.len() - start) / 5;
        for from in (start..whole.len() - stretch - 2).step_by(7) {
            let without: Vec<u8> = whole[..from].iter().chain(&whole[from + stretch..]).copied().collect();
            assert!(decode(&without, &PhotoLimits::default()).is_err(), "{name} without {stretch} bytes at {from}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damage of any kind gives a photo of the right shape or a reason, and never a panic.
    #[test]
    fn damaged_bytes_never_panic(
        name in prop::sample::select(vec![
            "baseline.jpg", "progressive.jpg", "progressive_restart.jpg", "cmyk_plain.jpg", "grey.jpg",
            "exif_thumbnail.jpg", "palette.png", "rgb_16.png", "grey_alpha.png", "lossy.webp",
            "lossless_alpha.webp", "lossy_alpha.webp", "animated.webp",
        ]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        near_start in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut data = bytes(name);
        let reach = if near_start { data.len().min(700) } else { data.len() };
        for (index, value) in flips {
            data[index.index(reach)] = value;
        }
        if let Some(cut) = cut {
            data.truncate(cut.index(data.len()));
        }
        let limits = PhotoLimits { max_pixels: 4_000_000, ..PhotoLimits::default() };
        match decode(&data, &limits) {
            Ok(photo) => prop_assert_eq!(photo.rgb.len(), photo.width * photo.height * 3),
            Err(reject) => prop_assert!(!reject.detail.contains("gave up"), "{}: {}", name, reject.detail),
        }
    }

    #[test]
    fn random_bytes_are_refused(data in prop::collection::vec(any::<u8>(), 0..2000), kind in 0..4usize) {
        let magic: [&[u8]; 4] = [b"", b"\xff\xd8\xff\xc0", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8 "];
        let magic = magic[kind];
        let data = [magic, &data].concat();
        prop_assert!(decode(&data, &PhotoLimits::default()).is_err());
    }
}

#[test]
fn fingerprints_survive_what_a_phone_does_to_a_picture() {
    let plain = bytes("baseline.jpg");
    let original = Fingerprint::of(&plain, &ok(&plain));
    assert_eq!(original, Fingerprint::of(&plain, &ok(&plain)));
    for name in ["optimised.jpg", "progressive.jpg", "lossy.webp", "rgb.png", "grey.png", "exif_1.jpg"] {
        let data = bytes(name);
        let other = Fingerprint::of(&data, &ok(&data));
        assert_ne!(original.sha256, other.sha256, "{name}");
        assert!(original.distance(&other) <= 6, "{name}: {}", original.distance(&other));
    }
    let mirrored = bytes("exif_2.jpg");
    let mirrored = Fingerprint::of(&mirrored, &ok(&mirrored));
    assert!(hamming(original.dhash, mirrored.dhash) > 15);
    assert!(original.distance(&mirrored) <= 4, "the mirror image is found");
    assert_eq!(mirrored.distance(&original), original.distance(&mirrored), "the distance is symmetric");
    let turned = bytes("exif_3.jpg");
    let turned = Fingerprint::of(&turned, &ok(&turned));
    assert!(original.distance(&turned) > 10, "upside down is another picture");
}

/// What goes to another decoder is what phones write and no more, and ends with its end marker.
#[test]
fn only_plain_jpegs_are_for_another_decoder() {
    let limits = PhotoLimits::default();
    let mut plain = Vec::new();
    for entry in std::fs::read_dir(folder("good")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".csv") {
            continue;
        }
        let bytes = bytes(&name);
        let walked = chehra::photo::walk(&bytes, &limits).unwrap();
        let photo = walked.decode().unwrap();
        assert_eq!(photo, decode(&bytes, &limits).unwrap());
        if let Some(jpeg) = walked.plain_jpeg() {
            assert_eq!(jpeg.upright(), (photo.width, photo.height), "{name}");
            assert!(jpeg.bytes.ends_with(&[0xff, 0xd9]), "{name}");
            let alone = decode(jpeg.bytes, &limits).unwrap();
            assert_eq!(alone, photo, "{name}: what comes after the end marker shows nothing");
            plain.push((name, jpeg.orientation));
        }
    }
    let of = |name: &str| plain.iter().find(|(plain, _)| plain == name).map(|(_, orientation)| *orientation);
    for tag in 1..=8 {
        assert_eq!(of(&format!("exif_{tag}.jpg")), Some(tag));
    }
    for name in ["baseline.jpg", "appended.jpg", "chroma_440.jpg", "full_chroma.jpg", "half_chroma.jpg"] {
        assert!(of(name).is_some(), "{name}");
    }
    for name in ["grey.jpg", "grey_progressive.jpg", "cmyk_adobe.jpg", "cmyk_plain.jpg", "chroma_411.jpg", "face.png"] {
        assert_eq!(of(name), None, "{name}");
    }
    assert!(!plain.iter().any(|(name, _)| name.contains("progressive")), "{plain:?}");
}

/// A photo as a decoder would give it that repeats colours over 2x2 pixels where ours goes between them, and rounds another
/// way: no two JPEG decoders differ by more.
fn by_another_decoder(photo: &Photo) -> Photo {
    let (width, height) = (photo.width, photo.height);
    let pixel = |x: usize, y: usize| {
        let at = &photo.rgb[(y.min(height - 1) * width + x.min(width - 1)) * 3..][..3];
        [f32::from(at[0]), f32::from(at[1]), f32::from(at[2])]
    };
    let luma = |[r, g, b]: [f32; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
    let mut rgb = Vec::with_capacity(photo.rgb.len());
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let (left, top) = (x / 2 * 2, y / 2 * 2);
        let around = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| pixel(left + dx, top + dy));
        let mean = |k: usize| around.iter().map(|p| p[k] - luma(*p)).sum::<f32>() / 4.0;
        let own = luma(pixel(x, y));
        let grain = ((x * 7 + y * 13) % 3) as f32 - 1.0;
        rgb.extend([0, 1, 2].map(|k| (own + mean(k) + grain).round().clamp(0.0, 255.0) as u8));
    }
    Photo { width, height, rgb }
}

/// So a picture that one night's card decoded is known again when another night's cores decode it.
#[test]
fn fingerprints_do_not_hang_on_the_decoder() {
    use chehra::photo::Miniature;
    use chehra::photo::miniature::SAME;
    let mut pictures = 0;
    for entry in std::fs::read_dir(folder("../faces")).unwrap() {
        let data = fs::read(entry.unwrap().path()).unwrap();
        let photo = ok(&data);
        let other = by_another_decoder(&photo);
        let (a, b) = (Fingerprint::of(&data, &photo), Fingerprint::of(&data, &other));
        assert_eq!(a.sha256, b.sha256);
        let apart = Miniature::of(&photo).difference(&Miniature::of(&other), false).unwrap();
        let levels = photo.rgb.iter().zip(&other.rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        println!("{} bits, means {apart:.5} apart, pixels up to {levels} levels", a.distance(&b));
        assert!(levels > 8, "another decoder's pixels");
        assert!(a.distance(&b) <= 2 && apart < SAME / 3.0, "{} bits, {apart}", a.distance(&b));
        pictures += 1;
    }
    assert!(pictures >= 7);
}
