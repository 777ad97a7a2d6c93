//! A second JPEG grid: the picture around the face was compressed once before it was laid into this one.
//!
//! JPEG leaves small steps every eight pixels. Their place is found by the mean second difference across each of the
//! eight possible columns (and rows) of borders, once around the face and once in the rest of the picture (W. Li, Y. Yuan,
//! N. Yu, "Passive detection of doctored JPEG image via block artifact grid extraction", Signal Processing 89, 2009).

use super::{Area, luma, pixel};
use crate::photo::Photo;

/// Second differences above this are edges of things, not of blocks.
const EDGE: f32 = 30.0;

/// How strong a grid stands around the face at another place than in the rest of the picture, in shares of the usual
/// second difference; the weaker of columns and rows, for a grid has both.
pub(super) fn second_grid(photo: &Photo, area: Area) -> f32 {
    let columns = compare(photo, area, false);
    let rows = compare(photo, area, true);
    columns.min(rows)
}

fn compare(photo: &Photo, area: Area, turned: bool) -> f32 {
    let (inside, outside) = steps(photo, area, turned);
    let strength = |steps: &[f32; 8], at: usize| {
        let mut sorted = *steps;
        sorted.sort_by(f32::total_cmp);
        let usual = (sorted[3] + sorted[4]) / 2.0;
        if usual > 1e-3 { (steps[at] / usual - 1.0).max(0.0) } else { 0.0 }
    };
    let place = |steps: &[f32; 8]| (0..8).max_by(|&a, &b| steps[a].total_cmp(&steps[b])).unwrap_or(0);
    let (here, own) = (place(&inside), place(&outside));
    // Where the rest shows a grid of its own, a resize or a crop explains one that both share.
    if here == own { 0.0 } else { strength(&inside, here) - strength(&outside, here).min(strength(&inside, here)) }
}

/// Mean second difference across each of the eight columns of borders (rows, if `turned`), in and outside of the area.
fn steps(photo: &Photo, area: Area, turned: bool) -> ([f32; 8], [f32; 8]) {
    let (length, lines) = if turned { (photo.height, photo.width) } else { (photo.width, photo.height) };
    let place = |at: usize, line: usize| if turned { (line, at) } else { (at, line) };
    let value = |at: usize, line: usize| {
        let (x, y) = place(at, line);
        luma(pixel(photo, x, y))
    };
    let (mut sums, mut counts) = ([[0f64; 8]; 2], [[0u32; 8]; 2]);
    // Every second line says enough.
    for line in (0..lines).step_by(2) {
        let mut window = [0f32; 4];
        for at in 0..length {
            window = [window[1], window[2], window[3], value(at, line)];
            if at < 3 {
                continue;
            }
            // Between the second and the third of four pixels.
            let step = (2.0 * (window[2] - window[1]) - (window[1] - window[0]) - (window[3] - window[2])).abs();
            if step < EDGE {
                let (x, y) = place(at - 1, line);
                let side = usize::from(!area.contains(x, y));
                sums[side][(at - 1) % 8] += f64::from(step);
                counts[side][(at - 1) % 8] += 1;
            }
        }
    }
    let mean = |side: usize| std::array::from_fn(|k| (sums[side][k] / f64::from(counts[side][k].max(1))) as f32);
    (mean(0), mean(1))
}
