//! Pooling: the largest of 2x2, the mean over all pixels, and every so many of them.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};

use super::check;
use super::cpu::{Isa, Loop};
use super::gpu::{self, Card};

/// The largest of each 2x2 square: `(n, h, w, c)` to `(n, h / 2, w / 2, c)`, with stride 2 and without padding.
///
/// An odd last row or column is left out. Not-a-number loses against any number.
///
/// # Errors
/// When `x` is not contiguous f32 in NHWC, is empty, or has a side of 1.
pub fn max_pool2(x: &Tensor) -> Result<Tensor> {
    match x.device() {
        Device::Cpu => x.apply_op1_no_bwd(&MaxPool2),
        device => gpu::network::max_pool2(&Card::of(device)?, x),
    }
}

/// The mean over all pixels: `(n, h, w, c)` to `(n, 1, 1, c)`.
///
/// The sum runs over rows and columns in ascending order and is then divided, so its bits do not depend on the machine.
///
/// # Errors
/// When `x` is not contiguous f32 in NHWC, or is empty.
pub fn global_avg_pool(x: &Tensor) -> Result<Tensor> {
    match x.device() {
        Device::Cpu => x.apply_op1_no_bwd(&GlobalAvgPool),
        device => gpu::network::global_avg_pool(&Card::of(device)?, x),
    }
}

/// Every `step`-th row and column, from the first: `(n, h, w, c)` to `(n, ceil(h / step), ceil(w / step), c)`.
///
/// # Errors
/// When `x` is not contiguous f32 in NHWC or is empty, or `step` is 0.
pub fn subsample(x: &Tensor, step: usize) -> Result<Tensor> {
    match x.device() {
        Device::Cpu => x.apply_op1_no_bwd(&Subsample { step }),
        device => gpu::network::subsample(&Card::of(device)?, x, step),
    }
}

struct MaxPool2;

impl CustomOp1 for MaxPool2 {
    fn name(&self) -> &'static str {
        "max_pool2"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, [n, h, w, c]) = check::nhwc("max_pool2", storage, layout)?;
        if h < 2 || w < 2 {
            bail!("max_pool2: expected height and width of at least 2, got {:?}", layout.shape());
        }
        let mut y = Vec::with_capacity(n * (h / 2) * (w / 2) * c);
        Isa::current()?.run(MaxLoop { x, sides: [h, w, c], y: &mut y });
        Ok((CpuStorage::F32(y), Shape::from((n, h / 2, w / 2, c))))
    }
}

struct MaxLoop<'a> {
    x: &'a [f32],
    sides: [usize; 3],
    y: &'a mut Vec<f32>,
}

impl Loop for MaxLoop<'_> {
    #[inline(always)]
    fn run(self) {
        let [h, w, c] = self.sides;
        // Written out rather than `f32::max`, whose choice between the zeros of both signs is free.
        let larger = |a: f32, b: f32| if a > b || b.is_nan() { a } else { b };
        for image in self.x.chunks_exact(h * w * c) {
            for rows in image.chunks_exact(2 * w * c) {
                let (upper, lower) = rows.split_at(w * c);
                for (a, b) in upper.chunks_exact(2 * c).zip(lower.chunks_exact(2 * c)) {
                    let ((a0, a1), (b0, b1)) = (a.split_at(c), b.split_at(c));
                    let squares = a0.iter().zip(a1).zip(b0.iter().zip(b1));
                    self.y.extend(squares.map(|((&a0, &a1), (&b0, &b1))| larger(larger(a0, a1), larger(b0, b1))));
                }
            }
        }
    }
}

struct GlobalAvgPool;

impl CustomOp1 for GlobalAvgPool {
    fn name(&self) -> &'static str {
        "global_avg_pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, [n, h, w, c]) = check::nhwc("global_avg_pool", storage, layout)?;
        let mut y = vec![0f32; n * c];
        Isa::current()?.run(MeanLoop { x, sides: [h, w, c], y: &mut y });
        Ok((CpuStorage::F32(y), Shape::from((n, 1, 1, c))))
    }
}

struct MeanLoop<'a> {
    x: &'a [f32],
    sides: [usize; 3],
    y: &'a mut [f32],
}

impl Loop for MeanLoop<'_> {
    #[inline(always)]
    fn run(self) {
        let [h, w, c] = self.sides;
        for (image, y) in self.x.chunks_exact(h * w * c).zip(self.y.chunks_exact_mut(c)) {
            for pixel in image.chunks_exact(c) {
                y.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += v);
            }
            y.iter_mut().for_each(|sum| *sum /= (h * w) as f32);
        }
    }
}

struct Subsample {
    step: usize,
}

impl CustomOp1 for Subsample {
    fn name(&self) -> &'static str {
        "subsample"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, [n, h, w, c]) = check::nhwc("subsample", storage, layout)?;
        let step = self.step;
        if step == 0 {
            bail!("subsample: expected a step of at least 1, got 0");
        }
        let mut y = Vec::with_capacity(n * h.div_ceil(step) * w.div_ceil(step) * c);
        for image in x.chunks_exact(h * w * c) {
            for row in image.chunks_exact(w * c).step_by(step) {
                row.chunks_exact(c).step_by(step).for_each(|pixel| y.extend_from_slice(pixel));
            }
        }
        Ok((CpuStorage::F32(y), Shape::from((n, h.div_ceil(step), w.div_ceil(step), c))))
    }
}
