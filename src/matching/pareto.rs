//! The generalised Pareto distribution of exceedances, and fitting it.
//!
//! Whatever the distribution of a score, its exceedances over a high threshold tend to a generalised Pareto
//! distribution (Balkema and de Haan 1974; Pickands 1975); Scheirer et al., "Meta-recognition: the theory and practice
//! of recognition score analysis" (TPAMI 2011) base the confidence of recognition scores on this. Impostor cosines are
//! bounded by 1 and close to normal, so their shape is slightly negative.
//!
//! Fit: penalised maximum likelihood (Coles and Dixon 1999). The penalty is a normal prior on the shape, because a far
//! extrapolation hangs on the shape alone and a few hundred exceedances say little about it. Exceedances are binned;
//! with bins a tenth of the scale this moves the estimate by a thousandth and makes hundreds of resamples cheap.

use super::random::Random;

/// Shapes outside are not believed: below -0.4 the distribution ends abruptly, above 0.1 a bounded score cannot go.
const SHAPES: (f64, f64) = (-0.4, 0.1);

/// Scales, in cosine, between which a fit is sought.
const SCALES: (f64, f64) = (1e-4, 0.5);

/// Generalised Pareto tail of a score: `P(S >= s) = rate (1 + shape (s - start) / scale)^(-1 / shape)` for `s >= start`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// Where the tail begins, cosine.
    pub start: f64,
    /// Share of scores at or above `start`, 0..=1.
    pub rate: f64,
    /// Scale, cosine, > 0.
    pub scale: f64,
    /// Shape; negative ends at `start - scale / shape`, 0 is exponential.
    pub shape: f64,
}

impl Tail {
    /// Natural logarithm of `P(S >= s)`; minus infinity beyond the end of a negative shape.
    pub fn log_survival(&self, s: f64) -> f64 {
        self.rate.ln() + log_survival((s - self.start).max(0.0) / self.scale, self.shape)
    }

    /// The same tail seen from a higher start: a generalised Pareto tail again, with the same shape.
    pub fn from(&self, start: f64) -> Tail {
        let scale = (self.scale + self.shape * (start - self.start)).max(SCALES.0);
        Tail { start, rate: self.log_survival(start).exp(), scale, shape: self.shape }
    }
}

/// `ln (1 + shape z)^(-1/shape)`
pub(super) fn log_survival(z: f64, shape: f64) -> f64 {
    if shape.abs() < 1e-9 {
        return -z;
    }
    match 1.0 + shape * z {
        inside if inside > 0.0 => -inside.ln() / shape,
        _ => f64::NEG_INFINITY,
    }
}

/// What is believed of a parameter before the data: a normal distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// Its centre.
    pub mean: f64,
    /// Its standard deviation, > 0.
    pub deviation: f64,
}

impl Belief {
    /// Minus the logarithm of its density, up to a constant.
    fn penalty(&self, value: f64) -> f64 {
        0.5 * ((value - self.mean) / self.deviation).powi(2)
    }
}

/// Exceedances in bins of equal width from the start of the tail.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Binned {
    /// Width of a bin, cosine.
    pub width: f64,
    /// Weight of each bin.
    pub weights: Vec<f64>,
}

impl Binned {
    /// Bins values from `start` up with weights, in at least 8 and at most 512 bins.
    pub(super) fn new(values: impl Iterator<Item = (f64, f64)> + Clone, start: f64, width: f64) -> Self {
        let top = values.clone().fold(start, |m, (v, _)| m.max(v));
        let width = width.max((top - start) / 512.0);
        let count = (((top - start) / width).floor() as usize + 1).max(8);
        let mut weights = vec![0.0; count];
        for (value, weight) in values.filter(|(v, _)| *v >= start) {
            weights[(((value - start) / width) as usize).min(count - 1)] += weight;
        }
        Binned { width, weights }
    }

    pub(super) fn total(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// Middle of bin `k` above the start.
    pub(super) fn middle(&self, k: usize) -> f64 {
        (k as f64 + 0.5) * self.width
    }

    fn filled(&self) -> Vec<(f64, f64)> {
        (0..self.weights.len()).filter(|&k| self.weights[k] > 0.0).map(|k| (self.middle(k), self.weights[k])).collect()
    }
}

/// What is believed before the data: shape always, log scale where a wider fit gives one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beliefs {
    /// Of the shape.
    pub shape: Belief,
    /// Of the natural logarithm of the scale.
    pub log_scale: Option<Belief>,
}

/// Scale and shape that fit the exceedances best, or `None` where their weight is nothing.
///
/// For a given shape the likelihood's slope in the log scale is monotone, so bisection finds its zero; the profile in
/// the shape is searched by golden section.
pub(super) fn fit(binned: &Binned, beliefs: &Beliefs) -> Option<(f64, f64)> {
    let filled = binned.filled();
    let total: f64 = filled.iter().map(|(_, w)| w).sum();
    if total.is_nan() || total <= 0.0 {
        return None;
    }
    let cost = |shape: f64| {
        let scale = best_scale(&filled, total, shape, beliefs.log_scale);
        let fit: f64 = filled.iter().map(|&(y, w)| w * -log_density(y, scale, shape)).sum();
        fit + beliefs.shape.penalty(shape) + beliefs.log_scale.map_or(0.0, |b| b.penalty(scale.ln()))
    };
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = SHAPES;
    let (mut x1, mut x2) = (high - golden * (high - low), low + golden * (high - low));
    let (mut f1, mut f2) = (cost(x1), cost(x2));
    for _ in 0..22 {
        if f1 <= f2 {
            (high, x2, f2) = (x2, x1, f1);
            x1 = high - golden * (high - low);
            f1 = cost(x1);
        } else {
            (low, x1, f1) = (x1, x2, f2);
            x2 = low + golden * (high - low);
            f2 = cost(x2);
        }
    }
    let shape = (low + high) / 2.0;
    Some((best_scale(&filled, total, shape, beliefs.log_scale), shape))
}

/// Logarithm of the density at exceedance `y`.
pub(super) fn log_density(y: f64, scale: f64, shape: f64) -> f64 {
    let survival = log_survival(y / scale, shape);
    // d/dy of the survival: its (1 + shape)-th power over the scale.
    (1.0 + shape) * survival - scale.ln()
}

fn best_scale(filled: &[(f64, f64)], total: f64, shape: f64, belief: Option<Belief>) -> f64 {
    let largest = filled.last().map_or(0.0, |&(y, _)| y);
    // With a negative shape the scale must reach past the largest exceedance.
    let mut low = SCALES.0.max(if shape < 0.0 { -shape * largest * (1.0 + 1e-9) } else { 0.0 }).ln();
    let mut high = SCALES.1.ln().max(low + 1e-6);
    for _ in 0..36 {
        let middle = (low + high) / 2.0;
        let inverse = (-middle).exp();
        let data: f64 = filled
            .iter()
            .map(|&(y, w)| {
                let z = y * inverse;
                w * (1.0 + shape) * z / (1.0 + shape * z)
            })
            .sum();
        let slope = total - data + belief.map_or(0.0, |b| (middle - b.mean) / (b.deviation * b.deviation));
        if slope < 0.0 { low = middle } else { high = middle }
    }
    ((low + high) / 2.0).exp()
}

/// Anderson-Darling statistic of exceedances (ascending) under a fit; it weighs the far end most.
pub(super) fn anderson_darling(exceedances: &[f64], scale: f64, shape: f64) -> f64 {
    let n = exceedances.len();
    let survival = |y: f64| log_survival(y.max(0.0) / scale, shape).max(-700.0);
    let sum: f64 = (0..n)
        .map(|i| {
            let below = (-survival(exceedances[i]).exp_m1()).max(1e-300).ln();
            (2 * i + 1) as f64 * (below + survival(exceedances[n - 1 - i]))
        })
        .sum();
    -(n as f64) - sum / n as f64
}

/// Share of samples drawn from the fit itself, fitted anew, that fit worse than the data: the p-value of the
/// Anderson-Darling test with estimated parameters, by parametric bootstrap (Stute, Manteiga, Quindimil 1993).
pub(super) fn goodness(exceedances: &[f64], width: f64, fitted: (f64, f64), beliefs: &Beliefs) -> f64 {
    const DRAWS: usize = 99;
    let (scale, shape) = fitted;
    let observed = anderson_darling(exceedances, scale, shape);
    let mut random = Random::new(exceedances.len() as u64);
    let worse = (0..DRAWS)
        .filter(|_| {
            let mut drawn: Vec<f64> =
                (0..exceedances.len()).map(|_| quantile(random.uniform(), scale, shape)).collect();
            drawn.sort_by(f64::total_cmp);
            let binned = Binned::new(drawn.iter().map(|&y| (y, 1.0)), 0.0, width);
            fit(&binned, beliefs).is_some_and(|(s, k)| anderson_darling(&drawn, s, k) >= observed)
        })
        .count();
    (worse + 1) as f64 / (DRAWS + 1) as f64
}

/// The exceedance that a share `survival` of exceedances reach.
pub(super) fn quantile(survival: f64, scale: f64, shape: f64) -> f64 {
    let log = survival.ln();
    if shape.abs() < 1e-9 { -scale * log } else { scale * (-shape * log).exp_m1() / shape }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOSE: Beliefs = Beliefs { shape: Belief { mean: -0.1, deviation: 10.0 }, log_scale: None };

    fn draw(n: usize, scale: f64, shape: f64, seed: u64) -> Vec<f64> {
        let mut random = Random::new(seed);
        let mut drawn: Vec<f64> = (0..n).map(|_| quantile(random.uniform(), scale, shape)).collect();
        drawn.sort_by(f64::total_cmp);
        drawn
    }

    #[test]
    fn a_fit_finds_what_was_drawn() {
        for (scale, shape) in [(0.02, -0.15), (0.03, 0.0), (0.01, 0.05)] {
            let drawn = draw(20_000, scale, shape, 3);
            let binned = Binned::new(drawn.iter().map(|&y| (y, 1.0)), 0.0, scale / 20.0);
            let (s, k) = fit(&binned, &LOOSE).unwrap();
            assert!((s / scale - 1.0).abs() < 0.05 && (k - shape).abs() < 0.03, "{scale} {shape}: {s} {k}");
        }
    }

    #[test]
    fn few_exceedances_stay_near_the_belief() {
        let drawn = draw(40, 0.02, 0.1, 9);
        let binned = Binned::new(drawn.iter().map(|&y| (y, 1.0)), 0.0, 0.001);
        let belief = Beliefs { shape: Belief { mean: -0.1, deviation: 0.02 }, log_scale: None };
        let (_, shape) = fit(&binned, &belief).unwrap();
        assert!((shape + 0.1).abs() < 0.03, "{shape}");
    }

    #[test]
    fn goodness_tells_pareto_from_uniform() {
        let good = draw(500, 0.02, -0.1, 5);
        let p = |sample: &[f64]| {
            let binned = Binned::new(sample.iter().map(|&y| (y, 1.0)), 0.0, 0.001);
            goodness(sample, 0.001, fit(&binned, &LOOSE).unwrap(), &LOOSE)
        };
        assert!(p(&good) > 0.05, "{}", p(&good));
        // Half of it moved to a bump far out, as duplicates among impostors would stand.
        let mut bumped: Vec<f64> =
            good.iter().enumerate().map(|(i, y)| if i % 4 == 0 { y + 0.3 } else { *y }).collect();
        bumped.sort_by(f64::total_cmp);
        assert!(p(&bumped) <= 0.02, "{}", p(&bumped));
    }

    #[test]
    fn a_tail_seen_from_higher_up_is_the_same_tail() {
        let tail = Tail { start: 0.3, rate: 1e-3, scale: 0.03, shape: -0.1 };
        let higher = tail.from(0.4);
        for s in [0.4, 0.45, 0.5, 0.55] {
            assert!((tail.log_survival(s) - higher.log_survival(s)).abs() < 1e-9);
        }
        assert_eq!(tail.log_survival(0.7), f64::NEG_INFINITY);
        assert_eq!(tail.log_survival(0.1), 1e-3f64.ln());
    }

    #[test]
    fn nothing_fits_to_nothing() {
        assert!(fit(&Binned::new(std::iter::empty(), 0.0, 0.01), &LOOSE).is_none());
        let equal = Binned::new(std::iter::repeat_n((0.0, 1.0), 50), 0.0, 0.01);
        let (scale, shape) = fit(&equal, &LOOSE).unwrap();
        assert!(scale.is_finite() && shape.is_finite());
    }
}
