//! One reply: who was asked, how, and what was answered; and why one is not used.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What somebody answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Became a member, and the data are right.
    Confirmed,
    /// Did not become a member, or knows nothing of it.
    Denied,
    /// Became a member; some of the data are wrong.
    WrongData,
    /// The number is wrong, switched off or does not exist.
    Undelivered,
    /// It was delivered, or rang, and nobody answered.
    Silent,
}

impl Answer {
    /// All of them.
    pub const ALL: [Answer; 5] =
        [Answer::Confirmed, Answer::Denied, Answer::WrongData, Answer::Undelivered, Answer::Silent];

    /// The word in tables.
    pub fn code(self) -> &'static str {
        match self {
            Answer::Confirmed => "confirmed",
            Answer::Denied => "denied",
            Answer::WrongData => "wrong_data",
            Answer::Undelivered => "undelivered",
            Answer::Silent => "silent",
        }
    }

    /// Whether a person spoke.
    pub fn is_answer(self) -> bool {
        !matches!(self, Answer::Undelivered | Answer::Silent)
    }

    /// Whether there is a member behind it; `None` where nobody spoke.
    pub fn is_real(self) -> Option<bool> {
        self.is_answer().then_some(self != Answer::Denied)
    }
}

/// How somebody was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The SMS that every accepted member gets. Says who holds the phone.
    Sms,
    /// A call by a person.
    Call,
    /// A visit, or whatever else was done about the silent.
    Visit,
}

impl Channel {
    /// All of them.
    pub const ALL: [Channel; 3] = [Channel::Sms, Channel::Call, Channel::Visit];

    /// The word in tables.
    pub fn code(self) -> &'static str {
        match self {
            Channel::Sms => "sms",
            Channel::Call => "call",
            Channel::Visit => "visit",
        }
    }
}

/// One row of a table of replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its place: the file among those read, and the row in it from 1.
    pub place: (usize, u64),
    /// The membership.
    pub submission_id: String,
    /// What was answered.
    pub answer: Answer,
    /// How it was asked.
    pub channel: Channel,
    /// When, microseconds since 1970-01-01T00:00:00Z.
    pub at: Option<i64>,
    /// The number, ten digits, where the table has one.
    pub mobile: Option<String>,
    /// Whether the worker stood beside the member.
    pub in_person: Option<bool>,
    /// Whether the member was photographed in life, not from a picture.
    pub live: Option<bool>,
    /// Whether it was the member's first enrolment; enrolled again later is still the first.
    pub first_time: Option<bool>,
}

/// Why a reply is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It names no membership.
    IdMissing,
    /// No membership has this id.
    IdUnknown,
    /// The answer is none of the five, and no mapping names it.
    AnswerUnknown,
    /// The channel is none of the three.
    ChannelUnknown,
    /// The time cannot be read.
    TimeUnreadable,
    /// The time is more than a day ahead of now.
    TimeInFuture,
    /// The same reply stands in an earlier row.
    Repeated,
    /// Another reply by the same channel says the opposite: neither is used.
    Contradicting,
    /// It came from another number than the membership's.
    OtherMobile,
    /// It is older than the sample: the sample was drawn after the answer was known.
    BeforeSample,
    /// The membership was asked again in a second sample, which counts instead.
    AfterSecondSample,
}

impl Refusal {
    /// The word in tables.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::IdMissing => "id_missing",
            Refusal::IdUnknown => "id_unknown",
            Refusal::AnswerUnknown => "answer_unknown",
            Refusal::ChannelUnknown => "channel_unknown",
            Refusal::TimeUnreadable => "time_unreadable",
            Refusal::TimeInFuture => "time_in_future",
            Refusal::Repeated => "repeated",
            Refusal::Contradicting => "contradicting",
            Refusal::OtherMobile => "other_mobile",
            Refusal::BeforeSample => "before_sample",
            Refusal::AfterSecondSample => "after_second_sample",
        }
    }
}

/// A reply that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file.
    pub file: PathBuf,
    /// Its row, from 1, without the header.
    pub row: u64,
    /// The membership that it names.
    pub submission_id: Option<String>,
    /// Why.
    pub reason: Refusal,
    /// What was found.
    pub detail: String,
}
