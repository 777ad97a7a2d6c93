//! What the camera and the programs after it wrote into a picture's file (EXIF 2.32): time, make, place, thumbnail.
//!
//! All of it is optional, written by anybody, and easily changed: facts to compare with others, and never more. Nothing of it
//! fails a picture; what cannot be read is absent.

use serde::{Deserialize, Serialize};

use crate::dump::Place;

/// What a picture's file says of its making; the default is a file that says nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// When the picture was taken (DateTimeOriginal), microseconds: where there is [`Camera::zone_minutes`], since
    /// 1970-01-01T00:00:00Z; where there is none, since 1970-01-01T00:00:00 by the camera's own clock, in an unknown zone.
    pub taken_at: Option<i64>,
    /// Minutes by which the camera's clock is ahead of UTC (OffsetTimeOriginal), -1440..=1440.
    pub zone_minutes: Option<i16>,
    /// Who made the camera, at most 64 characters.
    pub make: Option<String>,
    /// Which camera, at most 64 characters.
    pub model: Option<String>,
    /// What wrote the file last, at most 64 characters.
    pub software: Option<String>,
    /// Where it was taken, by the file.
    pub place: Option<Place>,
    /// The size that the file says of its picture (PixelXDimension, PixelYDimension), as stored, before it is turned upright.
    pub stated_size: Option<StatedSize>,
    /// Whether the file's own thumbnail shows another picture; `None` without a thumbnail, or where nothing can be told.
    pub thumbnail_differs: Option<bool>,
}

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedSize {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}
