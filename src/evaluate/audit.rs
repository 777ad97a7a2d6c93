//! Verdicts of run folders against the truth about their dumps.
//!
//! The truth says, per row, which reasons a right answer must give and which it may give besides. What it may give
//! counts neither way, here and everywhere below: an audit is neither praised nor blamed for it. What the truth table
//! does not tell is not guessed; [`AuditReport::not_measured`] names the missing columns. Counting is in pure functions
//! over [`Case`]s, one per row, so that every number can be checked by hand.
//!
//! | part | |
//! |---|---|
//! | `tables` | run folder and truth table -> [`Case`]s |
//! | [`answers`] | reasons, planted patterns, verdicts, honest rows |
//! | [`people`] | which rows the truth and the audit hold to be one person |
//! | [`duplicates`] | pairs and clusters of them |
//! | [`attacks`] | APCER and BPCER (ISO/IEC 30107-3) |
//! | [`workers`] | who was taken for the worker |
//! | [`presence`] | who enrols from home, against the list of whom to call first |

pub mod answers;
pub mod attacks;
mod case;
pub mod duplicates;
pub mod people;
pub mod presence;
mod rate;
mod tables;
mod text;
pub mod workers;

use serde::Serialize;

pub use case::{Account, Case, FaceGiven, Given, Known, Night, Told, Truth};
pub use rate::Rate;

use crate::Result;
use answers::{Confusion, Honest, PatternCounts, ReasonCounts};
use attacks::AttackReport;
use duplicates::DuplicateReport;
use presence::PresenceReport;
use workers::WorkerReport;

/// The result, ready for JSON or for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditReport {
    /// What was compared, in the order of the nights.
    pub nights: Vec<Night>,
    /// Rows of all nights.
    pub rows: usize,
    /// Columns that the truth lacks, and what that means.
    pub not_measured: Vec<String>,
    /// Expected against given verdicts.
    pub verdicts: Confusion,
    /// Rows that deserve to be accepted.
    pub honest: Honest,
    /// Each reason that is required or given anywhere.
    pub reasons: Vec<ReasonCounts>,
    /// Each planted pattern.
    pub patterns: Vec<PatternCounts>,
    /// Who was taken for the worker.
    pub workers: Option<WorkerReport>,
    /// Members enrolled twice.
    pub duplicates: DuplicateReport,
    /// Simulated presentation attacks.
    pub attacks: AttackReport,
    /// Accounts that enrol from home, where truth and run tell of them.
    pub presence: Option<PresenceReport>,
}

/// Reads the tables and counts. Nights in the order in which they were audited.
///
/// # Errors
/// [`crate::Error::Input`] when a table cannot be read, lacks what is needed, or a truth does not fit its run.
pub fn audit(nights: &[Night]) -> Result<AuditReport> {
    let mut cases = Vec::new();
    let mut known = Known::all();
    let mut links = Vec::new();
    for (number, night) in nights.iter().enumerate() {
        let (own, columns) = tables::cases(night, number)?;
        known = known.and(columns);
        links.extend(tables::links(&night.run, number)?);
        cases.extend(own);
    }
    Ok(AuditReport { nights: nights.to_vec(), presence: presence::report(nights)?, ..count(&cases, &links, known) })
}

/// Every count over all rows. `links` are the clusters that the runs committed.
pub fn count(cases: &[Case], links: &[people::Link], known: Known) -> AuditReport {
    AuditReport {
        nights: Vec::new(),
        rows: cases.len(),
        not_measured: known.notes(),
        verdicts: answers::verdicts(cases),
        honest: answers::honest(cases),
        reasons: answers::reasons(cases),
        patterns: if known.patterns { answers::patterns(cases) } else { Vec::new() },
        workers: known.workers.then(|| workers::report(cases, known.boxes)),
        duplicates: duplicates::report(cases, &people::People::of(cases, links, known.members)),
        attacks: attacks::report(cases, known.attacks),
        presence: None,
    }
}
