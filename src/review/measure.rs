//! How well reviewers answer, against known pairs and rows and against each other; and how often the run was right about the
//! rows that they looked at.
//!
//! Error rates are stated on the known pairs with Wilson's 95 % intervals; an answer "not sure" is no error and is counted
//! by itself. Agreement is stated on the pairs that two people answered without seeing each other's answer, as Cohen's
//! kappa (J. Cohen, "A coefficient of agreement for nominal scales", 1960) over the three answers, with its large-sample
//! standard error `sqrt(p (1 - p) / (n (1 - e)^2))`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::decisions::{Answer, Entry, Judgement, KnownAnswers, Ledger, Question, RowAnswer, Why};
use crate::statistics::wilson;

/// So many of so many, with a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// Hits.
    pub count: usize,
    /// Trials.
    pub of: usize,
    /// From and to; all of 0..=1 where nothing was tried.
    pub interval: [f64; 2],
}

/// One reviewer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reviewer {
    /// The reviewer's name.
    pub name: String,
    /// Decisions that stand, about pairs of the queue.
    pub decisions: usize,
    /// Of these: same, different, not sure.
    pub answers: [usize; 3],
    /// Decisions taken back or replaced.
    pub changed: usize,
    /// Median time on the screen, seconds.
    pub median_seconds: Option<f64>,
    /// Known to be the same person, and called different: such an answer clears a duplicate.
    pub called_different: Share,
    /// Known to be different people, and called the same: such an answer accuses somebody.
    pub called_same: Share,
    /// Known pairs left open.
    pub not_sure: Share,
    /// Decisions that stand, about rows: upheld, overturned, to be taken again, passed on.
    pub rows: [usize; 4],
    /// Known rows that were upheld or overturned wrongly.
    pub known_rows_wrong: Share,
    /// Whether the reviewer is stopped, for too many wrong answers.
    pub stopped: Option<KnownAnswers>,
}

/// How often the run was right about rows that it held something against.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowPrecision {
    /// What the rows were asked about; rows with reasons of several questions tell nothing of one of them.
    pub question: Question,
    /// Rows with an answer that stands.
    pub rows: usize,
    /// Rows that are to be taken again, and say neither.
    pub retake: usize,
    /// Upheld, of those upheld or overturned: the run's precision.
    pub upheld: Share,
}

/// How often rows below a limit of liveness were pictures of pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitPrecision {
    /// The limit on the lower liveness of worker and member.
    pub below: f32,
    /// Upheld, of those upheld or overturned.
    pub upheld: Share,
}

/// Two reviewers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Name of the first reviewer.
    pub a: String,
    /// The other.
    pub b: String,
    /// Pairs that both answered blind.
    pub pairs: usize,
    /// Answers of `a` (rows) and `b` (columns): same, different, not sure.
    pub table: [[usize; 3]; 3],
    /// Share on which they agree.
    pub agree: Share,
    /// Cohen's kappa; `None` where chance alone would give full agreement, or nothing was asked.
    pub kappa: Option<f64>,
    /// Its 95 % interval.
    pub kappa_interval: Option<[f64; 2]>,
}

/// What a log says of its reviewers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Pairs of the queue that were decided.
    pub pairs: usize,
    /// Of these, by people who do not agree.
    pub disputed: usize,
    /// Pairs that two people answered blind.
    pub seen_twice: usize,
    /// By name.
    pub reviewers: Vec<Reviewer>,
    /// By names.
    pub agreement: Vec<Agreement>,
    /// How often the run was right, by what rows were asked about.
    pub precision: Vec<RowPrecision>,
    /// The same for liveness, at each limit.
    pub liveness: Vec<LimitPrecision>,
    /// The highest limit of `[liveness] reject_below` at which the interval of the precision begins at
    /// [`TRUSTED`] or above; `None` where too few rows were looked at, or none is that good.
    pub suggested_reject_below: Option<f32>,
}

/// Least precision, at the lower end of its interval, of a limit below which rows are rejected without a look.
pub const TRUSTED: f64 = 0.9;

/// Limits of liveness that are judged.
const LIMITS: [f32; 9] = [0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8];

/// Measures the reviewers of a log.
pub fn measure(ledger: &Ledger) -> Measured {
    let names: BTreeSet<&str> = ledger.entries().iter().map(|entry| entry.reviewer.as_str()).collect();
    let settled: Vec<_> = ledger.pairs().iter().filter_map(|pair| ledger.settled(pair)).collect();
    let mut tables: BTreeMap<(String, String), [[usize; 3]; 3]> = BTreeMap::new();
    let mut seen_twice = 0;
    for pair in ledger.pairs() {
        let blind: Vec<(&str, Answer)> = ledger
            .answers(pair)
            .into_iter()
            .filter(|(_, judgement)| judgement.why == Why::Second)
            .map(|(who, judgement)| (who, judgement.answer))
            .collect();
        seen_twice += usize::from(blind.len() > 1);
        for (at, (a, said)) in blind.iter().enumerate() {
            for (b, answered) in &blind[at + 1..] {
                let table = tables.entry(((*a).to_owned(), (*b).to_owned())).or_default();
                table[*said as usize][*answered as usize] += 1;
            }
        }
    }
    let rows = judged_rows(ledger);
    let liveness: Vec<LimitPrecision> = LIMITS
        .iter()
        .map(|&below| {
            let is_below =
                |row: &&JudgedRow| row.question == Question::Liveness && row.liveness.is_some_and(|l| l < below);
            LimitPrecision { below, upheld: upheld(rows.iter().filter(is_below)) }
        })
        .collect();
    let is_trusted = |limit: &&LimitPrecision| limit.upheld.of > 0 && limit.upheld.interval[0] >= TRUSTED;
    Measured {
        suggested_reject_below: liveness.iter().rev().find(is_trusted).map(|limit| limit.below),
        liveness,
        precision: Question::OF_ROWS.into_iter().filter_map(|question| precision(&rows, question)).collect(),
        pairs: settled.len(),
        disputed: settled.iter().filter(|s| s.disputed).count(),
        seen_twice,
        reviewers: names.into_iter().map(|name| reviewer(ledger, name)).collect(),
        agreement: tables.into_iter().map(|((a, b), table)| agreement(a, b, table)).collect(),
    }
}

fn reviewer(ledger: &Ledger, name: &str) -> Reviewer {
    let own = |entry: &&Entry| entry.reviewer == name;
    let decided: Vec<&Judgement> = ledger.entries().iter().filter(own).filter_map(|entry| entry.event.pair()).collect();
    let mut answers = [0; 3];
    let mut known: Vec<(Answer, Answer)> = Vec::new();
    for pair in ledger.pairs() {
        if let Some(judgement) = ledger.answers(pair).get(name) {
            answers[judgement.answer as usize] += 1;
        }
        if let Some((judgement, truth)) = ledger.seeded(pair).get(name).and_then(|j| Some((j, j.truth?))) {
            known.push((truth, judgement.answer));
        }
    }
    let share = |truth: &[Answer], said: Answer| {
        let asked: Vec<_> = known.iter().filter(|(t, _)| truth.contains(t)).collect();
        Share::new(asked.iter().filter(|(_, answer)| *answer == said).count(), asked.len())
    };
    let mut rows = [0; 4];
    let mut known_rows = Vec::new();
    for row in ledger.rows() {
        if let Some((_, judgement)) = ledger.row_answers(row).get(name) {
            rows[judgement.answer as usize] += 1;
        }
        let known = ledger.seeded_row(row).get(name).and_then(|judgement| Some((judgement.answer, judgement.truth?)));
        known_rows.extend(known.filter(|(said, _)| matches!(said, RowAnswer::Uphold | RowAnswer::Overturn)));
    }
    let wrong = known_rows.iter().filter(|(said, truth)| said != truth).count();
    let decisions = answers.iter().sum();
    let mut looked: Vec<u64> = decided.iter().filter_map(|j| j.looked_ms).collect();
    looked.sort_unstable();
    Reviewer {
        name: name.to_owned(),
        decisions,
        answers,
        // What a stopped reviewer said does not stand, and was not changed.
        changed: decided.len().saturating_sub(decisions + known.len()) * usize::from(ledger.stopped(name).is_none()),
        median_seconds: looked.get(looked.len() / 2).map(|&ms| ms as f64 / 1000.0),
        called_different: share(&[Answer::Same], Answer::Different),
        called_same: share(&[Answer::Different], Answer::Same),
        not_sure: share(&[Answer::Same, Answer::Different], Answer::NotSure),
        rows,
        known_rows_wrong: Share::new(wrong, known_rows.len()),
        stopped: ledger.stopped(name),
    }
}

/// A row about which something stands, asked about one thing.
struct JudgedRow {
    question: Question,
    answer: RowAnswer,
    liveness: Option<f32>,
}

fn judged_rows(ledger: &Ledger) -> Vec<JudgedRow> {
    let judged = ledger.rows().iter().filter_map(|key| {
        let settled = ledger.settled_row(key)?;
        let mut questions = settled.reasons.iter().map(|&reason| Question::about(reason));
        let question = questions.next()?;
        if questions.any(|other| other != question) {
            return None;
        }
        let liveness = ledger.row_answers(key).values().find_map(|(_, judgement)| judgement.liveness);
        Some(JudgedRow { question, answer: settled.answer?, liveness })
    });
    judged.collect()
}

fn upheld<'a>(rows: impl Iterator<Item = &'a JudgedRow>) -> Share {
    let answers: Vec<RowAnswer> = rows.map(|row| row.answer).filter(|answer| *answer != RowAnswer::Retake).collect();
    Share::new(answers.iter().filter(|answer| **answer == RowAnswer::Uphold).count(), answers.len())
}

fn precision(rows: &[JudgedRow], question: Question) -> Option<RowPrecision> {
    let own = || rows.iter().filter(move |row| row.question == question);
    let retake = own().filter(|row| row.answer == RowAnswer::Retake).count();
    let count = own().count();
    (count > 0).then(|| RowPrecision { question, rows: count, retake, upheld: upheld(own()) })
}

fn agreement(a: String, b: String, table: [[usize; 3]; 3]) -> Agreement {
    let pairs: usize = table.iter().flatten().sum();
    let n = pairs as f64;
    let same: usize = (0..3).map(|k| table[k][k]).sum();
    let row = |k: usize| table[k].iter().sum::<usize>() as f64 / n;
    let column = |k: usize| table.iter().map(|r| r[k]).sum::<usize>() as f64 / n;
    let (observed, expected) = (same as f64 / n, (0..3).map(|k| row(k) * column(k)).sum::<f64>());
    let usable = pairs > 0 && expected < 1.0;
    let kappa = usable.then(|| (observed - expected) / (1.0 - expected));
    let error = (observed * (1.0 - observed) / (n * (1.0 - expected).powi(2))).sqrt();
    let ends = |kappa: f64| [(kappa - 1.96 * error).max(-1.0), (kappa + 1.96 * error).min(1.0)];
    Agreement { a, b, pairs, table, agree: Share::new(same, pairs), kappa, kappa_interval: kappa.map(ends) }
}

impl Share {
    fn new(count: usize, of: usize) -> Self {
        Share { count, of, interval: wilson(count as u64, of as u64) }
    }
}

impl fmt::Display for Share {
    /// As `2 of 40, 5.0 % [1.4, 16.5]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of == 0 {
            return f.write_str("none asked");
        }
        let [low, high] = self.interval.map(|end| 100.0 * end);
        let rate = 100.0 * self.count as f64 / self.of as f64;
        write!(f, "{} of {}, {rate:.1} % [{low:.1}, {high:.1}]", self.count, self.of)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} pairs decided, {} of them disputed", self.pairs, self.disputed)?;
        for r in &self.reviewers {
            let [same, different, not_sure] = r.answers;
            writeln!(
                f,
                "\n{}: {} decisions ({same} same, {different} different, {not_sure} not sure)",
                r.name, r.decisions
            )?;
            if let Some(seconds) = r.median_seconds {
                writeln!(f, "  median time {seconds:.1} s, {} taken back or replaced", r.changed)?;
            }
            writeln!(f, "  known to be the same, called different: {}", r.called_different)?;
            writeln!(f, "  known to be different, called the same: {}", r.called_same)?;
            writeln!(f, "  known pairs left open: {}", r.not_sure)?;
            let [upheld, overturned, retake, passed] = r.rows;
            if r.rows.iter().sum::<usize>() + r.known_rows_wrong.of > 0 {
                writeln!(
                    f,
                    "  rows: {upheld} upheld, {overturned} overturned, {retake} to be taken again, {passed} passed on"
                )?;
                writeln!(f, "  known rows answered wrongly: {}", r.known_rows_wrong)?;
            }
            if let Some(KnownAnswers { wrong, asked }) = r.stopped {
                writeln!(
                    f,
                    "  STOPPED: {wrong} of {asked} known answers were wrong; what was said counts for nothing until somebody looks"
                )?;
            }
        }
        writeln!(f, "\n{} pairs answered by two people, blind", self.seen_twice)?;
        for a in &self.agreement {
            let kappa = match (a.kappa, a.kappa_interval) {
                (Some(kappa), Some([low, high])) => format!("Cohen's kappa {kappa:.2} [{low:.2}, {high:.2}]"),
                _ => "no kappa: both always say the same one thing".to_owned(),
            };
            writeln!(f, "  {} and {}: agree on {}; {kappa}", a.a, a.b, a.agree)?;
        }
        if !self.precision.is_empty() {
            writeln!(f, "\nHow often the run was right about the rows that were looked at:")?;
        }
        for RowPrecision { question, rows, retake, upheld } in &self.precision {
            writeln!(f, "  {}: {upheld} upheld; {rows} rows, {retake} to be taken again", question.code())?;
        }
        for limit in self.liveness.iter().filter(|limit| limit.upheld.of > 0) {
            writeln!(f, "    liveness below {}: {} upheld", limit.below, limit.upheld)?;
        }
        if let Some(limit) = self.suggested_reject_below {
            let least = 100.0 * TRUSTED;
            writeln!(f, "  at liveness.reject_below = {limit} at least {least:.0} % of the rejects would be right")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kappa_is_the_published_one() {
        // J. Cohen's formula on the textbook table of 50 proposals (20, 5, 10, 15): kappa 0.4.
        let a = agreement("a".into(), "b".into(), [[20, 5, 0], [10, 15, 0], [0, 0, 0]]);
        assert!((a.kappa.unwrap() - 0.4).abs() < 1e-12);
        // sqrt(0.7 * 0.3 / (50 * 0.25)) = 0.12961
        let [low, high] = a.kappa_interval.unwrap();
        assert!((low - (0.4 - 1.96 * 0.129_614_8)).abs() < 1e-6 && (high - (0.4 + 1.96 * 0.129_614_8)).abs() < 1e-6);
        assert_eq!(a.agree, Share::new(35, 50));
        assert_eq!(agreement("a".into(), "b".into(), [[9, 0, 0], [0; 3], [0; 3]]).kappa, None);
        assert_eq!(agreement("a".into(), "b".into(), [[0; 3]; 3]).kappa, None);
        let full = agreement("a".into(), "b".into(), [[5, 0, 0], [0, 5, 0], [0; 3]]);
        assert_eq!((full.kappa, full.kappa_interval), (Some(1.0), Some([1.0, 1.0])));
    }
}
