//! Batches of rows that come over a pipe -> [`Submission`]: the columns of the dump without a file, for a cluster engine that
//! has read them already.
//!
//! A batch has the dump's columns, of the types that a file may have, and two of its own: `row`, the position in the whole dump,
//! and, if wanted, `unreadable`, a cause. A row with a cause is not looked at and has no picture: what ended a process is told
//! so.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema};
use serde::Serialize;

use super::cells::texts;
use super::schema::{Kind, Source, Wanted, find};
use super::submission::{Submission, wanted};
use super::table::{Chunk, Row};
use super::times::Clock;
use crate::config::Columns;
use crate::{Error, Result};

/// The position of a row in the dump.
const ROW: &str = "row";
/// Why a row must not be looked at.
const UNREADABLE: &str = "unreadable";
/// What stands for a file in messages.
const INPUT: &str = "standard input";

/// A column that a batch may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputColumn {
    /// Its name.
    pub name: String,
    /// What it must be good for.
    pub holds: &'static str,
    /// Whether it must be there.
    pub required: bool,
}

/// The columns of a batch under the names that `columns` gives them.
///
/// # Errors
/// [`Error::Usage`] when `columns` cannot be meant.
pub fn input_columns(columns: &Columns) -> Result<Vec<InputColumn>> {
    let own = [
        InputColumn { name: ROW.into(), holds: "int64: position in the dump, from 0", required: true },
        InputColumn { name: UNREADABLE.into(), holds: "string: why the row must not be looked at", required: false },
    ];
    let named = wanted(columns)?.into_iter().filter(|column| !column.source.is_empty());
    let dumps = named.map(|column| InputColumn {
        holds: match column.kind {
            Kind::Time => "a timestamp, a date or a count since 1970",
            other => other.expected(),
        },
        name: column.source,
        required: column.required,
    });
    Ok(own.into_iter().chain(dumps).collect())
}

/// How the batches of one stream are read.
#[derive(Debug)]
pub struct Stream {
    /// For each wanted column its place in a batch.
    places: Vec<Option<usize>>,
    row: usize,
    unreadable: Option<usize>,
    clock: Arc<Clock>,
}

impl Stream {
    /// Finds the columns.
    ///
    /// # Errors
    /// [`Error::Input`] that names a column which is missing or has a type that will not do; times that are texts need
    /// `captured_at_format`, for their form can be told from a whole column alone.
    pub fn new(schema: &Schema, columns: &Columns) -> Result<Stream> {
        let path = Path::new(INPUT);
        let wanted = wanted(columns)?;
        let has_format = !columns.captured_at_format.is_empty();
        let places = wanted.iter().map(|column| place(path, schema, column, has_format)).collect::<Result<_>>()?;
        let row = find(path, schema, ROW)?.filter(|&at| schema.field(at).data_type() == &DataType::Int64);
        let row = row.ok_or_else(|| {
            let fix = "give each row its position in the dump";
            Error::input(path, format!("column `{ROW}`"), "int64", "no such column, or another type", fix)
        })?;
        let unreadable = find(path, schema, UNREADABLE)?;
        Ok(Stream { places, row, unreadable, clock: Arc::new(Clock::new(columns)?) })
    }

    /// The rows of a batch, in order, and why one must not be looked at.
    ///
    /// # Errors
    /// [`Error::Input`] for a row without a position.
    pub fn rows(&self, batch: &RecordBatch) -> Result<Vec<(Submission, Option<String>)>> {
        let mut read = Vec::new();
        let mut sources = Vec::new();
        for place in &self.places {
            sources.push(match place {
                None => Source::Absent,
                Some(at) => {
                    read.push(readable(batch.column(*at))?);
                    Source::Column(read.len() - 1)
                }
            });
        }
        let chunk = Chunk::from_columns(batch.num_rows(), read, sources, self.clock.clone());
        let numbers = batch.column(self.row).as_primitive::<Int64Type>();
        let causes = match self.unreadable {
            Some(at) => texts(&readable(batch.column(at))?)?,
            None => vec![None; batch.num_rows()],
        };
        let mut rows = Vec::with_capacity(batch.num_rows());
        for ((mut row, cause), number) in Submission::from_chunk(&chunk)?.into_iter().zip(causes).zip(numbers.iter()) {
            let number = number.and_then(|number| u64::try_from(number).ok());
            row.row = number.ok_or_else(|| {
                let (expected, fix) = ("0 or more", "give each row its position in the dump");
                Error::input(INPUT, format!("column `{ROW}`"), expected, "null or a negative number", fix)
            })?;
            if cause.is_some() {
                (row.selfie, row.photo) = (None, None);
            }
            rows.push((row, cause));
        }
        Ok(rows)
    }
}

fn place(path: &Path, schema: &Schema, column: &Wanted, has_format: bool) -> Result<Option<usize>> {
    let item = format!("column `{}`", column.source);
    let Some(at) = find(path, schema, &column.source)? else {
        return match column.required {
            true => Err(Error::input(path, item, column.kind.expected(), "no such column", "select it")),
            false => Ok(None),
        };
    };
    let data_type = plain(schema.field(at).data_type());
    let is_text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if column.kind == Kind::Time && is_text && !has_format {
        let fix = "make timestamps of it first (Spark: to_timestamp(captured_at, 'dd/MM/yyyy HH:mm')), or say in chehra.toml, \
                   section [columns], how they are written: captured_at_format = \"%d/%m/%Y %H:%M\"";
        return Err(Error::input(path, item, column.kind.expected(), data_type.to_string(), fix));
    }
    match column.kind.accepts(data_type) {
        true => Ok(Some(at)),
        false => Err(Error::input(path, item, column.kind.expected(), data_type.to_string(), column.kind.fix())),
    }
}

fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(value),
        other => other,
    }
}

/// A column as the readers of cells take it: bytes and texts as views.
fn readable(column: &ArrayRef) -> Result<ArrayRef> {
    let to = |column: &ArrayRef, data_type: &DataType| {
        cast(column, data_type).map_err(|e| Error::bug("reading a column of standard input", e))
    };
    match column.data_type() {
        DataType::Dictionary(_, value) => readable(&to(column, value)?),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            to(&to(column, &DataType::LargeBinary)?, &DataType::BinaryView)
        }
        DataType::Binary | DataType::LargeBinary => to(column, &DataType::BinaryView),
        _ => Ok(column.clone()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::Field;

    use super::*;

    fn batch(times: ArrayRef) -> RecordBatch {
        let text = |values: [&str; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("selfie", Arc::new(BinaryArray::from(vec![&b"a picture of more than 12 bytes"[..], b"b"]))),
            ("row", Arc::new(Int64Array::from(vec![7, 3]))),
            ("captured_at", times),
            ("submission_id", text(["s", "t"])),
            ("worker_id", text(["w", " "])),
            ("district", text(["d", "e"])),
            ("unreadable", Arc::new(StringArray::from(vec![None, Some("it ended a process")]))),
        ];
        let fields: Vec<Field> =
            columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect()).unwrap()
    }

    #[test]
    fn rows_of_a_pipe_are_rows_of_a_file() {
        let times = TimestampMicrosecondArray::from(vec![Some(5), None]).with_timezone("Asia/Kolkata");
        let batch = batch(Arc::new(times));
        let stream = Stream::new(&batch.schema(), &Columns::default()).unwrap();
        let rows = stream.rows(&batch).unwrap();
        let (first, second) = (&rows[0].0, &rows[1].0);
        assert_eq!((first.row, second.row), (7, 3));
        assert_eq!(first.selfie.as_deref(), Some(&b"a picture of more than 12 bytes"[..]));
        assert_eq!((first.facts.captured_at, second.facts.captured_at), (Some(5), None));
        assert_eq!((first.facts.worker_id.as_deref(), second.facts.worker_id.as_deref()), (Some("w"), None));
        assert!(second.selfie.is_none() && rows[1].1.as_deref() == Some("it ended a process"));
    }

    #[test]
    fn what_a_pipe_cannot_tell_is_refused() {
        let batch = batch(Arc::new(StringArray::from(vec!["03/04/2026 10:00"; 2])));
        let refused = Stream::new(&batch.schema(), &Columns::default()).unwrap_err().to_string();
        assert!(refused.contains("to_timestamp"), "{refused}");
        let columns = Columns { captured_at_format: "%d/%m/%Y %H:%M".into(), ..Columns::default() };
        let rows = Stream::new(&batch.schema(), &columns).unwrap().rows(&batch).unwrap();
        assert!(rows[0].0.facts.captured_at.is_some());
        let without = batch.project(&[0, 2, 3, 4, 5]).unwrap();
        assert!(Stream::new(&without.schema(), &columns).unwrap_err().to_string().contains("column `row`"));
        let without = batch.project(&[0, 1, 2, 4, 5]).unwrap();
        assert!(Stream::new(&without.schema(), &columns).unwrap_err().to_string().contains("`submission_id`"));
    }
}
