//! What the models saw in one submission: everything later stages need, and no pixel.

use serde::{Deserialize, Serialize};

use crate::dump::RowFacts;
use crate::face::{Detection, Quality};
use crate::infer::Template;
use crate::photo::{Background, Camera, Composite, Fingerprint, Miniature, Photo, Reduced, Thumbnail};
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
    /// What the liveness network said of it.
    pub looks: Looks,
    /// Grain of the picture in the face, grey levels; see [`crate::face::grain`].
    pub grain: f32,
    /// The face as numbers; written as its master, from which everything else follows.
    #[serde(with = "master_bits")]
    pub template: Template,
}

/// What the liveness network said of one face in up to three looks (see `looks`): log-odds (natural logarithm) of a bona fide
/// presentation (ISO/IEC 30107-3).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Looks {
    /// The face with its surroundings.
    pub wide: f32,
    /// The face alone; `None` in the background.
    pub close: Option<f32>,
    /// From between; `None` where the two others left no doubt.
    pub middle: Option<f32>,
}

impl Looks {
    /// Those that were taken: wide, close, middle.
    pub fn taken(self) -> impl Iterator<Item = f32> {
        [Some(self.wide), self.close, self.middle].into_iter().flatten()
    }

    /// The mean of the log-odds, without any weight that was fitted.
    pub fn log_odds(self) -> f32 {
        self.taken().sum::<f32>() / self.taken().count() as f32
    }

    /// Probability of a bona fide presentation, 0..=1.
    pub fn bona_fide(self) -> f32 {
        1.0 / (1.0 + (-self.log_odds()).exp())
    }

    /// Whether the wide and the close look, each by itself, take it for an attack. They see different things, and what
    /// misleads one (a picture's frame in the background, make-up under a lamp) seldom misleads the other.
    pub fn agree_on_attack(self) -> bool {
        self.wide < 0.0 && self.close.is_some_and(|close| close < 0.0)
    }
}

impl Reading {
    /// Probability of a bona fide presentation, 0..=1.
    pub fn liveness(&self) -> f32 {
        self.looks.bona_fide()
    }
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
    /// By how many degrees, clockwise, it was turned because no face in it was upright: 0, 90, 180 or 270.
    pub turned: u16,
    /// What shows that it was put together on a screen.
    pub composite: Option<Composite>,
    /// What the file says of its making.
    pub camera: Camera,
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
