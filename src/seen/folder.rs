//! A SEEN folder as a whole: whether its parts belong together and are all there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};

use super::SEEN_VERSION;
use super::contract::Contract;
use super::files::{self, DumpFileRow};
use super::parquet::{Reader, SEE_AGAIN, read_rows, write_rows};
use super::record::{self, Origin};
use crate::dump::{FilePrint, Survey, has_columns};
use crate::infer::Analysis;
use crate::objects::{self, InputFile};
use crate::{Error, Result};

/// Folders nested deeper than this are a mistake.
const MAX_DEPTH: usize = 16;
/// No part has the row yet.
const NONE: u32 = u32::MAX;
/// Ranges of rows, and parts, that a message names.
const NAMED: usize = 5;

/// The parts of one dump, complete.
#[derive(Debug)]
pub struct SeenFolder {
    path: PathBuf,
    parts: Vec<PathBuf>,
    files: Vec<DumpFileRow>,
    prints: Vec<FilePrint>,
    rows: u64,
}

impl SeenFolder {
    /// Opens a folder and checks that its parts were made with this contract, of one dump, and hold each of its rows once.
    ///
    /// # Errors
    /// [`Error::Input`] that names the part and what is wrong with it, or what is missing.
    pub fn open(path: &Path, contract: &Contract) -> Result<SeenFolder> {
        let tables = Tables::find(path)?;
        let files = dump_files(path, &tables.dump)?;
        let rows = files.iter().map(|file| file.rows.max(0) as u64).sum();
        let mut check =
            Check { contract, dump: files[0].dump.clone(), memory: None, places: vec![NONE; rows as usize] };
        for (at, part) in tables.rows.iter().enumerate() {
            check.part(&tables.rows, at as u32, part)?;
        }
        check.complete(path, &tables.rows)?;
        let prints = prints(path, &files)?;
        Ok(SeenFolder { path: path.to_path_buf(), parts: tables.rows, files, prints, rows })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tables of rows.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Rows of the dump.
    pub fn total_rows(&self) -> u64 {
        self.rows
    }

    /// The files of the dump as they were when they were seen, in row order.
    pub fn prints(&self) -> &[FilePrint] {
        &self.prints
    }

    /// Whether any file of the dump has the column that goes by this name in `chehra`.
    pub fn has_column(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.columns.iter().any(|column| column == name))
    }

    /// The table of workers that lay beside the dump when it was seen.
    pub fn workers_beside_dump(&self) -> Option<&str> {
        self.files.iter().find_map(|file| file.workers.as_deref())
    }

    /// Every row, in the dump's order; `each` is told how many were read.
    ///
    /// # Errors
    /// [`Error::Input`] that names a part that cannot be read.
    pub fn read(&self, each: &mut dyn FnMut(u64)) -> Result<Vec<Analysis>> {
        let mut rows: Vec<Option<Analysis>> = (0..self.rows).map(|_| None).collect();
        for part in &self.parts {
            for batch in read_rows(part)? {
                let batch = batch?;
                each(batch.len() as u64);
                for analysis in batch {
                    let at = analysis.row as usize;
                    if let Some(place) = rows.get_mut(at) {
                        *place = Some(analysis);
                    }
                }
            }
        }
        let changed = || Error::input(&self.path, "SEEN", "the rows of a moment ago", "other rows", "run it again");
        rows.into_iter().collect::<Option<Vec<_>>>().ok_or_else(changed)
    }

    /// What is wrong with whole columns of the dump, from its rows; `now` in microseconds since 1970-01-01T00:00:00Z.
    pub fn survey(analyses: &[Analysis], now: i64) -> Survey {
        let mut survey = Survey::default();
        survey.count(analyses.iter().map(|analysis| &analysis.facts), now);
        survey
    }
}

/// Tables of a folder, by what they hold.
#[derive(Debug, Default)]
struct Tables {
    rows: Vec<PathBuf>,
    dump: Vec<PathBuf>,
}

impl Tables {
    fn find(path: &Path) -> Result<Tables> {
        let refuse = |item: &str, found: String, fix: &str| {
            Error::input(path, item, "a folder of Parquet that `chehra see` or the Spark job made", found, fix)
        };
        if !objects::is_address(path) && !path.is_dir() {
            let found = if path.exists() { "a file" } else { "nothing" };
            return Err(refuse("SEEN", found.to_owned(), "name the folder with the parts"));
        }
        let mut tables = Tables::default();
        for file in parquet_files(path)? {
            if has_columns(&file, &[record::VERSION, record::ROW, "selfie"]) {
                tables.rows.push(file);
            } else if has_columns(&file, &["seen_version", "file", "files", "sha256"]) {
                tables.dump.push(file);
            } else {
                let (expected, found) = ("rows that were seen, or the files of their dump", "another table, or damage");
                return Err(Error::input(&file, "a part of SEEN", expected, found, SEE_AGAIN));
            }
        }
        match (tables.rows.is_empty(), tables.dump.is_empty()) {
            (false, false) => Ok(tables),
            (true, true) => Err(refuse("SEEN", "no Parquet file".to_owned(), "make it: `chehra see DUMP --out SEEN`")),
            (true, false) => Err(refuse("SEEN", "no table of rows".to_owned(), "add the parts of `chehra see`")),
            (false, true) => {
                let found = "no table of the dump's files (dump-*.parquet)".to_owned();
                Err(refuse("SEEN", found, "add it: `chehra see` writes it beside the rows"))
            }
        }
    }
}

/// Parquet files below a folder, sorted; as Spark, without names that begin with `_` or `.`.
fn parquet_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(folder, 0, &mut |path, is_hidden| {
        if !is_hidden && path.extension().is_some_and(|ending| ending == "parquet") {
            found.push(path.to_path_buf());
        }
        Ok(())
    })?;
    found.sort();
    Ok(found)
}

/// Calls `each` with every file below a folder, and whether its name, or that of a folder above it, says that it is passed over.
fn walk(folder: &Path, depth: usize, each: &mut dyn FnMut(&Path, bool) -> Result<()>) -> Result<()> {
    fn step(folder: &Path, depth: usize, hidden: bool, each: &mut dyn FnMut(&Path, bool) -> Result<()>) -> Result<()> {
        if depth > MAX_DEPTH {
            let fix = "name the folder with the parts itself";
            return Err(Error::input(folder, "SEEN", format!("at most {MAX_DEPTH} folders deep"), "more", fix));
        }
        for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
            let entry = entry.map_err(Error::io("list", folder))?;
            let hidden = hidden || entry.file_name().to_string_lossy().starts_with(['_', '.']);
            let kind = entry.file_type().map_err(Error::io("look at", entry.path()))?;
            match kind.is_dir() {
                true => step(&entry.path(), depth + 1, hidden, each)?,
                false => each(&entry.path(), hidden)?,
            }
        }
        Ok(())
    }
    if !objects::is_address(folder) {
        return step(folder, depth, false, each);
    }
    for object in objects::list(folder).map_err(Error::io("list", folder))? {
        let below = object.address.strip_prefix(folder).unwrap_or(&object.address);
        let hidden = below.components().any(|part| part.as_os_str().to_string_lossy().starts_with(['_', '.']));
        if !hidden && object.address.extension().is_some_and(|ending| ending == "parquet") {
            // What cannot be reached must not be taken for another table.
            InputFile::open(&object.address).map_err(Error::io("open", &object.address))?;
        }
        each(&object.address, hidden)?;
    }
    Ok(())
}

/// The files of the dump, put together from all parts.
fn dump_files(folder: &Path, tables: &[PathBuf]) -> Result<Vec<DumpFileRow>> {
    let mut files: BTreeMap<i32, (DumpFileRow, &Path)> = BTreeMap::new();
    for table in tables {
        let refuse = |item: String, expected: String, found: String| {
            Error::input(table, item, expected, found, "keep the parts of one dump in a folder of their own")
        };
        for batch in Reader::open(table, files::schema())? {
            let rows = files::from_batch(&batch?);
            for row in
                rows.map_err(|found| refuse("a table of the dump's files".into(), "its columns".into(), found))?
            {
                if row.seen_version != SEEN_VERSION {
                    return Err(wrong_version(table, row.seen_version));
                }
                let Some((known, first)) = files.get_mut(&row.file) else {
                    if let Some((known, first)) = files.values().next().filter(|(known, _)| known.dump != row.dump) {
                        let expected = format!("a part of dump {}, as {}", known.dump, first.display());
                        return Err(refuse("the dump".into(), expected, format!("a part of dump {}", row.dump)));
                    }
                    files.insert(row.file, (row, table));
                    continue;
                };
                if known.dump != row.dump {
                    let expected = format!("a part of dump {}, as {}", known.dump, first.display());
                    return Err(refuse("the dump".into(), expected, format!("a part of dump {}", row.dump)));
                }
                match (&known.sha256, &row.sha256) {
                    (Some(one), Some(other)) if one != other => {
                        let expected = format!("SHA-256 {one}, as {} says", first.display());
                        let item = format!("{} as it was read", row.path);
                        return Err(refuse(item, expected, format!("{other}: the dump was changed in between")));
                    }
                    (None, Some(_)) => known.sha256 = row.sha256,
                    _ => {}
                }
            }
        }
    }
    let count = files.values().next().map_or(0, |(row, _)| row.files);
    if count < 1 || !files.keys().copied().eq(0..count) {
        let found = format!("{} of {count}", files.len());
        return Err(Error::input(folder, "the dump's files", "each file of the dump", found, SEE_AGAIN));
    }
    Ok(files.into_values().map(|(row, _)| row).collect())
}

/// The files with their hashes: each in some part.
fn prints(folder: &Path, files: &[DumpFileRow]) -> Result<Vec<FilePrint>> {
    let mut prints: Vec<FilePrint> = Vec::new();
    for file in files {
        let print = file.print().ok_or_else(|| {
            let (item, fix) = (format!("the SHA-256 of {}", file.path), "add the parts that are missing");
            Error::input(folder, item, "in one of the parts", "in none", fix)
        })?;
        if let Some(other) = prints.iter().find(|other| other.sha256 == print.sha256) {
            let (found, fix) =
                (format!("the bytes of {}", other.path.display()), "see the dump without one of the two");
            return Err(Error::input(&print.path, "the file", "a file of its own", found, fix));
        }
        prints.push(print);
    }
    Ok(prints)
}

fn wrong_version(part: &Path, found: i32) -> Error {
    let (expected, found) = (format!("version {SEEN_VERSION} of SEEN"), format!("version {found}"));
    Error::input(
        part,
        "a part of SEEN",
        expected,
        found,
        "see the dump anew with this version of chehra, which also notes place, device and camera",
    )
}

/// Which parts were looked at, and which rows they have.
struct Check<'a> {
    contract: &'a Contract,
    dump: String,
    /// What the first part says, and which it is.
    memory: Option<(i64, PathBuf)>,
    /// For each row of the dump the part that has it.
    places: Vec<u32>,
}

impl Check<'_> {
    fn part(&mut self, parts: &[PathBuf], number: u32, part: &Path) -> Result<()> {
        for batch in Reader::open(part, version_column())? {
            let batch = batch?;
            let versions = batch.column(0).as_primitive::<Int32Type>();
            if let Some(other) = versions.iter().map(|v| v.unwrap_or(0)).find(|&version| version != SEEN_VERSION) {
                return Err(wrong_version(part, other));
            }
        }
        for batch in Reader::open(part, origin_columns())? {
            let batch = batch?;
            self.origin(part, &batch)?;
            let rows = batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>();
            for row in rows.iter().map(|row| row.unwrap_or(-1)) {
                let total = self.places.len();
                let place = usize::try_from(row).ok().and_then(|row| self.places.get_mut(row)).ok_or_else(|| {
                    let expected = format!("rows 0 to {} of the dump", total.saturating_sub(1));
                    Error::input(part, format!("row {row}"), expected, "a row beyond it", SEE_AGAIN)
                })?;
                if *place != NONE {
                    let found = format!("it is also in {}", parts[*place as usize].display());
                    let fix = "keep one of the two files";
                    return Err(Error::input(part, format!("row {row}"), "each row of the dump once", found, fix));
                }
                *place = number;
            }
        }
        Ok(())
    }

    /// What a part was seen with, and of what, must be what this audit has, in every row.
    fn origin(&mut self, part: &Path, batch: &RecordBatch) -> Result<()> {
        for (at, (name, expected)) in Contract::COLUMNS.into_iter().zip(self.contract.values()).enumerate() {
            let texts = batch.column(at).as_string::<i32>();
            if let Some(found) = texts.iter().map(Option::unwrap_or_default).find(|&found| found != expected) {
                let fix = "see and audit with the same program, weights, --precision, --device, --jpeg and --policy; \
                           parts that differ cannot be merged";
                return Err(Error::input(part, name, expected, found, fix));
            }
        }
        let memories = batch.column(Contract::COLUMNS.len()).as_primitive::<Int64Type>();
        for found in memories.iter().map(|memory| memory.unwrap_or(-1)) {
            let (expected, first) = self.memory.get_or_insert_with(|| (found, part.to_path_buf()));
            if *expected != found {
                let fix = "machines with less memory refuse large pictures that others read: set photo.max_memory in the \
                           policy to what the smallest has (half of its memory), and see the parts again";
                let expected = format!("{expected} bytes, as in {}", first.display());
                return Err(Error::input(part, "memory of one picture", expected, format!("{found} bytes"), fix));
            }
        }
        let dumps = batch.column(Contract::COLUMNS.len() + 1).as_string::<i32>();
        if let Some(found) = dumps.iter().map(Option::unwrap_or_default).find(|&found| found != self.dump) {
            let (expected, found) = (format!("a part of dump {}", self.dump), format!("a part of dump {found}"));
            let fix = "keep the parts of one dump in a folder of their own";
            return Err(Error::input(part, "the dump", expected, found, fix));
        }
        Ok(())
    }

    fn complete(&self, folder: &Path, parts: &[PathBuf]) -> Result<()> {
        let missing = Ranges::of(self.places.iter().map(|&place| place == NONE));
        if missing.rows == 0 {
            return Ok(());
        }
        let found = format!("{} in no part: rows {}", missing.rows, missing.in_words());
        let fix = match missing_parts(parts) {
            Some(missing) => format!("add what is missing: `chehra see DUMP --out SEEN --part {missing}`"),
            None => "add the parts that are missing".to_owned(),
        };
        Err(Error::input(folder, "SEEN", format!("all {} rows of the dump", self.places.len()), found, fix))
    }
}

fn version_column() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new(record::VERSION, DataType::Int32, true)]))
}

/// The contract, memory, dump and row.
fn origin_columns() -> Arc<Schema> {
    let texts = Contract::COLUMNS.into_iter().map(|name| Field::new(name, DataType::Utf8, true));
    let rest = [
        Field::new(record::MEMORY, DataType::Int64, true),
        Field::new(record::DUMP, DataType::Utf8, true),
        Field::new(record::ROW, DataType::Int64, true),
    ];
    Arc::new(Schema::new(texts.chain(rest).collect::<Vec<_>>()))
}

/// Stretches of rows, first and last.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ranges {
    rows: u64,
    ranges: Vec<[usize; 2]>,
}

impl Ranges {
    fn of(is_in: impl Iterator<Item = bool>) -> Ranges {
        let mut found = Ranges::default();
        for (at, _) in is_in.enumerate().filter(|(_, is_in)| *is_in) {
            found.rows += 1;
            match found.ranges.last_mut() {
                Some([_, last]) if *last + 1 == at => *last = at,
                _ => found.ranges.push([at, at]),
            }
        }
        found
    }

    fn in_words(&self) -> String {
        let one =
            |[first, last]: &[usize; 2]| if first == last { format!("{first}") } else { format!("{first} to {last}") };
        let shown: Vec<String> = self.ranges.iter().take(NAMED).map(one).collect();
        match self.ranges.len().saturating_sub(NAMED) {
            0 => shown.join(", "),
            more => format!("{} and {more} more stretches", shown.join(", ")),
        }
    }
}

/// Which of `rows-00001-of-00010.parquet` to ten are not there: `3/10`.
fn missing_parts(parts: &[PathBuf]) -> Option<String> {
    let numbers = |path: &PathBuf| {
        let name = path.file_stem()?.to_str()?.strip_prefix("rows-")?;
        let (part, parts) = name.split_once("-of-")?;
        Some((part.parse::<u64>().ok()?, parts.parse::<u64>().ok()?))
    };
    let there: BTreeSet<(u64, u64)> = parts.iter().filter_map(numbers).collect();
    let &(_, of) = there.first()?;
    if there.len() != parts.len() || there.iter().any(|&(_, parts)| parts != of) {
        return None;
    }
    let missing: Vec<String> =
        (1..=of).filter(|&part| !there.contains(&(part, of))).take(NAMED).map(|part| format!("{part}/{of}")).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// Which rows of a folder, of those that `is_meant` names, still say what was seen of them. Of a table that cannot be read
/// nothing is known here; [`erase`] names it.
///
/// # Errors
/// [`Error::Io`] when the system refuses.
pub fn holds(folder: &Path, is_meant: &dyn Fn(&Analysis) -> bool) -> Result<Vec<Analysis>> {
    let mut found = Vec::new();
    for part in parquet_files(folder)?.into_iter().filter(|file| has_columns(file, &[record::ROW, "selfie"])) {
        let mut look = || -> Result<()> {
            for batch in read_rows(&part)? {
                found.extend(batch?.into_iter().filter(|analysis| is_meant(analysis)));
            }
            Ok(())
        };
        if let Err(Error::Io { operation, path, source }) = look() {
            return Err(Error::Io { operation, path, source });
        }
    }
    Ok(found)
}

/// Writes tables of a folder anew in which `withhold` changes something, and removes halves that killed processes left. Gives
/// what could not be read, and so may hold what was to go.
///
/// # Errors
/// [`Error::Io`] when the disk refuses.
pub fn erase(folder: &Path, withhold: &mut dyn FnMut(&mut [Analysis]) -> bool) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let mut halves = Vec::new();
    walk(folder, 0, &mut |path, hidden| {
        let is_half = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".parquet.tmp"));
        halves.extend((hidden && is_half).then(|| path.to_path_buf()));
        Ok(())
    })?;
    for half in halves {
        remove_file(&half)?;
    }
    for part in parquet_files(folder)? {
        if !has_columns(&part, &[record::ROW, "selfie"]) {
            if !has_columns(&part, &["file", "files"]) {
                left.push(format!("{}: cannot be read; remove it, and run compact", part.display()));
            }
            continue;
        }
        let rows = origin_of(&part).and_then(|origin| {
            let rows = read_rows(&part)?.collect::<Result<Vec<_>>>()?;
            Ok((origin, rows.concat()))
        });
        match rows {
            Ok((origin, mut rows)) => {
                if let Some(origin) = origin.filter(|_| withhold(&mut rows)) {
                    write_rows(&part, &origin, &rows)?;
                    // A check sum that Hadoop keeps beside a file is now another file's.
                    let name = part.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    drop(remove_file(&part.with_file_name(format!(".{name}.crc"))));
                }
            }
            Err(Error::Io { operation, path, source }) => return Err(Error::Io { operation, path, source }),
            Err(_) => left.push(format!("{}: cannot be read; remove it, and run compact", part.display())),
        }
    }
    Ok(left)
}

/// What the first row of a table says of its origin; `None` of an empty one.
///
/// # Errors
/// [`Error::Input`] naming a table that cannot be read.
pub fn origin_of(part: &Path) -> Result<Option<Origin>> {
    let Some(batch) = Reader::open(part, origin_columns())?.next() else { return Ok(None) };
    let batch = batch?;
    if batch.num_rows() == 0 {
        return Ok(None);
    }
    let text = |at: usize| batch.column(at).as_string::<i32>().value(0).to_owned();
    let contract = Contract {
        seen_version: SEEN_VERSION,
        program: text(0),
        detector: text(1),
        liveness: text(2),
        embedder: text(3),
        arithmetic: text(4),
        device: text(5),
        limits: text(6),
    };
    let at = Contract::COLUMNS.len();
    let picture_memory = batch.column(at).as_primitive::<Int64Type>().value(0);
    Ok(Some(Origin { contract, picture_memory, dump: text(at + 1) }))
}

/// Removes the tables of a folder, what Spark and killed processes left beside them, and the folders that are empty then.
///
/// # Errors
/// [`Error::Io`] when the system refuses.
pub fn remove(folder: &Path) -> Result<()> {
    let mut ours = Vec::new();
    walk(folder, 0, &mut |path, hidden| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_table = !hidden && name.ends_with(".parquet") && has_columns(path, &["seen_version"]);
        let is_left = hidden && (name == "_SUCCESS" || name.ends_with(".crc") || name.ends_with(".parquet.tmp"));
        ours.extend((is_table || is_left).then(|| path.to_path_buf()));
        Ok(())
    })?;
    for path in &ours {
        remove_file(path)?;
    }
    if objects::is_address(folder) {
        return Ok(());
    }
    let mut folders: BTreeSet<&Path> = ours.iter().filter_map(|path| path.parent()).collect();
    folders.insert(folder);
    // The deepest first; one that still holds something of somebody stays.
    folders.into_iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
    Ok(())
}

fn remove_file(path: &Path) -> Result<()> {
    let removed = match objects::is_address(path) {
        true => objects::delete(path),
        false => fs::remove_file(path),
    };
    removed.map_err(Error::io("remove", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_in_ranges_and_parts() {
        let ranges = Ranges::of([true, false, true, true, false, true].into_iter());
        assert_eq!((ranges.rows, ranges.in_words().as_str()), (4, "0, 2 to 3, 5"));
        let parts = |names: &[&str]| missing_parts(&names.iter().map(PathBuf::from).collect::<Vec<_>>());
        let two = ["a/rows-00001-of-00003.parquet", "b/rows-00003-of-00003.parquet"];
        assert_eq!(parts(&two).as_deref(), Some("2/3"));
        assert_eq!(parts(&[two[0], "rows-00002-of-00004.parquet"]), None);
        assert_eq!(parts(&["part-0.parquet"]), None);
    }
}
