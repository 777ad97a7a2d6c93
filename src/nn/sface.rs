//! SFace, the default embedder (Zhong et al., IEEE Transactions on Image Processing 30, 2021), on a MobileFaceNet-like
//! body: thirteen depthwise-separable blocks and one fully connected layer over the whole 7x7 map.

use candle_core::Tensor;

use crate::Result;
use crate::nn::fold::{Affine, Linear};
use crate::nn::layers::{Geometry, Layers, pixel_order, squeeze};
use crate::nn::weights::{Passport, Role, WeightStore};
use crate::nn::{Embedder, Preparation};
use crate::ops::{Activation, Chain, Conv2d};

/// Strides of the depthwise convolutions.
const STRIDES: [usize; 13] = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1];

/// The network.
#[derive(Debug)]
pub struct Sface {
    id: String,
    preparation: Preparation,
    /// The stem, then a depthwise and a pointwise convolution for each block.
    body: Chain,
    embedding: Conv2d,
}

impl Sface {
    /// Loads the network from the weights of a name.
    ///
    /// # Errors
    /// When the file is missing or wrong.
    pub fn load(store: &WeightStore, name: &str) -> Result<Self> {
        let passport = super::network::passport(store, name, Role::Embedder, "sface")?;
        let weights = store.tensors(name)?;
        let layers = Layers::new(&weights, store).narrow();
        let preparation = Preparation::of(store, passport)?;
        let stem = preparation.first_layer(&layers, "stem", Geometry::dense(1, 1))?;
        let mut channels = stem.shape().cout;
        let mut body = vec![stem];
        for (i, stride) in STRIDES.into_iter().enumerate() {
            let depthwise = layers.unit(&format!("blocks.{i}.depthwise"), channels, Geometry::depthwise(stride, 1))?;
            let pointwise = layers.unit(&format!("blocks.{i}.pointwise"), channels, Geometry::POINTWISE)?;
            channels = pointwise.shape().cout;
            body.extend([depthwise, pointwise]);
        }
        let embedding = Self::embedding(&layers, passport, channels)?;
        Ok(Sface { id: passport.id(), preparation, body: Chain::new(body)?, embedding })
    }

    /// The fully connected layer with the batch-norms in front of it and behind it. Nothing is padded in between, so
    /// both fold exactly.
    fn embedding(layers: &Layers, passport: &Passport, channels: usize) -> Result<Conv2d> {
        let weights = layers.weights();
        let dim = passport.template.as_ref().map_or(0, |template| template.dimension);
        let side = STRIDES.iter().fold(112, |side, stride| side / stride);
        let name = "embedding.linear.weight";
        let weight = weights.get(name)?;
        if weight.shape != [dim, channels * side * side] || dim == 0 {
            let expected = format!("{:?}", [dim, channels * side * side]);
            return Err(weights.refuse(name, expected, format!("{:?}", weight.shape)));
        }
        let bias = weights.vector("embedding.linear.bias", dim)?.to_vec();
        let linear = Linear { weight: weight.values.clone(), bias }
            .after(&Affine::batch_norm(weights, "features.bn", channels)?, side * side)
            .then(&Affine::batch_norm(weights, "embedding.bn", dim)?);
        layers.dense(channels * side * side, &pixel_order(linear, channels), Activation::None)
    }
}

impl Embedder for Sface {
    fn embed(&self, crops: &Tensor) -> Result<Tensor> {
        let x = self.body.forward(&self.preparation.apply(crops)?)?;
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
