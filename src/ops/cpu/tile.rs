//! The kernels of the matrix product: a tile of output pixels by a panel of output channels, all sums in registers.
//!
//! Rows times vectors of a tile are chosen so that the sums, one panel row and one input fill the registers. An input
//! is one 32-bit slot, broadcast to all lanes: a float, or the bf16 pair of two channels, which the instruction
//! multiplies and adds in one step.

use std::ops::Range;

use super::lanes::Lanes;
use super::{Finish, Isa};
use crate::ops::spec::Precision;

/// Everything a kernel needs: the addresses of one tile and one panel.
pub(super) struct Job<'a> {
    pub(super) x: *const f32,
    /// Slots between the inputs of neighbouring output pixels.
    pub(super) step: usize,
    pub(super) chunks: &'a [Range<usize>],
    pub(super) weight: *const f32,
    /// Null: go on from the sums in `y`.
    pub(super) bias: *const f32,
    pub(super) y: *mut f32,
    pub(super) cout: usize,
    /// Output channels that exist in this panel.
    pub(super) lanes: usize,
    /// None: leave the bare sums in `y`.
    pub(super) finish: Option<Finish>,
    pub(super) slope: *const f32,
    /// Null: nothing to add.
    pub(super) residual: *const f32,
}

pub(super) type Kernel = unsafe fn(&Job<'_>);

/// Rows of a tile, vectors across a panel, lanes of a vector.
pub(super) fn geometry(isa: Isa) -> Option<(usize, usize, usize)> {
    match isa {
        Isa::Plain => None,
        Isa::Avx512 | Isa::Amx => Some((14, 2, 16)),
        Isa::Avx2 => Some((6, 2, 8)),
        Isa::Neon => Some((6, 4, 4)),
    }
}

/// The kernels for panels of so many vectors, by the rows of the tile.
pub(super) fn kernels(isa: Isa, precision: Precision, vectors: usize) -> impl Fn(usize) -> Kernel {
    let table: &[Kernel] = match (isa, precision) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512 | Isa::Amx, Precision::F32) => &x86::AVX512[vectors - 1],
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, Precision::Bf16) => &x86::AVX512_BF16[vectors - 1],
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, _) => &x86::AVX2[vectors - 1],
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, _) => &arm::NEON[vectors - 1],
        _ => &[],
    };
    move |rows| table[rows - 1]
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::lanes::{Avx2, Avx512, Avx512Bf16};
    use super::{Job, Kernel, tile};

    #[target_feature(enable = "avx512f")]
    unsafe fn avx512<const R: usize, const V: usize>(job: &Job<'_>) {
        // SAFETY: compiled for the instruction set; the rest is the caller's promise.
        unsafe { tile::<Avx512, R, V>(job) }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<const R: usize, const V: usize>(job: &Job<'_>) {
        // SAFETY: compiled for the instruction set; the rest is the caller's promise.
        unsafe { tile::<Avx2, R, V>(job) }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn avx512_bf16<const R: usize, const V: usize>(job: &Job<'_>) {
        // SAFETY: compiled for the instruction set; the rest is the caller's promise.
        unsafe { tile::<Avx512Bf16, R, V>(job) }
    }

    macro_rules! table {
        ($kernel:ident: $($rows:literal)*) => { [[$($kernel::<$rows, 1>),*], [$($kernel::<$rows, 2>),*]] };
    }
    pub(super) static AVX512: [[Kernel; 14]; 2] = table!(avx512: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    pub(super) static AVX512_BF16: [[Kernel; 14]; 2] = table!(avx512_bf16: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    pub(super) static AVX2: [[Kernel; 6]; 2] = table!(avx2: 1 2 3 4 5 6);
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::super::lanes::Neon;
    use super::{Job, Kernel, tile};

    unsafe fn neon<const R: usize, const V: usize>(job: &Job<'_>) {
        // SAFETY: NEON belongs to the baseline of aarch64; the rest is the caller's promise.
        unsafe { tile::<Neon, R, V>(job) }
    }

    macro_rules! table {
        ($($vectors:literal)*) => {
            [$([neon::<1, $vectors>, neon::<2, $vectors>, neon::<3, $vectors>,
                neon::<4, $vectors>, neon::<5, $vectors>, neon::<6, $vectors>]),*]
        };
    }
    pub(super) static NEON: [[Kernel; 6]; 4] = table!(1 2 3 4);
}

/// The kernel: `R` output pixels by `V` vectors of output channels.
///
/// Choices stand outside the loops over the sums and not inside: the compiler unrolls only what is small, and a single
/// loop left standing would put all sums into memory.
///
/// # Safety
/// The CPU has the instruction set of `L` and the addresses of the job are good for this tile.
#[inline(always)]
unsafe fn tile<L: Lanes, const R: usize, const V: usize>(job: &Job<'_>) {
    // SAFETY: the caller's promise.
    unsafe {
        let whole = job.lanes == V * L::N;
        let mut mask = [L::mask(L::N); V];
        for (v, mask) in mask.iter_mut().enumerate() {
            *mask = L::mask(job.lanes - v * L::N);
        }
        let mut acc = [[L::splat(0.0); V]; R];
        if !job.bias.is_null() {
            for row in &mut acc {
                for (v, sum) in row.iter_mut().enumerate() {
                    *sum = L::load(job.bias.add(v * L::N));
                }
            }
        } else {
            fetch::<L, R, V>(&mut acc, job.y, job.cout, (!whole).then_some(mask), |_, y| y);
        }
        let (mut w, step) = (job.weight, job.step);
        for chunk in job.chunks {
            for k in chunk.start..chunk.end {
                let mut weight = [L::splat(0.0); V];
                for (v, weight) in weight.iter_mut().enumerate() {
                    *weight = L::load(w.add(v * L::N));
                }
                for (r, row) in acc.iter_mut().enumerate() {
                    let x = L::splat(*job.x.add(r * step + k));
                    for (sum, &weight) in row.iter_mut().zip(&weight) {
                        *sum = L::fma(x, weight, *sum);
                    }
                }
                w = w.add(V * L::N);
            }
        }
        match job.finish {
            Some(Finish::Relu) => {
                for row in &mut acc {
                    for sum in row {
                        *sum = L::relu(*sum);
                    }
                }
            }
            Some(Finish::PRelu) => {
                for row in &mut acc {
                    for (v, sum) in row.iter_mut().enumerate() {
                        *sum = L::prelu(*sum, L::load(job.slope.add(v * L::N)));
                    }
                }
            }
            Some(Finish::None) | None => {}
        }
        if job.finish.is_some() && !job.residual.is_null() {
            fetch::<L, R, V>(&mut acc, job.residual, job.cout, (!whole).then_some(mask), |sum, r| L::add(sum, r));
        }
        for (r, row) in acc.iter().enumerate() {
            for (v, &sum) in row.iter().enumerate() {
                let to = job.y.add(r * job.cout + v * L::N);
                if whole { L::store(to, sum) } else { L::store_part(to, sum, mask[v]) }
            }
        }
    }
}

/// Combines every sum with a value of a tile in memory.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn fetch<L: Lanes, const R: usize, const V: usize>(
    acc: &mut [[L::V; V]; R],
    from: *const f32,
    cout: usize,
    mask: Option<[L::Mask; V]>,
    join: impl Fn(L::V, L::V) -> L::V,
) {
    for (r, row) in acc.iter_mut().enumerate() {
        for (v, sum) in row.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            let value = unsafe {
                let from = from.add(r * cout + v * L::N);
                match mask {
                    None => L::load(from),
                    Some(mask) => L::load_part(from, mask[v]),
                }
            };
            *sum = join(*sum, value);
        }
    }
}
