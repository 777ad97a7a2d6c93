//! What to work out.

use std::path::PathBuf;

use crate::assurance::promise::Goal;
use crate::replies::ReplyNames;

/// What to work out.
#[derive(Debug, Clone)]
pub struct AssuranceJob {
    /// Sample folders, in the order of their nights; second samples among them.
    pub samples: Vec<PathBuf>,
    /// Tables of replies.
    pub responses: Vec<PathBuf>,
    /// What they call things.
    pub names: ReplyNames,
    /// Logs of reviewers' decisions.
    pub decisions: Vec<PathBuf>,
    /// How sure, and of what.
    pub goal: Goal,
    /// Precision that a suggested limit must keep.
    pub precision: f64,
    /// Now, microseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}
