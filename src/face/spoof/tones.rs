//! The darkest and the brightest tone around a face: a screen glows where it should be black, paper is never white.

use super::{Area, level};
use crate::ops::cpu::{self, Loop};
use crate::photo::Photo;

/// The 2nd percentile of luma in the area, and how far the 98th is from white; both 0..=1.
pub(super) fn range(photo: &Photo, area: Area) -> (f32, f32) {
    // Neighbours have like tones, and a counter cannot be raised twice in a row without waiting: so four take turns.
    let mut histograms = [[0u32; 256]; 4];
    // Every second pixel of every second row says enough; the picture's own edge is left out.
    let (left, right) = (area.left | 1, area.right.min(photo.width - 1));
    let mut line = vec![0u8; right.saturating_sub(left).div_ceil(2)];
    for y in (area.top | 1..area.bottom.min(photo.height - 1)).step_by(2) {
        let pixels = &photo.rgb[(y * photo.width + left) * 3..];
        cpu::run(Levels { pixels, line: &mut line });
        for four in line.chunks(4) {
            histograms.iter_mut().zip(four).for_each(|(histogram, &level)| histogram[usize::from(level)] += 1);
        }
    }
    let histogram: [u32; 256] = std::array::from_fn(|level| histograms.iter().map(|h| h[level]).sum());
    let count: u32 = histogram.iter().sum();
    let percentile = |share: f64| {
        let mut below = 0;
        let at = histogram.iter().position(|&n| {
            below += n;
            f64::from(below) >= share * f64::from(count)
        });
        at.unwrap_or(0) as f32 / 255.0
    };
    (percentile(0.02), 1.0 - percentile(0.98))
}

/// Luma of every second pixel.
struct Levels<'a> {
    pixels: &'a [u8],
    line: &'a mut [u8],
}

impl Loop for Levels<'_> {
    #[inline(always)]
    fn run(self) {
        // The last pixel of the photo's last row is no pixel of a line, so each has a neighbour.
        for (out, &[r, g, b, ..]) in self.line.iter_mut().zip(self.pixels.as_chunks::<6>().0) {
            *out = (level([r, g, b]) >> 8) as u8;
        }
    }
}
