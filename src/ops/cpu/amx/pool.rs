//! The largest of each 2x2 square as a layer of a chain: from f32 to whatever the next layer reads.

use std::arch::x86_64::*;

use super::super::lanes::{Avx512, BF16, F32, Lanes, SPLIT};
use super::sink::{Form, Sink};

/// Makes one line of `width` pixels from two lines of twice as many.
///
/// Not-a-number loses against any number, as in [`crate::ops::max_pool2`].
///
/// # Safety
/// The CPU has AVX-512 with BF16; lines and sink are good for the pixels.
pub(super) unsafe fn line(lines: [*const f32; 2], width: usize, channels: usize, sink: Sink) {
    // SAFETY: the caller's promise.
    unsafe {
        match sink.form {
            Form::F32 => line_to::<F32>(lines, width, channels, sink),
            Form::Bf16 => line_to::<BF16>(lines, width, channels, sink),
            Form::Split(_) => line_to::<SPLIT>(lines, width, channels, sink),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn line_to<const FORM: u8>([upper, lower]: [*const f32; 2], width: usize, channels: usize, sink: Sink) {
    for x in 0..width {
        let mut c = 0;
        while c < channels {
            let here = (channels - c).min(16);
            let at = 2 * x * channels + c;
            // SAFETY: the caller's promise.
            unsafe {
                let mask = Avx512::mask(here);
                let load = |line: *const f32, at: usize| Avx512::load_part(line.add(at), mask);
                let a = larger(load(upper, at), load(upper, at + channels));
                let b = larger(load(lower, at), load(lower, at + channels));
                let to = sink.at.add(x * sink.pixel + c * sink.form.size());
                Avx512::put::<FORM>(to, sink.form.low(), larger(a, b), here);
            }
            c += 16;
        }
    }
}

/// `a` where it is larger or `b` is not a number, else `b`.
#[inline(always)]
unsafe fn larger(a: __m512, b: __m512) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        let first = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(b, b);
        _mm512_mask_blend_ps(first, b, a)
    }
}
