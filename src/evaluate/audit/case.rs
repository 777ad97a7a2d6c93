//! What is compared: a run folder with the truth about its dump, row by row.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use crate::reason::{Reason, Verdict};
use crate::synth::Pattern;

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
    pub(super) fn and(self, other: Known) -> Known {
        Known {
            verdicts: self.verdicts && other.verdicts,
            patterns: self.patterns && other.patterns,
            attacks: self.attacks && other.attacks,
            workers: self.workers && other.workers,
            members: self.members && other.members,
            boxes: self.boxes && other.boxes,
        }
    }

    pub(super) fn all() -> Known {
        Known { verdicts: true, patterns: true, attacks: true, workers: true, members: true, boxes: true }
    }

    /// What cannot be measured, or not as well, for want of a column.
    pub(super) fn notes(self) -> Vec<String> {
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

/// What a run says of one account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// Place in the list of whom to call first, from 1.
    pub place: Option<i64>,
    /// Signs by which it stands out.
    pub indicators: BTreeSet<String>,
}

/// How an account works, by the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whether it enrols from home.
    pub is_home: bool,
    /// The way or the habit.
    pub name: String,
}
