//! What becomes of an answer about a row, and of an appeal.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::super::nights::Nights;
use super::super::pictures::Recent;
use super::super::rate::per_hour;
use super::super::request::{self, Refusal, lock};
use super::super::selfies::{References, Selfies};
use super::item::{Item, RowPicture, RowQueue, SeedItem, Stand};
use super::list::{Judged, RowList};
use super::seeds::RowSeed;
use super::views::{RowItem, RowState};
use crate::Result;
use crate::config::policy::VerdictPolicy;
use crate::decisions::{
    Appeal, Appealed, Entry, Event, Ledger, Log, RowAnswer, RowJudgement, RowKey, SettledRow, Side, Why, row_key,
};
use crate::dump::RowFacts;
use crate::journal::Receipt;
use crate::reason::Verdict;
use crate::statistics::uniform_of;

/// The queues of rows, open.
#[derive(Debug)]
pub struct Rows {
    run: PathBuf,
    pub(super) run_id: String,
    policy: VerdictPolicy,
    pub(super) nights: Arc<Nights>,
    pub(super) selfies: Arc<Selfies>,
    pub(super) references: References,
    pub(super) log: Arc<Mutex<Log>>,
    reviewer: Option<String>,
    pub(super) items: Mutex<Vec<Item>>,
    pub(super) seeds: Vec<SeedItem>,
    pub(super) held: Mutex<HashMap<String, (String, Instant)>>,
    pub(super) shown: Recent<(String, RowPicture)>,
}

/// What a desk of rows is opened with.
#[derive(Debug)]
pub struct Opening {
    pub run: PathBuf,
    pub run_id: String,
    pub policy: VerdictPolicy,
    pub list: RowList,
    pub seeds: Vec<RowSeed>,
    pub nights: Arc<Nights>,
    pub selfies: Arc<Selfies>,
    pub references: References,
    pub log: Arc<Mutex<Log>>,
    pub reviewer: Option<String>,
    pub second_share: f64,
}

/// An answer as the page sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenRow {
    /// The reviewer's name.
    pub reviewer: String,
    /// Made up by the page: one answer sent twice counts once.
    pub nonce: String,
    /// Which row.
    pub item: String,
    /// What was decided.
    pub answer: RowAnswer,
    /// The queue that is on the screen.
    pub queue: String,
    /// Which face is the member's, where it is another one.
    #[serde(default)]
    pub face: Option<usize>,
    /// In words.
    #[serde(default)]
    pub note: Option<String>,
    /// How long it was on the screen, milliseconds.
    #[serde(default)]
    pub looked_ms: Option<u64>,
}

/// An appeal as the page sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Appealing {
    pub reviewer: String,
    pub nonce: String,
    pub item: String,
    /// What the member says.
    pub text: String,
    pub queue: String,
}

/// An undo as the page sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowUndo {
    pub reviewer: String,
    pub nonce: String,
    pub queue: String,
}

type Answered<T> = std::result::Result<T, Refusal>;

impl Rows {
    /// Opens the queues.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the run's table cannot be read.
    pub fn open(opening: Opening) -> Result<Rows> {
        let Opening { run, run_id, policy, list, seeds, .. } = opening;
        let item = |judged: Judged| {
            let second = opening.second_share > 0.0
                && uniform_of(&[&run_id, "second row", &judged.side.submission]) < opening.second_share;
            Item { id: id(&run_id, "row", &judged.side), key: judged.key(), judged, is_listed: true, second }
        };
        let items: Vec<Item> = list.rows.into_iter().map(item).collect();
        let seed = |seed: RowSeed| SeedItem { id: id(&run_id, "row seed", &seed.side), seed };
        let rows = Rows {
            seeds: seeds.into_iter().map(seed).collect(),
            items: Mutex::new(items),
            run,
            run_id,
            policy,
            nights: opening.nights,
            selfies: opening.selfies,
            references: opening.references,
            log: opening.log,
            reviewer: opening.reviewer,
            held: Mutex::default(),
            shown: Recent::default(),
        };
        rows.take_in_appeals(lock(&rows.log).ledger()).map_err(|refusal| match refusal {
            Refusal::Log(error) => error,
            other => crate::Error::bug("reading appeals", format!("{other:?}")),
        })?;
        Ok(rows)
    }

    /// How many rows stand in a queue.
    pub fn count(&self) -> usize {
        lock(&self.items).iter().filter(|item| item.is_listed).count()
    }

    /// What a reviewer has not answered yet.
    pub fn left_for(&self, ledger: &Ledger, reviewer: &str) -> usize {
        let (_, _, counts) = self.queues(ledger, reviewer, None);
        counts.iter().map(|count| count.left).sum()
    }

    /// A reviewer's list of one queue.
    pub fn state(&self, reviewer: &str, queue: &str) -> Answered<RowState> {
        let reviewer = self.name(reviewer)?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        self.take_in_appeals(log.ledger())?;
        Ok(self.state_of(&log, &reviewer, queue, None))
    }

    /// Records an answer. What comes back was made after the disk had it.
    pub fn decide(&self, given: &GivenRow) -> Answered<(RowState, Receipt)> {
        let reviewer = self.name(&given.reviewer)?;
        let note = request::note(given.note.as_deref())?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        log.ledger().expect_trusted(&reviewer, &given.nonce)?;
        let judgement = match self.seeds.iter().find(|seed| seed.id == given.item) {
            Some(SeedItem { seed, .. }) => RowJudgement {
                row: seed.side.clone(),
                answer: given.answer,
                reasons: lock(&self.items)[seed.record].judged.held_against.clone(),
                liveness: None,
                member_face: None,
                why: Why::Seed,
                truth: Some(seed.truth),
                basis: Some(seed.basis.to_owned()),
                note,
                looked_ms: given.looked_ms,
            },
            None => {
                let item = self.item(&given.item)?;
                let stand = self.stand(log.ledger(), &reviewer, &item);
                let face = match given.face {
                    None => None,
                    Some(at) => Some(item.judged.faces.get(at).ok_or(Refusal::Unknown)?.bbox),
                };
                let why = why(&stand, &item)?;
                // An appeal is against everything, also where pairs decide.
                let is_all = why == Why::Appeal || item.judged.held_against.is_empty();
                let judged = &item.judged;
                RowJudgement {
                    row: judged.side.clone(),
                    answer: given.answer,
                    reasons: if is_all { judged.reasons.clone() } else { judged.held_against.clone() },
                    liveness: judged.liveness(),
                    member_face: face,
                    why,
                    truth: None,
                    basis: None,
                    note,
                    looked_ms: given.looked_ms,
                }
            }
        };
        let entry = self.entry(&reviewer, &given.nonce, Event::DecideRow(judgement))?;
        let receipt = log.append(entry).map_err(Refusal::Log)?;
        lock(&self.held).remove(&given.item);
        Ok((self.state_of(&log, &reviewer, &given.queue, Some(given.item.clone())), receipt))
    }

    /// Takes back a reviewer's last answer about a row, or appeal, that stands.
    pub fn undo(&self, given: &RowUndo) -> Answered<(RowState, Receipt)> {
        let reviewer = self.name(&given.reviewer)?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        log.ledger().expect_trusted(&reviewer, &given.nonce)?;
        let is_about_row = |event: &Event| matches!(event, Event::DecideRow(_) | Event::Appeal(_));
        let (undoes, changed) = match log.ledger().last_of(&reviewer, &self.run_id, is_about_row) {
            // Asked again because the first answer was lost: the log will say that it has it.
            _ if log.ledger().knows(&given.nonce) => (String::new(), None),
            Some(entry) => (entry.id.clone(), self.item_of(&entry.event)),
            None => return Err(Refusal::Nothing),
        };
        let entry = self.entry(&reviewer, &given.nonce, Event::Undo { undoes })?;
        let receipt = log.append(entry).map_err(Refusal::Log)?;
        Ok((self.state_of(&log, &reviewer, &given.queue, changed), receipt))
    }

    /// Files an appeal of a member.
    pub fn appeal(&self, given: &Appealing) -> Answered<(RowState, Receipt)> {
        let reviewer = self.name(&given.reviewer)?;
        let item = self.item(&given.item)?;
        let text = request::note(Some(&given.text))?.ok_or(Refusal::Wrong("what does the member say?"))?;
        if item.judged.verdict == Verdict::Accept {
            return Err(Refusal::Wrong("the row was accepted: there is nothing to appeal against"));
        }
        let appeal = Appeal { row: item.judged.side.clone(), text };
        let entry = self.entry(&reviewer, &given.nonce, Event::Appeal(appeal))?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        log.ledger().expect_trusted(&reviewer, &given.nonce)?;
        let receipt = log.append(entry).map_err(Refusal::Log)?;
        Ok((self.state_of(&log, &reviewer, &given.queue, Some(given.item.clone())), receipt))
    }

    /// The row of a submission, whatever became of it.
    pub fn find(&self, submission: &str) -> Answered<String> {
        let submission = submission.trim();
        let known = |items: &[Item]| {
            items.iter().find(|item| item.judged.side.submission == submission).map(|item| item.id.clone())
        };
        if let Some(id) = known(&lock(&self.items)) {
            return Ok(id);
        }
        self.load(&HashSet::from([submission]))?;
        known(&lock(&self.items)).ok_or(Refusal::Unknown)
    }

    /// The row of an item, what people decided about it, and what the dump says of it, for a letter.
    pub fn for_letter(&self, id: &str) -> Answered<(Judged, Option<SettledRow>, RowFacts)> {
        let item = self.item(id)?;
        let night = self.nights.own().ok_or(Refusal::Unknown)?;
        let facts = night.submission(item.judged.row).map(|submission| submission.facts).unwrap_or_default();
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        let settled = log.ledger().settled_row(&item.key);
        Ok((item.judged, settled, facts))
    }

    pub(super) fn seed_item(&self, ledger: &Ledger, reviewer: &str, seed: &SeedItem, rows: &[Item]) -> RowItem {
        let answers = ledger.seeded_row(&row_key(&seed.seed.side));
        let mine = answers.get(reviewer);
        RowItem {
            id: seed.id.clone(),
            open: mine.is_none(),
            mine: mine.map(|mine| mine.answer),
            note: mine.and_then(|mine| mine.note.clone()),
            by: Vec::new(),
            held: false,
            disputed: false,
            verdict: rows[seed.seed.record].judged.verdict.code(),
        }
    }

    fn state_of(&self, log: &Log, reviewer: &str, queue: &str, changed: Option<String>) -> RowState {
        let wanted = RowQueue::ALL.into_iter().find(|other| other.code() == queue);
        let (queue, items, queues) = self.queues(log.ledger(), reviewer, wanted);
        let left = items.iter().filter(|item| item.open).count();
        RowState {
            run: self.run_id.clone(),
            reviewer: reviewer.to_owned(),
            queue: queue.code(),
            queues,
            total: items.len(),
            done: items.len() - left,
            left,
            mine: items.iter().filter(|item| item.mine.is_some()).count(),
            per_hour: per_hour(log.ledger(), reviewer, &self.run_id),
            torn: log.torn().len(),
            stopped: log.ledger().stopped(reviewer),
            changed,
            items,
        }
    }

    /// The row whose record an item bears, and of a known row the position of the selfie that is really shown.
    pub(super) fn record_and_row(&self, id: &str) -> Answered<(Item, Option<u64>)> {
        match self.seeds.iter().find(|seed| seed.id == id) {
            Some(SeedItem { seed, .. }) => Ok((lock(&self.items)[seed.record].clone(), Some(seed.row))),
            None => Ok((self.item(id)?, None)),
        }
    }

    pub(super) fn item(&self, id: &str) -> Answered<Item> {
        lock(&self.items).iter().find(|item| item.id == id).cloned().ok_or(Refusal::Unknown)
    }

    fn item_of(&self, event: &Event) -> Option<String> {
        let side = match event {
            Event::DecideRow(judgement) if judgement.why == Why::Seed => {
                return Some(id(&self.run_id, "row seed", &judgement.row));
            }
            Event::DecideRow(judgement) => &judgement.row,
            Event::Appeal(appeal) => &appeal.row,
            _ => return None,
        };
        Some(id(&self.run_id, "row", side))
    }

    /// Rows whose member appealed, here or at another desk, are in the list whatever became of them.
    fn take_in_appeals(&self, ledger: &Ledger) -> Answered<()> {
        let known: HashSet<RowKey> = lock(&self.items).iter().map(|item| item.key.clone()).collect();
        let new: HashSet<&str> = ledger
            .rows()
            .iter()
            .filter(|key| !known.contains(*key) && ledger.appeal(key).is_some())
            .map(|(submission, _, _)| submission.as_str())
            .collect();
        if new.is_empty() { Ok(()) } else { self.load(&new) }
    }

    fn load(&self, submissions: &HashSet<&str>) -> Answered<()> {
        let found = RowList::find(&self.run, &self.policy, submissions).map_err(Refusal::Log)?;
        let mut items = lock(&self.items);
        for judged in found {
            let key = judged.key();
            if !items.iter().any(|item| item.key == key) {
                let id = id(&self.run_id, "row", &judged.side);
                items.push(Item { id, key, judged, is_listed: false, second: false });
            }
        }
        Ok(())
    }

    pub(super) fn name(&self, typed: &str) -> Answered<String> {
        request::name(typed, self.reviewer.as_deref())
    }

    fn entry(&self, reviewer: &str, nonce: &str, event: Event) -> Answered<Entry> {
        request::entry(&self.run_id, reviewer, nonce, event)
    }
}

/// For what a reviewer's answer is asked.
fn why(stand: &Stand, item: &Item) -> Answered<Why> {
    match stand.why {
        _ if stand.may_judge_appeal => Ok(Why::Appeal),
        // Whoever decides between others may change their mind.
        Some(why) if why.is_final() => Ok(why),
        _ if stand.appeal == Some(Appealed::Open) => {
            Err(Refusal::Wrong("somebody else decides an appeal than who decided before, or who filed it"))
        }
        _ if stand.may_settle => Ok(Why::Dispute),
        _ if item.second => Ok(Why::Second),
        _ => Ok(Why::Queue),
    }
}

/// A name for a row that says nothing about it.
fn id(run: &str, kind: &str, side: &Side) -> String {
    let digest = Sha256::digest(format!("{run}|{kind}|{:?}", row_key(side)));
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
