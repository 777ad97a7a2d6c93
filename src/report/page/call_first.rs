//! Workers by evidence of enrolling from home, as rows of the page.

use super::actions::worker_href;
use super::called::Called;
use super::format::{percent, small};
use super::peers::PeerTable;
use crate::presence::Sign;

/// Workers that are listed; the table has all.
const MOST: usize = 30;

/// A row of the list.
pub(super) struct CallRow {
    pub(super) worker: String,
    pub(super) href: String,
    pub(super) district: String,
    pub(super) score: String,
    pub(super) signs: Vec<SignCell>,
}

/// One sign of it.
pub(super) struct SignCell {
    pub(super) key: String,
    pub(super) count: String,
    pub(super) peer_rate: String,
}

/// The first of them, with the signs by which they stand out, surest first.
pub(super) fn rows(called: &[Called], peers: &PeerTable) -> Vec<CallRow> {
    let is_sign = |code: &str| Sign::ALL.iter().any(|sign| sign.reason().code() == code);
    let row = |called: &Called| {
        let own = peers.workers.iter().filter(|standing| standing.id == called.worker && is_sign(&standing.reason));
        CallRow {
            worker: called.worker.clone(),
            href: worker_href(&called.worker),
            district: called.district.clone(),
            score: small(called.score),
            signs: own
                .map(|standing| SignCell {
                    key: format!("r.{}", standing.reason),
                    count: format!("{} / {}", standing.count, standing.submissions),
                    peer_rate: percent(standing.peer_rate),
                })
                .collect(),
        }
    };
    called.iter().take(MOST).map(row).collect()
}
