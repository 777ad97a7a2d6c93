//! Where: one point for most members, and travel that nobody makes.

use super::visit::Visit;
use crate::config::policy::PresencePolicy;
use crate::dump::Place;

/// Where a phone does not say how sure it is, it is taken to be off by so many metres.
const USUAL_ACCURACY: f64 = 50.0;

/// Points of a worker that are compared with each other; of more, evenly chosen ones.
const MOST_POINTS: usize = 2_000;

/// Clocks of phones, and the second to which times are written, are off by so many seconds.
const CLOCK_SECONDS: f64 = 60.0;

/// Of each worker's submissions those from the point from which most come, but the first of them: that one came from
/// somewhere, as anybody's does. Points that the phone itself is not sure of say nothing.
pub(super) fn same_place(visits: &[Visit], workers: &[Vec<usize>], policy: &PresencePolicy) -> Vec<Option<bool>> {
    let mut shown = vec![None; visits.len()];
    for own in workers {
        let known: Vec<(usize, Place)> = own
            .iter()
            .filter_map(|&at| Some((at, visits[at].place.filter(|place| accuracy(place) <= policy.most_accuracy_m)?)))
            .collect();
        let step = known.len().div_ceil(MOST_POINTS).max(1);
        let points: Vec<(usize, Place)> = known.into_iter().step_by(step).collect();
        let near = |a: &Place, b: &Place| {
            let reach = policy.same_place_m.max(accuracy(a)).max(accuracy(b));
            // A degree of latitude is 111 km everywhere, and most pairs are told apart by it alone.
            (a.latitude - b.latitude).abs() * 110_000.0 <= reach && a.metres_to(b) <= reach
        };
        // Of equal ones the first.
        let count = |centre: &Place| points.iter().filter(|(_, place)| near(centre, place)).count();
        let densest = points.iter().rev().max_by_key(|(_, place)| count(place)).map(|(_, place)| *place);
        let is_in = |place: &Place| densest.is_some_and(|centre| near(&centre, place));
        let clump: Vec<usize> = points.iter().filter(|(_, place)| is_in(place)).map(|(at, _)| *at).collect();
        points.iter().for_each(|(at, _)| shown[*at] = Some(false));
        clump.iter().for_each(|&at| shown[at] = Some(true));
        clump.first().into_iter().for_each(|&at| shown[at] = None);
    }
    shown
}

/// Submissions so far from the one before that nobody travels so fast, whatever the two phones' accuracy.
pub(super) fn impossible_travel(
    visits: &[Visit],
    workers: &[Vec<usize>],
    policy: &PresencePolicy,
) -> Vec<Option<bool>> {
    let mut shown = vec![None; visits.len()];
    for own in workers {
        let known: Vec<(usize, Place, i64)> =
            own.iter().filter_map(|&at| Some((at, visits[at].place?, visits[at].captured_at?))).collect();
        for pair in known.windows(2) {
            let [(_, before, then), (at, here, now)] = pair else { continue };
            let metres = before.metres_to(here) - accuracy(before) - accuracy(here);
            let seconds = now.abs_diff(*then) as f64 / 1e6 + CLOCK_SECONDS;
            let is_far = metres > policy.least_travel_m;
            shown[*at] = Some(is_far && metres / seconds * 3.6 > policy.most_speed_kmh);
        }
    }
    shown
}

fn accuracy(place: &Place) -> f64 {
    place.accuracy_m.map_or(USUAL_ACCURACY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::super::visit::by_worker;
    use super::super::visit::tests::visit;
    use super::*;

    /// So many metres north and east of a corner in Ujjain.
    fn at(north: f64, east: f64) -> Place {
        let latitude = 23.1765 + north / 111_194.9;
        let longitude = 75.7885 + east / (111_194.9 * 23.1765f64.to_radians().cos());
        Place { latitude, longitude, accuracy_m: Some(10.0) }
    }

    fn placed<'a>(row: u64, minute: i64, place: Place) -> Visit<'a> {
        Visit { place: Some(place), ..visit("A", row, minute) }
    }

    type Test = fn(&[Visit], &[Vec<usize>], &PresencePolicy) -> Vec<Option<bool>>;

    fn tested(visits: &[Visit], test: Test) -> Vec<Option<bool>> {
        test(visits, &by_worker(visits), &PresencePolicy::default())
    }

    #[test]
    fn most_members_from_one_point_are_seen_and_a_street_is_not() {
        let home = [(0.0, 0.0), (5.0, 8.0), (300.0, 0.0), (-6.0, 3.0), (900.0, 900.0)];
        let visits: Vec<Visit> = (0..).zip(home).map(|(n, (y, x))| placed(n, n as i64, at(y, x))).collect();
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(tested(&visits, same_place), [None, yes, no, yes, no]);
        let street: Vec<Visit> = (0..5).map(|n| placed(n, n as i64, at(40.0 * n as f64, 0.0))).collect();
        assert_eq!(tested(&street, same_place), [None, no, no, no, no], "every clump is one of one");
        // Nobody knows where a phone is that is sure to a kilometre.
        let vague = Place { accuracy_m: Some(1_000.0), ..at(0.0, 0.0) };
        assert_eq!(tested(&[placed(0, 0, vague), placed(1, 1, vague)], same_place), [None, None]);
        assert_eq!(tested(&[], same_place), []);
    }

    #[test]
    fn two_towns_within_minutes_are_impossible_and_a_train_is_not() {
        let indore = Place { latitude: 22.7196, longitude: 75.8577, accuracy_m: Some(20.0) };
        let visits = [
            placed(0, 0, at(0.0, 0.0)),
            placed(1, 5, indore),
            placed(2, 65, at(0.0, 0.0)),
            placed(3, 66, at(400.0, 0.0)),
        ];
        // 51 km in 5 minutes, and an hour back.
        assert_eq!(tested(&visits, impossible_travel), [None, Some(true), Some(false), Some(false)]);
        // A cell of the network in another town, by a phone that says so.
        let vague = Place { accuracy_m: Some(50_000.0), ..indore };
        assert_eq!(tested(&[visits[0], placed(1, 5, vague)], impossible_travel), [None, Some(false)]);
        let timeless = Visit { captured_at: None, ..visits[1] };
        assert_eq!(tested(&[visits[0], timeless], impossible_travel), [None, None]);
    }
}
