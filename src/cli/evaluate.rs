//! `chehra evaluate`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::cli::Common;
use crate::cli::ci::GateArgs;
use crate::cli::help::{DRAWN, INPUT, OUTPUT};
use crate::cli::setup::{self, EngineArgs};
use crate::dump::has_columns;
use crate::evaluate;
use crate::evaluate::{DedupPlan, Labelled, LivenessJob, Night, VerificationJob};
use crate::output::{self, Kept};
use crate::report::Progress;
use crate::{Error, Result};

/// What to measure.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum EvaluateCommand {
    /// 1:1 verification on labelled pairs: accuracy over folds, FNMR at FMR
    #[command(after_help = VERIFICATION_HELP)]
    Verification(VerificationArgs),
    /// Presentation attack detection: APCER, BPCER, EER, AUC
    #[command(
        after_help = "Example:\n  chehra evaluate liveness --labels nuaa/labels.csv --images nuaa\n\nThe CSV has the columns label (live or spoof) and path, and may have species (of the attack: print, phone, ...) and subject\n(the person; intervals are by bootstrap over subjects). --groups names a CSV id,group: id is a subject, or the path of a\npicture without one."
    )]
    Liveness(LivenessArgs),
    /// Verdicts of run folders against the truth: reasons, duplicates, workers, APCER and BPCER
    #[command(after_help = AUDIT_HELP)]
    Audit(AuditArgs),
    /// Duplicates among labelled people: FNIR and false pairs, predicted and observed, over gallery sizes; DET curves
    #[command(after_help = DEDUP_HELP)]
    Dedup(DedupArgs),
    /// Whether promises of `chehra assurance` hold: simulated drives with a known truth, looked at again and again
    #[command(after_help = "Example:\n  chehra evaluate assurance --drives 1000 --out out/assurance")]
    Assurance(AssuranceArgs),
}

const EXAMPLES: &str = "\
Examples:
  chehra evaluate audit --run out/night --truth fixtures/night
  chehra evaluate verification --pairs lfw/pairs.csv --images lfw --json
  chehra evaluate liveness --labels nuaa/labels.csv --images nuaa";

const DEDUP_HELP: &str = "\
Examples:
  chehra evaluate dedup --faces lfw/images --save lfw.parquet --out out/lfw
  chehra evaluate dedup --templates lfw.parquet --each 2 --sizes 10000,100000,1000000 --duplicates 0.02 --out out/1m
  chehra gallery export --store store --to members.parquet
  chehra evaluate dedup --templates members.parquet --truth truth.csv --json

FACES is a folder PERSON/*.jpg or a CSV person,path. --templates is a file that --save wrote, here or in `evaluate
verification`; or an export of a store, whose members --truth names (a CSV submission_id,person). Galleries larger than
the labelled set are filled up with people drawn so that their scores are distributed as the labelled ones'. OUT gets
dedup.json, and det and predicted as SVG and PNG. Labels err: look at most_similar_false_pairs in the JSON, and put
names that are one person into a CSV name_a,name_b for --same-people. --groups names a CSV id,group of labelled people.";

const VERIFICATION_HELP: &str = "\
Examples:
  chehra evaluate verification --pairs lfw/pairs.csv --images lfw
  chehra evaluate verification --pairs lfw/pairs.csv --images lfw --embedder sface+mobilefacenet192
  chehra evaluate verification --pairs lfw/pairs.csv --images lfw --same-people twice.csv --save lfw.parquet
  chehra evaluate verification --pairs lfw/pairs.csv --images lfw --groups regions.csv

The CSV of pairs has the columns fold, path_a, path_b, same (0 or 1). Where the pictures of each person lie in a folder
of the person's name, all pairs are compared as well, down to a false-match rate of 1e-6, and the pairs of two names
that are most alike are listed: some are one person. Those go into --same-people (columns name_a, name_b).

--groups names a CSV id,group: id is the name of a person's folder. Each group is judged at the thresholds of all people:
false matches among its own people, false non-matches, how many times the rate of all, and the worst group against the
best (ISO/IEC 19795-10). A group with too few comparisons for a rate is shown and enters no ratio.";

const AUDIT_HELP: &str = "\
Examples:
  chehra evaluate audit --run out/night --truth fixtures/night/truth.parquet
  chehra evaluate audit --run out/night --truth fixtures/night --gate 'reasons.duplicate_member.recall.rate>=0.9' --junit gates.xml
  chehra evaluate audit --run out/n1 --truth dump/night-1 --run out/n2 --truth dump/night-2 --json

The truth has one row per row of the dump (column row, from 0, else in its order): submission_id and reasons (what a
right answer must say) are required. It may have reasons_allowed, verdict, verdicts_allowed, duplicate_of, pattern,
attack, attacked, account_person, worker_person, member_person, others, and worker_box and member_box (left, top, width,
height in pixels of the upright selfie). `chehra synth` writes such tables; what is missing is named and not measured.";

/// Flags of `evaluate verification`.
#[derive(Debug, Args)]
pub struct VerificationArgs {
    /// CSV of labelled pairs
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    pairs: PathBuf,
    /// Folder that the CSV's paths start from
    #[arg(help_heading = INPUT, long, value_name = "DIR")]
    images: PathBuf,
    /// CSV of people who have two names among the folders: left out of a second set of figures
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    same_people: Option<PathBuf>,
    /// Write the templates to a Parquet file: path, identity, template
    #[arg(help_heading = OUTPUT, long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// CSV id,group of people, by the names of their folders: rates by group and worst-to-best ratios
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    groups: Option<PathBuf>,
    #[command(flatten)]
    gates: GateArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Flags of `evaluate liveness`.
#[derive(Debug, Args)]
pub struct LivenessArgs {
    /// CSV of labelled pictures
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    labels: PathBuf,
    /// Folder that the CSV's paths start from
    #[arg(help_heading = INPUT, long, value_name = "DIR")]
    images: PathBuf,
    /// CSV id,group of subjects: APCER and BPCER by group and worst-to-best ratios
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    groups: Option<PathBuf>,
    #[command(flatten)]
    gates: GateArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Flags of `evaluate audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Run folder of `chehra audit`; several nights in their order, all audited into one store
    #[arg(help_heading = INPUT, long, value_name = "DIR", required = true)]
    run: Vec<PathBuf>,
    /// Truth table of the same run's dump, or the folder that holds it as truth.parquet; once per --run
    #[arg(help_heading = INPUT, long, value_name = "FILE", required = true)]
    truth: Vec<PathBuf>,
    #[command(flatten)]
    gates: GateArgs,
}

/// Flags of `evaluate dedup`.
#[derive(Debug, Args)]
pub struct DedupArgs {
    /// Folder of pictures by person, or a CSV person,path
    #[arg(help_heading = INPUT, long, value_name = "FACES", required_unless_present = "templates", conflicts_with = "templates")]
    faces: Option<PathBuf>,
    /// Parquet file of templates, as --save or `chehra gallery export` writes it
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    templates: Option<PathBuf>,
    /// CSV submission_id,person: who is who in an exported store
    #[arg(help_heading = INPUT, long, value_name = "FILE", requires = "templates")]
    truth: Option<PathBuf>,
    /// CSV name_a,name_b: names that are one person
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    same_people: Option<PathBuf>,
    /// Most pictures of each person; all by default
    #[arg(help_heading = DRAWN, long, value_name = "N")]
    each: Option<usize>,
    /// Gallery sizes, separated by commas; the labelled templates alone by default
    #[arg(help_heading = DRAWN, long, value_name = "N,...", value_delimiter = ',')]
    sizes: Vec<usize>,
    /// Fill the labelled templates up with this many drawn people: one more gallery size
    #[arg(help_heading = DRAWN, long, value_name = "N")]
    distractors: Option<usize>,
    /// Compare so many members, drawn from all, with all, as a night is with a store; by default each with every other
    #[arg(help_heading = DRAWN, long, value_name = "N")]
    asked: Option<usize>,
    /// Share of the drawn memberships that show a drawn person again
    #[arg(help_heading = DRAWN, long, value_name = "SHARE", default_value_t = 0.02)]
    duplicates: f64,
    /// Seed of all that is drawn
    #[arg(help_heading = DRAWN, long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write the templates of --faces to a Parquet file for --templates
    #[arg(help_heading = OUTPUT, long, value_name = "FILE", requires = "faces")]
    save: Option<PathBuf>,
    /// Folder for dedup.json and the charts
    #[arg(help_heading = OUTPUT, short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// CSV id,group of labelled people: rates by group and worst-to-best ratios
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    groups: Option<PathBuf>,
    #[command(flatten)]
    gates: GateArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Flags of `evaluate assurance`.
#[derive(Debug, Args)]
pub struct AssuranceArgs {
    /// Drives of each kind
    #[arg(help_heading = DRAWN, long, value_name = "N", default_value_t = 1000)]
    drives: usize,
    /// Of these, how many say how wide the intervals are
    #[arg(help_heading = DRAWN, long, value_name = "N", default_value_t = 20)]
    widths: usize,
    /// Nights of a drive
    #[arg(help_heading = DRAWN, long, value_name = "N", default_value_t = 3, value_parser = count)]
    nights: usize,
    /// Districts
    #[arg(help_heading = DRAWN, long, value_name = "N", default_value_t = 8, value_parser = count)]
    districts: usize,
    /// Accepted members of a night
    #[arg(help_heading = DRAWN, long, value_name = "N", default_value_t = 1200)]
    members: u64,
    /// Calls of a night
    #[arg(help_heading = DRAWN, long, value_name = "N", default_value_t = 200)]
    calls: u64,
    /// Looks during each night, while answers come in
    #[arg(help_heading = DRAWN, long, value_name = "N", default_value_t = 3, value_parser = count)]
    looks: usize,
    /// Folder for assurance.json and the chart
    #[arg(help_heading = OUTPUT, short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    gates: GateArgs,
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=10_000).contains(n)).ok_or_else(|| "a number from 1 to 10000 is expected".into())
}

fn assurance(args: &AssuranceArgs, common: &Common, progress: Progress) -> Result<()> {
    args.gates.check()?;
    if let Some(out) = &args.out {
        output::check("--out", out, &[])?;
    }
    let plan = evaluate::AssurancePlan {
        drives: args.drives,
        widths: args.widths,
        nights: args.nights,
        districts: args.districts,
        members: args.members,
        calls: args.calls,
        looks: args.looks,
        confidence: 0.95,
    };
    let report = evaluate::assurance(&plan, progress);
    if let Some(out) = &args.out {
        for path in evaluate::assurance_chart::write(&report, out)? {
            progress.say(&format!("wrote {}", path.display()));
        }
    }
    args.gates.judge("evaluate assurance", &report, common)
}

/// What is saved replaces nothing but templates that were saved before.
fn check_save(file: Option<&Path>) -> Result<()> {
    let is_saved = |path: &Path| has_columns(path, &["path", "identity", "template"]);
    file.map_or(Ok(()), |file| output::check_file("--save", file, &[], "templates saved before", is_saved))
}

fn dedup(args: &DedupArgs, common: &Common) -> Result<()> {
    check_save(args.save.as_deref())?;
    args.gates.check()?;
    if let Some(out) = &args.out {
        let faces = args.faces.iter().map(|path| Kept::whole("the faces", path));
        let templates = args.templates.iter().map(|path| Kept::itself("the templates", path));
        output::check("--out", out, &faces.chain(templates).collect::<Vec<_>>())?;
    }
    let progress = Progress::new(common.quiet);
    let policy = setup::working_policy(args.engine.policy.as_deref())?;
    let mut labelled = match (&args.faces, &args.templates) {
        (Some(faces), _) => Labelled::see(faces, &args.engine.engine(&policy)?, progress)?,
        (None, Some(file)) => Labelled::read(file, args.truth.as_deref())?,
        (None, None) => return Err(Error::usage("--faces", "nothing to read", "give --faces or --templates")),
    };
    if let Some(file) = &args.save {
        labelled.save(file)?;
    }
    if let Some(file) = &args.same_people {
        labelled.merge(file)?;
    }
    let each = args.each.unwrap_or(usize::MAX);
    let plan = DedupPlan {
        sizes: args.sizes.clone(),
        distractors: args.distractors,
        asked: args.asked,
        duplicates: args.duplicates,
        each,
        seed: args.seed,
        groups: args.groups.clone(),
    };
    let report = evaluate::dedup(labelled, &plan, &policy.matching, progress)?;
    if let Some(out) = &args.out {
        for path in evaluate::dedup::write(&report, out)? {
            progress.say(&format!("wrote {}", path.display()));
        }
    }
    args.gates.judge("evaluate dedup", &report, common)
}

/// Runs it.
pub fn run(command: &EvaluateCommand, common: &Common) -> Result<()> {
    let progress = Progress::new(common.quiet);
    match command {
        EvaluateCommand::Verification(args) => {
            check_save(args.save.as_deref())?;
            args.gates.check()?;
            let policy = setup::working_policy(args.engine.policy.as_deref())?;
            let engine = args.engine.engine(&policy)?;
            let job = VerificationJob {
                pairs: args.pairs.clone(),
                images: args.images.clone(),
                same_people: args.same_people.clone(),
                save: args.save.clone(),
                groups: args.groups.clone(),
            };
            args.gates.judge("evaluate verification", &evaluate::verification(&engine, &job, progress)?, common)
        }
        EvaluateCommand::Liveness(args) => {
            args.gates.check()?;
            let policy = setup::working_policy(args.engine.policy.as_deref())?;
            let engine = args.engine.engine(&policy)?;
            let job =
                LivenessJob { labels: args.labels.clone(), images: args.images.clone(), groups: args.groups.clone() };
            args.gates.judge("evaluate liveness", &evaluate::liveness(&engine, &job, &policy, progress)?, common)
        }
        EvaluateCommand::Audit(args) => {
            args.gates.check()?;
            if args.run.len() != args.truth.len() {
                let problem = format!("{} of them for {} of --run", args.truth.len(), args.run.len());
                return Err(Error::usage("--truth", problem, "give one --truth for each --run, in the same order"));
            }
            let night = |(run, truth): (&PathBuf, &PathBuf)| Night { run: run.clone(), truth: truth.clone() };
            let nights: Vec<Night> = args.run.iter().zip(&args.truth).map(night).collect();
            args.gates.judge("evaluate audit", &evaluate::audit(&nights)?, common)
        }
        EvaluateCommand::Dedup(args) => dedup(args, common),
        EvaluateCommand::Assurance(args) => assurance(args, common, progress),
    }
}
