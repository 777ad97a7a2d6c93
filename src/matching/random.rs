//! Small deterministic randomness: the same run gives the same resamples on every machine and thread count.

pub(crate) use crate::statistics::{SplitMix64 as Random, mix};

/// How often an identity is drawn in one resample: Poisson with mean 1, a pure function of identity and resample, so
/// that the order in which scores come cannot matter.
pub(crate) fn poisson_weight(identity: u64, resample: u64) -> f64 {
    let uniform = (mix(mix(identity ^ 0xa5a5_5a5a) ^ resample.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 11) as f64
        / (1u64 << 53) as f64;
    let mut term = (-1f64).exp();
    let mut sum = term;
    let mut count = 0.0;
    while uniform > sum && count < 16.0 {
        count += 1.0;
        term /= count;
        sum += term;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_distributions() {
        let n = 40_000;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let weights: Vec<f64> = (0..n).map(|i| poisson_weight(i, 3)).collect();
        assert!((mean(&weights) - 1.0).abs() < 0.02);
        assert!((mean(&weights.iter().map(|v| v * v).collect::<Vec<_>>()) - 2.0).abs() < 0.08);
        assert_eq!(poisson_weight(11, 5), poisson_weight(11, 5));
    }
}
