//! Accounts that enrol from home, against the list of whom to call first and the indicators behind it.
//!
//! The truth says of each account in which way it enrols from home (`home`), or how it works honestly (`habit`); the run says
//! in which order to call (`call_first.parquet`) and by which signs each account stands out (`workers_audit.parquet`). Over
//! several nights the last run counts, for its tables are over the whole drive.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{Account, Night, Rate, Told, tables};
use crate::Result;

/// So many places of the list are looked at.
const FIRST: i64 = 10;

/// The counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PresenceReport {
    /// Accounts that enrol from home among the first ten of the list.
    pub found_in_first_ten: Rate,
    /// How many of the first ten of the list enrol from home.
    pub right_in_first_ten: Rate,
    /// Accounts that enrol from home that stand out by a sign.
    pub flagged: Rate,
    /// How many of those flagged so enrol from home.
    pub right_among_flagged: Rate,
    /// Honest accounts flagged so.
    pub honest_flagged: Rate,
    /// Each way to enrol from home.
    pub ways: Vec<Group>,
    /// Each way to work honestly.
    pub habits: Vec<Group>,
}

/// Accounts that do the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The code in the truth.
    pub name: String,
    /// Those among the first ten of the list.
    pub in_first_ten: Rate,
    /// Those that stand out by a sign.
    pub flagged: Rate,
    /// Of how many accounts each indicator flagged it.
    pub indicators: BTreeMap<String, usize>,
}

/// Reads and counts; `None` where the truth does not tell of it or no run has the tables.
///
/// # Errors
/// [`crate::Error::Input`] when a table cannot be read or lacks a column.
pub fn report(nights: &[Night]) -> Result<Option<PresenceReport>> {
    let mut accounts = HashMap::new();
    for night in nights {
        accounts.extend(tables::accounts(night)?);
    }
    let told = nights.iter().rev().find(|night| night.run.join("call_first.parquet").is_file());
    let Some(night) = told.filter(|_| !accounts.is_empty()) else { return Ok(None) };
    Ok(Some(count(&accounts, &tables::told(night)?)))
}

/// The counts, from what the truth and the run say of each account by its id.
pub fn count(accounts: &HashMap<String, Account>, told: &HashMap<String, Told>) -> PresenceReport {
    let silent = Told::default();
    let of = |id: &str| told.get(id).unwrap_or(&silent);
    let is_first = |id: &str| of(id).place.is_some_and(|place| place <= FIRST);
    let is_flagged = |id: &str| !of(id).indicators.is_empty();
    let those =
        |is_home: bool| accounts.iter().filter(move |(_, account)| account.is_home == is_home).map(|(id, _)| id);
    let share = |among: &[&String], test: &dyn Fn(&str) -> bool| {
        Rate::new(among.iter().filter(|id| test(id)).count(), among.len())
    };
    let (home, honest): (Vec<&String>, Vec<&String>) = (those(true).collect(), those(false).collect());
    let all: Vec<&String> = accounts.keys().collect();
    let only = |test: &dyn Fn(&str) -> bool| all.iter().copied().filter(|id| test(id)).collect::<Vec<_>>();
    let groups = |is_home: bool| {
        let mut named: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for (id, account) in accounts.iter().filter(|(_, account)| account.is_home == is_home) {
            named.entry(&account.name).or_default().push(id);
        }
        let group = |(name, ids): (&str, Vec<&String>)| {
            let mut indicators = BTreeMap::new();
            for indicator in ids.iter().flat_map(|id| &of(id).indicators) {
                *indicators.entry(indicator.clone()).or_default() += 1;
            }
            let (in_first_ten, flagged) = (share(&ids, &is_first), share(&ids, &is_flagged));
            Group { name: name.to_owned(), in_first_ten, flagged, indicators }
        };
        named.into_iter().map(group).collect()
    };
    let is_home = |id: &str| accounts.get(id).is_some_and(|account| account.is_home);
    PresenceReport {
        found_in_first_ten: share(&home, &is_first),
        right_in_first_ten: share(&only(&is_first), &is_home),
        flagged: share(&home, &is_flagged),
        right_among_flagged: share(&only(&is_flagged), &is_home),
        honest_flagged: share(&honest, &is_flagged),
        ways: groups(true),
        habits: groups(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_a_hand() {
        let account = |is_home, name: &str| Account { is_home, name: name.to_owned() };
        let accounts = HashMap::from([
            ("a".to_owned(), account(true, "room")),
            ("b".to_owned(), account(true, "room")),
            ("c".to_owned(), account(true, "travel")),
            ("d".to_owned(), account(false, "camp")),
            ("e".to_owned(), account(false, "doors")),
        ]);
        let told = |place: i64, indicators: &[&str]| Told {
            place: Some(place),
            indicators: indicators.iter().map(|name| (*name).to_owned()).collect(),
        };
        let told = HashMap::from([
            ("a".to_owned(), told(1, &["same_place", "same_room"])),
            ("b".to_owned(), told(11, &["same_place"])),
            ("d".to_owned(), told(2, &["burst"])),
            ("x".to_owned(), told(3, &["burst"])),
        ]);
        let report = count(&accounts, &told);
        assert_eq!(report.found_in_first_ten, Rate::new(1, 3));
        assert_eq!(
            report.right_in_first_ten,
            Rate::new(1, 2),
            "of an account that the truth does not know nothing is said"
        );
        assert_eq!((report.flagged, report.right_among_flagged), (Rate::new(2, 3), Rate::new(2, 3)));
        assert_eq!(report.honest_flagged, Rate::new(1, 2));
        let room = &report.ways[0];
        assert_eq!((room.name.as_str(), room.flagged, room.in_first_ten), ("room", Rate::new(2, 2), Rate::new(1, 2)));
        assert_eq!(room.indicators, BTreeMap::from([("same_place".to_owned(), 2), ("same_room".to_owned(), 1)]));
        assert_eq!(report.habits.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["camp", "doors"]);
    }
}
