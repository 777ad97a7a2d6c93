//! `call_first.parquet`: whom to call first, by strength of evidence, and why.
//!
//! A worker's signs hang together: one room is one point as well. So the smallest of their p-values counts, times how many there
//! are (Bonferroni), which holds whatever hangs together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, StringArray};

use super::words;
use crate::Result;
use crate::verdict::peers::UnitRow;
use crate::verdict::statistics::q_values;
use crate::verdict::write_table;

/// A worker of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedWorker<'a> {
    /// Who.
    pub worker_id: &'a str,
    /// Where most of the submissions are from.
    pub district: Option<&'a str>,
    /// How likely all signs together are among such peers.
    pub p_value: f64,
    /// The same over all workers (Benjamini and Hochberg).
    pub q_value: f64,
    /// Signs with a count, least likely first.
    pub signs: Vec<&'a UnitRow>,
}

impl ListedWorker<'_> {
    /// What the list is sorted by: the negative decimal logarithm of the p-value.
    pub fn score(&self) -> f64 {
        -self.p_value.log10()
    }

    /// Whether any sign stands out.
    pub fn is_flagged(&self) -> bool {
        self.signs.iter().any(|sign| sign.flagged)
    }

    /// Why, in English and in Hindi: the signs that stand out; where none does, the least likely one.
    pub fn words(&self) -> [String; 2] {
        let told = |words: fn(&UnitRow) -> String| {
            let flagged: Vec<String> = self.signs.iter().filter(|sign| sign.flagged).map(|sign| words(sign)).collect();
            let first = self.signs.first().map(|sign| words(sign)).unwrap_or_default();
            if flagged.is_empty() { first } else { flagged.join("; ") }
        };
        [told(words::english), told(words::hindi)]
    }
}

/// All workers with a sign, those with the strongest evidence first. `measured` is what [`super::measure`] gave.
pub fn call_first(measured: &[UnitRow]) -> Vec<ListedWorker<'_>> {
    let mut workers: BTreeMap<&str, Vec<&UnitRow>> = BTreeMap::new();
    for row in measured.iter().filter(|row| row.p_value.is_some()) {
        workers.entry(&row.id).or_default().push(row);
    }
    fn listed<'a>((worker_id, mut signs): (&'a str, Vec<&'a UnitRow>)) -> ListedWorker<'a> {
        let p_value = joined(&signs.iter().map(|sign| p_of(sign)).collect::<Vec<_>>());
        signs.retain(|sign| sign.count > 0);
        signs.sort_by(|a, b| p_of(a).total_cmp(&p_of(b)).then(a.reason.cmp(&b.reason)));
        let district = signs.first().and_then(|sign| sign.district.as_deref());
        ListedWorker { worker_id, district, p_value, q_value: 1.0, signs }
    }
    let mut list: Vec<ListedWorker> = workers.into_iter().map(listed).collect();
    let q = q_values(&list.iter().map(|worker| worker.p_value).collect::<Vec<_>>(), list.len());
    list.iter_mut().zip(q).for_each(|(worker, q)| worker.q_value = q);
    list.retain(|worker| !worker.signs.is_empty());
    list.sort_by(|a, b| a.p_value.total_cmp(&b.p_value).then(a.worker_id.cmp(b.worker_id)));
    list
}

fn p_of(row: &UnitRow) -> f64 {
    row.p_value.unwrap_or(1.0)
}

/// One p-value of several, which may hang together in any way: the smallest, times how many there are.
fn joined(p_values: &[f64]) -> f64 {
    let smallest = p_values.iter().copied().fold(1.0, f64::min);
    (smallest * p_values.len() as f64).min(1.0)
}

/// Writes the table.
///
/// # Errors
/// [`crate::Error::Io`] when the disk refuses.
pub fn write_call_first(path: &Path, list: &[ListedWorker]) -> Result<()> {
    let words: Vec<[String; 2]> = list.iter().map(ListedWorker::words).collect();
    let text = |get: &dyn Fn(&ListedWorker) -> Option<String>| -> ArrayRef {
        Arc::new(list.iter().map(get).collect::<StringArray>())
    };
    let number = |get: &dyn Fn(&ListedWorker) -> f64| -> ArrayRef {
        Arc::new(list.iter().map(|worker| Some(get(worker))).collect::<Float64Array>())
    };
    let in_words = |language: usize| -> ArrayRef {
        Arc::new(words.iter().map(|words| Some(words[language].as_str())).collect::<StringArray>())
    };
    write_table(
        path,
        vec![
            ("place_in_list", Arc::new((1..).take(list.len()).map(Some).collect::<Int32Array>())),
            ("worker_id", text(&|worker| Some(worker.worker_id.to_owned()))),
            ("district", text(&|worker| worker.district.map(str::to_owned))),
            ("score", number(&|worker| worker.score())),
            ("p_value", number(&|worker| worker.p_value)),
            ("q_value", number(&|worker| worker.q_value)),
            ("flagged", Arc::new(list.iter().map(|worker| Some(worker.is_flagged())).collect::<BooleanArray>())),
            ("strongest", text(&|worker| Some(worker.signs.first()?.reason?.code().to_owned()))),
            ("reasons_en", in_words(0)),
            ("reasons_hi", in_words(1)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;
    use crate::verdict::peers::{Peers, Unit};

    fn measured(id: &str, reason: Reason, count: u64, p_value: f64) -> UnitRow {
        UnitRow {
            unit: Unit::Worker,
            id: id.into(),
            district: Some("Ujjain".into()),
            division: None,
            submissions: 20,
            reason: Some(reason),
            count,
            rate: count as f64 / 20.0,
            rate_low: 0.0,
            rate_high: 1.0,
            shrunken_rate: 0.0,
            peers: Some(Peers::All),
            peer_submissions: 400,
            peer_count: 10,
            p_value: Some(p_value),
            q_value: Some(p_value),
            flagged: p_value < 0.01,
        }
    }

    #[test]
    fn the_smallest_p_value_counts_and_signs_that_are_not_shown_take_nothing_away() {
        assert_eq!(joined(&[0.03]), 0.03);
        assert_eq!(joined(&[0.001, 1.0, 1.0, 0.5]), 0.004);
        assert_eq!(joined(&[0.6, 0.7]), 1.0);
        let rows = [measured("A", Reason::SamePlace, 8, 0.02), measured("A", Reason::Burst, 0, 1.0)];
        let other = [measured("B", Reason::SamePlace, 4, 0.3), measured("B", Reason::Burst, 1, 0.4)];
        let all = [rows, other].concat();
        assert_eq!(call_first(&all).iter().map(|worker| worker.worker_id).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn the_strongest_evidence_stands_first_and_says_why() {
        let rows = [
            measured("A", Reason::SamePlace, 3, 0.2),
            measured("B", Reason::SamePlace, 19, 1e-9),
            measured("B", Reason::Burst, 2, 0.3),
            measured("C", Reason::Burst, 0, 1.0),
        ];
        let list = call_first(&rows);
        assert_eq!(list.iter().map(|worker| worker.worker_id).collect::<Vec<_>>(), ["B", "A"]);
        let [english, hindi] = list[0].words();
        assert_eq!(english, "19 of 20 further members from one point (peers: 2.5 %)");
        assert_eq!(hindi, "20 में से 19 सदस्य एक ही जगह से (साथियों में 2.5 %)");
        assert!(list[0].is_flagged() && !list[1].is_flagged());
        assert!(list[1].words()[0].starts_with("3 of 20"), "the likeliest is said where nothing stands out");
        assert!(list[0].score() > 8.0 && list[0].q_value < 1e-8);
    }
}
