//! Two populations where mates crowd: more of them than strangers among what a search finds.
//!
//! [`super::mixture`] takes two populations apart by their forms: one tail, three humps. Where many are enrolled twice, mates
//! outnumber strangers a thousandfold wherever decisions are made, and no form of theirs is known to a thousandth. So here
//! - strangers fall off as a tail whose shape may change with depth ([`super::graded`]);
//! - mates may be distributed in any smooth way: their density is the one that networks usually show times the exponential
//!   of a spline, whose curvature is believed to be little, cell by cell (Lindsey's method, as Efron uses it in
//!   "Large-scale inference", 2010, chapter 5, with beliefs in place of a choice of degree: Eilers and Marx, "Flexible
//!   smoothing with B-splines and penalties", 1996);
//! - bins may stand for different numbers of pairs ([`super::counts`]). A sample of pairs shows the tail from where strangers are
//!   a thousand times the more, the search of the gallery the rest, and pairs cleared of mates ([`super::cleared`]) show it
//!   where nothing else does. One tail runs through all of them.
//!
//! Counts in bins are Poisson with mean `pairs x (tail + mates)`; the most probable parameters and their covariance are
//! found by [`super::scoring`].
//!
//! A spline can always swallow the topmost score. So mates are only believed when they raise the log-likelihood by more
//! than [`GAIN`]; else the scores are all different people's.

use super::counts::{Counts, stranger_share};
use super::graded::Graded;
use super::pareto::Belief;
use super::scoring::{Top, climb, log_likelihood};

/// Gain in log-likelihood that mates must bring: a likelihood-ratio test (2 x 12 = 24) at about p = 0.004 for nine free
/// parameters; the spline has more, but its beliefs leave it fewer.
const GAIN: f64 = 12.0;

/// Scale of an impostor tail at a false-match rate of a hundredth, where nothing is known; its logarithm may well be off
/// by one.
const USUAL_SCALE: f64 = 0.03;

/// Multiples of the scale believed in from which the climb starts, for it only reaches the nearest top.
const STARTS: [f64; 3] = [1.0, 0.6, 1.6];

/// Length of a cell of the mates' spline, cosine.
const CELL: f64 = 0.05;

/// Where mates are usually most: two networks show 0.67 and 0.73 on real pictures ([`super::prior`]).
const MODE: f64 = 0.66;

/// Slope of the mates' log density there, per cell.
const SLOPE: Belief = Belief { mean: 0.0, deviation: 1.5 };

/// The usual density of mates, from which the spline departs: share, middle and deviation of two humps, as two networks
/// show on real pictures ([`super::prior`]). The lower one is of those who have aged, turned or are badly lit.
const HUMPS: [(f64, f64, f64); 2] = [(0.25, 0.50, 0.12), (0.75, 0.68, 0.085)];

/// Curvature of a cell beyond that of the usual density, in cells squared; a normal hump of deviation 0.1 has -0.25.
const CURVATURE: Belief = Belief { mean: 0.0, deviation: 0.15 };

/// Curvature above [`COPIES`], where one picture enrolled twice may make a spike.
const SPIKE: Belief = Belief { mean: 0.0, deviation: 1.0 };
const COPIES: f64 = 0.85;

/// Mates among cleared pairs, at the last bin: logarithm of their density over that of all mates at the mode; slope and
/// curvature of it per cell. And the logarithm of how many more strangers there are than guessed.
const CLEARED: [Belief; 3] = [
    Belief { mean: -4.0, deviation: 2.0 },
    Belief { mean: 0.7, deviation: 0.5 },
    Belief { mean: -0.15, deviation: 0.15 },
];
const GUESSED: Belief = Belief { mean: 0.0, deviation: 0.3 };

/// What is believed of the tail before these counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    /// Of the natural logarithm of the share of pairs that reach the start; `None` where nothing is known.
    pub log_rate: Option<Belief>,
    /// Of the natural logarithm of the scale.
    pub log_scale: Option<Belief>,
    /// Of the shape at the start.
    pub shape: Belief,
    /// Stretches of the tail, their length, and by how much the shape changes from one to the next.
    pub stretches: Stretches,
}

/// How the tail may bend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretches {
    /// How many, at least 1.
    pub count: usize,
    /// Length of each but the last, cosine.
    pub length: f64,
    /// Of the change of the shape from each to the next.
    pub change: Belief,
}

impl Stretches {
    /// One shape throughout.
    pub(super) const ONE: Stretches = Stretches { count: 1, length: 2.0, change: Belief { mean: 0.0, deviation: 1.0 } };
}

/// The two populations.
#[derive(Debug, Clone)]
pub(super) struct Mixture {
    /// The different people.
    pub tail: Graded,
    /// Expected count of mates in each bin.
    pub mates: Vec<f64>,
    /// Expected count of different people in each bin.
    pub strangers: Vec<f64>,
    /// Parameters of the tail: log rate, log scale, shape at the start, changes of the shape.
    pub at: Vec<f64>,
    /// Their covariance, row by row.
    pub covariance: Vec<f64>,
    /// Pearson's chi-square over its degrees of freedom, in bins of five and more expected; 1 where all is well described.
    pub dispersion: f64,
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

/// Takes counts apart. `None` where there are none.
pub(super) fn part(counts: &Counts, anchor: &Anchor) -> Option<Mixture> {
    let total = counts.total();
    if total.is_nan() || total <= 0.0 || counts.pairs.iter().any(|&pairs| pairs <= 0.0) {
        return None;
    }
    let scene = Scene { counts, anchor: *anchor, columns: columns(counts) };
    let alone = scene.best(None)?;
    let mates = scene.beyond(&scene.tail(&alone.at));
    match scene.best(Some(mates)) {
        Some(mixed) if mixed.height - alone.height > GAIN => Some(scene.mixture(&mixed)),
        _ => Some(scene.mixture(&alone)),
    }
}

/// The tail of parameters.
pub(super) fn tail(start: f64, stretch: f64, at: &[f64]) -> Graded {
    let mut shape = 0.0;
    let shapes = at[2..].iter().map(|change| {
        shape += change;
        shape
    });
    Graded { start, rate: at[0].exp().min(1.0), scale: at[1].exp(), shapes: shapes.collect(), stretch }
}

/// The mates' log density, per pair and cosine, in each bin for one unit of each parameter: its value and slope at the
/// mode, then the curvature of the cells above the mode and of those below.
fn columns(counts: &Counts) -> Vec<Column> {
    let bins = counts.weights.len();
    let of = |wanted: std::ops::Range<usize>, origin: f64, belief: Belief, value: &dyn Fn(f64) -> f64| {
        let here = |k| if wanted.contains(&k) { value((counts.middle(k) - origin) / CELL) } else { 0.0 };
        Column { belief, values: (0..bins).map(here).collect() }
    };
    let column = |belief: Belief, value: &dyn Fn(f64) -> f64| of(0..counts.main, MODE, belief, value);
    // Twice integrated, a curvature of 1 over the one cell that begins `far` cells away.
    let bent = |distance: f64| match distance {
        d if d <= 0.0 => 0.0,
        d if d < 1.0 => 0.5 * d * d,
        d => d - 0.5,
    };
    let mut all = vec![column(Belief { mean: 0.0, deviation: 3.0 }, &|_| 1.0), column(SLOPE, &|x| x)];
    let above = (0..).take_while(|&k| MODE + f64::from(k) * CELL < 1.0);
    all.extend(above.map(|k| {
        let belief = if MODE + f64::from(k) * CELL > COPIES { SPIKE } else { CURVATURE };
        column(belief, &|x| bent(x - f64::from(k)))
    }));
    let below = (0..).take_while(|&k| MODE - f64::from(k) * CELL > counts.start);
    all.extend(below.map(|k| column(CURVATURE, &|x| bent(-x - f64::from(k)))));
    if counts.main < bins {
        let cleared =
            |belief: Belief, value: &dyn Fn(f64) -> f64| of(counts.main..bins, counts.middle(bins - 1), belief, value);
        let [level, slope, curvature] = CLEARED;
        all.extend([cleared(level, &|_| 1.0), cleared(slope, &|x| x), cleared(curvature, &|x| 0.5 * x * x)]);
    }
    all
}

/// The usual density of mates.
fn usual(s: f64) -> f64 {
    let hump = |&(share, middle, deviation): &(f64, f64, f64)| {
        let z = (s - middle) / deviation;
        share * (-0.5 * z * z).exp() / (deviation * std::f64::consts::TAU.sqrt())
    };
    HUMPS.iter().map(hump).sum()
}

/// One parameter of the mates.
struct Column {
    belief: Belief,
    values: Vec<f64>,
}

/// What is to be taken apart. Parameters are those of the tail, then those of the mates.
struct Scene<'a> {
    counts: &'a Counts,
    anchor: Anchor,
    columns: Vec<Column>,
}

impl Scene<'_> {
    /// Number of the tail's parameters.
    fn of_tail(&self) -> usize {
        2 + self.anchor.stretches.count
    }

    /// The highest top from several starts: without mates, or with about so many.
    fn best(&self, mates: Option<f64>) -> Option<Top> {
        let beliefs = self.beliefs(mates);
        let expected = |at: &[f64]| -> Vec<f64> {
            self.all_strangers(at).into_iter().zip(self.mates(at)).map(|(s, m)| s + m).collect()
        };
        let scale = beliefs[1].mean.exp();
        let begin = |factor: &f64| {
            let mut start: Vec<f64> = beliefs.iter().map(|b| b.mean).collect();
            (start[0], start[1]) = (self.first_rate(scale * factor).ln(), (scale * factor).ln());
            climb(&self.counts.weights, &expected, &beliefs, start)
        };
        STARTS.iter().filter_map(begin).reduce(|x, y| if y.height > x.height { y } else { x })
    }

    /// What is believed of the parameters.
    fn beliefs(&self, mates: Option<f64>) -> Vec<Belief> {
        let all: f64 = self.counts.weights.iter().zip(&self.counts.pairs).map(|(n, pairs)| n / pairs).sum();
        let mut beliefs = vec![
            self.anchor.log_rate.unwrap_or(Belief { mean: all.min(1.0).ln(), deviation: 10.0 }),
            self.anchor.log_scale.unwrap_or(Belief { mean: USUAL_SCALE.ln(), deviation: 1.0 }),
            self.anchor.shape,
        ];
        beliefs.extend((1..self.anchor.stretches.count).map(|_| self.anchor.stretches.change));
        if let Some(mates) = mates {
            let level = Belief { mean: mates.max(1e-300).ln(), ..self.columns[0].belief };
            beliefs.push(level);
            beliefs.extend(self.columns[1..].iter().map(|column| column.belief));
            if self.counts.main < self.counts.weights.len() {
                // The first of the three that are the cleared pairs' own is told as a share of everybody's.
                let own = beliefs.len() - CLEARED.len();
                beliefs[own].mean += level.mean;
                beliefs.push(GUESSED);
            }
        }
        beliefs
    }

    /// Scores beyond what a tail allows: about which share of the pairs mates may be.
    fn beyond(&self, tail: &Graded) -> f64 {
        let scale = tail.scale.min(self.beliefs(None)[1].mean.exp());
        let guess =
            Graded { rate: self.first_rate(scale), scale, shapes: vec![self.anchor.shape.mean], ..tail.clone() };
        let expected = self.strangers(&guess);
        let (counts, pairs) = (&self.counts.weights, &self.counts.pairs);
        let more: f64 = (0..counts.len()).map(|k| (counts[k] - expected[k]).max(0.0) / pairs[k]).sum();
        more.max(1.0 / pairs.iter().fold(1.0, |most: f64, &p| most.max(p)))
    }

    /// The rate of a tail that mates far up do not bend: as high as the scores within one scale of its start.
    fn first_rate(&self, scale: f64) -> f64 {
        let (width, counts, pairs) = (self.counts.width, &self.counts.weights, &self.counts.pairs);
        let bins = ((scale / width).round().max(1.0) as usize).min(counts.len());
        let near: f64 = (0..bins).map(|k| counts[k] / pairs[k]).sum();
        let share = 1.0 - (-(bins as f64) * width / scale).exp();
        (near.max(1.0 / pairs[0]) / share).clamp(1e-300, 1.0)
    }

    fn tail(&self, at: &[f64]) -> Graded {
        tail(self.counts.start, self.anchor.stretches.length, &at[..self.of_tail()])
    }

    /// Expected count of different people in each bin.
    fn strangers(&self, tail: &Graded) -> Vec<f64> {
        let counts = self.counts;
        let survival = |k: usize| tail.log_survival(counts.start + k as f64 * counts.width).exp();
        let above: Vec<f64> = (0..=counts.main).map(survival).collect();
        let share = |place: usize| (above[place] - above[place + 1]).max(0.0);
        (0..counts.weights.len()).map(|k| counts.pairs[k] * share(counts.place(k))).collect()
    }

    /// The same for parameters; among cleared pairs there may be more or fewer than guessed.
    fn all_strangers(&self, at: &[f64]) -> Vec<f64> {
        let mut strangers = self.strangers(&self.tail(at));
        if self.counts.main < strangers.len() && at.len() > self.of_tail() {
            let factor = at[at.len() - 1].exp();
            strangers[self.counts.main..].iter_mut().for_each(|count| *count *= factor);
        }
        strangers
    }

    /// Expected count of mates in each bin.
    fn mates(&self, at: &[f64]) -> Vec<f64> {
        let of_mates = &at[self.of_tail()..];
        let count = |k: usize| {
            let usual = if k < self.counts.main { usual(self.counts.middle(k)) } else { 1.0 };
            let log: f64 = of_mates.iter().zip(&self.columns).map(|(value, column)| value * column.values[k]).sum();
            self.counts.pairs[k] * self.counts.width * usual * log.min(300.0).exp()
        };
        let bins = self.counts.weights.len();
        if of_mates.is_empty() { vec![0.0; bins] } else { (0..bins).map(count).collect() }
    }

    fn mixture(&self, top: &Top) -> Mixture {
        let tail = self.tail(&top.at);
        let (all, own) = (top.at.len(), self.of_tail());
        let covariance = (0..own).flat_map(|row| top.covariance[row * all..row * all + own].iter().copied()).collect();
        let (mut strangers, mut mates) = (self.all_strangers(&top.at), self.mates(&top.at));
        let dispersion = misfit(&self.counts.weights, (&strangers, &mates), all);
        strangers.truncate(self.counts.main);
        mates.truncate(self.counts.main);
        Mixture { tail, mates, strangers, at: top.at[..own].to_vec(), covariance, dispersion }
    }
}

/// Pearson's chi-square over its degrees of freedom, in bins of five and more expected.
pub(super) fn misfit(counts: &[f64], (strangers, mates): (&[f64], &[f64]), parameters: usize) -> f64 {
    let expected = strangers.iter().zip(mates).map(|(s, m)| s + m);
    let off: Vec<f64> =
        counts.iter().zip(expected).filter(|(_, e)| *e >= 5.0).map(|(n, e)| (n - e).powi(2) / e).collect();
    off.iter().sum::<f64>() / off.len().saturating_sub(parameters).max(1) as f64
}

/// Mates beside a tail that is known. `None` where the counts show none, by the same [`GAIN`].
pub(super) fn beside(counts: &Counts, tail: &Graded) -> Option<Vec<f64>> {
    let ones = Anchor { log_rate: None, log_scale: None, shape: CURVATURE, stretches: Stretches::ONE };
    let scene = Scene { counts, anchor: ones, columns: columns(counts) };
    let strangers = scene.strangers(tail);
    let more: f64 = (0..strangers.len()).map(|k| (counts.weights[k] - strangers[k]).max(0.0) / counts.pairs[k]).sum();
    let own = scene.of_tail();
    let beliefs = scene.beliefs(Some(more)).split_off(own);
    let with_tail = |at: &[f64]| -> Vec<f64> { [&vec![0.0; own], at].concat() };
    let expected = |at: &[f64]| -> Vec<f64> {
        scene.mates(&with_tail(at)).iter().zip(&strangers).map(|(mates, strangers)| mates + strangers).collect()
    };
    let start = beliefs.iter().map(|belief| belief.mean).collect();
    let top = climb(&counts.weights, &expected, &beliefs, start)?;
    (top.height - log_likelihood(&counts.weights, &strangers) > GAIN).then(|| scene.mates(&with_tail(&top.at)))
}

#[cfg(test)]
mod tests {
    use super::super::counts::Seen;
    use super::super::pareto::quantile;
    use super::super::random::Random;
    use super::*;

    const SHAPE: Belief = Belief { mean: -0.1, deviation: 0.05 };
    const LOOSE: Anchor = Anchor { log_rate: None, log_scale: None, shape: SHAPE, stretches: Stretches::ONE };

    fn mate(random: &mut Random) -> f32 {
        (0.66 + 0.1 * random.normal()).clamp(0.3, 0.99) as f32
    }

    fn counts(strangers: usize, mates: usize, seed: u64) -> Counts {
        let mut random = Random::new(seed);
        let mut scores: Vec<f32> =
            (0..strangers).map(|_| (0.3 + quantile(random.uniform(), 0.03, -0.1)) as f32).collect();
        scores.extend((0..mates).map(|_| mate(&mut random)));
        Counts::new(&[Seen { floor: 0.3, pairs: 1e6, scores: &scores }], 0.003)
    }

    #[test]
    fn without_mates_none_are_found() {
        for seed in 0..8 {
            let parted = part(&counts(2000, 0, seed), &LOOSE).unwrap();
            assert_eq!(parted.mated(), 0.0, "seed {seed}");
            assert!((parted.tail.rate / 2e-3 - 1.0).abs() < 0.05);
            assert!(beside(&counts(2000, 0, seed), &parted.tail).is_none());
        }
    }

    #[test]
    fn mates_are_counted_and_the_tail_stays() {
        for (mates, seed) in [(60, 1), (600, 2), (6000, 3)] {
            let counts = counts(2000, mates, seed);
            let parted = part(&counts, &LOOSE).unwrap();
            assert!((parted.mated() / mates as f64 - 1.0).abs() < 0.2, "{mates}: {}", parted.mated());
            assert!((parted.tail.scale / 0.03 - 1.0).abs() < 0.15, "{mates}: {:?}", parted.tail);
            let known: f64 = beside(&counts, &parted.tail).unwrap().iter().sum();
            assert!((known / parted.mated() - 1.0).abs() < 0.1, "{mates}: {known}");
        }
    }

    #[test]
    fn where_mates_drown_the_strangers_the_anchor_holds() {
        let firm = |mean: f64, deviation: f64| Some(Belief { mean, deviation });
        let anchor = Anchor { log_scale: firm(0.03f64.ln(), 0.1), log_rate: firm(1e-4f64.ln(), 0.3), ..LOOSE };
        let parted = part(&counts(100, 30_000, 4), &anchor).unwrap();
        assert!((parted.tail.rate.ln() - 1e-4f64.ln()).abs() < 0.7, "{:?}", parted.tail);
        assert!((parted.mated() / 30_000.0 - 1.0).abs() < 0.02);
    }

    /// Below the search's floor only the sample shows strangers, above it mates are twenty and more times as many.
    #[test]
    fn a_sample_tells_the_strangers_that_a_search_cannot() {
        let survival = |s: f64| 1e-3 * super::super::pareto::log_survival((s - 0.3) / 0.03, -0.05).exp();
        let mut random = Random::new(8);
        let above = |random: &mut Random, floor: f64, pairs: f64, mated: f64| -> Vec<f32> {
            let strangers = (0..(pairs * survival(floor)) as usize)
                .map(|_| (0.3 + quantile(survival(floor) / 1e-3 * random.uniform(), 0.03, -0.05)) as f32)
                .collect::<Vec<f32>>();
            let mates = (0..(pairs * mated) as usize).map(|_| mate(random)).filter(|&s| f64::from(s) >= floor);
            strangers.into_iter().chain(mates.collect::<Vec<_>>()).collect()
        };
        let sample = above(&mut random, 0.36, 1e8, 1e-6);
        let search = above(&mut random, 0.52, 1e11, 1e-6);
        let seen =
            [Seen { floor: 0.36, pairs: 1e8, scores: &sample }, Seen { floor: 0.52, pairs: 1e11, scores: &search }];
        let bend = Stretches { count: 4, length: 0.1, change: Belief { mean: 0.0, deviation: 0.02 } };
        let anchor = Anchor { stretches: bend, shape: Belief { mean: -0.06, deviation: 0.03 }, ..LOOSE };
        let both = part(&Counts::new(&seen, 0.002), &anchor).unwrap();
        for s in [0.56, 0.6, 0.64] {
            let off = both.tail.log_survival(s) - survival(s).ln();
            assert!(off.abs() < 0.69, "at {s}: {} times as many", off.exp());
        }
    }
}
