//! What people decided about a row, in one word.

use crate::decisions::{Appealed, RowAnswer, SettledRow};

/// What people decided about a row, as the `decision` column has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowDecision {
    /// It is as the run says.
    Upheld,
    /// It is not.
    Overturned,
    /// Take the selfie again.
    Retake,
    /// People disagree.
    Disputed,
    /// The member has appealed; nobody has decided.
    AppealOpen,
    /// The member appealed, and is right.
    AppealGranted,
    /// The member appealed, and the decision stands.
    AppealRefused,
    /// The member appealed, and the selfie is to be taken again.
    AppealRetake,
}

impl RowDecision {
    /// The word in the table.
    pub fn code(self) -> &'static str {
        match self {
            RowDecision::Upheld => "upheld",
            RowDecision::Overturned => "overturned",
            RowDecision::Retake => "retake",
            RowDecision::Disputed => "disputed",
            RowDecision::AppealOpen => "appeal_open",
            RowDecision::AppealGranted => "appeal_granted",
            RowDecision::AppealRefused => "appeal_refused",
            RowDecision::AppealRetake => "appeal_retake",
        }
    }

    /// What people decided; `None` where nobody said anything that counts.
    pub fn of(settled: &SettledRow) -> Option<RowDecision> {
        let by_appeal = settled.appeal == Some(Appealed::Decided);
        match settled.answer {
            _ if settled.appeal == Some(Appealed::Open) => Some(RowDecision::AppealOpen),
            _ if settled.disputed => Some(RowDecision::Disputed),
            Some(RowAnswer::Uphold) if by_appeal => Some(RowDecision::AppealRefused),
            Some(RowAnswer::Overturn) if by_appeal => Some(RowDecision::AppealGranted),
            Some(RowAnswer::Retake) if by_appeal => Some(RowDecision::AppealRetake),
            Some(RowAnswer::Uphold) => Some(RowDecision::Upheld),
            Some(RowAnswer::Overturn) => Some(RowDecision::Overturned),
            Some(RowAnswer::Retake) => Some(RowDecision::Retake),
            Some(RowAnswer::Pass) | None => None,
        }
    }

    /// The same in words, for the row's details.
    pub fn note(self) -> &'static str {
        match self {
            RowDecision::Upheld => "upheld by reviewers",
            RowDecision::Overturned => "overturned by reviewers",
            RowDecision::Retake => "to be taken again, by reviewers",
            RowDecision::Disputed => "reviewers disagree",
            RowDecision::AppealOpen => "the member has appealed",
            RowDecision::AppealGranted => "the member's appeal was granted",
            RowDecision::AppealRefused => "the member's appeal was refused",
            RowDecision::AppealRetake => "the member's appeal: to be taken again",
        }
    }
}
