//! Straight edges around a face: the rim of a phone, the border of a print.
//!
//! The surroundings of the face are brought to one size (the face 32 pixels wide). For each of the four sides, lines at
//! many distances and a few tilts are tried; a line is good when brightness changes across it in one direction all
//! along it. One or two good sides are door posts and shelves; a held picture shows three or four.

use super::{luma, pixel};
use crate::face::Detection;
use crate::photo::Photo;

/// Width of a face in the pixels in which lines are sought.
const FACE: f32 = 32.0;

/// Half the side of the square that is looked at.
const HALF: usize = 88;

/// Tilts of lines, as slopes.
const SLOPES: [f32; 7] = [-0.24, -0.16, -0.08, 0.0, 0.08, 0.16, 0.24];

/// Step across a line, in luma levels, at which its strength is one half.
const STEP: f32 = 6.0;

/// The third best of the four sides, 0..=1.
pub(super) fn third_side(photo: &Photo, face: &Detection) -> f32 {
    let [left, top, width, height] = face.bbox;
    if width.is_nan() || width < 12.0 || !height.is_finite() {
        return 0.0;
    }
    let patch = Patch::of(photo, (left + width / 2.0, top + height / 2.0), width / FACE);
    let tall = (height / width * FACE / 2.0).clamp(FACE / 4.0, FACE);
    let wide = FACE / 2.0;
    let mut sides = [
        patch.best(Side { horizontal: false, sign: -1.0, from: wide, along: tall }),
        patch.best(Side { horizontal: false, sign: 1.0, from: wide, along: tall }),
        patch.best(Side { horizontal: true, sign: -1.0, from: tall, along: wide }),
        patch.best(Side { horizontal: true, sign: 1.0, from: tall, along: wide }),
    ];
    sides.sort_by(f32::total_cmp);
    sides[1]
}

/// One side of the rectangle that is sought: how far the face reaches towards it, and along it.
#[derive(Clone, Copy)]
struct Side {
    horizontal: bool,
    sign: f32,
    from: f32,
    along: f32,
}

/// Luma around the face; `None` outside of the photo.
struct Patch {
    luma: Vec<Option<f32>>,
}

const SIZE: usize = 2 * HALF + 1;

impl Patch {
    /// `scale` photo pixels per patch pixel; each patch pixel is the mean of up to 4x4 samples.
    fn of(photo: &Photo, centre: (f32, f32), scale: f32) -> Patch {
        let taps = (scale.ceil() as usize).clamp(1, 4);
        let at =
            |i: usize, tap: usize| (i as f32 - HALF as f32) * scale + ((tap as f32 + 0.5) / taps as f32 - 0.5) * scale;
        let mut luma_of = Vec::with_capacity(SIZE * SIZE);
        for row in 0..SIZE {
            for column in 0..SIZE {
                let mut sum = 0.0;
                let mut inside = true;
                for tap in 0..taps * taps {
                    let (x, y) = (centre.0 + at(column, tap % taps), centre.1 + at(row, tap / taps));
                    if x >= 0.0 && y >= 0.0 && x < photo.width as f32 && y < photo.height as f32 {
                        sum += luma(pixel(photo, x as usize, y as usize));
                    } else {
                        inside = false;
                    }
                }
                luma_of.push(inside.then(|| sum / (taps * taps) as f32));
            }
        }
        Patch { luma: luma_of }
    }

    fn at(&self, x: i32, y: i32) -> Option<f32> {
        let (column, row) = (x + HALF as i32, y + HALF as i32);
        let range = 0..SIZE as i32;
        (range.contains(&column) && range.contains(&row)).then(|| self.luma[row as usize * SIZE + column as usize])?
    }

    /// The best line of one side.
    fn best(&self, side: Side) -> f32 {
        // From just outside the hair to twice the face's width away.
        let (near, far) = ((side.from * 1.25) as i32, (side.from + 2.0 * FACE) as i32);
        let distances = near..far.min(HALF as i32 - 2);
        let lines = distances.flat_map(|distance| SLOPES.map(|slope| self.line(side, distance as f32, slope)));
        lines.fold(0.0, f32::max)
    }

    /// How good one line is: coherence of the step across it, times its strength.
    fn line(&self, side: Side, distance: f32, slope: f32) -> f32 {
        // The sheet shows at least the whole face.
        let reach = (side.along * 1.4) as i32;
        let (mut sum, mut size, mut count) = (0.0f32, 0.0f32, 0);
        for t in -reach..=reach {
            let across = (side.sign * distance + slope * t as f32).round() as i32;
            let (a, b) = match side.horizontal {
                true => (self.at(t, across - 1), self.at(t, across + 1)),
                false => (self.at(across - 1, t), self.at(across + 1, t)),
            };
            if let (Some(a), Some(b)) = (a, b) {
                // One strong step among many weak ones is no line.
                let step = (b - a).clamp(-40.0, 40.0);
                sum += step;
                size += step.abs();
                count += 1;
            }
        }
        if count < 3 * reach / 2 || size <= 0.0 {
            return 0.0;
        }
        let mean = sum.abs() / count as f32;
        let coherence = sum.abs() / size;
        coherence * coherence * mean / (mean + STEP)
    }
}
