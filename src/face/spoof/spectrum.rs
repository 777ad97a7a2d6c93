//! Peaks of the two-dimensional spectrum around a face: grids of dots or sub-pixels, and the moire they make.
//!
//! The middle of the face, where skin has little structure of its own, is transformed at the photo's own resolution
//! (Hann window, power spectrum). Each frequency is compared with the mean logarithm of its surroundings: speckle of
//! natural texture stays within about three, a periodic pattern stands far above. Multiples of an eighth on the axes
//! belong to JPEG and are left out.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::pixel;
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

/// Of brightness, of colour, and the loss of detail; zeros where the face or the photo is too small.
pub(super) fn peaks(photo: &Photo, face: &Detection) -> (f32, f32, f32) {
    let [left, top, width, height] = face.bbox;
    let (cx, cy) = (left + width / 2.0, top + height / 2.0);
    // The square may reach beyond the face, for the sheet does, but not into the rest of the picture.
    let fits = |side: usize| side as f32 <= 1.6 * width.min(height) && side <= photo.width.min(photo.height);
    let inside = cx >= 0.0 && cy >= 0.0 && cx < photo.width as f32 && cy < photo.height as f32;
    let Some(side) = SIDES.into_iter().find(|&side| inside && fits(side)) else { return (0.0, 0.0, 0.0) };
    let corner = |centre: f32, length: usize| (centre as usize).saturating_sub(side / 2).min(length - side);
    let (x0, y0) = (corner(cx, photo.width), corner(cy, photo.height));
    let plane = |value: fn([f32; 3]) -> f32| -> Vec<f32> {
        (0..side * side).map(|i| value(pixel(photo, x0 + i % side, y0 + i / side).map(f32::from))).collect()
    };
    let luma = Spectrum::of(&plane(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b), side);
    let red_green = Spectrum::of(&plane(|[r, g, _]| r - g), side);
    let blue_yellow = Spectrum::of(&plane(|[r, g, b]| b - 0.5 * (r + g)), side);
    let moire = red_green.highest(MOIRE).max(blue_yellow.highest(MOIRE));
    (luma.highest(GRID), moire, luma.lost_detail())
}

/// Natural logarithm of power by frequency, `side` by `side`, frequency 0 at the start.
struct Spectrum {
    side: usize,
    power: Vec<f32>,
}

impl Spectrum {
    fn of(plane: &[f32], side: usize) -> Spectrum {
        let mean = plane.iter().sum::<f32>() / plane.len() as f32;
        let hann = |at: usize| 0.5 - 0.5 * (std::f32::consts::TAU * (at as f32 + 0.5) / side as f32).cos();
        let mut data: Vec<Complex<f32>> = plane
            .iter()
            .enumerate()
            .map(|(i, value)| Complex::new((value - mean) * hann(i % side) * hann(i / side), 0.0))
            .collect();
        let fft = FftPlanner::new().plan_fft_forward(side);
        // Rows, then columns as rows of the transpose.
        fft.process(&mut data);
        let mut turned: Vec<Complex<f32>> = (0..side * side).map(|i| data[(i % side) * side + i / side]).collect();
        fft.process(&mut turned);
        // Quantisation to whole levels gives each bin about side² / 12 * 0.14 of power: nothing below that is a peak.
        let floor = (side * side) as f32 * 0.02;
        let power = (0..side * side).map(|i| (turned[(i % side) * side + i / side].norm_sqr() + floor).ln()).collect();
        Spectrum { side, power }
    }

    /// At a frequency in bins, which may be negative.
    fn at(&self, u: i32, v: i32) -> f32 {
        let wrap = |k: i32| k.rem_euclid(self.side as i32) as usize;
        self.power[wrap(v) * self.side + wrap(u)]
    }

    /// Mean of the two highest peaks above their surroundings in a ring of frequencies, 0 where there are none.
    fn highest(&self, ring: [f32; 2]) -> f32 {
        let half = self.side as i32 / 2;
        let mut peaks: Vec<(f32, i32, i32)> = Vec::new();
        for v in 0..=half {
            for u in -half..half {
                let radius = ((u * u + v * v) as f32).sqrt() / self.side as f32;
                // One half of the plane: the other is its mirror image.
                if (v == 0 && u <= 0) || radius < ring[0] || radius > ring[1] || self.is_jpegs(u, v) {
                    continue;
                }
                let here = self.at(u, v);
                let summit = [(1, 0), (-1, 0), (0, 1), (0, -1)].iter().all(|&(du, dv)| self.at(u + du, v + dv) <= here);
                if summit {
                    peaks.push((here - self.around(u, v), u, v));
                }
            }
        }
        peaks.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let Some(&first) = peaks.first() else { return 0.0 };
        let far = |p: &&(f32, i32, i32)| (p.1 - first.1).abs() > APART || (p.2 - first.2).abs() > APART;
        let second = peaks.iter().find(far).map_or(0.0, |p| p.0);
        ((first.0 + second) / 2.0).max(0.0)
    }

    /// Mean logarithm of the surroundings: a square of 11 bins without the 5 in the middle.
    fn around(&self, u: i32, v: i32) -> f32 {
        let (mut sum, mut count) = (0.0, 0);
        for dv in -5..=5i32 {
            for du in -5..=5i32 {
                if du.abs() > 2 || dv.abs() > 2 {
                    sum += self.at(u + du, v + dv);
                    count += 1;
                }
            }
        }
        sum / count as f32
    }

    /// On or beside an axis at a multiple of an eighth cycle per pixel.
    fn is_jpegs(&self, u: i32, v: i32) -> bool {
        let eighth = self.side as i32 / 8;
        let multiple = |k: i32| (k.rem_euclid(eighth)).min(eighth - k.rem_euclid(eighth)) <= 1;
        (v.abs() <= 1 && multiple(u)) || (u.abs() <= 1 && multiple(v))
    }

    /// Mean logarithm of middle frequencies (0.08 to 0.16 cycles per pixel) less that of high ones (0.3 to 0.45).
    fn lost_detail(&self) -> f32 {
        let mean = |from: f32, to: f32| {
            let (mut sum, mut count) = (0.0, 0);
            let half = self.side as i32 / 2;
            for v in 0..half {
                for u in -half..half {
                    let radius = ((u * u + v * v) as f32).sqrt() / self.side as f32;
                    if (from..to).contains(&radius) && !self.is_jpegs(u, v) {
                        sum += self.at(u, v);
                        count += 1;
                    }
                }
            }
            sum / count.max(1) as f32
        };
        (mean(0.08, 0.16) - mean(0.3, 0.45)).max(0.0)
    }
}
