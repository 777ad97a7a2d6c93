//! What the page is told: plain values, and how numbers and times are written.

use serde::{Deserialize, Serialize};

use super::nights::Missing;
use super::pictures::Place;
use crate::decisions::{Answer, Judgement, KnownAnswers};

/// What is said of a pair, on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairAnswer {
    /// One person.
    Same,
    /// Two people.
    Different,
    /// Cannot be told.
    NotSure,
    /// The face of one side is not the member's.
    NotMember,
}

impl PairAnswer {
    /// The word in requests and tables.
    pub fn code(self) -> &'static str {
        match self {
            PairAnswer::NotMember => "not_member",
            other => other.plain().code(),
        }
    }

    /// The answer about the two members.
    pub fn plain(self) -> Answer {
        match self {
            PairAnswer::Same => Answer::Same,
            PairAnswer::Different | PairAnswer::NotMember => Answer::Different,
            PairAnswer::NotSure => Answer::NotSure,
        }
    }

    /// What a decision said.
    pub fn of(judgement: &Judgement) -> PairAnswer {
        match judgement.answer {
            Answer::Same => PairAnswer::Same,
            Answer::Different if judgement.not_member.is_some() => PairAnswer::NotMember,
            Answer::Different => PairAnswer::Different,
            Answer::NotSure => PairAnswer::NotSure,
        }
    }
}

/// What a reviewer's list says of one pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ItemState {
    pub id: String,
    /// Whether this reviewer is to answer.
    pub open: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mine: Option<PairAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What others said, where one may know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<(String, PairAnswer)>,
    /// Somebody else is looking at it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// People disagree, where one may know.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disputed: bool,
}

/// A reviewer's list.
#[derive(Debug, Serialize)]
pub struct State {
    pub run: String,
    pub reviewer: String,
    pub items: Vec<ItemState>,
    pub total: usize,
    pub done: usize,
    pub left: usize,
    pub mine: usize,
    pub per_hour: Option<f64>,
    /// Lines of the log that were begun and never finished.
    pub torn: usize,
    /// Whether this reviewer is stopped, for too many wrong answers to known pairs.
    pub stopped: Option<KnownAnswers>,
    /// Pairs about which people disagree, for this reviewer to decide.
    pub disputes: usize,
    /// What was recorded or taken back just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
}

/// One pair in full.
#[derive(Debug, Serialize)]
pub struct ItemView {
    pub id: String,
    pub rank: u64,
    pub cluster_id: String,
    pub worth: String,
    pub size: usize,
    pub districts: Vec<String>,
    pub similarity: f64,
    pub expected_false_matches: f64,
    pub probability_false: f64,
    pub grade: Option<String>,
    pub evidence: Vec<(String, f64)>,
    pub sides: [SideView; 2],
}

/// One side of it.
#[derive(Debug, Serialize)]
pub struct SideView {
    pub submission: String,
    pub worker: String,
    pub district: String,
    pub captured_at: String,
    pub earlier_night: bool,
    pub mobile: Option<String>,
    pub epic: Option<String>,
    pub member_name: Option<String>,
    pub booth_id: Option<String>,
    pub picture: Option<Place>,
    pub has_face: bool,
    pub missing: Option<Missing>,
    pub verdict: Option<&'static str>,
    pub reasons: Vec<&'static str>,
    pub detail: Option<String>,
    pub member_liveness: Option<f32>,
    pub worker_liveness: Option<f32>,
    /// The chance, in percent, that the face is another person in the picture.
    pub member_doubt_percent: Option<u8>,
}

/// `face 9.1, same worker 1.2` -> its parts.
pub fn parts(evidence: &str) -> Vec<(String, f64)> {
    let part = |text: &str| {
        let (name, weight) = text.trim().rsplit_once(' ')?;
        Some((name.to_owned(), weight.parse().ok()?))
    };
    evidence.split(',').filter_map(part).collect()
}

/// All but the last three characters hidden.
pub fn masked(text: &str) -> String {
    let count = text.trim().chars().count();
    text.trim().chars().enumerate().map(|(at, c)| if at + 3 < count { '•' } else { c }).collect()
}

pub fn instant(microseconds: i64) -> String {
    jiff::Timestamp::from_microsecond(microseconds).map(|at| format!("{at:.0}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_comes_apart_and_numbers_are_hidden() {
        assert_eq!(parts("face 9.1, same worker -1.2"), [("face".into(), 9.1), ("same worker".into(), -1.2)]);
        assert!(parts("").is_empty());
        assert_eq!(masked(" 9876543210 "), "•••••••210");
        assert_eq!(masked("ab"), "ab");
        assert_eq!(instant(0), "1970-01-01T00:00:00Z");
    }
}
