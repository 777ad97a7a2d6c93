//! How much an HNSW search missed: a sample of its probes, fixed by a seed, is searched exactly as well.
//!
//! The share of true pairs that HNSW lacks is stated with its 95 % Wilson score interval (Wilson, 1927). Where the
//! sample has no true pair the share is 0 and the interval 0 to 1: nothing is known, and it says so.

use std::collections::HashSet;

use rayon::prelude::*;
use serde::Serialize;

use crate::Result;
use crate::gallery::exact;
use crate::gallery::processor::Processor;
use crate::gallery::query::{Filter, Hit, Pair, Probe, Want};
use crate::gallery::view::Gallery;
use crate::infer::{ModelId, Template};
use crate::statistics::wilson;

/// What an HNSW search missed of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Certificate {
    /// Probes searched exactly as well.
    pub probes: usize,
    /// Pairs that exact search found for them.
    pub true_pairs: usize,
    /// Those of them that HNSW did not find.
    pub missed: usize,
    /// `missed / true_pairs`; 0 without pairs.
    pub missed_share: f64,
    /// 95 % Wilson score interval of the share; 0 to 1 without pairs.
    pub interval: [f64; 2],
}

impl Certificate {
    fn new(probes: usize, true_pairs: usize, missed: usize) -> Certificate {
        let missed_share = if true_pairs == 0 { 0.0 } else { missed as f64 / true_pairs as f64 };
        Certificate { probes, true_pairs, missed, missed_share, interval: wilson(missed as u64, true_pairs as u64) }
    }
}

/// Searches a fixed sample of the probes exactly and counts what `hits` lacks.
///
/// # Errors
/// As [`exact::search`].
pub fn certify(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    want: Want,
    hits: &[Hit],
    sample: usize,
    processor: impl Into<Processor>,
) -> Result<Certificate> {
    let chosen = spread_sample(probes.len(), sample);
    let checked: Vec<Probe<'_>> = chosen.iter().map(|&at| probes[at]).collect();
    let truth = exact::search(gallery, &checked, want, processor)?;
    let found: HashSet<(u32, u32)> = hits.iter().map(|hit| (hit.probe, hit.row)).collect();
    let missed = truth.iter().filter(|hit| !found.contains(&(chosen[hit.probe as usize] as u32, hit.row))).count();
    Ok(Certificate::new(checked.len(), truth.len(), missed))
}

/// As [`certify`], where the gallery's own rows, `rows`, were the probes and each pair was found once, from either end.
///
/// # Errors
/// As [`exact::search`].
pub(super) fn certify_pairs(
    gallery: &Gallery,
    rows: &[u32],
    threshold: f32,
    pairs: &[Pair],
    sample: usize,
    processor: impl Into<Processor>,
) -> Result<Certificate> {
    let chosen: Vec<u32> = spread_sample(rows.len(), sample).into_iter().map(|at| rows[at]).collect();
    let own = own_probes(gallery, &chosen)?;
    let truth = exact::search(gallery, &as_probes(&own), Want::Above(threshold), processor)?;
    let truth: HashSet<(u32, u32)> = truth
        .iter()
        .map(|hit| (chosen[hit.probe as usize], hit.row))
        .filter(|(a, b)| a != b)
        .map(|(a, b)| (a.min(b), a.max(b)))
        .collect();
    let found: HashSet<(u32, u32)> = pairs.iter().map(|pair| (pair.first, pair.second)).collect();
    Ok(Certificate::new(chosen.len(), truth.len(), truth.difference(&found).count()))
}

/// Rows of the gallery as probes for it.
pub(super) fn own_probes<'g>(gallery: &'g Gallery, rows: &[u32]) -> Result<Vec<(&'g ModelId, Template)>> {
    let probe = |&row: &u32| {
        let model = gallery.model(row).ok_or_else(|| crate::Error::bug("searching", format!("no row {row}")))?;
        Ok((model, gallery.template(row)?))
    };
    rows.par_iter().map(probe).collect()
}

pub(super) fn as_probes<'a>(own: &'a [(&ModelId, Template)]) -> Vec<Probe<'a>> {
    own.iter().map(|(model, template)| Probe { template, model, filter: Filter::default() }).collect()
}

/// `sample` of `count` positions, ascending and without repetition: those with the smallest mixed numbers.
fn spread_sample(count: usize, sample: usize) -> Vec<usize> {
    let mixed = |at: usize| {
        (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xd6e8_feb8_6659_fd93)
    };
    let mut all: Vec<usize> = (0..count).collect();
    all.sort_unstable_by_key(|&at| mixed(at));
    all.truncate(sample);
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_fixed_and_has_no_repetition() {
        let sample = spread_sample(1000, 100);
        assert_eq!(sample, spread_sample(1000, 100));
        assert!(sample.windows(2).all(|w| w[0] < w[1]) && sample.len() == 100);
        assert_eq!(spread_sample(5, 100), [0, 1, 2, 3, 4]);
    }
}
