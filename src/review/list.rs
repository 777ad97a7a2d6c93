//! A reviewer's list: everything that may be asked, in order, and what stands.
//!
//! It is a function of the queue, the log and the reviewer's name, and of nothing that this reviewer must not see. So two
//! desks on one log agree without talking to each other.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::desk::{Desk, Spot};
use super::given::is_given;
use super::queue::Pair;
use super::request::lock;
use super::views::{ItemState, PairAnswer};
use crate::decisions::{Ledger, PairKey};

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
        let given = ledger.assignments(&self.run_id).get(reviewer).copied();
        let visible = |pair: &Pair| {
            let settled = ledger.settled(&pair.key);
            match pair.second && !settled.is_some_and(|settled| settled.disputed) {
                true => ledger.answers(&pair.key).get(reviewer).map(|judgement| judgement.answer),
                // Where people disagree this is "not sure", which no other pair makes needless.
                false => settled.map(|settled| settled.answer),
            }
        };
        let mut items = Vec::new();
        for (at, person) in self.queue.persons.iter().enumerate() {
            for index in person.asked(&visible) {
                let pair = &person.pairs[index];
                let state = self.pair_state(ledger, reviewer, pair, &held);
                let districts = [pair.a.district.as_str(), pair.b.district.as_str()];
                let name = if person.rank == 0 { &pair.id } else { &person.cluster_id };
                if is_given(given, &districts, name) || state.mine.is_some() || state.disputed {
                    items.push(state);
                }
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
        pair: &Pair,
        held: &HashMap<String, (String, Instant)>,
    ) -> ItemState {
        let answers = ledger.answers(&pair.key);
        let mine = answers.get(reviewer);
        let second = pair.second;
        let disputed = ledger.settled(&pair.key).is_some_and(|settled| settled.disputed);
        let is_decided_between = answers.values().any(|judgement| judgement.why.is_final());
        let others: Vec<(String, PairAnswer)> = answers
            .iter()
            .filter(|(who, _)| **who != reviewer)
            .map(|(who, judgement)| ((*who).to_owned(), PairAnswer::of(judgement)))
            .collect();
        // Who was asked blind is told what others said when they disagree, and not before.
        let may_know = !second || disputed || is_decided_between;
        let id = pair.id.clone();
        let busy = held.get(&id).is_some_and(|(who, since)| who != reviewer && since.elapsed() < HELD);
        ItemState {
            open: mine.is_none() && (disputed || others.len() < if second { 2 } else { 1 }),
            mine: mine.map(|judgement| PairAnswer::of(judgement)),
            note: mine.and_then(|judgement| judgement.note.clone()),
            by: if may_know { others } else { Vec::new() },
            held: busy && !second,
            disputed,
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
            mine: mine.map(|judgement| PairAnswer::of(judgement)),
            note: mine.and_then(|judgement| judgement.note.clone()),
            by: Vec::new(),
            held: false,
            disputed: false,
        }
    }
}
