//! Photo -> faces: detection at several scales, five-point alignment, quality.

use serde::{Deserialize, Serialize};

/// One detected face, in pixels of the upright photo (x to the right, y down, pixel centres at +0.5).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Left, top, width, height.
    pub bbox: [f32; 4],
    /// Right eye, left eye (the subject's own right and left: image left first), nose tip, right and left mouth corner.
    pub landmarks: [[f32; 2]; 5],
    /// Detector score, 0..=1.
    pub score: f32,
}

/// How well a face can be compared; see `quality` for the formulas.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Quality {
    /// Distance between the eyes in pixels.
    pub eye_distance: f32,
    /// Sharpness of the aligned crop, 0 (flat) upwards.
    pub sharpness: f32,
    /// Mean luma of the aligned crop, 0..=1.
    pub brightness: f32,
    /// Standard deviation of luma of the aligned crop, 0..=0.5.
    pub contrast: f32,
    /// Left-right turn estimated from the landmarks, degrees, positive to the image's right.
    pub yaw: f32,
    /// Up-down turn estimated from the landmarks, degrees, positive upwards.
    pub pitch: f32,
    /// In-plane rotation of the eye line, degrees, positive clockwise.
    pub roll: f32,
    /// One number from the above, 0 (useless) ..= 1 (good).
    pub score: f32,
}
