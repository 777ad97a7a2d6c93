//! A selfie as the page shows it: the face cut out upright, and the whole picture, both as small JPEGs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;

use super::nights::{Found, Missing};
use super::request::lock;
use super::tables::Face;
use crate::config::policy::PhotoLimits;
use crate::face::Similarity;
use crate::face::align::{SIDE, TEMPLATE, warp_into};
use crate::photo::{self, Photo};

/// Side of a cut-out face in pixels.
const FACE: usize = 400;

/// Share of that side that the embedder's own crop takes: a person looks at hair, ears and chin as well.
const INNER: f64 = 0.62;

/// Longest side of the whole picture in pixels.
const WHOLE: usize = 1280;

/// JPEG quality, 1..=100.
const QUALITY: u8 = 88;

/// Pictures kept ready: those on each screen, and some that people go back to.
const KEPT: usize = 48;

/// The pictures that were shown last, by what they are of.
#[derive(Debug)]
pub struct Recent<K>(Mutex<VecDeque<(K, Arc<Shown>)>>);

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Recent(Mutex::default())
    }
}

impl<K: PartialEq + Clone> Recent<K> {
    /// The pictures of `key`, made if they are not at hand.
    pub fn get(&self, key: &K, make: impl FnOnce() -> Result<Shown, Missing>) -> Result<Arc<Shown>, Missing> {
        if let Some((_, shown)) = lock(&self.0).iter().find(|(other, _)| other == key) {
            return Ok(shown.clone());
        }
        let shown = Arc::new(make()?);
        let mut kept = lock(&self.0);
        kept.push_back((key.clone(), shown.clone()));
        while kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(shown)
    }
}

/// The two JPEGs of one membership.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The face, cut out upright; `None` where nobody knows where it is.
    pub face: Option<Vec<u8>>,
    /// The whole picture.
    pub whole: Vec<u8>,
    /// Where things are.
    pub place: Place,
}

/// Where the faces are in the whole picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Place {
    /// Width of the whole picture as shown, pixels.
    pub width: usize,
    /// Its height.
    pub height: usize,
    /// Left, top, width, height of the face in it that is asked about.
    pub face: Option<[f32; 4]>,
    /// All faces that were found.
    pub faces: Vec<PlacedFace>,
}

/// A face in the whole picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlacedFace {
    /// Left, top, width, height.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// `worker`, `member` or `bystander`.
    pub role: String,
    /// Probability that it was there.
    pub liveness: Option<f32>,
}

impl Found {
    /// Both pictures of a membership, with the face of that role.
    pub fn show(&self, role: &str) -> Result<Shown, Missing> {
        let bytes = self.submission.selfie.as_deref().ok_or(Missing::Picture)?;
        show(bytes, &self.limits, &self.faces, Some(role))
    }
}

/// Decodes a picture with these faces and draws both, the cut-out of the face of a role.
pub fn show(bytes: &[u8], limits: &PhotoLimits, faces: &[Face], role: Option<&str>) -> Result<Shown, Missing> {
    let face = faces.iter().find(|face| Some(face.role.as_str()) == role);
    let photo = photo::decode(bytes, limits).map_err(|_| Missing::Picture)?;
    let scale = (WHOLE as f64 / photo.width.max(photo.height) as f64).min(1.0);
    let size = |side: usize| ((side as f64 * scale).round() as usize).max(1);
    let (width, height) = (size(photo.width), size(photo.height));
    // Pixel centres are whole numbers, so half a pixel of either grid is what the two differ by.
    let shift = (scale - 1.0) / 2.0;
    let shrink = Similarity { a: scale, b: 0.0, tx: shift, ty: shift };
    let whole = jpeg(&photo, &shrink, [width, height]).ok_or(Missing::Picture)?;
    let cut = face.and_then(|face| jpeg(&photo, &upright(face)?, [FACE, FACE]));
    let scaled = |face: &Face| face.bbox.map(|v| v * scale as f32);
    let placed = |face: &Face| PlacedFace { bbox: scaled(face), role: face.role.clone(), liveness: face.liveness };
    let place = Place { width, height, face: face.map(scaled), faces: faces.iter().map(placed).collect() };
    Ok(Shown { face: cut, whole, place })
}

/// From the photo to the cut-out: the embedder's alignment, smaller and with room around it.
fn upright(face: &Face) -> Option<Similarity> {
    let inner = FACE as f64 * INNER;
    let margin = (FACE as f64 - inner) / 2.0;
    let to = TEMPLATE.map(|p| p.map(|v| v / SIDE as f64 * inner + margin));
    let (points, _) = face.landmarks.as_chunks::<2>();
    let from: [[f64; 2]; 5] = points.iter().map(|p| p.map(f64::from)).collect::<Vec<_>>().try_into().ok()?;
    Similarity::between(&from, &to)
}

fn jpeg(photo: &Photo, transform: &Similarity, [width, height]: [usize; 2]) -> Option<Vec<u8>> {
    let mut pixels = vec![0.0f32; width * height * 3];
    warp_into(photo, transform, (width, height), &mut pixels);
    let bytes: Vec<u8> = pixels.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
    let mut out = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut out, QUALITY);
    encoder.write_image(&bytes, width as u32, height as u32, ExtendedColorType::Rgb8).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eyes_come_to_lie_level_and_the_box_follows_the_size() {
        let (width, height) = (2000usize, 1500usize);
        let mut rgb = vec![90u8; width * height * 3];
        // Two bright eyes on a tilted line.
        for (cx, cy) in [(900usize, 700usize), (1000, 760)] {
            for y in cy - 8..cy + 8 {
                rgb[(y * width + cx - 8) * 3..(y * width + cx + 8) * 3].fill(250);
            }
        }
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder.write_image(&rgb, width as u32, height as u32, ExtendedColorType::Rgb8).unwrap();
        let right = [900.0, 700.0];
        let left = [1000.0, 760.0];
        let plain = |k: usize| TEMPLATE[k].map(|v| v as f32);
        let axis = [left[0] - right[0], left[1] - right[1]];
        let base = plain(1)[0] - plain(0)[0];
        let (a, b) = (axis[0] / base, axis[1] / base);
        let place = |p: [f32; 2]| {
            let (x, y) = (p[0] - plain(0)[0], p[1] - plain(0)[1]);
            [right[0] + a * x - b * y, right[1] + b * x + a * y]
        };
        let mut landmarks = [0.0; 10];
        (0..5).for_each(|k| landmarks[2 * k..2 * k + 2].copy_from_slice(&place(plain(k))));
        let face = Face {
            bbox: [800.0, 600.0, 300.0, 400.0],
            landmarks,
            role: "member".into(),
            quality: None,
            liveness: None,
        };
        let shown = show(&png, &PhotoLimits::default(), &[face], Some("member")).unwrap();
        assert_eq!((shown.place.width, shown.place.height), (1280, 960));
        assert_eq!(shown.place.face.unwrap().map(f32::round), [512.0, 384.0, 192.0, 256.0]);
        let cut = image::load_from_memory(&shown.face.unwrap()).unwrap().to_luma8();
        assert_eq!(cut.dimensions(), (FACE as u32, FACE as u32));
        let brightest_row = |from: u32, to: u32| {
            (0..FACE as u32)
                .max_by_key(|&y| (from..to).map(|x| u32::from(cut.get_pixel(x, y)[0])).sum::<u32>())
                .unwrap()
        };
        let (one, other) = (brightest_row(0, 200), brightest_row(200, 400));
        assert!(one.abs_diff(other) <= 8, "{one} {other}");
        assert_eq!(show(b"no picture", &PhotoLimits::default(), &[], None).unwrap_err(), Missing::Picture);
    }
}
