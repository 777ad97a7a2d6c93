//! `chehra see`, `chehra worker` and `chehra contract`: the first stage by itself.

use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::Result;
use crate::audit::{self, Interface, Part, SeeJob, WorkerJob};
use crate::cli::setup::{self, EngineArgs};
use crate::cli::stop::stop_on_request;
use crate::cli::{Common, json, print_as};
use crate::dump::listed;
use crate::report::Progress;

const SEE_EXAMPLES: &str = "\
Examples:
  chehra see fixtures/night --out out/seen
  chehra audit --seen out/seen --out out/night
  chehra see /data/dump --out /shared/seen --part 3/10    # on the third of ten machines
  chehra see s3://drive/dump --out s3://drive/seen --part 3/10    # a build with the feature cloud

SEEN is a folder of Parquet: what audit's first stage sees in each row (facts, faces, templates, liveness, marks), with
what it was seen. Parts of one dump are merged by putting them into one folder; audit refuses, by name, a part that is
missing, there twice, or made otherwise. A part that was stopped goes on when the same command is given again. SEEN
holds templates of people: it is for its owner alone (0600), and to be removed once the night is audited.";

const WORKER_EXAMPLES: &str = "\
Examples:
  chehra contract > contract.json
  chehra worker < rows.arrow > seen.arrow

Reads an Arrow IPC stream of rows (`chehra contract` lists the columns) and writes one of what was seen: for each batch
one, flushed, with the same rows in the same order, and nothing else on standard output. For cluster engines: see
packaging/spark.";

const CONTRACT_EXAMPLES: &str = "\
Examples:
  chehra contract
  chehra contract --precision bf16 --policy policy.toml

Two machines that print the same digest see the same in every picture, to the bit.";

/// Flags of `see`.
#[derive(Debug, Args)]
#[command(after_help = SEE_EXAMPLES)]
pub struct SeeArgs {
    /// Parquet files, folders of them, or globs
    #[arg(required_unless_present = "files", value_name = "DUMP")]
    inputs: Vec<PathBuf>,
    /// File with the paths of more Parquet files, one a line: the live files of a Delta, Iceberg or Hudi table
    #[arg(long, value_name = "LIST")]
    files: Option<PathBuf>,
    /// SEEN folder to add the part to, created if absent
    #[arg(short, long, value_name = "SEEN")]
    out: PathBuf,
    /// Which share of the dump: 3/10 for the third of ten [default: all of it]
    #[arg(long, value_name = "I/N")]
    part: Option<Part>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Flags of `worker`.
#[derive(Debug, Args)]
#[command(after_help = WORKER_EXAMPLES)]
pub struct WorkerArgs {
    /// What names the dump in every row: the same for all of its parts
    #[arg(long, value_name = "NAME", default_value = "")]
    dump: String,
    /// Refuse to work unless `chehra contract` prints this digest here
    #[arg(long, value_name = "DIGEST")]
    contract: Option<String>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Flags of `contract`.
#[derive(Debug, Args)]
#[command(after_help = CONTRACT_EXAMPLES)]
pub struct ContractArgs {
    #[command(flatten)]
    engine: EngineArgs,
}

/// Sees a share of a dump.
pub fn see(args: &SeeArgs, common: &Common) -> Result<()> {
    let policy = setup::working_policy(args.engine.policy.as_deref())?;
    let mut inputs = args.inputs.clone();
    inputs.extend(args.files.as_deref().map(listed).transpose()?.into_iter().flatten());
    let job = SeeJob {
        inputs,
        columns: common.settings.columns.clone(),
        out: args.out.clone(),
        part: args.part.unwrap_or(Part::WHOLE),
    };
    let engine = args.engine.engine(&policy)?;
    let seen = audit::see_part(&job, &engine, Progress::new(common.quiet), stop_on_request()?.as_ref())?;
    if common.json || !common.quiet { print_as(&seen, common.json) } else { Ok(()) }
}

/// Works for a cluster engine.
pub fn worker(args: &WorkerArgs, common: &Common) -> Result<()> {
    let policy = setup::working_policy(args.engine.policy.as_deref())?;
    let engine = args.engine.engine(&policy)?;
    let job = WorkerJob {
        columns: common.settings.columns.clone(),
        dump: args.dump.clone(),
        contract: args.contract.clone(),
    };
    let rows = audit::work(&job, &engine, io::stdin().lock(), io::stdout().lock())?;
    log::info!("{rows} rows");
    Ok(())
}

/// Prints what must be the same on all machines.
pub fn contract(args: &ContractArgs, common: &Common) -> Result<()> {
    let policy = setup::working_policy(args.engine.policy.as_deref())?;
    let engine = args.engine.engine(&policy)?;
    json(&Interface::of(&engine, &common.settings.columns)?)
}
