//! Folders on this machine: for what is unfinished while its place is an address, and for copies that are used once.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The folder in which what belongs to an address lies until it is finished: the same one for the same address.
/// `$XDG_STATE_HOME/chehra`, else `~/.local/state/chehra`, else the system's folder for temporary files.
pub fn kept_place(address: &Path) -> PathBuf {
    let digest = Sha256::digest(address.as_os_str().as_encoded_bytes());
    base().join(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn base() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("chehra")
}

/// A folder for its owner alone, removed once dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> io::Result<Scratch> {
        private(DirBuilder::new().recursive(true)).create(base())?;
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(io::Error::other)?;
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = base().join(format!("copy-{name}"));
        private(&mut DirBuilder::new()).create(&path)?;
        Ok(Scratch { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is for its owner alone, and in a folder that says so.
        drop(fs::remove_dir_all(&self.path));
    }
}

fn private(builder: &mut DirBuilder) -> &mut DirBuilder {
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700);
    builder
}
