//! `chehra assurance`.

use std::path::PathBuf;

use clap::Args;

use crate::Result;
use crate::assurance::promise::Goal;
use crate::cli::{Common, print_as};
use crate::config::Columns;
use crate::dump::times::Clock;
use crate::followup::assurance::{AssuranceJob, assure, write};
use crate::replies::ReplyNames;

const EXAMPLES: &str = "\
Examples:
  chehra assurance runs/2026-11-21.sample --responses runs/2026-11-21.sample/callers.csv
  chehra assurance runs/*.sample runs/*.second --responses calls/*.csv --at-most 0.02 --out promise
  chehra assurance runs/*.sample --responses calls.parquet --reply-columns answer=RESULT --answers 'NO=denied' --json

Says of drive, divisions and districts how many of the accepted members at most are not real, and how many more calls a goal
needs; and how much each detector finds and how often it is right, judged by calls, visits and --decisions. The intervals
hold at every time of looking. OUT gets assurance.json, promises.parquet, and
replies_refused.csv with a row for each reply that was set aside.";

const REPLIES: &str = "What members answered";

/// Flags about tables of replies.
#[derive(Debug, Clone, Default, Args)]
pub struct ReplyArgs {
    /// Tables of replies, CSV or Parquet: submission_id, answer (confirmed, denied, wrong_data, undelivered, silent), at, ...
    #[arg(help_heading = REPLIES, long, value_name = "FILE", num_args = 1..)]
    pub responses: Vec<PathBuf>,
    /// What the tables call a column: OURS=THEIRS
    #[arg(help_heading = REPLIES, long, value_name = "PAIR", value_delimiter = ',')]
    pub reply_columns: Vec<String>,
    /// What the tables call an answer: THEIRS=OURS
    #[arg(help_heading = REPLIES, long, value_name = "PAIR", value_delimiter = ',')]
    pub answers: Vec<String>,
}

impl ReplyArgs {
    /// The names.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] for a pair or a time zone that cannot be meant.
    pub fn names(&self, common: &Common) -> Result<ReplyNames> {
        let time_zone = common.settings.columns.time_zone.clone();
        let clock = Clock::new(&Columns { time_zone, ..Columns::default() })?;
        Ok(ReplyNames { clock, ..ReplyNames::parse(&self.reply_columns, &self.answers)? })
    }
}

/// Flags of `assurance`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AssuranceArgs {
    /// Sample folders, in the order of their nights; second samples anywhere among them
    #[arg(value_name = "SAMPLE", required = true)]
    samples: Vec<PathBuf>,
    #[command(flatten)]
    replies: ReplyArgs,
    /// Decisions of reviewers: they judge duplicates
    #[arg(long, value_name = "FILE")]
    decisions: Vec<PathBuf>,
    /// Confidence of the intervals
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = open_share)]
    confidence: f64,
    /// The goal: at most this share of the accepted members is not real
    #[arg(long, value_name = "SHARE", default_value_t = 0.02, value_parser = open_share)]
    at_most: f64,
    /// Precision that a suggested limit must keep
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = open_share)]
    precision: f64,
    /// Folder for assurance.json, promises.parquet and replies_refused.csv
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn open_share(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok().filter(|&n| n > 0.0 && n < 1.0);
    number.ok_or_else(|| "a number between 0 and 1 is expected".to_owned())
}

/// Runs it.
pub fn run(args: &AssuranceArgs, common: &Common) -> Result<()> {
    let job = AssuranceJob {
        samples: args.samples.clone(),
        responses: args.replies.responses.clone(),
        names: args.replies.names(common)?,
        decisions: args.decisions.clone(),
        goal: Goal { confidence: args.confidence, at_most: args.at_most },
        precision: args.precision,
        now: jiff::Timestamp::now().as_microsecond(),
    };
    let (assurance, refused) = assure(&job)?;
    if let Some(out) = &args.out {
        write(&assurance, &refused, out, &job)?;
    }
    for row in refused.iter().take(5) {
        log::warn!("{}, row {}: {} ({})", row.file.display(), row.row, row.reason.code(), row.detail);
    }
    print_as(&assurance, common.json)
}
