//! What the models saw in one submission: everything later stages need, and no pixel.

use serde::{Deserialize, Serialize};

use crate::dump::RowFacts;
use crate::face::{Detection, Quality, SpoofEvidence};
use crate::infer::Template;
use crate::photo::{Background, Fingerprint, Miniature, Photo, Reduced, Thumbnail};
use crate::reason::Reject;

/// One face of a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeenFace {
    /// Where it is.
    pub detection: Detection,
    /// What the networks made of it; `None` for a face that was left out as too far in the background.
    pub reading: Option<Reading>,
}

/// What the networks made of one face.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// How well it can be compared.
    pub quality: Quality,
    /// The network's probability of a bona fide presentation (ISO/IEC 30107-3), 0..=1.
    pub liveness: f32,
    /// Marks of a recapture around the face.
    pub spoof: SpoofEvidence,
    /// The face as numbers; written as its master, from which everything else follows.
    #[serde(with = "master_bits")]
    pub template: Template,
}

/// A picture reduced to what finds it, its copies and its background again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    /// 64 means.
    pub miniature: Miniature,
    /// The picture, small; kept for the night alone.
    pub thumbnail: Thumbnail,
    /// What stands behind the people.
    pub background: Background,
}

impl Traits {
    /// Of a photo, reduced, with these face boxes (left, top, width, height in pixels).
    pub fn of(reduced: &Reduced, photo: &Photo, faces: &[[f32; 4]]) -> Traits {
        Traits {
            miniature: reduced.into(),
            thumbnail: reduced.into(),
            background: Background::from_reduced(reduced, photo, faces),
        }
    }
}

/// One decoded picture and its faces, tallest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeenPhoto {
    /// Width of the upright picture, pixels.
    pub width: u32,
    /// Height of the upright picture, pixels.
    pub height: u32,
    /// Hashes of the file and of the picture.
    pub fingerprint: Fingerprint,
    /// What tells it from other pictures and finds it again.
    pub traits: Traits,
    /// All faces found, by height, tallest first.
    pub faces: Vec<SeenFace>,
}

/// One row of the dump, seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Position in the dump.
    pub row: u64,
    /// Everything the row says besides its pictures.
    pub facts: RowFacts,
    /// The selfie, or why there is none.
    pub selfie: Result<SeenPhoto, Reject>,
    /// The member's uploaded photo where the row has one.
    pub photo: Option<Result<SeenPhoto, Reject>>,
}

impl Analysis {
    /// The selfie's faces; none when it could not be read.
    pub fn faces(&self) -> &[SeenFace] {
        self.selfie.as_ref().map_or(&[], |photo| &photo.faces)
    }
}

/// A template as the bits of its master.
pub(crate) mod master_bits {
    use half::f16;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::infer::Template;

    pub fn serialize<S: Serializer>(template: &Template, serializer: S) -> Result<S::Ok, S::Error> {
        template.master.iter().map(|v| v.to_bits()).collect::<Vec<u16>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
        let bits = Vec::<u16>::deserialize(deserializer)?;
        Template::from_master(bits.into_iter().map(f16::from_bits).collect()).map_err(de::Error::custom)
    }
}
