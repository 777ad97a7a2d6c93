//! Layers one behind the other, as one operation.
//!
//! In f32, and wherever there are no AMX tiles, they run one after the other. On tiles they run band by band
//! ([`super::cpu::amx::chain`]): what lies between two layers stays in the cache and, where the next layer is depthwise, in
//! f32. The result is that of the layers by themselves, but for the roundings that are left out.

use candle_core::{Result, Tensor, bail};
#[cfg(target_arch = "x86_64")]
use {
    super::check::{self, Values},
    super::conv::MULTIPLY_ADDS,
    super::cpu::amx::chain::{Call, Stage, run, together},
    super::cpu::amx::sink::{Addend, Form},
    candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape},
    half::bf16,
    std::sync::atomic::Ordering,
};

use super::conv::Conv2d;
use super::pool::max_pool2;

/// What a chain is made of.
#[derive(Debug, Clone)]
pub enum Layer {
    /// A convolution with what follows it.
    Conv(Box<Conv2d>),
    /// [`max_pool2`], of so many channels.
    MaxPool2(usize),
}

impl From<Conv2d> for Layer {
    fn from(conv: Conv2d) -> Self {
        Layer::Conv(Box::new(conv))
    }
}

impl Layer {
    /// Channels it takes and gives.
    fn channels(&self) -> [usize; 2] {
        match self {
            Layer::Conv(conv) => [conv.shape().cin, conv.shape().cout],
            Layer::MaxPool2(channels) => [*channels; 2],
        }
    }

    fn forward(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        match (self, residual) {
            (Layer::Conv(conv), None) => conv.forward(x),
            (Layer::Conv(conv), Some(residual)) => conv.forward_add(x, residual),
            (Layer::MaxPool2(_), None) => max_pool2(x),
            (Layer::MaxPool2(_), Some(residual)) => max_pool2(x)? + residual,
        }
    }
}

/// Layers, each behind the one before it.
#[derive(Debug, Clone)]
pub struct Chain {
    layers: Vec<Layer>,
}

impl Chain {
    /// Of at least one layer.
    ///
    /// # Errors
    /// When there is none, or a layer does not take as many channels as the one before it gives.
    pub fn new(layers: impl IntoIterator<Item = impl Into<Layer>>) -> Result<Self> {
        let layers: Vec<Layer> = layers.into_iter().map(Into::into).collect();
        if layers.is_empty() {
            bail!("chain: expected at least one layer, got none");
        }
        for pair in layers.windows(2) {
            let ([_, gives], [takes, _]) = (pair[0].channels(), pair[1].channels());
            if gives != takes {
                bail!("chain: expected a layer of {gives} input channels, got one of {takes}");
            }
        }
        Ok(Chain { layers })
    }

    /// Channels of the result.
    pub fn cout(&self) -> usize {
        self.layers[self.layers.len() - 1].channels()[1]
    }

    /// All layers, first to last.
    ///
    /// # Errors
    /// As [`Conv2d::forward`] of each.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None)
    }

    /// All layers, and `residual` added to the result of the last.
    ///
    /// # Errors
    /// As [`Conv2d::forward_add`].
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(x, Some(residual))
    }

    fn run(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        #[cfg(target_arch = "x86_64")]
        if x.device().is_cpu()
            && let Some(y) = self.on_tiles(x, residual)?
        {
            return Ok(y);
        }
        let (last, first) = (&self.layers[self.layers.len() - 1], &self.layers[..self.layers.len() - 1]);
        last.forward(&first.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, None))?, residual)
    }

    /// `None` unless all convolutions are for tiles.
    #[cfg(target_arch = "x86_64")]
    fn on_tiles(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Option<Tensor>> {
        let pools = self.layers.iter().map(|layer| match layer {
            Layer::Conv(_) => None,
            Layer::MaxPool2(channels) => Some(Stage::max_pool2(*channels)),
        });
        let pools: Vec<Option<Stage>> = pools.collect();
        let tiles = self.layers.iter().zip(&pools).map(|(layer, pool)| match layer {
            Layer::Conv(conv) => conv.tiles().map(|tiles| (&tiles.stage, tiles.narrow)),
            Layer::MaxPool2(_) => pool.as_ref().map(|stage| (stage, false)),
        });
        let Some(tiles) = tiles.collect::<Option<Vec<(&Stage, bool)>>>() else { return Ok(None) };
        let stages: Vec<&Stage> = tiles.iter().map(|tiles| tiles.0).collect();
        let (mut x, mut at) = (x.clone(), 0);
        while at < stages.len() {
            let (_, h, w, _) = x.dims4()?;
            // A dense kernel behind another layer begins anew.
            let follow = 1 + stages[at + 1..].iter().take_while(|stage| stage.follows()).count();
            let end = at + together(&stages[at..at + follow], [h, w]);
            let residual = residual.filter(|_| end == stages.len());
            x = Fused { stages: &stages[at..end], narrow: tiles[end - 1].1 }.forward(&x, residual)?;
            at = end;
        }
        Ok(Some(x))
    }
}

/// Layers on AMX tiles that run as one: behind the first all [`Stage::follows`].
#[cfg(target_arch = "x86_64")]
pub(super) struct Fused<'a> {
    pub(super) stages: &'a [&'a Stage],
    /// Whether the result is bf16.
    pub(super) narrow: bool,
}

#[cfg(target_arch = "x86_64")]
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

#[cfg(target_arch = "x86_64")]
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

#[cfg(target_arch = "x86_64")]
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
