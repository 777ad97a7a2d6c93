//! Which probes of a tile have a row near enough: the step after the dot products.
//!
//! One function, compiled three times: the compiler makes of it what AVX2 and AVX-512 offer. Multiplication and
//! addition stay apart, so all versions give the same bits.

use super::{Kernel, LANES, TILE_BLOCKS};

/// Rows of a full tile.
const TWO_BLOCKS: usize = TILE_BLOCKS * LANES;

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
}

/// One bit per probe, set when a row of the tile reaches what it asks. `sums` has as many numbers per probe as there
/// are `scales` and `residuals`: one block of rows or two; at most 32 probes.
pub fn reaching(kernel: Kernel, sums: &[i32], probes: &[Reach], scales: &[f32], residuals: &[f32]) -> u32 {
    assert!(probes.len() <= 32 && scales.len() == residuals.len() && sums.len() >= probes.len() * scales.len());
    assert!([LANES, TWO_BLOCKS].contains(&scales.len()));
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
    // A length known to the compiler makes this twice as fast: most tiles have two blocks, the last of a segment one.
    if let (Some(scales), Some(residuals)) = (scales.first_chunk::<TWO_BLOCKS>(), residuals.first_chunk::<TWO_BLOCKS>())
    {
        return of_rows(sums, probes, scales, residuals);
    }
    match (scales.first_chunk::<LANES>(), residuals.first_chunk::<LANES>()) {
        (Some(scales), Some(residuals)) => of_rows(sums, probes, scales, residuals),
        _ => 0,
    }
}

#[inline(always)]
fn of_rows<const N: usize>(sums: &[i32], probes: &[Reach], scales: &[f32; N], residuals: &[f32; N]) -> u32 {
    let mut mask = 0;
    for (p, (sums, &reach)) in sums.as_chunks::<N>().0.iter().zip(probes).enumerate() {
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
                let mut rows = scales.iter().zip(&residuals).zip(&sums[p * lanes..]);
                rows.any(|((&scale, &residual), &sum)| probes[p].most(sum, scale, residual) >= probes[p].least)
            };
            let expected = (0..probes.len()).map(|p| u32::from(reaches(p)) << p).sum::<u32>();
            for &kernel in Kernel::ALL {
                prop_assert_eq!(reaching(kernel, &sums, &probes, &scales, &residuals), expected, "{}", kernel.name());
            }
        }
    }
}
