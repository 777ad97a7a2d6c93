//! The upper tail of the normal distribution, also where it is very thin.

/// Terms of the continued fraction; 60 give all digits from a deviate of 2 on.
const TERMS: u32 = 60;

/// From here on the continued fraction converges quickly.
const FRACTION_FROM: f64 = 2.0;

/// Natural logarithm of the share of a standard normal distribution above `z`.
pub(super) fn log_upper_share(z: f64) -> f64 {
    if z < FRACTION_FROM {
        return upper_share(z).max(f64::MIN_POSITIVE).ln();
    }
    log_density(z) - fraction(z).ln()
}

/// Share of a standard normal distribution above `z`.
pub(super) fn upper_share(z: f64) -> f64 {
    match z {
        z if z.is_nan() => 1.0,
        z if z >= FRACTION_FROM => (log_density(z) - fraction(z).ln()).exp(),
        z if z <= -FRACTION_FROM => 1.0 - upper_share(-z),
        // Abramowitz and Stegun, 26.2.11.
        z => {
            let (mut term, mut sum) = (z, z);
            for k in 1..60 {
                term *= z * z / f64::from(2 * k + 1);
                sum += term;
            }
            0.5 - sum * log_density(z).exp()
        }
    }
}

/// The deviate above which a share of `10^log10_share` lies: by bisection, for shares from 1 to 1e-300.
pub(super) fn deviate_of(log10_share: f64) -> f64 {
    let wanted = log10_share * std::f64::consts::LN_10;
    let (mut low, mut high) = (-9.0, 38.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if log_upper_share(middle) > wanted { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// Density over the share above: `z + 1 / (z + 2 / (z + 3 / ...))` (Abramowitz and Stegun, 26.2.14).
fn fraction(z: f64) -> f64 {
    (1..=TERMS).rev().fold(z, |below, k| z + f64::from(k) / below)
}

fn log_density(z: f64) -> f64 {
    -0.5 * z * z - 0.5 * std::f64::consts::TAU.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_the_normal_distribution() {
        // scipy 1.17.1: norm.sf, norm.logsf.
        let known = [
            (-3.0, 0.998_650_101_968_369_9),
            (0.0, 0.5),
            (1.0, 0.158_655_253_931_457_05),
            (3.0, 1.349_898_031_630_094_6e-3),
        ];
        for (z, share) in known {
            assert!((upper_share(z) / share - 1.0).abs() < 1e-10, "{z}: {}", upper_share(z));
        }
        assert!((log_upper_share(10.0) / -53.231_285_150_512_48 - 1.0).abs() < 1e-10, "{}", log_upper_share(10.0));
        for z in [-2.0, 0.3, 1.999, 2.001, 7.5, 20.0] {
            let back = deviate_of(log_upper_share(z) / std::f64::consts::LN_10);
            assert!((back - z).abs() < 1e-6, "{z}: {back}");
        }
        assert_eq!(upper_share(f64::NAN), 1.0);
    }
}
