//! Tensors of a PyTorch or safetensors file by the names they have there.

use std::path::Path;

use candle_core::pickle::PthTensors;
use candle_core::{DType, Device, Tensor};

use super::imported::{Tensors, refuse};
use super::pickle;
use crate::error::guarded;
use crate::nn::weights::Weight;
use crate::{Error, Result};

/// Where a checkpoint may keep its weights.
const KEYS: [Option<&str>; 4] = [None, Some("state_dict"), Some("model"), Some("backbone")];
/// Fewer tensors than the smallest network has are something else, such as the state of an optimiser.
const LEAST: usize = 20;

/// All tensors of floats.
pub(super) fn tensors(path: &Path, ending: &str) -> Result<Tensors> {
    // The system's own words for a file that cannot be opened.
    std::fs::File::open(path).map_err(Error::io("read", path))?;
    match ending {
        "safetensors" => {
            let all = candle_core::safetensors::load(path, &Device::Cpu)
                .map_err(|e| refuse(path, "safetensors", "a whole safetensors file", e.to_string()))?;
            all.into_iter().filter_map(|(name, tensor)| weight(path, name, tensor).transpose()).collect()
        }
        _ => pickled(path),
    }
}

fn pickled(path: &Path) -> Result<Tensors> {
    pickle::check(path)?;
    let mut why = None;
    for key in KEYS {
        // The reader takes arguments of a tensor for granted, and panics where there are too few.
        let opened = guarded(|| PthTensors::new(path, key));
        let gave_up = || Err(candle_core::Error::Msg("a tensor without what it is made of".to_owned()));
        let file = match opened.unwrap_or_else(gave_up) {
            Ok(file) if file.tensor_infos().len() >= LEAST => file,
            Ok(_) => continue,
            Err(error) => {
                // The first is about the file itself, the others about names under which it might have kept a table.
                why.get_or_insert(first_line(&error));
                continue;
            }
        };
        let (mut found, mut wanted) = (Tensors::new(), 0u64);
        for (name, info) in file.tensor_infos() {
            // A view into the middle of another tensor's memory: candle counts its start in bytes.
            if info.layout.start_offset() != 0 {
                return Err(refuse(path, format!("tensor '{name}'"), "a tensor of its own", "a view of another"));
            }
            let bytes = info.layout.shape().elem_count().saturating_mul(info.dtype.size_in_bytes()) as u64;
            wanted = wanted.saturating_add(bytes);
            if wanted > super::imported::MAX_BYTES {
                let expected = format!("at most {} bytes of tensors", super::imported::MAX_BYTES);
                return Err(refuse(path, format!("tensor '{name}'"), &expected, format!("{wanted} bytes up to here")));
            }
            let tensor =
                file.get(name).map_err(|e| refuse(path, format!("tensor '{name}'"), "a tensor", first_line(&e)))?;
            if let Some(tensor) = tensor {
                found.extend(weight(path, name.clone(), tensor)?);
            }
        }
        return Ok(found);
    }
    Err(refuse(
        path,
        "PyTorch file",
        "a state_dict in PyTorch's zip format (torch 1.6 or later)",
        why.unwrap_or("no table of tensors".to_owned()),
    ))
}

/// Counters of batches are no weights.
fn weight(path: &Path, name: String, tensor: Tensor) -> Result<Option<(String, Weight)>> {
    if !tensor.dtype().is_float() {
        return Ok(None);
    }
    let shape = tensor.dims().to_vec();
    let values = tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()?.to_vec1::<f32>());
    let values = values.map_err(|e| refuse(path, format!("tensor '{name}'"), "floats", e.to_string()))?;
    Ok(Some((name, Weight { shape, values })))
}
/// What went wrong, without the trace that candle adds where `RUST_BACKTRACE` is set.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
