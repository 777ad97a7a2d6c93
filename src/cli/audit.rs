//! `chehra audit`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::audit::{self, Job};
use crate::cli::assurance::ReplyArgs;
use crate::cli::caught::caught;
use crate::cli::help::{INPUT, OUTPUT};
use crate::cli::notify::NotifyArgs;
use crate::cli::setup::{self, EngineArgs};
use crate::cli::stop::stop_on_request;
use crate::cli::{Common, json, print};
use crate::dump::listed;
use crate::exit::Exit;
use crate::gallery::Engine as SearchEngine;
use crate::objects::is_address;
use crate::reason::Verdict;
use crate::report::metrics::Metrics;
use crate::report::page::{self, PageOptions};
use crate::report::{Progress, Summary};
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra audit fixtures/night --out out/night
  chehra audit '/data/dump/2026-11-21/*.parquet' --store /data/store --out /data/runs/2026-11-21
  chehra audit dump.parquet --workers workers.parquet --booths booths.csv --carry app_version --out out/night
  chehra audit dump.parquet --responses sms.csv calls.csv --store /data/store --out out/night
  chehra audit --seen /shared/seen --store /data/store --keep-seen 7 --out /data/runs/2026-11-21
  chehra audit s3://drive/dump/2026-11-21 --out s3://drive/runs/2026-11-21   # a build with the feature cloud
  chehra audit dump.parquet --decisions out/night.decisions.jsonl --out out/night-reviewed

The run folder holds verdicts.parquet (one row per row of the dump, in its order), pairs.parquet, clusters.parquet,
review.parquet (whom to look at first), suspects.parquet (suspected photos of photos), workers_audit.parquet (who stands out among peers), call_first.parquet
(workers by evidence of enrolling from home), run.json, and report.html, a page for people that holds small pictures of flagged faces. It appears whole or not at all; a run that was stopped
goes on from its last batch when the same command is given again.";

const COMPARED: &str = "Comparison and review";

/// Flags of `audit`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AuditArgs {
    /// Parquet files, folders of them, or globs
    #[arg(required_unless_present_any = ["files", "seen"], value_name = "DUMP")]
    inputs: Vec<PathBuf>,
    /// Folder of what was seen in the dump already (`chehra see`, the Spark job). DUMP may then be left out; with it there
    /// are pictures in the page, --carry, and workers.parquet beside it
    #[arg(help_heading = INPUT, long, value_name = "SEEN")]
    seen: Option<PathBuf>,
    /// Have the store remove that folder so many days after the first audit that read it; 0 for the end of this one
    #[arg(help_heading = INPUT, long, value_name = "DAYS", requires_all = ["seen", "store"])]
    keep_seen: Option<u32>,
    /// File with the paths of more Parquet files, one a line: the live files of a Delta, Iceberg or Hudi table
    #[arg(help_heading = INPUT, long, value_name = "LIST")]
    files: Option<PathBuf>,
    /// Run folder to create
    #[arg(help_heading = OUTPUT, short, long, value_name = "DIR")]
    out: PathBuf,
    /// Store of earlier nights, created if absent; without it the dump is compared with itself alone
    #[arg(help_heading = COMPARED, short, long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Replace the run folder if it exists
    #[arg(help_heading = OUTPUT, long)]
    force: bool,
    /// Table of workers' reference photos [default: workers.parquet beside the dump, if there]
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    workers: Option<PathBuf>,
    /// Table of booths with the columns booth_id and district (CSV or Parquet), to find booths outside their district
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    booths: Option<PathBuf>,
    /// Columns of the dump to carry through to the verdict table
    #[arg(help_heading = INPUT, long, value_name = "COLUMN", value_delimiter = ',')]
    carry: Vec<String>,
    /// Most persons in the review queue (review.parquet), most valuable first [default: all]
    #[arg(help_heading = COMPARED, long, value_name = "N")]
    review_budget: Option<usize>,
    /// Decisions of reviewers (`chehra review`), or a folder of their *.jsonl: pairs told apart are no longer flagged
    #[arg(help_heading = COMPARED, long, value_name = "FILE")]
    decisions: Vec<PathBuf>,
    #[command(flatten)]
    replies: ReplyArgs,
    /// File with the submission ids, one a line, of forgotten members who consented anew: they are taken again
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    consent_renewed: Option<PathBuf>,
    /// How the gallery is searched: auto, exact or hnsw. Both give scores from the same stored templates
    #[arg(help_heading = COMPARED, long, value_name = "ENGINE", default_value_t)]
    search: SearchEngine,
    /// Persons, and photos of photos, that are shown with pictures in report.html
    #[arg(help_heading = OUTPUT, long, value_name = "N", default_value_t = PageOptions::default().crops)]
    crops: usize,
    /// No report.html
    #[arg(help_heading = OUTPUT, long, conflicts_with = "crops")]
    no_report: bool,
    /// File of metrics for Prometheus, written anew at each stage and at the end (node-exporter's textfile collector)
    #[arg(long, value_name = "FILE", help_heading = "Monitoring")]
    metrics: Option<PathBuf>,
    #[command(flatten)]
    notify: NotifyArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Runs it, and tells whoever wants to know how it ended.
pub fn run(args: &AuditArgs, common: &Common) -> Result<()> {
    let metrics =
        args.metrics.as_deref().map(|file| Metrics::begin(file, args.store.as_deref(), &args.out)).transpose()?;
    let metrics = metrics.map(Arc::new);
    let mut done = None;
    let outcome = caught(|| {
        done = Some(audit(args, common, metrics.clone())?);
        match done.as_ref().and_then(|summary| summary.no_page.as_ref()) {
            None => Ok(()),
            Some(why) => Err(Error::Failed(format!("{} is done, and has {why}", args.out.display()))),
        }
    });
    let exit = outcome.as_ref().map_or_else(Exit::from, |()| Exit::Done);
    let record = done.is_some().then(|| args.out.join("run.json"));
    metrics.iter().for_each(|metrics| metrics.end(record.as_deref(), exit));
    let message = outcome.as_ref().map_or_else(ToString::to_string, |()| format!("{} is done", args.out.display()));
    let record = record.map(|path| if is_address(&path) { path } else { std::path::absolute(&path).unwrap_or(path) });
    let record = record.map(|path| path.display().to_string()).unwrap_or_default();
    args.notify.tell(&record, exit, &message);
    outcome
}

fn audit(args: &AuditArgs, common: &Common, metrics: Option<Arc<Metrics>>) -> Result<Summary> {
    let policy = setup::working_policy(args.engine.policy.as_deref())?;
    let mut inputs = args.inputs.clone();
    inputs.extend(args.files.as_deref().map(listed).transpose()?.into_iter().flatten());
    let job = Job {
        inputs,
        seen: args.seen.clone(),
        keep_seen: args.keep_seen,
        columns: common.settings.columns.clone(),
        carry: args.carry.clone(),
        workers: args.workers.clone(),
        booths: args.booths.clone(),
        store: args.store.clone(),
        out: args.out.clone(),
        force: args.force,
        review_budget: args.review_budget,
        decisions: args.decisions.clone(),
        responses: args.replies.responses.clone(),
        reply_names: args.replies.names(common)?,
        consent_renewed: args.consent_renewed.clone(),
        search: args.search,
        page: (!args.no_report).then(|| PageOptions {
            crops: args.crops,
            time_zone: common.settings.columns.time_zone.clone(),
            ..PageOptions::default()
        }),
        metrics,
    };
    let engine = args.engine.engine(&policy)?;
    let summary = audit::run(&job, &engine, Progress::new(common.quiet), stop_on_request()?.as_ref())?;
    match (common.json, common.quiet) {
        (true, _) => json(&serde_json::json!({ "run": job.out, "summary": summary }))?,
        (false, false) => print(&format!("{summary}\n{}\n{}", next_steps(&job, &summary), job.out.display()))?,
        (false, true) => {}
    }
    Ok(summary)
}

/// What to do with a run that is done.
fn next_steps(job: &Job, summary: &Summary) -> String {
    let out = shell_word(&job.out);
    let mut steps = Vec::new();
    if is_address(&job.out) {
        return format!(
            "next:\n  make a page for a browser  chehra report {out} --out night.html\nto review or release, copy the folder to this \
             machine; _SUCCESS in it names its files"
        );
    }
    if job.page.is_some() && summary.no_page.is_none() {
        steps.push(("open in a browser", shell_word(&job.out.join(page::FILE))));
    }
    if summary.clusters + summary.pairs > 0 {
        steps.push(("decide, pair by pair", format!("chehra review {out}")));
    }
    let is_held_back = |verdict: &&Verdict| summary.verdicts.get(verdict).is_some_and(|&count| count > 0);
    if [Verdict::Accept, Verdict::Retake].iter().any(|verdict| is_held_back(&verdict)) {
        steps.push(("list SMS and retakes", format!("chehra release {out}")));
    }
    let mut text = "next:".to_owned();
    steps.iter().for_each(|(what, how)| text += &format!("\n  {what:<22} {how}"));
    if job.store.is_none() {
        text += "\nwithout --store: these submissions were compared with each other alone, with no earlier night";
    }
    text
}

/// A path as a shell reads it.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+=:,@%".contains(letter);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(shell_word(Path::new("out/night-1")), "out/night-1");
        assert_eq!(shell_word(Path::new("a b's")), "'a b'\\''s'");
    }
}
