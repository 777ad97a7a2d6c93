//! Parquet rows -> [`Submission`]: the dump as the rest of the program sees it.
//!
//! A dump is one or more Parquet files. Columns are found by name (names can be mapped in the config file), their
//! types are checked before any work, and rows are streamed batch by batch so that memory does not grow with the dump.

use std::fmt;
use std::ops::Deref;

use arrow::buffer::Buffer;

/// Bytes of one cell, shared with the batch they came from.
#[derive(Clone)]
pub struct Blob(pub Buffer);

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

/// One row of the dump. A `None` is a null cell (or, for optional columns, an absent column).
#[derive(Debug, Clone)]
pub struct Submission {
    /// Position in the whole dump, from 0, across files in their sorted order.
    pub row: u64,
    /// Everything but the pictures.
    pub facts: RowFacts,
    /// The selfie of worker and member: an encoded picture.
    pub selfie: Option<Blob>,
    /// The member's uploaded photo: an encoded picture.
    pub photo: Option<Blob>,
}

/// What a row says besides its pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RowFacts {
    /// Unique id of the submission; the verdict table joins back by it.
    pub submission_id: Option<String>,
    /// The field worker's id.
    pub worker_id: Option<String>,
    /// District of the enrolment.
    pub district: Option<String>,
    /// When the selfie was taken, microseconds since 1970-01-01T00:00:00Z.
    pub captured_at: Option<i64>,
    /// Division the district belongs to.
    pub division: Option<String>,
    /// Party sector.
    pub sector: Option<String>,
    /// Party mandalam.
    pub mandalam: Option<String>,
    /// Polling booth.
    pub booth_id: Option<String>,
    /// Mobile number as typed.
    pub mobile: Option<String>,
    /// Voter-ID (EPIC) number as typed.
    pub epic: Option<String>,
    /// Member's name as typed.
    pub member_name: Option<String>,
    /// Whether the member consented.
    pub consent: Option<bool>,
}
