//! Two populations in the upper end of the scores: different people, and mates nobody told us of.
//!
//! Above a high start, different people's scores fall off as a generalised Pareto tail; mates form a wide hump around
//! their usual score with a long way down (age, turned heads, bad light) and now and then a spike near 1 (one picture
//! twice): three normal distributions are enough for that. Counts in bins are Poisson with mean
//! `pairs x tail + humps`; what the humps hold below the start is not observed and stands in at its expectation. Maximum
//! likelihood by EM (Dempster, Laird and Rubin 1977). Null and rest taken apart without labels is Efron's empirical null
//! ("Large-scale inference", 2010, chapter 6) with a tail for the null.
//!
//! Humps can always swallow the topmost score. So mates are only believed when they raise the log-likelihood by more
//! than [`GAIN`]; else the scores are all different people's.

use super::pareto::{Belief, Beliefs, Binned, Tail, fit, log_survival};

/// Gain in log-likelihood that mates must bring: a likelihood-ratio test (2 x 12 = 24) at about p = 0.004 for all nine
/// parameters of three humps, and far below for the three of one.
const GAIN: f64 = 12.0;

/// Rounds of EM; it stops early when nothing moves.
const ROUNDS: usize = 400;

/// Scale of an impostor tail at a false-match rate of a hundredth, about, where nothing is known.
const USUAL_SCALE: f64 = 0.03;

/// Multiples of the scale believed in from which EM starts.
const STARTS: [f64; 3] = [1.0, 0.6, 1.6];

/// Standard deviations a hump may have, cosine.
const DEVIATIONS: (f64, f64) = (0.02, 0.2);

/// A hump's middle stands at least so many scales of the tail above its start: further down it would be part of the tail.
const APART: f64 = 3.0;

/// The lowest mated scores that are thought of, cosine.
const BOTTOM: f64 = -0.4;

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

/// The best of EM from several scales of the tail: it only climbs to the nearest top.
fn with_mates(counts: &Binned, start: f64, pairs: f64, anchor: &Anchor) -> Option<Mixture> {
    let scale = anchor.beliefs.log_scale.map_or(USUAL_SCALE, |belief| belief.mean.exp());
    STARTS
        .iter()
        .filter_map(|factor| climb(counts, first_guess(counts, start, pairs, (anchor, scale * factor)), pairs, anchor))
        .map(|mixed| (likelihood(counts, &mixed, anchor), mixed))
        .filter(|(value, _)| value.is_finite())
        .reduce(|x, y| if y.0 > x.0 { y } else { x })
        .map(|(_, mixed)| mixed)
}

fn climb(counts: &Binned, tail: Tail, pairs: f64, anchor: &Anchor) -> Option<Mixture> {
    let (start, bins) = (tail.start, counts.weights.len());
    let mut humps = Humps::new(counts, start, &tail, pairs);
    let mut mixed = mixture(tail, humps.expected(bins), counts, pairs);
    let mut strangers = counts.clone();
    for _ in 0..ROUNDS {
        for (k, weight) in counts.weights.iter().enumerate() {
            strangers.weights[k] = weight * mixed.stranger_share(k);
        }
        humps.step(counts, &mixed);
        let (scale, shape) = fit(&strangers, &anchor.beliefs)?;
        let rate = best_rate(strangers.total(), pairs, anchor.log_rate);
        let next = mixture(Tail { start, rate, scale, shape }, humps.expected(bins), counts, pairs);
        let moved = (next.mated() - mixed.mated()).abs() / (1.0 + next.mated());
        let turned = (next.tail.scale / mixed.tail.scale).ln().abs();
        mixed = next;
        if moved < 1e-6 && turned < 1e-6 {
            break;
        }
    }
    Some(mixed)
}

/// The mates: normal distributions over the bins, those below the start included.
struct Humps {
    width: f64,
    /// Bins below the start.
    hidden: usize,
    /// Lowest middle of a hump above the start.
    least: f64,
    /// Expected count, middle above the start, standard deviation.
    humps: [(f64, f64, f64); 3],
}

impl Humps {
    /// From what the counts hold beyond a first guess of the tail.
    fn new(counts: &Binned, start: f64, tail: &Tail, pairs: f64) -> Self {
        let guess = mixture(*tail, vec![0.0; counts.weights.len()], counts, pairs);
        let least = APART * tail.scale;
        let beyond = |(k, weight): (usize, &f64)| match counts.middle(k) >= least {
            true => (weight - guess.strangers[k]).max(1e-3),
            false => 0.0,
        };
        let excess: Vec<f64> = counts.weights.iter().enumerate().map(beyond).collect();
        let total: f64 = excess.iter().sum();
        let at = |share: f64| counts.middle(reached(&excess, share));
        let spread = ((at(0.84) - at(0.16)) / 2.0).clamp(DEVIATIONS.0, DEVIATIONS.1);
        let humps = [
            (0.3 * total, at(0.2).max(least), (1.5 * spread).min(DEVIATIONS.1)),
            (0.65 * total, at(0.6).max(least), spread),
            (0.05 * total, (0.97 - start).max(least), DEVIATIONS.0),
        ];
        let hidden = ((start - BOTTOM).max(0.0) / counts.width).ceil() as usize;
        Humps { width: counts.width, hidden, least, humps }
    }

    /// Middle of bin `k` above the start, counting from the lowest hidden one.
    fn middle(&self, k: usize) -> f64 {
        (k as f64 - self.hidden as f64 + 0.5) * self.width
    }

    fn expected_of(&self, hump: (f64, f64, f64), k: usize) -> f64 {
        let (count, mean, deviation) = hump;
        let z = (self.middle(k) - mean) / deviation;
        count * self.width / deviation * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
    }

    /// Expected count of mates in each of the bins from the start up.
    fn expected(&self, bins: usize) -> Vec<f64> {
        (self.hidden..self.hidden + bins).map(|k| self.humps.iter().map(|&h| self.expected_of(h, k)).sum()).collect()
    }

    /// One round of EM: each hump takes its share of each bin; of a hidden bin it takes what it expects there.
    fn step(&mut self, counts: &Binned, mixed: &Mixture) {
        for hump in 0..self.humps.len() {
            let before = self.humps[hump];
            let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
            for k in 0..self.hidden + counts.weights.len() {
                let expected = self.expected_of(before, k);
                let taken = match k.checked_sub(self.hidden) {
                    Some(bin) => counts.weights[bin] * expected / (mixed.strangers[bin] + mixed.mates[bin]).max(1e-300),
                    None => expected,
                };
                let middle = self.middle(k);
                total += taken;
                first += taken * middle;
                second += taken * middle * middle;
            }
            if total > 1e-6 {
                let mean = (first / total).max(self.least);
                let about = second / total - 2.0 * mean * first / total + mean * mean;
                let deviation = about.max(0.0).sqrt().clamp(DEVIATIONS.0, DEVIATIONS.1);
                self.humps[hump] = (total, mean, deviation);
            } else {
                self.humps[hump].0 = 0.0;
            }
        }
    }
}

/// A tail that mates far up do not bend: as high as the scores within one scale of its start.
fn first_guess(counts: &Binned, start: f64, pairs: f64, (anchor, scale): (&Anchor, f64)) -> Tail {
    let bins = (scale / counts.width).round().max(1.0) as usize;
    let near: f64 = counts.weights.iter().take(bins).sum();
    let share = 1.0 - (-(bins as f64) * counts.width / scale).exp();
    Tail { start, rate: (near / share / pairs).clamp(1e-300, 1.0), scale, shape: anchor.beliefs.shape.mean }
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

/// Index at which a share of the weight is reached.
fn reached(weights: &[f64], share: f64) -> usize {
    let goal = weights.iter().sum::<f64>() * share;
    let mut sum = 0.0;
    let at = weights.iter().position(|weight| {
        sum += weight;
        sum >= goal
    });
    at.unwrap_or(weights.len().saturating_sub(1))
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
}
