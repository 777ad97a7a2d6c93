//! The far end of the impostor curve: from one pair in thirty thousand to one in all pairs of a gallery.
//!
//! Two thousand members show false-match rates down to 1e-5; a limit of 0.01 pairs among a million members is a rate of
//! 2e-14. Two sources lead there:
//! - **The search** of the whole gallery returns every pair above a floor. Where few are enrolled twice, those just above
//!   it are mostly different people, and carry the tail to where decisions are made.
//! - **The top of a larger sample of pairs** ([`Upper`]). Where many are enrolled twice, what a search returns is mates:
//!   at 30 % of 300,000 they are as many as strangers at a rate of 3e-7 and a thousand times as many at the limits, and
//!   what of them is not described to a thousandth would be taken for strangers. Their share of all pairs is the same
//!   whatever is drawn, so lower down they are few: at [`UPPER_SHARE`] one in ten and less, just above it one in a
//!   hundred. There the sample of a thousand million pairs shows the strangers' tail as it is.
//!
//! One tail whose shape may change with depth ([`super::graded`]) runs through both, beside mates of any smooth
//! distribution ([`super::crowded`]). Its upper bound draws the tail from the parameters' covariance, widened by how much
//! pairs share people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cleared::Cleared;
use super::counts::{Counts, Seen};
use super::crowded::{Anchor, Mixture, Stretches, misfit, part, tail};
use super::graded::Graded;
use super::impostor::{Basis, ImpostorModel, ImpostorScore, LEAST_EXCEEDANCES, RESAMPLES, upper_bound};
use super::mixture;
use super::pareto::{Belief, Beliefs, Binned};
use super::prior::FalseMatchRate;
use super::random::{Random, mix};
use super::scoring::cholesky;

/// Shapes of impostor tails at the depths of a search before the data, 1e-5 and below.
const FAR_SHAPE: Belief = Belief { mean: -0.045, deviation: 0.02 };

/// The same from [`UPPER_SHARE`] on, and by how much the shape changes every stretch of [`STRETCH`] scales (two decades at
/// first): nearer to 0 on real pictures, further from it among drawn people, whose likeness has an end.
const UPPER_SHAPE: Belief = Belief { mean: -0.055, deviation: 0.03 };
const CHANGE: Belief = Belief { mean: 0.0, deviation: 0.02 };
const STRETCH: f64 = 4.0;
const STRETCHES: usize = 4;

/// The share of a sample of pairs that [`Upper`] should hold.
pub const UPPER_SHARE: f64 = 3e-5;

/// The candidates say something about the far end when at least so many of them are expected to be false.
const LEAST_FALSE_CANDIDATES: f64 = 30.0;

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
    /// Those of one stratum, which has this share of the pairs compared.
    pub(super) fn of(&self, stratum: u16, share: f64) -> Upper {
        let scores = self.scores.iter().filter(|score| score.stratum == stratum).copied().collect();
        Upper { floor: self.floor, compared: self.compared * share, scores }
    }
}

/// The far end, fitted on the candidates of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FarReport {
    /// Where the tail begins, cosine: the floor of the sample where there is one, else of the search.
    pub start: f64,
    /// Candidates that other memberships tell to be of two people, where there are many mates among the candidates.
    pub cleared: Option<usize>,
    /// Pairs compared in a sample of pairs known to differ, and how many of them reach the start.
    pub sample: Option<SampleReport>,
    /// Every compared pair at least this similar was a candidate.
    pub floor: f64,
    /// Candidates.
    pub candidates: usize,
    /// False pairs the curve predicted above the floor before the candidates were seen.
    pub predicted: f64,
    /// False pairs among the candidates after fitting.
    pub false_pairs: f64,
    /// True pairs among the candidates.
    pub mated_pairs: f64,
    /// Scale of the tail where it begins, cosine.
    pub scale: f64,
    /// Its shape, stretch by stretch.
    pub shapes: Vec<f64>,
    /// Length of a stretch, cosine.
    pub stretch: f64,
    /// Chi-square over its degrees of freedom of both populations together: near 1 where they describe what was found.
    pub dispersion: f64,
}

/// The sample of pairs behind a far end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleReport {
    /// Pairs of members of different districts and workers.
    pub compared: f64,
    /// Those at or above the start.
    pub scores: usize,
}

/// A pair that a search found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) a: u64,
    pub(super) b: u64,
    pub(super) similarity: f32,
}

impl From<&ImpostorScore> for Found {
    fn from(score: &ImpostorScore) -> Self {
        Found { a: score.a, b: score.b, similarity: score.similarity }
    }
}

/// What tells the far end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Far<'a> {
    /// Pairs that the search found.
    pub found: &'a [Found],
    /// Pairs that it compared.
    pub compared: f64,
    /// Every compared pair at least this similar is among those found.
    pub floor: f32,
    /// The top of a sample.
    pub upper: Option<&'a Upper>,
    /// Pairs among those found that are told to be of two people.
    pub cleared: Option<&'a Cleared>,
}

/// The strangers above the floor of the search, in bins of so much cosine.
#[derive(Debug, Clone)]
pub(super) struct Populations {
    pub(super) floor: f64,
    pub(super) width: f64,
    pub(super) tail: Graded,
}

impl ImpostorModel {
    /// Carries the tail on with what a search of the gallery found, all pairs at or above `searched.floor`, and with the top
    /// of a sample where its floor is lower. Returns the model and, where there was enough to fit, the two populations.
    ///
    /// The curve below bends towards the tail's new rate and keeps its place where it starts to be a tail.
    pub(super) fn with_candidates(mut self, far: &Far) -> (Self, Option<Populations>) {
        if self.report.basis == Basis::Kept {
            return (self, None);
        }
        let found = sorted(far.found.iter().copied(), far.floor);
        let upper = far.upper.filter(|upper| upper.floor < far.floor && upper.compared > 0.0);
        let sample = upper.map_or_else(Vec::new, |upper| sorted(upper.scores.iter().map(Found::from), upper.floor));
        let floor = upper.map_or(far.floor, |upper| upper.floor);
        let predicted = self.fmr(far.floor) * far.compared;
        let strangers = predicted.max(upper.map_or(0.0, |upper| self.fmr(floor) * upper.compared));
        let (hazard, anchor) = (self.hazard(floor), self.anchor(floor));
        if found.len() + sample.len() < LEAST_EXCEEDANCES || strangers < LEAST_FALSE_CANDIDATES || hazard <= 0.0 {
            return (self, None);
        }
        let scores = |of: &[Found]| of.iter().map(|f| f.similarity).collect::<Vec<f32>>();
        let (below, above) = (scores(&sample), scores(&found));
        let mut seen: Vec<Seen> = (upper.iter())
            .map(|upper| Seen { floor: f64::from(floor), pairs: upper.compared, scores: &below })
            .collect();
        seen.push(Seen { floor: f64::from(far.floor), pairs: far.compared, scores: &above });
        let mut counts = Counts::new(&seen, 0.1 / hazard);
        if let Some(cleared) = far.cleared {
            counts = counts.with_cleared(cleared, f64::from(far.floor));
        }
        let crowded = upper.is_some() || far.cleared.is_some();
        let parted = if crowded { part(&counts, &anchor) } else { plain(&counts, far.compared, &anchor) };
        let Some(mixture) = parted else { return (self, None) };
        let before = self.rate.clone();
        self.rate = bend(&before, &mixture.tail);
        let draws =
            if self.resampled.is_empty() { vec![before; RESAMPLES] } else { std::mem::take(&mut self.resampled) };
        let share = |s: f32| mixture.stranger_share(counts.bin(s));
        let dispersion = dispersion(&found, share).max(dispersion(&sample, share));
        let covariance: Vec<f64> = mixture.covariance.iter().map(|v| v * dispersion).collect();
        let root = cholesky(&covariance, mixture.at.len()).unwrap_or_else(|| vec![0.0; covariance.len()]);
        self.resampled = (0..).zip(&draws).map(|(r, curve)| bend(curve, &drawn(&mixture, &root, r))).collect();
        self.upper = upper_bound(&self.resampled, &self.rate);
        // Whole bins from the search's floor on; the one that holds the floor is counted in the sample alone.
        let from = counts.pairs.iter().take_while(|&&pairs| upper.is_some() && pairs != far.compared).count();
        self.report.far = Some(FarReport {
            start: counts.start,
            sample: upper.map(|upper| SampleReport { compared: upper.compared, scores: sample.len() }),
            cleared: far.cleared.map(|cleared| cleared.scores.len()),
            floor: f64::from(far.floor),
            candidates: found.len(),
            predicted,
            false_pairs: mixture.strangers[from..].iter().sum(),
            mated_pairs: mixture.mates[from..].iter().sum(),
            scale: mixture.tail.scale,
            shapes: mixture.tail.shapes.clone(),
            stretch: mixture.tail.stretch,
            dispersion: mixture.dispersion,
        });
        let populations = Populations { floor: f64::from(far.floor), width: counts.width, tail: mixture.tail };
        (self, Some(populations))
    }

    /// Minus the slope of the curve's logarithm: the inverse of the tail's scale there.
    fn hazard(&self, at: f32) -> f64 {
        let step = 0.01f32;
        (self.rate.log10(at) - self.rate.log10(at + step)) * std::f64::consts::LN_10 / f64::from(step)
    }

    /// What the curve so far says about the tail above a floor, and how sure it is.
    fn anchor(&self, floor: f32) -> Anchor {
        let (centre, upper) = (self.rate.log10(floor), self.upper.log10(floor));
        // A one-sided 95 % bound lies 1.645 deviations out; a model is never sure to less than a fifth of its rate.
        let deviation = ((upper - centre) * std::f64::consts::LN_10 / 1.645).max(0.2);
        let hazard = self.hazard(floor).max(1e-6);
        Anchor {
            log_rate: Some(Belief { mean: centre * std::f64::consts::LN_10, deviation }),
            log_scale: Some(Belief { mean: -hazard.ln(), deviation: 0.25 }),
            shape: UPPER_SHAPE,
            stretches: Stretches { count: STRETCHES, length: STRETCH / hazard, change: CHANGE },
        }
    }
}

/// The two populations where strangers are the many: one generalised Pareto tail and three humps.
fn plain(counts: &Counts, compared: f64, anchor: &Anchor) -> Option<Mixture> {
    let anchor = mixture::Anchor {
        beliefs: Beliefs { shape: FAR_SHAPE, log_scale: anchor.log_scale },
        log_rate: anchor.log_rate,
    };
    let binned = Binned { width: counts.width, weights: counts.weights.clone() };
    let parted = mixture::part(&binned, counts.start, compared, &anchor)?;
    let (start, Stretches { length: stretch, .. }) = (counts.start, Stretches::ONE);
    let at = vec![parted.tail.rate.max(1e-300).ln(), parted.tail.scale.ln(), parted.tail.shape];
    Some(Mixture {
        tail: tail(start, stretch, &at),
        dispersion: misfit(&counts.weights, (&parted.strangers, &parted.mates), at.len() + 9),
        covariance: parted.covariance.to_vec(),
        mates: parted.mates,
        strangers: parted.strangers,
        at,
    })
}

/// Pairs at or above a floor, ascending.
fn sorted(pairs: impl Iterator<Item = Found>, floor: f32) -> Vec<Found> {
    let mut kept: Vec<Found> = pairs.filter(|pair| pair.similarity >= floor && pair.similarity <= 1.0).collect();
    kept.sort_by(|x, y| x.similarity.total_cmp(&y.similarity).then((x.a, x.b).cmp(&(y.a, y.b))));
    kept
}

/// The curve with its end replaced: above the tail's start the tail; below, bent so that both meet there.
fn bend(curve: &FalseMatchRate, tail: &Graded) -> FalseMatchRate {
    let ln = |s: f64| curve.log10(s as f32) * std::f64::consts::LN_10;
    let off = tail.rate.max(1e-300).ln() - ln(tail.start);
    // Where one pair in a hundred is as similar, the body is known well and stays.
    let firm = f64::from(curve.inverse(1e-2)).min(tail.start - 1e-3);
    FalseMatchRate::from_log(|s| match s {
        s if s >= tail.start => tail.log_survival(s),
        s if s <= firm => ln(s),
        s => ln(s) + off * (s - firm) / (tail.start - firm),
    })
}

/// The tail with its parameters drawn from their distribution, whose covariance has this root.
fn drawn(mixture: &Mixture, root: &[f64], resample: u64) -> Graded {
    let mut random = Random::new(mix(resample ^ 0xc0ff_ee00));
    let n = mixture.at.len();
    let z: Vec<f64> = (0..n).map(|_| random.normal()).collect();
    let off = |row: usize| (0..=row).map(|k| root[row * n + k] * z[k]).sum::<f64>();
    let at: Vec<f64> = mixture.at.iter().enumerate().map(|(row, value)| value + off(row)).collect();
    tail(mixture.tail.start, mixture.tail.stretch, &at)
}

/// How many times more the number of false pairs varies than independent pairs would, since pairs share people: one odd
/// face is in many. The variance of a sum over pairs clustered both ways by person (Cameron, Gelbach and Miller 2011) over
/// Poisson's: `(sum over people of (sum over their pairs)^2 - sum over pairs of squares) / sum over pairs`.
fn dispersion(found: &[Found], stranger_share: impl Fn(f32) -> f64) -> f64 {
    let mut of: BTreeMap<u64, f64> = BTreeMap::new();
    let (mut squares, mut sum) = (0.0, 0.0);
    for pair in found {
        let share = stranger_share(pair.similarity);
        *of.entry(pair.a).or_default() += share;
        *of.entry(pair.b).or_default() += share;
        squares += share * share;
        sum += share;
    }
    let clustered: f64 = of.values().map(|v| v * v).sum();
    if sum > 0.0 { ((clustered - squares) / sum).max(1.0) } else { 1.0 }
}
