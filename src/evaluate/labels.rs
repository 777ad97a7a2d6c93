//! Label files: CSV with a header.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// One row of a label file, as its cells in the order of the columns asked for.
pub type Row = Vec<String>;

/// Reads the named columns of a CSV file.
///
/// # Errors
/// [`Error::Input`] naming the column or row.
pub fn read(path: &Path, columns: &[&str]) -> Result<Vec<Row>> {
    Ok(read_with(path, columns, &[])?.into_iter().map(|row| row.required).collect())
}

/// One row of a label file, where some columns need not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The cells that must be there.
    pub required: Row,
    /// The others; `None` without the column or with an empty cell.
    pub optional: Vec<Option<String>>,
}

/// Reads the named columns of a CSV file, and those of `optional` that it has.
///
/// # Errors
/// [`Error::Input`] naming the column or row.
pub fn read_with(path: &Path, columns: &[&str], optional: &[&str]) -> Result<Vec<Labelled>> {
    let refuse = |item: String, found: String| {
        Error::input(
            path,
            item,
            format!("CSV with the columns {}", columns.join(", ")),
            found,
            "correct the label file",
        )
    };
    let mut reader = csv::Reader::from_path(path).map_err(|e| refuse("label file".into(), e.to_string()))?;
    let header = reader.headers().map_err(|e| refuse("header".into(), e.to_string()))?.clone();
    let places: Vec<usize> = columns
        .iter()
        .map(|&column| {
            let found = || header.iter().collect::<Vec<_>>().join(", ");
            header.iter().position(|h| h == column).ok_or_else(|| refuse(format!("column {column}"), found()))
        })
        .collect::<Result<_>>()?;
    let others: Vec<Option<usize>> = optional.iter().map(|&column| header.iter().position(|h| h == column)).collect();
    let mut rows = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|e| refuse(format!("line {}", number + 2), e.to_string()))?;
        let filled = |place: usize| record.get(place).filter(|cell| !cell.is_empty()).map(str::to_owned);
        rows.push(Labelled {
            required: places.iter().map(|&p| record.get(p).unwrap_or_default().to_owned()).collect(),
            optional: others.iter().map(|place| place.and_then(filled)).collect(),
        });
    }
    match rows.is_empty() {
        true => Err(refuse("rows".into(), "none".into())),
        false => Ok(rows),
    }
}

/// Reads a yes or no.
///
/// # Errors
/// [`Error::Input`] when the cell is neither.
pub fn flag(path: &Path, number: usize, cell: &str, yes: &[&str], no: &[&str]) -> Result<bool> {
    let word = cell.trim().to_ascii_lowercase();
    match (yes.contains(&word.as_str()), no.contains(&word.as_str())) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Error::input(
            path,
            format!("line {}", number + 2),
            format!("one of {}", [yes, no].concat().join(", ")),
            format!("'{cell}'"),
            "correct the label file",
        )),
    }
}

/// Paths, each once, and for every use of a path its index.
pub fn unique(root: &Path, uses: impl Iterator<Item = String>) -> (Vec<PathBuf>, Vec<usize>) {
    let mut index = std::collections::HashMap::new();
    let mut paths = Vec::new();
    let places = uses
        .map(|path| {
            *index.entry(path).or_insert_with_key(|path| {
                paths.push(root.join(path));
                paths.len() - 1
            })
        })
        .collect();
    (paths, places)
}
