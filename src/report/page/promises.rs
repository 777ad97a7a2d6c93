//! What is promised of the drive, and what its detectors are worth, as rows of the page.

use super::mask::grouped;
use crate::assurance::detectors::Rate;
use crate::assurance::record::{Assurance, Level, Promise};
use crate::config::Policy;

/// A row of the table of promises.
pub struct PromiseRow {
    /// A district, a division, or blank for the drive.
    pub name: String,
    /// The division of a district.
    pub division: String,
    /// Accepted members.
    pub members: String,
    /// Calls behind the promise.
    pub calls: String,
    /// What may be promised; blank where nothing can be.
    pub at_most: String,
    /// What was found.
    pub found: String,
    /// Calls until the goal is shown; blank where it is, or will not be.
    pub more: String,
}

/// A row of the table of detectors.
pub struct DetectorRow {
    /// Its name.
    pub name: String,
    /// Memberships that people judged.
    pub judged: String,
    /// How much it finds.
    pub recall: String,
    /// How much it should find, by the runs' own curves; blank where they promise nothing.
    pub promised_recall: String,
    /// How often it is right.
    pub precision: String,
    /// How often it should be by the policy; blank where that promises nothing.
    pub promised: String,
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// The promises: the drive, then divisions, then districts.
pub fn promises(assurance: Option<&Assurance>) -> Vec<PromiseRow> {
    let row = |promise: &Promise| PromiseRow {
        name: promise.name.clone(),
        division: if promise.level == Level::District { promise.division.clone() } else { String::new() },
        members: grouped(promise.members),
        calls: grouped(promise.calls),
        at_most: if promise.calls > 0 { percent(promise.share.high) } else { String::new() },
        found: promise.share.estimate.map_or_else(String::new, percent),
        more: promise.share.more_calls.filter(|&more| more > 0).map_or_else(String::new, grouped),
    };
    assurance.iter().flat_map(|assurance| &assurance.promises).map(row).collect()
}

/// How often the policy says that a detector is right.
fn promised_precision(detector: &str, policy: &Policy) -> Option<f64> {
    let matching = &policy.matching;
    let is_promised = detector == "duplicate" && matching.review_expected_false_matches.is_none();
    is_promised.then_some(1.0 - matching.review_false_share)
}

/// The detectors, measured and as promised by the policy of the run.
pub fn detectors(assurance: Option<&Assurance>, policy: &Policy) -> Vec<DetectorRow> {
    let rate = |rate: &Rate| match rate.estimate {
        None => String::new(),
        Some(found) => format!("{} ({} – {})", percent(found), percent(rate.low), percent(rate.high)),
    };
    let rows = assurance.iter().flat_map(|assurance| &assurance.detectors);
    rows.map(|row| DetectorRow {
        name: row.detector.clone(),
        judged: grouped(row.judged),
        recall: rate(&row.rates.recall),
        promised_recall: row.promised.and_then(|promised| promised.recall).map_or_else(String::new, percent),
        precision: rate(&row.rates.precision),
        promised: promised_precision(&row.detector, policy).map_or_else(String::new, percent),
    })
    .collect()
}

/// The confidence of the intervals.
pub fn confidence(assurance: Option<&Assurance>) -> String {
    assurance.map_or_else(String::new, |assurance| format!("{:.0} %", 100.0 * assurance.goal.confidence))
}
