//! Pairs that other memberships tell to be of two people.
//!
//! Where many are enrolled twice, a pair as alike as the limits are is nearly always one person; which are the few that
//! are not, nobody knows, and their number decides where the limits lie. But whoever is known by a second membership can
//! be asked twice. Of a membership A whose mate A' is beyond doubt, take the pairs with others, B: if B were the same
//! person, it would be as alike to A' as well. Where it is not, A and B are two people, for A is A' and A' is not B.
//!
//! So pairs are cleared where both scores stay below a limit. Up to that limit their scores are distributed as strangers'
//! are (somebody who is alike to A is less so to A', for what was chosen for being high in one picture is lower in the
//! next), while mates are rarer by a hundred than among all pairs. What remains of them is fitted with the rest
//! ([`super::crowded`]). Like the labels of Scheirer et al. ("Meta-recognition", 2011) it is made of the scores alone.

use std::collections::HashMap;

use super::Candidate;
use super::impostor::ImpostorModel;

/// So many false pairs among the mates beyond doubt are suffered.
const DOUBT: f64 = 0.1;

/// Least number of cleared pairs, and how many of them are expected beyond the limit.
const LEAST: f64 = 1_000.0;
const BEYOND: f64 = 30.0;

/// Scores of cleared pairs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cleared {
    /// Scores below `below`, of pairs whose other score is below it too.
    pub scores: Vec<f32>,
    /// The limit.
    pub below: f32,
    /// About how many pairs these are the most similar of.
    pub pairs: f64,
}

/// Clears pairs among the candidates, which are in order, most similar first, and hold every pair of `compared` at or
/// above `floor`. `score` gives the similarity of any two. `None` where too few have a mate beyond doubt.
pub(super) fn cleared(
    candidates: &[Candidate],
    (strangers, compared, floor): (&ImpostorModel, f64, f32),
    score: &dyn Fn(usize, usize) -> f32,
) -> Option<Cleared> {
    let rate = strangers.rate();
    let sure = rate.inverse(DOUBT / compared.max(1.0));
    let mut mates: HashMap<usize, usize> = HashMap::new();
    for c in candidates.iter().take_while(|c| c.similarity >= sure) {
        // The first is the most similar.
        mates.entry(c.a).or_insert(c.b);
        mates.entry(c.b).or_insert(c.a);
    }
    let rest = &candidates[candidates.partition_point(|c| c.similarity >= sure)..];
    let asked: Vec<(f32, usize, usize)> = rest
        .iter()
        .take_while(|c| c.similarity >= floor)
        .flat_map(|c| [(c.similarity, c.a, c.b), (c.similarity, c.b, c.a)])
        .filter_map(|(similarity, one, other)| Some((similarity, *mates.get(&one)?, other)))
        .collect();
    // Near the floor they are nearly all strangers: so many lie between it and where an e-th of the strangers is left.
    let near = rate.inverse(rate.at(floor) / std::f64::consts::E);
    let strangers_asked = asked.iter().filter(|(s, _, _)| *s < near).count() as f64 / (1.0 - (-1f64).exp());
    if strangers_asked < LEAST {
        return None;
    }
    let below = rate.inverse(rate.at(floor) * BEYOND / strangers_asked);
    let is_cleared = |&(similarity, mate, other): &(f32, usize, usize)| {
        (similarity < below && score(mate, other) < below).then_some(similarity)
    };
    let scores: Vec<f32> = asked.iter().filter_map(is_cleared).collect();
    Some(Cleared { scores, below, pairs: strangers_asked / rate.at(floor).max(1e-300) })
}
