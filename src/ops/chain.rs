//! Layers one behind the other, as one operation.
//!
//! In f32, and wherever there are no AMX tiles, they run one after the other. On tiles they run band by band
//! ([`super::cpu::amx::chain`]): what lies between two layers stays in the cache and, where the next layer is depthwise, in
//! f32. The result is that of the layers by themselves, but for the roundings that are left out.

use candle_core::{Result, Tensor, bail};

use super::conv::Conv2d;
#[cfg(target_arch = "x86_64")]
use super::cpu::amx::chain::{Stage, together};
use super::pool::max_pool2;
#[cfg(target_arch = "x86_64")]
use super::tiles::Fused;

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
