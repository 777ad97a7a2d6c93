//! Which probes of a tile have a row near enough: the step after the dot products.
//!
//! One function, compiled three times: the compiler makes of it what AVX2 and AVX-512 offer. Multiplication and
//! addition stay apart, so all versions give the same bits. Nearly every probe of nearly every tile has nobody near, and
//! one comparison of integers per sum shows it; only the others are looked at as [`Reach`] says.

use super::Kernel;

/// What a probe asks of a sum: `sum * (scale * row_scale) + row_residual * grown >= least`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Reach {
    /// The probe's scale.
    pub scale: f32,
    /// 1 + the probe's residual.
    pub grown: f32,
    /// The similarity asked for, less the probe's residual and the rounding of a scan.
    pub least: f32,
}

impl Reach {
    /// The left side: the most that the similarity can be, less the probe's residual and the rounding.
    #[inline(always)]
    pub fn most(self, sum: i32, row_scale: f32, row_residual: f32) -> f32 {
        sum as f32 * (self.scale * row_scale) + row_residual * self.grown
    }

    /// A number below which no sum with a row reaches, where rows have at most this scale and residual.
    ///
    /// A sum that reaches with some row is `sum >= (least - row_residual * grown) / (scale * row_scale)`, and while the
    /// numerator is positive the right side is smallest for the largest scale and residual. The numbers are of the
    /// order of 1 and rounded to 2^-24 a few times over; the slack is ten times that, of the sum and of what the
    /// numerator loses.
    #[inline(always)]
    fn bound(self, most_scale: f32, most_residual: f32) -> i32 {
        let short = self.least - most_residual * self.grown - 1e-6;
        let per_unit = self.scale * most_scale;
        if short > 0.0 && per_unit > 0.0 { (short / per_unit * (1.0 - 1e-6)) as i32 } else { i32::MIN }
    }
}

/// One bit per probe, set when a row of the tile reaches what it asks. `sums` has as many numbers per probe as there
/// are `scales` and `residuals`; at most 32 probes.
pub fn reaching(kernel: Kernel, sums: &[i32], probes: &[Reach], scales: &[f32], residuals: &[f32]) -> u32 {
    assert!(probes.len() <= 32 && scales.len() == residuals.len() && sums.len() >= probes.len() * scales.len());
    #[cfg(target_arch = "x86_64")]
    match kernel {
        // SAFETY: the processor has what these are compiled for; they are safe code.
        Kernel::Avx512Vnni | Kernel::Amx if kernel.is_available() => unsafe {
            return avx512(sums, probes, scales, residuals);
        },
        // SAFETY: as above.
        Kernel::Avx2 | Kernel::AvxVnni if kernel.is_available() => unsafe {
            return avx2(sums, probes, scales, residuals);
        },
        _ => {}
    }
    let _ = kernel;
    portable(sums, probes, scales, residuals)
}

#[inline(always)]
fn portable(sums: &[i32], probes: &[Reach], scales: &[f32], residuals: &[f32]) -> u32 {
    let mut mask = 0;
    let most = |values: &[f32]| values.iter().fold(0f32, |most, &v| if v > most { v } else { most });
    let (most_scale, most_residual) = (most(scales), most(residuals));
    for (p, (sums, &reach)) in sums.chunks_exact(scales.len().max(1)).zip(probes).enumerate() {
        let bound = reach.bound(most_scale, most_residual);
        if !sums.iter().fold(false, |any, &sum| any | (sum >= bound)) {
            continue;
        }
        let mut any = false;
        for ((&sum, &scale), &residual) in sums.iter().zip(scales).zip(residuals) {
            any |= reach.most(sum, scale, residual) >= reach.least;
        }
        mask |= u32::from(any) << p;
    }
    mask
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(sums: &[i32], probes: &[Reach], scales: &[f32], residuals: &[f32]) -> u32 {
    portable(sums, probes, scales, residuals)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn avx512(sums: &[i32], probes: &[Reach], scales: &[f32], residuals: &[f32]) -> u32 {
    portable(sums, probes, scales, residuals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_version_finds_the_same_probes(
            sums in prop::collection::vec(-100_000i32..100_000, 32 * 32),
            rows in prop::collection::vec((0f32..0.01, 0f32..0.1), 32), lanes in prop_oneof![Just(16), Just(32)],
            probes in prop::collection::vec((0f32..0.01, 1f32..1.1, -1f32..1.0), 0..=32),
        ) {
            let (scales, residuals): (Vec<f32>, Vec<f32>) = rows.into_iter().take(lanes).unzip();
            let probes: Vec<Reach> = probes.iter().map(|&(scale, grown, least)| Reach { scale, grown, least }).collect();
            let reaches = |p: usize| {
                let mut rows = scales.iter().zip(&residuals).zip(&sums[p * scales.len()..]);
                rows.any(|((&scale, &residual), &sum)| probes[p].most(sum, scale, residual) >= probes[p].least)
            };
            let expected = (0..probes.len()).map(|p| u32::from(reaches(p)) << p).sum::<u32>();
            for &kernel in Kernel::ALL {
                prop_assert_eq!(reaching(kernel, &sums, &probes, &scales, &residuals), expected, "{}", kernel.name());
            }
        }

        /// Rows exactly at the edge: the integer bound must never be the stricter one.
        #[test]
        fn the_integer_bound_keeps_what_reaches_by_a_hair(
            sum in 1i32..8_000_000, scale in 1e-4f32..0.01, row_scale in 1e-4f32..0.01, wider in 1f32..1.5,
            residual in 0f32..0.1, grown in 1f32..1.1, up in 0i32..3,
        ) {
            let reach = Reach { scale, grown, least: 0.0 };
            let most = reach.most(sum, row_scale, residual);
            let least = f32::from_bits(most.to_bits().wrapping_sub(up as u32));
            prop_assume!(least > 0.0 && most <= 2.0);
            let reach = Reach { least, ..reach };
            prop_assert_eq!(reaching(Kernel::Plain, &[sum, 0], &[reach], &[row_scale, row_scale * wider], &[residual, 0.0]) & 1, 1);
        }
    }
}
