//! Pairs -> clusters: one per person with two or more memberships.
//!
//! Pairs chain: A looks like B and B like C, and with enough members anybody reaches anybody. So a chain is only a
//! proposal; within it every pair is compared, and groups are joined while all their pairs together speak for it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use crate::decisions::Answer;
use crate::dump::facts::is_same_name;
use crate::matching::{Decided, Enrolment, Pair};

/// One person with two or more memberships.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Stable from night to night as long as the original stays the original.
    pub id: String,
    /// The earliest membership; every other one is a duplicate of it.
    pub original: usize,
    /// All memberships, earliest first, the original included.
    pub members: Vec<usize>,
    /// Districts of the memberships, sorted, each once.
    pub districts: Vec<String>,
    /// Workers of the memberships, sorted, each once.
    pub workers: Vec<String>,
    /// The similarity of the least similar two of its memberships, flagged or not; see [`Cluster::find_weakest`].
    pub weakest: f32,
}

impl Cluster {
    /// Whether the person was enrolled in more than one district.
    pub fn cross_district(&self) -> bool {
        self.districts.len() > 1
    }

    /// Finds the least similar two of its memberships: of all pairs, in a cluster of more than [`MOST_LINKED`] of those
    /// between every membership and [`MOST_LINKED`] of them, spread evenly.
    pub(super) fn find_weakest(&mut self, score: &dyn Fn(usize, usize) -> f32) {
        let step = self.members.len().div_ceil(MOST_LINKED).max(1);
        let compared = || self.members.iter().step_by(step);
        let pairs = self.members.iter().flat_map(|&a| compared().filter(move |&&b| b != a).map(move |&b| (a, b)));
        self.weakest = pairs.map(|(a, b)| score(a, b)).fold(f32::INFINITY, f32::min);
    }
}

/// Groups memberships into persons: certain pairs propose, all pairs of a proposal decide. `odds` gives log10 of the odds
/// that two memberships are one person. The result depends on the set of pairs alone, not on their order, nor on the order
/// of the memberships.
pub fn clusters(enrolments: &[Enrolment], pairs: &[Pair], odds: &dyn Fn(usize, usize) -> f64) -> Vec<Cluster> {
    clusters_with(enrolments, pairs, &Decided::default(), odds)
}

/// The same where people have decided some pairs: two memberships that were told apart are never in one group, and those
/// that were found to be one person are, unless a third that is told apart from one of them stands between.
pub fn clusters_with(
    enrolments: &[Enrolment],
    pairs: &[Pair],
    decided: &Decided,
    odds: &dyn Fn(usize, usize) -> f64,
) -> Vec<Cluster> {
    let odds: &dyn Fn(usize, usize) -> f64 = &|a, b| match decided.of(a, b) {
        Some(Answer::Different) => APART,
        Some(Answer::Same) => f64::INFINITY,
        Some(Answer::NotSure) | None => finite(odds(a, b)),
    };
    let together = decided.together();
    let mut found: Vec<Cluster> = Vec::new();
    for (members, links) in components(enrolments, pairs) {
        let groups = match members.len() {
            2 => vec![members],
            n if n <= MOST_LINKED => linked(&members, &together, odds),
            _ => joined(&members, &links, decided, odds),
        };
        let persons = groups.into_iter().filter(|group| group.len() > 1);
        found.extend(persons.map(|group| cluster(enrolments, group)));
    }
    found.sort_by_key(|cluster| enrolments[cluster.original].age());
    found
}

/// Up to so many memberships, all pairs of a component are compared.
const MOST_LINKED: usize = 400;

/// Members of a group that a membership of a larger component is compared with.
const COMPARED: usize = 16;

/// The largest groups of such a component, which every membership is compared with.
const LARGEST: usize = 8;

/// A single pair speaks no louder than this, log10 odds: one bad picture must not outvote all others.
const LOUDEST: f64 = 6.0;

/// The odds of a pair that people told apart. Whatever is added to it, no mean with it in it speaks for joining.
const APART: f64 = f64::NEG_INFINITY;

/// Memberships connected by pairs, earliest first, each with its pairs.
fn components<'p>(enrolments: &[Enrolment], pairs: &'p [Pair]) -> Vec<(Vec<usize>, Vec<&'p Pair>)> {
    let mut parent: HashMap<usize, usize> = HashMap::new();
    for pair in pairs {
        let (a, b) = (root(&mut parent, pair.a), root(&mut parent, pair.b));
        // The smaller index becomes the root, whatever the order of the pairs.
        parent.insert(a.max(b), a.min(b));
    }
    let mut groups: BTreeMap<usize, (Vec<usize>, Vec<&Pair>)> = BTreeMap::new();
    for pair in pairs {
        let group = groups.entry(root(&mut parent, pair.a)).or_default();
        group.0.extend([pair.a, pair.b]);
        group.1.push(pair);
    }
    let mut components: Vec<_> = groups.into_values().collect();
    for (members, _) in &mut components {
        members.sort_by_key(|&m| (enrolments[m].age(), m));
        members.dedup();
    }
    components
}

/// Average linkage (Sokal and Michener 1958) over log odds: the two groups whose members are most probably one person on
/// average are joined, as long as that average speaks for it. `members` earliest first, which settles ties.
/// `together` are joined before all others.
fn linked(members: &[usize], together: &[(usize, usize)], odds: &dyn Fn(usize, usize) -> f64) -> Vec<Vec<usize>> {
    let n = members.len();
    let mut groups: Vec<Vec<usize>> = members.iter().map(|&m| vec![m]).collect();
    // Sums of bounded and of full odds between groups; the full ones only settle ties of the bounded.
    let mut sums = vec![(0.0f64, 0.0f64); n * n];
    for i in 0..n {
        for j in i + 1..n {
            let sum = heard(odds(members[i], members[j]));
            sums[i * n + j] = sum;
            sums[j * n + i] = sum;
        }
    }
    let mean = |sums: &[(f64, f64)], groups: &[Vec<usize>], i: usize, j: usize| {
        let count = (groups[i].len() * groups[j].len()) as f64;
        (sums[i * n + j].0 / count, sums[i * n + j].1 / count)
    };
    let best_of = |sums: &[(f64, f64)], groups: &[Vec<usize>], i: usize| {
        (0..n).filter(|&j| j != i && !groups[j].is_empty()).map(|j| (mean(sums, groups, i, j), j)).reduce(better)
    };
    let join = |groups: &mut Vec<Vec<usize>>, sums: &mut Vec<(f64, f64)>, keep: usize, gone: usize| {
        let moved = std::mem::take(&mut groups[gone]);
        groups[keep].extend(moved);
        for k in (0..n).filter(|&k| k != keep && !groups[k].is_empty()) {
            let (more, full) = sums[gone * n + k];
            for at in [keep * n + k, k * n + keep] {
                sums[at].0 += more;
                sums[at].1 += full;
            }
        }
    };
    let group_of = |groups: &[Vec<usize>], member: usize| groups.iter().position(|group| group.contains(&member));
    for &(a, b) in together {
        if let (Some(i), Some(j)) = (group_of(&groups, a), group_of(&groups, b))
            && i != j
            && sums[i * n + j].0 > APART
        {
            join(&mut groups, &mut sums, i.min(j), i.max(j));
        }
    }
    let mut best: Vec<_> = (0..n).map(|i| best_of(&sums, &groups, i)).collect();
    loop {
        let next = (0..n).filter_map(|i| best[i].map(|(mean, j)| (mean, (i, j)))).reduce(better);
        let Some((_, (i, j))) = next.filter(|(mean, _)| mean.0 > 0.0) else { break };
        let (keep, gone) = (i.min(j), i.max(j));
        join(&mut groups, &mut sums, keep, gone);
        best[gone] = None;
        for k in (0..n).filter(|&k| !groups[k].is_empty()) {
            if k == keep || best[k].is_some_and(|(_, j)| j == keep || j == gone) {
                best[k] = best_of(&sums, &groups, k);
            } else {
                // A mean of two means is above neither, so the joined group can at most tie with the old best.
                let here = (mean(&sums, &groups, k, keep), keep);
                best[k] = best[k].map(|old| better(old, here));
            }
        }
    }
    groups
}

/// The greater mean; the earlier of equals.
fn better<T: PartialOrd>(x: ((f64, f64), T), y: ((f64, f64), T)) -> ((f64, f64), T) {
    match x.0.0.total_cmp(&y.0.0).then(x.0.1.total_cmp(&y.0.1)) {
        Ordering::Less => y,
        Ordering::Greater => x,
        Ordering::Equal if y.1 < x.1 => y,
        Ordering::Equal => x,
    }
}

/// One picture enrolled thousands of times, or a long chain of people: each membership, earliest first, joins the group
/// that it is most probably one person with on average over members spread evenly through the group, or begins its own.
/// Only groups that a pair links it to are asked, and the largest, so that the work grows with the pairs.
/// What people decided comes first.
fn joined(
    members: &[usize],
    links: &[&Pair],
    decided: &Decided,
    odds: &dyn Fn(usize, usize) -> f64,
) -> Vec<Vec<usize>> {
    let decided = decided.mates();
    let mut mates: HashMap<usize, Vec<usize>> = HashMap::new();
    for pair in links {
        mates.entry(pair.a).or_default().push(pair.b);
        mates.entry(pair.b).or_default().push(pair.a);
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut group_of: HashMap<usize, usize> = HashMap::new();
    let mut largest: Vec<usize> = Vec::new();
    for &member in members {
        let told = decided.get(&member).map_or(&[][..], |told| told);
        let mean = |g: usize| {
            let group = &groups[g];
            let says = |answer| told.iter().any(|&(other, a)| a == answer && group_of.get(&other) == Some(&g));
            if says(Answer::Different) || says(Answer::Same) {
                let sure = if says(Answer::Different) { APART } else { f64::INFINITY };
                return (sure, sure);
            }
            let step = group.len().div_ceil(COMPARED);
            let each: Vec<f64> = group.iter().step_by(step).map(|&other| odds(other, member)).collect();
            let (bounded, full) = each.iter().map(|&o| heard(o)).fold((0.0, 0.0), |s, o| (s.0 + o.0, s.1 + o.1));
            (bounded / each.len() as f64, full / each.len() as f64)
        };
        let confirmed = told.iter().filter_map(|(mate, _)| group_of.get(mate).copied());
        let linked = mates.get(&member).into_iter().flatten().filter_map(|mate| group_of.get(mate).copied());
        let asked: BTreeSet<usize> = linked.chain(confirmed).chain(largest.iter().copied()).collect();
        let best = asked.into_iter().map(|g| (mean(g), g)).reduce(better);
        let at = match best.filter(|(mean, _)| mean.0 > 0.0) {
            Some((_, g)) => g,
            None => {
                groups.push(Vec::new());
                groups.len() - 1
            }
        };
        groups[at].push(member);
        group_of.insert(member, at);
        if !largest.contains(&at) {
            largest.push(at);
            largest.sort_by_key(|&g| (std::cmp::Reverse(groups[g].len()), g));
            largest.truncate(LARGEST);
        }
    }
    groups
}

/// The odds of one pair as they count in a mean, bounded, and in full.
fn heard(odds: f64) -> (f64, f64) {
    if odds == APART { (APART, APART) } else { (odds.clamp(-LOUDEST, LOUDEST), finite(odds)) }
}

/// What cannot be compared speaks neither for nor against.
fn finite(odds: f64) -> f64 {
    if odds.is_nan() { 0.0 } else { odds.clamp(-300.0, 300.0) }
}

/// Two memberships that a pair flags and no cluster joins, as something to look at. Its id is of both, so that it is no
/// cluster's.
pub(super) fn case_of(enrolments: &[Enrolment], pair: &Pair) -> Cluster {
    let case = cluster(enrolments, vec![pair.a, pair.b]);
    let mut digest = Sha256::new();
    case.members.iter().for_each(|&m| digest.update(format!("{}\n", enrolments[m].submission_id)));
    let id = digest.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect::<String>();
    Cluster { id: format!("Q{id}"), weakest: pair.similarity, ..case }
}

fn cluster(enrolments: &[Enrolment], mut members: Vec<usize>) -> Cluster {
    members.sort_by_key(|&m| (enrolments[m].age(), m));
    members.dedup();
    let each_once = |what: fn(&Enrolment) -> &String| {
        let mut list: Vec<String> = members.iter().map(|&m| what(&enrolments[m]).clone()).collect();
        list.sort();
        list.dedup();
        list
    };
    let original = members[0];
    let digest = Sha256::digest(enrolments[original].submission_id.as_bytes());
    Cluster {
        id: format!("P{}", digest.iter().take(8).map(|b| format!("{b:02x}")).collect::<String>()),
        original,
        districts: first_spellings(each_once(|e| &e.district)),
        workers: each_once(|e| &e.worker_id),
        members,
        weakest: f32::INFINITY,
    }
}

/// Names of places, of each that is the same but for case and white space the first.
fn first_spellings(names: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(names.len());
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        if !kept.iter().any(|known| is_same_name(known, &name)) {
            kept.push(name);
        }
    }
    kept
}

fn root(parent: &mut HashMap<usize, usize>, node: usize) -> usize {
    let mut at = node;
    while let Some(&up) = parent.get(&at).filter(|&&up| up != at) {
        at = up;
    }
    // Short ways from now on.
    parent.insert(node, at);
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enrolment(id: &str, district: &str, captured_at: i64) -> Enrolment {
        Enrolment {
            submission_id: id.into(),
            worker_id: format!("W-{district}"),
            district: district.into(),
            captured_at,
            ..Enrolment::default()
        }
    }

    fn pair(a: usize, b: usize, similarity: f32) -> Pair {
        Pair { a: a.min(b), b: a.max(b), similarity, ..Pair::default() }
    }

    fn people(n: usize) -> Vec<Enrolment> {
        (0..n).map(|k| enrolment(&format!("s{k:05}"), "Ujjain", k as i64)).collect()
    }

    #[test]
    fn the_earliest_is_the_original_whatever_the_order() {
        let people = [
            enrolment("s3", "Ujjain", 30),
            enrolment("s1", "Gwalior", 10),
            enrolment("s2", "Ujjain", 20),
            enrolment("s4", "Indore", 5),
        ];
        let pairs = [pair(0, 1, 0.7), pair(0, 2, 0.6)];
        let found = clusters(&people, &pairs, &|_, _| 3.0);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].members, [1, 2, 0]);
        assert_eq!(found[0].original, 1);
        assert_eq!(found[0].districts, ["Gwalior", "Ujjain"]);
        assert!(found[0].cross_district());
        let mut weakest = found[0].clone();
        // The pair that no search flagged counts as well: 1 and 2 of one chain.
        weakest.find_weakest(&|a, b| if a + b == 3 { 0.168 } else { 0.6 + 0.1 * a.min(b) as f32 });
        assert_eq!(weakest.weakest, 0.168);
        let reversed: Vec<Pair> = pairs.iter().rev().copied().collect();
        assert_eq!(clusters(&people, &reversed, &|_, _| 3.0), found);
    }

    #[test]
    fn a_time_that_cannot_be_makes_nobody_the_original() {
        let mut people = people(3);
        people[0].made_at = Some(i64::MAX);
        let pairs = [pair(0, 1, 0.7), pair(1, 2, 0.7), pair(0, 2, 0.7)];
        let found = clusters(&people, &pairs, &|_, _| 3.0);
        assert_eq!((found[0].original, found[0].members.as_slice()), (1, &[1, 2, 0][..]));
    }

    #[test]
    fn a_chain_does_not_join_what_speaks_against_it() {
        let people = people(3);
        let pairs = [pair(0, 1, 0.7), pair(1, 2, 0.65)];
        let against = |a: usize, b: usize| match (a.min(b), a.max(b)) {
            (0, 1) => 9.0,
            (1, 2) => 8.0,
            _ => -12.0,
        };
        let found = clusters(&people, &pairs, &against);
        assert_eq!(found.iter().map(|c| c.members.clone()).collect::<Vec<_>>(), [vec![0, 1]]);
        // A doubtful third pair, one bad picture, does not part what the two others join.
        let doubtful = |a: usize, b: usize| if a.abs_diff(b) == 1 { 8.0 } else { -1.0 };
        assert_eq!(clusters(&people, &pairs, &doubtful)[0].members, [0, 1, 2]);
    }

    #[test]
    fn a_long_chain_of_lookalikes_falls_apart() {
        let n = 40;
        let people = people(n);
        let pairs: Vec<Pair> = (1..n).map(|k| pair(k - 1, k, 0.6)).collect();
        let found = clusters(&people, &pairs, &|a, b| if a.abs_diff(b) == 1 { 6.0 } else { -6.0 });
        assert!(found.iter().all(|c| c.members.len() == 2), "{found:?}");
    }

    #[test]
    fn the_order_of_memberships_does_not_matter() {
        let n = 60;
        // Persons are numbers modulo 7, and some strangers are alike.
        let odds = |a: usize, b: usize| match a % 7 == b % 7 {
            true => 4.0 + ((a * 31 + b * 31) % 5) as f64,
            false => -9.0 + ((a * 17 + b * 17) % 11) as f64,
        };
        let all = people(n);
        let pairs: Vec<Pair> = (0..n)
            .flat_map(|a| (a + 1..n).map(move |b| (a, b)))
            .filter(|&(a, b)| odds(a, b) > 0.0)
            .map(|(a, b)| pair(a, b, 0.6))
            .collect();
        let names = |people: &[Enrolment], found: &[Cluster]| -> Vec<(String, Vec<String>)> {
            let name = |&m: &usize| people[m].submission_id.clone();
            found.iter().map(|c| (c.id.clone(), c.members.iter().map(name).collect())).collect()
        };
        let expected = names(&all, &clusters(&all, &pairs, &odds));
        assert_eq!(expected.len(), 7);
        let place = |k: usize| (k * 23) % n;
        let mut shuffled = all.clone();
        (0..n).for_each(|k| shuffled[place(k)] = all[k].clone());
        let moved: Vec<Pair> = pairs.iter().rev().map(|p| pair(place(p.a), place(p.b), p.similarity)).collect();
        let back = |at: usize| (0..n).find(|&k| place(k) == at).unwrap();
        let found = clusters(&shuffled, &moved, &|a, b| odds(back(a), back(b)));
        assert_eq!(names(&shuffled, &found), expected);
    }

    #[test]
    fn one_picture_a_thousand_times_is_one_person() {
        let n = 1200;
        let pairs: Vec<Pair> = (1..n).map(|k| pair(0, k, 0.99)).collect();
        let odds = |a: usize, b: usize| if (a % 100 == 99) == (b % 100 == 99) { 12.0 } else { -12.0 };
        let found = clusters(&people(n), &pairs, &odds);
        assert_eq!(found.iter().map(|c| c.members.len()).collect::<Vec<_>>(), [n - n / 100, n / 100]);
    }

    #[test]
    fn an_id_stays_while_the_original_stays() {
        let people = people(4);
        let one = clusters(&people, &[pair(1, 2, 0.7)], &|_, _| 5.0);
        let more = clusters(&people, &[pair(1, 2, 0.7), pair(2, 3, 0.7)], &|_, _| 5.0);
        assert_eq!(one[0].id, more[0].id);
        let earlier = clusters(&people, &[pair(1, 2, 0.7), pair(0, 2, 0.7)], &|_, _| 5.0);
        assert_ne!(one[0].id, earlier[0].id);
    }

    #[test]
    fn who_was_told_apart_is_never_joined_and_who_was_confirmed_is() {
        use Answer::{Different, Same};
        let people = people(4);
        let all =
            [pair(0, 1, 0.7), pair(1, 2, 0.7), pair(2, 3, 0.7), pair(0, 2, 0.7), pair(0, 3, 0.7), pair(1, 3, 0.7)];
        let found = |decided: &Decided, odds: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<usize>> {
            clusters_with(&people, &all, decided, odds).into_iter().map(|c| c.members).collect()
        };
        let for_all = |_: usize, _: usize| 5.0;
        assert_eq!(found(&Decided::default(), &for_all), [vec![0, 1, 2, 3]]);
        // 0 and 1 are two people: everybody else joins one of them, and the two never meet.
        let apart = Decided::from_pairs([(1, 0, Different)]);
        let groups = found(&apart, &for_all);
        assert!(groups.iter().all(|g| !(g.contains(&0) && g.contains(&1))), "{groups:?}");
        assert_eq!(groups.iter().map(Vec::len).max(), Some(3), "{groups:?}");
        // Against all odds, one pair is confirmed.
        let together = Decided::from_pairs([(3, 1, Same)]);
        assert_eq!(found(&together, &|_, _| -5.0), [vec![1, 3]]);
        // Two decisions that contradict each other: what was told apart stays apart.
        let both = Decided::from_pairs([(0, 1, Same), (1, 2, Same), (0, 2, Different)]);
        let groups = found(&both, &for_all);
        assert!(groups.iter().all(|g| !(g.contains(&0) && g.contains(&2))), "{groups:?}");
    }

    #[test]
    fn in_a_crowd_decisions_hold_as_well() {
        let n = 1200;
        let pairs: Vec<Pair> = (1..n).map(|k| pair(0, k, 0.99)).collect();
        let decided = Decided::from_pairs([(0, 700, Answer::Different), (700, 701, Answer::Same)]);
        let found = clusters_with(&people(n), &pairs, &decided, &|_, _| 12.0);
        let of = |m: usize| found.iter().position(|c| c.members.contains(&m));
        assert_ne!(of(0), of(700));
        assert_eq!(found.iter().map(|c| c.members.len()).max(), Some(n - 2));
    }

    #[test]
    fn no_pairs_no_clusters_and_nan_says_nothing() {
        assert!(clusters(&people(1), &[], &|_, _| 1.0).is_empty());
        let found = clusters(&people(3), &[pair(0, 1, 0.7), pair(1, 2, 0.7)], &|_, _| f64::NAN);
        assert!(found.is_empty());
    }
}
