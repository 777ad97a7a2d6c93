//! One row of `verdicts.parquet`, before it becomes columns.

use crate::dump::RowFacts;
use crate::matching::Grade;
use crate::reason::{Reason, Verdict};
use crate::roles::Role;
use crate::verdict::RowDecision;

/// One face of the `faces` column.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceRow {
    /// Left, top, width, height in pixels of the upright selfie.
    pub bbox: [f32; 4],
    /// Five landmarks, x and y in turn, in the order of [`crate::face::Detection`].
    pub landmarks: [f32; 10],
    /// Worker, member or bystander.
    pub role: Role,
    /// Detector score, 0..=1.
    pub score: f32,
    /// Quality score, 0..=1; `None` for a face that was left out as too far in the background.
    pub quality: Option<f32>,
    /// Probability of a bona fide presentation.
    pub liveness: Option<f32>,
    /// The log-odds it is the mean of: of the wide, the close and the middle look, as far as they were taken.
    pub looks: Vec<f32>,
    /// Grain of the picture in the face, grey levels.
    pub grain: Option<f32>,
}

/// From where and when a row was sent, as in the dump.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SentFrom {
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
}

impl From<&RowFacts> for SentFrom {
    fn from(facts: &RowFacts) -> SentFrom {
        SentFrom {
            captured_at: facts.captured_at,
            division: facts.division.clone(),
            sector: facts.sector.clone(),
            mandalam: facts.mandalam.clone(),
            booth_id: facts.booth_id.clone(),
        }
    }
}

/// One row of the verdict table: exactly one per row of the dump.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictRow {
    /// Position in the dump.
    pub row: u64,
    /// As in the dump.
    pub submission_id: Option<String>,
    /// As in the dump.
    pub worker_id: Option<String>,
    /// As in the dump.
    pub district: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Its reasons, in table order, each once.
    pub reasons: Vec<Reason>,
    /// What people decided about it.
    pub decision: Option<RowDecision>,
    /// What was expected and found, or which earlier submission something is known from.
    pub detail: Option<String>,
    /// The submission that enrolled this member first.
    pub duplicate_of: Option<String>,
    /// The person's cluster.
    pub cluster_id: Option<String>,
    /// Whether the cluster spans districts.
    pub cross_district: Option<bool>,
    /// Highest similarity to another membership of the cluster.
    pub similarity: Option<f32>,
    /// How many pairs at least that similar the whole gallery would hold by chance.
    pub expected_false_matches: Option<f64>,
    /// How sure it is that the two are one person.
    pub grade: Option<Grade>,
    /// The evidence of that pair in log10 units, such as "face 9.1, same worker 1.2, name in part 0.4".
    pub evidence: Option<String>,
    /// The least share of false ones, of 0.01, 0.02, 0.05, 0.1, 0.15, 0.2 and 0.3, at which review would flag the row as enrolled
    /// before by its face; `None` where it would at none.
    pub review_at_false_share: Option<f64>,
    /// Probability that the member is really there.
    pub member_liveness: Option<f32>,
    /// Probability that the worker is really there.
    pub worker_liveness: Option<f32>,
    /// Similarity of the uploaded photo to the member in the selfie.
    pub photo_similarity: Option<f32>,
    /// Quality of the member's face.
    pub quality: Option<f32>,
    /// All faces found, tallest first.
    pub faces: Vec<FaceRow>,
    /// From where and when it was sent.
    pub sent: SentFrom,
}

impl VerdictRow {
    /// Adds a reason once, keeping table order.
    pub fn add(&mut self, reason: Reason) {
        if let Err(place) = self.reasons.binary_search(&reason) {
            self.reasons.insert(place, reason);
        }
    }

    /// Adds a sentence to the details.
    pub fn note(&mut self, text: String) {
        match &mut self.detail {
            Some(detail) => *detail = format!("{detail}; {text}"),
            None => self.detail = Some(text),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::policy::VerdictPolicy;

    /// A row with these reasons and nothing else.
    pub(crate) fn row(row: u64, worker: &str, reasons: &[Reason], liveness: f32) -> VerdictRow {
        VerdictRow {
            row,
            submission_id: Some(format!("S{row}")),
            worker_id: Some(worker.to_owned()),
            district: None,
            verdict: VerdictPolicy::default().decide(reasons),
            reasons: reasons.to_vec(),
            decision: None,
            detail: None,
            duplicate_of: None,
            cluster_id: None,
            cross_district: None,
            similarity: None,
            review_at_false_share: None,
            expected_false_matches: None,
            grade: None,
            evidence: None,
            member_liveness: Some(liveness),
            worker_liveness: Some(0.9),
            photo_similarity: None,
            quality: None,
            faces: Vec::new(),
            sent: SentFrom::default(),
        }
    }
}
