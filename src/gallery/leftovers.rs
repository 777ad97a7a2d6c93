//! What writers that were killed left in a store's folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::derived::{CODES, GRAPH, MASTERS};
use super::files::{TEMPORARY, ends_in_temporary};
use super::layout::{ANSWERS, CURVE, PICTURES, WORKERS, folder_of_version_1, notes_folder, receipts_folder};
use super::manifest::{self, Manifest, segments_folder};
use crate::{Error, Result};

/// What killed writers left: files that this manifest does not name. Other people's files are not among them.
pub(super) fn leftovers(store: &Path, manifest: &Manifest) -> Result<Vec<PathBuf>> {
    let is_leftover = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut words = name.split('.');
        let (stem, ending) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let kept = [ANSWERS, PICTURES, WORKERS, CURVE];
        let derived = [CODES.ending, MASTERS.ending, GRAPH.ending];
        let is_ours = ending == "parquet" || kept.contains(&ending) || derived.contains(&ending);
        match stem.parse::<u64>() {
            Ok(id) if is_ours => ends_in_temporary(path) || !manifest.is_live(id),
            _ => stem == manifest::NAME && ends_in_temporary(path),
        }
    };
    let mut leftovers = Vec::new();
    let folders = [segments_folder(store), store.to_path_buf()];
    for path in files_in(&folders)? {
        leftovers.extend(is_leftover(&path).then_some(path));
    }
    // Receipts and notes hold no template, but nobody needs half of one.
    let halves = files_in(&[receipts_folder(store), notes_folder(store)])?;
    leftovers.extend(halves.into_iter().filter(|path| ends_in_temporary(path)));
    if manifest.version >= 3 {
        let old = files_in(&[folder_of_version_1(store)])?;
        let is_ours = |path: &Path| {
            let number = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|s| s.parse::<u64>().is_ok());
            number && path.extension().is_some_and(|e| e == WORKERS || e == TEMPORARY)
        };
        leftovers.extend(old.into_iter().filter(|path| is_ours(path)));
    }
    Ok(leftovers)
}

/// The files in these folders, those of each together; a folder that is not there has none.
fn files_in(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in folders {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("read the folder", folder)(e)),
        };
        for entry in entries {
            files.push(entry.map_err(Error::io("read the folder", folder))?.path());
        }
    }
    files.retain(|path| !path.is_dir());
    files.sort();
    Ok(files)
}
