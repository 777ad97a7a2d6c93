//! What follows the sums of a block: activation, residual, and a store in the form that the next layer reads.

use std::arch::x86_64::*;

use super::super::Finish;
use super::super::lanes::{Avx512, BF16, F32, Lanes, SPLIT};
use super::product::{COLUMNS, Sums};

/// How the values of a map lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    F32,
    Bf16,
    /// bf16, and so many bytes behind it what that rounding leaves over, bf16 as well: sixteen significant bits.
    Split(usize),
}

impl Form {
    /// Bytes of a value in one place.
    pub(crate) fn size(self) -> usize {
        if self == Form::F32 { 4 } else { 2 }
    }

    /// Bytes from the rounded value to the rest.
    pub(crate) fn low(self) -> usize {
        if let Form::Split(low) = self { low } else { 0 }
    }
}

/// Where the pixels of a map go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sink {
    /// The first channel of the first pixel.
    pub(crate) at: *mut u8,
    /// Bytes from one pixel to the next.
    pub(crate) pixel: usize,
    pub(crate) form: Form,
}

impl Sink {
    /// The same from another pixel on.
    pub(crate) fn after(self, pixels: usize) -> Self {
        Sink { at: self.at.wrapping_add(pixels * self.pixel), ..self }
    }
}

/// Pixels to be added; `at` is null where there are none. Split values are not added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addend {
    pub(crate) at: *const u8,
    pub(crate) pixel: usize,
    pub(crate) form: Form,
}

impl Addend {
    /// Nothing to add.
    pub(crate) const NONE: Addend = Addend { at: std::ptr::null(), pixel: 0, form: Form::F32 };

    /// The same from another pixel on.
    pub(crate) fn after(self, pixels: usize) -> Self {
        Addend { at: self.at.wrapping_add(pixels * self.pixel), ..self }
    }
}

/// What to do with the sums of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct After<'a> {
    pub(super) finish: Finish,
    /// For whole vectors of channels; empty unless the activation has slopes.
    pub(super) slope: &'a [f32],
    pub(super) residual: Addend,
    pub(super) sink: Sink,
}

impl After<'_> {
    /// Writes `rows` rows of the sums of the channels from `first` on, `lanes` of them.
    ///
    /// # Safety
    /// The CPU has AVX-512 with BF16. `sink` and `residual` begin at the pixel of the first row and are good for the rows
    /// and channels.
    pub(super) unsafe fn write(&self, sums: &Sums, rows: usize, first: usize, lanes: usize) {
        let form = self.sink.form;
        // SAFETY: the caller's promise.
        unsafe {
            match (self.finish, form) {
                (Finish::None, Form::F32) => write::<NONE, F32>(self, sums, rows, first, lanes),
                (Finish::None, Form::Bf16) => write::<NONE, BF16>(self, sums, rows, first, lanes),
                (Finish::None, Form::Split(_)) => write::<NONE, SPLIT>(self, sums, rows, first, lanes),
                (Finish::Relu, Form::F32) => write::<RELU, F32>(self, sums, rows, first, lanes),
                (Finish::Relu, Form::Bf16) => write::<RELU, BF16>(self, sums, rows, first, lanes),
                (Finish::Relu, Form::Split(_)) => write::<RELU, SPLIT>(self, sums, rows, first, lanes),
                (Finish::PRelu, Form::F32) => write::<PRELU, F32>(self, sums, rows, first, lanes),
                (Finish::PRelu, Form::Bf16) => write::<PRELU, BF16>(self, sums, rows, first, lanes),
                (Finish::PRelu, Form::Split(_)) => write::<PRELU, SPLIT>(self, sums, rows, first, lanes),
            }
        }
    }
}

/// [`Finish`] as a constant.
const NONE: u8 = 0;
const RELU: u8 = 1;
const PRELU: u8 = 2;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn write<const FINISH: u8, const FORM: u8>(
    after: &After<'_>,
    sums: &Sums,
    rows: usize,
    first: usize,
    lanes: usize,
) {
    let After { slope, residual, sink, .. } = *after;
    let (size, low) = (sink.form.size(), sink.form.low());
    for v in 0..lanes.div_ceil(16).min(COLUMNS / 16) {
        let channel = first + 16 * v;
        let here = (lanes - 16 * v).min(16);
        // SAFETY: the caller's promise; slopes are padded to whole vectors.
        unsafe {
            let mask = Avx512::mask(here);
            let slope = if FINISH == PRELU { Avx512::load(slope.as_ptr().add(channel)) } else { _mm512_setzero_ps() };
            let mut to = sink.at.add(channel * size);
            let mut add = residual.at;
            for row in sums.0.iter().take(rows) {
                let mut value = Avx512::load(row.as_ptr().add(16 * v));
                if FINISH == RELU {
                    value = Avx512::relu(value);
                }
                if FINISH == PRELU {
                    value = Avx512::prelu(value, slope);
                }
                if !add.is_null() {
                    let other = match residual.form {
                        Form::F32 => Avx512::load_part(add.add(4 * channel).cast(), mask),
                        _ => widened(add.add(2 * channel), mask),
                    };
                    value = Avx512::add(value, other);
                    add = add.add(residual.pixel);
                }
                Avx512::put::<FORM>(to, low, value, here);
                to = to.add(sink.pixel);
            }
        }
    }
}

/// Some bf16 as f32.
///
/// # Safety
/// The CPU has AVX-512 BW and VL; `from` is good for the lanes of the mask.
#[inline(always)]
pub(super) unsafe fn widened(from: *const u8, mask: __mmask16) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        let halves = _mm256_maskz_loadu_epi16(mask, from.cast());
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
    }
}
