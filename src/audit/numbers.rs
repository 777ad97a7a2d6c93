//! Mobile and voter-ID numbers that serve another member, tonight or on an earlier night.

use std::collections::HashMap;

use crate::audit::duplicates::Duplicates;
use crate::config::Policy;
use crate::gallery::{Gallery, Row};
use crate::matching::Enrolment;
use crate::matching::reuse::{NumberReuse, NumberUse, reused_numbers};
use crate::reason::Reason;
use crate::verdict::VerdictRow;

/// One of the two numbers of a submission.
struct Kind {
    reason: Reason,
    of: fn(&Enrolment) -> Option<&str>,
    of_stored: for<'a> fn(&Row<'a>) -> Option<&'a str>,
    members: usize,
}

/// Marks rows whose number was used before for another member, or for the same one elsewhere.
///
/// Two submissions show the same member when their faces are in one cluster; those that are in none differ.
pub fn mark(found: &Duplicates, earlier: &Gallery, policy: &Policy, rows: &mut [VerdictRow]) {
    let mut cluster: HashMap<&str, &str> = HashMap::new();
    for group in &found.judged.clusters {
        for &member in &group.members {
            cluster.insert(&found.enrolments[member].submission_id, &group.id);
        }
    }
    let same_person = |a: &str, b: &str| Some(cluster.get(a).is_some_and(|id| cluster.get(b) == Some(id)));
    let mobile = Kind {
        reason: Reason::MobileReused,
        of: |e| e.mobile.as_deref(),
        of_stored: |row| row.mobile,
        members: policy.facts.members_per_mobile,
    };
    let epic = Kind { reason: Reason::EpicReused, of: |e| e.epic.as_deref(), of_stored: |row| row.epic, members: 1 };
    for kind in [mobile, epic] {
        let (places, tonight): (Vec<u64>, Vec<NumberUse>) =
            found.enrolments.iter().filter_map(|e| Some((e.row?, number_use(e, (kind.of)(e)?)))).unzip();
        let past = earlier.iter().filter_map(|(_, row)| Some(stored_use(&row, (kind.of_stored)(&row)?)));
        let reused = reused_numbers(&tonight, past, kind.members, &same_person, &policy.facts);
        for (place, reuse) in places.into_iter().zip(reused) {
            if reuse.as_ref().is_some_and(NumberReuse::counts) {
                rows[place as usize].add(kind.reason);
            }
        }
    }
}

fn number_use<'a>(enrolment: &'a Enrolment, number: &'a str) -> NumberUse<'a> {
    NumberUse {
        number,
        submission_id: &enrolment.submission_id,
        worker_id: &enrolment.worker_id,
        district: &enrolment.district,
        captured_at: enrolment.captured_at,
    }
}

fn stored_use<'a>(row: &Row<'a>, number: &'a str) -> NumberUse<'a> {
    NumberUse {
        number,
        submission_id: row.submission_id,
        worker_id: row.worker_id,
        district: row.district,
        captured_at: row.captured_at,
    }
}
