//! Finished batches of analyses on disk, so that a stopped run goes on where it was.
//!
//! Each batch is one file: written under another name, flushed, renamed. A batch file carries the SHA-256 of its own
//! bytes, and the folder carries the key of the run: what was read, with which models, limits and version. Batches of
//! another run are thrown away, a damaged one is computed anew.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::infer::Analysis;
use crate::verdict::write_durably;
use crate::{Error, Result};

/// Changes when [`Analysis`] is written differently.
const VERSION: u32 = 3;

/// The batches of one run.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    batches: u64,
    begun: i64,
}

impl Spool {
    /// Opens the spool of the run with this key, keeping what an earlier attempt of the same run finished.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written.
    pub fn open(folder: &Path, key: &str) -> Result<Self> {
        let key = format!("{VERSION} {key}");
        let key_file = folder.join("key");
        if fs::read_to_string(&key_file).ok().as_deref() != Some(&key) {
            if folder.exists() {
                fs::remove_dir_all(folder).map_err(Error::io("clear", folder))?;
            }
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
            write_durably(&key_file, key.as_bytes())?;
        }
        let mut spool = Spool { folder: folder.to_path_buf(), batches: 0, begun: begun(&folder.join("begun"))? };
        while spool.load(spool.batches).is_some() {
            spool.batches += 1;
        }
        Ok(spool)
    }

    /// When the first attempt of this run began, microseconds since 1970-01-01T00:00:00Z.
    pub fn begun(&self) -> i64 {
        self.begun
    }

    /// Makes one more batch durable.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn push(&mut self, batch: &[Analysis]) -> Result<()> {
        let body = postcard::to_stdvec(batch).map_err(|e| Error::bug("spooling a batch", e))?;
        let mut bytes = Sha256::digest(&body).to_vec();
        bytes.extend(body);
        write_durably(&self.path(self.batches), &bytes)?;
        self.batches += 1;
        Ok(())
    }

    /// All finished batches, in order.
    pub fn read(&self) -> impl Iterator<Item = Result<Vec<Analysis>>> + '_ {
        (0..self.batches).map(|number| {
            self.load(number).ok_or_else(|| {
                Error::input(
                    self.path(number),
                    "spooled batch",
                    "the bytes written a moment ago",
                    "other bytes, or none",
                    "check the disk, then run the same command again",
                )
            })
        })
    }

    fn load(&self, number: u64) -> Option<Vec<Analysis>> {
        let bytes = fs::read(self.path(number)).ok()?;
        let (digest, body) = bytes.split_at_checked(32)?;
        (Sha256::digest(body).as_slice() == digest).then_some(())?;
        postcard::from_bytes(body).ok()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.batch"))
    }
}

/// The instant in a file, which is written with this one where there is none.
fn begun(path: &Path) -> Result<i64> {
    if let Some(begun) = fs::read_to_string(path).ok().and_then(|text| text.parse().ok()) {
        return Ok(begun);
    }
    let now = jiff::Timestamp::now().as_microsecond();
    write_durably(path, now.to_string().as_bytes())?;
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::RowFacts;
    use crate::reason::{Reason, Reject};

    fn analysis(row: u64) -> Analysis {
        let selfie = Err(Reject::new(Reason::UnreadableImage, "0 bytes"));
        Analysis { row, facts: RowFacts::default(), selfie, photo: None }
    }

    #[test]
    fn a_second_attempt_finds_what_the_first_finished() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("spool");
        let mut spool = Spool::open(&folder, "run").unwrap();
        spool.push(&[analysis(0), analysis(1)]).unwrap();
        spool.push(&[analysis(2)]).unwrap();
        let again = Spool::open(&folder, "run").unwrap();
        assert_eq!(again.begun(), spool.begun());
        let rows: Vec<u64> = again.read().flat_map(|b| b.unwrap()).map(|a| a.row).collect();
        assert_eq!(rows, [0, 1, 2]);
    }

    #[test]
    fn a_damaged_batch_and_all_after_it_are_done_again() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("spool");
        let mut spool = Spool::open(&folder, "run").unwrap();
        for row in 0..3 {
            spool.push(&[analysis(row)]).unwrap();
        }
        let path = spool.path(1);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(Spool::open(&folder, "run").unwrap().batches, 1);
    }

    #[test]
    fn another_run_starts_afresh() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("spool");
        Spool::open(&folder, "run").unwrap().push(&[analysis(0)]).unwrap();
        assert_eq!(Spool::open(&folder, "other").unwrap().batches, 0);
    }
}
