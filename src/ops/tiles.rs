//! Layers on AMX tiles: one alone, or several behind each other that run as one operation.

use std::sync::atomic::Ordering;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use half::bf16;

use super::check::{self, Values};
use super::cpu::amx::chain::{Call, Stage, run};
use super::cpu::amx::sink::{Addend, Form};
use super::spec::MULTIPLY_ADDS;

/// A layer for AMX tiles.
#[derive(Debug, Clone)]
pub(super) struct OnTiles {
    pub(super) stage: Stage,
    /// Whether its result is handed on in bf16.
    pub(super) narrow: bool,
}

/// Layers on AMX tiles that run as one: behind the first all [`Stage::follows`].
pub(super) struct Fused<'a> {
    pub(super) stages: &'a [&'a Stage],
    /// Whether the result is bf16.
    pub(super) narrow: bool,
}

impl Fused<'_> {
    pub(super) fn forward(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        match residual {
            Some(residual) => x.apply_op2_no_bwd(residual, self),
            None => x.apply_op1_no_bwd(self),
        }
    }

    /// The sides of the input and of the result; counts what the convolutions will have done.
    fn sides(&self, layout: &Layout) -> Result<([usize; 3], [usize; 4])> {
        let [n, mut h, mut w, c] = check::sides("conv2d", layout)?;
        let (sides, mut out, mut macs) = ([n, h, w], [n, h, w, c], 0);
        for stage in self.stages {
            let shape = stage.shape();
            let ([ky, kx], [top, left, bottom, right]) = (shape.kernel, shape.pad);
            if out[3] != shape.cin {
                bail!("conv2d: expected {} input channels, got {:?}", shape.cin, layout.shape());
            }
            if h + top + bottom < ky || w + left + right < kx {
                bail!("conv2d: expected an input of at least the kernel of {shape:?}, got {out:?}");
            }
            if !matches!(stage, Stage::MaxPool2(_)) {
                macs += n * shape.multiply_adds(h, w);
            }
            (h, w) = shape.output(h, w);
            out = [n, h, w, shape.cout];
        }
        MULTIPLY_ADDS.fetch_add(macs as u64, Ordering::Relaxed);
        Ok((sides, out))
    }

    /// Runs the layers on a checked input.
    fn run(
        &self,
        x: Values<'_>,
        sides: [usize; 3],
        out: [usize; 4],
        residual: Option<Values<'_>>,
    ) -> (CpuStorage, Shape) {
        let len = out.iter().product();
        let wide: Vec<f32>;
        let residual = match residual {
            None => Addend::NONE,
            Some(Values::F32(r)) => Addend { at: r.as_ptr().cast(), pixel: 4 * out[3], form: Form::F32 },
            // A layer by channels adds f32 alone.
            Some(Values::Bf16(r)) if !matches!(self.stages.last(), Some(Stage::Dense(_))) => {
                wide = r.iter().map(|v| v.to_f32()).collect();
                Addend { at: wide.as_ptr().cast(), pixel: 4 * out[3], form: Form::F32 }
            }
            Some(Values::Bf16(r)) => Addend { at: r.as_ptr().cast(), pixel: 2 * out[3], form: Form::Bf16 },
        };
        let storage = if self.narrow {
            let mut y: Vec<bf16> = Vec::with_capacity(len);
            let call = Call { x, sides, residual, y: y.as_mut_ptr().cast(), form: Form::Bf16 };
            // SAFETY: whoever made this vouches for the layers, `sides` checked the input, the caller the residual; a layer
            // is for tiles only where they are granted; every element is written.
            unsafe {
                run(self.stages, &call);
                y.set_len(len);
            }
            CpuStorage::BF16(y)
        } else {
            let mut y: Vec<f32> = Vec::with_capacity(len);
            let call = Call { x, sides, residual, y: y.as_mut_ptr().cast(), form: Form::F32 };
            // SAFETY: as above.
            unsafe {
                run(self.stages, &call);
                y.set_len(len);
            }
            CpuStorage::F32(y)
        };
        (storage, Shape::from(&out[..]))
    }
}

impl CustomOp1 for Fused<'_> {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = check::values("conv2d", storage, layout)?;
        let (sides, out) = self.sides(layout)?;
        Ok(self.run(x, sides, out, None))
    }
}

impl CustomOp2 for Fused<'_> {
    fn name(&self) -> &'static str {
        "conv2d_add"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = check::values("conv2d", storage, layout)?;
        let (sides, out) = self.sides(layout)?;
        check::dims("conv2d_add", residual_layout, &out)?;
        let residual = check::values("conv2d_add", residual, residual_layout)?;
        Ok(self.run(x, sides, out, Some(residual)))
    }
}
