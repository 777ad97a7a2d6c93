//! The command line: what was typed, made into what it means, and results printed.

mod audit;
mod bench;
mod dedup;
mod devices;
mod evaluate;
mod gallery;
mod setup;
mod synth;
mod weights;

use std::io::Write;

use clap::{Args, Parser, Subcommand};

use crate::{Error, Result};

/// Audits the selfies of a membership drive: photos of photos, absent workers, members enrolled twice.
#[derive(Debug, Parser)]
#[command(name = "chehra", version, propagate_version = true, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command understands.
#[derive(Debug, Args)]
struct Common {
    /// Say more on standard error (-v for information, -vv for debugging)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// No progress and no notes; errors still appear
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Worker threads [default: all cores]
    #[arg(long, global = true, value_name = "N", env = "CHEHRA_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Audit a night's dump: read, detect, compare, and commit a run folder
    Audit(audit::AuditArgs),
    /// Measure what a night costs here, stage by stage, and whether that has grown
    Bench(bench::BenchArgs),
    /// Find members enrolled twice in a whole store
    Dedup(dedup::DedupArgs),
    /// List what networks and searches can run on: CPU, CUDA cards, Metal
    Devices(devices::DevicesArgs),
    /// Measure accuracy on labelled data, in ISO/IEC 19795-1 and 30107-3 terms
    #[command(subcommand)]
    Evaluate(evaluate::EvaluateCommand),
    /// Look after a store: stats, verify, compact, forget, export, import
    #[command(subcommand)]
    Gallery(gallery::GalleryCommand),
    /// Print the policy with all its defaults, as TOML
    Policy(PolicyArgs),
    /// Make dumps with known truth from a folder of faces
    Synth(synth::SynthArgs),
    /// Show or check the weights
    #[command(subcommand)]
    Weights(weights::WeightsCommand),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chehra policy > policy.toml\n  chehra policy --policy policy.toml   # what a partial file adds up to"
)]
struct PolicyArgs {
    /// Start from this policy file instead of the defaults
    #[arg(long, value_name = "FILE")]
    policy: Option<std::path::PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  chehra audit fixtures/night --out out/night
  chehra audit '/data/dump/2026-11-21/*.parquet' --store /data/store --out /data/runs/2026-11-21
  chehra evaluate verification --pairs lfw/pairs.csv --images lfw

Exit codes:
  0 done (bad rows are rows)   1 a check failed          64 wrong usage
  65 unusable input            69 device not available   70 a bug   75 try again";

/// Runs the command that was typed.
///
/// # Errors
/// Whatever ends the command; [`crate::exit`] turns it into an exit code.
pub fn run() -> Result<()> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, everything else is wrong usage; clap's own codes are not ours.
            let code = if error.use_stderr() { crate::exit::Exit::Usage as i32 } else { 0 };
            drop(error.print());
            std::process::exit(code);
        }
    };
    setup::logging(cli.common.verbose, cli.common.quiet);
    setup::threads(cli.common.threads)?;
    match cli.command {
        Command::Audit(args) => audit::run(&args, &cli.common),
        Command::Bench(args) => bench::run(&args, &cli.common),
        Command::Dedup(args) => dedup::run(&args, &cli.common),
        Command::Devices(args) => devices::run(&args),
        Command::Evaluate(command) => evaluate::run(&command, &cli.common),
        Command::Gallery(command) => gallery::run(&command, &cli.common),
        Command::Synth(args) => synth::run(&args, &cli.common),
        Command::Policy(args) => print(&setup::policy(args.policy.as_deref())?.to_toml()?),
        Command::Weights(command) => weights::run(&command),
    }
}

/// Prints to standard output; a reader that has gone away is no error.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write", "standard output")(error))
        }
        _ => Ok(()),
    }
}

/// Prints a value for machines.
fn json<T: serde::Serialize>(value: &T) -> Result<()> {
    print(&serde_json::to_string_pretty(value).map_err(|e| Error::bug("printing JSON", e))?)
}

/// Prints a value for people or, with `json`, for machines.
fn print_as<T: serde::Serialize + std::fmt::Display>(value: &T, as_json: bool) -> Result<()> {
    match as_json {
        true => json(value),
        false => print(&value.to_string()),
    }
}
