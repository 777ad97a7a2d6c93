//! Where the networks' weights are, and that they are what they claim to be.
//!
//! A folder of weights is a `manifest.toml` and the files it names. It is looked for in this order, and the first that
//! exists is the only one used, so that a damaged folder is an error and never quietly replaced by another:
//! 1. `--weights DIR`;
//! 2. the environment variable `CHEHRA_WEIGHTS`;
//! 3. `weights/` beside the executable, or in the source tree the executable was built in;
//! 4. the files built into the binary (feature `embed-weights`, on by default).
//!
//! A file is read only when its size and SHA-256 are those of the manifest. Making a network from the tensors is left
//! to its own module.

mod add;
mod manifest;
mod map;

use std::borrow::Cow;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use candle_core::Device;
use sha2::{Digest, Sha256};

pub use self::add::{Added, Addition};
use self::manifest::Manifest;
pub use self::manifest::{Colour, Ensemble, Input, LivenessSpec, Passport, Role, Source, TemplateSpec};
pub use self::map::{Weight, WeightMap};
use crate::ops::Precision;
use crate::{Error, Result};

/// Names a folder of weights when `--weights` does not.
pub const VARIABLE: &str = "CHEHRA_WEIGHTS";

const MANIFEST: &str = "manifest.toml";

/// A folder of weights with its manifest read; the files themselves are read when asked for.
#[derive(Debug, Clone)]
pub struct WeightStore {
    place: Place,
    entries: Vec<Passport>,
    ensembles: Vec<Ensemble>,
    precision: Precision,
    device: Device,
}

#[derive(Debug, Clone)]
enum Place {
    Folder(PathBuf),
    BuiltIn,
}

impl WeightStore {
    /// Opens the weights: the folder given with `--weights`, or the first place that has some.
    ///
    /// # Errors
    /// [`Error::Input`] when there are none, or the manifest is missing or wrong.
    pub fn open(given: Option<&Path>) -> Result<Self> {
        let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self::first_of(given, variable, beside_executable())
    }

    /// The three folders in their order, then what is built in.
    fn first_of(given: Option<&Path>, variable: Option<PathBuf>, beside: Option<PathBuf>) -> Result<Self> {
        if let Some(folder) = given.map(Path::to_path_buf).or(variable).or(beside) {
            return Self::folder(&folder);
        }
        match built_in::MANIFEST {
            Some(text) => {
                let manifest = Manifest::parse(&built_in::path(MANIFEST), text)?;
                Ok(Self::of(Place::BuiltIn, manifest))
            }
            None => Err(Error::input(
                "weights",
                "network weights",
                "a folder with manifest.toml",
                "none given, none beside the program, none built in",
                format!("name the folder with --weights DIR or {VARIABLE}"),
            )),
        }
    }

    /// Opens one folder.
    fn folder(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidData => Error::input(
                &path,
                "weights manifest",
                "a text file that lists the network files",
                error.to_string(),
                format!("name a folder of weights with --weights DIR or {VARIABLE}"),
            ),
            _ => Error::io("read", &path)(error),
        })?;
        let manifest = Manifest::parse(&path, &text)?;
        Ok(Self::of(Place::Folder(folder.to_path_buf()), manifest))
    }

    fn of(place: Place, manifest: Manifest) -> Self {
        let Manifest { weights, ensembles, .. } = manifest;
        WeightStore { place, entries: weights, ensembles, precision: Precision::F32, device: Device::Cpu }
    }

    /// The same weights, for networks that compute in another precision than f32.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        WeightStore { precision, ..self }
    }

    /// The same weights, for networks that run on another device than the CPU.
    #[must_use]
    pub fn with_device(self, device: Device) -> Self {
        WeightStore { device, ..self }
    }

    /// Where networks made from these weights run.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What networks made from these weights compute in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Where the files are, for people and for `run.json`.
    pub fn origin(&self) -> String {
        match &self.place {
            Place::Folder(folder) => folder.display().to_string(),
            Place::BuiltIn => "built in".to_owned(),
        }
    }

    /// All passports, in the manifest's order.
    pub fn entries(&self) -> &[Passport] {
        &self.entries
    }

    /// Embedders made of several networks, in the manifest's order.
    pub fn ensembles(&self) -> &[Ensemble] {
        &self.ensembles
    }

    /// The ensemble of a name, if it is one.
    pub fn ensemble(&self, name: &str) -> Option<&Ensemble> {
        self.ensembles.iter().find(|ensemble| ensemble.name == name)
    }

    /// The passport of one network.
    ///
    /// # Errors
    /// [`Error::Input`] when the manifest has none of that name.
    pub fn passport(&self, name: &str) -> Result<&Passport> {
        self.entries.iter().find(|passport| passport.name == name).ok_or_else(|| {
            let ensembles = self.ensembles.iter().map(|ensemble| ensemble.name.as_str());
            let known: Vec<&str> =
                self.entries.iter().map(|passport| passport.name.as_str()).chain(ensembles).collect();
            let path = self.path(MANIFEST);
            Error::input(path, format!("network '{name}'"), known.join(", "), name, "choose one of those listed")
        })
    }

    /// Reads one file and checks its size and sum.
    ///
    /// # Errors
    /// [`Error::Input`] when it is missing or not the file of the manifest, naming expected and found.
    pub fn bytes(&self, name: &str) -> Result<Cow<'static, [u8]>> {
        let passport = self.passport(name)?;
        let path = self.path(&passport.file);
        let expected = format!("{} bytes, sha256 {}", passport.bytes, passport.sha256);
        let refuse = |found: String| {
            let fix = "restore the file that came with the manifest; a changed network changes every score";
            Error::input(&path, format!("weights of '{name}'"), expected.as_str(), found, fix)
        };
        let bytes = match &self.place {
            Place::BuiltIn => match built_in::file(&passport.file) {
                Some(bytes) => Cow::Borrowed(bytes),
                None => return Err(refuse("not built in".to_owned())),
            },
            Place::Folder(_) => {
                let size = match fs::metadata(&path) {
                    Ok(facts) if facts.is_file() => facts.len(),
                    Ok(_) => return Err(refuse("not a file".to_owned())),
                    Err(error) if error.kind() == ErrorKind::NotFound => return Err(refuse("no such file".to_owned())),
                    Err(error) => return Err(Error::io("read", &path)(error)),
                };
                // Before reading: a wrong size may be a very large one.
                if size != passport.bytes {
                    return Err(refuse(format!("{size} bytes")));
                }
                Cow::Owned(fs::read(&path).map_err(Error::io("read", &path))?)
            }
        };
        let sum = hex(&Sha256::digest(&bytes));
        if sum != passport.sha256 {
            return Err(refuse(format!("{} bytes, sha256 {sum}", bytes.len())));
        }
        Ok(bytes)
    }

    /// Checks one file without using it.
    ///
    /// # Errors
    /// As [`WeightStore::bytes`].
    pub fn verify(&self, name: &str) -> Result<()> {
        self.bytes(name).map(drop)
    }

    /// The tensors of one network, checked and expanded to f32.
    ///
    /// # Errors
    /// As [`WeightStore::bytes`] and [`WeightMap::parse`].
    pub fn tensors(&self, name: &str) -> Result<WeightMap> {
        let bytes = self.bytes(name)?;
        WeightMap::parse(self.path(&self.passport(name)?.file), &bytes)
    }

    fn path(&self, file: &str) -> PathBuf {
        match &self.place {
            Place::Folder(folder) => folder.join(file),
            Place::BuiltIn => built_in::path(file),
        }
    }
}

/// `weights/` beside the executable; or in a folder above it that is this project's source tree, as for
/// `target/release/chehra`. Any other folder above is not looked into: what lies there may belong to anybody.
fn beside_executable() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().skip(1).enumerate().find_map(|(steps, folder)| {
        let weights = folder.join("weights");
        let ours = steps == 0 || (folder.join("Cargo.toml").is_file() && folder.join("src/nn/weights").is_dir());
        (ours && weights.join(MANIFEST).is_file()).then_some(weights)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files that travel inside the binary.
mod built_in {
    use std::path::PathBuf;

    #[cfg(feature = "embed-weights")]
    macro_rules! files {
        ($($name:literal),+) => {
            pub(super) const MANIFEST: Option<&str> =
                Some(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/weights/manifest.toml")));

            pub(super) fn file(name: &str) -> Option<&'static [u8]> {
                match name {
                    $($name => Some(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/weights/", $name))),)+
                    _ => None,
                }
            }
        };
    }

    #[cfg(feature = "embed-weights")]
    files!("yunet.safetensors", "sface.safetensors", "liveness.safetensors", "mobilefacenet192.safetensors");

    #[cfg(not(feature = "embed-weights"))]
    pub(super) const MANIFEST: Option<&str> = None;

    #[cfg(not(feature = "embed-weights"))]
    pub(super) fn file(_: &str) -> Option<&'static [u8]> {
        None
    }

    /// How messages name a built-in file.
    pub(super) fn path(file: &str) -> PathBuf {
        PathBuf::from(format!("<built in>/{file}"))
    }
}

#[cfg(all(test, feature = "embed-weights"))]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_manifest_is_built_in_and_whole() {
        let manifest = Manifest::parse(Path::new(MANIFEST), built_in::MANIFEST.unwrap()).unwrap();
        let store = WeightStore::of(Place::BuiltIn, manifest);
        assert_eq!(store.entries().len(), 4);
        for passport in store.entries() {
            store.verify(&passport.name).unwrap();
        }
    }

    #[test]
    fn the_first_place_named_is_the_only_one_used() {
        let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
        let nowhere = PathBuf::from("no/such/folder");
        let first_of = WeightStore::first_of;
        assert_eq!(first_of(None, None, None).unwrap().origin(), "built in");
        let found = first_of(Some(&weights), Some(nowhere.clone()), Some(nowhere.clone())).unwrap();
        assert_eq!(found.origin(), weights.display().to_string());
        for (given, variable, beside) in [
            (Some(nowhere.as_path()), Some(weights.clone()), Some(weights.clone())),
            (None, Some(nowhere.clone()), Some(weights.clone())),
            (None, None, Some(nowhere.clone())),
        ] {
            let error = first_of(given, variable, beside).unwrap_err().to_string();
            assert!(error.contains("no/such/folder"), "{error}");
        }
    }
}
