//! Peaks of the two-dimensional spectrum around a face: grids of dots or sub-pixels, and the moire they make.
//!
//! The middle of the face, where skin has little structure of its own, is transformed at the photo's own resolution
//! (Hann window, power spectrum). Each frequency is compared with the mean logarithm of its surroundings: speckle of
//! natural texture stays within about three, a periodic pattern stands far above. Multiples of an eighth on the axes
//! belong to JPEG and are left out.

use std::sync::{Arc, OnceLock};

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::face::Detection;
use crate::photo::Photo;

/// Sides of the transformed square, pixels: the largest that fits is used.
const SIDES: [usize; 3] = [256, 128, 64];

/// Frequencies of brightness peaks, cycles per pixel.
const GRID: [f32; 2] = [0.09, 0.5];

/// Frequencies of colour peaks.
const MOIRE: [f32; 2] = [0.025, 0.25];

/// Peaks nearer than this are one, in bins.
const APART: i32 = 4;

/// The surroundings of a frequency reach this far, in bins.
const FAR: i32 = 5;

/// And begin beyond this.
const NEAR: i32 = 2;

/// Of brightness, and of colour; zeros where the face or the photo is too small.
pub(super) fn peaks(photo: &Photo, face: &Detection) -> (f32, f32) {
    let [left, top, width, height] = face.bbox;
    let (cx, cy) = (left + width / 2.0, top + height / 2.0);
    // The square may reach beyond the face, for the sheet does, but not into the rest of the picture.
    let fits = |side: usize| side as f32 <= 1.6 * width.min(height) && side <= photo.width.min(photo.height);
    let inside = cx >= 0.0 && cy >= 0.0 && cx < photo.width as f32 && cy < photo.height as f32;
    let Some(transform) = Transform::all().iter().find(|t| inside && fits(t.side)) else { return (0.0, 0.0) };
    let side = transform.side;
    let corner = |centre: f32, length: usize| (centre as usize).saturating_sub(side / 2).min(length - side);
    let (x0, y0) = (corner(cx, photo.width), corner(cy, photo.height));
    let square = Square { photo, left: x0, top: y0, transform };
    let luma = square.highest(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b, GRID);
    let red_green = square.highest(|[r, g, _]| r - g, MOIRE);
    let blue_yellow = square.highest(|[r, g, b]| b - 0.5 * (r + g), MOIRE);
    (luma, red_green.max(blue_yellow))
}

/// The part of a photo that is transformed.
struct Square<'a> {
    photo: &'a Photo,
    left: usize,
    top: usize,
    transform: &'static Transform,
}

impl Square<'_> {
    /// The peaks of one value of each pixel (channels R, G, B, 0..=255) in a ring of frequencies.
    fn highest(&self, value: impl Fn([f32; 3]) -> f32, ring: [f32; 2]) -> f32 {
        let side = self.transform.side;
        let mut plane = Vec::with_capacity(side * side);
        for y in self.top..self.top + side {
            let row = &self.photo.rgb[(y * self.photo.width + self.left) * 3..][..side * 3];
            plane.extend(row.as_chunks::<3>().0.iter().map(|pixel| value(pixel.map(f32::from))));
        }
        Spectrum::of(&plane, self.transform, ring).highest()
    }
}

/// What transforming a square of one side takes.
struct Transform {
    side: usize,
    fft: Arc<dyn Fft<f32>>,
    /// The Hann window.
    window: Vec<f32>,
}

impl Transform {
    fn all() -> &'static [Transform; 3] {
        static ALL: OnceLock<[Transform; 3]> = OnceLock::new();
        ALL.get_or_init(|| {
            let mut planner = FftPlanner::new();
            SIDES.map(|side| {
                let turn = |at: usize| std::f32::consts::TAU * (at as f32 + 0.5) / side as f32;
                let window = (0..side).map(|at| 0.5 - 0.5 * turn(at).cos()).collect();
                Transform { side, fft: planner.plan_fft_forward(side), window }
            })
        })
    }

    /// The spectrum of a real square, column by column: `columns` of them from frequency 0 on, each `side` long.
    fn columns(&self, plane: &[f32], columns: usize) -> Vec<Complex<f32>> {
        let side = self.side;
        let mean = plane.iter().sum::<f32>() / plane.len() as f32;
        let mut scratch = vec![Complex::default(); self.fft.get_inplace_scratch_len()];
        let mut out = vec![Complex::default(); columns * side];
        let mut both = vec![Complex::default(); side];
        // Two real rows go through one complex transform, as its real and its imaginary part.
        for (pair, rows) in plane.chunks_exact(2 * side).enumerate() {
            let (first, second) = rows.split_at(side);
            let weights = [self.window[2 * pair], self.window[2 * pair + 1]];
            for (at, both) in both.iter_mut().enumerate() {
                let weight = self.window[at];
                *both =
                    Complex::new((first[at] - mean) * weight * weights[0], (second[at] - mean) * weight * weights[1]);
            }
            self.fft.process_with_scratch(&mut both, &mut scratch);
            for u in 0..columns {
                let (here, mirror) = (both[u], both[(side - u) % side].conj());
                out[u * side + 2 * pair] = (here + mirror).scale(0.5);
                let odd = (here - mirror).scale(0.5);
                out[u * side + 2 * pair + 1] = Complex::new(odd.im, -odd.re);
            }
        }
        self.fft.process_with_scratch(&mut out, &mut scratch);
        out
    }
}

/// Natural logarithm of power at the frequencies of a ring, and around it.
struct Spectrum {
    side: usize,
    /// The ring, in bins.
    ring: [f32; 2],
    /// Frequencies (u, v) of `-reach..=reach` and `-FAR..=reach`, a row for each v: the other half is its mirror image.
    power: Vec<f32>,
    /// Sums of all that lies above and to the left, for the means of surroundings.
    sums: Vec<f64>,
    reach: i32,
}

impl Spectrum {
    fn of(plane: &[f32], transform: &Transform, ring: [f32; 2]) -> Spectrum {
        let (side, half) = (transform.side as i32, transform.side / 2);
        let ring = ring.map(|cycles| cycles * side as f32);
        let reach = ring[1].ceil() as i32 + FAR;
        let columns = (reach as usize + 1).min(half + 1);
        // Quantisation to whole levels gives each bin about side² / 12 * 0.14 of power: nothing below that is a peak.
        let floor = (side * side) as f32 * 0.02;
        let log: Vec<f32> =
            transform.columns(plane, columns).iter().map(|value| (value.norm_sqr() + floor).ln()).collect();
        let (width, rows) = ((2 * reach + 1) as usize, (reach + FAR + 1) as usize);
        let mut power = Vec::with_capacity(width * rows);
        for v in -FAR..=reach {
            power.extend((-reach..=reach).map(|u| {
                let u = (u + side).rem_euclid(side);
                // A real picture has the same power at (u, v) and at (-u, -v).
                let (u, v) = if u as usize > half { (side - u, -v) } else { (u, v) };
                log[(u * side + v.rem_euclid(side)) as usize]
            }));
        }
        let mut sums = vec![0.0; (width + 1) * (rows + 1)];
        for row in 0..rows {
            let mut sum = 0.0;
            for column in 0..width {
                sum += f64::from(power[row * width + column]);
                sums[(row + 1) * (width + 1) + column + 1] = sums[row * (width + 1) + column + 1] + sum;
            }
        }
        Spectrum { side: side as usize, ring, power, sums, reach }
    }

    /// Where frequency (u, v) stands in `power`.
    fn place(&self, u: i32, v: i32) -> usize {
        ((v + FAR) * (2 * self.reach + 1) + u + self.reach) as usize
    }

    /// Mean of the two highest peaks above their surroundings in the ring, 0 where there are none.
    fn highest(&self) -> f32 {
        let bound = self.reach - FAR;
        let half = self.side as i32 / 2;
        let [from, to] = self.ring.map(|bins| bins * bins);
        let below = (2 * self.reach + 1) as usize;
        let mut peaks: Vec<(f32, i32, i32)> = Vec::new();
        for v in 0..=bound.min(half) {
            for u in -bound.min(half)..=bound.min(half - 1) {
                let squared = (u * u + v * v) as f32;
                // One half of the plane: the other is its mirror image.
                if squared < from || squared > to || (v == 0 && u <= 0) {
                    continue;
                }
                let at = self.place(u, v);
                let here = self.power[at];
                let summit = [at - 1, at + 1, at - below, at + below].iter().all(|&beside| self.power[beside] <= here);
                if summit && !self.is_jpegs(u, v) {
                    peaks.push((here - self.around(u, v), u, v));
                }
            }
        }
        let higher = |a: &&(f32, i32, i32), b: &&(f32, i32, i32)| a.0.total_cmp(&b.0).then((b.1, b.2).cmp(&(a.1, a.2)));
        let Some(&first) = peaks.iter().max_by(higher) else { return 0.0 };
        let far = |p: &&(f32, i32, i32)| (p.1 - first.1).abs() > APART || (p.2 - first.2).abs() > APART;
        let second = peaks.iter().filter(far).max_by(higher).map_or(0.0, |p| p.0);
        ((first.0 + second) / 2.0).max(0.0)
    }

    /// Mean logarithm of the surroundings: a square of 11 bins without the 5 in the middle.
    fn around(&self, u: i32, v: i32) -> f32 {
        let width = 2 * self.reach + 2;
        let square = |far: i32| {
            let at = |u: i32, v: i32| self.sums[((v + FAR) * width + u + self.reach) as usize];
            at(u + far + 1, v + far + 1) + at(u - far, v - far) - at(u + far + 1, v - far) - at(u - far, v + far + 1)
        };
        let count = (2 * FAR + 1).pow(2) - (2 * NEAR + 1).pow(2);
        ((square(FAR) - square(NEAR)) / f64::from(count)) as f32
    }

    /// On or beside an axis at a multiple of an eighth cycle per pixel.
    fn is_jpegs(&self, u: i32, v: i32) -> bool {
        let eighth = self.side as i32 / 8;
        let multiple = |k: i32| (k.rem_euclid(eighth)).min(eighth - k.rem_euclid(eighth)) <= 1;
        (v.abs() <= 1 && multiple(u)) || (u.abs() <= 1 && multiple(v))
    }
}
