//! The dot product on AMX int8 (Intel Sapphire Rapids and later), by inline assembly: the intrinsics are not stable.
//!
//! A tile register holds 16 rows of 64 bytes. Sixteen probes by 64 codes are one as they lie, and 64 codes of a block
//! are another as they lie: row `k/4` has four codes of each of sixteen templates. `tdpbsud` multiplies signed probes
//! with unsigned stored bytes and adds into a third tile of 16 by 16 sums. Two probe tiles and two blocks make four
//! sum tiles, and every load serves two products. Asking the system for the registers is left to [`crate::ops::cpu::amx`].

use std::arch::asm;

use super::tile::{LANES, Tile};
use crate::ops::cpu::amx::{self, Factor, ROWS, WHOLE};

/// Whether AMX int8 is there and granted.
pub(super) fn is_granted() -> bool {
    let vnni = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    vnni && amx::is_granted(Factor::Int8)
}

/// The products of a tile. The caller has checked that AMX is there and granted.
pub(super) fn dots(tile: Tile<'_>, out: &mut [i32]) {
    let Tile { width, rows, starts, blocks, count } = tile;
    let stride = count * LANES;
    for group in (0..starts.len()).step_by(2 * ROWS) {
        let probes = (starts.len() - group).min(2 * ROWS);
        let rows = &rows[group * width..(group + probes) * width];
        // Registers take whole tiles: what is short of two is padded with zero probes.
        let padded = (probes < 2 * ROWS).then(|| [rows, &vec![0; (2 * ROWS - probes) * width]].concat());
        let source = padded.as_deref().unwrap_or(rows);
        let mut sums = [0i32; 4 * ROWS * LANES];
        let second = (count - 1) * width * LANES;
        // SAFETY: AMX is there and granted (`is_granted`). `source` has 32 rows of `width` bytes, a multiple of 64;
        // both blocks have `width * LANES` bytes; `sums` has room for four tiles of 16 by 16.
        unsafe { four_tiles(source.as_ptr(), [blocks.as_ptr(), blocks.as_ptr().add(second)], width, &mut sums) };
        for p in 0..probes {
            for b in 0..count {
                // Sum tiles in the order probes 0-15 with block 0, block 1, probes 16-31 with block 0, block 1.
                let from = &sums[((p / ROWS * 2 + b) * ROWS + p % ROWS) * LANES..][..LANES];
                let to = &mut out[(group + p) * stride + b * LANES..][..LANES];
                let start = starts[group + p];
                to.iter_mut().zip(from).for_each(|(to, &from)| *to = from + start);
            }
        }
    }
}

/// Multiplies 32 probes with two blocks.
///
/// # Safety
/// AMX int8 is there and granted; `probes` points to 32 rows of `width` bytes, each block to `width * LANES` bytes,
/// `width` is a positive multiple of 64.
unsafe fn four_tiles(probes: *const i8, blocks: [*const u8; 2], width: usize, sums: &mut [i32; 4 * ROWS * LANES]) {
    // SAFETY: the caller vouches for the pointers; each step reads 64 bytes of 16 probe rows, `width` apart, and 1024
    // bytes of each block, and `width / 64` steps stay inside both. The stores write 4 KiB, the size of `sums`.
    unsafe {
        asm!(
            "ldtilecfg [{config}]",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{low} + {width}*1]",
            "tileloadd tmm5, [{high} + {width}*1]",
            "tileloadd tmm6, [{first} + {line}*1]",
            "tileloadd tmm7, [{second} + {line}*1]",
            "tdpbsud tmm0, tmm4, tmm6",
            "tdpbsud tmm1, tmm4, tmm7",
            "tdpbsud tmm2, tmm5, tmm6",
            "tdpbsud tmm3, tmm5, tmm7",
            "add {low}, 64",
            "add {high}, 64",
            "add {first}, 1024",
            "add {second}, 1024",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {line}*1], tmm0",
            "tilestored [{sums} + {line}*1 + 1024], tmm1",
            "tilestored [{sums} + {line}*1 + 2048], tmm2",
            "tilestored [{sums} + {line}*1 + 3072], tmm3",
            "tilerelease",
            config = in(reg) &raw const WHOLE,
            low = inout(reg) probes => _,
            high = inout(reg) probes.add(ROWS * width) => _,
            first = inout(reg) blocks[0] => _,
            second = inout(reg) blocks[1] => _,
            width = in(reg) width,
            line = in(reg) 64usize,
            steps = inout(reg) width / 64 => _,
            sums = in(reg) sums.as_mut_ptr(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
