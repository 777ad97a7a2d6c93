//! Networks that others trained, read from the files in which they come and given the names that this project uses.
//!
//! What is read: the IResNet family, from ONNX as insightface and others export it (batch-norms folded or not), from
//! PyTorch files of insightface's or AdaFace's definition, and from safetensors with either's names. What comes out is a
//! plain list of tensors under the names of [`super::iresnet`]; anything that does not fit the family's plan is refused
//! with the place where it stopped fitting, never approximated.
//!
//! ONNX is read with `prost` from the dozen fields that are needed: `candle-onnx` would bring a compiler of protocol
//! buffers into the build and then run graphs itself, without this project's operations. PyTorch's pickles are read by
//! candle, which executes nothing of what is in them.

mod family;
mod graph;
mod imported;
mod onnx;
mod pickle;
mod torch;

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

pub use self::imported::Imported;
use self::imported::{MAX_BYTES, refuse};
use crate::nn::weights::Weight;
use crate::{Error, Result};

/// Refuses what is no file, or too large a one, before a byte is read.
fn check_size(path: &Path) -> Result<()> {
    let about = std::fs::metadata(path).map_err(Error::io("read", path))?;
    let expected = format!("a file of at most {MAX_BYTES} bytes");
    match about.is_file() {
        true if about.len() <= MAX_BYTES => Ok(()),
        true => Err(refuse(path, "size of the network", &expected, format!("{} bytes", about.len()))),
        false => Err(refuse(path, "network", &expected, "a folder, a device or a pipe")),
    }
}

/// Reads a network by the ending of its file's name: `.onnx`, `.pt`, `.pth`, `.ckpt` or `.safetensors`.
///
/// # Errors
/// [`Error::Input`] when the file is of another kind, damaged, or no IResNet.
pub fn read(path: &Path) -> Result<Imported> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if ["onnx", "pt", "pth", "ckpt", "safetensors"].contains(&ending.as_str()) {
        check_size(path)?;
    }
    match ending.as_str() {
        "onnx" => graph::read(path),
        "pt" | "pth" | "ckpt" | "safetensors" => family::read(path, torch::tensors(path, &ending)?),
        other => Err(refuse(path, "kind of file", ".onnx, .pt, .pth, .ckpt or .safetensors", format!("'.{other}'"))),
    }
}

/// The bytes of a safetensors file.
///
/// # Errors
/// Only a bug's.
pub fn to_safetensors(tensors: &BTreeMap<String, Weight>) -> Result<Vec<u8>> {
    let bytes: Vec<(&str, &Weight, Vec<u8>)> = tensors
        .iter()
        .map(|(name, w)| (name.as_str(), w, w.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, w, data)| Ok((*name, TensorView::new(Dtype::F32, w.shape.clone(), data)?)));
    let views: Vec<_> = views.collect::<std::result::Result<_, safetensors::SafeTensorError>>().map_err(bug)?;
    safetensors::serialize(views, None).map_err(bug)
}

fn bug(error: safetensors::SafeTensorError) -> Error {
    Error::bug("writing safetensors", error)
}
