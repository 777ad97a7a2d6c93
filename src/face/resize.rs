//! Shrinking a photo for the detector: each output pixel is the mean of the area it covers (OpenCV's `INTER_AREA`).
//!
//! Point or bilinear sampling would turn the texture of a large picture into noise that the detector takes for
//! features. The same pass turns bytes into floats and RGB into the BGR that the detector was trained on.

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
/// first and the last; those between weigh 1.
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

    fn weight(&self, nth: usize) -> f32 {
        match nth {
            0 => self.head,
            n if n + 1 == self.count => self.tail,
            _ => 1.0,
        }
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
    let mut sums = vec![0.0f32; photo.width * 3];
    for (y, row) in out.chunks_mut(padded * 3).enumerate() {
        if y >= fit.height {
            row.fill(0.0);
            continue;
        }
        let span = Span::new(y, photo.height, fit.height);
        let stride = photo.width * 3;
        for nth in 0..span.count {
            let line = &photo.rgb[(span.first + nth) * stride..][..stride];
            add_line(&mut sums, line, span.weight(nth), nth == 0);
        }
        let (pixels, padding) = row.split_at_mut((fit.width * 3).min(row.len()));
        average_columns(&sums, &columns, area, pixels);
        padding.fill(0.0);
    }
}

/// `sums (+)= weight * line`; a loop without branches, which compiles to vector code.
fn add_line(sums: &mut [f32], line: &[u8], weight: f32, first: bool) {
    if first {
        sums.iter_mut().zip(line).for_each(|(sum, &byte)| *sum = weight * f32::from(byte));
    } else {
        sums.iter_mut().zip(line).for_each(|(sum, &byte)| *sum += weight * f32::from(byte));
    }
}

fn average_columns(sums: &[f32], columns: &[Span], area: f32, row: &mut [f32]) {
    let (pixels, _) = sums.as_chunks::<3>();
    for (span, out) in columns.iter().zip(row.as_chunks_mut::<3>().0) {
        let covered = &pixels[span.first..span.first + span.count];
        let mut mean = [0.0f32; 3];
        for (nth, pixel) in covered.iter().enumerate() {
            let weight = span.weight(nth);
            for (sum, value) in mean.iter_mut().zip(pixel) {
                *sum += weight * value;
            }
        }
        let [r, g, b] = mean.map(|sum| sum * area);
        *out = [b, g, r];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
