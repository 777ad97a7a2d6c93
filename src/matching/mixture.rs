//! Two populations in the upper end of the scores: different people, and mates nobody told us of.
//!
//! Above a high start, different people's scores fall off as a generalised Pareto tail; mates form a wide hump around
//! their usual score, a wider one below it (age, turned heads, bad light) and now and then a spike near 1 (one picture
//! twice): three normal distributions. Counts in bins are Poisson with mean `pairs x tail + humps`; the most probable
//! parameters and their covariance are found by [`super::scoring`]. Null and rest taken apart without labels is Efron's
//! empirical null ("Large-scale inference", 2010, chapter 6), with a tail for the null.
//!
//! Humps can always swallow the topmost score. So mates are only believed when they raise the log-likelihood by more
//! than [`GAIN`]; else the scores are all different people's.

use super::counts::stranger_share;
use super::pareto::{Belief, Beliefs, Binned, Tail, log_survival};
use super::scoring::{Top, climb};

/// Gain in log-likelihood that mates must bring: a likelihood-ratio test (2 x 12 = 24) at about p = 0.004 for all nine
/// parameters of three humps, and far below for the three of one.
const GAIN: f64 = 12.0;

/// Scale of an impostor tail at a false-match rate of a hundredth, where nothing is known; its logarithm may well be off
/// by one.
const USUAL_SCALE: f64 = 0.03;

/// Multiples of the scale believed in from which the climb starts, for it only reaches the nearest top.
const STARTS: [f64; 3] = [1.0, 0.6, 1.6];

/// What is believed of the three humps: middle and logarithm of the standard deviation, cosine. Wide around what two
/// networks show on real pictures ([`super::prior`]): mates at 0.67 and 0.73, a tenth of them below 0.52 and 0.57.
const HUMPS: [(Belief, Belief); 3] = [
    (Belief { mean: 0.50, deviation: 0.10 }, Belief { mean: -2.1, deviation: 0.3 }),
    (Belief { mean: 0.68, deviation: 0.10 }, Belief { mean: -2.5, deviation: 0.4 }),
    (Belief { mean: 0.97, deviation: 0.015 }, Belief { mean: -3.9, deviation: 0.3 }),
];

/// Share of the mates in each hump at the start.
const SHARES: [f64; 3] = [0.25, 0.7, 0.05];

/// Share of different people in a bin down to which mates do not bend the tail.
const CLEAR: f64 = 0.5;

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
    /// Covariance of log rate, log scale and shape of the tail, row by row.
    pub covariance: [f64; 9],
}

impl Mixture {
    /// Probability that a score in bin `k` is of two different people.
    pub(super) fn stranger_share(&self, k: usize) -> f64 {
        stranger_share(self.strangers[k], self.mates[k])
    }

    /// Expected number of mates.
    #[cfg(test)]
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
    let scene = Scene { counts, start, pairs, anchor: *anchor };
    let alone = scene.best(None)?;
    let mates = scene.beyond(&scene.tail(&alone.at));
    match scene.best(Some(mates)) {
        Some(mixed) if mixed.height - alone.height > GAIN => Some(scene.settled(scene.mixture(&mixed))),
        _ => Some(scene.mixture(&alone)),
    }
}

/// What is to be taken apart. Parameters are log rate, log scale and shape of the tail, and then for each hump log count,
/// middle and log deviation.
#[derive(Clone, Copy)]
struct Scene<'a> {
    counts: &'a Binned,
    start: f64,
    pairs: f64,
    anchor: Anchor,
}

impl Scene<'_> {
    /// The highest top from several starts: without mates, or with about so many.
    fn best(&self, mates: Option<f64>) -> Option<Top> {
        let beliefs = self.beliefs(mates);
        let expected = |at: &[f64]| -> Vec<f64> {
            self.strangers(&self.tail(at)).into_iter().zip(self.mates(at)).map(|(s, m)| s + m).collect()
        };
        let scale = beliefs[1].mean.exp();
        let begin = |factor: &f64| {
            let tail = self.first_guess(scale * factor);
            let mut start: Vec<f64> = beliefs.iter().map(|b| b.mean).collect();
            (start[0], start[1]) = (tail.rate.ln(), tail.scale.ln());
            climb(&self.counts.weights, &expected, &beliefs, start)
        };
        STARTS.iter().filter_map(begin).reduce(|x, y| if y.height > x.height { y } else { x })
    }

    /// What is believed of the parameters.
    fn beliefs(&self, mates: Option<f64>) -> Vec<Belief> {
        let count = (self.counts.total() / self.pairs).min(1.0);
        let mut beliefs = vec![
            self.anchor.log_rate.unwrap_or(Belief { mean: count.ln(), deviation: 10.0 }),
            self.anchor.beliefs.log_scale.unwrap_or(Belief { mean: USUAL_SCALE.ln(), deviation: 1.0 }),
            self.anchor.beliefs.shape,
        ];
        for ((middle, log_deviation), share) in HUMPS.into_iter().zip(SHARES).filter(|_| mates.is_some()) {
            let about = (mates.unwrap_or_default() * share).max(0.1);
            beliefs.extend([Belief { mean: about.ln(), deviation: 3.0 }, middle, log_deviation]);
        }
        beliefs
    }

    /// Scores beyond what a tail allows: about how many mates there may be.
    fn beyond(&self, tail: &Tail) -> f64 {
        let guess = self.first_guess(tail.scale.min(self.beliefs(None)[1].mean.exp()));
        let expected = self.strangers(&guess);
        self.counts.weights.iter().zip(expected).map(|(count, e)| (count - e).max(0.0)).sum::<f64>().max(1.0)
    }

    /// A tail that mates far up do not bend: as high as the scores within one scale of its start.
    fn first_guess(&self, scale: f64) -> Tail {
        let width = self.counts.width;
        let bins = (scale / width).round().max(1.0) as usize;
        let near: f64 = self.counts.weights.iter().take(bins).sum();
        let share = 1.0 - (-(bins as f64) * width / scale).exp();
        let rate = (near.max(1.0) / share / self.pairs).clamp(1e-300, 1.0);
        Tail { start: self.start, rate, scale, shape: self.anchor.beliefs.shape.mean }
    }

    fn tail(&self, at: &[f64]) -> Tail {
        Tail { start: self.start, rate: at[0].exp(), scale: at[1].exp(), shape: at[2] }
    }

    /// Expected count of different people in each bin.
    fn strangers(&self, tail: &Tail) -> Vec<f64> {
        let survival = |k: usize| log_survival(k as f64 * self.counts.width / tail.scale, tail.shape).exp();
        let mut above = 1.0;
        let share = |k: usize| {
            let next = survival(k + 1);
            let here = above - next;
            above = next;
            self.pairs * tail.rate * here
        };
        (0..self.counts.weights.len()).map(share).collect()
    }

    /// Expected count of mates in each bin.
    fn mates(&self, at: &[f64]) -> Vec<f64> {
        let humps = at[3..].as_chunks::<3>().0;
        let density = |s: f64, &[log_count, middle, log_deviation]: &[f64; 3]| {
            let z = (s - middle) * (-log_deviation).exp();
            (log_count - log_deviation - 0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
        };
        let count = |k: usize| {
            let s = self.start + self.counts.middle(k);
            humps.iter().map(|hump| density(s, hump)).sum::<f64>() * self.counts.width
        };
        (0..self.counts.weights.len()).map(count).collect()
    }

    /// The tail fitted anew below where mates become many, with the mates as they were found: further up there are so many
    /// more of them that the exact form of their humps, which no normal distribution has, would bend the tail.
    fn settled(&self, mixed: Mixture) -> Mixture {
        let clear = (0..mixed.mates.len()).take_while(|&k| mixed.stranger_share(k) >= CLEAR).count();
        let counts = Binned { weights: self.counts.weights[..clear].to_vec(), ..self.counts.clone() };
        let below = Scene { counts: &counts, ..*self };
        let expected = |at: &[f64]| -> Vec<f64> {
            below.strangers(&below.tail(at)).into_iter().zip(&mixed.mates).map(|(s, m)| s + m).collect()
        };
        let beliefs = self.beliefs(None);
        let start = vec![mixed.tail.rate.ln(), mixed.tail.scale.ln(), mixed.tail.shape];
        let Some(top) = climb(&counts.weights, &expected, &beliefs, start) else { return mixed };
        Mixture { mates: mixed.mates, ..self.mixture(&top) }
    }

    fn mixture(&self, top: &Top) -> Mixture {
        let tail = self.tail(&top.at);
        let n = top.at.len();
        let mut covariance = [0.0; 9];
        for row in 0..3 {
            covariance[row * 3..row * 3 + 3].copy_from_slice(&top.covariance[row * n..row * n + 3]);
        }
        Mixture { tail, mates: self.mates(&top.at), strangers: self.strangers(&tail), covariance }
    }
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
        values.extend((0..mates).map(|_| (0.36 + 0.1 * random.normal()).clamp(0.0, 0.69)));
        Binned::new(values.iter().map(|&v| (v, 1.0)), 0.0, 0.003)
    }

    #[test]
    fn without_mates_none_are_found() {
        for seed in 0..8 {
            let parted = part(&counts(2000, 0, seed), 0.3, 1e6, &Anchor { beliefs: LOOSE, log_rate: None }).unwrap();
            assert_eq!(parted.mated(), 0.0, "seed {seed}");
            assert!((parted.tail.rate / 2e-3 - 1.0).abs() < 0.05);
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
