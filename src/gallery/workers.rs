//! Workers' faces from night to night.
//!
//! Each night leaves one file, named by the manifest like a segment, in the commit that adds the night's members. It holds
//! the face of each known worker, and the faces of selfies from which a worker could not be told yet: some of those are
//! members', so forgetting a submission writes every file anew without that submission's faces, in the same commit. A
//! night that is audited again reads what stood there before it, so that it gives the same answers; some old files are
//! kept for that.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::failpoint;
use super::files::Pending;
use super::known_workers::KnownWorkers;
use super::layout::{WORKERS, folder_of_version_1};
use super::manifest::{Manifest, Other, WorkersFile, segment_file};
use super::member::hex;
use super::store::{Store, Writer};
use crate::infer::ModelId;
use crate::roles::{UnresolvedSelfie, WorkerMemoryV1};
use crate::{Error, Result};

/// Nights that can be audited again with the workers as they were known then.
const NIGHTS_KEPT: usize = 30;

/// What a file begins with: kind and version.
const MAGIC: &[u8; 16] = b"chehra workers 2";
/// Version 1: in a folder of its own, named by the commit, with a hash of its own, and without submission ids.
const MAGIC_OF_VERSION_1: &[u8; 16] = b"chehra workers 1";

impl WorkersFile {
    pub(super) fn path(&self, store: &Path) -> PathBuf {
        segment_file(store, self.id, WORKERS)
    }

    /// Reads it whole.
    ///
    /// # Errors
    /// [`Error::Input`] when it is missing or not as it was written.
    pub(super) fn read(&self, store: &Path) -> Result<KnownWorkers> {
        let path = self.path(store);
        let refuse = |expected: &str, found: String| {
            let fix = "restore the file from a backup; until then run without --store, or with a store of its own";
            Error::input(&path, "workers' faces", expected, found, fix)
        };
        let bytes = fs::read(&path).map_err(|e| refuse("a file", e.to_string()))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != self.sha256 {
            return Err(refuse(&self.sha256, found));
        }
        let body = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| refuse("workers of version 2", "another kind of file, or a later version".into()))?;
        postcard::from_bytes(body).map_err(|e| refuse("workers of version 2", e.to_string()))
    }
}

/// Drops what `erased` submissions left; says of which of them there was anything. Faces of which no submission is known
/// (version 1) may be anybody's, so they go whenever anybody is erased.
fn drop_erased(known: &mut KnownWorkers, erased: &HashSet<&str>) -> (HashSet<String>, bool) {
    if erased.is_empty() {
        return Default::default();
    }
    let is_gone = |selfie: &UnresolvedSelfie| selfie.submission_id.as_deref().is_none_or(|id| erased.contains(id));
    let mut found = HashSet::new();
    let mut changed = false;
    for worker in known.values_mut() {
        found.extend(worker.unresolved().iter().filter(|s| is_gone(s)).filter_map(|s| s.submission_id.clone()));
        changed |= worker.drop_selfies(&is_gone);
    }
    known.retain(|_, worker| !worker.is_empty());
    (found, changed)
}

impl Store {
    /// The workers as earlier nights left them; for a run that was added before, as they were known before it. Those of
    /// other models are of no use and left out.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is damaged or of a later version.
    pub fn workers(&self, as_seen_by: Option<&str>, model: &ModelId) -> Result<KnownWorkers> {
        let mut manifest = self.manifest()?;
        loop {
            match known_workers(self.path(), &manifest, as_seen_by, model) {
                Ok(known) => return Ok(known),
                Err(error) => manifest = self.newer_than(&manifest, error)?,
            }
        }
    }
}

fn known_workers(store: &Path, manifest: &Manifest, as_seen_by: Option<&str>, model: &ModelId) -> Result<KnownWorkers> {
    let before = as_seen_by.and_then(|key| manifest.run(key)).map_or(u64::MAX, |run| run.commit);
    let known = if manifest.version < 3 {
        let last = files_of_version_1(store)?.into_iter().rfind(|(commit, _)| *commit < before);
        last.map(|(_, path)| read_version_1(&path)).transpose()?
    } else {
        manifest.workers.iter().rfind(|file| file.commit < before).map(|file| file.read(store)).transpose()?
    };
    Ok(known.unwrap_or_default().into_iter().filter(|(_, worker)| worker.model == *model).collect())
}

impl Writer<'_> {
    /// As [`Store::workers`], of the state that this writer changes.
    ///
    /// # Errors
    /// As [`Store::workers`].
    pub fn workers(&self, as_seen_by: Option<&str>, model: &ModelId) -> Result<KnownWorkers> {
        known_workers(self.store.path(), &self.manifest, as_seen_by, model)
    }

    /// Writes a file of workers without what was erased, and names it in `next`. Nothing sees it before `next` is
    /// committed.
    pub(super) fn write_workers(&self, next: &mut Manifest, commit: u64, mut known: KnownWorkers) -> Result<()> {
        drop_erased(&mut known, &next.erased());
        self.write_workers_file(next, commit, &known)?;
        let old = next.workers.len().saturating_sub(NIGHTS_KEPT);
        next.workers.drain(..old);
        Ok(())
    }

    fn write_workers_file(&self, next: &mut Manifest, commit: u64, known: &KnownWorkers) -> Result<()> {
        let id = next.next_segment;
        next.next_segment += 1;
        let path = segment_file(self.store.path(), id, WORKERS);
        let body = postcard::to_stdvec(known).map_err(|e| Error::bug("keeping the workers' faces", e))?;
        let mut pending = Pending::create(&path)?;
        pending.write_all(MAGIC).and_then(|()| pending.write_all(&body)).map_err(Error::io("write", &path))?;
        let written = pending.commit()?;
        failpoint::reach("workers-written");
        let (workers, bytes, sha256) = (known.len() as u64, written.bytes, written.sha256);
        next.workers.push(WorkersFile { id, commit, workers, bytes, sha256, other: Other::new() });
        Ok(())
    }

    /// Writes anew, without these submissions, the files that hold any of their faces, or faces of unknown submissions;
    /// gives the ids that were found and the numbers of the files that are no more.
    pub(super) fn forget_in_workers(
        &self,
        next: &mut Manifest,
        submission_ids: &HashSet<&str>,
    ) -> Result<(HashSet<String>, Vec<u64>)> {
        let (mut found, mut replaced) = (HashSet::new(), Vec::new());
        for file in std::mem::take(&mut next.workers) {
            let mut known = file.read(self.store.path())?;
            let (ids, changed) = drop_erased(&mut known, submission_ids);
            if !changed {
                next.workers.push(file);
                continue;
            }
            found.extend(ids);
            replaced.push(file.id);
            self.write_workers_file(next, file.commit, &known)?;
        }
        Ok((found, replaced))
    }

    /// Takes over the workers of a store of version 1 or 2, less the faces that a receipt may name.
    pub(super) fn migrate(&mut self) -> Result<()> {
        if self.manifest.version >= 3 {
            return Ok(());
        }
        let mut next = self.manifest.clone();
        next.version = super::manifest::VERSION;
        next.commit += 1;
        for (commit, path) in files_of_version_1(self.store.path())? {
            self.write_workers(&mut next, commit, read_version_1(&path)?)?;
        }
        log::info!("{}: brought to version {}", self.store.path().display(), next.version);
        self.commit(next)
    }
}

/// The files of version 1 and 2 by the commit they are named after, ascending.
pub(super) fn files_of_version_1(store: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let folder = folder_of_version_1(store);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", &folder)(e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("list", &folder))?.path();
        let is_ours = path.extension().is_some_and(|extension| extension == WORKERS);
        if let (true, Some(Ok(commit))) = (is_ours, path.file_stem().and_then(|s| s.to_str()).map(str::parse)) {
            files.push((commit, path));
        }
    }
    files.sort();
    Ok(files)
}

pub(super) fn read_version_1(path: &Path) -> Result<KnownWorkers> {
    let refuse = |found: &str| {
        let fix = "restore the file from a backup, or remove it: the workers are then learned anew";
        Error::input(path, "workers' faces", "a whole file of version 1", found, fix)
    };
    let bytes = fs::read(path).map_err(|e| refuse(&e.to_string()))?;
    let rest =
        bytes.strip_prefix(MAGIC_OF_VERSION_1).ok_or_else(|| refuse("another kind of file, or a later version"))?;
    let (digest, body) = rest.split_at_checked(32).ok_or_else(|| refuse("a file that is cut short"))?;
    if Sha256::digest(body).as_slice() != digest {
        return Err(refuse("other bytes than were written"));
    }
    let old: BTreeMap<String, WorkerMemoryV1> = postcard::from_bytes(body).map_err(|e| refuse(&e.to_string()))?;
    Ok(old.into_iter().map(|(id, worker)| (id, worker.into())).collect())
}
