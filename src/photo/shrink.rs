//! Luma of a picture at a smaller size, each pixel the exact mean of the area that it covers.

use super::picture::Photo;
use crate::ops::cpu::{self, Loop};

/// Luma (Rec. 601, 0..=255) at `columns` by `rows`, from the top left; with `mirrored`, of the mirror image. Pixels on a
/// border between two areas count for each by their share. Zeros for a photo without pixels.
pub(super) fn luma(photo: &Photo, columns: usize, rows: usize, mirrored: bool) -> Vec<f32> {
    if photo.width == 0 || photo.height == 0 {
        return vec![0.0; columns * rows];
    }
    let across = Columns::new(photo.width, columns, mirrored);
    // Whole bytes are summed down the columns, all channels alike, and made luma once for each line of areas.
    let mut sums = vec![0f32; photo.width * 3];
    let mut small = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        sums.fill(0.0);
        for (y, weight) in covered(row, rows, photo.height) {
            let source = &photo.rgb[y * photo.width * 3..(y + 1) * photo.width * 3];
            sums.iter_mut().zip(source).for_each(|(sum, &value)| *sum += weight * f32::from(value));
        }
        across.means(&sums, &mut small);
    }
    small
}

/// The areas side by side.
pub(super) struct Columns {
    /// Of each area, the pixels and their shares.
    areas: Vec<Vec<(usize, f32)>>,
}

impl Columns {
    /// Of `areas` areas over a line of `width` pixels, or over its mirror image.
    pub(super) fn new(width: usize, areas: usize, mirrored: bool) -> Columns {
        let mut areas: Vec<_> = (0..areas).map(|area| covered(area, areas, width)).collect();
        if mirrored {
            areas.iter_mut().flatten().for_each(|(x, _)| *x = width - 1 - *x);
        }
        Columns { areas }
    }

    /// Adds the mean luma of each area to `small`, from the means of R, G and B over the rows of it.
    pub(super) fn means(&self, sums: &[f32], small: &mut Vec<f32>) {
        let mut luma = vec![0f32; sums.len() / 3];
        cpu::run(ToLuma { sums, luma: &mut luma });
        let mean = |area: &Vec<(usize, f32)>| area.iter().map(|&(x, weight)| weight * luma[x]).sum::<f32>();
        small.extend(self.areas.iter().map(|area| mean(area) / 256.0));
    }
}

/// R, G, B to luma in 256ths.
struct ToLuma<'a> {
    sums: &'a [f32],
    luma: &'a mut [f32],
}

impl Loop for ToLuma<'_> {
    #[inline(always)]
    fn run(self) {
        for (luma, [r, g, b]) in self.luma.iter_mut().zip(self.sums.as_chunks::<3>().0) {
            *luma = 77.0 * r + 150.0 * g + 29.0 * b;
        }
    }
}

/// The pixels of a line of `length` that area `at` of `areas` covers, with their shares of it, which sum to 1.
pub(super) fn covered(at: usize, areas: usize, length: usize) -> Vec<(usize, f32)> {
    // In units of 1/areas of a pixel, everything is a whole number.
    let (from, to) = (at * length, (at + 1) * length);
    let pixels = from / areas..to.div_ceil(areas);
    let share = |pixel: usize| ((pixel + 1) * areas).min(to) - (pixel * areas).max(from);
    pixels.map(|pixel| (pixel, share(pixel) as f32 / length as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_have_exact_borders() {
        assert_eq!(covered(0, 2, 3), [(0, 2.0 / 3.0), (1, 1.0 / 3.0)]);
        assert_eq!(covered(1, 2, 3), [(1, 1.0 / 3.0), (2, 2.0 / 3.0)]);
        assert_eq!(covered(5, 8, 1), [(0, 1.0)], "areas within one pixel");
        for (areas, length) in [(8, 640), (8, 5), (7, 100), (1, 9), (192, 193)] {
            for at in 0..areas {
                assert!((covered(at, areas, length).iter().map(|c| c.1).sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_mirror_image_is_mirrored() {
        let photo = Photo { width: 3, height: 1, rgb: vec![0, 0, 0, 90, 90, 90, 180, 180, 180] };
        assert_eq!(luma(&photo, 3, 1, false), [0.0, 90.0, 180.0]);
        assert_eq!(luma(&photo, 3, 1, true), [180.0, 90.0, 0.0]);
        assert_eq!(luma(&photo, 1, 1, false), [90.0]);
        assert_eq!(luma(&Photo { width: 0, height: 0, rgb: vec![] }, 2, 1, false), [0.0, 0.0]);
    }
}
