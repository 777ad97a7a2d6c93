//! `chehra review`.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{Common, print, print_as, print_as_it_is};
use crate::decisions::Decisions;
use crate::dump::{expect_run, has_columns};
use crate::followup::sample;
use crate::output::{self, Kept};
use crate::report::Progress;
use crate::review::{CallList, Desk, Server, Setup, export, measure};
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra review out/night
  chehra review out/night --reviewer Asha --second-share 0.2
  chehra review out/night --dump '/archive/2026-11-*' --decisions /data/review/night.jsonl --port 4173
  chehra review out/night --measure
  chehra review out/night --export decisions.parquet
  chehra review out/night --export decisions.xlsx          # or .csv, for a spreadsheet
  chehra review out/night --calls out/night.sample --call-log /data/review/calls.jsonl
  chehra assurance out/night.sample --responses out/night.sample.calls.jsonl --out promise
  chehra review out/night --assurance promise/assurance.json
  chehra audit /data/dump/2026-11-22 --decisions out/night.decisions.jsonl --out out/next

Open the printed address in a browser on this machine. Keys for pairs: J same, K not sure, L different, I not the member, G the
whole person; for rows in review or rejected: 1 uphold, 2 overturn, 3 take again, 4 pass on, A appeal; U undo, N note, ? for all. Decisions are appended to out/night.decisions.jsonl, each on the disk before the page says so.
Several people can work at once: each names themselves in a window of their own, or starts a desk on the same log.

Where `chehra sample` drew a list of the night, the desk has a queue of calls as well (\"Calls\" on the page): the member's
selfie and masked facts, the questions, and a key for each answer. A number is shown to whoever asks for it, and the log says
to whom; answers go to out/night.sample.calls.jsonl, which `audit` and `assurance` take with --responses.";

const PICTURES: &str = "Where the pictures are";
const REVIEWERS: &str = "Reviewers and what they decide";
const CALLS: &str = "Calls";
const DESK: &str = "The desk's address";
const AFTER: &str = "After the review";

/// Flags of `review`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReviewArgs {
    /// Run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The dump, and those of earlier nights: files, folders or globs [default: where the run found them]
    #[arg(help_heading = PICTURES, long, value_name = "DUMP", num_args = 1..)]
    dump: Vec<PathBuf>,
    /// Run folders of earlier nights, which say where their faces are [default: those beside RUN]
    #[arg(help_heading = PICTURES, long, value_name = "RUN", num_args = 1..)]
    earlier: Vec<PathBuf>,
    /// The only reviewer; without it the page asks for a name
    #[arg(help_heading = REVIEWERS, long, value_name = "NAME")]
    reviewer: Option<String>,
    /// Log of decisions, made if absent [default: RUN.decisions.jsonl, beside the run folder]
    #[arg(help_heading = REVIEWERS, long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Sample whose members are called [default: RUN.sample beside the run folder, where there is one]
    #[arg(help_heading = CALLS, long, value_name = "SAMPLE")]
    calls: Option<PathBuf>,
    /// Log of calls, made if absent [default: SAMPLE.calls.jsonl, beside the sample]
    #[arg(help_heading = CALLS, long, value_name = "FILE")]
    call_log: Option<PathBuf>,
    /// What may be promised of the drive, to be shown on the pages: assurance.json of `chehra assurance --out`
    #[arg(help_heading = CALLS, long, value_name = "FILE")]
    assurance: Option<PathBuf>,
    /// Port; 0 takes any that is free
    #[arg(help_heading = DESK, long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// Loopback address to listen at; any other is refused
    #[arg(help_heading = DESK, long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Share of the pairs that two people are asked about without seeing each other's answer
    #[arg(help_heading = REVIEWERS, long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    second_share: f64,
    /// Pairs with a known answer, mixed in unmarked, as a share of the queue
    #[arg(help_heading = REVIEWERS, long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    seeded_share: f64,
    /// Say how well the reviewers answer and how often the run was right about the rows they saw, and end
    #[arg(help_heading = AFTER, long, conflicts_with = "export")]
    measure: bool,
    /// Write the decisions and their history, and end: x.parquet, x.csv (with a byte order mark) or x.xlsx
    #[arg(help_heading = AFTER, long, value_name = "FILE")]
    export: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "a number from 0 to 1 is expected".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("a number from 0 to 1 is expected".into()) }
}

/// Runs it.
pub fn run(args: &ReviewArgs, common: &Common) -> Result<()> {
    expect_run(&args.run)?;
    let decisions = args.decisions.clone().map_or_else(|| beside(&args.run), Ok)?;
    if args.measure || args.export.is_some() {
        return look_back(args, &decisions, common.json);
    }
    output::check("--decisions", &decisions, &[Kept::whole("the run folder", &args.run)])?;
    let setup = Setup {
        run: args.run.clone(),
        dumps: args.dump.clone(),
        earlier: args.earlier.clone(),
        columns: common.settings.columns.clone(),
        decisions: decisions.clone(),
        reviewer: args.reviewer.clone(),
        second_share: args.second_share,
        seeded_share: args.seeded_share,
        calls: calls(args)?,
        assurance: args.assurance.clone(),
    };
    let desk = Desk::open(&setup)?;
    if let Some(found) = desk.without_dump() {
        log::warn!("the pictures cannot be shown, the dump is not at hand: {found}; name it with --dump");
    }
    for torn in desk.torn() {
        let kept = torn.kept.map_or_else(String::new, |path| format!("; its bytes are kept in {}", path.display()));
        log::warn!("{}: the last line was never finished{kept}", decisions.display());
    }
    if let Some(calls) = desk.calls() {
        for torn in calls.torn() {
            let kept = torn.kept.map_or_else(String::new, |path| format!("; its bytes are kept in {}", path.display()));
            log::warn!("the last line of the log of calls was never finished{kept}");
        }
        let (members, elsewhere) = calls.size();
        if elsewhere > 0 {
            log::warn!(
                "{elsewhere} members of the list are in another run ({members} in this one): review that run, too"
            );
        }
    }
    let ((persons, ..), rows) = (desk.size(), desk.rows().count());
    let members = desk.calls().map(|calls| calls.size().0);
    let server = Server::bind(desk, args.bind, args.port)?;
    stop_quietly()?;
    match common.json {
        true => {
            let log = setup.calls.as_ref().map(|(_, log)| log);
            let said = serde_json::json!({ "address": server.address(), "decisions": decisions, "call_log": log });
            print_as_it_is(&said.to_string())?;
        }
        false => print(&server.address())?,
    }
    if let (Some(members), Some((_, log))) = (members, &setup.calls) {
        let text = format!("{members} members to call; answers go to {}", log.display());
        Progress::new(common.quiet).say(&text);
    }
    let goes_to = format!("decisions go to {}; Ctrl-C ends the desk", decisions.display());
    Progress::new(common.quiet).say(&format!("{persons} persons and {rows} rows to look at; {goes_to}"));
    std::io::stdout().flush().map_err(Error::io("write", "standard output"))?;
    server.run()
}

/// Whom to call and where the answers go: the sample that was named, or the one beside the run.
fn calls(args: &ReviewArgs) -> Result<Option<(CallList, PathBuf)>> {
    let whole = args.run.canonicalize().unwrap_or_else(|_| args.run.clone());
    let default = sample::beside(&whole);
    let (folder, list) = match &args.calls {
        Some(folder) => (folder.clone(), CallList::read(folder)?),
        None if !default.exists() => {
            return match args.call_log {
                None => Ok(None),
                Some(_) => {
                    Err(Error::usage("--call-log", "there is no list to call from", "name a sample with --calls"))
                }
            };
        }
        // Nobody asked for it, so one that cannot be read is no reason to stop.
        None => match CallList::read(&default) {
            Ok(list) => (default, list),
            Err(error) => {
                log::warn!("no queue of calls: {error}");
                return Ok(None);
            }
        },
    };
    let log = args.call_log.clone().unwrap_or_else(|| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        folder.with_file_name(format!("{name}.calls.jsonl"))
    });
    let kept = [Kept::whole("the run folder", &args.run), Kept::whole("the sample", &folder)];
    output::check("--call-log", &log, &kept)?;
    Ok(Some((list, log)))
}

/// What the log says, without a desk.
fn look_back(args: &ReviewArgs, decisions: &Path, as_json: bool) -> Result<()> {
    if !decisions.exists() {
        let fix = "review the run first, or name its log with --decisions";
        return Err(Error::input(decisions, "decisions", "the log of a review", "no such file", fix));
    }
    // Read, and left as it is: somebody may be at work.
    let read = Decisions::read(&[decisions.to_path_buf()])?;
    let ledger = read.ledger();
    match &args.export {
        None => print_as(&measure(ledger), as_json),
        Some(path) => {
            let kept = [Kept::itself("the log", decisions), Kept::whole("the run folder", &args.run)];
            // A sheet has no mark of ours: it is replaced by nobody but its owner.
            let is_export = |path: &Path| has_columns(path, &["reviewer", "event", "pair_decision", "undoes"]);
            output::check_file("--export", path, &kept, "an earlier export", is_export)?;
            export(ledger, path)?;
            let done = serde_json::json!({ "rows": ledger.entries().len(), "file": path });
            let text = format!("{} rows in {}", ledger.entries().len(), path.display());
            if as_json { print_as_it_is(&done.to_string()) } else { print(&text) }
        }
    }
}

/// `NAME.decisions.jsonl` beside the run folder, which is never changed itself.
fn beside(run: &Path) -> Result<PathBuf> {
    let whole = run.canonicalize().map_err(|e| {
        Error::input(
            run,
            "run",
            "the folder of a finished run",
            e.to_string(),
            "name a folder that `chehra audit` made",
        )
    })?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(whole.with_file_name(format!("{name}.decisions.jsonl")))
}

/// Ctrl-C is how a desk ends. Whatever was confirmed is on the disk, so there is nothing to wait for.
fn stop_quietly() -> Result<()> {
    ctrlc::set_handler(|| std::process::exit(crate::exit::Exit::Done as i32))
        .map_err(|e| Error::bug("listening for Ctrl-C", e))
}
