//! Shrinking a photo for the detector: each output pixel is the mean of the area it covers (OpenCV's `INTER_AREA`).
//!
//! Point or bilinear sampling would turn the texture of a large picture into noise that the detector takes for
//! features. The same pass turns bytes into floats and RGB into the BGR that the detector was trained on.

use crate::ops::cpu::{self, Loop};
use crate::photo::Photo;

/// The detector's sides are multiples of its largest stride.
pub const MULTIPLE: usize = 32;

/// How a photo lies in the detector's input: its own size there, and the size of the zero-padded field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fit {
    /// Width of the shrunk photo.
    pub width: usize,
    /// Height of the shrunk photo.
    pub height: usize,
}

impl Fit {
    /// The size at which the longer side has `long_side` pixels; never larger than the photo.
    pub fn new(photo: &Photo, long_side: usize) -> Fit {
        let longest = photo.width.max(photo.height);
        if longest <= long_side {
            return Fit { width: photo.width, height: photo.height };
        }
        let side = |pixels: usize| ((pixels * long_side + longest / 2) / longest).max(1);
        Fit { width: side(photo.width), height: side(photo.height) }
    }

    /// Width and height after padding to multiples of [`MULTIPLE`].
    pub fn padded(&self) -> (usize, usize) {
        (self.width.next_multiple_of(MULTIPLE), self.height.next_multiple_of(MULTIPLE))
    }

    /// Photo pixels per shrunk pixel, across and down; at least 1.
    pub fn ratio(&self, photo: &Photo) -> (f32, f32) {
        (photo.width as f32 / self.width as f32, photo.height as f32 / self.height as f32)
    }
}

/// The source rows or columns that one output row or column averages: the first, how many, and the weights of the
/// first and the last; those between weigh 1, and a single one weighs `head`.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: usize,
    count: usize,
    head: f32,
    tail: f32,
}

impl Span {
    /// Output `index` of `to` over `from` source pixels: it covers `index*from/to ..(index+1)*from/to`, exactly.
    fn new(index: usize, from: usize, to: usize) -> Span {
        let (start, end) = (index * from, (index + 1) * from);
        let (first, last) = (start / to, (end - 1) / to);
        let head = ((first + 1) * to).min(end) - start;
        let tail = end - (last * to).max(start);
        Span { first, count: last - first + 1, head: head as f32 / to as f32, tail: tail as f32 / to as f32 }
    }
}

/// Shrinks `photo` into `out`, which holds `padded height * padded width * 3` floats, NHWC, colour order B, G, R, range
/// 0..=255; right and bottom padding become 0.
///
/// `out` of another length is filled as far as it goes.
pub fn shrink_into(photo: &Photo, fit: Fit, out: &mut [f32]) {
    let (padded, _) = fit.padded();
    let columns: Vec<Span> = (0..fit.width).map(|x| Span::new(x, photo.width, fit.width)).collect();
    let area = (fit.width * fit.height) as f32 / (photo.width * photo.height) as f32;
    // One more than the line has, so that the last pixel too can be read as four floats.
    let mut sums = vec![0.0f32; photo.width * 3 + 1];
    for (y, row) in out.chunks_mut(padded * 3).enumerate() {
        if y >= fit.height {
            row.fill(0.0);
            continue;
        }
        let span = Span::new(y, photo.height, fit.height);
        let stride = photo.width * 3;
        let lines = &photo.rgb[span.first * stride..(span.first + span.count) * stride];
        cpu::run(SumLines { lines, span, sums: &mut sums[..stride] });
        let (pixels, padding) = row.split_at_mut((fit.width * 3).min(row.len()));
        match photo.width == 2 * fit.width {
            true => cpu::run(HalveColumns { sums: &sums, area, row: pixels }),
            false => cpu::run(AverageColumns { sums: &sums, columns: &columns, area, row: pixels }),
        }
        padding.fill(0.0);
    }
}

/// The weighted sum of a span of lines, which lie one behind the other.
struct SumLines<'a> {
    lines: &'a [u8],
    span: Span,
    sums: &'a mut [f32],
}

impl Loop for SumLines<'_> {
    #[inline(always)]
    fn run(self) {
        /// Columns whose sums stay in registers while the lines are walked down.
        const WIDE: usize = 32;
        let SumLines { lines, span: Span { count, head, tail, .. }, sums } = self;
        let stride = sums.len();
        let (wide, rest) = sums.as_chunks_mut::<WIDE>();
        for (at, sums) in wide.iter_mut().enumerate() {
            let part = |nth: usize| &lines[nth * stride + at * WIDE..][..WIDE];
            let mut sum = [0.0f32; WIDE];
            sum.iter_mut().zip(part(0)).for_each(|(sum, &byte)| *sum = head * f32::from(byte));
            for nth in 1..count.max(2) - 1 {
                sum.iter_mut().zip(part(nth)).for_each(|(sum, &byte)| *sum += f32::from(byte));
            }
            if count > 1 {
                sum.iter_mut().zip(part(count - 1)).for_each(|(sum, &byte)| *sum += tail * f32::from(byte));
            }
            *sums = sum;
        }
        let begun = stride - rest.len();
        for (column, sum) in rest.iter_mut().enumerate() {
            let byte = |nth: usize| f32::from(lines[nth * stride + begun + column]);
            *sum = head * byte(0);
            (1..count.max(2) - 1).for_each(|nth| *sum += byte(nth));
            if count > 1 {
                *sum += tail * byte(count - 1);
            }
        }
    }
}

/// Means over pairs of columns, each of weight 1, red and blue exchanged: the usual phone's width is twice the detector's.
struct HalveColumns<'a> {
    sums: &'a [f32],
    area: f32,
    row: &'a mut [f32],
}

impl Loop for HalveColumns<'_> {
    #[inline(always)]
    fn run(self) {
        let pairs = self.sums.as_chunks::<6>().0;
        for (out, &[r, g, b, r2, g2, b2]) in self.row.as_chunks_mut::<3>().0.iter_mut().zip(pairs) {
            *out = [(b + b2) * self.area, (g + g2) * self.area, (r + r2) * self.area];
        }
    }
}

/// Means over spans of columns, red and blue exchanged.
struct AverageColumns<'a> {
    /// A float beyond the last pixel included.
    sums: &'a [f32],
    columns: &'a [Span],
    area: f32,
    row: &'a mut [f32],
}

impl Loop for AverageColumns<'_> {
    #[inline(always)]
    fn run(self) {
        for (&Span { first, count, head, tail }, out) in self.columns.iter().zip(self.row.as_chunks_mut::<3>().0) {
            let covered = &self.sums[first * 3..(first + count) * 3 + 1];
            // Four floats fill a register; the fourth is the neighbour's red and is dropped.
            let pixel = |nth: usize| *covered[nth * 3..].first_chunk::<4>().unwrap_or(&[0.0; 4]);
            let mut sum = pixel(0).map(|value| head * value);
            for nth in 1..count.max(2) - 1 {
                sum.iter_mut().zip(pixel(nth)).for_each(|(sum, value)| *sum += value);
            }
            if count > 1 {
                sum.iter_mut().zip(pixel(count - 1)).for_each(|(sum, value)| *sum += tail * value);
            }
            let [r, g, b, _] = sum.map(|sum| sum * self.area);
            *out = [b, g, r];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::cpu::Isa;

    fn photo(width: usize, height: usize) -> Photo {
        let rgb = (0..width * height * 3).map(|i| (i * 37 % 256) as u8).collect();
        Photo { width, height, rgb }
    }

    /// The definition, in f64: the integral of the picture, constant on each pixel, over each output pixel.
    fn reference(photo: &Photo, fit: Fit, x: usize, y: usize, channel: usize) -> f64 {
        let overlap = |index: usize, from: usize, to: usize, pixel: usize| {
            let (a, b) = (index as f64 * from as f64 / to as f64, (index + 1) as f64 * from as f64 / to as f64);
            (b.min(pixel as f64 + 1.0) - a.max(pixel as f64)).max(0.0)
        };
        let (mut sum, mut weight) = (0.0, 0.0);
        for sy in 0..photo.height {
            for sx in 0..photo.width {
                let w = overlap(x, photo.width, fit.width, sx) * overlap(y, photo.height, fit.height, sy);
                sum += w * f64::from(photo.rgb[(sy * photo.width + sx) * 3 + channel]);
                weight += w;
            }
        }
        sum / weight
    }

    #[test]
    fn every_pixel_is_the_mean_of_its_area() {
        for (width, height, long) in [(50, 40, 50), (64, 48, 32), (61, 47, 33), (47, 61, 20), (40, 90, 7)] {
            let photo = photo(width, height);
            let fit = Fit::new(&photo, long);
            let (pw, ph) = fit.padded();
            let mut out = vec![f32::NAN; pw * ph * 3];
            shrink_into(&photo, fit, &mut out);
            for y in 0..ph {
                for x in 0..pw {
                    for channel in 0..3 {
                        let found = f64::from(out[(y * pw + x) * 3 + 2 - channel]);
                        let inside = x < fit.width && y < fit.height;
                        let expected = if inside { reference(&photo, fit, x, y, channel) } else { 0.0 };
                        assert!((found - expected).abs() < 1e-3, "{width}x{height}->{fit:?} at {x},{y}");
                    }
                }
            }
        }
    }

    #[test]
    fn never_enlarges_and_keeps_the_shape() {
        assert_eq!(Fit::new(&photo(100, 80), 640), Fit { width: 100, height: 80 });
        assert_eq!(Fit::new(&photo(100, 80), 640).padded(), (128, 96));
        assert_eq!(Fit::new(&photo(1280, 960), 640), Fit { width: 640, height: 480 });
        assert_eq!(Fit::new(&photo(3, 3000), 640), Fit { width: 1, height: 640 });
    }

    /// The sums in the order of the definition, without anything clever.
    fn plain(photo: &Photo, fit: Fit) -> Vec<f32> {
        let (padded, rows) = fit.padded();
        let mut out = vec![0.0f32; padded * rows * 3];
        let area = (fit.width * fit.height) as f32 / (photo.width * photo.height) as f32;
        let weight = |span: &Span, nth: usize| match nth {
            0 => span.head,
            n if n + 1 == span.count => span.tail,
            _ => 1.0,
        };
        for (x, y, channel) in
            (0..fit.height).flat_map(|y| (0..fit.width).flat_map(move |x| (0..3).map(move |channel| (x, y, channel))))
        {
            let (down, across) = (Span::new(y, photo.height, fit.height), Span::new(x, photo.width, fit.width));
            let mut mean = 0.0f32;
            for column in 0..across.count {
                let mut sum = 0.0f32;
                for line in 0..down.count {
                    let at = ((down.first + line) * photo.width + across.first + column) * 3 + channel;
                    sum += weight(&down, line) * f32::from(photo.rgb[at]);
                }
                mean += weight(&across, column) * sum;
            }
            out[(y * padded + x) * 3 + 2 - channel] = mean * area;
        }
        out
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_definition() {
        for (width, height, long) in [(64, 48, 32), (61, 47, 33), (47, 61, 20), (200, 150, 35), (33, 9, 33), (5, 3, 2)]
        {
            let photo = photo(width, height);
            let fit = Fit::new(&photo, long);
            let expected = plain(&photo, fit);
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
                let mut found = vec![f32::NAN; expected.len()];
                isa.with(|| shrink_into(&photo, fit, &mut found)).unwrap();
                assert_eq!(found, expected, "{width}x{height}->{fit:?} with {isa}");
            }
        }
    }
}
