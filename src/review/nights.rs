//! Pictures by submission: where a row lies in its dump, and where in its picture the faces are.
//!
//! A run folder says both, for its own night: `run.json` names the dump's files, and `verdicts.parquet` has the row and
//! the faces of every submission. Members of earlier nights are found through the run folders of those nights. A dump that
//! has moved is named with `--dump`; a file counts as the recorded one when name and size are the same.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::tables::{self, Face};
use crate::config::Columns;
use crate::config::policy::{LivenessPolicy, PhotoLimits, VerdictPolicy};
use crate::decisions::Side;
use crate::dump::{Dump, RowFacts, Submission};
use crate::matching::UNKNOWN_TIME;
use crate::{Error, Result};

/// What a run folder says about itself.
#[derive(Debug, Deserialize)]
struct Record {
    run_id: String,
    inputs: Vec<Input>,
    #[serde(default)]
    policy: serde_json::Value,
    #[serde(default)]
    workers: WorkersTable,
}

#[derive(Debug, Default, Deserialize)]
struct WorkersTable {
    #[serde(default)]
    table: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Input {
    path: PathBuf,
    size: u64,
}

/// One night: its run folder and, if it is at hand, its dump.
#[derive(Debug)]
pub struct Night {
    /// The run's name.
    pub run_id: String,
    /// Limits on its pictures.
    pub limits: PhotoLimits,
    /// What its reasons come to.
    pub verdicts: VerdictPolicy,
    /// Its limits of liveness.
    pub liveness: LivenessPolicy,
    /// Its table of workers, where it had one.
    pub workers: Option<PathBuf>,
    dump: std::result::Result<Dump, String>,
    rows: HashMap<String, Vec<Known>>,
}

/// A row of the verdict table.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its position in the dump.
    pub row: u64,
    /// Who sent it.
    pub worker: Option<String>,
    /// What was found in the selfie.
    pub faces: Vec<Face>,
}

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// No run folder of that night is at hand.
    Night,
    /// The files of the dump are not where the run found them.
    Dump,
    /// The row has no picture that can be decoded.
    Picture,
}

/// What is at hand of one membership.
#[derive(Debug)]
pub struct Found {
    /// The row of the dump.
    pub submission: Submission,
    /// Faces in its selfie.
    pub faces: Vec<Face>,
    /// Limits on its picture.
    pub limits: PhotoLimits,
}

/// The run's own night, then earlier ones.
#[derive(Debug)]
pub struct Nights(Vec<Night>);

impl Night {
    /// Opens a run folder, keeping the rows that `keep` wants by submission, faces and reasons.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder is not that of a finished run.
    pub fn open(
        run: &Path,
        at_hand: &[PathBuf],
        columns: &Columns,
        keep: &mut dyn FnMut(&str, &Known, &[String]) -> bool,
    ) -> Result<Night> {
        let record = record(run)?;
        let mut rows: HashMap<String, Vec<Known>> = HashMap::new();
        let columns_read = ["submission_id", "worker_id", "reasons", "faces", "row"];
        tables::read(&run.join("verdicts.parquet"), &columns_read, |batch| {
            let (ids, workers) = (batch.texts("submission_id")?, batch.texts("worker_id")?);
            let (reasons, faces, places) = (batch.lists("reasons")?, batch.faces("faces")?, batch.integers("row")?);
            let parts = ids.into_iter().zip(workers).zip(faces).zip(places).zip(reasons);
            for ((((id, worker), faces), row), reasons) in parts {
                let (Some(id), Ok(row)) = (id, u64::try_from(row)) else { continue };
                let known = Known { row, worker, faces };
                if keep(&id, &known, &reasons) {
                    rows.entry(id).or_default().push(known);
                }
            }
            Ok(())
        })?;
        // A run of another version may have other limits; what cannot be read keeps its default.
        let limits = serde_json::from_value(record.policy["photo"].clone()).unwrap_or_default();
        let verdicts = serde_json::from_value(record.policy["verdicts"].clone()).unwrap_or_default();
        Ok(Night {
            run_id: record.run_id,
            limits,
            verdicts,
            liveness: serde_json::from_value(record.policy["liveness"].clone()).unwrap_or_default(),
            workers: record.workers.table,
            dump: dump_of(&record.inputs, at_hand, columns),
            rows,
        })
    }

    /// What the reasons of a run's rows come to, as its policy says.
    ///
    /// # Errors
    /// As [`Night::open`].
    pub fn verdicts(run: &Path) -> Result<VerdictPolicy> {
        Ok(serde_json::from_value(record(run)?.policy["verdicts"].clone()).unwrap_or_default())
    }

    /// Why the dump cannot be read, if it cannot.
    pub fn without_dump(&self) -> Option<&str> {
        self.dump.as_ref().err().map(String::as_str)
    }

    /// The rows of a submission that were kept.
    pub fn rows(&self, submission: &str) -> &[Known] {
        self.rows.get(submission).map_or(&[], |rows| rows)
    }

    /// The membership of a row, as the dump has it.
    pub fn side(&self, row: u64) -> Option<Side> {
        let facts = self.read(row)?.facts;
        Some(Side {
            submission: facts.submission_id?,
            worker: facts.worker_id?,
            captured_at: facts.captured_at?,
            earlier_night: false,
        })
    }

    /// The submission at a position of the dump.
    ///
    /// # Errors
    /// Why it is not at hand.
    pub fn submission(&self, row: u64) -> std::result::Result<Submission, Missing> {
        self.read(row).ok_or(if self.dump.is_ok() { Missing::Picture } else { Missing::Dump })
    }

    /// The faces at a position of the dump, of a row that was kept.
    pub fn faces(&self, row: u64) -> Vec<Face> {
        let mut kept = self.rows.values().flatten();
        kept.find(|known| known.row == row).map(|known| known.faces.clone()).unwrap_or_default()
    }

    fn read(&self, row: u64) -> Option<Submission> {
        let dump = self.dump.as_ref().ok()?;
        dump.batches(1, usize::MAX, row).next()?.ok()?.into_iter().next().filter(|s| s.row == row)
    }
}

fn record(run: &Path) -> Result<Record> {
    let path = run.join("run.json");
    let refuse = |found: String| {
        Error::input(&path, "run", "the record of a finished run", found, "name a folder that `chehra audit` made")
    };
    let bytes = std::fs::read(&path).map_err(|e| refuse(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))
}

/// The dump's files, each where it was or under the same name and size among those at hand.
fn dump_of(inputs: &[Input], at_hand: &[PathBuf], columns: &Columns) -> std::result::Result<Dump, String> {
    let size = |path: &Path| std::fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len());
    let mut files = Vec::new();
    for input in inputs {
        let same = |path: &&PathBuf| path.file_name() == input.path.file_name() && size(path) == Some(input.size);
        match at_hand.iter().find(same) {
            Some(path) => files.push(path.clone()),
            None if at_hand.is_empty() && size(&input.path) == Some(input.size) => files.push(input.path.clone()),
            None => return Err(format!("{} ({} bytes)", input.path.display(), input.size)),
        }
    }
    let dump = Dump::open(&files, columns).map_err(|e| e.to_string())?;
    match dump.files().eq(files.iter().map(PathBuf::as_path)) {
        true => Ok(dump),
        false => Err("the files lie in folders that put them into another order".to_owned()),
    }
}

impl Nights {
    /// Puts nights together: the run's own first.
    pub fn new(nights: Vec<Night>) -> Self {
        Nights(nights)
    }

    /// The run's own night.
    pub fn own(&self) -> Option<&Night> {
        self.0.first()
    }

    /// How many nights have their dump at hand.
    pub fn with_dump(&self) -> usize {
        self.0.iter().filter(|night| night.dump.is_ok()).count()
    }

    /// Finds a submission of the run's own night: the first row with its id.
    pub fn find_own(&self, submission: &str) -> std::result::Result<Found, Missing> {
        let night = self.own().ok_or(Missing::Night)?;
        let known = night.rows(submission).first().ok_or(Missing::Night)?;
        let missing = if night.dump.is_ok() { Missing::Picture } else { Missing::Dump };
        let is_it = |found: &Submission| found.facts.submission_id.as_deref() == Some(submission);
        let submission = night.read(known.row).filter(is_it).ok_or(missing)?;
        Ok(Found { submission, faces: known.faces.clone(), limits: night.limits.clone() })
    }

    /// Finds a submission on any night, the run's own first, and says whether it is of an earlier one.
    pub fn find_anywhere(&self, submission: &str) -> std::result::Result<(Found, bool), Missing> {
        let mut missing = Missing::Night;
        for (at, night) in self.0.iter().enumerate() {
            let Some(known) = night.rows(submission).first() else { continue };
            match night.submission(known.row) {
                Ok(found) => {
                    let found = Found { submission: found, faces: known.faces.clone(), limits: night.limits.clone() };
                    return Ok((found, at > 0));
                }
                Err(why) => missing = why,
            }
        }
        Err(missing)
    }

    /// Why there is no picture of a membership, as far as that is known without a look at it.
    pub fn missing(&self, side: &Side) -> Option<Missing> {
        let is_own = |at: usize| (at == 0) != side.earlier_night;
        let mut nights =
            self.0.iter().enumerate().filter(|(at, night)| is_own(*at) && !night.rows(&side.submission).is_empty());
        match nights.next() {
            None => Some(Missing::Night),
            Some((_, night)) if night.dump.is_err() => Some(Missing::Dump),
            Some(_) => None,
        }
    }

    /// Finds a membership: its row and the faces in its picture.
    pub fn find(&self, side: &Side) -> std::result::Result<Found, Missing> {
        let mut missing = Missing::Night;
        let nights: Vec<&Night> = match side.earlier_night {
            true => self.0.iter().skip(1).collect(),
            false => self.0.iter().take(1).collect(),
        };
        for night in nights {
            let same_worker = |known: &&Known| known.worker.as_deref().is_none_or(|worker| worker == side.worker);
            for known in night.rows(&side.submission).iter().filter(same_worker) {
                missing = if night.dump.is_ok() { Missing::Picture } else { Missing::Dump };
                // An id may be there twice; the time tells which one is meant.
                if let Some(submission) = night.read(known.row).filter(|s| is_of(&s.facts, side)) {
                    return Ok(Found { submission, faces: known.faces.clone(), limits: night.limits.clone() });
                }
            }
        }
        Err(missing)
    }
}

fn is_of(facts: &RowFacts, side: &Side) -> bool {
    // A time that is not known, or that cannot be, tells nothing.
    let is_time = side.captured_at == UNKNOWN_TIME || facts.captured_at == Some(side.captured_at);
    facts.submission_id.as_deref() == Some(&side.submission) && is_time
}

/// The run folders beside a run: where the nights before it usually are.
pub fn beside(run: &Path) -> Vec<PathBuf> {
    let parent = run.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_run = |path: &PathBuf| path.join("run.json").is_file() && path.join("verdicts.parquet").is_file();
    let same = |path: &Path| path.canonicalize().ok() == run.canonicalize().ok();
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| is_run(path) && !same(path)).collect();
    found.sort();
    found
}

/// The submissions of memberships that came from earlier nights.
pub fn earlier_submissions<'a>(sides: impl Iterator<Item = &'a Side>) -> HashSet<String> {
    sides.filter(|side| side.earlier_night).map(|side| side.submission.clone()).collect()
}
