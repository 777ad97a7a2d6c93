//! The picture that liveness networks see: the face with its surroundings, where the edges of a print or a phone show.
//!
//! The rule is that of minivision's Silent-Face-Anti-Spoofing (`CropImage`, Apache-2.0), with which these networks were
//! trained: the detector's box grows by the scale about its centre, less if it would not fit into the picture, is moved
//! until it lies inside, and is then resized to a square without keeping its shape. Resizing is bilinear between
//! pixel centres without averaging, as `cv2.resize` did in training: fine screen patterns reach the network as the
//! aliases on which it was trained.

use super::Detection;
use crate::photo::Photo;

/// Order of the colours in a crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// Red first.
    Rgb,
    /// Blue first, as OpenCV has it.
    Bgr,
}

/// A rectangle of whole pixels that lies inside its photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns, at least 1.
    pub width: usize,
    /// Rows, at least 1.
    pub height: usize,
}

impl Region {
    /// The surroundings of a face: its box times `scale`, shrunk and moved to lie inside a photo of `width` x `height`.
    ///
    /// A box without area or with numbers that are none gives the whole photo.
    pub fn around(face: &Detection, scale: f32, width: usize, height: usize) -> Region {
        let [x, y, box_width, box_height] = face.bbox.map(f64::from);
        let (right, bottom) = (width as f64 - 1.0, height as f64 - 1.0);
        if !(box_width > 0.0 && box_height > 0.0 && (x + y + box_width + box_height).is_finite()) {
            return Region { left: 0, top: 0, width, height };
        }
        // 2.7 as it is meant, and not the nearest f32: where the product is a whole number, the column depends on it.
        let scale = (f64::from(scale) * 1e4).round() / 1e4;
        let scale = scale.min(bottom / box_height).min(right / box_width);
        let range = |centre: f64, half: f64, last: f64| {
            let (mut low, mut high) = (centre - half, centre + half);
            if low < 0.0 {
                high -= low;
                low = 0.0;
            }
            if high > last {
                low -= high - last;
                high = last;
            }
            // Rounding may leave a hair's breadth outside; both ends are cut off to whole numbers and belong to it.
            let low = low.max(0.0) as usize;
            (low, (high.max(0.0) as usize).min(last as usize).max(low) - low + 1)
        };
        let (left, width) = range(x + box_width / 2.0, box_width * scale / 2.0, right);
        let (top, height) = range(y + box_height / 2.0, box_height * scale / 2.0, bottom);
        Region { left, top, width, height }
    }
}

/// Resizes `region` of the photo to `side` x `side` into `out`: `side * side * 3` floats, rows from the top, range
/// 0..=255, not rounded. It equals `cv2.resize(..., interpolation=INTER_LINEAR)` up to OpenCV's rounding to bytes.
pub fn resize_into(photo: &Photo, region: Region, side: usize, colours: Colours, out: &mut [f32]) {
    let columns: Vec<Tap> = (0..side).map(|x| Tap::new(x, region.width, side)).collect();
    for (y, row) in out.chunks_exact_mut(side * 3).take(side).enumerate() {
        let vertical = Tap::new(y, region.height, side);
        let line = |nth: usize| &photo.rgb[((region.top + nth) * photo.width + region.left) * 3..][..region.width * 3];
        let (upper, lower) = (line(vertical.low), line(vertical.high));
        for (tap, pixel) in columns.iter().zip(row.as_chunks_mut::<3>().0) {
            for (channel, value) in pixel.iter_mut().enumerate() {
                let between = |line: &[u8]| {
                    let (low, high) = (f32::from(line[tap.low * 3 + channel]), f32::from(line[tap.high * 3 + channel]));
                    low + (high - low) * tap.part
                };
                let (upper, lower) = (between(upper), between(lower));
                *value = upper + (lower - upper) * vertical.part;
            }
            if colours == Colours::Bgr {
                pixel.swap(0, 2);
            }
        }
    }
}

/// Two neighbouring source positions, and how far from the first to the second.
struct Tap {
    low: usize,
    high: usize,
    part: f32,
}

impl Tap {
    /// Output `index` of `to` shows the source position `(index + 1/2) * from / to - 1/2`, held inside.
    fn new(index: usize, from: usize, to: usize) -> Tap {
        let at = ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, from as f64 - 1.0);
        let low = at.floor();
        Tap { low: low as usize, high: (low as usize + 1).min(from - 1), part: (at - low) as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(bbox: [f32; 4], width: usize, height: usize) -> [usize; 4] {
        let face = Detection { bbox, landmarks: [[0.0; 2]; 5], score: 1.0 };
        let region = Region::around(&face, 2.7, width, height);
        assert!(region.left + region.width <= width && region.top + region.height <= height, "{region:?}");
        [region.left, region.top, region.width, region.height]
    }

    /// Expected values are those of the Python original.
    #[test]
    fn regions_equal_the_original() {
        assert_eq!(around([200.0, 150.0, 60.0, 80.0], 640, 480), [149, 82, 163, 217]);
        assert_eq!(around([10.0, 20.0, 100.0, 120.0], 640, 480), [0, 0, 271, 325]);
        assert_eq!(around([500.0, 300.0, 100.0, 120.0], 640, 480), [369, 155, 271, 325]);
        assert_eq!(around([100.0, 50.0, 300.0, 380.0], 640, 480), [60, 0, 380, 480]);
        assert_eq!(around([-20.0, -30.0, 90.0, 100.0], 640, 480), [0, 0, 244, 271]);
    }

    #[test]
    fn odd_boxes_stay_inside() {
        for bbox in
            [[0.0, 0.0, 0.0, 5.0], [f32::NAN; 4], [1e9, -1e9, 3.0, 3.0], [5.0, 5.0, 1e-9, 1e9], [0.0, 0.0, 1e9, 1e9]]
        {
            around(bbox, 64, 48);
            around(bbox, 1, 1);
        }
    }

    #[test]
    fn the_same_size_is_a_copy() {
        let photo = Photo { width: 9, height: 8, rgb: (0..216).collect() };
        let region = Region { left: 2, top: 1, width: 5, height: 5 };
        let (mut rgb, mut bgr) = (vec![0.0; 75], vec![0.0; 75]);
        resize_into(&photo, region, 5, Colours::Rgb, &mut rgb);
        resize_into(&photo, region, 5, Colours::Bgr, &mut bgr);
        for y in 0..5 {
            for x in 0..5 {
                for channel in 0..3 {
                    let expected = f32::from(photo.rgb[((y + 1) * 9 + x + 2) * 3 + channel]);
                    assert_eq!(rgb[(y * 5 + x) * 3 + channel], expected);
                    assert_eq!(bgr[(y * 5 + x) * 3 + 2 - channel], expected);
                }
            }
        }
    }
}
