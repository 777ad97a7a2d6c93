//! `chehra bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::Result;
use crate::audit::Job;
use crate::bench::{self, BenchJob, Scope, compare};
use crate::cli::setup::{self, EngineArgs};
use crate::cli::{Common, json, print, print_as};
use crate::report::Progress;
use crate::synth::{self, Collections, Plan};

const EXAMPLES: &str = "\
Examples:
  chehra bench fixtures/night
  chehra bench --faces lfw/images --rows 1000
  chehra bench /data/dump/2026-11-21 --rows 2000 --runs 5 --json > base.json
  chehra bench /data/dump/2026-11-21 --rows 2000 --runs 5 --compare base.json --fail-above 10%
  chehra bench --all-pairs 1000000 --dim 512 --device cuda --runs 1
  chehra bench --embed 4096 --batch 128 --device cuda --precision f16

Every figure is the median of --runs. Costs are processor time, held against what a core could do in registers just
before, so a busy neighbour changes them little. --compare ends with exit code 1 when a cost has grown by more than
--fail-above and its 95 % interval does not reach 1. With --faces, a folder of face pictures, a dump of --rows
submissions is made as `chehra synth --seed 5` makes it, measured, and removed. A program that was built with
CHEHRA_COMMIT in the environment names that commit in its reports.";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StageArg {
    /// Reading and seeing
    See,
    /// Also the whole audit, and a search
    All,
}

/// Flags of `bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Dump: Parquet files, folders of them, or globs
    #[arg(required_unless_present_any = ["faces", "all_pairs", "embed"], conflicts_with = "faces", value_name = "DUMP")]
    inputs: Vec<PathBuf>,
    /// Make a dump of these faces and measure that: a folder NAME/*.jpg or a CSV, as for `synth`
    #[arg(long, value_name = "FACES")]
    faces: Option<PathBuf>,
    /// Instead of a dump: every pair of this many made-up templates, searched exactly on --device
    #[arg(long, value_name = "N", conflicts_with_all = ["inputs", "faces"], value_parser = clap::value_parser!(u64).range(2..=1 << 31))]
    all_pairs: Option<u64>,
    /// With --all-pairs: values of a template, a power of two
    #[arg(long, value_name = "N", default_value_t = 512, requires = "all_pairs", value_parser = clap::value_parser!(u16).range(16..=4096))]
    dim: u16,
    /// Instead of a dump: at least this many made-up crops through --embedder alone, on --device
    #[arg(long, value_name = "N", conflicts_with_all = ["inputs", "faces", "all_pairs"], value_parser = clap::value_parser!(u64).range(1..=1 << 31))]
    embed: Option<u64>,
    /// With --embed: crops at a time
    #[arg(long, value_name = "N", default_value_t = 128, requires = "embed", conflicts_with_all = ["inputs", "faces", "all_pairs"], value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// What is measured
    #[arg(long, value_name = "WHAT", default_value = "all")]
    stage: StageArg,
    /// Runs of each
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Most rows seen per run; the audit is always of the whole dump
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    rows: u32,
    /// Compare with a report kept from `--json`
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// With --compare: exit with 1 when a cost has grown by more than this
    #[arg(long, value_name = "SHARE", default_value = "10%", requires = "compare", value_parser = share)]
    fail_above: f64,
    #[command(flatten)]
    engine: EngineArgs,
}

/// `10%` or `0.1`.
fn share(text: &str) -> std::result::Result<f64, String> {
    let (number, factor) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 0.01));
    match number.trim().parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value * factor),
        _ => Err("a share such as 10% or 0.1 expected".to_owned()),
    }
}

/// Runs it.
pub fn run(args: &BenchArgs, common: &Common) -> Result<()> {
    if let Some(rows) = args.all_pairs {
        let device = args.engine.device()?;
        let progress = Progress::new(common.quiet || common.json);
        let found = bench::pairs::measure((rows, args.dim.into()), args.runs.into(), &device, progress)?;
        return print_as(&found, common.json);
    }
    if let Some(faces) = args.embed {
        let (weights, _) = args.engine.weights()?;
        let size = (faces, args.batch.into());
        return print_as(&bench::embed::measure(size, args.runs.into(), &weights, &args.engine.embedder)?, common.json);
    }
    let old = args.compare.as_deref().map(compare::read).transpose()?;
    let policy = setup::working_policy(args.engine.policy.as_deref())?;
    let (out, _scratch) = bench::scratch()?;
    let inputs = match &args.faces {
        None => args.inputs.clone(),
        Some(faces) => {
            let dump = out.with_file_name("dump");
            let plan = Plan { rows: args.rows as usize, nights: 1, seed: 5, ..Plan::default() };
            synth::write(&plan, &Collections::of_live(faces), &dump, &|_, _| Ok(()))?;
            vec![dump.join("night-1")]
        }
    };
    let audit = Job { columns: common.settings.columns.clone(), page: None, ..Job::of(inputs, out) };
    let engine = args.engine.engine(&policy)?;
    let scope = match args.stage {
        StageArg::See => Scope::See,
        StageArg::All => Scope::All,
    };
    let job = BenchJob { audit, scope, runs: args.runs.into(), rows: args.rows as usize };
    let precision = args.engine.precision.resolve(engine.device())?;
    let report = bench::bench(&job, &engine, precision, Progress::new(common.quiet || common.json))?;
    let Some(old) = old else { return print_as(&report, common.json) };
    let comparison = compare::Comparison::between(&old, &report, args.fail_above);
    match common.json {
        true => json(&serde_json::json!({"report": report, "comparison": comparison}))?,
        false => print(&format!("{report}\n\n{comparison}"))?,
    }
    comparison.check()
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_read_in_both_ways() {
        assert_eq!((share("10%"), share("0.25")), (Ok(0.1), Ok(0.25)));
        assert!(share("-1").is_err() && share("ten").is_err() && share("nan").is_err());
    }
}
