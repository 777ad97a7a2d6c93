//! The integer dot product of i8 codes: the same number on every path.
//!
//! Stored codes lie as `[block of 16 templates][k/4][16][4]`, each byte being `code + 128` as u8: four codes of sixteen
//! templates fill one 64-byte register, which is what VNNI multiplies in one instruction and what AMX takes as a tile.
//! Probes lie row by row as i8. Then `Σ probe·code = Σ probe·(code + 128) - 128 Σ probe`, and the last term is one
//! number per probe from which the accumulators start. All sums are exact in i32 up to
//! [`MAX_DIM`](crate::infer::template::MAX_DIM) values, so every kernel gives the same bits; tests hold each to [`Kernel::Plain`].
//!
//! The kernel is chosen once, at run time, by what the processor has. Which is fastest is measured by
//! [`super::search`], never assumed.

#[cfg(target_arch = "x86_64")]
mod amx;
pub mod filter;
mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

use crate::infer::template::MAX_DIM;

pub use kernel::Kernel;
use tile::Tile;
pub use tile::{K_STEP, LANES, TILE_BLOCKS, TILE_PROBES, ZERO, padded};

impl Kernel {
    /// Whether this processor has what the kernel needs, and a first product by it is that of [`Kernel::Plain`]: not
    /// every kernel can be tested on every machine, and a wrong number is worse than a slow one.
    pub fn is_available(self) -> bool {
        static ANSWERS: [OnceLock<bool>; Kernel::ALL.len()] = [const { OnceLock::new() }; Kernel::ALL.len()];
        *ANSWERS[self as usize]
            .get_or_init(|| self == Kernel::Plain || (self.is_supported() && self.agrees_with_plain()))
    }

    /// Computes one tile of every kind of value both ways. The processor supports the kernel.
    fn agrees_with_plain(self) -> bool {
        let (width, probes, count) = (2 * K_STEP, TILE_PROBES - 13, TILE_BLOCKS);
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 24) as u8).max(1)
        };
        let rows: Vec<i8> = (0..probes * width).map(|_| (byte() ^ ZERO) as i8).collect();
        let blocks: Vec<u8> = (0..count * width * LANES).map(|_| byte()).collect();
        let starts: Vec<i32> =
            rows.chunks(width).map(|row| -128 * row.iter().map(|&c| i32::from(c)).sum::<i32>()).collect();
        let tile = Tile { width, rows: &rows, starts: &starts, blocks: &blocks, count };
        let mut sums = [vec![0; probes * count * LANES], vec![0; probes * count * LANES]];
        plain(tile, &mut sums[0]);
        self.run(tile, &mut sums[1]);
        sums[0] == sums[1]
    }

    /// Whether this processor has what the kernel needs.
    fn is_supported(self) -> bool {
        match self {
            Kernel::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Kernel::AvxVnni => is_x86_feature_detected!("avxvnni") && is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
            }
            #[cfg(target_arch = "x86_64")]
            Kernel::Amx => amx::is_granted(),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => std::arch::is_aarch64_feature_detected!("dotprod"),
            _ => false,
        }
    }

    /// The last available kernel of [`Kernel::ALL`].
    pub fn best() -> Kernel {
        Kernel::ALL.iter().copied().rfind(|k| k.is_available()).unwrap_or(Kernel::Plain)
    }

    /// Dot products of up to [`TILE_PROBES`] probes with the templates of one or two blocks.
    ///
    /// `blocks` holds one or two whole blocks of `probes.width * LANES` bytes; `out` takes, for each probe of `range`,
    /// [`LANES`] numbers per block. A kernel this processor lacks computes as [`Kernel::Plain`].
    pub fn dots(self, probes: &Probes, range: std::ops::Range<usize>, blocks: &[u8], out: &mut [i32]) {
        let count = blocks.len() / (probes.width * LANES);
        // These hold the unsafe kernels' pointers inside the slices.
        assert!((1..=TILE_BLOCKS).contains(&count) && blocks.len() == count * probes.width * LANES);
        assert!(range.len() <= TILE_PROBES && range.end <= probes.len());
        assert!(out.len() >= range.len() * count * LANES);
        let rows = &probes.codes[range.start * probes.width..range.end * probes.width];
        let tile = Tile { width: probes.width, rows, starts: &probes.starts[range], blocks, count };
        if self == Kernel::Plain || !self.is_available() {
            return plain(tile, out);
        }
        self.run(tile, out);
    }

    /// Runs the kernel, which the processor supports.
    fn run(self, tile: Tile<'_>, out: &mut [i32]) {
        #[cfg(target_arch = "x86_64")]
        match self {
            Kernel::Plain => plain(tile, out),
            Kernel::Amx => amx::dots(tile, out),
            _ => x86::dots(self, tile, out),
        }
        #[cfg(target_arch = "aarch64")]
        match self {
            Kernel::Neon => neon::dots(tile, out),
            _ => plain(tile, out),
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        plain(tile, out);
    }
}

/// The definition that all kernels are held to.
fn plain(tile: Tile<'_>, out: &mut [i32]) {
    let Tile { width, rows, starts, blocks, count } = tile;
    for (p, (row, &start)) in rows.chunks_exact(width).zip(starts).enumerate() {
        for (b, block) in blocks.chunks_exact(width * LANES).enumerate() {
            let mut sums = [start; LANES];
            for (step, four) in block.chunks_exact(4 * LANES).zip(row.chunks_exact(4)) {
                for (sum, codes) in sums.iter_mut().zip(step.chunks_exact(4)) {
                    *sum += codes.iter().zip(four).map(|(&c, &p)| i32::from(c) * i32::from(p)).sum::<i32>();
                }
            }
            out[(p * count + b) * LANES..][..LANES].copy_from_slice(&sums);
        }
    }
}

/// Probes as the kernels take them.
#[derive(Debug, Clone, Default)]
pub struct Probes {
    width: usize,
    codes: Vec<i8>,
    starts: Vec<i32>,
}

impl Probes {
    /// Room for probes of `dim` codes each.
    pub fn new(dim: usize) -> Self {
        assert!((1..=MAX_DIM).contains(&dim));
        Probes { width: padded(dim), codes: Vec::new(), starts: Vec::new() }
    }

    /// Adds a probe of at most the padded length.
    pub fn push(&mut self, codes: &[i8]) {
        assert!(codes.len() <= self.width);
        self.codes.extend_from_slice(codes);
        self.codes.resize(self.codes.len().next_multiple_of(self.width), 0);
        self.starts.push(-128 * codes.iter().map(|&c| i32::from(c)).sum::<i32>());
    }

    /// Codes of a probe, the codes of all, and their starts: what a device is given.
    pub(super) fn parts(&self) -> (usize, &[i8], &[i32]) {
        (self.width, &self.codes, &self.starts)
    }

    /// Number of probes.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.codes.clear();
        self.starts.clear();
    }
}

/// Writes one template's codes into its lane of a block.
pub fn put(block: &mut [u8], lane: usize, codes: &[i8]) {
    for (step, four) in block.chunks_exact_mut(4 * LANES).zip(codes.chunks(4)) {
        for (byte, &code) in step[4 * lane..].iter_mut().zip(four) {
            *byte = code as u8 ^ ZERO;
        }
    }
}

/// Reads one template's codes back from its lane of a block: `codes.len()` of them.
pub fn get(block: &[u8], lane: usize, codes: &mut [i8]) {
    for (step, four) in block.chunks_exact(4 * LANES).zip(codes.chunks_mut(4)) {
        for (&byte, code) in step[4 * lane..].iter().zip(four) {
            *code = (byte ^ ZERO) as i8;
        }
    }
}

/// The dot product of two rows of stored codes, for walking a graph: chosen once, called millions of times.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowDot(fn(&[u8], &[u8], i32) -> i32);

impl RowDot {
    /// The fastest for a kernel; all give the same number.
    pub(super) fn new(kernel: Kernel) -> RowDot {
        #[cfg(target_arch = "x86_64")]
        if kernel != Kernel::Plain && kernel.is_available() {
            return RowDot(x86::row_dot(kernel));
        }
        #[cfg(target_arch = "aarch64")]
        if kernel != Kernel::Plain && kernel.is_available() {
            return RowDot(neon::row_dot());
        }
        let _ = kernel;
        RowDot(|a, b, _| a.iter().zip(b).map(|(&x, &y)| (i32::from(x) - 128) * (i32::from(y) - 128)).sum())
    }

    /// Dot product of two rows of one length, a multiple of [`K_STEP`], each byte `code + 128`; `start` is -128 times
    /// the sum of the codes of `b`.
    pub(super) fn of(self, a: &[u8], b: &[u8], start: i32) -> i32 {
        (self.0)(a, b, start)
    }
}

/// Dot product of two rows of codes.
pub fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Codes with many extreme values: what would saturate a careless kernel.
    fn codes(dim: usize, count: usize) -> impl Strategy<Value = Vec<Vec<i8>>> {
        let value = prop_oneof![-127i8..=127, Just(127i8), Just(-127i8)];
        prop::collection::vec(prop::collection::vec(value, dim), count)
    }

    fn blocks(templates: &[Vec<i8>], dim: usize) -> Vec<u8> {
        let size = padded(dim) * LANES;
        let mut bytes = vec![ZERO; templates.len().div_ceil(LANES) * size];
        for (row, t) in templates.iter().enumerate() {
            put(&mut bytes[row / LANES * size..][..size], row % LANES, t);
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_kernel_gives_the_plain_number(
            (dim, probes, templates) in (1usize..260).prop_flat_map(|dim| {
                (Just(dim), (1usize..=TILE_PROBES).prop_flat_map(move |n| codes(dim, n)), (1usize..=32).prop_flat_map(move |n| codes(dim, n)))
            }),
        ) {
            let bytes = blocks(&templates, dim);
            let mut panel = Probes::new(dim);
            probes.iter().for_each(|p| panel.push(p));
            let count = templates.len().div_ceil(LANES);
            for &kernel in Kernel::ALL.iter().filter(|k| k.is_available()) {
                let mut out = vec![i32::MIN; probes.len() * count * LANES];
                kernel.dots(&panel, 0..probes.len(), &bytes, &mut out);
                for (p, probe) in probes.iter().enumerate() {
                    for lane in 0..count * LANES {
                        let expected = templates.get(lane).map_or(0, |t| dot(probe, t));
                        prop_assert_eq!(out[p * count * LANES + lane], expected, "{} {} {}", kernel.name(), p, lane);
                    }
                }
            }
        }
    }

    #[test]
    fn extremes_do_not_saturate() {
        let dim = MAX_DIM;
        for (a, b) in [(127, 127), (-127, 127), (-127, -127)] {
            let bytes = blocks(&vec![vec![a; dim]; 32], dim);
            let mut panel = Probes::new(dim);
            (0..TILE_PROBES).for_each(|_| panel.push(&vec![b; dim]));
            for &kernel in Kernel::ALL.iter().filter(|k| k.is_available()) {
                let mut out = vec![0; TILE_PROBES * 32];
                kernel.dots(&panel, 0..TILE_PROBES, &bytes, &mut out);
                let expected = dim as i32 * i32::from(a) * i32::from(b);
                assert!(out.iter().all(|&v| v == expected), "{}", kernel.name());
            }
        }
    }

    #[test]
    fn rows_give_the_same_number_on_every_kernel() {
        let row = |seed: i32| -> Vec<i8> { (0..192).map(|i| ((i * i + seed * 31) % 255 - 127) as i8).collect() };
        let (a, b) = (row(3), row(8));
        let stored = |r: &[i8]| -> Vec<u8> { r.iter().map(|&c| c as u8 ^ ZERO).collect() };
        let start = -128 * b.iter().map(|&c| i32::from(c)).sum::<i32>();
        for &kernel in Kernel::ALL {
            assert_eq!(RowDot::new(kernel).of(&stored(&a), &stored(&b), start), dot(&a, &b), "{}", kernel.name());
        }
    }

    #[test]
    fn codes_come_back_from_their_lane() {
        let template: Vec<i8> = (0..100).map(|i| i as i8 - 50).collect();
        let bytes = blocks(&vec![template.clone(); 16], 100);
        let mut back = vec![0; 100];
        get(&bytes, 7, &mut back);
        assert_eq!(back, template);
    }
}
