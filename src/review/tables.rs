//! The tables of a run folder, read back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use parquet::arrow::ProjectionMask;

use crate::dump::open_parquet;
use crate::matching::UNKNOWN_TIME;
use crate::{Error, Result};

/// Some columns of one batch of a table.
pub struct Rows {
    path: PathBuf,
    batch: RecordBatch,
}

/// Reads the named columns of a table, batch by batch, each handed to `take`.
///
/// # Errors
/// [`Error::Input`] when the table cannot be read or lacks a column.
pub fn read(path: &Path, columns: &[&str], mut take: impl FnMut(&Rows) -> Result<()>) -> Result<()> {
    let refuse = |found: String| {
        let expected = "a Parquet file as `chehra audit` writes it";
        Error::input(path, "table", expected, found, "name the folder of a finished run")
    };
    let builder = open_parquet(path, refuse)?;
    let projection = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder.with_projection(projection).build().map_err(|e| refuse(e.to_string()))?;
    for batch in reader {
        take(&Rows { path: path.to_path_buf(), batch: batch.map_err(|e| Error::of_reader(path, &e, refuse))? })?;
    }
    Ok(())
}

impl Rows {
    /// Rows of the batch.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    fn column(&self, name: &str, wanted: &DataType) -> Result<ArrayRef> {
        let refuse = |found: String| {
            let fix = "audit the dump with this version";
            Error::input(&self.path, format!("column {name}"), wanted.to_string(), found, fix)
        };
        let column = self.batch.column_by_name(name).ok_or_else(|| refuse("no such column".into()))?;
        cast(column, wanted).map_err(|_| refuse(column.data_type().to_string()))
    }

    /// Texts.
    pub fn texts(&self, name: &str) -> Result<Vec<Option<String>>> {
        Ok(strings(&self.column(name, &DataType::Utf8)?))
    }

    /// Texts that are always there; an empty one where it is not.
    pub fn words(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.texts(name)?.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Lists of texts.
    pub fn lists(&self, name: &str) -> Result<Vec<Vec<String>>> {
        let column = self.column(name, &list_of(DataType::Utf8))?;
        let list = |cell: Option<ArrayRef>| cell.map_or_else(Vec::new, |a| strings(&a).into_iter().flatten().collect());
        Ok(column.as_list::<i32>().iter().map(list).collect())
    }

    /// Numbers; NaN where there is none.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let column = self.column(name, &DataType::Float64)?;
        Ok(column.as_primitive::<Float64Type>().iter().map(|n| n.unwrap_or(f64::NAN)).collect())
    }

    /// Whole numbers; 0 where there is none.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>> {
        let column = self.column(name, &DataType::Int64)?;
        Ok(column.as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default).collect())
    }

    /// Times in microseconds since 1970-01-01T00:00:00Z; [`UNKNOWN_TIME`] where there is none.
    pub fn times(&self, name: &str) -> Result<Vec<i64>> {
        let column = self.column(name, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
        Ok(column.as_primitive::<TimestampMicrosecondType>().iter().map(|at| at.unwrap_or(UNKNOWN_TIME)).collect())
    }

    /// Yes or no; no where nothing stands.
    pub fn flags(&self, name: &str) -> Result<Vec<bool>> {
        let column = self.column(name, &DataType::Boolean)?;
        Ok(column.as_boolean().iter().map(Option::unwrap_or_default).collect())
    }

    /// Faces: box, landmarks, role and quality of each.
    pub fn faces(&self, name: &str) -> Result<Vec<Vec<Face>>> {
        let refuse = || {
            let expected = "lists of {box, landmarks, role, quality}";
            Error::input(&self.path, format!("column {name}"), expected, "something else", "audit the dump anew")
        };
        let column = self.batch.column_by_name(name).ok_or_else(refuse)?;
        let lists = column.as_list_opt::<i32>().ok_or_else(refuse)?;
        let row = |cell: Option<ArrayRef>| {
            let Some(cell) = cell else { return Ok(Vec::new()) };
            let fields = cell.as_struct_opt().ok_or_else(refuse)?;
            let field = |name, wanted: &DataType| {
                fields.column_by_name(name).and_then(|array| cast(array, wanted).ok()).ok_or_else(refuse)
            };
            let numbers = list_of(DataType::Float32);
            let (boxes, points) = (field("box", &numbers)?, field("landmarks", &numbers)?);
            let (roles, quality) = (strings(&field("role", &DataType::Utf8)?), field("quality", &DataType::Float32)?);
            let liveness = field("liveness", &DataType::Float32)?;
            let number =
                |array: &ArrayRef, at: usize| array.is_valid(at).then(|| array.as_primitive::<Float32Type>().value(at));
            let numbers = |lists: &ArrayRef, at: usize| -> Vec<f32> {
                lists.as_list::<i32>().value(at).as_primitive::<Float32Type>().values().to_vec()
            };
            let face = |(at, role): (usize, Option<String>)| {
                Some(Face {
                    bbox: numbers(&boxes, at).try_into().ok()?,
                    landmarks: numbers(&points, at).try_into().ok()?,
                    role: role?,
                    quality: number(&quality, at),
                    liveness: number(&liveness, at),
                })
            };
            Ok(roles.into_iter().enumerate().filter_map(face).collect())
        };
        lists.iter().map(row).collect()
    }
}

/// A face of the verdict table.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// Left, top, width, height in pixels of the upright picture.
    pub bbox: [f32; 4],
    /// Five landmarks, x and y in turn.
    pub landmarks: [f32; 10],
    /// `worker`, `member` or `bystander`.
    pub role: String,
    /// Its quality, 0..=1, where it was measured.
    pub quality: Option<f32>,
    /// Probability that it was there, and not a picture of it, where that was measured.
    pub liveness: Option<f32>,
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

fn strings(array: &ArrayRef) -> Vec<Option<String>> {
    array.as_string::<i32>().iter().map(|cell| cell.map(str::to_owned)).collect()
}
