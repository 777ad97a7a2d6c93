//! Notes of where things lie outside of a store's folder that hold templates: spools of runs that have not ended, exports in
//! the making, and what other machines have seen of a dump.
//!
//! A note is also a lock. An export holds its note's while it writes, so a note that can be locked is of one that was
//! killed. Who writes a batch into a spool, and who erases somebody from it, hold the lock of its note for that long:
//! a batch is written either before the erasing looks at it, or after, and then without the one who was erased.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::failpoint;
use super::files::{Pending, create_private_folder, sync_folder};
use super::layout::notes_folder;
use super::manifest::now;
use super::member::hex;
use crate::lock::FileLock;
use crate::objects::is_address;
use crate::{Error, Result};

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Place {
    /// The spool of a run.
    Spool,
    /// The temporary file of an export.
    Export,
    /// A folder of what was seen of a dump, that an audit of this store read.
    Seen,
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
    /// Of what was seen: after how many days it is removed; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keep_days: Option<u32>,
}

/// The note of this path: the same one whenever the same run begins again.
fn note_file(store: &Path, place: Place, path: &Path) -> PathBuf {
    let digest = hex(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..12]);
    let kind = match place {
        Place::Spool => "spool",
        Place::Export => "export",
        Place::Seen => "seen",
    };
    notes_folder(store).join(format!("{kind}-{digest}.json"))
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
    let path = match is_address(path) {
        true => path.to_path_buf(),
        false => std::path::absolute(path).map_err(Error::io("find", path))?,
    };
    let file = note_file(store, place, &path);
    create_private_folder(&notes_folder(store))?;
    loop {
        if !file.exists() {
            let device = if is_address(&path) { None } else { nearest_device(&path) };
            write(&file, &Note { place, path: path.clone(), since: now(), device, keep_days: None })?;
            failpoint::reach("noted");
            sync_folder(&notes_folder(store))?;
        }
        if let Some(lock) = lock_note(&file)? {
            return Ok(Noted { file, _lock: lock });
        }
    }
}

fn write(file: &Path, note: &Note) -> Result<()> {
    let fix = "name a path that is valid UTF-8: the store notes down where templates lie";
    let text = serde_json::to_string_pretty(note)
        .map_err(|e| Error::usage(format!("{}", note.path.display()), e.to_string(), fix))?;
    let mut pending = Pending::create(file)?;
    pending.write_all(text.as_bytes()).map_err(Error::io("write", file))?;
    pending.commit()?;
    Ok(())
}

/// Notes down where what was seen lies, and for how many days from now it is kept; gives the locked note.
pub(super) fn note_seen(store: &Path, path: &Path, keep_days: Option<u32>) -> Result<Noted> {
    loop {
        let noted = note(store, Place::Seen, path)?;
        let known = notes(store)?.into_iter().find(|(file, _)| *file == noted.file).map(|(_, note)| note);
        match known {
            Some(mut known) if known.keep_days != keep_days && keep_days.is_some() => {
                known.keep_days = keep_days;
                // Another file takes the place of the one that is locked: once more from the start.
                write(&noted.file, &known)?;
                sync_folder(&notes_folder(store))?;
            }
            _ => return Ok(noted),
        }
    }
}

/// Waits for the lock of a note; `None` where there is none any more.
pub(super) fn lock_note(note: &Path) -> Result<Option<FileLock>> {
    while let Some(file) = open(note)? {
        let lock = FileLock::wait_for(file).map_err(Error::io("lock", note))?;
        if lock.is_of(note) {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}

pub(super) fn open(path: &Path) -> Result<Option<File>> {
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
    let folder = notes_folder(store);
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
pub(super) fn remove_note(note: &Path) -> Result<()> {
    fs::remove_file(note).map_err(Error::io("remove", note))?;
    failpoint::reach("note-removed");
    note.parent().map_or(Ok(()), sync_folder)
}

/// Whether its disk is there: what is only unmounted comes back with all its bytes.
pub(super) fn is_reachable(note: &Note) -> bool {
    note.device.is_none() || note.path.exists() || nearest_device(&note.path) == note.device
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
