//! Writing files so that they are whole or absent, and readable by their owner alone.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::member::hex;
pub(super) use crate::output::{create_private, create_private_folder, sync_folder};
use crate::{Error, Result};

/// Ending of files that are not whole yet.
pub(super) const TEMPORARY: &str = "tmp";

/// Whether a file was left half-written.
pub(super) fn ends_in_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == TEMPORARY)
}

/// Removes a file, for good; one that is not there is gone already.
pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => path.parent().filter(|parent| parent.exists()).map_or(Ok(()), sync_folder),
    }
}

/// A file under a temporary name that hashes what is written; [`Pending::commit`] gives it its name.
#[derive(Debug)]
pub(super) struct Pending {
    target: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    done: bool,
}

/// What was written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Pending {
    pub(super) fn create(target: &Path) -> Result<Pending> {
        // The process and a counter in the name: two readers may rebuild one derived file at once.
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let temporary = target.with_file_name(format!("{name}.{}-{number}.{TEMPORARY}", std::process::id()));
        let file = BufWriter::with_capacity(1 << 20, create_private(&temporary)?);
        Ok(Pending { target: target.to_owned(), temporary, file, hash: Sha256::new(), bytes: 0, done: false })
    }

    /// The name until then.
    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Makes the bytes durable and the name visible, in this order. The folder is left for the caller to sync.
    pub(super) fn commit(mut self) -> Result<Written> {
        self.file.flush().map_err(Error::io("write", &self.temporary))?;
        self.file.get_ref().sync_all().map_err(Error::io("sync", &self.temporary))?;
        fs::rename(&self.temporary, &self.target).map_err(Error::io("rename", &self.temporary))?;
        self.done = true;
        Ok(Written { bytes: self.bytes, sha256: hex(&self.hash.clone().finalize()) })
    }
}

impl Write for Pending {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(data)?;
        self.hash.update(&data[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.done {
            // What fails here is swept by the next writer.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// SHA-256 and length of a file, read in pieces.
pub(super) fn hash_file(path: &Path) -> Result<Written> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let count = std::io::Read::read(&mut file, &mut buffer).map_err(Error::io("read", path))?;
        if count == 0 {
            return Ok(Written { bytes, sha256: hex(&hash.finalize()) });
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
}
