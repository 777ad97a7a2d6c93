//! The dot product on Arm with the dot-product extension (`sdot`, ARMv8.2 and later), by inline assembly: the
//! intrinsic is not stable.
//!
//! A block's 64 bytes of one step are four registers of four templates; `sdot` by element multiplies them with the
//! four codes of a probe. Stored bytes are `code + 128`; flipping the top bit makes them signed again, so sums start
//! from zero.

use std::arch::aarch64::*;
use std::arch::asm;

use super::tile::{LANES, Tile, ZERO};

/// Probes held in registers at a time: four sums each, and four registers of codes.
const GROUP: usize = 4;

/// The products of a tile. The caller has checked that the processor has `sdot`.
pub(super) fn dots(tile: Tile<'_>, out: &mut [i32]) {
    let Tile { width, rows, blocks, count, .. } = tile;
    for (b, block) in blocks.chunks_exact(width * LANES).enumerate() {
        for (g, rows) in rows.chunks(GROUP * width).enumerate() {
            let mut sums = [[0i32; LANES]; GROUP];
            // SAFETY: the processor has `sdot` (`Kernel::is_available`); rows and block are whole.
            unsafe {
                match rows.len() / width {
                    4 => group::<4>(rows, block, width, &mut sums),
                    3 => group::<3>(rows, block, width, &mut sums),
                    2 => group::<2>(rows, block, width, &mut sums),
                    _ => group::<1>(rows, block, width, &mut sums),
                }
            }
            for (p, sums) in sums.iter().enumerate().take(rows.len() / width) {
                out[((g * GROUP + p) * count + b) * LANES..][..LANES].copy_from_slice(sums);
            }
        }
    }
}

/// `sum + a · b` in groups of four bytes.
///
/// # Safety
/// The processor has the dot-product extension.
#[inline(always)]
unsafe fn sdot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: registers only.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// # Safety
/// The processor has the dot-product extension; `rows` has `P` rows of `width` codes, `block` `width * LANES` bytes.
unsafe fn group<const P: usize>(rows: &[i8], block: &[u8], width: usize, out: &mut [[i32; LANES]; GROUP]) {
    // SAFETY: step `k` reads 64 bytes of the block and 4 bytes of each row, and there are `width / 4` steps.
    unsafe {
        let bias = vdupq_n_u8(ZERO);
        let mut sums = [[vdupq_n_s32(0); 4]; P];
        for k in 0..width / 4 {
            let at = block.as_ptr().add(k * 64);
            let stored: [int8x16_t; 4] =
                std::array::from_fn(|q| vreinterpretq_s8_u8(veorq_u8(vld1q_u8(at.add(16 * q)), bias)));
            for (p, sums) in sums.iter_mut().enumerate() {
                let four = rows.as_ptr().add(p * width + 4 * k).cast::<i32>().read_unaligned();
                let four = vreinterpretq_s8_s32(vdupq_n_s32(four));
                for (sum, &stored) in sums.iter_mut().zip(&stored) {
                    *sum = sdot(*sum, stored, four);
                }
            }
        }
        for (out, sums) in out.iter_mut().zip(&sums) {
            for (q, &sum) in sums.iter().enumerate() {
                vst1q_s32(out[4 * q..4 * q + 4].as_mut_ptr(), sum);
            }
        }
    }
}

/// The product of two rows. The caller has checked that the processor has `sdot`.
pub(super) fn row_dot() -> fn(&[u8], &[u8], i32) -> i32 {
    |a, b, _| {
        assert_eq!(a.len(), b.len());
        // SAFETY: the processor has `sdot`, and both rows have one length.
        unsafe {
            let bias = vdupq_n_u8(ZERO);
            let mut sum = vdupq_n_s32(0);
            for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
                let signed = |x: &[u8; 16]| vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x.as_ptr()), bias));
                sum = sdot(sum, signed(a), signed(b));
            }
            vaddvq_s32(sum)
        }
    }
}
