//! One line of the log.

use serde::{Deserialize, Serialize};

use super::about::{Side, Why};
use super::people::{Assignment, Look};
use super::row::{Appeal, RowJudgement};

/// Version of the lines that are written. Lines of version 1 know pairs alone, and are read as well.
pub const VERSION: u32 = 2;

/// What a person says of two faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// One person.
    Same,
    /// Two people.
    Different,
    /// Cannot be told.
    NotSure,
}

impl Answer {
    /// All of them.
    pub const ALL: [Answer; 3] = [Answer::Same, Answer::Different, Answer::NotSure];

    /// The word in the log and in tables.
    pub fn code(self) -> &'static str {
        match self {
            Answer::Same => "same",
            Answer::Different => "different",
            Answer::NotSure => "not_sure",
        }
    }
}

/// That the face which is compared on one side of a pair is not the member's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NotMember {
    /// On which side: 0 is `a`, 1 is `b`.
    pub side: u8,
    /// Where the member's face really is: left, top, width, height in pixels of the upright selfie; `None` where it cannot be
    /// told.
    pub face: Option<[f32; 4]>,
}

/// A decision about one pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The one.
    pub a: Side,
    /// The other.
    pub b: Side,
    /// What was said.
    pub answer: Answer,
    /// The two faces may be alike, but one of them is not the member's; the answer is then [`Answer::Different`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_member: Option<NotMember>,
    /// Why it was asked.
    pub why: Why,
    /// Of a seeded pair: the right answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<Answer>,
    /// Of a seeded pair: how the right answer is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// In the reviewer's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How long the pair was on the screen, milliseconds, as the page says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_ms: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A decision; a later one of the same reviewer about the same pair takes its place.
    Decide(Judgement),
    /// A decision about a row, in the same way.
    DecideRow(RowJudgement),
    /// A member appeals against what became of a row.
    Appeal(Appeal),
    /// A reviewer is given a part of the work.
    Assign(Assignment),
    /// A stopped reviewer's answers were looked at.
    Look(Look),
    /// One's own decision is taken back.
    Undo {
        /// The id of that entry.
        undoes: String,
    },
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`VERSION`].
    pub v: u32,
    /// Made up by who sends it, so that one decision sent twice counts once.
    pub id: String,
    /// When, UTC, ISO 8601 with microseconds.
    pub at: String,
    /// Who.
    pub reviewer: String,
    /// The run that was reviewed.
    pub run: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::Ledger;
    use super::*;
    use crate::journal::{line, read_line};

    pub fn side(submission: &str) -> Side {
        Side { submission: submission.into(), worker: "W1".into(), captured_at: 7, earlier_night: false }
    }

    /// `reviewer` says `answer` of the pair `a`, `b`.
    pub fn decided(id: &str, reviewer: &str, (a, b): (&str, &str), answer: Answer) -> Entry {
        let judgement = Judgement {
            a: side(a),
            b: side(b),
            answer,
            not_member: None,
            why: Why::Queue,
            truth: None,
            basis: None,
            note: None,
            looked_ms: None,
        };
        Entry {
            v: VERSION,
            id: id.into(),
            at: "2026-11-22T10:00:00.000000Z".into(),
            reviewer: reviewer.into(),
            run: "r".into(),
            event: Event::Decide(judgement),
        }
    }

    pub fn undone(id: &str, reviewer: &str, undoes: &str) -> Entry {
        let event = Event::Undo { undoes: undoes.into() };
        Entry { event, ..decided(id, reviewer, ("x", "y"), Answer::Same) }
    }

    #[test]
    fn a_line_comes_back_and_a_changed_one_does_not() {
        let mut entry = decided("1", "आशा", ("s\"1\n", "s2"), Answer::NotSure);
        if let Event::Decide(judgement) = &mut entry.event {
            judgement.note = Some("दाग़ \u{1f600} \\".into());
        }
        let line = line(&entry).unwrap();
        assert!(line.ends_with("\"}\n") && line.matches('\n').count() == 1, "{line}");
        let bytes = line.trim_end().as_bytes();
        assert_eq!(read_line::<Ledger>(bytes).unwrap(), entry);
        let plain: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(plain["answer"], "not_sure");
        for cut in 0..bytes.len() {
            assert!(read_line::<Ledger>(&bytes[..cut]).is_err(), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            assert!(read_line::<Ledger>(&changed).is_err(), "{at}");
        }
    }
}
