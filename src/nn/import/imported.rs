//! What the readers make of somebody's file, and how they refuse one.

use std::collections::BTreeMap;
use std::path::Path;

use crate::nn::weights::{Colour, Weight};
use crate::{Error, Result};

/// Most bytes of a network's file, and of what it unpacks to: ten times the largest of the family, with the last layer of
/// its training.
pub(super) const MAX_BYTES: u64 = 2 << 30;

/// Tensors by name.
pub(super) type Tensors = BTreeMap<String, Weight>;

/// A network read from somebody's file.
#[derive(Debug)]
pub struct Imported {
    /// Under the names of this project.
    pub tensors: BTreeMap<String, Weight>,
    /// In what it came, for people.
    pub layout: &'static str,
    /// Values per template.
    pub dimension: usize,
    /// Layers as the family counts them.
    pub depth: usize,
    /// The order of colours that networks of this layout are trained on.
    pub colour: Colour,
    /// Mean and factor where the file itself says, else those usual in the family.
    pub normalisation: [f32; 2],
}

/// `(pixel - 127.5) / 127.5`, on which ArcFace and AdaFace are trained.
const USUAL: [f32; 2] = [127.5, 1.0 / 127.5];

/// An error about a part of somebody's file.
pub(super) fn refuse(path: &Path, item: impl Into<String>, expected: &str, found: impl Into<String>) -> Error {
    let fix =
        "networks of the IResNet family can be added; export yours as ONNX with fixed weights, or ask for its layout";
    Error::input(path, item, expected, found, fix)
}

/// What both readers have found when they are through.
pub(super) fn imported(
    path: &Path,
    layout: &'static str,
    tensors: Tensors,
    colour: Colour,
    normalisation: Option<[f32; 2]>,
) -> Result<Imported> {
    if let Some((name, _)) = tensors.iter().find(|(_, w)| w.values.iter().any(|v| !v.is_finite())) {
        return Err(refuse(path, format!("tensor '{name}'"), "finite values", "a value that is none"));
    }
    let Some(&[dimension, _]) = tensors.get("embedding.linear.weight").map(|w| w.shape.as_slice()) else {
        return Err(refuse(path, "last layer", "a fully connected layer", "none"));
    };
    let units = tensors.keys().filter(|name| name.ends_with(".stride")).count();
    let normalisation = normalisation.unwrap_or(USUAL);
    Ok(Imported { tensors, layout, dimension, depth: 2 * units + 2, colour, normalisation })
}
