//! The closing summary of an audit: counts per verdict and reason.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reason::{Reason, Verdict};
use crate::verdict::VerdictRow;

/// Counts of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Rows of the dump, and so of the verdict table.
    pub rows: u64,
    /// Rows per verdict.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Rows per reason; a row may have several.
    pub reasons: BTreeMap<Reason, u64>,
    /// Pairs above the review threshold.
    pub pairs: u64,
    /// Persons with two or more memberships.
    pub clusters: u64,
    /// Of those, persons enrolled in more than one district.
    pub cross_district_clusters: u64,
    /// What is wrong with whole columns, in sentences: they stand before the counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Sentences after the counts. What they say stands in `run.json` in numbers.
    #[serde(skip)]
    pub notes: Vec<String>,
    /// Why the run, which is whole otherwise, has no page.
    #[serde(skip)]
    pub no_page: Option<String>,
}

impl Summary {
    /// Counts rows.
    pub fn count(&mut self, rows: &[VerdictRow]) {
        for row in rows {
            self.rows += 1;
            *self.verdicts.entry(row.verdict).or_default() += 1;
            for &reason in &row.reasons {
                *self.reasons.entry(reason).or_default() += 1;
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))?;
        writeln!(f, "{} submissions", self.rows)?;
        let share = |count: u64| 100.0 * count as f64 / self.rows.max(1) as f64;
        for verdict in Verdict::ALL {
            let count = self.verdicts.get(&verdict).copied().unwrap_or(0);
            writeln!(f, "  {:<12} {count:>9}  {:>5.1} %", verdict.code(), share(count))?;
        }
        if !self.reasons.is_empty() {
            writeln!(f, "reasons (a submission may have several)")?;
        }
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|&(reason, &count)| (std::cmp::Reverse(count), *reason));
        for (reason, &count) in reasons {
            writeln!(f, "  {:<24} {count:>9}  {:>5.1} %", reason.code(), share(count))?;
        }
        write!(
            f,
            "{} pairs, {} persons with two or more memberships, {} of them across districts",
            self.pairs, self.clusters, self.cross_district_clusters
        )?;
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_night_divides_by_nothing() {
        let text = Summary::default().to_string();
        assert!(text.starts_with("0 submissions"), "{text}");
        assert!(text.contains("0.0 %"));
    }
}
