//! The reviewers themselves: who has which part of the work, and whose answers are set apart.
//!
//! A reviewer who answers known pairs wrongly too often is stopped: the desk takes no further answer, and what was said
//! since the last look counts for nothing, and is not taken back either, until somebody else has looked. Too often means that a reviewer with an error
//! share of [`TOLERATED`] would make so many errors among so many known pairs with a probability below [`LEAST_CHANCE`]
//! (exact binomial test, one-sided); three of three are enough, two of two are not. An open answer is no error.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Share of errors among known pairs that is nobody's fault.
const TOLERATED: f64 = 0.05;

/// Whoever errs as often as this would happen by chance is stopped.
const LEAST_CHANCE: f64 = 0.001;

/// A part of the work, given to a reviewer; a later one takes its place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The reviewer.
    pub to: String,
    /// Of these districts; of all where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub districts: Vec<String>,
    /// Part `k` of `n`, from 1; all where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<[u32; 2]>,
}

/// Somebody has looked at what a stopped reviewer said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The reviewer who was stopped.
    pub to: String,
    /// Whether those answers count after all; otherwise they never will.
    pub keep: bool,
}

/// How a reviewer answers known pairs and rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct KnownAnswers {
    /// Wrong answers.
    pub wrong: usize,
    /// Answers.
    pub asked: usize,
}

impl KnownAnswers {
    /// Whether that is too often.
    pub fn is_too_often(self) -> bool {
        chance_of_at_least(self.wrong, self.asked) < LEAST_CHANCE
    }
}

/// The chance of at least `wrong` errors of `asked` where each is one with probability [`TOLERATED`].
fn chance_of_at_least(wrong: usize, asked: usize) -> f64 {
    let fewer = (0..wrong).map(|k| {
        let choose: f64 = (0..k).map(|i| (asked - i) as f64 / (i + 1) as f64).product();
        choose * TOLERATED.powf(k as f64) * (1.0 - TOLERATED).powf((asked - k) as f64)
    });
    1.0 - fewer.sum::<f64>()
}

/// Whose entries count, by their place in the log.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    people: BTreeMap<String, Person>,
}

#[derive(Debug, Clone, Default)]
struct Person {
    /// From here on nobody has looked.
    since: usize,
    stopped: Option<KnownAnswers>,
    void: Vec<Range<usize>>,
}

impl Trust {
    /// Whether an entry of a reviewer counts.
    pub fn counts(&self, reviewer: &str, place: usize) -> bool {
        self.people.get(reviewer).is_none_or(|person| {
            let is_apart = person.stopped.is_some() && place >= person.since;
            !is_apart && !person.void.iter().any(|void| void.contains(&place))
        })
    }

    /// Whether a reviewer is stopped, and by what.
    pub fn stopped(&self, reviewer: &str) -> Option<KnownAnswers> {
        self.people.get(reviewer)?.stopped
    }

    /// From which place on nobody has looked at what a reviewer said.
    pub fn since(&self, reviewer: &str) -> usize {
        self.people.get(reviewer).map_or(0, |person| person.since)
    }

    /// Takes in how a reviewer has answered since then.
    pub fn measure(&mut self, reviewer: &str, answers: KnownAnswers) {
        let person = self.people.entry(reviewer.to_owned()).or_default();
        person.stopped = Some(answers).filter(|answers| answers.is_too_often());
    }

    /// Takes in that somebody has looked, at this place of the log.
    pub fn looked(&mut self, look: &Look, place: usize) {
        let person = self.people.entry(look.to.clone()).or_default();
        if !look.keep {
            person.void.push(person.since..place);
        }
        person.since = place;
        person.stopped = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_three_stop_and_a_few_of_many_do_not() {
        // scipy 1.17.1: binom.sf(wrong - 1, asked, 0.05)
        for (wrong, asked, chance) in [(3, 3, 1.25e-4), (2, 2, 2.5e-3), (4, 20, 1.5901526019764e-2), (0, 9, 1.0)] {
            let found = chance_of_at_least(wrong, asked);
            assert!((found - chance).abs() < 1e-9, "{wrong} of {asked}: {found}");
        }
        assert!(KnownAnswers { wrong: 3, asked: 3 }.is_too_often());
        assert!(
            !KnownAnswers { wrong: 2, asked: 2 }.is_too_often()
                && !KnownAnswers { wrong: 6, asked: 100 }.is_too_often()
        );
    }

    #[test]
    fn what_a_stopped_reviewer_said_counts_again_when_somebody_kept_it() {
        let mut trust = Trust::default();
        trust.measure("asha", KnownAnswers { wrong: 3, asked: 3 });
        assert!(!trust.counts("asha", 2) && trust.counts("ravi", 2));
        let look = |keep| Look { to: "asha".into(), keep };
        trust.looked(&look(true), 5);
        assert!(trust.counts("asha", 2) && trust.counts("asha", 6));
        trust.looked(&look(false), 9);
        assert!(trust.counts("asha", 2) && !trust.counts("asha", 6) && trust.counts("asha", 9));
    }
}
