//! `chehra synth`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{Common, json, print};
use crate::report::Progress;
use crate::synth::{self, Plan};
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra synth --faces lfw/images --out dump --rows 5000 --seed 7
  chehra synth --faces people.csv --plan plan.toml --out dump
  chehra synth --print-plan > plan.toml

FACES is a folder NAME/*.jpg or a CSV person,path[,x,y,w,h]. Each OUT/night-N is a dump for
`chehra audit`, with its true answers in truth.parquet for `chehra evaluate audit --truth`;
OUT/booths.parquet is for `audit --booths`. The same plan and pictures give the same bytes.";

/// Flags of `synth`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SynthArgs {
    /// Folder of face pictures, or a CSV of them
    #[arg(long, value_name = "FACES", required_unless_present = "print_plan")]
    faces: Option<PathBuf>,
    /// New folder to write
    #[arg(short, long, value_name = "DIR", required_unless_present = "print_plan")]
    out: Option<PathBuf>,
    /// Plan file (TOML); what it does not name keeps its default
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Submissions over all nights; outweighs the plan
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Nights; outweighs the plan
    #[arg(long, value_name = "N")]
    nights: Option<usize>,
    /// Seed; outweighs the plan
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Share of rows with fraud, 0 to 1; scales the plan's rates
    #[arg(long, value_name = "SHARE")]
    fraud: Option<f64>,
    /// Make members beyond the number of people duplicates instead of refusing
    #[arg(long)]
    repeat_people: bool,
    /// Print the plan with all its defaults and stop
    #[arg(long)]
    print_plan: bool,
}

/// Runs it.
pub fn run(args: &SynthArgs, common: &Common) -> Result<()> {
    let plan = plan(args)?;
    let (false, Some(faces), Some(out)) = (args.print_plan, &args.faces, &args.out) else {
        if common.json {
            return json(&plan);
        }
        return print(&toml::to_string_pretty(&plan).map_err(|e| Error::bug("printing the plan", e))?);
    };
    let stage = Progress::new(common.quiet).stage("draw", "selfies", plan.rows as u64, 0);
    let last = std::cell::Cell::new(0);
    let summary = synth::write(&plan, faces, out, &|done, _| {
        stage.advance((done - last.replace(done)) as u64);
        Ok(())
    })?;
    drop(stage);
    if common.json {
        return json(&summary);
    }
    let mut text = format!(
        "{} submissions over {} nights, {} workers, {} people, {} duplicates\n",
        summary.rows, summary.nights, summary.workers, summary.people, summary.duplicates
    );
    for (pattern, count) in &summary.patterns {
        text += &format!("  {pattern:<28} {count:>8}\n");
    }
    print(&format!("{text}{}", out.display()))
}

fn plan(args: &SynthArgs) -> Result<Plan> {
    let mut plan = match &args.plan {
        None => Plan::default(),
        Some(path) => {
            let refuse = |found: String| {
                let expected = "a TOML file as `chehra synth --print-plan` prints it";
                Error::input(path, "plan", expected, found, "correct the line named above")
            };
            let text = std::fs::read_to_string(path).map_err(|e| refuse(e.to_string()))?;
            toml::from_str(&text).map_err(|e| refuse(e.to_string()))?
        }
    };
    plan.rows = args.rows.unwrap_or(plan.rows);
    plan.nights = args.nights.unwrap_or(plan.nights);
    plan.seed = args.seed.unwrap_or(plan.seed);
    plan.fraud = args.fraud.or(plan.fraud);
    plan.repeat_people |= args.repeat_people;
    Ok(plan)
}
