//! Scores of compared pairs, counted in bins: what tails and mixtures are fitted to.

use super::cleared::Cleared;

/// Most bins.
const MOST_BINS: f64 = 512.0;

/// Scores in bins of equal width, each of which may stand for another number of pairs compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counts {
    /// Cosine at which the first bin begins.
    pub start: f64,
    /// Width of a bin, cosine.
    pub width: f64,
    /// Scores in each bin.
    pub weights: Vec<f64>,
    /// Pairs that would have counted, had they been as similar.
    pub pairs: Vec<f64>,
    /// Bins of everybody's pairs; those after them are of cleared pairs.
    pub main: usize,
    /// The bin of everybody's in which the first of cleared pairs lies.
    cleared_from: usize,
}

/// Every score at or above `floor` of so many pairs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub floor: f64,
    pub pairs: f64,
    pub scores: &'a [f32],
}

impl Counts {
    /// From sets of pairs, lowest floor first: a bin is counted in the last set that shows all of it.
    pub(super) fn new(seen: &[Seen], width: f64) -> Self {
        let start = seen.first().map_or(0.0, |s| s.floor);
        let top = seen.iter().flat_map(|s| s.scores).fold(start, |top, &s| top.max(f64::from(s)));
        let width = width.max((top - start) / MOST_BINS);
        let bins = (((top - start) / width).floor() as usize + 1).max(8);
        let (weights, pairs) = (vec![0.0; bins], vec![0.0; bins]);
        let mut counts = Counts { start, width, weights, pairs, main: bins, cleared_from: bins };
        for set in seen {
            let from = (((set.floor - start) / width - 1e-6).ceil().max(0.0) as usize).min(bins);
            counts.weights[from..].fill(0.0);
            counts.pairs[from..].fill(set.pairs);
            for &score in set.scores {
                let bin = ((f64::from(score) - start) / width).floor();
                if bin >= from as f64 {
                    counts.weights[(bin as usize).min(bins - 1)] += 1.0;
                }
            }
        }
        counts
    }

    /// With pairs among which mates are rare ([`super::cleared`]), in bins of their own.
    pub(super) fn with_cleared(mut self, cleared: &Cleared, floor: f64) -> Self {
        let place = |s: f64| ((s - self.start) / self.width).max(0.0);
        let (from, to) = (place(floor).ceil() as usize, place(f64::from(cleared.below)).floor() as usize);
        let (from, to) = (from.min(self.main), to.min(self.main));
        if to <= from {
            return self;
        }
        let mut weights = vec![0.0; to - from];
        for &score in &cleared.scores {
            let bin = place(f64::from(score)) as usize;
            if (from..to).contains(&bin) {
                weights[bin - from] += 1.0;
            }
        }
        self.cleared_from = from;
        self.pairs.extend(vec![cleared.pairs; weights.len()]);
        self.weights.extend(weights);
        self
    }

    /// The bin of everybody's in which a bin lies.
    pub(super) fn place(&self, k: usize) -> usize {
        if k < self.main { k } else { self.cleared_from + k - self.main }
    }

    /// The bin of a score.
    pub(super) fn bin(&self, score: f32) -> usize {
        (((f64::from(score) - self.start) / self.width).max(0.0) as usize).min(self.main - 1)
    }

    pub(super) fn total(&self) -> f64 {
        self.weights.iter().sum()
    }

    pub(super) fn middle(&self, k: usize) -> f64 {
        self.start + (self.place(k) as f64 + 0.5) * self.width
    }
}

/// Probability that a score is of two different people, of how many of them and of mates are expected beside it.
pub(super) fn stranger_share(strangers: f64, mates: f64) -> f64 {
    if mates <= 0.0 { 1.0 } else { strangers / (strangers + mates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_counts_in_the_last_set_that_shows_all_of_it() {
        let sample = Seen { floor: 0.3, pairs: 100.0, scores: &[0.305, 0.315, 0.325, 0.335] };
        let search = Seen { floor: 0.317, pairs: 900.0, scores: &[0.3175, 0.326, 0.334, 0.339] };
        let counts = Counts::new(&[sample, search], 0.01);
        assert_eq!(counts.weights[..5], [1.0, 1.0, 1.0, 2.0, 0.0]);
        assert_eq!(counts.pairs[..5], [100.0, 100.0, 900.0, 900.0, 900.0]);
        assert_eq!((counts.bin(0.329), counts.bin(0.2), counts.bin(1.0)), (2, 0, counts.weights.len() - 1));
    }
}
