//! How similar different people are: the false-match rate, fitted on the run's own scores.
//!
//! # What it is fitted on
//! Scores of pairs known to be different people without any label: the two people of one selfie, and members of
//! different districts drawn at random, which almost never are one person.
//!
//! # How
//! 1. **True duplicates out.** The upper end is taken apart into different people and mates ([`super::mixture`]);
//!    in each of its bins as many scores as are mates' are removed, and how many is reported.
//! 2. **Body**: the empirical distribution of what remains.
//! 3. **Tail**: a generalised Pareto tail ([`super::pareto`]) above the lowest of several thresholds from which on it fits
//!    (Anderson-Darling p at least [`GOOD_FIT`]; Bader, Yan and Zhang 2018). A lower threshold has more scores, a
//!    higher one is nearer to what is extrapolated; goodness of fit decides.
//! 4. **Upper bound**: the 95th percentile of [`RESAMPLES`] fits, each with every identity drawn anew (a pair weighs the
//!    product of its two people's draws: Owen, "The pigeonhole bootstrap", 2007), for one odd face spoils all its
//!    pairs at once. The belief about the shape is drawn anew as well.
//! 5. **Far end**: what a search of the gallery and a larger sample of pairs add is [`super::far`]'s.
//!
//! NIST FRTE (Part 2, and Part 3 on demographic differentials, NISTIR 8280) shows false-match rates that differ tenfold
//! and more between groups of people: hence the fit on the run's own scores, in strata where they suffice.

use rayon::prelude::*;
use serde::Serialize;

use super::far::FarReport;
use super::mixture::{Anchor, part};
use super::pareto::{Belief, Beliefs, Binned, Tail, fit, goodness};
use super::prior::{FalseMatchRate, STEPS};
use super::random::{Random, mix, poisson_weight};

/// Least number of scores a tail is fitted on.
pub const LEAST_SCORES: usize = 5_000;

/// Least number of scores in the tail.
pub(super) const LEAST_EXCEEDANCES: usize = 60;

/// Most scores in the tail: beyond, more of them only bring the tail's start nearer to the body.
const MOST_EXCEEDANCES: usize = 4_000;

/// Anderson-Darling p-value from which on a tail fits.
pub const GOOD_FIT: f64 = 0.10;

/// Number of resamples behind an upper bound.
pub const RESAMPLES: usize = 200;

/// Shares of the scores tried as tails, largest first.
const TAIL_SHARES: [f64; 7] = [0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001];

/// Shapes of impostor tails before the data. On the pictures behind the shipped curves ([`super::prior`]) the shape above
/// false-match rates of 1e-2, 1e-3, 1e-4 and 3e-5 is -0.08, -0.06, -0.05, -0.04 (SFace) and -0.12, -0.09, -0.06, -0.04
/// (MobileFaceNet-192): the deeper, the nearer to 0, as theory has it for anything near normal.
const SHAPE: Belief = Belief { mean: -0.06, deviation: 0.04 };

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

/// Where a model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// From this run's own scores.
    Fitted,
    /// From the curve shipped for the network: the run has too few scores.
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
    /// Finite scores given.
    pub scores: usize,
    /// Scores removed because they are rather mates'.
    pub removed: usize,
    /// The tail's start, cosine.
    pub threshold: Option<f64>,
    /// Scores in the tail.
    pub exceedances: usize,
    /// The tail's scale, cosine.
    pub scale: Option<f64>,
    /// The tail's shape.
    pub shape: Option<f64>,
    /// Anderson-Darling p-value of the tail.
    pub goodness: Option<f64>,
    /// What the candidates of the search added.
    pub far: Option<FarReport>,
}

impl ImpostorReport {
    /// Where the curve comes from, for people.
    pub fn source(&self) -> String {
        let prior = self.prior.as_deref().unwrap_or("for this network");
        match (self.basis, self.scores) {
            (Basis::Kept, _) => format!("the store's last audit: {prior}"),
            (Basis::Fitted, scores) => format!("a curve fitted on {scores} scores of different people here"),
            (Basis::Prior, 0) => format!("the shipped curve ({prior})"),
            (Basis::Prior, scores) => {
                format!("the shipped curve ({prior}; only {scores} scores of different people here)")
            }
        }
    }
}

/// A false-match rate with its upper bound.
#[derive(Debug, Clone, PartialEq)]
pub struct ImpostorModel {
    pub(super) rate: FalseMatchRate,
    pub(super) upper: FalseMatchRate,
    pub(super) report: ImpostorReport,
    pub(super) resampled: Vec<FalseMatchRate>,
}

impl ImpostorModel {
    /// The curve shipped for a network, with its upper bound.
    pub fn from_prior(name: &str, rate: FalseMatchRate, upper: FalseMatchRate, scores: usize) -> Self {
        let report = ImpostorReport {
            basis: Basis::Prior,
            prior: Some(name.to_owned()),
            scores,
            removed: 0,
            threshold: None,
            exceedances: 0,
            scale: None,
            shape: None,
            goodness: None,
            far: None,
        };
        ImpostorModel { rate, upper, report, resampled: Vec::new() }
    }

    /// The curve that an earlier run was judged with. `source` says where it came from.
    pub fn kept(source: &str, rate: FalseMatchRate, upper: FalseMatchRate, scores: usize) -> Self {
        let mut model = Self::from_prior(source, rate, upper, scores);
        model.report.basis = Basis::Kept;
        model
    }

    /// Fits the scores, or `None` where they are too few, or all alike. Their order does not matter.
    pub fn fit(scores: &[ImpostorScore]) -> Option<Self> {
        let sample = Sample::new(scores)?;
        let (chosen, goodness) = sample.choose_tail()?;
        let rate = sample.curve(&sample.histogram(&vec![1.0; sample.people.len()]), &chosen);
        let resampled: Vec<FalseMatchRate> = (0..RESAMPLES as u64)
            // Each resample depends on its number alone, and they come back in order, whatever thread made them.
            .into_par_iter()
            .filter_map(|r| sample.resample(r, &chosen))
            .collect();
        let upper = upper_bound(&resampled, &rate);
        let report = ImpostorReport {
            basis: Basis::Fitted,
            prior: None,
            scores: sample.scores.len() + sample.removed,
            removed: sample.removed,
            threshold: Some(chosen.start),
            exceedances: (chosen.rate * sample.scores.len() as f64).round() as usize,
            scale: Some(chosen.scale),
            shape: Some(chosen.shape),
            goodness: Some(goodness),
            far: None,
        };
        Some(ImpostorModel { rate, upper, report, resampled })
    }

    /// The false-match rate at a similarity: the share of pairs of different people at least this similar, 0..=1.
    pub fn fmr(&self, similarity: f32) -> f64 {
        self.rate.at(similarity)
    }

    /// Upper bound of [`Self::fmr`], one-sided 95 %.
    pub fn fmr_upper(&self, similarity: f32) -> f64 {
        self.upper.at(similarity)
    }

    /// Lower and upper bound of [`Self::fmr`], each one-sided 95 %: what the resamples show.
    pub(super) fn fmr_between(&self, similarity: f32) -> [f64; 2] {
        let mut rates: Vec<f64> = self.resampled.iter().map(|curve| curve.at(similarity)).collect();
        rates.sort_by(f64::total_cmp);
        let at = |share: f64| rates.get((share * rates.len() as f64) as usize).copied();
        [at(0.05).unwrap_or(0.0), at(0.95).unwrap_or(1.0)]
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

/// At each similarity the rate that 95 % of the resamples do not exceed, and never less than the estimate itself.
pub(super) fn upper_bound(resampled: &[FalseMatchRate], rate: &FalseMatchRate) -> FalseMatchRate {
    let at = |s: f64| {
        let mut values: Vec<f64> = resampled.iter().map(|curve| curve.log10(s as f32)).collect();
        values.sort_by(f64::total_cmp);
        let index = (values.len() as f64 * 0.95).ceil() as usize;
        values.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
    };
    FalseMatchRate::from_log(|s| at(s) * std::f64::consts::LN_10).widest(rate)
}

/// Scores cleaned of mates, ascending.
struct Sample {
    scores: Vec<ImpostorScore>,
    removed: usize,
    /// Who is in them, ascending.
    people: Vec<u64>,
    /// The two people of each score, as places in `people`.
    places: Vec<[u32; 2]>,
}

impl Sample {
    fn new(scores: &[ImpostorScore]) -> Option<Self> {
        let mut scores: Vec<ImpostorScore> = scores.iter().filter(|s| s.similarity.is_finite()).copied().collect();
        scores.sort_by(|x, y| x.similarity.total_cmp(&y.similarity).then((x.a, x.b).cmp(&(y.a, y.b))));
        if scores.len() < LEAST_SCORES || scores.first()?.similarity == scores.last()?.similarity {
            return None;
        }
        let before = scores.len();
        // Not below where a tail would be fitted: the body bends, and humps would be found to make up for it.
        let upper = (before / 50).min(MOST_EXCEEDANCES);
        let start = f64::from(scores[before - upper].similarity);
        let counts = Binned::new(scores.iter().map(|s| (f64::from(s.similarity), 1.0)), start, 0.002);
        let anchor = Anchor { beliefs: Beliefs { shape: SHAPE, log_scale: None }, log_rate: None };
        if let Some(mixture) = part(&counts, start, before as f64, &anchor) {
            let bin = |s: f32| (((f64::from(s) - start) / counts.width) as usize).min(counts.weights.len() - 1);
            // As many as are mates' in each bin, spread through it, so that what stays is distributed as strangers are.
            let mut owed = vec![0.0; counts.weights.len()];
            scores.retain(|s| {
                if f64::from(s.similarity) < start {
                    return true;
                }
                let owed = &mut owed[bin(s.similarity)];
                *owed += 1.0 - mixture.stranger_share(bin(s.similarity));
                let stays = *owed < 0.5;
                *owed -= f64::from(u8::from(!stays));
                stays
            });
        }
        let mut people: Vec<u64> = scores.iter().flat_map(|s| [s.a, s.b]).collect();
        people.sort_unstable();
        people.dedup();
        let place = |who: u64| people.partition_point(|&p| p < who) as u32;
        let places = scores.iter().map(|s| [place(s.a), place(s.b)]).collect();
        Some(Sample { removed: before - scores.len(), scores, people, places })
    }

    fn exceedances(&self, count: usize) -> (f64, Vec<f64>) {
        let first = self.scores.len() - count;
        let start = f64::from(self.scores[first].similarity);
        (start, self.scores[first..].iter().map(|s| f64::from(s.similarity) - start).collect())
    }

    /// The largest tail that fits, or else the one that fits best; with its p-value.
    fn choose_tail(&self) -> Option<(Tail, f64)> {
        let n = self.scores.len();
        let mut counts: Vec<usize> = TAIL_SHARES.iter().map(|share| (share * n as f64) as usize).collect();
        counts.push(MOST_EXCEEDANCES.min(n / 20));
        counts.retain(|c| (LEAST_EXCEEDANCES..=MOST_EXCEEDANCES).contains(c));
        counts.sort_unstable_by(|x, y| y.cmp(x));
        counts.dedup();
        let mut best: Option<(Tail, f64)> = None;
        for count in counts {
            let (start, exceedances) = self.exceedances(count);
            let beliefs = Beliefs { shape: SHAPE, log_scale: None };
            let mean = exceedances.iter().sum::<f64>() / count as f64;
            let width = (mean / 20.0).max(1e-5);
            let binned = Binned::new(exceedances.iter().map(|&y| (y, 1.0)), 0.0, width);
            let Some((scale, shape)) = fit(&binned, &beliefs) else { continue };
            let p = goodness(&exceedances, width, (scale, shape), &beliefs);
            if best.is_none_or(|(_, before)| p > before) {
                best = Some((Tail { start, rate: count as f64 / n as f64, scale, shape }, p));
            }
            if p >= GOOD_FIT {
                break;
            }
        }
        best
    }

    /// Weight of a score: that of its two people.
    fn weight(&self, score: usize, people: &[f64]) -> f64 {
        let [a, b] = self.places[score];
        people[a as usize] * people[b as usize]
    }

    /// Weighted scores at or above each point of a curve.
    fn histogram(&self, people: &[f64]) -> Vec<f64> {
        let mut counts = vec![0.0; (2.0 * STEPS) as usize + 1];
        for (at, score) in self.scores.iter().enumerate() {
            let bin = ((f64::from(score.similarity) + 1.0) * STEPS).clamp(0.0, 2.0 * STEPS) as usize;
            counts[bin] += self.weight(at, people);
        }
        (0..counts.len() - 1).rev().for_each(|k| counts[k] += counts[k + 1]);
        counts
    }

    /// The empirical body with a tail.
    fn curve(&self, above: &[f64], tail: &Tail) -> FalseMatchRate {
        let total = above[0].max(1e-300);
        let body = |s: f64| {
            let at = ((s + 1.0) * STEPS).round().clamp(0.0, 2.0 * STEPS) as usize;
            (above[at] / total).max(tail.rate)
        };
        FalseMatchRate::from_log(|s| if s >= tail.start { tail.log_survival(s) } else { body(s).ln() })
    }

    /// The curve with every identity drawn anew.
    fn resample(&self, r: u64, chosen: &Tail) -> Option<FalseMatchRate> {
        let people: Vec<f64> = self.people.iter().map(|&who| poisson_weight(who, r)).collect();
        let mut belief = SHAPE;
        belief.mean += SHAPE.deviation * Random::new(mix(r)).normal();
        let from = self.scores.partition_point(|s| f64::from(s.similarity) < chosen.start);
        let tail_scores =
            (from..self.scores.len()).map(|k| (f64::from(self.scores[k].similarity), self.weight(k, &people)));
        let binned = Binned::new(tail_scores, chosen.start, (chosen.scale / 20.0).max(1e-5));
        let (scale, shape) = fit(&binned, &Beliefs { shape: belief, log_scale: None })?;
        let above = self.histogram(&people);
        if above[0] <= 0.0 {
            return None;
        }
        let rate = (binned.total() / above[0]).clamp(1e-300, 1.0);
        Some(self.curve(&above, &Tail { start: chosen.start, rate, scale, shape }))
    }
}
