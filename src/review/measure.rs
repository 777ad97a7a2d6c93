//! How well reviewers answer: against known pairs, and against each other.
//!
//! Error rates are stated on the known pairs with Wilson's 95 % intervals; an answer "not sure" is no error and is counted
//! by itself. Agreement is stated on the pairs that two people answered without seeing each other's answer, as Cohen's
//! kappa (J. Cohen, "A coefficient of agreement for nominal scales", 1960) over the three answers, with its large-sample
//! standard error `sqrt(p (1 - p) / (n (1 - e)^2))`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::decisions::{Answer, Entry, Event, Judgement, Ledger, Why};
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
}

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
    Measured {
        pairs: settled.len(),
        disputed: settled.iter().filter(|s| s.disputed).count(),
        seen_twice,
        reviewers: names.into_iter().map(|name| reviewer(ledger, name)).collect(),
        agreement: tables.into_iter().map(|((a, b), table)| agreement(a, b, table)).collect(),
    }
}

fn reviewer(ledger: &Ledger, name: &str) -> Reviewer {
    let own = |entry: &&Entry| entry.reviewer == name;
    let decided: Vec<&Judgement> = ledger.entries().iter().filter(own).filter_map(judgement).collect();
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
    let decisions = answers.iter().sum();
    let mut looked: Vec<u64> = decided.iter().filter_map(|j| j.looked_ms).collect();
    looked.sort_unstable();
    Reviewer {
        name: name.to_owned(),
        decisions,
        answers,
        changed: decided.len() - decisions - known.len(),
        median_seconds: looked.get(looked.len() / 2).map(|&ms| ms as f64 / 1000.0),
        called_different: share(&[Answer::Same], Answer::Different),
        called_same: share(&[Answer::Different], Answer::Same),
        not_sure: share(&[Answer::Same, Answer::Different], Answer::NotSure),
    }
}

fn judgement(entry: &Entry) -> Option<&Judgement> {
    match &entry.event {
        Event::Decide(judgement) => Some(judgement),
        Event::Undo { .. } => None,
    }
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
        }
        writeln!(f, "\n{} pairs answered by two people, blind", self.seen_twice)?;
        for a in &self.agreement {
            let kappa = match (a.kappa, a.kappa_interval) {
                (Some(kappa), Some([low, high])) => format!("Cohen's kappa {kappa:.2} [{low:.2}, {high:.2}]"),
                _ => "no kappa: both always say the same one thing".to_owned(),
            };
            writeln!(f, "  {} and {}: agree on {}; {kappa}", a.a, a.b, a.agree)?;
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
