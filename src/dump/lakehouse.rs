//! Folders that belong to a table of Delta Lake, Apache Iceberg or Apache Hudi.
//!
//! Such a folder holds more files than the table has: those of rows that were changed or deleted stay for days, and only
//! the table's own log tells which are live. That log is not read here. A folder or a glob in such a table is refused, with
//! the line that exports its live rows; files that are named one by one are taken, for `--files` names the live ones.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A format of tables in folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
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
        let is_metadata = |name: &str| name.ends_with(".metadata.json") || name == "version-hint.text";
        let entries = std::fs::read_dir(folder.join("metadata")).into_iter().flatten().flatten();
        let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.any(|name| is_metadata(&name)).then_some(Format::Iceberg)
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

/// Refuses a folder in which, or above which, such a table begins.
///
/// # Errors
/// [`Error::Input`] that names the table and says how to export it.
pub fn refuse(folder: &Path) -> Result<()> {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let found = whole.ancestors().find_map(|above| Some((Format::of(above)?, PathBuf::from(above))));
    let Some((format, table)) = found else { return Ok(()) };
    let found = format!("{}, whose folder also holds files of deleted and changed rows", format.name());
    let expected = "a folder whose every Parquet file is part of the dump";
    Err(Error::input(&table, "the dump", expected, found, format.fix(&table)))
}
