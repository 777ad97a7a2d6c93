//! What is known of a submission's making.

use std::collections::BTreeMap;

use crate::dump::Place;
use crate::photo::{Background, Camera};

/// A submission that brought somebody new: copies and other tries are none.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// Position in the dump.
    pub row: u64,
    /// The worker.
    pub worker: &'a str,
    /// The district, as typed.
    pub district: &'a str,
    /// When the selfie was taken, microseconds since 1970-01-01T00:00:00Z; `None` where that cannot be.
    pub captured_at: Option<i64>,
    /// When it arrived, likewise.
    pub uploaded_at: Option<i64>,
    /// Where the phone was; by the picture's file where the row does not say.
    pub place: Option<Place>,
    /// The phone.
    pub device: Option<&'a str>,
    /// What the camera and programs after it wrote; `None` where the selfie cannot be read.
    pub camera: Option<&'a Camera>,
    /// What is behind the faces, likewise.
    pub background: Option<&'a Background>,
    /// Longer side of the upright selfie over the shorter one, likewise.
    pub aspect: Option<f64>,
}

/// Places of the visits of each worker, by time where it is known; those without a time come last, in the dump's order.
pub(super) fn by_worker(visits: &[Visit]) -> Vec<Vec<usize>> {
    let mut workers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, visit) in visits.iter().enumerate() {
        workers.entry(visit.worker).or_default().push(at);
    }
    let in_order = |mut own: Vec<usize>| {
        own.sort_by_key(|&at| (visits[at].captured_at.unwrap_or(i64::MAX), visits[at].row));
        own
    };
    workers.into_values().map(in_order).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A minute, in microseconds.
    pub(in crate::presence) const MINUTE: i64 = 60_000_000;

    /// A visit of a worker, so many minutes after noon (UTC) of 21 November 2026.
    pub(in crate::presence) fn visit<'a>(worker: &'a str, row: u64, minute: i64) -> Visit<'a> {
        Visit {
            row,
            worker,
            district: "Ujjain",
            captured_at: Some(1_795_262_400_000_000 + minute * MINUTE),
            uploaded_at: None,
            place: None,
            device: None,
            camera: None,
            background: None,
            aspect: None,
        }
    }

    #[test]
    fn visits_stand_by_worker_and_time() {
        let late = Visit { captured_at: None, ..visit("A", 0, 0) };
        let visits = [late, visit("B", 1, 9), visit("A", 2, 7), visit("A", 3, 5)];
        assert_eq!(by_worker(&visits), [vec![3, 2, 0], vec![1]]);
    }
}
