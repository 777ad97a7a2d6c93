//! A picture as 64 numbers, fine enough to tell a picture sent again from the next picture of the same scene.
//!
//! The difference hash finds candidates; it cannot decide, for two pictures taken a second apart often have the same
//! hash. Means of 8x8 equal cells, kept to 1/256 of a grey level, can: compression, scaling and mirroring move them by
//! less than 0.7 % of the picture's own contrast, people who breathe by more (figures at [`SAME`]). Cells have exact
//! borders, within pixels where need be, so that scaling changes nothing. It is no picture that could show anybody.

use serde::{Deserialize, Serialize};

use super::grids::MINIATURE_SIDE as SIDE;
use super::picture::Photo;
use super::reduce::Reduced;
use super::shrink;

/// Two miniatures that differ by less are of one picture; the policy's `reuse.picture_difference` is this.
///
/// Measured on 120 of the NUAA live frames (640x480) against themselves: JPEG quality 30 and 50, half size and mirroring
/// gave at most 0.006; 455 pairs of frames about a second apart in one sitting gave at least 0.0084 (1 %: 0.0125, half of
/// them 0.16), pairs of different sittings at least 0.62. Brightening with clipping gives 0.02 to 0.24 and is not
/// recognised here, nor is cropping: see [`super::thumbnail`].
pub const SAME: f32 = 0.007;

/// Mean luma of 8x8 cells, row by row, in 1/256 of a grey level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miniature {
    cells: [[u16; SIDE]; SIDE],
}

impl Miniature {
    /// Of a photo.
    pub fn of(photo: &Photo) -> Miniature {
        Self::new(&shrink::luma(photo, SIDE, SIDE, false))
    }

    fn new(luma: &[f32]) -> Miniature {
        let mut cells = [[0; SIDE]; SIDE];
        cells.as_flattened_mut().iter_mut().zip(luma).for_each(|(cell, luma)| *cell = (luma * 256.0).round() as u16);
        Miniature { cells }
    }

    /// The means as 64 numbers of two bytes, the low byte first, row by row.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.cells.iter().flatten().flat_map(|cell| cell.to_le_bytes()).collect()
    }

    /// What [`Miniature::to_bytes`] wrote; `None` for another number of bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Miniature> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let mut cells = [[0; SIDE]; SIDE];
        cells.as_flattened_mut().iter_mut().zip(pairs).for_each(|(cell, pair)| *cell = u16::from_le_bytes(*pair));
        (pairs.len() == SIDE * SIDE && rest.is_empty()).then_some(Miniature { cells })
    }

    /// Mean luma of one cell, 0..=255.
    pub fn luma(&self, column: usize, row: usize) -> f64 {
        f64::from(self.cells[row][column]) / 256.0
    }

    /// How far another picture's miniature is from this one, or from this one's mirror image: the RMS of what is left
    /// after the best gain and offset of brightness, relative to the standard deviation; 0 (same) to 1 (unrelated).
    /// `None` for a picture without contrast (less than two grey levels), of which nothing can be said.
    pub fn difference(&self, other: &Miniature, mirrored: bool) -> Option<f32> {
        let plain = |m: &Miniature| m.cells.iter().flatten().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let flipped = |m: &Miniature| m.cells.iter().flat_map(|row| row.iter().rev()).map(|&v| f64::from(v)).collect();
        let (a, b) = (if mirrored { flipped(self) } else { plain(self) }, plain(other));
        let n = (SIDE * SIDE) as f64;
        let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
        let (mut aa, mut ab, mut bb) = (0.0, 0.0, 0.0);
        for (x, y) in a.iter().zip(&b) {
            let (x, y) = (x - mean_a, y - mean_b);
            aa += x * x;
            ab += x * y;
            bb += y * y;
        }
        let contrast = |squares: f64| (squares / n).sqrt() >= 2.0 * 256.0;
        // A negative gain would be a negative of the picture, which is none of it.
        let explained = if ab > 0.0 { ab * ab / (aa * bb) } else { 0.0 };
        (contrast(aa) && contrast(bb)).then(|| (1.0 - explained).max(0.0).sqrt() as f32)
    }
}

impl From<&Reduced> for Miniature {
    fn from(reduced: &Reduced) -> Self {
        Miniature::new(&reduced.miniature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of smooth stripes.
    fn stripes(width: usize, height: usize, mirror: bool) -> Photo {
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let x = if mirror { width - 1 - x } else { x };
                let (u, v) = ((x as f64 + 0.5) / width as f64, (y as f64 + 0.5) / height as f64);
                let value = 120.0 + 60.0 * (5.0 * u + 2.0 * v).sin() + 30.0 * (9.0 * v - 3.0 * u * u).cos();
                rgb.extend([value as u8, (value * 0.9) as u8, (value * 0.7) as u8]);
            }
        }
        Photo { width, height, rgb }
    }

    #[test]
    fn scaling_and_mirroring_leave_it_and_other_pictures_do_not() {
        let picture = Miniature::of(&stripes(640, 480, false));
        for (width, height) in [(320, 240), (500, 371), (1001, 750), (97, 61)] {
            let scaled = Miniature::of(&stripes(width, height, false));
            assert!(picture.difference(&scaled, false).unwrap() < SAME, "{width}x{height}");
        }
        let mirrored = Miniature::of(&stripes(640, 480, true));
        assert!(picture.difference(&mirrored, true).unwrap() < 1e-4);
        assert!(picture.difference(&mirrored, false).unwrap() > 0.3);
        assert_eq!(picture.difference(&picture, false), Some(0.0));
    }

    #[test]
    fn brightness_does_not_matter_and_negatives_do() {
        let photo = stripes(300, 200, false);
        let changed = |f: fn(u8) -> u8| Photo { rgb: photo.rgb.iter().map(|&v| f(v)).collect(), ..photo.clone() };
        let picture = Miniature::of(&photo);
        assert!(picture.difference(&Miniature::of(&changed(|v| v / 2 + 40)), false).unwrap() < SAME);
        assert_eq!(picture.difference(&Miniature::of(&changed(|v| 255 - v)), false), Some(1.0));
    }

    #[test]
    fn tiny_and_flat_pictures_say_nothing() {
        let flat =
            |width: usize, height: usize| Miniature::of(&Photo { width, height, rgb: vec![100; width * height * 3] });
        assert_eq!(flat(1, 1).difference(&flat(3, 2), false), None);
        assert_eq!(flat(640, 480).cells[3][3], 25_600);
        assert_eq!(flat(3, 5).cells, [[25_600; 8]; 8], "cells within one pixel");
        assert_eq!(Miniature::of(&Photo { width: 0, height: 0, rgb: vec![] }).cells, [[0; 8]; 8]);
    }
}
