//! What members answered: tables of replies by SMS, call or visit -> one answer for each membership and channel.
//!
//! A gateway or a call centre writes a table in its own words; names of columns and of answers can be mapped. A reply that
//! cannot be used stays a row with its reason ([`Refused`]). Two replies that contradict each other are both set aside,
//! for neither is known to be the right one; a later answer takes the place of silence. What the answers mean is for
//! [`crate::audit`] and [`crate::followup`] to say. The log of calls that a desk keeps ([`calls`]) is read as a table is.

pub mod calls;
mod names;
mod reply;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::dump::facts::Mobile;
use crate::dump::times::Clock;
use crate::dump::{parse_flag, read_texts};

pub use names::{COLUMNS, ReplyNames};
pub use reply::{Answer, Channel, Refusal, Refused, Reply};

/// Replies read from tables, and those that cannot be used.
#[derive(Debug, Clone, Default)]
pub struct Replies {
    /// The files, in the order read.
    pub files: Vec<PathBuf>,
    /// In the order read.
    pub replies: Vec<Reply>,
    /// What cannot be used.
    pub refused: Vec<Refused>,
    /// Rows without an answer: a list that is not filled in yet.
    pub blank: u64,
}

/// The answers that stand, by membership and channel.
pub type Answers = HashMap<(String, Channel), Reply>;

impl Replies {
    /// Reads tables, and logs of calls (`*.jsonl`). `now` is the time of reading, microseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no table of replies.
    pub fn read(files: &[PathBuf], names: &ReplyNames, now: i64) -> Result<Replies> {
        let mut all = Replies { files: files.to_vec(), ..Replies::default() };
        for (file, path) in files.iter().enumerate() {
            if calls::is_log(path) {
                all.take_calls(file, path, now)?;
                continue;
            }
            let rows = read_texts(path, &names.columns())?;
            let clock = clock_of(&rows, &names.clock);
            for (row, cells) in (1u64..).zip(rows) {
                if cells.get(1).is_some_and(Option::is_none) {
                    all.blank += 1;
                    continue;
                }
                match parse(&cells, (file, row), names, &clock, now) {
                    Ok(reply) => all.replies.push(reply),
                    Err((reason, detail)) => {
                        let submission_id = cells[0].clone();
                        all.refused.push(Refused { file: path.clone(), row, submission_id, reason, detail });
                    }
                }
            }
        }
        Ok(all)
    }

    /// What a log of calls has: of each caller the last word about a member.
    fn take_calls(&mut self, file: usize, path: &Path, now: i64) -> Result<()> {
        for reply in calls::read(path)?.replies(file) {
            match reply.at.is_some_and(|at| is_in_future(at, now)) {
                true => self.refuse(&reply, Refusal::TimeInFuture, "the clock of the desk was wrong"),
                false => self.replies.push(reply),
            }
        }
        Ok(())
    }

    /// Sets a reply aside.
    pub fn refuse(&mut self, reply: &Reply, reason: Refusal, detail: impl Into<String>) {
        let (file, row) = reply.place;
        let file = self.files.get(file).map_or_else(PathBuf::new, Clone::clone);
        let submission_id = Some(reply.submission_id.clone());
        self.refused.push(Refused { file, row, submission_id, reason, detail: detail.into() });
    }

    /// Keeps the replies for which `check` finds nothing to say.
    pub fn keep(&mut self, check: &dyn Fn(&Reply) -> Option<(Refusal, String)>) {
        for reply in std::mem::take(&mut self.replies) {
            match check(&reply) {
                None => self.replies.push(reply),
                Some((reason, detail)) => self.refuse(&reply, reason, detail),
            }
        }
    }

    /// The answers that stand: by channel the last that was given, a spoken one before silence. Repeated and contradicting
    /// ones are set aside.
    pub fn settle(&mut self) -> Answers {
        let mut groups: BTreeMap<(String, Channel), Vec<Reply>> = BTreeMap::new();
        for reply in std::mem::take(&mut self.replies) {
            groups.entry((reply.submission_id.clone(), reply.channel)).or_default().push(reply);
        }
        let mut answers = Answers::new();
        for (key, mut group) in groups {
            group.sort_by_key(|reply| (reply.at, reply.place));
            let mut distinct: Vec<Reply> = Vec::new();
            for reply in group {
                match distinct.iter().find(|d| d.answer == reply.answer && d.at == reply.at) {
                    Some(first) => {
                        let detail = format!("as in row {}", first.place.1);
                        self.refuse(&reply, Refusal::Repeated, detail);
                    }
                    None => distinct.push(reply),
                }
            }
            let said = |real: bool| distinct.iter().any(|reply| reply.answer.is_real() == Some(real));
            if said(true) && said(false) {
                for reply in distinct.iter().filter(|reply| reply.answer.is_answer()) {
                    let detail = format!("{} here, another answer elsewhere", reply.answer.code());
                    self.refuse(reply, Refusal::Contradicting, detail);
                }
                continue;
            }
            let spoken = distinct.iter().rposition(|reply| reply.answer.is_answer());
            if let Some(last) = spoken.or(distinct.len().checked_sub(1)) {
                answers.insert(key, distinct.swap_remove(last));
            }
        }
        answers
    }

    /// Refused replies by reason.
    pub fn refused_counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        self.refused.iter().for_each(|refused| *counts.entry(refused.reason.code()).or_default() += 1);
        counts
    }
}

/// The clock of a table: where its times tell whether the day or the month comes first, by that order.
fn clock_of(rows: &[Vec<Option<String>>], names: &Clock) -> Clock {
    let mut orders = rows.iter().filter_map(|cells| names.read(cells.get(2)?.as_deref()?)?.order);
    let first = orders.next();
    let mut clock = names.clone();
    clock.order = first.filter(|first| orders.all(|order| order == *first));
    clock
}

/// A day in microseconds: clocks of gateways differ, and zones are forgotten.
const DAY: i64 = 86_400_000_000;

fn is_in_future(at: i64, now: i64) -> bool {
    at > now.saturating_add(DAY)
}

fn parse(
    cells: &[Option<String>],
    place: (usize, u64),
    names: &ReplyNames,
    clock: &Clock,
    now: i64,
) -> std::result::Result<Reply, (Refusal, String)> {
    let cell = |at: usize| cells.get(at).and_then(Option::as_deref);
    let Some(submission_id) = cell(0) else { return Err((Refusal::IdMissing, "a blank id".into())) };
    let word = cell(1).unwrap_or_default();
    let answer = names.answer(word).ok_or_else(|| (Refusal::AnswerUnknown, format!("`{word}`")))?;
    let at = match cell(2) {
        None => None,
        Some(text) => match clock.parse(text) {
            None => {
                return Err((
                    Refusal::TimeUnreadable,
                    format!("`{text}`; 2026-11-21T10:00:00+05:30 can be read in one way only"),
                ));
            }
            Some(at) if is_in_future(at, now) => return Err((Refusal::TimeInFuture, text.to_owned())),
            at => at,
        },
    };
    let channel = match cell(3) {
        None => names.channel.unwrap_or(Channel::Sms),
        Some(word) => Channel::ALL
            .into_iter()
            .find(|channel| channel.code() == word.to_lowercase())
            .ok_or_else(|| (Refusal::ChannelUnknown, format!("`{word}`; sms, call or visit expected")))?,
    };
    let flag = |at: usize| cell(at).and_then(parse_flag);
    Ok(Reply {
        place,
        submission_id: submission_id.to_owned(),
        answer,
        channel,
        at,
        // What is no number at all is another number, too.
        mobile: cell(4).map(|typed| Mobile::parse(typed).map_or(typed.to_owned(), |m| m.as_str().to_owned())),
        in_person: flag(5),
        live: flag(6),
        first_time: flag(7),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, names: &ReplyNames) -> Replies {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("replies.csv");
        std::fs::write(&path, text).unwrap();
        Replies::read(&[path], names, 1_800_000_000_000_000).unwrap()
    }

    #[test]
    fn every_bad_reply_is_a_row_with_its_reason() {
        let mut replies = read(
            "submission_id,answer,at,channel\n\
             S1,confirmed,2026-11-20T10:00:00Z,\n,denied,,\nS2,perhaps,,\nS3,Denied,2099-01-01,\nS4,denied,yesterday,\n\
             S5,denied,,letter\nS6,silent,2026-11-20,\nS6,confirmed,2026-11-21,\nS7,confirmed,,\nS7,denied,,\n\
             S8,denied,,call\nS8,denied,,call\nS9,,,\nS1,wrong data,2026-11-22,\n",
            &ReplyNames::default(),
        );
        let answers = replies.settle();
        let said = |id: &str, channel| answers.get(&(id.to_owned(), channel)).map(|reply| reply.answer);
        assert_eq!(said("S1", Channel::Sms), Some(Answer::WrongData), "the last that was said");
        assert_eq!(said("S6", Channel::Sms), Some(Answer::Confirmed), "an answer takes the place of silence");
        assert_eq!(said("S7", Channel::Sms), None, "neither of two that contradict");
        assert_eq!(said("S8", Channel::Call), Some(Answer::Denied));
        assert_eq!(replies.blank, 1);
        let counts: Vec<(&str, u64)> = replies.refused_counts().into_iter().collect();
        let expected = [
            ("answer_unknown", 1),
            ("channel_unknown", 1),
            ("contradicting", 2),
            ("id_missing", 1),
            ("repeated", 1),
            ("time_in_future", 1),
            ("time_unreadable", 1),
        ];
        assert_eq!(counts, expected);
        assert_eq!(replies.refused[0].row, 2);
    }

    #[test]
    fn times_are_read_as_the_table_tells() {
        let names = ReplyNames::default();
        let at = |text: &str| read(text, &names).replies.iter().map(|reply| reply.at).collect::<Vec<_>>();
        let [day, month] = [1_793_836_800_000_000, 1_778_284_800_000_000];
        let table = |rows: &str| format!("submission_id,answer,at\n{rows}");
        assert_eq!(at(&table("a,denied,05/11/2026\nb,denied,20/11/2026\n"))[0], Some(day));
        assert_eq!(at(&table("a,denied,05/09/2026\nb,denied,11/20/2026\n"))[0], Some(month));
        let unclear = read(&table("a,denied,05/11/2026\n"), &names);
        assert_eq!(unclear.refused_counts()["time_unreadable"], 1, "nothing tells May from November");
    }

    #[test]
    fn other_words_are_mapped() {
        let columns = ["submission_id=MSGID".to_owned(), "answer=STATUS".to_owned()];
        let answers = ["UNDELIV=undelivered".to_owned(), "2=denied".to_owned()];
        let names = ReplyNames::parse(&columns, &answers).unwrap();
        let replies = read("MSGID,STATUS\nS1,undeliv\nS2,2\n", &names);
        assert_eq!(replies.replies.iter().map(|r| r.answer).collect::<Vec<_>>(), [Answer::Undelivered, Answer::Denied]);
        for (columns, answers) in [(vec!["id=X"], vec![]), (vec![], vec!["x=maybe"]), (vec!["answer"], vec![])] {
            let own = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect::<Vec<_>>();
            assert!(ReplyNames::parse(&own(columns), &own(answers)).is_err());
        }
    }
}
