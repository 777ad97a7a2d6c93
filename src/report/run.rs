//! `run.json`, as far as a report needs it, and the run folders of earlier nights.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::Summary;
use crate::dump::FilePrint;
use crate::{Error, Result};

/// Earlier nights beyond this many say little about tonight.
const MOST_EARLIER: usize = 30;

/// What `run.json` says. What another version left out is empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// The run's name.
    pub run_id: String,
    /// The dump and the embedder: the same for every audit of one dump.
    pub store_key: String,
    /// Version of `chehra`.
    pub version: String,
    /// Files of the dump.
    pub inputs: Vec<FilePrint>,
    /// Rows of the dump.
    pub rows: u64,
    /// When the dump was first read, microseconds since 1970-01-01T00:00:00Z.
    pub read_at: i64,
    /// Networks by role.
    pub models: BTreeMap<String, String>,
    /// Where they ran.
    pub device: String,
    /// The policy, as far as this version need not know it.
    pub policy: Value,
    /// What stands behind the matches.
    pub matching: Option<Matching>,
    /// The review queue.
    pub review: Option<Review>,
    /// Members of the store before this night.
    pub members_of_earlier_nights: u64,
    /// Members enrolled tonight.
    pub members_enrolled_tonight: u64,
    /// Decisions of reviewers that were given, as the run recorded them.
    pub decisions: Value,
    /// Tables of members' answers that were given, as the run recorded them.
    pub responses: Value,
    /// The counts.
    pub summary: Option<Summary>,
}

/// What stands behind the matches.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Matching {
    /// Members in the gallery.
    pub gallery_size: u64,
    /// Cosine at which a pair is flagged.
    pub review_similarity: Option<f64>,
    /// False pairs expected among the flagged.
    pub expected_false_pairs: Option<f64>,
    /// Its upper 95 % bound.
    pub expected_false_pairs_upper: Option<f64>,
    /// What the numbers are counted with.
    pub impostors: Impostors,
}

/// The curve behind the numbers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Impostors {
    /// Why the run's own scores were not used, though there were enough.
    pub poor_fit: Option<String>,
}

/// The review queue.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Review {
    /// Persons in it.
    pub persons: u64,
    /// Share of them expected to be false.
    pub expected_false_share: f64,
    /// Persons beyond the budget.
    pub left_out: u64,
}

/// A run folder by name.
#[derive(Debug, Clone)]
pub struct Run {
    /// Name of the folder.
    pub name: String,
    /// Where its tables are.
    pub path: PathBuf,
    /// Its record.
    pub record: RunRecord,
}

impl Run {
    /// Reads the record of a run whose tables lie in `tables` and which is called as `out`.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no `run.json`, or none of an audit.
    pub fn open(tables: &Path, out: &Path) -> Result<Run> {
        let path = tables.join("run.json");
        let fix = "name a run folder of `chehra audit`";
        let refuse = |found: String| Error::input(&path, "record of the run", "run.json of an audit", found, fix);
        let bytes = fs::read(&path).map_err(|e| refuse(e.to_string()))?;
        let record: RunRecord = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
        if record.summary.is_none() {
            return Err(refuse("a record without a summary".into()));
        }
        let name = out.file_name().or(tables.file_name()).unwrap_or_default().to_string_lossy().into_owned();
        Ok(Run { name, path: tables.to_path_buf(), record })
    }

    /// Its counts.
    pub fn summary(&self) -> Summary {
        self.record.summary.clone().unwrap_or_default()
    }
}

/// The nights before `run`, oldest first: those named, else the run folders in `beside`. An audit of the same dump is no
/// earlier night; of several audits of one dump the last counts.
///
/// # Errors
/// [`Error::Input`] for a named folder that is no run folder; among those beside it, such folders are passed over.
pub fn earlier_nights(run: &Run, named: &[PathBuf], beside: Option<&Path>) -> Result<Vec<Run>> {
    let candidates = match (named, beside) {
        ([], Some(folder)) => folders(folder).iter().filter_map(|path| Run::open(path, path).ok()).collect(),
        (named, _) => named.iter().map(|path| Run::open(path, path)).collect::<Result<Vec<Run>>>()?,
    };
    let is_earlier = |other: &Run| {
        other.record.store_key != run.record.store_key
            && (!named.is_empty() || other.record.read_at <= run.record.read_at)
    };
    let mut nights: BTreeMap<String, Run> = BTreeMap::new();
    let mut candidates: Vec<Run> = candidates.into_iter().filter(is_earlier).collect();
    candidates.sort_by(|x, y| (x.record.read_at, &x.name).cmp(&(y.record.read_at, &y.name)));
    for candidate in candidates {
        nights.insert(candidate.record.store_key.clone(), candidate);
    }
    let mut nights: Vec<Run> = nights.into_values().collect();
    nights.sort_by(|x, y| (x.record.read_at, &x.name).cmp(&(y.record.read_at, &y.name)));
    Ok(nights.split_off(nights.len().saturating_sub(MOST_EARLIER)))
}

/// Folders in a folder, without the hidden ones of unfinished runs.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let hidden = |path: &Path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    entries.flatten().map(|e| e.path()).filter(|p| !hidden(p) && p.join("run.json").is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn night(folder: &Path, name: &str, key: &str, read_at: i64) -> Run {
        let path = folder.join(name);
        fs::create_dir_all(&path).unwrap();
        let record = serde_json::json!({"store_key": key, "read_at": read_at, "summary": Summary::default()});
        fs::write(path.join("run.json"), record.to_string()).unwrap();
        Run::open(&path, &path).unwrap()
    }

    #[test]
    fn nights_before_this_one_count_once_each() {
        let temp = tempfile::tempdir().unwrap();
        let tonight = night(temp.path(), "c", "dump-c", 30);
        night(temp.path(), "c-again", "dump-c", 31);
        night(temp.path(), "b", "dump-b", 20);
        night(temp.path(), "b-other-policy", "dump-b", 21);
        night(temp.path(), "a", "dump-a", 10);
        night(temp.path(), "d", "dump-d", 40);
        night(temp.path(), ".e.partial", "dump-e", 5);
        fs::create_dir(temp.path().join("no-run")).unwrap();
        let found = earlier_nights(&tonight, &[], Some(temp.path())).unwrap();
        assert_eq!(found.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["a", "b-other-policy"]);
        let named = earlier_nights(&tonight, &[temp.path().join("d")], Some(temp.path())).unwrap();
        assert_eq!(named[0].name, "d", "what is named is taken");
        assert!(earlier_nights(&tonight, &[temp.path().join("no-run")], None).is_err());
    }
}
