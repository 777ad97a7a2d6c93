//! Rows for the tile registers: the inputs of one output pixel each, in bf16 or split, with zeros up to a whole step.
//!
//! For a 1x1 convolution a row is the pixel itself. For a larger kernel the lines of the picture are first rounded, with their
//! padding, and then every row is put together from one stretch of each line. That copies an input as often as kernels cover
//! it, in bf16 and within the cache, and keeps every row of a tile in use whatever the width of the map.

use std::arch::x86_64::*;

use super::super::lanes::{Avx512, BF16, Lanes, SPLIT};
use super::sink::{Form, widened};
use crate::ops::check::Values;
use crate::ops::spec::ConvShape;

/// Rounds `count` pixels of `channels` values from the one at `first` on; each becomes a row of `depth` values, zeros
/// behind its own, `pixel` bytes from one to the next.
///
/// # Safety
/// The CPU has AVX-512 with BF16; the pixels are in `from`; `to` is good for `count` rows; `depth` is a multiple of 16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn round(
    from: Values<'_>,
    [first, count, channels]: [usize; 3],
    (to, pixel): (*mut u8, usize),
    depth: usize,
    form: Form,
) {
    let start = first * channels;
    // Pixels without a gap are one long one.
    let joined = channels == depth && pixel == 2 * depth;
    let (count, channels, depth) = if joined { (1, count * channels, count * depth) } else { (count, channels, depth) };
    for i in 0..count {
        let to = to.wrapping_add(i * pixel);
        let at = start + i * channels;
        // SAFETY: the caller's promise.
        unsafe {
            match (from, form) {
                (Values::F32(x), Form::Split(low)) => {
                    round_run::<SPLIT>(x.as_ptr().add(at), channels, (to, low), depth);
                }
                (Values::F32(x), _) => round_run::<BF16>(x.as_ptr().add(at), channels, (to, 0), depth),
                (Values::Bf16(x), _) => {
                    copy(x.as_ptr().add(at).cast(), channels, to, depth);
                    if let Form::Split(low) = form {
                        to.add(low).write_bytes(0, 2 * depth);
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn round_run<const FORM: u8>(from: *const f32, len: usize, (to, low): (*mut u8, usize), padded: usize) {
    let mut i = 0;
    while i < padded {
        // SAFETY: the caller's promise; lanes beyond the values are neither read nor but zero.
        unsafe {
            let value = if i + 16 <= len {
                Avx512::load(from.add(i))
            } else {
                Avx512::load_part(from.wrapping_add(i), Avx512::mask(len.saturating_sub(i)))
            };
            Avx512::put::<FORM>(to.add(2 * i), low, value, 16);
        }
        i += 16;
    }
}

/// Copies `len` values of two bytes and zeros up to `padded`.
#[inline(always)]
unsafe fn copy(from: *const u16, len: usize, to: *mut u8, padded: usize) {
    let mask = |n: usize| if n >= 32 { u32::MAX } else { (1 << n) - 1 };
    let mut i = 0;
    while i < padded {
        // SAFETY: the caller's promise; lanes outside the masks are not touched.
        unsafe {
            let value = _mm512_maskz_loadu_epi16(mask(len.saturating_sub(i)), from.wrapping_add(i).cast());
            _mm512_mask_storeu_epi16(to.add(2 * i).cast(), mask(padded - i), value);
        }
        i += 32;
    }
}

/// Widens bf16 to f32.
///
/// # Safety
/// The CPU has AVX-512 with BW and VL; both are good for `len` values.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn widen(from: *const u8, to: *mut f32, len: usize) {
    let mut i = 0;
    while i < len {
        let here = (len - i).min(16);
        // SAFETY: the caller's promise.
        unsafe {
            let mask = Avx512::mask(here);
            Avx512::store_part(to.add(i), widened(from.add(2 * i), mask), mask);
        }
        i += 16;
    }
}

/// The lines of a picture, rounded, with their padding to the left and to the right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    pub(super) at: *mut u8,
    /// Bytes of a line.
    pub(super) line: usize,
    pub(super) form: Form,
}

impl Lines {
    /// Bytes of a line of the input of a convolution to an output of this width, both parts of split values.
    pub(super) fn bytes(shape: &ConvShape, ow: usize, split: bool) -> usize {
        let wide = (ow - 1) * shape.stride + shape.kernel[1];
        (wide * shape.cin * if split { 4 } else { 2 }).next_multiple_of(64)
    }

    /// Makes one line from the pixels of the input's row that begins at pixel `first`, or from none.
    ///
    /// # Safety
    /// The CPU has AVX-512 with BF16, the pixels are in `from`, and the line is there.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) unsafe fn fill(&self, number: usize, shape: &ConvShape, from: Option<(Values<'_>, usize, usize)>) {
        // SAFETY: the caller's promise.
        unsafe {
            let to = self.at.add(number * self.line);
            to.write_bytes(0, self.line);
            let Some((values, first, width)) = from else { return };
            let plane = if let Form::Split(low) = self.form { low } else { self.line };
            let room = plane / 2 / shape.cin;
            let left = shape.pad[1].min(room);
            let len = width.min(room - left) * shape.cin;
            let to = to.add(2 * left * shape.cin);
            let mut i = 0;
            while i < len {
                let here = (len - i).min(16);
                let mask = Avx512::mask(here);
                let at = first * shape.cin + i;
                let value = match values {
                    Values::F32(x) => Avx512::load_part(x.as_ptr().add(at), mask),
                    Values::Bf16(x) => widened(x.as_ptr().add(at).cast(), mask),
                };
                match self.form {
                    Form::Split(low) => Avx512::put::<SPLIT>(to.add(2 * i), low, value, here),
                    _ => Avx512::put::<BF16>(to.add(2 * i), 0, value, here),
                }
                i += 16;
            }
        }
    }

    /// Puts together the rows of `ow` neighbouring output pixels whose topmost line is `number`.
    ///
    /// # Safety
    /// The CPU has AVX-512 BW, the lines are there, and `to` is good for the rows of `depth` values, twice if split.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) unsafe fn gather(
        &self,
        number: usize,
        shape: &ConvShape,
        ow: usize,
        (to, pixel): (*mut u8, usize),
        depth: usize,
    ) {
        let ConvShape { cin, kernel: [ky, kx], stride, .. } = *shape;
        let stretch = kx * cin;
        let planes: &[(usize, usize)] = match self.form {
            Form::Split(low) => &[(0, 0), (low, 2 * depth)],
            _ => &[(0, 0)],
        };
        // Where a stretch fits a vector that also reaches the end of the row, whole vectors are written: what one writes too
        // far, the next one overwrites, and behind the last row there is room.
        let short = stretch <= 32 && depth <= (ky - 1) * stretch + 32 && pixel == 2 * depth * planes.len();
        let mask = if stretch >= 32 { u32::MAX } else { (1 << stretch) - 1 };
        for ox in 0..ow {
            for &(from_plane, to_plane) in planes {
                for dy in 0..ky {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let from = self.at.add((number + dy) * self.line + from_plane + 2 * ox * stride * cin);
                        let to = to.add(ox * pixel + to_plane + 2 * dy * stretch);
                        if short {
                            _mm512_storeu_epi16(to.cast(), _mm512_maskz_loadu_epi16(mask, from.cast()));
                        } else {
                            let padded = if dy + 1 == ky { depth - dy * stretch } else { stretch };
                            copy(from.cast(), stretch, to, padded);
                        }
                    }
                }
            }
        }
    }
}
