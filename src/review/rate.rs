//! How fast somebody decides.

use crate::decisions::{Event, Ledger};

/// A longer pause between two decisions is no part of the rate, seconds.
const PAUSE: f64 = 120.0;

/// Decisions that the rate is measured on.
const RATED: usize = 30;

/// Decisions an hour over the last ones, without pauses.
pub fn per_hour(ledger: &Ledger, reviewer: &str, run: &str) -> Option<f64> {
    let own = ledger.entries().iter().rev().filter(|e| e.reviewer == reviewer && e.run == run);
    let decided = own.filter(|e| matches!(e.event, Event::Decide(_) | Event::DecideRow(_)));
    // Of one act about a person its first line.
    let decided = decided.filter(|e| e.id.split_once('.').is_none_or(|(_, number)| number == "0")).take(RATED);
    let times: Vec<f64> = decided
        .filter_map(|e| e.at.parse::<jiff::Timestamp>().ok())
        .map(|at| at.as_microsecond() as f64 / 1e6)
        .collect();
    let gaps: Vec<f64> = times.windows(2).map(|w| (w[0] - w[1]).abs()).filter(|gap| *gap <= PAUSE).collect();
    let spent: f64 = gaps.iter().sum();
    (gaps.len() >= 2 && spent > 0.0).then(|| gaps.len() as f64 / spent * 3600.0)
}
