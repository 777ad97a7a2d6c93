//! What lies outside of the store's folder and holds templates: spools of runs that have not ended, and exports in the
//! making. `outside/` has a note of each ([`super::notes`]), written and flushed before the thing itself, so that whoever
//! erases a member finds every copy, also those that killed processes left.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::failpoint;
use super::files::remove_if_there;
use super::manifest::Manifest;
use super::notes::{Note, Place, is_reachable, lock_note, notes, open, remove_note};
use super::spool;
use super::store::{Store, Writer};
use crate::lock::FileLock;
use crate::{Error, Result};

/// A spool that nobody has gone on with for so long is removed by the next audit of the store.
const SPOOL_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

impl Store {
    /// Removes what killed exports left; names those that are being written, or cannot be reached.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub(super) fn sweep_exports(&self) -> Result<Vec<String>> {
        let mut running = Vec::new();
        for (file, note) in notes(self.path())?.into_iter().filter(|(_, note)| note.place == Place::Export) {
            let Some(opened) = open(&file)? else { continue };
            let lock = match FileLock::of(opened).map_err(Error::io("lock", &file))? {
                Some(lock) if lock.is_of(&file) => lock,
                Some(_) => continue,
                None => {
                    running.push(format!("{}: an export that is being written", note.path.display()));
                    continue;
                }
            };
            if !is_reachable(&note) {
                running.push(unreachable(&note));
                continue;
            }
            remove_if_there(&note.path)?;
            failpoint::reach("export-swept");
            remove_note(&file)?;
            drop(lock);
        }
        Ok(running)
    }

    /// Removes the spools of runs on this store that were not gone on with for a week, but for the one in `keep`; gives
    /// their paths. For who holds the lock of [`Store::begin_night`]: then no other run is under way.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn sweep_abandoned_spools(&self, keep: &Path) -> Result<Vec<PathBuf>> {
        let keep = std::path::absolute(keep).map_err(Error::io("find", keep))?;
        let mut removed = Vec::new();
        for (file, note) in notes(self.path())?.into_iter().filter(|(_, note)| note.place == Place::Spool) {
            let Some(lock) = lock_note(&file)?.filter(|_| note.path != keep) else { continue };
            match fs::metadata(&note.path).and_then(|found| found.modified()) {
                Ok(modified) if is_abandoned(modified) => {
                    fs::remove_dir_all(&note.path).map_err(Error::io("remove", &note.path))?;
                    failpoint::reach("spool-removed");
                    remove_note(&file)?;
                    removed.push(note.path);
                }
                // Its run has ended.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_reachable(&note) => {
                    remove_note(&file)?
                }
                _ => {}
            }
            drop(lock);
        }
        Ok(removed)
    }

    /// Which of these submissions are in a spool with their faces.
    pub(super) fn spooled(&self, submission_ids: &HashSet<&str>) -> Result<HashSet<String>> {
        let mut found = HashSet::new();
        for (file, note) in notes(self.path())?.into_iter().filter(|(_, note)| note.place == Place::Spool) {
            if lock_note(&file)?.is_some() {
                found.extend(spool::holds(&note.path, submission_ids)?);
            }
        }
        Ok(found)
    }
}

fn is_abandoned(modified: SystemTime) -> bool {
    modified.elapsed().is_ok_and(|age| age > SPOOL_KEPT)
}

impl Writer<'_> {
    /// Erases from everything outside what receipts name; says what could not be.
    pub(super) fn erase_outside(&self) -> Result<Vec<String>> {
        let erased = self.manifest.erased();
        let mut left = self.store.sweep_exports()?;
        for (file, note) in notes(self.store.path())?.into_iter().filter(|(_, note)| note.place == Place::Spool) {
            let Some(_lock) = lock_note(&file)? else { continue };
            if note.path.exists() {
                spool::erase(&note.path, &erased)?;
            } else if is_reachable(&note) {
                remove_note(&file)?;
            } else {
                left.push(unreachable(&note));
            }
        }
        Ok(left)
    }
}

fn unreachable(note: &Note) -> String {
    let path = note.path.display();
    format!("{path}: its disk is not there; mount it, or make its folder anew if it was deleted, and run compact")
}

/// The ids of a manifest that must not come in, as owned texts.
pub(super) fn owned(erased: HashSet<&str>) -> HashSet<String> {
    erased.into_iter().map(str::to_owned).collect()
}

impl Store {
    /// The submissions that were forgotten and whose consent was not given anew since.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn erased(&self) -> Result<HashSet<String>> {
        let manifest: Manifest = self.manifest()?;
        Ok(owned(manifest.erased()))
    }
}
