//! A store: a folder of segments that one manifest names.
//!
//! ```text
//! store/MANIFEST               what is in the store; replacing it is the only commit
//! store/LOCK                   held by the one process that writes
//! store/NIGHT                  held by the one audit that runs
//! store/segments/00000001.parquet     templates and facts: the record
//! store/segments/00000002.pictures    what is kept of the night's selfies
//! store/segments/00000003.workers     workers' faces as they were known after the night
//! store/segments/00000005.answers     what members answered
//! store/segments/00000004.curve       how similar different people were when the night was judged
//! store/segments/00000001.codes       derived: what a scan reads        )
//! store/segments/00000001.masters     derived: what decides             ) rebuilt when missing, stale or damaged
//! store/segments/00000001.graph       derived: HNSW, on first use       )
//! store/receipts/00000007.json        what commit 7 forgot; a copy of what the manifest says
//! store/outside/spool-1234.json       where a spool or an unfinished export lies, which hold templates too
//! ```
//! Readers need no lock: a commit changes nothing that an older manifest names until the next writer sweeps, and a
//! reader whose file was swept meanwhile reads the newer manifest.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::derived::{CODES, Codes, MASTERS, Masters, Source, write_both};
use super::failpoint;
use super::files::{create_private_folder, ends_in_temporary, sync_folder};
use super::known_workers::KnownWorkers;
use super::layout::folder_of_version_1;
use super::leftovers::leftovers;
use super::manifest::{Manifest, Other, Renewal, Run, Segment, now, segment_file, segments_folder};
use super::member::Member;
use super::night_pictures::NightPictures;
use super::place::SegmentFiles;
use super::segment::{MAX_ROWS, SegmentReader, SegmentWriter};
use super::view::{Gallery, Part, by_model};

use crate::infer::{ModelId, Template};
use crate::lock::FileLock;
use crate::{Error, Result};

/// Name of the lock file.
const LOCK: &str = "LOCK";

/// Name of the lock file that an audit holds from before it reads the store until it has added its members.
const NIGHT: &str = "NIGHT";

/// How long an audit waits for another writer.
const PATIENCE: Duration = Duration::from_secs(600);

/// An open store. Reading takes no lock; [`Store::begin`] takes the one for writing.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// Parts already opened, by segment number.
    parts: Mutex<HashMap<u64, Arc<Part>>>,
}

impl Store {
    /// Opens a store that exists.
    ///
    /// # Errors
    /// [`Error::Input`] when there is none at `path`, or its manifest is damaged, foreign or of a later version.
    pub fn open(path: impl AsRef<Path>) -> Result<Store> {
        let path = path.as_ref();
        if Manifest::read(path)?.is_none() {
            let found = if path.exists() { "a folder or file without a MANIFEST" } else { "nothing" };
            let fix =
                "name the folder that 'chehra audit --store' wrote; if its MANIFEST was lost, restore it from a backup";
            return Err(Error::input(path, "store", "a folder with a MANIFEST", found, fix));
        }
        Ok(Store { path: path.to_owned(), parts: Mutex::default() })
    }

    /// Opens a store, or makes an empty one where there is nothing or an empty folder.
    ///
    /// # Errors
    /// As [`Store::open`], and [`Error::Io`] when the folder cannot be made.
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Store> {
        let path = path.as_ref();
        let empty = match fs::read_dir(path) {
            // A LOCK alone is the trace of a process that ended while it made the store.
            Ok(entries) => entries.flatten().all(|e| e.file_name() == LOCK || ends_in_temporary(&e.path())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
            Err(e) => return Err(Error::io("read the folder", path)(e)),
        };
        if empty {
            create_private_folder(path)?;
            let _lock = lock_for_writing(path, Duration::ZERO)?;
            if Manifest::read(path)?.is_none() {
                Manifest::empty().write(path)?;
                let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                sync_folder(parent)?;
            }
        }
        Store::open(path)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock for writing, brings an older store to this version, and sweeps what an earlier writer left behind
    /// when it was killed.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process writes; [`Error::Input`] when the manifest is damaged.
    pub fn begin(&self) -> Result<Writer<'_>> {
        self.writer(lock_for_writing(&self.path, Duration::ZERO)?)
    }

    /// As [`Store::begin`], but waits for another writer to end, ten minutes at most: an audit must not fail at its end
    /// because somebody is just being erased.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub fn begin_in_turn(&self) -> Result<Writer<'_>> {
        self.writer(lock_for_writing(&self.path, PATIENCE)?)
    }

    fn writer(&self, lock: FileLock) -> Result<Writer<'_>> {
        let manifest = self.manifest()?;
        create_private_folder(&segments_folder(&self.path))?;
        let mut writer = Writer { store: self, manifest, _lock: lock };
        writer.migrate()?;
        writer.sweep()?;
        self.sweep_exports()?;
        writer.settle_receipts()?;
        writer.write_receipts()?;
        Ok(writer)
    }

    /// Keeps other audits off this store until the lock is dropped: of two that overlap neither would see the members of
    /// the other. Whoever forgets members or compacts is not kept waiting by it.
    ///
    /// # Errors
    /// [`Error::Busy`] when another audit runs.
    pub fn begin_night(&self) -> Result<FileLock> {
        let fix = "start this one again when the other has ended; it then sees the other's members";
        FileLock::take(&self.path.join(NIGHT), "another audit runs on this store", fix)
    }

    /// The rows of the store: all live ones, or, for a run that has added its rows before, those that stood there when
    /// it did, so that auditing one dump twice gives the same answers. Forgotten rows are in no view.
    ///
    /// # Errors
    /// [`Error::Input`] when a file of the store is damaged; never a view with fewer rows.
    pub fn view(&self, as_seen_by: Option<&str>) -> Result<Gallery> {
        let mut manifest = self.manifest()?;
        loop {
            match self.view_of(&manifest, as_seen_by) {
                Ok(gallery) => return Ok(gallery),
                Err(error) => manifest = self.newer_than(&manifest, error)?,
            }
        }
    }

    fn view_of(&self, manifest: &Manifest, as_seen_by: Option<&str>) -> Result<Gallery> {
        let before = as_seen_by.and_then(|key| manifest.run(key)).map_or(u64::MAX, |run| run.commit);
        let mut gallery = Gallery::default();
        for segment in &manifest.segments {
            let part = self.part(segment)?;
            let dead = &segment.tombstones;
            let facts = &part.facts;
            gallery.add(part.clone(), |row| facts.commit(row) >= before || dead.binary_search(&(row as u32)).is_ok());
        }
        Ok(gallery)
    }

    /// Runs that added rows, oldest first.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn runs(&self) -> Result<Vec<Run>> {
        Ok(self.manifest()?.runs)
    }

    pub(super) fn manifest(&self) -> Result<Manifest> {
        Manifest::read(&self.path)?
            .ok_or_else(|| Error::input(&self.path, "store", "a MANIFEST", "none", "restore the store from a backup"))
    }

    /// The manifest that a writer has put in the place of this one meanwhile: it names other files. Where there is none,
    /// the error that reading this one's files gave.
    pub(super) fn newer_than(&self, manifest: &Manifest, error: Error) -> Result<Manifest> {
        let newer = self.manifest()?;
        if newer.commit == manifest.commit { Err(error) } else { Ok(newer) }
    }

    /// Opens a segment, or returns the one that was opened before.
    pub(super) fn part(&self, segment: &Segment) -> Result<Arc<Part>> {
        let parts = || self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts().get(&segment.id) {
            return Ok(part.clone());
        }
        let part = Arc::new(self.open_part(segment)?);
        parts().insert(segment.id, part.clone());
        Ok(part)
    }

    /// Lets go of an opened segment, so that it is opened anew.
    pub(super) fn forget_part(&self, id: u64) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn open_part(&self, segment: &Segment) -> Result<Part> {
        let files = SegmentFiles { store: self.path.clone(), segment: segment.clone() };
        let reader = SegmentReader::new(&self.path, segment);
        let facts = reader.facts()?;
        let (codes, masters) = self.open_derived(&files, &reader, files.source())?;
        let model = ModelId(segment.model.clone());
        let (rescued, graph) = (OnceLock::new(), OnceLock::new());
        Ok(Part { model, facts, codes, masters, rescued, graph, files: Some(files) })
    }

    fn open_derived(
        &self,
        files: &SegmentFiles,
        reader: &SegmentReader<'_>,
        source: Source<'_>,
    ) -> Result<(Codes, Masters)> {
        let (codes, masters) = (files.path(CODES.ending), files.path(MASTERS.ending));
        match (Codes::open(&codes, source), Masters::open(&masters, source)) {
            (Ok(codes), Ok(masters)) => Ok((codes, masters)),
            (first, second) => {
                for (path, problem) in [(&codes, first.err()), (&masters, second.err())] {
                    if let Some(problem) = problem {
                        log::info!("{}: {problem}; building it from its segment", path.display());
                    }
                }
                let built = reader.derive()?;
                // A folder that cannot be written is no reason to answer nothing: then it stays in memory.
                let written = write_both([&codes, &masters], source, &built.0, &built.1);
                if let Err(error) = files.keep(&[&codes, &masters], written) {
                    log::warn!("derived files stay in memory: {error}");
                    return Ok(built);
                }
                match (Codes::open(&codes, source), Masters::open(&masters, source)) {
                    (Ok(codes), Ok(masters)) => Ok((codes, masters)),
                    _ => Ok(built),
                }
            }
        }
    }
}

fn lock_for_writing(store: &Path, patience: Duration) -> Result<FileLock> {
    let fix = "wait until it ends and run the command again; reading needs no lock";
    FileLock::wait(&store.join(LOCK), patience, "another process writes this store", fix)
}

/// What adding a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Number of the commit that holds the run's rows.
    pub commit: u64,
    /// Rows added now: 0 when the run had been added before.
    pub added: u64,
    /// Whether the run had been added before.
    pub repeated: bool,
    /// Rows left out, because their submissions were forgotten and their consent was not given anew.
    pub erased_before: u64,
    /// Rows of an import left out, because the store has the same submission, picture and model.
    pub known: u64,
}

/// What a run adds to a store, in one commit.
#[derive(Debug, Clone, Copy)]
pub struct Night<'a> {
    /// Its members.
    pub members: &'a [(Member, Template)],
    /// What is kept of its selfies.
    pub pictures: &'a NightPictures,
    /// The workers as they are known after it; `None` leaves them as they were.
    pub workers: Option<&'a KnownWorkers>,
    /// Submissions of it that were forgotten and whose consent was given anew.
    pub renewed: &'a HashSet<String>,
    /// The curve that it was judged with; `None` leaves the last one.
    pub curve: Option<Curve<'a>>,
}

/// The curve that a night was judged with.
#[derive(Debug, Clone, Copy)]
pub struct Curve<'a> {
    /// The network of the templates.
    pub model: &'a ModelId,
    /// The curve as [`crate::pairs`] writes it.
    pub bytes: &'a [u8],
}

/// The one process that may write a store, until it is dropped.
#[derive(Debug)]
pub struct Writer<'a> {
    pub(super) store: &'a Store,
    pub(super) manifest: Manifest,
    _lock: FileLock,
}

impl Writer<'_> {
    /// Adds the rows of one run, all or none of them. A run that was added before adds nothing.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses; the store is then as it was.
    pub fn add_run(&mut self, run_key: &str, rows: &[(Member, Template)]) -> Result<Commit> {
        let pictures = NightPictures::empty(ModelId(String::new()));
        let renewed = &HashSet::new();
        self.add_night(run_key, Night { members: rows, pictures: &pictures, workers: None, renewed, curve: None })
    }

    /// Adds a run with everything it leaves, in one commit, but for what receipts name: whoever was forgotten while the
    /// run was under way stays forgotten. A run that was added before adds only members whose consent was renewed.
    ///
    /// # Errors
    /// As [`Writer::add_run`].
    pub fn add_night(&mut self, run_key: &str, night: Night<'_>) -> Result<Commit> {
        let mut next = self.manifest.clone();
        next.commit += 1;
        let commit = next.commit;
        let renewed = renew(&mut next, night.renewed);
        let earlier = self.manifest.run(run_key).map(|run| run.commit);
        if let (Some(earlier), true) = (earlier, renewed.is_empty()) {
            return Ok(Commit { commit: earlier, added: 0, repeated: true, erased_before: 0, known: 0 });
        }
        let erased = next.erased();
        let stays = |id: &str| match earlier {
            Some(_) => renewed.contains(id),
            None => !erased.contains(id),
        };
        let members: Vec<&(Member, Template)> =
            night.members.iter().filter(|(member, _)| stays(&member.submission_id)).collect();
        let left_out =
            night.members.iter().filter(|(member, _)| erased.contains(member.submission_id.as_str())).count();
        let pictures = night.pictures.only(&stays);
        self.write_members(&mut next, run_key, &members)?;
        if !pictures.pictures.is_empty() {
            self.write_pictures(&mut next, commit, &pictures)?;
        }
        if earlier.is_none() {
            if let Some(workers) = night.workers {
                self.write_workers(&mut next, commit, workers.clone())?;
            }
            if let Some(Curve { model, bytes }) = night.curve {
                self.write_curve(&mut next, model, bytes)?;
            }
            next.runs.push(Run { key: run_key.to_owned(), commit, rows: members.len() as u64, at: now() });
        }
        self.commit(next)?;
        // Old files of workers are no longer named.
        self.sweep()?;
        let (added, repeated) = (members.len() as u64, earlier.is_some());
        Ok(Commit { commit, added, repeated, erased_before: left_out as u64, known: 0 })
    }

    /// Writes segments of these rows and names them in `next`.
    pub(super) fn write_members(
        &self,
        next: &mut Manifest,
        run_key: &str,
        members: &[&(Member, Template)],
    ) -> Result<()> {
        let commit = next.commit;
        for (model, dim, rows) in by_model(members.iter().copied())? {
            self.check_dim(&model, dim)?;
            for rows in rows.chunks(MAX_ROWS) {
                let expected = rows.len();
                let rows = rows.iter().map(|(member, template)| Ok((member.as_row(run_key, commit), template.clone())));
                self.write_segment(next, (&model, dim, expected), rows)?;
            }
        }
        Ok(())
    }

    /// A model has one dimension: templates of two lengths would never be compared, and nobody would notice.
    pub(super) fn check_dim(&self, model: &ModelId, dim: usize) -> Result<()> {
        match self.manifest.segments.iter().find(|s| s.model == model.0 && s.dim != dim) {
            Some(segment) => Err(Error::input(
                segment.path(&self.store.path),
                format!("model {}", model.0),
                format!("templates of {dim} values, as this run has"),
                format!("templates of {} values", segment.dim),
                "use the weights that made the store, or give the other ones another model name",
            )),
            None => Ok(()),
        }
    }

    /// Writes a segment and its derived files, and names it in `next`. Nothing sees it before `next` is committed.
    pub(super) fn write_segment<'r>(
        &self,
        next: &mut Manifest,
        (model, dim, expected): (&ModelId, usize, usize),
        rows: impl Iterator<Item = Result<(super::member::Row<'r>, Template)>>,
    ) -> Result<()> {
        let id = next.next_segment;
        next.next_segment += 1;
        let store = &self.store.path;
        let path = segment_file(store, id, "parquet");
        let mut writer = SegmentWriter::create(&path, model, dim, expected)?;
        for row in rows {
            let (row, template) = row?;
            writer.push(row, template)?;
        }
        let fresh = writer.finish()?;
        let segment = Segment {
            id,
            rows: fresh.facts.len() as u64,
            dim,
            model: model.0.clone(),
            bytes: fresh.written.bytes,
            sha256: fresh.written.sha256,
            footer_sha256: fresh.footer_sha256,
            facts_sha256: fresh.facts_sha256,
            tombstones: Vec::new(),
            other: Other::new(),
        };
        let source = Source { dim, rows: fresh.facts.len(), sha256: &segment.sha256 };
        let derived = [segment_file(store, id, CODES.ending), segment_file(store, id, MASTERS.ending)];
        write_both([&derived[0], &derived[1]], source, &fresh.codes, &fresh.masters)?;
        failpoint::reach("derived-written");
        next.segments.push(segment);
        Ok(())
    }

    /// Makes `next` the state of the store.
    pub(super) fn commit(&mut self, next: Manifest) -> Result<()> {
        sync_folder(&segments_folder(&self.store.path))?;
        failpoint::reach("before-commit");
        next.write(&self.store.path)?;
        self.manifest = next;
        failpoint::reach("after-commit");
        Ok(())
    }

    /// Removes the files that no manifest names.
    pub(super) fn sweep(&self) -> Result<()> {
        let leftovers = leftovers(&self.store.path, &self.manifest)?;
        for path in &leftovers {
            fs::remove_file(path).map_err(Error::io("remove", path))?;
            failpoint::reach("swept-one");
        }
        let mut folders: Vec<&Path> = leftovers.iter().filter_map(|path| path.parent()).collect();
        folders.dedup();
        folders.into_iter().try_for_each(sync_folder)?;
        let old = folder_of_version_1(&self.store.path);
        if old.exists() && fs::remove_dir(&old).is_err() {
            log::info!("{}: has files that are not chehra's", old.display());
        }
        let mut parts = self.store.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.retain(|&id, _| self.manifest.is_live(id));
        Ok(())
    }
}

/// Takes down whose consent was given anew, of those who were forgotten; gives them.
pub(super) fn renew(next: &mut Manifest, consented: &HashSet<String>) -> HashSet<String> {
    let erased = next.erased();
    let renewed: HashSet<String> = consented.iter().filter(|id| erased.contains(id.as_str())).cloned().collect();
    if !renewed.is_empty() {
        let mut submission_ids: Vec<String> = renewed.iter().cloned().collect();
        submission_ids.sort();
        next.renewed.push(Renewal { at: now(), commit: next.commit, submission_ids });
    }
    renewed
}
