//! `run.json`: what was audited, with what, how, and what came out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::job::{Inputs, Job};
use super::night::Night;
use super::replies::ReplyCounts;
use super::reuse::ReuseCounts;
use super::see::{Seen, WorkerPhotos};
use crate::config::Policy;
use crate::dump::FilePrint;
use crate::gallery::{Commit, SearchReport, Store};
use crate::infer::clock::Spent;
use crate::infer::{Engine, JpegReport};
use crate::matching::MatchingStatistics;
use crate::matching::review::ReviewQueue;
use crate::memory::{self, Limit};
use crate::report::metrics::Metrics;
use crate::report::{Progress, Summary};
use crate::roles::{Basis, Roles};
use crate::verdict::{RowCounts, RunFolder, create_private};
use crate::{Error, Result, device};

/// What makes a run this run: the same dump, tables of workers and booths, models, limits, decisions and version make the
/// same run.
#[derive(Debug)]
pub struct RunKey {
    /// The run's name: 24 hexadecimal digits.
    pub run_id: String,
    /// By what the store knows the dump: its bytes and the embedder. An audit of the same dump with another policy sees
    /// the store as the first one saw it and adds nothing twice.
    pub store_key: String,
    inputs: Vec<FilePrint>,
    booths: Option<FilePrint>,
    responses: Vec<FilePrint>,
    consent_renewed: Option<FilePrint>,
    models: BTreeMap<&'static str, String>,
}

impl RunKey {
    /// Hashes the inputs and names the run.
    ///
    /// # Errors
    /// [`Error::Io`] when an input cannot be read.
    pub fn of(job: &Job, inputs: &Inputs, engine: &Engine) -> Result<RunKey> {
        let files = inputs.rows.prints()?;
        let [detector, liveness, embedder] = engine.models();
        let models = BTreeMap::from([("detector", detector), ("liveness", liveness), ("embedder", embedder)]);
        let workers = inputs.workers.as_deref().map(FilePrint::of).transpose()?;
        let booths = job.booths.as_deref().map(FilePrint::of).transpose()?;
        let responses = job.responses.iter().map(|path| FilePrint::of(path)).collect::<Result<Vec<_>>>()?;
        let consent_renewed = job.consent_renewed.as_deref().map(FilePrint::of).transpose()?;
        let hashes: Vec<&str> = files
            .iter()
            .chain(&workers)
            .chain(&booths)
            .chain(&inputs.decisions.files)
            .chain(&responses)
            .chain(&consent_renewed)
            .map(|file| file.sha256.as_str())
            .collect();
        let key = (
            env!("CARGO_PKG_VERSION"),
            hashes,
            &models,
            (device::name(engine.device()), engine.arithmetic(), engine.jpeg().on_card()),
            &job.columns,
            engine.policy().to_toml()?,
        );
        let run_id = digest(&key)?;
        let dump_hashes: Vec<&str> = files.iter().map(|file| file.sha256.as_str()).collect();
        let store_key = digest(&(dump_hashes, &models["embedder"]))?;
        Ok(RunKey { run_id, store_key, inputs: files, booths, responses, consent_renewed, models })
    }

    /// When the dump was first read, microseconds since 1970-01-01T00:00:00Z, for a run that began at `begun`: of a dump
    /// that the store knows, when that run was committed, so that auditing it again gives the same answers.
    pub fn read_at(&self, store: Option<&Store>, begun: i64) -> Result<i64> {
        let runs = store.map(Store::runs).transpose()?.unwrap_or_default();
        let own = runs.into_iter().find(|run| run.key == self.store_key);
        let committed = own.and_then(|run| run.at.parse::<jiff::Timestamp>().ok());
        Ok(committed.map_or(begun, |at| at.as_microsecond().min(begun)))
    }
}

/// Says what is about to run.
pub fn announce(inputs: &Inputs, engine: &Engine, progress: Progress) {
    progress.say(&format!("{} selfies in {}", inputs.rows.total(), inputs.rows.places()));
    progress.say(&format!("networks run on {}", device::describe(engine.device())));
    if engine.jpeg().on_card() {
        progress.say("the card decodes JPEGs");
    }
}

/// How long each stage took.
#[derive(Debug)]
pub struct Times {
    stages: Vec<StageTime>,
    clock: Instant,
    metrics: Option<Arc<Metrics>>,
}

#[derive(Debug, Serialize)]
struct StageTime {
    stage: &'static str,
    seconds: f64,
}

impl Times {
    /// The first stage begins. Each one that ends is told to the metrics.
    pub fn start(metrics: Option<Arc<Metrics>>) -> Times {
        Times { stages: Vec::new(), clock: Instant::now(), metrics }
    }

    /// A stage has ended, and the next one begins.
    pub fn ended(&mut self, stage: &'static str) {
        let seconds = self.clock.elapsed().as_secs_f64();
        self.stages.push(StageTime { stage, seconds });
        self.metrics.iter().for_each(|metrics| metrics.stage(stage, seconds));
        self.clock = Instant::now();
    }
}

/// Which decisions were taken in, and how many pairs and rows of this run they are about.
#[derive(Debug, Serialize)]
struct DecisionCounts<'a> {
    files: &'a [FilePrint],
    confirmed: usize,
    cleared: usize,
    not_sure: usize,
    rows: RowCounts,
}

#[derive(Debug, Serialize)]
struct ReviewCounts {
    budget: Option<usize>,
    persons: usize,
    confirmed: usize,
    expected_false_share: f64,
    left_out: usize,
    expected_false_share_left_out: f64,
}

#[derive(Debug, Default, Serialize)]
struct WorkerCounts {
    table: Option<String>,
    enrolled: u64,
    photos_refused: u64,
    remembered: u64,
    learned: u64,
    unknown: u64,
}

impl WorkerCounts {
    fn of(photos: &WorkerPhotos, roles: &Roles) -> WorkerCounts {
        let mut counts = WorkerCounts {
            table: photos.table.as_ref().map(|table| table.display().to_string()),
            enrolled: photos.enrolled,
            photos_refused: photos.refused,
            ..WorkerCounts::default()
        };
        for worker in roles.accounts.values() {
            match worker.worker.as_ref().map(|known| known.basis) {
                Some(Basis::Enrolled) => {}
                Some(Basis::Remembered { .. }) => counts.remembered += 1,
                Some(Basis::Recurring { .. }) => counts.learned += 1,
                None => counts.unknown += 1,
            }
        }
        counts
    }
}

/// The record of a run.
#[derive(Debug, Serialize)]
pub struct RunRecord<'a> {
    run_id: &'a str,
    store_key: &'a str,
    version: &'static str,
    inputs: &'a [FilePrint],
    rows: u64,
    /// The folder of what was seen elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<&'a Path>,
    rows_resumed: u64,
    read_at: i64,
    booths: Option<&'a FilePrint>,
    decisions: Option<DecisionCounts<'a>>,
    responses: &'a [FilePrint],
    replies: &'a ReplyCounts,
    consent_renewed: Option<&'a FilePrint>,
    models: &'a BTreeMap<&'static str, String>,
    device: String,
    jpeg: &'a JpegReport,
    threads: usize,
    memory_limit: Option<Limit>,
    workers: WorkerCounts,
    search: &'a SearchReport,
    matching: &'a MatchingStatistics,
    review: ReviewCounts,
    reuse: &'a ReuseCounts,
    members_of_earlier_nights: usize,
    /// Members whom the night adds to a store.
    members_enrolled_tonight: usize,
    members_added_to_store: Option<u64>,
    /// Members who were forgotten while the run was under way.
    members_erased_meanwhile: u64,
    stages: &'a [StageTime],
    see: &'a Spent,
    policy: &'a Policy,
    summary: &'a Summary,
}

/// All that a record is made of, when the run is over.
#[derive(Debug, Clone, Copy)]
pub struct Done<'a> {
    /// What was asked for.
    pub job: &'a Job,
    /// What it named.
    pub inputs: &'a Inputs,
    /// With what it was seen.
    pub engine: &'a Engine,
    /// The run's names.
    pub key: &'a RunKey,
    /// What was seen.
    pub seen: &'a Seen,
    /// The night.
    pub night: &'a Night,
    /// What the store took.
    pub commit: Option<Commit>,
    /// How long it took.
    pub times: &'a Times,
    /// The totals.
    pub summary: &'a Summary,
}

impl<'a> RunRecord<'a> {
    /// Of a run that is over.
    pub fn of(done: Done<'a>) -> RunRecord<'a> {
        let Done { job, inputs, engine, key, seen, night, commit, times, summary } = done;
        let (files, queue) = (&inputs.decisions.files, &night.queue);
        let [confirmed, cleared, not_sure] = night.matched.decided.counts();
        RunRecord {
            run_id: &key.run_id,
            store_key: &key.store_key,
            version: env!("CARGO_PKG_VERSION"),
            inputs: &key.inputs,
            rows: inputs.rows.total(),
            seen: inputs.rows.seen(),
            rows_resumed: seen.resumed,
            read_at: night.read_at,
            booths: key.booths.as_ref(),
            decisions: (!files.is_empty()).then_some(DecisionCounts {
                files,
                confirmed,
                cleared,
                not_sure,
                rows: night.decided_rows,
            }),
            responses: &key.responses,
            replies: &night.replies,
            consent_renewed: key.consent_renewed.as_ref(),
            models: &key.models,
            device: device::describe(engine.device()),
            jpeg: engine.jpeg(),
            threads: rayon::current_num_threads(),
            memory_limit: memory::limit(),
            workers: WorkerCounts::of(&seen.photos, &night.roles),
            search: &night.matched.search,
            matching: &night.matched.judged.statistics,
            review: ReviewCounts {
                budget: job.review_budget,
                persons: queue.rows.len(),
                confirmed: queue.confirmed,
                expected_false_share: queue.expected_false_share,
                left_out: queue.left_out,
                expected_false_share_left_out: queue.expected_false_share_left_out,
            },
            reuse: &night.reuse,
            members_of_earlier_nights: night.members_of_earlier_nights,
            members_enrolled_tonight: night.enrolled.len(),
            members_added_to_store: commit.map(|commit| commit.added),
            members_erased_meanwhile: commit.map_or(0, |commit| commit.erased_before),
            stages: &times.stages,
            see: &seen.spent,
            policy: engine.policy(),
            summary,
        }
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn write(&self, folder: &RunFolder) -> Result<()> {
        let path = folder.tables().join("run.json");
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::bug("writing run.json", e))?;
        create_private(&path)?.write_all(text.as_bytes()).map_err(Error::io("write", &path))
    }
}

/// What chance has to do with the pairs, and how long the queue is, in sentences.
pub fn notes(matching: &MatchingStatistics, queue: &ReviewQueue, budget: Option<usize>) -> Vec<String> {
    let (expected, upper) = (count(matching.expected_false_pairs), count(matching.expected_false_pairs_upper));
    let (rate, source) = (one_in(matching.false_match_rate), matching.impostors.source());
    let chance = format!(
        "chance alone would flag {expected} pairs, at most {upper}: {rate} pairs of strangers is so alike, by {source}"
    );
    let budget = budget.map_or_else(String::new, |b| format!(", {} left out by the budget of {b}", queue.left_out));
    let (persons, share) = (queue.rows.len(), 100.0 * queue.expected_false_share);
    let flagged = match matching.flagged_memberships {
        0 => None,
        count => Some(format!(
            "{count} memberships are flagged by their faces; {:.1} % of them are expected to be wrong, at most {:.1} %",
            100.0 * matching.expected_false_share,
            100.0 * matching.expected_false_share_upper
        )),
    };
    let queue = format!("to review: {persons} persons{budget}; {share:.2} % of them are expected to be false flags");
    matching.impostors.warning().into_iter().chain([chance]).chain(flagged).chain([queue]).collect()
}

/// An expected count in words: `0.01`, `fewer than 0.01`, `about 3`.
fn count(expected: f64) -> String {
    match expected {
        n if n < 0.005 => "fewer than 0.01".to_owned(),
        n if n < 10.0 => format!("{n:.2}"),
        n => format!("{n:.0}"),
    }
}

/// A rate in words: `one in 83 million`.
fn one_in(rate: f64) -> String {
    let every = if rate > 0.0 { 1.0 / rate } else { f64::INFINITY };
    match every {
        n if n >= 1e15 => "fewer than one in a million billion".to_owned(),
        n if n >= 1e12 => format!("one in {:.0} thousand billion", n / 1e12),
        n if n >= 1e9 => format!("one in {:.0} billion", n / 1e9),
        n if n >= 1e6 => format!("one in {:.0} million", n / 1e6),
        n if n >= 1e4 => format!("one in {:.0} thousand", n / 1e3),
        n => format!("one in {n:.0}"),
    }
}

/// The first 24 hexadecimal digits of the SHA-256 of a value.
fn digest(value: &impl Serialize) -> Result<String> {
    let bytes = serde_json::to_vec(value).map_err(|e| Error::bug("naming the run", e))?;
    Ok(Sha256::digest(bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_rates_are_said_in_words() {
        assert_eq!([1.0e-9, 0.01, 0.5, 12.3].map(count), ["fewer than 0.01", "0.01", "0.50", "12"]);
        let rates = [0.0, 1.2e-8, 3e-10, 2e-5, 0.01, 5e-13].map(one_in);
        let words = ["83 million", "3 billion", "50 thousand", "100", "2 thousand billion"];
        assert!(rates[0].starts_with("fewer than"));
        assert_eq!(rates[1..], words.map(|words| format!("one in {words}")));
    }
}
