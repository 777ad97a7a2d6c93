//! The columns of a segment.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Float32Array, StringArray, TimestampMicrosecondArray, UInt8Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::gallery::member::Row;
use crate::infer::ModelId;
use crate::{Error, Result};

/// The version written; version 1, without `member_doubt_percent`, is read.
pub(super) const VERSION: u32 = 2;
/// Rows encoded at a time.
pub(super) const BATCH: usize = 4096;
/// Names of the facts; a segment of version 1 lacks the last.
pub(super) const FACTS: &[&str] = &[
    "submission_id",
    "worker_id",
    "district",
    "captured_at",
    "mobile",
    "epic",
    "member_name",
    "quality",
    "model",
    "selfie_sha256",
    "selfie_dhash",
    "run_key",
    "commit",
    "member_doubt_percent",
];
pub(super) const TEMPLATE: &[&str] = &["master", "codes", "scale", "residual"];

/// Fields of the facts, in file order.
pub(in crate::gallery) fn fact_fields() -> Vec<Field> {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    vec![
        text("submission_id", false),
        text("worker_id", false),
        text("district", false),
        Field::new("captured_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        text("mobile", true),
        text("epic", true),
        text("member_name", true),
        Field::new("quality", DataType::Float32, false),
        text("model", false),
        Field::new("selfie_sha256", DataType::FixedSizeBinary(32), false),
        Field::new("selfie_dhash", DataType::UInt64, false),
        text("run_key", false),
        Field::new("commit", DataType::UInt64, false),
        Field::new("member_doubt_percent", DataType::UInt8, false),
    ]
}

pub(super) fn schema(version: u32, dim: usize) -> SchemaRef {
    let mut fields = fact_fields();
    if version == 1 {
        fields.pop();
    }
    fields.push(Field::new("master", DataType::FixedSizeBinary(2 * dim as i32), false));
    fields.push(Field::new("codes", DataType::FixedSizeBinary(dim as i32), false));
    fields.push(Field::new("scale", DataType::Float32, false));
    fields.push(Field::new("residual", DataType::Float32, false));
    Arc::new(Schema::new(fields))
}

/// The facts of rows as columns, in the order of [`fact_fields`].
pub(in crate::gallery) fn fact_columns(rows: &[Row<'_>], model: &ModelId) -> Result<Vec<ArrayRef>> {
    let texts = |get: &dyn Fn(&Row<'_>) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(get)))
    };
    let optional = |get: for<'r> fn(&Row<'r>) -> Option<&'r str>| -> ArrayRef {
        Arc::new(rows.iter().map(get).collect::<StringArray>())
    };
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.captured_at)).with_timezone("UTC");
    let mut hashes = FixedSizeBinaryBuilder::with_capacity(rows.len(), 32);
    for row in rows {
        hashes.append_value(row.selfie_sha256).map_err(|e| Error::bug("writing a segment", e))?;
    }
    Ok(vec![
        texts(&|r| r.submission_id.to_owned()),
        texts(&|r| r.worker_id.to_owned()),
        texts(&|r| r.district.to_owned()),
        Arc::new(times),
        optional(|r| r.mobile),
        optional(|r| r.epic),
        optional(|r| r.member_name),
        Arc::new(Float32Array::from_iter_values(rows.iter().map(|r| r.quality))),
        texts(&|_| model.0.clone()),
        Arc::new(hashes.finish()),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.selfie_dhash))),
        texts(&|r| r.run_key.to_owned()),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.commit))),
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(|r| r.member_doubt_percent))),
    ])
}
