//! A row that people may be asked about, the queues, and how a row stands for one reviewer.

use super::list::Judged;
use super::seeds::RowSeed;
use super::views::RowItem;
use crate::decisions::{Appealed, Question, RowKey, Why};

/// A row of the run that people may be asked about.
#[derive(Debug, Clone)]
pub struct Item {
    /// A name for it that says nothing about it.
    pub id: String,
    /// By what decisions know it.
    pub key: RowKey,
    /// The row.
    pub judged: Judged,
    /// Whether it stands in a queue by itself, and not only since somebody asked for it.
    pub is_listed: bool,
    /// Whether two people are asked who do not see each other's answer.
    pub second: bool,
}

/// A row whose answer is known.
#[derive(Debug, Clone)]
pub struct SeedItem {
    pub id: String,
    pub seed: RowSeed,
}

/// The queues, in the order in which they stand on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowQueue {
    /// Rows that are asked one question.
    About(Question),
    /// Rows whose member has appealed.
    Appeals,
    /// Rows about which people disagree.
    Disputes,
}

impl RowQueue {
    /// All of them.
    pub const ALL: [RowQueue; 7] = [
        RowQueue::About(Question::Liveness),
        RowQueue::About(Question::Worker),
        RowQueue::About(Question::Copy),
        RowQueue::About(Question::Photo),
        RowQueue::About(Question::Facts),
        RowQueue::Appeals,
        RowQueue::Disputes,
    ];

    /// The word in requests.
    pub fn code(self) -> &'static str {
        match self {
            RowQueue::About(question) => question.code(),
            RowQueue::Appeals => "appeals",
            RowQueue::Disputes => "disputes",
        }
    }
}

/// How a row stands for one reviewer.
#[derive(Debug)]
pub struct Stand {
    /// What the list says of it; `open` is not set.
    pub item: RowItem,
    /// Whether the reviewer is to answer it in the queue of its question.
    pub is_asked: bool,
    /// Whether people disagree, and this reviewer may decide.
    pub may_settle: bool,
    /// Whether the member has appealed, and this reviewer may decide.
    pub may_judge_appeal: bool,
    /// Whether the reviewer may know what others said.
    pub may_know: bool,
    /// Whether people disagree.
    pub disputed: bool,
    /// How far an appeal is.
    pub appeal: Option<Appealed>,
    /// For what the reviewer's own answer was asked.
    pub why: Option<Why>,
}

/// Which picture of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowPicture {
    /// The selfie itself, and the face in it that the row is asked about.
    Selfie,
    /// The uploaded photo.
    Photo,
    /// The worker's reference photo.
    Reference,
    /// The submission that the row repeats.
    Twin,
    /// Another selfie of the worker.
    Other(usize),
}
