//! What each reviewer is shown, and what becomes of an answer.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::calls::{CallList, Calls};
use super::nights::{Missing, Night, Nights, beside, earlier_submissions};
use super::pictures::{Recent, Shown};
use super::queue::{Member, Pair, Queue};
use super::rate::per_hour;
use super::request::{self, Refusal, TakenBack, lock};
use super::rows::{self, Judged, Opening, RowList, Rows};
use super::seeds::{self, Pool, Seed, SeedFace};
use super::selfies::{References, Selfies};
use super::tables;
use super::views::{ItemView, PairAnswer, SideView, State, instant, masked, parts};
use crate::Result;
use crate::assurance::record::Assurance;
use crate::config::Columns;
use crate::decisions::{Answer, Entry, Event, Judgement, Ledger, Log, NotMember, PairKey, RowKey, Why, row_key};
use crate::dump::{Dump, RowFacts};
use crate::journal::Receipt;
use crate::roles::member_doubt_percent;
use crate::statistics::uniform_of;

/// What to review.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The run folder.
    pub run: PathBuf,
    /// Files, folders or globs of the dump and of earlier nights' dumps; where none is named, the recorded places.
    pub dumps: Vec<PathBuf>,
    /// Run folders of earlier nights, besides those beside the run.
    pub earlier: Vec<PathBuf>,
    /// What the dumps' columns are called.
    pub columns: Columns,
    /// The log.
    pub decisions: PathBuf,
    /// The only reviewer, where one is named.
    pub reviewer: Option<String>,
    /// Share of the pairs that two people are asked about, 0..=1.
    pub second_share: f64,
    /// Known pairs as a share of the queue, 0..=1.
    pub seeded_share: f64,
    /// Whom to call, and the log of calls, where there is a sample.
    pub calls: Option<(CallList, PathBuf)>,
    /// What may be promised of the drive: a record of `chehra assurance`.
    pub assurance: Option<PathBuf>,
}

/// A desk, open.
#[derive(Debug)]
pub struct Desk {
    pub(super) run_id: String,
    pub(super) queue: Queue,
    pub(super) nights: Arc<Nights>,
    pub(super) selfies: Arc<Selfies>,
    /// What the runs say of the members in the queue's pairs.
    judged: HashMap<RowKey, Judged>,
    pub(super) districts: Vec<String>,
    rows: Rows,
    calls: Option<Calls>,
    assurance: Option<PathBuf>,
    pub(super) seeds: Vec<Seed>,
    spots: HashMap<String, Spot>,
    reviewer: Option<String>,
    pub(super) log: Arc<Mutex<Log>>,
    shown: Recent<(Spot, bool)>,
    pub(super) shown_sides: Recent<(RowKey, bool)>,
    pub(super) held: Mutex<HashMap<String, (String, Instant)>>,
}

/// Something to ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Spot {
    /// A pair of the queue: person and pair.
    Pair(usize, usize),
    /// A known pair.
    Seed(usize),
}

/// An answer as the page sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// The reviewer's name.
    pub reviewer: String,
    /// Made up by the page: one answer sent twice counts once.
    pub nonce: String,
    /// Which pair.
    pub item: String,
    /// What was decided.
    pub answer: PairAnswer,
    /// Of "not the member": on which side.
    #[serde(default)]
    pub side: Option<PairSide>,
    /// Of "not the member": which face of that side's selfie is the member's, where it can be told.
    #[serde(default)]
    pub face: Option<usize>,
    /// In words.
    #[serde(default)]
    pub note: Option<String>,
    /// How long it was on the screen, milliseconds.
    #[serde(default)]
    pub looked_ms: Option<u64>,
}

/// A side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairSide {
    /// The first.
    A,
    /// The second.
    B,
}

impl Desk {
    /// Opens run folder, dumps and log.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the run folder or the log cannot be read; a dump that is not at hand is no error.
    pub fn open(setup: &Setup) -> Result<Desk> {
        let queue = Queue::read(&setup.run)?;
        setup.assurance.as_deref().map(Assurance::read).transpose()?;
        let at_hand: Vec<PathBuf> = match setup.dumps.as_slice() {
            [] => Vec::new(),
            dumps => Dump::open(dumps, &setup.columns)?.files().map(PathBuf::from).collect(),
        };
        let tonight: HashSet<&str> =
            queue.sides().filter(|s| !s.earlier_night).map(|s| s.submission.as_str()).collect();
        let called: HashSet<&str> = setup.calls.iter().flat_map(|(list, _)| list.submissions()).collect();
        let workers = if setup.seeded_share > 0.0 { seeds::workers(&setup.run)? } else { HashSet::new() };
        let mut pool = Pool::of(workers);
        let mut districts = BTreeSet::new();
        tables::read(&setup.run.join("verdicts.parquet"), &["district"], |rows| {
            districts.extend(rows.texts("district")?.into_iter().flatten());
            Ok(())
        })?;
        let policy = Night::verdicts(&setup.run)?;
        let list = RowList::read(&setup.run, &policy)?;
        let twins: HashSet<&str> = list.rows.iter().filter_map(|row| row.duplicate_of.as_deref()).collect();
        let own = Night::open(&setup.run, &at_hand, &setup.columns, &mut |id, known, reasons| {
            let drawn = pool.take(known, reasons);
            drawn || tonight.contains(id) || called.contains(id) || twins.contains(id)
        })?;
        let seeds = pool.seeds(&own, &queue, setup.seeded_share);
        let row_seeds = rows::seeds(&pool, &own, &list, setup.seeded_share);
        let run_id = own.run_id.clone();
        let references = References::new(own.workers.clone());
        let mut judged = by_key(RowList::find(&setup.run, &policy, &tonight)?);
        let mut wanted = earlier_submissions(queue.sides());
        let is_of_tonight = |id: &str| !own.rows(id).is_empty();
        wanted.extend(twins.iter().filter(|id| !is_of_tonight(id)).map(|id| (*id).to_owned()));
        let mut nights = vec![own];
        for (run, night) in earlier_nights(setup, &at_hand, &wanted)? {
            let ids = wanted.iter().map(String::as_str).collect();
            judged.extend(by_key(RowList::find(&run, &night.verdicts, &ids)?));
            nights.push(night);
        }
        let nights = Arc::new(Nights::new(nights));
        let selfies = Arc::new(Selfies::read(&setup.run)?);
        let log = Arc::new(Mutex::new(Log::open(&setup.decisions)?));
        let rows = Rows::open(Opening {
            run: setup.run.clone(),
            run_id: run_id.clone(),
            policy,
            list,
            seeds: row_seeds,
            nights: nights.clone(),
            selfies: selfies.clone(),
            references,
            log: log.clone(),
            reviewer: setup.reviewer.clone(),
            second_share: setup.second_share,
        })?;
        let calls = match &setup.calls {
            None => None,
            Some((list, log)) => Some(Calls::open(list, log, &run_id, nights.clone(), setup.reviewer.clone())?),
        };
        let mut desk = Desk {
            run_id,
            queue,
            nights,
            selfies,
            judged,
            districts: districts.into_iter().collect(),
            rows,
            calls,
            assurance: setup.assurance.clone(),
            seeds,
            spots: HashMap::new(),
            reviewer: setup.reviewer.clone(),
            log,
            shown: Recent::default(),
            shown_sides: Recent::default(),
            held: Mutex::default(),
        };
        desk.name_pairs(setup.second_share);
        Ok(desk)
    }

    /// Gives each pair its name, and says which of them two people are asked about.
    fn name_pairs(&mut self, second_share: f64) {
        for (at, person) in self.queue.persons.iter_mut().enumerate() {
            for (index, pair) in person.pairs.iter_mut().enumerate() {
                pair.id = id(&self.run_id, "pair", &pair.key);
                pair.second = is_second(&self.run_id, &pair.key, second_share);
                self.spots.insert(pair.id.clone(), Spot::Pair(at, index));
            }
        }
        for seed in (0..self.seeds.len()).map(Spot::Seed) {
            self.spots.insert(self.id(seed), seed);
        }
    }

    /// How many persons and known pairs there are, and how many nights have their dump at hand, of how many.
    pub fn size(&self) -> (usize, usize, usize) {
        (self.queue.persons.len(), self.seeds.len(), self.nights.with_dump())
    }

    /// Which file of the run's own dump is not at hand.
    pub fn without_dump(&self) -> Option<&str> {
        self.nights.own().and_then(Night::without_dump)
    }

    /// Lines of the log that were never finished, for a word to whoever starts the desk.
    pub fn torn(&self) -> Vec<crate::journal::Torn> {
        lock(&self.log).torn().to_vec()
    }

    /// The queues of rows.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Below which liveness the run rejects, and below which it asks.
    pub fn liveness(&self) -> Option<[f32; 2]> {
        self.nights.own().map(|night| [night.liveness.reject_below, night.liveness.review_below])
    }

    /// Districts of the run.
    pub fn districts(&self) -> &[String] {
        &self.districts
    }

    /// The queue of calls, where there is a sample.
    pub fn calls(&self) -> Option<&Calls> {
        self.calls.as_ref()
    }

    /// Whether a record of promises was named.
    pub fn has_promise(&self) -> bool {
        self.assurance.is_some()
    }

    /// What may be promised of the drive by now, where a record of it was named.
    pub fn promise(&self) -> Option<Result<Assurance>> {
        self.assurance.as_deref().map(Assurance::read)
    }

    /// The name of the only reviewer, if there is one.
    pub fn only_reviewer(&self) -> Option<&str> {
        self.reviewer.as_deref()
    }

    /// A reviewer's list.
    pub fn state(&self, reviewer: &str) -> std::result::Result<State, Refusal> {
        let reviewer = self.name(reviewer)?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        Ok(self.state_of(&log, &reviewer, None))
    }

    /// Records an answer. What comes back was made after the disk had it.
    pub fn decide(&self, given: &Given) -> std::result::Result<(State, Receipt), Refusal> {
        let reviewer = self.name(&given.reviewer)?;
        let spot = self.spot(&given.item)?;
        let note = request::note(given.note.as_deref())?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        log.ledger().expect_trusted(&reviewer, &given.nonce)?;
        let (answer, not_member) = self.answer(spot, given)?;
        let judgement = match spot {
            Spot::Pair(person, pair) => {
                let pair = &self.queue.persons[person].pairs[pair];
                let why = why(log.ledger(), &reviewer, pair);
                Judgement { not_member, note, looked_ms: given.looked_ms, ..judgement(pair, answer, why) }
            }
            Spot::Seed(at) => {
                let seed = &self.seeds[at];
                Judgement {
                    a: seed.a.side.clone(),
                    b: seed.b.side.clone(),
                    answer,
                    not_member,
                    why: Why::Seed,
                    truth: Some(seed.truth),
                    basis: Some(seed.basis.to_owned()),
                    note,
                    looked_ms: given.looked_ms,
                }
            }
        };
        let entry = self.entry(&reviewer, &given.nonce, Event::Decide(judgement))?;
        let receipt = log.append(entry).map_err(Refusal::Log)?;
        Ok((self.state_of(&log, &reviewer, Some(given.item.clone())), receipt))
    }

    /// Takes back a reviewer's last decision that stands.
    pub fn undo(&self, given: &TakenBack) -> std::result::Result<(State, Receipt), Refusal> {
        let reviewer = self.name(&given.reviewer)?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        log.ledger().expect_trusted(&reviewer, &given.nonce)?;
        let (undone, spot) = match log.ledger().last_of(&reviewer, &self.run_id, |event| event.pair().is_some()) {
            // Asked again because the first answer was lost: the log will say that it has it.
            _ if log.ledger().knows(&given.nonce) => (vec![String::new()], None),
            Some(entry) => {
                let spot = entry.event.pair().and_then(|judgement| self.spot_of(judgement));
                (log.ledger().act_of(entry), spot)
            }
            None => return Err(Refusal::Nothing),
        };
        let mut entries = Vec::new();
        for (number, undoes) in undone.into_iter().enumerate() {
            let mut entry = self.entry(&reviewer, &given.nonce, Event::Undo { undoes })?;
            if number > 0 {
                entry.id = format!("{}.{number}", given.nonce);
            }
            entries.push(entry);
        }
        let receipt = log.append_all(entries).map_err(Refusal::Log)?;
        Ok((self.state_of(&log, &reviewer, spot.map(|spot| self.id(spot))), receipt))
    }

    /// One pair in full. Whoever asks for it holds it for a while.
    pub fn view(&self, reviewer: &str, id: &str) -> std::result::Result<ItemView, Refusal> {
        let reviewer = self.name(reviewer)?;
        let spot = self.spot(id)?;
        lock(&self.held).insert(id.to_owned(), (reviewer, Instant::now()));
        let (person, pair) = match spot {
            Spot::Pair(person, pair) => (person, pair),
            Spot::Seed(at) => self.seeds[at].record,
        };
        let person = &self.queue.persons[person];
        let pair = &person.pairs[pair];
        Ok(ItemView {
            id: id.to_owned(),
            rank: person.rank,
            cluster_id: person.cluster_id.clone(),
            worth: person.worth.clone(),
            size: person.size,
            districts: person.districts.clone(),
            similarity: pair.similarity,
            expected_false_matches: pair.expected_false_matches,
            probability_false: pair.probability_false,
            grade: pair.grade.clone(),
            evidence: parts(&pair.evidence),
            sides: [self.side_view(spot, false, &pair.a), self.side_view(spot, true, &pair.b)],
        })
    }

    /// The JPEG of one side: the cut-out face, or the whole picture.
    pub fn picture(&self, id: &str, second: bool, whole: bool) -> std::result::Result<Vec<u8>, Refusal> {
        let spot = self.spot(id)?;
        let shown = self.shown(spot, second).map_err(|_| Refusal::Unknown)?;
        match whole {
            true => Ok(shown.whole.clone()),
            false => shown.face.clone().ok_or(Refusal::Unknown),
        }
    }

    fn side_view(&self, spot: Spot, second: bool, record: &Member) -> SideView {
        let facts: RowFacts = self.nights.find(&record.side).map(|found| found.submission.facts).unwrap_or_default();
        let shown = self.shown(spot, second);
        let judged = self.judged.get(&row_key(&record.side));
        SideView {
            verdict: judged.map(|judged| judged.verdict.code()),
            reasons: judged
                .map(|judged| judged.reasons.iter().map(|reason| reason.code()).collect())
                .unwrap_or_default(),
            detail: judged.and_then(|judged| judged.detail.clone()),
            member_liveness: judged.and_then(|judged| judged.member_liveness),
            worker_liveness: judged.and_then(|judged| judged.worker_liveness),
            member_doubt_percent: judged.map(|judged| member_doubt_percent(&judged.reasons)),
            submission: record.side.submission.clone(),
            worker: record.side.worker.clone(),
            district: record.district.clone(),
            captured_at: instant(record.side.captured_at),
            earlier_night: record.side.earlier_night,
            mobile: facts.mobile.as_deref().map(masked),
            epic: facts.epic.as_deref().map(masked),
            member_name: facts.member_name,
            booth_id: facts.booth_id,
            has_face: shown.as_ref().is_ok_and(|s| s.face.is_some()),
            picture: shown.as_ref().ok().map(|s| s.place.clone()),
            missing: shown.err(),
        }
    }

    fn shown(&self, spot: Spot, second: bool) -> std::result::Result<Arc<Shown>, Missing> {
        self.shown.get(&(spot, second), || {
            let (side, role) = match spot {
                Spot::Pair(person, pair) => {
                    let Pair { a, b, .. } = &self.queue.persons[person].pairs[pair];
                    (if second { &b.side } else { &a.side }, "member")
                }
                Spot::Seed(at) => {
                    let SeedFace { side, role } = if second { &self.seeds[at].b } else { &self.seeds[at].a };
                    (side, *role)
                }
            };
            self.nights.find(side)?.show(role)
        })
    }

    /// An answer as the log has it: a face that is not the member's makes the two different members.
    fn answer(&self, spot: Spot, given: &Given) -> std::result::Result<(Answer, Option<NotMember>), Refusal> {
        let PairAnswer::NotMember = given.answer else { return Ok((given.answer.plain(), None)) };
        let side = given.side.ok_or(Refusal::Wrong("on which side is it not the member?"))?;
        let faces = self.shown(spot, side == PairSide::B).map(|shown| shown.place.faces.len()).unwrap_or_default();
        let face = match (given.face, spot) {
            (Some(at), _) if at >= faces => return Err(Refusal::Unknown),
            (Some(at), Spot::Pair(person, pair)) => {
                let Pair { a, b, .. } = &self.queue.persons[person].pairs[pair];
                let side = if side == PairSide::B { &b.side } else { &a.side };
                self.nights.find(side).ok().and_then(|found| Some(found.faces.get(at)?.bbox))
            }
            _ => None,
        };
        Ok((Answer::Different, Some(NotMember { side: u8::from(side == PairSide::B), face })))
    }

    /// Pairs and rows that are left for a reviewer.
    pub(super) fn left_for(&self, ledger: &Ledger, reviewer: &str) -> usize {
        let pairs = self.list(ledger, reviewer).iter().filter(|item| item.open).count();
        pairs + self.rows.left_for(ledger, reviewer)
    }

    pub(super) fn state_of(&self, log: &Log, reviewer: &str, changed: Option<String>) -> State {
        let items = self.list(log.ledger(), reviewer);
        let left = items.iter().filter(|item| item.open).count();
        State {
            run: self.run_id.clone(),
            reviewer: reviewer.to_owned(),
            total: items.len(),
            done: items.len() - left,
            left,
            mine: items.iter().filter(|item| item.mine.is_some()).count(),
            per_hour: per_hour(log.ledger(), reviewer, &self.run_id),
            torn: log.torn().len(),
            stopped: log.ledger().stopped(reviewer),
            disputes: items.iter().filter(|item| item.open && item.disputed).count(),
            changed,
            items,
        }
    }

    pub(super) fn spot(&self, item: &str) -> std::result::Result<Spot, Refusal> {
        self.spots.get(item).copied().ok_or(Refusal::Unknown)
    }

    fn spot_of(&self, judgement: &Judgement) -> Option<Spot> {
        let key = PairKey::new(&judgement.a, &judgement.b);
        if judgement.why == Why::Seed {
            let same = |seed: &Seed| PairKey::new(&seed.a.side, &seed.b.side) == key;
            return self.seeds.iter().position(same).map(Spot::Seed);
        }
        let mut persons = self.queue.persons.iter().enumerate();
        persons.find_map(|(at, person)| Some(Spot::Pair(at, person.pairs.iter().position(|p| p.key == key)?)))
    }

    pub(super) fn id(&self, spot: Spot) -> String {
        match spot {
            Spot::Pair(person, pair) => self.queue.persons[person].pairs[pair].id.clone(),
            Spot::Seed(at) => {
                let seed = &self.seeds[at];
                id(&self.run_id, "seed", &PairKey::new(&seed.a.side, &seed.b.side))
            }
        }
    }

    pub(super) fn name(&self, typed: &str) -> std::result::Result<String, Refusal> {
        request::name(typed, self.reviewer.as_deref())
    }

    pub(super) fn entry(&self, reviewer: &str, nonce: &str, event: Event) -> std::result::Result<Entry, Refusal> {
        request::entry(&self.run_id, reviewer, nonce, event)
    }
}

/// A decision about a pair of the queue.
pub(super) fn judgement(pair: &Pair, answer: Answer, why: Why) -> Judgement {
    Judgement {
        a: pair.a.side.clone(),
        b: pair.b.side.clone(),
        answer,
        not_member: None,
        why,
        truth: None,
        basis: None,
        note: None,
        looked_ms: None,
    }
}

/// For what a reviewer's answer about a pair is asked.
pub(super) fn why(ledger: &Ledger, reviewer: &str, pair: &Pair) -> Why {
    let mine = ledger.answers(&pair.key).get(reviewer).map(|judgement| judgement.why);
    let is_disputed = ledger.settled(&pair.key).is_some_and(|settled| settled.disputed);
    match mine {
        // Whoever decides between others may change their mind.
        Some(Why::Dispute) => Why::Dispute,
        None if is_disputed => Why::Dispute,
        _ if pair.second => Why::Second,
        _ => Why::Queue,
    }
}

/// The run folders of earlier nights that have members of the queue.
fn earlier_nights(setup: &Setup, at_hand: &[PathBuf], wanted: &HashSet<String>) -> Result<Vec<(PathBuf, Night)>> {
    let mut nights = Vec::new();
    if wanted.is_empty() {
        return Ok(nights);
    }
    let open = |run: &PathBuf| Night::open(run, at_hand, &setup.columns, &mut |id, _, _| wanted.contains(id));
    for run in &setup.earlier {
        nights.push((run.clone(), open(run)?));
    }
    for run in beside(&setup.run) {
        // Nobody asked for these, so one that cannot be read is no reason to stop.
        match open(&run) {
            Ok(night) => nights.push((run, night)),
            Err(error) => log::warn!("{error}"),
        }
    }
    Ok(nights)
}

fn by_key(rows: Vec<Judged>) -> HashMap<RowKey, Judged> {
    rows.into_iter().map(|row| (row.key(), row)).collect()
}

/// A name for a pair that says nothing about it.
fn id(run: &str, kind: &str, key: &PairKey) -> String {
    let digest = Sha256::digest(format!("{run}|{kind}|{:?}", key.sides()));
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether two people are asked about a pair. Every process draws the same.
fn is_second(run: &str, key: &PairKey, share: f64) -> bool {
    let [(a, _, _), (b, _, _)] = key.sides();
    share > 0.0 && uniform_of(&[run, "second", a, b]) < share
}
