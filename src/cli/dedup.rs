//! `chehra dedup`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::{Common, json, print, setup};
use crate::config::Policy;
use crate::dedup::{self, Found};
use crate::device::{self, DeviceChoice};
use crate::gallery::{self, Engine, Filter, SearchPolicy, Store};
use crate::report::Progress;
use crate::verdict::{RunFolder, create_private, write_clusters, write_pairs};
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra dedup --store /data/store --all-pairs
  chehra dedup --store /data/store --all-pairs --out out/dedup      # pairs.parquet, clusters.parquet, run.json
  chehra dedup --store /data/store --all-pairs --only-district Pune --not-worker W-0012

A filter says which members take part; both members of a pair pass it. Expected false matches are stated for the
members that take part.";

/// Flags of `dedup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DedupArgs {
    /// The store
    #[arg(short, long, value_name = "DIR", env = "CHEHRA_STORE")]
    store: PathBuf,
    /// Compare every member with every other
    #[arg(long, required = true)]
    all_pairs: bool,
    /// How the pairs are found: auto, exact or hnsw. Both give the same scores; what HNSW missed is measured
    #[arg(long, value_name = "ENGINE", default_value_t)]
    search: Engine,
    /// Where exact search runs: auto, cpu, cuda[:N], metal[:N]. Only auto chooses
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "CHEHRA_DEVICE")]
    device: DeviceChoice,
    #[command(flatten)]
    filter: FilterArgs,
    /// New folder for pairs.parquet, clusters.parquet and run.json
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Policy file; what it does not name keeps its default (see `chehra policy`)
    #[arg(long, value_name = "FILE", env = "CHEHRA_POLICY")]
    policy: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Which members take part.
#[derive(Debug, Args, serde::Serialize)]
#[command(next_help_heading = "Filters")]
struct FilterArgs {
    /// Only members enrolled in this district
    #[arg(long, value_name = "NAME")]
    only_district: Option<String>,
    /// Without members enrolled in this district
    #[arg(long, value_name = "NAME")]
    not_district: Option<String>,
    /// Without members enrolled by this worker
    #[arg(long, value_name = "ID")]
    not_worker: Option<String>,
    /// Without the member of this submission
    #[arg(long, value_name = "ID")]
    not_submission: Option<String>,
    /// Only templates of this model; needed where a store has several
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

impl FilterArgs {
    fn filter(&self) -> Filter<'_> {
        Filter {
            not_submission: self.not_submission.as_deref(),
            not_worker: self.not_worker.as_deref(),
            not_district: self.not_district.as_deref(),
            only_district: self.only_district.as_deref(),
        }
    }
}

/// Runs it.
pub fn run(args: &DedupArgs, common: &Common) -> Result<()> {
    let policy = setup::policy(args.policy.as_deref())?;
    let whole = Store::open(&args.store)?.view(None)?;
    gallery::search_on(&device::open(args.device)?);
    let gallery = dedup::select(&whole, args.filter.model.as_deref(), &args.filter.filter())?;
    let folder = args.out.as_deref().map(|out| RunFolder::begin(out, false)).transpose()?;
    let progress = Progress::new(common.quiet);
    let members = gallery.live();
    progress.say(&format!("comparing {members} members with each other"));
    let stage = progress.stage("compare", "members", members as u64, 0);
    let mut done = 0;
    let found =
        dedup::all_pairs(&gallery, &policy.matching, &SearchPolicy::new(args.search, &policy.hnsw), &mut |now| {
            // HNSW may be followed by exact search, which starts anew.
            stage.advance(now.saturating_sub(done) as u64);
            done = now;
            Ok(())
        })?;
    drop(stage);
    let record = record(args, &found, &policy);
    if let Some(folder) = folder {
        write(&folder.tables(), &found, &record)?;
        folder.commit()?;
    }
    if args.json {
        return json(&record);
    }
    print(&describe(&found))
}

/// What `run.json` holds.
fn record(args: &DedupArgs, found: &Found, policy: &Policy) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "store": args.store,
        "filters": args.filter,
        "threads": rayon::current_num_threads(),
        "search": found.search,
        "matching": found.judged.statistics,
        "policy": policy,
    })
}

fn write(tables: &Path, found: &Found, record: &Value) -> Result<()> {
    let judged = &found.judged;
    write_pairs(&tables.join("pairs.parquet"), &found.enrolments, &judged.pairs)?;
    write_clusters(&tables.join("clusters.parquet"), &found.enrolments, &judged.clusters)?;
    let path = tables.join("run.json");
    let text = serde_json::to_string_pretty(record).map_err(|e| Error::bug("writing run.json", e))?;
    writeln!(create_private(&path)?, "{text}").map_err(Error::io("write", &path))
}

fn describe(found: &Found) -> String {
    let mut text = String::new();
    for cluster in &found.judged.clusters {
        let ids: Vec<&str> = cluster.members.iter().map(|&m| found.enrolments[m].submission_id.as_str()).collect();
        text += &format!("{}  {}  {}\n", cluster.id, cluster.districts.join(", "), ids.join(" "));
    }
    let statistics = &found.judged.statistics;
    text += &format!(
        "{} members: {} pairs flagged, {:.2} of them expected by chance; {} persons with two or more memberships\n",
        statistics.gallery_size, statistics.flagged_pairs, statistics.expected_false_pairs, statistics.clusters,
    );
    let search = &found.search;
    text += &format!("{:.1} s, {} search on {} ({})", search.seconds, search.engine, search.kernel, search.reason);
    if let Some(c) = &search.certificate {
        let [low, high] = c.interval.map(|share| 100.0 * share);
        text += &format!(
            "\nHNSW missed {} of {} true pairs of {} members searched exactly as well: {:.2} %, 95 % interval {low:.2} to {high:.2} %",
            c.missed,
            c.true_pairs,
            c.probes,
            100.0 * c.missed_share
        );
    }
    text
}
