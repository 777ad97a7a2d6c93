//! Five-point alignment: a face turned, moved and scaled onto the 112x112 template that the embedding networks expect.
//!
//! The template and the convention are ArcFace's (J. Deng et al., 2019): `cv2.warpAffine(photo, M, (112, 112))`,
//! bilinear, black beyond the border, whole numbers at pixel centres. A face near the template's size is sampled in
//! just that way. A larger one would alias, so it is first averaged over squares of whole pixels, only where the crop
//! lies, and sampled from those averages; the embedding of a face then does not depend on the camera's resolution.

use super::Detection;
use crate::ops::cpu::{self, Loop};
use crate::photo::Photo;

/// Side of an aligned crop in pixels.
pub const SIDE: usize = 112;

/// Where ArcFace's networks expect the right eye, left eye, nose tip, right and left mouth corner.
pub const TEMPLATE: [[f64; 2]; 5] =
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]];

/// A similarity transform: `(x, y) -> (a x - b y + tx, b x + a y + ty)`. No reflection is possible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// Scale times cosine.
    pub a: f64,
    /// Scale times sine.
    pub b: f64,
    /// Shift to the right.
    pub tx: f64,
    /// Shift down.
    pub ty: f64,
}

impl Similarity {
    /// The least-squares similarity from `from` to `to` (S. Umeyama, "Least-squares estimation of transformation
    /// parameters between two point patterns", 1991, in closed form for the plane without reflection).
    ///
    /// `None` if the points coincide or are not numbers.
    pub fn between(from: &[[f64; 2]; 5], to: &[[f64; 2]; 5]) -> Option<Similarity> {
        let mean = |points: &[[f64; 2]; 5], axis: usize| points.iter().map(|p| p[axis]).sum::<f64>() / 5.0;
        let (fx, fy, gx, gy) = (mean(from, 0), mean(from, 1), mean(to, 0), mean(to, 1));
        let (mut dot, mut cross, mut spread) = (0.0, 0.0, 0.0);
        for (p, q) in from.iter().zip(to) {
            let (px, py, qx, qy) = (p[0] - fx, p[1] - fy, q[0] - gx, q[1] - gy);
            dot += px * qx + py * qy;
            cross += px * qy - py * qx;
            spread += px * px + py * py;
        }
        let (a, b) = (dot / spread, cross / spread);
        let found = Similarity { a, b, tx: gx - a * fx + b * fy, ty: gy - b * fx - a * fy };
        let usable = spread > 1e-6 && found.scale() > 1e-6 && found.tx.is_finite() && found.ty.is_finite();
        usable.then_some(found)
    }

    /// From a detected face to the template.
    pub fn to_template(face: &Detection) -> Option<Similarity> {
        Similarity::between(&face.landmarks.map(|p| p.map(f64::from)), &TEMPLATE)
    }

    /// How much longer a line becomes.
    pub fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// Where a point goes.
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [self.a * x - self.b * y + self.tx, self.b * x + self.a * y + self.ty]
    }

    /// The way back.
    pub fn inverse(&self) -> Similarity {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        Similarity { a, b, tx: b * self.ty - a * self.tx, ty: -b * self.tx - a * self.ty }
    }
}

/// An aligned face: `112 * 112 * 3` floats, rows from the top, colour order R, G, B, range 0..=255, not rounded.
#[derive(Debug, Clone, PartialEq)]
pub struct Crop {
    /// The pixels.
    pub rgb: Vec<f32>,
    /// From the photo to the crop.
    pub transform: Similarity,
}

impl Crop {
    /// Cuts the face out of the photo; `None` if its landmarks coincide or are not numbers.
    pub fn new(photo: &Photo, face: &Detection) -> Option<Crop> {
        Some(Crop::cut(photo, Similarity::to_template(face)?))
    }

    /// Cuts out what this transform takes to the crop.
    pub fn cut(photo: &Photo, transform: Similarity) -> Crop {
        let mut rgb = vec![0.0; SIDE * SIDE * 3];
        warp_into(photo, &transform, (SIDE, SIDE), &mut rgb);
        Crop { rgb, transform }
    }
}

/// Warps the photo into `out`, `side.1 * side.0 * 3` floats, R, G, B: the pixel at `(x, y)` shows the point that
/// `transform` takes there, averaged over about the area it covers; black beyond the border.
pub fn warp_into(photo: &Photo, transform: &Similarity, side: (usize, usize), out: &mut [f32]) {
    let back = transform.inverse();
    // Photo pixels per output pixel, rounded: below 1.5 plain bilinear sampling sees every photo pixel.
    let factor = (back.scale().round() as usize).max(1);
    match factor {
        1 => cpu::run(Sample { source: &Pixels { photo }, back, side, out }),
        _ => {
            let means = Means::new(photo, &back, side, factor);
            let factor = factor as f64;
            // The centre of square i lies at left + i * factor + (factor - 1) / 2.
            let shift = |at: f64, origin: usize| (at - origin as f64 - (factor - 1.0) / 2.0) / factor;
            let (a, b) = (back.a / factor, back.b / factor);
            let back = Similarity { a, b, tx: shift(back.tx, means.left), ty: shift(back.ty, means.top) };
            cpu::run(Sample { source: &means, back, side, out });
        }
    }
}

/// Something to sample from: R, G, B at whole positions, black beyond the border.
trait Source {
    /// Width and height.
    fn size(&self) -> (isize, isize);
    /// The pixel at a position inside.
    fn inside(&self, x: usize, y: usize) -> [f32; 3];
    /// The pixel anywhere.
    fn anywhere(&self, x: isize, y: isize) -> [f32; 3] {
        let (width, height) = self.size();
        let is_inside = (0..width).contains(&x) && (0..height).contains(&y);
        if is_inside { self.inside(x as usize, y as usize) } else { [0.0; 3] }
    }
}

/// The photo itself.
struct Pixels<'a> {
    photo: &'a Photo,
}

impl Source for Pixels<'_> {
    fn size(&self) -> (isize, isize) {
        (self.photo.width as isize, self.photo.height as isize)
    }

    #[inline(always)]
    fn inside(&self, x: usize, y: usize) -> [f32; 3] {
        let at = (y * self.photo.width + x) * 3;
        let [r, g, b] = [self.photo.rgb[at], self.photo.rgb[at + 1], self.photo.rgb[at + 2]];
        [f32::from(r), f32::from(g), f32::from(b)]
    }
}

/// Means over squares of the photo, where a crop needs them.
struct Means {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    pixels: Vec<[f32; 3]>,
}

impl Means {
    /// Means over squares of `factor` pixels, counted from the photo's corner, over the bounding box of what `back`
    /// shows. Squares that reach over the right or lower border count the missing pixels as black.
    fn new(photo: &Photo, back: &Similarity, side: (usize, usize), factor: usize) -> Means {
        let (right, bottom) = (side.0 as f64 - 1.0, side.1 as f64 - 1.0);
        let corners = [[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]].map(|c| back.apply(c));
        let range = |axis: usize, limit: usize| {
            let reach = factor as f64 * 2.0;
            let low = corners.iter().map(|c| c[axis]).fold(f64::INFINITY, f64::min) - reach;
            let high = corners.iter().map(|c| c[axis]).fold(f64::NEG_INFINITY, f64::max) + reach;
            let squares = limit.div_ceil(factor);
            // `as` saturates, so that a face far outside gives an empty range.
            let (first, last) = (low as usize / factor, (high.max(0.0) as usize / factor + 1).min(squares));
            (first.min(last), last)
        };
        let ((x0, x1), (y0, y1)) = (range(0, photo.width), range(1, photo.height));
        let (left, top, width, height) = (x0 * factor, y0 * factor, x1 - x0, y1 - y0);
        let mut pixels = vec![[0.0f32; 3]; width * height];
        let columns = left..(left + width * factor).min(photo.width);
        let mut sums = vec![0u32; columns.len() * 3];
        let weight = 1.0 / (factor * factor) as f32;
        for (row, means) in pixels.chunks_exact_mut(width.max(1)).enumerate() {
            sums.fill(0);
            for y in top + row * factor..(top + (row + 1) * factor).min(photo.height) {
                let line = &photo.rgb[(y * photo.width + columns.start) * 3..(y * photo.width + columns.end) * 3];
                cpu::run(AddLine { line, sums: &mut sums });
            }
            for (mean, square) in means.iter_mut().zip(sums.chunks(factor * 3)) {
                let mut sum = [0u32; 3];
                for pixel in square.as_chunks::<3>().0 {
                    sum.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += value);
                }
                mean.iter_mut().zip(sum).for_each(|(mean, sum)| *mean = sum as f32 * weight);
            }
        }
        Means { left, top, width, height, pixels }
    }
}

impl Source for Means {
    fn size(&self) -> (isize, isize) {
        (self.width as isize, self.height as isize)
    }

    #[inline(always)]
    fn inside(&self, x: usize, y: usize) -> [f32; 3] {
        self.pixels[y * self.width + x]
    }
}

/// `sums += line`.
struct AddLine<'a> {
    line: &'a [u8],
    sums: &'a mut [u32],
}

impl Loop for AddLine<'_> {
    #[inline(always)]
    fn run(self) {
        self.sums.iter_mut().zip(self.line).for_each(|(sum, &value)| *sum += u32::from(value));
    }
}

/// Bilinear sampling at `back(x, y)` for each output pixel. Positions are computed in f64: in f32 a photo 8,000 pixels
/// wide would leave a thousandth of a pixel.
struct Sample<'a, S> {
    source: &'a S,
    back: Similarity,
    side: (usize, usize),
    out: &'a mut [f32],
}

impl<S: Source> Loop for Sample<'_, S> {
    #[inline(always)]
    fn run(self) {
        let Sample { source, back, side, out } = self;
        let (width, height) = source.size();
        for (y, row) in out.chunks_exact_mut(side.0 * 3).take(side.1).enumerate() {
            let (x0, y0) = (back.tx - back.b * y as f64, back.ty + back.a * y as f64);
            for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let (sx, sy) = (x0 + back.a * x as f64, y0 + back.b * x as f64);
                let (left, top) = (sx.floor(), sy.floor());
                let (right_part, lower_part) = ((sx - left) as f32, (sy - top) as f32);
                let (left, top) = (left as isize, top as isize);
                let [nw, ne, sw, se] = if left >= 0 && top >= 0 && left < width - 1 && top < height - 1 {
                    let (left, top) = (left as usize, top as usize);
                    let lower = (source.inside(left, top + 1), source.inside(left + 1, top + 1));
                    [source.inside(left, top), source.inside(left + 1, top), lower.0, lower.1]
                } else {
                    let (right, bottom) = (left.saturating_add(1), top.saturating_add(1));
                    let lower = (source.anywhere(left, bottom), source.anywhere(right, bottom));
                    [source.anywhere(left, top), source.anywhere(right, top), lower.0, lower.1]
                };
                let (upper, lower) = (between(nw, ne, right_part), between(sw, se, right_part));
                *pixel = between(upper, lower, lower_part);
            }
        }
    }
}

/// The point so far from one colour to another.
#[inline(always)]
fn between(from: [f32; 3], to: [f32; 3], part: f32) -> [f32; 3] {
    std::array::from_fn(|i| from[i] + (to[i] - from[i]) * part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::cpu::Isa;

    #[test]
    fn recovers_a_known_similarity_and_its_inverse() {
        for (scale, turn) in [(0.3, 0.0), (1.0, 0.5), (2.5, -2.0), (0.14, 3.1)] {
            let truth = Similarity { a: scale * f64::cos(turn), b: scale * f64::sin(turn), tx: -12.5, ty: 300.25 };
            let from = TEMPLATE.map(|p| truth.inverse().apply(p));
            let found = Similarity::between(&from, &TEMPLATE).unwrap();
            for (x, y) in [(found.a, truth.a), (found.b, truth.b), (found.tx, truth.tx), (found.ty, truth.ty)] {
                assert!((x - y).abs() < 1e-9, "{found:?} for {truth:?}");
            }
        }
    }

    #[test]
    fn points_without_spread_have_no_similarity() {
        assert_eq!(Similarity::between(&[[5.0, 5.0]; 5], &TEMPLATE), None);
        assert_eq!(Similarity::between(&[[f64::NAN, 5.0]; 5], &TEMPLATE), None);
        let mirrored = TEMPLATE.map(|[x, y]| [112.0 - x, y]);
        // The best without reflection is a poor fit, and a similarity still.
        assert!(Similarity::between(&mirrored, &TEMPLATE).is_some_and(|s| s.scale() < 1.0));
    }

    /// A linear ramp is reproduced exactly wherever the crop lies inside, at any scale and turn: no half-pixel slip.
    #[test]
    fn a_linear_ramp_stays_one() {
        let (width, height) = (900, 700);
        let value = |x: f64, y: f64| [x * 0.24371, y * 0.29113, 20.0 + 0.1013 * x + 0.0977 * y];
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                rgb.extend(value(x as f64, y as f64).map(|v| v.round() as u8));
            }
        }
        let photo = Photo { width, height, rgb };
        for (scale, turn) in [(1.0, 0.0), (0.8, 0.3), (2.0, -0.4), (0.45, 0.2), (0.3, 0.0), (0.19, -0.1), (0.175, 0.0)]
        {
            let (a, b) = (scale * f64::cos(turn), scale * f64::sin(turn));
            let centred = Similarity { a, b, tx: 0.0, ty: 0.0 }.apply([450.3, 350.7]);
            let transform = Similarity { a, b, tx: 55.5 - centred[0], ty: 55.5 - centred[1] };
            let mut out = vec![0.0; SIDE * SIDE * 3];
            warp_into(&photo, &transform, (SIDE, SIDE), &mut out);
            let back = transform.inverse();
            let (mut sum, mut worst) = ([0.0; 3], 0.0f64);
            for y in 0..SIDE {
                for x in 0..SIDE {
                    let [sx, sy] = back.apply([x as f64, y as f64]);
                    for (channel, expected) in value(sx, sy).into_iter().enumerate() {
                        let error = f64::from(out[(y * SIDE + x) * 3 + channel]) - expected;
                        sum[channel] += error;
                        worst = worst.max(error.abs());
                    }
                }
            }
            // The ramp is stored in whole numbers: half a level of rounding, none on average.
            assert!(worst < 0.55, "scale {scale}: {worst}");
            assert!(sum.iter().all(|s| s.abs() / ((SIDE * SIDE) as f64) < 0.03), "scale {scale}: bias {sum:?}");
        }
    }

    /// A grating finer than the crop's pixels must become grey, and one that the crop can show must stay.
    #[test]
    fn a_fine_grating_does_not_alias() {
        let deviation = |period: f64, factor: f64| {
            let side = (112.0 * factor) as usize;
            let shade = |x: usize| (127.5 + 120.0 * (x as f64 * std::f64::consts::TAU / period).sin()).round() as u8;
            let rgb = (0..side * side).flat_map(|i| [shade(i % side); 3]).collect();
            let photo = Photo { width: side, height: side, rgb };
            let mut out = vec![0.0; SIDE * SIDE * 3];
            let half = (factor - 1.0) / 2.0;
            let transform = Similarity { a: 1.0 / factor, b: 0.0, tx: -half / factor, ty: -half / factor };
            warp_into(&photo, &transform, (SIDE, SIDE), &mut out);
            let inner: Vec<f64> = out.iter().map(|&v| f64::from(v)).skip(SIDE * 30).take(SIDE * 90).collect();
            let mean = inner.iter().sum::<f64>() / inner.len() as f64;
            (inner.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / inner.len() as f64).sqrt()
        };
        for factor in [3.0, 4.6, 7.3] {
            let fine = deviation(factor * 1.05, factor);
            let coarse = deviation(factor * 8.0, factor);
            assert!(fine < 9.0, "factor {factor}: the fine grating keeps {fine} of 85");
            assert!(coarse > 60.0, "factor {factor}: the coarse grating keeps {coarse} of 85");
        }
    }

    #[test]
    fn a_face_beyond_the_border_is_black_and_no_panic() {
        let photo = Photo { width: 40, height: 40, rgb: vec![200; 4800] };
        for (scale, shift) in [(1.0, 1e6), (0.1, -1e6), (1e-5, 0.0), (0.2, 1e300), (1e4, 0.0)] {
            let mut out = vec![1.0; SIDE * SIDE * 3];
            warp_into(&photo, &Similarity { a: scale, b: 0.0, tx: shift, ty: shift }, (SIDE, SIDE), &mut out);
            assert!(out.iter().all(|v| (0.0..=200.01).contains(v)), "scale {scale}");
        }
    }

    /// Texture that only the photo's own resolution shows: every pixel at random.
    fn noise(width: usize, height: usize) -> Photo {
        let mut state = 5u32;
        let rgb = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        Photo { width, height, rgb: rgb.take(width * height * 3).collect() }
    }

    /// Eight photo pixels to one of the crop, so a face about 800 pixels wide, straight and turned: the crop is what
    /// averaging many samples over the area of each of its pixels gives, and nothing of the texture is left as an alias.
    #[test]
    fn a_face_of_eight_hundred_pixels_does_not_alias() {
        let photo = noise(1300, 1200);
        let plain = |at: [f64; 2], channel: usize| {
            let (x, y) = (at[0].round() as usize, at[1].round() as usize);
            f64::from(photo.rgb[(y * photo.width + x) * 3 + channel])
        };
        for turn in [0.0, 0.4, 1.2] {
            let (a, b) = (f64::cos(turn) / 8.0, f64::sin(turn) / 8.0);
            let centred = Similarity { a, b, tx: 0.0, ty: 0.0 }.apply([650.0, 600.0]);
            let transform = Similarity { a, b, tx: 55.5 - centred[0], ty: 55.5 - centred[1] };
            let mut out = vec![0.0; SIDE * SIDE * 3];
            warp_into(&photo, &transform, (SIDE, SIDE), &mut out);
            let back = transform.inverse();
            let (mut off, mut aliased, mut count) = (0.0, 0.0, 0.0);
            // The middle, which lies inside the photo however it is turned.
            for (x, y) in (20..92).flat_map(|y| (20..92).map(move |x| (x, y))) {
                let mut mean = 0.0;
                for (i, j) in (0..24).flat_map(|j| (0..24).map(move |i| (i, j))) {
                    let part = |n: i32| (f64::from(n) + 0.5) / 24.0 - 0.5;
                    mean += plain(back.apply([x as f64 + part(i), y as f64 + part(j)]), 1) / 576.0;
                }
                off += (f64::from(out[(y * SIDE + x) * 3 + 1]) - mean).powi(2);
                aliased += (plain(back.apply([x as f64, y as f64]), 1) - mean).powi(2);
                count += 1.0;
            }
            let (off, aliased) = ((off / count).sqrt(), (aliased / count).sqrt());
            // What is left of random pixels in a mean of 64 has a deviation of 9.2 levels.
            assert!(off < 9.2, "turned by {turn}: {off} levels from the reference");
            assert!(aliased > 60.0, "the texture does alias where it is sampled point by point: {aliased}");
        }
    }

    /// The definition, without anything that could be fast.
    fn plain(photo: &Photo, transform: &Similarity, side: usize) -> Vec<f32> {
        let back = transform.inverse();
        let factor = (back.scale().round() as usize).max(1) as isize;
        let square = |x: isize, y: isize, channel: usize| {
            let mut sum = 0u32;
            for (px, py) in (0..factor * factor).map(|i| (x * factor + i % factor, y * factor + i / factor)) {
                if (0..photo.width as isize).contains(&px) && (0..photo.height as isize).contains(&py) {
                    sum += u32::from(photo.rgb[(py as usize * photo.width + px as usize) * 3 + channel]);
                }
            }
            sum as f32 * (1.0 / (factor * factor) as f32)
        };
        let unit = factor as f64;
        let middle = |at: f64| (at - (unit - 1.0) / 2.0) / unit;
        let mut out = Vec::new();
        for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
            let sx = middle(back.tx) - back.b / unit * y as f64 + back.a / unit * x as f64;
            let sy = middle(back.ty) + back.a / unit * y as f64 + back.b / unit * x as f64;
            let (left, top) = (sx.floor() as isize, sy.floor() as isize);
            let (right_part, lower_part) = ((sx - sx.floor()) as f32, (sy - sy.floor()) as f32);
            for channel in 0..3 {
                let at = |dx: isize, dy: isize| square(left + dx, top + dy, channel);
                let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * right_part;
                let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * right_part;
                out.push(upper + (lower - upper) * lower_part);
            }
        }
        out
    }

    /// Instruction sets agree to the bit. The definition counts squares from the photo's corner and not from the crop's, so
    /// that f64 rounds differently: it agrees to a hundredth of a level.
    #[test]
    fn every_instruction_set_gives_the_definition() {
        let photo = noise(230, 190);
        for (scale, turn) in [(1.0, 0.0), (0.9, 0.3), (0.55, -0.4), (0.3, 1.0), (0.12, 0.2)] {
            let (a, b) = (scale * f64::cos(turn), scale * f64::sin(turn));
            let transform = Similarity { a, b, tx: 3.25 - 10.0 * turn, ty: -4.5 };
            let expected = plain(&photo, &transform, SIDE);
            let mut first: Option<Vec<f32>> = None;
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
                let mut found = vec![f32::NAN; SIDE * SIDE * 3];
                isa.with(|| warp_into(&photo, &transform, (SIDE, SIDE), &mut found)).unwrap();
                let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < 0.01, "scale {scale} with {isa}: {off}");
                assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "scale {scale} with {isa}");
            }
        }
    }
}
