//! `manifest.toml`: the passport of every network file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The version of the manifest's layout that is read here.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    pub(super) weights: Vec<Passport>,
    #[serde(default)]
    pub(super) ensembles: Vec<Ensemble>,
}

/// Several embedders whose templates are one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ensemble {
    /// The name by which the configuration and the command line know it.
    pub name: String,
    /// Names of embedders of this manifest, two or more.
    pub members: Vec<String>,
    /// Share of each in the squared norm; they add up to 1.
    pub shares: Vec<f32>,
    /// How the shares were found.
    #[serde(default)]
    pub notes: String,
}

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Finds faces and their five landmarks.
    Detector,
    /// Turns an aligned face into a template.
    Embedder,
    /// Tells a bona fide presentation from a photo of a photo.
    Liveness,
}

/// The order of the colour channels a network was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Colour {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// One network file: what it is, where it came from, how it is fed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passport {
    /// The name by which the configuration and the command line know it.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Which module of `nn` runs it.
    pub architecture: String,
    /// File name beside the manifest.
    pub file: String,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file, 64 lowercase hexadecimal digits.
    pub sha256: String,
    /// SPDX identifier.
    pub licence: String,
    /// Files with the terms, relative to the manifest.
    pub licence_files: Vec<String>,
    /// The paper or project that describes the network.
    pub paper: String,
    /// Anything else worth knowing.
    #[serde(default)]
    pub notes: String,
    /// Where it came from.
    pub source: Source,
    /// How it is fed.
    pub input: Input,
    /// Of an embedder.
    pub template: Option<TemplateSpec>,
    /// Of a liveness network.
    pub liveness: Option<LivenessSpec>,
}

/// Where a network file came from, before conversion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// "PyPI", "npm", or whatever names the place.
    pub registry: String,
    /// Package name.
    pub package: String,
    /// Package version.
    pub version: String,
    /// Path inside the package.
    pub path: String,
    /// SHA-256 of that file.
    pub sha256: String,
}

/// How a network is fed: `(pixel - mean) * factor` for pixels in 0..=255.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Height and width, where fixed.
    pub size: Option<[usize; 2]>,
    /// What both sides must be a multiple of, where the size is free.
    pub multiple_of: Option<usize>,
    /// Channel order it was trained on.
    pub colour: Colour,
    /// Subtracted from each channel.
    pub mean: f32,
    /// Multiplied after that.
    pub factor: f32,
}

/// What an embedder gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSpec {
    /// Values per template.
    pub dimension: usize,
}

/// What a liveness network gives, and on which cut-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LivenessSpec {
    /// Number of classes under the softmax.
    pub classes: usize,
    /// Which of them means bona fide.
    pub bona_fide_class: usize,
    /// The face box is scaled by this before it is cut out.
    pub box_scale: f32,
}

impl Passport {
    /// Name and first twelve digits of the sum: what a template and `run.json` remember of the network.
    pub fn id(&self) -> String {
        format!("{}:{}", self.name, self.sha256.get(..12).unwrap_or(&self.sha256))
    }
}

impl Manifest {
    /// Reads a manifest and checks what the rest relies on.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self> {
        let fix = "restore the manifest that came with the weights";
        let manifest: Manifest = toml::from_str(text).map_err(|error| {
            Error::input(path, "weights manifest", "the layout of version 1", error.to_string().trim_end(), fix)
        })?;
        let refuse = |item: &str, expected: &str, found: String| Err(Error::input(path, item, expected, found, fix));
        if manifest.version != VERSION {
            return refuse("version", &VERSION.to_string(), manifest.version.to_string());
        }
        for (index, passport) in manifest.weights.iter().enumerate() {
            let Passport { name, file, sha256, .. } = passport;
            if manifest.weights[..index].iter().any(|other| other.name == *name) {
                return refuse("name", "each name once", format!("'{name}' twice"));
            }
            // A name with a path in it could point anywhere.
            if Path::new(file).file_name() != Some(file.as_ref()) {
                return refuse(name, "a plain file name", format!("'{file}'"));
            }
            if sha256.len() != 64 || !sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return refuse(name, "sha256 of 64 lowercase hexadecimal digits", format!("'{sha256}'"));
            }
        }
        if let Err((item, found)) = manifest.check_ensembles() {
            return refuse(&item, "two or more embedders of this manifest, shares above 0 that add up to 1", found);
        }
        Ok(manifest)
    }

    /// Members that are embedders, and shares that add up; else what is wrong where.
    fn check_ensembles(&self) -> Result<(), (String, String)> {
        for Ensemble { name, members, shares, .. } in &self.ensembles {
            let wrong = |found: String| Err((format!("ensemble '{name}'"), found));
            let taken = self.weights.iter().map(|p| &p.name).chain(self.ensembles.iter().map(|e| &e.name));
            if taken.filter(|other| *other == name).count() > 1 {
                return wrong("a name that is used twice".to_owned());
            }
            let embedder =
                |member: &&String| !self.weights.iter().any(|p| p.name == **member && p.role == Role::Embedder);
            if let Some(stranger) = members.iter().find(embedder) {
                return wrong(format!("'{stranger}'"));
            }
            let sum: f32 = shares.iter().sum();
            // NaN fails both comparisons.
            let sound = shares.iter().all(|&share| share > 0.0) && (sum - 1.0).abs() < 1e-4;
            if members.len() < 2 || members.len() != shares.len() || !sound {
                return wrong(format!("members {members:?}, shares {shares:?}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ensembles_of_strangers_or_with_shares_that_do_not_add_up_are_refused() {
        let text = include_str!("../../../weights/manifest.toml");
        let head = text.split("[[ensembles]]").next().unwrap();
        let parse = |members: &str, shares: &str| {
            let more = format!("[[ensembles]]\nname = \"x\"\nmembers = [{members}]\nshares = [{shares}]\n");
            Manifest::parse(Path::new("m"), &format!("{head}{more}"))
        };
        let both = r#""sface", "mobilefacenet192""#;
        assert!(parse(both, "0.5, 0.5").is_ok());
        for (members, shares) in [
            (both, "0.5, 0.6"),
            (both, "1.0"),
            (both, "1.5, -0.5"),
            (both, "nan, 1.0"),
            (r#""sface""#, "1.0"),
            (r#""sface", "liveness""#, "0.5, 0.5"),
            (r#""sface", "arcface""#, "0.5, 0.5"),
        ] {
            let error = parse(members, shares).unwrap_err().to_string();
            assert!(error.contains("ensemble 'x'"), "{error}");
        }
    }
}
