//! What members answered: reasons of tonight's rows, and whose members deny more than their peers'.
//!
//! A reply may be about tonight's members or about those of earlier nights, whom the store names. Tonight's rows get a
//! reason; both count for their workers, booths and districts. A person's word by call or visit outweighs an SMS, which
//! whoever holds the phone answers.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use serde::Serialize;

use crate::Result;
use crate::config::Policy;
use crate::dump::facts::Mobile;
use crate::gallery::{Gallery, StoredAnswer};
use crate::infer::Analysis;
use crate::reason::{Reason, Verdict};
use crate::replies::{Answer, Channel, Refusal, Refused, Replies, Reply};
use crate::verdict::peers::{Judged, UnitRow, compare};
use crate::verdict::{Finding, write_table};

/// The reasons that come from replies.
pub const REASONS: [Reason; 2] = [Reason::MemberDenied, Reason::NumberUndelivered];

/// A membership that was asked.
#[derive(Debug, Clone)]
struct Asked {
    worker_id: Option<String>,
    booth_id: Option<String>,
    district: Option<String>,
    division: Option<String>,
    mobile: Option<String>,
    /// The row, of tonight's.
    row: Option<u64>,
}

/// What replies came to.
#[derive(Debug, Default)]
pub struct Answered {
    /// Of tonight's rows.
    pub findings: Vec<Finding>,
    /// Workers, booths and districts whose members deny or cannot be reached, among those who were asked.
    pub peers: Vec<UnitRow>,
    /// What the store is to keep.
    pub to_store: Vec<StoredAnswer>,
    /// For `run.json`.
    pub counts: ReplyCounts,
    /// Replies set aside.
    pub refused: Vec<Refused>,
}

/// Replies in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReplyCounts {
    /// Memberships with a reply that is used, by answer.
    pub used: BTreeMap<Answer, u64>,
    /// Of these, tonight's.
    pub tonight: u64,
    /// Replies set aside, by reason.
    pub refused: BTreeMap<&'static str, u64>,
}

/// Writes the replies that were set aside, one row each; no table where there were none.
///
/// # Errors
/// [`crate::Error::Io`] when the disk refuses.
pub fn write_refused(tables: &Path, refused: &[Refused]) -> Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let text = |get: &dyn Fn(&Refused) -> Option<String>| -> ArrayRef {
        Arc::new(refused.iter().map(get).collect::<StringArray>())
    };
    write_table(
        &tables.join("replies_refused.parquet"),
        vec![
            ("file", text(&|row| Some(row.file.display().to_string()))),
            ("row", Arc::new(refused.iter().map(|row| i64::try_from(row.row).ok()).collect::<Int64Array>())),
            ("submission_id", text(&|row| row.submission_id.clone())),
            ("reason", text(&|row| Some(row.reason.code().to_owned()))),
            ("detail", text(&|row| Some(row.detail.clone()))),
        ],
    )
}

/// Joins replies with tonight's rows and the members of earlier nights.
pub fn answered(
    replies: &Replies,
    stored: &[StoredAnswer],
    analyses: &[Analysis],
    earlier: &Gallery,
    policy: &Policy,
) -> Answered {
    let mut replies = replies.clone();
    let named = replies.replies.iter().map(|reply| &reply.submission_id);
    let asked = memberships(named.chain(stored.iter().map(|kept| &kept.submission_id)), analyses, earlier);
    replies.keep(&|reply: &Reply| {
        let Some(membership) = asked.get(&reply.submission_id) else {
            return Some((Refusal::IdUnknown, "neither tonight's nor in the store".to_owned()));
        };
        match (&reply.mobile, &membership.mobile) {
            (Some(from), Some(own)) if from != own => {
                Some((Refusal::OtherMobile, "from another number than the membership's".to_owned()))
            }
            _ => None,
        }
    });
    let mut answers = replies.settle();
    let mut answered = Answered { to_store: answers.values().map(to_store).collect(), ..Answered::default() };
    // What earlier nights brought stands where nothing newer was said.
    for kept in stored {
        answers.entry((kept.submission_id.clone(), kept.channel)).or_insert_with(|| from_store(kept));
    }
    let mut judged = Vec::new();
    let mut ids: Vec<&String> = asked.keys().collect();
    ids.sort_unstable();
    for id in ids {
        let by = |channel| answers.get(&(id.clone(), channel));
        let given: Vec<&Reply> = [Channel::Visit, Channel::Call, Channel::Sms].into_iter().filter_map(by).collect();
        let spoken = given.iter().find(|reply| reply.answer.is_answer());
        let Some(&reply) = spoken.or(given.first()) else { continue };
        let membership = &asked[id];
        *answered.counts.used.entry(reply.answer).or_default() += 1;
        answered.counts.tonight += u64::from(membership.row.is_some());
        let reasons: &'static [Reason] = match reply.answer {
            Answer::Denied => &[Reason::MemberDenied],
            Answer::Undelivered => &[Reason::NumberUndelivered],
            Answer::Confirmed | Answer::WrongData | Answer::Silent => &[],
        };
        if let (Some(row), Some(&reason)) = (membership.row, reasons.first()) {
            let note = format!("{} by {}", reply.answer.code(), reply.channel.code());
            answered.findings.push(Finding::new(row, reason).noted(note));
        }
        judged.push((membership, reasons));
    }
    let judged: Vec<Judged> = judged
        .iter()
        .map(|(membership, reasons)| Judged {
            worker_id: membership.worker_id.as_deref(),
            booth_id: membership.booth_id.as_deref(),
            district: membership.district.as_deref(),
            division: membership.division.as_deref(),
            verdict: Verdict::Accept,
            reasons,
        })
        .collect();
    let is_of_replies = |row: &UnitRow| row.reason.is_some_and(|reason| REASONS.contains(&reason));
    answered.peers = compare(&judged, &policy.verdicts, &policy.peers).into_iter().filter(is_of_replies).collect();
    answered.counts.refused = replies.refused_counts();
    answered.refused = replies.refused;
    answered
}

fn to_store(reply: &Reply) -> StoredAnswer {
    let Reply { submission_id, channel, answer, at, .. } = reply.clone();
    StoredAnswer { submission_id, channel, answer, at, commit: 0 }
}

fn from_store(kept: &StoredAnswer) -> Reply {
    let StoredAnswer { submission_id, channel, answer, at, .. } = kept.clone();
    let (place, mobile) = ((usize::MAX, 0), None);
    Reply { place, submission_id, answer, channel, at, mobile, in_person: None, live: None, first_time: None }
}

/// The memberships that replies name: tonight's first row of an id, else the store's.
fn memberships<'a>(
    named: impl Iterator<Item = &'a String>,
    analyses: &[Analysis],
    earlier: &Gallery,
) -> HashMap<String, Asked> {
    let mut asked: HashMap<String, Option<Asked>> = named.map(|id| (id.clone(), None)).collect();
    if asked.is_empty() {
        return HashMap::new();
    }
    let normal = |typed: &str| Mobile::parse(typed).map_or(typed.to_owned(), |mobile| mobile.as_str().to_owned());
    for Analysis { row, facts, .. } in analyses {
        let Some(slot) = facts.submission_id.as_ref().and_then(|id| asked.get_mut(id)) else { continue };
        slot.get_or_insert_with(|| Asked {
            worker_id: facts.worker_id.clone(),
            booth_id: facts.booth_id.clone(),
            district: facts.district.clone(),
            division: facts.division.clone(),
            mobile: facts.mobile.as_deref().map(normal),
            row: Some(*row),
        });
    }
    for (_, stored) in earlier.iter() {
        let Some(slot) = asked.get_mut(stored.submission_id) else { continue };
        slot.get_or_insert_with(|| Asked {
            worker_id: Some(stored.worker_id.to_owned()),
            booth_id: None,
            district: Some(stored.district.to_owned()),
            division: None,
            mobile: stored.mobile.map(normal),
            row: None,
        });
    }
    asked.into_iter().filter_map(|(id, membership)| Some((id, membership?))).collect()
}
