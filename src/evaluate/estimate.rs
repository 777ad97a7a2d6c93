//! A rate and its interval by Poisson bootstrap over people: what one person does is not independent, so people are drawn
//! and not pictures.

use std::fmt;

use rayon::prelude::*;
use serde::Serialize;

use crate::matching::random::poisson_weight;

/// Resamples of the bootstrap.
const RESAMPLES: u64 = 1000;

/// A rate, or a ratio of two, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The rate.
    pub rate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The weight of a person in a resample.
pub(super) type Weight<'a> = &'a dyn Fn(usize) -> f64;

/// A statistic of `subjects` people with its bootstrap interval (percentiles); `None` where it is none on the sample
/// itself. Resamples in which it is none, for lack of cases, are left out. Where no resample differs, the rule of three.
pub(super) fn estimate(subjects: usize, statistic: impl Fn(Weight) -> Option<f64> + Sync) -> Option<Estimate> {
    estimate_of(subjects, subjects, statistic)
}

/// As [`estimate`], where `independent` cases bound what a rate of 0 or 1 can promise.
pub(super) fn estimate_of(
    subjects: usize,
    independent: usize,
    statistic: impl Fn(Weight) -> Option<f64> + Sync,
) -> Option<Estimate> {
    let rate = statistic(&|_| 1.0)?;
    let [mut low, mut high] = interval(subjects, statistic).unwrap_or([rate; 2]);
    if low == high {
        // Nothing varied, as when none of n errs: the rule of three (Hanley and Lippman-Hand, JAMA 1983).
        let reach = 3.0 / independent.max(1) as f64;
        (low, high) = ((rate - reach).max(0.0), (rate + reach).min(1.0));
    }
    Some(Estimate { rate, low, high })
}

/// The 2.5th and 97.5th percentile of a statistic over the resamples in which it is one; `None` where there are none.
pub(super) fn interval(subjects: usize, statistic: impl Fn(Weight) -> Option<f64> + Sync) -> Option<[f64; 2]> {
    let mut resampled: Vec<f64> = (0..RESAMPLES)
        .into_par_iter()
        .filter_map(|resample| {
            let weights: Vec<f64> = (0..subjects).map(|subject| poisson_weight(subject as u64, resample)).collect();
            statistic(&|subject| weights[subject])
        })
        .collect();
    resampled.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        let place = (share * resampled.len().saturating_sub(1) as f64).round() as usize;
        resampled.get(place).copied()
    };
    Some([quantile(0.025)?, quantile(0.975)?])
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} ({:.4} to {:.4})", self.rate, self.low, self.high)
    }
}
