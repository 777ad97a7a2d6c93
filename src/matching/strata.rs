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

use super::impostor::{Basis, ImpostorModel, ImpostorReport, ImpostorScore, Upper};
use super::persons::MOST_WITH_ALL_PAIRS;
use super::{null, persons, prior};
use crate::gallery::Thinning;
use crate::infer::ModelId;

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

/// How similar different people are, pooled and by stratum.
#[derive(Debug, Clone, PartialEq)]
pub struct Impostors {
    pub(super) prior: prior::Prior,
    /// Pairs at least this similar are beyond doubt one person.
    pub(super) sure: f32,
    pooled: ImpostorModel,
    pub(super) strata: Vec<Stratum>,
    upper: Option<Upper>,
}

impl Impostors {
    /// Fits the scores of pairs known to differ; with too few of them, or where no curve describes them, the curve shipped for
    /// the network stands in. Of memberships that are beyond doubt one person one votes.
    /// A stratum with too few scores of its own, or that does not differ, uses the pooled curve.
    pub fn new(model: &ModelId, scores: &[ImpostorScore]) -> Self {
        let prior = prior::of(model);
        let sure = persons::sure_similarity(&prior.rate());
        let persons = persons::Persons::of(scores.iter().map(|s| (s.a, s.b, s.similarity)), sure);
        let finite = scores.iter().filter(|s| s.similarity.is_finite());
        let kept: Vec<ImpostorScore> = finite.filter(|s| persons.vote(s.a, s.b)).copied().collect();
        let removed = scores.len() - kept.len();
        let pooled = ImpostorModel::fit(&kept, removed, &prior).unwrap_or_else(|| prior.model(kept.len()));
        let mut names: Vec<u16> = kept.iter().map(|s| s.stratum).collect();
        names.sort_unstable();
        names.dedup();
        let fit = |&name: &u16| {
            let own: Vec<ImpostorScore> = kept.iter().filter(|s| s.stratum == name).copied().collect();
            Stratum::new(name, own.len(), ImpostorModel::fit(&own, 0, &prior), &pooled)
        };
        let strata = if names.len() > 1 { names.iter().map(fit).collect() } else { Vec::new() };
        Impostors { prior, sure, pooled, strata, upper: None }
    }

    /// What a search may leave out: of persons with more memberships than all pairs are kept of, it need not find them all.
    pub fn thinning(&self) -> Thinning {
        Thinning { sure: self.sure, most: MOST_WITH_ALL_PAIRS }
    }

    /// The layer of the sample's top: of all pairs, or of a stratum that has this share of them.
    pub(super) fn upper_layer(&self, stratum: Option<(u16, f64)>) -> Option<null::Layer> {
        self.upper.as_ref().map(|upper| upper.layer(self.sure, stratum))
    }

    /// The curves that an earlier run was judged with: the pooled one, and those of strata that have their own.
    pub fn kept(model: &ModelId, pooled: ImpostorModel, strata: impl Iterator<Item = (u16, ImpostorModel)>) -> Self {
        let strata = strata.map(|(name, model)| Stratum::kept(name, model)).collect();
        let prior = prior::of(model);
        Impostors { sure: persons::sure_similarity(&prior.rate()), prior, pooled, strata, upper: None }
    }

    /// With the top of a larger sample of pairs known to differ: it tells the far end of the curve where a search finds more
    /// mates than strangers.
    pub fn with_upper(self, upper: Upper) -> Self {
        Impostors { upper: Some(upper), ..self }
    }

    /// That sample.
    pub fn upper(&self) -> Option<&Upper> {
        self.upper.as_ref()
    }

    /// The pooled curve.
    pub fn pooled(&self) -> &ImpostorModel {
        &self.pooled
    }

    /// The curve of a stratum: its own where there is one, else the pooled one.
    pub fn of(&self, stratum: u16) -> &ImpostorModel {
        self.strata().find(|(name, _)| *name == stratum).map_or(&self.pooled, |(_, model)| model)
    }

    /// Strata with curves of their own.
    pub fn strata(&self) -> impl Iterator<Item = (u16, &ImpostorModel)> {
        self.strata.iter().filter_map(|s| Some((s.name, s.model.as_ref()?)))
    }
}

/// The stratum of a pair of two groups, the same either way round.
pub fn stratum(a: u8, b: u8) -> u16 {
    u16::from(a.min(b)) << 8 | u16::from(a.max(b))
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
