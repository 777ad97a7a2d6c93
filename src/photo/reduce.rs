//! All that finds a picture again, from one walk down its rows.
//!
//! Hash, miniature, thumbnail and background are sums over areas of the picture. Each has its own definition in its own
//! module, in code that can be read; taken one by one they read a picture of four megabytes four times. Here each row is
//! read once and added to all of them while it is in the nearest cache. Whole numbers add up the same in any order, and
//! floats are added in the order of the definition, so not a bit differs: stored fingerprints stay comparable.

use super::grids::hash::{self, Cells};
use super::grids::{MINIATURE_SIDE, THUMBNAIL_SIDE, background};
use super::picture::Photo;
use super::shrink::{Columns, covered};
use crate::ops::cpu::{self, Loop};

/// Rows whose bytes add up in 16 bits.
const MOST_ROWS: usize = 256;

/// A photo as sums over areas: what [`super::Fingerprint`], [`super::Miniature`], [`super::Thumbnail`] and
/// [`super::Background`] are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduced {
    /// Mean luma of the difference hash's cells.
    pub(super) cells: Cells,
    /// Luma of 8x8 areas.
    pub(super) miniature: Vec<f32>,
    /// Luma of 32x32 areas.
    pub(super) thumbnail: Vec<f32>,
    /// Sums of R, G and B over the background's cells, row by row.
    pub(super) colours: Vec<[u64; 3]>,
}

impl Reduced {
    /// Of a photo.
    pub fn of(photo: &Photo) -> Reduced {
        if photo.width == 0 || photo.height == 0 {
            return Reduced::nothing();
        }
        let mut small = Small::new(photo, MINIATURE_SIDE);
        let mut large = Small::new(photo, THUMBNAIL_SIDE);
        let mut whole = Whole::new(photo);
        for (y, line) in photo.rgb.chunks_exact(photo.width * 3).enumerate() {
            whole.make_room(y);
            match (small.only_step(y), large.only_step(y)) {
                (Some(a), Some(b)) => {
                    small.begin(a.area);
                    large.begin(b.area);
                    let floats = [(&mut small.sums[..], a.weight), (&mut large.sums[..], b.weight)];
                    cpu::run(AddToAll { line, whole: &mut whole.sums, floats });
                    small.next += 1;
                    large.next += 1;
                }
                _ => {
                    cpu::run(AddBytes { line, sums: &mut whole.sums });
                    small.line(y, line);
                    large.line(y, line);
                }
            }
        }
        let (cells, colours) = whole.finish();
        Reduced { cells, miniature: small.finish(), thumbnail: large.finish(), colours }
    }

    /// Of a photo without pixels.
    fn nothing() -> Reduced {
        Reduced {
            cells: Cells::default(),
            miniature: vec![0.0; MINIATURE_SIDE * MINIATURE_SIDE],
            thumbnail: vec![0.0; THUMBNAIL_SIDE * THUMBNAIL_SIDE],
            colours: vec![[0; 3]; background::SIDE * background::SIDE],
        }
    }
}

/// One row's share of one row of areas.
#[derive(Debug, Clone, Copy)]
struct Step {
    y: usize,
    area: usize,
    weight: f32,
}

/// Luma over a square grid of areas: [`super::shrink::luma`], a row of pixels at a time.
struct Small {
    columns: Columns,
    /// By row, then by area.
    steps: Vec<Step>,
    next: usize,
    /// The row of areas that is being summed.
    area: usize,
    sums: Vec<f32>,
    luma: Vec<f32>,
}

impl Small {
    fn new(photo: &Photo, side: usize) -> Small {
        let step = |area| move |(y, weight)| Step { y, area, weight };
        let steps = (0..side).flat_map(|area| covered(area, side, photo.height).into_iter().map(step(area)));
        Small {
            columns: Columns::new(photo.width, side, false),
            steps: steps.collect(),
            next: 0,
            area: 0,
            sums: vec![0.0; photo.width * 3],
            luma: Vec::with_capacity(side * side),
        }
    }

    /// The step of row `y` where it has but one.
    fn only_step(&self, y: usize) -> Option<Step> {
        let step = *self.steps.get(self.next)?;
        let more = self.steps.get(self.next + 1).is_some_and(|step| step.y == y);
        (step.y == y && !more).then_some(step)
    }

    /// Takes all steps of row `y`.
    fn line(&mut self, y: usize, line: &[u8]) {
        while let Some(&step) = self.steps.get(self.next).filter(|step| step.y == y) {
            self.begin(step.area);
            cpu::run(AddWeighted { line, sums: &mut self.sums, weight: step.weight });
            self.next += 1;
        }
    }

    /// Ends the rows of areas before this one.
    fn begin(&mut self, area: usize) {
        if area != self.area {
            self.columns.means(&self.sums, &mut self.luma);
            self.sums.fill(0.0);
            self.area = area;
        }
    }

    fn finish(mut self) -> Vec<f32> {
        self.columns.means(&self.sums, &mut self.luma);
        self.luma
    }
}

/// Borders of the cells of hash and background in one direction: where a stretch ends, and the cells in which it lies.
type Borders = Vec<(usize, [usize; 2])>;

/// Every place where a cell of either kind ends.
fn borders(hash: impl Iterator<Item = usize>, back: impl Iterator<Item = usize>) -> Borders {
    let (hash, back): (Vec<usize>, Vec<usize>) = (hash.collect(), back.collect());
    let mut ends: Vec<usize> = hash.iter().chain(&back).copied().filter(|&end| end > 0).collect();
    ends.sort_unstable();
    ends.dedup();
    // Of cells that end at one place, all but the first are empty.
    let cell = |ends: &[usize], end: usize| ends.partition_point(|&e| e < end);
    ends.into_iter().map(|end| (end, [cell(&hash, end), cell(&back, end)])).collect()
}

/// Sums of whole pixels: the cells of hash and background.
struct Whole {
    /// Sums down the columns of rows that lie in the same cells.
    sums: Vec<u16>,
    /// How many rows they are of.
    rows: usize,
    across: Borders,
    down: Borders,
    /// Which of `down` is being summed.
    stretch: usize,
    hash: Vec<[u64; 3]>,
    colours: Vec<[u64; 3]>,
    size: (usize, usize),
}

impl Whole {
    fn new(photo: &Photo) -> Whole {
        let ends = |cells: usize, side: usize| (1..=cells).map(move |cell| hash::border(cell, cells, side));
        let back = |side: usize| (1..=background::SIDE).map(move |cell| background::border(cell, side));
        Whole {
            sums: vec![0; photo.width * 3],
            rows: 0,
            across: borders(ends(hash::COLUMNS, photo.width), back(photo.width)),
            down: borders(ends(hash::ROWS, photo.height), back(photo.height)),
            stretch: 0,
            hash: vec![[0; 3]; hash::COLUMNS * hash::ROWS],
            colours: vec![[0; 3]; background::SIDE * background::SIDE],
            size: (photo.width, photo.height),
        }
    }

    /// Before row `y` is added: books the rows before it where they belong elsewhere, or can be no more.
    fn make_room(&mut self, y: usize) {
        let ended = self.down[self.stretch].0 == y;
        if ended || self.rows == MOST_ROWS {
            self.book();
        }
        self.stretch += usize::from(ended);
        self.rows += 1;
    }

    fn book(&mut self) {
        let [hash_row, back_row] = self.down[self.stretch].1;
        let (pixels, _) = self.sums.as_chunks::<3>();
        let mut left = 0;
        for &(right, [hash, back]) in &self.across {
            let mut sums = [0u32; 3];
            for pixel in &pixels[left..right] {
                sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u32::from(value));
            }
            let cells = [
                &mut self.hash[hash_row * hash::COLUMNS + hash],
                &mut self.colours[back_row * background::SIDE + back],
            ];
            for cell in cells {
                cell.iter_mut().zip(sums).for_each(|(total, sum)| *total += u64::from(sum));
            }
            left = right;
        }
        self.sums.fill(0);
        self.rows = 0;
    }

    fn finish(mut self) -> (Cells, Vec<[u64; 3]>) {
        if self.rows > 0 {
            self.book();
        }
        (hash::means(&self.hash, self.size), self.colours)
    }
}

/// `sums += line`.
struct AddBytes<'a> {
    line: &'a [u8],
    sums: &'a mut [u16],
}

impl Loop for AddBytes<'_> {
    #[inline(always)]
    fn run(self) {
        self.sums.iter_mut().zip(self.line).for_each(|(sum, &value)| *sum += u16::from(value));
    }
}

/// `sums += weight * line`.
struct AddWeighted<'a> {
    line: &'a [u8],
    sums: &'a mut [f32],
    weight: f32,
}

impl Loop for AddWeighted<'_> {
    #[inline(always)]
    fn run(self) {
        self.sums.iter_mut().zip(self.line).for_each(|(sum, &value)| *sum += self.weight * f32::from(value));
    }
}

/// The two above for all sums at once: a row is loaded and widened once.
struct AddToAll<'a> {
    line: &'a [u8],
    whole: &'a mut [u16],
    /// Sums, and the row's weight in them.
    floats: [(&'a mut [f32], f32); 2],
}

impl Loop for AddToAll<'_> {
    #[inline(always)]
    fn run(self) {
        let [(small, a), (large, b)] = self.floats;
        let sums = self.whole.iter_mut().zip(small).zip(large);
        for (((whole, small), large), &value) in sums.zip(self.line) {
            *whole += u16::from(value);
            let value = f32::from(value);
            *small += a * value;
            *large += b * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Background, Fingerprint, Miniature, Thumbnail};
    use super::*;
    use crate::ops::cpu::Isa;

    fn noise(width: usize, height: usize) -> Photo {
        let mut state = (width * 7919 + height) as u32;
        let rgb = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        Photo { width, height, rgb: rgb.take(width * height * 3).collect() }
    }

    /// The modules' own definitions are the reference, to the bit.
    #[test]
    fn one_walk_gives_what_four_give() {
        let sizes =
            [(1, 1), (3, 2), (7, 40), (33, 8), (64, 31), (100, 75), (193, 97), (90, 640), (5, 4300), (641, 481)];
        for (width, height) in sizes {
            let photo = noise(width, height);
            let face = [[width as f32 * 0.3, height as f32 * 0.2, width as f32 * 0.2, height as f32 * 0.3]];
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
                let reduced = isa.with(|| Reduced::of(&photo)).unwrap();
                let place = format!("{width}x{height} with {isa}");
                assert_eq!(Miniature::from(&reduced), Miniature::of(&photo), "{place}");
                assert_eq!(Thumbnail::from(&reduced), Thumbnail::of(&photo), "{place}");
                assert_eq!(Background::from_reduced(&reduced, &photo, &face), Background::of(&photo, &face), "{place}");
                assert_eq!(Fingerprint::from_reduced(&[7], &reduced), Fingerprint::of(&[7], &photo), "{place}");
                let plain = |side| super::super::shrink::luma(&photo, side, side, false);
                assert_eq!(reduced.miniature, plain(MINIATURE_SIDE), "{place}");
                assert_eq!(reduced.thumbnail, plain(THUMBNAIL_SIDE), "{place}");
            }
        }
    }

    #[test]
    fn white_does_not_overflow_and_nothing_is_nothing() {
        let white = Photo { width: 2, height: 9000, rgb: vec![255; 54_000] };
        assert_eq!(Background::from_reduced(&Reduced::of(&white), &white, &[]), Background::of(&white, &[]));
        let nothing = Reduced::of(&Photo { width: 0, height: 0, rgb: vec![] });
        assert!(nothing.miniature.iter().chain(&nothing.thumbnail).all(|&v| v == 0.0));
        assert_eq!((nothing.miniature.len(), nothing.thumbnail.len()), (64, 1024));
    }
}
