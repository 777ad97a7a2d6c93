//! The picture that liveness networks see: the face with its surroundings, where the edges of a print or a phone show.
//!
//! The rule is that of minivision's Silent-Face-Anti-Spoofing (`CropImage`, Apache-2.0), with which these networks were
//! trained: the detector's box grows by the scale about its centre, less if it would not fit into the picture, is moved
//! until it lies inside, and is then resized to a square without keeping its shape. Resizing is bilinear between
//! pixel centres without averaging, as `cv2.resize` did in training: fine screen patterns reach the network as the
//! aliases on which it was trained.

use super::{Detection, Similarity};
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

/// The face nearly by itself, where screens and prints show in the skin: a square of `scale` times the longer side of its box
/// about the same centre, moved to lie inside a photo of `width` x `height`, and made smaller if it would not fit. As the
/// transform that takes it to `side` x `side`, for [`super::align::warp_into`], which averages where it shrinks.
///
/// A box without area or with numbers that are none gives the middle of the photo.
pub fn square(face: &Detection, scale: f64, side: usize, [width, height]: [usize; 2]) -> Similarity {
    let [x, y, box_width, box_height] = face.bbox.map(f64::from);
    let (across, down) = (width as f64, height as f64);
    let shorter = across.min(down);
    let is_box = box_width > 0.0 && box_height > 0.0 && (x + y + box_width + box_height).is_finite();
    let square = if is_box { (scale * box_width.max(box_height)).clamp(1.0, shorter) } else { shorter };
    let centre = if is_box { [x + box_width / 2.0, y + box_height / 2.0] } else { [across / 2.0, down / 2.0] };
    let first = |centre: f64, length: f64| (centre - square / 2.0).clamp(0.0, length - square);
    let scale = side as f64 / square;
    // A box that begins at 0 begins half a pixel before the first pixel's centre, in the photo and in the crop.
    let shift = |first: f64| (0.5 - first) * scale - 0.5;
    Similarity { a: scale, b: 0.0, tx: shift(first(centre[0], across)), ty: shift(first(centre[1], down)) }
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

    /// Where the transform takes the four corners of the crop from: left, top, right, bottom, as edges of pixels.
    fn taken(bbox: [f32; 4], width: usize, height: usize) -> [f64; 4] {
        let face = Detection { bbox, landmarks: [[0.0; 2]; 5], score: 1.0 };
        let back = square(&face, 1.0, 128, [width, height]).inverse();
        let [left, top] = back.apply([-0.5, -0.5]);
        let [right, bottom] = back.apply([127.5, 127.5]);
        let edges = [left, top, right, bottom].map(|v| v + 0.5);
        assert!((edges[2] - edges[0] - edges[3] + edges[1]).abs() < 1e-6, "a square: {edges:?}");
        let inside =
            edges[0] > -1e-6 && edges[1] > -1e-6 && edges[2] < width as f64 + 1e-6 && edges[3] < height as f64 + 1e-6;
        assert!(inside, "{edges:?} of {width} x {height}");
        edges.map(|v| (v * 1e4).round() / 1e4)
    }

    #[test]
    fn the_close_look_is_the_square_of_the_longer_side_moved_inside() {
        assert_eq!(taken([200.0, 150.0, 60.0, 80.0], 640, 480), [190.0, 150.0, 270.0, 230.0]);
        assert_eq!(taken([-20.0, 10.0, 60.0, 80.0], 640, 480), [0.0, 10.0, 80.0, 90.0]);
        assert_eq!(taken([600.0, 440.0, 60.0, 80.0], 640, 480), [560.0, 400.0, 640.0, 480.0]);
        assert_eq!(taken([0.0, 0.0, 300.0, 900.0], 640, 480)[2], 480.0, "no larger than the photo");
        for bbox in
            [[0.0, 0.0, 0.0, 5.0], [f32::NAN; 4], [1e9, -1e9, 3.0, 3.0], [0.0, 0.0, 1e9, 1e9], [3.0, 3.0, 1e-9, 1e-9]]
        {
            taken(bbox, 64, 48);
            taken(bbox, 1, 1);
        }
    }

    #[test]
    fn the_close_look_shows_each_pixel_in_its_place() {
        // A picture of one bright square where the face is, twice the size of a crop: every pixel of the crop is bright.
        let (width, height) = (640, 480);
        let inside = |x: usize, y: usize| (100..356).contains(&x) && (50..306).contains(&y);
        let rgb =
            (0..width * height).flat_map(|at| [if inside(at % width, at / width) { 250 } else { 10 }; 3]).collect();
        let photo = Photo { width, height, rgb };
        let face = Detection { bbox: [140.0, 50.0, 176.0, 256.0], landmarks: [[0.0; 2]; 5], score: 1.0 };
        let mut crop = vec![0.0; 128 * 128 * 3];
        super::super::align::warp_into(&photo, &square(&face, 1.0, 128, [width, height]), (128, 128), &mut crop);
        assert!(crop.iter().all(|&v| v > 249.0), "lowest {}", crop.iter().fold(f32::MAX, |a, &b| a.min(b)));
        let moved = Detection { bbox: [142.0, 50.0, 176.0, 256.0], ..face };
        super::super::align::warp_into(&photo, &square(&moved, 1.0, 128, [width, height]), (128, 128), &mut crop);
        assert!(crop[127 * 3] < 20.0, "two pixels further right the last column is outside");
    }
}
