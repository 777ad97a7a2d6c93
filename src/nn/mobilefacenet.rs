//! MobileFaceNet (Chen et al., CCBR 2018), the light embedder: inverted residuals, a global depthwise convolution that
//! weighs every place of the last map by itself, and 192 values.

use candle_core::Tensor;

use crate::Result;
use crate::nn::layers::{Geometry, Layers, squeeze};
use crate::nn::weights::{Role, WeightStore};
use crate::nn::{Embedder, Preparation};
use crate::ops::Chain;

/// Blocks per stage, and whether the stage halves the map in its first block. The first block of a stage that halves
/// has no residual; neither has the one that is alone in its stage.
const STAGES: [(usize, bool); 5] = [(5, true), (1, true), (6, false), (1, true), (2, false)];

/// The network.
#[derive(Debug)]
pub struct MobileFaceNet {
    id: String,
    preparation: Preparation,
    stem: Chain,
    blocks: Vec<Block>,
    head: Chain,
}

/// Widen, filter each channel, narrow; added to the input where the shape stays.
#[derive(Debug)]
struct Block {
    layers: Chain,
    residual: bool,
}

impl MobileFaceNet {
    /// Loads the network from the weights of a name.
    ///
    /// # Errors
    /// When the file is missing or wrong.
    pub fn load(store: &WeightStore, name: &str) -> Result<Self> {
        let passport = super::network::passport(store, name, Role::Embedder, "mobilefacenet")?;
        let weights = store.tensors(name)?;
        let layers = Layers::new(&weights, store).narrow();
        let preparation = Preparation::of(store, passport)?;
        let first = preparation.first_layer(&layers, "stem", Geometry::dense(1, 0).same_stride_2())?;
        let second = layers.unit("stem_depthwise", first.shape().cout, Geometry::depthwise(1, 1))?;
        let third = layers.unit("stem_project", second.shape().cout, Geometry::POINTWISE)?;
        let mut channels = third.shape().cout;
        let mut blocks = Vec::new();
        for (stage, (depth, halves)) in STAGES.into_iter().enumerate() {
            for i in 0..depth {
                let block = Block::load(&layers, &format!("stages.{stage}.{i}"), channels, halves && i == 0)?;
                channels = block.layers.cout();
                blocks.push(block);
            }
        }
        let features = layers.unit("features", channels, Geometry::POINTWISE)?;
        let channels = features.shape().cout;
        let global = layers.unit("global_depthwise", channels, Geometry::depthwise(1, 0))?;
        let mixed = layers.unit("global_project", channels, Geometry::POINTWISE)?;
        let embedding = layers.unit("embedding", mixed.shape().cout, Geometry::POINTWISE)?.wide();
        let dim = passport.template.as_ref().map_or(0, |template| template.dimension);
        if embedding.shape().cout != dim {
            let found = embedding.shape().cout.to_string();
            return Err(weights.refuse("embedding.conv.weight", format!("{dim} output channels"), found));
        }
        let stem = Chain::new(vec![first, second, third])?;
        let head = Chain::new(vec![features, global, mixed, embedding])?;
        Ok(MobileFaceNet { id: passport.id(), preparation, stem, blocks, head })
    }
}

impl Block {
    fn load(layers: &Layers, name: &str, cin: usize, halves: bool) -> Result<Self> {
        let expand = layers.unit(&format!("{name}.expand"), cin, Geometry::POINTWISE)?;
        let geometry = if halves { Geometry::depthwise(1, 0).same_stride_2() } else { Geometry::depthwise(1, 1) };
        let depthwise = layers.unit(&format!("{name}.depthwise"), expand.shape().cout, geometry)?;
        let project = layers.unit(&format!("{name}.project"), depthwise.shape().cout, Geometry::POINTWISE)?;
        let residual = !halves && project.shape().cout == cin;
        Ok(Block { layers: Chain::new(vec![expand, depthwise, project])?, residual })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(if self.residual { self.layers.forward_add(x, x)? } else { self.layers.forward(x)? })
    }
}

impl Embedder for MobileFaceNet {
    fn embed(&self, crops: &Tensor) -> Result<Tensor> {
        let x = self.stem.forward(&self.preparation.apply(crops)?)?;
        let x = self.blocks.iter().try_fold(x, |x, block| block.forward(&x))?;
        squeeze(&self.head.forward(&x)?)
    }

    fn dim(&self) -> usize {
        self.head.cout()
    }

    fn id(&self) -> &str {
        &self.id
    }
}
