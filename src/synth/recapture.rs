//! Simulated recaptures: a picture as a screen or a printer shows it, held before the lens once more.
//!
//! Each does what its medium does to light, coarsely: sub-pixel stripes that beat with the sensor's grid, a panel's
//! gamut and glare; halftone dots, paper tint and the narrow range of ink; an earlier JPEG; perspective and a border.
//! They exercise an audit's plumbing. They say nothing about how a liveness network fares on real attacks.

use super::canvas::{Canvas, Field, Pixel, mix, smoothstep};
use super::rng::Rng;

/// Four corners in pixels, from the top left, clockwise.
pub type Quad = [[f32; 2]; 4];

/// A picture as a lit panel shows it; `pitch` is the width of its pixels in pixels of `picture`, `fringes` the depth of
/// the coloured moire that the panel's grid makes with the sensor's (0 for none).
pub fn screen(rng: &mut Rng, picture: &Canvas, pitch: f32, fringes: f32) -> Canvas {
    use std::f32::consts::TAU;
    let (width, height) = (picture.width as f32, picture.height as f32);
    let (at, strength, power) = (rng.between(0.2, 0.6), rng.between(28.0, 55.0), rng.between(0.9, 1.05));
    // Moire: slow bands, slightly bent, out of phase between the colours.
    let ((sin, cos), period) = (rng.between(0.0, TAU).sin_cos(), rng.between(14.0, 34.0));
    let bend = Field::new(rng, picture.width, picture.height, 4);
    let mut out = picture.clone();
    let wave = |phase: f32| 0.5 + 0.5 * (TAU * phase).cos();
    let rows: Vec<f32> = (0..picture.height).map(|y| 0.8 + 0.25 * wave(y as f32 / pitch)).collect();
    let columns: Vec<Pixel> = (0..picture.width)
        .map(|x| std::array::from_fn(|c| 0.72 + 0.4 * wave(x as f32 / pitch - c as f32 / 3.0)))
        .collect();
    out.each(|x, y, p| {
        let along = (x as f32 * 0.825 + y as f32 * 0.565) / (width + height);
        let glare = strength * (-((along - at) / 0.07).powi(2)).exp();
        let band = (x as f32 * cos + y as f32 * sin) / period + 0.6 * bend.at(x, y);
        for c in 0..3 {
            let moire = 1.0 + fringes * (TAU * (band + c as f32 / 3.0)).cos();
            let lit = p[c].clamp(0.0, 255.0) * columns[x][c] * rows[y] * power * moire;
            p[c] = [18.0, 22.0, 34.0][c] + lit * [0.86, 0.95, 1.08][c] + glare;
        }
    });
    out
}

/// A picture as an office printer puts it on paper, with halftone dots of `pitch` pixels.
pub fn paper(rng: &mut Rng, picture: &Canvas, pitch: f32) -> Canvas {
    use std::f32::consts::TAU;
    let turns: [(f32, f32); 3] = [0.26f32, 1.31, 0.79].map(f32::sin_cos);
    let sheen = Field::new(rng, picture.width, picture.height, 3);
    let (dark, white): (Pixel, Pixel) = ([52.0, 48.0, 44.0], [236.0, 228.0, 208.0]);
    let mut out = picture.clone();
    out.each(|x, y, p| {
        for c in 0..3 {
            let (sin, cos) = turns[c];
            let (u, v) = (x as f32 * cos + y as f32 * sin, y as f32 * cos - x as f32 * sin);
            let dots = 0.25 * ((TAU * u / pitch).cos() + (TAU * v / pitch).cos());
            let tone = p[c].clamp(0.0, 255.0) / 255.0;
            let ink = 0.45 * tone + 0.55 * ((tone + dots - 0.5) * 3.0 + 0.5).clamp(0.0, 1.0);
            p[c] = dark[c] + ink * (white[c] - dark[c]);
        }
    });
    let mut out = out.softened(0.9);
    out.each(|x, y, p| *p = p.map(|v| v + 9.0 * sheen.at(x, y)));
    out
}

/// The corners of a rectangle seen slightly askew: each off by up to `slack` of the sides.
pub fn tilted(rng: &mut Rng, left: f32, top: f32, width: f32, height: f32, slack: f32) -> Quad {
    [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]].map(|[u, v]| {
        [left + width * (u + rng.between(-slack, slack)), top + height * (v + rng.between(-slack, slack))]
    })
}

/// A flat thing held before `scene`, its corners at `quad`, with a soft edge and a little shadow below it.
pub fn held(scene: &mut Canvas, sheet: &Canvas, quad: Quad) {
    let into = inverse(square_to(quad));
    let (w, h) = (sheet.width as f32, sheet.height as f32);
    let shown = (quad[1][0] - quad[0][0]).abs().max(1.0);
    let (soft, shadow) = (1.2 / shown, 22.0 / shown);
    scene.each(|x, y, p| {
        let (x, y) = (x as f32, y as f32);
        let z = into[6] * x + into[7] * y + into[8];
        let (u, v) = ((into[0] * x + into[1] * y + into[2]) / z, (into[3] * x + into[4] * y + into[5]) / z);
        // How far inside the sheet, in shares of its width: negative outside.
        let inside = u.min(1.0 - u).min(v.min(1.0 - v) * h / w);
        if inside > -shadow {
            *p = p.map(|c| c * (1.0 - 0.22 * smoothstep(-shadow, 0.0, inside)));
            let alpha = smoothstep(-soft, soft, inside);
            if alpha > 0.0 {
                *p = mix(*p, sheet.bilinear(u * w - 0.5, v * h - 0.5), alpha);
            }
        }
    });
}

type Matrix = [f32; 9];

/// The projective map that takes the unit square to `quad` (Heckbert 1989, Fundamentals of Texture Mapping, 2.2.2).
fn square_to(quad: Quad) -> Matrix {
    let [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = quad;
    let (dx1, dx2, sx) = (x1 - x2, x3 - x2, x0 - x1 + x2 - x3);
    let (dy1, dy2, sy) = (y1 - y2, y3 - y2, y0 - y1 + y2 - y3);
    let det = dx1 * dy2 - dx2 * dy1;
    let (g, h) = ((sx * dy2 - dx2 * sy) / det, (dx1 * sy - sx * dy1) / det);
    [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1.0]
}

/// The inverse up to a factor, which a projective map does not mind: the adjugate.
fn inverse(m: Matrix) -> Matrix {
    let [a, b, c, d, e, f, g, h, i] = m;
    [
        e * i - f * h,
        c * h - b * i,
        b * f - c * e,
        f * g - d * i,
        a * i - c * g,
        c * d - a * f,
        d * h - e * g,
        b * g - a * h,
        a * e - b * d,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::rng::Use;

    #[test]
    fn corners_go_to_corners_and_back() {
        let quad = [[10.0, 12.0], [90.0, 8.0], [95.0, 99.0], [5.0, 80.0]];
        let (there, back) = (square_to(quad), inverse(square_to(quad)));
        for ([u, v], [x, y]) in [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]].into_iter().zip(quad) {
            let map = |m: &Matrix, x: f32, y: f32| {
                let z = m[6] * x + m[7] * y + m[8];
                ((m[0] * x + m[1] * y + m[2]) / z, (m[3] * x + m[4] * y + m[5]) / z)
            };
            let (a, b) = map(&there, u, v);
            assert!((a - x).abs() < 1e-3 && (b - y).abs() < 1e-3);
            let (a, b) = map(&back, x, y);
            assert!((a - u).abs() < 1e-4 && (b - v).abs() < 1e-4);
        }
    }

    #[test]
    fn a_held_sheet_shows_its_picture_and_leaves_the_rest() {
        let mut scene = Canvas::new(100, 100, [100.0; 3]);
        held(&mut scene, &Canvas::new(40, 40, [200.0; 3]), [[30.0, 30.0], [70.0, 30.0], [70.0, 70.0], [30.0, 70.0]]);
        assert!((scene.at(50, 50)[0] - 200.0).abs() < 1.0);
        assert_eq!(scene.at(2, 2), [100.0; 3]);
    }

    #[test]
    fn media_change_the_light_but_keep_the_picture() {
        let mut ramp = Canvas::new(120, 80, [0.0; 3]);
        ramp.each(|x, _, p| *p = [2.0 * x as f32; 3]);
        for (name, out) in [
            ("screen", screen(&mut Rng::new(1, Use::Recapture, 1), &ramp, 3.3, 0.1)),
            ("paper", paper(&mut Rng::new(1, Use::Recapture, 1), &ramp, 4.4)),
        ] {
            let mean = |from: usize| out.cropped(from, 0, 20, 80).pixels.iter().map(|p| p[1]).sum::<f32>() / 1600.0;
            assert!(mean(100) > mean(0) + 50.0, "{name} keeps dark and bright apart");
            assert_ne!(out.pixels, ramp.pixels);
        }
    }
}
