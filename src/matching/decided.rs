//! What people decided, by the places of the memberships in a run's list.

use std::collections::HashMap;

use super::Enrolment;
use crate::decisions::{Answer, Decisions};

/// Decisions about pairs of one list of enrolments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided(HashMap<(usize, usize), Answer>);

/// The word of the `decision` column of `pairs.parquet`.
pub fn decision_code(answer: Answer) -> &'static str {
    match answer {
        Answer::Same => "confirmed",
        Answer::Different => "cleared",
        Answer::NotSure => "not_sure",
    }
}

impl Decided {
    /// Finds the memberships that were decided about. Where one is there twice (a row delivered again), each is meant.
    pub fn among(enrolments: &[Enrolment], decisions: &Decisions) -> Self {
        let mut wanted: HashMap<(&str, &str, i64), Vec<usize>> = HashMap::new();
        for (pair, _) in decisions.settled() {
            wanted
                .extend(pair.sides().iter().map(|(id, worker, at)| ((id.as_str(), worker.as_str(), *at), Vec::new())));
        }
        for (index, e) in enrolments.iter().enumerate() {
            if let Some(places) = wanted.get_mut(&(e.submission_id.as_str(), e.worker_id.as_str(), e.captured_at)) {
                places.push(index);
            }
        }
        let mut decided = HashMap::new();
        for (pair, settled) in decisions.settled() {
            let [one, other] =
                pair.sides().each_ref().map(|(id, worker, at)| &wanted[&(id.as_str(), worker.as_str(), *at)]);
            for &a in one {
                decided.extend(other.iter().filter(|&&b| b != a).map(|&b| ((a.min(b), a.max(b)), settled.answer)));
            }
        }
        Decided(decided)
    }

    /// Of pairs of places, for callers that know them.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (usize, usize, Answer)>) -> Self {
        Decided(pairs.into_iter().map(|(a, b, answer)| ((a.min(b), a.max(b)), answer)).collect())
    }

    /// What was decided about two memberships, named in any order.
    pub fn of(&self, a: usize, b: usize) -> Option<Answer> {
        self.0.get(&(a.min(b), a.max(b))).copied()
    }

    /// Whether two were told apart.
    pub fn apart(&self, a: usize, b: usize) -> bool {
        self.of(a, b) == Some(Answer::Different)
    }

    /// The pairs that were found to be one person, in order.
    pub fn together(&self) -> Vec<(usize, usize)> {
        let mut pairs: Vec<_> = self.0.iter().filter(|(_, a)| **a == Answer::Same).map(|(&pair, _)| pair).collect();
        pairs.sort_unstable();
        pairs
    }

    /// For each membership, the others that something was decided about.
    pub fn mates(&self) -> HashMap<usize, Vec<(usize, Answer)>> {
        let mut mates: HashMap<usize, Vec<(usize, Answer)>> = HashMap::new();
        for (&(a, b), &answer) in &self.0 {
            mates.entry(a).or_default().push((b, answer));
            mates.entry(b).or_default().push((a, answer));
        }
        mates
    }

    /// Whether nothing was decided about any of them.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many pairs were decided which way: same, different, not sure.
    pub fn counts(&self) -> [usize; 3] {
        Answer::ALL.map(|answer| self.0.values().filter(|&&a| a == answer).count())
    }
}
