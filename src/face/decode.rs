//! YuNet's raw outputs -> boxes, landmarks, scores; overlapping ones reduced to the best.
//!
//! Formulas of OpenCV's `FaceDetectorYN` (W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector",
//! 2023): per cell of a grid with the given stride, `score = sqrt(cls * obj)`, centre = (cell + d) * stride, size =
//! exp(.) * stride, landmark = (cell + k) * stride, all in pixels of the detector's input.

use super::Detection;

/// The outputs for one picture at one stride, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Heads<'a> {
    /// Input pixels per cell: 8, 16 or 32.
    pub stride: usize,
    /// Rows of cells.
    pub rows: usize,
    /// Columns of cells.
    pub cols: usize,
    /// Face or not, `rows * cols`, a probability.
    pub cls: &'a [f32],
    /// Quality of the box, `rows * cols`, a probability.
    pub obj: &'a [f32],
    /// Centre and size, `rows * cols * 4`.
    pub bbox: &'a [f32],
    /// Landmarks, `rows * cols * 10`.
    pub kps: &'a [f32],
}

/// From detector input to photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Photo pixels per input pixel, across and down.
    pub ratio: (f32, f32),
    /// The photo's own width and height in the input, without the padding.
    pub inside: (f32, f32),
}

impl Placement {
    /// A point of the input in the photo. Pixel centres are whole numbers in both, so the input's pixel 0, which is the
    /// mean of the photo's first `ratio` pixels, lies at their middle: the same face gives the same crop at any size.
    fn in_photo(&self, x: f32, y: f32) -> [f32; 2] {
        [(x + 0.5) * self.ratio.0 - 0.5, (y + 0.5) * self.ratio.1 - 0.5]
    }
}

/// Appends the faces of one stride that score at least `min_score` and have their centre inside the photo.
pub fn decode(heads: &Heads<'_>, place: Placement, min_score: f32, faces: &mut Vec<Detection>) {
    let stride = heads.stride as f32;
    let cells = (heads.rows * heads.cols).min(heads.cls.len()).min(heads.obj.len());
    let (boxes, landmarks) = (heads.bbox.as_chunks::<4>().0, heads.kps.as_chunks::<10>().0);
    for (cell, (offset, points)) in boxes.iter().zip(landmarks).take(cells).enumerate() {
        let score = (heads.cls[cell].clamp(0.0, 1.0) * heads.obj[cell].clamp(0.0, 1.0)).sqrt();
        if score.is_nan() || score < min_score {
            continue;
        }
        let (row, col) = ((cell / heads.cols) as f32, (cell % heads.cols) as f32);
        let (x, y) = ((col + offset[0]) * stride, (row + offset[1]) * stride);
        let (width, height) = (offset[2].exp() * stride, offset[3].exp() * stride);
        let inside = (0.0..place.inside.0).contains(&x) && (0.0..place.inside.1).contains(&y);
        if !inside || !(width * height).is_finite() || points.iter().any(|p| !p.is_finite()) {
            continue;
        }
        let point = |k: usize| place.in_photo((col + points[2 * k]) * stride, (row + points[2 * k + 1]) * stride);
        let [left, top] = place.in_photo(x - width / 2.0, y - height / 2.0);
        faces.push(Detection {
            bbox: [left, top, width * place.ratio.0, height * place.ratio.1],
            landmarks: std::array::from_fn(point),
            score,
        });
    }
}

/// Intersection over union of two boxes.
pub fn iou(a: &Detection, b: &Detection) -> f32 {
    let overlap = |axis: usize| {
        let end = (a.bbox[axis] + a.bbox[axis + 2]).min(b.bbox[axis] + b.bbox[axis + 2]);
        (end - a.bbox[axis].max(b.bbox[axis])).max(0.0)
    };
    let common = overlap(0) * overlap(1);
    let all = a.area() + b.area() - common;
    if all > 0.0 { common / all } else { 0.0 }
}

/// Keeps the best of each group of overlapping faces, best score first; equal scores by position, so that the result
/// does not depend on the order in which scales and strides came in.
pub fn suppress(mut faces: Vec<Detection>, max_iou: f32, max_faces: usize) -> Vec<Detection> {
    let position = |a: &Detection, b: &Detection| {
        let pairs = a.bbox.iter().zip(&b.bbox);
        pairs.map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    faces.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| position(a, b)));
    let mut kept: Vec<Detection> = Vec::new();
    for face in faces {
        if kept.len() == max_faces {
            break;
        }
        if kept.iter().all(|other| iou(other, &face) <= max_iou) {
            kept.push(face);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f32, y: f32, side: f32, score: f32) -> Detection {
        Detection { bbox: [x, y, side, side], landmarks: [[x, y]; 5], score }
    }

    #[test]
    fn a_cell_decodes_by_the_formulas() {
        let mut kps = vec![0.0; 60];
        kps[50..60].copy_from_slice(&[0.1, 0.2, 0.9, 0.2, 0.5, 0.5, 0.2, 0.8, 0.8, 0.8]);
        let mut bbox = vec![0.0; 24];
        bbox[20..24].copy_from_slice(&[0.5, 0.25, 1.0, 2.0f32.ln()]);
        let (mut cls, mut obj) = (vec![0.0; 6], vec![0.0; 6]);
        (cls[5], obj[5]) = (0.81, 1.2);
        let heads = Heads { stride: 16, rows: 2, cols: 3, cls: &cls, obj: &obj, bbox: &bbox, kps: &kps };
        let place = Placement { ratio: (2.0, 4.0), inside: (48.0, 32.0) };
        let mut faces = Vec::new();
        decode(&heads, place, 0.5, &mut faces);
        assert_eq!(faces.len(), 1);
        let (width, height) = (1f32.exp() * 16.0, 32.0);
        assert!((faces[0].score - 0.9).abs() < 1e-6);
        let (left, top) = ((40.5 - width / 2.0) * 2.0 - 0.5, (20.5 - height / 2.0) * 4.0 - 0.5);
        let expected = [left, top, width * 2.0, height * 4.0];
        for (found, expected) in faces[0].bbox.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4);
        }
        assert_eq!(faces[0].landmarks[2], [40.5 * 2.0 - 0.5, 24.5 * 4.0 - 0.5]);
        decode(&heads, Placement { inside: (39.0, 32.0), ..place }, 0.5, &mut faces);
        assert_eq!(faces.len(), 1, "a centre in the padding is no face");
    }

    #[test]
    fn numbers_that_are_none_are_no_faces() {
        let (cls, obj, kps) = ([f32::NAN, 1.0, 1.0, 1.0], [1.0; 4], [0.5; 40]);
        let mut bbox = [0.5; 16];
        bbox[6] = f32::INFINITY;
        bbox[8] = f32::NAN;
        let heads = Heads { stride: 8, rows: 2, cols: 2, cls: &cls, obj: &obj, bbox: &bbox, kps: &kps };
        let mut faces = Vec::new();
        decode(&heads, Placement { ratio: (1.0, 1.0), inside: (16.0, 16.0) }, 0.5, &mut faces);
        assert_eq!(faces.len(), 1);
    }

    #[test]
    fn the_best_of_each_group_stays_whatever_the_order() {
        let all = [
            face(0.0, 0.0, 10.0, 0.9),
            face(1.0, 1.0, 10.0, 0.8),
            face(50.0, 0.0, 10.0, 0.8),
            face(6.0, 0.0, 8.0, 0.7),
        ];
        let expected = suppress(all.to_vec(), 0.3, 10);
        assert_eq!(expected.iter().map(|f| f.bbox[0]).collect::<Vec<_>>(), [0.0, 50.0, 6.0]);
        for turn in 1..4 {
            let mut other = all.to_vec();
            other.rotate_left(turn);
            assert_eq!(suppress(other, 0.3, 10), expected);
        }
        assert_eq!(suppress(all.to_vec(), 0.3, 1).len(), 1);
        assert_eq!(suppress(all.to_vec(), 0.9, 10).len(), 4);
    }
}
