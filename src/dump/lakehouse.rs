//! Folders that belong to a table of Delta Lake, Apache Iceberg or Apache Hudi.
//!
//! Such a folder holds more files than the table has: those of rows that were changed or deleted stay for days, and only
//! the table's own log tells which are live. That log is not read here. A folder or a glob in such a table is refused, with
//! the line that exports its live rows; files that are named one by one are taken, for `--files` names the live ones.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Folders by which a table is known from within.
pub const LOGS: [&str; 2] = ["_delta_log", ".hoodie"];

/// A format of tables in folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Delta,
    Iceberg,
    Hudi,
}

impl Format {
    /// The table whose folder this is.
    fn of(folder: &Path) -> Option<Format> {
        if folder.join("_delta_log").is_dir() {
            return Some(Format::Delta);
        }
        if folder.join(".hoodie").is_dir() {
            return Some(Format::Hudi);
        }
        let entries = std::fs::read_dir(folder.join("metadata")).into_iter().flatten().flatten();
        let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.any(|name| is_iceberg(&name)).then_some(Format::Iceberg)
    }

    fn name(self) -> &'static str {
        match self {
            Format::Delta => "a Delta table",
            Format::Iceberg => "an Iceberg table",
            Format::Hudi => "a Hudi table",
        }
    }

    fn fix(self, table: &Path) -> String {
        let table = table.display();
        let spark = |format: &str| {
            format!("in Spark: spark.read.format(\"{format}\").load(\"{table}\").write.parquet(\"live\")")
        };
        let duckdb = |scan: &str| format!("in DuckDB: COPY (FROM {scan}('{table}')) TO 'live.parquet'");
        let export = match self {
            Format::Delta => format!("{}\n  {}", duckdb("delta_scan"), spark("delta")),
            Format::Iceberg => format!("{}\n  {}", duckdb("iceberg_scan"), spark("iceberg")),
            Format::Hudi => spark("hudi"),
        };
        format!(
            "export its live rows, and audit the export:\n  {export}\n  or list its live files, one a line \
             (in Python: deltalake.DeltaTable(path).file_uris()), and give the list with --files"
        )
    }
}

fn is_iceberg(name: &str) -> bool {
    name.ends_with(".metadata.json") || name == "version-hint.text"
}

/// The table to whose log a file in an object store belongs.
pub fn table_of(file: &Path) -> Option<(PathBuf, Format)> {
    let named = |folder: &Path, name: &str| folder.file_name().is_some_and(|found| found == name);
    for folder in file.ancestors().skip(1) {
        let format = match () {
            () if named(folder, "_delta_log") => Format::Delta,
            () if named(folder, ".hoodie") => Format::Hudi,
            () if named(folder, "metadata") && is_iceberg(&file.file_name()?.to_string_lossy()) => Format::Iceberg,
            () => continue,
        };
        return Some((folder.parent()?.to_path_buf(), format));
    }
    None
}

/// The error for the folder of such a table.
pub fn refusal(table: &Path, format: Format) -> Error {
    let found = format!("{}, whose folder also holds files of deleted and changed rows", format.name());
    let expected = "a folder whose every Parquet file is part of the dump";
    Error::input(table, "the dump", expected, found, format.fix(table))
}

/// Refuses a folder in which, or above which, such a table begins.
///
/// # Errors
/// [`Error::Input`] that names the table and says how to export it.
pub fn refuse(folder: &Path) -> Result<()> {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let found = whole.ancestors().find_map(|above| Some((Format::of(above)?, PathBuf::from(above))));
    found.map_or(Ok(()), |(format, table)| Err(refusal(&table, format)))
}
