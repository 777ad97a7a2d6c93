//! Groups of pairs whose impostor scores may differ.
//!
//! NIST FRTE finds false-match rates that differ between groups of people by a factor of ten and more (Part 3, NISTIR
//! 8280): women with women, children with children, people of one origin; and poor pictures are alike in their poverty.
//! Of all these the dump tells only the quality of the picture. It has no column for sex or age, and both are too
//! grave to be guessed from a face; [`NOT_TOLD`] says so in `run.json`. Whoever has them groups members by
//! [`super::Enrolment::group`], and everything here works the same.
//!
//! A stratum has a curve of its own where its scores suffice for one and it differs: where the pooled rate at the
//! stratum's own one-in-a-thousand score lies outside the stratum's own bounds. Else the pooled curve serves it.

use serde::Serialize;

use super::impostor::{Basis, ImpostorModel, ImpostorReport};
use super::{Impostors, stratum};

/// What the dump does not tell, so that no stratum is made of it.
pub const NOT_TOLD: &str = "sex and age: the dump has no such columns, and they are not guessed from faces";

/// Quality below which a face is of the low band, and of the fair band.
const BANDS: [f32; 2] = [0.5, 0.9];

/// The group of a face of this quality, 0..=1: 1 low, 2 fair, 3 good; 0 for NaN.
pub fn quality_group(quality: f32) -> u8 {
    match quality {
        q if q.is_nan() => 0,
        q if q < BANDS[0] => 1,
        q if q < BANDS[1] => 2,
        _ => 3,
    }
}

/// The stratum of two faces of these qualities.
pub fn quality_stratum(a: f32, b: f32) -> u16 {
    stratum(quality_group(a), quality_group(b))
}

/// A stratum in words.
pub fn name(stratum: u16) -> String {
    let group = |group: u16| match group {
        0 => "unknown".to_owned(),
        1 => "low quality".to_owned(),
        2 => "fair quality".to_owned(),
        3 => "good quality".to_owned(),
        other => format!("group {other}"),
    };
    match (stratum >> 8, stratum & 0xff) {
        (a, b) if a == b => group(a),
        (a, b) => format!("{} with {}", group(a), group(b)),
    }
}

/// Which curve serves a stratum, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// Its own.
    Own,
    /// The pooled one: too few scores for its own.
    PooledTooFew,
    /// The pooled one: it does not differ.
    PooledNoDifference,
}

/// One stratum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StratumReport {
    /// In words.
    pub name: String,
    /// Impostor scores in it.
    pub scores: usize,
    /// Which curve serves it.
    pub curve: Curve,
    /// How many times as often two people of it are as alike as one pair in a thousand of all is; `None` where its
    /// scores are too few to say.
    pub ratio: Option<f64>,
    /// The similarity that the policy's limit comes to.
    pub review_similarity: f32,
    /// Its curve, where it has one of its own.
    pub impostors: Option<ImpostorReport>,
}

/// A stratum as fitted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stratum {
    pub name: u16,
    pub scores: usize,
    pub curve: Curve,
    pub ratio: Option<f64>,
    pub model: Option<ImpostorModel>,
}

impl Stratum {
    /// Decides whether a stratum's own curve differs from the pooled one.
    pub(super) fn new(name: u16, scores: usize, own: Option<ImpostorModel>, pooled: &ImpostorModel) -> Self {
        let both = |own: &ImpostorModel| [own, pooled].iter().all(|model| model.report().basis == Basis::Fitted);
        let Some(own) = own.filter(both) else {
            return Stratum { name, scores, curve: Curve::PooledTooFew, ratio: None, model: None };
        };
        const RATE: f64 = 1e-3;
        let ratio = Some(own.fmr(pooled.rate().inverse(RATE)) / RATE);
        let [low, high] = own.fmr_between(own.rate().inverse(RATE));
        let there = pooled.fmr(own.rate().inverse(RATE));
        match (low..=high).contains(&there) {
            true => Stratum { name, scores, curve: Curve::PooledNoDifference, ratio, model: None },
            false => Stratum { name, scores, curve: Curve::Own, ratio, model: Some(own) },
        }
    }

    /// One whose own curve an earlier run was judged with.
    pub(super) fn kept(name: u16, model: ImpostorModel) -> Self {
        Stratum { name, scores: model.report().scores, curve: Curve::Own, ratio: None, model: Some(model) }
    }

    pub(super) fn report(&self, own: Option<&ImpostorModel>, pooled: &ImpostorModel, rate: f64) -> StratumReport {
        StratumReport {
            name: name(self.name),
            scores: self.scores,
            curve: self.curve,
            ratio: self.ratio,
            review_similarity: own.unwrap_or(pooled).rate().inverse(rate),
            impostors: own.map(|model| model.report().clone()),
        }
    }
}

impl Impostors {
    /// Strata with curves of their own.
    pub fn strata(&self) -> impl Iterator<Item = (u16, &ImpostorModel)> {
        self.strata.iter().filter_map(|s| Some((s.name, s.model.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_have_names() {
        assert_eq!(name(quality_stratum(0.95, 0.2)), "low quality with good quality");
        assert_eq!(name(quality_stratum(0.7, 0.7)), "fair quality");
        assert_eq!(quality_stratum(0.2, 0.95), quality_stratum(0.95, 0.2));
        assert_eq!(quality_group(f32::NAN), 0);
    }
}
