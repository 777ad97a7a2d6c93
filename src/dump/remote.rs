//! Dumps in object stores: what an address means as input, by the rules for folders and globs on a disk.
//!
//! A folder is a prefix that is listed; `https://` names single files.

use std::path::{Path, PathBuf};

use super::lakehouse;
use super::mistaken;
use super::partitions::{DumpFile, TRUTH_FILE, WORKERS_FILE, belongs, is_hidden};
use crate::objects::{self, Listed};
use crate::{Error, Result};

/// Adds the files that an address means, the folders beside which other tables may lie, and those that are taken whole.
///
/// # Errors
/// [`Error::Input`] when there is nothing, or what is no dump; [`Error::Io`] when the store gives no answer.
pub fn resolve(
    input: &Path,
    files: &mut Vec<DumpFile>,
    beside: &mut Vec<PathBuf>,
    folders: &mut Vec<PathBuf>,
) -> Result<()> {
    objects::check("DUMP", input)?;
    let text = input.to_string_lossy();
    let is_web = objects::WEB.iter().any(|scheme| text.starts_with(&format!("{scheme}://")));
    let is_glob = !is_web && text.contains(['*', '?', '[']);
    let is_folder = text.ends_with('/');
    if !is_glob && !is_folder && (is_web || objects::is_file(input).map_err(Error::io("open", input))?) {
        files.push(DumpFile { path: input.to_path_buf(), root: None });
        beside.extend(input.parent().filter(|_| !is_web).map(Path::to_path_buf));
        return Ok(());
    }
    let root = if is_glob { fixed_part(&text) } else { PathBuf::from(text.trim_end_matches('/')) };
    let listed = objects::list(&root).map_err(Error::io("list", &root))?;
    refuse_inside_a_table(&root)?;
    if !is_glob && listed.iter().any(|object| object.address == root.join("run.json")) {
        return Err(mistaken::is_a_run(&root));
    }
    let before = files.len();
    let pattern = match is_glob {
        true => Some(glob::Pattern::new(&text).map_err(|error| {
            Error::usage(text.as_ref(), format!("not a glob: {error}"), "see `*`, `?`, `[abc]` and `**`")
        })?),
        false => None,
    };
    for Listed { address, .. } in &listed {
        let below = address.strip_prefix(&root).unwrap_or(address);
        if !is_part(below) {
            continue;
        }
        if let Some(pattern) = &pattern {
            let Some(matched) = address.ancestors().find(|path| is_match(pattern, path)) else { continue };
            match matched == address {
                true => beside.extend(address.parent().map(Path::to_path_buf)),
                false => beside.push(matched.to_path_buf()),
            }
        }
        files.push(DumpFile { path: address.clone(), root: Some(root.clone()) });
    }
    refuse_tables(&listed, &files[before..])?;
    if files.len() == before {
        let found = match listed.is_empty() {
            true => "nothing".to_owned(),
            false => format!("none (names that start with _ or ., {WORKERS_FILE} and {TRUTH_FILE} do not count)"),
        };
        let fix = "check the address: the bucket, and every letter of the name";
        return Err(Error::input(input, "the dump", "at least one *.parquet file", found, fix));
    }
    if !is_glob {
        beside.push(root.clone());
    }
    folders.push(root);
    Ok(())
}

/// Whether a table of workers lies there. Where the store does not say who may not list it, none is assumed, with a word.
///
/// # Errors
/// [`Error::Io`] when the store gives no answer.
pub fn is_there(table: &Path) -> Result<bool> {
    match objects::is_file(table) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            log::warn!("{}: cannot be looked for: {error}; if it is there, give it with --workers", table.display());
            Ok(false)
        }
        found => found.map_err(Error::io("look for", table)),
    }
}

/// An address up to the first part with a wildcard.
fn fixed_part(text: &str) -> PathBuf {
    let wild = text.find(['*', '?', '[']).unwrap_or(text.len());
    PathBuf::from(text[..wild].rfind('/').map_or("", |slash| &text[..slash]))
}

fn is_match(pattern: &glob::Pattern, path: &Path) -> bool {
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    pattern.matches_with(&path.to_string_lossy(), options)
}

/// Whether a file found below a folder belongs to its dump.
fn is_part(below: &Path) -> bool {
    let name = below.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut folders = below.parent().into_iter().flat_map(Path::components);
    belongs(&name) && !folders.any(|folder| is_hidden(&folder.as_os_str().to_string_lossy()))
}

/// Refuses files of tables of Delta, Iceberg and Hudi, told by the logs that were listed with them.
fn refuse_tables(listed: &[Listed], files: &[DumpFile]) -> Result<()> {
    for (table, format) in listed.iter().filter_map(|object| lakehouse::table_of(&object.address)) {
        if files.iter().any(|file| file.path.starts_with(&table)) {
            return Err(lakehouse::refusal(&table, format));
        }
    }
    Ok(())
}

/// Refuses a folder in such a table. Who may not list the folders above is not asked.
fn refuse_inside_a_table(folder: &Path) -> Result<()> {
    // The last two are the bucket and the scheme.
    let above: Vec<&Path> = folder.ancestors().skip(1).collect();
    for table in above.iter().take(above.len().saturating_sub(2)) {
        for log in lakehouse::LOGS {
            let place = table.join(log);
            match objects::list(&place) {
                Ok(found) => {
                    if let Some((table, format)) = found.first().and_then(|object| lakehouse::table_of(&object.address))
                    {
                        return Err(lakehouse::refusal(&table, format));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(Error::io("list", &place)(error)),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_globs_follow_the_rules_of_disks() {
        for (below, is) in [
            ("part-0.parquet", true),
            ("district=Wayanad/part-0.parquet", true),
            ("_temporary/0/part-9.parquet", false),
            (".hidden.parquet", false),
            ("_SUCCESS", false),
            ("workers.parquet", false),
            ("notes.txt", false),
        ] {
            assert_eq!(is_part(Path::new(below)), is, "{below}");
        }
        assert_eq!(fixed_part("s3://b/night/*/part-?.parquet"), Path::new("s3://b/night"));
        assert_eq!(fixed_part("s3://b/part-*.parquet"), Path::new("s3://b"));
        let pattern = glob::Pattern::new("s3://b/night/d=*").unwrap();
        assert!(is_match(&pattern, Path::new("s3://b/night/d=1")));
        assert!(!is_match(&pattern, Path::new("s3://b/night/d=1/part-0.parquet")));
    }

    #[test]
    fn tables_with_a_log_are_refused() {
        let listed = |name: &str| vec![Listed { address: PathBuf::from(name), size: 1 }];
        let files = [DumpFile { path: "s3://b/t/x/part-0.parquet".into(), root: None }];
        for (name, word) in [
            ("s3://b/t/_delta_log/0.json", "Delta"),
            ("s3://b/t/x/.hoodie/hoodie.properties", "Hudi"),
            ("s3://b/t/metadata/v1.metadata.json", "Iceberg"),
        ] {
            let error = refuse_tables(&listed(name), &files).unwrap_err().to_string();
            assert!(error.contains(word), "{name}: {error}");
        }
        for name in ["s3://b/t/metadata/part-0.parquet", "s3://b/t/y/_delta_log/0.json", "s3://b/_delta_log.txt"] {
            refuse_tables(&listed(name), &files).unwrap();
        }
    }
}
