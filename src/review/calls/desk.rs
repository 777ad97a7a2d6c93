//! What each caller is shown, and what becomes of an answer.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::super::nights::{Missing, Nights};
use super::super::pictures::{Place, Recent, Shown};
use super::super::request::{self, Refusal, TakenBack, lock};
use super::super::views::{instant, masked};
use super::list::{CallList, Listed};
use super::views::{CallItem, CallState, CallView, Number};
use crate::Result;
use crate::dump::facts::Mobile;
use crate::journal::{Receipt, Torn};
use crate::replies::calls::{Call, CallEntry, CallEvent, CallLedger, CallLog, VERSION};
use crate::replies::{Answer, Channel};

/// So long a member whom somebody has on the screen is not offered to another: a call with all questions.
const HELD: Duration = Duration::from_secs(600);

/// Calls that nobody answers, until silence is the answer.
const TRIES: usize = 3;

/// From one try to the next, microseconds.
const BETWEEN_TRIES: i64 = 3_600_000_000;

/// The queue of calls, open.
#[derive(Debug)]
pub struct Calls {
    run_id: String,
    list_sha256: String,
    channel: Channel,
    members: Vec<Listed>,
    ids: Vec<String>,
    elsewhere: usize,
    reviewer: Option<String>,
    nights: Arc<Nights>,
    log: Mutex<CallLog>,
    shown: Recent<usize>,
    held: Mutex<HashMap<usize, (String, Instant)>>,
}

/// An answer as the page sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenCall {
    /// Who called.
    pub reviewer: String,
    /// Made up by the page: one answer sent twice counts once.
    pub nonce: String,
    /// Whom.
    pub item: String,
    /// What came of it.
    pub answer: Answer,
    /// Whether the worker stood beside the member.
    #[serde(default)]
    pub in_person: Option<bool>,
    /// Whether the picture was taken in life.
    #[serde(default)]
    pub live: Option<bool>,
    /// Whether it is the first enrolment.
    #[serde(default)]
    pub first_time: Option<bool>,
    /// In words.
    #[serde(default)]
    pub note: Option<String>,
    /// How long it was on the screen, milliseconds.
    #[serde(default)]
    pub looked_ms: Option<u64>,
}

/// A request for a member's number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Who asks.
    pub reviewer: String,
    /// Made up by the page.
    pub nonce: String,
    /// Whose.
    pub item: String,
}

impl Calls {
    /// Opens the log for the members of a list who are in this run.
    ///
    /// # Errors
    /// As [`CallLog::open`].
    pub fn open(
        list: &CallList,
        log: &Path,
        run_id: &str,
        nights: Arc<Nights>,
        reviewer: Option<String>,
    ) -> Result<Calls> {
        let members: Vec<Listed> = list.members.iter().filter(|member| member.run_id == run_id).cloned().collect();
        Ok(Calls {
            run_id: run_id.to_owned(),
            list_sha256: list.sha256.clone(),
            channel: list.channel,
            ids: members.iter().map(|member| id(&list.sha256, &member.submission)).collect(),
            elsewhere: list.members.len() - members.len(),
            members,
            reviewer,
            nights,
            log: Mutex::new(CallLog::open(log)?),
            shown: Recent::default(),
            held: Mutex::default(),
        })
    }

    /// Members to call, and members of the list who are in other runs.
    pub fn size(&self) -> (usize, usize) {
        (self.members.len(), self.elsewhere)
    }

    /// Lines of the log that were never finished, for a word to whoever starts the desk.
    pub fn torn(&self) -> Vec<Torn> {
        lock(&self.log).torn().to_vec()
    }

    /// A caller's list.
    pub fn state(&self, caller: &str) -> std::result::Result<CallState, Refusal> {
        let caller = self.name(caller)?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        Ok(self.state_of(&log, &caller, None))
    }

    /// Writes an answer down. What comes back was made after the disk had it.
    pub fn answer(&self, given: &GivenCall) -> std::result::Result<(CallState, Receipt), Refusal> {
        let caller = self.name(&given.reviewer)?;
        let at = self.at(&given.item)?;
        // Where nobody spoke, nobody said anything of worker, picture or enrolments.
        let said = |told: Option<bool>| told.filter(|_| given.answer.is_answer());
        let call = Call {
            submission: self.members[at].submission.clone(),
            answer: given.answer,
            channel: self.channel,
            in_person: said(given.in_person),
            live: said(given.live),
            first_time: said(given.first_time),
            note: request::note(given.note.as_deref())?,
            looked_ms: given.looked_ms,
        };
        let entry = self.entry(&caller, &given.nonce, CallEvent::Call(call))?;
        let mut log = lock(&self.log);
        let receipt = log.append(entry).map_err(Refusal::Log)?;
        lock(&self.held).remove(&at);
        Ok((self.state_of(&log, &caller, Some(given.item.clone())), receipt))
    }

    /// Takes back a caller's last answer that stands.
    pub fn undo(&self, given: &TakenBack) -> std::result::Result<(CallState, Receipt), Refusal> {
        let caller = self.name(&given.reviewer)?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        let last = log.ledger().last_of(&caller, &self.list_sha256);
        let (undoes, changed) = match last {
            // Asked again because the first answer was lost: the log will say that it has it.
            _ if crate::journal::Ledger::knows(log.ledger(), &given.nonce) => (String::new(), None),
            Some((entry, call)) => (entry.id.clone(), Some(id(&self.list_sha256, &call.submission))),
            None => return Err(Refusal::Nothing),
        };
        let entry = self.entry(&caller, &given.nonce, CallEvent::Undo { undoes })?;
        let receipt = log.append(entry).map_err(Refusal::Log)?;
        Ok((self.state_of(&log, &caller, changed), receipt))
    }

    /// One member in full. Whoever asks holds it for a while.
    pub fn view(&self, caller: &str, item: &str) -> std::result::Result<CallView, Refusal> {
        let caller = self.name(caller)?;
        let at = self.at(item)?;
        lock(&self.held).insert(at, (caller, Instant::now()));
        let member = &self.members[at];
        let facts = self.nights.find_own(&member.submission).map(|found| found.submission.facts).unwrap_or_default();
        let shown = self.shown(at);
        Ok(CallView {
            id: item.to_owned(),
            submission: member.submission.clone(),
            district: member.district.clone(),
            worker: facts.worker_id,
            captured_at: facts.captured_at.map(instant),
            member_name: facts.member_name,
            booth_id: facts.booth_id,
            mobile: facts.mobile.as_deref().map(masked),
            epic: facts.epic.as_deref().map(masked),
            has_face: shown.as_ref().is_ok_and(|shown| shown.face.is_some()),
            // What the audit took each face for, and how live, is not for callers.
            picture: shown.as_ref().ok().map(|shown| Place { faces: Vec::new(), ..shown.place.clone() }),
            missing: shown.err(),
        })
    }

    /// A member's number. That it was shown, and to whom, is on the disk before it is.
    pub fn number(&self, wanted: &Wanted) -> std::result::Result<(Number, Receipt), Refusal> {
        let caller = self.name(&wanted.reviewer)?;
        let submission = &self.members[self.at(&wanted.item)?].submission;
        let found = self.nights.find_own(submission).map_err(|_| Refusal::Unknown)?;
        let typed = found.submission.facts.mobile;
        let number = typed.map(|typed| match Mobile::parse(&typed) {
            Ok(mobile) => mobile.as_str().to_owned(),
            Err(_) => typed.trim().to_owned(),
        });
        let event = CallEvent::NumberShown { submission: submission.clone() };
        let entry = self.entry(&caller, &wanted.nonce, event)?;
        let receipt = lock(&self.log).append(entry).map_err(Refusal::Log)?;
        Ok((Number { number }, receipt))
    }

    /// The JPEG of a member: the cut-out face, or the whole selfie.
    pub fn picture(&self, item: &str, whole: bool) -> std::result::Result<Vec<u8>, Refusal> {
        let shown = self.shown(self.at(item)?).map_err(|_| Refusal::Unknown)?;
        match whole {
            true => Ok(shown.whole.clone()),
            false => shown.face.clone().ok_or(Refusal::Unknown),
        }
    }

    fn shown(&self, at: usize) -> std::result::Result<Arc<Shown>, Missing> {
        self.shown.get(&at, || self.nights.find_own(&self.members[at].submission)?.show("member"))
    }

    fn at(&self, item: &str) -> std::result::Result<usize, Refusal> {
        self.ids.iter().position(|id| id == item).ok_or(Refusal::Unknown)
    }

    fn state_of(&self, log: &CallLog, caller: &str, changed: Option<String>) -> CallState {
        let now = jiff::Timestamp::now().as_microsecond();
        let items: Vec<CallItem> = (0..self.members.len()).map(|at| self.item(log.ledger(), caller, at, now)).collect();
        let left = items.iter().filter(|item| item.open).count();
        CallState {
            run: self.run_id.clone(),
            reviewer: caller.to_owned(),
            channel: self.channel,
            total: items.len(),
            done: items.len() - left,
            left,
            mine: items.iter().filter(|item| item.mine.is_some()).count(),
            later: items.iter().filter(|item| item.again_at.is_some()).count(),
            elsewhere: self.elsewhere,
            torn: log.torn().len(),
            changed,
            items,
        }
    }

    fn item(&self, ledger: &CallLedger, caller: &str, at: usize, now: i64) -> CallItem {
        let submission = &self.members[at].submission;
        let standing: Vec<(&CallEntry, &Call)> =
            ledger.standing(submission).into_iter().filter(|(_, call)| call.channel == self.channel).collect();
        let mine = standing.iter().find(|(entry, _)| entry.caller == caller).map(|(_, call)| *call);
        let others = standing.iter().filter(|(entry, _)| entry.caller != caller);
        let silent: Vec<i64> = ledger
            .calls(submission)
            .filter(|(_, call)| call.channel == self.channel && call.answer == Answer::Silent)
            .filter_map(|(entry, _)| entry.instant())
            .collect();
        let is_silent = !standing.is_empty() && standing.iter().all(|(_, call)| call.answer == Answer::Silent);
        let next_try = silent.iter().max().filter(|_| is_silent && silent.len() < TRIES).map(|at| at + BETWEEN_TRIES);
        let held = lock(&self.held).get(&at).is_some_and(|(who, since)| who != caller && since.elapsed() < HELD);
        CallItem {
            id: self.ids[at].clone(),
            open: standing.is_empty() || next_try.is_some_and(|at| at <= now),
            mine: mine.map(|call| call.answer),
            note: mine.and_then(|call| call.note.clone()),
            said: mine.map(|call| [call.in_person, call.live, call.first_time]),
            by: others.map(|(entry, call)| (entry.caller.clone(), call.answer)).collect(),
            silent: silent.len(),
            again_at: next_try.filter(|&at| at > now).map(instant),
            held,
        }
    }

    fn name(&self, typed: &str) -> std::result::Result<String, Refusal> {
        request::name(typed, self.reviewer.as_deref())
    }

    fn entry(&self, caller: &str, nonce: &str, event: CallEvent) -> std::result::Result<CallEntry, Refusal> {
        Ok(CallEntry {
            v: VERSION,
            id: request::nonce(nonce)?,
            at: request::now(),
            caller: caller.to_owned(),
            list: self.list_sha256.clone(),
            event,
        })
    }
}

/// A name for a member of a list that says nothing about it.
fn id(list: &str, submission: &str) -> String {
    let digest = Sha256::digest(format!("{list}|call|{submission}"));
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
