//! The same picture in several submissions: the same file, or one that was compressed, scaled or mirrored since.
//!
//! Two steps, for half a million pictures of a night against millions of earlier ones. Near difference hashes are found
//! by multi-index hashing (M. Norouzi, A. Punjani, D. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing",
//! CVPR 2012): of four 16-bit quarters of two hashes that differ in at most seven bits, one differs in at most one, so
//! seventeen look-ups per quarter find them all. Then miniatures decide ([`crate::photo::miniature`]), for two
//! pictures taken a second apart often have the same hash. Where a miniature is missing (a picture of an earlier night
//! of which only the hash was kept) the pair is handed on as alike, no more.
//!
//! Cropped pictures have other hashes; they show the same member and are found as pairs of faces ([`super::crops`]).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use crate::photo::{Miniature, hamming};

/// Most bits in which two hashes of one picture differ.
///
/// Of 120 NUAA live frames, JPEG quality 30 and 50, half size and mirroring moved at most 2 bits, brightening with
/// clipping up to 9 (95 %: 5).
pub const MAX_DISTANCE: u32 = 7;

/// A hash with fewer bits set, or fewer unset, is of a picture without structure and says nothing.
const MIN_STRUCTURE: u32 = 8;

/// So many of the earliest pictures are kept for each hash of tonight: a picture sent five thousand times costs no more
/// than five thousand pictures.
const EARLIEST: usize = 16;

/// One submission's picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureUse<'a> {
    /// The submission.
    pub submission_id: &'a str,
    /// When, microseconds since 1970-01-01T00:00:00Z.
    pub captured_at: i64,
    /// SHA-256 of the encoded picture.
    pub sha256: &'a [u8; 32],
    /// Difference hash of the picture.
    pub dhash: u64,
    /// Difference hash of its mirror image; asked of tonight's pictures alone.
    pub mirrored_dhash: Option<u64>,
    /// The picture's miniature, where it was kept.
    pub miniature: Option<&'a Miniature>,
}

/// How sure it is that two pictures are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Near hashes, and nothing to decide by.
    Alike,
    /// The same picture by its miniature, in another encoding, size or mirrored.
    SamePicture,
    /// The same bytes.
    SameFile,
}

/// That a submission's picture was used before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureReuse {
    /// How sure that is.
    pub likeness: Likeness,
    /// The first submission of the picture.
    pub of: String,
    /// Whether it is that picture's mirror image.
    pub mirrored: bool,
    /// Bits in which the hashes differ.
    pub distance: u32,
}

/// For each of `tonight`, in its order, the first submission of its picture, among tonight's and `past` ones (which are
/// passed over where tonight repeats their id). Of several a sure one, then the earliest, then the first id. The
/// first submission of a picture itself has none.
///
/// Means that differ by less than `same` of their contrast are of one picture.
pub fn reused_pictures<'a>(
    tonight: &[PictureUse<'a>],
    past: impl ParallelIterator<Item = PictureUse<'a>>,
    same: f32,
) -> Vec<Option<PictureReuse>> {
    let index = Index::of(tonight);
    let ids: HashSet<&str> = tonight.iter().map(|p| p.submission_id).collect();
    let mut earlier: Vec<(usize, PictureUse<'a>)> = tonight
        .par_iter()
        .copied()
        .chain(past.filter(|p| !ids.contains(p.submission_id)))
        .flat_map_iter(|picture| index.places(&picture).into_iter().map(move |place| (place, picture)))
        .collect();
    earlier.par_sort_unstable_by_key(|(place, p)| (*place, p.captured_at, p.submission_id));
    let mut kept: Vec<Vec<PictureUse<'a>>> = vec![Vec::new(); index.places];
    for (place, picture) in earlier {
        if kept[place].len() < EARLIEST {
            kept[place].push(picture);
        }
    }
    let best = |this: &PictureUse<'a>| {
        let found = index
            .asked(this)
            .into_iter()
            .flat_map(|(place, how)| kept[place].iter().filter_map(move |earlier| found(this, *earlier, how, same)));
        found.reduce(|best, next| if next.outranks(&best) { next } else { best })
    };
    let reuse = |found: Found| PictureReuse {
        likeness: found.likeness,
        of: found.earlier.submission_id.to_owned(),
        mirrored: found.mirrored,
        distance: found.distance,
    };
    tonight.par_iter().map(|this| best(this).map(reuse)).collect()
}

/// An earlier picture that one of tonight's repeats.
#[derive(Debug, Clone, Copy)]
struct Found<'a> {
    likeness: Likeness,
    earlier: PictureUse<'a>,
    mirrored: bool,
    distance: u32,
}

impl Found<'_> {
    fn outranks(&self, other: &Found) -> bool {
        let sure = |f: &Found| f.likeness > Likeness::Alike;
        let key = |f: &Found| (std::cmp::Reverse(sure(f)), f.earlier.captured_at);
        (key(self), self.earlier.submission_id) < (key(other), other.earlier.submission_id)
    }
}

/// By what one of tonight's pictures asks for earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    File,
    Hash,
    MirroredHash,
}

/// Judges one earlier picture that was found so.
fn found<'a>(this: &PictureUse, earlier: PictureUse<'a>, by: By, same: f32) -> Option<Found<'a>> {
    if (earlier.captured_at, earlier.submission_id) >= (this.captured_at, this.submission_id) {
        return None;
    }
    let mirrored = by == By::MirroredHash;
    let likeness = if by == By::File { Some(Likeness::SameFile) } else { likeness(this, &earlier, mirrored, same) }?;
    let hash = if mirrored { this.mirrored_dhash? } else { this.dhash };
    Some(Found { likeness, earlier, mirrored, distance: hamming(hash, earlier.dhash) })
}

/// Places at which earlier pictures are gathered: one for each file and each hash of tonight.
#[derive(Debug)]
pub struct Index<'a> {
    places: usize,
    files: HashMap<&'a [u8; 32], usize>,
    hashes: HashMap<u64, usize>,
    /// Hashes by each of their quarters.
    quarters: [HashMap<u16, Vec<u64>>; 4],
}

impl<'a> Index<'a> {
    /// Whether an earlier picture may be one of tonight's, so that it is worth keeping for [`reused_pictures`].
    pub fn concerns(&self, picture: &PictureUse) -> bool {
        self.files.contains_key(picture.sha256) || !self.near(picture.dhash).is_empty()
    }

    /// Of tonight's pictures.
    pub fn of(tonight: &[PictureUse<'a>]) -> Self {
        let mut index = Index {
            places: 0,
            files: HashMap::with_capacity(tonight.len()),
            hashes: HashMap::with_capacity(2 * tonight.len()),
            quarters: std::array::from_fn(|_| HashMap::new()),
        };
        for picture in tonight {
            if let Entry::Vacant(file) = index.files.entry(picture.sha256) {
                file.insert(index.places);
                index.places += 1;
            }
            for hash in std::iter::once(picture.dhash).chain(picture.mirrored_dhash).filter(|&h| has_structure(h)) {
                let Entry::Vacant(place) = index.hashes.entry(hash) else { continue };
                place.insert(index.places);
                index.places += 1;
                for (quarter, hashes) in index.quarters.iter_mut().enumerate() {
                    hashes.entry((hash >> (16 * quarter)) as u16).or_default().push(hash);
                }
            }
        }
        index
    }

    /// Where a picture is gathered as an earlier one.
    fn places(&self, picture: &PictureUse) -> Vec<usize> {
        let mut places: Vec<usize> =
            self.near(picture.dhash).iter().filter_map(|h| self.hashes.get(h).copied()).collect();
        places.extend(self.files.get(picture.sha256));
        places
    }

    /// Where one of tonight's pictures looks for earlier ones.
    fn asked(&self, this: &PictureUse) -> Vec<(usize, By)> {
        let hash = |hash: u64, by: By| self.hashes.get(&hash).map(|&place| (place, by));
        let file = self.files.get(this.sha256).map(|&place| (place, By::File));
        let mirrored = this.mirrored_dhash.and_then(|h| hash(h, By::MirroredHash));
        [file, hash(this.dhash, By::Hash), mirrored].into_iter().flatten().collect()
    }

    /// Hashes of tonight that differ in at most [`MAX_DISTANCE`] bits, ascending, each once.
    fn near(&self, hash: u64) -> Vec<u64> {
        if !has_structure(hash) {
            return Vec::new();
        }
        let mut near = Vec::new();
        for (quarter, hashes) in self.quarters.iter().enumerate() {
            let part = (hash >> (16 * quarter)) as u16;
            for key in std::iter::once(part).chain((0..16).map(|bit| part ^ (1 << bit))) {
                let bucket = hashes.get(&key).into_iter().flatten().copied();
                near.extend(bucket.filter(|&other| hamming(other, hash) <= MAX_DISTANCE));
            }
        }
        near.sort_unstable();
        near.dedup();
        near
    }
}

/// What the miniatures say of two pictures with near hashes; `None` when they are two pictures.
fn likeness(this: &PictureUse, earlier: &PictureUse, mirrored: bool, same: f32) -> Option<Likeness> {
    let (Some(a), Some(b)) = (this.miniature, earlier.miniature) else { return Some(Likeness::Alike) };
    match a.difference(b, mirrored) {
        Some(difference) if difference < same => Some(Likeness::SamePicture),
        _ => None,
    }
}

fn has_structure(hash: u64) -> bool {
    (MIN_STRUCTURE..=64 - MIN_STRUCTURE).contains(&hash.count_ones())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::{Fingerprint, Photo};
    use proptest::prelude::*;

    /// A picture of smooth waves, or its mirror image, at some size.
    fn photo(seed: u32, width: usize, height: usize, mirror: bool, moved: f32) -> Photo {
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let x = if mirror { width - 1 - x } else { x };
                let (u, v) = ((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32);
                let s = seed as f32;
                let near = (-((u - 0.4 - moved) * (u - 0.4 - moved) + (v - 0.6) * (v - 0.6)) * 40.0).exp();
                let wave = (u * (3.0 + s) + s).sin() + (v * (5.0 + s * 0.7)).cos() + (u * v * (9.0 + s)).sin();
                let value = 128.0 + 30.0 * wave + 60.0 * near;
                rgb.extend([value as u8, (value * 0.9) as u8, (value * 0.8) as u8]);
            }
        }
        Photo { width, height, rgb }
    }

    struct Picture {
        id: String,
        fingerprint: Fingerprint,
        miniature: Miniature,
        at: i64,
    }

    fn picture(id: &str, bytes: &str, photo: &Photo, at: i64) -> Picture {
        let fingerprint = Fingerprint::of(bytes.as_bytes(), photo);
        Picture { id: id.into(), fingerprint, miniature: Miniature::of(photo), at }
    }

    fn uses(pictures: &[Picture], kept: bool) -> Vec<PictureUse<'_>> {
        let of = |p: &'_ Picture| -> (i64, u64) { (p.at, p.fingerprint.dhash) };
        pictures
            .iter()
            .map(|p| PictureUse {
                submission_id: &p.id,
                captured_at: of(p).0,
                sha256: &p.fingerprint.sha256,
                dhash: of(p).1,
                mirrored_dhash: Some(p.fingerprint.mirrored_dhash),
                miniature: kept.then_some(&p.miniature),
            })
            .collect()
    }

    fn found(tonight: &[Picture], past: &[Picture], kept: bool) -> Vec<Option<(Likeness, String, bool)>> {
        let reuse =
            reused_pictures(&uses(tonight, true), uses(past, kept).into_par_iter(), crate::photo::miniature::SAME);
        reuse.into_iter().map(|r| r.map(|r| (r.likeness, r.of, r.mirrored))).collect()
    }

    #[test]
    fn files_encodings_and_mirror_images_name_their_first_submission() {
        let scene = |width, height, mirror| photo(4, width, height, mirror, 0.0);
        let tonight = [
            picture("copy", "f1", &scene(640, 480, false), 20),
            picture("first", "f1", &scene(640, 480, false), 10),
            picture("small", "f2", &scene(320, 240, false), 30),
            picture("mirror", "f3", &scene(640, 480, true), 40),
            picture("next", "f4", &photo(4, 640, 480, false, 0.02), 50),
            picture("other", "f5", &photo(9, 640, 480, false, 0.0), 60),
        ];
        let first = |likeness, mirrored| Some((likeness, "first".to_owned(), mirrored));
        let answers = found(&tonight, &[], true);
        assert_eq!(answers[0], first(Likeness::SameFile, false));
        assert_eq!(answers[1], None);
        assert_eq!(answers[2], first(Likeness::SamePicture, false));
        assert_eq!(answers[3], first(Likeness::SamePicture, true));
        assert_eq!(answers[4], None, "somebody moved: the next picture");
        assert_eq!(answers[5], None);
        assert!(hamming(tonight[4].fingerprint.dhash, tonight[1].fingerprint.dhash) <= MAX_DISTANCE);
    }

    #[test]
    fn earlier_nights_count_and_without_a_miniature_nothing_is_certain() {
        let past = [
            picture("past", "f0", &photo(4, 640, 480, false, 0.0), 1),
            picture("t", "f0", &photo(4, 640, 480, false, 0.0), 0),
        ];
        let tonight = [picture("t", "f1", &photo(4, 320, 240, false, 0.0), 10)];
        assert_eq!(found(&tonight, &past, true), [Some((Likeness::SamePicture, "past".into(), false))]);
        assert_eq!(found(&tonight, &past, false), [Some((Likeness::Alike, "past".into(), false))]);
        let same = [picture("u", "f0", &photo(4, 640, 480, false, 0.0), 10)];
        assert_eq!(found(&same, &past, false), [Some((Likeness::SameFile, "t".into(), false))]);
    }

    #[test]
    fn a_picture_sent_very_often_names_its_first_submission_every_time() {
        let once = photo(4, 64, 48, false, 0.0);
        let tonight: Vec<Picture> =
            (0..3_000).map(|n| picture(&format!("{n:04}"), &(n / 2).to_string(), &once, n)).collect();
        let answers = found(&tonight, &[], true);
        assert_eq!(answers[0], None);
        assert_eq!(answers[1].as_ref().unwrap().0, Likeness::SameFile);
        assert_eq!(answers[2], Some((Likeness::SamePicture, "0000".into(), false)));
        assert_eq!(answers[2_999], Some((Likeness::SamePicture, "0000".into(), false)), "not the file's own first");
    }

    #[test]
    fn pictures_of_nothing_are_not_alike() {
        let flat = |id: &str, bytes: &str, level: u8, at| {
            picture(id, bytes, &Photo { width: 64, height: 48, rgb: vec![level; 64 * 48 * 3] }, at)
        };
        assert_eq!(found(&[flat("a", "1", 10, 0), flat("b", "2", 200, 1)], &[], true), [None, None]);
        assert_eq!(found(&[], &[flat("a", "1", 10, 0)], true), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_index_finds_what_comparing_all_finds(
            hashes in prop::collection::vec(any::<u64>(), 1..40),
            flips in prop::collection::vec((0usize..40, prop::collection::vec(0u32..64, 0..10)), 1..40),
        ) {
            let mut all: Vec<u64> = hashes.clone();
            all.extend(flips.iter().map(|(of, bits)| bits.iter().fold(hashes[of % hashes.len()], |h, b| h ^ (1 << b))));
            let tonight: Vec<PictureUse> = all.iter().map(|&dhash| PictureUse {
                submission_id: "s", captured_at: 0, sha256: &[0; 32], dhash, mirrored_dhash: None, miniature: None,
            }).collect();
            let index = Index::of(&tonight);
            for &hash in all.iter().filter(|&&h| has_structure(h)) {
                let mut plain: Vec<u64> =
                    all.iter().copied().filter(|&h| has_structure(h) && hamming(h, hash) <= MAX_DISTANCE).collect();
                plain.sort_unstable();
                plain.dedup();
                prop_assert_eq!(index.near(hash), plain);
            }
        }
    }
}
