//! IResNet-18 to -200, the backbones of ArcFace (Deng et al., CVPR 2019), AdaFace (Kim et al., CVPR 2022) and most
//! embedders that are trained today: residual units without a ReLU between them, each beginning with a batch-norm
//! (Duta et al., "Improved Residual Networks", ICPR 2020).
//!
//! ```text
//! stem: conv 3x3, PReLU      unit: x -> norm -> conv 3x3, PReLU -> conv 3x3 (stride) -> + shortcut(x)
//! head: norm, fully connected over the 7x7 map, norm
//! ```
//! Depth, widths and strides are read off the weights, so all members of the family need one file. The norm at the head
//! of a unit stays an operation of its own: its convolution pads with zeros *behind* it, and folding it in would pad
//! with something else. The weights of `weights add` have these names, whatever they were called before ([`super::import`]).

use candle_core::Tensor;

use crate::Result;
use crate::nn::fold::{Affine, Linear};
use crate::nn::layers::{Geometry, Layers, pixel_order, squeeze};
use crate::nn::weights::{Passport, Role, WeightMap, WeightStore};
use crate::nn::{Embedder, Preparation};
use crate::ops::{Activation, ChannelMap, Conv2d, subsample};

/// The network.
#[derive(Debug)]
pub struct IResNet {
    id: String,
    preparation: Preparation,
    stem: Conv2d,
    units: Vec<Unit>,
    embedding: Conv2d,
}

/// One residual unit.
#[derive(Debug)]
struct Unit {
    norm: ChannelMap,
    first: Conv2d,
    second: Conv2d,
    shortcut: Shortcut,
}

/// What is added to a unit's result.
#[derive(Debug)]
enum Shortcut {
    /// Its input.
    Same,
    /// Every so many rows and columns of its input.
    Every(usize),
    /// Its input through a 1x1 convolution.
    Conv(Box<Conv2d>),
}

impl IResNet {
    /// Loads the network from the weights of a name.
    ///
    /// # Errors
    /// When the file is missing or wrong.
    pub fn load(store: &WeightStore, name: &str) -> Result<Self> {
        let passport = super::network::passport(store, name, Role::Embedder, "iresnet")?;
        let weights = store.tensors(name)?;
        let layers = Layers::new(&weights, store);
        let preparation = Preparation::of(store, passport)?;
        let stem = preparation.first_layer(&layers, "stem", Geometry::dense(1, 1))?;
        let mut channels = stem.shape().cout;
        let mut side = preparation.size()[0];
        let mut units = Vec::new();
        while weights.has(&format!("units.{}.stride", units.len())) {
            let unit = Unit::load(&layers, &format!("units.{}", units.len()), channels)?;
            channels = unit.second.shape().cout;
            side = (side - 1) / unit.second.shape().stride + 1;
            units.push(unit);
        }
        if units.is_empty() {
            return Err(weights.refuse("units.0.stride", "at least one unit", "none"));
        }
        let embedding = embedding(&layers, passport, channels, side * side)?;
        Ok(IResNet { id: passport.id(), preparation, stem, units, embedding })
    }

    /// Layers as the family counts them: 50 and 100 for the two that are usual.
    pub fn depth(&self) -> usize {
        2 * self.units.len() + 2
    }
}

/// The fully connected layer with the norms in front of it and behind it, folded in: nothing is padded there.
fn embedding(layers: &Layers, passport: &Passport, channels: usize, area: usize) -> Result<Conv2d> {
    let weights = layers.weights();
    let dim = passport.template.as_ref().map_or(0, |template| template.dimension);
    let name = "embedding.linear.weight";
    let weight = weights.get(name)?;
    if weight.shape != [dim, channels * area] || dim == 0 {
        let expected = format!("{:?}", [dim, channels * area]);
        return Err(weights.refuse(name, expected, format!("{:?}", weight.shape)));
    }
    let bias = optional(weights, "embedding.linear.bias", dim)?;
    let mut linear = Linear { weight: weight.values.clone(), bias };
    if weights.has("features.bn.running_var") {
        linear = linear.after(&Affine::batch_norm(weights, "features.bn", channels)?, area);
    }
    let linear = pixel_order(layers.normed("embedding.bn", linear)?, channels);
    layers.dense(channels * area, &linear, Activation::None)
}

fn optional(weights: &WeightMap, name: &str, len: usize) -> Result<Vec<f32>> {
    if weights.has(name) { Ok(weights.vector(name, len)?.to_vec()) } else { Ok(vec![0.0; len]) }
}

impl Unit {
    fn load(layers: &Layers, name: &str, cin: usize) -> Result<Self> {
        let weights = layers.weights();
        let stride_name = format!("{name}.stride");
        let stride = weights.vector(&stride_name, 1)?[0] as usize;
        if !(1..=2).contains(&stride) {
            return Err(weights.refuse(&stride_name, "1 or 2", stride.to_string()));
        }
        let norm = Affine::batch_norm(weights, &format!("{name}.bn"), cin)?.factors();
        let norm = ChannelMap::new(norm.0, norm.1);
        let first = layers.unit(&format!("{name}.first"), cin, Geometry::dense(1, 1))?;
        let second = layers.unit(&format!("{name}.second"), first.shape().cout, Geometry::dense(stride, 1))?;
        let own = format!("{name}.shortcut");
        let shortcut = match weights.has(&format!("{own}.conv.weight")) {
            true => Shortcut::Conv(Box::new(layers.unit(&own, cin, Geometry::dense(stride, 0))?)),
            false if stride == 1 => Shortcut::Same,
            false => Shortcut::Every(stride),
        };
        let width = match &shortcut {
            Shortcut::Conv(conv) => conv.shape().cout,
            _ => cin,
        };
        if second.shape().cout != width {
            let found = format!("{} output channels beside a shortcut of {width}", second.shape().cout);
            return Err(weights.refuse(
                &format!("{name}.second.conv.weight"),
                "as many channels as the shortcut",
                found,
            ));
        }
        Ok(Unit { norm, first, second, shortcut })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.first.forward(&self.norm.forward(x)?)?;
        Ok(match &self.shortcut {
            Shortcut::Same => self.second.forward_add(&y, x)?,
            Shortcut::Every(step) => self.second.forward_add(&y, &subsample(x, *step)?)?,
            Shortcut::Conv(conv) => self.second.forward_add(&y, &conv.forward(x)?)?,
        })
    }
}

impl Embedder for IResNet {
    fn embed(&self, crops: &Tensor) -> Result<Tensor> {
        let x = self.stem.forward(&self.preparation.apply(crops)?)?;
        let x = self.units.iter().try_fold(x, |x, unit| unit.forward(&x))?;
        let n = x.dim(0)?;
        let map = x.elem_count() / n;
        squeeze(&self.embedding.forward(&x.reshape((n, 1, 1, map))?)?)
    }

    fn dim(&self) -> usize {
        self.embedding.shape().cout
    }

    fn id(&self) -> &str {
        &self.id
    }
}
