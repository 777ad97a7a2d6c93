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

pub mod answers;
pub mod attacks;
pub mod duplicates;
pub mod people;
mod rate;
mod tables;
mod text;
pub mod workers;

use std::path::PathBuf;

use serde::Serialize;

pub use rate::Rate;

use crate::Result;
use crate::reason::{Reason, Verdict};
use crate::synth::Pattern;
use answers::{Confusion, Honest, PatternCounts, ReasonCounts};
use attacks::AttackReport;
use duplicates::DuplicateReport;
use workers::WorkerReport;

/// One row of a dump: what the audit answered, and the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Which of the runs given, from 0, in the order of the nights.
    pub night: usize,
    /// What the audit answered.
    pub given: Given,
    /// What it should have answered.
    pub truth: Truth,
}

/// What the audit answered to a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// As in the dump.
    pub submission_id: Option<String>,
    /// As in the dump.
    pub district: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Its reasons.
    pub reasons: Vec<Reason>,
    /// The submission that is said to have enrolled this member first.
    pub duplicate_of: Option<String>,
    /// The person's cluster.
    pub cluster_id: Option<String>,
    /// Probability that the member is really there; `None` where nobody was judged.
    pub member_liveness: Option<f32>,
    /// Probability that the worker is really there.
    pub worker_liveness: Option<f32>,
    /// All faces that the detector saw.
    pub faces: Vec<FaceGiven>,
}

/// A face that the detector saw.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceGiven {
    /// Left, top, width, height in pixels of the upright selfie.
    pub bbox: [f32; 4],
    /// `worker`, `member` or what else the verdict table says.
    pub role: String,
}

/// The truth about a row. A field is `None` where the table has no such column, and where the row has no such thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Reasons that a right answer gives.
    pub must: Vec<Reason>,
    /// Reasons that it may give besides.
    pub may: Vec<Reason>,
    /// The right verdict.
    pub verdict: Verdict,
    /// Verdicts that are right as well.
    pub verdicts_allowed: Vec<Verdict>,
    /// The submission of the member's first enrolment, or whose picture is reused.
    pub duplicate_of: Option<String>,
    /// What was planted.
    pub pattern: Option<Pattern>,
    /// The presentation attack instrument and whom it shows, as `phone, member`.
    pub attack: Option<String>,
    /// Whose account it is.
    pub account_person: Option<String>,
    /// Who stands in the worker's place.
    pub worker_person: Option<String>,
    /// Who stands in the member's place.
    pub member_person: Option<String>,
    /// Everybody else in the picture.
    pub others: Vec<String>,
    /// The worker's face: left, top, width, height in pixels of the upright selfie.
    pub worker_box: Option<[f32; 4]>,
    /// The member's face, likewise.
    pub member_box: Option<[f32; 4]>,
}

impl Case {
    /// Whether the audit gave the reason.
    pub fn gave(&self, reason: Reason) -> bool {
        self.given.reasons.contains(&reason)
    }

    /// Whether it had to.
    pub fn must(&self, reason: Reason) -> bool {
        self.truth.must.contains(&reason)
    }

    /// Whether it was free to.
    pub fn may(&self, reason: Reason) -> bool {
        self.truth.may.contains(&reason)
    }

    /// Whether all reasons that must be given are.
    pub fn says_all(&self) -> bool {
        self.truth.must.iter().all(|&reason| self.gave(reason))
    }

    /// The reasons that should not have been given.
    pub fn beyond(&self) -> impl Iterator<Item = Reason> {
        self.given.reasons.iter().copied().filter(|&reason| !self.must(reason) && !self.may(reason))
    }

    /// Whether the verdict is right or as good as right.
    pub fn verdict_is_right(&self) -> bool {
        let given = self.given.verdict;
        given == self.truth.verdict || self.truth.verdicts_allowed.contains(&given)
    }
}

/// Columns that a truth table may lack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// `verdict`.
    pub verdicts: bool,
    /// `pattern`.
    pub patterns: bool,
    /// `attack`.
    pub attacks: bool,
    /// `account_person` and `worker_person`.
    pub workers: bool,
    /// `member_person`.
    pub members: bool,
    /// `worker_box` and `member_box`.
    pub boxes: bool,
}

impl Known {
    fn and(self, other: Known) -> Known {
        Known {
            verdicts: self.verdicts && other.verdicts,
            patterns: self.patterns && other.patterns,
            attacks: self.attacks && other.attacks,
            workers: self.workers && other.workers,
            members: self.members && other.members,
            boxes: self.boxes && other.boxes,
        }
    }

    fn all() -> Known {
        Known { verdicts: true, patterns: true, attacks: true, workers: true, members: true, boxes: true }
    }

    /// What cannot be measured, or not as well, for want of a column.
    fn notes(self) -> Vec<String> {
        let notes = [
            (self.verdicts, "verdict: the right verdict follows from the reasons by the run's own policy"),
            (self.patterns, "pattern: no table of planted patterns; a row without required reasons counts as honest"),
            (self.attacks, "attack: attacks are the rows that must be photo_of_photo, all of one kind"),
            (self.workers, "account_person, worker_person: whether the worker was found is not measured"),
            (self.members, "member_person: who is one person follows from duplicate_of"),
            (self.boxes, "worker_box, member_box: the worker is judged by roles and reasons, not by position"),
        ];
        notes.into_iter().filter(|(known, _)| !known).map(|(_, note)| note.to_owned()).collect()
    }
}

/// A run folder and the truth about its dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Night {
    /// The run folder.
    pub run: PathBuf,
    /// The truth table, or the folder that holds it as `truth.parquet`.
    pub truth: PathBuf,
}

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
    Ok(AuditReport { nights: nights.to_vec(), ..count(&cases, &links, known) })
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
    }
}
