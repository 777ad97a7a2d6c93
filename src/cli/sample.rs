//! `chehra sample`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::assurance::ReplyArgs;
use crate::cli::{Common, print_as};
use crate::config::policy::Language;
use crate::dump::expect_run;
use crate::followup::assurance::silent_members;
use crate::followup::sample::{Sample, SampleJob, beside, draw, draw_again};
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra sample runs/2026-11-21 --calls 200
  chehra sample runs/2026-11-22 --calls 200 --earlier runs/2026-11-21.sample --seed 83159
  chehra sample runs/2026-11-21 --silent-of runs/2026-11-21.sample --responses calls.csv --out runs/2026-11-21.second

RUN.sample/callers.csv is the list to call from, with questions.txt beside it; it holds mobile numbers and is to be deleted
when the calls are done. Draw before any answer is known, and let the seed come from dice thrown in public: then nobody can
say that the list was chosen. Every accepted member, and every other, can be on it. Fill in callers.csv and hand it to
`chehra assurance --responses`.";

/// Flags of `sample`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SampleArgs {
    /// Run folders of the nights to draw from
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The dumps, where they have moved: files or folders
    #[arg(long, value_name = "DUMP", num_args = 1..)]
    dump: Vec<PathBuf>,
    /// Folder to make [default: RUN.sample beside the run folder]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Members to call
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    calls: u64,
    /// Share of the calls for memberships that were not accepted: they tell what the detectors are worth
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share)]
    other_share: f64,
    /// How much likelier members of booths without a check so far are called
    #[arg(long, value_name = "FACTOR", default_value_t = 2.0, value_parser = factor)]
    unchecked_booths: f64,
    /// Samples of earlier nights: their booths have had a check
    #[arg(long, value_name = "SAMPLE", num_args = 0..)]
    earlier: Vec<PathBuf>,
    /// Seed of the draw: any text, such as numbers from public dice [default: drawn by the system, and shown]
    #[arg(long, value_name = "TEXT")]
    seed: Option<String>,
    /// Draw a second sample instead, of those of this sample who did not answer, by --responses
    #[arg(long, value_name = "SAMPLE", requires = "out")]
    silent_of: Option<PathBuf>,
    /// Chance with which each of them is taken
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = chance)]
    silent_share: f64,
    #[command(flatten)]
    replies: ReplyArgs,
    /// Language of the questions
    #[arg(long, value_name = "LANGUAGE", default_value = "hi")]
    language: Language,
}

fn share(text: &str) -> Result<f64, String> {
    number(text, &|n| (0.0..=1.0).contains(&n), "a number from 0 to 1")
}

fn chance(text: &str) -> Result<f64, String> {
    number(text, &|n| n > 0.0 && n <= 1.0, "a number above 0, at most 1")
}

fn factor(text: &str) -> Result<f64, String> {
    number(text, &|n| (1.0..=100.0).contains(&n), "a number from 1 to 100")
}

fn number(text: &str, is_fine: &dyn Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|&n| is_fine(n)).ok_or_else(|| format!("{expected} is expected"))
}

/// Runs it.
pub fn run(args: &SampleArgs, common: &Common) -> Result<()> {
    args.runs.iter().try_for_each(|run| expect_run(run))?;
    let last = args.runs.last().ok_or_else(|| Error::usage("RUN", "no run folder", "name one"))?;
    let job = SampleJob {
        runs: args.runs.clone(),
        dumps: args.dump.clone(),
        columns: common.settings.columns.clone(),
        earlier: args.earlier.clone(),
        out: args.out.clone().unwrap_or_else(|| beside(last)),
        calls: args.calls,
        other_share: args.other_share,
        booth_weight: args.unchecked_booths,
        seed: args.seed.clone(),
        language: args.language,
        now: jiff::Timestamp::now().as_microsecond(),
    };
    let summary = match &args.silent_of {
        None => draw(&job)?,
        Some(path) => {
            let first = Sample::read(path)?;
            let silent = silent_members(&first, &args.replies.responses, &args.replies.names(common)?, job.now)?;
            draw_again(&first, &silent, args.silent_share, &job)?
        }
    };
    print_as(&summary, common.json)
}
