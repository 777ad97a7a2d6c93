//! The local false discovery rate: how probable it is that a pair is of two different people, given its similarity.
//!
//! Efron, "Large-scale inference" (2010), chapter 5: `fdr(s) = null(s) / (null(s) + mates(s))`, both as densities of the
//! pairs compared. The null is the impostor curve; the mates are what the nearest-neighbour scores of the run show beyond
//! it, taken apart in [`super::crowded`]. A pair enters when it is the best of either of its members, so that one picture
//! enrolled five hundred times, which makes 125,000 pairs, does not speak for everybody.
//!
//! It is made to fall steadily with similarity. Where the run shows too few mates, their density is the one shipped for the
//! network and only their number is the run's; where it shows nothing at all, that number is a belief from the policy,
//! and the statistics say [`Basis::Prior`].

use serde::Serialize;

use super::counts::{Counts, Seen};
use super::crowded::beside;
use super::far::{Found, Populations};
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
    /// Mated pairs believed to be among the pairs compared (each membership's nearest alone, where fitted).
    pub mated_pairs: f64,
    /// Nearest-neighbour pairs above the floor.
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
    /// Mated pairs among them, believed where nothing is seen.
    pub believed_mates: f64,
}

impl LocalFdr {
    /// Estimates from the nearest-neighbour pairs among `found` (each pair once) and the populations above the floor,
    /// where those could be fitted.
    pub(super) fn new(scene: &Scene, found: &[Found], populations: Option<&Populations>) -> Self {
        let Some(populations) = populations else {
            return Self::assumed(scene, scene.believed_mates.max(f64::MIN_POSITIVE), 0);
        };
        let nearest = nearest(found, populations.floor);
        let start = populations.floor;
        let counts = Counts::new(&[Seen { floor: start, pairs: scene.compared, scores: &nearest }], populations.width);
        // The null is settled; only the mates are sought.
        let Some(mates) = beside(&counts, &populations.tail) else {
            return Self::assumed(scene, UNSEEN_MATES, nearest.len());
        };
        let above: f64 = mates.iter().sum();
        let missed = share_below(scene.prior, start as f32);
        let mated = above / (1.0 - missed).max(0.05);
        if above < LEAST_MATES {
            return Self::assumed(scene, mated.max(UNSEEN_MATES), nearest.len());
        }
        let density = |s: f32| {
            // One more mate, spread as shipped, keeps empty bins from being certain.
            let at = (f64::from(s) - start) / counts.width - 0.5;
            let here = |k: f64| mates[(k.max(0.0) as usize).min(mates.len() - 1)];
            let part = at - at.floor();
            let counted = match f64::from(s) >= start {
                true => (here(at.floor()) * (1.0 - part) + here(at.floor() + 1.0) * part) / counts.width,
                // Below the floor nothing was seen: the shipped shape, as high as the first bin.
                false => here(0.0) / counts.width * ratio(scene.prior, s, start as f32),
            };
            (counted + scene.prior.mated_density(s)) / (mated + 1.0)
        };
        let report = FdrReport { basis: Basis::Fitted, mated_pairs: mated, nearest_pairs: nearest.len() };
        Self::tabulate(scene, density, report)
    }

    /// With the shipped density of mates.
    fn assumed(scene: &Scene, mated: f64, nearest_pairs: usize) -> Self {
        let report = FdrReport { basis: Basis::Prior, mated_pairs: mated, nearest_pairs };
        Self::tabulate(scene, |s| scene.prior.mated_density(s), report)
    }

    fn tabulate(scene: &Scene, mates: impl Fn(f32) -> f64, report: FdrReport) -> Self {
        let mut most = EVIDENCE.0;
        // Below the middle of the strangers their density falls off too; that speaks for nobody.
        let middle = scene.strangers.rate().inverse(0.5);
        let evidence = (0..=STEPS)
            .map(|k| {
                let s = k as f32 / (STEPS as f32 / 2.0) - 1.0;
                let here = (mates(s).max(1e-300) / scene.strangers.rate().density(s)).log10();
                most = if s < middle { most } else { here.clamp(most, EVIDENCE.1) };
                most
            })
            .collect();
        let prior_log10_odds = (report.mated_pairs / scene.compared.max(1.0)).min(1.0).log10();
        LocalFdr { prior_log10_odds, evidence, report }
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

/// Scores of the pairs that are the best of either of their members, ascending.
fn nearest(found: &[Found], start: f64) -> Vec<f32> {
    let mut best: std::collections::HashMap<u64, (f32, u64)> = std::collections::HashMap::new();
    for (one, other, s) in found.iter().flat_map(|f| [(f.a, f.b, f.similarity), (f.b, f.a, f.similarity)]) {
        let entry = best.entry(one).or_insert((s, other));
        // The smaller name settles ties, so that the order of the pairs does not.
        if s > entry.0 || (s == entry.0 && other < entry.1) {
            *entry = (s, other);
        }
    }
    let is_best = |one: u64, other: u64| best.get(&one).is_some_and(|&(_, mate)| mate == other);
    let mut scores: Vec<f32> = found
        .iter()
        .filter(|f| f64::from(f.similarity) >= start && (is_best(f.a, f.b) || is_best(f.b, f.a)))
        .map(|f| f.similarity)
        .collect();
    scores.sort_by(f32::total_cmp);
    scores
}

/// Share of mates below a similarity, as shipped.
fn share_below(prior: &Prior, similarity: f32) -> f64 {
    let at = prior.mates.partition_point(|&(x, _)| x <= similarity);
    at.checked_sub(1).map_or(0.0, |below| prior.mates[below].1)
}

fn ratio(prior: &Prior, s: f32, start: f32) -> f64 {
    (prior.mated_density(s) / prior.mated_density(start).max(1e-12)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::prior::SFACE;
    use super::*;

    #[test]
    fn a_prior_falls_with_similarity_and_rises_with_the_gallery() {
        let strangers = SFACE.model(0);
        let at =
            |compared: f64| Scene { strangers: &strangers, prior: &SFACE, compared, believed_mates: compared.sqrt() };
        let (small, large) = (LocalFdr::new(&at(1e4), &[], None), LocalFdr::new(&at(1e12), &[], None));
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
    fn a_pair_enters_once_when_it_is_the_best_of_either() {
        let f = |a, b, similarity| Found { a, b, similarity };
        let found = [f(1, 2, 0.8), f(2, 3, 0.7), f(1, 3, 0.6), f(4, 3, 0.65)];
        // 1-2 is best of both, 2-3 of 3, 4-3 of 4; 1-3 of nobody.
        assert_eq!(nearest(&found, 0.0), [0.65, 0.7, 0.8]);
        assert!(nearest(&[], 0.0).is_empty());
    }
}
