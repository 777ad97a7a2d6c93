//! Labelled templates as a plain Parquet table: seen once, measured often, here or outside this program.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Builder, ListBuilder, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::infer::Template;
use crate::{Error, Result};

/// Writes `path` and `identity` (text) and `template` (list of f32, norm 1, the values of the stored master), a row a
/// picture; the model is in the file's key `chehra.model`.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written.
pub fn write(file: &Path, model: &str, rows: &[(String, String, &Template)]) -> Result<()> {
    let mut templates = ListBuilder::new(Float32Builder::new());
    for (_, _, template) in rows {
        templates.append_value(template.master.iter().map(|value| Some(value.to_f32())));
    }
    let paths: Vec<&str> = rows.iter().map(|(path, _, _)| path.as_str()).collect();
    let identities: Vec<&str> = rows.iter().map(|(_, identity, _)| identity.as_str()).collect();
    let columns: [ArrayRef; 3] =
        [Arc::new(StringArray::from(paths)), Arc::new(StringArray::from(identities)), Arc::new(templates.finish())];
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Float32, true)));
    let fields = vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("identity", DataType::Utf8, false),
        Field::new("template", list, false),
    ];
    let schema = Arc::new(Schema::new(fields));
    let failed = |e: parquet::errors::ParquetError| Error::io("write", file)(std::io::Error::other(e));
    let batch =
        RecordBatch::try_new(schema.clone(), columns.to_vec()).map_err(|e| Error::bug("a table of templates", e))?;
    let key = KeyValue::new("chehra.model".to_owned(), model.to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![key])).build();
    let out = File::create(file).map_err(Error::io("create", file))?;
    let mut writer = ArrowWriter::try_new(out, schema, Some(properties)).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    writer.close().map_err(failed)?;
    Ok(())
}
