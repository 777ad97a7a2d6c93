//! How grainy a picture is where a face is, and the grain taken away: little light and a sensor turned up make noise, which
//! a liveness network takes for the texture of a print.
//!
//! Only where there is grain is any taken away: what denoising does to a clean picture of a screen or a print is to remove what
//! gives it away (`benches/results/liveness.md`).
//!
//! The estimate is that of J. Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 64(2),
//! 1996: the difference of two Laplacians answers to noise, and to neither flat areas, slopes nor straight edges. Its median
//! stands for its mean (Donoho and Johnstone, 1994), so that eyes, hair and beards, which are no noise, hardly count.

use super::Detection;
use crate::ops::cpu::{self, Loop};
use crate::photo::Photo;

/// More grain than this is taken away, grey levels. Of a hundred pictures of webcams and press photographers, of screens and
/// prints too, one has more than 0.95; white noise of deviation 2 has 1.5.
pub const NOTICEABLE: f32 = 1.0;

/// About so many places are looked at, spread over the face.
const PLACES: usize = 16_384;

/// The largest answer of the mask: 255 * 4 * 4 / 2.
const MOST: usize = 2040;

/// Standard deviation of the noise of luma in a face, in grey levels; 0 for a face of less than 8 pixels a side.
///
/// Where a picture was enlarged or smoothed before, its grain is finer or coarser than a pixel and reads as less.
pub fn estimate(photo: &Photo, face: &Detection) -> f32 {
    let [left, top, width, height] = face.bbox;
    let within = |from: f32, length: f32, side: usize| {
        let first = from.clamp(0.0, side as f32) as usize;
        let end = (from + length).clamp(0.0, side as f32) as usize;
        (first, end.max(first) - first)
    };
    let ((x, columns), (y, rows)) = (within(left, width, photo.width), within(top, height, photo.height));
    if columns < 8 || rows < 8 {
        return 0.0;
    }
    // Whole rows of neighbours, some rows left out.
    let step = (columns * rows / PLACES).max(1);
    let mut counts = vec![0u32; MOST + 1];
    let mut lumas = [const { Vec::new() }; 3];
    let mut seen = 0u32;
    for row in (y + 1..y + rows - 1).step_by(step) {
        for (line, luma) in (row - 1..row + 2).zip(&mut lumas) {
            let pixels = photo.rgb[(line * photo.width + x) * 3..][..columns * 3].as_chunks::<3>().0;
            luma.clear();
            luma.extend(
                pixels.iter().map(|&[r, g, b]| (77 * i32::from(r) + 150 * i32::from(g) + 29 * i32::from(b)) >> 8),
            );
        }
        let [above, here, below] = &lumas;
        for at in 1..columns - 1 {
            let cross = above[at] + below[at] + here[at - 1] + here[at + 1];
            let corners = above[at - 1] + above[at + 1] + below[at - 1] + below[at + 1];
            let answer = (4 * here[at] - 2 * cross + corners).unsigned_abs() as usize;
            counts[answer.min(MOST)] += 1;
            seen += 1;
        }
    }
    median(&counts, seen) / (0.6745 * 6.0)
}

/// The median of whole numbers by their counts, each spread evenly over the half units beside it.
fn median(counts: &[u32], seen: u32) -> f32 {
    let middle = seen as f32 / 2.0;
    let mut below = 0.0;
    for (value, &count) in counts.iter().enumerate() {
        let count = count as f32;
        if count > 0.0 && below + count >= middle {
            return (value as f32 - 0.5 + (middle - below) / count).max(0.0);
        }
        below += count;
    }
    0.0
}

/// Pixels to either side of a pixel that are compared as its patch.
const PATCH: usize = 2;
/// Pixels to either side among which similar patches are sought.
const REACH: usize = 5;

/// Takes grain out of a square crop, `side * side * 3` floats, by non-local means (Buades, Coll and Morel, "A non-local
/// algorithm for image denoising", CVPR 2005): each pixel becomes the mean of pixels nearby whose surroundings, 5x5 pixels in
/// all colours, look the same but for noise.
///
/// `deviation` is that of the crop's luma noise in grey levels. Weights are Tukey's biweight instead of an exponential
/// (Goossens et al., 2008): 1 for patches as alike as noise lets two of the same be, 0 for those that differ by twice that.
pub fn remove(crop: &mut [f32], side: usize, deviation: f32) {
    let padded = side + 2 * (PATCH + REACH);
    let mut planes = [const { Vec::new() }; 3];
    for (channel, plane) in planes.iter_mut().enumerate() {
        // The crop mirrored at its edges, without the edge pixel twice.
        let mirrored = |at: usize| {
            let at = at as isize - (PATCH + REACH) as isize;
            let last = side as isize - 1;
            (last - (last - at.abs()).abs()).clamp(0, last) as usize
        };
        plane.reserve_exact(padded * padded);
        for y in 0..padded {
            let row = mirrored(y) * side;
            plane.extend((0..padded).map(|x| crop[(row + mirrored(x)) * 3 + channel]));
        }
    }
    // Luma noise is the mean of three channels' noises, and so smaller than each of them.
    let of_channel = deviation / (0.299f32.powi(2) + 0.587f32.powi(2) + 0.114f32.powi(2)).sqrt();
    let expected = 2.0 * of_channel * of_channel;
    let mut sums = [const { Vec::new() }; 4];
    for (sum, plane) in sums.iter_mut().zip(&planes) {
        sum.reserve_exact(side * side);
        for y in 0..side {
            let start = (y + PATCH + REACH) * padded + PATCH + REACH;
            sum.extend_from_slice(&plane[start..start + side]);
        }
    }
    sums[3] = vec![1.0; side * side];
    let mut means = Means { planes: &planes, side, expected, sums: &mut sums };
    for dy in 0..=2 * REACH {
        for dx in (0..=2 * REACH).filter(|&dx| (dx, dy) != (REACH, REACH)) {
            means.add(dx, dy);
        }
    }
    for (at, pixel) in crop.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        for (channel, value) in pixel.iter_mut().enumerate() {
            *value = sums[channel][at] / sums[3][at];
        }
    }
}

/// The weighted sums of pixels so far: of three channels and of the weights.
struct Means<'a> {
    planes: &'a [Vec<f32>; 3],
    side: usize,
    /// Mean squared difference of two patches that differ by noise alone.
    expected: f32,
    sums: &'a mut [Vec<f32>; 4],
}

impl Means<'_> {
    /// Adds the pixel at one place in the neighbourhood, for all pixels at once.
    fn add(&mut self, dx: usize, dy: usize) {
        let Means { planes, side, expected, .. } = *self;
        cpu::run(AddPlace { planes, side, dx, dy, expected, sums: self.sums });
    }
}

/// See [`Means::add`].
struct AddPlace<'a> {
    planes: &'a [Vec<f32>; 3],
    side: usize,
    dx: usize,
    dy: usize,
    expected: f32,
    sums: &'a mut [Vec<f32>; 4],
}

impl Loop for AddPlace<'_> {
    #[inline(always)]
    fn run(self) {
        let AddPlace { planes, side, dx, dy, expected, sums } = self;
        let (padded, wide) = (side + 2 * (PATCH + REACH), side + 2 * PATCH);
        let lines = 2 * PATCH + 1;
        // Squared differences of the rows of a patch, the newest in the place of the oldest, and their sum down the patch.
        let mut squares = vec![0.0f32; lines * wide];
        let mut down = vec![0.0f32; wide];
        let mut weights = vec![0.0f32; side];
        let scale = 1.0 / (3 * lines * lines) as f32;
        for y in 0..wide {
            let newest = &mut squares[y % lines * wide..][..wide];
            newest.fill(0.0);
            for plane in planes {
                let here = &plane[(y + REACH) * padded + REACH..][..wide];
                let there = &plane[(y + dy) * padded + dx..][..wide];
                newest.iter_mut().zip(here).zip(there).for_each(|((square, a), b)| *square += (a - b) * (a - b));
            }
            let Some(row) = (y + 1).checked_sub(lines) else { continue };
            // Added anew in a fixed order: a running sum would carry rounding from row to row.
            down.fill(0.0);
            for line in squares.chunks_exact(wide) {
                down.iter_mut().zip(line).for_each(|(sum, square)| *sum += square);
            }
            for (x, weight) in weights.iter_mut().enumerate() {
                let across = down[x] + down[x + 1] + down[x + 2] + down[x + 3] + down[x + 4];
                let beyond = (across * scale - expected).max(0.0) / expected;
                let left = (1.0 - beyond * beyond).max(0.0);
                *weight = left * left;
            }
            let start = (row + PATCH + dy) * padded + PATCH + dx;
            for (sum, plane) in sums.iter_mut().zip(planes) {
                let (sum, values) = (&mut sum[row * side..][..side], &plane[start..][..side]);
                sum.iter_mut().zip(values).zip(&weights).for_each(|((sum, value), weight)| *sum += value * weight);
            }
            let sum = &mut sums[3][row * side..][..side];
            sum.iter_mut().zip(&weights).for_each(|(sum, weight)| *sum += weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::cpu::Isa;

    /// A face-like picture (slopes, edges, fine stripes) with so much noise in each channel.
    fn picture(noise: f32, width: usize, height: usize) -> Photo {
        let mut random = Random(7);
        let mut rgb = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                let slope = 70.0 + 60.0 * x as f32 / width as f32 + 40.0 * y as f32 / height as f32;
                let edge = if x > width / 2 { 25.0 } else { 0.0 };
                let hair = if y < height / 5 && (x / 2) % 2 == 0 { 40.0 } else { 0.0 };
                rgb.extend([0; 3].map(|_: i32| (slope + edge + hair + noise * random.normal()).round() as u8));
            }
        }
        Photo { width, height, rgb }
    }

    struct Random(u64);

    impl Random {
        fn uniform(&mut self) -> f32 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 40) as f32 + 0.5) / (1 << 24) as f32
        }

        fn normal(&mut self) -> f32 {
            (-2.0 * self.uniform().ln()).sqrt() * (std::f32::consts::TAU * self.uniform()).cos()
        }
    }

    fn face(bbox: [f32; 4]) -> Detection {
        Detection { bbox, landmarks: [[0.0; 2]; 5], score: 0.9 }
    }

    #[test]
    fn the_noise_that_was_added_is_found_whatever_the_size() {
        // Of luma: the three channels' noises are averaged with Rec. 601 weights.
        let of_luma = (0.299f32.powi(2) + 0.587f32.powi(2) + 0.114f32.powi(2)).sqrt();
        for size in [90, 300, 800] {
            let whole = face([0.0, 0.0, size as f32, size as f32]);
            for noise in [2.0, 5.0, 10.0] {
                let found = estimate(&picture(noise, size, size), &whole);
                assert!((found / (noise * of_luma) - 1.0).abs() < 0.15, "{size}: {found} for {}", noise * of_luma);
            }
            assert!(estimate(&picture(0.0, size, size), &whole) < 0.6);
        }
    }

    #[test]
    fn odd_boxes_have_no_grain_and_break_nothing() {
        let photo = picture(5.0, 64, 48);
        for bbox in [[0.0, 0.0, 7.0, 40.0], [70.0, 0.0, 20.0, 20.0], [f32::NAN; 4], [0.0, 0.0, -5.0, 20.0]] {
            assert_eq!(estimate(&photo, &face(bbox)), 0.0, "{bbox:?}");
        }
        assert!(estimate(&photo, &face([-20.0, -20.0, 1e9, 1e9])) > 2.0, "a box that reaches over all edges");
    }

    fn crop(photo: &Photo) -> Vec<f32> {
        photo.rgb.iter().map(|&v| f32::from(v)).collect()
    }

    /// Root mean square difference to what the picture is without noise.
    fn error(crop: &[f32], clean: &[f32]) -> f32 {
        (crop.iter().zip(clean).map(|(a, b)| (a - b) * (a - b)).sum::<f32>() / crop.len() as f32).sqrt()
    }

    #[test]
    fn grain_goes_and_the_picture_stays() {
        let clean = crop(&picture(0.0, 128, 128));
        for noise in [2.0, 5.0, 10.0] {
            let mut grainy = crop(&picture(noise, 128, 128));
            let before = error(&grainy, &clean);
            remove(&mut grainy, 128, noise * 0.668);
            let after = error(&grainy, &clean);
            assert!(after < 0.45 * before, "noise {noise}: {before} to {after}");
        }
        let mut same = clean.clone();
        remove(&mut same, 128, 2.0);
        assert!(error(&same, &clean) < 1.0, "edges and stripes of a clean picture stay: {}", error(&same, &clean));
    }

    #[test]
    fn every_instruction_set_takes_the_same_grain_away() {
        let grainy = crop(&picture(5.0, 128, 128));
        let removed = |isa: Isa| {
            let mut crop = grainy.clone();
            isa.with(|| remove(&mut crop, 128, 3.3)).unwrap();
            crop
        };
        let expected = removed(Isa::Plain);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
            assert!(removed(isa) == expected, "{isa}");
        }
    }
}
