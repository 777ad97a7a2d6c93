//! What the evaluation of deduplication says.

use serde::Serialize;

use super::size::SizeReport;

/// The result, ready for JSON or for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DedupReport {
    /// Network and weights of the templates.
    pub model: String,
    /// Labelled templates.
    pub labelled: usize,
    /// Labelled people.
    pub people: usize,
    /// Pictures without a face.
    pub failed_to_enrol: Vec<String>,
    /// Share of the drawn memberships that are duplicates.
    pub duplicates: f64,
    /// The seed.
    pub seed: u64,
    /// How alike drawn people of one kind are, as fitted to the labelled people's scores.
    pub alike: Option<f64>,
    /// One per gallery size.
    pub sizes: Vec<SizeReport>,
}
