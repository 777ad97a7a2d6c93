//! A file as it was when it was read: path, size and SHA-256.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
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
        let read = || -> std::io::Result<(u64, Vec<u8>)> {
            let mut file = File::open(path)?;
            let size = file.metadata()?.len();
            // The end of a Parquet file: the footer, its length in four bytes, "PAR1".
            let mut tail = [0; 8];
            file.seek(SeekFrom::End(-8))?;
            file.read_exact(&mut tail)?;
            let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
            let start = size.saturating_sub(8 + u64::from(length));
            file.seek(SeekFrom::Start(start))?;
            let mut footer = Vec::new();
            file.take(size - start).read_to_end(&mut footer)?;
            Ok((size, footer))
        };
        let (size, footer) = read().map_err(Error::io("read", path))?;
        let footer = Sha256::digest(footer).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Listed { path: path.to_path_buf(), size, rows, footer })
    }
}
