//! How well detectors do on a drive, judged by people: precision and recall from a sample in which rows that were flagged
//! and rows that were not both have a known chance of being asked.
//!
//! Which members were flagged is known of all, so strata are parted by it (a random sample of a stratum is one of each part).
//! Precision is the share of true ones in the flagged parts, which [`super::betting`] bounds over strata and at every time of
//! looking. Recall follows from it and from the same share in the other parts, each bounded at half the doubt. Units of which nobody said what is true are
//! left out: these intervals hold if those are like the others.

use serde::{Deserialize, Serialize};

use super::betting::{Bets, Draw, Population, StratumDraws};

/// What people say of the units of a stratum that were asked about, all of them flagged or none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JudgedStratum {
    /// Members of the stratum.
    pub population: u64,
    /// Whether the detector flagged them.
    pub is_flagged: bool,
    /// In the order of drawing; `None` where nobody said what is true.
    pub truths: Vec<Option<bool>>,
}

impl JudgedStratum {
    /// For how many members each answer stands.
    fn weight(&self) -> f64 {
        self.population as f64 / self.truths.iter().flatten().count().max(1) as f64
    }

    fn trues(&self) -> f64 {
        self.truths.iter().flatten().filter(|&&truth| truth).count() as f64
    }
}

/// A rate with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Units that it rests on.
    pub units: u64,
    /// With every unit's weight; none where nothing was judged.
    pub estimate: Option<f64>,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What a detector is worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Share of the flagged that are true.
    pub precision: Rate,
    /// Share of the true that are flagged.
    pub recall: Rate,
}

/// Precision and recall, each with an interval at this confidence.
pub fn rates(strata: &[JudgedStratum], confidence: f64) -> Rates {
    let (precision, recall) = estimates(strata);
    let alpha = (1.0 - confidence) / 2.0;
    let judged = |is: &dyn Fn(bool, bool) -> bool| {
        let counts = |s: &JudgedStratum| s.truths.iter().flatten().filter(|&&truth| is(s.is_flagged, truth)).count();
        strata.iter().map(counts).sum::<usize>() as u64
    };
    let (flagged, trues) = (judged(&|is_flagged, _| is_flagged), judged(&|_, truth| truth));
    let rate = |units: u64, estimate, bound: &dyn Fn(bool) -> f64| match units {
        0 => Rate { units, estimate: None, low: 0.0, high: 1.0 },
        _ => Rate { units, estimate, low: bound(true), high: 1.0 - bound(false) },
    };
    Rates {
        precision: rate(flagged, precision, &|hits| bound(strata, true, hits, alpha)),
        recall: rate(trues, recall, &|hits| recall_bound(strata, hits, alpha)),
    }
}

/// Precision and recall without intervals; none where nothing was judged.
fn estimates(strata: &[JudgedStratum]) -> (Option<f64>, Option<f64>) {
    let mass = |is_flagged: bool| -> f64 {
        strata.iter().filter(|s| s.is_flagged == is_flagged).map(|s| s.weight() * s.trues()).sum()
    };
    let answered = strata.iter().filter(|s| s.is_flagged && s.truths.iter().flatten().next().is_some());
    let flagged: f64 = answered.map(|s| s.population as f64).sum();
    let (hit, missed) = (mass(true), mass(false));
    ((flagged > 0.0).then(|| hit / flagged), (hit + missed > 0.0).then(|| hit / (hit + missed)))
}

/// The lower bound of the share of true ones among the flagged or the others; of those that are not true for `truth` false.
fn bound(strata: &[JudgedStratum], is_flagged: bool, truth: bool, alpha: f64) -> f64 {
    let part = |s: &JudgedStratum| StratumDraws {
        population: s.population,
        draws: s.truths.iter().flatten().map(|&said| Draw::plain(if said == truth { 1.0 } else { 0.0 })).collect(),
    };
    let parts: Vec<StratumDraws> = strata.iter().filter(|s| s.is_flagged == is_flagged).map(part).collect();
    let bets = match (is_flagged, truth) {
        (true, _) => Bets::Any,
        (false, true) => Bets::Rare,
        (false, false) => Bets::Common,
    };
    Population::new(&parts, bets).lower_bound(alpha)
}

/// The lower bound of recall, or of its complement.
fn recall_bound(strata: &[JudgedStratum], hits: bool, alpha: f64) -> f64 {
    let members = |is_flagged: bool| -> f64 {
        strata.iter().filter(|s| s.is_flagged == is_flagged).map(|s| s.population as f64).sum()
    };
    let least = members(hits) * bound(strata, hits, true, alpha / 2.0);
    let most = members(!hits) * (1.0 - bound(strata, !hits, false, alpha / 2.0));
    if least + most > 0.0 { least / (least + most) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assurance::random::Stream;

    #[test]
    fn rates_of_a_known_detector_lie_in_their_intervals() {
        // One in ten is true; 80 % of those are flagged, and 5 % of the others: precision 0.64. Every flagged row is asked with
        // 1 in 4, others with 1 in 20.
        let mut missed = 0;
        for drive in 0..30 {
            let mut stream = Stream::new(&drive.to_string(), "detector");
            let mut strata = [false, true].map(|is_flagged| JudgedStratum { is_flagged, ..JudgedStratum::default() });
            for _ in 0..12_000 {
                let truth = stream.unit() < 0.1;
                let is_flagged = stream.unit() < if truth { 0.8 } else { 0.05 };
                let stratum = &mut strata[usize::from(is_flagged)];
                stratum.population += 1;
                if stream.unit() < if is_flagged { 0.25 } else { 0.05 } {
                    stratum.truths.push(Some(truth));
                }
            }
            let found = rates(&strata, 0.95);
            let (precision, recall) = (0.08 / 0.125, 0.8);
            let is_in = |rate: Rate, truth: f64| rate.low <= truth && truth <= rate.high && rate.high - rate.low < 0.45;
            missed += usize::from(!is_in(found.precision, precision) || !is_in(found.recall, recall));
            assert!((found.precision.estimate.unwrap() - precision).abs() < 0.12, "{found:?}");
        }
        assert!(missed <= 3, "{missed}");
        let none = rates(&[JudgedStratum { population: 5, ..JudgedStratum::default() }], 0.95);
        assert_eq!((none.recall.low, none.recall.high, none.recall.estimate), (0.0, 1.0, None));
    }
}
