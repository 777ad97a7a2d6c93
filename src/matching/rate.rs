//! The false-match rate as a curve over similarity.

use serde::{Deserialize, Serialize};

use super::deviate::{deviate_of, log_upper_share};

/// Points of a curve per unit of cosine.
const STEPS: f64 = 1000.0;

/// Rates below are not told apart. Nothing is known of them: identical twins alone (about 3.5 of 1,000 births) make
/// chance a poor word for what happens there.
pub const LEAST_LOG10_RATE: f64 = -20.0;

/// False-match rate (ISO/IEC 19795-1) as a function of similarity: the share of comparisons of two different people
/// whose cosine reaches it. A table of log10 rates at every thousandth of cosine from -1 to 1, log-linear between,
/// never rising, never below [`LEAST_LOG10_RATE`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FalseMatchRate {
    log10: Vec<f64>,
}

impl FalseMatchRate {
    /// From the natural logarithm of the rate at a cosine. What rises is flattened, what is NaN continues.
    pub fn from_log(log_rate: impl Fn(f64) -> f64) -> Self {
        let mut least = 0.0;
        let value = |k: usize| log_rate(k as f64 / STEPS - 1.0) / std::f64::consts::LN_10;
        let log10 = (0..=(2.0 * STEPS) as usize)
            .map(|k| {
                let here = value(k);
                if here < least {
                    least = here.max(LEAST_LOG10_RATE);
                }
                least
            })
            .collect();
        FalseMatchRate { log10 }
    }

    /// From points of ascending similarity and descending log10 rate below 0. Between them, and on from the last two, the
    /// normal deviate of the rate is linear (the axes of Martin et al., "The DET curve", 1997): different people's scores
    /// are near normal. `more` decades are added to every rate.
    pub fn from_points(points: &[(f32, f64)], more: f64) -> Self {
        let deviates: Vec<(f64, f64)> = points.iter().map(|&(s, log10)| (f64::from(s), deviate_of(log10))).collect();
        Self::from_log(|s| {
            let at = deviates.partition_point(|&(x, _)| x <= s).clamp(1, deviates.len() - 1);
            let ((x0, y0), (x1, y1)) = (deviates[at - 1], deviates[at]);
            let deviate = y0 + (y1 - y0) * (s - x0) / (x1 - x0);
            (log_upper_share(deviate) + more * std::f64::consts::LN_10).min(0.0)
        })
    }

    /// log10 of the rate at a similarity, [`LEAST_LOG10_RATE`] to 0; 0 for NaN, which proves nothing.
    pub fn log10(&self, similarity: f32) -> f64 {
        if similarity.is_nan() {
            return 0.0;
        }
        let at = ((f64::from(similarity) + 1.0) * STEPS).clamp(0.0, 2.0 * STEPS);
        let below = (at.floor() as usize).min(self.log10.len() - 2);
        let part = at - below as f64;
        self.log10[below] + part * (self.log10[below + 1] - self.log10[below])
    }

    /// The rate at a similarity, 0..=1.
    pub fn at(&self, similarity: f32) -> f64 {
        10f64.powf(self.log10(similarity))
    }

    /// Density of impostor scores at a similarity, per unit of cosine.
    pub fn density(&self, similarity: f32) -> f64 {
        let half = 0.002;
        let (low, high) = ((similarity - half).max(-1.0), (similarity + half).min(1.0));
        let width = f64::from(high - low).max(1e-6);
        ((self.at(low) - self.at(high)) / width).max(10f64.powf(LEAST_LOG10_RATE))
    }

    /// The least similarity whose rate is at most `rate`; 1 where none is.
    pub fn inverse(&self, rate: f64) -> f32 {
        let wanted = rate.max(0.0).log10();
        let at = self.log10.partition_point(|&v| v > wanted);
        if at == 0 {
            return -1.0;
        }
        let Some(&here) = self.log10.get(at) else { return 1.0 };
        let before = self.log10[at - 1];
        let part = if before > here { (before - wanted) / (before - here) } else { 1.0 };
        // Rounded up, so that the rate at the answer is not above the one asked for.
        (((at as f64 - 1.0 + part) / STEPS - 1.0) as f32).next_up()
    }

    /// The rate at the wider of two curves at each similarity: the more cautious of both.
    pub fn widest(&self, other: &Self) -> Self {
        FalseMatchRate { log10: self.log10.iter().zip(&other.log10).map(|(a, b)| a.max(*b)).collect() }
    }
}
