//! What a store holds, and whether every byte of it is as it was written.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::derived::{CODES, GRAPH, Kind, MASTERS, Source};
use super::known_workers::KnownWorkers;
use super::leftovers::leftovers;
use super::manifest::{Manifest, Receipt, Run, Segment, segment_file};
use super::notes::{self, Place};
use super::outside;
use super::segment::SegmentReader;
use super::spool;
use super::store::Store;
use super::workers;
use crate::roles::WorkerMemory;
use crate::{Error, Result};

/// What a store holds.
#[derive(Debug, Clone, Serialize)]
pub struct Stats {
    /// Number of the last commit.
    pub commit: u64,
    /// Rows that searches find.
    pub live: u64,
    /// Forgotten rows that a segment still holds.
    pub dead: u64,
    /// Runs that added rows.
    pub runs: Vec<Run>,
    /// Live segments.
    pub segments: Vec<SegmentStats>,
    /// What was forgotten.
    pub forgotten: Vec<Receipt>,
}

/// What a segment holds.
#[derive(Debug, Clone, Serialize)]
pub struct SegmentStats {
    /// Its number: the name of its files.
    pub id: u64,
    /// Rows in the file.
    pub rows: u64,
    /// Rows of them that are forgotten.
    pub dead: u64,
    /// Values per template.
    pub dim: usize,
    /// The network that made the templates.
    pub model: String,
    /// Bytes of the Parquet file.
    pub bytes: u64,
    /// Bytes of codes, masters and graph; 0 for what is not there.
    pub derived_bytes: [u64; 3],
    /// What of the Parquet file is wrong at first sight: missing, or of another length.
    pub problem: Option<String>,
}

/// What reading every byte found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verification {
    /// Segments read.
    pub segments: usize,
    /// Rows read.
    pub rows: u64,
    /// Files of pictures read.
    pub pictures: usize,
    /// Files of workers' faces read.
    pub workers: usize,
    /// Receipts held against everything that was read.
    pub receipts: usize,
    /// Spools of runs that have not ended.
    pub spools: Vec<PathBuf>,
    /// What is damaged or missing and must come back from a backup, and receipts that say more than is true.
    pub damaged: Vec<String>,
    /// Derived files and copies of receipts that are missing, stale or damaged: they are made anew when next used, or at
    /// once by [`Store::repair`].
    pub rebuildable: Vec<String>,
    /// Files of killed processes that nothing names. The next command that writes the store removes them.
    pub leftovers: Vec<PathBuf>,
}

impl Verification {
    /// Whether no member is in danger.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty()
    }
}

impl Store {
    /// Counts what the store holds, from its manifest and the sizes of its files.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn stats(&self) -> Result<Stats> {
        let manifest = self.manifest()?;
        let length = |id, kind: Kind| fs::metadata(segment_file(self.path(), id, kind.ending)).map_or(0, |m| m.len());
        let segments: Vec<SegmentStats> = manifest
            .segments
            .iter()
            .map(|s| SegmentStats {
                id: s.id,
                rows: s.rows,
                dead: s.tombstones.len() as u64,
                dim: s.dim,
                model: s.model.clone(),
                bytes: s.bytes,
                derived_bytes: [CODES, MASTERS, GRAPH].map(|kind| length(s.id, kind)),
                problem: match fs::metadata(s.path(self.path())) {
                    Ok(found) if found.len() == s.bytes => None,
                    Ok(found) => Some(format!("{} bytes long instead of {}", found.len(), s.bytes)),
                    Err(error) => Some(error.to_string()),
                },
            })
            .collect();
        let dead = segments.iter().map(|s| s.dead).sum();
        let live = segments.iter().map(|s| s.rows).sum::<u64>() - dead;
        let (commit, runs, forgotten) = (manifest.commit, manifest.runs, manifest.forgotten);
        Ok(Stats { commit, live, dead, runs, segments, forgotten })
    }

    /// Reads every byte of every live file. Damage is in the answer; only an unreadable manifest is an error.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn verify(&self) -> Result<Verification> {
        self.verify_with(&mut |_| ())
    }

    /// As [`Store::verify`], telling after each segment how many rows it has.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn verify_with(&self, progress: &mut dyn FnMut(u64)) -> Result<Verification> {
        let manifest = self.manifest()?;
        let mut found = Verification { receipts: manifest.forgotten.len(), ..Verification::default() };
        let mut ids = Remains::of(&manifest);
        for segment in &manifest.segments {
            match self.verify_segment(segment, &mut ids) {
                Ok(rebuildable) => {
                    found.rows += segment.rows;
                    found.rebuildable.extend(rebuildable);
                }
                // What the system refuses to read is not known to be damaged.
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => found.damaged.push(error.to_string()),
            }
            found.segments += 1;
            progress(segment.rows);
        }
        for file in &manifest.pictures {
            match file.read(self.path()) {
                Ok(night) => night.pictures.iter().for_each(|p| ids.meet(&p.submission_id, file.commit, file.id)),
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => found.damaged.push(error.to_string()),
            }
            found.pictures += 1;
        }
        self.verify_workers(&manifest, &mut ids, &mut found)?;
        if let Some(file) = &manifest.answers {
            match file.read(self.path()) {
                Ok(kept) => kept.iter().for_each(|answer| ids.meet_erased(&answer.submission_id, file.id)),
                Err(error) => found.damaged.push(error.to_string()),
            }
        }
        found.rebuildable.extend(manifest.curves.iter().filter_map(|file| file.read(self.path()).err()));
        if let Err(error) = self.verify_outside(&ids, &mut found) {
            found.damaged.push(error.to_string());
        }
        found.damaged.extend(ids.untrue);
        found.rebuildable.extend(self.stale_receipts(&manifest)?);
        found.leftovers.extend(leftovers(self.path(), &manifest)?);
        Ok(found)
    }

    fn verify_workers(&self, manifest: &Manifest, ids: &mut Remains, found: &mut Verification) -> Result<()> {
        let mut files: Vec<(u64, Result<KnownWorkers>)> =
            manifest.workers.iter().map(|file| (file.id, file.read(self.path()))).collect();
        if manifest.version < 3 {
            let old = workers::files_of_version_1(self.path())?;
            files.extend(old.into_iter().map(|(commit, path)| (commit, workers::read_version_1(&path))));
        }
        for (number, known) in files {
            found.workers += 1;
            match known {
                Ok(known) => {
                    let selfies = known.values().flat_map(WorkerMemory::unresolved);
                    // These carry no commit: none of an erased submission may be there at all.
                    selfies.filter_map(|s| s.submission_id.as_deref()).for_each(|id| ids.meet_erased(id, number));
                }
                Err(error) => found.damaged.push(error.to_string()),
            }
        }
        Ok(())
    }

    fn verify_outside(&self, ids: &Remains, found: &mut Verification) -> Result<()> {
        for (file, note) in notes::notes(self.path())?.into_iter().filter(|(_, note)| note.path.exists()) {
            if note.place == Place::Spool {
                for id in spool::holds(&note.path, &ids.settled())? {
                    found.damaged.push(untrue(&id, &note.path.display().to_string()));
                }
                found.spools.push(note.path);
            } else if note.place == Place::Seen {
                match spool::holds_seen(&note.path, &ids.settled()) {
                    Ok(held) => {
                        let path = note.path.display().to_string();
                        found.damaged.extend(held.iter().map(|id| untrue(id, &path)));
                    }
                    Err(error) => found.damaged.push(error.to_string()),
                }
            } else if !notes::is_held(&file)? {
                found.leftovers.push(note.path);
            }
        }
        Ok(())
    }

    /// Copies of receipts that are missing or say something else than the manifest.
    fn stale_receipts(&self, manifest: &Manifest) -> Result<Vec<String>> {
        let mut stale = Vec::new();
        for receipt in &manifest.forgotten {
            let path = self.receipt_path(receipt);
            if !fs::read(&path).is_ok_and(|known| known == receipt.text().unwrap_or_default().as_bytes()) {
                stale.push(format!("{}: not what the manifest says", path.display()));
            }
        }
        Ok(stale)
    }

    /// Whether everything that an audit needs of the store at its end is as it was written: hashes and versions of
    /// segments, pictures and workers. Faster than [`Store::verify`], for nothing is derived.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for the first file that is damaged, missing or of a later version.
    pub fn check(&self) -> Result<()> {
        let mut manifest = self.manifest()?;
        loop {
            match self.check_all(&manifest) {
                Ok(()) => return Ok(()),
                Err(error) => manifest = self.newer_than(&manifest, error)?,
            }
        }
    }

    fn check_all(&self, manifest: &Manifest) -> Result<()> {
        manifest.segments.iter().try_for_each(|segment| SegmentReader::new(self.path(), segment).check())?;
        manifest.pictures.iter().try_for_each(|file| file.read(self.path()).map(drop))?;
        manifest.workers.iter().try_for_each(|file| file.read(self.path()).map(drop))?;
        manifest.answers.iter().try_for_each(|file| file.read(self.path()).map(drop))?;
        if manifest.version < 3 {
            let old = workers::files_of_version_1(self.path())?;
            old.iter().try_for_each(|(_, path)| workers::read_version_1(path).map(drop))?;
        }
        notes::notes(self.path()).map(drop)
    }

    /// Checks one segment, and says what is wrong with its derived files.
    fn verify_segment(&self, segment: &Segment, ids: &mut Remains) -> Result<Vec<String>> {
        let reader = SegmentReader::new(self.path(), segment);
        let facts = reader.facts()?;
        for row in 0..facts.len() {
            if segment.tombstones.binary_search(&(row as u32)).is_err() {
                ids.meet(facts.submission_id(row), facts.commit(row), segment.id);
            } else {
                ids.meet_dead(facts.submission_id(row), facts.commit(row), segment.id);
            }
        }
        let (codes, masters) = reader.derive()?;
        let source = Source { dim: segment.dim, rows: segment.rows as usize, sha256: &segment.sha256 };
        let expected = [(CODES, Some(codes.bytes())), (MASTERS, Some(masters.bytes())), (GRAPH, None)];
        let mut problems = Vec::new();
        for (kind, expected) in expected {
            let path = segment_file(self.path(), segment.id, kind.ending);
            if expected.is_none() && !path.exists() {
                continue; // a graph is made when first asked for
            }
            let problem = match kind.open(&path, source, true) {
                Ok(bytes) if expected.is_some_and(|e| e != bytes.get()) => {
                    Some("not what its segment gives".to_owned())
                }
                Ok(_) => None,
                Err(problem) => Some(problem),
            };
            problems.extend(problem.map(|p| format!("{}: {p}", path.display())));
        }
        Ok(problems)
    }

    /// Removes the derived files that [`Store::verify`] would call rebuildable and builds codes and masters anew, sweeps
    /// what killed processes left, and writes copies of receipts anew.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when a segment itself is damaged.
    pub fn repair(&self) -> Result<()> {
        drop(self.begin()?);
        let manifest = self.manifest()?;
        for segment in &manifest.segments {
            if !self.verify_segment(segment, &mut Remains::of(&manifest))?.is_empty() {
                for kind in [CODES, MASTERS, GRAPH] {
                    // What cannot be removed is found damaged again and kept out of memory.
                    let _ = fs::remove_file(segment_file(self.path(), segment.id, kind.ending));
                }
                self.forget_part(segment.id);
                self.part(segment)?;
            }
        }
        Ok(())
    }
}

/// Looks for what should be gone: submissions that receipts name, in files older than the receipt.
struct Remains {
    /// By submission: the commit of its last receipt, and whether that says that it is erased.
    receipts: HashMap<String, (u64, bool)>,
    /// Submissions that may not be anywhere.
    erased: HashSet<String>,
    untrue: Vec<String>,
}

impl Remains {
    fn of(manifest: &Manifest) -> Remains {
        let mut receipts = HashMap::new();
        for receipt in &manifest.forgotten {
            let state = (receipt.commit, receipt.erased_commit.is_some());
            receipts.extend(receipt.submission_ids.iter().map(|id| (id.clone(), state)));
        }
        Remains { receipts, erased: outside::owned(manifest.erased()), untrue: Vec::new() }
    }

    /// The submissions that receipts say are erased.
    fn settled(&self) -> HashSet<&str> {
        let settled = self.receipts.iter().filter(|(id, (_, erased))| *erased && self.erased.contains(*id));
        settled.map(|(id, _)| id.as_str()).collect()
    }

    /// A submission of this commit that searches find.
    fn meet(&mut self, id: &str, commit: u64, file: u64) {
        if self.receipts.get(id).is_some_and(|&(receipt, _)| commit < receipt) {
            self.untrue.push(untrue(id, &format!("file {file:08}")));
        }
    }

    /// A tombstoned submission of this commit.
    fn meet_dead(&mut self, id: &str, commit: u64, file: u64) {
        if self.receipts.get(id).is_some_and(|&(receipt, erased)| erased && commit < receipt) {
            self.untrue.push(untrue(id, &format!("file {file:08}")));
        }
    }

    fn meet_erased(&mut self, id: &str, file: u64) {
        if self.erased.contains(id) {
            self.untrue.push(untrue(id, &format!("file {file:08}")));
        }
    }
}

fn untrue(id: &str, place: &str) -> String {
    format!("{place}: has {id}, of which a receipt says that it is gone; forget it again, and tell us: this is a bug")
}
