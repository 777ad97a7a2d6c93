//! Pictures of the members that a search found, cut from the dump they came with.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use image::{RgbImage, imageops};

use super::faces::most_like;
use crate::config::Policy;
use crate::dump::{Dump, Submission};
use crate::face::crop::Region;
use crate::gallery::Gallery;
use crate::infer::Engine;
use crate::lookup::search::SearchAnswer;
use crate::output::{self, create_private, create_private_folder};
use crate::photo::{self, Photo};
use crate::{Error, Result};

/// Height of a thumbnail, pixels.
const HEIGHT: u32 = 224;
/// How much of the surroundings is shown: the face's box times this.
const SCALE: f32 = 1.7;
/// A face of the dump's selfie is the stored one when it is at least this like it: the same picture through the same
/// networks gives the same bits, another precision nearly so.
const SAME: f32 = 0.95;

/// Writes one PNG per member found into `folder`, and its path into the answer. Members whose submission is not in
/// the dump, or whose selfie shows no such face, get none. Gives their number.
///
/// # Errors
/// [`Error::Input`] when the dump is damaged, [`Error::Io`] when the disk refuses.
pub fn write(
    answer: &mut SearchAnswer,
    dump: &Dump,
    folder: &Path,
    (members, engine, policy): (&Gallery, &Engine, &Policy),
) -> Result<usize> {
    create_private_folder(folder)?;
    let found = || answer.photos.iter().flat_map(|photo| &photo.faces).flat_map(|face| &face.nearest);
    let wanted: HashSet<&str> = found().map(|member| member.submission_id.as_str()).collect();
    let mut rows: HashMap<String, u64> = HashMap::new();
    for batch in dump.facts()? {
        for row in batch? {
            if let Some(id) = row.facts.submission_id.filter(|id| wanted.contains(id.as_str())) {
                rows.entry(id).or_insert(row.row);
            }
        }
    }
    let mut written: HashMap<u32, PathBuf> = HashMap::new();
    for (number, id) in found().map(|member| (member.row, member.submission_id.clone())) {
        let Some(&row) = rows.get(&id).filter(|_| !written.contains_key(&number)) else { continue };
        let Some(submission) = one(dump, row)? else { continue };
        let Some(picture) = picture(&submission, number, (members, engine, policy))? else { continue };
        let path = folder.join(format!("{}.png", plain(&id)));
        output::check_file("--thumbnails", &path, &[], "a picture that chehra drew", is_own)?;
        save(&picture, &path)?;
        written.insert(number, path);
    }
    let faces = answer.photos.iter_mut().flat_map(|photo| &mut photo.faces);
    faces.flat_map(|face| &mut face.nearest).for_each(|member| member.thumbnail = written.get(&member.row).cloned());
    Ok(written.len())
}

/// One row of a dump.
fn one(dump: &Dump, row: u64) -> Result<Option<Submission>> {
    let batch = dump.batches(1, usize::MAX, row).next().transpose()?;
    Ok(batch.and_then(|rows| rows.into_iter().next()))
}

/// The member's face in a selfie, with its surroundings.
fn picture(
    submission: &Submission,
    number: u32,
    (members, engine, policy): (&Gallery, &Engine, &Policy),
) -> Result<Option<RgbImage>> {
    let Some(selfie) = submission.selfie.as_deref() else { return Ok(None) };
    let Some(Ok(seen)) = engine.see(&[selfie])?.pop() else { return Ok(None) };
    let template = members.template(number)?;
    let Some((face, _)) = most_like(&seen, &template).filter(|(_, similarity)| *similarity >= SAME) else {
        return Ok(None);
    };
    let Ok(photo) = photo::decode(selfie, &policy.photo) else { return Ok(None) };
    let region = Region::around(&face.detection, SCALE, photo.width, photo.height);
    Ok(as_image(&photo).map(|whole| {
        let [left, top, width, height] = [region.left, region.top, region.width, region.height].map(|v| v as u32);
        let part = imageops::crop_imm(&whole, left, top, width, height).to_image();
        let wide = (width * HEIGHT).div_ceil(height.max(1)).max(1);
        imageops::resize(&part, wide, HEIGHT, imageops::FilterType::CatmullRom)
    }))
}

/// A photo as `image` has it.
pub(super) fn as_image(photo: &Photo) -> Option<RgbImage> {
    RgbImage::from_raw(photo.width as u32, photo.height as u32, photo.rgb.clone())
}

/// What a PNG that is written here says of itself (PNG 3rd edition, 11.3.3.1), by which it may be replaced.
const SOFTWARE: [&str; 2] = ["Software", "chehra"];

/// Writes a picture as PNG.
pub(super) fn save(picture: &RgbImage, path: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    let [key, value] = SOFTWARE.map(str::to_owned);
    let encoded = encoder.add_text_chunk(key, value).and_then(|()| {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(picture.as_raw())?;
        writer.finish()
    });
    encoded.map_err(|e| Error::bug("writing a PNG", e))?;
    create_private(path)?.write_all(&bytes).map_err(Error::io("write", path))
}

/// Whether a file is a PNG that was written here.
pub fn is_own(path: &Path) -> bool {
    let Ok(file) = std::fs::File::open(path) else { return false };
    let reader = png::Decoder::new(std::io::BufReader::new(file)).read_info();
    let [key, value] = SOFTWARE;
    let is_mark = |chunk: &png::text_metadata::TEXtChunk| chunk.keyword == key && chunk.text == value;
    reader.is_ok_and(|reader| reader.info().uncompressed_latin1_text.iter().any(is_mark))
}

/// An id as the name of a file: what is not a plain letter, digit, dash or underscore becomes an underscore.
fn plain(id: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let name: String = id.chars().map(letter).take(80).collect();
    if name == id { name } else { format!("{name}-{:08x}", fnv(id)) }
}

/// FNV-1a: two ids that look alike once plain keep two names.
fn fnv(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_leaves_its_folder() {
        assert_eq!(plain("N1-004"), "N1-004");
        for id in ["../../etc/passwd", "a/b", "", "..", "नाम", &"x".repeat(500)] {
            let name = plain(id);
            assert!(!name.contains(['/', '.']) && name.len() < 100 && (id.is_empty() || name != id), "{name}");
        }
        assert_ne!(plain("a/b"), plain("a b"));
    }
}
