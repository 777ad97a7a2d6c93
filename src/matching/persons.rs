//! Persons who are beyond doubt one person, before anything is fitted.
//!
//! Who is enrolled a hundred times makes 4,950 pairs with himself, and a hundred with everybody who looks a little like him.
//! Where such pairs speak for everybody, one farmed face moves every limit of the night. So memberships whose faces are
//! alike beyond doubt are joined first; of a person with more than [`LARGE`] memberships one votes
//! on how alike strangers are ([`Persons::vote`]), and
//! in the share of false flags a person counts as [`MOST_VOTES`] memberships at most.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::rate::FalseMatchRate;

/// By the curve that ships for the network a pair is beyond doubt from where so few pairs of strangers are as similar: less
/// than one in the largest gallery, also among people ten times as alike as those behind the curve.
const SURE_RATE: f64 = 1e-12;

/// Of a person with more memberships one votes. Smaller ones are not thinned out, for the mates that stay must be
/// distributed as mates are.
const LARGE: usize = 20;

/// Memberships that a person counts for at most.
pub(super) const MOST_VOTES: usize = 3;

/// Of a person with more memberships not all pairs are kept.
pub(super) const MOST_WITH_ALL_PAIRS: usize = 150;

/// The similarity from which on a pair is beyond doubt.
pub(super) fn sure_similarity(shipped: &FalseMatchRate) -> f32 {
    shipped.inverse(SURE_RATE)
}

/// Groups of things that are joined one pair at a time.
#[derive(Debug, Clone)]
pub(super) struct Groups<K> {
    parent: HashMap<K, K>,
    sizes: HashMap<K, usize>,
}

impl<K: Copy + Eq + Ord + Hash> Groups<K> {
    pub(super) fn new() -> Self {
        Groups { parent: HashMap::new(), sizes: HashMap::new() }
    }

    /// The first of a group stands for it.
    pub(super) fn root(&mut self, mut at: K) -> K {
        while let Some(&up) = self.parent.get(&at) {
            let top = self.parent.get(&up).copied();
            if let Some(top) = top {
                self.parent.insert(at, top);
            }
            at = up;
        }
        at
    }

    pub(super) fn size(&self, root: K) -> usize {
        self.sizes.get(&root).copied().unwrap_or(1)
    }

    /// Joins two groups. Returns the sizes of both, or `None` where they are one already.
    pub(super) fn join(&mut self, a: K, b: K) -> Option<[usize; 2]> {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return None;
        }
        let sizes = [self.size(a), self.size(b)];
        let (first, second) = (a.min(b), a.max(b));
        self.parent.insert(second, first);
        self.sizes.remove(&second);
        self.sizes.insert(first, sizes[0] + sizes[1]);
        Some(sizes)
    }
}

/// Things joined by pairs beyond doubt.
#[derive(Debug, Clone)]
pub(super) struct Persons<K> {
    groups: Groups<K>,
    /// Those of large persons, but the first of each.
    silent: HashSet<K>,
}

impl<K: Copy + Eq + Ord + Hash> Persons<K> {
    /// From pairs with their similarity.
    pub(super) fn of(pairs: impl Iterator<Item = (K, K, f32)>, sure: f32) -> Self {
        let mut groups = Groups::new();
        pairs.filter(|&(_, _, similarity)| similarity >= sure && similarity.is_finite()).for_each(|(a, b, _)| {
            groups.join(a, b);
        });
        let members: Vec<K> = groups.parent.keys().copied().collect();
        let is_silent = |member: &K| {
            let root = groups.root(*member);
            groups.size(root) > LARGE
        };
        let silent = members.into_iter().filter(is_silent).collect();
        Persons { groups, silent }
    }

    /// Whether both of a pair vote: each the only one of a large person, or of a small one.
    pub(super) fn vote(&self, a: K, b: K) -> bool {
        self.silent.is_empty() || (!self.silent.contains(&a) && !self.silent.contains(&b))
    }

    /// How many do not vote.
    pub(super) fn silent(&self) -> usize {
        self.silent.len()
    }

    /// How many memberships of all are beyond what their persons count for.
    pub(super) fn beyond_votes(&self) -> usize {
        self.groups.sizes.values().map(|size| size.saturating_sub(MOST_VOTES)).sum()
    }

    /// How many belong to the person of the largest group, and 1 where nobody is there twice.
    pub(super) fn largest(&self) -> usize {
        self.groups.sizes.values().copied().max().unwrap_or(1)
    }

    /// How many belong to the person of `of`, and who stands for it.
    pub(super) fn person(&mut self, of: K) -> (K, usize) {
        let root = self.groups.root(of);
        (root, self.groups.size(root))
    }
}

/// What remains of a number of pairs when of `all` members `left` count.
pub(super) fn pairs_left(pairs: f64, all: f64, left: f64) -> f64 {
    if all <= 0.0 { pairs } else { pairs * (left / all).clamp(0.0, 1.0).powi(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_large_person_one_votes() {
        // Thirty in a chain, two, and one who is not alike enough.
        let chain = (1..30).map(|k| (k, k + 1, 0.9));
        let mut persons = Persons::of(chain.chain([(50, 51, 0.99), (60, 5, 0.5)]), 0.8);
        assert!(persons.vote(1, 60) && persons.vote(50, 51) && !persons.vote(2, 60));
        assert_eq!((persons.silent(), persons.beyond_votes(), persons.largest()), (29, 27, 30));
        assert_eq!((persons.person(7), persons.person(60)), ((1, 30), (60, 1)));
        assert_eq!(pairs_left(100.0, 10.0, 5.0), 25.0);
    }

    #[test]
    fn a_chain_of_thousands_is_one_group() {
        let mut groups: Groups<u32> = Groups::new();
        (0..50_000).rev().for_each(|k| {
            groups.join(k, k + 1);
        });
        assert_eq!((groups.root(50_000), groups.size(0)), (0, 50_001));
        assert_eq!(groups.join(3, 4), None);
    }
}
