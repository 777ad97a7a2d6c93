//! Straight edges around a face: the rim of a phone, the border of a print.
//!
//! The surroundings of the face are brought to one size (the face 32 pixels wide). For each of the four sides, lines at
//! many distances and a few tilts are tried; a line is good when brightness changes across it in one direction all
//! along it. One or two good sides are door posts and shelves; a held picture shows three or four.

use crate::face::Detection;
use crate::ops::cpu::{self, Loop};
use crate::photo::Photo;

/// Width of a face in the pixels in which lines are sought.
const FACE: f32 = 32.0;

/// Half the side of the square that is looked at.
const HALF: usize = 88;

/// Tilts of lines, as slopes.
const SLOPES: [f32; 7] = [-0.24, -0.16, -0.08, 0.0, 0.08, 0.16, 0.24];

/// Step across a line, in luma levels, at which its strength is one half.
const STEP: f32 = 6.0;

/// The third best of the four sides, 0..=1.
pub(super) fn third_side(photo: &Photo, face: &Detection) -> f32 {
    let [left, top, width, height] = face.bbox;
    if width.is_nan() || width < 12.0 || !height.is_finite() {
        return 0.0;
    }
    let patch = Patch::of(photo, (left + width / 2.0, top + height / 2.0), width / FACE);
    let tall = (height / width * FACE / 2.0).clamp(FACE / 4.0, FACE);
    let wide = FACE / 2.0;
    let mut sides = [
        patch.best(Side { horizontal: false, sign: -1.0, from: wide, along: tall }),
        patch.best(Side { horizontal: false, sign: 1.0, from: wide, along: tall }),
        patch.best(Side { horizontal: true, sign: -1.0, from: tall, along: wide }),
        patch.best(Side { horizontal: true, sign: 1.0, from: tall, along: wide }),
    ];
    sides.sort_by(f32::total_cmp);
    sides[1]
}

/// One side of the rectangle that is sought: how far the face reaches towards it, and along it.
#[derive(Clone, Copy)]
struct Side {
    horizontal: bool,
    sign: f32,
    from: f32,
    along: f32,
}

const SIZE: usize = 2 * HALF + 1;

/// Zeros beside the steps, so that a tilted line that leaves the patch finds nothing there.
const MARGIN: usize = 16;

/// Steps across the lines of one direction: a row for each place along a line, a column for each distance.
struct Steps {
    /// Differences of luma over two pixels, within ±40: one strong step among many weak ones is no line. 0 beyond the photo.
    step: Vec<f32>,
    /// 1 where there is a step, 0 beyond the photo.
    there: Vec<f32>,
}

const WIDTH: usize = SIZE + 2 * MARGIN;

/// Luma around the face, NaN outside of the photo, and its steps in both directions.
struct Patch {
    across_columns: Steps,
    across_rows: Steps,
}

impl Patch {
    /// `scale` photo pixels per patch pixel; each patch pixel is the mean of up to 4x4 samples.
    fn of(photo: &Photo, centre: (f32, f32), scale: f32) -> Patch {
        let luma = Self::luma(photo, centre, scale);
        Patch {
            across_columns: Steps::of(|along, across| luma[along * SIZE + across]),
            across_rows: Steps::of(|along, across| luma[across * SIZE + along]),
        }
    }

    fn luma(photo: &Photo, centre: (f32, f32), scale: f32) -> Vec<f32> {
        let taps = (scale.ceil() as usize).clamp(1, 4);
        // The samples of each row or column of the patch as places in the photo; none beyond its edge.
        let samples = |centre: f32, length: usize| -> Vec<Option<[usize; 4]>> {
            let place = |i: usize, tap: usize| {
                let at = centre + ((i as f32 - HALF as f32) * scale + ((tap as f32 + 0.5) / taps as f32 - 0.5) * scale);
                (at >= 0.0 && at < length as f32).then_some(at as usize)
            };
            let all = |i: usize| {
                let mut found = [0; 4];
                for (tap, found) in found[..taps].iter_mut().enumerate() {
                    *found = place(i, tap)?;
                }
                Some(found)
            };
            (0..SIZE).map(all).collect()
        };
        let (columns, rows) = (samples(centre.0, photo.width), samples(centre.1, photo.height));
        let mut out = vec![f32::NAN; SIZE * SIZE];
        let inside = || columns.iter().flatten();
        let (Some(first), Some(last)) = (inside().next(), inside().next_back()) else { return out };
        // Whole numbers add up the same in any order: first down the samples of a row, then across those of a column.
        let span = first[0]..last[taps - 1] + 1;
        let mut sums = vec![0u16; span.len() * 3];
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(SIZE)) {
            let Some(row) = row else { continue };
            let line = |tap: usize| &photo.rgb[(row[tap.min(taps - 1)] * photo.width + span.start) * 3..][..sums.len()];
            let lines = [line(0), line(1), line(2), line(3)];
            cpu::run(AddTaps { lines: &lines[..taps], sums: &mut sums });
            let pixels = sums.as_chunks::<3>().0;
            for (column, out) in columns.iter().zip(out) {
                let Some(column) = column else { continue };
                let mut channels = [0u32; 3];
                for &x in &column[..taps] {
                    channels.iter_mut().zip(pixels[x - span.start]).for_each(|(sum, v)| *sum += u32::from(v));
                }
                let [r, g, b] = channels;
                let sum = 77 * r + 150 * g + 29 * b;
                *out = sum as f32 / 256.0 / (taps * taps) as f32;
            }
        }
        out
    }

    /// The best line of one side, over all distances from just outside the hair to twice the face's width away.
    fn best(&self, side: Side) -> f32 {
        let (near, far) = ((side.from * 1.25) as usize, ((side.from + 2.0 * FACE) as usize).min(HALF - 2));
        if near >= far {
            return 0.0;
        }
        // The nearest place to the left, counting distances outwards or inwards: each is tried, the order says nothing.
        let first = if side.sign < 0.0 { MARGIN + HALF + 1 - far } else { MARGIN + HALF + near };
        let steps = if side.horizontal { &self.across_rows } else { &self.across_columns };
        // The sheet shows at least the whole face.
        let reach = (side.along * 1.4) as i32;
        SLOPES.into_iter().map(|slope| steps.best(first, far - near, slope, reach)).fold(0.0, f32::max)
    }
}

impl Steps {
    fn of(luma: impl Fn(usize, usize) -> f32) -> Steps {
        let mut steps = Steps { step: vec![0.0; SIZE * WIDTH], there: vec![0.0; SIZE * WIDTH] };
        for along in 0..SIZE {
            for across in 1..SIZE - 1 {
                let step = luma(along, across + 1) - luma(along, across - 1);
                if !step.is_nan() {
                    let at = along * WIDTH + MARGIN + across;
                    steps.step[at] = step.clamp(-40.0, 40.0);
                    steps.there[at] = 1.0;
                }
            }
        }
        steps
    }

    /// The best of `count` neighbouring lines of one tilt: coherence of the step across it, times its strength.
    fn best(&self, first: usize, count: usize, slope: f32, reach: i32) -> f32 {
        let mut best = 0.0;
        cpu::run(Lines { steps: self, first, count, slope, reach, best: &mut best });
        best
    }
}

/// The sum of up to four lines.
struct AddTaps<'a> {
    lines: &'a [&'a [u8]],
    sums: &'a mut [u16],
}

impl Loop for AddTaps<'_> {
    #[inline(always)]
    fn run(self) {
        let AddTaps { lines, sums } = self;
        sums.fill(0);
        for line in lines {
            sums.iter_mut().zip(*line).for_each(|(sum, &byte)| *sum += u16::from(byte));
        }
    }
}

/// See [`Steps::best`].
struct Lines<'a> {
    steps: &'a Steps,
    first: usize,
    count: usize,
    slope: f32,
    reach: i32,
    best: &'a mut f32,
}

impl Loop for Lines<'_> {
    #[inline(always)]
    fn run(self) {
        let Lines { steps, first, count, slope, reach, best } = self;
        let mut lines = [[0.0f32; SIZE]; 3];
        let [sums, sizes, counts] = lines.each_mut().map(|sums| &mut sums[..count]);
        for t in -reach..=reach {
            let start =
                (HALF as i32 + t) as usize * WIDTH + first.saturating_add_signed((slope * t as f32).round() as isize);
            let (step, there) = (&steps.step[start..][..count], &steps.there[start..][..count]);
            for i in 0..count {
                sums[i] += step[i];
                sizes[i] += step[i].abs();
                counts[i] += there[i];
            }
        }
        let enough = (3 * reach / 2) as f32;
        for i in 0..count {
            if counts[i] >= enough && sizes[i] > 0.0 {
                let (mean, coherence) = (sums[i].abs() / counts[i], sums[i].abs() / sizes[i]);
                *best = best.max(coherence * coherence * mean / (mean + STEP));
            }
        }
    }
}
