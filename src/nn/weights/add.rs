//! A network of the user's own, put beside the others.
//!
//! A folder of weights is whole by itself, so a new folder first gets everything that the store at hand has. Files are
//! written beside their place and renamed, the manifest last: whoever looks meanwhile sees the old folder or the new one.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Colour, Input, MANIFEST, Passport, Role, Source, TemplateSpec, WeightStore, built_in, hex};
use crate::nn::import::{self, Imported};
use crate::nn::weights::Place;
use crate::{Error, Result};

/// Side of the crops that embedders take.
const SIDE: usize = 112;

/// What is to be added, and what its file does not say.
#[derive(Debug, Clone)]
pub struct Addition {
    /// ONNX, PyTorch or safetensors.
    pub file: PathBuf,
    /// How it shall be called.
    pub name: String,
    /// The order of colours it was trained on; `None` for what is usual for its layout.
    pub colour: Option<Colour>,
    /// Subtracted from each pixel of 0..=255; `None` for what the file says or is usual.
    pub mean: Option<f32>,
    /// Multiplied after that.
    pub factor: Option<f32>,
    /// SPDX identifier, or "unknown".
    pub licence: String,
    /// Anything else worth knowing.
    pub notes: String,
}

/// What was added.
#[derive(Debug)]
pub struct Added {
    /// Its passport.
    pub passport: Passport,
    /// In what it came, for people.
    pub layout: &'static str,
    /// Layers as its family counts them.
    pub depth: usize,
}

impl WeightStore {
    /// Converts a network and puts it into `folder`, which becomes a whole folder of weights if it is none yet.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is not of a family that can be read; [`Error::Usage`] when the name is taken or
    /// cannot be one; [`Error::Io`].
    pub fn add(&self, addition: &Addition, folder: &Path) -> Result<Added> {
        let Addition { file, name, colour, mean, factor, licence, notes } = addition;
        check_name(name)?;
        let Imported { tensors, layout, dimension, depth, colour: usual, normalisation } = import::read(file)?;
        let source = sum(file)?;
        let bytes = import::to_safetensors(&tensors)?;
        let place = self.placed(folder)?;
        let known = WeightStore::folder(&place)?;
        if known.entries().iter().any(|p| p.name == *name) || known.ensemble(name).is_some() {
            let found = format!("'{name}' is the name of a network of {}", place.display());
            return Err(Error::usage("--name", found, "choose another name"));
        }
        let file_name = file.file_name().map_or_else(|| name.clone(), |n| n.to_string_lossy().into_owned());
        let passport = Passport {
            name: name.clone(),
            role: Role::Embedder,
            architecture: "iresnet".into(),
            file: format!("{name}.safetensors"),
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(&bytes)),
            licence: licence.clone(),
            licence_files: Vec::new(),
            paper: "C. Duta et al.: Improved Residual Networks for Image and Video Recognition. ICPR 2020".into(),
            notes: notes.clone(),
            source: Source {
                registry: "file".into(),
                package: file_name.clone(),
                version: String::new(),
                path: file_name,
                sha256: source,
            },
            input: Input {
                size: Some([SIDE, SIDE]),
                multiple_of: None,
                colour: colour.unwrap_or(usual),
                mean: mean.unwrap_or(normalisation[0]),
                factor: factor.unwrap_or(normalisation[1]),
            },
            template: Some(TemplateSpec { dimension }),
            liveness: None,
        };
        replace(&place.join(&passport.file), &bytes)?;
        let manifest = place.join(MANIFEST);
        let mut text = fs::read_to_string(&manifest).map_err(Error::io("read", &manifest))?;
        text += &entry(&passport)?;
        replace(&manifest, text.as_bytes())?;
        Ok(Added { passport, layout, depth })
    }

    /// The folder, filled with what this store has where it has no manifest yet.
    fn placed(&self, folder: &Path) -> Result<PathBuf> {
        let manifest = folder.join(MANIFEST);
        if manifest.exists() {
            return Ok(folder.to_path_buf());
        }
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        for passport in self.entries() {
            replace(&folder.join(&passport.file), &self.bytes(&passport.name)?)?;
        }
        let text = match &self.place {
            Place::Folder(own) => fs::read(own.join(MANIFEST)).map_err(Error::io("read", own.join(MANIFEST)))?,
            Place::BuiltIn => built_in::MANIFEST.unwrap_or_default().as_bytes().to_vec(),
        };
        replace(&manifest, &text)?;
        Ok(folder.to_path_buf())
    }
}

/// The passport as a block of the manifest.
fn entry(passport: &Passport) -> Result<String> {
    #[derive(serde::Serialize)]
    struct Block<'a> {
        weights: [&'a Passport; 1],
    }
    let block = toml::to_string(&Block { weights: [passport] }).map_err(|e| Error::bug("writing a manifest", e))?;
    Ok(format!("\n{block}"))
}

/// Names become file names.
fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        let problem = format!("'{name}' cannot be the name of a file");
        return Err(Error::usage("--name", problem, "use letters, digits, '-', '_' and '.', at most 64"));
    }
    Ok(())
}

fn sum(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).map_err(Error::io("read", path))?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).map_err(Error::io("read", path))? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&piece[..read]),
        }
    }
}

/// Writes a file beside its place and renames it.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = fs::File::create(&beside).and_then(|mut file| {
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    });
    written.map_err(Error::io("write", &beside))?;
    fs::rename(&beside, path).map_err(Error::io("rename", path))
}
