//! What tables of replies call their columns and answers.

use std::collections::BTreeMap;

use super::reply::{Answer, Channel};
use crate::dump::TextColumn;
use crate::dump::times::Clock;
use crate::{Error, Result};

/// What tables of replies call things.
#[derive(Debug, Clone, Default)]
pub struct ReplyNames {
    /// The table's name of a column, by ours (see [`COLUMNS`]); what is not named has our name.
    pub columns: BTreeMap<String, String>,
    /// Our answer, by the table's word in lower case.
    pub answers: BTreeMap<String, Answer>,
    /// The channel of rows that name none.
    pub channel: Option<Channel>,
    /// The zone of times that have none.
    pub clock: Clock,
}

/// The columns of a table of replies: `submission_id` and `answer` are required.
pub const COLUMNS: [&str; 8] =
    ["submission_id", "answer", "at", "channel", "mobile", "in_person", "live", "first_time"];

impl ReplyNames {
    /// From pairs as typed, `submission_id=MSGID` and `YES=confirmed`.
    ///
    /// # Errors
    /// [`Error::Usage`] naming a pair that cannot be meant.
    pub fn parse(columns: &[String], answers: &[String]) -> Result<ReplyNames> {
        let split = |flag: &str, pair: &String| {
            let (left, right) = pair.split_once('=').unwrap_or((pair, ""));
            match left.is_empty() || right.is_empty() {
                true => Err(Error::usage(flag, format!("`{pair}` is no pair"), "write name=name")),
                false => Ok((left.trim().to_owned(), right.trim().to_owned())),
            }
        };
        let mut names = ReplyNames::default();
        for pair in columns {
            let (ours, theirs) = split("--reply-columns", pair)?;
            if !COLUMNS.contains(&ours.as_str()) {
                let fix = format!("name one of {}", COLUMNS.join(", "));
                return Err(Error::usage("--reply-columns", format!("`{ours}` is no column of replies"), fix));
            }
            names.columns.insert(ours, theirs);
        }
        for pair in answers {
            let (theirs, ours) = split("--answers", pair)?;
            let Some(answer) = Answer::ALL.into_iter().find(|answer| answer.code() == ours) else {
                let fix = "write WORD=confirmed, denied, wrong_data, undelivered or silent";
                return Err(Error::usage("--answers", format!("`{ours}` is no answer"), fix));
            };
            names.answers.insert(theirs.to_lowercase(), answer);
        }
        Ok(names)
    }

    /// The columns to read, in the order of [`COLUMNS`].
    pub(super) fn columns(&self) -> Vec<TextColumn> {
        let column = |(at, ours): (usize, &&str)| TextColumn {
            name: self.columns.get(*ours).cloned().unwrap_or_else(|| (*ours).to_owned()),
            required: at < 2,
        };
        COLUMNS.iter().enumerate().map(column).collect()
    }

    /// The answer that a word of a table means.
    pub(super) fn answer(&self, word: &str) -> Option<Answer> {
        let word = word.to_lowercase();
        let own = || Answer::ALL.into_iter().find(|answer| answer.code() == word.replace([' ', '-'], "_"));
        self.answers.get(&word).copied().or_else(own)
    }
}
