//! The policy: which limits hold and which reason leads to which verdict.
//!
//! The defaults below are the only place where they are stated; `chehra policy` prints them as TOML, and a
//! `policy.toml` overrides any of them. Unknown keys are refused, so that a typing error is never a silent default.

use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Limits on pictures, checked before decoding.
    pub photo: PhotoLimits,
    /// Face detection.
    pub detection: DetectionPolicy,
    /// Limits under which a face cannot be compared.
    pub quality: QualityPolicy,
}

/// Limits on pictures, checked before any pixel is decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhotoLimits {
    /// Most bytes of an encoded picture.
    pub max_bytes: usize,
    /// Most pixels of a decoded picture.
    pub max_pixels: u64,
    /// Least pixels of the shorter side.
    pub min_side: u32,
    /// Most bytes a decoder may allocate.
    pub max_memory: u64,
}

impl Default for PhotoLimits {
    fn default() -> Self {
        PhotoLimits { max_bytes: 32 << 20, max_pixels: 64_000_000, min_side: 32, max_memory: 512 << 20 }
    }
}

/// Face detection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectionPolicy {
    /// Longer side, in pixels, of each picture the detector sees; pictures are never enlarged.
    pub scales: Vec<u32>,
    /// Least score of a face.
    pub min_score: f32,
    /// Boxes that overlap more than this (intersection over union) are one face.
    pub nms_iou: f32,
    /// Most faces kept per picture, best score first.
    pub max_faces: usize,
}

impl Default for DetectionPolicy {
    fn default() -> Self {
        DetectionPolicy { scales: vec![640, 224], min_score: 0.6, nms_iou: 0.3, max_faces: 32 }
    }
}

/// Limits under which a face cannot be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityPolicy {
    /// Least distance between the eyes, pixels.
    pub min_eye_distance: f32,
    /// Least sharpness of the aligned crop.
    pub min_sharpness: f32,
    /// Largest yaw either way, degrees.
    pub max_yaw: f32,
    /// Largest pitch either way, degrees.
    pub max_pitch: f32,
    /// Darkest mean luma, 0..=1.
    pub min_brightness: f32,
    /// Brightest mean luma, 0..=1.
    pub max_brightness: f32,
    /// Least standard deviation of luma, 0..=0.5; less is a covered or burnt-out face.
    pub min_contrast: f32,
}

impl Default for QualityPolicy {
    fn default() -> Self {
        QualityPolicy {
            min_eye_distance: 14.0,
            min_sharpness: 0.07,
            max_yaw: 50.0,
            max_pitch: 40.0,
            min_brightness: 0.08,
            max_brightness: 0.95,
            min_contrast: 0.03,
        }
    }
}
