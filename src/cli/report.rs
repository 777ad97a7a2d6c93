//! `chehra report`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{Common, json, print, print_as};
use crate::config::policy::Language;
use crate::dump::{Dump, expect_run};
use crate::objects::RunCopy;
use crate::output::{self, Kept};
use crate::report::diff;
use crate::report::page::{self, PageOptions, Source};
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra report out/night                                  # without pictures
  chehra report out/night --dump fixtures/night            # with pictures, from the dump that was audited
  chehra report out/night --out /tmp/night.html --earlier runs/2026-11-19 runs/2026-11-20
  chehra report out/night --assurance promise/assurance.json # with what may be promised of the drive
  chehra report out/night --only-division Ujjain --out ujjain.html   # the page of one division
  chehra report out/night --targets targets.csv --worker-booths workers.csv --out out/targets.html
  chehra report out/night --tables night.xlsx --language hi          # every table, for a spreadsheet
  chehra report --diff out/night out/night-other-policy    # which verdicts changed, and why
  chehra report s3://drive/runs/2026-11-21 --out night.html          # a build with the feature cloud

A run folder holds no pictures; those of the page are cut from the dump. The page is readable by its owner alone.";

/// Flags of `report`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// Run folder of `chehra audit`
    #[arg(value_name = "RUN", required_unless_present = "diff")]
    run: Option<PathBuf>,
    /// Compare two runs instead: which verdicts changed, and why
    #[arg(long, num_args = 2, value_names = ["RUN_A", "RUN_B"], conflicts_with_all = ["run", "dump", "out", "earlier", "assurance", "crops", "only_division", "only_district", "targets", "worker_booths", "tables", "language"])]
    diff: Vec<PathBuf>,
    /// The dump that was audited: files, folders or globs; without it the page has no pictures
    #[arg(long, value_name = "DUMP", num_args = 1..)]
    dump: Vec<PathBuf>,
    /// The page [default: report.html in the run folder]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Run folders of earlier nights [default: those beside the run folder]
    #[arg(long, value_name = "RUN", num_args = 1..)]
    earlier: Vec<PathBuf>,
    /// What is promised of the drive: assurance.json of `chehra assurance --out`
    #[arg(long, value_name = "FILE")]
    assurance: Option<PathBuf>,
    /// Only submissions of this division
    #[arg(long, value_name = "NAME")]
    only_division: Option<String>,
    /// Only submissions of this district
    #[arg(long, value_name = "NAME")]
    only_district: Option<String>,
    /// Members to be won: CSV or Parquet with the column target, and division, district or booth_id
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
    /// Workers with their booths: CSV or Parquet with worker_id and booth_id, and name and division if there
    #[arg(long, value_name = "FILE")]
    worker_booths: Option<PathBuf>,
    /// Also write every table of the page: x.xlsx is one workbook, any other name a folder of CSV files
    #[arg(long, value_name = "PATH")]
    tables: Option<PathBuf>,
    /// Language of those tables
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    language: Language,
    /// Persons, and photos of photos, that are shown with pictures
    #[arg(long, value_name = "N", default_value_t = PageOptions::default().crops)]
    crops: usize,
}

/// Runs it.
pub fn run(args: &ReportArgs, common: &Common) -> Result<()> {
    if let [a, b] = args.diff.as_slice() {
        let (a, b) = (RunCopy::of(a)?, RunCopy::of(b)?);
        [&a, &b].into_iter().try_for_each(|run| expect_run(run.path()))?;
        return print_as(&diff::diff(a.path(), b.path())?, common.json);
    }
    let Some(run) = &args.run else {
        return Err(Error::usage("RUN", "no run folder", "name one, or give --diff RUN_A RUN_B"));
    };
    let copy = RunCopy::of(run)?;
    expect_run(copy.path())?;
    let earlier = args.earlier.iter().map(|run| RunCopy::of(run)).collect::<Result<Vec<_>>>()?;
    let dump = (!args.dump.is_empty()).then(|| Dump::open(&args.dump, &common.settings.columns)).transpose()?;
    let options = PageOptions {
        only_division: args.only_division.clone(),
        only_district: args.only_district.clone(),
        targets: args.targets.clone(),
        tables: args.tables.clone(),
        language: args.language,
        worker_booths: args.worker_booths.clone(),
        crops: args.crops,
        earlier: earlier.iter().map(|run| run.path().to_path_buf()).collect(),
        assurance: args.assurance.clone(),
        time_zone: common.settings.columns.time_zone.clone(),
    };
    let file = args.out.clone().unwrap_or_else(|| run.join(page::FILE));
    check_page(&file, run, dump.as_ref())?;
    if let Some(tables) = &args.tables {
        output::check("--tables", tables, &[Kept::itself("the run folder", run)])?;
    }
    let source = dump.as_ref().map(|dump| Source { dump, columns: &common.settings.columns });
    page::write(copy.path(), run, source, &options, &file)?;
    match (common.json, common.quiet) {
        (true, _) => json(&serde_json::json!({ "page": file })),
        (false, false) => print(&file.display().to_string()),
        (false, true) => Ok(()),
    }
}

/// The page replaces nothing but a page.
fn check_page(file: &Path, run: &Path, dump: Option<&Dump>) -> Result<()> {
    let mut kept = dump.map(Dump::kept).unwrap_or_default();
    kept.push(Kept::itself("the run folder", run));
    output::check_file("--out", file, &kept, "a page that chehra made", page::is_page)
}
