//! The entries together: what stands, of whom, about which pair and row.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::about::{RowKey, row_key};
use super::people::{Assignment, KnownAnswers, Trust};
use super::row::{Appeal, RowAnswer, RowJudgement};
use super::{Answer, Entry, Event, Judgement, NotMember, PairKey, Why};
use crate::reason::Reason;

/// Entries in their order, and what follows from them.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    entries: Vec<Entry>,
    known: HashSet<String>,
    undone: HashSet<String>,
    by_pair: HashMap<PairKey, Vec<usize>>,
    pairs: Vec<PairKey>,
    by_row: HashMap<RowKey, Vec<usize>>,
    rows: Vec<RowKey>,
    trust: Trust,
}

/// What several answers about one thing come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled<A = Answer> {
    /// The answer all agree on, or that of whoever decided between them; for pairs [`Answer::NotSure`] where they do not.
    pub answer: A,
    /// How many people answered.
    pub people: usize,
    /// Whether they said different things, and nobody has decided between them.
    pub disputed: bool,
}

/// What the answers about a row come to.
#[derive(Debug, Clone, PartialEq)]
pub struct SettledRow {
    /// What stands; `None` where people disagree, or where the row was only passed on.
    pub answer: Option<RowAnswer>,
    /// The reasons that were judged.
    pub reasons: Vec<Reason>,
    /// Where the member's face really is, in pixels of the upright selfie.
    pub member_face: Option<[f32; 4]>,
    /// How many people answered.
    pub people: usize,
    /// Whether they said different things, and nobody has decided between them.
    pub disputed: bool,
    /// Whether the member appealed, and whether that is decided.
    pub appeal: Option<Appealed>,
}

/// How far an appeal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appealed {
    /// Nobody has decided it.
    Open,
    /// It was decided, as the row's answer says.
    Decided,
}

/// An appeal, and who filed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filed<'a> {
    /// What the member says.
    pub appeal: &'a Appeal,
    /// Who filed it.
    pub by: &'a str,
    /// When, UTC, ISO 8601.
    pub at: &'a str,
    /// Its place in the log.
    pub place: usize,
}

impl Ledger {
    /// Adds an entry; one that is there already changes nothing.
    pub fn add(&mut self, entry: Entry) {
        if !self.known.insert(entry.id.clone()) {
            return;
        }
        let place = self.entries.len();
        match &entry.event {
            Event::Decide(judgement) => {
                let key = PairKey::new(&judgement.a, &judgement.b);
                let about = self.by_pair.entry(key.clone()).or_default();
                if about.is_empty() {
                    self.pairs.push(key);
                }
                about.push(place);
            }
            Event::DecideRow(RowJudgement { row, .. }) | Event::Appeal(Appeal { row, .. }) => {
                let key = row_key(row);
                let about = self.by_row.entry(key.clone()).or_default();
                if about.is_empty() {
                    self.rows.push(key);
                }
                about.push(place);
            }
            // Nobody takes back what another said, and whoever is stopped takes nothing back: not even wrong answers.
            Event::Undo { undoes } => {
                let is_own = self.entries.iter().any(|e| e.id == *undoes && e.reviewer == entry.reviewer);
                if is_own && self.trust.stopped(&entry.reviewer).is_none() {
                    self.undone.insert(undoes.clone());
                }
            }
            // Nobody looks at what they said themselves.
            Event::Look(look) if look.to != entry.reviewer => self.trust.looked(look, place),
            Event::Look(_) | Event::Assign(_) => {}
        }
        let measured = match &entry.event {
            Event::Decide(judgement) => judgement.why == Why::Seed,
            Event::DecideRow(judgement) => judgement.why == Why::Seed,
            Event::Undo { .. } => true,
            _ => false,
        };
        let reviewer = entry.reviewer.clone();
        self.entries.push(entry);
        if measured {
            let answers = self.known_answers(&reviewer);
            self.trust.measure(&reviewer, answers);
        }
    }

    /// Whether an entry with this id is there.
    pub fn knows(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether this decision was taken back.
    pub fn is_undone(&self, id: &str) -> bool {
        self.undone.contains(id)
    }

    /// Every pair that was ever decided, by its first decision.
    pub fn pairs(&self) -> &[PairKey] {
        &self.pairs
    }

    /// Every row that was ever decided about or appealed against, by the first time.
    pub fn rows(&self) -> &[RowKey] {
        &self.rows
    }

    /// Whether a reviewer is stopped, for too many wrong answers to known pairs and rows.
    pub fn stopped(&self, reviewer: &str) -> Option<KnownAnswers> {
        self.trust.stopped(reviewer)
    }

    /// Refuses a reviewer who is stopped, but for an entry that is in the log already: sent again, it counts once.
    ///
    /// # Errors
    /// How the reviewer has answered what is known.
    pub fn expect_trusted(&self, reviewer: &str, id: &str) -> Result<(), KnownAnswers> {
        self.stopped(reviewer).filter(|_| !self.knows(id)).map_or(Ok(()), Err)
    }

    /// Whether an entry counts: it was not taken back, and its reviewer is not stopped.
    pub fn counts(&self, place: usize) -> bool {
        let entry = &self.entries[place];
        !self.undone.contains(&entry.id) && self.trust.counts(&entry.reviewer, place)
    }

    /// What each person says of a pair now, by name. Seeded pairs are of no queue, and are not among them.
    pub fn answers(&self, pair: &PairKey) -> BTreeMap<&str, &Judgement> {
        let said = self.on_pair(pair).map(|(who, (_, judgement))| (who, judgement));
        said.filter(|(_, judgement)| judgement.why != Why::Seed).collect()
    }

    /// The same of pairs whose answer is known, stopped reviewers among them.
    pub fn seeded(&self, pair: &PairKey) -> BTreeMap<&str, &Judgement> {
        let places = self.by_pair.get(pair).into_iter().flatten();
        let standing = places.map(|&at| &self.entries[at]).filter(|entry| !self.undone.contains(&entry.id));
        let judged = standing.filter_map(|entry| Some((entry.reviewer.as_str(), entry.event.pair()?)));
        judged.filter(|(_, judgement)| judgement.why == Why::Seed).collect()
    }

    /// What each person says of a row now, by name, with the place in the log; known rows are not among them.
    pub fn row_answers(&self, row: &RowKey) -> BTreeMap<&str, (usize, &RowJudgement)> {
        self.on_row(row).filter(|(_, (_, judgement))| judgement.why != Why::Seed).collect()
    }

    /// The same of rows whose answer is known, stopped reviewers among them.
    pub fn seeded_row(&self, row: &RowKey) -> BTreeMap<&str, &RowJudgement> {
        let places = self.by_row.get(row).into_iter().flatten();
        let standing = places.map(|&at| &self.entries[at]).filter(|entry| !self.undone.contains(&entry.id));
        let judged = standing.filter_map(|entry| Some((entry.reviewer.as_str(), entry.event.row()?)));
        judged.filter(|(_, judgement)| judgement.why == Why::Seed).collect()
    }

    /// The last appeal about a row.
    pub fn appeal(&self, row: &RowKey) -> Option<Filed<'_>> {
        self.by_row.get(row)?.iter().rev().filter(|&&place| self.counts(place)).find_map(|&place| {
            let Entry { event, reviewer, at, .. } = &self.entries[place];
            let Event::Appeal(appeal) = event else { return None };
            Some(Filed { appeal, by: reviewer, at, place })
        })
    }

    /// What the answers about a pair of the queue come to; `None` where there is none.
    pub fn settled(&self, pair: &PairKey) -> Option<Settled> {
        let said = self.on_pair(pair).filter(|(_, (_, judgement))| judgement.why != Why::Seed);
        let last: BTreeMap<&str, (usize, &Judgement)> = said.collect();
        let settled = settle(last.into_values().map(|(place, j)| Said { answer: j.answer, why: j.why, place }))?;
        Some(Settled { answer: if settled.disputed { Answer::NotSure } else { settled.answer }, ..settled })
    }

    /// What the answers about a row come to; `None` where nobody said anything of it.
    pub fn settled_row(&self, row: &RowKey) -> Option<SettledRow> {
        let answers = self.row_answers(row);
        let filed = self.appeal(row);
        let opinions: Vec<(usize, &RowJudgement)> =
            answers.values().copied().filter(|(_, judgement)| judgement.answer != RowAnswer::Pass).collect();
        let appeal = filed.map(|filed| {
            let decides =
                |(place, judgement): &(usize, &RowJudgement)| *place > filed.place && judgement.why == Why::Appeal;
            if opinions.iter().any(decides) { Appealed::Decided } else { Appealed::Open }
        });
        if answers.is_empty() && appeal.is_none() {
            return None;
        }
        let settled = settle(opinions.iter().map(|&(place, j)| Said { answer: j.answer, why: j.why, place }));
        let reasons: BTreeSet<Reason> = opinions.iter().flat_map(|(_, j)| &j.reasons).copied().collect();
        let last = opinions.iter().filter(|(_, j)| j.member_face.is_some()).max_by_key(|(place, _)| *place);
        Some(SettledRow {
            answer: settled.filter(|settled| !settled.disputed).map(|settled| settled.answer),
            reasons: reasons.into_iter().collect(),
            member_face: last.and_then(|(_, judgement)| judgement.member_face),
            people: opinions.len(),
            disputed: settled.is_some_and(|settled| settled.disputed),
            appeal,
        })
    }

    /// Where the member's face really is, by row, where people said so.
    pub fn corrected_faces(&self) -> HashMap<RowKey, [f32; 4]> {
        let mut faces = HashMap::new();
        for pair in &self.pairs {
            for judgement in self.answers(pair).into_values() {
                let Some(NotMember { side, face: Some(face) }) = judgement.not_member else { continue };
                faces.insert(row_key(if side == 0 { &judgement.a } else { &judgement.b }), face);
            }
        }
        for row in &self.rows {
            faces.extend(self.settled_row(row).and_then(|settled| Some((row.clone(), settled.member_face?))));
        }
        faces
    }

    /// The last decision of a reviewer about a run that still stands and that `wanted` wants.
    pub fn last_of(&self, reviewer: &str, run: &str, wanted: impl Fn(&Event) -> bool) -> Option<&Entry> {
        let own = |entry: &&Entry| {
            entry.reviewer == reviewer && entry.run == run && !self.undone.contains(&entry.id) && wanted(&entry.event)
        };
        self.entries.iter().rev().find(own)
    }

    /// The ids of all lines that the act of an entry wrote and that still stand: the lines of one act about a person are
    /// called by its nonce, a dot and their number.
    pub fn act_of(&self, entry: &Entry) -> Vec<String> {
        let Some((act, _)) = entry.id.split_once('.') else { return vec![entry.id.clone()] };
        let is_of_act = |other: &&Entry| {
            other.reviewer == entry.reviewer
                && other.run == entry.run
                && other.id.split_once('.').is_some_and(|(nonce, _)| nonce == act)
                && !self.undone.contains(&other.id)
        };
        self.entries.iter().filter(is_of_act).map(|other| other.id.clone()).collect()
    }

    /// Who has which part of a run's work, by name.
    pub fn assignments(&self, run: &str) -> BTreeMap<&str, &Assignment> {
        let of_run = self.entries.iter().filter(|entry| entry.run == run);
        let given = of_run.filter_map(|entry| match &entry.event {
            Event::Assign(assignment) => Some((assignment.to.as_str(), assignment)),
            _ => None,
        });
        given.collect()
    }

    /// The answers about a pair that count, each person's last one last.
    fn on_pair(&self, pair: &PairKey) -> impl Iterator<Item = (&str, (usize, &Judgement))> {
        let places = self.by_pair.get(pair).into_iter().flatten().copied();
        let counted = places.filter(|&place| self.counts(place)).map(|place| (place, &self.entries[place]));
        counted.filter_map(|(place, entry)| Some((entry.reviewer.as_str(), (place, entry.event.pair()?))))
    }

    /// The same of a row.
    fn on_row(&self, row: &RowKey) -> impl Iterator<Item = (&str, (usize, &RowJudgement))> {
        let places = self.by_row.get(row).into_iter().flatten().copied();
        let counted = places.filter(|&place| self.counts(place)).map(|place| (place, &self.entries[place]));
        counted.filter_map(|(place, entry)| Some((entry.reviewer.as_str(), (place, entry.event.row()?))))
    }

    /// How a reviewer has answered known pairs and rows since somebody last looked.
    fn known_answers(&self, reviewer: &str) -> KnownAnswers {
        let since = self.trust.since(reviewer);
        let mut pairs: HashMap<PairKey, bool> = HashMap::new();
        let mut rows: HashMap<RowKey, bool> = HashMap::new();
        let own = self.entries.iter().skip(since).filter(|entry| entry.reviewer == reviewer);
        for entry in own.filter(|entry| !self.undone.contains(&entry.id)) {
            match &entry.event {
                Event::Decide(Judgement { a, b, answer, truth: Some(truth), .. }) => {
                    let is_wrong = *answer != Answer::NotSure && answer != truth;
                    pairs.insert(PairKey::new(a, b), is_wrong);
                }
                Event::DecideRow(RowJudgement { row, answer, truth: Some(truth), .. }) => {
                    let is_wrong = matches!(answer, RowAnswer::Uphold | RowAnswer::Overturn) && answer != truth;
                    rows.insert(row_key(row), is_wrong);
                }
                _ => {}
            }
        }
        let answers = || pairs.values().chain(rows.values());
        KnownAnswers { wrong: answers().filter(|wrong| **wrong).count(), asked: answers().count() }
    }
}

impl Event {
    /// A decision about a pair.
    pub fn pair(&self) -> Option<&Judgement> {
        if let Event::Decide(judgement) = self { Some(judgement) } else { None }
    }

    /// A decision about a row.
    pub fn row(&self) -> Option<&RowJudgement> {
        if let Event::DecideRow(judgement) = self { Some(judgement) } else { None }
    }
}

/// One person's answer.
struct Said<A> {
    answer: A,
    why: Why,
    place: usize,
}

/// What several answers come to. One that decides between others stands over them; of several such the latest.
fn settle<A: PartialEq + Copy>(said: impl Iterator<Item = Said<A>>) -> Option<Settled<A>> {
    let said: Vec<Said<A>> = said.collect();
    let people = said.len();
    if let Some(last_word) = said.iter().filter(|said| said.why.is_final()).max_by_key(|said| said.place) {
        return Some(Settled { answer: last_word.answer, people, disputed: false });
    }
    let answer = said.first()?.answer;
    Some(Settled { answer, people, disputed: said.iter().any(|other| other.answer != answer) })
}

#[cfg(test)]
mod tests {
    use super::super::Look;
    use super::super::entry::tests::{decided, side, undone};
    use super::*;
    use Answer::{Different, NotSure, Same};

    fn ledger(entries: Vec<Entry>) -> Ledger {
        let mut ledger = Ledger::default();
        entries.into_iter().for_each(|e| ledger.add(e));
        ledger
    }

    fn is_pair(event: &Event) -> bool {
        event.pair().is_some()
    }

    fn settled(ledger: &Ledger) -> Option<(Answer, usize, bool)> {
        ledger.settled(&PairKey::new(&side("a"), &side("b"))).map(|s| (s.answer, s.people, s.disputed))
    }

    #[test]
    fn the_last_word_of_each_counts_and_undo_brings_back_the_one_before() {
        let mut log = ledger(vec![decided("1", "asha", ("a", "b"), Same), decided("2", "asha", ("b", "a"), Different)]);
        assert_eq!(settled(&log), Some((Different, 1, false)));
        log.add(undone("3", "asha", "2"));
        assert_eq!(settled(&log), Some((Same, 1, false)));
        assert_eq!(log.last_of("asha", "r", is_pair).unwrap().id, "1");
        log.add(undone("4", "asha", "1"));
        assert_eq!(settled(&log), None);
        assert!(log.last_of("asha", "r", is_pair).is_none() && log.entries().len() == 4);
    }

    #[test]
    fn people_who_disagree_leave_it_open() {
        let mut log = ledger(vec![decided("1", "asha", ("a", "b"), Same), decided("2", "ravi", ("a", "b"), Same)]);
        assert_eq!(settled(&log), Some((Same, 2, false)));
        log.add(decided("3", "ravi", ("a", "b"), Different));
        assert_eq!(settled(&log), Some((NotSure, 2, true)));
        log.add(decided("4", "meera", ("a", "b"), NotSure));
        assert_eq!(settled(&log), Some((NotSure, 3, true)));
    }

    #[test]
    fn nobody_undoes_anothers_decision_and_nothing_counts_twice() {
        let log = ledger(vec![
            decided("1", "asha", ("a", "b"), Same),
            undone("2", "ravi", "1"),
            decided("1", "asha", ("a", "b"), Different),
        ]);
        assert_eq!(settled(&log), Some((Same, 1, false)));
        assert_eq!(log.entries().len(), 2);
    }

    #[test]
    fn who_is_stopped_takes_nothing_back_until_somebody_has_looked() {
        let wrong = |id: &str, other: &str| {
            let mut entry = decided(id, "asha", ("a", other), Same);
            if let Event::Decide(judgement) = &mut entry.event {
                (judgement.why, judgement.truth) = (Why::Seed, Some(Different));
            }
            entry
        };
        let mut log = ledger(vec![wrong("1", "b"), wrong("2", "c"), undone("3", "asha", "2"), wrong("4", "d")]);
        assert_eq!(log.stopped("asha"), None, "two of two may be chance, and one was taken back in time");
        log.add(wrong("5", "e"));
        let stopped = KnownAnswers { wrong: 3, asked: 3 };
        assert_eq!(log.expect_trusted("asha", "6"), Err(stopped));
        assert_eq!((log.expect_trusted("asha", "5"), log.expect_trusted("ravi", "6")), (Ok(()), Ok(())));
        log.add(undone("6", "asha", "5"));
        assert_eq!(log.stopped("asha"), Some(stopped));
        let look = Look { to: "asha".into(), keep: true };
        log.add(Entry { id: "7".into(), reviewer: "ravi".into(), event: Event::Look(look), ..wrong("7", "f") });
        log.add(undone("8", "asha", "5"));
        assert!(log.is_undone("5") && !log.is_undone("4"));
    }

    #[test]
    fn a_seeded_pair_is_no_decision_of_the_queue() {
        let mut seed = decided("1", "asha", ("a", "b"), Same);
        if let Event::Decide(judgement) = &mut seed.event {
            judgement.why = Why::Seed;
        }
        let log = ledger(vec![seed]);
        assert_eq!(settled(&log), None);
        assert_eq!(log.seeded(&PairKey::new(&side("a"), &side("b"))).len(), 1);
    }
}
