//! What decisions are about, pairs and rows, and why people were asked.

use serde::{Deserialize, Serialize};

/// One membership. The id alone would do, were ids never used twice; worker and time tell two uses apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Side {
    /// Unique id of the submission.
    pub submission: String,
    /// Who enrolled the member.
    pub worker: String,
    /// When, microseconds since 1970-01-01T00:00:00Z.
    pub captured_at: i64,
    /// Whether it came from the store and not from the run's own dump. Tells people where to look, names nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earlier_night: bool,
}

/// Two memberships, whichever is named first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairKey([(String, String, i64); 2]);

impl PairKey {
    /// The key of a pair.
    pub fn new(a: &Side, b: &Side) -> Self {
        let name = |side: &Side| (side.submission.clone(), side.worker.clone(), side.captured_at);
        let mut both = [name(a), name(b)];
        both.sort();
        PairKey(both)
    }

    /// Submission, worker and time of each side, in a fixed order.
    pub fn sides(&self) -> &[(String, String, i64); 2] {
        &self.0
    }
}

/// Why a pair was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It stands in the queue.
    Queue,
    /// It stands in the queue, and two people are asked who do not see each other's answer.
    Second,
    /// The answer is known: it measures the reviewer.
    Seed,
    /// People disagree, and somebody else decides between them.
    Dispute,
    /// The member has appealed, and somebody else decides.
    Appeal,
}

impl Why {
    /// The word in the log and in tables.
    pub fn code(self) -> &'static str {
        match self {
            Why::Queue => "queue",
            Why::Second => "second",
            Why::Seed => "seed",
            Why::Dispute => "dispute",
            Why::Appeal => "appeal",
        }
    }

    /// Whether the answer stands over those before it.
    pub fn is_final(self) -> bool {
        matches!(self, Why::Dispute | Why::Appeal)
    }
}

/// Submission, worker and time of a row.
pub type RowKey = (String, String, i64);

/// The key of a row.
pub fn row_key(side: &Side) -> RowKey {
    (side.submission.clone(), side.worker.clone(), side.captured_at)
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::side;
    use super::*;

    #[test]
    fn a_pair_has_no_first_side() {
        assert_eq!(PairKey::new(&side("a"), &side("b")), PairKey::new(&side("b"), &side("a")));
        let again = Side { captured_at: 8, ..side("a") };
        assert_ne!(PairKey::new(&side("a"), &side("b")), PairKey::new(&again, &side("b")));
    }
}
