//! Mobile and voter-ID numbers that serve another member, tonight or on an earlier night.

use std::collections::{HashMap, HashSet};

use crate::config::Policy;
use crate::decisions::Answer;
use crate::gallery::{Gallery, Member, Row};
use crate::infer::Template;
use crate::infer::template::similarity;
use crate::matching::reuse::{Kind, NumberUse, reused_numbers};
use crate::matching::{Enrolment, TimeOrder, UNKNOWN_TIME};
use crate::pairs::Found;
use crate::reason::Reason;
use crate::verdict::{Finding, Sign};

/// One of the two numbers of a submission.
struct Number {
    reason: Reason,
    of: fn(&Enrolment) -> Option<&str>,
    of_stored: for<'a> fn(&Row<'a>) -> Option<&'a str>,
    members: usize,
}

/// Submissions that are another try of the same worker for the same member, each with the try before it.
#[derive(Debug, Default)]
pub struct Tries(HashMap<String, String>);

impl Tries {
    /// The first of the tries that end with this submission; `None` for one that is no other try.
    pub fn first_of(&self, submission_id: &str) -> Option<&str> {
        let mut first = self.0.get(submission_id)?;
        // Each try names an earlier one, so this ends; two ids that are one would go in a circle.
        for _ in 0..self.0.len() {
            match self.0.get(first) {
                Some(before) => first = before,
                None => break,
            }
        }
        Some(first)
    }

    /// Rows that are another try and no `duplicates`: their faces are not alike enough to be flagged among all members.
    pub fn findings(&self, found: &Found, duplicates: &HashSet<u64>) -> Vec<Finding> {
        let again = |enrolment: &Enrolment| {
            let row = enrolment.row.filter(|row| !duplicates.contains(row))?;
            let first = self.first_of(&enrolment.submission_id)?;
            Some(Finding::repeats(row, Reason::Resubmitted, first, Sign::Number))
        };
        found.enrolments.iter().filter_map(again).collect()
    }
}

/// What numbers say of rows.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Rows whose number was used before for another member, or for the same one elsewhere.
    pub reused: Vec<Finding>,
    /// Other tries.
    pub tries: Tries,
}

/// Compares the numbers of tonight's members with each other and with earlier nights. `members` are tonight's whom their id
/// names.
///
/// Two submissions show the same member when their faces are in one cluster. Two of tonight's with one number do so also
/// when their faces pass as one person by themselves (1:1, `matching.photo_similarity`): to be found among all members of
/// a state takes far more than to be told from one. Others differ, and so do those whom a reviewer told apart.
pub fn compare<'a>(
    found: &Found,
    members: impl Iterator<Item = &'a (Member, Template)>,
    earlier: &Gallery,
    order: TimeOrder,
    policy: &Policy,
) -> Numbers {
    let mut cluster: HashMap<&str, &str> = HashMap::new();
    for group in &found.judged.clusters {
        for &member in &group.members {
            cluster.insert(&found.enrolments[member].submission_id, &group.id);
        }
    }
    let faces: HashMap<&str, &Template> = members.map(|(member, face)| (member.submission_id.as_str(), face)).collect();
    let id = |place: usize| found.enrolments[place].submission_id.as_str();
    let told = found.decided.mates();
    let mut apart: HashSet<(&str, &str)> = HashSet::new();
    for (&place, mates) in &told {
        apart.extend(mates.iter().filter(|m| m.1 == Answer::Different).map(|&(mate, _)| (id(place), id(mate))));
    }
    let alike = |a: &str, b: &str| match (faces.get(a), faces.get(b)) {
        _ if apart.contains(&(a, b)) => false,
        (Some(a), Some(b)) => similarity(a, b) >= policy.matching.photo_similarity,
        _ => false,
    };
    let same_person =
        |a: &str, b: &str| Some(cluster.get(a).is_some_and(|id| cluster.get(b) == Some(id)) || alike(a, b));
    let mobile = Number {
        reason: Reason::MobileReused,
        of: |e| e.mobile.as_deref(),
        of_stored: |row| row.mobile,
        members: policy.facts.members_per_mobile,
    };
    let epic = Number { reason: Reason::EpicReused, of: |e| e.epic.as_deref(), of_stored: |row| row.epic, members: 1 };
    let mut numbers = Numbers::default();
    for number in [mobile, epic] {
        let (places, tonight): (Vec<u64>, Vec<NumberUse>) =
            found.enrolments.iter().filter_map(|e| Some((e.row?, number_use(e, (number.of)(e)?)))).unzip();
        let past = earlier.iter().filter_map(|(_, row)| Some(stored_use(&row, (number.of_stored)(&row)?, order)));
        let reused = reused_numbers(&tonight, past, number.members, &same_person, &policy.facts);
        for ((place, this), reuse) in places.into_iter().zip(&tonight).zip(reused) {
            match reuse {
                Some(reuse) if reuse.counts() => numbers.reused.push(Finding::new(place, number.reason)),
                Some(reuse) if reuse.kind == Kind::Retry && number.reason == Reason::MobileReused => {
                    numbers.tries.0.insert(this.submission_id.to_owned(), reuse.of);
                }
                _ => {}
            }
        }
    }
    numbers
}

/// Of mobile and voter-ID number the one that is not `number`.
fn other_number<'a>(mobile: Option<&'a str>, epic: Option<&'a str>, number: &str) -> Option<&'a str> {
    if mobile == Some(number) { epic } else { mobile }
}

fn number_use<'a>(enrolment: &'a Enrolment, number: &'a str) -> NumberUse<'a> {
    NumberUse {
        number,
        submission_id: &enrolment.submission_id,
        worker_id: &enrolment.worker_id,
        district: &enrolment.district,
        captured_at: enrolment.age().0,
        is_time_known: enrolment.captured_at != UNKNOWN_TIME && enrolment.age().0 == enrolment.captured_at,
        other: other_number(enrolment.mobile.as_deref(), enrolment.epic.as_deref(), number),
    }
}

fn stored_use<'a>(row: &Row<'a>, number: &'a str, order: TimeOrder) -> NumberUse<'a> {
    NumberUse {
        number,
        submission_id: row.submission_id,
        worker_id: row.worker_id,
        district: row.district,
        captured_at: order.earlier(row.captured_at),
        is_time_known: order.is_plausible(row.captured_at),
        other: other_number(row.mobile, row.epic, number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_counted_only_from_a_time_at_which_it_was_made() {
        let sent = |captured_at, made_at| Enrolment { captured_at, made_at, ..Enrolment::default() };
        let is_known = |enrolment: &Enrolment| number_use(enrolment, "9826012345").is_time_known;
        assert!(is_known(&sent(7, None)) && is_known(&sent(7, Some(7))));
        assert!(!is_known(&sent(7, Some(UNKNOWN_TIME))), "placed after its own night");
        assert!(!is_known(&sent(UNKNOWN_TIME, None)) && !is_known(&sent(UNKNOWN_TIME, Some(UNKNOWN_TIME))));
    }

    #[test]
    fn the_first_of_many_tries_is_found_and_a_circle_ends() {
        let tries = |pairs: &[[&str; 2]]| Tries(pairs.iter().map(|[a, b]| ((*a).into(), (*b).into())).collect());
        let chain = tries(&[["c", "b"], ["b", "a"]]);
        assert_eq!([chain.first_of("c"), chain.first_of("b"), chain.first_of("a")], [Some("a"), Some("a"), None]);
        assert!(tries(&[["a", "b"], ["b", "a"]]).first_of("a").is_some());
    }
}
