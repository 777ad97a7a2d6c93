//! Pictures that were put together on a screen: a picture within bars of one colour, as a screenshot of a gallery shows it,
//! and two pictures joined at a straight line that runs between the faces.
//!
//! A camera makes neither. A wall has shades and grain, so a line across a photo is never of one colour from end to end; and
//! a door's edge is seldom so straight that it keeps to one column of pixels from the top to the bottom, past everybody who
//! stands before it. What a collage hides better than that is not found: see `benches/results/intake.md` for how much.

use serde::{Deserialize, Serialize};

use super::Photo;

/// Lines across the picture that are looked at, evenly spaced.
const LINES: usize = 64;
/// Most grey levels between the darkest and the brightest pixel across a bar of one colour, and from its first line to its
/// last: JPEG at quality 50 stays within it.
const FLAT: u8 = 4;
/// Least share of the height or width that each of two opposite bars fills. Of 3,000 portraits of the press 1 has such bars
/// above and below and 10 at its sides, all of them real ones, laid around a picture that was cut beyond its edge.
const BAR: f64 = 0.08;
/// Least width of a bar between two faces, pixels.
const GAP: usize = 3;
/// Least grey levels of a step at a seam.
const STEP: u8 = 12;
/// A step at a seam is so many times what lies on either side of it.
const SUDDEN: u8 = 3;
/// Least share of lines with a step in the same place. Doors behind live people reach 0.77.
const SEAM: f64 = 0.8;
/// Pixels from a seam to what is compared with it: a picture made smaller smears the seam over a few.
const REACH: usize = 5;

/// What shows that a picture was put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Composite {
    /// Bars of one colour at two opposite edges.
    Bars,
    /// A bar of one colour between the faces.
    BarBetween,
    /// A straight seam between the faces.
    Seam,
}

impl Composite {
    /// One line for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Composite::Bars => "bars of one colour at two opposite edges, as a screenshot has them",
            Composite::BarBetween => "a bar of one colour between the faces, as a collage has it",
            Composite::Seam => "a straight seam between the faces, as a collage has it",
        }
    }

    /// What a photo shows, whose foreground faces have these boxes (left, top, width, height in pixels), the tallest first.
    pub fn find(photo: &Photo, faces: &[[f32; 4]]) -> Option<Composite> {
        if photo.width < 2 * LINES || photo.height < 2 * LINES {
            return None;
        }
        for axis in [0, 1] {
            let lines = Lines::along(photo, axis);
            if lines.has_bars() {
                return Some(Composite::Bars);
            }
            let Some(between) = gap(faces, axis) else { continue };
            if lines.has_bar(between.clone()) {
                return Some(Composite::BarBetween);
            }
            if lines.has_seam(between) {
                return Some(Composite::Seam);
            }
        }
        None
    }
}

/// The pixels along an axis (0 from the left, 1 from the top) between the two tallest faces, if they are apart.
fn gap(faces: &[[f32; 4]], axis: usize) -> Option<std::ops::Range<usize>> {
    let [a, b, ..] = faces else { return None };
    let (first, second) = if a[axis] <= b[axis] { (a, b) } else { (b, a) };
    let (from, to) = (first[axis] + first[axis + 2], second[axis]);
    (from < to).then_some(from.max(0.0) as usize..to.max(0.0) as usize)
}

/// Luma of some lines that run along an axis: at each place one pixel of each line.
struct Lines {
    places: Vec<[u8; LINES]>,
}

impl Lines {
    /// Along rows (axis 0) or columns (axis 1).
    fn along(photo: &Photo, axis: usize) -> Lines {
        let stride = photo.width * 3;
        let [length, across] = if axis == 0 { [photo.width, photo.height] } else { [photo.height, photo.width] };
        let [along_bytes, across_bytes] = if axis == 0 { [3, stride] } else { [stride, 3] };
        let starts: [usize; LINES] = std::array::from_fn(|line| (2 * line + 1) * across / (2 * LINES) * across_bytes);
        let mut places = vec![[0; LINES]; length];
        // Rows of the picture are walked in their order, whichever way the lines run.
        if axis == 0 {
            for (line, start) in starts.into_iter().enumerate() {
                let row = photo.rgb[start..start + stride].chunks_exact(3);
                places.iter_mut().zip(row).for_each(|(place, pixel)| place[line] = luma(pixel));
            }
        } else {
            for (at, place) in places.iter_mut().enumerate() {
                let row = &photo.rgb[at * along_bytes..];
                *place = starts.map(|start| luma(&row[start..start + 3]));
            }
        }
        Lines { places }
    }

    /// The one grey level of a place, if it has one: darkest and brightest.
    fn level(&self, at: usize) -> Option<[u8; 2]> {
        let place = &self.places[at];
        let [low, high] = place.iter().fold([u8::MAX, 0], |[low, high], &v| [low.min(v), high.max(v)]);
        (high - low <= FLAT).then_some([low, high])
    }

    /// The longest run of places of one colour, and its colour.
    fn longest_bar(&self, places: impl Iterator<Item = usize>) -> (usize, u8) {
        let (mut longest, mut colour, mut run, mut range) = (0, 0, 0, [0, 0]);
        for at in places {
            let Some([low, high]) = self.level(at) else {
                run = 0;
                continue;
            };
            let joined = [low.min(range[0]), high.max(range[1])];
            (run, range) =
                if run > 0 && joined[1] - joined[0] <= 2 * FLAT { (run + 1, joined) } else { (1, [low, high]) };
            if run > longest {
                (longest, colour) = (run, low);
            }
        }
        (longest, colour)
    }

    /// Whether bars of the same colour lie in both halves, each wide enough. A status line beyond a bar is no matter.
    fn has_bars(&self) -> bool {
        let length = self.places.len();
        let least = (BAR * length as f64).ceil() as usize;
        let (first, colour) = self.longest_bar(0..length / 2);
        if first < least {
            return false;
        }
        let (last, other) = self.longest_bar(length / 2..length);
        last >= least && colour.abs_diff(other) <= 2 * FLAT
    }

    fn has_bar(&self, between: std::ops::Range<usize>) -> bool {
        let end = between.end.min(self.places.len());
        self.longest_bar(between.start.min(end)..end).0 >= GAP
    }

    fn has_seam(&self, between: std::ops::Range<usize>) -> bool {
        let last = self.places.len().saturating_sub(REACH + 1);
        let least = (SEAM * LINES as f64).ceil() as usize;
        (between.start.max(REACH)..between.end.min(last)).any(|at| {
            // The step from the pixel before to the second one after, and what changes within as much on either side.
            let [outer_left, left, right, outer_right] =
                [at - 4, at - 1, at + 2, at + REACH].map(|place| &self.places[place]);
            let steps = (0..LINES).filter(|&line| {
                let step = right[line].abs_diff(left[line]);
                let around = left[line].abs_diff(outer_left[line]).max(outer_right[line].abs_diff(right[line]));
                step >= STEP && step >= around.saturating_mul(SUDDEN)
            });
            steps.count() >= least
        })
    }
}

fn luma(pixel: &[u8]) -> u8 {
    ((u16::from(pixel[0]) + 2 * u16::from(pixel[1]) + u16::from(pixel[2])) / 4) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A photo of a wall that darkens towards one side, with grain.
    fn wall(width: usize, height: usize, light: usize) -> Photo {
        let mut rng = crate::statistics::SplitMix64::new(7);
        let pixel = |at: usize| {
            let (x, y) = (at % width, at / width);
            (light + x * 40 / width + y * 40 / height + rng.below(5)) as u8
        };
        let rgb = (0..width * height).map(pixel).flat_map(|v| [v; 3]).collect();
        Photo { width, height, rgb }
    }

    /// Lays one photo over another.
    fn paste(under: &mut Photo, over: &Photo, [left, top]: [usize; 2]) {
        for y in 0..over.height {
            let from = ((top + y) * under.width + left) * 3;
            let row = &over.rgb[y * over.width * 3..][..over.width * 3];
            under.rgb[from..from + row.len()].copy_from_slice(row);
        }
    }

    fn blank(width: usize, height: usize, level: u8) -> Photo {
        Photo { width, height, rgb: vec![level; width * height * 3] }
    }

    fn turned(photo: &Photo) -> Photo {
        crate::photo::turned(photo, 90)
    }

    #[test]
    fn a_wall_is_no_bar_and_two_photos_side_by_side_are_found() {
        let faces = [[40.0, 50.0, 60.0, 80.0], [220.0, 60.0, 60.0, 78.0]];
        let whole = wall(320, 240, 60);
        assert_eq!(Composite::find(&whole, &faces), None);
        let mut joined = wall(320, 240, 60);
        paste(&mut joined, &wall(160, 240, 140), [160, 0]);
        assert_eq!(Composite::find(&joined, &faces), Some(Composite::Seam));
        assert_eq!(Composite::find(&joined, &faces[..1]), None, "one face");
        assert_eq!(Composite::find(&joined, &[faces[0], [170.0, 60.0, 60.0, 78.0]]), Some(Composite::Seam));
        assert_eq!(Composite::find(&joined, &[faces[0], [120.0, 60.0, 60.0, 78.0]]), None, "a face lies over it");
        paste(&mut joined, &blank(8, 240, 255), [156, 0]);
        assert_eq!(Composite::find(&joined, &faces), Some(Composite::BarBetween));
        // One above the other.
        let above = [[50.0, 40.0, 60.0, 60.0], [50.0, 220.0, 60.0, 58.0]];
        assert_eq!(Composite::find(&turned(&joined), &above), Some(Composite::BarBetween));
    }

    #[test]
    fn a_door_that_is_not_quite_upright_is_no_seam() {
        let mut photo = wall(320, 240, 60);
        let bright = wall(160, 240, 140);
        for y in 0..240 {
            let row = &bright.rgb[y * 480..][..450];
            let from = (y * 320 + 160 + y / 24) * 3;
            photo.rgb[from..from + 450].copy_from_slice(row);
        }
        assert_eq!(Composite::find(&photo, &[[40.0, 50.0, 60.0, 80.0], [220.0, 60.0, 60.0, 78.0]]), None);
    }

    #[test]
    fn a_screenshot_has_bars_of_one_colour_even_with_a_status_line() {
        for level in [0, 18, 255] {
            let mut shot = blank(360, 800, level);
            paste(&mut shot, &wall(360, 480, 60), [0, 160]);
            paste(&mut shot, &wall(60, 12, 100), [10, 4]);
            assert_eq!(Composite::find(&shot, &[]), Some(Composite::Bars), "{level}");
            assert_eq!(Composite::find(&turned(&shot), &[]), Some(Composite::Bars), "{level}");
        }
        // One bar alone is an edge of something else, and narrow ones are a frame.
        let mut one = wall(360, 800, 60);
        paste(&mut one, &blank(360, 160, 0), [0, 0]);
        assert_eq!(Composite::find(&one, &[]), None);
        paste(&mut one, &blank(360, 60, 0), [0, 740]);
        assert_eq!(Composite::find(&one, &[]), None);
        assert_eq!(Composite::find(&blank(64, 64, 0), &[]), None, "too small to be told");
    }
}
