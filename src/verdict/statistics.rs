//! The formulas behind [`super::peers`]: Fisher's exact test, and Benjamini and Hochberg's q-values.

/// ln(n!) for n >= 0.
///
/// Below 16 from the product itself, above by Stirling's series (Abramowitz and Stegun, 6.1.41, for ln Γ(n + 1)) to its
/// fifth term, which is off by less than 1e-16 of the value.
pub(super) fn ln_factorial(n: u64) -> f64 {
    if n < 16 {
        return (2..=n).map(|k| k as f64).product::<f64>().ln();
    }
    let x = (n + 1) as f64;
    let (r, r2) = (1.0 / x, 1.0 / (x * x));
    let series = r * (1.0 / 12.0 - r2 * (1.0 / 360.0 - r2 * (1.0 / 1260.0 - r2 * (1.0 / 1680.0 - r2 / 1188.0))));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

/// One-sided Fisher's exact test: the chance that at least `hits` of `trials` are hits when they are drawn from the same
/// urn as `peer_hits` of `peer_trials` (R. A. Fisher, "The Design of Experiments", 1935, section 11; the upper tail of
/// the hypergeometric distribution). 1 where either side is empty.
pub(super) fn fisher_greater(hits: u64, trials: u64, peer_hits: u64, peer_trials: u64) -> f64 {
    if trials == 0 || peer_trials == 0 || hits == 0 || hits > trials || peer_hits > peer_trials {
        return 1.0;
    }
    let (all_hits, all) = (hits + peer_hits, trials + peer_trials);
    let choose = |n: u64, k: u64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let first = choose(all_hits, hits) + choose(all - all_hits, trials - hits) - choose(all, trials);
    // Terms relative to the first, each from the one before.
    let mut term = 1.0;
    let mut tail = 1.0;
    for k in hits..trials.min(all_hits) {
        let misses = (all - all_hits + k + 1).saturating_sub(trials);
        term *= (all_hits - k) as f64 * (trials - k) as f64 / ((k + 1) as f64 * misses as f64);
        tail += term;
        if term < tail * 1e-18 {
            break;
        }
    }
    (first + f64::ln(tail)).exp().min(1.0)
}

/// The q-value of each p-value: the least false discovery rate at which it would be a discovery (Y. Benjamini and
/// Y. Hochberg, JRSS B 57, 1995). `tests` is how many tests were made in all; those not listed had p = 1.
pub(crate) fn q_values(p_values: &[f64], tests: usize) -> Vec<f64> {
    let tests = tests.max(p_values.len()) as f64;
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[b].total_cmp(&p_values[a]).then(b.cmp(&a)));
    let mut q_values = vec![1.0; p_values.len()];
    let mut least: f64 = 1.0;
    for (at, &test) in order.iter().enumerate() {
        let rank = (p_values.len() - at) as f64;
        least = least.min(p_values[test] * tests / rank);
        q_values[test] = least;
    }
    q_values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-9 * expected.abs()
    }

    #[test]
    fn fishers_test_is_scipys() {
        // scipy 1.17.1: fisher_exact([[k, n - k], [K, N - K]], alternative="greater").pvalue
        let cases = [
            ((8, 10, 1, 6), 0.024475524475524483),
            ((3, 10, 10, 200), 0.01740384968690422),
            ((50, 100, 100, 10_000), 2.594612006542302e-67),
            ((4, 4, 6, 1006), 4.8722323807726004e-09),
            ((20, 400, 300, 99_600), 6.506795442869031e-18),
            ((3, 500, 200, 99_500), 0.08243176092828476),
            ((120, 10_000, 900, 490_000), 1.3170606066154597e-53),
            ((0, 5, 3, 103), 1.0),
        ];
        for ((k, n, peer_k, peer_n), p) in cases {
            let found = fisher_greater(k, n, peer_k, peer_n);
            assert!(near(found, p), "{k}/{n} against {peer_k}/{peer_n}: {found:e}, scipy says {p:e}");
        }
        assert_eq!(fisher_greater(5, 5, 0, 0), 1.0, "nobody to compare with");
        assert_eq!(fisher_greater(0, 0, 1, 5), 1.0);
        assert_eq!(fisher_greater(5, 5, 5, 5), 1.0);
    }

    #[test]
    fn q_values_are_scipys() {
        // scipy 1.17.1: false_discovery_control([0.01, 0.04, 0.03, 0.2, 0.9, 0.005])
        let p = [0.01, 0.04, 0.03, 0.2, 0.9, 0.005];
        let q = [0.03, 0.06, 0.06, 0.24, 0.9, 0.03];
        assert!(q_values(&p, 6).iter().zip(q).all(|(&found, q)| near(found, q)), "{:?}", q_values(&p, 6));
        // Tests that are not listed count: the same as listing them with p = 1.
        let padded: Vec<f64> = p.iter().copied().chain([1.0; 14]).collect();
        assert_eq!(q_values(&p, 20), q_values(&padded, 20)[..6]);
        assert!(q_values(&[], 5).is_empty());
    }

    #[test]
    fn factorials_of_every_size() {
        // Python: math.lgamma(n + 1)
        for (n, ln) in
            [(0, 0.0), (1, 0.0), (15, 27.899271383840894), (16, 30.671860106080672), (1_000_000, 12815518.384658169)]
        {
            assert!((ln_factorial(n) - ln).abs() <= 1e-14 * ln.max(1.0), "{n}: {}", ln_factorial(n));
        }
    }
}
