//! Who is asked by SMS, who shall send another selfie, who waits.
//!
//! A release is a folder beside the run folder. `release.csv` and `release.parquet` hold **mobile numbers in the clear**, of
//! those who are to be asked and of nobody else; they are readable by their owner alone, and are to be deleted when the
//! gateway has them. Who was ever asked stands in a ledger without numbers, `asked.jsonl` beside the run folders, flushed
//! before the list is written: so nobody is asked twice for one membership, whatever is repeated, and a list that was lost
//! is made again with the same rows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::TimestampMicrosecondType;
use serde::{Deserialize, Serialize};

use super::files::plain_cell;
use super::members::{Member, NightMembers};
use super::text::{advice, filled};
use crate::config::Columns;
use crate::config::policy::{Policy, ReleasePolicy, VerdictPolicy};
use crate::decisions::{Answer, Decisions, PairKey, RowAnswer, Side, covers};
use crate::dump::facts::Mobile;
use crate::lock::FileLock;
use crate::matching::UNKNOWN_TIME;
use crate::output::{self, Kept, create_private, create_private_folder, parent, sync_folder, write_durably};
use crate::reason::{Reason, Verdict};
use crate::report::table;
use crate::verdict::write_table;
use crate::{Error, Result};

/// What to release.
#[derive(Debug, Clone)]
pub struct ReleaseJob {
    /// The run folder.
    pub run: PathBuf,
    /// Its dump, where it has moved.
    pub dumps: Vec<PathBuf>,
    /// What the dump's columns are called.
    pub columns: Columns,
    /// The folder to write into.
    pub out: PathBuf,
    /// The ledger of who was asked.
    pub asked: PathBuf,
    /// Logs of reviewers' decisions.
    pub decisions: Vec<PathBuf>,
    /// Submissions that a person looked at and upheld.
    pub upheld: HashSet<String>,
    /// Templates and verdicts.
    pub policy: Policy,
    /// Now, microseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The member is asked by SMS.
    Send,
    /// Nobody is asked, for now.
    Hold,
    /// The worker is asked for another selfie.
    Retake,
}

impl Action {
    /// The word in tables.
    pub fn code(self) -> &'static str {
        match self {
            Action::Send => "send",
            Action::Hold => "hold",
            Action::Retake => "retake",
        }
    }
}

/// A line of the release.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    action: Action,
    /// Why, as a stable word.
    why: &'static str,
    mobile: Option<String>,
    text: String,
}

/// How many of what.
#[derive(Debug, Clone, Serialize)]
pub struct ReleaseSummary {
    /// The list; `None` where nobody new is to be asked.
    pub release: Option<PathBuf>,
    /// The how-manieth release of this run it is.
    pub batch: u64,
    /// Rows by action and why.
    pub rows: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
}

impl std::fmt::Display for ReleaseSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (action, reasons) in &self.rows {
            let parts: Vec<String> = reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
            writeln!(f, "{action:<7} {:>8}  ({})", reasons.values().sum::<u64>(), parts.join(", "))?;
        }
        match &self.release {
            Some(path) => {
                write!(f, "{}\nIt holds mobile numbers: delete it when the gateway has them.", path.display())
            }
            None => write!(f, "nobody new is to be asked; the lists of this run's release are left as they are"),
        }
    }
}

/// A line of the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Asked {
    submission: String,
    action: Action,
    run: String,
    batch: u64,
    at: String,
}

/// The release folder of a run, beside the run folder.
pub fn beside(run: &Path) -> PathBuf {
    let mut name = run.file_name().unwrap_or_default().to_os_string();
    name.push(".release");
    run.with_file_name(name)
}

/// Writes the release.
///
/// # Errors
/// [`Error::Input`] for a run, a dump or a ledger that cannot be read; [`Error::Busy`] while another release is written;
/// [`Error::Io`].
pub fn release(job: &ReleaseJob) -> Result<ReleaseSummary> {
    let kept = [Kept::whole("the run folder", &job.run)];
    output::check("--out", &job.out, &kept)?;
    output::check("--asked", &job.asked, &kept)?;
    let night = NightMembers::read(&job.run, &job.dumps, &job.columns)?;
    let mut upheld = upheld_by_reviewers(&job.run, &Decisions::read(&job.decisions)?, &job.policy.verdicts)?;
    upheld.extend(job.upheld.iter().cloned());
    let mut lock = job.asked.clone().into_os_string();
    lock.push(".lock");
    let fix = "wait for the other release to end";
    let _lock = FileLock::wait(Path::new(&lock), Duration::from_secs(60), "another release is written", fix)?;
    let ledger = read_ledger(&job.asked)?;
    let asked: HashSet<(&str, Action)> = ledger.iter().map(|line| (line.submission.as_str(), line.action)).collect();
    let mut first_tries: HashSet<&str> = HashSet::new();
    let mut lines: Vec<Line> = Vec::new();
    for member in &night.members {
        // A try of the same membership, tonight or before.
        let again = member.duplicate_of.as_deref().filter(|_| member.reasons.contains(&Reason::Resubmitted));
        let mut line = judge(member, night.has_consent, &upheld, &job.policy);
        if line.action == Action::Send {
            let was_asked = |id: &str| asked.contains(&(id, Action::Send)) || first_tries.contains(id);
            let root = again.unwrap_or(&member.submission_id);
            if was_asked(root) || was_asked(&member.submission_id) {
                line = held("asked_before");
            } else {
                first_tries.insert(root);
                first_tries.insert(&member.submission_id);
            }
        }
        if line.action == Action::Retake && asked.contains(&(member.submission_id.as_str(), Action::Retake)) {
            line = held("retake_asked_before");
        }
        lines.push(line);
    }
    let own = |line: &&Asked| line.run == night.run_id;
    let last = ledger.iter().filter(own).map(|line| line.batch).max().unwrap_or(0);
    let new: Vec<(&str, Action)> = night
        .members
        .iter()
        .zip(&lines)
        .filter(|(_, line)| line.action != Action::Hold)
        .map(|(member, line)| (member.submission_id.as_str(), line.action))
        .collect();
    let file = |batch: u64| match batch {
        0 | 1 => job.out.join("release.csv"),
        n => job.out.join(format!("release-{n}.csv")),
    };
    let batch = match (new.is_empty(), last) {
        (true, 0) | (false, _) => last + 1,
        // The ledger has it and the list is gone, or was never finished: the same rows once more.
        (true, _) if !file(last).with_extension("parquet").exists() => {
            let of_last: HashSet<&str> = ledger
                .iter()
                .filter(own)
                .filter(|line| line.batch == last)
                .map(|line| line.submission.as_str())
                .collect();
            for (member, line) in night.members.iter().zip(&mut lines) {
                if of_last.contains(member.submission_id.as_str()) {
                    *line = judge(member, night.has_consent, &upheld, &job.policy);
                }
            }
            last
        }
        (true, _) => return Ok(summary(None, last, &lines)),
    };
    create_private_folder(&job.out)?;
    append(&job.asked, &new, &night.run_id, batch, job.now)?;
    let path = file(batch);
    // The Parquet file last, and whole: where it is, both are.
    write_csv(&path, &night.members, &lines, &night.run_id)?;
    let (table, unfinished) = (path.with_extension("parquet"), path.with_extension("parquet.tmp"));
    write_parquet(&unfinished, &night.members, &lines, &night.run_id)?;
    std::fs::rename(&unfinished, &table).map_err(Error::io("rename", &table))?;
    sync_folder(&job.out)?;
    Ok(summary(Some(path), batch, &lines))
}

fn summary(release: Option<PathBuf>, batch: u64, lines: &[Line]) -> ReleaseSummary {
    let mut rows: BTreeMap<&'static str, BTreeMap<&'static str, u64>> = BTreeMap::new();
    for line in lines {
        *rows.entry(line.action.code()).or_default().entry(line.why).or_default() += 1;
    }
    ReleaseSummary { release, batch, rows }
}

fn held(why: &'static str) -> Line {
    Line { action: Action::Hold, why, mobile: None, text: String::new() }
}

/// What becomes of a row by itself.
fn judge(member: &Member, has_consent: bool, upheld: &HashSet<String>, policy: &Policy) -> Line {
    let is_upheld = upheld.contains(&member.submission_id);
    match member.verdict {
        Verdict::Accept => send(member, has_consent, "accepted", &policy.release),
        Verdict::Review | Verdict::Reject if is_upheld => send(member, has_consent, "upheld", &policy.release),
        Verdict::Review => held("waits_for_review"),
        Verdict::Reject => held("rejected"),
        Verdict::Retake | Verdict::Unreadable => {
            let language = policy.release.language;
            let asks =
                |reason: &&Reason| [Verdict::Retake, Verdict::Unreadable].contains(&policy.verdicts.of(**reason));
            let reason = member.reasons.iter().find(asks).copied().unwrap_or(Reason::UnreadableImage);
            let values = values(member, advice(reason, language));
            let text =
                filled(policy.release.retake(), &values.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
            Line { action: Action::Retake, why: reason.code(), mobile: None, text }
        }
    }
}

fn send(member: &Member, has_consent: bool, why: &'static str, policy: &ReleasePolicy) -> Line {
    if member.facts.consent != Some(true) && (has_consent || !policy.without_consent_column) {
        return held("consent_unknown");
    }
    match member.facts.mobile.as_deref().map(Mobile::parse) {
        None => held("no_mobile"),
        Some(Err(_)) => held("mobile_malformed"),
        Some(Ok(mobile)) => {
            let values = values(member, "");
            let text = filled(policy.ask(), &values.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
            Line { action: Action::Send, why, mobile: Some(format!("+91{}", mobile.as_str())), text }
        }
    }
}

fn values(member: &Member, reason: &str) -> [(&'static str, String); 5] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    [
        ("name", text(&member.facts.member_name)),
        ("worker", text(&member.facts.worker_id)),
        ("district", text(&member.facts.district)),
        ("submission", member.submission_id.clone()),
        ("reason", reason.to_owned()),
    ]
}

/// Rows that reviewers cleared: all pairs of the member were told apart, where it was flagged as enrolled before, and what
/// else was held against the row was overturned.
fn upheld_by_reviewers(run: &Path, decisions: &Decisions, policy: &VerdictPolicy) -> Result<HashSet<String>> {
    let mut apart: HashMap<String, bool> = HashMap::new();
    let ledger = decisions.ledger();
    if ledger.pairs().is_empty() && ledger.rows().is_empty() {
        return Ok(HashSet::new());
    }
    let columns = ["submission_a", "submission_b", "worker_a", "worker_b", "captured_at_a", "captured_at_b"];
    table::read(&run.join("pairs.parquet"), &columns, |batch| {
        let text = |name| batch.texts(name);
        let time = |name| batch.numbers::<TimestampMicrosecondType>(name);
        let a = (text("submission_a")?, text("worker_a")?, time("captured_at_a")?);
        let b = (text("submission_b")?, text("worker_b")?, time("captured_at_b")?);
        for row in 0..batch.rows() {
            let side =
                |(ids, workers, times): &(table::Texts, table::Texts, &arrow::array::TimestampMicrosecondArray)| Side {
                    submission: ids.get(row).unwrap_or_default().to_owned(),
                    worker: workers.get(row).unwrap_or_default().to_owned(),
                    captured_at: table::value(times, row).unwrap_or(UNKNOWN_TIME),
                    earlier_night: false,
                };
            let (a, b) = (side(&a), side(&b));
            let settled = ledger.settled(&PairKey::new(&a, &b));
            let is_apart = settled.is_some_and(|settled| !settled.disputed && settled.answer == Answer::Different);
            for side in [a, b] {
                let all = apart.entry(side.submission).or_insert(true);
                *all &= is_apart;
            }
        }
        Ok(())
    })?;
    let told_apart = |id: &str| apart.get(id) == Some(&true);
    let mut upheld = HashSet::new();
    let columns = ["submission_id", "worker_id", "captured_at", "verdict", "reasons"];
    table::read(&run.join("verdicts.parquet"), &columns, |batch| {
        let (ids, workers) = (batch.texts("submission_id")?, batch.texts("worker_id")?);
        let (verdicts, reasons) = (batch.texts("verdict")?, batch.lists("reasons")?);
        let times = batch.numbers::<TimestampMicrosecondType>("captured_at")?;
        for row in 0..batch.rows() {
            let Some(id) = ids.get(row) else { continue };
            let worker = workers.get(row).unwrap_or_default().to_owned();
            let key = (id.to_owned(), worker, table::value(times, row).unwrap_or(UNKNOWN_TIME));
            let settled = ledger.settled_row(&key);
            let overturned = settled.as_ref().filter(|settled| settled.answer == Some(RowAnswer::Overturn));
            let is_left = |reason: &Reason| match reason {
                Reason::DuplicateMember => !told_apart(id),
                _ => overturned.is_none_or(|settled| !covers(&settled.reasons, *reason)),
            };
            let known = |code: &&str| Reason::ALL.iter().copied().find(|reason| reason.code() == *code);
            let all: Vec<Option<Reason>> = reasons.get(row).iter().map(known).collect();
            let left: Vec<Reason> = all.iter().flatten().copied().filter(is_left).collect();
            let is_for_people = matches!(verdicts.get(row), Some("review" | "reject"));
            // A reason of another version is one that nobody has judged.
            let is_cleared = all.iter().all(Option::is_some) && left.len() < all.len();
            if is_for_people && is_cleared && policy.decide(&left) == Verdict::Accept {
                upheld.insert(id.to_owned());
            }
        }
        Ok(())
    })?;
    Ok(upheld)
}

fn read_ledger(path: &Path) -> Result<Vec<Asked>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(Error::io("read", path))?,
    };
    let mut lines = Vec::new();
    let whole = text.ends_with('\n') || text.is_empty();
    let count = text.lines().count();
    for (number, line) in (1..).zip(text.lines()) {
        match serde_json::from_str(line) {
            Ok(asked) => lines.push(asked),
            // The last line of a process that was killed: its list was never written, so nobody was asked by it.
            Err(_) if !whole && number == count => {}
            Err(error) => {
                let fix = "restore it from a backup: without it members are asked twice";
                return Err(Error::input(
                    path,
                    format!("line {number}"),
                    "a line of the ledger",
                    error.to_string(),
                    fix,
                ));
            }
        }
    }
    Ok(lines)
}

/// Notes whom the list will ask, on the disk before the list is.
fn append(path: &Path, new: &[(&str, Action)], run: &str, batch: u64, now: i64) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    // A line that was cut short goes with the rewrite of the last part; whole lines stay as they are.
    let old = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let whole = old.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let at = jiff::Timestamp::from_microsecond(now).map_or_else(|_| now.to_string(), |at| at.to_string());
    let mut text = String::new();
    for &(submission, action) in new {
        let line = Asked { submission: submission.to_owned(), action, run: run.to_owned(), batch, at: at.clone() };
        text += &serde_json::to_string(&line).map_err(|e| Error::bug("writing the ledger", e))?;
        text.push('\n');
    }
    if old.is_empty() {
        return write_durably(path, text.as_bytes());
    }
    let mut file = OpenOptions::new().write(true).open(path).map_err(Error::io("open", path))?;
    let written = file
        .set_len(whole as u64)
        .and_then(|()| std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)))
        .and_then(|_| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all());
    written.map_err(Error::io("write", path))?;
    sync_folder(parent(path))
}

const HEADER: [&str; 8] = ["submission_id", "worker_id", "district", "action", "why", "mobile", "text", "run_id"];

fn write_csv(path: &Path, members: &[Member], lines: &[Line], run_id: &str) -> Result<()> {
    let failed = |e: csv::Error| Error::io("write", path)(std::io::Error::other(e));
    let mut writer = csv::Writer::from_writer(create_private(path)?);
    writer.write_record(HEADER).map_err(failed)?;
    for (member, line) in members.iter().zip(lines) {
        let text = |value: &Option<String>| plain_cell(value.as_deref().unwrap_or(""));
        let cells = [
            member.submission_id.clone(),
            text(&member.facts.worker_id),
            text(&member.facts.district),
            line.action.code().to_owned(),
            line.why.to_owned(),
            line.mobile.clone().unwrap_or_default(),
            plain_cell(&line.text),
            run_id.to_owned(),
        ];
        writer.write_record(&cells).map_err(failed)?;
    }
    writer.flush().map_err(Error::io("write", path))
}

fn write_parquet(path: &Path, members: &[Member], lines: &[Line], run_id: &str) -> Result<()> {
    let of_member =
        |get: fn(&Member) -> Option<&str>| -> ArrayRef { Arc::new(members.iter().map(get).collect::<StringArray>()) };
    let of_line =
        |get: fn(&Line) -> Option<&str>| -> ArrayRef { Arc::new(lines.iter().map(get).collect::<StringArray>()) };
    write_table(
        path,
        vec![
            ("submission_id", of_member(|m| Some(&m.submission_id))),
            ("worker_id", of_member(|m| m.facts.worker_id.as_deref())),
            ("district", of_member(|m| m.facts.district.as_deref())),
            ("action", of_line(|l| Some(l.action.code()))),
            ("why", of_line(|l| Some(l.why))),
            ("mobile", of_line(|l| l.mobile.as_deref())),
            ("text", of_line(|l| Some(l.text.as_str()).filter(|text| !text.is_empty()))),
            ("run_id", Arc::new(StringArray::from(vec![run_id; lines.len()]))),
        ],
    )
}
