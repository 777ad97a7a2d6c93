//! The local error: how probable it is that a pair is of two different people, given its similarity.
//!
//! Efron, "Large-scale inference" (2010), chapter 5: among the pairs of one similarity, the share that the null expects. The
//! null is the impostor curve; the pairs are those found, of a large person one membership alone ([`super::persons`]), so
//! that one picture enrolled five hundred times, which makes 125,000 pairs, does not speak for everybody. The share is made to fall steadily with similarity by pooling adjacent violators, as Strimmer does ("A unified
//! approach to false discovery rate estimation", 2008).
//!
//! Where the run shows too few mates, their density is the one shipped for the network and only their number is the run's;
//! where it shows nothing at all, that number is a belief from the policy, and the statistics say [`Basis::Prior`].

use serde::Serialize;

use super::impostor::{Basis, ImpostorModel};
use super::prior::Prior;

/// Least number of mates whose density is estimated from the run.
const LEAST_MATES: f64 = 100.0;

/// Mates believed in where the run shows none: the 95 % bound of a Poisson count of which nothing was seen.
const UNSEEN_MATES: f64 = 3.0;

/// Steps of the table from -1 to 1.
const STEPS: usize = 2000;

/// Face evidence is stated within these bounds, log10: beyond is extrapolation of both densities.
const EVIDENCE: (f64, f64) = (-4.0, 20.0);

/// The odds of a pair to be mates, given its similarity.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalFdr {
    /// log10 of the odds before any score: mates to strangers among the pairs compared.
    prior_log10_odds: f64,
    /// log10 of the likelihood ratio of mates to strangers at every thousandth of cosine, never falling.
    evidence: Vec<f64>,
    report: FdrReport,
}

/// What was fitted, for `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FdrReport {
    /// Where the density of mates comes from.
    pub basis: Basis,
    /// Mated pairs believed to be among the pairs compared (of a large person one membership alone, where fitted).
    pub mated_pairs: f64,
    /// Pairs above the floor, those left out that do not speak for all: of large persons, copies, other tries, decided.
    pub nearest_pairs: usize,
}

/// What is compared, and what is believed before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    /// The impostor curve.
    pub strangers: &'a ImpostorModel,
    /// The shipped density of mates.
    pub prior: &'a Prior,
    /// Pairs compared.
    pub compared: f64,
    /// The part of them that is of two who vote.
    pub voting: f64,
    /// Mated pairs among them, believed where nothing is seen.
    pub believed_mates: f64,
    /// Least similarity of those found.
    pub floor: f32,
}

impl LocalFdr {
    /// Estimates from the similarities of pairs of two who vote, most similar first.
    pub(super) fn new(scene: &Scene, nearest: &[f32]) -> Self {
        let strangers = |s: f32| scene.strangers.fmr(s) * scene.compared * scene.voting;
        let mates = nearest.len() as f64 - strangers(scene.floor);
        let seen = mates > 2.0 * (nearest.len() as f64).sqrt();
        let all = mates.max(0.0) / (1.0 - scene.prior.fnmr(scene.floor)).max(0.05);
        match (nearest.is_empty(), seen) {
            (true, _) => Self::assumed(scene, scene.believed_mates.max(f64::MIN_POSITIVE), 0),
            (_, false) => Self::assumed(scene, top_mates(scene, nearest, &strangers), nearest.len()),
            (_, true) if all < LEAST_MATES => Self::assumed(scene, all.max(UNSEEN_MATES), nearest.len()),
            _ => Self::fitted(scene, nearest, all, &strangers),
        }
    }

    /// With the shipped density of mates.
    fn assumed(scene: &Scene, mated: f64, nearest_pairs: usize) -> Self {
        let report = FdrReport { basis: Basis::Prior, mated_pairs: mated, nearest_pairs };
        Self::tabulate(scene, report, |_| None)
    }

    fn fitted(scene: &Scene, nearest: &[f32], mated: f64, strangers: &dyn Fn(f32) -> f64) -> Self {
        let knots = pooled(nearest, strangers);
        let report = FdrReport { basis: Basis::Fitted, mated_pairs: mated, nearest_pairs: nearest.len() };
        let prior = log10_odds_before(scene, mated);
        let least = nearest.last().copied().unwrap_or(1.0);
        Self::tabulate(scene, report, |s| {
            // Knots ascend; between them the log odds are linear, beyond the last they stay.
            let at = knots.partition_point(|&(x, _)| x <= s);
            match (at.checked_sub(1).map(|k| knots[k]), knots.get(at)) {
                _ if s < least => None,
                (Some((x0, y0)), Some(&(x1, y1))) => Some(y0 + (y1 - y0) * f64::from((s - x0) / (x1 - x0)) - prior),
                (Some((_, y)), None) | (None, Some(&(_, y))) => Some(y - prior),
                (None, None) => None,
            }
        })
    }

    /// `own` says the evidence where the run shows it.
    fn tabulate(scene: &Scene, report: FdrReport, own: impl Fn(f32) -> Option<f64>) -> Self {
        let at = |k: usize| k as f32 / (STEPS as f32 / 2.0) - 1.0;
        let first = (0..=STEPS).find_map(|k| own(at(k)));
        // Below the middle of the strangers their density falls off too; that speaks for nobody.
        let middle = scene.strangers.rate().inverse(0.5);
        let mut most = EVIDENCE.0;
        let evidence = (0..=STEPS)
            .map(|k| {
                let s = at(k);
                let shipped = || {
                    let ratio = scene.prior.mated_density(s).max(1e-300) / scene.strangers.rate().density(s);
                    ratio.log10().min(first.unwrap_or(EVIDENCE.1))
                };
                let here = own(s).unwrap_or_else(shipped);
                most = if s < middle { most } else { here.clamp(most, EVIDENCE.1.max(most)) };
                most
            })
            .collect();
        LocalFdr { prior_log10_odds: log10_odds_before(scene, report.mated_pairs), evidence, report }
    }

    /// log10 of the likelihood ratio of a similarity: how many times likelier among mates than among strangers.
    /// 0 for NaN, which proves nothing.
    pub fn evidence(&self, similarity: f32) -> f64 {
        if similarity.is_nan() {
            return 0.0;
        }
        let at = ((f64::from(similarity) + 1.0) * STEPS as f64 / 2.0).clamp(0.0, STEPS as f64);
        let below = (at.floor() as usize).min(STEPS - 1);
        let part = at - below as f64;
        self.evidence[below] + part * (self.evidence[below + 1] - self.evidence[below])
    }

    /// log10 of the odds before any evidence.
    pub fn prior_log10_odds(&self) -> f64 {
        self.prior_log10_odds
    }

    /// Probability that a pair this similar is of two different people, with `more` evidence in log10 units.
    pub fn probability_false(&self, similarity: f32, more: f64) -> f64 {
        let odds = 10f64.powf((self.prior_log10_odds + self.evidence(similarity) + more).clamp(-300.0, 300.0));
        1.0 / (1.0 + odds)
    }

    /// What was fitted.
    pub fn report(&self) -> &FdrReport {
        &self.report
    }
}

fn log10_odds_before(scene: &Scene, mated: f64) -> f64 {
    (mated / scene.compared.max(1.0)).min(1.0).log10()
}

/// Mates where among all found they do not stand out: those at the top, where strangers are next to none.
fn top_mates(scene: &Scene, nearest: &[f32], strangers: &dyn Fn(f32) -> f64) -> f64 {
    let top = (1..).zip(nearest).take_while(|(count, s)| strangers(**s) <= 0.1 * f64::from(*count)).last();
    top.map_or(UNSEEN_MATES, |(count, &s)| (f64::from(count) / (1.0 - scene.prior.fnmr(s)).max(0.05)).max(UNSEEN_MATES))
}

/// Similarity and log10 of the odds for mates, both ascending: the expected strangers between neighbours over how many were
/// found, neighbours pooled until the share falls with similarity. `nearest` most similar first.
fn pooled(nearest: &[f32], strangers: &dyn Fn(f32) -> f64) -> Vec<(f32, f64)> {
    struct Block {
        expected: f64,
        found: f64,
        similarities: f64,
    }
    let mut blocks: Vec<Block> = Vec::new();
    let mut above = 0.0;
    for &s in nearest {
        let up_to = strangers(s).max(above);
        blocks.push(Block { expected: up_to - above, found: 1.0, similarities: f64::from(s) });
        above = up_to;
        while let [.., higher, lower] = blocks.as_mut_slice() {
            if lower.expected * higher.found > higher.expected * lower.found {
                break;
            }
            higher.expected += lower.expected;
            higher.found += lower.found;
            higher.similarities += lower.similarities;
            blocks.pop();
        }
    }
    let knot = |block: &Block| {
        let error = (block.expected / block.found).clamp(1e-30, 1.0 - 1e-9);
        ((block.similarities / block.found) as f32, ((1.0 - error) / error).log10())
    };
    let mut knots: Vec<(f32, f64)> = blocks.iter().rev().map(knot).collect();
    knots.dedup_by(|later, earlier| later.0 <= earlier.0);
    knots
}

#[cfg(test)]
mod tests {
    use super::super::prior::SFACE;
    use super::*;

    #[test]
    fn a_prior_falls_with_similarity_and_rises_with_the_gallery() {
        let strangers = SFACE.model(0);
        let at = |compared: f64| Scene {
            strangers: &strangers,
            prior: &SFACE,
            compared,
            voting: 1.0,
            believed_mates: compared.sqrt(),
            floor: 0.4,
        };
        let (small, large) = (LocalFdr::new(&at(1e4), &[]), LocalFdr::new(&at(1e12), &[]));
        assert_eq!(small.report().basis, Basis::Prior);
        let mut last = 1.0;
        for k in 0..=100 {
            let s = k as f32 / 100.0;
            let fdr = small.probability_false(s, 0.0);
            assert!((0.0..=1.0).contains(&fdr) && fdr <= last, "{s}: {fdr}");
            assert!(large.probability_false(s, 0.0) >= fdr);
            last = fdr;
        }
        assert!(small.probability_false(0.2, 0.0) > 0.99 && small.probability_false(0.75, 0.0) < 1e-3);
        assert!(small.probability_false(0.45, 2.0) < small.probability_false(0.45, 0.0));
        assert!(small.evidence(-0.5) < -1.0 && small.evidence(0.1) < -1.0, "{}", small.evidence(0.1));
        assert_eq!(small.evidence(f32::NAN), 0.0);
    }

    #[test]
    fn neighbours_are_pooled_until_the_share_falls() {
        // Expected strangers above: 0.1, 0.2, 1.2, 1.4; the last two steps, 1.0 and 0.2, are one block of 0.6.
        let strangers =
            |s: f32| [(0.9, 0.1), (0.8, 0.2), (0.7, 1.2), (0.6, 1.4)].iter().find(|p| p.0 <= s + 1e-6).unwrap().1;
        let knots = pooled(&[0.9, 0.8, 0.7, 0.6], &strangers);
        let errors: Vec<f64> = knots.iter().map(|&(_, odds)| 1.0 / (1.0 + 10f64.powf(odds))).collect();
        assert_eq!(knots.len(), 2);
        assert!((errors[0] - 0.6).abs() < 1e-6 && (errors[1] - 0.1).abs() < 1e-6, "{errors:?}");
        assert!((knots[0].0 - 0.65).abs() < 1e-6 && (knots[1].0 - 0.85).abs() < 1e-6);
    }
}
