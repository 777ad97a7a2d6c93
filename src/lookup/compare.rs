//! Two photos, one question: are these one person?

use std::path::PathBuf;

use serde::Serialize;

use super::curve::{Chance, Curve, CurveReport};
use super::faces::{FaceFacts, Picture};
use super::text::{support, table};
use crate::config::Policy;
use crate::infer::Reading;
use crate::infer::template::similarity;
use crate::{Error, Result};

/// One of the two photos.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// The file.
    pub photo: PathBuf,
    /// Faces found.
    pub faces_found: usize,
    /// The faces that were compared, left to right.
    pub faces: Vec<FaceFacts>,
    /// The tallest face, where the photo has several; its number.
    pub principal: usize,
}

/// Two faces compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// Number of the face of the first photo, from the left.
    pub face_a: usize,
    /// Number of the face of the second photo, from the left.
    pub face_b: usize,
    /// Cosine, -1..=1.
    pub similarity: f32,
    /// How often two different people are at least as alike.
    #[serde(flatten)]
    pub chance: Chance,
    /// How many times as likely so alike faces are as one person's than as two people's.
    pub likelihood_ratio: f64,
    /// Share of pairs of one person that are less alike (FNMR), as measured for the network; it says how much a low
    /// similarity means.
    pub false_non_match_rate: f64,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompareAnswer {
    /// The network of the templates.
    pub model: String,
    /// The first photo.
    pub a: Side,
    /// The second photo.
    pub b: Side,
    /// The principal faces, or every face of the one with every face of the other, row by row.
    pub comparisons: Vec<Comparison>,
    /// The policy's least similarity of an uploaded photo to the member in the selfie.
    pub photo_similarity: f32,
    /// Where false-match rates come from.
    pub curve: CurveReport,
    #[serde(skip)]
    all: bool,
}

/// Compares the tallest faces of two photos, or all with all.
///
/// # Errors
/// [`Error::Input`] naming the photo without a face that can be compared.
pub fn compare(
    pictures: [&Picture; 2],
    all: bool,
    (model, curve): (&str, &Curve),
    policy: &Policy,
) -> Result<CompareAnswer> {
    let [a, b] = pictures;
    let sides = [chosen(a, all)?, chosen(b, all)?];
    let mut comparisons = Vec::new();
    for (face_a, one) in &sides[0] {
        for (face_b, other) in &sides[1] {
            let similarity = similarity(&one.template, &other.template);
            comparisons.push(Comparison {
                face_a: *face_a,
                face_b: *face_b,
                similarity,
                chance: curve.at(similarity, [one.quality.score, other.quality.score]),
                likelihood_ratio: curve.likelihood_ratio(similarity, [one.quality.score, other.quality.score]),
                false_non_match_rate: curve.missed(similarity),
            });
        }
    }
    let side = |picture: &Picture, chosen: &[(usize, &Reading)]| Side {
        photo: picture.path.clone(),
        faces_found: picture.seen.faces.len(),
        faces: picture
            .faces()
            .filter(|(number, _)| chosen.iter().any(|(known, _)| known == number))
            .map(|(number, face)| FaceFacts::of(number, face, policy))
            .collect(),
        principal: picture.principal().map_or(0, |(number, ..)| number),
    };
    Ok(CompareAnswer {
        model: model.to_owned(),
        a: side(a, &sides[0]),
        b: side(b, &sides[1]),
        comparisons,
        photo_similarity: policy.matching.photo_similarity,
        curve: curve.report(),
        all,
    })
}

/// The faces of a photo that are compared, with their numbers.
fn chosen(picture: &Picture, all: bool) -> Result<Vec<(usize, &Reading)>> {
    let found: Vec<(usize, &Reading)> = match all {
        true => picture.read_faces().map(|(number, _, reading)| (number, reading)).collect(),
        false => picture.principal().map(|(number, _, reading)| (number, reading)).into_iter().collect(),
    };
    if found.is_empty() {
        let fix = "give a photo that shows the face from the front, large enough and sharp";
        return Err(Error::input(&picture.path, "photo", "a face that can be compared", "no face", fix));
    }
    Ok(found)
}

impl std::fmt::Display for CompareAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (letter, side) in [("A", &self.a), ("B", &self.b)] {
            write!(f, "{letter}  {}", side.photo.display())?;
            match (side.faces_found, self.all) {
                (1, _) => writeln!(f)?,
                (n, true) => writeln!(f, ": {n} faces, {} compared", side.faces.len())?,
                (n, false) => {
                    writeln!(f, ": {n} faces; compared is the tallest, face {} from the left", side.principal)?;
                }
            }
            for face in &side.faces {
                writeln!(f, "   {}: {}", face.place(), face.described())?;
            }
        }
        writeln!(f)?;
        if self.all {
            self.matrix(f)?;
        } else {
            self.comparisons.iter().try_for_each(|pair| self.pair(pair, f))?;
        }
        write!(f, "Judged by {}. --json has the rates.", self.curve.source)
    }
}

impl CompareAnswer {
    fn pair(&self, pair: &Comparison, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kin = if pair.likelihood_ratio > 2.0 { "; twins and other close kin look as alike" } else { "" };
        writeln!(f, "{}{kin}.", sentence(&support(pair.likelihood_ratio)))
    }

    /// Faces of A down, faces of B across.
    fn matrix(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let header: Vec<String> = std::iter::once("the faces speak".to_owned())
            .chain(self.b.faces.iter().map(|face| format!("B face {}", face.number)))
            .collect();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let width = self.b.faces.len().max(1);
        let rows: Vec<Vec<String>> = self
            .comparisons
            .chunks(width)
            .map(|row| {
                let name = row.first().map(|pair| format!("A face {}", pair.face_a));
                let cell = |pair: &Comparison| support(pair.likelihood_ratio).replace("the faces speak ", "");
                name.into_iter().chain(row.iter().map(cell)).collect()
            })
            .collect();
        write!(f, "{}", table(&header, &rows))
    }
}

/// With a capital letter.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
