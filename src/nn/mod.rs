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
mod network;
pub mod sface;
pub mod weights;
pub mod yunet;

pub use self::ensemble::EnsembleEmbedder;
pub use self::iresnet::IResNet;
pub use self::minifasnet::MiniFasNet;
pub use self::mobilefacenet::MobileFaceNet;
use self::network::unknown;
pub use self::network::{Embedder, Liveness, Preparation};
pub use self::sface::Sface;
pub use self::weights::{Passport, Role, WeightStore};
pub use self::yunet::{Yunet, YunetLevel};
use crate::Result;

/// Loads an embedder of whatever architecture its manifest entry names, or an ensemble of them.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) when there is no such entry, or its file is missing or wrong.
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
/// [`Error::Input`](crate::Error::Input) when there is no such entry, or its file is missing or wrong.
pub fn load_liveness(store: &WeightStore, name: &str) -> Result<Box<dyn Liveness>> {
    match store.passport(name)?.architecture.as_str() {
        "minifasnet" => Ok(Box::new(MiniFasNet::load(store, name)?)),
        other => Err(unknown(store, name, "a liveness network: minifasnet", other)),
    }
}
