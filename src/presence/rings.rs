//! `rings.parquet`: workers whom something ties to each other: a phone, a room, a bystander, members enrolled by both.
//!
//! A tie is no accusation either: neighbours share a phone, two workers stand in one camp. What is tied, by what and how often, is
//! told so that a caller asks all of a group and not one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};

use super::visit::{Visit, by_worker};
use crate::Result;
use crate::verdict::write_table;

/// A phone under more accounts than this share of all is no phone (see [`super::device`]).
const MOST_ACCOUNTS: f64 = 0.5;

/// Members whom two workers both enrolled tie them where so many would be so unlikely by chance, over all pairs of workers: people
/// move, and are asked twice.
const MOST_CHANCE: f64 = 0.05;

/// What ties two workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// One phone.
    Device,
    /// One background.
    Room,
    /// One bystander.
    Bystander,
    /// Members whom both enrolled.
    Members,
}

impl Tie {
    /// The word written to the table.
    pub fn code(self) -> &'static str {
        match self {
            Tie::Device => "device",
            Tie::Room => "room",
            Tie::Bystander => "bystander",
            Tie::Members => "members",
        }
    }
}

/// Workers who have one thing together: a phone, a room, a face, a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together {
    /// By what.
    pub tie: Tie,
    /// Who, each once, sorted.
    pub workers: Vec<String>,
}

/// A row of the table: two workers of a ring, and what ties them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingRow {
    /// Number of the ring, from 1: those with most workers first.
    pub ring: usize,
    /// Workers of the ring.
    pub size: usize,
    /// The first of the two, by id.
    pub worker_a: String,
    /// The second.
    pub worker_b: String,
    /// What ties them.
    pub tie: Tie,
    /// Phones, rooms, faces or members that do.
    pub count: u64,
}

/// Phones that several accounts use.
pub fn shared_phones(visits: &[Visit]) -> Vec<Together> {
    let mut phones: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (device, worker) in visits.iter().filter_map(|visit| Some((visit.device?, visit.worker))) {
        phones.entry(device).or_default().insert(worker);
    }
    let all = by_worker(visits).len() as f64;
    let is_shared =
        |workers: &BTreeSet<&str>| workers.len() > 1 && workers.len() as f64 <= (MOST_ACCOUNTS * all).max(2.0);
    let together = |workers: BTreeSet<&str>| Together {
        tie: Tie::Device,
        workers: workers.into_iter().map(str::to_owned).collect(),
    };
    phones.into_values().filter(is_shared).map(together).collect()
}

/// Who hangs together through any of these; `sizes` is how many rows each worker has. Of what many share, each worker is
/// tied to the first and the next one only: all belong to one ring as well.
pub fn rings(things: &[Together], sizes: &BTreeMap<&str, u64>) -> Vec<RingRow> {
    let mut ties: BTreeMap<(&str, &str, Tie), u64> = BTreeMap::new();
    for thing in things {
        let first = thing.workers.iter().skip(1).map(|worker| (thing.workers[0].as_str(), worker.as_str()));
        let next = thing.workers.windows(2).skip(1).map(|pair| (pair[0].as_str(), pair[1].as_str()));
        for (a, b) in first.chain(next) {
            *ties.entry((a.min(b), a.max(b), thing.tie)).or_default() += 1;
        }
    }
    let shared: u64 = ties.iter().filter(|((_, _, tie), _)| *tie == Tie::Members).map(|(_, count)| count).sum();
    let chance = |a: &str, b: &str, count: u64| {
        let (size, all) = (|id: &str| sizes.get(id).copied().unwrap_or(0) as f64, sizes.values().sum::<u64>() as f64);
        let pairs = sizes.len() as f64 * (sizes.len() as f64 - 1.0) / 2.0;
        pairs * poisson_at_least(count, 2.0 * shared as f64 * size(a) * size(b) / (all * all).max(1.0))
    };
    ties.retain(|(a, b, tie), count| a != b && (*tie != Tie::Members || chance(a, b, *count) <= MOST_CHANCE));
    let mut rings: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut ring_of: BTreeMap<&str, &str> = BTreeMap::new();
    for &(a, b, _) in ties.keys() {
        let (one, other) = (*ring_of.get(a).unwrap_or(&a), *ring_of.get(b).unwrap_or(&b));
        let mut joined: BTreeSet<&str> = BTreeSet::from([a, b]);
        [one, other].iter().for_each(|name| joined.extend(rings.remove(name).into_iter().flatten()));
        ring_of.extend(joined.iter().map(|&worker| (worker, one)));
        rings.insert(one, joined);
    }
    let mut order: Vec<(&str, usize)> = rings.iter().map(|(name, workers)| (*name, workers.len())).collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let place: BTreeMap<&str, (usize, usize)> =
        order.into_iter().enumerate().map(|(at, (name, size))| (name, (at + 1, size))).collect();
    let row = |((a, b, tie), count): ((&str, &str, Tie), u64)| {
        let (ring, size) = ring_of.get(a).and_then(|name| place.get(name)).copied()?;
        Some(RingRow { ring, size, worker_a: a.to_owned(), worker_b: b.to_owned(), tie, count })
    };
    let mut rows: Vec<RingRow> = ties.into_iter().filter_map(row).collect();
    rows.sort_by(|a, b| a.ring.cmp(&b.ring).then(b.count.cmp(&a.count)));
    rows
}

/// The chance of at least so many where so many are expected (S. D. Poisson, 1837).
fn poisson_at_least(count: u64, expected: f64) -> f64 {
    let mut term = (-expected).exp();
    let mut fewer = 0.0;
    for k in 0..count {
        fewer += term;
        term *= expected / (k + 1) as f64;
    }
    // Far out the sum of what is fewer is 1 to the last digit; there the first term of the tail is nearly all of it.
    if fewer < 1.0 - 1e-9 { 1.0 - fewer } else { term }
}

/// Writes the table.
///
/// # Errors
/// [`crate::Error::Io`] when the disk refuses.
pub fn write_rings(path: &Path, rows: &[RingRow]) -> Result<()> {
    let text = |get: fn(&RingRow) -> &str| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(get(row))).collect::<StringArray>())
    };
    let whole = |get: fn(&RingRow) -> usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| i32::try_from(get(row)).ok()).collect::<Int32Array>())
    };
    let counts = rows.iter().map(|row| i64::try_from(row.count).ok()).collect::<Int64Array>();
    write_table(
        path,
        vec![
            ("ring", whole(|row| row.ring)),
            ("workers_in_ring", whole(|row| row.size)),
            ("worker_a", text(|row| &row.worker_a)),
            ("worker_b", text(|row| &row.worker_b)),
            ("tie", text(|row| row.tie.code())),
            ("count", Arc::new(counts)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::super::visit::tests::visit;
    use super::*;

    fn together(tie: Tie, workers: &[&str]) -> Together {
        Together { tie, workers: workers.iter().map(|&worker| worker.to_owned()).collect() }
    }

    fn told(rows: &[RingRow]) -> Vec<String> {
        let told = |row: &RingRow| {
            format!("{}/{} {}-{} {} {}", row.ring, row.size, row.worker_a, row.worker_b, row.tie.code(), row.count)
        };
        rows.iter().map(told).collect()
    }

    #[test]
    fn what_hangs_together_is_one_ring_and_one_member_is_no_tie() {
        let things = [
            together(Tie::Room, &["X", "Y"]),
            together(Tie::Device, &["A", "B"]),
            together(Tie::Members, &["C", "Z"]),
            together(Tie::Bystander, &["A", "B"]),
        ];
        let mut things = things.to_vec();
        things.extend(vec![together(Tie::Members, &["B", "C"]); 9]);
        let sizes: BTreeMap<&str, u64> = ["A", "B", "C", "X", "Y", "Z"].map(|id| (id, 100)).into();
        let rows = told(&rings(&things, &sizes));
        assert_eq!(rows, ["1/3 B-C members 9", "1/3 A-B device 1", "1/3 A-B bystander 1", "2/2 X-Y room 1"]);
        // As many members, but between any two of the six: people are asked twice everywhere.
        let ids = ["A", "B", "C", "X", "Y", "Z"];
        let pairs = (0..6).flat_map(|a| (a + 1..6).map(move |b| [ids[a], ids[b]]));
        let everywhere: Vec<Together> = pairs.flat_map(|pair| vec![together(Tie::Members, &pair); 9]).collect();
        assert!(rings(&everywhere, &sizes).is_empty());
        // scipy 1.17.1: poisson.sf(count - 1, expected)
        for (count, expected, chance) in [(3, 0.5, 0.014387677966970713), (1, 2.0, 0.8646647167633873)] {
            assert!((poisson_at_least(count, expected) / chance - 1.0).abs() < 1e-9);
        }
        assert!(poisson_at_least(30, 0.1) < 1e-50);
        // Two rings that a later tie joins.
        let things = [["A", "B"], ["C", "D"], ["B", "C"]].map(|pair| together(Tie::Device, &pair));
        assert!(rings(&things, &sizes).iter().all(|row| (row.ring, row.size) == (1, 4)));
        let crowd = rings(&[together(Tie::Room, &["A", "B", "C", "D"])], &sizes);
        assert_eq!((crowd.len(), crowd[0].size), (5, 4));
        assert!(rings(&[], &sizes).is_empty());
    }

    #[test]
    fn a_phone_of_several_accounts_ties_them_and_one_of_all_does_not() {
        let with = |worker, device| Visit { device: Some(device), ..visit(worker, 0, 0) };
        let mut visits = vec![with("A", "x"), with("B", "x"), with("B", "x"), with("C", "y"), with("D", "z")];
        assert_eq!(shared_phones(&visits), [together(Tie::Device, &["A", "B"])]);
        visits.iter_mut().for_each(|visit| visit.device = Some("android"));
        assert!(shared_phones(&visits).is_empty());
    }
}
