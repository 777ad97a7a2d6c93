//! Pictures of flagged rows, cut from the dump and made small.
//!
//! A run folder holds no pixels. What the page shows is read from the dump once more: the rows of the listed persons
//! and photos of photos alone, in one pass. A picture that cannot be decoded leaves its place empty.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, crop_imm, resize};
use image::{ExtendedColorType, RgbImage};
use rayon::prelude::*;

use super::mask::masked;
use crate::config::policy::PhotoLimits;
use crate::dump::{Dump, Submission};
use crate::memory::room;
use crate::photo::{Photo, decode, memory};
use crate::{Error, Result};

/// Side of a face's crop, pixels.
const FACE_SIDE: u32 = 128;

/// A face's crop shows its box times this.
const FACE_SURROUNDINGS: f32 = 1.6;

/// Longer side of a whole selfie, pixels.
const WHOLE_SIDE: u32 = 320;

/// Pictures of the dump held at a time, bytes.
const BATCH_BYTES: usize = 32 << 20;

/// What part of a selfie is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// A face: left, top, width, height in pixels of the upright selfie.
    Face([f32; 4]),
    /// All of it.
    Whole,
}

/// A picture to be cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Position in the dump.
    pub row: u64,
    /// The submission that must stand there.
    pub submission: Option<String>,
    /// What part of it.
    pub cut: Cut,
}

/// What the dump says of a wanted row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// The picture; `None` where it cannot be decoded.
    pub picture: Option<Picture>,
    /// Mobile number, masked.
    pub mobile: Option<String>,
    /// Voter-ID number, masked.
    pub epic: Option<String>,
}

/// A small JPEG.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Encoded.
    pub jpeg: Vec<u8>,
    /// Width and height of the upright selfie, pixels.
    pub selfie: (usize, usize),
}

/// Cuts the wanted pictures, in the order in which they are wanted.
///
/// # Errors
/// [`Error::Input`] when the dump is another one than that of the run, or a part of it cannot be read.
pub fn cut(dump: &Dump, wanted: &[Wanted], limits: &PhotoLimits) -> Result<Vec<Told>> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&at| wanted[at].row);
    let mut rows: Vec<u64> = order.iter().map(|&at| wanted[at].row).collect();
    rows.dedup();
    let mut told = vec![Told::default(); wanted.len()];
    let mut at = 0;
    dump.pick(&rows, BATCH_BYTES, &mut |batch| {
        let mut jobs: Vec<(usize, &Submission)> = Vec::new();
        for submission in &batch {
            while let Some(&slot) = order.get(at).filter(|&&slot| wanted[slot].row == submission.row) {
                check(dump, submission, &wanted[slot])?;
                jobs.push((slot, submission));
                at += 1;
            }
        }
        let done: Vec<(usize, Told)> =
            jobs.par_iter().map(|&(slot, submission)| (slot, tell(submission, wanted[slot].cut, limits))).collect();
        done.into_iter().for_each(|(slot, one)| told[slot] = one);
        Ok(())
    })?;
    Ok(told)
}

fn check(dump: &Dump, found: &Submission, wanted: &Wanted) -> Result<()> {
    if found.facts.submission_id == wanted.submission {
        return Ok(());
    }
    let name = |id: &Option<String>| id.as_ref().map_or("none".to_owned(), |id| format!("{id:?}"));
    let path = dump.files().next().unwrap_or(std::path::Path::new("dump"));
    Err(Error::input(
        path,
        format!("submission_id in row {}", found.row),
        format!("{}, as in the run's verdicts", name(&wanted.submission)),
        name(&found.facts.submission_id),
        "give the dump that was audited, all of its files and no others",
    ))
}

fn tell(submission: &Submission, cut: Cut, limits: &PhotoLimits) -> Told {
    // Until the cut is made: the whole picture is in memory so long.
    let _room = submission.selfie.as_ref().map(|bytes| room().take(memory(bytes, limits)));
    let photo = submission.selfie.as_ref().and_then(|bytes| decode(bytes, limits).ok());
    Told {
        picture: photo.and_then(|photo| small(photo, cut)),
        mobile: submission.facts.mobile.as_deref().map(masked),
        epic: submission.facts.epic.as_deref().map(masked),
    }
}

fn small(photo: Photo, cut: Cut) -> Option<Picture> {
    let selfie = (photo.width, photo.height);
    let (width, height) = (u32::try_from(photo.width).ok()?, u32::try_from(photo.height).ok()?);
    let image = RgbImage::from_raw(width, height, photo.rgb)?;
    let (image, quality) = match cut {
        Cut::Face(bbox) => {
            let (left, top, side) = square(bbox, width, height)?;
            let part = crop_imm(&image, left, top, side, side);
            let to = side.min(FACE_SIDE);
            (resize(&*part, to, to, FilterType::Triangle), 82)
        }
        Cut::Whole => {
            let scale = f64::from(WHOLE_SIDE) / f64::from(width.max(height));
            let side = |pixels: u32| ((f64::from(pixels) * scale.min(1.0)).round() as u32).max(1);
            (resize(&image, side(width), side(height), FilterType::Triangle), 74)
        }
    };
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
    let (w, h) = image.dimensions();
    { encoder }.encode(image.as_raw(), w, h, ExtendedColorType::Rgb8).ok()?;
    Some(Picture { jpeg, selfie })
}

/// The square around a face, moved to lie inside the picture; `None` for a box that is none.
fn square([left, top, wide, high]: [f32; 4], width: u32, height: u32) -> Option<(u32, u32, u32)> {
    let side = FACE_SURROUNDINGS * wide.max(high);
    if !(side >= 1.0 && (left + top + side).is_finite()) {
        return None;
    }
    let side = side.min(width.min(height) as f32);
    let place = |from: f32, long: f32, all: u32| (from + long / 2.0 - side / 2.0).clamp(0.0, all as f32 - side) as u32;
    Some((place(left, wide, width), place(top, high, height), side as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Columns;

    fn night() -> Dump {
        let night = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/night");
        Dump::open(&[night], &Columns::default()).unwrap()
    }

    fn wanted(row: u64, submission: &str, cut: Cut) -> Wanted {
        Wanted { row, submission: Some(submission.to_owned()), cut }
    }

    #[test]
    fn pictures_come_in_the_order_in_which_they_are_wanted() {
        let dump = night();
        let ids: Vec<String> = dump
            .batches(64, usize::MAX, 0)
            .flat_map(Result::unwrap)
            .map(|s| s.facts.submission_id.unwrap_or_default())
            .collect();
        let list = [
            wanted(12, &ids[12], Cut::Whole),
            wanted(0, &ids[0], Cut::Face([100.0, 80.0, 60.0, 70.0])),
            wanted(12, &ids[12], Cut::Face([0.0, 0.0, 1e9, 1e9])),
            wanted(3, &ids[3], Cut::Face([f32::NAN, 0.0, 1.0, 1.0])),
        ];
        let told = cut(&dump, &list, &PhotoLimits::default()).unwrap();
        let size = |at: usize| {
            let jpeg = &told[at].picture.as_ref().unwrap().jpeg;
            let photo = decode(jpeg, &PhotoLimits::default()).unwrap();
            (photo.width, photo.height)
        };
        let whole = size(0);
        assert_eq!(whole.0.max(whole.1), WHOLE_SIDE as usize);
        assert_eq!(size(1), (112, 112), "1.6 times the longer side of the box, never enlarged");
        assert_eq!(size(2), (128, 128));
        assert_eq!(told[3].picture, None, "a box that is none");
        assert!(told[0].mobile.as_deref().is_some_and(|m| m.contains('•')), "{:?}", told[0].mobile);
    }

    #[test]
    fn another_dump_is_refused() {
        let error = cut(&night(), &[wanted(0, "no-such-id", Cut::Whole)], &PhotoLimits::default()).unwrap_err();
        assert!(error.to_string().contains("give the dump that was audited"), "{error}");
    }

    #[test]
    fn squares_lie_inside() {
        assert_eq!(square([40.0, 40.0, 20.0, 10.0], 100, 90), Some((34, 29, 32)));
        assert_eq!(square([-50.0, -50.0, 20.0, 20.0], 100, 90), Some((0, 0, 32)));
        assert_eq!(square([95.0, 85.0, 50.0, 50.0], 100, 90), Some((20, 10, 80)));
        assert_eq!(square([0.0, 0.0, 1e9, 1e9], 100, 90), Some((10, 0, 90)));
        assert_eq!(square([0.0; 4], 100, 90), None);
        assert_eq!(square([0.0, 0.0, f32::INFINITY, 1.0], 100, 90), None);
    }
}
