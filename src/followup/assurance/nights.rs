//! Samples with their second samples, the replies that fit them, and what an answer comes to.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::super::sample::{FrameRow, ListRow, Sample, end_of};
use crate::assurance::promise::Outcome;
use crate::replies::{Answers, Channel, Refusal, Replies, Reply, ReplyNames};
use crate::{Error, Result};

/// A sample with its second sample.
pub struct Night {
    pub first: Sample,
    pub second: Option<Sample>,
}

/// Reads samples, each second one put to its first.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Night>> {
    let mut nights: Vec<Night> = Vec::new();
    let mut seconds = Vec::new();
    for path in paths {
        let sample = Sample::read(path)?;
        match sample.record.second {
            Some(_) => seconds.push(sample),
            None => nights.push(Night { first: sample, second: None }),
        }
    }
    for second in seconds {
        let list = second.record.second.as_ref().map(|of| of.list_sha256.clone()).unwrap_or_default();
        let named = second.path.display().to_string();
        match nights.iter_mut().find(|night| night.first.record.list_sha256 == list) {
            Some(night) if night.second.is_none() => night.second = Some(second),
            Some(_) => {
                return Err(Error::usage(
                    "SAMPLE",
                    format!("{named} is another second sample of one list"),
                    "name one",
                ));
            }
            None => {
                let problem = format!("{named} is a second sample, and the first one is not named");
                return Err(Error::usage("SAMPLE", problem, "name the first one, too"));
            }
        }
    }
    // A membership belongs to one population.
    let mut seen: HashMap<&str, &Path> = HashMap::new();
    for night in &nights {
        for row in &night.first.frame {
            if let Some(other) = seen.insert(&row.submission_id, &night.first.path) {
                let problem =
                    format!("{} and {} both have {}", other.display(), night.first.path.display(), row.submission_id);
                return Err(Error::usage("SAMPLE", problem, "name one sample for each night"));
            }
        }
    }
    Ok(nights)
}

/// Sets aside the replies that do not fit the samples.
pub fn check(replies: &mut Replies, nights: &[Night]) {
    struct Known<'a> {
        row: &'a FrameRow,
        drawn_at: i64,
        is_on_list: bool,
        asked_again_at: Option<i64>,
    }
    let mut known: HashMap<&str, Known> = HashMap::new();
    for Night { first, second } in nights {
        let listed: HashSet<&str> = first.list.iter().map(|row| row.submission_id.as_str()).collect();
        for row in &first.frame {
            let (id, drawn_at) = (row.submission_id.as_str(), first.record.drawn_at);
            known.insert(id, Known { row, drawn_at, is_on_list: listed.contains(id), asked_again_at: None });
        }
        for row in second.iter().flat_map(|second| &second.frame) {
            if let (Some(known), Some(second)) = (known.get_mut(row.submission_id.as_str()), second) {
                known.asked_again_at = Some(second.record.drawn_at);
            }
        }
    }
    replies.keep(&|reply: &Reply| {
        let Some(known) = known.get(reply.submission_id.as_str()) else {
            return Some((Refusal::IdUnknown, "in no sample's frame".to_owned()));
        };
        if let (Some(mobile), Some(end)) = (&reply.mobile, &known.row.mobile_end)
            && end_of(mobile) != *end
        {
            return Some((Refusal::OtherMobile, format!("ends with {}, the member's with {end}", end_of(mobile))));
        }
        let by_person = reply.channel != Channel::Sms && known.is_on_list;
        if by_person && reply.at.is_some_and(|at| at < known.drawn_at) {
            return Some((Refusal::BeforeSample, "older than the list".to_owned()));
        }
        let asked_again = known.asked_again_at.filter(|_| reply.channel == Channel::Call);
        if asked_again.is_some_and(|since| reply.at.is_some_and(|at| at > since)) {
            return Some((Refusal::AfterSecondSample, "write what the second sample brings as a visit".to_owned()));
        }
        None
    });
}

/// What calls and visits came to for a member of the first list, and whom the answer is from.
pub fn answer_of<'a>(answers: &'a Answers, submission: &str) -> Option<&'a Reply> {
    let by = |channel| answers.get(&(submission.to_owned(), channel));
    let (visit, call) = (by(Channel::Visit), by(Channel::Call));
    visit.filter(|reply| reply.answer.is_answer()).or(call).or(visit)
}

/// What a reply comes to.
pub fn outcome(reply: Option<&Reply>) -> Outcome {
    match reply.map(|reply| reply.answer.is_real()) {
        None => Outcome::Pending,
        Some(None) => Outcome::Silent,
        Some(Some(true)) => Outcome::Real,
        Some(Some(false)) => Outcome::NotReal,
    }
}

/// Members of a first sample that were called and did not answer.
///
/// # Errors
/// [`Error::Input`] for a table that is none.
pub fn silent_members(first: &Sample, responses: &[PathBuf], names: &ReplyNames, now: i64) -> Result<HashSet<String>> {
    let mut replies = Replies::read(responses, names, now)?;
    let nights = [Night { first: first.clone(), second: None }];
    check(&mut replies, &nights);
    let answers = replies.settle();
    let is_silent = |row: &&ListRow| outcome(answer_of(&answers, &row.submission_id)) == Outcome::Silent;
    Ok(first.list.iter().filter(is_silent).map(|row| row.submission_id.clone()).collect())
}
