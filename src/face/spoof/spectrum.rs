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
use crate::ops::cpu::{self, Loop};
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
    let [luma, red_green, blue_yellow] = planes(photo, [x0, y0], side);
    let highest = |plane: &Plane, ring: [f32; 2]| Spectrum::of(plane, transform, ring).highest();
    (highest(&luma, GRID), highest(&red_green, MOIRE).max(highest(&blue_yellow, MOIRE)))
}

/// One value of each pixel of the square that is transformed, and their sum.
struct Plane {
    values: Vec<f32>,
    sum: f32,
}

/// Luma, red against green, blue against yellow, of a square with this corner (channels 0..=255). All in one pass: each
/// sum is a chain of additions in which one waits for the other, and three such chains take no longer than one.
fn planes(photo: &Photo, [left, top]: [usize; 2], side: usize) -> [Plane; 3] {
    let [mut luma, mut red_green, mut blue_yellow] = [(); 3].map(|()| vec![0.0f32; side * side]);
    let mut sums = [0.0f32; 3];
    for row in 0..side {
        let pixels = &photo.rgb[((top + row) * photo.width + left) * 3..][..side * 3];
        let out = [&mut luma, &mut red_green, &mut blue_yellow].map(|plane| &mut plane[row * side..][..side]);
        let [luma, red_green, blue_yellow] = out;
        let planes = luma.iter_mut().zip(red_green).zip(blue_yellow);
        for (((luma, red_green), blue_yellow), pixel) in planes.zip(pixels.as_chunks::<3>().0) {
            let [r, g, b] = pixel.map(f32::from);
            let values = [0.299 * r + 0.587 * g + 0.114 * b, r - g, b - 0.5 * (r + g)];
            [*luma, *red_green, *blue_yellow] = values;
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    let [a, b, c] = sums;
    [(luma, a), (red_green, b), (blue_yellow, c)].map(|(values, sum)| Plane { values, sum })
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
    fn columns(&self, plane: &Plane, columns: usize) -> Vec<Complex<f32>> {
        let side = self.side;
        let mean = plane.sum / plane.values.len() as f32;
        let mut scratch = vec![Complex::default(); self.fft.get_inplace_scratch_len()];
        let mut out = vec![Complex::default(); columns * side];
        let mut both = vec![Complex::default(); side];
        // Two real rows go through one complex transform, as its real and its imaginary part.
        for (pair, rows) in plane.values.chunks_exact(2 * side).enumerate() {
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

    /// Logarithms of power plus `floor`, column by column, of the frequencies from `-reach` to `reach`; 0 elsewhere.
    fn logarithms(&self, plane: &Plane, columns: usize, (floor, reach): (f32, usize)) -> Vec<f32> {
        let side = self.side;
        let mut log = vec![0.0; columns * side];
        for (log, values) in log.chunks_exact_mut(side).zip(self.columns(plane, columns).chunks_exact(side)) {
            let known = if 2 * reach + 1 < side { [0..reach + 1, side - reach..side] } else { [0..side, 0..0] };
            for range in known {
                let values = values[range.clone()].iter();
                log[range].iter_mut().zip(values).for_each(|(log, value)| *log = (value.norm_sqr() + floor).ln());
            }
        }
        log
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
    fn of(plane: &Plane, transform: &Transform, ring: [f32; 2]) -> Spectrum {
        let (side, half) = (transform.side as i32, transform.side / 2);
        let ring = ring.map(|cycles| cycles * side as f32);
        let reach = ring[1].ceil() as i32 + FAR;
        let columns = (reach as usize + 1).min(half + 1);
        // Quantisation to whole levels gives each bin about side² / 12 * 0.14 of power: nothing below that is a peak.
        let floor = (side * side) as f32 * 0.02;
        let log = transform.logarithms(plane, columns, (floor, reach as usize));
        let (width, rows) = ((2 * reach + 1) as usize, (reach + FAR + 1) as usize);
        let mut power = vec![0.0; width * rows];
        for (place, u) in (-reach..=reach).enumerate() {
            let u = (u + side).rem_euclid(side);
            // A real picture has the same power at (u, v) and at (-u, -v).
            let (u, sign) = if u as usize > half { (side - u, -1) } else { (u, 1) };
            let column = &log[(u * side) as usize..][..transform.side];
            // A column is read in a row and written down the rows: those fit into the nearest cache, the columns do not.
            for (v, power) in (-FAR..=reach).zip(power[place..].iter_mut().step_by(width)) {
                *power = column[(sign * v).rem_euclid(side) as usize];
            }
        }
        Spectrum { side: side as usize, ring, sums: sums(&power, width), power, reach }
    }

    /// Where frequency (u, v) stands in `power`.
    fn place(&self, u: i32, v: i32) -> usize {
        ((v + FAR) * (2 * self.reach + 1) + u + self.reach) as usize
    }

    /// Mean of the two highest peaks above their surroundings in the ring, 0 where there are none.
    fn highest(&self) -> f32 {
        let bound = (self.reach - FAR).min(self.side as i32 / 2);
        let [from, to] = self.ring.map(|bins| bins * bins);
        let mut peaks: Vec<(f32, i32, i32)> = Vec::new();
        let mut summits = vec![0u8; (2 * self.reach + 1) as usize];
        for v in 0..=bound {
            cpu::run(Summits { spectrum: self, v, summits: &mut summits });
            // Half of the length of a side is the same frequency at both ends.
            for u in -bound..=bound.min(self.side as i32 / 2 - 1) {
                // One half of the plane: the other is its mirror image.
                if summits[(u + self.reach) as usize] == 0 || (v == 0 && u <= 0) {
                    continue;
                }
                let squared = (u * u + v * v) as f32;
                if squared >= from && squared <= to && !self.is_jpegs(u, v) {
                    peaks.push((self.power[self.place(u, v)] - self.around(u, v), u, v));
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

/// Sums of all that lies above and to the left of each value, with a row and a column of zeros before them. The sum along
/// a row is a chain of additions: those of four rows take no longer than one.
fn sums(values: &[f32], width: usize) -> Vec<f64> {
    let mut sums = vec![0.0; (width + 1) * (values.len() / width + 1)];
    let mut rest = &mut sums[..];
    let mut groups = values.chunks_exact(width * 4);
    for rows in groups.by_ref() {
        add_rows::<4>(rows, rest, width);
        rest = &mut rest[(width + 1) * 4..];
    }
    for row in groups.remainder().chunks_exact(width) {
        add_rows::<1>(row, rest, width);
        rest = &mut rest[width + 1..];
    }
    sums
}

/// Sums of `N` rows, below those of the row before them, with which `sums` begins.
fn add_rows<const N: usize>(values: &[f32], sums: &mut [f64], width: usize) {
    let (above, below) = sums.split_at_mut(width + 1);
    let rows: [&[f32]; N] = std::array::from_fn(|row| &values[row * width..][..width]);
    let mut below = below.chunks_exact_mut(width + 1);
    let below: [&mut [f64]; N] = std::array::from_fn(|_| below.next().unwrap_or_default());
    let mut along = [0.0f64; N];
    for column in 0..width {
        let mut sum = above[column + 1];
        for row in 0..N {
            along[row] += f64::from(rows[row][column]);
            sum += along[row];
            below[row][column + 1] = sum;
        }
    }
}

/// Marks the frequencies of a row that are no weaker than those beside, above and below, the outermost ones left out.
struct Summits<'a> {
    spectrum: &'a Spectrum,
    v: i32,
    summits: &'a mut [u8],
}

impl Loop for Summits<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.summits.len();
        let row = |v: i32| &self.spectrum.power[(v + FAR) as usize * width..][..width];
        let (above, here, below) = (row(self.v - 1), row(self.v), row(self.v + 1));
        let inner = 1..width - 1;
        for at in inner {
            let value = here[at];
            let beside = (here[at - 1] <= value) & (here[at + 1] <= value);
            self.summits[at] = u8::from(beside & (above[at] <= value) & (below[at] <= value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_rows_taken_together_are_those_of_rows_taken_alone() {
        for (width, rows) in [(1, 1), (5, 4), (7, 3), (13, 9), (40, 30)] {
            let values: Vec<f32> = (0..width * rows).map(|i| ((i * 7919 % 1009) as f32).ln_1p()).collect();
            let mut expected = vec![0.0f64; (width + 1) * (rows + 1)];
            for row in 0..rows {
                let mut along = 0.0;
                for column in 0..width {
                    along += f64::from(values[row * width + column]);
                    expected[(row + 1) * (width + 1) + column + 1] = expected[row * (width + 1) + column + 1] + along;
                }
            }
            assert_eq!(sums(&values, width), expected, "{width}x{rows}");
        }
    }
}
