//! The command line: what was typed, made into what it means, and results printed.

mod addresses;
mod assurance;
mod audit;
mod bench;
mod caught;
mod ci;
mod commands;
mod common;
mod compare;
mod completions;
mod config;
mod dedup;
mod devices;
mod evaluate;
mod gallery;
mod help;
mod inspect;
mod notify;
mod print;
mod release;
mod report;
mod review;
mod sample;
mod search;
mod see;
mod setup;
mod start;
mod stop;
mod synth;
mod typed;
mod voice;
mod weights;

use crate::Result;
use crate::config::explain::explained;
use crate::error::is_guarded;
use crate::exit::Exit;

use caught::caught;
pub use commands::command;
use commands::{Cli, Command, PolicyArgs};
use common::Common;
use print::{json, print, print_as, print_as_it_is};
use start::Stop;

/// Runs the command that was typed, says why it ended early, and gives its exit code.
pub fn run() -> Exit {
    let mut as_json = false;
    let outcome = match start::start(&mut as_json) {
        Ok(cli) => {
            std::panic::set_hook(Box::new(|info| match is_guarded() {
                true => log::debug!("{info}"),
                false => log::error!("{info}"),
            }));
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

fn dispatch(cli: &Cli) -> Result<()> {
    let common = &cli.common;
    setup::threads(common.threads)?;
    match &cli.command {
        Command::Assurance(args) => assurance::run(args, common),
        Command::Audit(args) => audit::run(args, common),
        Command::Bench(args) => bench::run(args, common),
        Command::Compare(args) => compare::run(args, common),
        Command::Completions(args) => completions::completions(command(), args, common),
        Command::Config(command) => config::run(&self::command(), command, common),
        Command::Dedup(args) => dedup::run(args, common),
        Command::Devices(_) => devices::run(common),
        Command::Evaluate(command) => evaluate::run(command, common),
        Command::Gallery(command) => gallery::run(command, common),
        Command::Inspect(args) => inspect::run(args, common),
        Command::Man(args) => completions::man(command(), args, common),
        Command::Synth(args) => synth::run(args, common),
        Command::Policy(args) => policy(args, common),
        Command::Release(args) => release::run(args, common),
        Command::Report(args) => report::run(args, common),
        Command::Review(args) => review::run(args, common),
        Command::Sample(args) => sample::run(args, common),
        Command::Search(args) => search::run(args, common),
        Command::Contract(args) => see::contract(args, common),
        Command::See(args) => see::see(args, common),
        Command::Worker(args) => see::worker(args, common),
        Command::Weights(command) => weights::run(command, common),
    }
}

fn policy(args: &PolicyArgs, common: &Common) -> Result<()> {
    let policy = setup::policy(args.policy.as_deref())?;
    match common.json {
        true => json(&policy),
        false => print(explained(&policy)?.trim_end()),
    }
}
