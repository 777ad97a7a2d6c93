//! The networks, on candle, and their weights.
//!
//! Each network is one file that reads top to bottom like the figure in its paper, made of the convolutions of `ops`.
//! Crops come as `(n, height, width, 3)` in **red, green, blue**, 0..=255; what a network wants instead (mean, factor,
//! blue first) its manifest entry says and [`Preparation`] does. The detector alone takes blue, green, red.
//! Weights stay f32 until `ops` packs them, so a device that computes in f16 or bf16 rounds each of them once; what
//! leaves a network is f32 again. Detection proper, alignment and L2 normalisation are left to `face` and `infer`.

pub mod ensemble;
pub mod fold;
pub mod import;
pub mod iresnet;
pub mod layers;
pub mod minifasnet;
pub mod mobilefacenet;
pub mod sface;
pub mod weights;
pub mod yunet;

use candle_core::Tensor;

pub use self::ensemble::EnsembleEmbedder;
pub use self::iresnet::IResNet;
use self::layers::{Geometry, Layers, swap_red_and_blue};
pub use self::minifasnet::MiniFasNet;
pub use self::mobilefacenet::MobileFaceNet;
pub use self::sface::Sface;
pub use self::weights::{Passport, Role, WeightStore};
pub use self::yunet::{Yunet, YunetLevel};
use crate::nn::weights::{Colour, Input};
use crate::ops::{Conv2d, affine};
use crate::{Error, Result};

/// A network that turns aligned faces into embeddings.
pub trait Embedder: Send + Sync {
    /// Crops `(n, 112, 112, 3)`, red, green, blue, 0..=255, to embeddings `(n, dim)`, **not** normalised; `n` of at
    /// least 1.
    ///
    /// # Errors
    /// When the shape is another.
    fn embed(&self, crops: &Tensor) -> Result<Tensor>;

    /// Values per embedding.
    fn dim(&self) -> usize;

    /// Name and sum of the weights: embeddings of two ids are never compared.
    fn id(&self) -> &str;
}

/// A network that scores presentation attacks.
pub trait Liveness: Send + Sync {
    /// Crops `(n, input_size, input_size, 3)`, red, green, blue, 0..=255, to the log-odds (natural logarithm) that each is
    /// a bona fide presentation (ISO/IEC 30107-3); `n` of at least 1.
    ///
    /// # Errors
    /// When the shape is another.
    fn log_odds(&self, crops: &Tensor) -> Result<Vec<f32>>;

    /// The same as probabilities, 0..=1.
    ///
    /// # Errors
    /// When the shape is another.
    fn bona_fide(&self, crops: &Tensor) -> Result<Vec<f32>> {
        Ok(self.log_odds(crops)?.into_iter().map(|odds| 1.0 / (1.0 + (-odds).exp())).collect())
    }

    /// Height and width of a crop.
    fn input_size(&self) -> usize;

    /// The square box around the face is scaled by this about its centre before it is cut out.
    fn box_scale(&self) -> f32;

    /// Name and sum of the weights.
    fn id(&self) -> &str;
}

/// Loads an embedder of whatever architecture its manifest entry names, or an ensemble of them.
///
/// # Errors
/// [`Error::Input`] when there is no such entry, or its file is missing or wrong.
pub fn load_embedder(store: &WeightStore, name: &str) -> Result<Box<dyn Embedder>> {
    if let Some(entry) = store.ensemble(name) {
        let members = entry.members.iter().map(|member| load_embedder(store, member)).collect::<Result<_>>()?;
        return Ok(Box::new(EnsembleEmbedder::new(entry, members)));
    }
    match store.passport(name)?.architecture.as_str() {
        "sface" => Ok(Box::new(Sface::load(store, name)?)),
        "mobilefacenet" => Ok(Box::new(MobileFaceNet::load(store, name)?)),
        "iresnet" => Ok(Box::new(IResNet::load(store, name)?)),
        other => Err(unknown(store, name, "an embedder: sface, mobilefacenet, iresnet", other)),
    }
}

/// Loads a liveness network of whatever architecture its manifest entry names.
///
/// # Errors
/// [`Error::Input`] when there is no such entry, or its file is missing or wrong.
pub fn load_liveness(store: &WeightStore, name: &str) -> Result<Box<dyn Liveness>> {
    match store.passport(name)?.architecture.as_str() {
        "minifasnet" => Ok(Box::new(MiniFasNet::load(store, name)?)),
        other => Err(unknown(store, name, "a liveness network: minifasnet", other)),
    }
}

fn unknown(store: &WeightStore, name: &str, expected: &str, found: &str) -> Error {
    let item = format!("architecture of '{name}'");
    Error::input(store.origin(), item, expected, found, "choose another network, or correct the manifest")
}

/// The passport of a network, of the role and architecture that the caller runs.
fn passport<'a>(store: &'a WeightStore, name: &str, role: Role, architecture: &str) -> Result<&'a Passport> {
    let passport = store.passport(name)?;
    if passport.role != role || passport.architecture != architecture {
        let found = format!("{:?} {}", passport.role, passport.architecture);
        return Err(unknown(store, name, &format!("{role:?} {architecture}"), &found));
    }
    Ok(passport)
}

/// Makes a network's input from crops in red, green, blue, 0..=255.
///
/// Mean and factor are applied to the pixels and not folded into the first convolution: its zero padding lies around
/// the normalised picture, and folding would put black around it instead of the mean. The order of channels has no
/// such border, so it is turned round in the first layer's weights, at no cost.
#[derive(Debug)]
pub struct Preparation {
    size: [usize; 2],
    input: Input,
}

impl Preparation {
    /// As the passport says.
    fn of(store: &WeightStore, passport: &Passport) -> Result<Self> {
        match passport.input.size {
            Some(size) => Ok(Preparation { size, input: passport.input.clone() }),
            None => Err(unknown(store, &passport.name, "input.size in the manifest", "none")),
        }
    }

    /// Height and width of a crop.
    fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The first layer of the network, for red, green, blue.
    fn first_layer(&self, layers: &Layers, name: &str, geometry: Geometry) -> Result<Conv2d> {
        let (shape, mut linear) = layers.unit_linear(name, 3, geometry)?;
        if self.input.colour == Colour::Bgr {
            linear = swap_red_and_blue(shape, linear);
        }
        layers.pack(shape, &linear, layers.prelu(name, shape.cout)?)
    }

    /// `(pixel - mean) * factor`.
    fn apply(&self, crops: &Tensor) -> Result<Tensor> {
        let [height, width] = self.size;
        match *crops.dims() {
            [n, h, w, 3] if n > 0 && h == height && w == width => {}
            ref other => {
                let found = format!("crops of {other:?} where (n, {height}, {width}, 3) is meant");
                return Err(Error::bug("preparing crops for a network", found));
            }
        }
        let Input { mean, factor, .. } = self.input;
        let crops = crops.contiguous()?;
        if mean == 0.0 && factor == 1.0 {
            return Ok(crops);
        }
        Ok(affine(&crops, &[factor; 3], &[-mean * factor; 3])?)
    }
}
