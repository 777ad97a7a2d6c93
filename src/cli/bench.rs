//! `chehra bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::Result;
use crate::audit::Job;
use crate::bench::{self, BenchJob, BenchReport, Run, Scope, compare, median};
use crate::cli::setup::{self, EngineArgs};
use crate::cli::{Common, ci, json, print, print_as};
use crate::output::write_durably_for_all;
use crate::report::Progress;
use crate::synth::{self, Collections, Plan};

const EXAMPLES: &str = "\
Examples:
  chehra bench fixtures/night
  chehra bench --faces lfw/images --rows 1000
  chehra bench /data/dump/2026-11-21 --rows 2000 --runs 5 --json > base.json
  chehra bench /data/dump/2026-11-21 --rows 2000 --runs 5 --compare base.json --fail-above 10%
  chehra bench fixtures/night --benchmark benchmark.json
  chehra bench --all-pairs 1000000 --dim 512 --device cuda --runs 1
  chehra bench --embed 4096 --batch 128 --device cuda --precision f16

Every figure is the median of --runs. Costs are processor time, held against what a core could do in registers just
before, so a busy neighbour changes them little. --compare ends with exit code 1 when a cost has grown by more than
--fail-above and its 95 % interval does not reach 1. With --faces, a folder of face pictures, a dump of --rows
submissions is made as `chehra synth --seed 5` makes it, measured, and removed. A program that was built with
CHEHRA_COMMIT in the environment names that commit in its reports.";

const MEASURED: &str = "What is measured";
const COMPARED: &str = "Comparison";

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
    #[arg(help_heading = MEASURED, long, value_name = "FACES")]
    faces: Option<PathBuf>,
    /// Instead of a dump: every pair of this many made-up templates, searched exactly on --device
    #[arg(help_heading = MEASURED, long, value_name = "N", conflicts_with_all = ["inputs", "faces"], value_parser = clap::value_parser!(u64).range(2..=1 << 31))]
    all_pairs: Option<u64>,
    /// With --all-pairs: values of a template, a power of two
    #[arg(help_heading = MEASURED, long, value_name = "N", default_value_t = 512, requires = "all_pairs", value_parser = clap::value_parser!(u16).range(16..=4096))]
    dim: u16,
    /// Instead of a dump: at least this many made-up crops through --embedder alone, on --device
    #[arg(help_heading = MEASURED, long, value_name = "N", conflicts_with_all = ["inputs", "faces", "all_pairs"], value_parser = clap::value_parser!(u64).range(1..=1 << 31))]
    embed: Option<u64>,
    /// With --embed: crops at a time
    #[arg(help_heading = MEASURED, long, value_name = "N", default_value_t = 128, requires = "embed", conflicts_with_all = ["inputs", "faces", "all_pairs"], value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// What is measured
    #[arg(help_heading = MEASURED, long, value_name = "WHAT", default_value = "all")]
    stage: StageArg,
    /// Runs of each
    #[arg(help_heading = MEASURED, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Most rows seen per run; the audit is always of the whole dump
    #[arg(help_heading = MEASURED, long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    rows: u32,
    /// Compare with a report kept from `--json`
    #[arg(help_heading = COMPARED, long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// With --compare: exit with 1 when a cost has grown by more than this
    #[arg(help_heading = COMPARED, long, value_name = "SHARE", default_value = "10%", requires = "compare", value_parser = share)]
    fail_above: f64,
    /// With --compare: write each cost and whether it has grown as JUnit XML
    #[arg(long, value_name = "FILE", help_heading = ci::HEADING, requires = "compare")]
    junit: Option<PathBuf>,
    /// Write the costs as JSON for github-action-benchmark (customSmallerIsBetter)
    #[arg(long, value_name = "FILE", help_heading = ci::HEADING, conflicts_with_all = ["all_pairs", "embed"])]
    benchmark: Option<PathBuf>,
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
    ci::may_write(args.junit.as_deref(), args.benchmark.as_deref())?;
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
    if let Some(file) = &args.benchmark {
        ci::write_figures(file, &figures(&report))?;
    }
    let Some(old) = old else { return print_as(&report, common.json) };
    let comparison = compare::Comparison::between(&old, &report, args.fail_above);
    match common.json {
        true => json(&serde_json::json!({"report": report, "comparison": comparison}))?,
        false => print(&format!("{report}\n\n{comparison}"))?,
    }
    if let Some(file) = &args.junit {
        write_durably_for_all(file, ci::junit("bench", &cases(&comparison)).as_bytes())?;
    }
    comparison.check()
}

/// Each cost as a case: the ratio, and whether it is a regression.
fn cases(comparison: &compare::Comparison) -> Vec<ci::Case> {
    let case = |cost: &compare::Cost| ci::Case {
        name: cost.name.clone(),
        value: Some(cost.ratio),
        problem: cost.regression.then(|| {
            let allowed = 100.0 * comparison.fail_above;
            format!("{} costs {:.2} times as much; {allowed:.0} % more is allowed", cost.name, cost.ratio)
        }),
    };
    comparison.costs.iter().map(case).collect()
}

/// The medians of a report. Processor time moves with the machine's clock; `work` is that time by what a core could do in it,
/// and moves little.
fn figures(report: &BenchReport) -> Vec<ci::Figure> {
    let selfies = report.see.selfies.max(1) as f64;
    let spread = |runs: &[Run], cost: &dyn Fn(&Run) -> f64| {
        let (low, high) =
            runs.iter().map(cost).fold((f64::INFINITY, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
        Some(format!("{low:.3} to {high:.3}"))
    };
    let mut figures = Vec::new();
    let mut add = |name: &str, unit: &str, value: f64, range: Option<String>| {
        let extra =
            Some(format!("chehra {}, {}, {} threads", report.program, report.machine.cpu, report.machine.threads));
        figures.push(ci::Figure { name: name.into(), unit: unit.into(), value, range, extra });
    };
    let mut costs = |name: &str, unit: &str, runs: &[Run], each: f64| {
        let time = |run: &Run| 1e3 * run.cpu_s / each;
        let work = |run: &Run| run.cpu_s * run.peak_gmac_s / each;
        add(&format!("{name}, processor"), &format!("ms/{unit}"), median(runs.iter().map(time)), spread(runs, &time));
        add(&format!("{name}, work"), &format!("Gmac/{unit}"), median(runs.iter().map(work)), spread(runs, &work));
    };
    costs("see", "selfie", &report.see.runs, selfies);
    if let Some(audit) = &report.audit {
        costs("audit", "selfie", &audit.runs, audit.selfies.max(1) as f64);
    }
    if let Some(search) = &report.search {
        costs("search", "probe", &search.runs, search.probes.max(1) as f64);
    }
    for (stage, seconds) in &report.see.stages_cpu_s {
        add(&format!("see: {stage}"), "ms/selfie", 1e3 * seconds / selfies, None);
    }
    report.peak_mib.iter().for_each(|&mib| add("peak memory", "MiB", mib as f64, None));
    figures
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
