//! The run folder appears whole or not at all.
//!
//! Everything is written under `.NAME.partial` beside the final place. `commit` flushes every file and the folder, then
//! renames once. A run that is stopped leaves only the hidden folder, from which the same command goes on.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::lock::FileLock;
use crate::verdict::create_private;
use crate::{Error, Result};

/// A run folder in the making.
#[derive(Debug)]
pub struct RunFolder {
    out: PathBuf,
    partial: PathBuf,
    force: bool,
    _lock: FileLock,
}

impl RunFolder {
    /// Prepares to write the run folder `out`.
    ///
    /// # Errors
    /// [`Error::Input`] when `out` exists and `force` is not set, [`Error::Busy`] when another process is writing it.
    pub fn begin(out: &Path, force: bool) -> Result<Self> {
        let name = out.file_name().and_then(|n| n.to_str()).ok_or_else(|| {
            Error::usage(
                "--out",
                format!("'{}' does not end in a folder name", out.display()),
                "name a folder to create",
            )
        })?;
        if fs::symlink_metadata(out).is_ok() && !force {
            return Err(Error::input(
                out,
                "run folder",
                "no file or folder of this name yet",
                "it exists",
                "name another --out, or give --force to replace it",
            ));
        }
        let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let partial = parent.join(format!(".{name}.partial"));
        create_private_folder(&partial)?;
        let lock_path = partial.join("lock");
        let fix = "wait for it to end, or name another --out";
        let lock = FileLock::take(&lock_path, "another chehra process is writing this run folder", fix)?;
        let folder = RunFolder { out: out.to_path_buf(), partial, force, _lock: lock };
        // Tables of an earlier attempt are written anew; only the spool is worth keeping.
        let tables = folder.tables();
        if tables.exists() {
            fs::remove_dir_all(&tables).map_err(Error::io("clear", &tables))?;
        }
        create_private_folder(&tables)?;
        Ok(folder)
    }

    /// Where the tables go before the commit.
    pub fn tables(&self) -> PathBuf {
        self.partial.join("tables")
    }

    /// Where finished batches are kept for a resume.
    pub fn spool(&self) -> PathBuf {
        self.partial.join("spool")
    }

    /// The final place.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Makes the run folder visible: flush, one rename, and the spool is gone.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses; then nothing is visible and the same command can be run again.
    pub fn commit(self) -> Result<()> {
        let tables = self.tables();
        for entry in fs::read_dir(&tables).map_err(Error::io("list", &tables))? {
            let path = entry.map_err(Error::io("list", &tables))?.path();
            File::open(&path).and_then(|f| f.sync_all()).map_err(Error::io("flush", &path))?;
        }
        sync_folder(&tables)?;
        let parent = self.partial.parent().unwrap_or(Path::new(".")).to_path_buf();
        let old = self.partial.join("replaced");
        if self.force && fs::symlink_metadata(&self.out).is_ok() {
            fs::rename(&self.out, &old).map_err(Error::io("replace", &self.out))?;
        }
        fs::rename(&tables, &self.out).map_err(Error::io("rename", &self.out))?;
        sync_folder(&parent)?;
        fs::remove_dir_all(&self.partial).map_err(Error::io("remove", &self.partial))
    }
}

/// Creates a folder that only its owner can read; an existing one is fine.
fn create_private_folder(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(Error::io("create", path))
}

/// Makes renames inside a folder durable.
fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(path).and_then(|f| f.sync_all()).map_err(Error::io("flush", path))?;
    }
    Ok(())
}

/// Writes a file that is whole or absent, whatever happens.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = create_private(&temporary)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(Error::io("rename", path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_visible_before_the_commit() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("night");
        let folder = RunFolder::begin(&out, false).unwrap();
        fs::write(folder.tables().join("run.json"), "{}").unwrap();
        assert!(!out.exists());
        folder.commit().unwrap();
        assert_eq!(fs::read_to_string(out.join("run.json")).unwrap(), "{}");
        assert!(!temp.path().join(".night.partial").exists());
    }

    #[test]
    fn an_existing_folder_is_replaced_only_by_force() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("night");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("old"), "").unwrap();
        assert!(matches!(RunFolder::begin(&out, false), Err(Error::Input { .. })));
        let folder = RunFolder::begin(&out, true).unwrap();
        assert!(out.join("old").exists(), "the old run stays until the new one is whole");
        folder.commit().unwrap();
        assert!(out.exists() && !out.join("old").exists());
    }

    #[test]
    fn two_processes_do_not_write_one_folder() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("night");
        let _first = RunFolder::begin(&out, false).unwrap();
        assert!(matches!(RunFolder::begin(&out, false), Err(Error::Busy { .. })));
    }
}
