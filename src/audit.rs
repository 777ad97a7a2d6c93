//! The nightly job: the stages wired in order.
//!
//! ```text
//! dump -> see (photo, face, infer; durable batch by batch) -> roles -> first look -> reuse -> duplicates -> tables
//! ```
//! Only `see` touches pictures and networks, and only it is long; its batches survive a stop. Everything after it is a
//! pure function of what was seen and of the store, and is computed anew. The store is committed before the run folder:
//! a run that is stopped in between finds its own rows in the store and gives the same verdicts.

mod duplicates;
mod impostors;
mod numbers;
mod ordered;
mod pictures;
mod record;
mod see;
mod warnings;

pub(crate) use duplicates::{member, stands};
pub(crate) use see::{References, Selection, references, see_rows};

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::config::{Columns, Policy};
use crate::decisions::Decisions;
use crate::dump::{Booths, Carry, Dump, Workers};
use crate::gallery::{Gallery, Night, SearchPolicy, Spool, Store};
use crate::infer::{Analysis, Engine, ModelId};
use crate::matching::Pair;
use crate::matching::review::review_queue;
use crate::output::{self, Kept};
use crate::reason::Reason;
use crate::report::page::{self, PageOptions, Source};
use crate::report::{Progress, Summary};
use crate::roles::assign;
use crate::verdict::peers::{Judged, UnitRow, compare};
use crate::verdict::rules::Given;
use crate::verdict::{
    RunFolder, VerdictRow, VerdictWriter, rules, suspects, write_clusters, write_pairs, write_review, write_suspects,
    write_workers_audit,
};
use crate::{Error, Result};

use duplicates::Duplicates;
use pictures::{Pictures, ReuseCounts};
use record::Record;

/// What to audit, against what, and where to put the result.
#[derive(Debug, Clone)]
pub struct Job {
    /// Parquet files, folders or globs.
    pub inputs: Vec<PathBuf>,
    /// What the dump's columns are called.
    pub columns: Columns,
    /// Columns carried through to the verdict table.
    pub carry: Vec<String>,
    /// The workers table; `None` for the one beside the dump, if there is one.
    pub workers: Option<PathBuf>,
    /// The table of booths: in which district each one lies.
    pub booths: Option<PathBuf>,
    /// The store of earlier nights; `None` compares this dump with itself alone.
    pub store: Option<PathBuf>,
    /// The run folder to create.
    pub out: PathBuf,
    /// Replace the run folder if it exists.
    pub force: bool,
    /// Most persons in the review queue; `None` for all.
    pub review_budget: Option<usize>,
    /// Logs of reviewers' decisions, or folders of them.
    pub decisions: Vec<PathBuf>,
    /// A list of submission ids, one a line: members who were forgotten and consented anew.
    pub consent_renewed: Option<PathBuf>,
    /// How to search.
    pub search: SearchPolicy,
    /// Limits and verdicts.
    pub policy: Policy,
    /// The page for people; `None` for none.
    pub page: Option<PageOptions>,
}

impl Job {
    /// An audit of a dump into a run folder, with every default.
    pub fn of(inputs: Vec<PathBuf>, out: PathBuf) -> Self {
        Job {
            inputs,
            columns: Columns::default(),
            carry: Vec::new(),
            workers: None,
            booths: None,
            store: None,
            out,
            force: false,
            review_budget: None,
            decisions: Vec::new(),
            consent_renewed: None,
            search: SearchPolicy::default(),
            policy: Policy::default(),
            page: Some(PageOptions::default()),
        }
    }
}

/// Audits a dump and commits the run folder.
///
/// # Errors
/// Before any work: an unusable dump, store or run folder. Later only [`Error::Io`], [`Error::Interrupted`] and bugs: a
/// bad row is a row.
pub fn run(job: &Job, engine: &Engine, progress: Progress, stop: &AtomicBool) -> Result<Summary> {
    let dump = Dump::open(&job.inputs, &job.columns)?;
    output::check("--out", &job.out, &kept(job, &dump))?;
    RunFolder::check(&job.out, job.force)?;
    if let Some(workers) = job.workers.as_deref().or_else(|| dump.workers_path()) {
        Workers::check(workers)?;
    }
    let survey = dump.survey(jiff::Timestamp::now().as_microsecond())?;
    survey.warnings().iter().for_each(|warning| log::warn!("{warning}"));
    let booths = job.booths.as_deref().map(Booths::read).transpose()?;
    let decisions = Decisions::read(&job.decisions)?;
    let mut carry = dump.carry(&job.carry)?;
    let consented = job.consent_renewed.as_deref().map(|path| read_ids(path, "--consent-renewed")).transpose()?;
    let consented: HashSet<String> = consented.unwrap_or_default().into_iter().collect();
    let store = job.store.as_ref().map(Store::open_or_create).transpose()?;
    let _night = store.as_ref().map(Store::begin_night).transpose()?;
    // All of it, now: damage must not be found only when hours of seeing are done.
    store.as_ref().map(Store::check).transpose()?;
    let folder = RunFolder::begin(&job.out, job.force)?;
    if let Some(store) = &store {
        for spool in store.sweep_abandoned_spools(&folder.spool())? {
            progress.say(&format!("{}: removed, for its run was not gone on with for a week", spool.display()));
        }
    }
    let mut record = Record::begin(job, (&dump, &decisions), engine, progress)?;
    if folder.is_done(record.run_id()) {
        return done_already(&folder, progress);
    }
    folder.start()?;

    let references = see::enrolled_workers(job, &dump, engine, progress, &mut record)?;
    let mut spool = Spool::open(&folder.spool(), record.run_id(), store.as_ref(), &consented)?;
    let analyses = see::see(&dump, engine, &mut spool, progress, stop, &mut record)?;

    let model = ModelId(engine.embedder_id().to_owned());
    let enrolled = references.settle(&analyses, &job.policy.roles);
    let known_workers = |store: &Store| store.workers(Some(record.store_key()), &model);
    let remembered = store.as_ref().map(known_workers).transpose()?.unwrap_or_default();
    let roles = assign(&analyses, &enrolled, &remembered, &job.policy.roles);
    record.workers(&roles);
    let casts = &roles.casts;
    let read_at = Some(record.read_at(store.as_ref())?);
    let given = Given { has_consent: dump.has_column("consent"), read_at, booths: booths.as_ref() };
    let first_look = |(analysis, cast)| rules::first_look(analysis, cast, given, &job.policy);
    let mut rows: Vec<VerdictRow> = analyses.iter().zip(casts).map(first_look).collect();

    let earlier = store.as_ref().map_or_else(|| Ok(Gallery::empty()), |s| s.view(Some(record.store_key())))?;
    let pictures = Pictures::gather(&analyses, casts, store.as_ref(), record.store_key(), &model, &rows)?;
    let mut reuse = ReuseCounts::default();
    duplicates::mark_repeated_ids(&analyses, &earlier, &mut rows);
    pictures.mark_same(&earlier, &job.policy, &mut rows, &mut reuse);
    settle(&mut rows, &job.policy);
    let mut found = duplicates::find(&analyses, casts, &rows, &earlier, (&model, job, &decisions))?;
    let numbers = numbers::compare(&found, &earlier, &job.policy);
    duplicates::mark(&found, &numbers.retries, &mut rows);
    numbers.retries.mark(&found, &mut rows);
    numbers.reused.iter().for_each(|&(row, reason)| rows[row as usize].add(reason));
    record.search(&found, earlier.live());
    pictures.mark_copies(&found, (store.as_ref(), record.store_key()), &job.policy, &mut rows, &mut reuse)?;
    pictures.mark_scenes(&job.policy, &mut rows, &mut reuse)?;
    found.keep_first_tries(&rows);
    settle(&mut rows, &job.policy);
    reuse.resubmitted = rows.iter().filter(|row| row.reasons.contains(&Reason::Resubmitted)).count() as u64;
    record.reuse(reuse);

    let mut summary = write(&folder, &rows, &found, &mut carry, engine, &mut record)?;
    let queue = review_queue(&found.enrolments, &found.judged, job.review_budget);
    write_review(&folder.tables().join("review.parquet"), &queue.rows)?;
    record.review(&queue, job.review_budget);
    summary.notes = record.notes();
    let workers = job.workers.as_deref().or_else(|| dump.workers_path());
    summary.warnings = warnings::of_columns(&survey, &analyses, workers)?;
    let peers = peers(&analyses, &rows, &job.policy);
    write_workers_audit(&folder.tables().join("workers_audit.parquet"), &peers)?;
    write_suspects(&folder.tables().join("suspects.parquet"), &suspects::queue(&rows, &peers))?;
    if let Some(store) = &store {
        let pictures = pictures.leave(&model, &job.policy, &rows);
        let mut writer = store.begin_in_turn()?;
        // Once more, under the lock: somebody may have been forgotten since.
        let remembered = writer.workers(Some(record.store_key()), &model)?;
        let workers = Some(&roles.remember(&remembered, &model, &job.policy.roles));
        let renewed = &consented_among(&analyses, &consented);
        let members = &found.enrolled;
        let night = Night { members, pictures: &pictures, workers, renewed };
        let commit = writer.add_night(record.store_key(), night)?;
        record.stored(commit);
    }
    record.write(&folder, &summary)?;
    summary.no_page = report(job, &dump, &folder);
    folder.commit()?;
    Ok(summary)
}

/// Which of the renewed submissions are in this dump.
fn consented_among(analyses: &[Analysis], consented: &HashSet<String>) -> HashSet<String> {
    let ids = analyses.iter().filter_map(|analysis| analysis.facts.submission_id.as_ref());
    ids.filter(|id| consented.contains(*id)).cloned().collect()
}

/// Submission ids of a text file, one a line, as `flag` names it.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read or has no id.
pub fn read_ids(path: &Path, flag: &str) -> Result<Vec<String>> {
    let refuse = |found: String| {
        let fix = format!("check {flag}");
        Error::input(path, "list of submission ids", "a text file, one id a line", found, fix)
    };
    let text = std::fs::read_to_string(path).map_err(|e| refuse(e.to_string()))?;
    let ids: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if ids.is_empty() { Err(refuse("no id".into())) } else { Ok(ids) }
}

/// What the run folder must leave alone: all that is read, and the store.
fn kept(job: &Job, dump: &Dump) -> Vec<Kept> {
    let workers = job.workers.as_deref().or_else(|| dump.workers_path());
    let store = job.store.iter().map(|store| Kept::whole("the store", store));
    let workers = workers.into_iter().map(|path| Kept::itself("the table of workers", path));
    let booths = job.booths.iter().map(|path| Kept::itself("the table of booths", path));
    let decisions = job.decisions.iter().map(|path| Kept::itself("decisions", path));
    let renewed = job.consent_renewed.iter().map(|path| Kept::itself("the list of renewed consents", path));
    dump.kept().into_iter().chain(store).chain(workers).chain(booths).chain(decisions).chain(renewed).collect()
}

/// The same command as one that was stopped after its run was whole and in its place: nothing is left but to clean up.
fn done_already(folder: &RunFolder, progress: Progress) -> Result<Summary> {
    let summary = page::summary(folder.out())?;
    folder.clear()?;
    progress.say(&format!("{}: done already", folder.out().display()));
    Ok(summary)
}

/// Writes the page for people. It can be made anew at any time, so a page that cannot be made does not cost the night; but
/// somebody has to know, so what was in the way is returned.
fn report(job: &Job, dump: &Dump, folder: &RunFolder) -> Option<String> {
    let options = job.page.as_ref()?;
    let (tables, out) = (folder.tables(), folder.out());
    let file = tables.join(page::FILE);
    let error = page::write(&tables, out, Some(Source { dump, columns: &job.columns }), options, &file).err()?;
    // Half a page would be taken for a whole one.
    drop(std::fs::remove_file(&file));
    Some(format!("no {}: {error}\n  `chehra report {} --dump DUMP` makes it", page::FILE, out.display()))
}

/// Brings the verdicts up to the reasons.
fn settle(rows: &mut [VerdictRow], policy: &Policy) {
    for row in rows {
        row.verdict = policy.verdicts.decide(&row.reasons);
    }
}

/// Workers, booths and districts against their peers.
fn peers(analyses: &[Analysis], rows: &[VerdictRow], policy: &Policy) -> Vec<UnitRow> {
    let judged: Vec<Judged> = analyses
        .iter()
        .zip(rows)
        .map(|(Analysis { facts, .. }, row)| Judged {
            worker_id: facts.worker_id.as_deref(),
            booth_id: facts.booth_id.as_deref(),
            district: facts.district.as_deref(),
            division: facts.division.as_deref(),
            verdict: row.verdict,
            reasons: &row.reasons,
        })
        .collect();
    compare(&judged, &policy.verdicts, &policy.peers)
}

/// Rows per write: large enough for good row groups, small beside the analyses in memory.
const WRITE_ROWS: usize = 16_384;

fn write(
    folder: &RunFolder,
    rows: &[VerdictRow],
    found: &Duplicates,
    carry: &mut Carry,
    engine: &Engine,
    record: &mut Record,
) -> Result<Summary> {
    let tables = folder.tables();
    let fields = carry.schema().fields().iter().cloned().collect();
    let models = engine.models().join(" ");
    let path = tables.join("verdicts.parquet");
    let mut writer = VerdictWriter::create(&path, fields, models, record.run_id().to_owned())?;
    for (chunk, first) in rows.chunks(WRITE_ROWS).zip((0u64..).step_by(WRITE_ROWS)) {
        writer.write(chunk, &carry.read(first, chunk.len())?)?;
    }
    writer.finish()?;
    let pairs: Vec<Pair> = found.judged.pairs.iter().chain(&found.judged.cleared).copied().collect();
    write_pairs(&tables.join("pairs.parquet"), &found.enrolments, &pairs)?;
    write_clusters(&tables.join("clusters.parquet"), &found.enrolments, &found.judged.clusters)?;
    record.stage("write");
    let mut summary = Summary {
        pairs: found.judged.pairs.len() as u64,
        clusters: found.judged.clusters.len() as u64,
        cross_district_clusters: found.judged.clusters.iter().filter(|c| c.cross_district()).count() as u64,
        ..Summary::default()
    };
    summary.count(rows);
    match summary.rows == rows.len() as u64 {
        true => Ok(summary),
        false => Err(Error::bug("writing verdicts", format!("{} rows for {}", summary.rows, rows.len()))),
    }
}
