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
/// Every row that is in a flagged pair or a cluster has its membership. Decisions stand in the notes.
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
    let tonight = found.enrolments.iter().enumerate().filter_map(|(index, e)| Some((index, e.row?)));
    tonight
        .filter_map(|(index, row)| {
            let (cluster, pair, notes) = (cluster_of.get(&index), best.get(&index), notes.remove(&index));
            (cluster.is_some() || pair.is_some() || notes.is_some()).then(|| Membership {
                row,
                cluster_id: cluster.map(|cluster| cluster.id.clone()),
                cross_district: cluster.map(|cluster| cluster.cross_district()),
                similarity: pair.map(|pair| pair.similarity),
                expected_false_matches: pair.map(|pair| pair.expected_false_matches),
                evidence: pair.map(|pair| pair.parts.text()),
                notes: notes.unwrap_or_default(),
            })
        })
        .collect()
}

/// Tonight's members who were enrolled before.
///
/// A row is a duplicate of the earliest of: its own cluster's original, and, for every flagged pair it is in, the mate or
/// the original of the mate's cluster. So a flagged pair is never silent, also where all pairs together speak against
/// making one person of two clusters. Only another try for the same member ([`Tries`]) is no second membership.
pub fn enrolled_before(found: &Found, tries: &Tries) -> Vec<Finding> {
    let cluster_of = clusters_of(found);
    let original = |index: usize| cluster_of.get(&index).map_or(index, |cluster| cluster.original);
    let age = |index: usize| (found.enrolments[index].captured_at, &found.enrolments[index].submission_id, index);
    let mut first: HashMap<usize, usize> = cluster_of.iter().map(|(&member, c)| (member, c.original)).collect();
    for pair in &found.judged.pairs {
        for (side, mate) in [(pair.a, pair.b), (pair.b, pair.a)] {
            let known = first.entry(side).or_insert(side);
            *known = [*known, side, original(mate)].into_iter().min_by_key(|&i| age(i)).unwrap_or(side);
        }
    }
    let tonight = found.enrolments.iter().enumerate().filter_map(|(index, e)| Some((index, e, e.row?)));
    tonight
        .filter_map(|(index, enrolment, row)| {
            let first = *first.get(&index).filter(|&&first| first != index)?;
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
