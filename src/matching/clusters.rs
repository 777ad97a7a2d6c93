//! Pairs -> clusters: one per person with two or more memberships.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::matching::{Enrolment, Pair};

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
    /// The least similar of the cluster's pairs.
    pub weakest: f32,
}

impl Cluster {
    /// Whether the person was enrolled in more than one district.
    pub fn cross_district(&self) -> bool {
        self.districts.len() > 1
    }
}

/// Joins pairs that share a membership. The result depends on the set of pairs alone, not on their order.
pub fn clusters(enrolments: &[Enrolment], pairs: &[Pair]) -> Vec<Cluster> {
    let mut parent: Vec<usize> = (0..enrolments.len()).collect();
    for pair in pairs {
        let (a, b) = (root(&mut parent, pair.a), root(&mut parent, pair.b));
        // The smaller index becomes the root, whatever the order of the pairs.
        parent[a.max(b)] = a.min(b);
    }
    let mut groups: BTreeMap<usize, (Vec<usize>, f32)> = BTreeMap::new();
    for pair in pairs {
        let group = groups.entry(root(&mut parent, pair.a)).or_insert((Vec::new(), f32::INFINITY));
        group.0.extend([pair.a, pair.b]);
        group.1 = group.1.min(pair.similarity);
    }
    let mut found: Vec<Cluster> =
        groups.into_values().map(|(members, weakest)| cluster(enrolments, members, weakest)).collect();
    found.sort_by_key(|cluster| age(&enrolments[cluster.original]));
    found
}

fn cluster(enrolments: &[Enrolment], mut members: Vec<usize>, weakest: f32) -> Cluster {
    members.sort_by_key(|&m| (age(&enrolments[m]), m));
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
        districts: each_once(|e| &e.district),
        workers: each_once(|e| &e.worker_id),
        members,
        weakest,
    }
}

/// Earlier memberships come first; the id settles ties.
fn age(enrolment: &Enrolment) -> (i64, &str) {
    (enrolment.captured_at, &enrolment.submission_id)
}

fn root(parent: &mut [usize], mut node: usize) -> usize {
    while parent[node] != node {
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    node
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
        Pair { a, b, similarity, expected_false_matches: 0.0, expected_false_matches_upper: 0.0 }
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
        let found = clusters(&people, &pairs);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].members, [1, 2, 0]);
        assert_eq!(found[0].original, 1);
        assert_eq!(found[0].districts, ["Gwalior", "Ujjain"]);
        assert!(found[0].cross_district());
        assert_eq!(found[0].weakest, 0.6);
        let reversed: Vec<Pair> = pairs.iter().rev().copied().collect();
        assert_eq!(clusters(&people, &reversed), found);
    }

    #[test]
    fn no_pairs_no_clusters() {
        assert!(clusters(&[enrolment("s1", "Ujjain", 1)], &[]).is_empty());
    }
}
