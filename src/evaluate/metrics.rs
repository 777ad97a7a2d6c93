//! Error rates from scores, in the terms of ISO/IEC 19795-1 (verification) and ISO/IEC 30107-3 (presentation attacks).

use serde::Serialize;

/// A score is accepted when it is at least the threshold. All rates are shares, 0..=1.
fn share_below(sorted: &[f32], threshold: f32) -> f64 {
    sorted.partition_point(|&s| s < threshold) as f64 / sorted.len().max(1) as f64
}

/// Sorts scores ascending.
pub fn sorted(mut scores: Vec<f32>) -> Vec<f32> {
    scores.sort_by(f32::total_cmp);
    scores
}

/// False non-match rate at a false-match rate: the threshold is the lowest at which at most `fmr` of the impostor
/// scores are accepted. Both lists ascending. Returns `(fnmr, threshold)`, or `None` where a list is empty.
pub fn fnmr_at_fmr(mated: &[f32], impostor: &[f32], fmr: f64) -> Option<(f64, f32)> {
    if mated.is_empty() || impostor.is_empty() {
        return None;
    }
    let accepted = (fmr * impostor.len() as f64).floor() as usize;
    // The first impostor score that must be refused; the threshold stands just above it.
    let refused = impostor[impostor.len() - 1 - accepted.min(impostor.len() - 1)];
    let threshold = match accepted >= impostor.len() {
        true => impostor[0],
        false => refused.next_up(),
    };
    Some((share_below(mated, threshold), threshold))
}

/// Equal error rate: where the share of high scores that are refused equals the share of low scores that are accepted,
/// interpolated between neighbouring thresholds. Both lists ascending.
pub fn equal_error_rate(high: &[f32], low: &[f32]) -> Option<f64> {
    if high.is_empty() || low.is_empty() {
        return None;
    }
    let mut thresholds: Vec<f32> = high.iter().chain(low).copied().collect();
    thresholds.sort_by(f32::total_cmp);
    let rates = |t: f32| (share_below(high, t), 1.0 - share_below(low, t));
    let mut last = rates(f32::NEG_INFINITY);
    for threshold in thresholds.into_iter().map(f32::next_up) {
        let now = rates(threshold);
        if now.0 >= now.1 {
            let (before, after) = (last.1 - last.0, now.0 - now.1);
            let weight = if before + after > 0.0 { before / (before + after) } else { 0.0 };
            return Some(last.0 + weight * (now.0 - last.0));
        }
        last = now;
    }
    Some(last.0.max(last.1))
}

/// Area under the ROC curve: the chance that a high score exceeds a low one, ties counting half (Mann-Whitney).
pub fn area_under_curve(high: &[f32], low: &[f32]) -> Option<f64> {
    if high.is_empty() || low.is_empty() {
        return None;
    }
    let wins: f64 = high
        .iter()
        .map(|&h| {
            let below = low.partition_point(|&l| l < h);
            let ties = low.partition_point(|&l| l <= h) - below;
            below as f64 + 0.5 * ties as f64
        })
        .sum();
    Some(wins / (high.len() as f64 * low.len() as f64))
}

/// Mean and its standard error over folds, or mean and deviation of scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Standard deviation of one value (n - 1).
    pub deviation: f64,
    /// Standard error of the mean.
    pub error: f64,
}

/// Mean, deviation and standard error.
pub fn mean(values: &[f64]) -> Mean {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let deviation = (squares / (n - 1.0).max(1.0)).sqrt();
    Mean { mean, deviation, error: deviation / n.sqrt() }
}

/// One labelled comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Cross-validation fold.
    pub fold: u32,
    /// Similarity of the two templates.
    pub score: f32,
    /// Whether they are of one person.
    pub mated: bool,
}

/// Accuracy by cross-validation: each fold is judged with the threshold that is best on all others (the LFW protocol).
/// Returns the accuracy of each fold.
pub fn fold_accuracies(comparisons: &[Comparison]) -> Vec<f64> {
    let mut folds: Vec<u32> = comparisons.iter().map(|c| c.fold).collect();
    folds.sort_unstable();
    folds.dedup();
    folds
        .iter()
        .map(|&fold| {
            let (test, train): (Vec<_>, Vec<_>) = comparisons.iter().partition(|c| c.fold == fold);
            let threshold = best_threshold(if train.is_empty() { &test } else { &train });
            let right = test.iter().filter(|c| (c.score >= threshold) == c.mated).count();
            right as f64 / test.len() as f64
        })
        .collect()
}

/// The threshold with the fewest wrong decisions, half-way between the scores it separates.
fn best_threshold(comparisons: &[&Comparison]) -> f32 {
    let mut by_score = comparisons.to_vec();
    by_score.sort_by(|a, b| a.score.total_cmp(&b.score));
    // Below every score everything is accepted: the impostors are wrong.
    let mut wrong = by_score.iter().filter(|c| !c.mated).count() as i64;
    let (mut best, mut threshold) = (wrong, f32::NEG_INFINITY);
    for (index, comparison) in by_score.iter().enumerate() {
        wrong += if comparison.mated { 1 } else { -1 };
        let next = by_score.get(index + 1).map_or(f32::INFINITY, |c| c.score);
        if wrong < best && next > comparison.score {
            best = wrong;
            threshold = if next.is_finite() { (comparison.score + next) / 2.0 } else { comparison.score.next_up() };
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separate_scores_have_no_errors() {
        let (high, low) = (vec![0.6, 0.7, 0.9], vec![0.1, 0.2, 0.5]);
        assert_eq!(equal_error_rate(&high, &low), Some(0.0));
        assert_eq!(area_under_curve(&high, &low), Some(1.0));
        assert_eq!(fnmr_at_fmr(&high, &low, 0.0).unwrap().0, 0.0);
    }

    #[test]
    fn overlapping_scores_count_as_by_hand() {
        let (high, low) = (vec![0.3, 0.6, 0.8, 0.9], vec![0.1, 0.2, 0.4, 0.7]);
        // One impostor of four may pass: 0.7 passes, so the threshold lies just above 0.4 and refuses one mate.
        let (fnmr, threshold) = fnmr_at_fmr(&high, &low, 0.25).unwrap();
        assert_eq!(fnmr, 0.25);
        assert!(threshold > 0.4 && threshold < 0.41);
        assert_eq!(fnmr_at_fmr(&high, &low, 0.0).unwrap().0, 0.5);
        assert_eq!(area_under_curve(&high, &low), Some(13.0 / 16.0));
        assert_eq!(equal_error_rate(&high, &low), Some(0.25));
    }

    #[test]
    fn ties_count_half() {
        assert_eq!(area_under_curve(&[0.5], &[0.5]), Some(0.5));
    }

    #[test]
    fn folds_are_judged_by_the_others() {
        let comparison = |fold, score, mated| Comparison { fold, score, mated };
        let comparisons = [
            comparison(0, 0.9, true),
            comparison(0, 0.1, false),
            comparison(1, 0.8, true),
            comparison(1, 0.15, false),
            comparison(2, 0.3, true),
            comparison(2, 0.4, false),
        ];
        assert_eq!(fold_accuracies(&comparisons), [1.0, 1.0, 0.5]);
        let spread = mean(&[1.0, 1.0, 0.5]);
        assert!((spread.mean - 0.8333).abs() < 1e-3 && (spread.error - 0.1667).abs() < 1e-3);
    }

    #[test]
    fn empty_lists_have_no_rates() {
        assert_eq!(equal_error_rate(&[], &[0.1]), None);
        assert_eq!(fnmr_at_fmr(&[0.1], &[], 0.1), None);
    }
}
