//! The names that the two usual PyTorch definitions give, told apart and replaced.
//!
//! - insightface (`recognition/arcface_torch/backbones/iresnet.py`): `conv1`, `layer1.0.bn1`, .., `fc`, `features`; the
//!   first unit of a layer has stride 2 and a convolution as its shortcut.
//! - AdaFace (`net.py`, after ZhaoJ9014's face.evoLVe): `input_layer.0`, `body.0.res_layer.0`, .., `output_layer.3`; the
//!   very first unit has stride 2 and drops every second row and column for its shortcut. Trained on blue first.

use std::path::Path;

use super::imported::{Imported, Tensors, imported, refuse};
use crate::Result;
use crate::nn::weights::{Colour, Weight};

/// What training wraps around a network.
const WRAPPERS: [&str; 4] = ["module.", "backbone.", "model.", "net."];
/// The parts of a batch-norm.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// Gives a network its names.
pub(super) fn read(path: &Path, tensors: Tensors) -> Result<Imported> {
    let mut from = Renamer { path, from: unwrapped(tensors), to: Tensors::new() };
    if from.has("layer1.0.conv1.weight") {
        from.insightface()?;
        return imported(path, "PyTorch, insightface", from.to, Colour::Rgb, None);
    }
    if from.has("body.0.res_layer.1.weight") {
        from.adaface()?;
        return imported(path, "PyTorch, AdaFace", from.to, Colour::Bgr, None);
    }
    let first: Vec<&str> = from.from.keys().take(3).map(String::as_str).collect();
    let expected = "'layer1.0.conv1.weight' (insightface) or 'body.0.res_layer.1.weight' (AdaFace)";
    Err(refuse(path, "names of layers", expected, format!("{} tensors: {}, ..", from.from.len(), first.join(", "))))
}

/// Without the prefixes that training adds, where all that matters has them.
fn unwrapped(mut tensors: Tensors) -> Tensors {
    while let Some(prefix) = WRAPPERS.iter().find(|prefix| {
        let own = tensors.keys().filter(|name| name.starts_with(**prefix)).count();
        // A head that is trained along may stand beside the network.
        own > 0 && own + 4 >= tensors.len()
    }) {
        let inner = tensors.into_iter().filter_map(|(n, w)| Some((n.strip_prefix(prefix)?.to_owned(), w)));
        tensors = inner.collect();
    }
    tensors
}

struct Renamer<'a> {
    path: &'a Path,
    from: Tensors,
    to: Tensors,
}

impl Renamer<'_> {
    fn has(&self, name: &str) -> bool {
        self.from.contains_key(name)
    }

    fn take(&mut self, from: &str, to: String) -> Result<()> {
        let weight = self.from.remove(from);
        let weight = weight.ok_or_else(|| refuse(self.path, format!("tensor '{from}'"), "this tensor", "none"))?;
        self.to.insert(to, weight);
        Ok(())
    }

    /// A convolution or fully connected layer; its bias where it has one.
    fn linear(&mut self, from: &str, to: &str) -> Result<()> {
        self.take(&format!("{from}.weight"), format!("{to}.weight"))?;
        match self.has(&format!("{from}.bias")) {
            true => self.take(&format!("{from}.bias"), format!("{to}.bias")),
            false => Ok(()),
        }
    }

    /// A batch-norm; one without factors gets ones and zeros.
    fn norm(&mut self, from: &str, to: &str) -> Result<()> {
        let name = format!("{from}.running_var");
        let Some(len) = self.from.get(&name).map(|w| w.values.len()) else {
            return Err(refuse(self.path, format!("tensor '{name}'"), "a batch-norm", "none"));
        };
        for (part, usual) in
            NORM.into_iter().zip([1.0, 0.0]).map(|(p, v)| (p, Some(v))).chain([(NORM[2], None), (NORM[3], None)])
        {
            let (old, new) = (format!("{from}.{part}"), format!("{to}.{part}"));
            match usual {
                Some(value) if !self.has(&old) => {
                    self.to.insert(new, Weight { shape: vec![len], values: vec![value; len] });
                }
                _ => self.take(&old, new)?,
            }
        }
        Ok(())
    }

    fn stride(&mut self, unit: &str, stride: usize) {
        self.to.insert(format!("{unit}.stride"), Weight { shape: vec![1], values: vec![stride as f32] });
    }

    fn insightface(&mut self) -> Result<()> {
        self.linear("conv1", "stem.conv")?;
        self.norm("bn1", "stem.bn")?;
        self.linear("prelu", "stem.prelu")?;
        let mut units = 0;
        for layer in 1..=4 {
            let mut first = true;
            for index in 0.. {
                let old = format!("layer{layer}.{index}");
                if !self.has(&format!("{old}.conv1.weight")) {
                    break;
                }
                let new = format!("units.{units}");
                self.norm(&format!("{old}.bn1"), &format!("{new}.bn"))?;
                self.linear(&format!("{old}.conv1"), &format!("{new}.first.conv"))?;
                self.norm(&format!("{old}.bn2"), &format!("{new}.first.bn"))?;
                self.linear(&format!("{old}.prelu"), &format!("{new}.first.prelu"))?;
                self.linear(&format!("{old}.conv2"), &format!("{new}.second.conv"))?;
                self.norm(&format!("{old}.bn3"), &format!("{new}.second.bn"))?;
                if self.has(&format!("{old}.downsample.0.weight")) {
                    self.linear(&format!("{old}.downsample.0"), &format!("{new}.shortcut.conv"))?;
                    self.norm(&format!("{old}.downsample.1"), &format!("{new}.shortcut.bn"))?;
                }
                self.stride(&new, if first { 2 } else { 1 });
                first = false;
                units += 1;
            }
        }
        self.norm("bn2", "features.bn")?;
        self.linear("fc", "embedding.linear")?;
        self.norm("features", "embedding.bn")
    }

    fn adaface(&mut self) -> Result<()> {
        self.linear("input_layer.0", "stem.conv")?;
        self.norm("input_layer.1", "stem.bn")?;
        self.linear("input_layer.2", "stem.prelu")?;
        for index in 0.. {
            let (old, new) = (format!("body.{index}.res_layer"), format!("units.{index}"));
            if !self.has(&format!("{old}.1.weight")) {
                break;
            }
            if let Some(extra) = self.from.keys().find(|name| name.starts_with(&format!("{old}.6"))) {
                let expected = "a unit without squeeze and excitation";
                return Err(refuse(self.path, format!("unit {index}"), expected, format!("tensor '{extra}'")));
            }
            self.norm(&format!("{old}.0"), &format!("{new}.bn"))?;
            self.linear(&format!("{old}.1"), &format!("{new}.first.conv"))?;
            self.norm(&format!("{old}.2"), &format!("{new}.first.bn"))?;
            self.linear(&format!("{old}.3"), &format!("{new}.first.prelu"))?;
            self.linear(&format!("{old}.4"), &format!("{new}.second.conv"))?;
            self.norm(&format!("{old}.5"), &format!("{new}.second.bn"))?;
            let shortcut = format!("body.{index}.shortcut_layer");
            let widens = self.has(&format!("{shortcut}.0.weight"));
            if widens {
                self.linear(&format!("{shortcut}.0"), &format!("{new}.shortcut.conv"))?;
                self.norm(&format!("{shortcut}.1"), &format!("{new}.shortcut.bn"))?;
            }
            self.stride(&new, if widens || index == 0 { 2 } else { 1 });
        }
        self.norm("output_layer.0", "features.bn")?;
        self.linear("output_layer.3", "embedding.linear")?;
        self.norm("output_layer.4", "embedding.bn")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_training_wraps_around_is_taken_off() {
        let tensor = || Weight { shape: vec![1], values: vec![1.0] };
        let names = ["model.module.a", "model.module.b", "model.module.c", "head.kernel"];
        let found = unwrapped(names.into_iter().map(|n| (n.to_owned(), tensor())).collect());
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
