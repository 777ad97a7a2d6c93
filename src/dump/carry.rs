//! Columns that `chehra` does not know, carried through to the verdict table untouched (`--carry`).
//!
//! They are read apart from the rows that are judged, with the Arrow types that their writer gave them: whoever writes
//! the verdicts asks for the rows it is about to write, in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelectionPolicy,
};

use super::bounded::wanted_ranges;
use super::footer::{check_columns, check_unchanged, damaged, footer, guard, rows_that_fit};
use super::schema::{find, list, near};
use super::table::Table;
use crate::objects::InputFile;
use crate::{Error, Result};

/// Rows decoded at once, if they are not large.
const BATCH_ROWS: usize = 1024;
/// Bytes decoded at once, by the mean of the row group.
const BATCH_BYTES: usize = 16 << 20;

/// Carried columns of a dump, read by row range.
///
/// Reading on from where the last read ended costs nothing extra; a jump, forward or back, opens a row group anew.
pub struct Carry {
    files: Vec<CarryFile>,
    schema: SchemaRef,
    open: Option<OpenGroup>,
}

#[derive(Clone)]
struct CarryFile {
    path: PathBuf,
    groups: Vec<u64>,
    /// Root columns in the order asked for.
    roots: Vec<usize>,
}

struct OpenGroup {
    reader: ParquetRecordBatchReader,
    file: usize,
    group: usize,
    /// Position in the whole dump of the next row.
    next_row: u64,
    /// Rows of the row group from `next_row` on.
    rows_left: u64,
    /// Decoded and not yet handed out, starting at `next_row`.
    rest: RecordBatch,
}

impl std::fmt::Debug for Carry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Carry({:?})", self.schema.fields().iter().map(|x| x.name()).collect::<Vec<_>>())
    }
}

impl Carry {
    /// Finds the columns in every file.
    ///
    /// # Errors
    /// [`Error::Usage`] when a name is given twice, is that of a picture (no picture leaves the dump) or of no column of
    /// the first file; [`Error::Input`] when another file lacks it or has it with a type that cannot be widened.
    pub(super) fn open(table: &Table, names: &[String], pictures: &[String]) -> Result<Carry> {
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                return Err(Error::usage("--carry", format!("`{name}` is named twice"), "name it once"));
            }
            if pictures.iter().any(|p| p.eq_ignore_ascii_case(name)) {
                let fix = "join the verdicts to the dump by submission_id where the picture is needed";
                return Err(Error::usage("--carry", format!("`{name}` is a picture, and none is copied"), fix));
            }
        }
        let mut files = Vec::with_capacity(table.files.len());
        let mut fields: Option<Vec<Field>> = None;
        for file in &table.files {
            let (found, here) = CarryFile::open(&file.path, &file.groups, names, fields.is_none())?;
            match &mut fields {
                None => fields = Some(here),
                Some(fields) => merge(&file.path, fields, &here)?,
            }
            files.push(found);
        }
        let schema = Arc::new(Schema::new(fields.unwrap_or_default()));
        Ok(Carry { files, schema, open: None })
    }

    /// No columns, of a dump that is not there.
    pub fn nothing() -> Carry {
        Carry { files: Vec::new(), schema: Arc::new(Schema::empty()), open: None }
    }

    /// The carried columns, in the order asked for, under the names that were asked for.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The carried columns of `rows` rows from `start_row` on (both in the whole dump).
    ///
    /// # Errors
    /// [`Error::Bug`] when the range leaves the dump, [`Error::Input`] when a file is damaged.
    pub fn read(&mut self, start_row: u64, rows: usize) -> Result<Vec<ArrayRef>> {
        let mut parts = Vec::new();
        let mut row = start_row;
        let end = start_row + rows as u64;
        if self.schema.fields().is_empty() {
            return Ok(Vec::new());
        }
        while row < end {
            let part = self.some(row, (end - row) as usize)?;
            row += part.num_rows() as u64;
            parts.push(part);
        }
        let all = concat_batches(&self.schema, &parts).map_err(|e| Error::bug("joining carried columns", e))?;
        Ok(all.columns().to_vec())
    }

    /// At least one row, at most `most`, from `row` on.
    fn some(&mut self, row: u64, most: usize) -> Result<RecordBatch> {
        let mut open = match self.open.take() {
            Some(open) if open.next_row == row => open,
            _ => self.open_at(row)?,
        };
        if open.rest.num_rows() == 0 {
            let path = &self.files[open.file].path;
            open.rest = match guard(|| open.reader.next().transpose()) {
                Ok(Some(batch)) if (1..=open.rows_left).contains(&(batch.num_rows() as u64)) => {
                    self.arranged(open.file, &batch)?
                }
                Ok(_) => return Err(damaged(path, open.group, format!("its end, {} rows early", open.rows_left))),
                Err(found) => return Err(damaged(path, open.group, found)),
            };
        }
        let rows = open.rest.num_rows().min(most);
        let part = open.rest.slice(0, rows);
        open.rest = open.rest.slice(rows, open.rest.num_rows() - rows);
        open.next_row += rows as u64;
        open.rows_left -= rows as u64;
        if open.rows_left > 0 {
            self.open = Some(open);
        }
        Ok(part)
    }

    fn open_at(&self, row: u64) -> Result<OpenGroup> {
        let mut skip = row;
        for (at, file) in self.files.iter().enumerate() {
            for (group, &rows) in file.groups.iter().enumerate() {
                if skip < rows {
                    let reader = file.reader(group, skip)?;
                    let rest = RecordBatch::new_empty(self.schema.clone());
                    return Ok(OpenGroup { reader, file: at, group, next_row: row, rows_left: rows - skip, rest });
                }
                skip -= rows;
            }
        }
        Err(Error::bug("reading carried columns", format!("row {row} is past the end of the dump")))
    }

    /// The batch's columns in the order asked for, under the common schema.
    fn arranged(&self, file: usize, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut read = self.files[file].roots.clone();
        read.sort_unstable();
        let column = |root: &usize| batch.column(read.partition_point(|r| r < root)).clone();
        let columns: Vec<ArrayRef> = self.files[file].roots.iter().map(column).collect();
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        let path = &self.files[file].path;
        let widened = |(field, column): (&Arc<Field>, ArrayRef)| match column.data_type() == field.data_type() {
            true => Ok(column),
            false => cast_with_options(&column, field.data_type(), &exact).map_err(|error| {
                let item = format!("column `{}`", field.name());
                let expected = format!("values of {}, as in other files", field.data_type());
                Error::input(path, item, expected, error.to_string(), "write the column with one type in all files")
            }),
        };
        let columns = self.schema.fields().iter().zip(columns).map(widened).collect::<Result<_>>()?;
        RecordBatch::try_new(self.schema.clone(), columns).map_err(|e| Error::bug("arranging carried columns", e))
    }
}

impl CarryFile {
    /// The named columns of a file, with their fields.
    fn open(path: &Path, groups: &[u64], names: &[String], is_first: bool) -> Result<(CarryFile, Vec<Field>)> {
        let metadata = footer(path, ArrowReaderOptions::new())?;
        let schema = metadata.schema();
        let mut roots = Vec::with_capacity(names.len());
        let mut fields = Vec::with_capacity(names.len());
        for name in names {
            let Some(root) = find(path, schema, name)? else {
                let there: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
                return Err(unknown(path, name, &there, is_first));
            };
            if roots.contains(&root) {
                return Err(Error::usage("--carry", format!("`{name}` is named twice"), "name it once"));
            }
            roots.push(root);
            let mut field = schema.field(root).clone().with_name(name);
            // Where a column stood in another file's schema says nothing in this one.
            field.metadata_mut().remove(parquet::arrow::PARQUET_FIELD_ID_META_KEY);
            fields.push(field);
        }
        check_columns(path, &roots)?;
        Ok((CarryFile { path: path.to_path_buf(), groups: groups.to_vec(), roots }, fields))
    }

    fn reader(&self, group: usize, skip: u64) -> Result<ParquetRecordBatchReader> {
        let metadata = footer(&self.path, ArrowReaderOptions::new())?;
        check_unchanged(&self.path, &self.groups, metadata.metadata())?;
        let handle = InputFile::open(&self.path).map_err(Error::io("open", &self.path))?;
        let projection = ProjectionMask::roots(metadata.parquet_schema(), self.roots.iter().copied());
        let rows = rows_that_fit(BATCH_BYTES, metadata.metadata(), group, &self.roots).min(BATCH_ROWS);
        let reader = guard(|| {
            handle.plan(|| wanted_ranges(metadata.metadata().row_group(group), &self.roots));
            ParquetRecordBatchReaderBuilder::new_with_metadata(handle, metadata)
                .with_row_groups(vec![group])
                .with_projection(projection)
                .with_batch_size(rows)
                .with_row_selection_policy(RowSelectionPolicy::Selectors)
                .with_offset(skip as usize)
                .build()
        });
        reader.map_err(|found| damaged(&self.path, group, found))
    }
}

fn unknown(path: &Path, name: &str, there: &[&str], is_first: bool) -> Error {
    if !is_first {
        let expected = "the column that --carry names, as in the files before";
        let found = format!("no such column; there are {}", list(there));
        return Error::input(path, format!("column `{name}`"), expected, found, "carry columns that all files have");
    }
    let fix = match near(name, there).as_slice() {
        [] => format!("the columns are {}", list(there)),
        near => format!("did you mean {}?", near.join(" or ")),
    };
    Error::usage("--carry", format!("{} has no column `{name}`", path.display()), fix)
}

/// One schema for all files: the same types or the wider ones, nullable where any is.
fn merge(path: &Path, fields: &mut [Field], here: &[Field]) -> Result<()> {
    for (field, other) in fields.iter_mut().zip(here) {
        let Some(wide) = wider(field.data_type(), other.data_type()) else {
            let item = format!("column `{}`", field.name());
            let expected = format!("{}, as in the files before (it is named by --carry)", field.data_type());
            let fix = "a column is carried untouched, so all files must agree on its type";
            return Err(Error::input(path, item, expected, other.data_type().to_string(), fix));
        };
        field.set_data_type(wide);
        field.set_nullable(field.is_nullable() || other.is_nullable());
    }
    Ok(())
}

/// The narrower of two types' values all have their place, exactly, in this type; `None` where there is no such type.
fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::*;
    let bits = |of: &DataType| of.primitive_width().map_or(0, |bytes| 8 * bytes);
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        (Dictionary(_, value), other) | (other, Dictionary(_, value)) => wider(value, other),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => Some(LargeUtf8),
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView) => Some(LargeBinary),
        (a, b) if a.is_signed_integer() && b.is_signed_integer() => Some(if bits(a) > bits(b) { a } else { b }.clone()),
        (a, b) if a.is_unsigned_integer() && b.is_unsigned_integer() => {
            Some(if bits(a) > bits(b) { a } else { b }.clone())
        }
        (a, b) if a.is_integer() && b.is_integer() => {
            let unsigned = if a.is_unsigned_integer() { a } else { b };
            (bits(unsigned) < 64).then_some(Int64)
        }
        (Float32, Float64) | (Float64, Float32) => Some(Float64),
        (Float64, whole) | (whole, Float64) if whole.is_integer() && bits(whole) <= 32 => Some(Float64),
        (Decimal128(p, scale), Decimal128(q, other)) if scale == other => Some(Decimal128(*p.max(q), *scale)),
        (Timestamp(a, zone), Timestamp(b, other)) if zone == other => Some(Timestamp(*a.max(b), zone.clone())),
        _ => None,
    }
}
