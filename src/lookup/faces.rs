//! One photo and its faces as an analyst asks about them: named left to right, with what speaks against comparing them.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::Policy;
use crate::face::{Detection, Quality, quality};
use crate::infer::{Engine, Looks, Reading, SeenFace, SeenPhoto, Template};
use crate::verdict::rules::presentation;
use crate::{Error, Result};

/// A photo that was read from disk and seen.
#[derive(Debug)]
pub struct Picture {
    /// Where it lies.
    pub path: PathBuf,
    /// The file.
    pub bytes: Vec<u8>,
    /// What the networks saw.
    pub seen: SeenPhoto,
    /// The faces as indexes into `seen.faces`, left to right: number 1 first.
    pub order: Vec<usize>,
}

/// Reads an encoded picture, within the policy's limit on bytes.
///
/// # Errors
/// [`Error::Input`] when there is no such file, or one that is too large.
pub fn read(path: &Path, policy: &Policy) -> Result<Vec<u8>> {
    let refuse = |found: String| {
        Error::input(path, "photo", "a JPEG, PNG or WebP file", found, "check the path, or give the photo as it came")
    };
    let about = std::fs::metadata(path).map_err(|_| refuse("nothing".to_owned()))?;
    if !about.is_file() {
        return Err(refuse(if about.is_dir() { "a folder" } else { "no plain file" }.to_owned()));
    }
    if about.len() > policy.photo.max_bytes as u64 {
        return Err(refuse(format!("{} bytes, at most {} are read", about.len(), policy.photo.max_bytes)));
    }
    std::fs::read(path).map_err(|e| refuse(e.to_string()))
}

impl Picture {
    /// Reads and sees one photo.
    ///
    /// # Errors
    /// [`Error::Input`] when it is no picture that can be read; the device's errors.
    pub fn look(path: &Path, engine: &Engine, policy: &Policy) -> Result<Picture> {
        let bytes = read(path, policy)?;
        let seen = engine.see(&[&bytes])?.pop().ok_or_else(|| Error::bug("seeing a photo", "no answer"))?;
        let seen = seen.map_err(|reject| {
            let fix = "give the photo as it came from the phone";
            Error::input(path, "photo", "a whole JPEG, PNG or WebP", reject.detail, fix)
        })?;
        let mut order: Vec<usize> = (0..seen.faces.len()).collect();
        let middle = |index: usize| {
            let [left, _, width, _] = seen.faces[index].detection.bbox;
            left + width / 2.0
        };
        order.sort_by(|&a, &b| middle(a).total_cmp(&middle(b)));
        Ok(Picture { path: path.to_path_buf(), bytes, seen, order })
    }

    /// The faces left to right, with their numbers from 1.
    pub fn faces(&self) -> impl Iterator<Item = (usize, &SeenFace)> {
        self.order.iter().enumerate().map(|(place, &index)| (place + 1, &self.seen.faces[index]))
    }

    /// The faces that were read, left to right, with their numbers.
    pub fn read_faces(&self) -> impl Iterator<Item = (usize, &SeenFace, &Reading)> {
        self.faces().filter_map(|(number, face)| Some((number, face, face.reading.as_ref()?)))
    }

    /// The tallest face that was read, with its number.
    pub fn principal(&self) -> Option<(usize, &SeenFace, &Reading)> {
        let height = |face: &SeenFace| face.detection.bbox[3];
        self.read_faces().max_by(|a, b| height(a.1).total_cmp(&height(b.1)).then(b.0.cmp(&a.0)))
    }
}

/// One face, in numbers and words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaceFacts {
    /// From the left, 1 first.
    pub number: usize,
    /// Left, top, width, height in pixels of the upright picture.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// Eyes, nose tip, mouth corners: x and y in pixels.
    pub landmarks: [[f32; 2]; 5],
    /// Detector score, 0..=1.
    pub score: f32,
    /// How well it can be compared; none for a face too far behind.
    pub quality: Option<Quality>,
    /// Probability that the face was there, and not a picture of it.
    pub liveness: Option<f32>,
    /// The log-odds it is the mean of.
    pub looks: Option<Looks>,
    /// Grain of the picture in the face, grey levels (standard deviation).
    pub grain: Option<f32>,
    /// What speaks against comparing it: reason codes.
    pub warnings: Vec<&'static str>,
}

impl FaceFacts {
    /// Of one face.
    pub fn of(number: usize, face: &SeenFace, policy: &Policy) -> FaceFacts {
        let Detection { bbox, landmarks, score } = face.detection;
        let reading = face.reading.as_ref();
        let mut warnings: Vec<&'static str> = Vec::new();
        match reading {
            Some(reading) => {
                let failings = quality::failings(&reading.quality, &policy.quality);
                warnings.extend(failings.into_iter().map(|reason| reason.code()));
            }
            None => warnings.push("not_read"),
        }
        let against = reading.and_then(|reading| presentation(reading, policy).reason());
        warnings.extend(against.map(|reason| reason.code()));
        FaceFacts {
            number,
            bbox,
            landmarks,
            score,
            quality: reading.map(|r| r.quality),
            liveness: reading.map(|r| r.liveness()),
            looks: reading.map(|r| r.looks),
            grain: reading.map(|r| r.grain),
            warnings,
        }
    }

    /// In one line, such as "face 2 at 310,80 (120x160 pixels)".
    pub fn place(&self) -> String {
        let [left, top, width, height] = self.bbox;
        format!("face {} at {left:.0},{top:.0} ({width:.0}x{height:.0} pixels)", self.number)
    }

    /// What is known of quality, in one line.
    pub fn described(&self) -> String {
        let mut text = match (&self.quality, self.liveness) {
            (Some(q), Some(live)) => {
                format!("quality {:.2}, eyes {:.0} pixels apart, liveness {live:.2}", q.score, q.eye_distance)
            }
            _ => "too far in the background to be compared".to_owned(),
        };
        if !self.warnings.is_empty() {
            text += &format!("; warning: {}", self.warnings.join(", "));
        }
        text
    }
}

/// A face of a picture that is most like a template, with its similarity.
pub fn most_like<'p>(seen: &'p SeenPhoto, template: &Template) -> Option<(&'p SeenFace, f32)> {
    let scored = seen.faces.iter().filter_map(|face| {
        let reading = face.reading.as_ref().filter(|r| r.template.dim() == template.dim())?;
        Some((face, crate::infer::template::similarity(&reading.template, template)))
    });
    scored.max_by(|a, b| a.1.total_cmp(&b.1))
}
