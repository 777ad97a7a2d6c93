//! Segments: immutable Parquet files of templates with their facts, the only thing in a store that cannot be rebuilt.
//!
//! Columns: `submission_id, worker_id, district` (string), `captured_at` (timestamp, microseconds, UTC), `mobile, epic,
//! member_name` (string or null), `quality` (f32), `model` (string), `selfie_sha256` (32 bytes), `selfie_dhash` (u64),
//! `run_key` (string), `commit` (u64), `member_doubt_percent` (u8, from version 2 on), `master` (dim f16, little-endian),
//! `codes` (dim i8), `scale, residual` (f32). The file's own metadata name the version (`chehra.segment`).

mod columns;
mod read;
mod write;

pub(in crate::gallery) use read::SegmentReader;
pub(in crate::gallery) use write::{MAX_ROWS, SegmentWriter};
