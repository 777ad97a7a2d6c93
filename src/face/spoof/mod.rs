//! What the frame says about a face that was photographed from a screen or a print, beside the network's own score.
//!
//! A recaptured picture leaves marks that are no face's: the edge of a phone or a sheet around the face, a periodic
//! grid (halftone dots, sub-pixels) or its moire, a narrow range of tones. Each is measured here as a number that grows
//! with suspicion; [`SpoofRule`] weighs them together with the network's probability. An earlier JPEG's grid, glare, a
//! cast, grain unlike the rest of the picture's and lost detail were tried as well and told nothing more.
//!
//! | part | marks |
//! |---|---|
//! | `frame` | straight edges on several sides of the face |
//! | `spectrum` | peaks of the two-dimensional spectrum, in brightness and in colour |
//! | `tones` | darkest and brightest tone |

mod frame;
mod rule;
mod spectrum;
mod tones;

use serde::{Deserialize, Serialize};

pub use rule::SpoofRule;

use crate::face::Detection;
use crate::photo::Photo;

/// Marks of a recapture around one face. Each is 0 or a number of its own scale that grows with suspicion; 0 also where
/// it cannot be measured (a face of few pixels).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct SpoofEvidence {
    /// How straight and strong the third best of the four sides of a rectangle around the face is, 0..=1.
    pub frame: f32,
    /// Mean of the two highest peaks of the brightness spectrum above their surroundings, in natural logarithms of power.
    pub grid: f32,
    /// The same of the red-green and blue-yellow spectra at low frequencies: coloured moire.
    pub moire: f32,
    /// The darkest tone around the face, 0..=1 (2nd percentile of luma).
    pub black: f32,
    /// How far the brightest tone around the face is from white, 0..=1 (98th percentile of luma).
    pub white: f32,
}

impl SpoofEvidence {
    /// Number of marks.
    pub const COUNT: usize = 5;

    /// Names of the marks, in the order of [`SpoofEvidence::values`].
    pub const NAMES: [&'static str; Self::COUNT] = ["frame", "grid", "moire", "black", "white"];

    /// Measures the marks around one face of a photo.
    pub fn measure(photo: &Photo, face: &Detection) -> SpoofEvidence {
        let Some(area) = Area::around(photo, face, 2.0) else { return SpoofEvidence::default() };
        let (grid, moire) = spectrum::peaks(photo, face);
        let (black, white) = tones::range(photo, area);
        SpoofEvidence { frame: frame::third_side(photo, face), grid, moire, black, white }
    }

    /// All marks in the order of the fields.
    pub fn values(&self) -> [f32; Self::COUNT] {
        let SpoofEvidence { frame, grid, moire, black, white } = *self;
        [frame, grid, moire, black, white]
    }
}

/// A rectangle of whole pixels inside a photo; right and bottom are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Area {
    /// The part of the photo within a box around the face, `scale` times as wide and high as the face's. `None` for less
    /// than 16 pixels a side.
    fn around(photo: &Photo, face: &Detection, scale: f32) -> Option<Area> {
        let [left, top, width, height] = face.bbox;
        let (cx, cy) = (left + width / 2.0, top + height / 2.0);
        let clamp = |v: f32, side: usize| v.clamp(0.0, side as f32) as usize;
        let area = Area {
            left: clamp(cx - width * scale / 2.0, photo.width),
            top: clamp(cy - height * scale / 2.0, photo.height),
            right: clamp(cx + width * scale / 2.0, photo.width),
            bottom: clamp(cy + height * scale / 2.0, photo.height),
        };
        (area.right >= area.left + 16 && area.bottom >= area.top + 16).then_some(area)
    }
}

/// Rec. 601 luma of a pixel in steps of 1/256, 0..=255*256.
fn level(pixel: [u8; 3]) -> u32 {
    77 * u32::from(pixel[0]) + 150 * u32::from(pixel[1]) + 29 * u32::from(pixel[2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::cpu::Isa;

    /// A scene of soft shapes with a little grain, the same for every call.
    fn scene(width: usize, height: usize) -> Photo {
        let mut state = 7u32;
        let mut rgb = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
                let soft = 120.0 + 50.0 * (4.0 * u + 2.0 * v).sin() + 40.0 * (5.0 * v - 3.0 * u * v).cos();
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let grain = (state >> 24) as f32 / 32.0 - 4.0;
                rgb.extend([soft + grain + 10.0, soft + grain, soft * 0.9 + grain].map(|c| c.clamp(0.0, 255.0) as u8));
            }
        }
        Photo { width, height, rgb }
    }

    fn face() -> Detection {
        Detection { bbox: [250.0, 170.0, 120.0, 150.0], landmarks: [[0.0; 2]; 5], score: 0.9 }
    }

    fn changed(photo: &Photo, change: impl Fn(usize, usize, [f32; 3]) -> [f32; 3]) -> Photo {
        let mut out = photo.clone();
        for (at, p) in out.rgb.chunks_exact_mut(3).enumerate() {
            let new = change(at % photo.width, at / photo.width, [p[0] as f32, p[1] as f32, p[2] as f32]);
            p.iter_mut().zip(new).for_each(|(to, v)| *to = v.clamp(0.0, 255.0) as u8);
        }
        out
    }

    #[test]
    fn every_mark_is_seen_where_it_was_made_and_nowhere_else() {
        let plain = scene(640, 480);
        let clean = SpoofEvidence::measure(&plain, &face());
        let measure = |photo: &Photo| SpoofEvidence::measure(photo, &face());

        let sheet = |x: usize, y: usize| (180..450).contains(&x) && (90..400).contains(&y);
        let framed = measure(&changed(&plain, |x, y, p| if sheet(x, y) { p } else { p.map(|c| c * 0.3) }));
        assert!(framed.frame > clean.frame + 0.3, "{framed:?} against {clean:?}");

        let wave =
            |x: usize, y: usize, pitch: f32| (std::f32::consts::TAU * (0.9 * x as f32 + 0.4 * y as f32) / pitch).cos();
        let dotted = measure(&changed(&plain, |x, y, p| p.map(|c| c + 6.0 * wave(x, y, 4.3) * wave(y, x, 4.3))));
        assert!(dotted.grid > clean.grid + 1.5, "{dotted:?} against {clean:?}");

        let fringed = measure(&changed(&plain, |x, y, p| {
            [p[0] + 8.0 * wave(x, y, 20.0), p[1] - 8.0 * wave(x, y, 20.0), p[2] + 8.0 * wave(x + 7, y, 20.0)]
        }));
        assert!(fringed.moire > clean.moire + 1.5, "{fringed:?} against {clean:?}");

        let pale = measure(&changed(&plain, |_, _, p| p.map(|c| 60.0 + c * 0.5)));
        assert!(pale.black > clean.black + 0.1 && pale.white > clean.white + 0.05);
    }

    #[test]
    fn tiny_faces_and_faces_beside_the_picture_have_no_marks() {
        let photo = scene(64, 48);
        for bbox in [[10.0, 10.0, 3.0, 4.0], [-500.0, 0.0, 100.0, 100.0], [60.0, 40.0, 10.0, 10.0], [f32::NAN; 4]] {
            let face = Detection { bbox, ..face() };
            assert_eq!(SpoofEvidence::measure(&photo, &face), SpoofEvidence::default(), "{bbox:?}");
        }
        let whole = Detection { bbox: [0.0, 0.0, 64.0, 48.0], ..face() };
        assert!(SpoofEvidence::measure(&photo, &whole).values().iter().all(|v| v.is_finite() && *v >= 0.0));
        let flat = Photo { width: 400, height: 300, rgb: vec![128; 400 * 300 * 3] };
        let marks = SpoofEvidence::measure(&flat, &Detection { bbox: [100.0, 80.0, 120.0, 120.0], ..face() });
        assert!(marks.values().iter().all(|v| v.is_finite() && *v >= 0.0), "{marks:?}");
    }

    /// Marks that vector code measured are those of plain code, to the bit.
    #[test]
    fn every_instruction_set_measures_the_same() {
        let photo = scene(640, 480);
        for bbox in [[250.0, 170.0, 120.0, 150.0], [20.0, 10.0, 70.0, 90.0], [300.0, 100.0, 330.0, 370.0]] {
            let face = Detection { bbox, ..face() };
            let measure = |isa: Isa| isa.with(|| SpoofEvidence::measure(&photo, &face)).unwrap();
            let plain = measure(Isa::Plain);
            assert!(plain.grid > 0.0 && plain.moire > 0.0 && plain.black > 0.0, "{plain:?}");
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
                assert_eq!(measure(isa), plain, "{isa}");
            }
        }
    }
}
