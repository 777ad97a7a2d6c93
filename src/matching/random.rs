//! Small deterministic randomness: the same run gives the same resamples on every machine and thread count.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in (0, 1), never either end.
    #[cfg(test)]
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Uniform in `0..n`; `n` far below 2^32, so that the bias of the remainder is nothing.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// Standard normal deviate (Box and Muller, 1958).
    #[cfg(test)]
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Scrambles a number so that neighbours have nothing in common.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

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
        let mut random = Random::new(7);
        let n = 40_000;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let normals: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        assert!(mean(&normals).abs() < 0.02);
        assert!((mean(&normals.iter().map(|v| v * v).collect::<Vec<_>>()) - 1.0).abs() < 0.03);
        let weights: Vec<f64> = (0..n).map(|i| poisson_weight(i, 3)).collect();
        assert!((mean(&weights) - 1.0).abs() < 0.02);
        assert!((mean(&weights.iter().map(|v| v * v).collect::<Vec<_>>()) - 2.0).abs() < 0.08);
        assert_eq!(poisson_weight(11, 5), poisson_weight(11, 5));
    }
}
