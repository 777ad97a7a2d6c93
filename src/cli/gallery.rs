//! `chehra gallery`: what a store holds, whether it is whole, and what must leave it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::audit::read_ids;
use crate::cli::help::{INPUT, OUTPUT};
use crate::cli::{Common, json, print};
use crate::dump::has_columns;
use crate::gallery::{Commit, CompactPolicy, Forgotten, Stats, Store, Verification};
use crate::output::{self, Kept};
use crate::report::Progress;
use crate::{Error, Result};

/// What to do with a store.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum GalleryCommand {
    /// Members, runs, segments, bytes
    #[command(after_help = "Example:\n  chehra gallery stats --store /data/store")]
    Stats(StoreArgs),
    /// Read every byte and compare it with what was written; exit code 65 when a member is in danger
    #[command(
        after_help = "Examples:\n  chehra gallery verify --store /data/store\n  chehra gallery verify --store /data/store --repair"
    )]
    Verify(VerifyArgs),
    /// Write small segments as one, and erase forgotten members from the disk
    #[command(after_help = "Example:\n  chehra gallery compact --store /data/store")]
    Compact(StoreArgs),
    /// Erase members by submission id: no search finds them any more, and their templates leave the disk
    #[command(after_help = FORGET_HELP)]
    Forget(ForgetArgs),
    /// Write all members to one Parquet file for pandas, DuckDB or Spark
    #[command(after_help = "Example:\n  chehra gallery export --store /data/store --to members.parquet")]
    Export(ExportArgs),
    /// Add the members of an exported file, but for those that the store has and those that were forgotten
    #[command(after_help = "Example:\n  chehra gallery import --store /data/store --from members.parquet")]
    Import(ImportArgs),
}

const EXAMPLES: &str = "\
Examples:
  chehra gallery stats --store /data/store
  chehra gallery verify --store /data/store --json
  chehra gallery forget --store /data/store --member S-000123";

const FORGET_HELP: &str = "\
Examples:
  chehra gallery forget --store /data/store --member S-000123 --member S-000124
  chehra gallery forget --store /data/store --from ids.txt      # one submission id a line
The receipt (ids, time, files; no template) is kept in the store's folder receipts/. It says that a member is erased only
when no file of the store and no unfinished run holds the template. A submission that was forgotten and comes again is
not looked at and has the reason erased_before, unless --consent-renewed names it. An id that was never in the store ends
the command with exit code 65, after all others were forgotten. Backups, exports and run folders are not touched: erase
them as well.";

const STORE: &str = "The store";
const FORGOTTEN: &str = "Who is forgotten";

/// Flags of every gallery command.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// The store
    #[arg(help_heading = STORE, short, long, value_name = "DIR")]
    store: PathBuf,
}

/// Flags of `gallery verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    common: StoreArgs,
    /// Build search files anew where they are missing, stale or damaged
    #[arg(help_heading = STORE, long)]
    repair: bool,
}

/// Flags of `gallery forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    #[command(flatten)]
    common: StoreArgs,
    /// Submission id that enrolled the member; may be given several times
    #[arg(help_heading = FORGOTTEN, long, value_name = "ID", required_unless_present = "from")]
    member: Vec<String>,
    /// File with one submission id a line
    #[arg(help_heading = FORGOTTEN, long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Only hide them now; `gallery compact` erases them later
    #[arg(help_heading = FORGOTTEN, long)]
    later: bool,
}

/// Flags of `gallery export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    common: StoreArgs,
    /// Parquet file to write
    #[arg(help_heading = OUTPUT, long, value_name = "FILE")]
    to: PathBuf,
}

/// Flags of `gallery import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    common: StoreArgs,
    /// Parquet file to read
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    from: PathBuf,
    /// File with the submission ids, one a line, of forgotten members who consented anew: they are taken again
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    consent_renewed: Option<PathBuf>,
}

/// Runs it.
pub fn run(command: &GalleryCommand, common: &Common) -> Result<()> {
    match command {
        GalleryCommand::Stats(args) => stats(args, common),
        GalleryCommand::Verify(args) => verify(args, common),
        GalleryCommand::Compact(args) => compact(args, common),
        GalleryCommand::Forget(args) => forget(args, common),
        GalleryCommand::Export(args) => {
            let store = Store::open(&args.common.store)?;
            let kept = [Kept::whole("the store", &args.common.store)];
            let is_export = |path: &Path| has_columns(path, &["submission_id", "embedding", "run_key", "commit"]);
            output::check_file("--to", &args.to, &kept, "an earlier export", is_export)?;
            let rows = store.export(&args.to)?;
            say(common.json, &serde_json::json!({ "rows": rows }), || format!("{rows} members, {}", args.to.display()))
        }
        GalleryCommand::Import(args) => import(args, common),
    }
}

fn stats(args: &StoreArgs, common: &Common) -> Result<()> {
    let store = Store::open(&args.store)?;
    let stats = store.stats()?;
    say(common.json, &stats, || describe(&stats))?;
    whole(&args.store, stats.segments.iter().filter(|s| s.problem.is_some()).count())
}

/// An error when segments are damaged or missing.
fn whole(store: &Path, damaged: usize) -> Result<()> {
    if damaged == 0 {
        return Ok(());
    }
    Err(Error::input(
        store,
        "segments",
        "the bytes that were written",
        format!("{damaged} damaged or missing"),
        "restore the files named above from a backup; nothing is searched until then, lest members be missing in silence",
    ))
}

fn describe(stats: &Stats) -> String {
    let bytes: u64 = stats.segments.iter().map(|s| s.bytes).sum();
    let derived = |at: usize| stats.segments.iter().map(|s| s.derived_bytes[at]).sum::<u64>();
    let mut text = format!(
        "{} members, {} forgotten rows still on disk\n{} runs, {} segments, last commit {}\n",
        stats.live,
        stats.dead,
        stats.runs.len(),
        stats.segments.len(),
        stats.commit,
    );
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "on disk: segments {}, codes {}, masters {}, graphs {}",
        mib(bytes),
        mib(derived(0)),
        mib(derived(1)),
        mib(derived(2))
    );
    for (model, dim, rows) in models(stats) {
        let _ = writeln!(text, "{rows} templates of {dim} values from {model}");
    }
    for run in &stats.runs {
        let _ = writeln!(text, "  {}  commit {:<4} {:>9} members  {}", run.at, run.commit, run.rows, run.key);
    }
    for receipt in &stats.forgotten {
        let erased =
            receipt.erased_at.as_ref().map_or("still on disk: run compact".into(), |at| format!("erased {at}"));
        let _ =
            writeln!(text, "  {}  commit {:<4} {:>9} forgotten, {erased}", receipt.at, receipt.commit, receipt.rows);
    }
    for segment in &stats.segments {
        if let Some(problem) = &segment.problem {
            let _ = writeln!(text, "damaged: segments/{:08}.parquet: {problem}", segment.id);
        }
    }
    text
}

/// Model, values and rows, each model once.
fn models(stats: &Stats) -> Vec<(&str, usize, u64)> {
    let mut models: Vec<(&str, usize, u64)> = Vec::new();
    for segment in &stats.segments {
        let live = segment.rows - segment.dead;
        match models.iter_mut().find(|(model, dim, _)| (*model, *dim) == (segment.model.as_str(), segment.dim)) {
            Some((.., rows)) => *rows += live,
            None => models.push((&segment.model, segment.dim, live)),
        }
    }
    models
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn verify(args: &VerifyArgs, common: &Common) -> Result<()> {
    let store = Store::open(&args.common.store)?;
    let rows = store.stats()?.segments.iter().map(|s| s.rows).sum();
    let stage = Progress::new(common.quiet).stage("verify", "members", rows, 0);
    let found = store.verify_with(&mut |rows| stage.advance(rows))?;
    drop(stage);
    if args.repair && found.is_sound() {
        store.repair()?;
    }
    say(common.json, &found, || verified(&found, args.repair))?;
    whole(&args.common.store, found.damaged.len())
}

fn verified(found: &Verification, repaired: bool) -> String {
    let mut text = format!(
        "{} segments, {} rows read\n{} files of pictures and {} of workers' faces read, {} receipts held against all of it\n",
        found.segments, found.rows, found.pictures, found.workers, found.receipts
    );
    found.damaged.iter().for_each(|problem| text += &format!("damaged: {problem}\n"));
    let is_mended = repaired && found.is_sound();
    let state = if is_mended { "rebuilt" } else { "rebuilt at the next search, or by --repair" };
    found.rebuildable.iter().for_each(|problem| text += &format!("{state}: {problem}\n"));
    let state = if is_mended { "removed" } else { "left by a killed process, removed by the next writer or --repair" };
    found.leftovers.iter().for_each(|path| text += &format!("{state}: {}\n", path.display()));
    for spool in &found.spools {
        let kept = "holds faces of a run that has not ended; the next audit removes it after a week";
        text += &format!("{}: {kept}\n", spool.display());
    }
    if found.is_sound() {
        text += "whole: every member is as it was written, and no receipt says more than is true";
    }
    text
}

fn compact(args: &StoreArgs, common: &Common) -> Result<()> {
    let store = Store::open(&args.store)?;
    let done = store.begin()?.compact(&CompactPolicy::default())?;
    say(common.json, &done, || {
        let [before, after] = done.bytes;
        let mut text = format!(
            "{} segments became {}, {} rows erased, {before} bytes became {after}",
            done.segments_before, done.segments_after, done.rows_erased
        );
        done.left.iter().for_each(|left| text += &format!("\nnot erased yet: {left}"));
        text
    })
}

fn forget(args: &ForgetArgs, common: &Common) -> Result<()> {
    let ids = ids(args)?;
    let store = Store::open(&args.common.store)?;
    let mut writer = store.begin()?;
    let mut forgotten = writer.forget(&ids)?;
    if !args.later {
        forgotten.left = writer.compact(&CompactPolicy { small: 0, ..CompactPolicy::default() })?.left;
    }
    // As it stands now: with the time of the erasure.
    forgotten.receipt = forgotten.receipt.and_then(|receipt| writer.receipt(receipt.commit).cloned());
    let file = forgotten.receipt.as_ref().map(|receipt| store.receipt_path(receipt));
    let answer = serde_json::json!({ "forgotten": forgotten, "receipt_file": file });
    say(common.json, &answer, || describe_forgotten(&forgotten, file.as_deref()))?;
    match forgotten.unknown.as_slice() {
        [] => Ok(()),
        unknown => Err(Error::input(
            &args.common.store,
            "members to forget",
            "submission ids of members in the store",
            format!("{} ids of nobody, the first '{}'", unknown.len(), unknown[0]),
            "check the ids; all others were forgotten. What a running audit has not seen yet is not known yet: if one runs, \
             give the command again when it has ended",
        )),
    }
}

fn ids(args: &ForgetArgs) -> Result<Vec<String>> {
    let mut ids = args.member.clone();
    if let Some(path) = &args.from {
        ids.extend(read_ids(path, "--from")?);
    }
    Ok(ids)
}

fn describe_forgotten(forgotten: &Forgotten, file: Option<&Path>) -> String {
    let rows = forgotten.receipt.as_ref().map_or(0, |receipt| receipt.rows);
    let erased = forgotten.receipt.as_ref().is_some_and(|receipt| receipt.erased_at.is_some());
    let later = if rows == 0 || erased { "" } else { ", to be erased by compact" };
    let unfinished = forgotten.receipt.as_ref().filter(|receipt| receipt.rows == 0);
    let mut text = format!("{rows} memberships forgotten{}{later}\n", if erased { " and erased" } else { "" });
    if let Some(file) = file {
        text += &format!("receipt: {}\n", file.display());
    }
    if let Some(receipt) = unfinished {
        let ids = receipt.submission_ids.join(", ");
        text += &format!("no membership, but pictures, a worker's faces or an unfinished run had: {ids}\n");
    }
    forgotten.left.iter().for_each(|left| text += &format!("not erased yet: {left}\n"));
    forgotten.before.iter().for_each(|id| text += &format!("forgotten before: {id}\n"));
    forgotten.unknown.iter().for_each(|id| text += &format!("not in the store: {id}\n"));
    text
}

fn import(args: &ImportArgs, common: &Common) -> Result<()> {
    // Before a store is made for it.
    if !args.from.is_file() {
        let found = if args.from.exists() { "a folder" } else { "nothing" };
        return Err(Error::input(
            &args.from,
            "file",
            "a Parquet file as `gallery export` writes it",
            found,
            "check --from",
        ));
    }
    let store = Store::open_or_create(&args.common.store)?;
    let renewed = args.consent_renewed.as_deref().map(|path| read_ids(path, "--consent-renewed")).transpose()?;
    let renewed = renewed.unwrap_or_default().into_iter().collect();
    let Commit { added, repeated, erased_before, known, .. } = store.begin()?.import(&args.from, &renewed)?;
    let answer = serde_json::json!({
        "added": added, "repeated": repeated, "known": known, "erased_before": erased_before,
    });
    say(common.json, &answer, || {
        let mut text = match repeated && added == 0 {
            true => "this file was imported before: nothing added".into(),
            false => format!("{added} members added"),
        };
        if known > 0 {
            text += &format!("\n{known} left out: the store has the same submission, picture and model");
        }
        if erased_before > 0 {
            text += &format!("\n{erased_before} left out: erased before; --consent-renewed FILE takes them again");
        }
        text
    })
}

/// Prints an answer as JSON or in words.
fn say(as_json: bool, value: &impl serde::Serialize, words: impl Fn() -> String) -> Result<()> {
    match as_json {
        true => json(value),
        false => print(&words()),
    }
}
