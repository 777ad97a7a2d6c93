//! What other limits for review would flag: of each membership the least share of false ones, on a fixed ladder, at which
//! its face would be flagged.
//!
//! The audit flags at one share (`review_false_share`). Random calls say which members, flagged or not, were enrolled
//! before; with the ladder they judge the other shares as well ([`crate::assurance`]). It is of faces alone: what records
//! add, and what people decided, is the same at every share.

use std::collections::HashMap;

use super::limit::Link;
use super::{Candidate, Enrolment};

/// The ladder, ascending.
pub const SHARES: [f64; 7] = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3];

/// The least share at which each membership that is the later of a pair is flagged, by membership; who is flagged at none is
/// left out. `links` are those of `candidates`, one by one; `rates` gives the limits of each reach at a share.
pub(super) fn least_shares(
    enrolments: &[Enrolment],
    candidates: &[Candidate],
    links: &[Link],
    rates: &dyn Fn(f64) -> [f64; 3],
) -> HashMap<usize, f64> {
    let steps = SHARES.map(|share| (share, rates(share)));
    let age = |index: usize| (enrolments[index].age(), index);
    let mut least: HashMap<usize, f64> = HashMap::new();
    for (candidate, link) in candidates.iter().zip(links) {
        let Some((share, _)) = steps.iter().find(|(_, rates)| link.rate <= rates[link.reach as usize]) else {
            continue;
        };
        let later = if age(candidate.a) > age(candidate.b) { candidate.a } else { candidate.b };
        least.entry(later).and_modify(|known| *known = known.min(*share)).or_insert(*share);
    }
    least
}

#[cfg(test)]
mod tests {
    use super::super::limit::Reach;
    use super::*;

    #[test]
    fn the_later_of_a_pair_has_the_least_share_that_flags_it() {
        let made = |id: &str, at: i64| Enrolment { submission_id: id.into(), captured_at: at, ..Enrolment::default() };
        let enrolments = [made("a", 3), made("b", 1), made("c", 2)];
        let pair = |a, b| Candidate { a, b, similarity: 0.5 };
        let link = |rate, reach| Link { a: 0, b: 0, reach, rate, counts: true, person: None };
        // A rate of share times 1e-4 across districts, and nothing within a worker.
        let rates = |share: f64| [0.0, 0.0, share * 1e-4];
        let candidates = [pair(0, 1), pair(1, 2), pair(2, 0)];
        let across = Reach::AcrossDistricts;
        let links = [link(1.2e-5, across), link(9e-5, across), link(1e-9, Reach::WithinWorker)];
        let least = least_shares(&enrolments, &candidates, &links, &rates);
        assert_eq!(
            least,
            HashMap::from([(0, 0.15)]),
            "b is the first of all, c too unlike, and one worker's pair is not"
        );
    }
}
