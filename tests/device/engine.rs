//! Whole pictures through the engine of a card, beside the engine of the CPU: from the files to templates.

use std::path::{Path, PathBuf};

use candle_core::Device;
use chehra::config::Policy;
use chehra::infer::template::similarity;
use chehra::infer::{Engine, JpegChoice, SeenPhoto};
use chehra::nn::WeightStore;
use chehra::reason::Reject;

/// How far the figures of two engines may lie apart.
struct Drift {
    /// Of boxes and landmarks, pixels.
    place: f32,
    /// Of liveness.
    liveness: f32,
    /// Cosine of two templates.
    cosine: f32,
    /// Bits of a difference hash.
    bits: u32,
}

/// `fixtures/` beside the source that this was built from, or in the working folder of a machine to which it was carried.
pub fn fixtures() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    if built.exists() { built } else { "fixtures".into() }
}

/// Faces, odd and damaged files.
fn pictures() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in ["faces", "photos/face", "photos/good", "photos/bad"] {
        for entry in std::fs::read_dir(fixtures().join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}")) {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| ["jpg", "png", "webp", "bmp", "gif"].iter().any(|k| kind == *k)) {
                found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 60, "{} pictures below {}", found.len(), fixtures().display());
    found.sort();
    found
}

fn engine(device: &Device, jpeg: JpegChoice) -> Engine {
    let store = WeightStore::open(None).unwrap();
    Engine::load(&store, "sface", device.clone(), &Policy::default()).unwrap().with_jpeg(jpeg).unwrap()
}

/// Prints how far two findings of a picture lie apart, and says where that is too far.
fn compare(
    name: &str,
    found: &Result<SeenPhoto, Reject>,
    expected: &Result<SeenPhoto, Reject>,
    drift: &Drift,
) -> Result<(), String> {
    let same = |what: &str, same: bool| if same { Ok(()) } else { Err(format!("{name}: {what}")) };
    let (found, expected) = match (found, expected) {
        (Ok(found), Ok(expected)) => (found, expected),
        (Err(a), Err(b)) => return same(&format!("refused as {a:?}, by the CPU as {b:?}"), a == b),
        _ => return Err(format!("{name}: {found:?} for {expected:?}")),
    };
    same("another size", (found.width, found.height) == (expected.width, expected.height))?;
    same("another sum", found.fingerprint.sha256 == expected.fingerprint.sha256)?;
    let bits = (found.fingerprint.dhash ^ expected.fingerprint.dhash).count_ones();
    same(&format!("{bits} bits of the difference hash"), bits <= drift.bits)?;
    let (own, cpu) = (found.faces.len(), expected.faces.len());
    same(&format!("{own} faces, by the CPU {cpu}"), own == cpu)?;
    for (a, b) in found.faces.iter().zip(&expected.faces) {
        let places = |face: &chehra::face::Detection| -> Vec<f32> {
            face.bbox.into_iter().chain(face.landmarks.into_iter().flatten()).collect()
        };
        let off = places(&a.detection).iter().zip(places(&b.detection)).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        let (Some(a), Some(b)) = (&a.reading, &b.reading) else {
            same("a face is read by one alone", a.reading.is_some() == b.reading.is_some())?;
            continue;
        };
        let (cosine, live) = (similarity(&a.template, &b.template), (a.liveness() - b.liveness()).abs());
        let said = format!("off by {off:.4} pixels, liveness by {live:.6}, cosine {cosine:.7}");
        println!("{name}: {said}");
        same(&said, off <= drift.place && live <= drift.liveness && cosine >= drift.cosine)?;
    }
    Ok(())
}

/// All pictures are compared before any is judged.
fn check(device: &Device, jpeg: JpegChoice, drift: &Drift) {
    let pictures = pictures();
    let bytes: Vec<&[u8]> = pictures.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let expected = engine(&Device::Cpu, JpegChoice::Cpu).see(&bytes).unwrap();
    let on_card = engine(device, jpeg);
    println!("{:?}", on_card.jpeg());
    let found = on_card.see(&bytes).unwrap();
    let each = pictures.iter().zip(&found).zip(&expected);
    let mut faults: Vec<String> =
        each.filter_map(|(((name, _), found), expected)| compare(name, found, expected, drift).err()).collect();
    assert!(expected.iter().flatten().map(|photo| photo.faces.len()).sum::<usize>() > 20, "faces to compare");
    // What is seen in a picture does not hang on its neighbours but for the order of a product's sums.
    let alone = on_card.see(&bytes[..1]).unwrap();
    faults.extend(compare("alone", &alone[0], &found[0], &Drift { bits: 0, ..*drift }).err());
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), pictures.len(), faults.join("\n"));
}

/// The same pixels, so that only the networks' last bits differ.
pub fn pictures_decoded_by_the_cores(device: &Device) {
    check(device, JpegChoice::Cpu, &Drift { place: 0.5, liveness: 1e-3, cosine: 0.9999, bits: 0 });
}

/// Pixels that differ by rounding, and every verdict the same.
#[cfg(feature = "cuda")]
pub fn pictures_decoded_by_the_card(device: &Device) {
    check(device, JpegChoice::Gpu, &Drift { place: 2.0, liveness: 0.05, cosine: 0.99, bits: 2 });
}
