//! Reading the tables of a run folder, batch by batch and only the columns that are wanted.

use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::ArrowPrimitiveType;
use parquet::arrow::ProjectionMask;

use crate::dump::open_parquet;
use crate::reason::{Reason, Verdict};
use crate::{Error, Result};

/// Rows at a time: the tables of a large night are read in little memory.
const BATCH_ROWS: usize = 8192;

/// What to do about a table that is not as it should be.
const FIX: &str = "name a run folder that `chehra audit` of this version has written";

/// Some rows of a table.
pub struct Batch {
    path: PathBuf,
    batch: RecordBatch,
}

/// Hands the rows of a table to `each`, in order, with these columns.
///
/// # Errors
/// [`Error::Input`] when the file is missing, damaged or lacks a column; whatever `each` returns.
pub fn read(path: &Path, columns: &[&str], mut each: impl FnMut(&Batch) -> Result<()>) -> Result<()> {
    let refuse = |found: String| Error::input(path, "table", "a readable Parquet file", found, FIX);
    let builder = open_parquet(path, refuse)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader =
        builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|e| refuse(e.to_string()))?;
    for batch in reader {
        each(&Batch { path: path.to_path_buf(), batch: batch.map_err(|e| Error::of_reader(path, &e, refuse))? })?;
    }
    Ok(())
}

impl Batch {
    /// Its rows.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn column<'a, T>(&'a self, name: &str, kind: &str, cast: impl Fn(&'a ArrayRef) -> Option<T>) -> Result<T> {
        let column = self.batch.column_by_name(name);
        column.and_then(cast).ok_or_else(|| {
            let found = column.map_or("no such column".to_owned(), |c| c.data_type().to_string());
            Error::input(&self.path, format!("column {name}"), kind, found, FIX)
        })
    }

    /// A column of texts.
    pub fn texts(&self, name: &str) -> Result<Texts<'_>> {
        self.column(name, "texts", |c| c.as_string_opt::<i32>()).map(Texts)
    }

    /// A column of texts that tables of earlier versions lack.
    pub fn texts_if_any(&self, name: &str) -> Option<Texts<'_>> {
        self.batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>()).map(Texts)
    }

    /// A column of numbers that tables of earlier versions lack.
    pub fn numbers_if_any<T: ArrowPrimitiveType>(&self, name: &str) -> Option<&PrimitiveArray<T>> {
        self.batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<T>())
    }

    /// A column of lists of texts.
    pub fn lists(&self, name: &str) -> Result<Lists<'_>> {
        let list = self.raw_lists(name)?;
        match list.values().as_string_opt::<i32>() {
            Some(_) => Ok(Lists(list)),
            None => self.column(name, "lists of texts", |_| None),
        }
    }

    /// A column of lists of anything.
    pub fn raw_lists(&self, name: &str) -> Result<&ListArray> {
        self.column(name, "lists", |c| c.as_list_opt::<i32>())
    }

    /// A column of yes and no.
    pub fn flags(&self, name: &str) -> Result<&BooleanArray> {
        self.column(name, "yes and no", |c| c.as_boolean_opt())
    }

    /// A column of numbers or times.
    pub fn numbers<T: ArrowPrimitiveType>(&self, name: &str) -> Result<&PrimitiveArray<T>> {
        self.column(name, "numbers", |c| c.as_primitive_opt::<T>())
    }
}

/// A column of texts.
#[derive(Clone, Copy)]
pub struct Texts<'a>(&'a StringArray);

impl<'a> Texts<'a> {
    /// One of them.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

/// A column of lists of texts.
#[derive(Clone, Copy)]
pub struct Lists<'a>(&'a ListArray);

impl<'a> Lists<'a> {
    /// One of them; a null list is empty.
    pub fn get(&self, row: usize) -> Vec<&'a str> {
        let offsets = self.0.value_offsets();
        let values = self.0.values().as_string::<i32>();
        let items = offsets[row] as usize..offsets[row + 1] as usize;
        items.filter(|&i| values.is_valid(i)).map(|i| values.value(i)).collect()
    }
}

/// A value that may be null.
pub fn value<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}

/// The reason of a code; `None` for one of another version.
pub fn reason(code: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|r| r.code() == code)
}

/// The verdict of a code.
pub fn verdict(code: &str) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|v| v.code() == code)
}
