//! Depthwise convolution: every channel by its own kernel, vectors along the channels.
//!
//! A step computes a few neighbouring output pixels for one vector of channels, so that an input is loaded once for
//! all the kernel columns it meets. The inputs are named by a table of addresses in which a padded tap is the address
//! of zeros: border and interior run the same code.

#[cfg(target_arch = "x86_64")]
use super::lanes::{BF16, SPLIT};
use super::lanes::{F32, Lanes};
use super::{Finish, Isa, Line, floats, lines};
use crate::ops::spec::{Activation, ConvShape};

/// Output pixels that one step of the 3x3 kernel computes at most, by stride: the face networks have widths of
/// 7 * 2^n, and at stride 2 the compiler no longer unrolls more.
const ACROSS: [usize; 2] = [7, 4];
/// Input columns of the widest step.
const COLUMNS: usize = 9;
/// Vectors of channels side by side where a step computes one pixel, to hide the latency of the sum.
const ABREAST: usize = 4;

/// A depthwise convolution with its weights by vectors of channels.
#[derive(Debug, Clone)]
pub(crate) struct Depthwise {
    isa: Isa,
    shape: ConvShape,
    /// `[channel / lanes][kernel_y][kernel_x][lanes]`
    weight: Vec<Line>,
    /// Padded to whole vectors.
    bias: Vec<f32>,
    slope: Vec<f32>,
    /// One pixel of padding.
    zeros: Vec<f32>,
    finish: Finish,
}

/// The addresses of some steps.
struct Job<'a> {
    /// Of the first step: per kernel row, the input columns from left to right.
    taps: &'a [*const f32],
    /// Steps from left to right, and the floats by which the taps move from one to the next.
    steps: usize,
    along: usize,
    weight: *const f32,
    bias: *const f32,
    slope: *const f32,
    finish: Finish,
    /// Null: nothing to add.
    residual: *const f32,
    to: Output,
    channels: usize,
}

/// Where the pixels of an output line go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) at: *mut u8,
    /// Bytes from one pixel to the next.
    pub(super) pixel: usize,
    /// The form of [`Lanes::put`], and its distance.
    pub(super) form: u8,
    pub(super) low: usize,
}

type Kernel = unsafe fn(&Job<'_>);

impl Depthwise {
    /// Packs weights in the order `(channel, 1, kernel_y, kernel_x)`. `None`: there are no kernels for `isa`.
    pub(crate) fn new(
        isa: Isa,
        shape: ConvShape,
        weight: &[f32],
        bias: &[f32],
        activation: &Activation,
    ) -> Option<Self> {
        let n = lanes(isa)?;
        let (channels, taps) = (shape.cout, shape.kernel[0] * shape.kernel[1]);
        let padded = channels.next_multiple_of(n);
        let mut packed = lines(padded * taps);
        let values = floats(&mut packed);
        for c in 0..channels {
            for tap in 0..taps {
                values[(c / n * taps + tap) * n + c % n] = weight[c * taps + tap];
            }
        }
        let pad = |v: &[f32]| v.iter().copied().chain(std::iter::repeat(0.0)).take(padded).collect::<Vec<f32>>();
        let slope = if let Activation::PRelu(slope) = activation { pad(slope) } else { Vec::new() };
        let (bias, zeros, finish) = (pad(bias), vec![0.0; channels], activation.into());
        Some(Depthwise { isa, shape, weight: packed, bias, slope, zeros, finish })
    }

    /// Computes every element of the output into `y`, `(n, h', w', channels)`.
    ///
    /// # Safety
    /// `x` is `(n, h, w, channels)`, `y` is good for writes of the whole output, and `residual` has its length.
    pub(crate) unsafe fn forward(&self, x: &[f32], [n, h, w]: [usize; 3], residual: Option<&[f32]>, y: *mut f32) {
        let ConvShape { cin, kernel: [ky, _], stride, pad, .. } = self.shape;
        let (oh, ow) = self.shape.output(h, w);
        let (mut from, mut taps) = (vec![std::ptr::null(); ky], Vec::new());
        for row in 0..n * oh {
            let (image, oy) = (row / oh, row % oh);
            for (dy, from) in from.iter_mut().enumerate() {
                let inside = (oy * stride + dy).checked_sub(pad[0]).filter(|&iy| iy < h);
                let line = inside.map(|iy| x[(image * h + iy) * w * cin..][..w * cin].as_ptr());
                *from = line.unwrap_or(std::ptr::null());
            }
            let at = row * ow * cin;
            let to = Output { at: y.wrapping_add(at).cast(), pixel: 4 * cin, form: F32, low: 0 };
            let residual = residual.map_or(std::ptr::null(), |r| r[at..][..ow * cin].as_ptr());
            // SAFETY: each line is a row of `x`, and `y` is good by the caller's promise.
            unsafe { self.line(&from, w, &mut taps, residual, to) };
        }
    }

    /// The geometry.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Computes one line of the output from the lines of the input under the kernel's rows, each `w` pixels or, outside
    /// the picture, null. `taps` is room to work in.
    ///
    /// # Safety
    /// The lines, `residual` (or null) and `to` are good for their pixels; bf16 is asked of [`Isa::Amx`] alone.
    pub(super) unsafe fn line(
        &self,
        lines: &[*const f32],
        w: usize,
        taps: &mut Vec<*const f32>,
        residual: *const f32,
        to: Output,
    ) {
        let ConvShape { cin, kernel: [ky, kx], stride, pad, .. } = self.shape;
        let ow = (w + pad[1] + pad[3] - kx) / stride + 1;
        let three = ky == 3 && kx == 3 && stride <= 2;
        let pieces = ow.div_ceil(if three { ACROSS[stride - 1] } else { 1 });
        let edge = |piece: usize| ow * piece / pieces;
        let whole = lines.iter().all(|line| !line.is_null());
        taps.resize(if three { 3 * COLUMNS } else { ky * kx }, std::ptr::null());
        let mut piece = 0;
        while piece < pieces {
            let (first, across) = (edge(piece), edge(piece + 1) - edge(piece));
            let columns = (across - 1) * stride + kx;
            let interior = |first: usize| first * stride >= pad[1] && first * stride + columns <= w + pad[1];
            // Steps of one size whose taps all lie in the picture share a table: they only move it along.
            let follows = |p: usize| p < pieces && interior(edge(p)) && edge(p + 1) - edge(p) == across;
            let mut steps = 1;
            while whole && interior(first) && follows(piece + steps) {
                steps += 1;
            }
            let taps = &mut taps[..ky * columns];
            for (&line, taps) in lines.iter().zip(taps.chunks_exact_mut(columns)) {
                for (j, tap) in taps.iter_mut().enumerate() {
                    let ix = (first * stride + j).checked_sub(pad[1]).filter(|&ix| ix < w && !line.is_null());
                    *tap = ix.map_or(self.zeros.as_ptr(), |ix| line.wrapping_add(ix * cin));
                }
            }
            let job = Job {
                taps,
                steps,
                weight: self.weight.as_ptr().cast(),
                bias: self.bias.as_ptr(),
                slope: self.slope.as_ptr(),
                finish: self.finish,
                residual: if residual.is_null() { residual } else { residual.wrapping_add(first * cin) },
                to: Output { at: to.at.wrapping_add(first * to.pixel), ..to },
                channels: cin,
                along: across * stride * cin,
            };
            let Some(kernel) = kernel(self.isa, to.form, three.then_some(stride), across) else { return };
            // SAFETY: each tap is `channels` floats of a line or zeros, and moves along only where all of them stay
            // in the picture; `to` is good by the caller's promise.
            unsafe { kernel(&job) };
            piece += steps;
        }
    }
}

fn lanes(isa: Isa) -> Option<usize> {
    match isa {
        Isa::Plain => None,
        Isa::Avx512 | Isa::Amx => Some(16),
        Isa::Avx2 => Some(8),
        Isa::Neon => Some(4),
    }
}

/// The kernel for 3x3 at a stride, or for one pixel of any other kernel.
fn kernel(isa: Isa, form: u8, three: Option<usize>, across: usize) -> Option<Kernel> {
    let [one, two, any]: &[&[Kernel]; 3] = match (isa, form) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512 | Isa::Amx, F32) => &[&x86::AVX512_1, &x86::AVX512_2, &[x86::avx512_any as Kernel]],
        #[cfg(target_arch = "x86_64")]
        (Isa::Amx, BF16) => &[&x86::BF16_1, &x86::BF16_2, &[x86::bf16_any::<BF16> as Kernel]],
        #[cfg(target_arch = "x86_64")]
        (Isa::Amx, _) => &[&x86::SPLIT_1, &x86::SPLIT_2, &[x86::bf16_any::<SPLIT> as Kernel]],
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, F32) => &[&x86::AVX2_1, &x86::AVX2_2, &[x86::avx2_any as Kernel]],
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, F32) => &[&arm::NEON_1, &arm::NEON_2, &[arm::neon_any as Kernel]],
        _ => return None,
    };
    let table = match three {
        Some(1) => one,
        Some(_) => two,
        None => any,
    };
    table.get(across - 1).copied()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::lanes::{Avx2, Avx512, BF16, F32, SPLIT};
    use super::{Job, Kernel, any, three};

    #[target_feature(enable = "avx512f")]
    unsafe fn avx512<const T: usize, const S: usize>(job: &Job<'_>) {
        // SAFETY: compiled for the instruction set; the rest is the caller's promise.
        unsafe { three::<Avx512, T, S, F32>(job) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512_any(job: &Job<'_>) {
        // SAFETY: compiled for the instruction set; the rest is the caller's promise.
        unsafe { any::<Avx512, F32>(job) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn bf16<const T: usize, const S: usize>(job: &Job<'_>) {
        // SAFETY: compiled for the instruction set; the rest is the caller's promise.
        unsafe { three::<Avx512, T, S, BF16>(job) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn split<const T: usize, const S: usize>(job: &Job<'_>) {
        // SAFETY: compiled for the instruction set; the rest is the caller's promise.
        unsafe { three::<Avx512, T, S, SPLIT>(job) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) unsafe fn bf16_any<const FORM: u8>(job: &Job<'_>) {
        // SAFETY: compiled for the instruction set; the rest is the caller's promise.
        unsafe { any::<Avx512, FORM>(job) }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<const T: usize, const S: usize>(job: &Job<'_>) {
        // SAFETY: compiled for the instruction set; the rest is the caller's promise.
        unsafe { three::<Avx2, T, S, F32>(job) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2_any(job: &Job<'_>) {
        // SAFETY: compiled for the instruction set; the rest is the caller's promise.
        unsafe { any::<Avx2, F32>(job) }
    }

    macro_rules! table {
        ($kernel:ident, $stride:literal: $($across:literal)*) => { [$($kernel::<$across, $stride>),*] };
    }
    pub(super) static AVX512_1: [Kernel; 7] = table!(avx512, 1: 1 2 3 4 5 6 7);
    pub(super) static AVX512_2: [Kernel; 4] = table!(avx512, 2: 1 2 3 4);
    pub(super) static BF16_1: [Kernel; 7] = table!(bf16, 1: 1 2 3 4 5 6 7);
    pub(super) static BF16_2: [Kernel; 4] = table!(bf16, 2: 1 2 3 4);
    pub(super) static SPLIT_1: [Kernel; 7] = table!(split, 1: 1 2 3 4 5 6 7);
    pub(super) static SPLIT_2: [Kernel; 4] = table!(split, 2: 1 2 3 4);
    pub(super) static AVX2_1: [Kernel; 7] = table!(avx2, 1: 1 2 3 4 5 6 7);
    pub(super) static AVX2_2: [Kernel; 4] = table!(avx2, 2: 1 2 3 4);
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::super::lanes::{F32, Neon};
    use super::{Job, Kernel, any, three};

    unsafe fn neon<const T: usize, const S: usize>(job: &Job<'_>) {
        // SAFETY: NEON belongs to the baseline of aarch64; the rest is the caller's promise.
        unsafe { three::<Neon, T, S, F32>(job) }
    }

    pub(super) unsafe fn neon_any(job: &Job<'_>) {
        // SAFETY: as above.
        unsafe { any::<Neon, F32>(job) }
    }

    macro_rules! table {
        ($stride:literal: $($across:literal)*) => { [$(neon::<$across, $stride>),*] };
    }
    pub(super) static NEON_1: [Kernel; 7] = table!(1: 1 2 3 4 5 6 7);
    pub(super) static NEON_2: [Kernel; 4] = table!(2: 1 2 3 4);
}

/// 3x3 with stride `S`, `T` neighbouring output pixels.
///
/// # Safety
/// The CPU has the instruction set of `L` and the addresses of the job are good.
#[inline(always)]
unsafe fn three<L: Lanes, const T: usize, const S: usize, const FORM: u8>(job: &Job<'_>) {
    // SAFETY: the caller's promise.
    unsafe {
        for step in 0..job.steps {
            let (from, to) = (step * job.along, step * T);
            let mut c = 0;
            while c + L::N <= job.channels {
                three_at::<L, T, S, FORM>(job, (from, to), c, L::N);
                c += L::N;
            }
            if c < job.channels {
                three_at::<L, T, S, FORM>(job, (from, to), c, job.channels - c);
            }
        }
    }
}

/// One vector of channels; `n` of its lanes exist.
#[inline(always)]
unsafe fn three_at<L: Lanes, const T: usize, const S: usize, const FORM: u8>(
    job: &Job<'_>,
    (from, to): (usize, usize),
    c: usize,
    n: usize,
) {
    let columns = (T - 1) * S + 3;
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [L::load(job.bias.add(c)); T];
        for dy in 0..3 {
            let w = job.weight.add(c * 9 + dy * 3 * L::N);
            let w = [L::load(w), L::load(w.add(L::N)), L::load(w.add(2 * L::N))];
            for j in 0..columns {
                let x = load::<L>((*job.taps.get_unchecked(dy * columns + j)).add(from + c), n);
                for (dx, &w) in w.iter().enumerate() {
                    if j >= dx && (j - dx) % S == 0 && (j - dx) / S < T {
                        acc[(j - dx) / S] = L::fma(x, w, acc[(j - dx) / S]);
                    }
                }
            }
        }
        for (t, &sum) in acc.iter().enumerate() {
            finish::<L, FORM>(job, to + t, c, sum, n);
        }
    }
}

/// Any kernel, one output pixel.
///
/// # Safety
/// As for [`three`].
#[inline(always)]
unsafe fn any<L: Lanes, const FORM: u8>(job: &Job<'_>) {
    // SAFETY: the caller's promise.
    unsafe {
        for step in 0..job.steps {
            let (from, to) = (step * job.along, step);
            let mut c = 0;
            while c + ABREAST * L::N <= job.channels {
                any_at::<L, ABREAST, FORM>(job, (from, to), c, L::N);
                c += ABREAST * L::N;
            }
            while c + L::N <= job.channels {
                any_at::<L, 1, FORM>(job, (from, to), c, L::N);
                c += L::N;
            }
            if c < job.channels {
                any_at::<L, 1, FORM>(job, (from, to), c, job.channels - c);
            }
        }
    }
}

#[inline(always)]
unsafe fn any_at<L: Lanes, const V: usize, const FORM: u8>(
    job: &Job<'_>,
    (from, to): (usize, usize),
    c: usize,
    n: usize,
) {
    let count = job.taps.len();
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [L::splat(0.0); V];
        for (v, sum) in acc.iter_mut().enumerate() {
            *sum = L::load(job.bias.add(c + v * L::N));
        }
        for (tap, &x) in job.taps.iter().enumerate() {
            for (v, sum) in acc.iter_mut().enumerate() {
                let w = L::load(job.weight.add((c + v * L::N) * count + tap * L::N));
                *sum = L::fma(load::<L>(x.add(from + c + v * L::N), n), w, *sum);
            }
        }
        for (v, &sum) in acc.iter().enumerate() {
            finish::<L, FORM>(job, to, c + v * L::N, sum, n);
        }
    }
}

#[inline(always)]
unsafe fn load<L: Lanes>(from: *const f32, n: usize) -> L::V {
    // SAFETY: the caller's promise.
    unsafe { if n == L::N { L::load(from) } else { L::load_part(from, L::mask(n)) } }
}

/// Activation, residual and store of one vector of the pixel `at`, of the channels from `c`.
#[inline(always)]
unsafe fn finish<L: Lanes, const FORM: u8>(job: &Job<'_>, at: usize, c: usize, sum: L::V, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut value = match job.finish {
            Finish::None => sum,
            Finish::Relu => L::relu(sum),
            Finish::PRelu => L::prelu(sum, L::load(job.slope.add(c))),
        };
        if !job.residual.is_null() {
            value = L::add(value, load::<L>(job.residual.add(at * job.channels + c), n));
        }
        let size = if FORM == F32 { 4 } else { 2 };
        L::put::<FORM>(job.to.at.add(at * job.to.pixel + c * size), job.to.low, value, n);
    }
}

#[cfg(test)]
mod tests {
    use super::super::writes_only_inside;
    use super::*;

    #[test]
    fn nothing_is_written_beyond_the_output() {
        for (channels, kernel, stride, pad) in [(13, 3, 1, 1), (70, 3, 2, 0), (52, 5, 1, 0), (1, 3, 1, 1)] {
            let shape = ConvShape {
                cin: channels,
                cout: channels,
                kernel: [kernel; 2],
                stride,
                pad: [pad; 4],
                groups: channels,
            };
            let (weight, bias) = (vec![0.5; channels * kernel * kernel], vec![0.25; channels]);
            let x = vec![1.0; 2 * 5 * 9 * channels];
            let (oh, ow) = shape.output(5, 9);
            writes_only_inside(2 * oh * ow * channels, |isa, y| {
                let depthwise = Depthwise::new(isa, shape, &weight, &bias, &Activation::None)?;
                // SAFETY: `y` has the length of the output, `x` that of the input.
                unsafe { depthwise.forward(&x, [2, 5, 9], None, y) };
                Some(())
            });
        }
    }
}
