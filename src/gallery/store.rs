//! A store: a folder of segments that one manifest names.
//!
//! ```text
//! store/MANIFEST               what is in the store; replacing it is the only commit
//! store/LOCK                   held by the one process that writes
//! store/NIGHT                  held by the one audit that runs
//! store/segments/00000001.parquet     templates and facts: the record
//! store/segments/00000002.pictures    what is kept of the night's selfies
//! store/segments/00000001.codes       derived: what a scan reads        )
//! store/segments/00000001.masters     derived: what decides             ) rebuilt when missing, stale or damaged
//! store/segments/00000001.graph       derived: HNSW, on first use       )
//! store/receipts/00000007.json        what commit 7 forgot; a copy of what the manifest says
//! ```
//! Readers need no lock: a commit changes nothing that an older manifest names until the next writer sweeps, and a
//! reader whose file was swept meanwhile reads the newer manifest.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::derived::{CODES, Codes, GRAPH, MASTERS, Masters, Source, write_both};
use super::dot::Kernel;
use super::failpoint;
use super::files::{TEMPORARY, create_private_folder, sync_folder};
use super::hnsw::{self, Graph};
use super::manifest::{self, Manifest, Run, Segment, now, segment_file, segments_folder};
use super::member::Member;
use super::pictures::{self, NightPictures};
use super::segment::{MAX_ROWS, SegmentReader, SegmentWriter};
use super::view::{Gallery, Part, by_model};
use crate::infer::{ModelId, Template};
use crate::{Error, Result};

/// Name of the lock file.
const LOCK: &str = "LOCK";

/// Name of the lock file that an audit holds from before it reads the store until it has added its members.
const NIGHT: &str = "NIGHT";

/// Where a segment's files lie.
#[derive(Debug, Clone)]
pub(super) struct SegmentFiles {
    store: PathBuf,
    segment: Segment,
}

impl SegmentFiles {
    pub(super) fn path(&self, ending: &str) -> PathBuf {
        segment_file(&self.store, self.segment.id, ending)
    }

    fn source(&self) -> Source<'_> {
        Source { dim: self.segment.dim, rows: self.segment.rows as usize, sha256: &self.segment.sha256 }
    }

    /// Makes the file of masters anew from the segment; in memory if the folder cannot be written.
    pub(super) fn masters_anew(&self) -> Result<Masters> {
        let (_, masters) = SegmentReader::new(&self.store, &self.segment).derive()?;
        let path = self.path(MASTERS.ending);
        if let Err(error) = MASTERS.write(&path, self.source(), &[masters.bytes()]) {
            log::warn!("masters stay in memory: {error}");
            return Ok(masters);
        }
        Ok(Masters::open(&path, self.source()).unwrap_or(masters))
    }
}

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
            let _lock = lock_for_writing(path)?;
            if Manifest::read(path)?.is_none() {
                Manifest { next_segment: 1, ..Manifest::default() }.write(path)?;
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

    /// Takes the lock for writing and sweeps what an earlier writer left behind when it was killed.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process writes; [`Error::Input`] when the manifest is damaged.
    pub fn begin(&self) -> Result<Writer<'_>> {
        let lock = lock_for_writing(&self.path)?;
        let manifest = self.manifest()?;
        let folder = segments_folder(&self.path);
        create_private_folder(&folder)?;
        let mut writer = Writer { store: self, manifest, _lock: lock };
        writer.sweep()?;
        writer.settle_receipts()?;
        writer.write_receipts()?;
        Ok(writer)
    }

    /// Keeps other audits off this store until the file is dropped: of two that overlap neither would see the members of
    /// the other. Whoever forgets members or compacts is not kept waiting by it.
    ///
    /// # Errors
    /// [`Error::Busy`] when another audit runs.
    pub fn begin_night(&self) -> Result<File> {
        let fix = "start this one again when the other has ended; it then sees the other's members";
        lock(self.path.join(NIGHT), "another audit runs on this store", fix)
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
                Err(error) => {
                    // A writer may have replaced segments meanwhile; then the newer manifest names others.
                    let newer = self.manifest()?;
                    if newer.commit == manifest.commit {
                        return Err(error);
                    }
                    manifest = newer;
                }
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
                if let Err(error) = write_both([&codes, &masters], source, &built.0, &built.1) {
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

impl Part {
    /// The graph of this part: in memory, else from its file, else built and written.
    pub(super) fn graph(&self, kernel: Kernel) -> Result<Arc<Graph>> {
        if let Some(graph) = self.graph.get() {
            return Ok(graph.clone());
        }
        let graph = Arc::new(self.load_graph(kernel)?);
        Ok(self.graph.get_or_init(|| graph).clone())
    }

    /// Whether a graph is in memory or lies ready beside the segment.
    pub(super) fn has_graph(&self) -> bool {
        self.graph.get().is_some() || self.files.as_ref().is_some_and(|f| f.path(GRAPH.ending).exists())
    }

    fn load_graph(&self, kernel: Kernel) -> Result<Graph> {
        let Some(files) = &self.files else {
            return Graph::from_bytes(super::derived::Bytes::Owned(hnsw::build(&self.codes, kernel)));
        };
        let path = files.path(GRAPH.ending);
        let source = files.source();
        match GRAPH.open(&path, source, true) {
            Ok(bytes) => Graph::from_bytes(bytes),
            Err(problem) => {
                log::info!("{}: {problem}; building it from its segment", path.display());
                let payload = hnsw::build(&self.codes, kernel);
                if let Err(error) = GRAPH.write(&path, source, &[&payload]) {
                    log::warn!("the graph stays in memory: {error}");
                }
                match GRAPH.open(&path, source, false) {
                    Ok(bytes) => Graph::from_bytes(bytes),
                    Err(_) => Graph::from_bytes(super::derived::Bytes::Owned(payload)),
                }
            }
        }
    }
}

fn ends_in_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == TEMPORARY)
}

fn lock_for_writing(store: &Path) -> Result<File> {
    let fix = "wait until it ends and run the command again; reading needs no lock";
    lock(store.join(LOCK), "another process writes this store", fix)
}

/// Takes a lock for as long as the file lives; the system lets go of it when the process ends, however.
fn lock(path: PathBuf, held: &str, fix: &str) -> Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {
            // For the message of whoever comes second; nothing depends on it.
            let _ = file.set_len(0).and_then(|()| file.rewind());
            let _ = writeln!(file, "process {} since {}", std::process::id(), now());
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = format!("{held} ({})", holder.trim());
            Err(Error::Busy { path, holder, fix: fix.to_owned() })
        }
        Err(TryLockError::Error(e)) => Err(Error::io("lock", &path)(e)),
    }
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
}

/// The one process that may write a store, until it is dropped.
#[derive(Debug)]
pub struct Writer<'a> {
    pub(super) store: &'a Store,
    pub(super) manifest: Manifest,
    _lock: File,
}

impl Writer<'_> {
    /// Adds the rows of one run, all or none of them. A run that was added before adds nothing.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses; the store is then as it was.
    pub fn add_run(&mut self, run_key: &str, rows: &[(Member, Template)]) -> Result<Commit> {
        self.add_night(run_key, rows, &NightPictures::empty(ModelId(String::new())))
    }

    /// Adds the rows of one run and what is kept of its pictures, in one commit.
    ///
    /// # Errors
    /// As [`Writer::add_run`].
    pub fn add_night(
        &mut self,
        run_key: &str,
        rows: &[(Member, Template)],
        pictures: &NightPictures,
    ) -> Result<Commit> {
        if let Some(run) = self.manifest.run(run_key) {
            return Ok(Commit { commit: run.commit, added: 0, repeated: true });
        }
        let mut next = self.manifest.clone();
        next.commit += 1;
        let (commit, added) = (next.commit, rows.len() as u64);
        for (model, dim, rows) in by_model(rows)? {
            self.check_dim(&model, dim)?;
            for rows in rows.chunks(MAX_ROWS) {
                let expected = rows.len();
                let rows = rows.iter().map(|(member, template)| Ok((member.as_row(run_key, commit), template.clone())));
                self.write_segment(&mut next, (&model, dim, expected), rows)?;
            }
        }
        if !pictures.pictures.is_empty() {
            self.write_pictures(&mut next, commit, pictures)?;
        }
        next.runs.push(Run { key: run_key.to_owned(), commit, rows: added, at: now() });
        self.commit(next)?;
        Ok(Commit { commit, added, repeated: false })
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

    /// Whether a file is what a killed writer left, or of a segment that is no more. Other people's files are not.
    fn is_leftover(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut words = name.split('.');
        let (stem, ending) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let ours = ["parquet", pictures::ENDING, CODES.ending, MASTERS.ending, GRAPH.ending].contains(&ending);
        match stem.parse::<u64>() {
            Ok(id) if ours => ends_in_temporary(path) || !self.manifest.is_live(id),
            _ => stem == manifest::NAME && ends_in_temporary(path),
        }
    }

    /// Removes the files that no manifest names.
    pub(super) fn sweep(&self) -> Result<()> {
        let folder = segments_folder(&self.store.path);
        let mut removed = false;
        for folder in [&folder, &self.store.path] {
            for entry in fs::read_dir(folder).map_err(Error::io("read the folder", folder))? {
                let path = entry.map_err(Error::io("read the folder", folder))?.path();
                if self.is_leftover(&path) {
                    fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                    removed = true;
                    failpoint::reach("swept-one");
                }
            }
        }
        if removed {
            sync_folder(&folder)?;
        }
        let mut parts = self.store.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.retain(|&id, _| self.manifest.is_live(id));
        Ok(())
    }
}
