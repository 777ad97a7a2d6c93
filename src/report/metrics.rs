//! How a nightly job goes, for Prometheus: a text file that node-exporter's textfile collector reads.
//!
//! The file is written whole at the beginning, after each stage, now and then while pictures are seen, and at the end. What it
//! says of the last good night stays until the next one, also while a night runs and after one that failed. A file that
//! cannot be written costs no night: it is said once in the log.
//!
//! Format: Prometheus text-based exposition format 0.0.4. Every value is a gauge and has the label `store`, so that the
//! jobs of several stores can have a file each on one machine.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::Summary;
use crate::exit::Exit;
use crate::gallery::Store;
use crate::objects::InputFile;
use crate::output::{self, Kept, write_durably_for_all};
use crate::reason::{Reason, Verdict};
use crate::{Error, Result};

/// How often the count of seen selfies is written.
const EVERY: Duration = Duration::from_secs(15);
/// What every file of metrics begins with.
const FIRST_WORDS: &str = "# HELP chehra_";

/// Which values stay from night to night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stays {
    /// No: it is of the audit under way, or of the one that ended.
    No,
    /// Until the next audit ends, however it ends.
    UntilTheEnd,
    /// Until the next good night.
    UntilTheNextGoodNight,
}

/// Every metric: name, meaning, and how long its values stay.
const FAMILIES: &[(&str, &str, Stays)] = {
    use Stays::{No, UntilTheEnd, UntilTheNextGoodNight};
    &[
        ("chehra_audit_running", "1 while an audit is under way, else 0", No),
        ("chehra_audit_started_timestamp_seconds", "When the audit under way, or the last one, began", No),
        ("chehra_audit_updated_timestamp_seconds", "When this file was written", No),
        ("chehra_audit_stage_seconds", "Seconds that each finished stage took, of this audit", No),
        ("chehra_audit_selfies_seen", "Selfies seen so far, of this audit", No),
        ("chehra_audit_selfies_expected", "Selfies of the dump, of this audit", No),
        ("chehra_audit_exit_code", "Exit code of the last audit that ended; 0 is good", UntilTheEnd),
        ("chehra_audit_ended_timestamp_seconds", "When the last audit ended, well or not", UntilTheEnd),
        ("chehra_audit_last_success_timestamp_seconds", "When the last good night ended", UntilTheNextGoodNight),
        ("chehra_audit_rows", "Rows by verdict, of the last good night", UntilTheNextGoodNight),
        (
            "chehra_audit_reasons",
            "Rows by reason, of the last good night; a row may have several",
            UntilTheNextGoodNight,
        ),
        ("chehra_audit_duplicate_pairs", "Flagged pairs of memberships, of the last good night", UntilTheNextGoodNight),
        ("chehra_audit_persons_enrolled_twice", "Persons with two or more memberships", UntilTheNextGoodNight),
        ("chehra_audit_persons_across_districts", "Of these, persons of several districts", UntilTheNextGoodNight),
        ("chehra_audit_review_queue_persons", "Persons who wait for a reviewer", UntilTheNextGoodNight),
        ("chehra_audit_column_warnings", "Warnings about whole columns of the dump", UntilTheNextGoodNight),
        ("chehra_store_members", "Members in the store", UntilTheEnd),
        ("chehra_store_bytes", "Bytes of all files of the store", UntilTheEnd),
    ]
};

/// The metrics of one audit.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    store: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Lines of each metric, without its name.
    lines: BTreeMap<&'static str, Vec<String>>,
    seen: u64,
    written: Option<Instant>,
    has_failed: bool,
}

impl Metrics {
    /// Begins: reads what an earlier audit left in the file, and says that one is under way.
    ///
    /// # Errors
    /// [`Error::Usage`] and [`Error::Input`] where the file would replace one that is none of ours, or lie in a store or in
    /// the run folder `out`.
    pub fn begin(path: &Path, store: Option<&Path>, out: &Path) -> Result<Metrics> {
        let is_own = |path: &Path| std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(FIRST_WORDS));
        output::check_file(
            "--metrics",
            path,
            &[Kept::whole("the run folder", out)],
            "metrics of an earlier audit",
            is_own,
        )?;
        if path.extension().is_none_or(|ending| ending != "prom") {
            log::warn!("--metrics {}: node-exporter reads only files whose names end in .prom", path.display());
        }
        let metrics =
            Metrics { path: path.to_path_buf(), store: store.map(Path::to_path_buf), state: Mutex::default() };
        {
            let mut state = metrics.state();
            state.lines = metrics.kept(&std::fs::read_to_string(path).unwrap_or_default());
            metrics.set(&mut state, "chehra_audit_running", 1.0);
            metrics.set(&mut state, "chehra_audit_started_timestamp_seconds", now());
            metrics.write(&mut state);
        }
        Ok(metrics)
    }

    /// A stage has ended.
    pub fn stage(&self, stage: &str, seconds: f64) {
        let mut state = self.state();
        let line = self.line(&format!(",stage=\"{}\"", escaped(stage)), seconds);
        state.lines.entry("chehra_audit_stage_seconds").or_default().push(line);
        self.write(&mut state);
    }

    /// So many of the dump's selfies were seen by an earlier attempt.
    pub fn expect(&self, expected: u64, seen: u64) {
        let mut state = self.state();
        state.seen = seen;
        self.set(&mut state, "chehra_audit_selfies_expected", expected as f64);
        self.set(&mut state, "chehra_audit_selfies_seen", seen as f64);
        self.write(&mut state);
    }

    /// More selfies have been seen.
    pub fn seen(&self, count: u64) {
        let mut state = self.state();
        state.seen += count;
        let seen = state.seen as f64;
        self.set(&mut state, "chehra_audit_selfies_seen", seen);
        if state.written.is_none_or(|at| at.elapsed() >= EVERY) {
            self.write(&mut state);
        }
    }

    /// The audit has ended. `run_json` is its record, if it has come so far.
    pub fn end(&self, run_json: Option<&Path>, exit: Exit) {
        let mut state = self.state();
        self.set(&mut state, "chehra_audit_running", 0.0);
        self.set(&mut state, "chehra_audit_exit_code", f64::from(exit as u8));
        self.set(&mut state, "chehra_audit_ended_timestamp_seconds", now());
        if let Some(record) = run_json.and_then(Record::read) {
            self.good_night(&mut state, &record);
        }
        self.store_size(&mut state);
        self.write(&mut state);
    }

    fn good_night(&self, state: &mut State, record: &Record) {
        let summary = &record.summary;
        let verdicts = Verdict::ALL.iter().map(|verdict| {
            let count = summary.verdicts.get(verdict).copied().unwrap_or(0);
            self.line(&format!(",verdict=\"{}\"", verdict.code()), count as f64)
        });
        state.lines.insert("chehra_audit_rows", verdicts.collect());
        let reasons = Reason::ALL.iter().map(|reason| {
            let count = summary.reasons.get(reason).copied().unwrap_or(0);
            self.line(&format!(",reason=\"{}\"", reason.code()), count as f64)
        });
        state.lines.insert("chehra_audit_reasons", reasons.collect());
        self.set(state, "chehra_audit_last_success_timestamp_seconds", now());
        self.set(state, "chehra_audit_duplicate_pairs", summary.pairs as f64);
        self.set(state, "chehra_audit_persons_enrolled_twice", summary.clusters as f64);
        self.set(state, "chehra_audit_persons_across_districts", summary.cross_district_clusters as f64);
        self.set(state, "chehra_audit_review_queue_persons", record.review.persons as f64);
        self.set(state, "chehra_audit_column_warnings", summary.warnings.len() as f64);
    }

    fn store_size(&self, state: &mut State) {
        let Some(path) = self.store.as_deref().filter(|path| path.is_dir()) else { return };
        if let Ok(stats) = Store::open(path).and_then(|store| store.stats()) {
            self.set(state, "chehra_store_members", stats.live as f64);
        }
        self.set(state, "chehra_store_bytes", bytes_of(path) as f64);
    }

    fn set(&self, state: &mut State, name: &'static str, value: f64) {
        state.lines.insert(name, vec![self.line("", value)]);
    }

    /// Labels and value of a sample.
    fn line(&self, more: &str, value: f64) -> String {
        format!("{{{}{more}}} {value}", self.label())
    }

    fn label(&self) -> String {
        let store = self.store.as_ref().map(|path| output::resolved(path).display().to_string()).unwrap_or_default();
        format!("store=\"{}\"", escaped(&store))
    }

    /// What stays of an earlier file: whole samples of this store, of metrics that this version knows.
    fn kept(&self, text: &str) -> BTreeMap<&'static str, Vec<String>> {
        let label = format!("{{{}", self.label());
        let mut lines: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for (name, sample) in text.lines().filter_map(|line| Some(line.split_at(line.find('{')?))) {
            let family = FAMILIES.iter().find(|(known, _, stays)| *known == name && *stays != Stays::No);
            let is_number = sample.rsplit_once("} ").is_some_and(|(_, value)| value.parse::<f64>().is_ok());
            if let (Some((name, ..)), true, true) = (family, sample.starts_with(&label), is_number) {
                lines.entry(name).or_default().push(sample.to_owned());
            }
        }
        lines
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, state: &mut State) {
        self.set(state, "chehra_audit_updated_timestamp_seconds", now());
        state.written = Some(Instant::now());
        match write_durably_for_all(&self.path, text(&state.lines).as_bytes()) {
            Err(error) if !std::mem::replace(&mut state.has_failed, true) => {
                log::error!("no metrics: {error}; the audit goes on without them");
            }
            _ => {}
        }
    }
}

/// What metrics need of `run.json`.
#[derive(Debug, Deserialize)]
struct Record {
    summary: Summary,
    review: Queue,
}

#[derive(Debug, Deserialize)]
struct Queue {
    persons: u64,
}

impl Record {
    fn read(path: &Path) -> Option<Record> {
        let whole = || {
            let mut bytes = Vec::new();
            InputFile::open(path)?.reader(0)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let read = whole().map_err(Error::io("read", path));
        let record =
            read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| Error::bug("reading run.json", e)));
        record.map_err(|error| log::error!("no metrics of the night: {error}")).ok()
    }
}

/// The whole file.
fn text(lines: &BTreeMap<&'static str, Vec<String>>) -> String {
    let mut text = String::new();
    for (name, help, _) in FAMILIES {
        let Some(lines) = lines.get(name) else { continue };
        text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        lines.iter().for_each(|line| text += &format!("{name}{line}\n"));
    }
    text
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Seconds since 1970-01-01T00:00:00Z.
fn now() -> f64 {
    jiff::Timestamp::now().as_millisecond() as f64 / 1000.0
}

/// Bytes of all files of a folder; of what cannot be read, none.
fn bytes_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(there) if there.is_dir() => bytes_of(&entry.path()),
        Ok(there) => there.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(file: &Path, store: Option<&Path>) -> Result<Metrics> {
        Metrics::begin(file, store, Path::new("/nowhere/out"))
    }

    #[test]
    fn what_a_night_left_stays_through_a_failed_one_and_of_this_store_alone() {
        let temp = tempfile::tempdir().unwrap();
        let (file, run) = (temp.path().join("a.prom"), temp.path().join("run.json"));
        let store = temp.path().join("odd \"store\"");
        std::fs::create_dir(&store).unwrap();
        std::fs::write(
            &run,
            r#"{"summary": {"rows": 7, "verdicts": {"accept": 7}, "reasons": {}, "pairs": 3, "clusters": 1,
            "cross_district_clusters": 0}, "review": {"persons": 5}}"#,
        )
        .unwrap();
        let first = begin(&file, Some(&store)).unwrap();
        first.stage("see", 1.5);
        first.end(Some(&run), Exit::Done);
        begin(&file, Some(&store)).unwrap().end(None, Exit::TryAgain);
        let text = std::fs::read_to_string(&file).unwrap();
        let has = |name: &str, value: &str| {
            let ends =
                |line: &str| line.starts_with(name) && line.ends_with(value) && line.contains("odd \\\"store\\\"");
            text.lines().any(ends)
        };
        assert!(has("chehra_audit_exit_code{", "} 75") && has("chehra_audit_running{", "} 0"), "{text}");
        assert!(has("chehra_audit_rows{", "verdict=\"accept\"} 7"), "{text}");
        assert!(has("chehra_audit_review_queue_persons{", "} 5"), "{text}");
        assert!(!text.contains("chehra_audit_stage_seconds"), "of the audit before: {text}");
        // Another store's job does not speak for this one.
        begin(&file, None).unwrap().end(None, Exit::Input);
        assert!(!std::fs::read_to_string(&file).unwrap().contains("last_success"));
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone_and_one_that_cannot_be_written_costs_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("other.prom");
        std::fs::write(&file, "# HELP node_x y\n").unwrap();
        assert!(begin(&file, None).unwrap_err().to_string().contains("another file"));
        let nowhere = begin(&temp.path().join("no/a.prom"), None).unwrap();
        nowhere.seen(1);
        nowhere.end(None, Exit::Done);
        assert!(nowhere.state().has_failed);
    }
}
