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
//!
//! Everything counts in 32-bit *slots*. In f32 a slot is a channel; in bf16 it is a pair of channels, an odd one out
//! paired with zero, and the bands are always copied because the copy is where the inputs are rounded.

use std::cell::RefCell;
use std::ops::Range;

use half::bf16;

use super::tile::{Job, geometry, kernels};
use super::{Finish, Isa, Line, bf16_pairs, floats, lines};
use crate::ops::spec::{Activation, ConvShape, Parameters, Precision};

/// Slots of a sum in one block.
const DEPTH: usize = 384;
/// Slots of input in one band: with a panel block this stays within a second-level cache of 1 MiB.
const BAND: usize = 96 * 1024;
/// A pixel stride that is a multiple of this many slots would make the rows of a tile evict each other.
const CONFLICT: usize = 512;

thread_local! {
    static SCRATCH: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// A dense convolution with its weights in panels.
#[derive(Debug, Clone)]
pub(crate) struct Dense {
    isa: Isa,
    precision: Precision,
    shape: ConvShape,
    /// Of one pixel.
    slots: usize,
    /// Per panel: `[kernel_y][kernel_x][slot][panel width]`; only the last panel may be narrower than the others.
    weight: Vec<Line>,
    /// Padded to whole vectors.
    bias: Vec<f32>,
    slope: Vec<f32>,
    finish: Finish,
}

/// One forward pass.
struct Call<'a> {
    x: &'a [f32],
    /// Images, height and width of the input.
    sides: [usize; 3],
    /// Null: nothing to add.
    residual: *const f32,
    y: *mut f32,
}

/// Where the inputs of a band lie.
struct Source<'a> {
    x: &'a [f32],
    /// Slots from one pixel to the next.
    pixel: usize,
}

/// Some neighbouring output pixels: offset of the first tap in the source, index of the first pixel, count.
struct Tile {
    from: usize,
    to: usize,
    count: usize,
}

impl Dense {
    /// Packs weights in the order `(cout, cin, kernel_y, kernel_x)`. `None`: there are no kernels for `isa`.
    pub(crate) fn new(
        isa: Isa,
        precision: Precision,
        shape: ConvShape,
        parameters: Parameters,
        activation: &Activation,
    ) -> Option<Self> {
        let Parameters { weight, bias } = parameters;
        let (_, vectors, lanes) = geometry(isa)?;
        let ConvShape { cin, cout, kernel: [ky, kx], .. } = shape;
        let (taps, panel, padded) = (ky * kx, vectors * lanes, cout.next_multiple_of(lanes));
        let slots = match precision {
            // No CPU is given f16 (`Precision::is_supported`), and what is split goes to tiles.
            Precision::F32 | Precision::F16 | Precision::Bf16x3 => cin,
            Precision::Bf16 => cin.div_ceil(2),
        };
        let slot = |o: usize, i: usize, tap: usize| {
            let channel = |i: usize| if i < cin { weight[(o * cin + i) * taps + tap] } else { 0.0 };
            match precision {
                Precision::F32 | Precision::F16 | Precision::Bf16x3 => channel(i),
                Precision::Bf16 => {
                    let [low, high] = [2 * i, 2 * i + 1].map(|i| u32::from(bf16::from_f32(channel(i)).to_bits()));
                    f32::from_bits(low | high << 16)
                }
            }
        };
        let mut packed = lines(padded * taps * slots);
        let (values, mut at) = (floats(&mut packed), 0);
        for first in (0..cout).step_by(panel) {
            let width = panel.min(padded - first);
            for tap in 0..taps {
                for i in 0..slots {
                    for (o, to) in (first..cout).zip(&mut values[at..at + width]) {
                        *to = slot(o, i, tap);
                    }
                    at += width;
                }
            }
        }
        let pad = |v: &[f32]| v.iter().copied().chain(std::iter::repeat(0.0)).take(padded).collect::<Vec<f32>>();
        let slope = if let Activation::PRelu(slope) = activation { pad(slope) } else { Vec::new() };
        let (bias, finish) = (pad(bias), activation.into());
        Some(Dense { isa, precision, shape, slots, weight: packed, bias, slope, finish })
    }

    /// Computes every element of the output into `y`, `(n, h', w', cout)`.
    ///
    /// # Safety
    /// `x` is `(n, h, w, cin)`, the output is not empty, `y` is good for writes of the whole output, and `residual`
    /// has its length.
    pub(crate) unsafe fn forward(&self, x: &[f32], sides: [usize; 3], residual: Option<&[f32]>, y: *mut f32) {
        let ConvShape { kernel, stride, pad, .. } = self.shape;
        let call = Call { x, sides, residual: residual.map_or(std::ptr::null(), <[f32]>::as_ptr), y };
        let conflict = (self.slots * stride).is_multiple_of(CONFLICT);
        let pixel = if conflict { self.slots + 16 } else { self.slots };
        let copied = conflict || self.precision != Precision::F32;
        SCRATCH.with_borrow_mut(|scratch| {
            // SAFETY: the caller's promises, handed on.
            unsafe {
                if kernel == [1, 1] && stride == 1 && pad == [0; 4] {
                    self.matrix(&call, pixel, copied.then_some(scratch));
                } else if copied || pad != [0; 4] {
                    self.padded(&call, pixel, scratch);
                } else {
                    self.valid(&call);
                }
            }
        });
    }

    /// 1x1: all pixels of all images are one long row.
    unsafe fn matrix(&self, call: &Call<'_>, pixel: usize, mut scratch: Option<&mut Vec<Line>>) {
        let (cin, x) = (self.shape.cin, call.x);
        let (most, ..) = geometry(self.isa).unwrap_or((1, 1, 1));
        let (pixels, band) = (x.len() / cin, (BAND / pixel / most).max(8) * most);
        let chunks = self.chunks(0, pixel);
        let mut tiles = Vec::new();
        for first in (0..pixels).step_by(band) {
            let count = band.min(pixels - first);
            tiles.clear();
            let part = &x[first * cin..][..count * cin];
            let x = match &mut scratch {
                None => part,
                Some(scratch) => {
                    let copy = take(scratch, count * pixel);
                    self.copy(copy, part, pixel);
                    copy
                }
            };
            split(&mut tiles, most, 0, first, count, pixel);
            // SAFETY: the tiles cover pixels of this band only.
            unsafe { self.band(&Source { x, pixel }, &chunks, &tiles, call) };
        }
    }

    /// No padding, f32: the tiles read the picture where it lies.
    unsafe fn valid(&self, call: &Call<'_>) {
        let Call { x, sides: [n, h, w], .. } = *call;
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
            unsafe { self.band(&Source { x, pixel: cin }, &chunks, &tiles, call) };
        }
    }

    /// Copies bands of rows with their padding, then reads those.
    unsafe fn padded(&self, call: &Call<'_>, pixel: usize, scratch: &mut Vec<Line>) {
        let Call { x, sides: [n, h, w], .. } = *call;
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
                    self.copy_line(to, from, pixel);
                }
                for i in 0..here {
                    split(&mut tiles, most, at + i * stride * line, (row + i) * ow, ow, stride * pixel);
                }
                at += ((here - 1) * stride + ky) * line;
                row += here;
            }
            // SAFETY: the tiles cover rows of this band only.
            unsafe { self.band(&Source { x: copy, pixel }, &chunks, &tiles, call) };
        }
    }

    /// Copies one input row between zeros for the padding; no row is all zeros.
    fn copy_line(&self, to: &mut [f32], from: Option<&[f32]>, pixel: usize) {
        let Some(from) = from else { return to.fill(0.0) };
        let (cin, wide) = (self.shape.cin, to.len() / pixel);
        let left = self.shape.pad[1].min(wide);
        let inner = (from.len() / cin).min(wide - left);
        to[..left * pixel].fill(0.0);
        to[(left + inner) * pixel..].fill(0.0);
        self.copy(&mut to[left * pixel..][..inner * pixel], &from[..inner * cin], pixel);
    }

    /// Copies pixels into slots, `pixel` of them from one to the next.
    fn copy(&self, to: &mut [f32], from: &[f32], pixel: usize) {
        let (cin, slots) = (self.shape.cin, self.slots);
        let whole = pixel == slots && (self.precision != Precision::Bf16 || cin.is_multiple_of(2));
        let convert = match self.precision {
            Precision::F32 | Precision::F16 | Precision::Bf16x3 => {
                |to: &mut [f32], from: &[f32]| to.copy_from_slice(from)
            }
            Precision::Bf16 => bf16_pairs,
        };
        if whole {
            return convert(to, from);
        }
        for (to, from) in to.chunks_exact_mut(pixel).zip(from.chunks_exact(cin)) {
            convert(&mut to[..slots], from);
        }
    }

    /// The inputs of one output element in the order of the sum, as ranges from its first tap, in blocks.
    fn chunks(&self, line: usize, pixel: usize) -> Vec<Vec<Range<usize>>> {
        let (ConvShape { kernel: [ky, kx], .. }, slots) = (self.shape, self.slots);
        // Neighbouring taps of a row join where no gap lies between the pixels.
        let (across, length) = if pixel == slots { (1, kx * slots) } else { (kx, slots) };
        let even = length.div_ceil(length.div_ceil(DEPTH));
        let (mut blocks, mut block, mut depth) = (Vec::new(), Vec::new(), 0);
        for tap in 0..ky * across {
            let from = tap / across * line + tap % across * pixel;
            for at in (0..length).step_by(even) {
                let part = even.min(length - at);
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
    /// The tiles lie within `y` and `residual`.
    unsafe fn band(&self, source: &Source<'_>, blocks: &[Vec<Range<usize>>], tiles: &[Tile], call: &Call<'_>) {
        let ConvShape { cout, kernel: [ky, kx], stride, .. } = self.shape;
        let Some((_, vectors, lanes)) = geometry(self.isa) else { return };
        let (panel, sum) = (vectors * lanes, ky * kx * self.slots);
        let weight = self.weight.as_ptr().cast::<f32>();
        let last = tiles.iter().map(|t| t.from + (t.count - 1) * stride * source.pixel).max().unwrap_or(0);
        let reach = blocks.iter().flatten().map(|c| c.end).max().unwrap_or(0);
        assert!(last + reach <= source.x.len(), "a tile reads beyond its band");
        let mut depth = 0;
        for (number, chunks) in blocks.iter().enumerate() {
            for first in (0..cout).step_by(panel) {
                let lanes_here = panel.min(cout - first);
                let across = lanes_here.div_ceil(lanes);
                let kernels = kernels(self.isa, self.precision, across);
                for tile in tiles {
                    let at = tile.to * cout + first;
                    // SAFETY: offsets within the arrays, by the caller's promise and the layout of the panels.
                    unsafe {
                        let job = Job {
                            x: source.x.as_ptr().add(tile.from),
                            step: stride * source.pixel,
                            chunks,
                            weight: weight.add(first * sum + depth * across * lanes),
                            bias: if number == 0 { self.bias.as_ptr().add(first) } else { std::ptr::null() },
                            y: call.y.add(at),
                            cout,
                            lanes: lanes_here,
                            finish: (number + 1 == blocks.len()).then_some(self.finish),
                            slope: self.slope.as_ptr().wrapping_add(first),
                            residual: if call.residual.is_null() { call.residual } else { call.residual.add(at) },
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

#[cfg(test)]
mod tests {
    use super::super::writes_only_inside;
    use super::*;

    #[test]
    fn nothing_is_written_beyond_the_output() {
        for (cin, cout, kernel, stride, pad) in
            [(13, 103, 1, 1, 0), (512, 33, 1, 1, 0), (13, 20, 3, 1, 1), (8, 1, 3, 2, 0)]
        {
            let shape = ConvShape { cin, cout, kernel: [kernel; 2], stride, pad: [pad; 4], groups: 1 };
            let (weight, bias) = (vec![0.5; cout * cin * kernel * kernel], vec![0.25; cout]);
            let x = vec![1.0; 2 * 5 * 7 * cin];
            let (oh, ow) = shape.output(5, 7);
            writes_only_inside(2 * oh * ow * cout, |isa, y| {
                let parameters = Parameters { weight: &weight, bias: &bias };
                let dense = Dense::new(isa, Precision::F32, shape, parameters, &Activation::None)?;
                // SAFETY: `y` has the length of the output, `x` that of the input.
                unsafe { dense.forward(&x, [2, 5, 7], None, y) };
                Some(())
            });
        }
    }
}
