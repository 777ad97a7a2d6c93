//! The few vector instructions that the kernels are written in, one implementation for each instruction set.

/// A form for [`Lanes::put`]: as they are.
pub(crate) const F32: u8 = 0;
/// Rounded to bf16.
pub(crate) const BF16: u8 = 1;
/// Rounded to bf16, and elsewhere what that leaves over, rounded as well.
pub(crate) const SPLIT: u8 = 2;

/// A vector of f32.
///
/// Every method is `#[inline(always)]` without a `target_feature` of its own: inside a function compiled for the
/// instruction set each becomes one instruction.
///
/// # Safety
/// All methods need a CPU that has the instruction set; pointers must be good for the lanes read or written.
pub(crate) trait Lanes: Copy {
    type V: Copy;
    /// Some of the first lanes.
    type Mask: Copy;
    /// Lanes in a vector.
    const N: usize;
    unsafe fn splat(value: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    /// The first `n` lanes, all of them for any `n` above [`Lanes::N`].
    unsafe fn mask(n: usize) -> Self::Mask;
    /// The lanes of the mask; the others are zero and their memory is not touched.
    unsafe fn load_part(from: *const f32, mask: Self::Mask) -> Self::V;
    /// The lanes of the mask; the memory of the others is not touched.
    unsafe fn store_part(to: *mut f32, v: Self::V, mask: Self::Mask);
    /// `a * b + c` with one rounding.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `v > 0 ? v : +0`, so that not-a-number and negative zero become zero.
    unsafe fn relu(v: Self::V) -> Self::V;
    /// `v > 0 ? v : slope * v`.
    unsafe fn prelu(v: Self::V, slope: Self::V) -> Self::V;
    /// Stores the first `n` lanes in a form; of split ones the rest goes `low` bytes behind. Sets without bf16 know
    /// [`F32`] alone.
    #[inline(always)]
    unsafe fn put<const FORM: u8>(to: *mut u8, low: usize, v: Self::V, n: usize) {
        debug_assert!(FORM == F32 && low == 0, "no kernel of this set stores bf16");
        // SAFETY: the caller's promise.
        unsafe { if n >= Self::N { Self::store(to.cast(), v) } else { Self::store_part(to.cast(), v, Self::mask(n)) } }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, Avx512Bf16, bf16_pairs};

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks, reason = "each block hands the caller's promise of `Lanes` on")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    /// Sixteen lanes whose multiply-add is `$fma`.
    macro_rules! avx512 {
        ($name:ident, $fma:expr) => {
            #[derive(Clone, Copy)]
            pub(crate) struct $name;

            impl Lanes for $name {
                type V = __m512;
                type Mask = __mmask16;
                const N: usize = 16;

                #[inline(always)]
                unsafe fn splat(value: f32) -> __m512 {
                    unsafe { _mm512_set1_ps(value) }
                }
                #[inline(always)]
                unsafe fn load(from: *const f32) -> __m512 {
                    unsafe { _mm512_loadu_ps(from) }
                }
                #[inline(always)]
                unsafe fn store(to: *mut f32, v: __m512) {
                    unsafe { _mm512_storeu_ps(to, v) }
                }
                #[inline(always)]
                unsafe fn mask(n: usize) -> __mmask16 {
                    ((1u32 << n.min(16)) - 1) as __mmask16
                }
                #[inline(always)]
                unsafe fn load_part(from: *const f32, mask: __mmask16) -> __m512 {
                    unsafe { _mm512_maskz_loadu_ps(mask, from) }
                }
                #[inline(always)]
                unsafe fn store_part(to: *mut f32, v: __m512, mask: __mmask16) {
                    unsafe { _mm512_mask_storeu_ps(to, mask, v) }
                }
                #[inline(always)]
                unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
                    unsafe { $fma(a, b, c) }
                }
                #[inline(always)]
                unsafe fn add(a: __m512, b: __m512) -> __m512 {
                    unsafe { _mm512_add_ps(a, b) }
                }
                #[inline(always)]
                unsafe fn relu(v: __m512) -> __m512 {
                    // The second operand is the result where either is not a number or both are zero.
                    unsafe { _mm512_max_ps(v, _mm512_setzero_ps()) }
                }
                #[inline(always)]
                unsafe fn prelu(v: __m512, slope: __m512) -> __m512 {
                    unsafe {
                        let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(v, _mm512_setzero_ps());
                        _mm512_mask_blend_ps(positive, _mm512_mul_ps(slope, v), v)
                    }
                }
                #[inline(always)]
                unsafe fn put<const FORM: u8>(to: *mut u8, low: usize, v: __m512, n: usize) {
                    unsafe {
                        if FORM != super::F32 {
                            put_halves::<FORM>(to, low, v, Self::mask(n));
                        } else if n >= Self::N {
                            Self::store(to.cast(), v);
                        } else {
                            Self::store_part(to.cast(), v, Self::mask(n));
                        }
                    }
                }
            }
        };
    }

    #[inline(always)]
    unsafe fn put_halves<const FORM: u8>(to: *mut u8, low: usize, v: __m512, mask: __mmask16) {
        unsafe {
            let high = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v));
            _mm256_mask_storeu_epi16(to.cast(), mask, high);
            if FORM == super::SPLIT {
                let near = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(high)));
                let rest = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(_mm512_sub_ps(v, near)));
                _mm256_mask_storeu_epi16(to.add(low).cast(), mask, rest);
            }
        }
    }

    avx512!(Avx512, _mm512_fmadd_ps);
    // Every lane of both factors holds two bf16 values.
    avx512!(Avx512Bf16, pairs_fmadd);

    #[inline(always)]
    unsafe fn pairs_fmadd(a: __m512, b: __m512, c: __m512) -> __m512 {
        // `__m512bh` is sixty-four bytes like `__m512`, and any bits are valid for both.
        unsafe {
            _mm512_dpbf16_ps(c, std::mem::transmute::<__m512, __m512bh>(a), std::mem::transmute::<__m512, __m512bh>(b))
        }
    }

    /// Rounds floats to bf16, two to a slot, the first in the low half; an odd last one is paired with zero.
    ///
    /// # Safety
    /// The CPU has the features.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(crate) unsafe fn bf16_pairs(to: &mut [f32], from: &[f32]) {
        assert!(to.len() == from.len().div_ceil(2));
        let (mut i, to) = (0, to.as_mut_ptr());
        unsafe {
            while i + 32 <= from.len() {
                let [low, high] = [i, i + 16].map(|i| _mm512_loadu_ps(from.as_ptr().add(i)));
                let pairs = std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(high, low));
                _mm512_storeu_ps(to.add(i / 2), pairs);
                i += 32;
            }
            while i < from.len() {
                let count = (from.len() - i).min(16);
                let floats = _mm512_maskz_loadu_ps(Avx512::mask(count), from.as_ptr().add(i));
                let pairs = std::mem::transmute::<__m256bh, __m256>(_mm512_cvtneps_pbh(floats));
                _mm256_mask_storeu_ps(to.add(i / 2), Avx512::mask(count.div_ceil(2)) as __mmask8, pairs);
                i += 16;
            }
        }
    }

    #[derive(Clone, Copy)]
    pub(crate) struct Avx2;

    /// A window into this that starts at `8 - n` masks the first `n` lanes.
    static MASK: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    impl Lanes for Avx2 {
        type V = __m256;
        type Mask = __m256i;
        const N: usize = 8;

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: __m256) {
            unsafe { _mm256_storeu_ps(to, v) }
        }
        #[inline(always)]
        unsafe fn mask(n: usize) -> __m256i {
            unsafe { _mm256_loadu_si256(MASK.as_ptr().add(8 - n.min(8)).cast()) }
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, mask: __m256i) -> __m256 {
            unsafe { _mm256_maskload_ps(from, mask) }
        }
        #[inline(always)]
        unsafe fn store_part(to: *mut f32, v: __m256, mask: __m256i) {
            unsafe { _mm256_maskstore_ps(to, mask, v) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn relu(v: __m256) -> __m256 {
            unsafe { _mm256_max_ps(v, _mm256_setzero_ps()) }
        }
        #[inline(always)]
        unsafe fn prelu(v: __m256, slope: __m256) -> __m256 {
            unsafe {
                let positive = _mm256_cmp_ps::<_CMP_GT_OQ>(v, _mm256_setzero_ps());
                _mm256_blendv_ps(_mm256_mul_ps(slope, v), v, positive)
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
#[allow(clippy::undocumented_unsafe_blocks, reason = "each block hands the caller's promise of `Lanes` on")]
mod arm {
    use super::Lanes;
    use std::arch::aarch64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Neon;

    impl Lanes for Neon {
        type V = float32x4_t;
        type Mask = usize;
        const N: usize = 4;

        #[inline(always)]
        unsafe fn splat(value: f32) -> float32x4_t {
            unsafe { vdupq_n_f32(value) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> float32x4_t {
            unsafe { vld1q_f32(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: float32x4_t) {
            unsafe { vst1q_f32(to, v) }
        }
        #[inline(always)]
        unsafe fn mask(n: usize) -> usize {
            n.min(4)
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, n: usize) -> float32x4_t {
            let mut lanes = [0f32; 4];
            unsafe {
                std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), n);
                vld1q_f32(lanes.as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn store_part(to: *mut f32, v: float32x4_t, n: usize) {
            let mut lanes = [0f32; 4];
            unsafe {
                vst1q_f32(lanes.as_mut_ptr(), v);
                std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, n);
            }
        }
        #[inline(always)]
        unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            // The accumulator comes first here.
            unsafe { vfmaq_f32(c, a, b) }
        }
        #[inline(always)]
        unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vaddq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn relu(v: float32x4_t) -> float32x4_t {
            // Compare and select: `vmaxq_f32` would keep not-a-number.
            unsafe {
                let zero = vdupq_n_f32(0.0);
                vbslq_f32(vcgtq_f32(v, zero), v, zero)
            }
        }
        #[inline(always)]
        unsafe fn prelu(v: float32x4_t, slope: float32x4_t) -> float32x4_t {
            unsafe { vbslq_f32(vcgtq_f32(v, vdupq_n_f32(0.0)), v, vmulq_f32(slope, v)) }
        }
    }
}
