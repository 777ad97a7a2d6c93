//! When: bursts, hours at which hardly anybody works, gaps like a clock's, and clocks that do not agree.
//!
//! Nothing here knows a time zone: what hour is usual, the others of the drive say.

use super::visit::Visit;
use crate::config::policy::PresencePolicy;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// With fewer submissions of others nobody knows what hours are usual.
const LEAST_OTHERS: u64 = 100;

/// Gaps are the same when they differ by at most so much, or by [`SAME_SHARE`] of the gap.
const SAME_GAP: i64 = 2 * SECOND;

/// See [`SAME_GAP`].
const SAME_SHARE: f64 = 0.01;

/// A longer gap is a pause.
const LONGEST_GAP: i64 = 6 * HOUR;

/// The clock of an app's server and a phone's may differ by so much without a word.
const CLOCKS_DIFFER: i64 = 10 * MINUTE;

/// Pictures of a worker with both times, from which on a wrong clock is told from a wrong picture.
const LEAST_PICTURES: usize = 5;

/// Submissions of a worker of which so many were taken within so many minutes that no way lies between them.
pub(super) fn bursts(visits: &[Visit], workers: &[Vec<usize>], policy: &PresencePolicy) -> Vec<Option<bool>> {
    let mut shown = vec![None; visits.len()];
    let window = i64::from(policy.burst_minutes) * MINUTE;
    for own in workers {
        let timed = timed(visits, own);
        timed.iter().for_each(|(at, _)| shown[*at] = Some(false));
        let mut first = 0;
        for last in 0..timed.len() {
            while timed[last].1.saturating_sub(timed[first].1) > window {
                first += 1;
            }
            if last + 1 - first >= policy.burst_members {
                timed[first..=last].iter().for_each(|(at, _)| shown[*at] = Some(true));
            }
        }
    }
    shown
}

/// Submissions taken at an hour of the day, the hours before and after it among them, at which others took fewer than
/// the policy's share.
pub(super) fn odd_hours(visits: &[Visit], workers: &[Vec<usize>], policy: &PresencePolicy) -> Vec<Option<bool>> {
    let hour = |at: usize| visits[at].captured_at.map(|time| time.div_euclid(HOUR).rem_euclid(24) as usize);
    let counts = |places: &mut dyn Iterator<Item = usize>| {
        let mut counts = [0u64; 24];
        places.filter_map(hour).for_each(|hour| counts[hour] += 1);
        counts
    };
    let all = counts(&mut (0..visits.len()));
    let mut shown = vec![None; visits.len()];
    for own in workers {
        let mine = counts(&mut own.iter().copied());
        let others: [u64; 24] = std::array::from_fn(|hour| all[hour] - mine[hour]);
        let total: u64 = others.iter().sum();
        if total < LEAST_OTHERS {
            continue;
        }
        let near = |hour: usize| others[(hour + 23) % 24] + others[hour] + others[(hour + 1) % 24];
        for &at in own {
            shown[at] = hour(at).map(|hour| (near(hour) as f64) < policy.odd_hour_share * total as f64);
        }
    }
    shown
}

/// Submissions that came after the same time as the one before them: a script, or a list that is worked off.
pub(super) fn regular_gaps(visits: &[Visit], workers: &[Vec<usize>]) -> Vec<Option<bool>> {
    let mut shown = vec![None; visits.len()];
    for own in workers {
        for three in timed(visits, own).windows(3) {
            let [(_, first), (_, second), (at, third)] = three else { continue };
            let (before, after) = (second - first, third - second);
            if before.max(after) > LONGEST_GAP {
                continue;
            }
            let same = SAME_GAP.max((after as f64 * SAME_SHARE) as i64);
            shown[*at] = Some(after.abs_diff(before) <= same.unsigned_abs());
        }
    }
    shown
}

/// Submissions that arrived much later than they were taken, or before.
pub(super) fn uploaded_late(visits: &[Visit], policy: &PresencePolicy) -> Vec<Option<bool>> {
    let late = i64::from(policy.late_hours) * HOUR;
    let is_late = |visit: &Visit| {
        let delay = visit.uploaded_at?.saturating_sub(visit.captured_at?);
        Some(delay > late || delay < -CLOCKS_DIFFER)
    };
    visits.iter().map(is_late).collect()
}

/// Submissions whose file names another time than the row, by another difference than the worker's other pictures: a phone with
/// a wrong date differs always by as much, a zone that is not written among it; a picture from the gallery does not.
pub(super) fn camera_time_differs(
    visits: &[Visit],
    workers: &[Vec<usize>],
    policy: &PresencePolicy,
) -> Vec<Option<bool>> {
    let mut shown = vec![None; visits.len()];
    let most = i64::from(policy.camera_hours) * HOUR;
    for own in workers {
        let difference = |&at: &usize| {
            let taken = visits[at].camera?.taken_at?;
            Some((at, visits[at].captured_at?.saturating_sub(taken)))
        };
        let known: Vec<(usize, i64)> = own.iter().filter_map(difference).collect();
        let mut sorted: Vec<i64> = known.iter().map(|(_, difference)| *difference).collect();
        sorted.sort_unstable();
        let usual = match sorted.len() {
            few if few < LEAST_PICTURES => continue,
            many => sorted[many / 2],
        };
        for (at, difference) in known {
            shown[at] = Some(difference.saturating_sub(usual).unsigned_abs() > most.unsigned_abs());
        }
    }
    shown
}

/// A worker's visits with a time, by time.
fn timed(visits: &[Visit], own: &[usize]) -> Vec<(usize, i64)> {
    own.iter().filter_map(|&at| Some((at, visits[at].captured_at?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::visit::by_worker;
    use super::super::visit::tests::visit;
    use super::*;
    use crate::photo::Camera;

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    fn at_minutes(minutes: &[i64]) -> Vec<Visit<'static>> {
        (0..).zip(minutes).map(|(row, &minute)| visit("A", row, minute)).collect()
    }

    #[test]
    fn a_crowd_within_minutes_is_a_burst_and_a_family_is_not() {
        let policy = PresencePolicy::default();
        let family = at_minutes(&[0, 1, 2, 4, 5, 60]);
        assert_eq!(bursts(&family, &by_worker(&family), &policy), [NO; 6]);
        let list = at_minutes(&[0, 60, 61, 62, 63, 64, 65, 66, 67, 120]);
        let shown = bursts(&list, &by_worker(&list), &policy);
        assert_eq!(shown, [NO, YES, YES, YES, YES, YES, YES, YES, YES, NO]);
        let timeless = [Visit { captured_at: None, ..visit("A", 0, 0) }];
        assert_eq!(bursts(&timeless, &by_worker(&timeless), &policy), [None]);
    }

    #[test]
    fn what_hour_is_odd_the_others_say() {
        // Others from noon to six, one of 200 at midnight, as A once.
        let names: Vec<String> = (0..20).map(|n| format!("V{n}")).collect();
        let mut visits: Vec<Visit> = (0..200).map(|n| visit(&names[n % 20], n as u64, (n as i64 * 7) % 360)).collect();
        visits[0].captured_at = visit("V0", 0, 12 * 60).captured_at;
        visits.extend([visit("A", 200, 12 * 60), visit("A", 201, 30), visit("B", 202, 3 * 60)]);
        let shown = odd_hours(&visits, &by_worker(&visits), &PresencePolicy::default());
        assert_eq!(shown[200..], [YES, NO, NO]);
        // A drive that works at midnight: there midnight is usual.
        visits.iter_mut().for_each(|visit| visit.captured_at = visit.captured_at.map(|at| at + 12 * HOUR));
        let shown = odd_hours(&visits, &by_worker(&visits), &PresencePolicy::default());
        assert_eq!(shown[200..], [YES, NO, NO]);
        let few = &visits[..99];
        assert!(odd_hours(few, &by_worker(few), &PresencePolicy::default()).iter().all(Option::is_none));
    }

    #[test]
    fn gaps_like_a_clocks_are_seen() {
        let clock = at_minutes(&[0, 3, 6, 9, 500, 503]);
        assert_eq!(regular_gaps(&clock, &by_worker(&clock)), [None, None, YES, YES, None, None]);
        let people = at_minutes(&[0, 3, 8, 10, 31]);
        assert_eq!(regular_gaps(&people, &by_worker(&people)), [None, None, NO, NO, NO]);
    }

    #[test]
    fn a_village_that_sends_next_morning_is_in_time() {
        let sent = |hours: i64| {
            let visit = visit("A", 0, 0);
            Visit { uploaded_at: visit.captured_at.map(|at| at + hours * HOUR), ..visit }
        };
        let shown =
            uploaded_late(&[sent(0), sent(14), sent(60), sent(-2), visit("A", 0, 0)], &PresencePolicy::default());
        assert_eq!(shown, [NO, NO, YES, YES, None]);
    }

    #[test]
    fn a_wrong_clock_is_no_old_picture() {
        let policy = PresencePolicy::default();
        let taken = |days: &[i64]| -> Vec<Camera> {
            let camera = |(n, &day): (usize, &i64)| Camera {
                taken_at: visit("A", 0, n as i64).captured_at.map(|at| at - day * 24 * HOUR),
                ..Camera::default()
            };
            days.iter().enumerate().map(camera).collect()
        };
        let shown = |cameras: &[Camera]| {
            let visit = |(n, camera)| Visit { camera: Some(camera), ..visit("A", n as u64, n as i64) };
            let visits: Vec<Visit> = cameras.iter().enumerate().map(visit).collect();
            camera_time_differs(&visits, &by_worker(&visits), &policy)
        };
        assert_eq!(shown(&taken(&[700; 6])), [NO; 6]);
        assert_eq!(shown(&taken(&[0, 0, 0, 0, 3, 9])), [NO, NO, NO, NO, YES, YES]);
        assert_eq!(shown(&taken(&[0, 3])), [None, None], "two pictures tell nothing");
    }
}
