//! Members who were enrolled before, tonight or on an earlier night.

use std::collections::HashMap;

use super::numbers::Tries;
use crate::decisions::Answer;
use crate::matching::{Cluster, Pair};
use crate::pairs::Found;
use crate::reason::Reason;
use crate::verdict::{Finding, Membership, Sign};

/// Which persons tonight's members are.
///
/// Every row that is in a flagged pair or a cluster, or that another limit would flag, has its membership. Decisions stand in
/// the notes.
pub fn memberships(found: &Found) -> Vec<Membership> {
    let cluster_of = clusters_of(found);
    let mut best: HashMap<usize, &Pair> = HashMap::new();
    for pair in &found.judged.pairs {
        for side in [pair.a, pair.b] {
            let known = best.entry(side).or_insert(pair);
            if pair.similarity > known.similarity {
                *known = pair;
            }
        }
    }
    let mut notes = decision_notes(found);
    let share_of = |index: usize| found.judged.least_shares.get(&index).copied();
    let tonight = found.enrolments.iter().enumerate().filter_map(|(index, e)| Some((index, e.row?)));
    tonight
        .filter_map(|(index, row)| {
            let (cluster, pair, notes) = (cluster_of.get(&index), best.get(&index), notes.remove(&index));
            let share = share_of(index);
            let has_any = cluster.is_some() || pair.is_some() || notes.is_some() || share.is_some();
            has_any.then(|| Membership {
                row,
                cluster_id: cluster.map(|cluster| cluster.id.clone()),
                cross_district: cluster.map(|cluster| cluster.cross_district()),
                similarity: pair.map(|pair| pair.similarity),
                expected_false_matches: pair.map(|pair| pair.expected_false_matches),
                grade: pair.and_then(|pair| pair.grade()),
                evidence: pair.map(|pair| pair.parts.text()),
                review_at_false_share: share,
                notes: notes.unwrap_or_default(),
            })
        })
        .collect()
}

/// Tonight's members who were enrolled before.
///
/// Who is in a cluster repeats its original; where no flagged pair leads there, the earliest earlier membership of the
/// cluster to which one does. Whoever is the first of a cluster, or in none, repeats the earliest mate of its flagged pairs:
/// so a flagged pair is never silent, also where all pairs together speak against making one person of two clusters. Only
/// another try for the same member ([`Tries`]) is no second membership.
pub fn enrolled_before(found: &Found, tries: &Tries) -> Vec<Finding> {
    let cluster_of = clusters_of(found);
    let age = |index: usize| (found.enrolments[index].age(), index);
    let mut mates: HashMap<usize, Vec<usize>> = HashMap::new();
    for pair in &found.judged.pairs {
        mates.entry(pair.a).or_default().push(pair.b);
        mates.entry(pair.b).or_default().push(pair.a);
    }
    let first_of = |index: usize| {
        let mates = mates.get(&index).map_or(&[][..], Vec::as_slice);
        let earlier = || mates.iter().copied().filter(|&mate| age(mate) < age(index));
        match cluster_of.get(&index).filter(|cluster| cluster.original != index) {
            Some(cluster) if mates.contains(&cluster.original) => Some(cluster.original),
            Some(cluster) => {
                let inside = earlier().filter(|mate| cluster_of.get(mate).is_some_and(|c| c.id == cluster.id));
                Some(inside.min_by_key(|&mate| age(mate)).unwrap_or(cluster.original))
            }
            None => earlier().min_by_key(|&mate| age(mate)),
        }
    };
    let tonight = found.enrolments.iter().enumerate().filter_map(|(index, e)| Some((index, e, e.row?)));
    tonight
        .filter_map(|(index, enrolment, row)| {
            let first = first_of(index)?;
            let original = found.enrolments[first].submission_id.as_str();
            let is_try = tries.first_of(&enrolment.submission_id) == Some(original);
            let reason = if is_try { Reason::Resubmitted } else { Reason::DuplicateMember };
            Some(Finding::repeats(row, reason, original, Sign::Face))
        })
        .collect()
}

fn clusters_of(found: &Found) -> HashMap<usize, &Cluster> {
    found.judged.clusters.iter().flat_map(|cluster| cluster.members.iter().map(move |&m| (m, cluster))).collect()
}

/// What people decided about tonight's members, by their place in the list.
fn decision_notes(found: &Found) -> HashMap<usize, Vec<String>> {
    let mut notes: HashMap<usize, Vec<String>> = HashMap::new();
    for pair in found.judged.pairs.iter().chain(&found.judged.cleared) {
        let said = match pair.decision {
            Some(Answer::Same) => "confirmed by review as the same person",
            Some(Answer::Different) => "cleared by review as another person",
            Some(Answer::NotSure) | None => continue,
        };
        for (side, mate) in [(pair.a, pair.b), (pair.b, pair.a)] {
            notes.entry(side).or_default().push(format!("{}: {said}", found.enrolments[mate].submission_id));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::audit::numbers;
    use crate::config::Policy;
    use crate::gallery::Gallery;
    use crate::matching::{Enrolment, TimeOrder};
    use crate::pairs::tests::judged;

    fn sent(id: &str, worker: &str, minute: i64, row: Option<u64>) -> Enrolment {
        Enrolment {
            submission_id: id.into(),
            worker_id: worker.into(),
            district: "Ujjain".into(),
            captured_at: minute * 60_000_000,
            mobile: Some("9000000001".into()),
            row,
            ..Enrolment::default()
        }
    }

    #[test]
    fn the_later_membership_names_the_earlier_and_another_try_is_no_duplicate() {
        let people = vec![
            sent("first", "W1", 0, Some(0)),
            sent("again", "W1", 9, Some(1)),
            sent("other", "W2", 5_000, Some(2)),
            sent("before", "W3", -90_000, None),
        ];
        let found = judged(people.clone(), &[(0, 1), (0, 2), (1, 2)]);
        let order = TimeOrder::new(i64::MIN, []);
        let tries = numbers::compare(&found, std::iter::empty(), &Gallery::empty(), order, &Policy::default()).tries;
        let of = |found: &Found, tries: &Tries| -> Vec<(u64, Reason, String)> {
            let mut named: Vec<_> = enrolled_before(found, tries)
                .into_iter()
                .map(|finding| (finding.row, finding.reason, finding.original.unwrap().submission_id))
                .collect();
            named.sort();
            named
        };
        let (retry, duplicate) = (Reason::Resubmitted, Reason::DuplicateMember);
        let expected = vec![(1, retry, "first".to_owned()), (2, duplicate, "first".to_owned())];
        assert_eq!(of(&found, &tries), expected);
        assert_eq!(tries.findings(&found, &HashSet::from([2])).len(), 1, "whoever is a duplicate is no try");
        // Without numbers both are members once more.
        assert_eq!(of(&found, &Tries::default())[0], (1, duplicate, "first".to_owned()));
        // An earlier night's member is the original, and has no row of its own.
        let found = judged(people, &[(0, 3)]);
        assert_eq!(of(&found, &tries), [(0, duplicate, "before".to_owned())]);
        let memberships = memberships(&found);
        assert_eq!(memberships.len(), 1);
        assert_eq!((memberships[0].row, memberships[0].similarity), (0, Some(0.9)));
        assert_eq!(memberships[0].cluster_id.as_deref(), Some(found.judged.clusters[0].id.as_str()));
    }

    /// Memberships of tonight at these times, with these flagged pairs, in these clusters, the original first.
    fn found(times: &[i64], pairs: &[(usize, usize)], clusters: &[&[usize]]) -> Found {
        let enrolment = |(row, &captured_at): (usize, &i64)| Enrolment {
            submission_id: format!("s{row}"),
            captured_at,
            row: Some(row as u64),
            ..Enrolment::default()
        };
        let mut found = judged(times.iter().enumerate().map(enrolment).collect(), &[]);
        let pair = |&(a, b): &(usize, usize)| Pair { a, b, similarity: 0.7, ..Pair::default() };
        let cluster = |members: &&[usize]| Cluster {
            id: format!("P{}", members[0]),
            original: members[0],
            members: members.to_vec(),
            districts: Vec::new(),
            workers: Vec::new(),
            weakest: 0.7,
        };
        found.judged.pairs = pairs.iter().map(pair).collect();
        found.judged.clusters = clusters.iter().map(cluster).collect();
        found
    }

    fn originals(found: &Found) -> Vec<(u64, String)> {
        let before = enrolled_before(found, &Tries::default());
        before.into_iter().map(|finding| (finding.row, finding.original.unwrap().submission_id)).collect()
    }

    #[test]
    fn the_original_is_one_to_which_a_flagged_pair_of_the_own_cluster_leads() {
        // Two clusters; a flagged pair joins the second of the later one to the second of the earlier one, whose original it
        // never met.
        let pairs = [(0, 1), (2, 3), (1, 3)];
        let found = found(&[10, 20, 30, 40], &pairs, &[&[0, 1], &[2, 3]]);
        assert_eq!(originals(&found), [(1, "s0".to_owned()), (3, "s2".to_owned())]);
    }

    #[test]
    fn where_no_pair_leads_to_the_original_the_earliest_mate_is_named() {
        let chain = found(&[10, 20, 30], &[(0, 1), (1, 2)], &[&[0, 1, 2]]);
        assert_eq!(originals(&chain), [(1, "s0".to_owned()), (2, "s1".to_owned())]);
        // A flagged pair between two clusters, or of nobody's, is never silent.
        let between = found(&[10, 20, 30, 40], &[(0, 1), (1, 2), (2, 3)], &[&[0, 1], &[2, 3]]);
        assert_eq!(originals(&between), [(1, "s0".to_owned()), (2, "s1".to_owned()), (3, "s2".to_owned())]);
        let loose = found(&[10, 20], &[(0, 1)], &[]);
        assert_eq!(originals(&loose), [(1, "s0".to_owned())]);
    }
}
