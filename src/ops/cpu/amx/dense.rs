//! A dense convolution as rows by tiles of weights.
//!
//! Weights lie in panels of 32 output channels, in the order in which the products read them: per step of 32 inputs one
//! tile for each 16 channels, in which a row holds two neighbouring inputs of each channel.
//!
//! Split, a factor is the sum of two bf16, `high + low`, sixteen significant bits of it. Of the four products three are
//! summed, the smaller ones first: `low * high`, `high * low`, `high * high`; the fourth lies below what the other three
//! round off. An error is then near 2^-16 of the product, for three times the arithmetic of bf16.

use half::bf16;

use super::super::{Finish, Line, lines};
use super::product::{Block, COLUMNS, Segment, Sums, TILE};
use super::sink::{Addend, After, Form, Sink};
use super::{ROWS, Tiles};
use crate::ops::spec::{Activation, ConvShape};

/// Factors that a product takes at a time from each row.
const STEP: usize = 32;

/// The weights of a dense convolution.
#[derive(Debug, Clone)]
pub(crate) struct Dense {
    pub(super) shape: ConvShape,
    split: bool,
    /// Values of a row, padded to whole steps.
    pub(super) depth: usize,
    weight: Vec<Line>,
    /// Padded to whole vectors.
    bias: Vec<f32>,
    slope: Vec<f32>,
    finish: Finish,
    /// Of the sums of a panel of one and of two tiles.
    segments: [Vec<Segment>; 2],
}

impl Dense {
    /// Packs weights in the order `(cout, cin, kernel_y, kernel_x)`.
    pub(crate) fn new(shape: ConvShape, split: bool, weight: &[f32], bias: &[f32], activation: &Activation) -> Self {
        let ConvShape { cin, cout, kernel: [ky, kx], .. } = shape;
        let taps = ky * kx;
        let depth = (taps * cin).next_multiple_of(STEP);
        let (steps, padded) = (depth / STEP, cout.next_multiple_of(16));
        let planes = if split { 2 } else { 1 };
        let mut packed = lines(padded * depth * planes / 2);
        let mut at = 0;
        let factor = |o: usize, k: usize, plane: usize| {
            if o >= cout || k >= taps * cin {
                return 0;
            }
            let value = weight[(o * cin + k % cin) * taps + k / cin];
            let high = bf16::from_f32(value);
            if plane == 0 { high.to_bits() } else { bf16::from_f32(value - high.to_f32()).to_bits() }
        };
        for first in (0..padded).step_by(COLUMNS) {
            for plane in 0..planes {
                for step in 0..steps {
                    for column in (first..padded.min(first + COLUMNS)).step_by(16) {
                        for pair in 0..STEP / 2 {
                            let k = step * STEP + 2 * pair;
                            // Pairs of two bytes fill a float's place.
                            for (lane, to) in packed[at / 16].0.iter_mut().enumerate() {
                                let [even, odd] = [k, k + 1].map(|k| u32::from(factor(column + lane, k, plane)));
                                *to = f32::from_bits(even | odd << 16);
                            }
                            at += 16;
                        }
                    }
                }
            }
        }
        let pad = |v: &[f32]| v.iter().copied().chain(std::iter::repeat(0.0)).take(padded).collect::<Vec<f32>>();
        let slope = if let Activation::PRelu(slope) = activation { pad(slope) } else { Vec::new() };
        let segments = [1, 2].map(|tiles| {
            let low = steps * tiles * TILE;
            let all: &[(usize, usize)] = if split { &[(2 * depth, 0), (0, low), (0, 0)] } else { &[(0, 0)] };
            all.iter().map(|&(rows, weight)| Segment { rows, weight, steps }).collect()
        });
        Dense { shape, split, depth, weight: packed, bias: pad(bias), slope, finish: activation.into(), segments }
    }

    /// Bytes of the weights.
    pub(super) fn bytes(&self) -> usize {
        std::mem::size_of_val(&self.weight[..])
    }

    /// How the rows must lie.
    pub(super) fn form(&self) -> Form {
        if self.split { Form::Split(2 * self.depth) } else { Form::Bf16 }
    }

    /// Bytes from one row to the next: no multiple of 512, or the rows of a tile would evict each other.
    pub(super) fn pixel(&self) -> usize {
        let bytes = 2 * self.depth * if self.split { 2 } else { 1 };
        if bytes.is_multiple_of(512) { bytes + 64 } else { bytes }
    }

    /// Whether a row is a pixel as it lies, with nothing to gather.
    pub(super) fn is_pointwise(&self) -> bool {
        let ConvShape { kernel, stride, pad, .. } = self.shape;
        kernel == [1, 1] && stride == 1 && pad == [0; 4]
    }

    /// Multiplies `count` rows, `stride` bytes from one to the next.
    ///
    /// # Safety
    /// AMX is set up. Rows are readable up to the next whole multiple of 32; `sink` and `residual` are good for `count`
    /// pixels.
    pub(super) unsafe fn multiply(
        &self,
        _tiles: &Tiles,
        (rows, stride): (*const u8, usize),
        count: usize,
        sink: Sink,
        residual: Addend,
    ) {
        let cout = self.shape.cout;
        let bytes = self.depth * 2 * if self.split { 2 } else { 1 };
        // What follows a block's sums is done behind the products of the next block, which need other units of the core.
        let mut sums = [const { Sums::new() }; 2];
        let mut waiting: Option<(usize, usize, usize)> = None;
        let mut turn = 0;
        let write = |sums: &Sums, (first, row, here): (usize, usize, usize)| {
            let (finish, slope) = (self.finish, &self.slope[..]);
            let after = After { finish, slope, residual: residual.after(row), sink: sink.after(row) };
            // SAFETY: the caller's promise.
            unsafe { after.write(sums, here, first, (cout - first).min(COLUMNS)) };
        };
        for first in (0..cout).step_by(COLUMNS) {
            let wide = cout - first > COLUMNS / 2;
            let weight = self.weight.as_ptr().cast::<u8>().wrapping_add(first * bytes);
            for row in (0..count).step_by(2 * ROWS) {
                let here = (count - row).min(2 * ROWS);
                let mut block = Block {
                    rows: rows.wrapping_add(row * stride),
                    weight,
                    bias: self.bias[first..].as_ptr(),
                    sums: &mut sums[turn],
                    stride,
                    segments: &self.segments[usize::from(wide)],
                };
                // SAFETY: the caller's promise, and the layout of the panels.
                unsafe { block.multiply(here > ROWS, wide) };
                if let Some(block) = waiting.replace((first, row, here)) {
                    write(&sums[1 - turn], block);
                }
                turn = 1 - turn;
            }
        }
        if let Some(block) = waiting {
            write(&sums[1 - turn], block);
        }
    }
}
