//! The darkest and the brightest tone around a face: a screen glows where it should be black, paper is never white.

use super::{Area, level, pixel};
use crate::photo::Photo;

/// The 2nd percentile of luma in the area, and how far the 98th is from white; both 0..=1.
pub(super) fn range(photo: &Photo, area: Area) -> (f32, f32) {
    let mut histogram = [0u32; 256];
    let mut count = 0u32;
    // Every second pixel of every second row says enough; the picture's own edge is left out.
    for y in (area.top | 1..area.bottom.min(photo.height - 1)).step_by(2) {
        for x in (area.left | 1..area.right.min(photo.width - 1)).step_by(2) {
            histogram[(level(pixel(photo, x, y)) >> 8) as usize] += 1;
            count += 1;
        }
    }
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
