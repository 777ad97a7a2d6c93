//! WebP: chunk structure, and pixels through `image`.
//!
//! The decoder trusts the size of the picture chunk inside an extended file until it has decoded it, so the sizes are
//! compared here first; and the RIFF length is held against the file's.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;

use super::picture::{Header, Photo, unreadable};
use super::{orient, png};
use crate::config::policy::PhotoLimits;
use crate::reason::Reject;

/// Decodes a WebP; see [`super::decode`].
pub fn decode(bytes: &[u8], limits: &PhotoLimits) -> Result<Photo, Reject> {
    let file = riff(bytes)?;
    let (width, height) = size(file, limits)?;
    header(width, height).check(limits)?;
    let failed = |error: image::ImageError| unreadable(format!("WebP: {error}"));
    let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(failed)?;
    if decoder.dimensions() != (width, height) {
        return Err(unreadable("WebP whose headers differ in size"));
    }
    if decoder.has_animation() {
        // Where the first frame leaves the canvas free, it is transparent.
        decoder.set_background_color(image::Rgba([0; 4])).map_err(failed)?;
    }
    let orientation = orientation(file)?;
    let photo = png::read(decoder).map_err(failed)?;
    Ok(orient::upright(photo, orientation))
}

/// What the EXIF chunk says, else what the XMP chunk says. Some writers put JPEG's `Exif\0\0` before the one.
fn orientation(file: &[u8]) -> Result<Orientation, Reject> {
    let (mut exif, mut xmp) = (None, None);
    let mut at = 12;
    while at < file.len() {
        let (kind, payload, next) = chunk(file, at)?;
        match kind {
            b"EXIF" => exif = exif.or_else(|| orient::of_exif(payload)),
            b"XMP " => xmp = xmp.or_else(|| orient::of_xmp(payload)),
            _ => {}
        }
        at = next;
    }
    Ok(exif.or(xmp).unwrap_or(Orientation::NoTransforms))
}

/// The EXIF chunk; `None` without one, or where the chunks do not follow each other.
pub fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let file = riff(bytes).ok()?;
    let mut at = 12;
    while at < file.len() {
        let (kind, payload, next) = chunk(file, at).ok()?;
        if kind == b"EXIF" {
            return Some(payload);
        }
        at = next;
    }
    None
}

/// What the header says, after all picture chunks were seen to be whole.
pub fn header_of(bytes: &[u8], limits: &PhotoLimits) -> Result<Header, Reject> {
    size(riff(bytes)?, limits).map(|(width, height)| header(width, height))
}

/// YUV planes or ARGB, the decoder's RGBA, and ours.
fn header(width: u32, height: u32) -> Header {
    Header { width, height, memory: u64::from(width) * u64::from(height) * 11 }
}

/// The bytes that the RIFF header counts.
fn riff(bytes: &[u8]) -> Result<&[u8], Reject> {
    let length = le32(bytes, 4).unwrap_or(0) as usize;
    let found = bytes.len();
    bytes
        .get(..length.saturating_add(8))
        .ok_or_else(|| unreadable(format!("WebP cut off: {length} bytes promised, {found} found")))
}

/// The canvas size, after all picture chunks were seen to be whole and no larger than the canvas.
fn size(file: &[u8], limits: &PhotoLimits) -> Result<(u32, u32), Reject> {
    let mut canvas: Option<(u32, u32)> = None;
    let mut pictures = 0;
    let mut at = 12;
    while at < file.len() {
        let (kind, payload, next) = chunk(file, at)?;
        let found = match kind {
            b"VP8X" | b"VP8 " | b"VP8L" => picture_size(kind, payload),
            b"ANMF" => Some(animation_frame(payload)?),
            _ => None,
        };
        if let Some((width, height)) = found {
            // Each is checked by itself: a small canvas may hide a large picture.
            header(width, height).check(&PhotoLimits { min_side: 0, ..limits.clone() })?;
            let first = *canvas.get_or_insert((width, height));
            let fits = if kind == b"ANMF" { width <= first.0 && height <= first.1 } else { (width, height) == first };
            if !fits {
                return Err(unreadable("WebP whose picture does not fit its canvas"));
            }
            pictures += usize::from(kind != b"VP8X");
        }
        at = next;
    }
    canvas.filter(|_| pictures > 0).ok_or_else(|| unreadable("WebP without a picture"))
}

/// The size of the picture inside an animation frame.
fn animation_frame(payload: &[u8]) -> Result<(u32, u32), Reject> {
    let short = || unreadable("WebP with a short animation frame");
    let mut at = 16;
    while at < payload.len() {
        let (kind, inner, next) = chunk(payload, at)?;
        if let Some(size) = picture_size(kind, inner) {
            return Ok(size);
        }
        at = next;
    }
    Err(short())
}

/// Kind, payload and next position of the chunk at `at`.
fn chunk(bytes: &[u8], at: usize) -> Result<(&[u8; 4], &[u8], usize), Reject> {
    let cut = || unreadable(format!("WebP cut off inside the chunk at byte {at}"));
    let kind = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or_else(cut)?;
    let length = le32(bytes, at + 4).ok_or_else(cut)? as usize;
    let payload = bytes[at + 8..].get(..length).ok_or_else(cut)?;
    Ok((kind, payload, at + 8 + length + length % 2))
}

/// The size in the header of a VP8X, VP8 (RFC 6386, 9.1) or VP8L chunk.
fn picture_size(kind: &[u8; 4], payload: &[u8]) -> Option<(u32, u32)> {
    match kind {
        b"VP8X" => {
            let dimension = |at: usize| Some((le32(payload, at)? & 0xff_ffff) + 1);
            // The last three bytes are read as four: the chunk has ten, so one byte earlier and shifted.
            Some((dimension(4)?, (le32(payload, 6)? >> 8) + 1))
        }
        b"VP8 " => {
            let word = le32(payload, 6)?;
            Some((word & 0x3fff, word >> 16 & 0x3fff))
        }
        b"VP8L" => {
            let word = le32(payload, 1)?;
            Some(((word & 0x3fff) + 1, (word >> 14 & 0x3fff) + 1))
        }
        _ => None,
    }
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}
