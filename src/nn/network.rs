//! What all networks have in common: what they are for, the check of their passport, and how crops become their input.

use candle_core::Tensor;

use super::layers::{Geometry, Layers, swap_red_and_blue};
use super::weights::{Colour, Input, Passport, Role, WeightStore};
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

pub(super) fn unknown(store: &WeightStore, name: &str, expected: &str, found: &str) -> Error {
    let item = format!("architecture of '{name}'");
    Error::input(store.origin(), item, expected, found, "choose another network, or correct the manifest")
}

/// The passport of a network, of the role and architecture that the caller runs.
pub(super) fn passport<'a>(store: &'a WeightStore, name: &str, role: Role, architecture: &str) -> Result<&'a Passport> {
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
    pub(super) fn of(store: &WeightStore, passport: &Passport) -> Result<Self> {
        match passport.input.size {
            Some(size) => Ok(Preparation { size, input: passport.input.clone() }),
            None => Err(unknown(store, &passport.name, "input.size in the manifest", "none")),
        }
    }

    /// Height and width of a crop.
    pub(super) fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The first layer of the network, for red, green, blue.
    pub(super) fn first_layer(&self, layers: &Layers, name: &str, geometry: Geometry) -> Result<Conv2d> {
        let (shape, mut linear) = layers.unit_linear(name, 3, geometry)?;
        if self.input.colour == Colour::Bgr {
            linear = swap_red_and_blue(shape, linear);
        }
        layers.pack(shape, &linear, layers.prelu(name, shape.cout)?)
    }

    /// `(pixel - mean) * factor`.
    pub(super) fn apply(&self, crops: &Tensor) -> Result<Tensor> {
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
