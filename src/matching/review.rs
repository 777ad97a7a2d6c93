//! The review queue: persons with several memberships in the order in which they are worth a reviewer's time.
//!
//! What a look is worth: how grave the case is if it is one ([`Worth`]), times how probably it is one, times the
//! memberships it would strike. A worker who enrols duplicates again and again weighs double. The queue is cut to a
//! budget and says what share of what remains is probably false.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::clusters::case_of;
use super::{Cluster, Enrolment, Grade, Judged, Pair, UNKNOWN_TIME};
use crate::decisions::Answer;

/// A worker with at least so many persons enrolled more than once repeats it.
const REPEATS: usize = 3;

/// How grave a case is, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Worth {
    /// In several districts, by a worker who repeats it, or three times and more.
    CrossDistrictRepeated,
    /// In several districts.
    CrossDistrict,
    /// In one district, by a worker who repeats it, or three times and more.
    Repeated,
    /// In one district, by several workers or on several days.
    OneDistrict,
    /// By one worker under one mobile within the policy's minutes of a retry: a picture taken again.
    Retry,
}

impl Worth {
    /// The word in tables.
    pub fn code(self) -> &'static str {
        match self {
            Worth::CrossDistrictRepeated => "cross_district_repeated",
            Worth::CrossDistrict => "cross_district",
            Worth::Repeated => "repeated",
            Worth::OneDistrict => "one_district",
            Worth::Retry => "retry",
        }
    }

    /// How many cases of one district it is worth.
    fn weight(self) -> f64 {
        match self {
            Worth::CrossDistrictRepeated => 8.0,
            Worth::CrossDistrict => 4.0,
            Worth::Repeated => 2.0,
            Worth::OneDistrict => 1.0,
            Worth::Retry => 0.05,
        }
    }
}

/// One row of `review.parquet`: one person to look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReviewRow {
    /// Place in the queue, from 1.
    pub rank: u32,
    /// The cluster.
    pub cluster_id: String,
    /// Submission of the earliest membership.
    pub original: String,
    /// Submissions of all memberships, earliest first.
    pub submissions: Vec<String>,
    /// Districts, each once.
    pub districts: Vec<String>,
    /// Workers, each once.
    pub workers: Vec<String>,
    /// How grave it is.
    pub worth: Worth,
    /// By which the queue is ordered; in cases of one district.
    pub value: f64,
    /// Probability that a membership of it is wrongly in it.
    pub probability_false: f64,
    /// Expected false matches of its weakest link.
    pub expected_false_matches: f64,
    /// Evidence of its weakest link: the least that each membership has for it.
    pub evidence: String,
}

impl ReviewRow {
    /// How sure it is that all of them are one person.
    pub fn grade(&self) -> Option<Grade> {
        Grade::of_local_error(self.probability_false)
    }
}

/// The queue of a night.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReviewQueue {
    /// Within the budget, most valuable first.
    pub rows: Vec<ReviewRow>,
    /// Persons left out because reviewers have confirmed every membership of them, and are of one mind.
    pub confirmed: usize,
    /// Persons beyond the budget.
    pub left_out: usize,
    /// Share of `rows` expected to be false flags.
    pub expected_false_share: f64,
    /// The same of those left out.
    pub expected_false_share_left_out: f64,
}

/// Orders what was judged and cuts it to `budget` persons. Memberships of one worker and one mobile within `retry_minutes`
/// of each other are a retry.
pub fn review_queue(
    enrolments: &[Enrolment],
    judged: &Judged,
    retry_minutes: u32,
    budget: Option<usize>,
) -> ReviewQueue {
    let cases = cases(enrolments, judged);
    let mut repeats: HashMap<&str, usize> = HashMap::new();
    for cluster in judged.clusters.iter().filter(|c| !is_retry(enrolments, c, retry_minutes)) {
        cluster.workers.iter().for_each(|worker| *repeats.entry(worker).or_default() += 1);
    }
    let mut rows: Vec<ReviewRow> = cases
        .iter()
        .filter(|(_, links)| !is_settled(links))
        .map(|(cluster, links)| {
            let repeated = cluster.workers.iter().any(|w| repeats.get(w.as_str()).is_some_and(|&n| n >= REPEATS));
            let worth = match is_retry(enrolments, cluster, retry_minutes) {
                true => Worth::Retry,
                false => worth(cluster, repeated),
            };
            row(enrolments, cluster, links, worth, repeated)
        })
        .collect();
    let confirmed = cases.len() - rows.len();
    rows.sort_by(|x, y| {
        let retry = |row: &ReviewRow| row.worth == Worth::Retry;
        retry(x).cmp(&retry(y)).then(y.value.total_cmp(&x.value)).then_with(|| x.cluster_id.cmp(&y.cluster_id))
    });
    let rest = rows.split_off(budget.unwrap_or(usize::MAX).min(rows.len()));
    (1..).zip(&mut rows).for_each(|(rank, row)| row.rank = rank);
    // Not `sum`, which begins at -0.
    let share =
        |rows: &[ReviewRow]| rows.iter().fold(0.0, |sum, row| sum + row.probability_false) / rows.len().max(1) as f64;
    ReviewQueue {
        confirmed,
        left_out: rest.len(),
        expected_false_share: share(&rows),
        expected_false_share_left_out: share(&rest),
        rows,
    }
}

/// What there is to look at, each with its flagged pairs: the clusters, and of any two persons that a pair flags and no
/// cluster joins the two memberships that are most alike.
fn cases<'j>(enrolments: &[Enrolment], judged: &'j Judged) -> Vec<(Cluster, Vec<&'j Pair>)> {
    let of: HashMap<usize, usize> =
        judged.clusters.iter().enumerate().flat_map(|(k, c)| c.members.iter().map(move |&m| (m, k))).collect();
    let mut cases: Vec<(Cluster, Vec<&Pair>)> = judged.clusters.iter().map(|c| (c.clone(), Vec::new())).collect();
    let mut between: HashSet<(usize, usize)> = HashSet::new();
    // A membership of no cluster is a person of its own.
    let person = |at: usize| of.get(&at).copied().unwrap_or(judged.clusters.len() + at);
    // The most similar come first.
    for pair in &judged.pairs {
        let (a, b) = (person(pair.a), person(pair.b));
        if a == b {
            cases[a].1.push(pair);
        } else if between.insert((a.min(b), a.max(b))) {
            cases.push((case_of(enrolments, pair), vec![pair]));
        }
    }
    cases
}

fn row(enrolments: &[Enrolment], cluster: &Cluster, links: &[&Pair], worth: Worth, repeated: bool) -> ReviewRow {
    let weakest = weakest_needed(links);
    let right: f64 = weakest.iter().map(|p| 1.0 - p.probability_false).product();
    let last = weakest.last();
    let struck = (cluster.members.len() - 1) as f64;
    ReviewRow {
        rank: 0,
        cluster_id: cluster.id.clone(),
        original: enrolments[cluster.original].submission_id.clone(),
        submissions: cluster.members.iter().map(|&m| enrolments[m].submission_id.clone()).collect(),
        districts: cluster.districts.clone(),
        workers: cluster.workers.clone(),
        worth,
        value: worth.weight() * if repeated { 2.0 } else { 1.0 } * right * struck,
        probability_false: 1.0 - right,
        expected_false_matches: last.map_or(0.0, |p| p.expected_false_matches),
        evidence: last.map_or_else(String::new, |p| p.parts.text()),
    }
}

/// Whether people confirmed all that holds a person together, and nobody is unsure of a pair or contradicts another.
fn is_settled(links: &[&Pair]) -> bool {
    weakest_needed(links).iter().all(|pair| pair.decision == Some(Answer::Same))
        && !links.iter().any(|pair| pair.decision == Some(Answer::NotSure))
}

/// The pairs that hold a cluster together, confirmed ones and then the surest first: its maximum spanning tree (Kruskal 1956). A membership is in
/// it by its best link, however poor its others are.
fn weakest_needed<'p>(links: &[&'p Pair]) -> Vec<&'p Pair> {
    let mut sorted = links.to_vec();
    sorted.sort_by(|x, y| {
        let confirmed = |p: &Pair| p.decision == Some(Answer::Same);
        let by_doubt = x.probability_false.total_cmp(&y.probability_false);
        confirmed(y).cmp(&confirmed(x)).then(by_doubt).then(y.similarity.total_cmp(&x.similarity))
    });
    let mut group: BTreeMap<usize, usize> = BTreeMap::new();
    let find = |group: &BTreeMap<usize, usize>, mut node: usize| {
        while let Some(&up) = group.get(&node) {
            node = up;
        }
        node
    };
    sorted
        .into_iter()
        .filter(|pair| {
            let (a, b) = (find(&group, pair.a), find(&group, pair.b));
            if a != b {
                group.insert(a.max(b), a.min(b));
            }
            a != b
        })
        .collect()
}

fn worth(cluster: &Cluster, repeated: bool) -> Worth {
    let repeated = repeated || cluster.members.len() > 2;
    match () {
        () if cluster.cross_district() && repeated => Worth::CrossDistrictRepeated,
        () if cluster.cross_district() => Worth::CrossDistrict,
        () if repeated => Worth::Repeated,
        () => Worth::OneDistrict,
    }
}

/// One worker, no two mobiles, all within so many minutes.
fn is_retry(enrolments: &[Enrolment], cluster: &Cluster, minutes: u32) -> bool {
    let members = || cluster.members.iter().map(|&m| &enrolments[m]);
    let mut mobiles: Vec<&str> = members().filter_map(|e| e.mobile.as_deref()).collect();
    mobiles.sort_unstable();
    mobiles.dedup();
    let (first, last) =
        members().fold((i64::MAX, i64::MIN), |(low, high), e| (low.min(e.captured_at), high.max(e.captured_at)));
    cluster.workers.len() == 1
        && mobiles.len() <= 1
        && last != UNKNOWN_TIME
        && last.abs_diff(first) <= u64::from(minutes) * 60_000_000
}

#[cfg(test)]
mod tests {
    use super::super::{Impostors, Searched};
    use super::*;
    use crate::config::policy::MatchingPolicy;
    use crate::infer::ModelId;
    use crate::matching::{Candidate, Case, Decided, judge, judge_with};

    fn enrolment(id: &str, worker: &str, district: &str, minute: i64) -> Enrolment {
        Enrolment {
            submission_id: id.into(),
            worker_id: worker.into(),
            district: district.into(),
            captured_at: minute * 60_000_000,
            mobile: Some("9000000001".into()),
            ..Enrolment::default()
        }
    }

    #[test]
    fn fraud_across_districts_comes_first_and_retries_last() {
        let people = [
            enrolment("retry1", "W1", "Ujjain", 0),
            enrolment("retry2", "W1", "Ujjain", 9),
            enrolment("far1", "W2", "Ujjain", 0),
            enrolment("far2", "W3", "Indore", 50_000),
            enrolment("near1", "W4", "Ujjain", 0),
            enrolment("near2", "W5", "Ujjain", 5_000),
            enrolment("many1", "W6", "Ujjain", 0),
            enrolment("many2", "W7", "Indore", 10),
            enrolment("many3", "W8", "Bhopal", 20),
        ];
        let links = [(0, 1), (2, 3), (4, 5), (6, 7), (7, 8), (6, 8)];
        let candidates = links.map(|(a, b)| Candidate { a, b, similarity: 0.86 });
        let impostors = Impostors::new(&ModelId("sface".into()), &[]);
        let searched = Searched { gallery_size: 9, compared: 36.0, floor: 0.35, near: None };
        let case = Case { enrolments: &people, candidates: &candidates, impostors: &impostors, searched };
        let judged = judge(&case, &MatchingPolicy::default(), &|a, b| if links.contains(&(a, b)) { 0.86 } else { 0.0 });
        let queue = review_queue(&people, &judged, 30, None);
        let order: Vec<&str> = queue.rows.iter().map(|r| r.original.as_str()).collect();
        assert_eq!(order, ["many1", "far1", "near1", "retry1"]);
        assert_eq!(queue.rows[0].worth, Worth::CrossDistrictRepeated);
        assert_eq!(queue.rows[3].worth, Worth::Retry);
        assert!(queue.rows[0].evidence.starts_with("face "), "{}", queue.rows[0].evidence);
        assert!(queue.expected_false_share < 0.01);
        let cut = review_queue(&people, &judged, 30, Some(2));
        assert_eq!((cut.rows.len(), cut.left_out), (2, 2));
        assert_eq!(cut.rows[..], queue.rows[..2]);
    }

    #[test]
    fn a_disputed_pair_keeps_its_person_in_the_queue() {
        let people = ["a", "b", "c"].map(|id| enrolment(id, "W1", "Ujjain", 50_000 * i64::from(id.as_bytes()[0])));
        let links = [(0, 1), (1, 2), (0, 2)];
        let candidates = links.map(|(a, b)| Candidate { a, b, similarity: 0.86 });
        let impostors = Impostors::new(&ModelId("sface".into()), &[]);
        let searched = Searched { gallery_size: 3, compared: 3.0, floor: 0.35, near: None };
        let case = Case { enrolments: &people, candidates: &candidates, impostors: &impostors, searched };
        let rows = |third: Answer| {
            let decided = Decided::from_pairs([(0, 1, Answer::Same), (1, 2, Answer::Same), (0, 2, third)]);
            let judged = judge_with(&case, &decided, &MatchingPolicy::default(), &|_, _| 0.86);
            review_queue(&people, &judged, 30, None).rows.len()
        };
        assert_eq!((rows(Answer::Same), rows(Answer::NotSure)), (0, 1));
    }

    #[test]
    fn a_retry_is_what_the_policy_says() {
        let people = [enrolment("first", "W1", "Ujjain", 0), enrolment("again", "W1", "Ujjain", 9)];
        let candidates = [Candidate { a: 0, b: 1, similarity: 0.86 }];
        let impostors = Impostors::new(&ModelId("sface".into()), &[]);
        let searched = Searched { gallery_size: 2, compared: 1.0, floor: 0.35, near: None };
        let case = Case { enrolments: &people, candidates: &candidates, impostors: &impostors, searched };
        let judged = judge(&case, &MatchingPolicy::default(), &|_, _| 0.86);
        let worth = |minutes: u32| review_queue(&people, &judged, minutes, None).rows[0].worth;
        assert_eq!((worth(9), worth(8)), (Worth::Retry, Worth::OneDistrict));
    }

    #[test]
    fn nothing_to_review_is_no_division_by_zero() {
        let impostors = Impostors::new(&ModelId("sface".into()), &[]);
        let searched = Searched { gallery_size: 0, compared: 0.0, floor: 0.35, near: None };
        let case = Case { enrolments: &[], candidates: &[], impostors: &impostors, searched };
        let judged = judge(&case, &MatchingPolicy::default(), &|_, _| 0.0);
        let queue = review_queue(&[], &judged, 30, Some(500));
        assert_eq!((queue.rows.len(), queue.expected_false_share), (0, 0.0));
        assert!(queue.expected_false_share_left_out.is_sign_positive(), "-0.0 is no share");
    }
}
