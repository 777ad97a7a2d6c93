//! An upright picture, and what all formats' readers need: the checks that need no pixel, and numbers in files.

use crate::config::policy::PhotoLimits;
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

/// What the header says, before any pixel is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Width in pixels as stored.
    pub width: u32,
    /// Height in pixels as stored.
    pub height: u32,
    /// Bytes that decoding will need at its peak, the upright picture included.
    pub memory: u64,
}

impl Header {
    /// The checks that need no pixel.
    ///
    /// # Errors
    /// [`Reason::ImageTooLarge`], or [`Reason::UnreadableImage`] for a picture too small to hold a face.
    pub fn check(&self, limits: &PhotoLimits) -> Result<(), Reject> {
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

/// A [`Reason::UnreadableImage`].
pub fn unreadable(detail: impl Into<String>) -> Reject {
    Reject::new(Reason::UnreadableImage, detail)
}

/// The big-endian 16-bit number at `at`, or `None` beyond the end.
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// The big-endian 32-bit number at `at`, or `None` beyond the end.
pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
