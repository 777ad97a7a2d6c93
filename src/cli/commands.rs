//! The commands that can be typed, for the parser.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::common::Common;
use super::help::laid_out;
use super::{assurance, audit, bench, compare, completions, config, dedup, devices, evaluate, gallery, inspect};
use super::{release, report, review, sample, search, see, synth, weights};
use crate::exit::Exit;

/// Audits the selfies of a membership drive: photos of photos, absent workers, members enrolled twice.
#[derive(Debug, Parser)]
#[command(name = "chehra", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what may be promised of a drive, from samples and replies, and what each detector is worth
    Assurance(assurance::AssuranceArgs),
    /// Audit a night's dump: read, detect, compare, and commit a run folder
    Audit(audit::AuditArgs),
    /// Measure what a night costs here, stage by stage, and whether that has grown
    Bench(bench::BenchArgs),
    /// Compare two photos: how alike, and how often chance makes two people so alike
    Compare(compare::CompareArgs),
    /// Print shell completions
    Completions(completions::CompletionsArgs),
    /// Show where each setting comes from, or write a sample of chehra.toml
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print what machines must share that see parts of one dump: version, networks, arithmetic, columns
    Contract(see::ContractArgs),
    /// Find members enrolled twice: in a dump, a run, an export or a store, or between two of them
    Dedup(dedup::DedupArgs),
    /// List what networks and searches can run on: CPU, CUDA cards, Metal
    Devices(devices::DevicesArgs),
    /// Measure accuracy on labelled data, in ISO/IEC 19795-1 and 30107-3 terms
    #[command(subcommand)]
    Evaluate(evaluate::EvaluateCommand),
    /// Look after a store: stats, verify, compact, forget, export, import
    #[command(subcommand)]
    Gallery(gallery::GalleryCommand),
    /// Say what the networks see in one photo, as JSON and as an annotated picture
    Inspect(inspect::InspectArgs),
    /// Write manual pages, one for each command
    Man(completions::ManArgs),
    /// Print the policy as TOML: every key with its value, meaning, unit and range
    Policy(PolicyArgs),
    /// List whom to ask by SMS after a night, and whose selfie must be taken again
    Release(release::ReleaseArgs),
    /// Make the page of a run anew
    Report(report::ReportArgs),
    /// Look at a run's queue in a browser, pair by pair, and decide
    Review(review::ReviewArgs),
    /// Draw a random sample of a night's members for callers
    Sample(sample::SampleArgs),
    /// Find who of a store is in a photo: the nearest members of every face
    Search(search::SearchArgs),
    /// See a dump, or a share of it, for an audit elsewhere: the audit's first stage by itself
    See(see::SeeArgs),
    /// Make dumps with known truth from a folder of faces
    Synth(synth::SynthArgs),
    /// Show or check the weights
    #[command(subcommand)]
    Weights(weights::WeightsCommand),
    /// See batches of rows from a pipe, for Spark and other cluster engines
    Worker(see::WorkerArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chehra policy > policy.toml\n  chehra policy --policy policy.toml   # what a partial file adds up to"
)]
pub struct PolicyArgs {
    /// Start from this policy file instead of the defaults
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  chehra audit fixtures/night --out out/night
  chehra audit '/data/dump/2026-11-21/*.parquet' --store /data/store --out /data/runs/2026-11-21
  chehra evaluate verification --pairs lfw/pairs.csv --images lfw

Every option can also stand in chehra.toml (`chehra config init` writes one) or in a variable: CHEHRA_STORE, or
CHEHRA_AUDIT_STORE for one command. Flags outweigh variables, and these the file; `chehra config show` tells.";

/// The whole command line, as the parser knows it: for completions, manual pages, and whoever asks what there is.
///
/// Variables are read by [`crate::config::layers`] and not by the parser, so that file and variables follow one rule.
pub fn command() -> clap::Command {
    fn without_variables(command: clap::Command) -> clap::Command {
        command.mut_args(|arg| arg.env(clap::builder::Resettable::Reset)).mut_subcommands(without_variables)
    }
    let after_help = format!("{AFTER_HELP}\n\nExit codes:\n{}", Exit::table());
    laid_out(without_variables(Cli::command().after_help(after_help)))
}
