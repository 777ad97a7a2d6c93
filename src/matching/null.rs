//! Fitting the scores of different people: a normal distribution that may bend a little.
//!
//! On the axes of a DET curve (Martin et al. 1997) the false-match rate of face networks is nearly a straight line: the
//! normal deviate of the share of different people above a similarity grows evenly with the similarity. So the deviate is
//! fitted as a polynomial of third degree, with firm beliefs that its bend is small, and goes on as a line beyond the data.
//!
//! # What it is fitted to
//! Counts of scores in bins, in layers that reach deeper and deeper ([`Layer`]): pairs known to differ, the top of a larger
//! sample of them, and what the search of the gallery found. Each bin is counted in the deepest layer that shows all of it.
//!
//! # Mates among them
//! Nobody knows who among so many pairs is one person. Their number follows from the top of the deepest layer, where
//! strangers are next to none; their distribution is the one shipped for the network. Bins where they would be more than
//! [`MOST_MATES`] of the count are censored: the count is no more than an upper bound of the strangers in it (a truncated
//! likelihood as in Efron, "Large-scale inference", 2010, chapter 6). In the others the expected mates are added.

use super::deviate::{deviate_of, log_upper_share, upper_share};
use super::prior::Prior;
use super::rate::FalseMatchRate;
use super::scoring::{Belief, climb};

/// Width of a bin, cosine.
const WIDTH: f64 = 0.004;

/// Bins from -1 to 1.
const BINS: usize = (2.0 / WIDTH) as usize;

/// Coefficients of the polynomial.
pub(super) const COEFFICIENTS: usize = 4;

/// The rate at which the polynomial has its origin.
const ORIGIN_LOG10: f64 = -4.0;

/// Largest share of mates in a bin that is fitted.
const MOST_MATES: f64 = 0.2;

/// Bins with less than one score expected are not fitted.
const LEAST_EXPECTED: f64 = 1.0;

/// The fit begins where this share of pairs is above, or so many pairs where that is more, up to [`MOST_SHARE`].
const FIRST_SHARE: f64 = 0.01;
const FIRST_SCORES: f64 = 2_000.0;
const MOST_SHARE: f64 = 0.1;

/// Mates are counted where at most one stranger is expected, or this share of those there.
const STRANGERS_AT_TOP: f64 = 0.01;

/// How many times more a count at the top of a large sample, or of a search, varies than that of independent pairs.
pub(super) const TOP_DISPERSION: f64 = 3.0;

/// The same of scores known to differ, by how many of them each person is in: pairs share people, and one odd face is in many.
/// Of two thousand members compared with each other it is 50.
pub(super) fn dispersion_of(scores: usize, people: usize) -> f64 {
    1.0 + 2.0 * scores as f64 / people.max(1) as f64 / 40.0
}

/// Rounds of fitting strangers and counting mates; four are the rule.
const ROUNDS: usize = 12;

/// Beyond this many times the variance that is expected a curve does not describe the scores.
const POOR_FIT: f64 = 8.0;

/// Beyond the data the slope of the line is not sure: one standard deviation of it, as a share.
const SLOPE_DOUBT: f64 = 0.07;

/// Least slope of the deviate beyond the data, in slopes of the shipped curve.
const LEAST_SLOPE: f64 = 0.3;

/// Scores in bins of equal width.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram(Vec<f64>);

impl Histogram {
    pub(super) fn of(scores: impl Iterator<Item = f32>) -> Self {
        let mut bins = vec![0.0; BINS];
        for score in scores.filter(|s| s.is_finite()) {
            bins[bin_of(f64::from(score))] += 1.0;
        }
        Histogram(bins)
    }

    pub(super) fn total(&self) -> f64 {
        self.0.iter().sum()
    }

    /// The share of scores at or above a similarity, linear within each bin.
    pub(super) fn shares_above(&self) -> impl Fn(f64) -> f64 {
        let mut above = vec![0.0; BINS + 1];
        (0..BINS).rev().for_each(|bin| above[bin] = above[bin + 1] + self.0[bin]);
        let total = self.total().max(1.0);
        move |s| {
            let at = ((s + 1.0) / WIDTH).clamp(0.0, BINS as f64);
            let bin = (at.floor() as usize).min(BINS - 1);
            (above[bin] + (at - bin as f64) * (above[bin + 1] - above[bin])) / total
        }
    }
}

/// Every score at or above `floor` of so many pairs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    pub floor: f64,
    pub pairs: f64,
    pub scores: Histogram,
    /// How many times more its counts vary than those of independent pairs.
    pub dispersion: f64,
}

/// The fitted curve.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Null {
    /// Similarity at which the polynomial has its origin, and the shipped curve's slope there: deviates per cosine.
    origin: f64,
    slope: f64,
    /// Coefficients, constant first.
    pub coefficients: [f64; COEFFICIENTS],
    covariance: Vec<f64>,
    /// Where the data end and the line begins.
    pub last: f64,
    /// Mated pairs among the pairs compared in the deepest layer.
    pub mates: f64,
    /// Variance over what was expected; near 1 where the curve describes the scores.
    pub misfit: f64,
}

impl Null {
    /// Fits layers, shallowest first. `None` where there is nothing to fit.
    pub(super) fn fit(layers: &[Layer], prior: &Prior) -> Option<Null> {
        let deepest = layers.last()?;
        let shipped = prior.rate();
        let origin = f64::from(shipped.inverse(10f64.powf(ORIGIN_LOG10)));
        let next = f64::from(shipped.inverse(10f64.powf(ORIGIN_LOG10 - 1.0)));
        let slope = (deviate_of(ORIGIN_LOG10 - 1.0) - deviate_of(ORIGIN_LOG10)) / (next - origin).max(1e-3);
        let bins = Bins::new(layers, prior)?;
        let mut null = Null {
            origin,
            slope,
            coefficients: [deviate_of(ORIGIN_LOG10), 1.0, 0.0, 0.0],
            covariance: vec![0.0; COEFFICIENTS * COEFFICIENTS],
            last: edge(bins.first_end),
            mates: 0.0,
            misfit: 0.0,
        };
        // A network that was never measured may have any scale.
        let doubt = if prior.is_of_this_network() { 1.0 } else { 4.0 };
        let beliefs = [(null.coefficients[0], 1.0 * doubt), (1.0, 0.3 * doubt), (0.0, 0.04), (0.0, 0.014)]
            .map(|(mean, deviation)| Belief { mean, deviation });
        let mut mates = bins.mates(&null);
        for _ in 0..ROUNDS {
            let end = bin_of(null.last);
            let expected = |at: &[f64]| -> Vec<f64> {
                let here = null.with(at);
                let each = bins.strangers(&here).into_iter().zip(&mates).enumerate();
                each.map(|(k, (strangers, mates))| {
                    let count = strangers + mates;
                    // Beyond the end the count bounds the strangers from above.
                    let count = if bins.from + k < end { count } else { count.max(bins.counts[k]) };
                    count / bins.dispersion[k]
                })
                .collect()
            };
            let counts: Vec<f64> = bins.counts.iter().zip(&bins.dispersion).map(|(n, d)| n / d).collect();
            let top = climb(&counts, &expected, &beliefs, null.coefficients.to_vec())?;
            let mut fitted = null.with(&top.at);
            fitted.covariance = top.covariance;
            fitted.mates = bins.count_mates(&fitted, deepest);
            mates = bins.mates(&fitted);
            let strangers = bins.strangers(&fitted);
            let wanted = |k: usize| {
                let all = strangers[k] + mates[k];
                mates[k] <= MOST_MATES * all && all >= LEAST_EXPECTED
            };
            let end = bins.from + (0..bins.counts.len()).take_while(|&k| k < bins.body() || wanted(k)).count();
            fitted.last = edge(end);
            fitted.misfit = bins.misfit(&strangers, &mates, end);
            let settled = end == bin_of(null.last) && (fitted.mates - null.mates).abs() <= 1e-3 * null.mates;
            null = fitted;
            if settled {
                break;
            }
        }
        null.coefficients.iter().all(|c| c.is_finite()).then_some(null)
    }

    /// What speaks against it, in words.
    pub(super) fn is_poor(&self) -> bool {
        let [height, slope, _, _] = self.coefficients;
        let far = (height - deviate_of(ORIGIN_LOG10)).abs() > 2.5 || !(0.4..=2.5).contains(&slope);
        !self.misfit.is_finite() || self.misfit > POOR_FIT || far
    }

    fn with(&self, coefficients: &[f64]) -> Null {
        let mut null = self.clone();
        null.coefficients.copy_from_slice(coefficients);
        null
    }

    /// Values of the terms of the polynomial at a similarity; beyond the data each goes on as a line.
    fn terms(&self, similarity: f64) -> [f64; COEFFICIENTS] {
        let u = (similarity.min(self.last) - self.origin) * self.slope;
        let beyond = (similarity - self.last).max(0.0) * self.slope;
        [1.0, u + beyond, u * u + 2.0 * u * beyond, u * u * u + 3.0 * u * u * beyond]
    }

    /// The normal deviate of the rate.
    fn deviate(&self, similarity: f64) -> f64 {
        let [_, b, c, d] = self.coefficients;
        let u = (self.last - self.origin) * self.slope;
        let slope = b + 2.0 * c * u + 3.0 * d * u * u;
        if similarity > self.last && slope < LEAST_SLOPE {
            return self.deviate(self.last) + LEAST_SLOPE * (similarity - self.last) * self.slope;
        }
        self.terms(similarity).iter().zip(self.coefficients).map(|(term, c)| term * c).sum()
    }

    /// The false-match rate; below the body that was fitted, where more than a tenth is as similar, `body` says it.
    pub(super) fn rate(&self, body: &FalseMatchRate, deviations: f64) -> FalseMatchRate {
        let from = f64::from(body.inverse(MOST_SHARE)) - WIDTH;
        FalseMatchRate::from_log(|s| {
            let terms = self.terms(s);
            let variance: f64 = (0..COEFFICIENTS)
                .flat_map(|i| (0..COEFFICIENTS).map(move |j| (i, j)))
                .map(|(i, j)| terms[i] * terms[j] * self.covariance[i * COEFFICIENTS + j])
                .sum();
            let beyond = SLOPE_DOUBT * (s - self.last).max(0.0) * self.slope;
            let variance = variance + beyond * beyond;
            let tail = log_upper_share(self.deviate(s) - deviations * variance.max(0.0).sqrt());
            if s < from { tail.max(body.log10(s as f32) * std::f64::consts::LN_10) } else { tail }
        })
    }
}

/// The bins of all layers, from where the fit begins.
struct Bins<'a> {
    prior: &'a Prior,
    /// Number of the first.
    from: usize,
    counts: Vec<f64>,
    pairs: Vec<f64>,
    dispersion: Vec<f64>,
    /// Bins before this one are of layers but the deepest, and fitted in the first round.
    first_end: usize,
    layers: usize,
}

impl<'a> Bins<'a> {
    fn new(layers: &[Layer], prior: &'a Prior) -> Option<Bins<'a>> {
        let body = &layers[0];
        let total = body.pairs.max(1.0);
        let share = (FIRST_SCORES / total).clamp(FIRST_SHARE, MOST_SHARE);
        let mut above = 0.0;
        let mut from = BINS;
        while from > 0 && above < share * total && edge(from - 1) >= body.floor - 1e-9 {
            from -= 1;
            above += body.scores.0[from];
        }
        if from >= BINS || above <= 0.0 {
            return None;
        }
        let (mut counts, mut pairs) = (vec![0.0; BINS - from], vec![0.0; BINS - from]);
        let mut dispersion = vec![1.0; BINS - from];
        let mut first_end = from;
        for layer in layers.iter().filter(|layer| layer.pairs > 0.0) {
            let start = (((layer.floor + 1.0) / WIDTH - 1e-6).ceil().max(0.0) as usize).clamp(from, BINS);
            first_end = start;
            for bin in start..BINS {
                counts[bin - from] = layer.scores.0[bin];
                pairs[bin - from] = layer.pairs;
                dispersion[bin - from] = layer.dispersion;
            }
        }
        if first_end == from {
            // One layer alone: so far that thirty scores are beyond.
            let mut beyond = 0.0;
            first_end = BINS;
            while first_end > from + 8 && beyond < 30.0 {
                first_end -= 1;
                beyond += counts[first_end - from];
            }
        }
        Some(Bins { prior, from, counts, pairs, dispersion, first_end, layers: layers.len() })
    }

    /// Bins that are always fitted: those of the layers before the deepest.
    fn body(&self) -> usize {
        if self.layers > 1 { self.first_end - self.from } else { 8 }
    }

    fn each(&self, above: impl Fn(f64) -> f64) -> Vec<f64> {
        let shares: Vec<f64> = (0..=self.counts.len()).map(|k| above(edge(self.from + k))).collect();
        self.pairs.iter().enumerate().map(|(k, pairs)| pairs * (shares[k] - shares[k + 1]).max(0.0)).collect()
    }

    /// Expected different people in each bin.
    fn strangers(&self, null: &Null) -> Vec<f64> {
        self.each(|s| upper_share(null.deviate(s)))
    }

    /// Expected mates in each bin.
    fn mates(&self, null: &Null) -> Vec<f64> {
        let deepest = self.pairs.last().copied().unwrap_or(1.0).max(1.0);
        self.each(|s| null.mates / deepest * (1.0 - self.prior.fnmr(s as f32)))
    }

    /// Mated pairs of the deepest layer: those beyond where strangers are next to none, over the share of mates that is.
    fn count_mates(&self, null: &Null, deepest: &Layer) -> f64 {
        let (mut seen, mut found) = (0.0, 0.0);
        let start = bin_of(deepest.floor.max(edge(self.from)));
        for bin in (start..BINS).rev() {
            seen += deepest.scores.0[bin];
            let strangers = deepest.pairs * upper_share(null.deviate(edge(bin)));
            if strangers > (STRANGERS_AT_TOP * seen).max(1.0) {
                break;
            }
            found = (seen - strangers).max(0.0) / (1.0 - self.prior.fnmr(edge(bin) as f32)).max(0.02);
        }
        found
    }

    /// Pearson's chi-square over the number of bins with five and more expected, before `end`.
    fn misfit(&self, strangers: &[f64], mates: &[f64], end: usize) -> f64 {
        let of = |k: usize| {
            let expected = strangers[k] + mates[k];
            (expected >= 5.0).then(|| (self.counts[k] - expected).powi(2) / (expected * self.dispersion[k]))
        };
        let all: Vec<f64> = (0..end - self.from).filter_map(of).collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    }
}

/// Where a bin begins.
fn edge(bin: usize) -> f64 {
    bin as f64 * WIDTH - 1.0
}

fn bin_of(score: f64) -> usize {
    (((score + 1.0) / WIDTH + 1e-9).max(0.0) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::super::prior::SFACE;
    use super::super::random::Random;
    use super::*;

    const MEAN: f64 = 0.09;
    const DEVIATION: f64 = 0.095;

    /// Strangers are normal, mates as shipped; a sample of a million pairs and a search of `pairs` with `mates`.
    fn layers(pairs: f64, mates: usize, seed: u64) -> Vec<Layer> {
        let mut random = Random::new(seed);
        let body = Histogram::of((0..1_000_000).map(|_| (MEAN + DEVIATION * random.normal()) as f32));
        let floor = MEAN + DEVIATION * deviate_of((20_000.0 / pairs).log10());
        let strangers = (0..20_000).map(|_| {
            let share = 20_000.0 / pairs * random.uniform();
            (MEAN + DEVIATION * deviate_of(share.log10())) as f32
        });
        let strangers: Vec<f32> = strangers.collect();
        let mated = (0..mates).map(|_| {
            let wanted = random.uniform();
            let points = SFACE.mates;
            let at = points.partition_point(|&(_, share)| share <= wanted).clamp(1, points.len() - 1);
            let ((x0, y0), (x1, y1)) = (points[at - 1], points[at]);
            x0 + (x1 - x0) * ((wanted - y0) / (y1 - y0)).clamp(0.0, 1.0) as f32
        });
        let found: Vec<f32> = mated.chain(strangers).filter(|&s| f64::from(s) >= floor).collect();
        vec![
            Layer { floor: -1.0, pairs: 1e6, scores: body, dispersion: 1.0 },
            Layer { floor, pairs, scores: Histogram::of(found.into_iter()), dispersion: 1.0 },
        ]
    }

    #[test]
    fn strangers_are_told_however_many_mates_there_are() {
        for (mates, seed) in [(0, 1), (2_000, 2), (20_000, 3)] {
            let pairs = 1e10;
            let null = Null::fit(&layers(pairs, mates, seed), &SFACE).unwrap();
            assert!(!null.is_poor(), "{mates}: {null:?}");
            for log10 in [-7.0, -8.0, -9.0, -10.0] {
                let at = MEAN + DEVIATION * deviate_of(log10);
                let ratio = upper_share(null.deviate(at)) / 10f64.powf(log10);
                assert!((0.5..2.0).contains(&ratio), "{mates} mates, 1e{log10}: {ratio}");
            }
            let counted = null.mates / (mates as f64).max(1.0);
            assert!(if mates == 0 { null.mates < 10.0 } else { (0.9..1.1).contains(&counted) }, "{mates}: {counted}");
        }
    }

    #[test]
    fn scores_of_no_normal_distribution_are_a_poor_fit() {
        let mut random = Random::new(4);
        // Half of the pairs are one person's copies.
        let spoilt = (0..100_000).map(|k| if k % 2 == 0 { 0.9 } else { (MEAN + DEVIATION * random.normal()) as f32 });
        let layer = Layer { floor: -1.0, pairs: 1e5, scores: Histogram::of(spoilt), dispersion: 50.0 };
        assert!(Null::fit(&[layer], &SFACE).is_none_or(|null| null.is_poor()));
        let none = Layer { floor: -1.0, pairs: 1e5, scores: Histogram::of(std::iter::empty()), dispersion: 1.0 };
        assert!(Null::fit(&[none], &SFACE).is_none());
    }
}
