//! Pictures that lie on their side or head and say nothing of it.
//!
//! Apps that decode and encode anew lose the EXIF orientation and keep the pixels as the sensor has them. The networks know
//! upright faces alone: of a picture in which none surely stands upright the three other turns are tried, and the one with more
//! faces of which the detector is sure is what was seen. A picture with a face that is surely upright costs nothing.

use super::decode::DecodedPhoto;
use super::engine::Engine;
use crate::Result;
use crate::face::Detection;
use crate::infer::SeenPhoto;
use crate::memory::room;
use crate::photo::{Photo, turned};
use crate::reason::Reject;

/// Least detector score of a face for which a picture is turned: three more looks are three more chances of a false face.
const SURE: f32 = 0.8;
/// A picture with an upright face of this score is upright. In faces that lie the detector finds upright ones of less.
const UPRIGHT: f32 = 0.9;
/// By so much a turned face's score must be better, where both turns show as many.
const BETTER: f32 = 0.05;
/// The turns, degrees clockwise.
const TURNS: [u16; 3] = [90, 270, 180];

impl Engine {
    /// Tries the other turns of those pictures that show no upright face.
    ///
    /// # Errors
    /// Only the device's.
    pub(super) fn turn_where_needed(
        &self,
        pictures: &[&[u8]],
        seen: &mut [std::result::Result<SeenPhoto, Reject>],
    ) -> Result<()> {
        for (bytes, seen) in pictures.iter().zip(seen) {
            let Ok(first) = seen.as_ref() else { continue };
            let known = self.upright_faces(first);
            if known.best >= UPRIGHT {
                continue;
            }
            // The picture and its turn, both in memory.
            let _room = room().take(2 * crate::photo::memory(bytes, &self.policy.photo));
            let Ok(photo) = crate::photo::decode(bytes, &self.policy.photo) else { continue };
            let mut best: Option<(Upright, SeenPhoto)> = None;
            for degrees in TURNS {
                let Some(mut other) = self.see_one(turned(&photo, degrees), bytes)? else { continue };
                let found = self.upright_faces(&other);
                if found.is_better(known) && best.as_ref().is_none_or(|(other, _)| found.is_more(*other)) {
                    other.turned = degrees;
                    best = Some((found, other));
                }
            }
            if let Some((_, best)) = best {
                *seen = Ok(best);
            }
        }
        Ok(())
    }

    fn see_one(&self, photo: Photo, bytes: &[u8]) -> Result<Option<SeenPhoto>> {
        let seen = match self.device.is_cpu() {
            true => self.see_decoded(vec![Ok(photo)], &[bytes])?,
            false => self.see_sources(vec![Ok(DecodedPhoto::on_host(photo))], &[bytes])?,
        };
        Ok(seen.into_iter().next().and_then(std::result::Result::ok))
    }

    /// The upright faces in the foreground.
    fn upright_faces(&self, photo: &SeenPhoto) -> Upright {
        let least = photo.faces.first().map_or(0.0, |face| face.detection.bbox[3]) * self.policy.roles.principal_ratio;
        let near = photo.faces.iter().map(|face| &face.detection).filter(|face| face.bbox[3] >= least);
        let scores: Vec<f32> = near.filter(|face| is_upright(face)).map(|face| face.score).collect();
        let sure = scores.iter().filter(|&&score| score >= SURE).count();
        Upright { sure, best: scores.into_iter().fold(0.0, f32::max) }
    }
}

/// Upright faces in the foreground of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Upright {
    /// How many the detector is sure of.
    sure: usize,
    /// Its best score; 0 where there is none.
    best: f32,
}

impl Upright {
    fn is_more(self, other: Upright) -> bool {
        (self.sure, self.best) > (other.sure, other.best)
    }

    /// Whether a picture is rather turned than seen as it lies.
    fn is_better(self, as_it_lies: Upright) -> bool {
        let more = self.sure > as_it_lies.sure && self.best > as_it_lies.best;
        self.sure > 0 && (more || self.sure == as_it_lies.sure && self.best >= as_it_lies.best + BETTER)
    }
}

/// Whether the mouth is below the eyes, and the eyes are beside each other: a face of anybody who stands or sits.
fn is_upright(face: &Detection) -> bool {
    let [first_eye, second_eye, _, first_corner, second_corner] = face.landmarks;
    let [eyes_x, eyes_y] = [second_eye[0] - first_eye[0], second_eye[1] - first_eye[1]];
    let down_x = (first_corner[0] + second_corner[0] - first_eye[0] - second_eye[0]) / 2.0;
    let down_y = (first_corner[1] + second_corner[1] - first_eye[1] - second_eye[1]) / 2.0;
    // Turned by less than 45 degrees by either measure; in profile the eyes say nothing.
    let is_level = eyes_x.hypot(eyes_y) < 0.2 * down_x.hypot(down_y) || eyes_y.abs() < eyes_x.abs();
    down_y > down_x.abs() && is_level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_is_upright_until_it_lies() {
        let face = |degrees: f32| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let points = [[-15.0, -20.0], [15.0, -20.0], [0.0, 0.0], [-12.0, 20.0], [12.0, 20.0]];
            let landmarks = points.map(|[x, y]: [f32; 2]| [100.0 + x * cos - y * sin, 100.0 + x * sin + y * cos]);
            Detection { bbox: [70.0, 60.0, 60.0, 80.0], landmarks, score: 0.9 }
        };
        for degrees in [0.0, 30.0, -40.0] {
            assert!(is_upright(&face(degrees)), "{degrees}");
        }
        for degrees in [60.0, 90.0, 180.0, 270.0, -50.0] {
            assert!(!is_upright(&face(degrees)), "{degrees}");
        }
    }
}
