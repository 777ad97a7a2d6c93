//! Error rates by group of people and how far they lie apart, after ISO/IEC 19795-10.
//!
//! All groups are judged at one threshold, as the product judges them. False matches are counted between people of one
//! group, where they are most frequent. Intervals come from a Poisson bootstrap over people: a pair is drawn as often as
//! both of its people together. A group enters the ratios only when its comparisons would show at least
//! [`LEAST_EXPECTED`] errors at the rate of all: with fewer the ratio would be chance.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::evaluate::estimate::{Estimate, Weight, estimate_of, interval};
use crate::evaluate::labels;
use crate::{Error, Result};

/// Errors to be expected of a group at the rate of all, for its rate to be held against other groups'.
pub const LEAST_EXPECTED: f64 = 3.0;

/// Ids named in the report and in errors; all are in the JSON.
const NAMED: usize = 5;

/// A group file as it was read: a CSV with the columns `id, group`.
#[derive(Debug, Clone)]
pub struct GroupFile {
    path: PathBuf,
    group_by_id: BTreeMap<String, String>,
}

impl GroupFile {
    /// Reads a CSV with the columns `id, group`.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is none, a line with an empty cell, or an id in two groups.
    pub fn read(path: &Path) -> Result<Self> {
        let mut group_by_id = BTreeMap::new();
        for (number, row) in labels::read(path, &["id", "group"])?.into_iter().enumerate() {
            let [id, group] = [row[0].trim(), row[1].trim()];
            let line = format!("line {}", number + 2);
            if id.is_empty() || group.is_empty() {
                let found = format!("id '{id}', group '{group}'");
                return Err(Error::input(path, line, "an id and its group", found, "fill or remove the line"));
            }
            let earlier = group_by_id.insert(id.to_owned(), group.to_owned());
            if let Some(earlier) = earlier.filter(|earlier| earlier != group) {
                let expected = format!("one group for '{id}', which is in '{earlier}' by an earlier line");
                return Err(Error::input(path, line, expected, format!("'{group}'"), "keep one of the two lines"));
            }
        }
        Ok(GroupFile { path: path.to_owned(), group_by_id })
    }

    /// Puts people into groups. `ids` has one id per person, each once; `what` says what an id is.
    ///
    /// # Errors
    /// [`Error::Input`] when none of the file's ids is among them.
    pub fn assign<'a>(&self, ids: impl IntoIterator<Item = &'a str>, what: &str) -> Result<Groups> {
        let person_by_id: HashMap<&str, usize> = ids.into_iter().zip(0..).collect();
        let mut groups = Groups { people: person_by_id.len(), members: BTreeMap::new(), unknown_ids: Vec::new() };
        for (id, group) in &self.group_by_id {
            match person_by_id.get(id.as_str()) {
                Some(&person) => groups.members.entry(group.clone()).or_default().push(person),
                None => groups.unknown_ids.push(id.clone()),
            }
        }
        if groups.members.is_empty() {
            let found = format!("none of its {} ids: {}", self.group_by_id.len(), first_of(&groups.unknown_ids));
            return Err(Error::input(&self.path, "column id", what, found, "name the people as the data names them"));
        }
        Ok(groups)
    }
}

/// People in their groups, by number of the person.
#[derive(Debug, Clone)]
pub struct Groups {
    people: usize,
    members: BTreeMap<String, Vec<usize>>,
    unknown_ids: Vec<String>,
}

impl Groups {
    /// Each person's group, as a number in the order of names; `None` for people in no group.
    pub(super) fn group_numbers(&self) -> Vec<Option<usize>> {
        let mut numbers = vec![None; self.people];
        for (number, members) in self.members.values().enumerate() {
            members.iter().for_each(|&person| numbers[person] = Some(number));
        }
        numbers
    }

    /// How many groups there are.
    pub(super) fn count(&self) -> usize {
        self.members.len()
    }

    /// The report over rates that were counted for each group in turn.
    pub(super) fn report(&self, rates: Vec<CountedRate>) -> GroupReport {
        let in_groups: usize = self.members.values().map(Vec::len).sum();
        GroupReport {
            people: self.members.iter().map(|(group, members)| (group.clone(), members.len())).collect(),
            people_in_no_group: self.people - in_groups,
            unknown_ids: self.unknown_ids.clone(),
            rates: rates.into_iter().map(|rate| self.differential(rate)).collect(),
        }
    }

    fn differential(&self, counted: CountedRate) -> Differential {
        let rate = |tally: &Tally, weight: Weight| tally.rate(weight);
        let groups: Vec<GroupRate> = self
            .members
            .keys()
            .zip(&counted.by_group)
            .map(|(group, tally)| {
                let comparisons = tally.comparisons(&|_| 1.0).round() as u64;
                let estimate = estimate_of(self.people, tally.independent(), |weight| rate(tally, weight));
                GroupRate {
                    group: group.clone(),
                    errors: tally.errors.len(),
                    comparisons,
                    rate: estimate,
                    times_all: estimate.map(|e| e.rate / counted.all).filter(|times| times.is_finite()),
                    is_large_enough: comparisons as f64 * counted.all >= LEAST_EXPECTED,
                }
            })
            .collect();
        let mut compared: Vec<usize> = (0..groups.len()).filter(|&at| groups[at].is_large_enough).collect();
        let rate_of = |at: usize| groups[at].rate.map_or(0.0, |estimate| estimate.rate);
        compared.sort_by(|&a, &b| rate_of(a).total_cmp(&rate_of(b)).then(a.cmp(&b)));
        let ends = compared.first().zip(compared.last()).filter(|_| compared.len() > 1);
        let worst_to_best = ends.map(|(&best, &worst)| {
            let [best_tally, worst_tally] = [best, worst].map(|at| &counted.by_group[at]);
            let ratio = |weight: Weight| Some(rate(worst_tally, weight)? / rate(best_tally, weight)?);
            let is_number = |ratio: &f64| ratio.is_finite();
            WorstToBest {
                worst: groups[worst].group.clone(),
                best: groups[best].group.clone(),
                ratio: ratio(&|_| 1.0).filter(is_number),
                interval: interval(self.people, |weight| ratio(weight).filter(|ratio| !ratio.is_nan()))
                    .map(|ends| ends.map(|end| Some(end).filter(is_number))),
            }
        });
        Differential { what: counted.what, all: counted.all, groups, worst_to_best }
    }
}

/// A rate as it was counted, for all people and for each group in the order of names.
pub(super) struct CountedRate {
    /// What is counted, and at which threshold.
    pub(super) what: String,
    /// The rate of all people, in groups or not.
    pub(super) all: f64,
    /// One per group.
    pub(super) by_group: Vec<Tally>,
}

/// What the comparisons of a group are made of, so that they can be counted anew with people drawn more or less often.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Comparisons {
    /// Each person's own: number of the person, and how many.
    Own(Vec<[usize; 2]>),
    /// All between pictures of two people: number of the person and pictures; and pairs of people not compared.
    Between { pictures: Vec<[usize; 2]>, left_out: Vec<[usize; 2]> },
}

/// Errors among comparisons.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tally {
    pub(super) comparisons: Comparisons,
    /// The two people of each error; one person twice where it is a person's own.
    pub(super) errors: Vec<[usize; 2]>,
}

impl Tally {
    /// Counts of each person's own: number of the person, of comparisons, and of errors.
    pub(super) fn own(counts: impl IntoIterator<Item = [usize; 3]>) -> Self {
        let (mut comparisons, mut errors) = (Vec::new(), Vec::new());
        for [person, of, wrong] in counts {
            comparisons.push([person, of]);
            errors.extend(std::iter::repeat_n([person; 2], wrong));
        }
        Tally { comparisons: Comparisons::Own(comparisons), errors }
    }

    fn rate(&self, weight: Weight) -> Option<f64> {
        let both = |[a, b]: [usize; 2]| if a == b { weight(a) } else { weight(a) * weight(b) };
        let all = self.comparisons(weight);
        // From +0 on: the sum of nothing is -0.
        (all > 0.0).then(|| self.errors.iter().fold(0.0, |sum, &pair| sum + both(pair)) / all)
    }

    /// People, or pairs of people: comparisons of the same ones are not independent.
    fn independent(&self) -> usize {
        match &self.comparisons {
            Comparisons::Own(counts) => counts.iter().filter(|entry| entry[1] > 0).count(),
            Comparisons::Between { pictures, left_out } => {
                (pictures.len() * pictures.len().saturating_sub(1) / 2).saturating_sub(left_out.len())
            }
        }
    }

    fn comparisons(&self, weight: Weight) -> f64 {
        match &self.comparisons {
            Comparisons::Own(counts) => counts.iter().map(|&[person, count]| weight(person) * count as f64).sum(),
            Comparisons::Between { pictures, left_out } => {
                let drawn = |&[person, count]: &[usize; 2]| weight(person) * count as f64;
                let (sum, squares) = pictures.iter().map(drawn).fold((0.0, 0.0), |(s, q), n| (s + n, q + n * n));
                let by_person: HashMap<usize, f64> = match left_out.is_empty() {
                    true => HashMap::new(),
                    false => pictures.iter().map(|entry| (entry[0], drawn(entry))).collect(),
                };
                let of = |person: &usize| by_person.get(person).copied().unwrap_or(0.0);
                let not_compared: f64 = left_out.iter().map(|[a, b]| of(a) * of(b)).sum();
                (sum * sum - squares) / 2.0 - not_compared
            }
        }
    }
}

/// Error rates by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupReport {
    /// People of each group who are in the data.
    pub people: BTreeMap<String, usize>,
    /// People of the data whom the file does not name: they are in the rates of all and in no group.
    pub people_in_no_group: usize,
    /// Ids of the file that are nobody in the data.
    pub unknown_ids: Vec<String>,
    /// Each rate, group by group.
    pub rates: Vec<Differential>,
}

/// One rate over the groups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differential {
    /// What is counted, and at which threshold.
    pub what: String,
    /// The rate of all people, 0..=1.
    pub all: f64,
    /// Each group, by name.
    pub groups: Vec<GroupRate>,
    /// The group with the highest rate against that with the lowest; absent unless two groups are large enough.
    pub worst_to_best: Option<WorstToBest>,
}

/// The rate of one group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupRate {
    /// Its name.
    pub group: String,
    /// Errors counted.
    pub errors: usize,
    /// Comparisons in which there might have been one.
    pub comparisons: u64,
    /// Errors by comparisons with the 95 % interval; absent without comparisons.
    pub rate: Option<Estimate>,
    /// The rate by the rate of all.
    pub times_all: Option<f64>,
    /// Whether [`LEAST_EXPECTED`] errors are expected at the rate of all, so that the rate may be held against others'.
    pub is_large_enough: bool,
}

/// The widest gap between groups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorstToBest {
    /// The group with the highest rate.
    pub worst: String,
    /// The group with the lowest rate.
    pub best: String,
    /// The one by the other; absent where the lowest is 0.
    pub ratio: Option<f64>,
    /// Its 95 % interval, the same people drawn for both; an end is absent where it has no bound.
    pub interval: Option<[Option<f64>; 2]>,
}

fn first_of(ids: &[String]) -> String {
    let more = ids.len().saturating_sub(NAMED);
    let named = ids[..ids.len().min(NAMED)].join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

impl fmt::Display for GroupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let people: Vec<String> = self.people.iter().map(|(group, people)| format!("{group} {people}")).collect();
        write!(f, "people by group      {}; in no group {}", people.join(", "), self.people_in_no_group)?;
        if !self.unknown_ids.is_empty() {
            let (count, ids) = (self.unknown_ids.len(), first_of(&self.unknown_ids));
            write!(f, "\n  {count} ids of the group file are nobody in the data: {ids}")?;
        }
        let is_told = |rate: &&Differential| rate.groups.iter().any(|group| group.is_large_enough);
        self.rates.iter().filter(is_told).try_for_each(|rate| write!(f, "\n{rate}"))?;
        let left_out = self.rates.iter().filter(|rate| !is_told(rate)).count();
        if left_out > 0 {
            write!(f, "\n{left_out} more rates, for which every group has too few comparisons, are in the JSON")?;
        }
        write!(f, "\nintervals: 95 %, bootstrap over people; of one group false matches are those among its own people")
    }
}

impl fmt::Display for Differential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:.2e} of all", self.what, self.all)?;
        for group in &self.groups {
            write!(f, "\n  {:<18} ", group.group)?;
            match group.rate {
                None => write!(f, "no comparisons")?,
                Some(Estimate { rate, low, high }) => {
                    write!(f, "{rate:.2e} ({low:.2e} to {high:.2e}), {} of {}", group.errors, group.comparisons)?;
                }
            }
            if let Some(times) = group.times_all {
                write!(f, ", {times:.1} times all")?;
            }
            if !group.is_large_enough {
                write!(f, "; too few comparisons for a ratio")?;
            }
        }
        match &self.worst_to_best {
            None => {
                let enough = self.groups.iter().filter(|group| group.is_large_enough).count();
                write!(f, "\n  worst to best      not stated: {enough} groups are large enough, 2 are needed")
            }
            Some(WorstToBest { worst, best, ratio, interval }) => {
                let bound = |end: Option<f64>| end.map_or("no bound".to_owned(), |end| format!("{end:.1}"));
                let ratio = ratio.map_or("no error in the best".to_owned(), |ratio| format!("{ratio:.1}"));
                let ends =
                    interval.map_or(String::new(), |[low, high]| format!(" ({} to {})", bound(low), bound(high)));
                write!(f, "\n  worst to best      {ratio}{ends}: {worst} to {best}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group_file(text: &str) -> Result<GroupFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("groups.csv");
        std::fs::write(&path, text).unwrap();
        GroupFile::read(&path)
    }

    #[test]
    fn rates_and_ratio_count_as_by_hand() {
        let names: Vec<String> = (0..40).map(|person| format!("p{person}")).collect();
        let rows: String =
            (0..39).map(|p| format!("p{p},{}\n", if p < 20 { "east" } else { "west" })).collect::<String>();
        let groups = group_file(&format!("id,group\n{rows}nobody,east\n")).unwrap();
        let groups = groups.assign(names.iter().map(String::as_str), "a person").unwrap();
        assert_eq!((groups.count(), groups.group_numbers()[0], groups.group_numbers()[39]), (2, Some(0), None));
        // East: two pictures each, 190 * 4 pairs, 8 errors; west: 19 people, one picture each, 171 pairs, 1 error.
        let between = |people: std::ops::Range<usize>, each: usize| Comparisons::Between {
            pictures: people.map(|person| [person, each]).collect(),
            left_out: Vec::new(),
        };
        let east = Tally { comparisons: between(0..20, 2), errors: (0..8).map(|k| [k, k + 9]).collect() };
        let west = Tally { comparisons: between(20..39, 1), errors: vec![[20, 21]] };
        let counted = CountedRate { what: "false matches".into(), all: 0.02, by_group: vec![east.clone(), west] };
        let report = groups.report(vec![counted]);
        assert_eq!((report.people_in_no_group, report.unknown_ids.as_slice()), (1, &["nobody".to_owned()][..]));
        let rate = &report.rates[0];
        assert_eq!(rate.groups.iter().map(|g| g.comparisons).collect::<Vec<_>>(), [760, 171]);
        let east_rate = rate.groups[0].rate.unwrap();
        assert!((east_rate.rate - 8.0 / 760.0).abs() < 1e-12, "{east_rate:?}");
        assert!(east_rate.low > 0.0 && east_rate.low < east_rate.rate && east_rate.high > east_rate.rate);
        let ends = rate.worst_to_best.as_ref().unwrap();
        assert_eq!((ends.worst.as_str(), ends.best.as_str()), ("east", "west"));
        assert!((ends.ratio.unwrap() - 8.0 / 760.0 * 171.0).abs() < 1e-9, "{ends:?}");
        let [low, high] = ends.interval.unwrap();
        assert!(low.unwrap() < ends.ratio.unwrap() && high.is_none(), "one error may be drawn no time: {ends:?}");
        // People who are one under two names are not compared: 4 pairs less.
        let Comparisons::Between { pictures, .. } = east.comparisons else { panic!() };
        let without = Comparisons::Between { pictures, left_out: vec![[0, 1]] };
        assert_eq!(Tally { comparisons: without, errors: Vec::new() }.comparisons(&|_| 1.0), 756.0);
    }

    #[test]
    fn a_group_too_small_for_its_rate_enters_no_ratio_and_says_so() {
        let groups = group_file("id,group\na,large\nb,small\n").unwrap().assign(["a", "b"], "a person").unwrap();
        let tally = |person, of, wrong| Tally::own([[person, of, wrong]]);
        let counted =
            |all| CountedRate { what: format!("rate {all}"), all, by_group: vec![tally(0, 300, 2), tally(1, 299, 9)] };
        let report = groups.report(vec![counted(0.01), counted(0.001)]);
        assert!(report.rates[0].worst_to_best.is_none());
        let text = report.to_string();
        assert!(text.contains("9 of 299, 3.0 times all; too few comparisons for a ratio"), "{text}");
        assert!(text.contains("1 more rates") && !text.contains("rate 0.001"), "{text}");
        assert!(text.contains("not stated: 1 groups are large enough, 2 are needed"), "{text}");
    }

    #[test]
    fn what_is_wrong_with_a_group_file_is_said() {
        let error = |text: &str| group_file(text).unwrap_err().to_string();
        assert!(error("id,group\na,\n").contains("line 2"), "{}", error("id,group\na,\n"));
        let twice = error("id,group\na,x\nb,x\na,y\n");
        assert!(twice.contains("line 4") && twice.contains("'x' by an earlier line"), "{twice}");
        assert!(error("name,group\na,x\n").contains("column id"));
        let nobody = group_file("id,group\na,x\nb,x\n").unwrap().assign(["c"], "the name of a folder").unwrap_err();
        assert!(nobody.to_string().contains("none of its 2 ids: a, b"), "{nobody}");
    }
}
