//! The MiniFASNet family (minivision-ai, Silent-Face-Anti-Spoofing, 2020): does a face come from a live scene, or from
//! a print or a screen?
//!
//! The members of the family share one plan and differ in widths, in the size of the last kernel and in whether the
//! last block of a stage weighs its channels (squeeze and excitation, Hu et al., CVPR 2018). All of that is read off
//! the weights, under the names of the original PyTorch definition, so MiniFASNetV2 and V1SE need no code of their own.

use candle_core::{DType, Device, Tensor};

use crate::Error;
use crate::Result;
use crate::nn::fold::Linear;
use crate::nn::layers::{Geometry, Layers, squeeze};
use crate::nn::weights::{LivenessSpec, Role, WeightStore};
use crate::nn::{Liveness, Preparation};
use crate::ops::{Activation, Chain, Conv2d, global_avg_pool, scale_channels_add, sigmoid};

/// The network.
#[derive(Debug)]
pub struct MiniFasNet {
    id: String,
    preparation: Preparation,
    spec: LivenessSpec,
    stem: Chain,
    blocks: Vec<Block>,
    features: Chain,
    classifier: [Conv2d; 2],
}

/// Widen, filter each channel, narrow.
#[derive(Debug)]
struct Block {
    layers: Chain,
    residual: bool,
    excite: Option<Excite>,
}

/// Squeeze and excitation: each channel times a weight between 0 and 1 made from all channels' means.
#[derive(Debug)]
struct Excite {
    squeeze: Conv2d,
    widen: Conv2d,
}

impl MiniFasNet {
    /// Loads the network from the weights of a name.
    ///
    /// # Errors
    /// When the file is missing or wrong.
    pub fn load(store: &WeightStore, name: &str) -> Result<Self> {
        let passport = super::network::passport(store, name, Role::Liveness, "minifasnet")?;
        let weights = store.tensors(name)?;
        let layers = Layers::new(&weights, store);
        let preparation = Preparation::of(store, passport)?;
        let Some(spec) = passport.liveness.clone().filter(|spec| spec.bona_fide_class < spec.classes) else {
            return Err(weights.refuse(name, "[weights.liveness] with a bona fide class", "none in the manifest"));
        };
        let first = preparation.first_layer(&layers, "conv1", Geometry::dense(2, 1))?;
        let second = layers.unit("conv2_dw", first.shape().cout, Geometry::depthwise(1, 1))?;
        let mut channels = second.shape().cout;
        let mut blocks = Vec::new();
        for (halving, stage) in [("conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5")] {
            blocks.push(Block::load(&layers, halving, channels, false)?);
            let mut i = 0;
            while weights.has(&format!("{stage}.model.{i}.conv.conv.weight")) {
                channels = blocks.last().map_or(channels, Block::channels);
                blocks.push(Block::load(&layers, &format!("{stage}.model.{i}"), channels, true)?);
                i += 1;
            }
            channels = blocks.last().map_or(channels, Block::channels);
        }
        let wide = layers.unit("conv_6_sep", channels, Geometry::POINTWISE)?;
        let whole = layers.unit("conv_6_dw", wide.shape().cout, Geometry::depthwise(1, 0))?;
        let matrix = |name: &str, cin: usize| -> Result<Linear> {
            let weight = weights.get(name)?;
            match weight.shape.as_slice() {
                &[cout, own] if own == cin => Ok(Linear { weight: weight.values.clone(), bias: vec![0.0; cout] }),
                other => Err(weights.refuse(name, format!("(values, {cin})"), format!("{other:?}"))),
            }
        };
        let linear = layers.normed("bn", matrix("linear.weight", whole.shape().cout)?)?;
        let prob = matrix("prob.weight", linear.bias.len())?;
        if prob.bias.len() != spec.classes {
            let found = prob.bias.len().to_string();
            return Err(weights.refuse("prob.weight", format!("{} classes", spec.classes), found));
        }
        let classifier = [
            layers.dense(whole.shape().cout, &linear, Activation::None)?,
            layers.dense(linear.bias.len(), &prob, Activation::None)?,
        ];
        let (stem, features) = (Chain::new(vec![first, second])?, Chain::new(vec![wide, whole])?);
        Ok(MiniFasNet { id: passport.id(), preparation, spec, stem, blocks, features, classifier })
    }
}

impl Block {
    fn load(layers: &Layers, name: &str, cin: usize, residual: bool) -> Result<Self> {
        let stride = if residual { 1 } else { 2 };
        let expand = layers.unit(&format!("{name}.conv"), cin, Geometry::POINTWISE)?;
        let filter = layers.unit(&format!("{name}.conv_dw"), expand.shape().cout, Geometry::depthwise(stride, 1))?;
        let project = layers.unit(&format!("{name}.project"), filter.shape().cout, Geometry::POINTWISE)?;
        if residual && project.shape().cout != cin {
            let found = format!("{} output channels", project.shape().cout);
            return Err(layers.weights().refuse(&format!("{name}.project.conv.weight"), format!("{cin}"), found));
        }
        let se = format!("{name}.se_module");
        let excite = match residual && layers.weights().has(&format!("{se}.fc1.weight")) {
            true => Some(Excite::load(layers, &se, project.shape().cout)?),
            false => None,
        };
        Ok(Block { layers: Chain::new(vec![expand, filter, project])?, residual, excite })
    }

    fn channels(&self) -> usize {
        self.layers.cout()
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match &self.excite {
            Some(excite) => excite.forward_add(&self.layers.forward(x)?, x)?,
            None if self.residual => self.layers.forward_add(x, x)?,
            None => self.layers.forward(x)?,
        })
    }
}

impl Excite {
    fn load(layers: &Layers, name: &str, channels: usize) -> Result<Self> {
        let layer = |i: usize, cin: usize, activation: Activation| -> Result<Conv2d> {
            let (shape, linear) = layers.linear(&format!("{name}.fc{i}"), cin, Geometry::POINTWISE)?;
            let linear = layers.normed(&format!("{name}.bn{i}"), linear)?;
            layers.pack(shape, &linear, activation)
        };
        let squeeze = layer(1, channels, Activation::Relu)?;
        let widen = layer(2, squeeze.shape().cout, Activation::None)?;
        Ok(Excite { squeeze, widen })
    }

    /// `x` with its channels weighed, and `base` added.
    fn forward_add(&self, x: &Tensor, base: &Tensor) -> Result<Tensor> {
        let weights = self.widen.forward(&self.squeeze.forward(&global_avg_pool(x)?)?)?;
        Ok(scale_channels_add(x, &sigmoid(&weights)?, base)?)
    }
}

/// Of one class against all others: `logit - ln(sum of the others' exp(logit))`, which a softmax would round to 0 or 1.
fn log_odds(logits: &[f32], class: usize) -> f32 {
    let others = || logits.iter().enumerate().filter(|&(k, _)| k != class).map(|(_, &logit)| logit);
    let highest = others().fold(f32::NEG_INFINITY, f32::max);
    logits[class] - highest - others().map(|logit| (logit - highest).exp()).sum::<f32>().ln()
}

impl Liveness for MiniFasNet {
    fn log_odds(&self, crops: &Tensor) -> Result<Vec<f32>> {
        let x = self.stem.forward(&self.preparation.apply(crops)?)?;
        let x = self.blocks.iter().try_fold(x, |x, block| block.forward(&x))?;
        let x = self.features.forward(&x)?;
        if x.dims()[1..3] != [1, 1] {
            return Err(Error::bug("scoring liveness", format!("{:?} where one pixel must be left", x.dims())));
        }
        let logits = squeeze(&self.classifier.iter().try_fold(x, |x, layer| layer.forward(&x))?)?;
        // Three numbers a face, on the CPU: a GPU would compile candle's kernels for it in every process.
        let logits = logits.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        Ok(logits.iter().map(|logits| log_odds(logits, self.spec.bona_fide_class)).collect())
    }

    fn input_size(&self) -> usize {
        self.preparation.size()[0]
    }

    fn box_scale(&self) -> f32 {
        self.spec.box_scale
    }

    fn id(&self) -> &str {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_odds_are_those_of_the_softmax_and_stay_finite() {
        let softmax = |logits: [f32; 3], class: usize| {
            let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
            logits[class].exp() / sum
        };
        for logits in [[0.3, -1.2, 2.0], [4.0, 1.0, -3.0]] {
            for class in 0..3 {
                let p = softmax(logits, class);
                assert!((log_odds(&logits, class) - (p / (1.0 - p)).ln()).abs() < 1e-4);
            }
        }
        assert_eq!(log_odds(&[200.0, 0.0, -300.0], 0), 200.0);
        assert!((log_odds(&[-200.0, 100.0, 100.0], 0) + 300.0 + 2f32.ln()).abs() < 1e-3);
    }
}
