//! How well a face can be compared: size, sharpness, exposure and pose, each a number with a unit, and one score.
//!
//! Sharpness and exposure are taken from the aligned crop, so that they mean the same for every face and camera; over
//! the inner face only, since hair and background say nothing about it. Pose is estimated from the five landmarks with
//! a simple solid head; it is good to about ten degrees, enough to tell a profile from a portrait.
//!
//! With eye distance as unit of length, and the ArcFace template as the mean frontal face:
//! - the nose tip stands [`NOSE_DEPTH`] before the plane of eyes and mouth corners;
//! - turned by yaw, it moves aside by `NOSE_DEPTH * sin(yaw)` while the eyes' distance shrinks by `cos(yaw)`:
//!   `tan(yaw) = aside / (eye distance * NOSE_DEPTH)`, with the offset taken from the line that joins the middles of
//!   eyes and mouth corners;
//! - turned by pitch, it moves along that line by `NOSE_DEPTH * sin(pitch)` while the line shrinks by `cos(pitch)`:
//!   `tan(pitch) = (NOSE_POSITION - t) * FACE_LENGTH / NOSE_DEPTH`, where `t` is how far down the line the nose lies;
//! - roll is the direction of the line through the eyes.

use super::align::{Crop, SIDE};
use super::{Detection, Quality};
use crate::config::policy::QualityPolicy;
use crate::reason::Reason;

/// How far the nose tip stands before the plane of eyes and mouth, in eye distances (anthropometric means: nose
/// protrusion of about 20 mm before the cheeks, 30 before the eyes, at 63 mm between the pupils).
pub const NOSE_DEPTH: f32 = 0.45;
/// How far down from eyes to mouth YuNet sees the nose tip of a level face: the median over the LFW pictures. (The
/// template, made with another detector's landmarks, has it at 0.495.)
const NOSE_POSITION: f32 = 0.56;
/// Distance of mouth and eyes in the template, in eye distances.
const FACE_LENGTH: f32 = 1.154;
/// The inner face in the aligned crop: first and last column, first and last row (brows to chin).
const INNER: [usize; 4] = [28, 84, 38, 104];
/// Contrast below which texture is taken for noise, in grey levels.
const NOISE: f32 = 4.0;

/// The brightness of a square crop: Rec. 601 luma, 0..=255.
#[derive(Debug, Clone, PartialEq)]
pub struct Luma {
    values: Vec<f32>,
    side: usize,
}

impl Luma {
    /// From `side * side * 3` floats in R, G, B order.
    pub fn of(rgb: &[f32], side: usize) -> Luma {
        let values = rgb.as_chunks::<3>().0.iter().map(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b).collect();
        Luma { values, side }
    }

    /// Mean and standard deviation over the inner face.
    fn mean_and_deviation(&self) -> (f32, f32) {
        let inner = || self.inner_rows().flatten().map(|&v| f64::from(v));
        let count = ((INNER[1] - INNER[0]) * (INNER[3] - INNER[2])) as f64;
        let mean = inner().sum::<f64>() / count;
        let variance = inner().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        (mean as f32, variance.sqrt() as f32)
    }

    fn inner_rows(&self) -> impl Iterator<Item = &[f32]> {
        (INNER[2]..INNER[3]).map(|y| &self.values[y * self.side + INNER[0]..y * self.side + INNER[1]])
    }

    /// Root mean square of the four-neighbour Laplacian over the inner face.
    fn laplacian(&self) -> f32 {
        let mut sum = 0.0f64;
        for y in INNER[2]..INNER[3] {
            for x in INNER[0]..INNER[1] {
                let at = y * self.side + x;
                let v = &self.values;
                let bend = 4.0 * v[at] - v[at - 1] - v[at + 1] - v[at - self.side] - v[at + self.side];
                sum += f64::from(bend * bend);
            }
        }
        (sum / ((INNER[1] - INNER[0]) * (INNER[3] - INNER[2])) as f64).sqrt() as f32
    }
}

/// Measures a face. `crop` is the face's own aligned crop.
///
/// `sharpness` is the root mean square of the Laplacian of luma divided by the standard deviation of luma (no less
/// than [`NOISE`] levels), so that lighting does not count. Of the pictures of LFW none is below 0.14, and half are
/// above 0.36; blurred by 7 % of the eye distance (Gaussian sigma) they come to 0.075, where SFace loses a fifth of its
/// similarity between mates, and by 9 % to 0.054, where it loses a third. It loses a tenth where the eyes are 14 pixels
/// apart.
/// `score` is the product of four factors in 0..=1: size and sharpness rise from 0 at half the given policy's minimum
/// to 1 at twice it, pose is `cos(yaw) * cos(pitch)`, exposure falls from 1 in the middle half of the range to 0 at
/// black and white.
pub fn assess(face: &Detection, crop: &Crop, policy: &QualityPolicy) -> Quality {
    let luma = Luma::of(&crop.rgb, SIDE);
    debug_assert_eq!(luma.side, SIDE);
    let (mean, deviation) = luma.mean_and_deviation();
    let (yaw, pitch, roll) = pose(face);
    let mut quality = Quality {
        eye_distance: face.eye_distance(),
        sharpness: luma.laplacian() / deviation.max(NOISE),
        brightness: (mean / 255.0).clamp(0.0, 1.0),
        contrast: (deviation / 255.0).clamp(0.0, 0.5),
        yaw,
        pitch,
        roll,
        score: 0.0,
    };
    quality.score = score(&quality, policy);
    quality
}

fn score(quality: &Quality, policy: &QualityPolicy) -> f32 {
    // Logarithmic: from half to double the minimum.
    let rise = |value: f32, least: f32| match least > 0.0 {
        true => ((value / least).log2() / 2.0 + 0.5).clamp(0.0, 1.0),
        false => 1.0,
    };
    let upright = |degrees: f32| degrees.to_radians().cos().max(0.0);
    let exposure = (4.0 * quality.brightness.min(1.0 - quality.brightness)).clamp(0.0, 1.0);
    let found = rise(quality.eye_distance, policy.min_eye_distance) * rise(quality.sharpness, policy.min_sharpness);
    let score = found * upright(quality.yaw) * upright(quality.pitch) * exposure;
    if score.is_finite() { score } else { 0.0 }
}

/// Yaw, pitch and roll in degrees from the landmarks; see the module's page.
pub fn pose(face: &Detection) -> (f32, f32, f32) {
    let [right_eye, left_eye, nose, right_mouth, left_mouth] = face.landmarks;
    let middle = |a: [f32; 2], b: [f32; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
    let (eyes, mouth) = (middle(right_eye, left_eye), middle(right_mouth, left_mouth));
    let across = [left_eye[0] - right_eye[0], left_eye[1] - right_eye[1]];
    let down = [mouth[0] - eyes[0], mouth[1] - eyes[1]];
    let to_nose = [nose[0] - eyes[0], nose[1] - eyes[1]];
    let (width, height) = (across[0].hypot(across[1]), down[0].hypot(down[1]));
    if !(width > 0.0 && height > 0.0) {
        return (90.0, 90.0, 0.0);
    }
    let dot = |a: [f32; 2], b: [f32; 2]| a[0] * b[0] + a[1] * b[1];
    let position = dot(to_nose, down) / (height * height);
    let beside = [to_nose[0] - position * down[0], to_nose[1] - position * down[1]];
    let aside = dot(beside, across) / width;
    let yaw = (aside / (width * NOSE_DEPTH)).atan().to_degrees();
    let pitch = ((NOSE_POSITION - position) * FACE_LENGTH / NOSE_DEPTH).atan().to_degrees();
    (yaw, pitch, across[1].atan2(across[0]).to_degrees())
}

/// Why a face cannot be compared, in table order; empty if it can.
pub fn failings(quality: &Quality, policy: &QualityPolicy) -> Vec<Reason> {
    let exposed = (policy.min_brightness..=policy.max_brightness).contains(&quality.brightness);
    let checks = [
        (Reason::FaceTooSmall, quality.eye_distance >= policy.min_eye_distance),
        (Reason::FaceBlurred, quality.sharpness >= policy.min_sharpness),
        (Reason::FaceTurned, quality.yaw.abs() <= policy.max_yaw && quality.pitch.abs() <= policy.max_pitch),
        (Reason::FaceCovered, exposed && quality.contrast >= policy.min_contrast),
    ];
    checks.into_iter().filter(|(_, fine)| !fine).map(|(reason, _)| reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::align::TEMPLATE;

    /// The template's face as a solid, turned, and seen from far away.
    fn turned(yaw: f32, pitch: f32, roll: f32) -> Detection {
        let (eyes, size) = ([55.9132f32, 51.5989], 35.24f32);
        let landmarks = std::array::from_fn(|k| {
            let depth = if k == 2 { NOSE_DEPTH * size } else { 0.0 };
            let (x, mut y) = (TEMPLATE[k][0] as f32 - eyes[0], TEMPLATE[k][1] as f32 - eyes[1]);
            if k == 2 {
                y = NOSE_POSITION * FACE_LENGTH * size;
            }
            let (yaw, pitch, roll) = (yaw.to_radians(), pitch.to_radians(), roll.to_radians());
            let (x, depth) = (x * yaw.cos() + depth * yaw.sin(), depth * yaw.cos() - x * yaw.sin());
            let y = y * pitch.cos() - depth * pitch.sin();
            [300.0 + x * roll.cos() - y * roll.sin(), 200.0 + x * roll.sin() + y * roll.cos()]
        });
        Detection { bbox: [250.0, 150.0, 100.0, 120.0], landmarks, score: 0.9 }
    }

    #[test]
    fn pose_follows_the_model() {
        for (yaw, pitch, roll) in
            [(0.0, 0.0, 0.0), (30.0, 0.0, 0.0), (-45.0, 0.0, 20.0), (0.0, 25.0, -30.0), (0.0, -20.0, 0.0)]
        {
            let found = pose(&turned(yaw, pitch, roll));
            for (found, expected) in [found.0, found.1, found.2].into_iter().zip([yaw, pitch, roll]) {
                assert!((found - expected).abs() < 2.0, "{found} for {expected} of {:?}", (yaw, pitch, roll));
            }
        }
        let degenerate = Detection { landmarks: [[5.0; 2]; 5], ..turned(0.0, 0.0, 0.0) };
        assert_eq!(pose(&degenerate), (90.0, 90.0, 0.0));
    }

    fn crop(shade: impl Fn(usize, usize) -> f32) -> Crop {
        let rgb = (0..SIDE * SIDE).flat_map(|i| [shade(i % SIDE, i / SIDE).clamp(0.0, 255.0); 3]).collect();
        Crop { rgb, transform: crate::face::Similarity { a: 1.0, b: 0.0, tx: 0.0, ty: 0.0 } }
    }

    #[test]
    fn each_failing_is_found_and_a_good_face_has_none() {
        let policy = QualityPolicy::default();
        let texture = |x: usize, y: usize| 120.0 + 40.0 * ((x as f32 / 1.2).sin() + (y as f32 / 1.5).cos());
        let good = assess(&turned(0.0, 0.0, 0.0), &crop(texture), &policy);
        assert_eq!(failings(&good, &policy), []);
        assert!(good.score > 0.4, "{good:?}");
        let is = |face: &Detection, crop: &Crop, reason| {
            let quality = assess(face, crop, &policy);
            assert!(failings(&quality, &policy).contains(&reason), "{reason:?}: {quality:?}");
            assert!(quality.score < good.score);
        };
        is(&turned(65.0, 0.0, 0.0), &crop(texture), Reason::FaceTurned);
        is(&turned(0.0, -60.0, 0.0), &crop(texture), Reason::FaceTurned);
        is(&turned(0.0, 0.0, 0.0), &crop(|x, _| 100.0 + x as f32), Reason::FaceBlurred);
        is(&turned(0.0, 0.0, 0.0), &crop(|x, y| texture(x, y) * 0.05), Reason::FaceCovered);
        is(&turned(0.0, 0.0, 0.0), &crop(|_, _| 128.0), Reason::FaceCovered);
        is(&turned(0.0, 0.0, 0.0), &crop(|x, y| texture(x, y) + 200.0), Reason::FaceCovered);
        let mut small = turned(0.0, 0.0, 0.0);
        small.landmarks = small.landmarks.map(|[x, y]| [x / 4.0, y / 4.0]);
        is(&small, &crop(texture), Reason::FaceTooSmall);
    }

    #[test]
    fn sharpness_does_not_depend_on_lighting() {
        let texture = |x: usize, y: usize| (x as f32 / 3.0).sin() + (y as f32 / 4.0).cos();
        let policy = QualityPolicy::default();
        let face = turned(0.0, 0.0, 0.0);
        let bright = assess(&face, &crop(|x, y| 150.0 + 30.0 * texture(x, y)), &policy);
        let dark = assess(&face, &crop(|x, y| 50.0 + 10.0 * texture(x, y)), &policy);
        assert!((bright.sharpness / dark.sharpness - 1.0).abs() < 0.01);
        assert!(bright.brightness > dark.brightness && bright.contrast > dark.contrast);
    }
}
