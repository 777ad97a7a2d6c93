//! What the networks see in one photo.

use std::path::PathBuf;

use serde::Serialize;

use super::faces::{FaceFacts, Picture};
use crate::config::Policy;
use crate::infer::Template;
use crate::infer::template::similarity;
use crate::photo::Format;
use crate::reason::Reason;
use crate::roles::{Role, cast};
use crate::verdict::rules::excuse_small_faces;

/// One face with its part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CastFace {
    /// The face.
    #[serde(flatten)]
    pub face: FaceFacts,
    /// Worker, member or bystander, as far as one photo tells.
    pub role: Role,
    /// Similarity to the worker's reference photo, where one is given.
    pub worker_similarity: Option<f32>,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The file.
    pub photo: PathBuf,
    /// jpeg, png or webp.
    pub format: &'static str,
    /// Size of the file.
    pub bytes: usize,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Difference hash of the picture, 16 hexadecimal digits.
    pub dhash: String,
    /// Width of the upright picture, pixels.
    pub width: u32,
    /// Height of the upright picture, pixels.
    pub height: u32,
    /// On what the roles rest.
    pub roles: &'static str,
    /// What an audit would say of this picture by itself: reason codes.
    pub reasons: Vec<&'static str>,
    /// Left to right.
    pub faces: Vec<CastFace>,
    /// Detector, liveness network, embedder.
    pub models: [String; 3],
}

/// Describes a photo. `worker` is the worker's reference face, where one is given.
pub fn inspect(picture: &Picture, worker: Option<&Template>, models: [String; 3], policy: &Policy) -> Inspection {
    let seen = &picture.seen;
    let cast = cast(&seen.faces, worker, &policy.roles);
    let mut reasons = cast.reasons.clone();
    excuse_small_faces(&seen.faces, policy, &mut reasons);
    let faces: Vec<CastFace> = picture
        .order
        .iter()
        .zip(picture.faces())
        .map(|(&index, (number, face))| {
            let reading = face.reading.as_ref();
            CastFace {
                face: FaceFacts::of(number, face, policy),
                role: cast.role(index),
                worker_similarity: worker.zip(reading).map(|(known, r)| similarity(known, &r.template)),
            }
        })
        .collect();
    for face in faces.iter().filter(|face| face.role != Role::Bystander) {
        // What makes a member's face useless does not matter in the worker's.
        let of_either = [Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected, Reason::LivenessUnsure];
        let counts = |reason: Reason| of_either.contains(&reason) || face.role == Role::Member;
        let named = |code: &&str| Reason::ALL.iter().copied().find(|reason| reason.code() == *code);
        reasons.extend(face.face.warnings.iter().filter_map(named).filter(|&reason| counts(reason)));
    }
    reasons.sort_unstable();
    reasons.dedup();
    let format = match Format::of(&picture.bytes) {
        Ok(Format::Jpeg) => "jpeg",
        Ok(Format::Png) => "png",
        Ok(Format::WebP) => "webp",
        Err(other) => other,
    };
    let roles = match worker {
        Some(_) => "the worker's reference photo",
        None => "a guess: of two faces the taller is taken for the worker, who holds the phone",
    };
    Inspection {
        photo: picture.path.clone(),
        format,
        bytes: picture.bytes.len(),
        sha256: seen.fingerprint.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        dhash: format!("{:016x}", seen.fingerprint.dhash),
        width: seen.width,
        height: seen.height,
        roles,
        reasons: reasons.into_iter().map(Reason::code).collect(),
        faces,
        models,
    }
}
