//! Finished batches of analyses on disk, so that a stopped run goes on where it was.
//!
//! Each batch is one file: written under another name, flushed, renamed. A batch file carries the SHA-256 of its own
//! bytes, and the folder carries the key of the run: what was read, with which models, limits and version. Batches of
//! another run are thrown away, a damaged one is computed anew.
//!
//! A spool holds templates of people of whom the store knows nothing yet. The store has a note of where it lies
//! ([`super::notes`]), so that a submission that is forgotten is erased from it as well: its row stays and says
//! `erased_before`.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::failpoint;
use super::files::{Pending, TEMPORARY, create_private_folder, remove_if_there, sync_folder};
use super::notes::{Noted, Place, note};
use super::store::Store;
use crate::infer::Analysis;
use crate::reason::{Reason, Reject};
use crate::seen;
use crate::{Error, Result};

/// Changes when [`Analysis`] is written differently.
const VERSION: u32 = 8;
/// Name of the file with the run's key.
const KEY: &str = "key";
/// Ending of the batches.
const ENDING: &str = "batch";

/// The batches of one run.
#[derive(Debug)]
pub struct Spool<'a> {
    folder: PathBuf,
    store: Option<&'a Store>,
    /// Submissions that were renewed for this run alone: they are no longer withheld.
    renewed: &'a HashSet<String>,
    batches: u64,
    begun: i64,
}

impl<'a> Spool<'a> {
    /// Opens the spool of the run with this key, keeping what an earlier attempt of the same run finished. The store, if
    /// any, takes note of it. Batches are written without what the store has forgotten, less `renewed`.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written.
    pub fn open(folder: &Path, key: &str, store: Option<&'a Store>, renewed: &'a HashSet<String>) -> Result<Self> {
        let mut spool = Spool { folder: folder.to_path_buf(), store, renewed, batches: 0, begun: 0 };
        let _lock = spool.lock()?;
        let key = format!("{VERSION} {key}");
        let key_file = folder.join(KEY);
        if fs::read_to_string(&key_file).ok().as_deref() != Some(&key) {
            if folder.exists() {
                fs::remove_dir_all(folder).map_err(Error::io("clear", folder))?;
            }
            create_private_folder(folder)?;
            write_durably(&key_file, key.as_bytes())?;
        }
        spool.begun = begun(&folder.join("begun"))?;
        let withheld = spool.withheld()?;
        // What was withheld by an earlier attempt and consents anew is seen after all.
        let is_due = |analysis: &Analysis| !is_erased(analysis) || is_among(analysis, &withheld);
        while load(&spool.path(spool.batches)).is_some_and(|batch| batch.iter().all(is_due)) {
            spool.batches += 1;
        }
        Ok(spool)
    }

    /// When the first attempt of this run began, microseconds since 1970-01-01T00:00:00Z.
    pub fn begun(&self) -> i64 {
        self.begun
    }

    /// Makes one more batch durable, having withheld in it what was forgotten meanwhile.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn push(&mut self, batch: &mut [Analysis]) -> Result<()> {
        let _lock = self.lock()?;
        withhold(batch, &self.withheld()?);
        write_batch(&self.path(self.batches), batch)?;
        self.batches += 1;
        Ok(())
    }

    /// All finished batches, in order.
    pub fn read(&self) -> impl Iterator<Item = Result<Vec<Analysis>>> + '_ {
        (0..self.batches).map(|number| {
            load(&self.path(number)).ok_or_else(|| {
                Error::input(
                    self.path(number),
                    "spooled batch",
                    "the bytes written a moment ago",
                    "other bytes, or none",
                    "check the disk, then run the same command again",
                )
            })
        })
    }

    /// Keeps who erases somebody from looking at the folder.
    fn lock(&self) -> Result<Option<Noted>> {
        self.store.map(|store| note(store.path(), Place::Spool, &self.folder)).transpose()
    }

    /// The submissions whose pictures this run must not look at, as of now.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn withheld(&self) -> Result<HashSet<String>> {
        let mut erased = self.store.map(Store::erased).transpose()?.unwrap_or_default();
        erased.retain(|id| !self.renewed.contains(id));
        Ok(erased)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.{ENDING}"))
    }
}

/// Takes the pictures of forgotten submissions, and where and with which phone they were made, out of their rows, which stay.
pub fn withhold(analyses: &mut [Analysis], erased: &HashSet<String>) {
    for analysis in analyses.iter_mut().filter(|analysis| is_among(analysis, erased)) {
        analysis.selfie = Err(Reject::new(
            Reason::ErasedBefore,
            "this submission was erased on request; it is taken again when its consent is given anew (--consent-renewed)",
        ));
        analysis.photo = None;
        let facts = &mut analysis.facts;
        (facts.place, facts.device_id, facts.app_version, facts.network) = (None, None, None, None);
    }
}

fn is_among(analysis: &Analysis, ids: &HashSet<String>) -> bool {
    analysis.facts.submission_id.as_ref().is_some_and(|id| ids.contains(id))
}

fn is_erased(analysis: &Analysis) -> bool {
    matches!(&analysis.selfie, Err(reject) if reject.reason == Reason::ErasedBefore)
}

/// Which of these submissions lie in a spool with what was seen of them.
pub(super) fn holds(folder: &Path, ids: &HashSet<&str>) -> Result<HashSet<String>> {
    let mut found = HashSet::new();
    for path in files(folder)?.into_iter().filter(|path| has_ending(path, ENDING)) {
        let seen = load(&path).unwrap_or_default().into_iter().filter(|analysis| !is_erased(analysis));
        found.extend(seen.filter_map(|a| a.facts.submission_id).filter(|id| ids.contains(id.as_str())));
    }
    Ok(found)
}

/// Erases submissions from a spool whose note is locked: their rows are written anew without anything seen, and batches
/// that cannot be read are removed, for a run would compute them anew.
pub(super) fn erase(folder: &Path, erased: &HashSet<&str>) -> Result<()> {
    let is_current = fs::read_to_string(folder.join(KEY)).is_ok_and(|key| key.starts_with(&format!("{VERSION} ")));
    let erased: HashSet<String> = erased.iter().map(|&id| id.to_owned()).collect();
    for path in files(folder)? {
        if has_ending(&path, TEMPORARY) {
            remove_if_there(&path)?;
        } else if has_ending(&path, ENDING) {
            let Some(mut batch) = load(&path).filter(|_| is_current) else {
                remove_if_there(&path)?;
                continue;
            };
            if batch.iter().any(|analysis| is_among(analysis, &erased) && !is_erased(analysis)) {
                withhold(&mut batch, &erased);
                write_batch(&path, &batch)?;
                failpoint::reach("spool-erased-one");
            }
        }
    }
    Ok(())
}

/// Which of these submissions a folder of what was seen has with their faces.
pub(super) fn holds_seen(folder: &Path, ids: &HashSet<&str>) -> Result<HashSet<String>> {
    let id = |analysis: &Analysis| analysis.facts.submission_id.clone();
    let is_meant =
        |analysis: &Analysis| !is_erased(analysis) && id(analysis).is_some_and(|id| ids.contains(id.as_str()));
    Ok(seen::holds(folder, &is_meant)?.iter().filter_map(id).collect())
}

/// Erases submissions from a folder of what was seen; says what could not be.
pub(super) fn erase_seen(folder: &Path, erased: &HashSet<String>) -> Result<Vec<String>> {
    seen::erase(folder, &mut |rows| {
        let is_due = rows.iter().any(|analysis| is_among(analysis, erased) && !is_erased(analysis));
        if is_due {
            withhold(rows, erased);
        }
        is_due
    })
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", folder)(e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.map_err(Error::io("list", folder))?.path());
    }
    files.sort();
    Ok(files)
}

fn write_batch(path: &Path, batch: &[Analysis]) -> Result<()> {
    let body = postcard::to_stdvec(batch).map_err(|e| Error::bug("spooling a batch", e))?;
    let mut bytes = Sha256::digest(&body).to_vec();
    bytes.extend(body);
    write_durably(path, &bytes)
}

fn load(path: &Path) -> Option<Vec<Analysis>> {
    let bytes = fs::read(path).ok()?;
    let (digest, body) = bytes.split_at_checked(32)?;
    (Sha256::digest(body).as_slice() == digest).then_some(())?;
    postcard::from_bytes(body).ok()
}

/// Writes a file that is whole or absent, whatever happens.
fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut pending = Pending::create(path)?;
    pending.write_all(bytes).map_err(Error::io("write", path))?;
    pending.commit()?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// The instant in a file, which is written with this one where there is none.
fn begun(path: &Path) -> Result<i64> {
    if let Some(begun) = fs::read_to_string(path).ok().and_then(|text| text.parse().ok()) {
        return Ok(begun);
    }
    let now = jiff::Timestamp::now().as_microsecond();
    write_durably(path, now.to_string().as_bytes())?;
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::RowFacts;
    use crate::reason::{Reason, Reject};

    fn analysis(row: u64) -> Analysis {
        let selfie = Err(Reject::new(Reason::UnreadableImage, "0 bytes"));
        Analysis { row, facts: RowFacts::default(), selfie, photo: None }
    }

    fn open(folder: &Path, key: &str) -> Spool<'static> {
        static NOBODY: std::sync::LazyLock<HashSet<String>> = std::sync::LazyLock::new(HashSet::new);
        Spool::open(folder, key, None, &NOBODY).unwrap()
    }

    #[test]
    fn a_second_attempt_finds_what_the_first_finished() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("spool");
        let mut spool = open(&folder, "run");
        spool.push(&mut [analysis(0), analysis(1)]).unwrap();
        spool.push(&mut [analysis(2)]).unwrap();
        let again = open(&folder, "run");
        assert_eq!(again.begun(), spool.begun());
        let rows: Vec<u64> = again.read().flat_map(|b| b.unwrap()).map(|a| a.row).collect();
        assert_eq!(rows, [0, 1, 2]);
    }

    #[test]
    fn a_damaged_batch_and_all_after_it_are_done_again() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("spool");
        let mut spool = open(&folder, "run");
        for row in 0..3 {
            spool.push(&mut [analysis(row)]).unwrap();
        }
        let path = spool.path(1);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(open(&folder, "run").batches, 1);
    }

    #[test]
    fn another_run_starts_afresh() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("spool");
        open(&folder, "run").push(&mut [analysis(0)]).unwrap();
        assert_eq!(open(&folder, "other").batches, 0);
    }

    #[test]
    fn what_is_forgotten_leaves_neither_picture_nor_place_nor_phone() {
        let row = |id: &str| Analysis {
            row: 0,
            facts: RowFacts {
                submission_id: Some(id.into()),
                place: crate::dump::Place::new(23.18, 75.78),
                device_id: Some("phone 7".into()),
                network: Some("4g".into()),
                ..RowFacts::default()
            },
            selfie: Err(Reject::new(Reason::UnreadableImage, "")),
            photo: None,
        };
        let mut rows = [row("a"), row("b")];
        withhold(&mut rows, &HashSet::from(["a".to_owned()]));
        assert!(is_erased(&rows[0]) && rows[1] == row("b"));
        let RowFacts { place, device_id, network, submission_id, .. } = &rows[0].facts;
        assert!(place.is_none() && device_id.is_none() && network.is_none() && submission_id.is_some());
    }
}
