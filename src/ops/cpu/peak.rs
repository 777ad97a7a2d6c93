//! The arithmetic that one core could do at most, as a yardstick for the kernels.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::Isa;
#[cfg(target_arch = "x86_64")]
use super::amx;
use super::lanes::Lanes;
use crate::ops::spec::Precision;

/// Chains that run side by side: more than latency times pipes on any core so far, fewer than the registers.
const CHAINS: usize = 12;
/// Multiply-adds of four products of tiles.
#[cfg(target_arch = "x86_64")]
const TILES: f64 = (4 * 16 * 16 * 32) as f64;

/// Multiply-adds in registers for about `time`; floating-point operations a second (a multiply-add counts two).
///
/// Split factors take three products in bf16 for one. `None` when the machine cannot do it, and for [`Isa::Plain`], whose
/// multiply-add is a library call.
pub fn fma_peak(isa: Isa, precision: Precision, time: Duration) -> Option<f64> {
    let missing = match precision {
        Precision::F32 => false,
        Precision::Bf16 => !isa.has_bf16(),
        Precision::Bf16x3 => !isa.has_split(),
        Precision::F16 => true,
    };
    if missing || !isa.is_supported() {
        return None;
    }
    // A burst, and the multiply-adds of one of its rounds.
    let (burst, round): (fn(u64), f64) = match (isa, precision) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction set is there, as asked above.
        (Isa::Avx512 | Isa::Amx, Precision::F32) => (|n| unsafe { burst_avx512(n) }, (CHAINS * 16) as f64),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Isa::Avx512, Precision::Bf16) => (|n| unsafe { burst_avx512_bf16(n) }, (CHAINS * 32) as f64),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Isa::Amx, Precision::Bf16) => (|n| unsafe { amx::product::burst(n) }, TILES),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Isa::Amx, Precision::Bf16x3) => (|n| unsafe { amx::product::burst(n) }, TILES / 3.0),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Isa::Avx2, Precision::F32) => (|n| unsafe { burst_avx2(n) }, (CHAINS * 8) as f64),
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        (Isa::Neon, Precision::F32) => (|n| unsafe { burst::<super::lanes::Neon>(n) }, (CHAINS * 4) as f64),
        _ => return None,
    };
    const ROUNDS: u64 = 10_000;
    let start = Instant::now();
    let mut best = 0f64;
    while start.elapsed() < time {
        let began = Instant::now();
        burst(black_box(ROUNDS));
        best = best.max(2.0 * ROUNDS as f64 * round / began.elapsed().as_secs_f64());
    }
    Some(best)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn burst_avx512(rounds: u64) {
    // SAFETY: compiled for the instruction set.
    unsafe { burst::<super::lanes::Avx512>(rounds) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
fn burst_avx512_bf16(rounds: u64) {
    // SAFETY: compiled for the instruction set.
    unsafe { burst::<super::lanes::Avx512Bf16>(rounds) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn burst_avx2(rounds: u64) {
    // SAFETY: compiled for the instruction set.
    unsafe { burst::<super::lanes::Avx2>(rounds) }
}

/// # Safety
/// The CPU must have the instruction set of `L`.
#[inline(always)]
unsafe fn burst<L: Lanes>(rounds: u64) {
    let mut out = [0f32; 16];
    // SAFETY: `out` has the lanes of the widest vector; the rest is the caller's promise.
    unsafe {
        let (a, b) = (L::splat(black_box(0.999)), L::splat(black_box(0.001)));
        let mut acc = [L::splat(1.0); CHAINS];
        for _ in 0..rounds {
            for v in &mut acc {
                *v = L::fma(*v, a, b);
            }
        }
        for v in acc {
            L::store(out.as_mut_ptr(), v);
            black_box(&out);
        }
    }
}
