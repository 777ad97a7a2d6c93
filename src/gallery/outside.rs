//! What lies outside of the store's folder and holds templates: spools of runs that have not ended, and exports in the
//! making. `outside/` has a note of each, written and flushed before the thing itself, so that whoever erases a member
//! finds every copy, also those that killed processes left.
//!
//! A note is also a lock. An export holds its note's while it writes, so a note that can be locked is of one that was
//! killed. Who writes a batch into a spool, and who erases somebody from it, hold the lock of its note for that long:
//! a batch is written either before the erasing looks at it, or after, and then without the one who was erased.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::failpoint;
use super::files::{Pending, create_private_folder, remove_if_there, sync_folder};
use super::manifest::{Manifest, now};
use super::member::hex;
use super::spool;
use super::store::{Store, Writer};
use crate::lock::FileLock;
use crate::{Error, Result};

/// A spool that nobody has gone on with for so long is removed by the next audit of the store.
const SPOOL_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Place {
    /// The spool of a run.
    Spool,
    /// The temporary file of an export.
    Export,
}

/// Where something is that holds templates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    pub(super) place: Place,
    /// Absolute.
    pub(super) path: PathBuf,
    /// When it was first begun, UTC.
    pub(super) since: String,
    /// The file system that it lies on, where the system numbers them.
    pub(super) device: Option<u64>,
}

pub(super) fn folder(store: &Path) -> PathBuf {
    store.join("outside")
}

/// The note of this path: the same one whenever the same run begins again.
fn note_file(store: &Path, place: Place, path: &Path) -> PathBuf {
    let digest = hex(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..12]);
    let kind = if place == Place::Spool { "spool" } else { "export" };
    folder(store).join(format!("{kind}-{digest}.json"))
}

/// A note whose lock is held.
#[derive(Debug)]
pub(super) struct Noted {
    file: PathBuf,
    _lock: FileLock,
}

impl Noted {
    /// Removes the note, once nothing is left of what it is about.
    pub(super) fn remove(self) -> Result<()> {
        remove_note(&self.file)
    }
}

/// Notes down a place, and gives the locked note.
pub(super) fn note(store: &Path, place: Place, path: &Path) -> Result<Noted> {
    let path = std::path::absolute(path).map_err(Error::io("find", path))?;
    let file = note_file(store, place, &path);
    create_private_folder(&folder(store))?;
    loop {
        if !file.exists() {
            let note = Note { place, path: path.clone(), since: now(), device: nearest_device(&path) };
            let fix = "name a path that is valid UTF-8: the store notes down where templates lie";
            let text = serde_json::to_string_pretty(&note)
                .map_err(|e| Error::usage(format!("{}", path.display()), e.to_string(), fix))?;
            let mut pending = Pending::create(&file)?;
            pending.write_all(text.as_bytes()).map_err(Error::io("write", &file))?;
            pending.commit()?;
            failpoint::reach("noted");
            sync_folder(&folder(store))?;
        }
        if let Some(lock) = lock_note(&file)? {
            return Ok(Noted { file, _lock: lock });
        }
    }
}

/// Waits for the lock of a note; `None` where there is none any more.
fn lock_note(note: &Path) -> Result<Option<FileLock>> {
    while let Some(file) = open(note)? {
        let lock = FileLock::wait_for(file).map_err(Error::io("lock", note))?;
        if lock.is_of(note) {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("open", path)(e)),
    }
}

/// Whether another process holds a note's lock.
pub(super) fn is_held(note: &Path) -> Result<bool> {
    let Some(file) = open(note)? else { return Ok(false) };
    Ok(FileLock::of(file).map_err(Error::io("lock", note))?.is_none())
}

/// All notes of a store, and the files they are in.
pub(super) fn notes(store: &Path) -> Result<Vec<(PathBuf, Note)>> {
    let folder = folder(store);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", &folder)(e)),
    };
    let mut notes = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("list", &folder))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("read", &path)(e)),
        };
        let note = serde_json::from_slice(&text).map_err(|e| {
            let fix = "restore the file from a backup, or remove it once no run or export of this store is unfinished";
            Error::input(&path, "note", "where a spool or an export lies", e.to_string(), fix)
        })?;
        notes.push((path, note));
    }
    notes.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(notes)
}

/// Removes a note whose lock is held.
fn remove_note(note: &Path) -> Result<()> {
    fs::remove_file(note).map_err(Error::io("remove", note))?;
    failpoint::reach("note-removed");
    note.parent().map_or(Ok(()), sync_folder)
}

/// Whether its disk is there: what is only unmounted comes back with all its bytes.
fn is_reachable(note: &Note) -> bool {
    note.path.exists() || note.device.is_none() || nearest_device(&note.path) == note.device
}

/// The file system of the nearest folder above a path that is there.
fn nearest_device(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        path.ancestors().skip(1).find_map(|folder| fs::metadata(folder).ok()).map(|found| found.dev())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

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
