//! Small tables of others, read whole as texts: CSV with a header, or Parquet with columns of any plain type.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use parquet::arrow::ProjectionMask;

use super::cells::cut;
use super::footer::{Unread, guard, open_parquet};
use super::regular::regular;
use crate::objects::InputFile;
use crate::{Error, Result};

/// A column that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextColumn {
    /// Its name in the file; an empty one is not looked for.
    pub name: String,
    /// Whether a file without it is refused.
    pub required: bool,
}

/// The cells of a row, in the order of the columns asked for; blank ones are `None`.
pub type TextRow = Vec<Option<String>>;

/// Reads the columns; times come as ISO 8601.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read as what its ending says, or lacks a required column.
pub fn read_texts(path: &Path, columns: &[TextColumn]) -> Result<Vec<TextRow>> {
    regular(path)?;
    match path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        true => read_csv(path, columns),
        false => read_parquet(path, columns),
    }
}

fn refuse(path: &Path, item: impl Into<String>, expected: &str, found: impl Into<String>) -> Error {
    let fix = "give CSV with a header (name.csv), or Parquet; columns of other names can be mapped";
    Error::input(path, item, expected, found, fix)
}

fn places(path: &Path, columns: &[TextColumn], there: &[&str]) -> Result<Vec<Option<usize>>> {
    let place = |column: &TextColumn| match there.iter().position(|name| *name == column.name) {
        None if column.required => {
            let found = match there {
                [] => "no header: the file is empty".to_owned(),
                there => format!("columns {}", there.join(", ")),
            };
            Err(refuse(path, format!("column `{}`", column.name), "a column of this name", found))
        }
        place => Ok(place.filter(|_| !column.name.is_empty())),
    };
    columns.iter().map(place).collect()
}

fn cell(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| cut(text.into()))
}

fn read_csv(path: &Path, columns: &[TextColumn]) -> Result<Vec<TextRow>> {
    let broken = |e: csv::Error| refuse(path, "CSV", "lines of as many fields as the header", e.to_string());
    let file = InputFile::open(path).and_then(|file| file.reader(0)).map_err(Error::io("open", path))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().map_err(broken)?.clone();
    // Spreadsheets begin UTF-8 files with a byte order mark.
    let there: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}')).collect();
    let places = places(path, columns, &there)?;
    let row = |record: csv::Result<csv::StringRecord>| {
        let record = record.map_err(broken)?;
        Ok(places.iter().map(|place| place.and_then(|at| record.get(at)).and_then(cell)).collect())
    };
    reader.records().map(row).collect()
}

fn read_parquet(path: &Path, columns: &[TextColumn]) -> Result<Vec<TextRow>> {
    let broken = |found: String| refuse(path, "table", "a readable Parquet file", found);
    let builder = open_parquet(path, broken)?;
    let schema = builder.schema().clone();
    let there: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    places(path, columns, &there)?;
    let wanted = columns.iter().map(|column| column.name.as_str()).filter(|name| there.contains(name));
    let mask = ProjectionMask::columns(builder.parquet_schema(), wanted);
    let unread = |unread: Unread| match unread.into_error(path, "table", "a readable Parquet file") {
        Error::Input { found, .. } => broken(found),
        other => other,
    };
    let mut reader = guard(|| builder.with_projection(mask).build()).map_err(unread)?;
    let mut rows = Vec::new();
    while let Some(batch) = guard(|| reader.next().transpose()).map_err(unread)? {
        let first = rows.len();
        rows.resize(first + batch.num_rows(), vec![None; columns.len()]);
        for (at, column) in columns.iter().enumerate() {
            let Some(array) = batch.column_by_name(&column.name) else { continue };
            // A time in any zone is an instant; arrow itself knows no zones by name.
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
            let is_instant = matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
            let plain = if is_instant { cast(array, &utc) } else { Ok(array.clone()) };
            let texts = plain.and_then(|plain| cast(&plain, &DataType::Utf8)).map_err(|_| {
                refuse(path, format!("column `{}`", column.name), "texts", array.data_type().to_string())
            })?;
            let texts = texts.as_string::<i32>();
            for (row, text) in rows[first..].iter_mut().zip(texts.iter()) {
                row[at] = text.and_then(cell);
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn columns() -> Vec<TextColumn> {
        let column = |name: &str, required| TextColumn { name: name.into(), required };
        vec![column("id", true), column("at", false), column("", false)]
    }

    #[test]
    fn csv_and_parquet_say_the_same() {
        use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
        let temp = tempfile::tempdir().unwrap();
        let csv = temp.path().join("a.csv");
        std::fs::write(&csv, "\u{feff}other,at,id\nx,1970-01-01T00:00:01Z, 7 \n,,8\n").unwrap();
        let parquet = temp.path().join("a.parquet");
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
        let at = TimestampMicrosecondArray::from(vec![Some(1_000_000), None]).with_timezone("UTC");
        let batch = RecordBatch::try_from_iter([("id", ids), ("at", Arc::new(at) as ArrayRef)]).unwrap();
        let file = std::fs::File::create(&parquet).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let expected = vec![
            vec![Some("7".to_owned()), Some("1970-01-01T00:00:01Z".to_owned()), None],
            vec![Some("8".to_owned()), None, None],
        ];
        assert_eq!(read_texts(&csv, &columns()).unwrap(), expected);
        assert_eq!(read_texts(&parquet, &columns()).unwrap(), expected);
        std::fs::write(&csv, "at\n1\n").unwrap();
        assert!(read_texts(&csv, &columns()).unwrap_err().to_string().contains("column `id`"));
        std::fs::write(&csv, "id,at\n1\n").unwrap();
        assert!(read_texts(&csv, &columns()).unwrap_err().to_string().contains("CSV"));
    }
}
