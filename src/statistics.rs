//! What several rooms need of chance and statistics, once.

use sha2::{Digest, Sha256};

/// A number from 0 to 1 (open on both sides) that hangs on the words alone, by SHA-256: every process, and any other tool,
/// draws the same.
pub fn uniform_of(words: &[&str]) -> f64 {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word.as_bytes());
    }
    let digest = hash.finalize();
    let bytes: [u8; 8] = std::array::from_fn(|i| digest[i]);
    ((u64::from_le_bytes(bytes) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): the same numbers for the
/// same seed on every machine, and whatever a library's next version does. Not for secrets.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of a seed. Seeds that differ in a few bits give streams that have nothing in common.
    pub fn new(seed: u64) -> Self {
        SplitMix64(seed)
    }

    /// 64 random bits.
    #[expect(clippy::should_implement_trait, reason = "a stream without an end is no iterator to collect")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in 0..1, never 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in (0, 1), never either end.
    pub fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Uniform in `0..n`; `n` far below 2^32, so that the bias of the remainder is nothing.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// Standard normal deviate (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// SplitMix64's finaliser: scrambles a number so that neighbours have nothing in common.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Wilson's score interval of a rate at 95 % (E. B. Wilson, JASA 22, 1927): low and high end, 0..=1. All of it for no trials.
/// Trials are taken to be independent.
pub fn wilson(hits: u64, trials: u64) -> [f64; 2] {
    /// The 97.5 % point of the normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    if trials == 0 {
        return [0.0, 1.0];
    }
    let (n, p) = (trials as f64, hits as f64 / trials as f64);
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let low = if hits == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if hits == trials { 1.0 } else { (centre + half).min(1.0) };
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        // The first outputs for seed 1234567 (Vigna's splitmix64.c, as Rosetta Code lists them).
        let mut random = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..5).map(|_| random.next()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(first, published);
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = SplitMix64::new(7);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let normals: Vec<f64> = (0..40_000).map(|_| random.normal()).collect();
        assert!(mean(&normals).abs() < 0.02);
        assert!((mean(&normals.iter().map(|v| v * v).collect::<Vec<_>>()) - 1.0).abs() < 0.03);
        let units: Vec<f64> = (0..40_000).map(|_| random.unit()).collect();
        assert!((mean(&units) - 0.5).abs() < 0.01 && units.iter().all(|unit| (0.0..1.0).contains(unit)));
        assert!((0..1000).all(|_| random.below(7) < 7));
    }

    #[test]
    fn wilsons_interval_is_scipys() {
        // scipy 1.17.1: binomtest(k, n).proportion_ci(0.95, method="wilson")
        let cases = [
            (0, 10, [0.0, 0.27753279986288926]),
            (5, 10, [0.236593090512564, 0.7634069094874361]),
            (1, 50, [0.0035392592716462223, 0.10495443589637814]),
            (10, 10, [0.7224672001371109, 1.0]),
            (30, 1000, [0.021093738828834696, 0.042503414147587126]),
        ];
        for (hits, trials, expected) in cases {
            let found = wilson(hits, trials);
            let near = |(found, expected): (&f64, f64)| (found - expected).abs() <= 1e-9 * expected;
            assert!(found.iter().zip(expected).all(near), "{hits}/{trials}: {found:?}");
        }
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
    }
}
