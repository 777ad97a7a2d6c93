//! Candidates -> pairs -> clusters: which members are the same person, and how sure that is.

mod clusters;
mod prior;
pub mod reuse;

pub use clusters::{Cluster, clusters};
pub use prior::FalseMatchRate;

/// One membership as matching sees it: from tonight's dump or an earlier night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Unique id of the submission.
    pub submission_id: String,
    /// Who enrolled the member.
    pub worker_id: String,
    /// Where.
    pub district: String,
    /// When, microseconds since 1970-01-01T00:00:00Z.
    pub captured_at: i64,
    /// Row of tonight's dump, or `None` for an earlier night.
    pub row: Option<u64>,
}

/// Two memberships that look like one person. `a < b`, indexes into the list of enrolments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The one.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// Cosine of the two masters, -1..=1.
    pub similarity: f32,
    /// How many pairs at least this similar the whole gallery would hold by chance.
    pub expected_false_matches: f64,
}
