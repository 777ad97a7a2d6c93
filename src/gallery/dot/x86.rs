//! The dot product on x86-64: AVX2, AVX-VNNI and AVX-512 VNNI.
//!
//! All three hold a few probes times one or two blocks in registers and walk the dimensions four at a time: one load
//! of stored codes serves every probe, one broadcast of four probe codes serves every block.

use std::arch::x86_64::*;

use super::kernel::Kernel;
use super::tile::{LANES, TILE_BLOCKS, Tile};

/// Runs one of the kernels; the caller has checked that the processor has it.
pub(super) fn dots(kernel: Kernel, tile: Tile<'_>, out: &mut [i32]) {
    match kernel {
        Kernel::Avx512Vnni => each_group::<8>(tile, out, |n, t, out| match (n, t.count) {
            // SAFETY: AVX-512 F, BW and VNNI are there (`Kernel::is_available`), and `Kernel::dots` checked the lengths.
            (8, 2) => unsafe { avx512::<8, 2>(t, out) },
            // SAFETY: as above.
            (8, _) => unsafe { avx512::<8, 1>(t, out) },
            // SAFETY: as above.
            (_, 2) => unsafe { avx512::<1, 2>(t, out) },
            // SAFETY: as above.
            _ => unsafe { avx512::<1, 1>(t, out) },
        }),
        Kernel::AvxVnni => each_group::<4>(tile, out, |n, t, out| match n {
            // SAFETY: AVX2 and AVX-VNNI are there (`Kernel::is_available`), and `Kernel::dots` checked the lengths.
            4 => unsafe { avx_vnni::<4>(t, out) },
            // SAFETY: as above.
            _ => unsafe { avx_vnni::<1>(t, out) },
        }),
        _ => each_group::<4>(tile, out, |n, t, out| match n {
            // SAFETY: AVX2 is there (`Kernel::is_available`), and `Kernel::dots` checked the lengths.
            4 => unsafe { avx2::<4>(t, out) },
            // SAFETY: as above.
            _ => unsafe { avx2::<1>(t, out) },
        }),
    }
}

/// Cuts a tile's probes into groups of `N`, and the rest into single ones.
fn each_group<const N: usize>(tile: Tile<'_>, out: &mut [i32], run: impl Fn(usize, Tile<'_>, &mut [i32])) {
    let mut done = 0;
    while done < tile.starts.len() {
        let n = if tile.starts.len() - done >= N { N } else { 1 };
        let rows = &tile.rows[done * tile.width..(done + n) * tile.width];
        let part = Tile { rows, starts: &tile.starts[done..done + n], ..tile };
        run(n, part, &mut out[done * tile.count * LANES..(done + n) * tile.count * LANES]);
        done += n;
    }
}

/// # Safety
/// The processor has AVX-512 F, BW and VNNI; `tile` has `P` probes and `B` blocks; `out` has room for `P * B * LANES`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn avx512<const P: usize, const B: usize>(tile: Tile<'_>, out: &mut [i32]) {
    let steps = tile.width / 4;
    let mut sums = [[_mm512_setzero_si512(); B]; P];
    for (p, sums) in sums.iter_mut().enumerate() {
        *sums = [_mm512_set1_epi32(tile.starts[p]); B];
    }
    let blocks: [*const u8; TILE_BLOCKS] =
        [tile.blocks.as_ptr(), tile.blocks.as_ptr().wrapping_add((B - 1) * tile.width * LANES)];
    let rows = tile.rows.as_ptr().cast::<i32>();
    for k in 0..steps {
        let mut stored = [_mm512_setzero_si512(); B];
        for (b, stored) in stored.iter_mut().enumerate() {
            // SAFETY: block `b` has `width * LANES` bytes, which are `steps` registers of 64.
            *stored = unsafe { _mm512_loadu_si512(blocks[b].add(k * 64).cast()) };
        }
        for (p, sums) in sums.iter_mut().enumerate() {
            // SAFETY: row `p` has `width` bytes, which are `steps` groups of 4.
            let four = unsafe { _mm512_set1_epi32(rows.add(p * steps + k).read_unaligned()) };
            for (sum, &stored) in sums.iter_mut().zip(&stored) {
                *sum = _mm512_dpbusd_epi32(*sum, stored, four);
            }
        }
    }
    for (p, sums) in sums.iter().enumerate() {
        for (b, &sum) in sums.iter().enumerate() {
            let to = &mut out[(p * B + b) * LANES..][..LANES];
            // SAFETY: `to` has 16 numbers.
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), sum) };
        }
    }
}

/// Walks the blocks of a tile with `P` probes, each block as two halves of eight templates, through `step`.
macro_rules! half_blocks {
    ($tile:ident, $out:ident, $step:expr) => {
        let steps = $tile.width / 4;
        let rows = $tile.rows.as_ptr().cast::<i32>();
        for (b, block) in $tile.blocks.chunks_exact($tile.width * LANES).enumerate() {
            let mut sums = [[_mm256_setzero_si256(); 2]; P];
            for (p, sums) in sums.iter_mut().enumerate() {
                *sums = [_mm256_set1_epi32($tile.starts[p]); 2];
            }
            for k in 0..steps {
                // SAFETY: a block has `width * LANES` bytes, which are `steps` pairs of registers of 32.
                let stored = unsafe {
                    let at = block.as_ptr().add(k * 64);
                    [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast())]
                };
                for (p, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: row `p` has `width` bytes, which are `steps` groups of 4.
                    let four = unsafe { _mm256_set1_epi32(rows.add(p * steps + k).read_unaligned()) };
                    for (sum, &stored) in sums.iter_mut().zip(&stored) {
                        *sum = $step(*sum, stored, four);
                    }
                }
            }
            for (p, sums) in sums.iter().enumerate() {
                for (half, &sum) in sums.iter().enumerate() {
                    let to = &mut $out[(p * $tile.count + b) * LANES + half * 8..][..8];
                    // SAFETY: `to` has 8 numbers.
                    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), sum) };
                }
            }
        }
    };
}

/// # Safety
/// The processor has AVX2 and AVX-VNNI; `tile` has `P` probes; `out` has room for `P * count * LANES`.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn avx_vnni<const P: usize>(tile: Tile<'_>, out: &mut [i32]) {
    half_blocks!(tile, out, |sum, stored, four| _mm256_dpbusd_avx_epi32(sum, stored, four));
}

/// # Safety
/// The processor has AVX2; `tile` has `P` probes; `out` has room for `P * count * LANES`.
#[target_feature(enable = "avx2")]
unsafe fn avx2<const P: usize>(tile: Tile<'_>, out: &mut [i32]) {
    let ones = _mm256_set1_epi16(1);
    let bias = _mm256_set1_epi8(-128);
    // `pmaddubsw` takes one unsigned and one signed operand and saturates at 2^15. With codes of -127..=127 on both
    // sides, |probe| times ±code adds up to at most 2 * 127 * 127 = 32258.
    let step = |sum, stored, four| {
        let codes = _mm256_sign_epi8(_mm256_xor_si256(stored, bias), four);
        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(four), codes);
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones))
    };
    // The signed codes are whole already, so the accumulators start from zero.
    let starts = [0; P];
    let tile = Tile { starts: &starts, ..tile };
    half_blocks!(tile, out, step);
}

/// The row product of a kernel that the caller has checked for.
pub(super) fn row_dot(kernel: Kernel) -> fn(&[u8], &[u8], i32) -> i32 {
    match kernel {
        // Where AMX is, AVX-512 VNNI is too: `amx::is_granted` asks for both.
        Kernel::Avx512Vnni | Kernel::Amx => |a, b, start| {
            assert_eq!(a.len(), b.len());
            // SAFETY: AVX-512 F, BW and VNNI are there, and both rows have one length.
            unsafe { row_avx512(a, b, start) }
        },
        _ => |a, b, _| {
            assert_eq!(a.len(), b.len());
            // SAFETY: AVX2 is there, and both rows have one length.
            unsafe { row_avx2(a, b) }
        },
    }
}

/// # Safety
/// The processor has AVX-512 F, BW and VNNI; both rows have one length.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn row_avx512(a: &[u8], b: &[u8], start: i32) -> i32 {
    let bias = _mm512_set1_epi8(-128);
    let mut sum = _mm512_setzero_si512();
    for (a, b) in a.as_chunks::<64>().0.iter().zip(b.as_chunks::<64>().0) {
        // SAFETY: both chunks have 64 bytes.
        let (a, b) = unsafe { (_mm512_loadu_si512(a.as_ptr().cast()), _mm512_loadu_si512(b.as_ptr().cast())) };
        sum = _mm512_dpbusd_epi32(sum, a, _mm512_xor_si512(b, bias));
    }
    start + _mm512_reduce_add_epi32(sum)
}

/// # Safety
/// The processor has AVX2; both rows have one length.
#[target_feature(enable = "avx2")]
unsafe fn row_avx2(a: &[u8], b: &[u8]) -> i32 {
    let bias = _mm256_set1_epi8(-128);
    let ones = _mm256_set1_epi16(1);
    let mut sum = _mm256_setzero_si256();
    for (a, b) in a.as_chunks::<32>().0.iter().zip(b.as_chunks::<32>().0) {
        // SAFETY: both chunks have 32 bytes.
        let (a, b) = unsafe { (_mm256_loadu_si256(a.as_ptr().cast()), _mm256_loadu_si256(b.as_ptr().cast())) };
        let (a, b) = (_mm256_xor_si256(a, bias), _mm256_xor_si256(b, bias));
        // As in `avx2`: |a| times ±b cannot saturate.
        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
    }
    let mut lanes = [0i32; 8];
    // SAFETY: `lanes` has 32 bytes.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sum) };
    lanes.iter().sum()
}
