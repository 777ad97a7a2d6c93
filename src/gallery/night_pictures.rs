//! What is kept of the selfies of one night.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::infer::{ModelId, Template};
use crate::photo::{Background, Miniature};

/// Five landmarks in tenths of a pixel of the upright picture, in the order of [`crate::face::Detection`].
pub type Marks = [[i32; 2]; 5];

/// What is kept of one selfie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptPicture {
    /// The submission; `gallery forget` names it so.
    pub submission_id: String,
    /// Who sent it.
    pub worker_id: String,
    /// Where.
    pub district: String,
    /// When, microseconds since 1970-01-01T00:00:00Z.
    pub captured_at: i64,
    /// Width and height of the upright picture, pixels.
    pub size: [u32; 2],
    /// SHA-256 of the encoded picture.
    pub sha256: [u8; 32],
    /// Difference hash of the picture.
    pub dhash: u64,
    /// The picture as 64 means.
    pub miniature: Miniature,
    /// Landmarks of the member's face, then of the other tall ones; empty where there is no member.
    pub faces: Vec<Marks>,
}

/// The background of one kept picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backdrop {
    /// Index into [`NightPictures::pictures`].
    pub picture: u32,
    /// Its background.
    pub background: Background,
}

/// Somebody behind worker and member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stranger {
    /// Index into [`NightPictures::pictures`].
    pub picture: u32,
    /// The face.
    #[serde(with = "crate::infer::analysis::master_bits")]
    pub template: Template,
}

/// What one run leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NightPictures {
    /// The network of the strangers' templates; those of another one are not compared.
    pub model: ModelId,
    /// The selfies that could be read.
    pub pictures: Vec<KeptPicture>,
    /// A few backgrounds of each worker.
    pub backdrops: Vec<Backdrop>,
    /// Strangers.
    pub strangers: Vec<Stranger>,
}

impl NightPictures {
    /// Of nothing.
    pub fn empty(model: ModelId) -> Self {
        NightPictures { model, pictures: Vec::new(), backdrops: Vec::new(), strangers: Vec::new() }
    }

    /// Without these submissions; `None` when it has none of them.
    pub(super) fn without(&self, submission_ids: &HashSet<&str>) -> Option<NightPictures> {
        let gone = |picture: &KeptPicture| submission_ids.contains(picture.submission_id.as_str());
        self.pictures.iter().any(gone).then(|| self.only(&|id| !submission_ids.contains(id)))
    }

    /// Only the submissions that `stays` holds for.
    pub(super) fn only(&self, stays: &dyn Fn(&str) -> bool) -> NightPictures {
        let gone = |picture: &KeptPicture| !stays(&picture.submission_id);
        let mut places = Vec::with_capacity(self.pictures.len());
        let mut pictures = Vec::with_capacity(self.pictures.len());
        for picture in &self.pictures {
            places.push((!gone(picture)).then_some(pictures.len() as u32));
            if !gone(picture) {
                pictures.push(picture.clone());
            }
        }
        let place = |old: u32| places.get(old as usize).copied().flatten();
        let backdrop = |b: &Backdrop| Some(Backdrop { picture: place(b.picture)?, ..b.clone() });
        let stranger = |s: &Stranger| Some(Stranger { picture: place(s.picture)?, ..s.clone() });
        let backdrops = self.backdrops.iter().filter_map(backdrop).collect();
        let strangers = self.strangers.iter().filter_map(stranger).collect();
        NightPictures { model: self.model.clone(), pictures, backdrops, strangers }
    }
}
