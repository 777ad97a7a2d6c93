//! What speaks for or against one person besides the face: likelihood ratios of the record's fields.
//!
//! Fellegi and Sunter, "A theory for record linkage" (JASA 1969): each field of a pair falls on one of a few levels
//! (differs, near, same), and the level's weight is `log10(m / u)`, where `m` is how often mates show it and `u` how often
//! different people do. Weights of fields add up, as the fields are taken to be independent given whether it is one
//! person; fields that are not (booth lies in district, a worker works at a booth) are therefore one field with several
//! levels ([`Field::Place`]).
//!
//! `u` is counted over all pairs of the memberships where that can be done exactly (equal values), and over pairs drawn at
//! random elsewhere. `m` is estimated on the candidates by EM (Winkler 1988), where the face says how probably each is a
//! pair of mates. A handful of pairs barely moves the shipped beliefs, which count as [`PSEUDO`] pairs.
//!
//! A missing value says nothing. What differs says little: who enrols a person twice changes mobile and name on purpose,
//! and how often that happens is just what `m` learns.

use std::collections::HashMap;

use serde::Serialize;

use super::impostor::Basis;
use super::names::{Likeness, likeness};
use super::random::Random;
use super::{Enrolment, UNKNOWN_TIME};
use crate::dump::facts::is_same_name;

/// Number of fields.
pub const FIELDS: usize = 6;

/// Most levels of a field.
const LEVELS: usize = 4;

/// Pairs that the shipped beliefs about mates count as.
const PSEUDO: f64 = 20.0;

/// Pairs drawn at random for what cannot be counted exactly.
const DRAWN: usize = 20_000;

/// Least weight of mates from which on `m` is said to be fitted.
const LEAST_MATES: f64 = 50.0;

/// No field weighs more than this either way, log10: estimates from few pairs are not to be trusted further.
const WEIGHT: (f64, f64) = (-1.5, 4.0);

/// A field of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// Mobile number: differs, near (one digit off, or two neighbours swapped), same.
    Mobile,
    /// Voter-ID number: differs, near, same.
    Epic,
    /// Where: another district, same district, same booth, same worker.
    Place,
    /// When: weeks apart, within a week, within a day, within an hour.
    Time,
    /// Member's name: differs, partly, similar, same ([`Likeness`]).
    Name,
    /// The picture: another, the same one.
    Picture,
}

impl Field {
    /// All of them, in the order of [`Parts`].
    pub const ALL: [Field; FIELDS] =
        [Field::Mobile, Field::Epic, Field::Place, Field::Time, Field::Name, Field::Picture];

    /// What each level is called where evidence is shown.
    pub fn levels(self) -> &'static [&'static str] {
        match self {
            Field::Mobile => &["other mobile", "near mobile", "same mobile"],
            Field::Epic => &["other EPIC", "near EPIC", "same EPIC"],
            Field::Place => &["other district", "same district", "same booth", "same worker"],
            Field::Time => &["weeks apart", "within a week", "within a day", "within an hour"],
            Field::Name => &["other name", "name in part", "similar name", "same name"],
            Field::Picture => &["other picture", "same picture"],
        }
    }

    /// Beliefs before the data: share of each level among mates and among different people.
    ///
    /// Set by judgement for a drive in which duplicates are both innocent retries and fraud: mates share the worker in
    /// half of the cases, a number in a fifth.
    fn beliefs(self) -> ([f64; LEVELS], [f64; LEVELS]) {
        match self {
            Field::Mobile => ([0.70, 0.05, 0.25, 0.0], [1.0 - 2e-5, 1e-5, 1e-5, 0.0]),
            Field::Epic => ([0.65, 0.05, 0.30, 0.0], [1.0 - 1.1e-5, 1e-5, 1e-6, 0.0]),
            Field::Place => ([0.25, 0.20, 0.05, 0.50], [0.979, 0.0208, 1e-4, 1e-4]),
            Field::Time => ([0.40, 0.25, 0.15, 0.20], [0.75, 0.20, 0.045, 0.005]),
            Field::Name => ([0.40, 0.20, 0.10, 0.30], [0.90, 0.095, 3e-3, 2e-3]),
            Field::Picture => ([0.95, 0.05, 0.0, 0.0], [1.0 - 1e-7, 1e-7, 0.0, 0.0]),
        }
    }
}

/// The level of each field of a pair; `None` where either value is missing.
pub type Levels = [Option<u8>; FIELDS];

/// The evidence of a pair in log10 units: how many times likelier among mates than among different people.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Parts {
    /// Of the face.
    pub face: f64,
    /// Of each field, in the order of [`Field::ALL`]; 0 where a value is missing.
    pub record: [f64; FIELDS],
    /// The level of each field.
    pub levels: Levels,
}

impl Parts {
    /// Of all fields together.
    pub fn record_total(&self) -> f64 {
        self.record.iter().sum()
    }

    /// All parts that say something, strongest first after the face: `face 9.1, same worker 1.2, name in part 0.4`.
    pub fn text(&self) -> String {
        let mut said: Vec<(f64, &str)> = (0..FIELDS)
            .filter_map(|f| Some((self.record[f], Field::ALL[f].levels()[usize::from(self.levels[f]?)])))
            .filter(|(weight, _)| weight.abs() >= 0.05)
            .collect();
        said.sort_by(|x, y| y.0.abs().total_cmp(&x.0.abs()));
        let rest = said.iter().map(|(weight, name)| format!(", {name} {weight:.1}"));
        std::iter::once(format!("face {:.1}", self.face)).chain(rest).collect()
    }
}

/// Compares the records of two memberships.
pub fn compare(a: &Enrolment, b: &Enrolment) -> Levels {
    let both = |x: &Option<String>, y: &Option<String>, clean: fn(&str) -> String| {
        let (x, y) = (clean(x.as_ref()?), clean(y.as_ref()?));
        (!x.is_empty() && !y.is_empty()).then(|| nearness(&x, &y))
    };
    let same = |x: &str, y: &str| !x.is_empty() && x == y;
    let booth = a.booth_id.as_ref().zip(b.booth_id.as_ref()).is_some_and(|(x, y)| same(x, y));
    let place = match () {
        () if same(&a.worker_id, &b.worker_id) => 3,
        () if booth && is_same_name(&a.district, &b.district) => 2,
        () if !a.district.is_empty() && is_same_name(&a.district, &b.district) => 1,
        () => 0,
    };
    const HOUR: u64 = 3_600_000_000;
    let time = match a.captured_at.abs_diff(b.captured_at) {
        gap if gap <= HOUR => 3,
        gap if gap <= 24 * HOUR => 2,
        gap if gap <= 7 * 24 * HOUR => 1,
        _ => 0,
    };
    let name = a.member_name.as_ref().zip(b.member_name.as_ref()).and_then(|(x, y)| likeness(x, y));
    [
        both(&a.mobile, &b.mobile, mobile_digits),
        both(&a.epic, &b.epic, epic_letters),
        (!a.district.is_empty() && !b.district.is_empty()).then_some(place),
        (a.captured_at != UNKNOWN_TIME && b.captured_at != UNKNOWN_TIME).then_some(time),
        name.map(|l| match l {
            Likeness::Different => 0,
            Likeness::Partly => 1,
            Likeness::Similar => 2,
            Likeness::Same => 3,
        }),
        a.picture.zip(b.picture).map(|(x, y)| u8::from(x == y)),
    ]
}

/// The last ten digits: without country code, zero and spaces.
fn mobile_digits(text: &str) -> String {
    let digits: String = text.chars().filter_map(|c| c.to_digit(10)).filter_map(|d| char::from_digit(d, 10)).collect();
    digits[digits.len().saturating_sub(10)..].to_owned()
}

fn epic_letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

/// 2 for equal texts; 1 for one letter replaced, left out or too many, or two neighbours swapped; else 0.
fn nearness(a: &str, b: &str) -> u8 {
    match strsim::osa_distance(a, b) {
        0 => 2,
        1 => 1,
        _ => 0,
    }
}

/// The weights of all fields, and where they come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weights {
    /// Where `m` comes from.
    pub basis: Basis,
    /// Mated candidates behind `m`.
    pub mated_candidates: f64,
    /// One row per level of each field.
    pub table: Vec<WeightRow>,
}

/// One level of one field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeightRow {
    /// The field.
    pub field: Field,
    /// What it shows.
    pub level: &'static str,
    /// Share among mates.
    pub m: f64,
    /// Share among different people.
    pub u: f64,
    /// `log10(m / u)`, bounded.
    pub log10: f64,
}

type Shares = [[f64; LEVELS]; FIELDS];

impl Weights {
    /// Estimates from the memberships and the candidates. `log10_odds` are each candidate's odds to be mates from the
    /// face alone, in the order of `levels`.
    pub fn estimate(enrolments: &[Enrolment], levels: &[Levels], log10_odds: &[f64]) -> Self {
        let u = unmated(enrolments);
        let mut m: Shares = Field::ALL.map(|f| f.beliefs().0);
        let mut mates = 0.0;
        for _ in 0..30 {
            let weights = table(&m, &u);
            let before = m;
            let (mut seen, mut total) = ([[0.0; LEVELS]; FIELDS], [0.0; FIELDS]);
            mates = 0.0;
            for (pair, odds) in levels.iter().zip(log10_odds) {
                let more: f64 = weigh(&weights, pair).iter().sum();
                let share = 1.0 / (1.0 + 10f64.powf(-(odds + more).clamp(-300.0, 300.0)));
                mates += share;
                for field in 0..FIELDS {
                    if let Some(level) = pair[field] {
                        seen[field][usize::from(level)] += share;
                        total[field] += share;
                    }
                }
            }
            for (field, kind) in Field::ALL.iter().enumerate() {
                let believed = kind.beliefs().0;
                for level in 0..LEVELS {
                    m[field][level] = (seen[field][level] + PSEUDO * believed[level]) / (total[field] + PSEUDO);
                }
            }
            let moved = m.iter().flatten().zip(before.iter().flatten()).any(|(x, y)| (x - y).abs() > 1e-6);
            if !moved {
                break;
            }
        }
        let rows = Field::ALL.iter().enumerate().flat_map(|(f, &field)| {
            let weights = table(&m, &u);
            let row = move |(l, &level): (usize, &&'static str)| WeightRow {
                field,
                level,
                m: m[f][l],
                u: u[f][l],
                log10: weights[f][l],
            };
            field.levels().iter().enumerate().map(row).collect::<Vec<_>>()
        });
        let basis = if mates >= LEAST_MATES { Basis::Fitted } else { Basis::Prior };
        Weights { basis, mated_candidates: mates, table: rows.collect() }
    }

    /// The evidence of a pair.
    pub fn parts(&self, face: f64, levels: Levels) -> Parts {
        let mut weights = [[0.0; LEVELS]; FIELDS];
        let mut at = 0;
        for (f, field) in Field::ALL.iter().enumerate() {
            for weight in &mut weights[f][..field.levels().len()] {
                *weight = self.table[at].log10;
                at += 1;
            }
        }
        Parts { face, record: weigh(&weights, &levels), levels }
    }
}

fn table(m: &Shares, u: &Shares) -> Shares {
    let mut weights = [[0.0; LEVELS]; FIELDS];
    for field in 0..FIELDS {
        for level in 0..Field::ALL[field].levels().len() {
            let ratio = m[field][level].max(1e-12) / u[field][level].max(1e-12);
            weights[field][level] = ratio.log10().clamp(WEIGHT.0, WEIGHT.1);
        }
    }
    weights
}

fn weigh(weights: &Shares, levels: &Levels) -> [f64; FIELDS] {
    let mut parts = [0.0; FIELDS];
    for field in 0..FIELDS {
        if let Some(level) = levels[field] {
            parts[field] = weights[field][usize::from(level)];
        }
    }
    parts
}

/// Share of each level among different people.
fn unmated(enrolments: &[Enrolment]) -> Shares {
    let mut counts = [[0.0; LEVELS]; FIELDS];
    let mut total = [0.0; FIELDS];
    // By id, so that the draw does not hang on the order of the list.
    let mut order: Vec<&Enrolment> = enrolments.iter().collect();
    order.sort_by(|x, y| x.submission_id.cmp(&y.submission_id));
    let mut random = Random::new(order.len() as u64);
    for _ in 0..if order.len() < 2 { 0 } else { DRAWN } {
        let (a, b) = (random.below(order.len()), random.below(order.len()));
        if a == b {
            continue;
        }
        for (field, level) in compare(order[a], order[b]).into_iter().enumerate() {
            if let Some(level) = level {
                counts[field][usize::from(level)] += 1.0;
                total[field] += 1.0;
            }
        }
    }
    let mut shares: Shares = Field::ALL.map(|f| f.beliefs().1);
    // Twenty memberships have 190 pairs, however often they are drawn.
    let worth = (order.len() as f64 * order.len().saturating_sub(1) as f64 / 2.0 / DRAWN as f64).min(1.0);
    for field in 0..FIELDS {
        for level in 0..LEVELS {
            // The belief counts as one hundredth of the draw: it fills in what no draw shows, and no more.
            let belief = DRAWN as f64 / 100.0;
            shares[field][level] =
                (worth * counts[field][level] + belief * shares[field][level]) / (worth * total[field] + belief);
        }
    }
    // Equal values are rare, and counted exactly over all pairs.
    let exact = |value: &dyn Fn(&Enrolment) -> Option<String>| equal_share(order.iter().map(|e| value(e)));
    let clean = |text: &Option<String>, clean: fn(&str) -> String| text.as_deref().map(clean).filter(|t| !t.is_empty());
    let rare: [(Field, usize, Option<f64>); 4] = [
        (Field::Mobile, 2, exact(&|e| clean(&e.mobile, mobile_digits))),
        (Field::Epic, 2, exact(&|e| clean(&e.epic, epic_letters))),
        (Field::Place, 3, exact(&|e| Some(e.worker_id.clone()))),
        (Field::Picture, 1, exact(&|e| e.picture.map(|p| p.to_string()))),
    ];
    for (field, level, share) in rare {
        let belief = field.beliefs().1[level];
        let at = &mut shares[field as usize][level];
        // Never below the belief: what is the same is in part the same because it is one person.
        *at = share.map_or(*at, |share| share.max(belief));
    }
    shares
}

/// Share of all pairs of values that are equal; `None` for fewer than a thousand values.
fn equal_share(values: impl Iterator<Item = Option<String>>) -> Option<f64> {
    let mut counts: HashMap<String, f64> = HashMap::new();
    let mut n = 0.0;
    for value in values.flatten() {
        *counts.entry(value).or_default() += 1.0;
        n += 1.0;
    }
    // Whole numbers below 2^53, so the order of the sum does not matter.
    let equal: f64 = counts.values().map(|c| c * (c - 1.0)).sum();
    (n >= 1000.0).then(|| equal / (n * (n - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enrolment(k: usize) -> Enrolment {
        Enrolment {
            submission_id: format!("S{k:06}"),
            worker_id: format!("W{}", k / 50),
            district: format!("D{}", k / 500),
            captured_at: (k as i64 % 97) * 86_400_000_000,
            booth_id: Some(format!("B{}", k / 50)),
            mobile: Some(format!("9{:09}", k * 7919)),
            epic: Some(format!("ABC{:07}", k * 31)),
            member_name: Some(format!("{} Kumar", ["Ram", "Sita", "Mohan", "Gita", "Suresh"][k % 5])),
            ..Enrolment::default()
        }
    }

    #[test]
    fn levels_are_these() {
        let a = enrolment(1);
        let mut b = Enrolment { mobile: Some("+91 9000 007 919".into()), ..enrolment(1) };
        assert_eq!(compare(&a, &b), [Some(2), Some(2), Some(3), Some(3), Some(3), None]);
        b.mobile = Some("9000007991".into());
        b.epic = Some("ABC0000032".into());
        b.worker_id = "other".into();
        b.captured_at += 3 * 3_600_000_000;
        (b.picture, b.member_name) = (Some(5), None);
        let mut a = a;
        a.picture = Some(5);
        assert_eq!(compare(&a, &b), [Some(1), Some(1), Some(2), Some(2), None, Some(1)]);
        assert_eq!(compare(&b, &a), compare(&a, &b));
        b.district = "far".into();
        b.mobile = Some(String::new());
        assert_eq!(compare(&a, &b)[..3], [None, Some(1), Some(0)]);
    }

    #[test]
    fn weights_learn_from_the_candidates() {
        let people: Vec<Enrolment> = (0..3000).map(enrolment).collect();
        // Mates keep their mobile in half of the cases and never their worker; the face is sure of them.
        let mut levels = Vec::new();
        let mut odds = Vec::new();
        for k in 0..400 {
            let mut again = enrolment(k + 2500);
            if k % 2 == 0 {
                again.mobile = people[k].mobile.clone();
            }
            levels.push(compare(&people[k], &again));
            odds.push(6.0);
            levels.push(compare(&people[k], &people[k + 1500]));
            odds.push(-6.0);
        }
        let weights = Weights::estimate(&people, &levels, &odds);
        assert_eq!(weights.basis, Basis::Fitted);
        let row = |field, level: &str| weights.table.iter().find(|r| r.field == field && r.level == level).unwrap();
        assert!((row(Field::Mobile, "same mobile").m - 0.5).abs() < 0.05);
        assert!(row(Field::Mobile, "same mobile").log10 > 3.0);
        assert!(row(Field::Place, "same worker").m < 0.05);
        let parts = weights.parts(9.1, levels[0]);
        assert!(parts.record[0] > 3.0 && parts.text().starts_with("face 9.1, same mobile 4.0"), "{}", parts.text());
        let shares: f64 = weights.table.iter().filter(|r| r.field == Field::Name).map(|r| r.m).sum();
        assert!((shares - 1.0).abs() < 1e-6);
    }

    #[test]
    fn without_data_the_beliefs_stand_and_nothing_says_nothing() {
        let weights = Weights::estimate(&[], &[], &[]);
        assert_eq!(weights.basis, Basis::Prior);
        let same = weights.parts(0.0, [Some(2), None, None, None, None, None]);
        assert!(same.record_total() > 3.0);
        assert_eq!(weights.parts(1.0, [None; FIELDS]).record_total(), 0.0);
        assert!(weights.table.iter().all(|r| r.log10.is_finite()));
    }
}
