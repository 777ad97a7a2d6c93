//! A file as it was when it was read: path, size and SHA-256.

use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::regular::regular;
use crate::objects::InputFile;
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
        let file = InputFile::open(path).map_err(Error::io("open", path))?;
        let size = file.size().map_err(Error::io("look at", path))?;
        file.plan(|| std::iter::once(0..size).collect());
        let mut file = file.reader(0).map_err(Error::io("read", path))?;
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

/// A file of a dump as its footer tells it apart from others, without reading it from end to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 of its footer, which says where every page lies and, from most writers, the least and greatest values.
    pub footer: String,
}

impl Listed {
    /// Reads the footer of a Parquet file that was opened before.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read.
    pub(super) fn of(path: &Path, rows: u64) -> Result<Listed> {
        let read = || -> std::io::Result<(u64, Bytes)> {
            let file = InputFile::open(path)?;
            let size = file.size()?;
            // The end of a Parquet file: the footer, its length in four bytes, "PAR1".
            let tail = file.bytes_at(size.saturating_sub(8), 8)?;
            let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
            let start = size.saturating_sub(8 + u64::from(length));
            Ok((size, file.bytes_at(start, (size - start) as usize)?))
        };
        let (size, footer) = read().map_err(Error::io("read", path))?;
        let footer = Sha256::digest(footer).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Listed { path: path.to_path_buf(), size, rows, footer })
    }
}
