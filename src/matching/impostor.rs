//! How similar different people are: the false-match rate, fitted on the run's own scores.
//!
//! # What it is fitted on
//! - **Body**: pairs known to be different people without any label: the two people of one selfie, and members of
//!   different districts and workers drawn at random, which almost never are one person.
//! - **Top of a larger sample** of such pairs ([`Upper`]), and **the search** of the whole gallery, which returns every pair
//!   above its floor. They reach down to one pair in all pairs of a gallery.
//!
//! Persons who are there many times vote once ([`super::persons`]). The curve is [`super::null`]'s; where it does not
//! describe the scores, the one shipped for the network stands in, and [`ImpostorReport::poor_fit`] says so.
//!
//! NIST FRTE (Part 2, and Part 3 on demographic differentials, NISTIR 8280) shows false-match rates that differ tenfold
//! and more between groups of people: hence the fit on the run's own scores, in strata where they suffice.

use std::collections::HashSet;

use serde::Serialize;

use super::null::{Histogram, Layer, Null, TOP_DISPERSION, dispersion_of};
use super::persons::{Persons, pairs_left};
use super::prior::{Prior, UPPER_LOG10};
use super::rate::FalseMatchRate;

/// Least number of scores a curve is fitted on.
pub const LEAST_SCORES: usize = 5_000;

/// What is found in a search says something when at least so many pairs of strangers are expected in it.
const LEAST_FALSE_CANDIDATES: f64 = 30.0;

/// The share of a sample of pairs that [`Upper`] should hold.
pub const UPPER_SHARE: f64 = 3e-5;

/// Standard deviations from the estimate to a one-sided 95 % bound.
const BOUND: f64 = 1.645;

/// Score of two people known to differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImpostorScore {
    /// Who the one is; equal numbers are one person (or one enrolment, where that is all that is known).
    pub a: u64,
    /// Who the other is.
    pub b: u64,
    /// Cosine of the two masters, -1..=1.
    pub similarity: f32,
    /// Group of pairs it belongs to; 0 where groups are not told apart.
    pub stratum: u16,
}

/// The most similar pairs of a sample too large to be kept: all of `compared` pairs known to be of different people at or
/// above `floor`. What is known of them is what is known of [`ImpostorScore`]: some may be mates all the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Upper {
    /// Least similarity.
    pub floor: f32,
    /// Pairs compared.
    pub compared: f64,
    /// Those at or above the floor.
    pub scores: Vec<ImpostorScore>,
}

impl Upper {
    /// Its layer; of one stratum, where one is named with its share of the pairs compared. One of each person votes.
    pub(super) fn layer(&self, sure: f32, stratum: Option<(u16, f64)>) -> Layer {
        let persons = Persons::of(self.scores.iter().map(|s| (s.a, s.b, s.similarity)), sure);
        let members = (2.0 * self.compared).sqrt();
        let pairs = pairs_left(self.compared, members, members - persons.silent() as f64);
        let wanted = |s: &&ImpostorScore| persons.vote(s.a, s.b) && stratum.is_none_or(|(name, _)| s.stratum == name);
        let scores = Histogram::of(self.scores.iter().filter(wanted).map(|s| s.similarity));
        let share = stratum.map_or(1.0, |(_, share)| share);
        Layer { floor: f64::from(self.floor), pairs: pairs * share, scores, dispersion: TOP_DISPERSION }
    }
}

/// What a search found, one of each person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SearchLayer {
    /// Pairs compared.
    pub compared: f64,
    /// Every compared pair at least this similar is among those found.
    pub floor: f32,
    /// The similarities found.
    pub scores: Histogram,
}

/// Where a model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// From this run's own scores.
    Fitted,
    /// From the curve shipped for the network: the run has too few scores, or no curve fits them.
    Prior,
    /// From the curve that an earlier run was judged with. It is final.
    Kept,
}

/// What was fitted, for `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImpostorReport {
    /// Where the body of the curve comes from.
    pub basis: Basis,
    /// The shipped curve behind a prior; behind a kept curve where that came from.
    pub prior: Option<String>,
    /// Why the run's own scores were not used, though there were enough.
    pub poor_fit: Option<String>,
    /// Finite scores given.
    pub scores: usize,
    /// Scores left out because they are of memberships whose person votes already.
    pub removed: usize,
    /// Coefficients of the normal deviate of the rate, over `(cosine - origin) x slope` of the shipped curve at 1e-4.
    pub deviate: Option<Vec<f64>>,
    /// Beyond this cosine no scores were fitted, and the deviate goes on as a line.
    pub measured_up_to: Option<f64>,
    /// Variance of the counts over what the curve expects; near 1 where it describes them.
    pub misfit: Option<f64>,
    /// What the candidates of the search added.
    pub far: Option<FarReport>,
}

/// The far end, fitted on the candidates of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FarReport {
    /// Pairs compared in a sample of pairs known to differ, where it was used.
    pub sample: Option<f64>,
    /// Every compared pair at least this similar was a candidate.
    pub floor: f64,
    /// Candidates, one of each person.
    pub candidates: usize,
    /// False pairs the curve predicted above the floor before the candidates were seen.
    pub predicted: f64,
    /// False pairs among the candidates after fitting.
    pub false_pairs: f64,
    /// True pairs among the candidates.
    pub mated_pairs: f64,
}

impl ImpostorReport {
    /// Where the curve comes from, for people.
    pub fn source(&self) -> String {
        let prior = self.prior.as_deref().unwrap_or("for this network");
        match (self.basis, self.scores, &self.poor_fit) {
            (Basis::Kept, _, _) => format!("the store's last audit: {prior}"),
            (Basis::Fitted, scores, _) => format!("a curve fitted on {scores} scores of different people here"),
            (Basis::Prior, _, Some(why)) => format!("the shipped curve ({prior}; {why})"),
            (Basis::Prior, 0, None) => format!("the shipped curve ({prior})"),
            (Basis::Prior, scores, None) => {
                format!("the shipped curve ({prior}; only {scores} scores of different people here)")
            }
        }
    }

    /// A warning for people, where a curve was expected and none fits.
    pub fn warning(&self) -> Option<String> {
        let why = self.poor_fit.as_ref()?;
        Some(format!(
            "WARNING: false matches are counted with the shipped curve, for {why}. People here may be more alike than those \
             behind it: look at the pairs before you trust the numbers"
        ))
    }
}

/// A false-match rate with its upper bound.
#[derive(Debug, Clone, PartialEq)]
pub struct ImpostorModel {
    rate: FalseMatchRate,
    upper: FalseMatchRate,
    lower: FalseMatchRate,
    report: ImpostorReport,
    /// The scores known to differ that it was fitted on.
    body: Option<Layer>,
}

impl ImpostorModel {
    /// The curve shipped for a network, with its upper bound.
    pub fn from_prior(name: &str, rate: FalseMatchRate, upper: FalseMatchRate, scores: usize) -> Self {
        let report = ImpostorReport {
            basis: Basis::Prior,
            prior: Some(name.to_owned()),
            poor_fit: None,
            scores,
            removed: 0,
            deviate: None,
            measured_up_to: None,
            misfit: None,
            far: None,
        };
        ImpostorModel { lower: rate.clone(), rate, upper, report, body: None }
    }

    /// The curve that an earlier run was judged with. `source` says where it came from.
    pub fn kept(source: &str, rate: FalseMatchRate, upper: FalseMatchRate, scores: usize) -> Self {
        let mut model = Self::from_prior(source, rate, upper, scores);
        model.report.basis = Basis::Kept;
        model
    }

    /// Fits scores of which one of each person is left; `removed` were not. `None` where they are too few, or all alike.
    pub(super) fn fit(scores: &[ImpostorScore], removed: usize, prior: &Prior) -> Option<Self> {
        let finite = || scores.iter().map(|s| s.similarity).filter(|s| s.is_finite());
        let (count, low, high) =
            finite().fold((0, f32::INFINITY, f32::NEG_INFINITY), |(n, low, high), s| (n + 1, low.min(s), high.max(s)));
        if count < LEAST_SCORES || low == high {
            return None;
        }
        let people: HashSet<u64> = scores.iter().flat_map(|s| [s.a, s.b]).collect();
        let dispersion = dispersion_of(count, people.len());
        let histogram = Histogram::of(finite());
        let body = Layer { floor: -1.0, pairs: count as f64, scores: histogram, dispersion };
        let model = Self { body: Some(body), ..prior.model(count + removed) };
        let fitted = model.fitted(&[], prior, removed);
        Some(fitted.unwrap_or_else(|| {
            let misfit = "the scores of different people here follow no curve that is known".to_owned();
            let mut poor = prior.model(count + removed);
            (poor.report.poor_fit, poor.report.removed) = (Some(misfit), removed);
            poor
        }))
    }

    /// With deeper layers; `None` where no curve describes them.
    fn fitted(&self, deeper: &[Layer], prior: &Prior, removed: usize) -> Option<Self> {
        let layers: Vec<Layer> = self.body.iter().chain(deeper).cloned().collect();
        let null = Null::fit(&layers, prior).filter(|null| !null.is_poor())?;
        let body = self.body.as_ref().map_or_else(|| self.rate.clone(), |body| empirical(&body.scores));
        let rate = null.rate(&body, 0.0);
        let upper = null.rate(&body, BOUND).widest(&rate);
        let mut report = self.report.clone();
        if self.body.is_some() {
            (report.basis, report.prior) = (Basis::Fitted, None);
        }
        report.removed = removed;
        report.deviate = Some(null.coefficients.to_vec());
        report.measured_up_to = Some(null.last);
        report.misfit = Some(null.misfit);
        if let Some(search) = deeper.last() {
            report.far = Some(FarReport {
                sample: deeper.len().checked_sub(2).map(|at| deeper[at].pairs),
                floor: search.floor,
                candidates: search.scores.total() as usize,
                predicted: self.fmr(search.floor as f32) * search.pairs,
                false_pairs: rate.at(search.floor as f32) * search.pairs,
                mated_pairs: null.mates * (1.0 - prior.fnmr(search.floor as f32)),
            });
        }
        Some(ImpostorModel { lower: null.rate(&body, -BOUND), rate, upper, report, body: self.body.clone() })
    }

    /// Carries the curve on with the top of a sample and with what a search of the gallery found. What they cannot be
    /// described by stays as it was.
    pub(super) fn carried_on(&self, upper: Option<Layer>, search: &SearchLayer, prior: &Prior) -> Self {
        let few = self.fmr(search.floor) * search.compared < LEAST_FALSE_CANDIDATES;
        if few || self.report.basis == Basis::Kept {
            return self.clone();
        }
        let floor = f64::from(search.floor);
        let mut deeper: Vec<Layer> = upper.into_iter().filter(|u| u.floor < floor && u.pairs > 0.0).collect();
        let scores = search.scores.clone();
        deeper.push(Layer { floor, pairs: search.compared, scores, dispersion: TOP_DISPERSION });
        self.fitted(&deeper, prior, self.report.removed).unwrap_or_else(|| {
            let mut poor = prior.model(self.report.scores);
            let why = "what the search found does not go on from the scores of different people here";
            (poor.report.poor_fit, poor.report.removed) = (Some(why.to_owned()), self.report.removed);
            poor
        })
    }

    /// The false-match rate at a similarity: the share of pairs of different people at least this similar, 0..=1.
    pub fn fmr(&self, similarity: f32) -> f64 {
        self.rate.at(similarity)
    }

    /// Upper bound of [`Self::fmr`], one-sided 95 %.
    pub fn fmr_upper(&self, similarity: f32) -> f64 {
        self.upper.at(similarity)
    }

    /// Lower and upper bound of [`Self::fmr`], each one-sided 95 %.
    pub(super) fn fmr_between(&self, similarity: f32) -> [f64; 2] {
        [self.lower.at(similarity), self.upper.at(similarity)]
    }

    /// Upper bound of the curve, one-sided 95 %.
    pub fn upper_rate(&self) -> &FalseMatchRate {
        &self.upper
    }

    /// The curve itself.
    pub fn rate(&self) -> &FalseMatchRate {
        &self.rate
    }

    /// What was fitted.
    pub fn report(&self) -> &ImpostorReport {
        &self.report
    }
}

impl Prior {
    /// The curve as a model, with its upper bound; `scores` were too few to fit.
    pub fn model(&self, scores: usize) -> ImpostorModel {
        let upper = FalseMatchRate::from_points(self.strangers, UPPER_LOG10);
        ImpostorModel::from_prior(self.name, self.rate(), upper, scores)
    }
}

/// The share of scores at or above each similarity.
fn empirical(scores: &Histogram) -> FalseMatchRate {
    let above = scores.shares_above();
    FalseMatchRate::from_log(|s| above(s).max(1e-300).ln())
}
