//! The curves that nights were judged with: one file for each model, that of the last night.
//!
//! Look-ups state with it how many pairs are as alike by chance, so that a similarity means the same everywhere; what is in
//! it is [`crate::pairs`]'s. It holds rates and no templates or ids, so erasing leaves it alone. A file that is missing or
//! damaged costs nobody an answer: the next audit leaves another one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::files::Pending;
use super::layout::CURVE;
use super::manifest::{CurveFile, Manifest, Other, segment_file};
use super::member::hex;
use super::store::{Store, Writer};
use crate::infer::ModelId;
use crate::{Error, Result};

impl CurveFile {
    pub(super) fn path(&self, store: &Path) -> PathBuf {
        segment_file(store, self.id, CURVE)
    }

    /// Reads it whole; says what is wrong where it is not as it was written.
    pub(super) fn read(&self, store: &Path) -> Result<Vec<u8>, String> {
        let path = self.path(store);
        let wrong = |found: String| format!("{}: {found}; the next audit makes it anew", path.display());
        let bytes = fs::read(&path).map_err(|e| wrong(e.to_string()))?;
        match hex(&Sha256::digest(&bytes)) == self.sha256 {
            true => Ok(bytes),
            false => Err(wrong("damaged".to_owned())),
        }
    }
}

impl Store {
    /// The curve that the last night with templates of this model was judged with; none where there was no such night, or
    /// its file is damaged, which is logged.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn curve(&self, model: &ModelId) -> Result<Option<Vec<u8>>> {
        let mut manifest = self.manifest()?;
        loop {
            let Some(file) = manifest.curves.iter().find(|file| file.model == model.0) else { return Ok(None) };
            let problem = match file.read(self.path()) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(problem) => problem,
            };
            // A writer may have put another one in its place meanwhile.
            let newer = self.manifest()?;
            if newer.commit == manifest.commit {
                log::warn!("{problem}; until then false matches are stated by a curve of this look-up's own");
                return Ok(None);
            }
            manifest = newer;
        }
    }
}

impl Writer<'_> {
    /// Writes a curve and names it in `next` in the place of the model's last one. Nothing sees it before `next` is
    /// committed.
    pub(super) fn write_curve(&self, next: &mut Manifest, model: &ModelId, curve: &[u8]) -> Result<()> {
        let id = next.next_segment;
        next.next_segment += 1;
        let path = segment_file(self.store.path(), id, CURVE);
        let mut pending = Pending::create(&path)?;
        pending.write_all(curve).map_err(Error::io("write", &path))?;
        let written = pending.commit()?;
        let (commit, bytes, sha256) = (next.commit, written.bytes, written.sha256);
        next.curves.retain(|file| file.model != model.0);
        next.curves.push(CurveFile { id, commit, model: model.0.clone(), bytes, sha256, other: Other::new() });
        Ok(())
    }
}
