//! With which phone: one under several accounts, one account on several.

use std::collections::{BTreeMap, BTreeSet};

use super::visit::Visit;
use crate::config::policy::PresencePolicy;

const MINUTE: i64 = 60_000_000;

/// A device under more than this share of the accounts is no device: the app writes the same for all.
const MOST_ACCOUNTS: f64 = 0.5;

/// With fewer accounts than this nobody knows whether the app writes the same for all.
const LEAST_ACCOUNTS: usize = 4;

/// Submissions from a phone that is used under as many accounts as the policy says, that another account used minutes before
/// or after, or that the account came to minutes after it used another.
pub(super) fn shared(visits: &[Visit], workers: &[Vec<usize>], policy: &PresencePolicy) -> Vec<Option<bool>> {
    let mut phones: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, visit) in visits.iter().enumerate() {
        visit.device.into_iter().for_each(|device| phones.entry(device).or_default().push(at));
    }
    let minutes = i64::from(policy.handover_minutes) * MINUTE;
    let mut shown = vec![None; visits.len()];
    for uses in phones.values_mut() {
        let accounts: BTreeSet<&str> = uses.iter().map(|&at| visits[at].worker).collect();
        if accounts.len() >= LEAST_ACCOUNTS && accounts.len() as f64 > MOST_ACCOUNTS * workers.len() as f64 {
            continue;
        }
        let is_of_many = accounts.len() >= policy.accounts_per_device;
        uses.iter().for_each(|&at| shown[at] = Some(is_of_many));
        uses.sort_by_key(|&at| visits[at].captured_at);
        for (before, after) in hand_overs(visits, uses, |visit| Some(visit.worker), minutes) {
            (shown[before], shown[after]) = (Some(true), Some(true));
        }
    }
    for own in workers {
        for (_, after) in hand_overs(visits, own, |visit| visit.device, minutes) {
            // A device that is none stays none.
            shown[after] = shown[after].map(|_| true);
        }
    }
    shown
}

/// Two visits in a row, by time, within so many microseconds, of which both have the value and it is not the same.
fn hand_overs<'a>(
    visits: &[Visit<'a>],
    in_order: &[usize],
    value: impl Fn(&Visit<'a>) -> Option<&'a str>,
    within: i64,
) -> Vec<(usize, usize)> {
    let is_change = |pair: &[usize]| {
        let (before, after) = (&visits[pair[0]], &visits[pair[1]]);
        let gap = after.captured_at?.saturating_sub(before.captured_at?);
        (gap <= within && value(before)? != value(after)?).then_some((pair[0], pair[1]))
    };
    in_order.windows(2).filter_map(is_change).collect()
}

#[cfg(test)]
mod tests {
    use super::super::visit::by_worker;
    use super::super::visit::tests::visit;
    use super::*;

    fn with<'a>(worker: &'a str, device: &'a str, minute: i64) -> Visit<'a> {
        Visit { device: Some(device), ..visit(worker, minute as u64, minute) }
    }

    fn tested(visits: &[Visit]) -> Vec<Option<bool>> {
        shared(visits, &by_worker(visits), &PresencePolicy::default())
    }

    #[test]
    fn one_phone_under_many_accounts_and_one_that_changes_hands_are_seen() {
        let (yes, no) = (Some(true), Some(false));
        let many = [with("A", "x", 0), with("B", "x", 60), with("C", "x", 120), with("D", "y", 0)];
        assert_eq!(tested(&many), [yes, yes, yes, no]);
        // A couple with one phone, hours apart; then within minutes.
        assert_eq!(tested(&[with("A", "x", 0), with("B", "x", 300)]), [no, no]);
        assert_eq!(tested(&[with("A", "x", 0), with("B", "x", 3), with("B", "x", 90)]), [yes, yes, no]);
        // A new phone next day, and another one within minutes.
        assert_eq!(tested(&[with("A", "x", 0), with("A", "y", 1_000)]), [no, no]);
        assert_eq!(tested(&[with("A", "x", 0), with("A", "y", 2)]), [no, yes]);
        assert_eq!(tested(&[visit("A", 0, 0)]), [None]);
    }

    #[test]
    fn a_device_that_is_the_same_for_all_is_none() {
        let all: Vec<Visit> = ["A", "B", "C", "D", "E"].into_iter().map(|worker| with(worker, "android", 0)).collect();
        assert_eq!(tested(&all), [None; 5]);
    }
}
