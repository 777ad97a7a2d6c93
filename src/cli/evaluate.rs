//! `chehra evaluate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::Result;
use crate::cli::setup::{self, EngineArgs};
use crate::cli::{Common, print_as};
use crate::evaluate;
use crate::report::Progress;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum EvaluateCommand {
    /// 1:1 verification on labelled pairs: accuracy over folds, FNMR at FMR
    #[command(
        after_help = "Example:\n  chehra evaluate verification --pairs lfw/pairs.csv --images lfw\n\nThe CSV has the columns fold, path_a, path_b, same (0 or 1)."
    )]
    Verification(VerificationArgs),
    /// Presentation attack detection: APCER, BPCER, EER, AUC
    #[command(
        after_help = "Example:\n  chehra evaluate liveness --labels nuaa/labels.csv --images nuaa\n\nThe CSV has the columns label (live or spoof) and path."
    )]
    Liveness(LivenessArgs),
}

/// Flags of `evaluate verification`.
#[derive(Debug, Args)]
pub struct VerificationArgs {
    /// CSV of labelled pairs
    #[arg(long, value_name = "FILE")]
    pairs: PathBuf,
    /// Folder that the CSV's paths start from
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Flags of `evaluate liveness`.
#[derive(Debug, Args)]
pub struct LivenessArgs {
    /// CSV of labelled pictures
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// Folder that the CSV's paths start from
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Runs it.
pub fn run(command: &EvaluateCommand, common: &Common) -> Result<()> {
    let progress = Progress::new(common.quiet);
    match command {
        EvaluateCommand::Verification(args) => {
            let policy = setup::policy(args.engine.policy.as_deref())?;
            let engine = args.engine.engine(&policy)?;
            print_as(&evaluate::verification(&engine, &args.pairs, &args.images, progress)?, args.json)
        }
        EvaluateCommand::Liveness(args) => {
            let policy = setup::policy(args.engine.policy.as_deref())?;
            let engine = args.engine.engine(&policy)?;
            let threshold = policy.liveness.min_bona_fide;
            print_as(&evaluate::liveness(&engine, &args.labels, &args.images, threshold, progress)?, args.json)
        }
    }
}
