//! Members enrolled twice: by pair, by cluster, and by row (B-cubed: A. Bagga and B. Baldwin, COLING-ACL 1998).
//!
//! Pairs are those that the clusters imply, over all nights together. Pairs of one cluster are not independent, so that
//! Wilson's interval is too narrow for large clusters; B-cubed has an interval that is not.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::people::{People, Sets};
use super::{Case, Rate};
use crate::reason::Reason;

/// The counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DuplicateReport {
    /// `member_person` or `duplicate_of`: how the truth tells who is one person.
    pub persons_by: &'static str,
    /// Submissions that clusters or the truth name and that are in none of the nights given.
    pub outside: usize,
    /// All pairs of rows.
    pub pairs: Pairs,
    /// Pairs within a district.
    pub same_district: Pairs,
    /// Pairs across districts.
    pub cross_district: Pairs,
    /// Pairs within a night.
    pub same_night: Pairs,
    /// Pairs across nights.
    pub across_nights: Pairs,
    /// All clusters.
    pub clusters: Clusters,
    /// Clusters that span districts.
    pub cross_district_clusters: Clusters,
    /// By row, over the rows of all clusters.
    pub b_cubed: BCubed,
    /// By row, over the rows of clusters that span districts.
    pub cross_district_b_cubed: BCubed,
    /// Rows rightly said to be duplicates whose `duplicate_of` is exactly the first enrolment.
    pub original_named: Rate,
}

/// Pairs of rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pairs {
    /// Pairs of one person, joined.
    pub found: usize,
    /// Pairs of one person, not joined.
    pub missed: usize,
    /// Pairs of two people, joined.
    pub false_pairs: usize,
    /// Joined pairs that count neither way.
    pub allowed: usize,
    /// Found among those of one person.
    pub recall: Rate,
    /// Found among the joined that count.
    pub precision: Rate,
}

/// Clusters, by whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Clusters {
    /// People found with exactly their rows, among the people with two rows or more.
    pub recall: Rate,
    /// Clusters that hold exactly one person's rows, among those found.
    pub precision: Rate,
    /// People of whom at least two rows were joined.
    pub touched: Rate,
    /// Found clusters that hold two people.
    pub mixed: Rate,
}

/// A mean over rows with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// The mean, 0..=1; `None` without rows.
    pub mean: Option<f64>,
    /// 95 % interval: normal, with the variance of a ratio between groups of rows that hang together (W. G. Cochran,
    /// "Sampling Techniques", 1977, section 2.11).
    pub interval: [f64; 2],
}

/// Precision and recall of a row: the share of its own person in its found cluster, and of its person's rows that are
/// in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BCubed {
    /// Rows averaged over: those in a true cluster or a found one, open rows left out.
    pub rows: usize,
    /// Mean precision.
    pub precision: Share,
    /// Mean recall.
    pub recall: Share,
}

/// Counts.
pub fn report(cases: &[Case], people: &People) -> DuplicateReport {
    let apart = |a: usize, b: usize| cases[a].given.district != cases[b].given.district;
    let spans = |rows: &[usize]| rows.iter().any(|&row| apart(row, rows[0]));
    let nights = |a: usize, b: usize| cases[a].night != cases[b].night;
    let all = judged_pairs(people);
    let pairs = |which: &dyn Fn(usize, usize) -> bool| pairs(all.iter().filter(|(a, b, _)| which(*a, *b)));
    let said = cases.iter().filter(|c| c.must(Reason::DuplicateMember) && c.gave(Reason::DuplicateMember));
    DuplicateReport {
        persons_by: if people.named { "member_person" } else { "duplicate_of" },
        outside: people.outside,
        pairs: pairs(&|_, _| true),
        same_district: pairs(&|a, b| !apart(a, b)),
        cross_district: pairs(&apart),
        same_night: pairs(&|a, b| !nights(a, b)),
        across_nights: pairs(&nights),
        clusters: clusters(people, |_| true),
        cross_district_clusters: clusters(people, spans),
        b_cubed: b_cubed(people, |_| true),
        cross_district_b_cubed: b_cubed(people, spans),
        original_named: Rate::among(said, |c| c.given.duplicate_of == c.truth.duplicate_of),
    }
}

/// What became of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Found,
    Missed,
    False,
    Allowed,
}

/// Every pair that is joined or should be.
fn judged_pairs(people: &People) -> Vec<(usize, usize, Fate)> {
    let mut all = Vec::new();
    for cluster in people.found_clusters(|_| true) {
        each_pair(&cluster, |a, b| {
            let fate = match people.judge(a, b) {
                Some(true) => Fate::Found,
                Some(false) => Fate::False,
                None => Fate::Allowed,
            };
            all.push((a, b, fate));
        });
    }
    for cluster in people.true_clusters() {
        each_pair(&cluster, |a, b| {
            if people.found[a] != people.found[b] {
                all.push((a, b, Fate::Missed));
            }
        });
    }
    all
}

fn each_pair(rows: &[usize], mut with: impl FnMut(usize, usize)) {
    for (at, &a) in rows.iter().enumerate() {
        rows[at + 1..].iter().for_each(|&b| with(a, b));
    }
}

fn pairs<'a>(judged: impl Iterator<Item = &'a (usize, usize, Fate)>) -> Pairs {
    let mut counts = [0; 4];
    judged.for_each(|(_, _, fate)| counts[*fate as usize] += 1);
    let [found, missed, false_pairs, allowed] = counts;
    Pairs {
        found,
        missed,
        false_pairs,
        allowed,
        recall: Rate::new(found, found + missed),
        precision: Rate::new(found, found + false_pairs),
    }
}

/// Clusters for which `which` holds. Open rows are in none, wherever they were put.
fn clusters(people: &People, which: impl Fn(&[usize]) -> bool) -> Clusters {
    let truth: Vec<_> = people.true_clusters().into_iter().filter(|rows| which(rows)).collect();
    let found: Vec<_> = people.found_clusters(|row| !people.open[row]).into_iter().filter(|rows| which(rows)).collect();
    let whole: HashSet<&Vec<usize>> = found.iter().collect();
    let exact = truth.iter().filter(|rows| whole.contains(rows)).count();
    let two = |rows: &[usize], holds: &dyn Fn(usize, usize) -> bool| {
        let mut any = false;
        each_pair(rows, |a, b| any |= holds(a, b));
        any
    };
    Clusters {
        recall: Rate::new(exact, truth.len()),
        precision: Rate::new(exact, found.len()),
        touched: Rate::among(&truth, |rows| two(rows, &|a, b| people.found[a] == people.found[b])),
        mixed: Rate::among(&found, |rows| two(rows, &|a, b| people.judge(a, b) == Some(false))),
    }
}

fn b_cubed(people: &People, which: impl Fn(&[usize]) -> bool) -> BCubed {
    let truth: Vec<_> = people.true_clusters().into_iter().filter(|rows| which(rows)).collect();
    let found: Vec<_> = people.found_clusters(|row| !people.open[row]).into_iter().filter(|rows| which(rows)).collect();
    let mut together = Sets::new(people.found.len());
    let mut rows: Vec<usize> = truth.iter().chain(&found).flatten().copied().collect();
    truth.iter().chain(&found).flat_map(|c| c.iter().map(|&row| (c[0], row))).for_each(|(a, b)| together.join(a, b));
    rows.sort_unstable();
    rows.dedup();
    let alone: Vec<Vec<usize>> = rows.iter().map(|&row| vec![row]).collect();
    let (truth, found) = (by_row(&alone, &truth), by_row(&alone, &found));
    // The share of a row's own group that is in its group of the other view.
    let mut mean = |of: &HashMap<usize, &Vec<usize>>, other: &HashMap<usize, &Vec<usize>>| {
        let share = |row| {
            let (own, other) = (of.get(row)?, other.get(row)?);
            let both = own.iter().filter(|r| other.binary_search(r).is_ok()).count();
            Some((together.root(*row), both as f64 / own.len() as f64))
        };
        grouped_mean(&rows.iter().filter_map(share).collect::<Vec<_>>())
    };
    BCubed { rows: rows.len(), precision: mean(&found, &truth), recall: mean(&truth, &found) }
}

/// Each row's group, which is in ascending order; rows that are in none of `groups` keep their own of `alone`.
fn by_row<'a>(alone: &'a [Vec<usize>], groups: &'a [Vec<usize>]) -> HashMap<usize, &'a Vec<usize>> {
    alone.iter().chain(groups).flat_map(|group| group.iter().map(move |&row| (row, group))).collect()
}

/// The mean of values, each with the group to which it belongs.
fn grouped_mean(values: &[(usize, f64)]) -> Share {
    if values.is_empty() {
        return Share { mean: None, interval: [0.0, 1.0] };
    }
    let n = values.len() as f64;
    let mean = values.iter().map(|(_, v)| v).sum::<f64>() / n;
    let mut residuals: HashMap<usize, f64> = HashMap::new();
    values.iter().for_each(|(group, v)| *residuals.entry(*group).or_default() += v - mean);
    let groups = residuals.len() as f64;
    let squares: f64 = residuals.values().map(|r| r * r).sum();
    // One group says nothing about how groups differ.
    let half = if groups < 2.0 { 1.0 } else { 1.96 * (squares * groups / (groups - 1.0)).sqrt() / n };
    Share { mean: Some(mean), interval: [(mean - half).max(0.0), (mean + half).min(1.0)] }
}

#[cfg(test)]
mod tests {
    use super::super::people::tests::row;
    use super::*;

    /// Two nights. Person a: three rows, of which two are joined, with a stranger. Person b: two rows, joined, exact.
    /// An open row of b in b's cluster.
    fn cases() -> Vec<Case> {
        let mut cases = vec![
            row(0, "a1", "a", "", None, Some("x")),
            row(0, "a2", "a", "must", Some("a1"), Some("x")),
            row(0, "s", "s", "", None, Some("x")),
            row(0, "a3", "a", "must", Some("a1"), None),
            row(0, "b1", "b", "", None, None),
            row(1, "b2", "b", "must", Some("b1"), Some("y")),
            row(1, "b3", "b", "may", None, Some("y")),
        ];
        for (row, district) in cases.iter_mut().zip(["N", "N", "N", "S", "N", "S", "S"]) {
            row.given.district = Some(district.to_owned());
        }
        cases[5].given.duplicate_of = Some("b1".into());
        cases[1].given.duplicate_of = Some("s".into());
        cases
    }

    fn links() -> Vec<super::super::people::Link> {
        let submissions = ["b1", "b2", "b3"].map(str::to_owned).to_vec();
        vec![super::super::people::Link { night: 1, cluster_id: "y".into(), submissions }]
    }

    #[test]
    fn pairs_and_clusters_count_as_by_hand() {
        let cases = cases();
        let report = report(&cases, &People::of(&cases, &links(), true));
        // True: a1-a2 (joined), a1-a3, a2-a3, b1-b2 (joined). False: a1-s, a2-s. Neither: b1-b3, b2-b3.
        let pairs = report.pairs;
        assert_eq!((pairs.found, pairs.missed, pairs.false_pairs, pairs.allowed), (2, 2, 2, 2));
        assert_eq!(report.cross_district.recall, Rate::new(1, 3));
        assert_eq!(report.cross_district.precision, Rate::new(1, 1));
        assert_eq!(report.same_district.precision, Rate::new(1, 3));
        assert_eq!((report.same_night.recall, report.across_nights.recall), (Rate::new(1, 3), Rate::new(1, 1)));
        let clusters = report.clusters;
        assert_eq!((clusters.recall, clusters.precision), (Rate::new(1, 2), Rate::new(1, 2)));
        assert_eq!((clusters.touched, clusters.mixed), (Rate::new(2, 2), Rate::new(1, 2)));
        assert_eq!(report.cross_district_clusters.precision, Rate::new(1, 1), "only y spans districts");
        assert_eq!(report.original_named, Rate::new(1, 2));
    }

    #[test]
    fn b_cubed_is_as_by_hand() {
        let cases = cases();
        let b_cubed = report(&cases, &People::of(&cases, &links(), true)).b_cubed;
        assert_eq!(b_cubed.rows, 6);
        // Precision: a1, a2: 2/3; s: 1/3; a3, b1, b2: 1. Recall: a1, a2: 2/3; s: 1; a3: 1/3; b1, b2: 1.
        let near = |share: Share, value: f64| (share.mean.unwrap() - value).abs() < 1e-12;
        assert!(near(b_cubed.precision, (4.0 / 3.0 + 1.0 / 3.0 + 3.0) / 6.0), "{b_cubed:?}");
        assert!(near(b_cubed.recall, (4.0 / 3.0 + 1.0 + 1.0 / 3.0 + 2.0) / 6.0), "{b_cubed:?}");
        // Two groups hang together: a's four rows and b's two. Residuals of precision: 4 * (2/3 - 7/9) = -4/9 and 4/9;
        // variance 2 * 2 * (4/9)^2 / 36, half 1.96 times its root, 0.2903.
        let [low, high] = b_cubed.precision.interval;
        assert!((low - (7.0 / 9.0 - 0.290_37)).abs() < 1e-4 && high == 1.0, "{low} {high}");
    }

    #[test]
    fn no_duplicates_divide_by_nothing() {
        let cases = [row(0, "a", "a", "", None, None)];
        let report = report(&cases, &People::of(&cases, &[], true));
        assert_eq!((report.pairs.recall, report.clusters.mixed), (Rate::new(0, 0), Rate::new(0, 0)));
        assert_eq!(report.b_cubed.precision.mean, None);
    }
}
