//! Answers -> promises for the drive, its divisions and its districts.

use std::collections::BTreeMap;

use super::super::sample::ListRow;
use super::nights::{Night, answer_of, outcome};
use crate::assurance::promise::{CalledUnit, Goal, NightStratum, Outcome, Second, share};
use crate::assurance::record::{Level, Promise};
use crate::dump::facts::folded;
use crate::replies::{Answer, Answers, Channel};

/// The drive, its divisions and its districts, in order.
pub fn places(nights: &[Night]) -> Vec<(Level, String, String)> {
    let mut places: BTreeMap<(Level, String, String), (String, String)> = BTreeMap::new();
    places.insert((Level::Drive, String::new(), String::new()), (String::new(), String::new()));
    for stratum in nights.iter().flat_map(|night| &night.first.record.strata).filter(|stratum| stratum.accepted) {
        let (division, district) = (folded(&stratum.division), folded(&stratum.district));
        if !division.is_empty() {
            let spelt = (stratum.division.clone(), stratum.division.clone());
            places.entry((Level::Division, division.clone(), String::new())).or_insert(spelt);
        }
        if !district.is_empty() {
            let spelt = (stratum.district.clone(), stratum.division.clone());
            places.entry((Level::District, division, district)).or_insert(spelt);
        }
    }
    places.into_iter().map(|((level, ..), (name, division))| (level, name, division)).collect()
}

fn called_unit(night: &Night, row: &ListRow, answers: &Answers) -> CalledUnit {
    let id = &row.submission_id;
    let candidate = night.second.as_ref().filter(|second| second.frame.iter().any(|other| other.submission_id == *id));
    let (outcome, second) = match candidate {
        None => (outcome(answer_of(answers, id)), None),
        Some(second) => {
            let is_taken = second.list.iter().any(|other| other.submission_id == *id);
            let visit = answers.get(&(id.clone(), Channel::Visit));
            let probability = second.record.second.as_ref().map_or(1.0, |of| of.probability);
            let outcome = is_taken.then(|| outcome(visit));
            (Outcome::Silent, Some(Second { probability, outcome }))
        }
    };
    CalledUnit { order: row.place, inclusion_probability: row.inclusion_probability, outcome, second }
}

/// The promise of one place.
pub fn promise(
    nights: &[Night],
    answers: &Answers,
    level: Level,
    (name, division): (String, String),
    goal: Goal,
) -> Promise {
    let mut strata = Vec::new();
    let mut counts: BTreeMap<Answer, u64> = BTreeMap::new();
    let (mut members, mut drawn) = (0, 0);
    for (number, night) in nights.iter().enumerate() {
        for (at, stratum) in night.first.record.strata.iter().enumerate().filter(|(_, stratum)| stratum.accepted) {
            let same = |a: &str, b: &str| folded(a) == folded(b);
            let is_inside = match level {
                Level::Drive => true,
                Level::Division => same(&stratum.division, &name),
                Level::District => same(&stratum.district, &name) && same(&stratum.division, &division),
            };
            if !is_inside {
                continue;
            }
            let rows: Vec<&ListRow> = night.first.list.iter().filter(|row| row.stratum == at).collect();
            members += stratum.members;
            drawn += rows.len() as u64;
            for reply in rows.iter().filter_map(|row| answer_of(answers, &row.submission_id)) {
                *counts.entry(reply.answer).or_default() += 1;
            }
            let units = rows.into_iter().map(|row| called_unit(night, row, answers)).collect();
            strata.push(NightStratum { night: number, population: stratum.members, units });
        }
    }
    let calls = counts.values().sum();
    Promise { level, name, division, members, drawn, calls, answers: counts, share: share(&strata, goal) }
}
