//! Dense convolution as a matrix product over panels of output channels, without an im2col matrix.
//!
//! The kernel computes a tile of a few neighbouring output pixels by one panel of output channels, all sums in
//! registers. In NHWC the inputs of one kernel row are consecutive in memory and neighbouring pixels lie a fixed
//! stride apart, so a tile reads the picture itself: a list of *chunks* (offset, length) walks the kernel rows.
//! A 1x1 convolution is the case of one chunk, and a fully connected layer the case of one pixel. Where the picture
//! is padded, or its pixel stride would map all rows of a tile to the same cache sets, a band of rows is first copied
//! into a scratch buffer with the padding in place.
//!
//! The sum is cut into blocks of [`DEPTH`] so that a tile's inputs stay in the first-level cache; between blocks the
//! f32 sums rest in the output, which changes no bit.

use std::cell::RefCell;
use std::ops::Range;

use super::lanes::Lanes;
use super::{Finish, Isa, Line, floats, lines};
use crate::ops::conv::{Activation, ConvShape};

/// Inputs of a sum in one block.
const DEPTH: usize = 384;
/// Floats of input in one band: with a panel block this stays within a second-level cache of 1 MiB.
const BAND: usize = 96 * 1024;
/// A pixel stride that is a multiple of this many floats would make the rows of a tile evict each other.
const CONFLICT: usize = 512;

thread_local! {
    static SCRATCH: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// A dense convolution with its weights in panels.
#[derive(Debug, Clone)]
pub(crate) struct Dense {
    isa: Isa,
    shape: ConvShape,
    /// Per panel: `[kernel_y][kernel_x][cin][panel width]`. All panels but the last are [`Dense::panel`] wide.
    weight: Vec<Line>,
    /// Padded to whole vectors.
    bias: Vec<f32>,
    slope: Vec<f32>,
    finish: Finish,
}

/// Where the inputs of a band lie.
struct Source<'a> {
    x: &'a [f32],
    /// Floats from one pixel to the next.
    pixel: usize,
}

/// Some neighbouring output pixels: offset of the first tap in the source, index of the first pixel, count.
struct Tile {
    from: usize,
    to: usize,
    count: usize,
}

/// Everything a kernel needs: the addresses of one tile and one panel.
struct Job<'a> {
    x: *const f32,
    /// Floats between the inputs of neighbouring output pixels.
    step: usize,
    chunks: &'a [Range<usize>],
    weight: *const f32,
    /// Null: go on from the sums in `y`.
    bias: *const f32,
    y: *mut f32,
    cout: usize,
    /// Output channels that exist in this panel.
    lanes: usize,
    /// None: leave the bare sums in `y`.
    finish: Option<Finish>,
    slope: *const f32,
    /// Null: nothing to add.
    residual: *const f32,
}

type Kernel = unsafe fn(&Job<'_>);

impl Dense {
    /// Packs weights in the order `(cout, cin, kernel_y, kernel_x)`. `None`: there are no kernels for `isa`.
    pub(crate) fn new(
        isa: Isa,
        shape: ConvShape,
        weight: &[f32],
        bias: &[f32],
        activation: &Activation,
    ) -> Option<Self> {
        let (rows, vectors, lanes) = geometry(isa)?;
        debug_assert!(rows > 0);
        let ConvShape { cin, cout, kernel: [ky, kx], .. } = shape;
        let (taps, panel, padded) = (ky * kx, vectors * lanes, cout.next_multiple_of(lanes));
        let mut packed = lines(padded * taps * cin);
        let (values, mut at) = (floats(&mut packed), 0);
        for first in (0..cout).step_by(panel) {
            let width = panel.min(padded - first);
            for tap in 0..taps {
                for i in 0..cin {
                    for (o, slot) in (first..cout).zip(&mut values[at..at + width]) {
                        *slot = weight[(o * cin + i) * taps + tap];
                    }
                    at += width;
                }
            }
        }
        let pad = |v: &[f32]| v.iter().copied().chain(std::iter::repeat(0.0)).take(padded).collect::<Vec<f32>>();
        let slope = if let Activation::PRelu(slope) = activation { pad(slope) } else { Vec::new() };
        Some(Dense { isa, shape, weight: packed, bias: pad(bias), slope, finish: activation.into() })
    }

    /// Computes every element of the output into `y`, `(n, h', w', cout)`.
    ///
    /// # Safety
    /// `x` is `(n, h, w, cin)`, the output is not empty, `y` is good for writes of the whole output, and `residual`
    /// has its length.
    pub(crate) unsafe fn forward(&self, x: &[f32], [n, h, w]: [usize; 3], residual: Option<&[f32]>, y: *mut f32) {
        let ConvShape { cin, kernel, stride, pad, .. } = self.shape;
        let residual = residual.map_or(std::ptr::null(), <[f32]>::as_ptr);
        let conflict = (cin * stride).is_multiple_of(CONFLICT);
        let pixel = if conflict { cin + 16 } else { cin };
        SCRATCH.with_borrow_mut(|scratch| {
            // SAFETY: the caller's promises, handed on.
            unsafe {
                if kernel == [1, 1] && stride == 1 && pad == [0; 4] {
                    self.matrix(x, pixel, scratch, residual, y);
                } else if conflict || pad != [0; 4] {
                    self.padded(x, [n, h, w], pixel, scratch, residual, y);
                } else {
                    self.valid(x, [n, h, w], residual, y);
                }
            }
        });
    }

    /// 1x1: all pixels of all images are one long row.
    unsafe fn matrix(&self, x: &[f32], pixel: usize, scratch: &mut Vec<Line>, residual: *const f32, y: *mut f32) {
        let cin = self.shape.cin;
        let (most, ..) = geometry(self.isa).unwrap_or((1, 1, 1));
        let (pixels, band) = (x.len() / cin, (BAND / pixel / most).max(8) * most);
        let chunks = self.chunks(0, pixel);
        let mut tiles = Vec::new();
        for first in (0..pixels).step_by(band) {
            let count = band.min(pixels - first);
            tiles.clear();
            let part = &x[first * cin..][..count * cin];
            let x = if pixel == cin {
                part
            } else {
                let copy = take(scratch, count * pixel);
                for (to, from) in copy.chunks_exact_mut(pixel).zip(part.chunks_exact(cin)) {
                    to[..cin].copy_from_slice(from);
                }
                copy
            };
            split(&mut tiles, most, 0, first, count, pixel);
            // SAFETY: the tiles cover pixels of this band only.
            unsafe { self.band(&Source { x, pixel }, &chunks, &tiles, residual, y) };
        }
    }

    /// No padding: the tiles read the picture where it lies.
    unsafe fn valid(&self, x: &[f32], [n, h, w]: [usize; 3], residual: *const f32, y: *mut f32) {
        let ConvShape { cin, stride, .. } = self.shape;
        let (most, ..) = geometry(self.isa).unwrap_or((1, 1, 1));
        let ((oh, ow), line) = (self.shape.output(h, w), w * cin);
        let chunks = self.chunks(line, cin);
        let rows = (BAND / (stride * line)).max(1);
        let mut tiles = Vec::new();
        for first in (0..n * oh).step_by(rows) {
            tiles.clear();
            for row in first..(first + rows).min(n * oh) {
                let from = (row / oh * h + row % oh * stride) * line;
                split(&mut tiles, most, from, row * ow, ow, stride * cin);
            }
            // SAFETY: the tiles cover rows of this band only.
            unsafe { self.band(&Source { x, pixel: cin }, &chunks, &tiles, residual, y) };
        }
    }

    /// Copies bands of rows with their padding, then reads those.
    unsafe fn padded(
        &self,
        x: &[f32],
        [n, h, w]: [usize; 3],
        pixel: usize,
        scratch: &mut Vec<Line>,
        residual: *const f32,
        y: *mut f32,
    ) {
        let ConvShape { cin, kernel: [ky, kx], stride, pad, .. } = self.shape;
        let (most, ..) = geometry(self.isa).unwrap_or((1, 1, 1));
        let (oh, ow) = self.shape.output(h, w);
        let wide = (ow - 1) * stride + kx;
        let line = wide * pixel;
        let chunks = self.chunks(line, pixel);
        let rows = (BAND.saturating_sub(ky * line) / (stride * line)).max(1);
        // Every image in a band brings its own halo.
        let most_lines = |rows: usize| rows * stride + ky * (rows / oh + 2);
        let mut tiles = Vec::new();
        for first in (0..n * oh).step_by(rows) {
            let last = (first + rows).min(n * oh);
            tiles.clear();
            let copy = take(scratch, most_lines(last - first) * line);
            let (mut row, mut at) = (first, 0);
            while row < last {
                let (image, oy) = (row / oh, row % oh);
                let here = (last - row).min(oh - oy);
                for i in 0..(here - 1) * stride + ky {
                    let to = &mut copy[at + i * line..][..line];
                    let inside = (oy * stride + i).checked_sub(pad[0]).filter(|&iy| iy < h);
                    let from = inside.map(|iy| &x[(image * h + iy) * w * cin..][..w * cin]);
                    copy_line(to, from, [cin, pixel, pad[1]]);
                }
                for i in 0..here {
                    split(&mut tiles, most, at + i * stride * line, (row + i) * ow, ow, stride * pixel);
                }
                at += ((here - 1) * stride + ky) * line;
                row += here;
            }
            // SAFETY: the tiles cover rows of this band only.
            unsafe { self.band(&Source { x: copy, pixel }, &chunks, &tiles, residual, y) };
        }
    }

    /// The inputs of one output element in the order of the sum, as ranges from its first tap, in blocks.
    fn chunks(&self, line: usize, pixel: usize) -> Vec<Vec<Range<usize>>> {
        let ConvShape { cin, kernel: [ky, kx], .. } = self.shape;
        // Neighbouring taps of a row join where no gap lies between the pixels.
        let (across, length) = if pixel == cin { (1, kx * cin) } else { (kx, cin) };
        let (mut blocks, mut block, mut depth) = (Vec::new(), Vec::new(), 0);
        for tap in 0..ky * across {
            let from = tap / across * line + tap % across * pixel;
            for at in (0..length).step_by(DEPTH) {
                let part = DEPTH.min(length - at);
                if depth + part > DEPTH {
                    blocks.push(std::mem::take(&mut block));
                    depth = 0;
                }
                block.push(from + at..from + at + part);
                depth += part;
            }
        }
        blocks.push(block);
        blocks
    }

    /// Computes some tiles, all output channels of them.
    ///
    /// # Safety
    /// The tiles and chunks lie within the source and within `y` (and `residual`, where it is not null).
    unsafe fn band(
        &self,
        source: &Source<'_>,
        blocks: &[Vec<Range<usize>>],
        tiles: &[Tile],
        residual: *const f32,
        y: *mut f32,
    ) {
        let ConvShape { cin, cout, kernel: [ky, kx], stride, .. } = self.shape;
        let Some((_, vectors, lanes)) = geometry(self.isa) else { return };
        let (panel, sum) = (vectors * lanes, ky * kx * cin);
        let weight = self.weight.as_ptr().cast::<f32>();
        let mut depth = 0;
        for (number, chunks) in blocks.iter().enumerate() {
            for first in (0..cout).step_by(panel) {
                let lanes_here = panel.min(cout - first);
                let across = lanes_here.div_ceil(lanes);
                let kernels = kernels(self.isa, across);
                for tile in tiles {
                    debug_assert!(
                        tile.from
                            + (tile.count - 1) * stride * source.pixel
                            + chunks.iter().map(|c| c.end).max().unwrap_or(0)
                            <= source.x.len()
                    );
                    let at = tile.to * cout + first;
                    // SAFETY: offsets within the arrays, by the caller's promise and the layout of the panels.
                    unsafe {
                        let job = Job {
                            x: source.x.as_ptr().add(tile.from),
                            step: stride * source.pixel,
                            chunks,
                            weight: weight.add(first * sum + depth * across * lanes),
                            bias: if number == 0 { self.bias.as_ptr().add(first) } else { std::ptr::null() },
                            y: y.add(at),
                            cout,
                            lanes: lanes_here,
                            finish: (number + 1 == blocks.len()).then_some(self.finish),
                            slope: self.slope.as_ptr().wrapping_add(first),
                            residual: if residual.is_null() { residual } else { residual.add(at) },
                        };
                        kernels(tile.count)(&job);
                    }
                }
            }
            depth += chunks.iter().map(Range::len).sum::<usize>();
        }
    }
}

/// A slice of the scratch buffer, grown where need be; what it holds is left over from before.
fn take(scratch: &mut Vec<Line>, len: usize) -> &mut [f32] {
    if scratch.len() * 16 < len {
        *scratch = lines(len);
    }
    &mut floats(scratch)[..len]
}

/// Copies one input row between zeros for the padding; no row is all zeros.
fn copy_line(to: &mut [f32], from: Option<&[f32]>, [cin, pixel, left]: [usize; 3]) {
    let Some(from) = from else { return to.fill(0.0) };
    let wide = to.len() / pixel;
    let left = left.min(wide);
    let inner = (from.len() / cin).min(wide - left);
    to[..left * pixel].fill(0.0);
    to[(left + inner) * pixel..].fill(0.0);
    let to = &mut to[left * pixel..][..inner * pixel];
    if pixel == cin {
        to.copy_from_slice(&from[..inner * cin]);
    } else {
        for (to, from) in to.chunks_exact_mut(pixel).zip(from.chunks_exact(cin)) {
            to[..cin].copy_from_slice(from);
        }
    }
}

/// Cuts a run of output pixels into tiles of nearly equal size, none above `most`.
fn split(tiles: &mut Vec<Tile>, most: usize, from: usize, to: usize, count: usize, step: usize) {
    let pieces = count.div_ceil(most);
    let mut done = 0;
    for piece in 0..pieces {
        let end = count * (piece + 1) / pieces;
        tiles.push(Tile { from: from + done * step, to: to + done, count: end - done });
        done = end;
    }
}

/// Rows of a tile, vectors across a panel, lanes of a vector.
fn geometry(isa: Isa) -> Option<(usize, usize, usize)> {
    match isa {
        Isa::Plain => None,
        Isa::Avx512 => Some((14, 2, 16)),
        Isa::Avx2 => Some((6, 2, 8)),
        Isa::Neon => Some((6, 4, 4)),
    }
}

/// The kernels for panels of so many vectors, by the rows of the tile.
fn kernels(isa: Isa, vectors: usize) -> impl Fn(usize) -> Kernel {
    let table: &[Kernel] = match (isa, vectors) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, 1) => &x86::AVX512_1,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, _) => &x86::AVX512_2,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, 1) => &x86::AVX2_1,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, _) => &x86::AVX2_2,
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, n) => &arm::NEON[n - 1],
        _ => &[],
    };
    move |rows| table[rows - 1]
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::lanes::{Avx2, Avx512};
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

    macro_rules! table {
        ($kernel:ident, $vectors:literal: $($rows:literal)*) => { [$($kernel::<$rows, $vectors>),*] };
    }
    pub(super) static AVX512_1: [Kernel; 14] = table!(avx512, 1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    pub(super) static AVX512_2: [Kernel; 14] = table!(avx512, 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    pub(super) static AVX2_1: [Kernel; 6] = table!(avx2, 1: 1 2 3 4 5 6);
    pub(super) static AVX2_2: [Kernel; 6] = table!(avx2, 2: 1 2 3 4 5 6);
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
