//! The command line: what was typed, made into what it means, and results printed.

mod audit;
mod bench;
mod compare;
mod completions;
mod config;
mod dedup;
mod devices;
mod evaluate;
mod gallery;
mod inspect;
mod report;
mod review;
mod search;
mod setup;
mod start;
mod synth;
mod voice;
mod weights;

use std::io::Write;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::exit::Exit;
use crate::{Error, Result};

use start::Stop;
use voice::LogFormat;

/// Audits the selfies of a membership drive: photos of photos, absent workers, members enrolled twice.
#[derive(Debug, Parser)]
#[command(name = "chehra", version, propagate_version = true, max_term_width = 120)]
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
    #[arg(short, long, global = true, help_heading = EVERYWHERE, conflicts_with = "quiet", action = clap::ArgAction::Count)]
    verbose: u8,
    /// No progress and no notes; errors still appear
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    quiet: bool,
    /// JSON for machines: one document on standard output; an error is one JSON line on standard error
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// Log lines on standard error: text, or one JSON object a line
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Worker threads [default: all cores]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Configuration file [default: chehra.toml in the working folder or above it]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE", conflicts_with = "no_config")]
    config: Option<std::path::PathBuf>,
    /// Leave chehra.toml out
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    no_config: bool,
    /// What the configuration file says beyond options.
    #[arg(skip)]
    settings: start::Settings,
}

impl Common {
    /// Begins to log.
    fn log(&self) {
        voice::logging(self.verbose, self.quiet, self.log_format);
    }
}

const EVERYWHERE: &str = "Everywhere";

#[derive(Debug, Subcommand)]
enum Command {
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
    /// Print the policy with all its defaults, as TOML
    Policy(PolicyArgs),
    /// Make the page of a run anew
    Report(report::ReportArgs),
    /// Look at a run's queue in a browser, pair by pair, and decide
    Review(review::ReviewArgs),
    /// Find who of a store is in a photo: the nearest members of every face
    Search(search::SearchArgs),
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
    without_variables(Cli::command().after_help(after_help))
}

/// Runs the command that was typed, says why it ended early, and gives its exit code.
pub fn run() -> Exit {
    let mut as_json = false;
    let outcome = match start::start(&mut as_json) {
        Ok(cli) => {
            std::panic::set_hook(Box::new(|info| log::error!("{info}")));
            caught(|| dispatch(&cli))
        }
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::Parser(error)) => {
            // Help and version are answers, everything else is wrong usage; the parser's own codes are not ours.
            let is_answer = !error.use_stderr();
            voice::complain_of_usage(&error, as_json && !is_answer);
            return if is_answer { Exit::Done } else { Exit::Usage };
        }
    };
    match outcome {
        Ok(()) => Exit::Done,
        Err(error) => {
            voice::complain(&error, as_json);
            Exit::from(&error)
        }
    }
}

/// A panic is a bug like any other: it has its message, its line and its exit code.
fn caught(command: impl FnOnce() -> Result<()>) -> Result<()> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(command)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Error::bug("running the command", text.unwrap_or("a panic without a text")))
    })
}

fn dispatch(cli: &Cli) -> Result<()> {
    let common = &cli.common;
    setup::threads(common.threads)?;
    match &cli.command {
        Command::Audit(args) => audit::run(args, common),
        Command::Bench(args) => bench::run(args, common),
        Command::Compare(args) => compare::run(args, common),
        Command::Completions(args) => completions::completions(args, common),
        Command::Config(command) => config::run(command, common),
        Command::Dedup(args) => dedup::run(args, common),
        Command::Devices(_) => devices::run(common),
        Command::Evaluate(command) => evaluate::run(command, common),
        Command::Gallery(command) => gallery::run(command, common),
        Command::Inspect(args) => inspect::run(args, common),
        Command::Man(args) => completions::man(args, common),
        Command::Synth(args) => synth::run(args, common),
        Command::Policy(args) => policy(args, common),
        Command::Report(args) => report::run(args, common),
        Command::Review(args) => review::run(args, common),
        Command::Search(args) => search::run(args, common),
        Command::Weights(command) => weights::run(command, common),
    }
}

fn policy(args: &PolicyArgs, common: &Common) -> Result<()> {
    let policy = setup::policy(args.policy.as_deref())?;
    match common.json {
        true => json(&policy),
        false => print(&policy.to_toml()?),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_as_a_bug_with_its_text() {
        let error = caught(|| panic!("row {} of none", 3)).unwrap_err();
        assert!(error.to_string().contains("row 3 of none"), "{error}");
        assert_eq!(Exit::from(&error), Exit::Bug);
        assert!(caught(|| Ok(())).is_ok());
    }
}
