//! Bytes -> [`Photo`]: limits, decoding, orientation, fingerprints.

mod fingerprint;

pub use fingerprint::{Fingerprint, hamming};

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
