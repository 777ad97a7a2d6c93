//! Workers' faces from night to night, kept beside the templates of the store.
//!
//! Each night leaves one file, named after its commit, under `workers/`. A night that is audited again reads what stood
//! there before it, so that it gives the same answers; a few old files are kept for that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::gallery::Store;
use crate::infer::ModelId;
use crate::roles::WorkerMemory;
use crate::verdict::write_durably;
use crate::{Error, Result};

/// Nights that can be audited again with the workers as they were known then.
const NIGHTS_KEPT: usize = 30;

/// What a file begins with: kind and version.
const MAGIC: &[u8; 16] = b"chehra workers 1";

/// Known workers by id.
pub type Memory = BTreeMap<String, WorkerMemory>;

/// Reads what the nights before this run left; nothing without a store.
///
/// # Errors
/// [`Error::Input`] when the file is damaged or of a later version.
pub fn read(store: Option<&Store>, store_key: &str, model: &ModelId) -> Result<Memory> {
    let Some(store) = store else { return Ok(Memory::new()) };
    let own = store.runs()?.into_iter().find(|run| run.key == store_key).map_or(u64::MAX, |run| run.commit);
    let files = files(store)?;
    let Some((_, path)) = files.into_iter().rfind(|(commit, _)| *commit < own) else { return Ok(Memory::new()) };
    let memory = parse(&path)?;
    Ok(memory.into_iter().filter(|(_, worker)| worker.model == *model).collect())
}

/// Keeps what this run learned, as of its commit.
///
/// # Errors
/// [`Error::Io`] when the disk refuses.
pub fn write(store: &Store, commit: u64, memory: &Memory) -> Result<()> {
    let folder = folder(store);
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    write_file(&folder.join(format!("{commit:012}.workers")), memory)?;
    let files = files(store)?;
    for (_, old) in &files[..files.len().saturating_sub(NIGHTS_KEPT)] {
        fs::remove_file(old).map_err(Error::io("remove", old))?;
    }
    Ok(())
}

/// Erases every face that may be a member's: those of selfies from which a worker could not be told yet. Workers whose
/// face is known keep it.
///
/// # Errors
/// [`Error::Input`] when a file is damaged, [`Error::Io`] when the disk refuses.
pub fn erase_unresolved(store: &Store) -> Result<()> {
    for (_, path) in files(store)? {
        let mut memory = parse(&path)?;
        memory.retain(|_, worker| worker.template().is_some());
        memory.values_mut().for_each(WorkerMemory::forget_unresolved);
        write_file(&path, &memory)?;
    }
    Ok(())
}

fn write_file(path: &Path, memory: &Memory) -> Result<()> {
    let body = postcard::to_stdvec(memory).map_err(|e| Error::bug("keeping the workers' faces", e))?;
    write_durably(path, &[MAGIC.as_slice(), &Sha256::digest(&body), &body].concat())
}

fn parse(path: &Path) -> Result<Memory> {
    let refuse = |found: &str| {
        let fix = "restore the file from a backup, or remove it: the workers are then learned anew";
        Error::input(path, "workers' faces", "a whole file as this version writes it", found, fix)
    };
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| refuse("another kind of file, or a later version"))?;
    let (digest, body) = rest.split_at_checked(32).ok_or_else(|| refuse("a file that is cut short"))?;
    if Sha256::digest(body).as_slice() != digest {
        return Err(refuse("other bytes than were written"));
    }
    postcard::from_bytes(body).map_err(|e| refuse(&e.to_string()))
}

/// The files by the commit they are named after, ascending.
fn files(store: &Store) -> Result<Vec<(u64, PathBuf)>> {
    let folder = folder(store);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", &folder)(e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("list", &folder))?.path();
        let is_ours = path.extension().is_some_and(|extension| extension == "workers");
        if let (true, Some(Ok(commit))) = (is_ours, path.file_stem().and_then(|s| s.to_str()).map(str::parse)) {
            files.push((commit, path));
        }
    }
    files.sort();
    Ok(files)
}

fn folder(store: &Store) -> PathBuf {
    store.path().join("workers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_audited_again_knows_the_workers_of_the_night_before_it() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(temp.path().join("store")).unwrap();
        let model = ModelId("m".into());
        assert!(read(Some(&store), "run 1", &model).unwrap().is_empty());
        let first = store.begin().unwrap().add_run("run 1", &[]).unwrap().commit;
        write(&store, first, &Memory::new()).unwrap();
        let path = files(&store).unwrap()[0].1.clone();
        // The first run was there before this file; a second run reads it, whole or not at all.
        fs::write(&path, [MAGIC.as_slice(), &[0; 40]].concat()).unwrap();
        assert!(read(Some(&store), "run 1", &model).unwrap().is_empty());
        assert!(matches!(read(Some(&store), "run 2", &model), Err(Error::Input { .. })));
        fs::write(&path, "chehra workers 9").unwrap();
        assert!(read(Some(&store), "run 2", &model).unwrap_err().to_string().contains("later version"));
    }
}
