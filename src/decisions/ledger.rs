//! The entries together: what stands, of whom, about which pair.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Answer, Entry, Event, Judgement, PairKey, Why};

/// Entries in their order, and what follows from them.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    entries: Vec<Entry>,
    known: HashSet<String>,
    undone: HashSet<String>,
    by_pair: HashMap<PairKey, Vec<usize>>,
    order: Vec<PairKey>,
}

/// What the answers about a pair come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The answer all agree on; [`Answer::NotSure`] where they do not.
    pub answer: Answer,
    /// How many people answered.
    pub people: usize,
    /// Whether they said different things.
    pub disputed: bool,
}

impl Ledger {
    /// Adds an entry; one that is there already changes nothing.
    pub fn add(&mut self, entry: Entry) {
        if !self.known.insert(entry.id.clone()) {
            return;
        }
        match &entry.event {
            Event::Decide(judgement) => {
                let key = PairKey::new(&judgement.a, &judgement.b);
                let of_pair = self.by_pair.entry(key.clone()).or_default();
                if of_pair.is_empty() {
                    self.order.push(key);
                }
                of_pair.push(self.entries.len());
            }
            // Nobody takes back what another said.
            Event::Undo { undoes } => {
                if self.entries.iter().any(|e| e.id == *undoes && e.reviewer == entry.reviewer) {
                    self.undone.insert(undoes.clone());
                }
            }
        }
        self.entries.push(entry);
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
        &self.order
    }

    /// What each person says of a pair now, by name. Seeded pairs are of no queue, and are not among them.
    pub fn answers(&self, pair: &PairKey) -> BTreeMap<&str, &Judgement> {
        self.stand(pair, false)
    }

    /// The same of pairs whose answer is known.
    pub fn seeded(&self, pair: &PairKey) -> BTreeMap<&str, &Judgement> {
        self.stand(pair, true)
    }

    /// What the answers about a pair of the queue come to; `None` where there is none.
    pub fn settled(&self, pair: &PairKey) -> Option<Settled> {
        settle(self.answers(pair).values().map(|judgement| judgement.answer))
    }

    /// The last decision of a reviewer about a run that still stands, with its id.
    pub fn last_of(&self, reviewer: &str, run: &str) -> Option<(&str, &Judgement)> {
        let own = |entry: &&Entry| entry.reviewer == reviewer && entry.run == run && !self.undone.contains(&entry.id);
        self.entries.iter().rev().filter(own).find_map(|entry| match &entry.event {
            Event::Decide(judgement) => Some((entry.id.as_str(), judgement)),
            Event::Undo { .. } => None,
        })
    }

    fn stand(&self, pair: &PairKey, seeded: bool) -> BTreeMap<&str, &Judgement> {
        let mut stand = BTreeMap::new();
        for &at in self.by_pair.get(pair).map_or(&[][..], |of_pair| of_pair) {
            let entry = &self.entries[at];
            if let (Event::Decide(judgement), false) = (&entry.event, self.undone.contains(&entry.id))
                && (judgement.why == Why::Seed) == seeded
            {
                stand.insert(entry.reviewer.as_str(), judgement);
            }
        }
        stand
    }
}

/// What several answers come to.
pub fn settle(answers: impl Iterator<Item = Answer>) -> Option<Settled> {
    let mut settled: Option<Settled> = None;
    for answer in answers {
        settled = Some(match settled {
            None => Settled { answer, people: 1, disputed: false },
            Some(s) if s.answer == answer && !s.disputed => Settled { people: s.people + 1, ..s },
            Some(s) => Settled { answer: Answer::NotSure, people: s.people + 1, disputed: true },
        });
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::{decided, side, undone};
    use super::*;
    use Answer::{Different, NotSure, Same};

    fn ledger(entries: Vec<Entry>) -> Ledger {
        let mut ledger = Ledger::default();
        entries.into_iter().for_each(|e| ledger.add(e));
        ledger
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
        assert_eq!(log.last_of("asha", "r").unwrap().0, "1");
        log.add(undone("4", "asha", "1"));
        assert_eq!(settled(&log), None);
        assert!(log.last_of("asha", "r").is_none() && log.entries().len() == 4);
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
