//! One gallery size: what was predicted, and what was there.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::people::Population;
use crate::Result;
use crate::config::policy::MatchingPolicy;
use crate::evaluate::audit::Rate;
use crate::evaluate::groups::{Comparisons, CountedRate, GroupReport, Groups, Tally};
use crate::gallery::{Gallery, Searcher};
use crate::matching::impostor::ImpostorReport;
use crate::matching::{Cluster, Decided, Judged, Pair};
use crate::pairs::{Candidates, Members};

/// Limits, in expected false pairs of the gallery, at which prediction and truth are held against each other.
pub const LIMITS: [f64; 6] = [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0];

/// Points of a DET curve.
const DET_POINTS: usize = 60;

/// So many of the most similar false pairs are named.
const NAMED: usize = 20;

/// What one size shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizeReport {
    /// Templates in the gallery.
    pub gallery_size: usize,
    /// Members asked about, each compared with the whole gallery: all of it, or a night of so many. What follows counts pairs
    /// and memberships of theirs.
    pub asked: usize,
    /// Persons.
    pub persons: usize,
    /// Memberships that are not a person's first.
    pub duplicates: usize,
    /// Pairs of one person.
    pub mated_pairs: usize,
    /// Pairs compared.
    pub pairs: f64,
    /// Prediction against truth at each of [`LIMITS`].
    pub limits: Vec<LimitReport>,
    /// False negative identification rate against false pairs, from the strictest to the widest limit.
    pub det: Vec<DetPoint>,
    /// What the policy's limit for review flags: all of it, and of pairs across districts alone.
    pub review: [ReviewReport; 2],
    /// Clusters at the policy's limit for certain pairs.
    pub clusters: ClusterReport,
    /// What was fitted.
    pub impostors: ImpostorReport,
    /// The most similar false pairs. Where labels may err, a person should look at them: one face under two names is
    /// the label's mistake and counts here as the program's.
    pub most_similar_false_pairs: Vec<FalsePair>,
    /// Pairs above the floor of the search.
    pub candidates: usize,
    /// Rates of labelled people by group, where groups were given.
    pub groups: Option<GroupReport>,
    /// Seconds of the search, and of all that follows it.
    pub seconds: Seconds,
}

/// Wall time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seconds {
    /// Impostor model and exact search of all pairs.
    pub search: f64,
    /// Candidates to pairs, clusters and statistics: with the candidates, not with the members.
    pub judge: f64,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitReport {
    /// False pairs expected in the whole gallery.
    pub expected: f64,
    /// Upper 95 % bound of it.
    pub expected_upper: f64,
    /// The cosine it comes to.
    pub similarity: f32,
    /// False-match rate that this is.
    pub false_match_rate: f64,
    /// False pairs there are.
    pub observed: usize,
    /// 95 % interval of their expectation (Poisson; Byar's approximation).
    pub observed_interval: [f64; 2],
    /// Pairs of one person found.
    pub pairs_found: Rate,
    /// Duplicate memberships with no pair to any other of their person: the false negative identification rate.
    pub fnir: Rate,
    /// False pairs that the local false discovery rates add up to.
    pub sum_of_local_fdr: f64,
}

/// What is flagged for review, against the truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReviewReport {
    /// `all`, or `across_districts`.
    pub pairs: &'static str,
    /// The share of false ones that was promised; `None` where the policy names a number of false pairs instead.
    pub promised_false_share: Option<f64>,
    /// The share that was expected.
    pub expected_false_share: f64,
    /// Upper bound of it, one-sided 95 %.
    pub expected_false_share_upper: f64,
    /// Memberships flagged: the later of each pair.
    pub memberships: usize,
    /// Those of them that no pair joins to an earlier one of their person.
    pub false_memberships: Rate,
    /// False pairs among the pairs flagged.
    pub false_pairs: Rate,
    /// Pairs of one person found.
    pub pairs_found: Rate,
    /// By grade, the surest first and those without one last: pairs flagged, and the false ones among them.
    pub grades: [Rate; 4],
}

/// A point of the DET curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DetPoint {
    /// False pairs expected.
    pub expected: f64,
    /// False pairs there are.
    pub observed: usize,
    /// False negative identification rate.
    pub fnir: f64,
}

/// Clusters against persons.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterReport {
    /// The policy's limit for certain pairs, in expected false pairs.
    pub expected: f64,
    /// Clusters.
    pub clusters: usize,
    /// Clusters whose memberships are all of one person, and that are all of that person's.
    pub exact: Rate,
    /// B-cubed precision over all memberships (Bagga and Baldwin 1998): share of a membership's cluster that is its
    /// person, on average over those in clusters.
    pub precision: f64,
    /// B-cubed recall: share of a membership's person that is in its cluster, on average over those of persons with
    /// two or more memberships.
    pub recall: f64,
}

/// Two people taken for one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FalsePair {
    /// Their cosine.
    pub similarity: f32,
    /// How many were expected by chance.
    pub expected_false_matches: f64,
    /// Picture of the one.
    pub a: String,
    /// Picture of the other.
    pub b: String,
}

/// Measures the first `size` memberships of a population.
pub(super) fn measure(
    population: &Population,
    size: usize,
    asked: Option<usize>,
    policy: &MatchingPolicy,
    groups: Option<&Groups>,
) -> Result<SizeReport> {
    let rows = population.rows(size)?;
    let names: HashMap<String, usize> = rows.iter().map(|(m, _)| m.submission_id.clone()).zip(0..).collect();
    let gallery = Gallery::from_rows(&rows)?;
    drop(rows);
    let drawn = population.asked(size, asked.unwrap_or(size));
    let is_asked = |row: usize| drawn[row];
    let members = match asked {
        Some(_) => Members::against(&gallery.keeping(&|row| is_asked(row as usize)), &gallery)?,
        None => Members::each_other(&gallery)?,
    };
    // A pair's expected false matches are those of the whole gallery; the tables state those of the pairs compared.
    let compared_share = members.compared_share();
    // Faces alone: what records add hangs on the records.
    let widest = MatchingPolicy {
        review_expected_false_matches: Some(LIMITS[LIMITS.len() - 1] / compared_share),
        most_record_evidence: 0.0,
        ..policy.clone()
    };
    let exact = Searcher::default().exact();
    let pass = Candidates::search(&members, Vec::new(), &widest, &exact, &mut |_| Ok(()))?;
    let undecided = Decided::default();
    let clock = std::time::Instant::now();
    let judged = pass.judge(&undecided, &widest);
    let seconds = Seconds { search: pass.search.seconds, judge: clock.elapsed().as_secs_f64() };
    let strict = pass.judge(&undecided, &MatchingPolicy { most_record_evidence: 0.0, ..policy.clone() });
    let row = |index: usize| names[&pass.enrolments[index].submission_id];
    let persons = population.persons(size);
    let truth = Truth::new(&persons, &is_asked, compared_share, &judged.pairs, &row);
    let limits: Vec<LimitReport> = LIMITS.iter().map(|&limit| truth.limit(limit, &judged)).collect();
    let groups = groups.map(|groups| truth.by_group(groups, &persons, &limits));
    let districts = population.districts(size);
    let across = |a: usize, b: usize| districts[a] != districts[b];
    let compared = |a: usize, b: usize| is_asked(a) || is_asked(b);
    let compared_across = |a: usize, b: usize| compared(a, b) && across(a, b);
    let review = [
        review("all", &strict, &persons, &truth.of, &row, &compared),
        review("across_districts", &strict, &persons, &truth.of, &row, &compared_across),
    ];
    Ok(SizeReport {
        gallery_size: size,
        asked: (0..size).filter(|&row| is_asked(row)).count(),
        persons: truth.of.len(),
        duplicates: truth.duplicates,
        mated_pairs: truth.mated_pairs,
        pairs: judged.statistics.compared_pairs,
        limits,
        det: truth.det(),
        review,
        clusters: clusters(&strict, &persons, &truth.of, &row, policy.certain_expected_false_matches),
        impostors: judged.statistics.impostors.clone(),
        most_similar_false_pairs: truth.named(population),
        candidates: judged.statistics.candidates,
        groups,
        seconds,
    })
}

/// The flagged pairs with what they are, most similar first.
struct Truth<'a> {
    /// Memberships of each person of whom one is asked about.
    of: BTreeMap<u64, Vec<usize>>,
    duplicates: usize,
    mated_pairs: usize,
    /// Each pair, the two rows, and whether they are one person.
    pairs: Vec<(&'a Pair, [usize; 2], bool)>,
    /// The part of the gallery's pairs that was compared.
    compared_share: f64,
    /// At each mated pair, how many memberships have been found up to it, first ones of a person not counted.
    found: Vec<usize>,
}

impl<'a> Truth<'a> {
    fn new(
        persons: &[u64],
        is_asked: &dyn Fn(usize) -> bool,
        compared_share: f64,
        flagged: &'a [Pair],
        row: &dyn Fn(usize) -> usize,
    ) -> Self {
        let mut of: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        persons.iter().enumerate().for_each(|(at, &person)| of.entry(person).or_default().push(at));
        of.retain(|_, rows| rows.iter().any(|&row| is_asked(row)));
        let asked = |rows: &[usize]| rows.iter().filter(|&&row| is_asked(row)).count();
        let duplicates = of.values().map(|rows| asked(&rows[1..])).sum();
        let pairs_of = |count: usize| count * count.saturating_sub(1) / 2;
        let mated_pairs = of.values().map(|rows| pairs_of(rows.len()) - pairs_of(rows.len() - asked(rows))).sum();
        let mut pairs: Vec<_> = flagged
            .iter()
            .map(|pair| {
                let rows = [row(pair.a), row(pair.b)];
                (pair, rows, persons[rows[0]] == persons[rows[1]])
            })
            .collect();
        pairs.sort_by(|x, y| x.0.expected_false_matches.total_cmp(&y.0.expected_false_matches));
        let mut seen: HashSet<usize> = HashSet::new();
        let first = |row: usize| of[&persons[row]][0] == row;
        let found = pairs
            .iter()
            .map(|(_, rows, mated)| {
                if *mated {
                    seen.extend(rows.iter().filter(|&&row| is_asked(row) && !first(row)));
                }
                seen.len()
            })
            .collect();
        Truth { of, duplicates, mated_pairs, pairs, compared_share, found }
    }

    fn within(&self, expected: f64) -> usize {
        self.pairs.partition_point(|(pair, _, _)| pair.expected_false_matches * self.compared_share <= expected)
    }

    fn limit(&self, expected: f64, judged: &Judged) -> LimitReport {
        let count = self.within(expected);
        let mated = self.pairs[..count].iter().filter(|(_, _, mated)| *mated).count();
        let all = judged.statistics.compared_pairs.max(1.0);
        let similarity = judged.strangers.rate().inverse(expected / all);
        let found = count.checked_sub(1).map_or(0, |last| self.found[last]);
        LimitReport {
            expected,
            expected_upper: judged.strangers.fmr_upper(similarity) * all,
            similarity,
            false_match_rate: expected / all,
            observed: count - mated,
            observed_interval: poisson_interval(count - mated),
            pairs_found: Rate::new(mated, self.mated_pairs),
            fnir: Rate::new(self.duplicates - found, self.duplicates),
            sum_of_local_fdr: self.pairs[..count]
                .iter()
                .map(|(pair, _, _)| pair.local_fdr)
                .fold(0.0, |sum, fdr| sum + fdr),
        }
    }

    /// Rates of each group at each limit: missed duplicates, false pairs among the group's own people, and memberships in a
    /// false pair with anybody. Labelled people have the numbers from 0; drawn ones are in no group.
    fn by_group(&self, groups: &Groups, persons: &[u64], limits: &[LimitReport]) -> GroupReport {
        let numbers = groups.group_numbers();
        let group = |person: u64| numbers.get(person as usize).copied().flatten();
        let members = |number: usize| self.of.iter().filter(move |entry| group(*entry.0) == Some(number));
        let rates = limits.iter().flat_map(|limit| {
            let (mut found, mut wrong) = (HashSet::<usize>::new(), HashSet::<usize>::new());
            let mut false_pairs: BTreeMap<usize, Vec<[usize; 2]>> = BTreeMap::new();
            for (_, rows, mated) in &self.pairs[..self.within(limit.expected)] {
                let people = rows.map(|row| persons[row]);
                match mated {
                    true => found.extend(rows),
                    false => wrong.extend(rows),
                }
                let [a, b] = people.map(group);
                if let (false, true, Some(number)) = (*mated, a == b, a) {
                    false_pairs.entry(number).or_default().push(people.map(|person| person as usize));
                }
            }
            let missed = (0..groups.count()).map(|number| {
                let count = |rows: &[usize]| rows.iter().skip(1).filter(|row| !found.contains(row)).count();
                Tally::own(members(number).map(|(&person, rows)| [person as usize, rows.len() - 1, count(rows)]))
            });
            let matched = (0..groups.count()).map(|number| {
                let pictures = members(number).map(|(&person, rows)| [person as usize, rows.len()]).collect();
                let comparisons = Comparisons::Between { pictures, left_out: Vec::new() };
                Tally { comparisons, errors: false_pairs.remove(&number).unwrap_or_default() }
            });
            let matched: Vec<Tally> = matched.collect();
            let flagged = (0..groups.count()).map(|number| {
                let count = |rows: &[usize]| rows.iter().filter(|row| wrong.contains(row)).count();
                Tally::own(members(number).map(|(&person, rows)| [person as usize, rows.len(), count(rows)]))
            });
            let at = format!("at {} expected in the gallery", limit.expected);
            [
                CountedRate {
                    what: format!("FNIR {at}"),
                    all: limit.fnir.rate.unwrap_or(0.0),
                    by_group: missed.collect(),
                },
                CountedRate {
                    what: format!("FMR {at}"),
                    all: limit.observed as f64 / self.stranger_pairs(persons.len()).max(1.0),
                    by_group: matched,
                },
                CountedRate {
                    what: format!("memberships in a false pair {at}"),
                    all: wrong.len() as f64 / persons.len().max(1) as f64,
                    by_group: flagged.collect(),
                },
            ]
        });
        groups.report(rates.collect())
    }

    fn stranger_pairs(&self, memberships: usize) -> f64 {
        let all = memberships as f64;
        all * (all - 1.0) / 2.0 - self.mated_pairs as f64
    }

    /// Evenly over the logarithm of what is expected, from a thousandth of a pair to the widest limit.
    fn det(&self) -> Vec<DetPoint> {
        let (low, high) = (1e-3f64.log10(), LIMITS[LIMITS.len() - 1].log10());
        let point = |k: usize| {
            let expected = 10f64.powf(low + (high - low) * k as f64 / (DET_POINTS - 1) as f64);
            let count = self.within(expected);
            let found = count.checked_sub(1).map_or(0, |last| self.found[last]);
            DetPoint {
                expected,
                observed: self.pairs[..count].iter().filter(|(_, _, mated)| !*mated).count(),
                fnir: (self.duplicates - found) as f64 / self.duplicates.max(1) as f64,
            }
        };
        if self.duplicates == 0 { Vec::new() } else { (0..DET_POINTS).map(point).collect() }
    }

    fn named(&self, population: &Population) -> Vec<FalsePair> {
        let wrong = self.pairs.iter().filter(|(_, _, mated)| !*mated).take(NAMED);
        wrong
            .map(|(pair, [a, b], _)| FalsePair {
                similarity: pair.similarity,
                expected_false_matches: pair.expected_false_matches,
                a: population.picture(*a),
                b: population.picture(*b),
            })
            .collect()
    }
}

/// What is flagged of the pairs wanted, and compared.
fn review(
    pairs_name: &'static str,
    judged: &Judged,
    persons: &[u64],
    of: &BTreeMap<u64, Vec<usize>>,
    row: &dyn Fn(usize) -> usize,
    wanted: &dyn Fn(usize, usize) -> bool,
) -> ReviewReport {
    // Of each later membership, whether a pair joins it to its person.
    let mut flagged: BTreeMap<usize, bool> = BTreeMap::new();
    let (mut pairs, mut mated) = (0, 0);
    let mut grades = [[0; 2]; 4];
    for pair in &judged.pairs {
        let [a, b] = [row(pair.a), row(pair.b)];
        if !wanted(a, b) {
            continue;
        }
        let right = persons[a] == persons[b];
        *flagged.entry(a.max(b)).or_default() |= right;
        pairs += 1;
        mated += usize::from(right);
        let grade = pair.grade().map_or(3, |grade| grade as usize);
        grades[grade][0] += usize::from(!right);
        grades[grade][1] += 1;
    }
    let there = of.values().map(|rows| {
        let mates = rows.iter().enumerate().flat_map(|(k, &a)| rows[k + 1..].iter().map(move |&b| (a, b)));
        mates.filter(|&(a, b)| wanted(a, b)).count()
    });
    let false_ones = flagged.values().filter(|right| !**right).count();
    let statistics = &judged.statistics;
    let (expected, upper) = match statistics.reaches.last() {
        Some(reach) if pairs_name != "all" => {
            let share = |wrong: f64| (wrong / reach.memberships.max(1) as f64).min(1.0);
            (share(reach.expected_false), share(reach.expected_false_upper))
        }
        _ => (statistics.expected_false_share, statistics.expected_false_share_upper),
    };
    ReviewReport {
        pairs: pairs_name,
        promised_false_share: statistics.review_false_share,
        expected_false_share: expected,
        expected_false_share_upper: upper,
        memberships: flagged.len(),
        false_memberships: Rate::new(false_ones, flagged.len()),
        false_pairs: Rate::new(pairs - mated, pairs),
        pairs_found: Rate::new(mated, there.sum()),
        grades: grades.map(|[wrong, all]| Rate::new(wrong, all)),
    }
}

fn clusters(
    judged: &Judged,
    persons: &[u64],
    of: &BTreeMap<u64, Vec<usize>>,
    row: &dyn Fn(usize) -> usize,
    expected: f64,
) -> ClusterReport {
    let rows = |cluster: &Cluster| -> Vec<usize> { cluster.members.iter().map(|&m| row(m)).collect() };
    let (mut right, mut members, mut exact) = (0.0, 0, 0);
    // A membership that stands alone finds itself: one n-th of its person.
    let multiple = of.values().filter(|rows| rows.len() > 1);
    let (mut recall, all) = multiple.fold((0.0, 0), |(share, all), rows| (share + 1.0, all + rows.len()));
    for cluster in &judged.clusters {
        let rows = rows(cluster);
        let mut count: HashMap<u64, usize> = HashMap::new();
        rows.iter().for_each(|&row| *count.entry(persons[row]).or_default() += 1);
        members += rows.len();
        exact += usize::from(count.len() == 1 && of[&persons[rows[0]]].len() == rows.len());
        for &row in &rows {
            let here = count[&persons[row]] as f64;
            right += here / rows.len() as f64;
            if of[&persons[row]].len() > 1 {
                recall += (here - 1.0) / of[&persons[row]].len() as f64;
            }
        }
    }
    ClusterReport {
        expected,
        clusters: judged.clusters.len(),
        exact: Rate::new(exact, judged.clusters.len()),
        precision: if members == 0 { 1.0 } else { right / members as f64 },
        recall: if all == 0 { 1.0 } else { recall / all as f64 },
    }
}

/// 95 % interval of a Poisson expectation of which `count` was seen: Byar's approximation (Breslow and Day, "Statistical
/// methods in cancer research" II, 1987, p. 69), within a few percent of the exact one from a count of one on.
fn poisson_interval(count: usize) -> [f64; 2] {
    const Z: f64 = 1.959_964;
    let n = count as f64;
    let end = |n: f64, z: f64| n * (1.0 - 1.0 / (9.0 * n) + z / (3.0 * n.sqrt())).powi(3);
    [if count == 0 { 0.0 } else { end(n, -Z).max(0.0) }, end(n + 1.0, Z)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_the_exact_one_nearly() {
        // scipy 1.17.1: chi2.ppf(0.025, 2n) / 2 and chi2.ppf(0.975, 2n + 2) / 2.
        for (count, low, high) in [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39), (100, 81.36, 121.63)] {
            let [l, h] = poisson_interval(count);
            assert!((l - low).abs() < 0.03 && (h / high - 1.0).abs() < 0.02, "{count}: {l} {h}");
        }
    }
}
