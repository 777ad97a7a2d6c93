//! How alike two memberships must be to be flagged: the share of false ones among those flagged.
//!
//! A match only sends to review, so the limit is what a reviewer feels: of those flagged, `review_false_share` are expected
//! to be wrong (the false discovery rate; Benjamini and Hochberg 1995; Storey 2002). At a false-match rate the wrong ones are
//! the rate times the pairs compared; the widest rate is taken at which they are no more than that share.
//!
//! - **It counts memberships**: who is flagged beyond the first of each person. A stand-in enrolled a hundred times makes
//!   4,950 true pairs; as a person it counts as three memberships at most ([`super::persons`]), so that nobody pays with
//!   one farmed face for wrong looks at others.
//! - **Copies, other tries and decided pairs are left out**: they are true for sure and say nothing of the doubtful ones.
//! - **Pairs of one worker, of one district, and across districts are held to it apart** ([`Reach`]): retries by one worker
//!   are many and easy, and would pay for hard pairs across districts.
//! - **What is certain is always flagged**: within `certain_expected_false_matches`.
//!
//! Where nobody is enrolled twice, the chance that anything at all is flagged is about the share for each reach (Simes
//! 1986), so with 0.05 a handful in ten nights.

use std::collections::HashMap;

use serde::Serialize;

use super::persons::{Groups, MOST_VOTES};
use super::{Enrolment, UNKNOWN_TIME};
use crate::dump::facts::is_same_name;

/// A retry: one worker, the same mobile, within half an hour, microseconds.
const RETRY: u64 = 30 * 60 * 1_000_000;

/// How far two memberships are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// One worker enrolled both.
    WithinWorker,
    /// Two workers of one district.
    WithinDistrict,
    /// Two districts.
    AcrossDistricts,
}

impl Reach {
    /// All of them.
    pub const ALL: [Reach; 3] = [Reach::WithinWorker, Reach::WithinDistrict, Reach::AcrossDistricts];

    /// Of two memberships.
    pub fn of(a: &Enrolment, b: &Enrolment) -> Reach {
        match () {
            () if a.worker_id == b.worker_id => Reach::WithinWorker,
            () if is_same_name(&a.district, &b.district) => Reach::WithinDistrict,
            () => Reach::AcrossDistricts,
        }
    }
}

/// Who enrolled a membership, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnrolledBy<'a> {
    /// The worker.
    pub worker: &'a str,
    /// The district, in one spelling.
    pub district: &'a str,
}

/// Memberships asked about, those of them that are in the target, and the target's: by worker, by district, by both.
#[derive(Default)]
struct Counts<'a> {
    workers: HashMap<&'a str, [f64; 3]>,
    districts: HashMap<&'a str, [f64; 3]>,
    both: HashMap<EnrolledBy<'a>, [f64; 3]>,
}

impl<'a> Counts<'a> {
    fn add(&mut self, one: EnrolledBy<'a>, place: usize) {
        self.workers.entry(one.worker).or_default()[place] += 1.0;
        self.districts.entry(one.district).or_default()[place] += 1.0;
        self.both.entry(one).or_default()[place] += 1.0;
    }
}

/// Pairs compared: a pair of two who are both asked about counts once. Whole numbers below 2^53: their order does not
/// matter.
fn pairs<'a>(counts: impl Iterator<Item = &'a [f64; 3]>) -> f64 {
    counts.map(|[asked, inside, target]| asked * target - inside - inside * (inside - 1.0) / 2.0).sum()
}

/// How many of the pairs compared are near to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearPairs {
    /// Pairs compared that one worker enrolled.
    pub within_worker: f64,
    /// Pairs of two workers in one district.
    pub within_district: f64,
}

impl NearPairs {
    /// Where each of `asked` is compared with every other of `target`, among whom some of those asked are (`inside`).
    pub fn count<'a>(
        asked: impl Iterator<Item = EnrolledBy<'a>>,
        inside: impl Iterator<Item = EnrolledBy<'a>>,
        target: impl Iterator<Item = EnrolledBy<'a>>,
    ) -> NearPairs {
        let mut near = Counts::default();
        asked.for_each(|one| near.add(one, 0));
        inside.for_each(|one| near.add(one, 1));
        target.for_each(|one| near.add(one, 2));
        NearPairs {
            within_worker: pairs(near.workers.values()),
            within_district: pairs(near.districts.values()) - pairs(near.both.values()),
        }
    }

    /// The pairs of each reach among those compared.
    fn of_each(near: Option<NearPairs>, compared: f64) -> [f64; 3] {
        // Where nobody counted, each reach is held to all pairs: never too wide.
        let Some(near) = near else { return [compared; 3] };
        [near.within_worker, near.within_district, (compared - near.within_worker - near.within_district).max(0.0)]
    }
}

/// A pair that may be flagged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub a: usize,
    pub b: usize,
    pub reach: Reach,
    /// False-match rate at its similarity, in its stratum.
    pub rate: f64,
    /// Whether it counts: no copy, no other try, undecided, and not of a large person who has voted.
    pub counts: bool,
    /// Who both are, where they are beyond doubt one person of more than a few memberships.
    pub person: Option<usize>,
}

/// What is flagged of one reach.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReachReport {
    /// How far the two memberships are apart.
    pub reach: Reach,
    /// Pairs compared.
    pub compared_pairs: f64,
    /// Memberships flagged by their faces, a person as three at most.
    pub memberships: usize,
    /// How many of them are expected to be false.
    pub expected_false: f64,
    /// Upper bound of it, one-sided 95 %.
    pub expected_false_upper: f64,
    /// The false-match rate within which pairs are flagged.
    pub false_match_rate: f64,
    /// The similarity that it comes to (for pairs outside the strata with curves of their own).
    pub review_similarity: f32,
}

/// The widest false-match rate of each reach at which no more than `share` of the memberships flagged are expected to be
/// false. `links` by ascending rate; `near` of the `compared` pairs, of which the part `counting` is of different persons.
pub(super) fn review_rates(
    links: &[Link],
    share: f64,
    compared: f64,
    near: Option<NearPairs>,
    counting: f64,
) -> [ReachReport; 3] {
    let each = NearPairs::of_each(near, compared);
    Reach::ALL.map(|reach| {
        let compared_pairs = each[reach as usize];
        let mut walk = Memberships::new();
        let mut report = ReachReport {
            reach,
            compared_pairs,
            memberships: 0,
            expected_false: 0.0,
            expected_false_upper: 0.0,
            false_match_rate: 0.0,
            review_similarity: 1.0,
        };
        for link in links.iter().filter(|link| link.reach == reach) {
            walk.add(link);
            let expected = link.rate * compared_pairs * counting;
            if expected <= share * walk.votes as f64 {
                report.false_match_rate = link.rate;
            }
        }
        report
    })
}

/// Memberships flagged by a growing number of pairs.
pub(super) struct Memberships {
    groups: Groups<usize>,
    /// What each person of many memberships counts for.
    many: HashMap<usize, usize>,
    /// Those flagged beyond the first of each person, a person as [`MOST_VOTES`] at most.
    pub votes: usize,
}

impl Memberships {
    pub(super) fn new() -> Self {
        Memberships { groups: Groups::new(), many: HashMap::new(), votes: 0 }
    }

    /// Adds a pair.
    pub(super) fn add(&mut self, link: &Link) {
        if !link.counts {
            return;
        }
        if let Some(person) = link.person {
            let so_far = self.many.entry(person).or_default();
            self.votes += usize::from(*so_far < MOST_VOTES);
            *so_far += 1;
            return;
        }
        let Some([one, other]) = self.groups.join(link.a, link.b) else { return };
        let votes = |size: usize| (size - 1).min(MOST_VOTES);
        // What both groups counted for is counted anew.
        self.votes = self.votes + votes(one + other) - votes(one) - votes(other);
    }
}

/// Whether two memberships are one picture, or another try of one worker for one member.
pub(super) fn is_copy_or_retry(a: &Enrolment, b: &Enrolment) -> bool {
    let copy = a.picture.is_some() && a.picture == b.picture;
    let mobile = a.mobile.is_some() && a.mobile == b.mobile;
    let soon = a.captured_at != UNKNOWN_TIME && a.captured_at.abs_diff(b.captured_at) <= RETRY;
    copy || (mobile && soon && a.worker_id == b.worker_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(a: usize, b: usize, rate: f64) -> Link {
        Link { a, b, reach: Reach::AcrossDistricts, rate, counts: true, person: None }
    }

    fn rate(links: &[Link]) -> f64 {
        review_rates(links, 0.05, 1e6, Some(NearPairs { within_worker: 0.0, within_district: 0.0 }), 1.0)[2]
            .false_match_rate
    }

    #[test]
    fn the_limit_is_the_widest_at_which_the_share_holds() {
        // A hundred pairs of two: five false ones are allowed, a rate of 5e-6 of a million pairs.
        let mut links: Vec<Link> = (0..100).map(|k| link(2 * k, 2 * k + 1, 1e-9)).collect();
        links.extend([link(300, 301, 4.9e-6), link(302, 303, 6e-6)]);
        assert_eq!(rate(&links), 4.9e-6);
        assert_eq!(rate(&links[100..]), 0.0, "two pairs allow a tenth of one");
    }

    #[test]
    fn a_farmed_face_buys_nothing() {
        // A hundred memberships of one person, all pairs, and one pair of others.
        let mut links: Vec<Link> = (0..100).flat_map(|a| (0..a).map(move |b| link(a, b, 1e-12))).collect();
        links.push(link(200, 201, 1e-6));
        assert_eq!(rate(&links), 1e-12);
        let copies: Vec<Link> = (0..100).map(|k| Link { counts: false, ..link(2 * k, 2 * k + 1, 1e-12) }).collect();
        assert_eq!(rate(&copies), 0.0);
    }

    #[test]
    fn near_pairs_are_counted_as_by_hand() {
        let all = [("w1", "d1"), ("w1", "d1"), ("w2", "d1"), ("w3", "d2"), ("w1", "d2")];
        let all = all.map(|(worker, district)| EnrolledBy { worker, district });
        let some = |count: usize| all.iter().copied().take(count);
        let near = NearPairs::count(some(5), some(5), some(5));
        // Of w1: three pairs. Of d1 but not of one worker: two. Of d2: one.
        assert_eq!((near.within_worker, near.within_district), (3.0, 3.0));
        let asked = NearPairs::count(some(1), some(1), some(5));
        assert_eq!((asked.within_worker, asked.within_district), (2.0, 1.0));
        let outside = NearPairs::count(some(1), some(0), some(3));
        assert_eq!((outside.within_worker, outside.within_district), (2.0, 1.0));
    }
}
