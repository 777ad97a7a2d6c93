//! Answers and decisions -> what each detector is worth on this drive, and at which limit.

use std::collections::HashMap;

use super::super::sample::FrameRow;
use super::job::AssuranceJob;
use super::nights::{Night, answer_of};
use crate::assurance::detectors::{JudgedStratum, estimates, rates};
use crate::assurance::record::{DetectorRow, LimitRow};
use crate::decisions::{self, Decisions};
use crate::reason::Reason;
use crate::replies::{Answers, Reply};

/// Memberships that reviewers said are, or are not, a person's second.
pub fn decided_duplicates(decisions: &Decisions) -> HashMap<String, bool> {
    let ledger = decisions.ledger();
    let mut decided: HashMap<String, bool> = HashMap::new();
    for pair in ledger.pairs() {
        let Some(settled) = ledger.settled(pair).filter(|settled| !settled.disputed) else { continue };
        let is_same = match settled.answer {
            decisions::Answer::Same => true,
            decisions::Answer::Different => false,
            decisions::Answer::NotSure => continue,
        };
        for (submission, ..) in pair.sides() {
            *decided.entry(submission.clone()).or_insert(false) |= is_same;
        }
    }
    decided
}

/// A detector, the reasons it gives, and whose word says what is true.
pub struct Detector {
    name: &'static str,
    reasons: &'static [Reason],
    truth: fn(&Reply) -> Option<bool>,
    by_reviewers: bool,
    score: Option<Score>,
}

/// A score that a limit of the policy cuts.
struct Score {
    key: &'static str,
    of: fn(&FrameRow) -> Option<f32>,
    flags_below: bool,
}

/// The detectors that calls can judge.
pub const DETECTORS: [Detector; 4] = [
    Detector {
        name: "photo_of_photo",
        reasons: &[Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected],
        truth: |reply| reply.live.map(|is_live| !is_live),
        by_reviewers: false,
        score: Some(Score { key: "liveness.review_below", of: |row| row.liveness, flags_below: true }),
    },
    Detector {
        name: "duplicate",
        reasons: &[Reason::DuplicateMember, Reason::DuplicateSelfie],
        truth: |reply| reply.first_time.map(|is_first| !is_first),
        by_reviewers: true,
        score: None,
    },
    Detector {
        name: "stand_in",
        reasons: &[
            Reason::StandIn,
            Reason::MemberIsWorker,
            Reason::MemberIsOtherWorker,
            Reason::PhotoMismatch,
            Reason::BystanderRecurs,
        ],
        truth: |reply| reply.answer.is_real().map(|is_real| !is_real),
        by_reviewers: false,
        score: None,
    },
    Detector {
        name: "worker_absent",
        reasons: &[Reason::WorkerAbsent, Reason::WorkerMismatch, Reason::OneFace, Reason::NoFace],
        truth: |reply| reply.in_person.map(|was_there| !was_there),
        by_reviewers: false,
        score: None,
    },
];

/// What a detector is worth.
pub fn detector_row(
    detector: &Detector,
    nights: &[Night],
    answers: &Answers,
    decided: &HashMap<String, bool>,
    job: &AssuranceJob,
) -> DetectorRow {
    let truth = |id: &str| {
        let by_reviewers = decided.get(id).copied().filter(|_| detector.by_reviewers);
        by_reviewers.or_else(|| answer_of(answers, id).and_then(detector.truth))
    };
    let by_reason = |row: &FrameRow| row.reasons.iter().any(|reason| detector.reasons.contains(reason));
    let strata = judged(nights, &by_reason, &truth);
    let flagged: u64 = strata.iter().filter(|stratum| stratum.is_flagged).map(|stratum| stratum.population).sum();
    let limits = detector.score.as_ref().map_or_else(Vec::new, |score| limits(score, nights, &truth));
    let suggestion =
        detector.score.as_ref().and_then(|score| suggestion(score, &limits, flagged, &strata, job.precision));
    DetectorRow {
        detector: detector.name.to_owned(),
        flagged,
        judged: strata.iter().map(|stratum| stratum.truths.iter().flatten().count() as u64).sum(),
        rates: rates(&strata, job.goal.confidence),
        policy_key: detector.score.as_ref().map(|score| score.key.to_owned()),
        limits,
        suggestion,
    }
}

/// Strata parted by what is flagged, with what people say of those drawn.
fn judged(
    nights: &[Night],
    is_flagged: &dyn Fn(&FrameRow) -> bool,
    truth: &dyn Fn(&str) -> Option<bool>,
) -> Vec<JudgedStratum> {
    let mut strata = Vec::new();
    for Night { first, .. } in nights {
        let by_id: HashMap<&str, &FrameRow> = first.frame.iter().map(|row| (row.submission_id.as_str(), row)).collect();
        let count = first.record.strata.len();
        let mut parts: Vec<[JudgedStratum; 2]> = (0..count)
            .map(|_| [false, true].map(|is_flagged| JudgedStratum { is_flagged, ..JudgedStratum::default() }))
            .collect();
        for row in &first.frame {
            parts[row.stratum][usize::from(is_flagged(row))].population += 1;
        }
        for row in &first.list {
            let Some(of_frame) = by_id.get(row.submission_id.as_str()) else { continue };
            parts[row.stratum][usize::from(is_flagged(of_frame))].truths.push(truth(&row.submission_id));
        }
        strata.extend(parts.into_iter().flatten().filter(|part| part.population > 0));
    }
    strata
}

fn limits(score: &Score, nights: &[Night], truth: &dyn Fn(&str) -> Option<bool>) -> Vec<LimitRow> {
    let row = |tenths: u32| {
        let limit = f64::from(tenths) / 20.0;
        let is_flagged =
            |row: &FrameRow| (score.of)(row).is_some_and(|value| (f64::from(value) < limit) == score.flags_below);
        let strata = judged(nights, &is_flagged, truth);
        let flagged = strata.iter().filter(|stratum| stratum.is_flagged).map(|stratum| stratum.population).sum();
        let (precision, recall) = estimates(&strata);
        LimitRow { limit, flagged, precision, recall }
    };
    (1..20).map(row).collect()
}

/// The limit that finds most among those that keep the precision, where it finds more than today's.
fn suggestion(
    score: &Score,
    limits: &[LimitRow],
    flagged_now: u64,
    now: &[JudgedStratum],
    precision: f64,
) -> Option<String> {
    let (_, recall_now) = estimates(now);
    let keeps = |row: &&LimitRow| row.precision.is_some_and(|found| found >= precision);
    let best = limits
        .iter()
        .filter(keeps)
        .max_by(|a, b| a.recall.partial_cmp(&b.recall).unwrap_or(std::cmp::Ordering::Equal))?;
    let (found, before) = (best.recall?, recall_now?);
    (found > before + 0.01).then(|| {
        format!(
            "{} = {:.2} would find {:.0} % instead of {:.0} %, and flag {} members instead of {}",
            score.key,
            best.limit,
            100.0 * found,
            100.0 * before,
            best.flagged,
            flagged_now
        )
    })
}
