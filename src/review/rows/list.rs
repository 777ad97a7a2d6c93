//! The rows of a run that people are asked about.

use std::collections::HashSet;
use std::path::Path;

use super::super::tables::{self, Face};
use crate::Result;
use crate::config::policy::VerdictPolicy;
use crate::decisions::{Question, RowKey, Side, row_key};
use crate::reason::{Reason, Verdict};
use crate::verdict::name_of_row;

/// A row of the verdict table, as far as people are told of it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// By what decisions know it.
    pub side: Side,
    /// Its position in the dump.
    pub row: u64,
    /// What it is asked about.
    pub question: Question,
    /// Reasons that put it in review or rejected it, and that no pair answers.
    pub held_against: Vec<Reason>,
    /// Where it was enrolled.
    pub district: String,
    /// The verdict.
    pub verdict: Verdict,
    /// All its reasons.
    pub reasons: Vec<Reason>,
    /// What was expected and found.
    pub detail: Option<String>,
    /// The submission that it repeats.
    pub duplicate_of: Option<String>,
    /// Probability that the member was there.
    pub member_liveness: Option<f32>,
    /// Probability that the worker was there.
    pub worker_liveness: Option<f32>,
    /// Similarity of the uploaded photo to the member.
    pub photo_similarity: Option<f32>,
    /// Quality of the member's face, 0..=1.
    pub quality: Option<f32>,
    /// Faces of the selfie.
    pub faces: Vec<Face>,
}

/// The rows of a run that people are asked about, worst first within each question.
#[derive(Debug, Clone, Default)]
pub struct RowList {
    /// The rows.
    pub rows: Vec<Judged>,
}

const COLUMNS: [&str; 14] = [
    "submission_id",
    "worker_id",
    "district",
    "captured_at",
    "row",
    "verdict",
    "reasons",
    "detail",
    "duplicate_of",
    "member_liveness",
    "worker_liveness",
    "photo_similarity",
    "quality",
    "faces",
];

impl Judged {
    /// The lower liveness of its two faces.
    pub fn liveness(&self) -> Option<f32> {
        [self.member_liveness, self.worker_liveness].into_iter().flatten().min_by(f32::total_cmp)
    }

    /// By what decisions know it.
    pub fn key(&self) -> RowKey {
        row_key(&self.side)
    }
}

impl RowList {
    /// Reads the rows of a run that are in review or rejected for a reason that no pair answers.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the table cannot be read.
    pub fn read(run: &Path, policy: &VerdictPolicy) -> Result<RowList> {
        let is_asked =
            |row: &Judged| matches!(row.verdict, Verdict::Review | Verdict::Reject) && !row.held_against.is_empty();
        let mut rows = read(run, policy, is_asked)?;
        let order = |row: &Judged| {
            (
                row.question,
                std::cmp::Reverse(row.verdict),
                row.liveness().map_or(2_000_000, |l| (l * 1e6) as u32),
                row.row,
            )
        };
        rows.sort_by_key(order);
        Ok(RowList { rows })
    }

    /// Reads the rows with these submission ids, whatever became of them.
    ///
    /// # Errors
    /// As [`RowList::read`].
    pub fn find(run: &Path, policy: &VerdictPolicy, wanted: &HashSet<&str>) -> Result<Vec<Judged>> {
        read(run, policy, |row| wanted.contains(row.side.submission.as_str()))
    }
}

fn read(run: &Path, policy: &VerdictPolicy, keep: impl Fn(&Judged) -> bool) -> Result<Vec<Judged>> {
    let mut found = Vec::new();
    tables::read(&run.join("verdicts.parquet"), &COLUMNS, |rows| {
        let texts = |name: &str| rows.texts(name);
        let numbers = |name: &str| rows.numbers(name);
        let (ids, workers, districts) = (texts("submission_id")?, rows.words("worker_id")?, rows.words("district")?);
        let (times, places) = (rows.times("captured_at")?, rows.integers("row")?);
        let (verdicts, reasons, details) = (texts("verdict")?, rows.lists("reasons")?, texts("detail")?);
        let (originals, faces) = (texts("duplicate_of")?, rows.faces("faces")?);
        let (members, workers_live) = (numbers("member_liveness")?, numbers("worker_liveness")?);
        let (photos, qualities) = (numbers("photo_similarity")?, numbers("quality")?);
        let number = |values: &[f64], at: usize| Some(values[at] as f32).filter(|value| !value.is_nan());
        for at in 0..rows.len() {
            let row = places[at].unsigned_abs();
            let known = |code: &String| Reason::ALL.iter().copied().find(|reason| reason.code() == code);
            let reasons: Vec<Reason> = reasons[at].iter().filter_map(known).collect();
            let verdict = Verdict::ALL.into_iter().find(|v| Some(v.code()) == verdicts[at].as_deref());
            let judged = Judged {
                side: Side {
                    submission: ids[at].clone().unwrap_or_else(|| name_of_row(row)),
                    worker: workers[at].clone(),
                    captured_at: times[at],
                    earlier_night: false,
                },
                row,
                question: Question::Facts,
                held_against: held_against(&reasons, policy),
                district: districts[at].clone(),
                verdict: verdict.unwrap_or(Verdict::Review),
                reasons,
                detail: details[at].clone(),
                duplicate_of: originals[at].clone(),
                member_liveness: number(&members, at),
                worker_liveness: number(&workers_live, at),
                photo_similarity: number(&photos, at),
                quality: number(&qualities, at),
                faces: Vec::new(),
            };
            if keep(&judged) {
                let gravest = judged.held_against.first().or(judged.reasons.first());
                let question = gravest.map_or(Question::Facts, |&reason| Question::about(reason));
                found.push(Judged { question, faces: faces[at].clone(), ..judged });
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// The reasons that put a row in review or reject it, and that no pair answers; the gravest first.
fn held_against(reasons: &[Reason], policy: &VerdictPolicy) -> Vec<Reason> {
    let is_grave = |reason: &Reason| matches!(policy.of(*reason), Verdict::Review | Verdict::Reject);
    let asked = |reason: &Reason| is_grave(reason) && Question::about(*reason) != Question::Pairs;
    let mut held: Vec<Reason> = reasons.iter().copied().filter(asked).collect();
    held.sort_by_key(|&reason| std::cmp::Reverse(policy.of(reason)));
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_against_a_row_is_grave_and_no_matter_of_pairs() {
        let policy = VerdictPolicy::default();
        let reasons = [Reason::WorkerAbsent, Reason::PhotoOfPhoto, Reason::DuplicateMember, Reason::MobileMalformed];
        assert_eq!(held_against(&reasons, &policy), [Reason::PhotoOfPhoto, Reason::WorkerAbsent]);
        assert!(held_against(&[Reason::DuplicateMember], &policy).is_empty());
    }
}
