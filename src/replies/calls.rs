//! What callers wrote down at the review desk: a log that only grows, read as a table of replies is.
//!
//! Of each caller the last word about a member stands, and what was taken back does not. Two callers who say different
//! things are two replies: whoever reads them sets both aside. Mobile numbers are not in it; who had one shown is.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::reply::{Answer, Channel, Reply};
use crate::dump::regular;
use crate::journal::{self, Journal};
use crate::{Error, Result};

/// Version of the lines.
pub const VERSION: u32 = 1;

/// An open log of calls.
pub type CallLog = Journal<CallLedger>;

/// What came of a call or a visit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The membership.
    pub submission: String,
    /// What was answered.
    pub answer: Answer,
    /// A call, or a visit.
    pub channel: Channel,
    /// Whether the worker stood beside the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_person: Option<bool>,
    /// Whether the member was photographed in life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
    /// Whether it was the member's first enrolment; enrolled again later is still the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_time: Option<bool>,
    /// In the caller's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How long the member was on the screen, milliseconds, as the page says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_ms: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum CallEvent {
    /// A member was called; a later call of the same caller to the same member takes its place.
    Call(Call),
    /// A caller had a member's number shown.
    NumberShown {
        /// The membership.
        submission: String,
    },
    /// One's own call is taken back.
    Undo {
        /// The id of that entry.
        undoes: String,
    },
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallEntry {
    /// [`VERSION`].
    pub v: u32,
    /// Made up by who sends it, so that one call sent twice counts once.
    pub id: String,
    /// When, UTC, ISO 8601 with microseconds.
    pub at: String,
    /// Who.
    pub caller: String,
    /// SHA-256 of the list that was called from.
    pub list: String,
    /// What.
    #[serde(flatten)]
    pub event: CallEvent,
}

impl CallEntry {
    /// When, microseconds since 1970-01-01T00:00:00Z.
    pub fn instant(&self) -> Option<i64> {
        self.at.parse::<jiff::Timestamp>().ok().map(|at| at.as_microsecond())
    }

    /// The call, if it is one.
    pub fn call(&self) -> Option<&Call> {
        match &self.event {
            CallEvent::Call(call) => Some(call),
            CallEvent::NumberShown { .. } | CallEvent::Undo { .. } => None,
        }
    }
}

/// The lines together, and what stands of them.
#[derive(Debug, Default, Clone)]
pub struct CallLedger {
    entries: Vec<CallEntry>,
    known: HashSet<String>,
    undone: HashSet<String>,
    by_member: HashMap<String, Vec<usize>>,
}

impl CallLedger {
    /// All lines, oldest first.
    pub fn entries(&self) -> &[CallEntry] {
        &self.entries
    }

    /// The calls to a member that were not taken back, oldest first.
    pub fn calls<'a>(&'a self, submission: &str) -> impl DoubleEndedIterator<Item = (&'a CallEntry, &'a Call)> {
        let of_member = self.by_member.get(submission).map_or(&[][..], |of_member| of_member);
        let entries = of_member.iter().map(|&at| &self.entries[at]);
        entries.filter(|entry| !self.undone.contains(&entry.id)).filter_map(|entry| Some((entry, entry.call()?)))
    }

    /// What each caller says of a member now, in the order of saying it.
    pub fn standing<'a>(&'a self, submission: &str) -> Vec<(&'a CallEntry, &'a Call)> {
        let mut standing: Vec<(&CallEntry, &Call)> = Vec::new();
        for (entry, call) in self.calls(submission) {
            standing.retain(|(other, said)| other.caller != entry.caller || said.channel != call.channel);
            standing.push((entry, call));
        }
        standing
    }

    /// A caller's last call from a list that still stands.
    pub fn last_of(&self, caller: &str, list: &str) -> Option<(&CallEntry, &Call)> {
        let own = |entry: &&CallEntry| entry.caller == caller && entry.list == list && !self.undone.contains(&entry.id);
        self.entries.iter().rev().filter(own).find_map(|entry| Some((entry, entry.call()?)))
    }

    /// Every answer that stands, as a row of a table of replies; a row is the number of its line.
    pub fn replies(&self, file: usize) -> Vec<Reply> {
        let mut replies: Vec<Reply> = Vec::new();
        for submission in self.by_member.keys() {
            let line_of = |id: &str| self.entries.iter().position(|entry| entry.id == id).map_or(0, |at| at as u64 + 1);
            replies.extend(self.standing(submission).into_iter().map(|(entry, call)| Reply {
                place: (file, line_of(&entry.id)),
                submission_id: call.submission.clone(),
                answer: call.answer,
                channel: call.channel,
                at: entry.instant(),
                mobile: None,
                in_person: call.in_person,
                live: call.live,
                first_time: call.first_time,
            }));
        }
        replies.sort_by_key(|reply| reply.place);
        replies
    }
}

impl journal::Ledger for CallLedger {
    type Entry = CallEntry;
    const FLAG: &'static str = "--call-log";
    const LINE: &'static str = "a call";
    const VERSIONS: std::ops::RangeInclusive<u32> = VERSION..=VERSION;

    fn version(entry: &CallEntry) -> u32 {
        entry.v
    }

    fn id(entry: &CallEntry) -> &str {
        &entry.id
    }

    fn add(&mut self, entry: CallEntry) {
        if !self.known.insert(entry.id.clone()) {
            return;
        }
        match &entry.event {
            CallEvent::Call(call) => {
                self.by_member.entry(call.submission.clone()).or_default().push(self.entries.len());
            }
            // Nobody takes back what another wrote.
            CallEvent::Undo { undoes } => {
                if self.entries.iter().any(|e| e.id == *undoes && e.caller == entry.caller) {
                    self.undone.insert(undoes.clone());
                }
            }
            CallEvent::NumberShown { .. } => {}
        }
        self.entries.push(entry);
    }

    fn knows(&self, id: &str) -> bool {
        self.known.contains(id)
    }
}

/// Whether a file among tables of replies is a log of calls, by its name.
pub fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "jsonl")
}

/// Reads a log, and leaves it as it is: somebody may be at work.
///
/// # Errors
/// [`Error::Input`] when it cannot be read, or a line of it is damaged.
pub fn read(path: &Path) -> Result<CallLedger> {
    regular(path)?;
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let (entries, whole) = journal::parse::<CallLedger>(path, &bytes, 1)?;
    if whole < bytes.len() {
        log::warn!("{}: the last line was never finished and does not count (byte {whole})", path.display());
    }
    let mut ledger = CallLedger::default();
    entries.into_iter().for_each(|entry| journal::Ledger::add(&mut ledger, entry));
    Ok(ledger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replies::{Refusal, Replies, ReplyNames};

    fn said(id: &str, caller: &str, submission: &str, answer: Answer) -> CallEntry {
        let call = Call {
            submission: submission.into(),
            answer,
            channel: Channel::Call,
            in_person: Some(true),
            live: None,
            first_time: Some(false),
            note: None,
            looked_ms: Some(4000),
        };
        CallEntry {
            v: VERSION,
            id: id.into(),
            at: format!("2026-11-22T10:00:0{id}.000000Z"),
            caller: caller.into(),
            list: "l".into(),
            event: CallEvent::Call(call),
        }
    }

    fn undo(id: &str, caller: &str, undoes: &str) -> CallEntry {
        CallEntry { event: CallEvent::Undo { undoes: undoes.into() }, ..said(id, caller, "", Answer::Silent) }
    }

    #[test]
    fn a_log_is_read_as_a_table_of_replies() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("calls.jsonl");
        let mut log = CallLog::open(&path).unwrap();
        let shown = CallEvent::NumberShown { submission: "S9".into() };
        for entry in [
            said("1", "asha", "S1", Answer::Silent),
            said("2", "asha", "S1", Answer::Confirmed),
            said("3", "asha", "S2", Answer::Denied),
            undo("4", "ravi", "3"),
            said("5", "asha", "S3", Answer::Denied),
            undo("6", "asha", "5"),
            said("7", "asha", "S4", Answer::Confirmed),
            said("8", "ravi", "S4", Answer::Denied),
            CallEntry { event: shown, ..said("9", "asha", "", Answer::Silent) },
        ] {
            log.append(entry).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        // The last line was never finished.
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let now = 1_800_000_000_000_000;
        let mut replies = Replies::read(std::slice::from_ref(&path), &ReplyNames::default(), now).unwrap();
        assert_eq!(replies.replies.iter().map(|reply| reply.place.1).collect::<Vec<_>>(), [2, 3, 7, 8]);
        let answers = replies.settle();
        let of = |id: &str| answers.get(&(id.to_owned(), Channel::Call)).map(|reply| reply.answer);
        assert_eq!([of("S1"), of("S2"), of("S3")], [Some(Answer::Confirmed), Some(Answer::Denied), None]);
        assert_eq!(of("S4"), None, "two callers who say the opposite");
        assert!(replies.refused.iter().all(|row| row.reason == Refusal::Contradicting && row.file == path));
        assert_eq!(answers[&("S1".to_owned(), Channel::Call)].first_time, Some(false));
        // A line that was changed ends it.
        std::fs::write(&path, String::from_utf8(whole).unwrap().replacen("denied", "silent", 1)).unwrap();
        let error = Replies::read(&[path], &ReplyNames::default(), now).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("a call as the review desk writes it"), "{error}");
    }
}
