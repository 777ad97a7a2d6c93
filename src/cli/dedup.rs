//! `chehra dedup`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{Common, json, print, setup};
use crate::dedup;
use crate::gallery::Store;
use crate::report::Progress;
use crate::verdict::{write_clusters, write_pairs};
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra dedup --store /data/store --all-pairs
  chehra dedup --store /data/store --all-pairs --out out/dedup      # pairs.parquet and clusters.parquet";

/// Flags of `dedup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DedupArgs {
    /// The store
    #[arg(short, long, value_name = "DIR", env = "CHEHRA_STORE")]
    store: PathBuf,
    /// Compare every member with every other, exactly
    #[arg(long, required = true)]
    all_pairs: bool,
    /// New folder for pairs.parquet and clusters.parquet
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Policy file; what it does not name keeps its default (see `chehra policy`)
    #[arg(long, value_name = "FILE", env = "CHEHRA_POLICY")]
    policy: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &DedupArgs, common: &Common) -> Result<()> {
    let policy = setup::policy(args.policy.as_deref())?;
    let gallery = Store::open(&args.store)?.view(None)?;
    if let Some(out) = &args.out {
        std::fs::create_dir(out).map_err(|e| {
            Error::input(
                out,
                "folder to create",
                "no file or folder of this name yet",
                e.to_string(),
                "name another --out",
            )
        })?;
    }
    Progress::new(common.quiet).say(&format!("comparing {} members with each other", gallery.live()));
    let found = dedup::all_pairs(&gallery, &policy.matching)?;
    let judged = &found.judged;
    if let Some(out) = &args.out {
        write_pairs(&out.join("pairs.parquet"), &found.enrolments, &judged.pairs)?;
        write_clusters(&out.join("clusters.parquet"), &found.enrolments, &judged.clusters)?;
    }
    if args.json {
        return json(&serde_json::json!({ "search": found.search, "matching": judged.statistics }));
    }
    let mut text = String::new();
    for cluster in &judged.clusters {
        let ids: Vec<&str> = cluster.members.iter().map(|&m| found.enrolments[m].submission_id.as_str()).collect();
        text += &format!("{}  {}  {}\n", cluster.id, cluster.districts.join(", "), ids.join(" "));
    }
    let statistics = &judged.statistics;
    print(&format!(
        "{text}{} members: {} pairs flagged, {:.2} of them expected by chance; {} persons with two or more memberships\n\
         {:.1} s with {}",
        statistics.gallery_size,
        statistics.flagged_pairs,
        statistics.expected_false_pairs,
        statistics.clusters,
        found.search.seconds,
        found.search.kernel
    ))
}
