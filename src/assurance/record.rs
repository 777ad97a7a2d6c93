//! What is said of a drive: promises and detectors, as they are written, read back and shown.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::detectors::{Rate, Rates};
use super::promise::{Goal, Share};
use crate::replies::Answer;
use crate::{Error, Result};

/// Of which members a promise speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// All accepted members.
    Drive,
    /// Those of a division.
    Division,
    /// Those of a district.
    District,
}

impl Level {
    /// The word in tables.
    pub fn code(self) -> &'static str {
        match self {
            Level::Drive => "drive",
            Level::Division => "division",
            Level::District => "district",
        }
    }
}

/// What may be promised of accepted members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// Of which members it speaks.
    pub level: Level,
    /// The name of the division or district; blank for the drive.
    pub name: String,
    /// The division of a district.
    pub division: String,
    /// Accepted members.
    pub members: u64,
    /// Of these on a list.
    pub drawn: u64,
    /// Calls that came to something, silence included.
    pub calls: u64,
    /// By answer.
    pub answers: BTreeMap<Answer, u64>,
    /// The share that is not real.
    pub share: Share,
}

/// A limit of a score, and what it would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitRow {
    /// The limit.
    pub limit: f64,
    /// Members that it flags, of the whole population.
    pub flagged: u64,
    /// What it would be worth.
    pub rates: Rates,
}

/// What runs promised of a detector by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Promised {
    /// Share of the flagged that are true, at least, by the policy.
    pub precision: Option<f64>,
    /// Share of the pairs of one person that are flagged, by the runs' own curves.
    pub recall: Option<f64>,
}

/// What a detector is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectorRow {
    /// Its name.
    pub detector: String,
    /// Memberships it flags, of the whole population.
    pub flagged: u64,
    /// Memberships of which people said what is true.
    pub judged: u64,
    /// With intervals.
    pub rates: Rates,
    /// What was promised, of duplicates.
    #[serde(default)]
    pub promised: Option<Promised>,
    /// The key of the policy that moves it, if there is one.
    pub policy_key: Option<String>,
    /// What other limits would do.
    pub limits: Vec<LimitRow>,
    /// A limit that finds more and keeps the precision asked for, or finds as much with fewer looks, in a sentence.
    pub suggestion: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assurance {
    /// Version of this record.
    pub version: u32,
    /// SHA-256 of the lists that it rests on.
    pub lists: Vec<String>,
    /// How sure, and of what.
    pub goal: Goal,
    /// Drive, divisions, districts.
    pub promises: Vec<Promise>,
    /// The detectors.
    pub detectors: Vec<DetectorRow>,
    /// Replies that are used.
    pub replies_used: u64,
    /// Replies set aside, by reason.
    pub replies_refused: BTreeMap<String, u64>,
    /// What the promises rest on, in sentences.
    pub assumptions: Vec<String>,
}

impl Assurance {
    /// Reads a record that `chehra assurance --out` wrote.
    ///
    /// # Errors
    /// [`Error::Input`] when it is none.
    pub fn read(path: &Path) -> Result<Assurance> {
        let refuse = |found: String| {
            let fix = "make it with `chehra assurance --out DIR`, and name DIR/assurance.json";
            Error::input(path, "assurance", "a record of `chehra assurance`", found, fix)
        };
        let bytes = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))
    }

    /// Whether a district is all of a division that bears its name.
    fn is_said_by_its_division(&self, district: &Promise) -> bool {
        let is_it = |other: &Promise| {
            other.level == Level::Division && other.name == district.name && other.members == district.members
        };
        district.level == Level::District && district.division == district.name && self.promises.iter().any(is_it)
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.level == Level::Drive { "the drive" } else { &self.name };
        let high = 100.0 * self.share.high;
        if self.calls == 0 {
            return write!(f, "{place}: no calls yet, so nothing is promised (accepted members: {})", self.members);
        }
        write!(
            f,
            "{place}: at most {high:.1} % of {} accepted members are not real, after {} calls",
            self.members, self.calls
        )
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goal = 100.0 * self.goal.at_most;
        writeln!(f, "With {} % confidence, however often one looks:", 100.0 * self.goal.confidence)?;
        for promise in self.promises.iter().filter(|promise| !self.is_said_by_its_division(promise)) {
            let indent = if promise.level == Level::District { "    " } else { "  " };
            let more = match promise.share.more_calls {
                Some(0) => format!("{goal} % is shown"),
                Some(1) => format!("about one more call for {goal} %"),
                Some(more) => format!("about {more} more calls for {goal} %"),
                None => format!("{goal} % will not be shown: more than that is not real, or does not answer"),
            };
            let answers: Vec<String> = promise.answers.iter().map(|(a, n)| format!("{n} {}", a.code())).collect();
            let answers = if answers.is_empty() { String::new() } else { format!(" ({})", answers.join(", ")) };
            writeln!(f, "{indent}{promise}{answers}; {more}")?;
            if promise.share.high_if_silent_are_alike < 0.9 * promise.share.high {
                let alike = 100.0 * promise.share.high_if_silent_are_alike;
                writeln!(f, "{indent}  if those who do not answer were like the others: at most {alike:.1} %")?;
            }
        }
        writeln!(f, "Detectors, judged by calls, visits and reviewers:")?;
        for row in &self.detectors {
            let rate = |rate: &Rate| match rate.estimate {
                Some(found) => format!("{:.0} % ({:.0} to {:.0})", 100.0 * found, 100.0 * rate.low, 100.0 * rate.high),
                None => "not judged".to_owned(),
            };
            let (recall, precision) = (rate(&row.rates.recall), rate(&row.rates.precision));
            writeln!(f, "  {:<15} finds {recall}; right {precision}; flags {}", row.detector, row.flagged)?;
            if let Some(promised) = &row.promised {
                let share = |share: Option<f64>| share.map_or("nothing".to_owned(), |s| format!("{:.0} %", 100.0 * s));
                let (recall, precision) = (share(promised.recall), share(promised.precision));
                writeln!(f, "    promised by the runs: finds {recall} of the pairs; right {precision}")?;
            }
            for limit in row.limits.iter().filter(|limit| limit.rates.recall.units > 0) {
                let (recall, precision) = (rate(&limit.rates.recall), rate(&limit.rates.precision));
                writeln!(f, "    at {:<5} finds {recall}; right {precision}; flags {}", limit.limit, limit.flagged)?;
            }
            if let Some(suggestion) = &row.suggestion {
                writeln!(f, "    {suggestion}")?;
            }
        }
        let refused: u64 = self.replies_refused.values().sum();
        write!(f, "{} replies used, {refused} set aside", self.replies_used)?;
        for (reason, count) in &self.replies_refused {
            write!(f, ", {count} {reason}")?;
        }
        self.assumptions.iter().try_for_each(|text| write!(f, "\n- {text}"))
    }
}
