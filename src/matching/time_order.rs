//! Which submission came first, where some say times that cannot be.
//!
//! A phone whose clock was never set says 1970. Such a time makes nobody the original: of one night's submissions those
//! with it come last, and one of an earlier night comes just before tonight's, for it was there before.

/// Times in microseconds since 1970-01-01T00:00:00Z, in the order in which submissions were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOrder {
    drive_begins: i64,
    tonight_begins: i64,
}

impl TimeOrder {
    /// For a drive that begins at this time, and a night with submissions of these times.
    pub fn new(drive_begins: i64, tonight: impl IntoIterator<Item = i64>) -> Self {
        let plausible = tonight.into_iter().filter(|&at| at >= drive_begins);
        TimeOrder { drive_begins, tonight_begins: plausible.min().unwrap_or(i64::MAX) }
    }

    /// Whether it may be when a submission was made.
    pub fn is_plausible(&self, captured_at: i64) -> bool {
        captured_at >= self.drive_begins && captured_at < i64::MAX
    }

    /// Where one of tonight's submissions stands.
    pub fn tonight(&self, captured_at: i64) -> i64 {
        if captured_at < self.drive_begins { i64::MAX } else { captured_at }
    }

    /// Where one of an earlier night stands; `i64::MAX` is a time that is not known.
    pub fn earlier(&self, captured_at: i64) -> i64 {
        if self.is_plausible(captured_at) { captured_at } else { self.tonight_begins.saturating_sub(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_cannot_be_is_after_its_own_night_and_before_the_next() {
        let order = TimeOrder::new(1_000, [0, 5_000, 7_000]);
        assert_eq!((order.tonight(0), order.tonight(5_000)), (i64::MAX, 5_000));
        assert_eq!((order.earlier(3), order.earlier(4_000), order.earlier(i64::MAX)), (4_999, 4_000, 4_999));
    }
}
