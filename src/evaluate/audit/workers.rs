//! Who was taken for the worker.
//!
//! With the truth's face boxes, by position: the detected face that covers the true worker's best must have the role
//! worker. Without them, by the answer: some face has the role worker, some the role member, and no reason denies that
//! the worker is there. The latter cannot see the two exchanged; that shows in the duplicates instead, where a worker
//! taken for a member meets all other pictures of that worker.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Case, FaceGiven, Rate};
use crate::reason::Reason;

/// A detected face is a true one where they overlap at least this much (intersection over union). Low, since the two
/// may draw the box round different parts of the head; faces of two people hardly overlap at all.
const SAME_FACE: f32 = 0.3;

/// Reasons that deny the worker's presence, or say that it was not known.
const DENIALS: [Reason; 3] = [Reason::WorkerUnknown, Reason::WorkerAbsent, Reason::WorkerMismatch];

/// The counts. They are over rows in which the account's own worker and another member stand, each seen by the detector
/// (by position), or in which the detector saw two faces or more (by the answer).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerReport {
    /// `position` or `answer`.
    pub by: &'static str,
    /// Rows in which worker and member are there and the detector saw both.
    pub both_seen: Rate,
    /// The worker was found right.
    pub right: Rate,
    /// The member was found right; by the answer: a face has the role member.
    pub member_right: Rate,
    /// The member was taken for the worker. Only positions can tell.
    pub exchanged: Option<Rate>,
    /// Rows that deny the worker, by reason.
    pub denied: BTreeMap<&'static str, usize>,
    /// Rows in which the worker is not there and no face was taken for the worker, or the row says that something is
    /// wrong with the worker.
    pub absence_noticed: Rate,
}

/// Counts. `boxes` says that the truth has them.
pub fn report(cases: &[Case], boxes: bool) -> WorkerReport {
    let present: Vec<&Case> = cases.iter().filter(|c| both_there(c) && (!boxes || has_boxes(c))).collect();
    let seen: Vec<&Case> = present.iter().copied().filter(|c| both_seen(c, boxes)).collect();
    let role = |case: &Case, truth: Option<[f32; 4]>, role: &str| truth_role(case, truth) == Some(role);
    let denied = |case: &Case| DENIALS.iter().copied().find(|&reason| case.gave(reason) && !case.may(reason));
    let mut denials = BTreeMap::new();
    for reason in seen.iter().filter_map(|c| denied(c)) {
        *denials.entry(reason.code()).or_default() += 1;
    }
    let absent = cases.iter().filter(|c| worker_missing(c) && !c.given.faces.is_empty());
    let (right, member_right) = match boxes {
        true => (
            Rate::among(&seen, |c| role(c, c.truth.worker_box, "worker")),
            Rate::among(&seen, |c| role(c, c.truth.member_box, "member")),
        ),
        false => {
            (Rate::among(&seen, |c| has(c, "worker") && denied(c).is_none()), Rate::among(&seen, |c| has(c, "member")))
        }
    };
    WorkerReport {
        by: if boxes { "position" } else { "answer" },
        both_seen: Rate::new(seen.len(), present.len()),
        right,
        member_right,
        exchanged: boxes.then(|| Rate::among(&seen, |c| role(c, c.truth.member_box, "worker"))),
        denied: denials,
        absence_noticed: Rate::among(absent, |c| !has(c, "worker") || DENIALS.iter().any(|&r| c.gave(r))),
    }
}

/// The account's own worker stands there, and a member who is somebody else, in a picture of their own.
fn both_there(case: &Case) -> bool {
    let truth = &case.truth;
    let (Some(worker), Some(member)) = (&truth.worker_person, &truth.member_person) else { return false };
    let own = truth.account_person.as_ref().is_none_or(|account| account == worker);
    // A copied picture, or a row without a worker_id, may be answered as if somebody else stood there.
    let plain = ![Reason::WorkerAbsent, Reason::WorkerMismatch].iter().any(|&r| case.must(r) || case.may(r));
    own && worker != member && plain
}

fn has_boxes(case: &Case) -> bool {
    case.truth.worker_box.is_some() && case.truth.member_box.is_some()
}

fn both_seen(case: &Case, boxes: bool) -> bool {
    match boxes {
        false => case.given.faces.len() >= 2,
        true => match [case.truth.worker_box, case.truth.member_box].map(|b| seen_at(case, b)) {
            [Some(worker), Some(member)] => worker != member,
            _ => false,
        },
    }
}

fn worker_missing(case: &Case) -> bool {
    let truth = &case.truth;
    case.must(Reason::WorkerAbsent)
        || case.must(Reason::WorkerMismatch)
        || (truth.account_person.is_some() && truth.worker_person.is_none())
}

fn has(case: &Case, role: &str) -> bool {
    case.given.faces.iter().any(|face| face.role == role)
}

/// The role of the detected face that covers a true face best.
fn truth_role(case: &Case, truth: Option<[f32; 4]>) -> Option<&str> {
    Some(case.given.faces[seen_at(case, truth)?].role.as_str())
}

fn seen_at(case: &Case, truth: Option<[f32; 4]>) -> Option<usize> {
    let truth = truth?;
    let overlap = |face: &FaceGiven| overlap(face.bbox, truth);
    let best = case.given.faces.iter().enumerate().max_by(|a, b| overlap(a.1).total_cmp(&overlap(b.1)))?;
    (overlap(best.1) >= SAME_FACE).then_some(best.0)
}

/// Intersection over union of two boxes.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |at: usize| ((a[at] + a[at + 2]).min(b[at] + b[at + 2]) - a[at].max(b[at])).max(0.0);
    let both = side(0) * side(1);
    let all = a[2] * a[3] + b[2] * b[3] - both;
    if all > 0.0 { both / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::tables::tests::case;
    use super::*;

    const LEFT: [f32; 4] = [0.0, 0.0, 10.0, 10.0];
    const RIGHT: [f32; 4] = [50.0, 0.0, 10.0, 10.0];

    fn row(given: &[Reason], left: &str, right: &str) -> Case {
        let mut case = case(&[], &[], given);
        case.truth.account_person = Some("w".into());
        case.truth.worker_person = Some("w".into());
        case.truth.member_person = Some("m".into());
        case.truth.worker_box = Some([1.0, 1.0, 9.0, 9.0]);
        case.truth.member_box = Some([51.0, 0.0, 10.0, 10.0]);
        let face = |bbox, role: &str| FaceGiven { bbox, role: role.to_owned() };
        case.given.faces = vec![face(LEFT, left), face(RIGHT, right)];
        case
    }

    #[test]
    fn positions_tell_the_two_apart() {
        let mut lost = row(&[], "worker", "member");
        lost.given.faces[1].bbox = [90.0, 0.0, 10.0, 10.0];
        let cases = [row(&[], "worker", "member"), row(&[], "member", "worker"), row(&[], "member", "none"), lost];
        let report = report(&cases, true);
        assert_eq!(report.both_seen, Rate::new(3, 4));
        assert_eq!((report.right, report.member_right), (Rate::new(1, 3), Rate::new(1, 3)));
        assert_eq!(report.exchanged, Some(Rate::new(1, 3)));
    }

    #[test]
    fn without_positions_the_answer_must_do() {
        let mut absent = row(&[], "member", "none");
        absent.truth.must = vec![Reason::WorkerAbsent];
        absent.truth.worker_person = Some("stranger".into());
        let mut overlooked = absent.clone();
        overlooked.given.faces[0].role = "worker".into();
        let cases = [
            row(&[], "worker", "member"),
            row(&[Reason::WorkerUnknown], "worker", "member"),
            row(&[], "none", "member"),
            absent,
            overlooked,
        ];
        let report = report(&cases, false);
        assert_eq!((report.both_seen, report.right), (Rate::new(3, 3), Rate::new(1, 3)));
        assert_eq!(report.member_right, Rate::new(3, 3));
        assert_eq!(report.denied, BTreeMap::from([("worker_unknown", 1)]));
        assert_eq!(report.absence_noticed, Rate::new(1, 2));
        assert_eq!(report.exchanged, None);
    }

    #[test]
    fn boxes_overlap_as_by_hand() {
        assert_eq!(overlap(LEFT, LEFT), 1.0);
        assert_eq!(overlap(LEFT, [5.0, 0.0, 10.0, 10.0]), 50.0 / 150.0);
        assert_eq!(overlap(LEFT, RIGHT), 0.0);
        assert_eq!(overlap([0.0; 4], [0.0; 4]), 0.0);
    }
}
