//! Two populations in the upper end of the scores: different people, and mates nobody told us of.
//!
//! Above a high start, different people's scores fall off as a generalised Pareto tail, while mates grow ever more
//! frequent up to their most common score. Counts in bins are Poisson with mean `pairs x tail + mates`, the mates
//! a free curve that rises to one peak and falls after it (Grenander's estimator, both ways; Efron, "Large-scale
//! inference", 2010, chapters 5 and 6 for null and marginal taken apart). Maximum likelihood by EM.
//!
//! A free curve can always swallow the topmost score. So mates are only believed when they raise the log-likelihood by
//! more than [`GAIN`]; else the scores are all different people's.

use super::pareto::{Belief, Beliefs, Binned, Tail, fit, log_survival};

/// Gain in log-likelihood that mates must bring: a likelihood-ratio test (2 x 9 = 18) at about p = 0.001 for the four
/// or so free parameters that the curve of mates is worth.
const GAIN: f64 = 9.0;

/// Rounds of EM; it stops early when nothing moves.
const ROUNDS: usize = 300;

/// What is believed of the tail before these counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    /// Of scale and shape.
    pub beliefs: Beliefs,
    /// Of the natural logarithm of the share of pairs that reach the start; `None` where nothing is known.
    pub log_rate: Option<Belief>,
}

/// The two populations.
#[derive(Debug, Clone)]
pub(super) struct Mixture {
    /// The different people.
    pub tail: Tail,
    /// Expected count of mates in each bin.
    pub mates: Vec<f64>,
    /// Expected count of different people in each bin.
    pub strangers: Vec<f64>,
}

impl Mixture {
    /// Probability that a score in bin `k` is of two different people.
    pub(super) fn stranger_share(&self, k: usize) -> f64 {
        let (strangers, mates) = (self.strangers[k], self.mates[k]);
        if mates <= 0.0 { 1.0 } else { strangers / (strangers + mates) }
    }

    /// Expected number of mates.
    pub(super) fn mated(&self) -> f64 {
        self.mates.iter().sum()
    }
}

/// Takes counts from `start` up apart; `pairs` were compared in all. `None` where there are no counts.
pub(super) fn part(counts: &Binned, start: f64, pairs: f64, anchor: &Anchor) -> Option<Mixture> {
    let total = counts.total();
    if total.is_nan() || total <= 0.0 || pairs <= 0.0 {
        return None;
    }
    let alone = strangers_alone(counts, start, pairs, anchor)?;
    let mixed = with_mates(counts, start, pairs, anchor)?;
    let gain = likelihood(counts, &mixed, anchor) - likelihood(counts, &alone, anchor);
    Some(if gain > GAIN { mixed } else { alone })
}

fn strangers_alone(counts: &Binned, start: f64, pairs: f64, anchor: &Anchor) -> Option<Mixture> {
    let (scale, shape) = fit(counts, &anchor.beliefs)?;
    let rate = best_rate(counts.total(), pairs, anchor.log_rate);
    Some(mixture(Tail { start, rate, scale, shape }, vec![0.0; counts.weights.len()], counts, pairs))
}

fn with_mates(counts: &Binned, start: f64, pairs: f64, anchor: &Anchor) -> Option<Mixture> {
    let tail = first_guess(counts, start, pairs, anchor);
    let mut mixed = mixture(tail, vec![0.0; counts.weights.len()], counts, pairs);
    let excess: Vec<f64> =
        counts.weights.iter().zip(&mixed.strangers).map(|(count, expected)| (count - expected).max(1e-3)).collect();
    let mut peak = peak_of(&excess, &mixed.strangers);
    mixed.mates = one_peak(&excess, peak);
    let mut strangers = counts.clone();
    for round in 0..ROUNDS {
        let shares: Vec<f64> = (0..counts.weights.len()).map(|k| mixed.stranger_share(k)).collect();
        for (k, share) in shares.iter().enumerate() {
            strangers.weights[k] = counts.weights[k] * share;
        }
        let excess: Vec<f64> = counts.weights.iter().zip(&strangers.weights).map(|(all, s)| all - s).collect();
        // The peak settles early and then stays, so that the rounds converge.
        if round < 10 {
            peak = peak_of(&excess, &mixed.strangers);
        }
        let (scale, shape) = fit(&strangers, &anchor.beliefs)?;
        let rate = best_rate(strangers.total(), pairs, anchor.log_rate);
        let next = mixture(Tail { start, rate, scale, shape }, one_peak(&excess, peak), counts, pairs);
        let moved = (next.mated() - mixed.mated()).abs() / (1.0 + next.mated());
        let turned = (next.tail.scale / mixed.tail.scale).ln().abs();
        mixed = next;
        if round > 10 && moved < 1e-6 && turned < 1e-6 {
            break;
        }
    }
    Some(mixed)
}

/// Where the mates peak: at their median, yet not where strangers still are: over their whole tail the mates rise, else
/// a falling curve of mates would pass for a part of the strangers.
fn peak_of(excess: &[f64], strangers: &[f64]) -> usize {
    let mut above: f64 = strangers.iter().sum();
    let end = strangers.iter().position(|expected| {
        above -= expected;
        above < 0.5
    });
    weighted_median(excess).max(end.unwrap_or(0)).min(excess.len().saturating_sub(1))
}

/// A tail that mates far up do not bend: the scale from the belief, or from the lower half of the scores.
fn first_guess(counts: &Binned, start: f64, pairs: f64, anchor: &Anchor) -> Tail {
    let shape = anchor.beliefs.shape.mean;
    let scale = anchor.beliefs.log_scale.map_or_else(
        || counts.middle(weighted_median(&counts.weights)) / std::f64::consts::LN_2,
        |belief| belief.mean.exp(),
    );
    let rate = anchor.log_rate.map_or(counts.total() / pairs, |belief| belief.mean.exp());
    Tail { start, rate, scale, shape }
}

fn mixture(tail: Tail, mates: Vec<f64>, counts: &Binned, pairs: f64) -> Mixture {
    let survival = |k: usize| log_survival(k as f64 * counts.width / tail.scale, tail.shape).exp();
    let strangers = (0..mates.len()).map(|k| pairs * tail.rate * (survival(k) - survival(k + 1))).collect();
    Mixture { tail, mates, strangers }
}

/// The share of pairs that reach the start: what was counted, drawn towards what was believed.
pub(super) fn best_rate(count: f64, pairs: f64, belief: Option<Belief>) -> f64 {
    let Some(Belief { mean, deviation }) = belief else { return (count / pairs).min(1.0) };
    // Maximise count x - pairs e^x - (x - mean)^2 / 2 deviation^2: the slope falls steadily, so bisect.
    let (mut low, mut high) = (mean - 12.0 * deviation - 3.0, (mean + 12.0 * deviation + 3.0).min(0.0));
    for _ in 0..60 {
        let x = (low + high) / 2.0;
        let slope = count - pairs * x.exp() - (x - mean) / (deviation * deviation);
        if slope > 0.0 { low = x } else { high = x }
    }
    ((low + high) / 2.0).exp()
}

fn likelihood(counts: &Binned, mixture: &Mixture, anchor: &Anchor) -> f64 {
    let fit: f64 = (0..counts.weights.len())
        .map(|k| {
            let mean = (mixture.strangers[k] + mixture.mates[k]).max(1e-12);
            counts.weights[k] * mean.ln() - mean
        })
        .sum();
    let off = |belief: Belief, value: f64| 0.5 * ((value - belief.mean) / belief.deviation).powi(2);
    let tail = &mixture.tail;
    fit - off(anchor.beliefs.shape, tail.shape)
        - anchor.beliefs.log_scale.map_or(0.0, |b| off(b, tail.scale.ln()))
        - anchor.log_rate.map_or(0.0, |b| off(b, tail.rate.max(1e-300).ln()))
}

/// Index at which half of the weight is reached.
fn weighted_median(weights: &[f64]) -> usize {
    let half = weights.iter().sum::<f64>() / 2.0;
    let mut sum = 0.0;
    for (k, weight) in weights.iter().enumerate() {
        sum += weight;
        if sum >= half {
            return k;
        }
    }
    weights.len().saturating_sub(1)
}

/// The closest curve that never falls before the peak and never rises after it.
fn one_peak(values: &[f64], peak: usize) -> Vec<f64> {
    let (left, right) = values.split_at((peak + 1).min(values.len()));
    let mut curve = rising(left.iter().copied());
    let mut after = rising(right.iter().rev().copied());
    after.reverse();
    curve.extend(after);
    curve
}

/// Closest nondecreasing sequence, by pooling adjacent violators (Ayer et al. 1955); for Poisson counts in bins of one
/// width this is also the maximum-likelihood curve.
pub(super) fn rising(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for value in values {
        let (mut sum, mut count) = (value, 1);
        while let Some(&(before, length)) = blocks.last()
            && before / length as f64 >= sum / count as f64
        {
            sum += before;
            count += length;
            blocks.pop();
        }
        blocks.push((sum, count));
    }
    blocks.into_iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::pareto::quantile;
    use super::super::random::Random;
    use super::*;

    const LOOSE: Beliefs = Beliefs { shape: Belief { mean: -0.1, deviation: 0.05 }, log_scale: None };

    fn counts(strangers: usize, mates: usize, seed: u64) -> Binned {
        let mut random = Random::new(seed);
        let mut values: Vec<f64> = (0..strangers).map(|_| quantile(random.uniform(), 0.03, -0.1)).collect();
        values.extend((0..mates).map(|_| (0.36 + 0.1 * random.normal()).clamp(0.0, 0.65)));
        Binned::new(values.iter().map(|&v| (v, 1.0)), 0.0, 0.003)
    }

    #[test]
    fn without_mates_none_are_found() {
        for seed in 0..8 {
            let parted = part(&counts(2000, 0, seed), 0.3, 1e6, &Anchor { beliefs: LOOSE, log_rate: None }).unwrap();
            assert_eq!(parted.mated(), 0.0, "seed {seed}");
            assert!((parted.tail.rate - 2e-3).abs() < 1e-9);
        }
    }

    #[test]
    fn mates_are_counted_and_the_tail_stays() {
        for (mates, seed) in [(60, 1), (600, 2), (6000, 3)] {
            let parted =
                part(&counts(2000, mates, seed), 0.3, 1e6, &Anchor { beliefs: LOOSE, log_rate: None }).unwrap();
            assert!((parted.mated() / mates as f64 - 1.0).abs() < 0.2, "{mates}: {}", parted.mated());
            assert!((parted.tail.scale / 0.03 - 1.0).abs() < 0.15, "{mates}: {:?}", parted.tail);
        }
    }

    #[test]
    fn where_mates_drown_the_strangers_the_anchor_holds() {
        let anchor = Anchor {
            beliefs: Beliefs { log_scale: Some(Belief { mean: 0.03f64.ln(), deviation: 0.1 }), ..LOOSE },
            log_rate: Some(Belief { mean: 1e-4f64.ln(), deviation: 0.3 }),
        };
        let parted = part(&counts(100, 30_000, 4), 0.3, 1e6, &anchor).unwrap();
        assert!((parted.tail.rate.ln() - 1e-4f64.ln()).abs() < 0.7, "{:?}", parted.tail);
        assert!((parted.mated() / 30_000.0 - 1.0).abs() < 0.02);
    }

    #[test]
    fn pooling_makes_the_closest_rising_sequence() {
        assert_eq!(rising([1.0, 3.0, 2.0, 4.0].into_iter()), [1.0, 2.5, 2.5, 4.0]);
        assert_eq!(rising([3.0, 2.0, 1.0].into_iter()), [2.0; 3]);
        assert_eq!(one_peak(&[1.0, 5.0, 2.0, 3.0], 1), [1.0, 5.0, 2.5, 2.5]);
        assert!(rising(std::iter::empty()).is_empty());
    }
}
