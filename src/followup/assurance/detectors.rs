//! Answers and decisions -> what each detector is worth on this drive, and at which limit.

use std::collections::HashMap;

use super::super::members::PromisedPairs;
use super::super::sample::FrameRow;
use super::job::AssuranceJob;
use super::nights::{Night, answer_of};
use crate::assurance::detectors::{JudgedStratum, Rate, Rates, rates};
use crate::assurance::record::{DetectorRow, LimitRow, Promised};
use crate::decisions::{self, Decisions};
use crate::matching::ladder;
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
        // Only the later of two memberships of one person is a second one.
        let later = pair.sides().iter().max_by(|x, y| (x.2, &x.0).cmp(&(y.2, &y.0)));
        for side in pair.sides() {
            *decided.entry(side.0.clone()).or_insert(false) |= is_same && Some(side) == later;
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
    /// The limits that are tried.
    ladder: &'static [f64],
    of: fn(&FrameRow) -> Option<f64>,
    /// Whether a value is flagged at a limit.
    flags: fn(f64, f64) -> bool,
    /// Reasons of the detector that no limit moves.
    always: &'static [Reason],
}

/// Limits of liveness.
const LIVENESS: [f64; 10] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// The detectors that calls can judge.
pub const DETECTORS: [Detector; 4] = [
    Detector {
        name: "photo_of_photo",
        reasons: &[Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected],
        truth: |reply| reply.live.map(|is_live| !is_live),
        by_reviewers: false,
        score: Some(Score {
            key: "liveness.review_below",
            ladder: &LIVENESS,
            of: |row| row.liveness.map(f64::from),
            flags: |liveness, limit| liveness < limit,
            always: &[],
        }),
    },
    Detector {
        name: "duplicate",
        reasons: &[Reason::DuplicateMember, Reason::DuplicateSelfie],
        truth: |reply| reply.first_time.map(|is_first| !is_first),
        by_reviewers: true,
        score: Some(Score {
            key: "matching.review_false_share",
            ladder: &ladder::SHARES,
            of: |row| row.review_at_false_share,
            flags: |least_share, limit| least_share <= limit,
            always: &[Reason::DuplicateSelfie],
        }),
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
    let confidence = job.goal.confidence;
    let (flagged, rates) = (flagged(&strata), rates(&strata, confidence));
    let limits = detector.score.as_ref().map_or_else(Vec::new, |score| limits(score, nights, &truth, confidence));
    let score = detector.score.as_ref();
    DetectorRow {
        detector: detector.name.to_owned(),
        flagged,
        judged: strata.iter().map(|stratum| stratum.truths.iter().flatten().count() as u64).sum(),
        rates,
        promised: detector.by_reviewers.then(|| promised(nights)),
        policy_key: score.map(|score| score.key.to_owned()),
        suggestion: score.and_then(|score| suggestion(score, &limits, flagged, &rates, job.precision)),
        limits,
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

/// What each limit of the ladder would do, in the order of the ladder.
fn limits(score: &Score, nights: &[Night], truth: &dyn Fn(&str) -> Option<bool>, confidence: f64) -> Vec<LimitRow> {
    let row = |&limit: &f64| {
        let is_flagged = |row: &FrameRow| {
            let by_score = (score.of)(row).is_some_and(|value| (score.flags)(value, limit));
            by_score || row.reasons.iter().any(|reason| score.always.contains(reason))
        };
        let strata = judged(nights, &is_flagged, truth);
        LimitRow { limit, flagged: flagged(&strata), rates: rates(&strata, confidence) }
    };
    score.ladder.iter().map(row).collect()
}

/// How many members of the population are flagged.
fn flagged(strata: &[JudgedStratum]) -> u64 {
    strata.iter().filter(|stratum| stratum.is_flagged).map(|stratum| stratum.population).sum()
}

/// A limit that finds more than today's and keeps the precision; where there is none, one that flags fewer and finds as
/// much; in a sentence, with what it costs.
fn suggestion(score: &Score, limits: &[LimitRow], flagged_now: u64, now: &Rates, precision: f64) -> Option<String> {
    let before = now.recall.estimate?;
    let recall = |row: &LimitRow| row.rates.recall.estimate.unwrap_or(0.0);
    let keeps = |row: &&LimitRow| row.rates.precision.estimate.is_some_and(|found| found >= precision);
    let more = limits.iter().filter(keeps).max_by(|a, b| recall(a).total_cmp(&recall(b)));
    let fewer = || {
        let as_much = |row: &&LimitRow| recall(row) >= before && row.flagged < flagged_now;
        limits.iter().filter(as_much).min_by_key(|row| row.flagged)
    };
    let best = more.filter(|row| recall(row) > before + 0.01).or_else(fewer)?;
    let looks = match best.flagged.checked_sub(flagged_now) {
        Some(0) => "as many looks".to_owned(),
        Some(more) => format!("{more} more looks than {flagged_now}"),
        None => format!("{} fewer looks than {flagged_now}", flagged_now - best.flagged),
    };
    let percent = |rate: &Rate| {
        let estimate = rate.estimate.unwrap_or(0.0);
        format!("{:.0} % ({:.0} to {:.0})", 100.0 * estimate, 100.0 * rate.low, 100.0 * rate.high)
    };
    Some(format!(
        "{} = {:.2} would find {} instead of {:.0} %, be right in {}, and cost {looks}",
        score.key,
        best.limit,
        percent(&best.rates.recall),
        100.0 * before,
        percent(&best.rates.precision),
    ))
}

/// What the runs promised of duplicates: the policy's precision, and the recall of pairs that follows from their curves.
fn promised(nights: &[Night]) -> Promised {
    let runs = || nights.iter().flat_map(|night| &night.first.record.promised);
    let sum = |get: &dyn Fn(&PromisedPairs) -> f64| runs().map(get).sum::<f64>();
    let found = sum(&|run| (run.flagged_pairs - run.expected_false_pairs).max(0.0));
    let mated = sum(&|run| run.mated_pairs);
    let shares: Option<Vec<f64>> = runs().map(|run| run.review_false_share).collect();
    Promised {
        precision: shares.and_then(|shares| shares.into_iter().reduce(f64::max)).map(|share| 1.0 - share),
        recall: (mated > 0.0).then(|| (found / mated).min(1.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(estimate: f64) -> Rate {
        Rate { units: 9, estimate: Some(estimate), low: estimate - 0.1, high: estimate + 0.05 }
    }

    fn row(limit: f64, flagged: u64, precision: f64, recall: f64) -> LimitRow {
        LimitRow { limit, flagged, rates: Rates { precision: rate(precision), recall: rate(recall) } }
    }

    #[test]
    fn a_limit_is_suggested_with_its_cost() {
        let score = DETECTORS[1].score.as_ref().unwrap();
        let now = Rates { precision: rate(0.97), recall: rate(0.70) };
        let ladder =
            [row(0.01, 80, 0.99, 0.6), row(0.05, 100, 0.97, 0.7), row(0.1, 130, 0.93, 0.85), row(0.2, 300, 0.5, 0.9)];
        let text = suggestion(score, &ladder, 100, &now, 0.9).unwrap();
        let expected = "matching.review_false_share = 0.10 would find 85 % (75 to 90) instead of 70 %, be right in 93 % (83 to 98), \
                        and cost 30 more looks than 100";
        assert_eq!(text, expected);
        // Nothing finds more and is right often enough: as much for fewer looks.
        let ladder = [row(0.02, 90, 0.97, 0.7), row(0.05, 100, 0.95, 0.7), row(0.1, 130, 0.5, 0.85)];
        assert!(suggestion(score, &ladder, 100, &now, 0.9).unwrap().contains("= 0.02"), "fewer looks");
        assert!(suggestion(score, &ladder, 100, &now, 0.9).unwrap().ends_with("and cost 10 fewer looks than 100"));
        assert_eq!(suggestion(score, &ladder[1..], 100, &now, 0.9), None);
        let unknown = Rates { recall: Rate { estimate: None, ..rate(0.5) }, ..now };
        assert_eq!(suggestion(score, &ladder, 100, &unknown, 0.9), None, "nothing was judged");
    }
}
