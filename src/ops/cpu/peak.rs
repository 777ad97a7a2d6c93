//! The arithmetic that one core could do at most, as a yardstick for the kernels.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::Isa;
use super::lanes::Lanes;
use crate::ops::conv::Precision;

/// Chains that run side by side: more than latency times pipes on any core so far, fewer than the registers.
const CHAINS: usize = 12;

/// Multiply-adds in registers for about `time`; floating-point operations a second (a multiply-add counts two).
///
/// `None` when the machine cannot do it, and for [`Isa::Plain`], whose multiply-add is a library call.
pub fn fma_peak(isa: Isa, precision: Precision, time: Duration) -> Option<f64> {
    if !isa.is_supported() || (precision == Precision::Bf16 && !isa.has_bf16()) {
        return None;
    }
    let (burst, lanes): (fn(u64), usize) = match (isa, precision) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction set is there, as asked above.
        (Isa::Avx512, Precision::F32) => (|n| unsafe { burst_avx512(n) }, 16),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Isa::Avx512, Precision::Bf16) => (|n| unsafe { burst_avx512_bf16(n) }, 32),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Isa::Avx2, Precision::F32) => (|n| unsafe { burst_avx2(n) }, 8),
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        (Isa::Neon, Precision::F32) => (|n| unsafe { burst::<super::lanes::Neon>(n) }, 4),
        _ => return None,
    };
    const ROUNDS: u64 = 10_000;
    let start = Instant::now();
    let mut best = 0f64;
    while start.elapsed() < time {
        let round = Instant::now();
        burst(black_box(ROUNDS));
        let done = ROUNDS as f64 * (CHAINS * lanes * 2) as f64;
        best = best.max(done / round.elapsed().as_secs_f64());
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
