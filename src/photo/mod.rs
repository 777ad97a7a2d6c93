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
pub mod camera;
mod composite;
mod fingerprint;
mod format;
mod grids;
mod huffman;
mod jpeg;
mod markers;
pub mod miniature;
mod orient;
mod picture;
mod png;
mod reduce;
mod scan;
mod shrink;
pub mod thumbnail;
mod tiff;
mod webp;

pub use background::Background;
pub use camera::{Camera, StatedSize};
pub use composite::Composite;
pub use fingerprint::{Fingerprint, hamming};
pub use format::Format;
pub use jpeg::PlainJpeg;
pub use miniature::Miniature;
pub use orient::turned;
pub use picture::Photo;
pub use reduce::Reduced;
pub use thumbnail::Thumbnail;

use picture::unreadable;

use crate::config::policy::PhotoLimits;
use crate::dump::cell_bytes;
use crate::error;
use crate::memory::room;
use crate::reason::{Reason, Reject};

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
    // Of what is far too large the dump holds no more than its length.
    let size = cell_bytes(bytes);
    if size > limits.max_bytes as u64 {
        let detail = format!("{size} bytes, at most {} are read", limits.max_bytes);
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
    error::guarded(work)
        .unwrap_or_else(|| Err(unreadable(format!("the {format:?} decoder gave up on a contradiction in the file"))))
}
