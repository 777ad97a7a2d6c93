//! `chehra gallery`: what a store holds, whether it is whole, and what must leave it.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::audit::memory;
use crate::cli::{json, print};
use crate::gallery::{CompactPolicy, Stats, Store};
use crate::{Error, Result};

/// What to do with a store.
#[derive(Debug, Subcommand)]
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
    /// Add the members of an exported file; importing a file twice adds nothing
    #[command(after_help = "Example:\n  chehra gallery import --store /data/store --from members.parquet")]
    Import(ImportArgs),
}

const FORGET_HELP: &str = "\
Examples:
  chehra gallery forget --store /data/store --member S-000123 --member S-000124
  chehra gallery forget --store /data/store --from ids.txt      # one submission id a line
The receipt (ids, time, segments; no template) is printed and kept in the store. Backups, exports and run folders are
not touched: erase them as well.";

/// Flags of every gallery command.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// The store
    #[arg(short, long, value_name = "DIR", env = "CHEHRA_STORE")]
    store: PathBuf,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Flags of `gallery verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    common: StoreArgs,
    /// Build search files anew where they are missing, stale or damaged
    #[arg(long)]
    repair: bool,
}

/// Flags of `gallery forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    #[command(flatten)]
    common: StoreArgs,
    /// Submission id that enrolled the member; may be given several times
    #[arg(long, value_name = "ID", required_unless_present = "from")]
    member: Vec<String>,
    /// File with one submission id a line
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Only hide them now; `gallery compact` erases them later
    #[arg(long)]
    later: bool,
}

/// Flags of `gallery export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    common: StoreArgs,
    /// Parquet file to write
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Flags of `gallery import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    common: StoreArgs,
    /// Parquet file to read
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

/// Runs it.
pub fn run(command: &GalleryCommand) -> Result<()> {
    match command {
        GalleryCommand::Stats(args) => stats(args),
        GalleryCommand::Verify(args) => verify(args),
        GalleryCommand::Compact(args) => compact(args),
        GalleryCommand::Forget(args) => forget(args),
        GalleryCommand::Export(args) => {
            let rows = Store::open(&args.common.store)?.export(&args.to)?;
            say(args.common.json, &serde_json::json!({ "rows": rows }), || {
                format!("{rows} members, {}", args.to.display())
            })
        }
        GalleryCommand::Import(args) => {
            let store = Store::open_or_create(&args.common.store)?;
            let commit = store.begin()?.import(&args.from)?;
            let answer = serde_json::json!({ "added": commit.added, "repeated": commit.repeated });
            say(args.common.json, &answer, || match commit.repeated {
                true => "this file was imported before: nothing added".into(),
                false => format!("{} members added", commit.added),
            })
        }
    }
}

fn stats(args: &StoreArgs) -> Result<()> {
    let store = Store::open(&args.store)?;
    let stats = store.stats()?;
    say(args.json, &stats, || describe(&stats))
}

fn describe(stats: &Stats) -> String {
    let bytes: u64 = stats.segments.iter().map(|s| s.bytes).sum();
    let derived: u64 = stats.segments.iter().flat_map(|s| s.derived_bytes).sum();
    let mut text = format!(
        "{} members, {} forgotten rows still on disk\n{} runs, {} segments, last commit {}\n{} bytes of segments, {} of search files\n",
        stats.live,
        stats.dead,
        stats.runs.len(),
        stats.segments.len(),
        stats.commit,
        bytes,
        derived
    );
    for run in &stats.runs {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}  commit {:<4} {:>9} members  {}", run.at, run.commit, run.rows, run.key);
    }
    text
}

fn verify(args: &VerifyArgs) -> Result<()> {
    let store = Store::open(&args.common.store)?;
    let found = store.verify()?;
    if args.repair && found.is_sound() {
        store.repair()?;
    }
    say(args.common.json, &found, || {
        let mut text = format!("{} segments, {} rows read\n", found.segments, found.rows);
        for (what, list) in [("damaged", &found.damaged), ("to be rebuilt", &found.rebuildable)] {
            list.iter().for_each(|problem| text += &format!("{what}: {problem}\n"));
        }
        if found.damaged.is_empty() && (args.repair || found.rebuildable.is_empty()) {
            text += "whole";
        }
        text
    })?;
    match found.is_sound() {
        true => Ok(()),
        false => Err(Error::input(
            &args.common.store,
            "segments",
            "the bytes that were written",
            format!("{} damaged or missing", found.damaged.len()),
            "restore the files named above from a backup; until then every other member is still found",
        )),
    }
}

fn compact(args: &StoreArgs) -> Result<()> {
    let store = Store::open(&args.store)?;
    let done = store.begin()?.compact(&CompactPolicy::default())?;
    say(args.json, &done, || {
        let [before, after] = done.bytes;
        format!(
            "{} segments became {}, {} rows erased, {before} bytes became {after}",
            done.segments_before, done.segments_after, done.rows_erased
        )
    })
}

fn forget(args: &ForgetArgs) -> Result<()> {
    let mut ids = args.member.clone();
    if let Some(path) = &args.from {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::input(path, "list of submission ids", "a text file, one id a line", e.to_string(), "check --from")
        })?;
        ids.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    let store = Store::open(&args.common.store)?;
    let mut writer = store.begin()?;
    let forgotten = writer.forget(&ids)?;
    // Faces from which a worker could not be told yet may be the member's.
    memory::erase_unresolved(&store)?;
    if !args.later {
        writer.compact(&CompactPolicy { small: 0, ..CompactPolicy::default() })?;
    }
    say(args.common.json, &forgotten, || {
        let rows = forgotten.receipt.as_ref().map_or(0, |receipt| receipt.rows);
        let mut text = format!(
            "{rows} memberships forgotten{}\n",
            if args.later { ", to be erased by compact" } else { " and erased" }
        );
        forgotten.unknown.iter().for_each(|id| text += &format!("not in the store: {id}\n"));
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
