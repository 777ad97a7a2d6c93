//! What to audit, and what of it can be refused before any work.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::rows::Rows;
use crate::config::Columns;
use crate::decisions::Decisions;
use crate::dump::{Booths, Carry, Dump, Survey, Workers};
use crate::gallery::Engine;
use crate::infer::{self, Analysis};
use crate::output::{self, Kept};
use crate::replies::{Replies, ReplyNames};
use crate::report::metrics::Metrics;
use crate::report::page::PageOptions;
use crate::seen::{Contract, SeenFolder};
use crate::verdict::RunFolder;
use crate::{Error, Result};

/// What to audit, against what, and where to put the result. Its limits are the policy that the networks were loaded with
/// ([`crate::infer::Engine::policy`]): a run has one.
#[derive(Debug, Clone)]
pub struct Job {
    /// Parquet files, folders or globs; with `seen` they may be left out.
    pub inputs: Vec<PathBuf>,
    /// What was seen in the dump already: a folder of `chehra see`.
    pub seen: Option<PathBuf>,
    /// After how many days the store has that folder removed; `None` for never.
    pub keep_seen: Option<u32>,
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
    /// Tables of members' replies.
    pub responses: Vec<PathBuf>,
    /// What they call things.
    pub reply_names: ReplyNames,
    /// A list of submission ids, one a line: members who were forgotten and consented anew.
    pub consent_renewed: Option<PathBuf>,
    /// What searches the gallery.
    pub search: Engine,
    /// The page for people; `None` for none.
    pub page: Option<PageOptions>,
    /// What is told how the audit goes; `None` for nobody.
    pub metrics: Option<Arc<Metrics>>,
}

impl Job {
    /// An audit of a dump into a run folder, with every default.
    pub fn of(inputs: Vec<PathBuf>, out: PathBuf) -> Self {
        Job {
            inputs,
            seen: None,
            keep_seen: None,
            columns: Columns::default(),
            carry: Vec::new(),
            workers: None,
            booths: None,
            store: None,
            out,
            force: false,
            review_budget: None,
            decisions: Vec::new(),
            responses: Vec::new(),
            reply_names: ReplyNames::default(),
            consent_renewed: None,
            search: Engine::default(),
            page: Some(PageOptions::default()),
            metrics: None,
        }
    }
}

/// What a job names, opened and checked.
#[derive(Debug)]
pub struct Inputs {
    /// The dump, or what was seen in it.
    pub rows: Rows,
    /// What is wrong with whole columns; of what was seen it is told when that was read.
    pub survey: Survey,
    /// The workers table.
    pub workers: Option<PathBuf>,
    /// In which district each booth lies.
    pub booths: Option<Booths>,
    /// What reviewers decided.
    pub decisions: Decisions,
    /// What members answered.
    pub replies: Replies,
    /// Members who were forgotten and consented anew.
    pub consented: HashSet<String>,
    /// The columns that are carried through.
    pub carry: Carry,
}

impl Inputs {
    /// Opens what the job names; what was seen must have been seen as `engine` would.
    ///
    /// # Errors
    /// [`Error::Input`] and [`Error::Usage`] for what cannot be used, or where the run folder would lie in it.
    pub fn open(job: &Job, engine: &infer::Engine) -> Result<Inputs> {
        let is_named = job.seen.is_none() || !job.inputs.is_empty();
        let dump = is_named.then(|| Dump::open(&job.inputs, &job.columns)).transpose()?;
        output::check("--out", &job.out, &kept(job, dump.as_ref()))?;
        RunFolder::check(&job.out, job.force)?;
        let workers = workers_table(job, dump.as_ref()).map(Path::to_path_buf);
        workers.as_deref().map(Workers::check).transpose()?;
        let carry = match &dump {
            Some(dump) => dump.carry(&job.carry)?,
            None if job.carry.is_empty() => Carry::nothing(),
            None => {
                let problem = "what was seen has no other columns of the dump";
                return Err(Error::usage("--carry", problem, "name the dump as well: chehra audit DUMP --seen SEEN"));
            }
        };
        let seen = job.seen.as_deref().map(|path| SeenFolder::open(path, &Contract::of(engine)?)).transpose()?;
        let rows = Rows::new(dump, seen)?;
        let mut survey = Survey::default();
        if let Rows::Dump(dump) = &rows {
            survey = dump.survey(jiff::Timestamp::now().as_microsecond())?;
            survey.warnings().iter().for_each(|warning| log::warn!("{warning}"));
        }
        let booths = job.booths.as_deref().map(Booths::read).transpose()?;
        let decisions = Decisions::read(&job.decisions)?;
        let now = jiff::Timestamp::now().as_microsecond();
        let replies = Replies::read(&job.responses, &job.reply_names, now)?;
        let consented = job.consent_renewed.as_deref().map(|path| read_ids(path, "--consent-renewed")).transpose()?;
        let consented = consented.unwrap_or_default().into_iter().collect();
        Ok(Inputs { rows, survey, workers, booths, decisions, replies, consented, carry })
    }

    /// Looks at the facts of every row, where what was seen of them is all there is.
    pub fn survey_seen(&mut self, analyses: &[Analysis]) {
        if matches!(self.rows, Rows::Seen(..)) {
            let facts = analyses.iter().map(|analysis| &analysis.facts);
            self.survey.count(facts, jiff::Timestamp::now().as_microsecond());
            self.survey.warnings().iter().for_each(|warning| log::warn!("{warning}"));
        }
    }

    /// What the night lacks of what lay beside the dump, where only what was seen of the dump is there.
    pub fn warning_of_workers(&self) -> Option<String> {
        let Rows::Seen(seen, None) = &self.rows else { return None };
        let table = seen.workers_beside_dump().filter(|_| self.workers.is_none())?;
        Some(format!(
            "the dump had a table of workers ({table}), which this audit does not have: workers are told by their \
             selfies alone, and rows may be worker_unknown for that; name the table with --workers, or the dump beside --seen"
        ))
    }

    /// Which of the renewed submissions are in this dump.
    pub fn consented_among(&self, analyses: &[Analysis]) -> HashSet<String> {
        let ids = analyses.iter().filter_map(|analysis| analysis.facts.submission_id.as_ref());
        ids.filter(|id| self.consented.contains(*id)).cloned().collect()
    }
}

fn workers_table<'a>(job: &'a Job, dump: Option<&'a Dump>) -> Option<&'a Path> {
    job.workers.as_deref().or_else(|| dump.and_then(Dump::workers_path))
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
fn kept(job: &Job, dump: Option<&Dump>) -> Vec<Kept> {
    let workers = workers_table(job, dump);
    let store = job.store.iter().map(|store| Kept::whole("the store", store));
    let workers = workers.into_iter().map(|path| Kept::itself("the table of workers", path));
    let booths = job.booths.iter().map(|path| Kept::itself("the table of booths", path));
    let decisions = job.decisions.iter().map(|path| Kept::itself("decisions", path));
    let responses = job.responses.iter().map(|path| Kept::itself("replies", path));
    let renewed = job.consent_renewed.iter().map(|path| Kept::itself("the list of renewed consents", path));
    let seen = job.seen.iter().map(|path| Kept::whole("what was seen", path));
    dump.map(Dump::kept)
        .unwrap_or_default()
        .into_iter()
        .chain(seen)
        .chain(store)
        .chain(workers)
        .chain(booths)
        .chain(decisions)
        .chain(responses)
        .chain(renewed)
        .collect()
}
