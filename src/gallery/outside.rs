//! What lies outside of the store's folder and holds templates: spools of runs that have not ended, exports in the making, and
//! folders of what was seen that an audit of this store has read. `outside/` has a note of each ([`super::notes`]), written and flushed before the thing itself, so that whoever
//! erases a member finds every copy, also those that killed processes left.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::failpoint;
use super::files::remove_if_there;
use super::manifest::Manifest;
use super::notes::{Note, Noted, Place, is_reachable, lock_note, note_seen, notes, open, remove_note};
use super::spool;
use super::store::{Store, Writer};
use crate::lock::FileLock;
use crate::objects::{exists, is_address};
use crate::seen;
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

    /// Which of these submissions are in a spool, or in what was seen, with their faces.
    pub(super) fn spooled(&self, submission_ids: &HashSet<&str>) -> Result<HashSet<String>> {
        let mut found = HashSet::new();
        for (file, note) in notes(self.path())?.into_iter().filter(|(_, note)| note.place != Place::Export) {
            if lock_note(&file)?.is_none() {
                continue;
            }
            match note.place {
                Place::Seen if may_be_there(&note) => found.extend(spool::holds_seen(&note.path, submission_ids)?),
                Place::Spool => found.extend(spool::holds(&note.path, submission_ids)?),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Notes down a folder of what was seen, so that erasing reaches it, and keeps who erases from looking at it until the
    /// answer goes. With `keep_days` an audit removes it so many days after the first one that read it.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn note_seen(&self, folder: &Path, keep_days: Option<u32>) -> Result<SeenNote> {
        let noted = note_seen(self.path(), folder, keep_days)?;
        Ok(SeenNote { folder: folder.to_path_buf(), _noted: noted })
    }

    /// Removes folders of what was seen that are no longer to be kept; gives their paths.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn sweep_seen(&self) -> Result<Vec<PathBuf>> {
        let mut removed = Vec::new();
        for (file, note) in notes(self.path())?.into_iter().filter(|(_, note)| note.place == Place::Seen) {
            let Some(lock) = lock_note(&file)? else { continue };
            if !is_over(&note) && is_address(&note.path) {
                continue;
            }
            if !is_there(&note)? {
                if is_reachable(&note) {
                    remove_note(&file)?;
                }
            } else if is_over(&note) {
                seen::remove(&note.path)?;
                remove_note(&file)?;
                removed.push(note.path);
            }
            drop(lock);
        }
        Ok(removed)
    }
}

/// A folder of what was seen, of which the store knows.
#[derive(Debug)]
pub struct SeenNote {
    folder: PathBuf,
    _noted: Noted,
}

impl SeenNote {
    /// Erases submissions from the folder; says what could not be.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn erase(&self, erased: &HashSet<String>) -> Result<Vec<String>> {
        spool::erase_seen(&self.folder, erased)
    }
}

/// Whether as many days have gone by as the folder was to be kept.
fn is_over(note: &Note) -> bool {
    let (Some(days), Ok(since)) = (note.keep_days, note.since.parse::<jiff::Timestamp>()) else { return false };
    jiff::Timestamp::now().duration_since(since).as_hours() >= i64::from(days) * 24
}

fn is_abandoned(modified: SystemTime) -> bool {
    modified.elapsed().is_ok_and(|age| age > SPOOL_KEPT)
}

impl Writer<'_> {
    /// Erases from everything outside what receipts name; says what could not be.
    pub(super) fn erase_outside(&self) -> Result<Vec<String>> {
        let erased = self.manifest.erased();
        let mut left = self.store.sweep_exports()?;
        for (file, note) in notes(self.store.path())?.into_iter().filter(|(_, note)| note.place != Place::Export) {
            let Some(_lock) = lock_note(&file)? else { continue };
            let is_there = match is_there(&note) {
                Ok(is_there) => is_there,
                Err(error) => {
                    left.push(format!("{error}, and run compact"));
                    continue;
                }
            };
            if is_there {
                match note.place {
                    Place::Seen => left.extend(spool::erase_seen(&note.path, &owned(erased.clone()))?),
                    _ => spool::erase(&note.path, &erased)?,
                }
            } else if is_reachable(&note) {
                remove_note(&file)?;
            } else {
                left.push(unreachable(&note));
            }
        }
        Ok(left)
    }
}

/// As [`is_there`]; a store that gives no answer keeps nobody from being forgotten: erasing names it.
fn may_be_there(note: &Note) -> bool {
    is_there(note).unwrap_or_else(|error| {
        log::warn!("{error}");
        false
    })
}

/// Whether what a note is about is there still.
///
/// # Errors
/// [`Error::Io`] when an object store gives no answer.
fn is_there(note: &Note) -> Result<bool> {
    exists(&note.path).map_err(Error::io("look for", &note.path))
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
