//! A file as it was when it was read: path, size and SHA-256.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::regular::regular;
use crate::{Error, Result};

/// One input file as it was when it was read, for the record of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePrint {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 (FIPS 180-4), 64 lower-case hex digits.
    pub sha256: String,
}

impl FilePrint {
    /// Reads a file from end to end.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read.
    pub fn of(path: &Path) -> Result<FilePrint> {
        regular(path)?;
        let mut file = File::open(path).map_err(Error::io("open", path))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0u8; 1 << 20];
        let mut size = 0;
        loop {
            match file.read(&mut buffer).map_err(Error::io("read", path))? {
                0 => break,
                n => {
                    hash.update(&buffer[..n]);
                    size += n as u64;
                }
            }
        }
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(FilePrint { path: path.to_path_buf(), size, sha256 })
    }
}
