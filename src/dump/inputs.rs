//! What was typed as input -> the sorted list of files that it means.
//!
//! - A **file** is taken as it is, whatever its name.
//! - A **folder** gives every `*.parquet` file in it and in its sub-folders, as Spark reads a folder: names that start
//!   with `_` or `.` are passed over (`_SUCCESS`, `_temporary`, `.part-0.crc`), links to folders are not followed.
//! - A **glob** (`*`, `?`, `[...]`, `**`) gives the files it matches, by the same rules; a folder it matches counts as
//!   a folder.
//!
//! A folder or a glob in a table of Delta Lake, Iceberg or Hudi is refused ([`super::lakehouse`]). Of two files with the same
//! bytes one is read.
//!
//! In a folder or a glob the names `workers.parquet` and `truth.parquet` are not part of the dump: the first is the
//! table of workers that may lie beside it, the second the true answers of a synthetic dump.
//!
//! All files are sorted by path together, whatever the order in which they were typed, so that row numbers, and with
//! them resuming, depend on nothing but the files.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::lakehouse;
use super::mistaken::refuse_run;
use super::partitions::{DumpFile, Partitions, TRUTH_FILE, WORKERS_FILE, belongs, is_hidden, percent_decoded_once};
use super::print::FilePrint;
use super::regular::regular;
use super::remote;
use crate::objects::{self, InputFile};
use crate::{Error, Result};

/// Folders nested deeper than this are a mistake, not a dump.
const MAX_DEPTH: usize = 16;

/// The files of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// Sorted, each once.
    pub files: Vec<DumpFile>,
    /// `workers.parquet` beside the dump, if there.
    pub workers: Option<PathBuf>,
    /// Folders whose every Parquet file is, or would be, a part of the dump.
    pub folders: Vec<PathBuf>,
}

/// Resolves files, folders and globs.
///
/// # Errors
/// [`Error::Usage`] when nothing or a malformed glob was given, [`Error::Input`] when an input does not exist or gives
/// no file, [`Error::Io`] when a folder cannot be listed.
pub fn resolve<P: AsRef<Path>>(inputs: &[P]) -> Result<Inputs> {
    if inputs.is_empty() {
        return Err(Error::usage("DUMP", "no input was given", "name a Parquet file, a folder of them or a glob"));
    }
    let mut files = Vec::new();
    let mut beside = Vec::new();
    let mut folders = Vec::new();
    for input in inputs {
        let input = input.as_ref();
        if objects::is_address(input) {
            remote::resolve(input, &mut files, &mut beside, &mut folders)?;
        } else if input.is_dir() {
            lakehouse::refuse(input)?;
            refuse_run(input)?;
            add_folder(input, &mut files)?;
            beside.push(input.to_path_buf());
            folders.push(input.to_path_buf());
        } else if input.exists() {
            refuse_run(input)?;
            files.push(DumpFile { path: input.to_path_buf(), root: None });
            beside.extend(input.parent().map(Path::to_path_buf));
        } else if is_glob(input) {
            folders.extend(add_glob(input, &mut files, &mut beside)?);
        } else {
            let found = if input.is_symlink() { "a link to nothing" } else { "nothing" };
            let fix = "check the path; quote a glob so that the shell leaves it alone";
            return Err(Error::input(input, "the dump", "a Parquet file or a folder of them", found, fix));
        }
    }
    for file in &files {
        if file.path.to_str().is_none() {
            let fix = "rename the file or folder: the record of a run names its files, in UTF-8";
            return Err(Error::input(&file.path, "its name", "a name in UTF-8", "bytes that are none", fix));
        }
        regular(&file.path)?;
    }
    Ok(Inputs { files: sort_unique(files)?, workers: find_workers(&beside)?, folders })
}

fn is_glob(input: &Path) -> bool {
    input.to_string_lossy().contains(['*', '?', '['])
}

fn add_folder(folder: &Path, files: &mut Vec<DumpFile>) -> Result<()> {
    let before = files.len();
    walk(folder, folder, 0, files)?;
    if files.len() == before {
        return Err(Error::input(
            folder,
            "the dump",
            "at least one *.parquet file",
            format!("none (names that start with _ or ., {WORKERS_FILE} and {TRUTH_FILE} do not count)"),
            "check the folder, or name the files",
        ));
    }
    Ok(())
}

fn walk(root: &Path, folder: &Path, depth: usize, files: &mut Vec<DumpFile>) -> Result<()> {
    if depth > MAX_DEPTH {
        let found = format!("folders nested deeper than {MAX_DEPTH}");
        return Err(Error::input(folder, "the dump", "a folder of Parquet files", found, "name the folder itself"));
    }
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(Error::io("look at", entry.path()))?;
        if kind.is_dir() {
            if ["_delta_log", ".hoodie", "metadata"].contains(&name.as_str()) {
                lakehouse::refuse(folder)?;
            }
            if !is_hidden(&name) {
                walk(root, &entry.path(), depth + 1, files)?;
            }
        } else if belongs(&name) && !entry.path().is_dir() {
            // A link to nothing, or a pipe: refused by name and not passed over, lest rows be missing in silence.
            files.push(DumpFile { path: entry.path(), root: Some(root.to_path_buf()) });
        }
    }
    Ok(())
}

/// The paths in a list of files, one a line, as a table's own tool names its live files: blank lines and lines that begin with
/// `#` are passed over, `file://` is understood, and a relative path starts from the list's folder.
///
/// # Errors
/// [`Error::Input`] for a list that cannot be read, is empty, or names what is not on this machine.
pub fn listed(list: &Path) -> Result<Vec<PathBuf>> {
    const FIX: &str = "write the path of one Parquet file a line";
    regular(list)?;
    let bytes = fs::read(list).map_err(Error::io("read", list))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Error::input(list, "the list", "text in UTF-8", "other bytes", FIX))?;
    let mut paths = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let path = match line.strip_prefix("file:") {
            // file:///data/x, file://localhost/data/x, file:/data/x
            Some(uri) => {
                let rest = uri.strip_prefix("//").map_or(uri, |rest| &rest[rest.find('/').unwrap_or(rest.len())..]);
                PathBuf::from(percent_decoded_once(rest))
            }
            None => list.parent().unwrap_or(Path::new("")).join(line),
        };
        if objects::is_address(Path::new(line)) {
            if !objects::BUILT {
                let fix = "this program was built without `cloud`: take one built with `--features cloud`, or copy the files here";
                return Err(Error::input(list, format!("line {}", at + 1), "a path on this machine", line, fix));
            }
            objects::check(&format!("{}, line {}", list.display(), at + 1), Path::new(line))?;
            paths.push(PathBuf::from(line));
            continue;
        }
        if line.contains("://") && !line.starts_with("file:") {
            let fix = "copy the files to this machine, and list the copies";
            return Err(Error::input(list, format!("line {}", at + 1), "a path on this machine", line, fix));
        }
        if !path.is_file() {
            let found = format!("no file at {}", path.display());
            return Err(Error::input(list, format!("line {}", at + 1), "the path of a Parquet file", found, FIX));
        }
        paths.push(path);
    }
    match paths.is_empty() {
        true => Err(Error::input(list, "the list", "one path a line", "no path", FIX)),
        false => Ok(paths),
    }
}

/// Adds what a glob matches, and gives the folders that it takes whole.
fn add_glob(pattern: &Path, files: &mut Vec<DumpFile>, beside: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let text = pattern.to_string_lossy();
    let matches = glob::glob(&text).map_err(|e| {
        let fix = "see `*`, `?`, `[abc]` and `**`; a name that holds such a character is written `[*]`";
        Error::usage(text.as_ref(), format!("not a glob: {e}"), fix)
    })?;
    // Partition folders may stand in the pattern itself, so its fixed part is the root.
    let root: PathBuf = pattern.components().take_while(|c| !is_glob(Path::new(c))).collect();
    let mut folders: Vec<PathBuf> = text.contains("**").then(|| root.clone()).into_iter().collect();
    let before = files.len();
    for found in matches {
        let path = found.map_err(|e| {
            let path = e.path().to_path_buf();
            Error::io("list", path)(e.into())
        })?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if is_hidden(&name) || name == WORKERS_FILE || name == TRUTH_FILE {
            continue;
        }
        lakehouse::refuse(if path.is_dir() { &path } else { path.parent().unwrap_or(Path::new("")) })?;
        if path.is_dir() {
            walk(&root, &path, 0, files)?;
            folders.push(path.clone());
            beside.push(path);
        } else {
            beside.extend(path.parent().map(Path::to_path_buf));
            files.push(DumpFile { path, root: Some(root.clone()) });
        }
    }
    if files.len() == before {
        let fix = "check the pattern; relative patterns start at the current folder";
        return Err(Error::input(pattern, "the dump", "a glob that matches Parquet files", "no match", fix));
    }
    Ok(folders)
}

/// Sorts by path, and keeps a file that was named twice once: its rows would all be repeats.
fn sort_unique(mut files: Vec<DumpFile>) -> Result<Vec<DumpFile>> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut seen = HashSet::new();
    let mut kept: Vec<DumpFile> = Vec::with_capacity(files.len());
    for file in files {
        let real = match objects::is_address(&file.path) {
            true => file.path.clone(),
            false => fs::canonicalize(&file.path).map_err(Error::io("resolve", &file.path))?,
        };
        if seen.insert(real) {
            kept.push(file);
        } else {
            log::warn!("{}: named more than once, read once", file.path.display());
        }
    }
    without_copies(kept)
}

/// Keeps of files that are alike byte by byte, and that say the same by their folders, the first: a copy of a file makes
/// every row of it a repeat. Only files of one size are read for that.
fn without_copies(files: Vec<DumpFile>) -> Result<Vec<DumpFile>> {
    let size = |file: &DumpFile| {
        InputFile::open(&file.path).and_then(|there| there.size()).map_err(Error::io("look at", &file.path))
    };
    let sizes: Vec<u64> = files.iter().map(size).collect::<Result<_>>()?;
    let mut count: HashMap<u64, usize> = HashMap::new();
    sizes.iter().for_each(|size| *count.entry(*size).or_default() += 1);
    let mut first: HashMap<(String, Partitions), PathBuf> = HashMap::new();
    let mut kept = Vec::with_capacity(files.len());
    for (file, size) in files.into_iter().zip(sizes) {
        if count[&size] > 1 {
            let key = (FilePrint::of(&file.path)?.sha256, file.partitions());
            if let Some(first) = first.get(&key) {
                log::warn!("{}: the same bytes as {}, read once", file.path.display(), first.display());
                continue;
            }
            first.insert(key, file.path.clone());
        }
        kept.push(file);
    }
    Ok(kept)
}

fn find_workers(beside: &[PathBuf]) -> Result<Option<PathBuf>> {
    let mut found: Vec<PathBuf> = beside.iter().map(|f| f.join(WORKERS_FILE)).collect();
    found.sort();
    found.dedup();
    let is_there = found.iter().map(|path| remote::is_there(path)).collect::<Result<Vec<bool>>>()?;
    let mut is_there = is_there.into_iter();
    found.retain(|_| is_there.next().unwrap_or(false));
    if let [first, rest @ ..] = found.as_slice()
        && !rest.is_empty()
    {
        log::warn!("{}: taken; {} more tables of workers lie beside the dump", first.display(), rest.len());
    }
    Ok(found.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // Each with bytes of its own: copies are read once.
            fs::write(path, name).unwrap();
        }
    }

    fn names(inputs: &Inputs, folder: &Path) -> Vec<String> {
        let relative = |f: &DumpFile| f.path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
        inputs.files.iter().map(relative).collect()
    }

    #[test]
    fn a_folder_is_read_as_spark_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        touch(
            dir.path(),
            &[
                "part-1.snappy.parquet",
                "part-0.parquet",
                "district=Wayanad/part-0.parquet",
                "_SUCCESS",
                "_temporary/0/part-9.parquet",
                ".part-0.parquet.crc",
                "notes.txt",
                "workers.parquet",
                "truth.parquet",
            ],
        );
        let inputs = resolve(&[dir.path()]).unwrap();
        assert_eq!(
            names(&inputs, dir.path()),
            ["district=Wayanad/part-0.parquet", "part-0.parquet", "part-1.snappy.parquet"]
        );
        assert_eq!(inputs.workers, Some(dir.path().join("workers.parquet")));
    }

    #[test]
    fn the_order_of_typing_and_repeats_do_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path(), &["a.parquet", "b.parquet", "c.bin"]);
        let (a, b, c) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"), dir.path().join("c.bin"));
        let inputs = resolve(&[c, b.clone(), a, b, dir.path().join("*.parquet")]).unwrap();
        assert_eq!(names(&inputs, dir.path()), ["a.parquet", "b.parquet", "c.bin"]);
        assert_eq!(inputs.workers, None);
    }

    #[test]
    fn what_gives_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path(), &["workers.parquet", "_x.parquet"]);
        for input in [dir.path().to_path_buf(), dir.path().join("*.parquet"), dir.path().join("no.parquet")] {
            let error = resolve(std::slice::from_ref(&input)).unwrap_err();
            assert!(matches!(error, Error::Input { .. }), "{error}");
            assert!(error.to_string().starts_with(input.to_str().unwrap()), "{error}");
        }
        assert!(matches!(resolve::<&Path>(&[]).unwrap_err(), Error::Usage { .. }));
        assert!(matches!(resolve(&[dir.path().join("[")]).unwrap_err(), Error::Usage { .. }));
    }
}
