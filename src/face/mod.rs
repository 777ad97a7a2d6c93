//! Photo -> faces: detection at several scales, five-point alignment, quality.
//!
//! Coordinates everywhere here are OpenCV's: the number is that of the pixel, so (0, 0) is the *centre* of the top left
//! pixel, x runs to the right and y down. The detector, the alignment template and the reference pipeline share that
//! convention, and a half-pixel slip between them costs recognition accuracy.

pub mod align;
pub mod crop;
pub mod decode;
pub mod detect;
pub mod device;
pub mod grain;
pub mod quality;
pub mod resize;

use serde::{Deserialize, Serialize};

pub use align::{Crop, Similarity};
pub use detect::Detector;

/// One detected face, in pixels of the upright photo (x to the right, y down, whole numbers at pixel centres).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Left, top, width, height. May reach over the picture's border.
    pub bbox: [f32; 4],
    /// Right eye, left eye (the subject's own right and left: image left first), nose tip, right and left mouth corner.
    pub landmarks: [[f32; 2]; 5],
    /// Detector score, 0..=1.
    pub score: f32,
}

impl Detection {
    /// Distance between the eyes in pixels.
    pub fn eye_distance(&self) -> f32 {
        let [right, left, ..] = self.landmarks;
        (left[0] - right[0]).hypot(left[1] - right[1])
    }

    /// Area of the box in square pixels.
    pub fn area(&self) -> f32 {
        self.bbox[2] * self.bbox[3]
    }
}

/// How well a face can be compared; see [`quality`] for the formulas.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Quality {
    /// Distance between the eyes in pixels of the photo.
    pub eye_distance: f32,
    /// Sharpness of the aligned crop, 0 (flat) upwards.
    pub sharpness: f32,
    /// Mean luma of the face in the aligned crop, 0..=1.
    pub brightness: f32,
    /// Standard deviation of luma of the face in the aligned crop, 0..=0.5.
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
