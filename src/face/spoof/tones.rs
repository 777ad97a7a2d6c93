//! Tones, colours and grain around a face, by themselves and against the rest of the picture.

use super::{Area, luma, pixel};
use crate::face::Detection;
use crate::photo::Photo;

/// All channels at least this: clipped.
const CLIPPED: u8 = 248;

/// Luma outside this range is clipped and has no grain.
const HAS_GRAIN: std::ops::Range<f32> = 25.0..230.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tones {
    pub glare: f32,
    pub black: f32,
    pub white: f32,
    pub cast: f32,
    pub grain: f32,
}

/// Of one part of a picture.
#[derive(Default)]
struct Part {
    count: u64,
    chroma: [f64; 2],
    /// Absolute Laplacians in quarter levels; the last bin is everything above.
    grain: Vec<u64>,
}

impl Part {
    fn new() -> Part {
        Part { grain: vec![0; 256], ..Part::default() }
    }

    fn add(&mut self, [r, g, b]: [u8; 3], laplacian: Option<f32>) {
        let y = luma([r, g, b]);
        self.count += 1;
        self.chroma[0] += f64::from((f32::from(b) - y) / 1.772);
        self.chroma[1] += f64::from((f32::from(r) - y) / 1.402);
        if let Some(laplacian) = laplacian {
            self.grain[((laplacian * 4.0) as usize).min(255)] += 1;
        }
    }

    fn mean_chroma(&self) -> [f64; 2] {
        self.chroma.map(|c| c / self.count.max(1) as f64)
    }

    /// The lower quartile of the grain: flat places, not edges. At least a quarter level, for JPEG may leave none.
    fn usual_grain(&self) -> Option<f32> {
        let total: u64 = self.grain.iter().sum();
        let mut below = 0;
        let at = self.grain.iter().position(|&n| {
            below += n;
            4 * below >= total
        })?;
        (total >= 256).then_some((at as f32 + 0.5) / 4.0)
    }
}

/// Measures them; `area` is the surroundings of the face.
pub(super) fn measure(photo: &Photo, face: &Detection, area: Area) -> Tones {
    let [left, top, width, height] = face.bbox;
    let in_face = |x: usize, y: usize| {
        let (x, y) = (x as f32, y as f32);
        x >= left && x < left + width && y >= top && y < top + height
    };
    let (mut near, mut rest) = (Part::new(), Part::new());
    let mut histogram = [0u64; 256];
    let (mut clipped, mut of_face) = (0u64, 0u64);
    // Every second pixel of every second row says enough.
    for y in (1..photo.height.saturating_sub(1)).step_by(2) {
        for x in (1..photo.width.saturating_sub(1)).step_by(2) {
            let here = pixel(photo, x, y);
            let laplacian = laplacian(photo, x, y);
            if !area.contains(x, y) {
                rest.add(here, laplacian);
                continue;
            }
            near.add(here, laplacian);
            histogram[luma(here) as usize] += 1;
            if in_face(x, y) {
                of_face += 1;
                clipped += u64::from(here.iter().all(|&c| c >= CLIPPED));
            }
        }
    }
    let percentile = |share: f64| {
        let mut below = 0;
        let at = histogram.iter().position(|&n| {
            below += n;
            below as f64 >= share * near.count as f64
        });
        at.unwrap_or(0) as f32 / 255.0
    };
    // Too little of the rest says nothing about it.
    let compared = rest.count * 4 >= near.count && rest.count >= 256;
    let ([a, b], [c, d]) = (near.mean_chroma(), rest.mean_chroma());
    let cast = if compared { (a - c).hypot(b - d) / 128.0 } else { 0.0 };
    let grain = match (near.usual_grain(), rest.usual_grain()) {
        (Some(near), Some(rest)) if compared => (near / rest).ln().abs(),
        _ => 0.0,
    };
    Tones {
        glare: clipped as f32 / of_face.max(1) as f32,
        black: percentile(0.02),
        white: 1.0 - percentile(0.98),
        cast: cast as f32,
        grain,
    }
}

/// Absolute value of the 3x3 Laplacian that a plane and a slope leave at zero (J. Immerkaer, "Fast noise variance
/// estimation", CVIU 64, 1996), in luma levels; `None` where the pixel is clipped.
fn laplacian(photo: &Photo, x: usize, y: usize) -> Option<f32> {
    let at = |dx: usize, dy: usize| luma(pixel(photo, x + dx - 1, y + dy - 1));
    let here = at(1, 1);
    HAS_GRAIN.contains(&here).then(|| {
        let corners = at(0, 0) + at(2, 0) + at(0, 2) + at(2, 2);
        let sides = at(1, 0) + at(0, 1) + at(2, 1) + at(1, 2);
        (corners - 2.0 * sides + 4.0 * here).abs() / 6.0
    })
}
