//! What people decided about rows, applied to the rows of a night.
//!
//! | answer | the row |
//! |---|---|
//! | overturn | loses the reasons that were judged, and those that say the same of it; what is left decides |
//! | uphold | is rejected |
//! | retake | is to be taken again |
//!
//! Overturned reasons go before anybody is compared, so that the member is compared and enrolled. Where people disagree the
//! row stays as the run finds it, and says so. A corrected member's face is the one that is compared.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::config::policy::VerdictPolicy;
use crate::decisions::{Appealed, Decisions, RowAnswer, RowKey, SettledRow, covers};
use crate::infer::Analysis;
use crate::matching::UNKNOWN_TIME;
use crate::reason::Verdict;
use crate::roles::Cast;
use crate::verdict::{Finding, RowDecision, VerdictRow, rules};

/// Least overlap (intersection over union) of a corrected face with one that was found, for it to be that one.
const LEAST_OVERLAP: f32 = 0.5;

/// How many rows of a night were decided which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// As the run says.
    pub upheld: usize,
    /// Not as the run says.
    pub overturned: usize,
    /// To be taken again.
    pub retake: usize,
    /// People disagree.
    pub disputed: usize,
    /// The member has appealed, and nobody has decided.
    pub appeals_open: usize,
    /// The member's face was another one.
    pub members_corrected: usize,
}

/// Decisions about the rows of one night, by their place in the dump.
#[derive(Debug, Clone, Default)]
pub struct DecidedRows {
    settled: HashMap<u64, SettledRow>,
    faces: HashMap<u64, [f32; 4]>,
}

impl DecidedRows {
    /// Finds the rows that were decided about. Where one is there twice (a row delivered again), each is meant.
    pub fn among(analyses: &[Analysis], decisions: &Decisions) -> DecidedRows {
        let ledger = decisions.ledger();
        let corrected = ledger.corrected_faces();
        let settled: HashMap<&RowKey, SettledRow> =
            ledger.rows().iter().filter_map(|row| Some((row, ledger.settled_row(row)?))).collect();
        let mut decided = DecidedRows::default();
        if settled.is_empty() && corrected.is_empty() {
            return decided;
        }
        for analysis in analyses {
            let key = key(analysis);
            decided.settled.extend(settled.get(&key).map(|settled| (analysis.row, settled.clone())));
            decided.faces.extend(corrected.get(&key).map(|face| (analysis.row, *face)));
        }
        decided
    }

    /// Puts members right whose face was another one than the run took for it.
    pub fn correct(&self, analyses: &[Analysis], casts: &mut [Cast]) {
        for (&row, face) in &self.faces {
            let at = row as usize;
            let boxes = rules::boxes_as_stored(&analyses[at]);
            let overlaps = boxes.iter().map(|found| overlap(found, face)).enumerate();
            if let Some((index, found)) = overlaps.max_by(|x, y| x.1.total_cmp(&y.1))
                && found >= LEAST_OVERLAP
            {
                casts[at].correct_member(index);
            }
        }
    }

    /// Takes overturned reasons from what rows say by themselves.
    pub fn overturn(&self, own: &mut [VerdictRow], policy: &VerdictPolicy) {
        for (&row, settled) in self.overturned() {
            let row = &mut own[row as usize];
            row.reasons.retain(|&reason| !covers(&settled.reasons, reason));
            row.verdict = policy.decide(&row.reasons);
        }
    }

    /// The findings that nobody overturned.
    pub fn keep(&self, mut findings: Vec<Finding>) -> Vec<Finding> {
        let is_overturned = |finding: &Finding| {
            let settled = self.settled.get(&finding.row);
            let settled = settled.filter(|settled| settled.answer == Some(RowAnswer::Overturn));
            settled.is_some_and(|settled| covers(&settled.reasons, finding.reason))
        };
        findings.retain(|finding| !is_overturned(finding));
        findings
    }

    /// Rows whose member is not compared: people rejected them, or want another selfie.
    pub fn refused(&self) -> HashSet<u64> {
        let refuses = |settled: &SettledRow| matches!(settled.answer, Some(RowAnswer::Uphold | RowAnswer::Retake));
        self.settled.iter().filter(|(_, settled)| refuses(settled)).map(|(&row, _)| row).collect()
    }

    /// Says on the rows what was decided, and gives them the verdict of it.
    pub fn conclude(&self, rows: &mut [VerdictRow]) {
        for (&row, settled) in &self.settled {
            let row = &mut rows[row as usize];
            match settled.answer {
                // A picture that nobody can read stays one.
                _ if row.verdict == Verdict::Unreadable => {}
                Some(RowAnswer::Uphold) => row.verdict = Verdict::Reject,
                Some(RowAnswer::Retake) => row.verdict = Verdict::Retake,
                _ => {}
            }
            row.decision = RowDecision::of(settled);
            row.decision.into_iter().for_each(|decision| row.note(decision.note().to_owned()));
        }
        for &row in self.faces.keys() {
            rows[row as usize].note("reviewers say which face is the member's".to_owned());
        }
    }

    /// How many rows were decided which way.
    pub fn counts(&self) -> RowCounts {
        let answered = |wanted| self.settled.values().filter(|settled| settled.answer == Some(wanted)).count();
        let is_open = |settled: &&SettledRow| settled.appeal == Some(Appealed::Open);
        RowCounts {
            upheld: answered(RowAnswer::Uphold),
            overturned: answered(RowAnswer::Overturn),
            retake: answered(RowAnswer::Retake),
            disputed: self.settled.values().filter(|settled| settled.disputed).count(),
            appeals_open: self.settled.values().filter(is_open).count(),
            members_corrected: self.faces.len(),
        }
    }

    fn overturned(&self) -> impl Iterator<Item = (&u64, &SettledRow)> {
        self.settled.iter().filter(|(_, settled)| settled.answer == Some(RowAnswer::Overturn))
    }
}

/// By what decisions know a row of the dump.
fn key(analysis: &Analysis) -> RowKey {
    let facts = &analysis.facts;
    let id = facts.submission_id.clone().unwrap_or_else(|| name_of_row(analysis.row));
    (id, facts.worker_id.clone().unwrap_or_default(), facts.captured_at.unwrap_or(UNKNOWN_TIME))
}

/// What a row is called that has no submission id.
pub fn name_of_row(row: u64) -> String {
    format!("(row {row})")
}

/// Intersection over union of two boxes: left, top, width, height.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let side = |at: usize| ((a[at] + a[at + 2]).min(b[at] + b[at + 2]) - a[at].max(b[at])).max(0.0);
    let common = side(0) * side(1);
    let all = a[2] * a[3] + b[2] * b[3] - common;
    if all > 0.0 { common / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;
    use crate::verdict::rows::tests::row;

    fn settled(answer: Option<RowAnswer>, reasons: &[Reason]) -> SettledRow {
        SettledRow { answer, reasons: reasons.to_vec(), member_face: None, people: 1, disputed: false, appeal: None }
    }

    fn decided(row: u64, settled: SettledRow) -> DecidedRows {
        DecidedRows { settled: [(row, settled)].into(), faces: HashMap::new() }
    }

    #[test]
    fn what_is_overturned_goes_and_the_rest_decides() {
        let policy = VerdictPolicy::default();
        let decided = decided(0, settled(Some(RowAnswer::Overturn), &[Reason::PhotoOfPhotoSuspected]));
        let mut rows = vec![row(0, "W", &[Reason::PhotoOfPhoto, Reason::MobileMalformed], 0.1)];
        decided.overturn(&mut rows, &policy);
        assert_eq!((rows[0].reasons.as_slice(), rows[0].verdict), (&[Reason::MobileMalformed][..], Verdict::Retake));
        let findings = vec![Finding::new(0, Reason::DuplicateSelfie), Finding::new(0, Reason::PhotoOfPhoto)];
        assert_eq!(decided.keep(findings), [Finding::new(0, Reason::DuplicateSelfie)], "nobody judged that");
        decided.conclude(&mut rows);
        assert_eq!(rows[0].decision.map(RowDecision::code), Some("overturned"));
        assert_eq!(rows[0].detail.as_deref(), Some("overturned by reviewers"));
    }

    #[test]
    fn upheld_rows_are_rejected_and_their_members_not_compared() {
        for (answer, verdict) in [(RowAnswer::Uphold, Verdict::Reject), (RowAnswer::Retake, Verdict::Retake)] {
            let decided = decided(0, settled(Some(answer), &[Reason::WorkerAbsent]));
            let mut rows = vec![row(0, "W", &[Reason::WorkerAbsent], 0.9)];
            decided.overturn(&mut rows, &VerdictPolicy::default());
            decided.conclude(&mut rows);
            assert_eq!((rows[0].verdict, decided.refused().contains(&0)), (verdict, true));
            assert_eq!(rows[0].reasons, [Reason::WorkerAbsent]);
        }
    }

    #[test]
    fn who_disagrees_changes_nothing_but_says_so() {
        let disputed = SettledRow { disputed: true, people: 2, ..settled(None, &[Reason::WorkerAbsent]) };
        let mut rows = vec![row(0, "W", &[Reason::WorkerAbsent], 0.9)];
        let decided = decided(0, disputed);
        decided.conclude(&mut rows);
        assert_eq!((rows[0].verdict, rows[0].decision), (Verdict::Review, Some(RowDecision::Disputed)));
        assert!(decided.refused().is_empty() && decided.counts().disputed == 1);
    }

    #[test]
    fn boxes_overlap_by_their_common_share() {
        assert_eq!(overlap(&[0.0, 0.0, 2.0, 2.0], &[0.0, 0.0, 2.0, 2.0]), 1.0);
        assert_eq!(overlap(&[0.0, 0.0, 2.0, 2.0], &[1.0, 0.0, 2.0, 2.0]), 1.0 / 3.0);
        assert_eq!(overlap(&[0.0, 0.0, 1.0, 1.0], &[5.0, 5.0, 1.0, 1.0]), 0.0);
    }
}
