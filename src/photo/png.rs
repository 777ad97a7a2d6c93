//! PNG: chunk structure, and pixels through `image`.
//!
//! The decoder checks the CRC of each chunk that matters; here the chunks are walked for the end (IEND) and the
//! header for the limits, before the decoder allocates.

use std::borrow::Cow;
use std::io::Cursor;
use std::ops::Range;

use image::ImageDecoder;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;

use super::orient;
use super::picture::{Header, Photo, be32, unreadable};
use crate::config::policy::PhotoLimits;
use crate::reason::Reject;

/// The first eight bytes.
pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Decodes a PNG; see [`super::decode`].
pub fn decode(bytes: &[u8], limits: &PhotoLimits) -> Result<Photo, Reject> {
    let chunks = walk(bytes)?;
    chunks.header().check(limits)?;
    let mut allowed = image::Limits::default();
    allowed.max_alloc = Some(limits.max_memory);
    let failed = |error: image::ImageError| unreadable(format!("PNG: {error}"));
    let pixels = chunks.pixels(bytes);
    let decoder = PngDecoder::with_limits(Cursor::new(pixels), allowed).map_err(failed)?;
    let photo = read(decoder).map_err(failed)?;
    // A broken EXIF chunk is not a broken picture.
    Ok(orient::upright(photo, chunks.orientation.unwrap_or(Orientation::NoTransforms)))
}

/// The EXIF chunk; `None` without one, or where the chunks do not follow each other.
pub fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = SIGNATURE.len();
    loop {
        let length = be32(bytes, at)? as usize;
        let kind = bytes.get(at + 4..at + 8)?;
        let payload = bytes.get(at + 8..)?.get(..length)?;
        match kind {
            b"eXIf" => return Some(payload),
            b"IEND" => return None,
            _ => at += 12 + length,
        }
    }
}

/// What the header says, if the chunks follow each other to the end.
pub fn header(bytes: &[u8]) -> Result<Header, Reject> {
    walk(bytes).map(|chunks| chunks.header())
}

/// Chunks that make pixels. Others are not handed on: a colour profile or a comment of a few bytes may unfold to any size.
const OF_PIXELS: [&[u8]; 5] = [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"];

/// What the chunks say.
struct Chunks {
    width: u32,
    height: u32,
    bytes_a_pixel: u64,
    /// Of eXIf, wherever it stands, else of XMP.
    orientation: Option<Orientation>,
    /// Where those of [`OF_PIXELS`] stand in the file, up to its end.
    of_pixels: Vec<Range<usize>>,
}

impl Chunks {
    /// The file without chunks that make no pixels.
    fn pixels<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let length: usize = SIGNATURE.len() + self.of_pixels.iter().map(Range::len).sum::<usize>();
        if length == bytes.len() {
            return Cow::Borrowed(bytes);
        }
        let chunks = self.of_pixels.iter().map(|chunk| &bytes[chunk.clone()]);
        Cow::Owned(std::iter::once(SIGNATURE).chain(chunks).collect::<Vec<_>>().concat())
    }

    fn header(&self) -> Header {
        let Chunks { width, height, bytes_a_pixel, .. } = *self;
        let pixels = u64::from(width) * u64::from(height);
        // The decoder's own pixels, and ours beside them.
        Header { width, height, memory: pixels.saturating_mul(bytes_a_pixel + 3) }
    }
}

/// Walks the chunks, if they follow each other to the end.
fn walk(bytes: &[u8]) -> Result<Chunks, Reject> {
    let truncated = || unreadable(format!("PNG cut off after {} bytes, before its end chunk", bytes.len()));
    let mut at = SIGNATURE.len();
    let mut header = None;
    let (mut exif, mut xmp) = (None, None);
    let mut of_pixels = Vec::new();
    loop {
        let length = be32(bytes, at).ok_or_else(truncated)? as usize;
        let kind = bytes.get(at + 4..at + 8).ok_or_else(truncated)?;
        let payload = bytes.get(at + 8..).and_then(|rest| rest.get(..length)).ok_or_else(truncated)?;
        match (kind, &header) {
            (b"IHDR", None) if length == 13 => {
                let samples = match payload[9] {
                    0 | 4 => 2,
                    _ => 4,
                };
                let wide = if payload[8] == 16 { 2 } else { 1 };
                header = Some((be32(payload, 0).unwrap_or(0), be32(payload, 4).unwrap_or(0), samples * wide));
            }
            (b"eXIf", Some(_)) => exif = exif.or_else(|| orient::of_exif(payload)),
            (b"iTXt", Some(_)) if payload.starts_with(b"XML:com.adobe.xmp\0\0") => {
                xmp = xmp.or_else(|| orient::of_xmp(payload));
            }
            (_, None) | (b"IHDR", _) => return Err(unreadable("PNG whose first chunk is not its header")),
            _ => {}
        }
        at += 12 + length;
        if at > bytes.len() {
            return Err(truncated());
        }
        if OF_PIXELS.contains(&kind) {
            of_pixels.push(at - 12 - length..at);
        }
        if kind == b"IEND" {
            let (width, height, bytes_a_pixel) = header.ok_or_else(truncated)?;
            return Ok(Chunks { width, height, bytes_a_pixel, orientation: exif.or(xmp), of_pixels });
        }
    }
}

/// Pixels as 8-bit RGB, whatever the decoder gives.
pub fn read(decoder: impl ImageDecoder) -> Result<Photo, image::ImageError> {
    let (width, height) = decoder.dimensions();
    let colour = decoder.color_type();
    let total = usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX);
    let mut raw = vec![0; total];
    decoder.read_image(&mut raw)?;
    let channels = usize::from(colour.channel_count());
    if colour.bytes_per_pixel() as usize == 2 * channels {
        raw = raw.as_chunks::<2>().0.iter().map(|&two| narrow(u16::from_ne_bytes(two))).collect();
    }
    let rgb = match channels {
        1 => raw.iter().flat_map(|&grey| [grey; 3]).collect(),
        2 => raw.as_chunks::<2>().0.iter().flat_map(|&[grey, alpha]| [over_grey(grey, alpha); 3]).collect(),
        3 => raw,
        _ => raw.as_chunks::<4>().0.iter().flat_map(|&[r, g, b, a]| [r, g, b].map(|c| over_grey(c, a))).collect(),
    };
    Ok(Photo { width: width as usize, height: height as usize, rgb })
}

/// A 16-bit sample rounded to 8 bits.
fn narrow(sample: u16) -> u8 {
    ((u32::from(sample) + 128) / 257) as u8
}

/// A sample with its alpha laid over mid-grey: neither a bright nor a dark edge for a detector to trip over.
fn over_grey(sample: u8, alpha: u8) -> u8 {
    let alpha = u32::from(alpha);
    ((u32::from(sample) * alpha + 128 * (255 - alpha) + 127) / 255) as u8
}
