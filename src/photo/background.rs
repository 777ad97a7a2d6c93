//! What stands behind the people of a selfie, as colours of a coarse grid, to find one room behind many faces.
//!
//! The picture is averaged to 16x16 cells in YCbCr (ITU-T T.871); cells that people may cover (a face's box and some room
//! around it, and below it the body) are left out. Two backgrounds are compared over the cells that both show, at
//! shifts of up to one cell, by the correlation of what deviates from the mean colour: a phone is held a little
//! differently each time and sets its own exposure and white balance.
//!
//! Limits: a bare wall says nothing and is not compared (`None`); a phone turned to another side of the room sees another
//! background; one tent with the party's banner looks like the next. So a shared background is a hint for a person,
//! never a verdict. Worker and member at one booth share it all day, and rightly.

use serde::{Deserialize, Serialize};

use super::grids::background::{SIDE, border};
use super::picture::Photo;
use super::reduce::Reduced;

/// Least number of cells that two backgrounds must both show.
const MIN_CELLS: usize = 36;

/// Least standard deviation of a background's luma, grey levels: below it is a bare wall.
const MIN_CONTRAST: f32 = 10.0;

/// Share of cells that must lie on the same side of the mean brightness before two backgrounds are compared at all: of
/// those as alike as [`Background::similarity`] asks for, hardly one has less.
const SAME_SIDE: f32 = 0.8;

/// What is known of how often two rooms look alike, for the policy's `reuse.background_similarity`.
///
/// Measured on pictures made from LFW (640x480; two people pasted before each of 200 scenes, twice, with other people,
/// moved by up to 6 %, scaled by up to 8 %, turned by up to 3 degrees, other exposure and white balance, JPEG): 0.93 finds
/// 39 % of the scenes again and takes 2.5e-5 of the pairs of different scenes for one; 0.91 finds 54 % and takes 1e-4;
/// 0.86 finds 81 % and takes 1e-3. Among thousands of workers even 2.5e-5 is many pairs: a hint where other evidence
/// points the same way.
#[cfg(test)]
const SAME: f32 = 0.93;

/// Mean colours of 16x16 cells, without those that people may cover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Background {
    /// Y, Cb, Cr of each cell, row by row.
    cells: Vec<[u8; 3]>,
    /// Whether the cell is background.
    shown: Vec<bool>,
}

impl Background {
    /// Of a photo with these face boxes (left, top, width, height in pixels): all faces that were found, for even a face
    /// in the background may walk away.
    pub fn of(photo: &Photo, faces: &[[f32; 4]]) -> Background {
        Self::new((photo.width, photo.height), faces, |_, area| colour_sums(photo, area))
    }

    /// The same from what [`Reduced`] has of the photo.
    pub fn from_reduced(reduced: &Reduced, photo: &Photo, faces: &[[f32; 4]]) -> Background {
        Self::new((photo.width, photo.height), faces, |cell, _| reduced.colours[cell])
    }

    /// `sums` gives the sums of R, G and B over a cell, by its number and its area (left, top, right, bottom).
    fn new(size: (usize, usize), faces: &[[f32; 4]], sums: impl Fn(usize, [usize; 4]) -> [u64; 3]) -> Background {
        let mut cells = Vec::with_capacity(SIDE * SIDE);
        let mut shown = Vec::with_capacity(SIDE * SIDE);
        for row in 0..SIDE {
            let (top, bottom) = (border(row, size.1), border(row + 1, size.1));
            for column in 0..SIDE {
                let (left, right) = (border(column, size.0), border(column + 1, size.0));
                let pixels = (right - left) * (bottom - top);
                cells.push(mean_colour(sums(row * SIDE + column, [left, top, right, bottom]), pixels));
                let area = [left as f32, top as f32, right as f32, bottom as f32];
                shown.push(pixels > 0 && !faces.iter().any(|face| covers(face, area)));
            }
        }
        Background { cells, shown }
    }

    /// The cells, row by row, as four bytes each: Y, Cb, Cr, and 1 where the cell is background.
    pub fn to_bytes(&self) -> Vec<u8> {
        let cells = self.cells.iter().zip(&self.shown);
        cells.flat_map(|(&[y, cb, cr], &shown)| [y, cb, cr, u8::from(shown)]).collect()
    }

    /// What [`Background::to_bytes`] wrote; `None` for another number of bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Background> {
        let (cells, rest) = bytes.as_chunks::<4>();
        let colours = cells.iter().map(|&[y, cb, cr, _]| [y, cb, cr]).collect();
        let shown = cells.iter().map(|cell| cell[3] == 1).collect();
        (cells.len() == SIDE * SIDE && rest.is_empty()).then_some(Background { cells: colours, shown })
    }

    /// How alike two backgrounds are, -1..=1, or `None` where too little of both is seen, or one is a bare wall.
    pub fn similarity(&self, other: &Background) -> Option<f32> {
        let shifts = (-1..=1isize).flat_map(|dy| (-1..=1isize).map(move |dx| (dx, dy)));
        shifts.filter_map(|(dx, dy)| self.at_shift(other, dx, dy)).max_by(f32::total_cmp)
    }

    /// Which cells are brighter than the mean, and which are background, one bit a cell: to rule out most others fast.
    pub fn outline(&self) -> Outline {
        let shown = || self.cells.iter().zip(&self.shown).filter(|(_, shown)| **shown);
        let mean = shown().map(|(cell, _)| u32::from(cell[0])).sum::<u32>() / (shown().count() as u32).max(1);
        let bits = |value: &dyn Fn(usize) -> bool| {
            let mut words = [0u64; WORDS];
            (0..SIDE * SIDE).filter(|&at| value(at)).for_each(|at| words[at / 64] |= 1 << (at % 64));
            words
        };
        let shift = |(dx, dy): (isize, isize)| {
            let from = |at: usize| {
                let column = (at % SIDE).checked_add_signed(dx).filter(|&c| c < SIDE)?;
                let row = (at / SIDE).checked_add_signed(dy).filter(|&r| r < SIDE)?;
                Some(row * SIDE + column)
            };
            let shown = bits(&|at| from(at).is_some_and(|from| self.shown[from]));
            let bright = bits(&|at| from(at).is_some_and(|from| u32::from(self.cells[from][0]) > mean));
            [shown, bright]
        };
        let shifts = (-1..=1isize).flat_map(|dy| (-1..=1isize).map(move |dx| (dx, dy)));
        Outline { shifted: shifts.map(shift).collect() }
    }

    /// Sums of whole numbers: nothing is rounded before the end, and the order of the cells does not matter.
    fn at_shift(&self, other: &Background, dx: isize, dy: isize) -> Option<f32> {
        // Where the other one has a neighbour so far to the side.
        let within = |shift: isize| shift.min(0).unsigned_abs()..SIDE - shift.max(0).unsigned_abs();
        let offset = dy * SIDE as isize + dx;
        let mut cells = 0u32;
        let mut sums = [Sums::default(); 3];
        for row in within(dy) {
            for column in within(dx) {
                let here = row * SIDE + column;
                let there = here.wrapping_add_signed(offset);
                let both = u32::from(self.shown[here] && other.shown[there]);
                cells += both;
                for (channel, sums) in sums.iter_mut().enumerate() {
                    let (a, b) = (u32::from(self.cells[here][channel]), u32::from(other.cells[there][channel]));
                    sums.add(a * both, b * both);
                }
            }
        }
        if (cells as usize) < MIN_CELLS {
            return None;
        }
        let n = f64::from(cells);
        let [luma, blue, red] = sums.map(|s| s.about_the_mean(n));
        let bare = |luma: f64| (luma / n).sqrt() < f64::from(MIN_CONTRAST);
        if bare(luma[0]) || bare(luma[1]) {
            return None;
        }
        let [aa, bb, ab] = [0, 1, 2].map(|k| luma[k] + blue[k] + red[k]);
        Some((ab / (aa * bb).sqrt()) as f32)
    }
}

/// Sums over cells that two backgrounds both show, of one channel.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    a: u32,
    b: u32,
    aa: u32,
    bb: u32,
    ab: u32,
}

impl Sums {
    fn add(&mut self, a: u32, b: u32) {
        self.a += a;
        self.b += b;
        self.aa += a * a;
        self.bb += b * b;
        self.ab += a * b;
    }

    /// Sums of squares and of products of what deviates from the means of `n` cells: aa, bb, ab.
    fn about_the_mean(&self, n: f64) -> [f64; 3] {
        [(self.aa, self.a, self.a), (self.bb, self.b, self.b), (self.ab, self.a, self.b)]
            .map(|(products, x, y)| f64::from(products) - f64::from(x) * f64::from(y) / n)
    }
}

/// 64-bit words for a bit a cell.
const WORDS: usize = SIDE * SIDE / 64;

/// See [`Background::outline`].
#[derive(Debug, Clone)]
pub struct Outline {
    /// Shown cells and bright cells, at each of the nine shifts; the middle one is no shift.
    shifted: Vec<[[u64; WORDS]; 2]>,
}

impl Outline {
    /// Whether two backgrounds may be alike, at any shift.
    pub fn may_match(&self, other: &Outline) -> bool {
        let [shown, bright] = self.shifted[4];
        other.shifted.iter().any(|[theirs, their_bright]| {
            let (mut common, mut same) = (0, 0);
            for word in 0..WORDS {
                let both = shown[word] & theirs[word];
                common += both.count_ones();
                same += (both & !(bright[word] ^ their_bright[word])).count_ones();
            }
            common as usize >= MIN_CELLS && same as f32 >= SAME_SIDE * common as f32
        })
    }
}

/// Whether a person with this face may cover a part of the area (left, top, right, bottom): hair above the face and
/// beside it, shoulders twice as wide as the face, and everything below.
fn covers(&[left, top, width, height]: &[f32; 4], area: [f32; 4]) -> bool {
    let overlaps = |l: f32, t: f32, r: f32, b: f32| area[0] < r && area[2] > l && area[1] < b && area[3] > t;
    let chin = top + height;
    let head = overlaps(left - 0.3 * width, top - 0.4 * height, left + 1.3 * width, chin);
    let body = overlaps(left - 0.8 * width, chin, left + 1.8 * width, f32::INFINITY);
    head || body
}

/// Sums of R, G and B over the pixels from (left, top) up to (right, bottom), which are not in it.
fn colour_sums(photo: &Photo, [left, top, right, bottom]: [usize; 4]) -> [u64; 3] {
    let mut sums = [0u64; 3];
    for y in top..bottom {
        let line = &photo.rgb[(y * photo.width + left) * 3..(y * photo.width + right) * 3];
        for pixel in line.as_chunks::<3>().0 {
            sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u64::from(value));
        }
    }
    sums
}

/// Mean Y, Cb, Cr of so many pixels.
fn mean_colour(sums: [u64; 3], pixels: usize) -> [u8; 3] {
    let count = pixels.max(1) as f32;
    let [r, g, b] = sums.map(|sum| sum as f32 / count);
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    [y, 128.0 + (b - y) / 1.772, 128.0 + (r - y) / 1.402].map(|v| v.round().clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room with coloured things on its walls, seen from a little to the side, with a person in it.
    fn room(seed: f32, shift: f32, gain: f32, face: [f32; 4], skin: u8) -> Photo {
        let (width, height) = (320usize, 240usize);
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (u, v) = (x as f32 / width as f32 + shift, y as f32 / height as f32 + shift / 2.0);
                let wall = |k: f32| {
                    120.0 + 60.0 * (seed * k + 7.0 * u * (1.0 + seed)).sin() * (5.0 * v + seed * 2.0 * k).cos()
                };
                let (px, py) = (x as f32, y as f32);
                let person = (px - face[0] - face[2] / 2.0).abs() < face[2] / 2.0 && py > face[1];
                let colour = if person { [skin as f32; 3] } else { [wall(1.0), wall(1.3), wall(1.7)] };
                rgb.extend(colour.map(|c| (c * gain).clamp(0.0, 255.0) as u8));
            }
        }
        Photo { width, height, rgb }
    }

    #[test]
    fn one_room_is_known_behind_other_people() {
        let (here, there) = ([100.0, 90.0, 60.0, 80.0], [150.0, 100.0, 50.0, 70.0]);
        let a = Background::of(&room(0.7, 0.0, 1.0, here, 40), &[here]);
        let b = Background::of(&room(0.7, 0.03, 0.8, there, 220), &[there]);
        assert!(a.similarity(&b).unwrap() > SAME, "{:?}", a.similarity(&b));
        assert_eq!(a.similarity(&b), b.similarity(&a));
        let other = Background::of(&room(2.9, 0.0, 1.0, here, 40), &[here]);
        assert!(a.similarity(&other).unwrap() < 0.7, "{:?}", a.similarity(&other));
        assert!(a.outline().may_match(&b.outline()) && b.outline().may_match(&a.outline()));
        assert!(!a.outline().may_match(&other.outline()));
    }

    /// Pearson's correlation over the colours of the cells that both show, as the definition has it.
    #[test]
    fn similarity_is_the_correlation_of_what_deviates_from_the_mean() {
        let (here, there) = ([100.0, 90.0, 60.0, 80.0], [150.0, 100.0, 50.0, 70.0]);
        let a = Background::of(&room(0.7, 0.0, 1.0, here, 40), &[here]);
        let b = Background::of(&room(1.9, 0.03, 0.8, there, 220), &[there]);
        for (dx, dy) in [(0, 0), (1, 0), (-1, 1), (0, -1)] {
            let mut pairs: Vec<([f64; 3], [f64; 3])> = Vec::new();
            for at in 0..SIDE * SIDE {
                let (x, y) = ((at % SIDE) as isize + dx, (at / SIDE) as isize + dy);
                let inside = (0..SIDE as isize).contains(&x) && (0..SIDE as isize).contains(&y);
                let other = (y * SIDE as isize + x) as usize;
                if inside && a.shown[at] && b.shown[other] {
                    pairs.push((a.cells[at].map(f64::from), b.cells[other].map(f64::from)));
                }
            }
            let n = pairs.len() as f64;
            let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
            for channel in 0..3 {
                let mean_a = pairs.iter().map(|(a, _)| a[channel]).sum::<f64>() / n;
                let mean_b = pairs.iter().map(|(_, b)| b[channel]).sum::<f64>() / n;
                for (x, y) in &pairs {
                    let (x, y) = (x[channel] - mean_a, y[channel] - mean_b);
                    aa += x * x;
                    bb += y * y;
                    ab += x * y;
                }
            }
            let expected = (ab / (aa * bb).sqrt()) as f32;
            let got = a.at_shift(&b, dx, dy).unwrap();
            assert!((got - expected).abs() < 1e-6, "{dx} {dy}: {got} and {expected}");
        }
    }

    #[test]
    fn a_bare_wall_and_a_face_before_everything_say_nothing() {
        let wall = Photo { width: 100, height: 80, rgb: vec![200; 100 * 80 * 3] };
        let bare = Background::of(&wall, &[]);
        assert_eq!(bare.similarity(&bare), None);
        let picture = room(0.7, 0.0, 1.0, [0.0, 0.0, 320.0, 240.0], 40);
        let hidden = Background::of(&picture, &[[0.0, 0.0, 320.0, 240.0]]);
        assert_eq!(hidden.similarity(&hidden), None);
        let dot = Background::of(&Photo { width: 1, height: 1, rgb: vec![0; 3] }, &[]);
        assert_eq!(dot.similarity(&dot), None);
    }
}
