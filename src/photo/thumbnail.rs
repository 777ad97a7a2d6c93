//! Whether one picture is another one cut, scaled or mirrored: the check that a perceptual hash cannot make.
//!
//! Of an earlier picture there are 64 means ([`super::Miniature`]), of the later one a thumbnail that lives as long as
//! the night. The landmarks of the faces that both show say roughly how the one lies on the other; the thumbnail is read
//! at the places of the earlier picture's cells, and its place is refined until the means fit best. Of one picture they
//! then fit within a few hundredths of its contrast; of two pictures of the same people, who moved, they do not.

use serde::{Deserialize, Serialize};

use super::grids::{MINIATURE_SIDE as CELLS, THUMBNAIL_SIDE as SIDE};
use super::miniature::Miniature;
use super::picture::Photo;
use super::reduce::Reduced;
use super::shrink;

/// Samples per side of a cell.
const SAMPLES: usize = 4;
/// Most rounds of refinement; the step is halved after each that moves nothing.
const ROUNDS: usize = 24;
/// The finest step, as a share of the picture: a hundredth of a thumbnail's pixel.
const FINEST: f64 = 0.01 / SIDE as f64;

/// 32x32 means of luma, whatever the picture's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbnail {
    luma: Vec<u8>,
}

/// How points of the earlier picture lie in the later one: `x' = p x - q y + u`, `y' = q x + p y + v`, in pixels; the
/// earlier picture's x counted from its right edge where it is `mirrored`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlay {
    /// Scale times cosine of the turn.
    pub p: f64,
    /// Scale times sine of the turn.
    pub q: f64,
    /// Shift to the right.
    pub u: f64,
    /// Shift down.
    pub v: f64,
    /// Left and right exchanged.
    pub mirrored: bool,
}

/// How well a picture's cells fit on a thumbnail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// RMS of what is left after the best gain and offset, relative to the standard deviation: 0 (same) to 1 (unrelated).
    pub residual: f32,
    /// Share of the cells that the later picture shows whole.
    pub overlap: f32,
}

impl Thumbnail {
    /// Of a photo.
    pub fn of(photo: &Photo) -> Thumbnail {
        Self::new(&shrink::luma(photo, SIDE, SIDE, false))
    }

    fn new(luma: &[f32]) -> Thumbnail {
        Thumbnail { luma: luma.iter().map(|v| v.round() as u8).collect() }
    }

    /// The means, 0..=255, row by row.
    pub fn as_bytes(&self) -> &[u8] {
        &self.luma
    }

    /// What [`Thumbnail::as_bytes`] gave; `None` for another number of bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Thumbnail> {
        (bytes.len() == SIDE * SIDE).then_some(Thumbnail { luma: bytes })
    }

    /// Contrast and likeness need more than a plain surface: the standard deviation of the means, grey levels.
    fn deviation(values: &[f64]) -> f64 {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    /// How alike two pictures are that show the same from edge to edge, up to a turn by right angles and a mirror, which
    /// programs forget in one place or the other: the largest correlation of their means over the eight ways to lay the one
    /// on the other, -1..=1. Where the shapes differ (`shape` is width by height), the wider one may have been cut to the
    /// other at its middle. `None` where either shows nothing but a surface.
    pub fn likeness(&self, shape: f64, other: &Thumbnail, other_shape: f64) -> Option<f64> {
        let (own_plain, other_plain) = (plain(&self.luma), plain(&other.luma));
        if Self::deviation(&own_plain).min(Self::deviation(&other_plain)) < LEAST_DEVIATION {
            return None;
        }
        let mut best: Option<f64> = None;
        for way in 0..8 {
            let turned = other.turned(way);
            let turned_shape = if way % 4 >= 2 { 1.0 / other_shape } else { other_shape };
            let whole = correlation(&own_plain, &plain(&turned.luma));
            let ratio = shape / turned_shape;
            // The wider one is cut at its sides, or the higher one above and below: either may be the whole picture.
            let [sides, height] =
                if ratio > 1.0 { [[1.0 / ratio, 1.0], [1.0, 1.0 / ratio]] } else { [[1.0, ratio], [ratio, 1.0]] };
            let cut = (!(0.97..1.03).contains(&ratio)).then(|| {
                let own = correlation(&self.middle(sides[0], sides[1]), &plain(&turned.luma));
                [own, correlation(&own_plain, &turned.middle(height[0], height[1]))]
            });
            best = [best, whole].into_iter().chain(cut.into_iter().flatten()).flatten().reduce(f64::max);
        }
        best
    }

    /// The middle of the picture, so much of its width and height, as means of the same number.
    fn middle(&self, wide: f64, high: f64) -> Vec<f64> {
        let place = |at: usize, share: f64| (((at as f64 + 0.5) / SIDE as f64 - 0.5) * share + 0.5) * SIDE as f64;
        let at = |k: usize| self.at(place(k % SIDE, wide), place(k / SIDE, high)).unwrap_or(0.0);
        (0..SIDE * SIDE).map(at).collect()
    }

    /// Mirrored (odd numbers), and with rows and columns exchanged, upside down (the others): all eight ways.
    fn turned(&self, way: usize) -> Thumbnail {
        let from = |row: usize, column: usize| {
            let (row, column) = if way % 4 >= 2 { (column, row) } else { (row, column) };
            let column = if way % 2 == 1 { SIDE - 1 - column } else { column };
            let row = if way >= 4 { SIDE - 1 - row } else { row };
            self.luma[row * SIDE + column]
        };
        Thumbnail { luma: (0..SIDE * SIDE).map(|k| from(k / SIDE, k % SIDE)).collect() }
    }

    /// Luma at a point, both coordinates 0..=[`SIDE`] over the picture; `None` outside of it.
    fn at(&self, x: f64, y: f64) -> Option<f64> {
        let within = 0.0..=SIDE as f64;
        if !(within.contains(&x) && within.contains(&y)) {
            return None;
        }
        let place = |t: f64| (t - 0.5).clamp(0.0, (SIDE - 1) as f64 - 1e-9);
        let (x, y) = (place(x), place(y));
        let (column, row) = (x as usize, y as usize);
        let (fx, fy) = (x - column as f64, y - row as f64);
        let value = |dx: usize, dy: usize| f64::from(self.luma[(row + dy) * SIDE + column + dx]);
        let (top, bottom) = (value(0, 0) * (1.0 - fx) + value(1, 0) * fx, value(0, 1) * (1.0 - fx) + value(1, 1) * fx);
        Some(top * (1.0 - fy) + bottom * fy)
    }

    /// Lays an earlier picture, of `earlier_size` pixels (width, height), over this one of `size`, beginning where
    /// `start` says. `None` where less than half of it is seen, or there is no contrast.
    pub fn fit(&self, size: [f64; 2], earlier: &Miniature, earlier_size: [f64; 2], start: Overlay) -> Option<Fit> {
        let judge = |place: &Overlay| self.judge(size, earlier, earlier_size, place);
        let (mut place, mut best) = (start, judge(&start)?);
        // A hundredth of the picture, and of its scale.
        let mut step = 0.01;
        for _ in 0..ROUNDS {
            let before = best.residual;
            for (shift, scale) in [([1.0, 0.0], 0.0), ([0.0, 1.0], 0.0), ([0.0; 2], 1.0)] {
                for sign in [-1.0, 1.0] {
                    let moved = place.moved(shift.map(|s| s * sign * step), 1.0 + scale * sign * step, size);
                    if let Some(fit) = judge(&moved).filter(|fit| fit.residual < best.residual) {
                        (place, best) = (moved, fit);
                    }
                }
            }
            if best.residual >= before {
                step /= 2.0;
            }
            if step < FINEST {
                break;
            }
        }
        Some(best)
    }

    fn judge(&self, size: [f64; 2], earlier: &Miniature, earlier_size: [f64; 2], place: &Overlay) -> Option<Fit> {
        // Samples lie on a grid, and so do their places on the thumbnail: one of them and two steps say it all.
        let [wide, high] = earlier_size;
        let on_thumbnail = |column: f64, row: f64| {
            let across = (CELLS * SAMPLES) as f64;
            let (x, y) = place.map(column / across * wide, row / across * high, wide);
            [x / size[0] * SIDE as f64, y / size[1] * SIDE as f64]
        };
        let first = on_thumbnail(0.5, 0.5);
        let step = |[x, y]: [f64; 2]| [x - first[0], y - first[1]];
        let (right, down) = (step(on_thumbnail(1.5, 0.5)), step(on_thumbnail(0.5, 1.5)));
        let sample = |column: usize, row: usize| {
            let along = |k: usize| first[k] + column as f64 * right[k] + row as f64 * down[k];
            self.at(along(0), along(1))
        };
        let cell = |column: usize, row: usize| {
            let mut sum = 0.0;
            for dy in 0..SAMPLES {
                for dx in 0..SAMPLES {
                    sum += sample(column * SAMPLES + dx, row * SAMPLES + dy)?;
                }
            }
            Some(sum / (SAMPLES * SAMPLES) as f64)
        };
        let mut pairs: Vec<(f64, f64)> = Vec::with_capacity(CELLS * CELLS);
        for row in 0..CELLS {
            pairs.extend((0..CELLS).filter_map(|column| Some((cell(column, row)?, earlier.luma(column, row)))));
        }
        let n = pairs.len() as f64;
        let overlap = n / (CELLS * CELLS) as f64;
        if overlap < 0.5 {
            return None;
        }
        let (mean_a, mean_b) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
        let (mut aa, mut ab, mut bb) = (0.0, 0.0, 0.0);
        for (a, b) in pairs {
            let (a, b) = (a - mean_a, b - mean_b);
            aa += a * a;
            ab += a * b;
            bb += b * b;
        }
        let contrast = |squares: f64| (squares / n).sqrt() >= 2.0;
        let explained = if ab > 0.0 { ab * ab / (aa * bb) } else { 0.0 };
        (contrast(aa) && contrast(bb))
            .then(|| Fit { residual: (1.0 - explained).max(0.0).sqrt() as f32, overlap: overlap as f32 })
    }
}

/// Least standard deviation of a picture that shows anything, grey levels.
const LEAST_DEVIATION: f64 = 6.0;

fn plain(luma: &[u8]) -> Vec<f64> {
    luma.iter().map(|&value| f64::from(value)).collect()
}

/// Pearson's correlation; `None` where either does not vary.
fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut aa, mut ab, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        aa += a * a;
        ab += a * b;
        bb += b * b;
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

impl From<&Reduced> for Thumbnail {
    fn from(reduced: &Reduced) -> Self {
        Thumbnail::new(&reduced.thumbnail)
    }
}

impl Overlay {
    /// The overlay that fits pairs of points best (least squares; S. Umeyama, PAMI 13, 1991, without reflection):
    /// (point of the earlier picture, point of the later one), in pixels. With `mirrored`, x of the earlier picture, so
    /// `wide`, is counted from its right edge. `None` for fewer than two points, or ones that are a fifth or five times
    /// as far apart.
    pub fn from_points(points: &[([f64; 2], [f64; 2])], mirrored: bool, wide: f64) -> Option<Overlay> {
        let n = points.len() as f64;
        let from = |[x, y]: [f64; 2]| [if mirrored { wide - x } else { x }, y];
        let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
        for &(one, other) in points {
            let one = from(one);
            (0..2).for_each(|k| {
                a[k] += one[k] / n;
                b[k] += other[k] / n;
            });
        }
        let (mut squares, mut dot, mut cross) = (0.0, 0.0, 0.0);
        for &(one, other) in points {
            let [x, y] = from(one);
            let (x, y, s, t) = (x - a[0], y - a[1], other[0] - b[0], other[1] - b[1]);
            squares += x * x + y * y;
            dot += x * s + y * t;
            cross += x * t - y * s;
        }
        if points.len() < 2 || squares.is_nan() || squares <= 1.0 {
            return None;
        }
        let (p, q) = (dot / squares, cross / squares);
        let place = Overlay { p, q, u: b[0] - p * a[0] + q * a[1], v: b[1] - q * a[0] - p * a[1], mirrored };
        (0.2..=5.0).contains(&p.hypot(q)).then_some(place)
    }

    /// Where a point of the earlier picture, so `wide`, lies in the later one.
    pub fn map(&self, x: f64, y: f64, wide: f64) -> (f64, f64) {
        let x = if self.mirrored { wide - x } else { x };
        (self.p * x - self.q * y + self.u, self.q * x + self.p * y + self.v)
    }

    /// Shifted by shares of the later picture's size, and scaled about its middle.
    fn moved(&self, shift: [f64; 2], scale: f64, size: [f64; 2]) -> Overlay {
        let about = |value: f64, k: usize| size[k] / 2.0 + (value - size[k] / 2.0) * scale + shift[k] * size[k];
        Overlay { p: self.p * scale, q: self.q * scale, u: about(self.u, 0), v: about(self.v, 1), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of a scene from (left, top), so wide and high, in shares of it; `moved` shifts a disc, as people move.
    fn taken([left, top, wide, high]: [f64; 4], mirror: bool, moved: f64) -> Photo {
        let (width, height) = ((640.0 * wide) as usize, (480.0 * high) as usize);
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let x = if mirror { width - 1 - x } else { x };
                let u = left + (x as f64 + 0.5) / width as f64 * wide;
                let v = top + (y as f64 + 0.5) / height as f64 * high;
                let (dx, dy) = (u - 0.5 - moved, v - 0.5);
                let value = if dx * dx + dy * dy < 0.04 {
                    60.0 + 40.0 * (20.0 * dx).sin()
                } else {
                    130.0 + 45.0 * (9.0 * u + 3.0 * v).sin() + 35.0 * (12.0 * v - 6.0 * u).cos()
                };
                rgb.extend([value as u8; 3]);
            }
        }
        Photo { width, height, rgb }
    }

    /// A start that is off by `off` pixels, as landmarks are.
    fn fit(window: [f64; 4], mirrored: bool, moved: f64, off: f64) -> Fit {
        let earlier = taken([0.0, 0.0, 1.0, 1.0], false, 0.0);
        let later = taken(window, mirrored, moved);
        let size = [later.width as f64, later.height as f64];
        let spots = [[0.4, 0.4], [0.6, 0.42], [0.5, 0.6]];
        let points = spots.map(|[u, v]| {
            let x = (u - window[0]) / window[2] * size[0];
            let x = if mirrored { size[0] - x } else { x };
            ([u * 640.0, v * 480.0], [x + off, (v - window[1]) / window[3] * size[1] - off])
        });
        let start = Overlay::from_points(&points, mirrored, 640.0).unwrap();
        Thumbnail::of(&later).fit(size, &Miniature::of(&earlier), [640.0, 480.0], start).unwrap()
    }

    #[test]
    fn crops_and_mirror_images_fit_and_the_next_picture_does_not() {
        for window in [[0.0, 0.0, 1.0, 1.0], [0.05, 0.07, 0.88, 0.9], [0.0, 0.12, 0.9, 0.8]] {
            for mirrored in [false, true] {
                let same = fit(window, mirrored, 0.0, 4.0);
                assert!(same.residual < 0.08 && same.overlap >= 0.5, "{window:?} {mirrored}: {same:?}");
                let next = fit(window, mirrored, 0.06, 4.0);
                assert!(next.residual > 0.15, "{window:?} {mirrored}: {next:?}");
            }
        }
    }

    #[test]
    fn where_nothing_can_be_said_nothing_is() {
        let flat = Photo { width: 64, height: 48, rgb: vec![90; 64 * 48 * 3] };
        let start = Overlay { p: 1.0, q: 0.0, u: 0.0, v: 0.0, mirrored: false };
        let size = [64.0, 48.0];
        assert_eq!(Thumbnail::of(&flat).fit(size, &Miniature::of(&flat), size, start), None);
        let picture = taken([0.0, 0.0, 1.0, 1.0], false, 0.0);
        let far = Overlay { u: 500.0, ..start };
        assert_eq!(Thumbnail::of(&picture).fit([640.0, 480.0], &Miniature::of(&picture), [640.0, 480.0], far), None);
        assert_eq!(Overlay::from_points(&[([1.0, 1.0], [2.0, 2.0])], false, 10.0), None);
        let nan = ([f64::NAN, 1.0], [2.0, 2.0]);
        assert_eq!(Overlay::from_points(&[nan, nan], false, 10.0), None);
    }
}
