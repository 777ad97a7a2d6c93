//! The run folder appears whole or not at all.
//!
//! Everything is written under `.NAME.partial` beside the final place. `commit` flushes every file and the folder, notes
//! which run it is about to show, and renames once; a run that is replaced changes places with the new one in the same step,
//! where the file system can. A run that is stopped before leaves only the hidden folder, from which the same command goes
//! on; one that is stopped after it is finished by the same command, which has nothing left to do but to clean up.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::remote::{self, OF_A_RUN};
use crate::lock::FileLock;
use crate::objects::{self, Marker};
use crate::output::{create_private_folder, parent, sync_folder, write_durably};
use crate::{Error, Result};

/// Names the run that is being, or was, made visible: the SHA-256 of its `run.json`.
const COMMITTED: &str = "committed";
/// Everything that the folder of an unfinished run may hold.
const OF_AN_UNFINISHED_RUN: [&str; 5] = [COMMITTED, "lock", "replaced", "spool", "tables"];

/// A run folder in the making.
#[derive(Debug)]
pub struct RunFolder {
    out: PathBuf,
    partial: PathBuf,
    force: bool,
    /// The run in `out`, when an earlier process showed it and ended before it had cleaned up; empty for one without a name.
    unfinished: Option<String>,
    _lock: FileLock,
}

impl RunFolder {
    /// Whether [`RunFolder::begin`] will refuse: asked before anything else is touched.
    ///
    /// # Errors
    /// As [`RunFolder::begin`].
    pub fn check(out: &Path, force: bool) -> Result<()> {
        objects::check("--out", out)?;
        // What an earlier process left is looked at under the lock.
        match fs::symlink_metadata(unfinished_place(out)?) {
            Ok(_) => Ok(()),
            Err(_) => may_be_made(out, force),
        }
    }

    /// Takes the run folder `out` for this process. Nothing is cleared before [`RunFolder::start`].
    ///
    /// # Errors
    /// [`Error::Input`] when `out` exists and `force` is not set, when `force` would replace something that is no run
    /// folder, or when something else stands where the unfinished folder must be; [`Error::Busy`] when another process is
    /// writing it.
    pub fn begin(out: &Path, force: bool) -> Result<Self> {
        RunFolder::check(out, force)?;
        let partial = unfinished_place(out)?;
        create_private_folder(parent(&partial))?;
        own_folder(&partial)?;
        if let Some(name) = foreign(&partial, &OF_AN_UNFINISHED_RUN)? {
            let (expected, found) = ("a folder of chehra's own, or nothing", format!("a folder with {name} in it"));
            let fix = "somebody else made it: look what it is, and move it away";
            return Err(Error::input(&partial, "folder of the unfinished run", expected, found, fix));
        }
        let fix = "wait for it to end, or name another --out";
        let held = "another chehra process is writing this run folder";
        let lock = FileLock::take(&partial.join("lock"), held, fix)?;
        let mut folder = RunFolder { out: out.to_path_buf(), partial, force, unfinished: None, _lock: lock };
        folder.bring_back()?;
        folder.unfinished = folder.shown_before()?;
        if folder.unfinished.is_none() {
            may_be_made(out, force)?;
        }
        Ok(folder)
    }

    /// Whether the run of this name is whole in its place, and only cleaning up was left to do when its process ended.
    pub fn is_done(&self, run_id: &str) -> bool {
        !run_id.is_empty() && self.unfinished.as_deref() == Some(run_id)
    }

    /// Makes room for the tables. Those of an earlier attempt are written anew; only its spool is worth keeping.
    ///
    /// # Errors
    /// As [`RunFolder::begin`]; [`Error::Io`].
    pub fn start(&self) -> Result<()> {
        if let Some(refusal) = self.unfinished.as_ref().and_then(|_| may_be_made(&self.out, self.force).err()) {
            // Another command of the same name: what the finished run left is of no use to anybody.
            self.clear()?;
            return Err(refusal);
        }
        remove(&self.replaced())?;
        remove(&self.tables())?;
        remove(&self.partial.join(COMMITTED))?;
        own_folder(&self.tables())
    }

    /// Where the tables go before the commit.
    pub fn tables(&self) -> PathBuf {
        self.partial.join("tables")
    }

    /// Where finished batches are kept for a resume.
    pub fn spool(&self) -> PathBuf {
        self.partial.join("spool")
    }

    /// Where the unfinished run lies, if that is elsewhere than beside the final place.
    pub fn unfinished_elsewhere(&self) -> Option<&Path> {
        objects::is_address(&self.out).then_some(self.partial.as_path())
    }

    /// The final place.
    pub fn out(&self) -> &Path {
        &self.out
    }

    fn replaced(&self) -> PathBuf {
        self.partial.join("replaced")
    }

    /// Makes the run folder visible: flush, one rename, and the spool is gone.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses; the same command can be run again.
    pub fn commit(self) -> Result<()> {
        let tables = self.tables();
        for entry in fs::read_dir(&tables).map_err(Error::io("list", &tables))? {
            let path = entry.map_err(Error::io("list", &tables))?.path();
            File::open(&path).and_then(|f| f.sync_all()).map_err(Error::io("flush", &path))?;
        }
        sync_folder(&tables)?;
        write_durably(&self.partial.join(COMMITTED), run_hash(&tables).unwrap_or_default().as_bytes())?;
        may_be_made(&self.out, self.force)?;
        if objects::is_address(&self.out) {
            remote::send(&tables, &self.out, &run_id(&tables).unwrap_or_default())?;
            return self.clear();
        }
        match fs::symlink_metadata(&self.out).is_ok() {
            true => self.replace(&exchange)?,
            false => fs::rename(&tables, &self.out).map_err(Error::io("rename", &self.out))?,
        }
        sync_folder(parent(&self.out))?;
        self.clear()
    }

    /// Puts the new run into the place of the old one. Where the file system cannot exchange two folders, there is a
    /// moment without either; then the old one lies in a place that is told, and the next start brings it back.
    fn replace(&self, exchange: &dyn Fn(&Path, &Path) -> std::io::Result<()>) -> Result<()> {
        use std::io::ErrorKind as K;
        let (tables, old) = (self.tables(), self.replaced());
        match exchange(&tables, &self.out) {
            Ok(()) => return Ok(()),
            // The words of Linux, NFS and others for "not here".
            Err(error) if matches!(error.kind(), K::InvalidInput | K::Unsupported) => {}
            Err(error) => return Err(Error::io("replace", &self.out)(error)),
        }
        let (from, to) = (old.display(), self.out.display());
        log::warn!(
            "this file system cannot exchange two folders in one step: should {to} be gone after a crash, the earlier run is \
             {from}; `mv '{from}' '{to}'` brings it back, and so does the next start of this command"
        );
        fs::rename(&self.out, &old).map_err(Error::io("replace", &self.out))?;
        fs::rename(&tables, &self.out).map_err(|error| {
            // The error that is told came first; `begin` brings it back where this fails too.
            drop(fs::rename(&old, &self.out));
            Error::io("rename", &self.out)(error)
        })
    }

    /// The run that an earlier process moved aside and did not replace.
    fn bring_back(&self) -> Result<()> {
        if objects::is_address(&self.out) {
            return Ok(());
        }
        let old = self.replaced();
        if fs::symlink_metadata(&self.out).is_ok() || !is_run_folder(&old) {
            return Ok(());
        }
        fs::rename(&old, &self.out).map_err(Error::io("bring back", &self.out))?;
        log::warn!("{}: a crash had left it in {}; it is back in its place", self.out.display(), old.display());
        sync_folder(parent(&self.out))
    }

    /// The run in `out`, if the process that showed it did not come to the end of its cleaning up: it left its note, or
    /// the empty folder.
    fn shown_before(&self) -> Result<Option<String>> {
        let note = fs::read_to_string(self.partial.join(COMMITTED)).ok();
        if objects::is_address(&self.out) {
            let shown = if note.is_some() { Marker::read(&self.out)? } else { None };
            return Ok(shown
                .filter(|marker| note.as_deref() == marker.sha256_of("run.json"))
                .map(|marker| marker.run_id));
        }
        let noted = note.is_some() && note == run_hash(&self.out);
        let entries = || fs::read_dir(&self.partial).map_err(Error::io("list", &self.partial));
        let is_empty = !self.force && entries()?.flatten().all(|entry| entry.file_name() == "lock");
        Ok((noted || is_empty && self.out.exists()).then(|| run_id(&self.out).unwrap_or_default()))
    }

    /// Removes the unfinished folder, its note and its lock last.
    ///
    /// # Errors
    /// [`Error::Io`]; the same command can be run again.
    pub fn clear(&self) -> Result<()> {
        for name in ["spool", "tables", "replaced", COMMITTED] {
            remove(&self.partial.join(name))?;
        }
        fs::remove_dir_all(&self.partial).map_err(Error::io("remove", &self.partial))?;
        if objects::is_address(&self.out) {
            // Others may be unfinished there.
            drop(fs::remove_dir(parent(&self.partial)));
        }
        Ok(())
    }
}

/// `.NAME.partial` beside the run folder; for one in an object store a folder on this machine.
fn unfinished_place(out: &Path) -> Result<PathBuf> {
    let beside = if objects::is_address(out) { objects::kept_place(out) } else { parent(out).to_path_buf() };
    let name = out.file_name().filter(|_| out.to_str().is_some()).ok_or_else(|| {
        let problem = format!("'{}' does not end in a folder name in UTF-8", out.display());
        Error::usage("--out", problem, "name a folder to create")
    })?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".partial");
    Ok(beside.join(hidden))
}

/// Whether the run folder may be made: nothing stands there, or a run that `force` replaces.
fn may_be_made(out: &Path, force: bool) -> Result<()> {
    if objects::is_address(out) {
        return remote::may_be_made(out, force);
    }
    let Ok(there) = fs::symlink_metadata(out) else { return Ok(()) };
    if !force {
        let (expected, fix) =
            ("no file or folder of this name yet", "name another --out, or give --force to replace it");
        return Err(Error::input(out, "run folder", expected, "it exists", fix));
    }
    let found = match foreign(out, &OF_A_RUN)? {
        _ if there.is_symlink() => "a link".to_owned(),
        _ if !there.is_dir() => "a file".to_owned(),
        _ if run_id(out).is_none() => "another folder: it has no run.json with a run id".to_owned(),
        Some(name) => format!("a run folder with something in it that is no run's: {name}"),
        None => return Ok(()),
    };
    let fix = "--force replaces run folders and nothing else: name another --out, or move this away";
    Err(Error::input(out, "run folder", "a run folder of `chehra audit`, or nothing", found, fix))
}

/// Whether a folder, itself and not a link to one, is what `chehra audit` makes.
fn is_run_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.is_dir()) && run_id(path).is_some()
}

/// Something in a folder that is none of these names, nor the half of one that a stopped process left.
fn foreign(folder: &Path, names: &[&str]) -> Result<Option<String>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
    for entry in entries {
        let name = entry.map_err(Error::io("list", folder))?.file_name();
        let name = name.to_string_lossy();
        let whole = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp")).unwrap_or(&name);
        if !names.contains(&whole) {
            return Ok(Some(name.into_owned()));
        }
    }
    Ok(None)
}

/// The run id in a folder's `run.json`.
fn run_id(folder: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        run_id: String,
    }
    let named: Named = serde_json::from_slice(&run_json(folder)?).ok()?;
    (!named.run_id.is_empty()).then_some(named.run_id)
}

/// The SHA-256 of a folder's `run.json`, which no two audits share: it has their times.
fn run_hash(folder: &Path) -> Option<String> {
    Some(Sha256::digest(run_json(folder)?).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn run_json(folder: &Path) -> Option<Vec<u8>> {
    /// A hundred times what a large run writes.
    const MOST: u64 = 64 << 20;
    let path = folder.join("run.json");
    let mut bytes = Vec::new();
    fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
    File::open(path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(a: &Path, b: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Removes a file, a link or a folder; nothing there is fine.
fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(Error::io("remove", path))
}

/// Creates a folder that only its owner can read; an existing one is fine, a link to one is not.
fn own_folder(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => Ok(()),
        Ok(there) => {
            let found = if there.is_symlink() { "a link, which is not followed" } else { "a file" };
            let fix = "somebody else made it: look what it is, and remove it";
            Err(Error::input(path, "folder of the unfinished run", "a folder of chehra's own, or nothing", found, fix))
        }
        Err(_) => private_builder().create(path).map_err(Error::io("create", path)),
    }
}

fn private_builder() -> fs::DirBuilder {
    #[allow(unused_mut, reason = "there are no modes elsewhere")]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run folder in the making with this record in it.
    fn begun(out: &Path, force: bool, record: &str) -> RunFolder {
        let folder = RunFolder::begin(out, force).unwrap();
        folder.start().unwrap();
        fs::write(folder.tables().join("run.json"), record).unwrap();
        folder
    }

    fn record(of: &Path) -> String {
        fs::read_to_string(of.join("run.json")).unwrap()
    }

    const OLD: &str = r#"{"run_id": "a", "at": 1}"#;
    const NEW: &str = r#"{"run_id": "a", "at": 2}"#;

    fn refused(out: &Path) -> String {
        let error = RunFolder::begin(out, true).unwrap_err();
        assert!(matches!(error, Error::Input { .. }), "{error}");
        error.to_string()
    }

    #[test]
    fn nothing_is_visible_before_the_commit() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("night");
        let folder = begun(&out, false, "{}");
        assert!(!out.exists());
        folder.commit().unwrap();
        assert_eq!(record(&out), "{}");
        assert!(!temp.path().join(".night.partial").exists());
    }

    #[test]
    fn an_existing_run_is_replaced_only_by_force() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("night");
        begun(&out, false, OLD).commit().unwrap();
        assert!(matches!(RunFolder::begin(&out, false), Err(Error::Input { .. })));
        assert!(!temp.path().join(".night.partial").exists(), "a refusal leaves nothing");
        let folder = begun(&out, true, NEW);
        assert_eq!(record(&out), OLD, "the old run stays until the new one is whole");
        folder.commit().unwrap();
        assert_eq!(record(&out), NEW);
        assert!(!temp.path().join(".night.partial").exists());
    }

    #[test]
    fn force_replaces_nothing_but_run_folders() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("night");
        fs::create_dir(&out).unwrap();
        assert!(refused(&out).contains("another folder"));
        fs::write(out.join("mine.txt"), "mine").unwrap();
        fs::write(out.join("run.json"), r#"{"version": "of dedup"}"#).unwrap();
        assert!(refused(&out).contains("another folder"));
        fs::write(out.join("run.json"), r#"{"run_id": ""}"#).unwrap();
        assert!(refused(&out).contains("another folder"));
        fs::write(out.join("run.json"), r#"{"run_id": "x"}"#).unwrap();
        assert!(refused(&out).contains("no run's: mine.txt"));
        assert_eq!(fs::read_to_string(out.join("mine.txt")).unwrap(), "mine");
        fs::create_dir(temp.path().join(".new.partial")).unwrap();
        fs::write(temp.path().join(".new.partial/mine.txt"), "mine").unwrap();
        assert!(refused(&temp.path().join("new")).contains("mine.txt in it"));
        let file = temp.path().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(refused(&file).contains("a file"));
        assert!(!temp.path().join(".night.partial").exists() && !temp.path().join(".file.partial").exists());
    }

    #[test]
    #[cfg(unix)]
    fn links_are_neither_followed_nor_replaced() {
        use std::os::unix::fs::symlink;
        let temp = tempfile::tempdir().unwrap();
        let (run, link) = (temp.path().join("night"), temp.path().join("latest"));
        begun(&run, false, OLD).commit().unwrap();
        symlink("night", &link).unwrap();
        assert!(refused(&link).contains("a link"));
        // Made by somebody else before the run: a folder of the victim behind the name of the unfinished run.
        let victim = temp.path().join("victim");
        fs::create_dir_all(victim.join("tables")).unwrap();
        fs::write(victim.join("tables/mine"), "mine").unwrap();
        symlink(&victim, temp.path().join(".new.partial")).unwrap();
        assert!(refused(&temp.path().join("new")).contains("not followed"));
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
        let file = victim.join("tables/mine");
        fs::create_dir(temp.path().join(".other.partial")).unwrap();
        symlink(&file, temp.path().join(".other.partial/lock")).unwrap();
        RunFolder::begin(&temp.path().join("other"), false).unwrap_err();
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn two_processes_do_not_write_one_folder() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("night");
        let first = RunFolder::begin(&out, false).unwrap();
        assert!(matches!(RunFolder::begin(&out, false), Err(Error::Busy { .. })));
        drop(first);
        RunFolder::begin(&out, false).unwrap();
    }

    /// Every state in which the process can end after the rename, with and without an earlier run.
    #[test]
    fn a_run_that_is_shown_is_done_whatever_of_the_cleaning_up_is_left() {
        for (force, left) in [(false, 4), (true, 4), (false, 3), (true, 2), (false, 1), (false, 0)] {
            let temp = tempfile::tempdir().unwrap();
            let out = temp.path().join("night");
            if force {
                begun(&out, false, OLD).commit().unwrap();
            }
            let folder = begun(&out, force, NEW);
            fs::create_dir(folder.spool()).unwrap();
            write_durably(&folder.partial.join(COMMITTED), run_hash(&folder.tables()).unwrap().as_bytes()).unwrap();
            match force {
                true => folder.replace(&exchange).unwrap(),
                false => fs::rename(folder.tables(), &out).unwrap(),
            }
            // The names in the order in which they are removed.
            for name in ["spool", "tables", COMMITTED, "lock"].iter().take(4 - left) {
                remove(&folder.partial.join(name)).unwrap();
            }
            drop(folder);
            let again = RunFolder::begin(&out, force).unwrap();
            assert!(again.is_done("a") && !again.is_done("b"), "{force} {left}");
            again.clear().unwrap();
            assert_eq!((record(&out).as_str(), fs::read_dir(temp.path()).unwrap().count()), (NEW, 1));
        }
    }

    /// Another run of the same name is not taken for the one that was cut short, and a note alone says nothing.
    #[test]
    fn a_run_that_is_not_the_noted_one_is_not_done() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("night");
        begun(&out, false, OLD).commit().unwrap();
        let folder = begun(&out, true, NEW);
        write_durably(&folder.partial.join(COMMITTED), run_hash(&folder.tables()).unwrap().as_bytes()).unwrap();
        drop(folder);
        let again = RunFolder::begin(&out, true).unwrap();
        assert!(!again.is_done("a"), "ended before the rename: the old run is still there");
        again.start().unwrap();
        assert_eq!(record(&out), OLD);
        drop(again);
        assert!(RunFolder::begin(&out, false).unwrap_err().to_string().contains("it exists"));
    }

    #[test]
    fn without_an_exchange_the_old_run_is_moved_aside_and_comes_back() {
        let unsupported = |_: &Path, _: &Path| Err(std::io::ErrorKind::Unsupported.into());
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("night");
        begun(&out, false, OLD).commit().unwrap();
        let folder = begun(&out, true, NEW);
        folder.replace(&unsupported).unwrap();
        assert_eq!((record(&out).as_str(), record(&folder.replaced()).as_str()), (NEW, OLD));
        folder.clear().unwrap();
        drop(folder);
        // Killed between the two renames.
        let folder = begun(&out, true, OLD);
        fs::rename(&out, folder.replaced()).unwrap();
        drop(folder);
        assert!(!out.exists());
        let error = RunFolder::begin(&out, false).unwrap_err().to_string();
        assert!(error.contains("it exists") && record(&out) == NEW, "{error}");
    }
}
