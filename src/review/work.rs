//! Who has which part of the work.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::desk::Desk;
use super::request::{self, Refusal, lock};
use crate::decisions::{Assignment, Event, KnownAnswers, Look};
use crate::journal::Receipt;

/// Most parts of a queue.
const MOST_PARTS: u32 = 99;

/// Who has what.
#[derive(Debug, Serialize)]
pub struct Work {
    /// Districts of the run.
    pub districts: Vec<String>,
    /// Everybody who has answered, or has a part of the work.
    pub people: Vec<AtWork>,
}

/// One reviewer's part.
#[derive(Debug, Serialize)]
pub struct AtWork {
    pub name: String,
    pub districts: Vec<String>,
    pub part: Option<[u32; 2]>,
    /// Decisions about this run, those taken back among them.
    pub answered: usize,
    /// Pairs and rows that are left for this reviewer.
    pub left: usize,
    pub stopped: Option<KnownAnswers>,
}

/// A part of the work for somebody, as the page sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assigning {
    pub reviewer: String,
    pub nonce: String,
    /// Whose work.
    pub to: String,
    #[serde(default)]
    pub districts: Vec<String>,
    #[serde(default)]
    pub part: Option<[u32; 2]>,
}

/// Somebody has looked at a stopped reviewer's answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looking {
    pub reviewer: String,
    pub nonce: String,
    /// Whose answers.
    pub to: String,
    /// Whether they count after all.
    pub keep: bool,
}

impl Desk {
    /// Who has what.
    pub fn work(&self, reviewer: &str) -> Result<Work, Refusal> {
        self.name(reviewer)?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        Ok(self.work_now(log.ledger()))
    }

    /// Gives somebody a part of the work.
    pub fn assign(&self, given: &Assigning) -> Result<(Work, Receipt), Refusal> {
        let reviewer = self.name(&given.reviewer)?;
        let to = request::name(&given.to, None)?;
        if given.part.is_some_and(|[k, n]| k == 0 || k > n || n > MOST_PARTS) {
            return Err(Refusal::Wrong("a part is k of n, from 1 of 1 to 99 of 99"));
        }
        if given.districts.iter().any(|district| !self.districts.contains(district)) {
            return Err(Refusal::Wrong("this run has no such district"));
        }
        let assignment = Assignment { to, districts: given.districts.clone(), part: given.part };
        self.write_down(&reviewer, &given.nonce, Event::Assign(assignment))
    }

    /// Notes that somebody has looked at a stopped reviewer's answers.
    pub fn look(&self, given: &Looking) -> Result<(Work, Receipt), Refusal> {
        let reviewer = self.name(&given.reviewer)?;
        let to = request::name(&given.to, None)?;
        if to == reviewer {
            return Err(Refusal::Wrong("somebody else has to look at your answers"));
        }
        if lock(&self.log).ledger().stopped(&to).is_none() {
            return Err(Refusal::Wrong("this reviewer is not stopped"));
        }
        self.write_down(&reviewer, &given.nonce, Event::Look(Look { to, keep: given.keep }))
    }

    fn write_down(&self, reviewer: &str, nonce: &str, event: Event) -> Result<(Work, Receipt), Refusal> {
        let entry = self.entry(reviewer, nonce, event)?;
        let mut log = lock(&self.log);
        let receipt = log.append(entry).map_err(Refusal::Log)?;
        Ok((self.work_now(log.ledger()), receipt))
    }

    fn work_now(&self, ledger: &crate::decisions::Ledger) -> Work {
        let assignments = ledger.assignments(&self.run_id);
        let mut answered: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in ledger.entries().iter().filter(|entry| entry.run == self.run_id) {
            let is_answer = entry.event.pair().is_some() || entry.event.row().is_some();
            *answered.entry(&entry.reviewer).or_default() += usize::from(is_answer);
        }
        let names: BTreeSet<&str> = answered.keys().chain(assignments.keys()).copied().collect();
        let at_work = |name: &str| {
            let assignment = assignments.get(name).copied().cloned().unwrap_or_default();
            AtWork {
                name: name.to_owned(),
                districts: assignment.districts,
                part: assignment.part,
                answered: answered.get(name).copied().unwrap_or_default(),
                left: self.left_for(ledger, name),
                stopped: ledger.stopped(name),
            }
        };
        Work { districts: self.districts.clone(), people: names.into_iter().map(at_work).collect() }
    }
}
