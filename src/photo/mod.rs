//! Bytes -> [`Photo`]: limits, decoding, orientation, fingerprints.
//!
//! A picture comes out whole, upright and in 8-bit RGB, or not at all. Decoders are built to show something: where
//! data are missing they fill with grey, zeros or the last row. For an audit such a picture is a trap (half a face is
//! grey, and the row reads "no face" instead of "damaged"), so each format's structure is walked here first, JPEG
//! down to the last Huffman code, and a file that is cut short or contradicts itself is refused before any pixel is
//! made. The same walk yields width and height, so that the limits hold before anything is allocated.
//!
//! Colour profiles are ignored: the networks were trained on pictures whose profiles were ignored too.

pub mod background;
mod blocks;
mod fingerprint;
mod huffman;
mod jpeg;
pub mod miniature;
mod orient;
mod png;
mod reduce;
mod scan;
mod shrink;
pub mod thumbnail;
mod webp;

pub use background::Background;
pub use fingerprint::{Fingerprint, hamming};
pub use jpeg::PlainJpeg;
pub use miniature::Miniature;
pub use reduce::Reduced;
pub use thumbnail::Thumbnail;

use crate::config::policy::PhotoLimits;
use crate::memory::room;
use crate::reason::{Reason, Reject};

/// An upright picture in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo {
    /// Width in pixels, after EXIF orientation.
    pub width: usize,
    /// Height in pixels, after EXIF orientation.
    pub height: usize,
    /// `height * width * 3` bytes: rows from the top, pixels from the left, colour order R, G, B, range 0..=255.
    pub rgb: Vec<u8>,
}

impl std::fmt::Debug for Photo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Photo({}x{})", self.width, self.height)
    }
}

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Baseline, extended sequential and progressive, Huffman-coded, 8 bits a sample.
    Jpeg,
    /// All colour types and depths, interlaced or not.
    Png,
    /// Lossy, lossless, and the first frame of an animation.
    WebP,
}

impl Format {
    /// The format by its first bytes, or what else the bytes look like, for the message.
    pub fn of(bytes: &[u8]) -> Result<Format, &'static str> {
        const OTHERS: &[(usize, &[u8], &str)] = &[
            (0, b"GIF8", "a GIF"),
            (0, b"BM", "a BMP"),
            (0, b"%PDF", "a PDF"),
            (0, b"II*\0", "a TIFF"),
            (0, b"MM\0*", "a TIFF"),
            (0, b"PK\x03\x04", "a ZIP archive"),
            (0, b"<svg", "an SVG"),
            (0, b"<", "a web page or XML"),
            (4, b"ftypavif", "an AVIF"),
            (4, b"ftyphei", "a HEIC"),
            (4, b"ftypmif1", "a HEIC"),
            (4, b"ftyp", "a film"),
        ];
        if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            return Ok(Format::Jpeg);
        }
        if bytes.starts_with(png::SIGNATURE) {
            return Ok(Format::Png);
        }
        if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            return Ok(Format::WebP);
        }
        let known = OTHERS.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
        Err(known.map_or("bytes of no known kind", |&(_, _, name)| name))
    }
}

/// What the header says, before any pixel is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// Width in pixels as stored.
    width: u32,
    /// Height in pixels as stored.
    height: u32,
    /// Bytes that decoding will need at its peak, the upright picture included.
    memory: u64,
}

impl Header {
    /// The checks that need no pixel.
    fn check(&self, limits: &PhotoLimits) -> Result<(), Reject> {
        let (width, height) = (self.width, self.height);
        let pixels = u64::from(width) * u64::from(height);
        if pixels > limits.max_pixels {
            let detail = format!("{width}x{height} pixels, at most {} in all are decoded", limits.max_pixels);
            return Err(Reject::new(Reason::ImageTooLarge, detail));
        }
        if width.min(height) < limits.min_side {
            return Err(unreadable(format!("{width}x{height} pixels, at least {} expected", limits.min_side)));
        }
        if self.memory > limits.max_memory {
            let detail = format!(
                "{width}x{height} pixels need {} MiB to decode, at most {} are allowed",
                self.memory >> 20,
                limits.max_memory >> 20
            );
            return Err(Reject::new(Reason::ImageTooLarge, detail));
        }
        Ok(())
    }
}

/// Decodes one encoded picture, upright, in RGB. It waits until there is room for it (see [`crate::memory`]).
///
/// The format follows from the bytes, never from a name. Transparent pixels are laid over mid-grey (128), 16-bit
/// samples are rounded to 8, an animation gives its first frame. Bytes after the end of a JPEG, PNG or WebP are
/// allowed: phones append depth maps and films there.
///
/// # Errors
/// [`Reason::ImageTooLarge`] if the bytes, pixels or memory exceed the limits, found without decoding;
/// [`Reason::UnreadableImage`] for anything that is not one whole picture, the detail naming what was found where.
pub fn decode(bytes: &[u8], limits: &PhotoLimits) -> Result<Photo, Reject> {
    let _room = room().take(memory(bytes, limits));
    walk(bytes, limits)?.decode()
}

/// Bytes that decoding a picture will need at its peak, by its header; none where [`decode`] refuses it without decoding.
pub fn memory(bytes: &[u8], limits: &PhotoLimits) -> u64 {
    let read = || {
        let header = match Format::of(bytes) {
            Ok(Format::Jpeg) => jpeg::header(bytes)?,
            Ok(Format::Png) => png::header(bytes)?,
            Ok(Format::WebP) => webp::header_of(bytes, limits)?,
            Err(_) => return Ok(0),
        };
        header.check(limits).map(|()| header.memory)
    };
    guarded(Format::Jpeg, read).unwrap_or(0)
}

/// A picture whose format is known and, of a JPEG, whose structure was walked whole: all that is told without a pixel.
#[derive(Debug)]
pub struct Walked<'a>(Kind<'a>);

#[derive(Debug)]
enum Kind<'a> {
    Jpeg(jpeg::Walked<'a>),
    Other(Format, &'a [u8], &'a PhotoLimits),
}

/// The first half of [`decode`]: what it refuses is refused whoever decodes.
///
/// # Errors
/// As [`decode`].
pub fn walk<'a>(bytes: &'a [u8], limits: &'a PhotoLimits) -> Result<Walked<'a>, Reject> {
    if bytes.is_empty() {
        return Err(unreadable("no bytes at all"));
    }
    if bytes.len() > limits.max_bytes {
        let detail = format!("{} bytes, at most {} are read", bytes.len(), limits.max_bytes);
        return Err(Reject::new(Reason::ImageTooLarge, detail));
    }
    let format = Format::of(bytes).map_err(|found| unreadable(format!("{found}; JPEG, PNG or WebP expected")))?;
    guarded(format, || match format {
        Format::Jpeg => jpeg::walk(bytes, limits).map(|walked| Walked(Kind::Jpeg(walked))),
        Format::Png | Format::WebP => Ok(Walked(Kind::Other(format, bytes, limits))),
    })
}

impl<'a> Walked<'a> {
    /// The second half of [`decode`].
    ///
    /// # Errors
    /// As [`decode`].
    pub fn decode(&self) -> Result<Photo, Reject> {
        match &self.0 {
            Kind::Jpeg(jpeg) => guarded(Format::Jpeg, || jpeg.decode()),
            Kind::Other(Format::WebP, bytes, limits) => guarded(Format::WebP, || webp::decode(bytes, limits)),
            Kind::Other(format, bytes, limits) => guarded(*format, || png::decode(bytes, limits)),
        }
    }

    /// A JPEG that another decoder reads as [`Walked::decode`] does.
    pub fn plain_jpeg(&self) -> Option<PlainJpeg<'a>> {
        match &self.0 {
            Kind::Jpeg(jpeg) => jpeg.plain(),
            Kind::Other(..) => None,
        }
    }
}

/// The last line of defence: a decoder that panics on a hostile file costs a row, not the night.
fn guarded<T>(format: Format, work: impl FnOnce() -> Result<T, Reject>) -> Result<T, Reject> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(unreadable(format!("the {format:?} decoder gave up on a contradiction in the file"))))
}

/// A [`Reason::UnreadableImage`].
fn unreadable(detail: impl Into<String>) -> Reject {
    Reject::new(Reason::UnreadableImage, detail)
}

/// The big-endian 16-bit number at `at`, or `None` beyond the end.
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// The big-endian 32-bit number at `at`, or `None` beyond the end.
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
