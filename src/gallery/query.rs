//! What is asked of a gallery, and what it answers.

use std::cmp::Ordering;

use super::member::Facts;
use crate::infer::{ModelId, Template};

/// A face to look for.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// The face.
    pub template: &'a Template,
    /// The network that made the template; rows of other models are not compared.
    pub model: &'a ModelId,
    /// Rows that are no answer for this probe.
    pub filter: Filter<'a>,
}

/// Which rows are no answer. Empty: all rows are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Leaves out rows of this submission: a probe's own row in the gallery.
    pub not_submission: Option<&'a str>,
    /// Leaves out rows that this worker submitted.
    pub not_worker: Option<&'a str>,
    /// Leaves out rows of this district.
    pub not_district: Option<&'a str>,
    /// Leaves out rows of other districts.
    pub only_district: Option<&'a str>,
}

impl Filter<'_> {
    pub(super) fn lets_pass(&self, facts: &Facts, row: usize) -> bool {
        self.not_submission.is_none_or(|id| facts.submission_id(row) != id)
            && self.not_worker.is_none_or(|id| facts.worker_id(row) != id)
            && self.not_district.is_none_or(|name| facts.district(row) != name)
            && self.only_district.is_none_or(|name| facts.district(row) == name)
    }
}

/// How many answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Want {
    /// Every row at least this similar.
    Above(f32),
    /// The `count` most similar rows, ties to the lower row number.
    Top {
        /// Most answers per probe.
        count: usize,
        /// No answer is less similar than this.
        floor: f32,
    },
}

/// An answer: one row for one probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Position in the list of probes.
    pub probe: u32,
    /// Row of the gallery.
    pub row: u32,
    /// Cosine similarity of the two masters.
    pub similarity: f32,
}

impl Hit {
    /// The order of all answers: by probe, most similar first, then by row.
    pub(super) fn order(&self, other: &Hit) -> Ordering {
        self.probe.cmp(&other.probe).then(other.similarity.total_cmp(&self.similarity)).then(self.row.cmp(&other.row))
    }
}

/// Two rows of one gallery that are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The lower row number.
    pub first: u32,
    /// The higher row number.
    pub second: u32,
    /// Cosine similarity of the two masters.
    pub similarity: f32,
}

/// Sorts hits into the order of all answers and keeps the wanted ones of each probe.
pub(super) fn settle(mut hits: Vec<Hit>, want: Want) -> Vec<Hit> {
    hits.sort_unstable_by(Hit::order);
    if let Want::Top { count, .. } = want {
        let (mut probe, mut rank) = (u32::MAX, 0);
        hits.retain(|hit| {
            rank = if hit.probe == probe { rank + 1 } else { 1 };
            probe = hit.probe;
            rank <= count
        });
    }
    hits
}
