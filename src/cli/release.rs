//! `chehra release`.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;

use crate::Result;
use crate::audit::read_ids;
use crate::cli::{Common, print_as, setup};
use crate::config::policy::Language;
use crate::dump::expect_run;
use crate::followup::release::{ReleaseJob, beside, release};

const EXAMPLES: &str = "\
Examples:
  chehra release runs/2026-11-21
  chehra release runs/2026-11-21 --decisions runs/2026-11-21.decisions.jsonl --language en
  chehra release runs/2026-11-21 --upheld seen-by-two.txt --dump /archive/2026-11-21

RUN.release/release.csv and release.parquet say who is sent an SMS (`send`), to whose worker a retake goes (`retake`), and
who waits (`hold`), each with why and the text. They hold mobile numbers in the clear, of those to be asked alone: they are
readable by their owner alone, nothing else holds numbers but a sample's callers.csv, and both are to be deleted when
done. Nobody is asked without consent, and nobody twice for one membership: asked.jsonl beside the runs remembers, without
numbers. The command can be repeated; it lists whoever is new, and nobody else, in release-2.csv and so on.";

/// Flags of `release`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReleaseArgs {
    /// Run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The dump, where it has moved: files or folders
    #[arg(long, value_name = "DUMP", num_args = 1..)]
    dump: Vec<PathBuf>,
    /// Folder for the lists [default: RUN.release, beside the run folder]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Ledger of who was asked, made if absent [default: asked.jsonl beside the run folder]
    #[arg(long, value_name = "FILE")]
    asked: Option<PathBuf>,
    /// Decisions of reviewers: rows whose every pair was told apart are upheld
    #[arg(long, value_name = "FILE")]
    decisions: Vec<PathBuf>,
    /// File of submission ids, one a line, that a person looked at and upheld
    #[arg(long, value_name = "FILE")]
    upheld: Option<PathBuf>,
    /// Language of the texts [default: the policy's]
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<Language>,
    /// Policy file, with the templates
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: &ReleaseArgs, common: &Common) -> Result<()> {
    expect_run(&args.run)?;
    let mut policy = setup::working_policy(args.policy.as_deref())?;
    policy.release.language = args.language.unwrap_or(policy.release.language);
    let upheld = args.upheld.as_deref().map(|path| read_ids(path, "--upheld")).transpose()?;
    let job = ReleaseJob {
        run: args.run.clone(),
        dumps: args.dump.clone(),
        columns: common.settings.columns.clone(),
        out: args.out.clone().unwrap_or_else(|| beside(&args.run)),
        asked: args.asked.clone().unwrap_or_else(|| args.run.with_file_name("asked.jsonl")),
        decisions: args.decisions.clone(),
        upheld: upheld.into_iter().flatten().collect::<HashSet<String>>(),
        policy,
        now: jiff::Timestamp::now().as_microsecond(),
    };
    print_as(&release(&job)?, common.json)
}
