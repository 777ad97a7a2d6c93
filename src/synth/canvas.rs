//! A picture being composed, and the few operations that composing takes.

use image::RgbImage;

use super::rng::Rng;

/// One pixel: R, G, B in 0..=255, not yet rounded.
pub type Pixel = [f32; 3];

/// `height * width` pixels, rows from the top.
#[derive(Debug, Clone)]
pub struct Canvas {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The pixels.
    pub pixels: Vec<Pixel>,
}

impl Canvas {
    /// An even canvas.
    pub fn new(width: usize, height: usize, colour: Pixel) -> Self {
        Canvas { width, height, pixels: vec![colour; width * height] }
    }

    /// From 8-bit RGB.
    pub fn from_image(image: &RgbImage) -> Self {
        let pixels = image.pixels().map(|p| p.0.map(f32::from)).collect();
        Canvas { width: image.width() as usize, height: image.height() as usize, pixels }
    }

    /// To 8-bit RGB, rounded and clamped.
    pub fn to_image(&self) -> RgbImage {
        // A cast saturates, so adding a half rounds and clamps.
        let raw = self.pixels.as_flattened().iter().map(|v| (v + 0.5) as u8).collect();
        RgbImage::from_raw(self.width as u32, self.height as u32, raw).unwrap_or_default()
    }

    /// The pixel at `x`, `y`, both clamped to the picture.
    pub fn at(&self, x: isize, y: isize) -> Pixel {
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        self.pixels[y * self.width + x]
    }

    /// Bilinear sample; pixel centres are at whole numbers, the border repeats.
    pub fn bilinear(&self, x: f32, y: f32) -> Pixel {
        let (x0, y0) = (x.floor(), y.floor());
        let (fx, fy) = (x - x0, y - y0);
        let (x0, y0) = (x0 as isize, y0 as isize);
        let mut out = [0.0; 3];
        for (dy, wy) in [(0, 1.0 - fy), (1, fy)] {
            for (dx, wx) in [(0, 1.0 - fx), (1, fx)] {
                add(&mut out, self.at(x0 + dx, y0 + dy), wx * wy);
            }
        }
        out
    }

    /// Catmull-Rom sample, which keeps more of a small source's acutance than bilinear does.
    pub fn bicubic(&self, x: f32, y: f32) -> Pixel {
        let (x0, y0) = (x.floor(), y.floor());
        let (wx, wy) = (catmull_rom(x - x0), catmull_rom(y - y0));
        let (x0, y0) = (x0 as isize, y0 as isize);
        let mut out = [0.0; 3];
        for (dy, wy) in wy.into_iter().enumerate() {
            for (dx, wx) in wx.into_iter().enumerate() {
                add(&mut out, self.at(x0 + dx as isize - 1, y0 + dy as isize - 1), wx * wy);
            }
        }
        out
    }

    /// Changes each pixel by a function of its place.
    pub fn each(&mut self, mut change: impl FnMut(usize, usize, &mut Pixel)) {
        for (y, row) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                change(x, y, pixel);
            }
        }
    }

    /// Enlarged or reduced with bilinear sampling; reduction by more than two first averages.
    pub fn resized(&self, width: usize, height: usize) -> Canvas {
        if width * 2 < self.width && height * 2 < self.height {
            return self.halved().resized(width, height);
        }
        // Two source lines and their weight for each line of the result, and the same for columns.
        let steps = |from: usize, to: usize| -> Vec<(usize, usize, f32)> {
            let step = |k: usize| {
                let at = ((k as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, (from - 1) as f32);
                (at as usize, (at as usize + 1).min(from - 1), at.fract())
            };
            (0..to).map(step).collect()
        };
        let columns = steps(self.width, width);
        let mut pixels = Vec::with_capacity(width * height);
        for (top, bottom, t) in steps(self.height, height) {
            let line = |y: usize| &self.pixels[y * self.width..(y + 1) * self.width];
            let mixed: Vec<Pixel> = line(top).iter().zip(line(bottom)).map(|(a, b)| mix(*a, *b, t)).collect();
            pixels.extend(columns.iter().map(|&(a, b, t)| mix(mixed[a], mixed[b], t)));
        }
        Canvas { width, height, pixels }
    }

    /// Half the size: the mean of four.
    pub fn halved(&self) -> Canvas {
        let mut out = Canvas::new((self.width / 2).max(1), (self.height / 2).max(1), [0.0; 3]);
        out.each(|x, y, p| {
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                add(p, self.at((2 * x + dx) as isize, (2 * y + dy) as isize), 0.25);
            }
        });
        out
    }

    /// A three-tap blur in both directions, of variance `sigma * sigma` (up to 0.9; the kernel has no room for more).
    pub fn softened(&self, sigma: f32) -> Canvas {
        let side = (sigma * sigma / 2.0).min(0.45);
        let taps = |a: Pixel, b: Pixel, c: Pixel| -> Pixel {
            std::array::from_fn(|k| side * (a[k] + c[k]) + (1.0 - 2.0 * side) * b[k])
        };
        let (w, h) = (self.width, self.height);
        let mut across = Vec::with_capacity(w * h);
        for row in self.pixels.chunks_exact(w) {
            across.extend((0..w).map(|x| taps(row[x.saturating_sub(1)], row[x], row[(x + 1).min(w - 1)])));
        }
        let line = |y: usize| &across[y * w..(y + 1) * w];
        let mut pixels = Vec::with_capacity(w * h);
        for y in 0..h {
            let (above, here, below) = (line(y.saturating_sub(1)), line(y), line((y + 1).min(h - 1)));
            pixels.extend(above.iter().zip(here).zip(below).map(|((a, b), c)| taps(*a, *b, *c)));
        }
        Canvas { width: w, height: h, pixels }
    }

    /// Unsharp masking: `amount` of the difference from the softened picture is added.
    pub fn sharpened(&self, amount: f32) -> Canvas {
        let mut out = self.softened(0.9);
        for (soft, &own) in out.pixels.iter_mut().zip(&self.pixels) {
            *soft = std::array::from_fn(|c| own[c] + amount * (own[c] - soft[c]));
        }
        out
    }

    /// The picture with an even border of `sides` pixels (left, top, right, bottom).
    pub fn framed(&self, sides: [usize; 4], colour: Pixel) -> Canvas {
        let [left, top, right, bottom] = sides;
        let mut out = Canvas::new(self.width + left + right, self.height + top + bottom, colour);
        for (y, row) in self.pixels.chunks_exact(self.width).enumerate() {
            let start = (y + top) * out.width + left;
            out.pixels[start..start + self.width].copy_from_slice(row);
        }
        out
    }

    /// The rectangle from `x`, `y`.
    pub fn cropped(&self, x: usize, y: usize, width: usize, height: usize) -> Canvas {
        let mut out = Canvas::new(width, height, [0.0; 3]);
        out.each(|i, j, p| *p = self.at((x + i) as isize, (y + j) as isize));
        out
    }

    /// Left and right exchanged.
    pub fn mirrored(&self) -> Canvas {
        let mut out = self.clone();
        out.pixels.chunks_exact_mut(self.width).for_each(<[Pixel]>::reverse);
        out
    }
}

/// `sum += weight * pixel`.
pub fn add(sum: &mut Pixel, pixel: Pixel, weight: f32) {
    for c in 0..3 {
        sum[c] += weight * pixel[c];
    }
}

/// `under` with `over` laid on it at this opacity.
pub fn mix(under: Pixel, over: Pixel, opacity: f32) -> Pixel {
    std::array::from_fn(|c| under[c] + (over[c] - under[c]) * opacity)
}

/// 0 below `low`, 1 above `high`, smooth between; `low` may be above `high`.
pub fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

fn catmull_rom(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t3 + 2.0 * t2 - t), 0.5 * (3.0 * t3 - 5.0 * t2 + 2.0), 0.5 * (-3.0 * t3 + 4.0 * t2 + t), 0.5 * (t3 - t2)]
}

/// Smooth noise over a frame, mean 0, deviation somewhat under 1.
#[derive(Debug)]
pub struct Field {
    cells: Vec<f32>,
    across: usize,
    pitch: f32,
}

impl Field {
    /// Noise for a frame of `width * height` with about `across` cells from left to right.
    pub fn new(rng: &mut Rng, width: usize, height: usize, across: usize) -> Self {
        let pitch = width as f32 / across.max(1) as f32;
        let down = (height as f32 / pitch) as usize + 3;
        let across = across + 3;
        Field { cells: (0..across * down).map(|_| rng.normal()).collect(), across, pitch }
    }

    /// The value at a pixel.
    pub fn at(&self, x: usize, y: usize) -> f32 {
        let (u, v) = (x as f32 / self.pitch, y as f32 / self.pitch);
        let (i, j) = (u as usize, v as usize);
        let (fu, fv) = (smoothstep(0.0, 1.0, u - i as f32), smoothstep(0.0, 1.0, v - j as f32));
        let cell = |i: usize, j: usize| self.cells.get(j * self.across + i).copied().unwrap_or(0.0);
        let top = cell(i, j) * (1.0 - fu) + cell(i + 1, j) * fu;
        let bottom = cell(i, j + 1) * (1.0 - fu) + cell(i + 1, j + 1) * fu;
        top * (1.0 - fv) + bottom * fv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Canvas {
        let mut canvas = Canvas::new(16, 8, [0.0; 3]);
        canvas.each(|x, y, p| *p = [10.0 * x as f32, 20.0 * y as f32, 5.0]);
        canvas
    }

    #[test]
    fn sampling_is_exact_on_a_plane() {
        for sample in [ramp().bilinear(3.25, 2.5), ramp().bicubic(3.25, 2.5)] {
            assert!((sample[0] - 32.5).abs() < 1e-3 && (sample[1] - 50.0).abs() < 1e-3, "{sample:?}");
        }
    }

    #[test]
    fn shapes_follow() {
        let ramp = ramp();
        assert_eq!((ramp.halved().width, ramp.halved().height), (8, 4));
        let small = ramp.resized(4, 2);
        assert!((small.at(1, 0)[0] - 55.0).abs() < 1e-3, "{:?}", small.at(1, 0));
        let framed = ramp.framed([1, 2, 3, 4], [9.0; 3]);
        assert_eq!((framed.width, framed.height, framed.at(0, 0)), (20, 14, [9.0; 3]));
        assert_eq!(framed.cropped(1, 2, 16, 8).pixels, ramp.pixels);
        assert_eq!(ramp.mirrored().mirrored().pixels, ramp.pixels);
        assert_eq!(Canvas::from_image(&ramp.to_image()).pixels, ramp.pixels);
    }

    #[test]
    fn blur_keeps_the_mean() {
        let mut dot = Canvas::new(9, 9, [0.0; 3]);
        dot.pixels[40] = [90.0; 3];
        let soft = dot.softened(0.7);
        let sum: f32 = soft.pixels.iter().map(|p| p[0]).sum();
        assert!((sum - 90.0).abs() < 1e-3 && soft.pixels[40][0] < 60.0);
        assert!(dot.sharpened(0.5).pixels[40][0] > 90.0);
    }
}
