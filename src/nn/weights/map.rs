//! The tensors of one file as f32, by layer name.
//!
//! A tensor stored as i8 carries `NAME.scale` and `NAME.zero_point`, one value per block of consecutive codes:
//! `value = (code - zero_point) * scale`, as ONNX's DequantizeLinear with a block size says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::{Error, Result};

/// The tensors of one network file, expanded to f32.
#[derive(Debug)]
pub struct WeightMap {
    path: PathBuf,
    tensors: BTreeMap<String, Weight>,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// Sizes, slowest first.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

impl WeightMap {
    /// Reads the bytes of a safetensors file; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Input`] when the bytes are not whole safetensors, hold a type that is not read here, a quantised
    /// tensor whose blocks do not fit, or a value that is not finite.
    pub fn parse(path: impl AsRef<Path>, bytes: &[u8]) -> Result<Self> {
        let path = path.as_ref();
        let file = SafeTensors::deserialize(bytes).map_err(|error| {
            refusal(path, "safetensors", "a whole safetensors file", format!("{error} in {} bytes", bytes.len()))
        })?;
        let mut tensors = BTreeMap::new();
        for name in file.names() {
            if matches!(name.rsplit_once('.'), Some((_, "scale" | "zero_point"))) {
                continue;
            }
            let values = expand(path, &file, name)?;
            if let Some(value) = values.iter().find(|v| !v.is_finite()) {
                return Err(refusal(path, name, "finite values", value));
            }
            let shape = file.tensor(name).map_err(|e| refusal(path, name, "a tensor", e))?.shape().to_vec();
            tensors.insert(name.to_owned(), Weight { shape, values });
        }
        Ok(WeightMap { path: path.to_path_buf(), tensors })
    }

    /// The file these came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor.
    ///
    /// # Errors
    /// [`Error::Input`] when it is not there.
    pub fn get(&self, name: &str) -> Result<&Weight> {
        self.tensors.get(name).ok_or_else(|| refusal(&self.path, name, "this tensor", "no tensor of that name"))
    }

    /// The values of a vector of a known length.
    ///
    /// # Errors
    /// [`Error::Input`] when it is not there or has another shape.
    pub fn vector(&self, name: &str, len: usize) -> Result<&[f32]> {
        let weight = self.get(name)?;
        if weight.shape != [len] {
            return Err(self.refuse(name, format!("shape [{len}]"), format!("{:?}", weight.shape)));
        }
        Ok(&weight.values)
    }

    /// An error about one tensor of this file.
    pub fn refuse(&self, name: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
        refusal(&self.path, name, expected, found.into())
    }
}

fn refusal(path: &Path, item: &str, expected: impl Into<String>, found: impl std::fmt::Display) -> Error {
    let fix = "restore the file that came with the manifest, or convert it again with weights/convert.py";
    Error::input(path, format!("tensor '{item}'"), expected, found.to_string(), fix)
}

/// A tensor as f32.
fn expand(path: &Path, file: &SafeTensors, name: &str) -> Result<Vec<f32>> {
    let tensor = |name: &str, dtype: Dtype| -> Result<TensorView<'_>> {
        let view = file.tensor(name).map_err(|error| refusal(path, name, "a tensor", error))?;
        if view.dtype() != dtype {
            return Err(refusal(path, name, format!("type {dtype:?}"), format!("{:?}", view.dtype())));
        }
        Ok(view)
    };
    let view = file.tensor(name).map_err(|error| refusal(path, name, "a tensor", error))?;
    match view.dtype() {
        Dtype::F32 => Ok(floats(view.data())),
        Dtype::I8 => {
            let scales = floats(tensor(&format!("{name}.scale"), Dtype::F32)?.data());
            let zeros = tensor(&format!("{name}.zero_point"), Dtype::I8)?;
            let (codes, zeros) = (view.data(), zeros.data());
            if scales.is_empty() || !codes.len().is_multiple_of(scales.len()) || zeros.len() != scales.len() {
                let found = format!("{} codes, {} scales, {} zero points", codes.len(), scales.len(), zeros.len());
                return Err(refusal(path, name, "whole blocks of codes", found));
            }
            let mut values = Vec::with_capacity(codes.len());
            for ((block, scale), &zero) in codes.chunks(codes.len() / scales.len()).zip(scales).zip(zeros) {
                let zero = f32::from(zero as i8);
                values.extend(block.iter().map(|&code| (f32::from(code as i8) - zero) * scale));
            }
            Ok(values)
        }
        other => Err(refusal(path, name, "type F32 or I8", format!("{other:?}"))),
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A safetensors file with the given header and data.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn codes_are_expanded_by_blocks() {
        let header = r#"{"a.scale":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
            "a":{"dtype":"I8","shape":[2,2],"data_offsets":[8,12]},
            "a.zero_point":{"dtype":"I8","shape":[2],"data_offsets":[12,14]}}"#;
        let mut data = [0.5f32.to_le_bytes(), 2f32.to_le_bytes()].concat();
        data.extend([3i8, -128, 7, 0].map(|v| v as u8));
        data.extend([1i8, -2].map(|v| v as u8));
        let map = WeightMap::parse("test", &file(header, &data)).unwrap();
        assert_eq!(map.names().collect::<Vec<_>>(), ["a"]);
        assert_eq!(map.get("a").unwrap(), &Weight { shape: vec![2, 2], values: vec![1.0, -64.5, 18.0, 4.0] });
        assert!(map.vector("a", 4).is_err());
        let error = map.get("b").unwrap_err().to_string();
        assert!(error.contains("tensor 'b'"), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let nan = f32::NAN.to_le_bytes();
        let cases: [(&str, &[u8], &str); 4] = [
            (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &nan, "finite"),
            (r#"{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#, &[0; 8], "F64"),
            (r#"{"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}}"#, &[0; 4], "a.scale"),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, &[0; 4], "whole safetensors"),
        ];
        for (header, data, word) in cases {
            let error = WeightMap::parse("test", &file(header, data)).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
