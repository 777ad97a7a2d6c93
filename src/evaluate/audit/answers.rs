//! Reasons, planted patterns and verdicts, row by row.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Case, Rate};
use crate::reason::{Reason, Verdict};
use crate::synth::{Pattern, PatternKind};

/// One reason over all rows. Rows that may give it but need not are in no rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReasonCounts {
    /// Its code.
    pub reason: &'static str,
    /// Required and given.
    pub found: usize,
    /// Required and not given.
    pub missed: usize,
    /// Given, neither required nor allowed.
    pub false_alarms: usize,
    /// Given where allowed and not required: counted neither way.
    pub allowed: usize,
    /// Found among the required.
    pub recall: Rate,
    /// Found among the given that count.
    pub precision: Rate,
    /// False alarms among the rows that should not have it.
    pub false_alarm_rate: Rate,
}

/// Counts each reason that is required or given anywhere, in table order.
pub fn reasons(cases: &[Case]) -> Vec<ReasonCounts> {
    let counts = Reason::ALL.iter().map(|&reason| {
        let number = |test: &dyn Fn(&Case) -> bool| cases.iter().filter(|case| test(case)).count();
        let found = number(&|c| c.must(reason) && c.gave(reason));
        let missed = number(&|c| c.must(reason) && !c.gave(reason));
        let allowed = number(&|c| !c.must(reason) && c.may(reason) && c.gave(reason));
        let without = number(&|c| !c.must(reason) && !c.may(reason));
        let false_alarms = number(&|c| !c.must(reason) && !c.may(reason) && c.gave(reason));
        ReasonCounts {
            reason: reason.code(),
            found,
            missed,
            false_alarms,
            allowed,
            recall: Rate::new(found, found + missed),
            precision: Rate::new(found, found + false_alarms),
            false_alarm_rate: Rate::new(false_alarms, without),
        }
    });
    counts.filter(|c| c.found + c.missed + c.false_alarms + c.allowed > 0).collect()
}

/// The rows in which one pattern was planted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PatternCounts {
    /// Its code.
    pub pattern: &'static str,
    /// Whether it is part of an honest drive.
    pub innocent: bool,
    /// Rows in which every required reason is given; all rows, where none is required.
    pub recall: Rate,
    /// Rows in which besides nothing is given that is not allowed.
    pub exact: Rate,
    /// Rows with the right verdict or one as good.
    pub verdict: Rate,
    /// Required reasons that were not given, and in how many rows.
    pub missing: BTreeMap<&'static str, usize>,
    /// Reasons that should not have been given, and in how many rows.
    pub beyond: BTreeMap<&'static str, usize>,
}

/// Counts each pattern that was planted anywhere, honest rows first. Rows of an unnamed pattern are left out.
pub fn patterns(cases: &[Case]) -> Vec<PatternCounts> {
    let mut of: BTreeMap<Pattern, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        if let Some(pattern) = case.truth.pattern {
            of.entry(pattern).or_default().push(case);
        }
    }
    let counts = |(pattern, rows): (Pattern, Vec<&Case>)| {
        let missed = rows.iter().flat_map(|c| c.truth.must.iter().copied().filter(|&r| !c.gave(r)));
        PatternCounts {
            pattern: pattern.code(),
            innocent: pattern.kind() == PatternKind::Innocent,
            recall: Rate::among(&rows, |c| c.says_all()),
            exact: Rate::among(&rows, |c| c.says_all() && c.beyond().next().is_none()),
            verdict: Rate::among(&rows, |c| c.verdict_is_right()),
            missing: tally(missed),
            beyond: tally(rows.iter().flat_map(|c| c.beyond())),
        }
    };
    of.into_iter().map(counts).collect()
}

/// How often each reason comes up.
fn tally(reasons: impl Iterator<Item = Reason>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    reasons.for_each(|reason| *counts.entry(reason.code()).or_default() += 1);
    counts
}

/// Rows that deserve to be accepted, and what became of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Honest {
    /// Rows with any reason that is not allowed: false alarms.
    pub false_alarms: Rate,
    /// Rows with another verdict than accept or an allowed one.
    pub wrong_verdicts: Rate,
    /// Rows of each verdict given.
    pub verdicts: BTreeMap<&'static str, Rate>,
    /// Rows with each reason that is not allowed.
    pub reasons: BTreeMap<&'static str, Rate>,
}

/// Counts the honest rows: those without required reasons whose pattern, where it is known, is innocent.
pub fn honest(cases: &[Case]) -> Honest {
    let innocent = |c: &&Case| c.truth.pattern.is_none_or(|p| p.kind() == PatternKind::Innocent);
    let rows: Vec<&Case> = cases.iter().filter(|c| c.truth.must.is_empty()).filter(innocent).collect();
    let verdicts = Verdict::ALL.iter().map(|&v| (v.code(), Rate::among(&rows, |c| c.given.verdict == v)));
    let reasons = tally(rows.iter().flat_map(|c| c.beyond()));
    Honest {
        false_alarms: Rate::among(&rows, |c| c.beyond().next().is_some()),
        wrong_verdicts: Rate::among(&rows, |c| !c.verdict_is_right()),
        verdicts: verdicts.filter(|(_, rate)| rate.count > 0).collect(),
        reasons: reasons.into_iter().map(|(reason, count)| (reason, Rate::new(count, rows.len()))).collect(),
    }
}

/// Expected against given verdicts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confusion {
    /// Rows by expected and then by given verdict; what did not occur is left out.
    pub counts: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    /// Rows with exactly the expected verdict.
    pub right: Rate,
    /// Rows with the expected verdict or one that is allowed.
    pub right_or_allowed: Rate,
}

/// Counts verdicts.
pub fn verdicts(cases: &[Case]) -> Confusion {
    let mut counts: BTreeMap<_, BTreeMap<_, usize>> = BTreeMap::new();
    for case in cases {
        let row = counts.entry(case.truth.verdict.code()).or_default();
        *row.entry(case.given.verdict.code()).or_default() += 1;
    }
    Confusion {
        counts,
        right: Rate::among(cases, |c| c.given.verdict == c.truth.verdict),
        right_or_allowed: Rate::among(cases, |c| c.verdict_is_right()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::tests::case;
    use super::*;
    use Reason::{DuplicateMember, OneFace, PhotoOfPhoto, WorkerAbsent};

    /// Five rows: found with an allowed one besides, missed, a false alarm, nothing, allowed and given.
    fn five() -> Vec<Case> {
        vec![
            case(&[PhotoOfPhoto], &[DuplicateMember], &[PhotoOfPhoto, DuplicateMember]),
            case(&[PhotoOfPhoto], &[DuplicateMember], &[WorkerAbsent]),
            case(&[], &[], &[PhotoOfPhoto]),
            case(&[], &[], &[]),
            case(&[OneFace], &[PhotoOfPhoto], &[OneFace, PhotoOfPhoto]),
        ]
    }

    #[test]
    fn reasons_count_as_by_hand() {
        let counts = reasons(&five());
        let codes: Vec<_> = counts.iter().map(|c| c.reason).collect();
        assert_eq!(codes, ["one_face", "worker_absent", "photo_of_photo", "duplicate_member"]);
        let photo = &counts[2];
        assert_eq!((photo.found, photo.missed, photo.false_alarms, photo.allowed), (1, 1, 1, 1));
        assert_eq!((photo.recall, photo.precision), (Rate::new(1, 2), Rate::new(1, 2)));
        assert_eq!(photo.false_alarm_rate, Rate::new(1, 2), "rows 3 and 4 must not have it");
        let duplicate = &counts[3];
        assert_eq!((duplicate.allowed, duplicate.recall.of, duplicate.precision.of), (1, 0, 0));
        assert_eq!(counts[1].false_alarm_rate, Rate::new(1, 5));
    }

    #[test]
    fn verdicts_count_as_by_hand() {
        let confusion = verdicts(&five());
        // Expected: reject, reject, accept, accept, retake (and reject, by the allowed reason).
        assert_eq!(confusion.counts["reject"], BTreeMap::from([("reject", 1), ("review", 1)]));
        assert_eq!(confusion.counts["accept"], BTreeMap::from([("reject", 1), ("accept", 1)]));
        assert_eq!(confusion.counts["retake"], BTreeMap::from([("reject", 1)]));
        assert_eq!(confusion.right, Rate::new(2, 5));
        assert_eq!(confusion.right_or_allowed, Rate::new(3, 5));
    }

    #[test]
    fn honest_rows_need_no_reason_and_an_innocent_pattern() {
        let mut cases = five();
        let counts = honest(&cases);
        assert_eq!((counts.false_alarms, counts.wrong_verdicts), (Rate::new(1, 2), Rate::new(1, 2)));
        assert_eq!(counts.reasons["photo_of_photo"], Rate::new(1, 2));
        cases[2].truth.pattern = Some(Pattern::BackgroundReused);
        assert_eq!(honest(&cases).false_alarms, Rate::new(0, 1), "a reused background is no honest row");
        assert_eq!(honest(&[]).false_alarms, Rate::new(0, 0));
    }

    #[test]
    fn patterns_count_as_by_hand() {
        let mut cases = five();
        cases[0].truth.pattern = Some(Pattern::PhoneMember);
        cases[1].truth.pattern = Some(Pattern::PhoneMember);
        cases[2].truth.pattern = Some(Pattern::Honest);
        let counts = patterns(&cases);
        assert_eq!(counts.iter().map(|c| c.pattern).collect::<Vec<_>>(), ["honest", "phone_member"]);
        assert_eq!((counts[0].recall, counts[0].exact), (Rate::new(1, 1), Rate::new(0, 1)));
        assert_eq!((counts[1].recall, counts[1].exact), (Rate::new(1, 2), Rate::new(1, 2)));
        assert_eq!(counts[1].missing, BTreeMap::from([("photo_of_photo", 1)]));
        assert_eq!(counts[1].beyond, BTreeMap::from([("worker_absent", 1)]));
    }
}
