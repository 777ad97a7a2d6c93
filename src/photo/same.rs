//! Whether two pictures are one picture, cropped, scaled, turned a little, mirrored or brightened: the check that a
//! perceptual hash cannot make.
//!
//! The one is laid over the other by a similarity transform, first as the faces suggest, then refined until brightness
//! fits best (Gauss-Newton on transform, gain and offset; B. D. Lucas and T. Kanade, 1981; S. Baker and I. Matthews,
//! "Lucas-Kanade 20 Years On", IJCV 2004), coarse to fine. What is left is noise if it is one picture, and people who
//! moved if it is the next one of the same scene.

use super::{Photo, shrink};

/// Longer side at which the pictures are compared, pixels: coarse first.
const SIDES: [usize; 3] = [48, 96, 192];

/// Refinements per size.
const STEPS: usize = 15;

/// Luma outside this range may be clipped and is not compared.
const CLIPPED: [f32; 2] = [4.0, 250.0];

/// Two pictures that overlap by at least [`MIN_OVERLAP`] and differ by less are one picture; for the figures see
/// [`Sameness`].
pub const SAME: f32 = 0.10;

/// Least share of the smaller picture that must be seen in the other.
pub const MIN_OVERLAP: f32 = 0.6;

/// How well one picture could be laid over another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sameness {
    /// RMS of what is left in the overlap, relative to its standard deviation: 0 (same) to 1 (unrelated).
    pub residual: f32,
    /// Which share of the smaller picture is compared, 0..=1.
    pub overlap: f32,
}

impl Sameness {
    /// Whether it is one picture.
    pub fn is_same(&self) -> bool {
        self.overlap >= MIN_OVERLAP && self.residual < SAME
    }
}

/// Points that are the same in both pictures, such as the landmarks of the same faces, in pixels (x, y).
pub type Matches<'a> = &'a [([f32; 2], [f32; 2])];

/// Lays `a` over `b`, beginning where `matches` (two at least) suggest; with `mirrored`, a's mirror image. Points of a
/// mirrored picture are given as they are in `a`, each beside the point of `b` that shows the same: landmarks with left
/// and right exchanged. `None` when nothing can be said: too few points, or pictures without contrast.
pub fn lay_over(a: &Photo, b: &Photo, matches: Matches, mirrored: bool) -> Option<Sameness> {
    let mut place = initial(a, matches, mirrored)?;
    let mut found = None;
    for side in SIDES {
        // Both at one resolution of the scene, neither enlarged.
        let zoom = place.p.hypot(place.q);
        let scale = (side as f64 / b.width.max(b.height).max(1) as f64).min(1.0).min(1.0 / zoom);
        let (small_a, small_b) = (Small::of(a, scale * zoom, mirrored), Small::of(b, scale, false));
        if small_a.width.min(small_a.height).min(small_b.width).min(small_b.height) < 8 {
            return None;
        }
        let mut scaled = place.between(small_a.scale, small_b.scale);
        for _ in 0..STEPS {
            let Some(step) = refine(&small_a, &small_b, &mut scaled) else { break };
            if step < 1e-3 {
                break;
            }
        }
        found = residual(&small_a, &small_b, &scaled);
        place = scaled.between(1.0 / small_a.scale, 1.0 / small_b.scale);
    }
    found
}

/// x' = p x - q y + u, y' = q x + p y + v; brightness' = gain * brightness + offset.
#[derive(Debug, Clone, Copy)]
struct Place {
    p: f64,
    q: f64,
    u: f64,
    v: f64,
    gain: f64,
    offset: f64,
}

impl Place {
    fn map(&self, x: f64, y: f64) -> (f64, f64) {
        (self.p * x - self.q * y + self.u, self.q * x + self.p * y + self.v)
    }

    /// The same transform when pixels of a and b are scaled.
    fn between(self, a: f64, b: f64) -> Place {
        Place { p: self.p * b / a, q: self.q * b / a, u: self.u * b, v: self.v * b, ..self }
    }
}

/// The similarity transform that fits the points best (least squares; S. Umeyama, PAMI 13, 1991, without reflection).
fn initial(a: &Photo, matches: Matches, mirrored: bool) -> Option<Place> {
    // Landmarks count pixels from their centres, the transform from their corners.
    let point = |[x, y]: [f32; 2]| {
        let x = f64::from(x) + 0.5;
        (if mirrored { a.width as f64 - x } else { x }, f64::from(y) + 0.5)
    };
    let n = matches.len() as f64;
    let (mut ax, mut ay, mut bx, mut by) = (0.0, 0.0, 0.0, 0.0);
    for &(from, to) in matches {
        let (x, y) = point(from);
        ax += x / n;
        ay += y / n;
        bx += (f64::from(to[0]) + 0.5) / n;
        by += (f64::from(to[1]) + 0.5) / n;
    }
    let (mut squares, mut dot, mut cross) = (0.0, 0.0, 0.0);
    for &(from, to) in matches {
        let (x, y) = point(from);
        let (s, t) = (f64::from(to[0]) + 0.5, f64::from(to[1]) + 0.5);
        let (x, y, s, t) = (x - ax, y - ay, s - bx, t - by);
        squares += x * x + y * y;
        dot += x * s + y * t;
        cross += x * t - y * s;
    }
    if matches.len() < 2 || squares.is_nan() || squares <= 1.0 {
        return None;
    }
    let (p, q) = (dot / squares, cross / squares);
    // Faces of one picture are of one size: a fifth or five times is a wrong match.
    let scale = p.hypot(q);
    (0.2..=5.0).contains(&scale).then_some(Place {
        p,
        q,
        u: bx - p * ax + q * ay,
        v: by - q * ax - p * ay,
        gain: 1.0,
        offset: 0.0,
    })
}

/// Luma of a picture at a smaller size, each pixel the mean of what it covers.
struct Small {
    width: usize,
    height: usize,
    /// Small pixels per pixel.
    scale: f64,
    luma: Vec<f32>,
}

impl Small {
    fn of(photo: &Photo, scale: f64, mirrored: bool) -> Small {
        let (width, height) =
            ((photo.width as f64 * scale).round() as usize, (photo.height as f64 * scale).round() as usize);
        let mut luma = shrink::luma(photo, width, height, mirrored);
        // What is finer than two pixels depends on how the grid fell on the picture.
        for _ in 0..2 {
            smooth(&mut luma, width, height);
        }
        Small { width, height, scale, luma }
    }

    /// Luma at a point, bilinear between pixel centres, with its two derivatives; `None` within a pixel of the border.
    fn at(&self, x: f64, y: f64) -> Option<(f64, f64, f64)> {
        let (x, y) = (x - 0.5, y - 0.5);
        if !(x >= 0.0 && y >= 0.0 && x < self.width as f64 - 1.001 && y < self.height as f64 - 1.001) {
            return None;
        }
        let (column, row) = (x as usize, y as usize);
        let (fx, fy) = (x - column as f64, y - row as f64);
        let value = |dx: usize, dy: usize| f64::from(self.luma[(row + dy) * self.width + column + dx]);
        let (a, b, c, d) = (value(0, 0), value(1, 0), value(0, 1), value(1, 1));
        let (top, bottom) = (a + (b - a) * fx, c + (d - c) * fx);
        Some((top + (bottom - top) * fy, (b - a) * (1.0 - fy) + (d - c) * fy, bottom - top))
    }

    /// Pixel centres and luma, every pixel.
    fn pixels(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        self.luma
            .iter()
            .enumerate()
            .map(|(at, &luma)| ((at % self.width) as f64 + 0.5, (at / self.width) as f64 + 0.5, f64::from(luma)))
    }
}

/// Convolves with 1/4, 1/2, 1/4 along both axes; the border repeats.
fn smooth(luma: &mut [f32], width: usize, height: usize) {
    let mut pass = |length: usize, lines: usize, step: usize, stride: usize| {
        for line in 0..lines {
            let mut before = luma[line * stride];
            for at in 0..length {
                let here = luma[line * stride + at * step];
                let after = luma[line * stride + (at + 1).min(length - 1) * step];
                luma[line * stride + at * step] = 0.25 * before + 0.5 * here + 0.25 * after;
                before = here;
            }
        }
    };
    if width > 0 && height > 0 {
        pass(width, height, 1, width);
        pass(height, width, width, 1);
    }
}

fn unclipped(luma: f64) -> bool {
    (f64::from(CLIPPED[0])..=f64::from(CLIPPED[1])).contains(&luma)
}

/// One Gauss-Newton step; how far it moved, in pixels. `None` when the two do not overlap or have no texture.
fn refine(a: &Small, b: &Small, place: &mut Place) -> Option<f64> {
    let (cx, cy) = (a.width as f64 / 2.0, a.height as f64 / 2.0);
    let mut normal = [[0f64; 6]; 6];
    let mut right = [0f64; 6];
    for (x, y, luma) in a.pixels().filter(|p| unclipped(p.2)) {
        let (tx, ty) = place.map(x, y);
        let Some((value, gx, gy)) = b.at(tx, ty).filter(|v| unclipped(v.0)) else { continue };
        // Moves of p and q turn and scale about the middle, so that they are independent of u and v.
        let (dx, dy) = (x - cx, y - cy);
        let row = [gx * dx + gy * dy, gy * dx - gx * dy, gx, gy, -luma, -1.0];
        let error = place.gain * luma + place.offset - value;
        for i in 0..6 {
            right[i] += row[i] * error;
            for j in 0..6 {
                normal[i][j] += row[i] * row[j];
            }
        }
    }
    let [dp, dq, du, dv, gain, offset] = solve(normal, right)?;
    place.p += dp;
    place.q += dq;
    place.u += du - dp * cx + dq * cy;
    place.v += dv - dq * cx - dp * cy;
    place.gain += gain;
    place.offset += offset;
    Some(du.abs() + dv.abs() + (dp.abs() + dq.abs()) * cx.max(cy))
}

/// Solves the symmetric system by Gaussian elimination with a little damping; `None` when it is singular.
fn solve(mut m: [[f64; 6]; 6], mut r: [f64; 6]) -> Option<[f64; 6]> {
    for (i, row) in m.iter_mut().enumerate() {
        row[i] *= 1.0 + 1e-9;
    }
    for i in 0..6 {
        let pivot = (i..6).max_by(|&x, &y| m[x][i].abs().total_cmp(&m[y][i].abs()))?;
        m.swap(i, pivot);
        r.swap(i, pivot);
        if m[i][i].abs() < 1e-12 {
            return None;
        }
        for k in i + 1..6 {
            let factor = m[k][i] / m[i][i];
            let above = m[i];
            m[k].iter_mut().zip(above).skip(i).for_each(|(value, upper)| *value -= factor * upper);
            r[k] -= factor * r[i];
        }
    }
    let mut x = [0f64; 6];
    for i in (0..6).rev() {
        let known: f64 = (i + 1..6).map(|j| m[i][j] * x[j]).sum();
        x[i] = (r[i] - known) / m[i][i];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}

/// What is left in the overlap, with the best gain and offset.
fn residual(a: &Small, b: &Small, place: &Place) -> Option<Sameness> {
    let (mut n, mut sx, mut sy, mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (x, y, luma) in a.pixels().filter(|p| unclipped(p.2)) {
        let (tx, ty) = place.map(x, y);
        let Some((value, ..)) = b.at(tx, ty).filter(|v| unclipped(v.0)) else { continue };
        n += 1.0;
        sx += luma;
        sy += value;
        xx += luma * luma;
        xy += luma * value;
        yy += value * value;
    }
    // The overlap of the smaller: pixels of a are so many pixels of b.
    let zoom = place.p * place.p + place.q * place.q;
    let smaller = ((a.width * a.height) as f64).min((b.width * b.height) as f64 / zoom.max(1e-9));
    if n < 64.0 {
        return None;
    }
    let (xx, xy, yy) = (xx - sx * sx / n, xy - sx * sy / n, yy - sy * sy / n);
    let deviation = |squares: f64| (squares / n).sqrt();
    if deviation(xx) < 2.0 || deviation(yy) < 2.0 {
        return None;
    }
    let explained = if xy > 0.0 { xy * xy / (xx * yy) } else { 0.0 };
    Some(Sameness { residual: (1.0 - explained).max(0.0).sqrt() as f32, overlap: (n / smaller).min(1.0) as f32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A texture that is the same at any resolution; `moved` shifts a disc in its middle, as a person who moves.
    fn scene(u: f64, v: f64, moved: f64) -> f64 {
        let (dx, dy) = (u - 0.5 - moved, v - 0.5);
        if dx * dx + dy * dy < 0.03 {
            return 60.0 + 50.0 * (30.0 * dx).sin() * (25.0 * dy + 1.0).cos();
        }
        128.0 + 45.0 * (9.0 * u + 3.0 * v).sin() + 35.0 * (17.0 * v - 6.0 * u).cos() + 20.0 * (31.0 * u * v).sin()
    }

    /// The part of the scene from (left, top), so wide, turned by `angle`, with a gain.
    fn taken(
        width: usize,
        height: usize,
        (left, top, wide, angle): (f64, f64, f64, f64),
        gain: f64,
        moved: f64,
    ) -> Photo {
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (s, t) = ((x as f64 + 0.5) / width as f64 * wide, (y as f64 + 0.5) / width as f64 * wide);
                let (u, v) = (left + s * angle.cos() - t * angle.sin(), top + s * angle.sin() + t * angle.cos());
                let value = (gain * scene(u, v, moved)).clamp(0.0, 255.0) as u8;
                rgb.extend([value; 3]);
            }
        }
        Photo { width, height, rgb }
    }

    /// Five points of the disc in a picture that was `taken`, each a little off, as landmarks are.
    fn points(width: usize, (left, top, wide, angle): (f64, f64, f64, f64), off: f32) -> Vec<[f32; 2]> {
        let spots = [(0.42, 0.45), (0.58, 0.45), (0.5, 0.52), (0.44, 0.6), (0.56, 0.6)];
        let at = |(u, v): (f64, f64)| {
            let (u, v) = (u - left, v - top);
            let (s, t) = (u * angle.cos() + v * angle.sin(), v * angle.cos() - u * angle.sin());
            [(s / wide * width as f64) as f32 + off, (t / wide * width as f64) as f32 - off]
        };
        spots.map(at).to_vec()
    }

    fn compare(window: (f64, f64, f64, f64), width: usize, gain: f64, moved: f64) -> Sameness {
        let whole = (0.0, 0.0, 1.0, 0.0);
        let a = taken(width, width * 3 / 4, window, gain, moved);
        let b = taken(640, 560, whole, 1.0, 0.0);
        let matches: Vec<_> = points(width, window, 2.0).into_iter().zip(points(640, whole, -2.0)).collect();
        lay_over(&a, &b, &matches, false).unwrap()
    }

    #[test]
    fn crops_turns_and_gains_of_one_picture_are_that_picture() {
        for (window, width, gain) in [
            ((0.0, 0.0, 1.0, 0.0), 320, 1.0),
            ((0.1, 0.08, 0.8, 0.0), 500, 1.0),
            ((0.15, 0.2, 0.65, 0.03), 400, 0.8),
            ((0.05, 0.02, 0.9, -0.05), 640, 1.25),
        ] {
            let found = compare(window, width, gain, 0.0);
            assert!(found.is_same() && found.residual < 0.05, "{window:?}: {found:?}");
        }
    }

    #[test]
    fn the_next_picture_of_the_scene_is_another_one() {
        let found = compare((0.0, 0.0, 1.0, 0.0), 640, 1.0, 0.03);
        assert!(found.overlap > 0.9 && !found.is_same(), "{found:?}");
    }

    #[test]
    fn a_mirror_image_is_that_picture() {
        let whole = (0.0, 0.0, 1.0, 0.0);
        let b = taken(640, 480, whole, 1.0, 0.0);
        let mut a = b.clone();
        for row in a.rgb.chunks_exact_mut(640 * 3) {
            let pixels: Vec<u8> = row.chunks_exact(3).rev().flatten().copied().collect();
            row.copy_from_slice(&pixels);
        }
        let matches: Vec<_> = points(640, whole, 1.0).into_iter().map(|p| ([640.0 - p[0], p[1]], p)).collect();
        assert!(lay_over(&a, &b, &matches, true).unwrap().is_same());
        assert!(!lay_over(&a, &b, &matches, false).is_some_and(|s| s.is_same()));
    }

    #[test]
    fn where_nothing_can_be_said_nothing_is() {
        let flat = Photo { width: 64, height: 48, rgb: vec![90; 64 * 48 * 3] };
        let matches = [([10.0, 10.0], [10.0, 10.0]), ([40.0, 30.0], [40.0, 30.0])];
        assert_eq!(lay_over(&flat, &flat, &matches, false), None);
        assert_eq!(lay_over(&flat, &flat, &matches[..1], false), None);
        assert_eq!(lay_over(&flat, &flat, &[matches[0]; 4], false), None);
        let dot = Photo { width: 1, height: 1, rgb: vec![90; 3] };
        assert_eq!(lay_over(&dot, &flat, &matches, false), None);
        assert_eq!(lay_over(&flat, &flat, &[([f32::NAN; 2], [0.0; 2]); 3], false), None);
    }
}
