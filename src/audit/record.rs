//! `run.json`: what was audited, with what, how, and what came out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::audit::Job;
use crate::audit::duplicates::Duplicates;
use crate::audit::pictures::ReuseCounts;
use crate::config::Policy;
use crate::decisions::Decisions;
use crate::dump::{Dump, FilePrint};
use crate::gallery::{Commit, SearchReport, Store};
use crate::infer::clock::Spent;
use crate::infer::{Engine, JpegReport};
use crate::matching::MatchingStatistics;
use crate::matching::review::ReviewQueue;
use crate::memory::{self, Limit};
use crate::report::{Progress, Summary};
use crate::roles::{Basis, Roles};
use crate::verdict::{RunFolder, create_private};
use crate::{Error, Result, device};

/// The record in the making.
#[derive(Debug, Serialize)]
pub struct Record {
    run_id: String,
    store_key: String,
    version: &'static str,
    inputs: Vec<FilePrint>,
    rows: u64,
    rows_resumed: u64,
    read_at: i64,
    booths: Option<FilePrint>,
    decisions: Option<DecisionCounts>,
    consent_renewed: Option<FilePrint>,
    models: BTreeMap<&'static str, String>,
    device: String,
    jpeg: JpegReport,
    threads: usize,
    memory_limit: Option<Limit>,
    workers: WorkerCounts,
    search: Option<SearchReport>,
    matching: Option<MatchingStatistics>,
    review: Option<ReviewCounts>,
    reuse: ReuseCounts,
    members_of_earlier_nights: usize,
    members_enrolled_tonight: usize,
    members_added_to_store: Option<u64>,
    /// Members who were forgotten while the run was under way.
    members_erased_meanwhile: u64,
    stages: Vec<StageTime>,
    see: Spent,
    policy: Policy,
    #[serde(skip)]
    clock: Instant,
}

#[derive(Debug, Serialize)]
struct StageTime {
    stage: &'static str,
    seconds: f64,
}

/// Which decisions were taken in, and how many pairs of this run they are about.
#[derive(Debug, Serialize)]
struct DecisionCounts {
    files: Vec<FilePrint>,
    confirmed: usize,
    cleared: usize,
    not_sure: usize,
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

impl Record {
    /// Hashes the inputs and names the run: the same dump, tables of workers and booths, models, limits,
    /// decisions and version make the same run.
    pub fn begin(
        job: &Job,
        (dump, decisions): (&Dump, &Decisions),
        engine: &Engine,
        progress: Progress,
    ) -> Result<Self> {
        let clock = Instant::now();
        progress.say(&format!("{} selfies in {} files", dump.total_rows(), dump.files().len()));
        let inputs = dump.fingerprint()?;
        let [detector, liveness, embedder] = engine.models();
        let models = BTreeMap::from([("detector", detector), ("liveness", liveness), ("embedder", embedder)]);
        let device = device::describe(engine.device());
        progress.say(&format!("networks run on {device}"));
        if engine.jpeg().on_card() {
            progress.say("the card decodes JPEGs");
        }
        let workers = job.workers.as_deref().or_else(|| dump.workers_path()).map(FilePrint::of).transpose()?;
        let booths = job.booths.as_deref().map(FilePrint::of).transpose()?;
        let renewed = job.consent_renewed.as_deref().map(FilePrint::of).transpose()?;
        let hashes: Vec<&str> = inputs
            .iter()
            .chain(&workers)
            .chain(&booths)
            .chain(&decisions.files)
            .chain(&renewed)
            .map(|file| file.sha256.as_str())
            .collect();
        let key = (
            env!("CARGO_PKG_VERSION"),
            hashes,
            &models,
            (device::name(engine.device()), engine.arithmetic(), engine.jpeg().on_card()),
            &job.columns,
            job.policy.to_toml()?,
        );
        let dump_hashes: Vec<&str> = inputs.iter().map(|file| file.sha256.as_str()).collect();
        let store_key = digest(&(dump_hashes, &models["embedder"]))?;
        let mut record = Record {
            run_id: digest(&key)?,
            store_key,
            version: env!("CARGO_PKG_VERSION"),
            inputs,
            rows: dump.total_rows(),
            rows_resumed: 0,
            read_at: i64::MAX,
            booths,
            decisions: (!decisions.files.is_empty()).then(|| DecisionCounts {
                files: decisions.files.clone(),
                confirmed: 0,
                cleared: 0,
                not_sure: 0,
            }),
            consent_renewed: renewed,
            models,
            device,
            jpeg: engine.jpeg().clone(),
            threads: rayon::current_num_threads(),
            memory_limit: memory::limit(),
            workers: WorkerCounts::default(),
            search: None,
            matching: None,
            review: None,
            reuse: ReuseCounts::default(),
            members_of_earlier_nights: 0,
            members_enrolled_tonight: 0,
            members_added_to_store: None,
            members_erased_meanwhile: 0,
            stages: Vec::new(),
            see: Spent::default(),
            policy: job.policy.clone(),
            clock,
        };
        record.stage("hash");
        Ok(record)
    }

    /// The run's name: 24 hexadecimal digits.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// What seeing cost: processor seconds by stage.
    pub fn seen(&mut self, spent: &Spent) {
        self.see = spent.clone();
    }

    /// By what the store knows this dump: its bytes and the embedder. An audit of the same dump with another policy sees
    /// the store as the first one saw it and adds nothing twice.
    pub fn store_key(&self) -> &str {
        &self.store_key
    }

    /// A stage has ended.
    pub fn stage(&mut self, stage: &'static str) {
        self.stages.push(StageTime { stage, seconds: self.clock.elapsed().as_secs_f64() });
        self.clock = Instant::now();
    }

    /// So many rows came from an earlier attempt.
    pub fn resumed(&mut self, rows: u64, begun: i64) {
        self.rows_resumed = rows;
        self.read_at = begun;
    }

    /// When the dump was first read, microseconds since 1970-01-01T00:00:00Z: of a dump that the store knows, when that
    /// run was committed, so that auditing it again gives the same answers.
    pub fn read_at(&mut self, store: Option<&Store>) -> Result<i64> {
        let runs = store.map(Store::runs).transpose()?.unwrap_or_default();
        let own = runs.into_iter().find(|run| run.key == self.store_key);
        let committed = own.and_then(|run| run.at.parse::<jiff::Timestamp>().ok());
        self.read_at = committed.map_or(self.read_at, |at| at.as_microsecond().min(self.read_at));
        Ok(self.read_at)
    }

    /// What came again.
    pub fn reuse(&mut self, reuse: ReuseCounts) {
        self.reuse = reuse;
        self.stage("reuse");
    }

    /// What the workers table gave.
    pub fn enrolled(&mut self, table: &Path, enrolled: u64, photos_refused: u64) {
        self.workers.table = Some(table.display().to_string());
        self.workers.enrolled = enrolled;
        self.workers.photos_refused = photos_refused;
        self.stage("workers");
    }

    /// Which workers are known.
    pub fn workers(&mut self, roles: &Roles) {
        for worker in roles.accounts.values() {
            match worker.worker.as_ref().map(|known| known.basis) {
                Some(Basis::Enrolled) => {}
                Some(Basis::Remembered { .. }) => self.workers.remembered += 1,
                Some(Basis::Recurring { .. }) => self.workers.learned += 1,
                None => self.workers.unknown += 1,
            }
        }
        self.stage("roles");
    }

    /// How the gallery was searched.
    pub fn search(&mut self, found: &Duplicates, earlier: usize) {
        self.search = Some(found.report.clone());
        self.matching = Some(found.judged.statistics.clone());
        if let Some(counts) = &mut self.decisions {
            [counts.confirmed, counts.cleared, counts.not_sure] = found.decided.counts();
        }
        self.members_of_earlier_nights = earlier;
        self.members_enrolled_tonight = found.enrolled.len();
        self.stage("search");
    }

    /// The review queue.
    pub fn review(&mut self, queue: &ReviewQueue, budget: Option<usize>) {
        self.review = Some(ReviewCounts {
            budget,
            persons: queue.rows.len(),
            confirmed: queue.confirmed,
            expected_false_share: queue.expected_false_share,
            left_out: queue.left_out,
            expected_false_share_left_out: queue.expected_false_share_left_out,
        });
    }

    /// What chance has to do with the pairs, and how long the queue is, in sentences.
    pub fn notes(&self) -> Vec<String> {
        let chance = self.matching.as_ref().map(|m| {
            let few = |count: f64| if count < 0.01 { format!("{count:.1e}") } else { format!("{count:.2}") };
            let (expected, upper) = (few(m.expected_false_pairs), few(m.expected_false_pairs_upper));
            let (rate, source) = (m.false_match_rate, m.impostors.source());
            format!(
                "by chance {expected} such pairs are expected, at most {upper}: \
                 a false-match rate of {rate:.1e}, from {source}"
            )
        });
        let queue = self.review.as_ref().map(|r| {
            let budget =
                r.budget.map_or_else(String::new, |b| format!(", {} left out by the budget of {b}", r.left_out));
            let (persons, share) = (r.persons, 100.0 * r.expected_false_share);
            format!("to review: {persons} persons{budget}; {share:.2} % of them are expected to be false flags")
        });
        chance.into_iter().chain(queue).collect()
    }

    /// What the store took.
    pub fn stored(&mut self, commit: Commit) {
        self.members_added_to_store = Some(commit.added);
        self.members_erased_meanwhile = commit.erased_before;
        self.stage("store");
    }

    /// Writes `run.json`.
    pub fn write(&self, folder: &RunFolder, summary: &Summary) -> Result<()> {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            record: &'a Record,
            summary: &'a Summary,
        }
        let path = folder.tables().join("run.json");
        let whole = Whole { record: self, summary };
        let text = serde_json::to_string_pretty(&whole).map_err(|e| Error::bug("writing run.json", e))?;
        create_private(&path)?.write_all(text.as_bytes()).map_err(Error::io("write", &path))
    }
}

/// The first 24 hexadecimal digits of the SHA-256 of a value.
fn digest(value: &impl Serialize) -> Result<String> {
    let bytes = serde_json::to_vec(value).map_err(|e| Error::bug("naming the run", e))?;
    Ok(Sha256::digest(bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect())
}
