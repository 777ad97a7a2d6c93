//! A run folder in an object store: parts first, the marker last, and what stands there already.

use std::fs;
use std::path::Path;

use crate::objects::{self, MARKER, Marker};
use crate::{Error, Result};

/// Everything that a run folder may hold: what a run writes, and nothing else.
pub(super) const OF_A_RUN: [&str; 11] = [
    "clusters.parquet",
    "pairs.parquet",
    "report.html",
    "review.parquet",
    "run.json",
    "suspects.parquet",
    "call_first.parquet",
    "rings.parquet",
    "replies_refused.parquet",
    "verdicts.parquet",
    "workers_audit.parquet",
];
/// The page is made anew at any time, so the marker does not name it.
const PAGE: &str = "report.html";

/// Whether a run folder may be made there: nothing stands there, what an upload that was cut left, or a run that `force`
/// replaces.
///
/// # Errors
/// [`Error::Input`] for what stands there; [`Error::Io`] when the store gives no answer.
pub(super) fn may_be_made(out: &Path, force: bool) -> Result<()> {
    let listed = objects::list(out).map_err(Error::io("list", out))?;
    let names: Vec<String> = listed.iter().map(|object| name_below(out, &object.address)).collect();
    let is_finished = names.iter().any(|name| name == MARKER);
    if is_finished && !force {
        let (expected, fix) = ("no finished run of this name yet", "name another --out, or give --force to replace it");
        return Err(Error::input(out, "run folder", expected, "it exists", fix));
    }
    if let Some(other) = names.iter().find(|name| *name != MARKER && !OF_A_RUN.contains(&name.as_str())) {
        let found = format!("something that is no run's: {other}");
        let fix = "name another --out, or move this away: run folders are replaced and nothing else";
        return Err(Error::input(out, "run folder", "a run folder of `chehra audit`, or nothing", found, fix));
    }
    Ok(())
}

/// Sends a run folder: the marker of an earlier run goes first, the new one is written last, so that a folder with a marker is
/// whole at every moment.
///
/// # Errors
/// [`Error::Io`] when the store refuses; the same command can be run again.
pub(super) fn send(tables: &Path, out: &Path, run_id: &str) -> Result<()> {
    let marker = Marker::of(tables, run_id, &[PAGE]).map_err(Error::io("read", tables))?;
    let text = serde_json::to_vec_pretty(&marker).map_err(|error| Error::bug("writing a marker", error))?;
    let address = out.join(MARKER);
    objects::delete(&address).map_err(Error::io("remove", &address))?;
    let mut sent = Vec::new();
    for entry in fs::read_dir(tables).map_err(Error::io("list", tables))? {
        let entry = entry.map_err(Error::io("list", tables))?;
        let to = out.join(entry.file_name());
        objects::put(&to, &entry.path()).map_err(Error::io("write", &to))?;
        sent.push(to);
    }
    for object in objects::list(out).map_err(Error::io("list", out))? {
        if !sent.contains(&object.address) {
            objects::delete(&object.address).map_err(Error::io("remove", &object.address))?;
        }
    }
    objects::put_bytes(&address, text).map_err(Error::io("write", &address))
}

fn name_below(folder: &Path, address: &Path) -> String {
    address.strip_prefix(folder).unwrap_or(address).to_string_lossy().into_owned()
}
