//! A reviewer's list: everything that may be asked, in order, and what stands.
//!
//! It is a function of the queue, the log and the reviewer's name, and of nothing that this reviewer must not see. So two
//! desks on one log agree without talking to each other.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::desk::{Desk, Spot};
use super::queue::Pair;
use super::request::lock;
use super::views::ItemState;
use crate::decisions::{Answer, Ledger, PairKey};

/// So long a pair that somebody looks at is not offered to another.
const HELD: Duration = Duration::from_secs(90);

impl Desk {
    /// Everything a reviewer may be asked, in order. It hangs on nothing that this reviewer must not see.
    pub(super) fn list(&self, ledger: &Ledger, reviewer: &str) -> Vec<ItemState> {
        let mut seeds: HashMap<(usize, usize), Vec<usize>> = HashMap::new();
        for (at, seed) in self.seeds.iter().enumerate() {
            seeds.entry(seed.after).or_default().push(at);
        }
        let held = lock(&self.held).clone();
        let visible = |pair: &Pair| match pair.second {
            true => ledger.answers(&pair.key).get(reviewer).map(|judgement| judgement.answer),
            false => ledger.settled(&pair.key).map(|settled| settled.answer),
        };
        let mut items = Vec::new();
        for (at, person) in self.queue.persons.iter().enumerate() {
            for index in person.asked(&visible) {
                items.push(self.pair_state(ledger, reviewer, at, index, &held));
                for seed in seeds.remove(&(at, index)).into_iter().flatten() {
                    items.push(self.seed_state(ledger, reviewer, seed));
                }
            }
        }
        // The pair after which a known one stood may be needed no more.
        let mut rest: Vec<usize> = seeds.into_values().flatten().collect();
        rest.sort_unstable();
        items.extend(rest.into_iter().map(|seed| self.seed_state(ledger, reviewer, seed)));
        items
    }

    fn pair_state(
        &self,
        ledger: &Ledger,
        reviewer: &str,
        person: usize,
        index: usize,
        held: &HashMap<String, (String, Instant)>,
    ) -> ItemState {
        let pair = &self.queue.persons[person].pairs[index];
        let answers = ledger.answers(&pair.key);
        let mine = answers.get(reviewer);
        let second = pair.second;
        let others: Vec<(String, Answer)> = answers
            .iter()
            .filter(|(who, _)| **who != reviewer)
            .map(|(who, judgement)| ((*who).to_owned(), judgement.answer))
            .collect();
        let id = pair.id.clone();
        let busy = held.get(&id).is_some_and(|(who, since)| who != reviewer && since.elapsed() < HELD);
        ItemState {
            open: mine.is_none() && others.len() < if second { 2 } else { 1 },
            mine: mine.map(|judgement| judgement.answer),
            note: mine.and_then(|judgement| judgement.note.clone()),
            by: if second { Vec::new() } else { others },
            held: busy && !second,
            id,
        }
    }

    fn seed_state(&self, ledger: &Ledger, reviewer: &str, at: usize) -> ItemState {
        let seed = &self.seeds[at];
        let answers = ledger.seeded(&PairKey::new(&seed.a.side, &seed.b.side));
        let mine = answers.get(reviewer);
        ItemState {
            id: self.id(Spot::Seed(at)),
            open: mine.is_none(),
            mine: mine.map(|judgement| judgement.answer),
            note: mine.and_then(|judgement| judgement.note.clone()),
            by: Vec::new(),
            held: false,
        }
    }
}
