//! Presentation attack detection on labelled pictures, in the terms of ISO/IEC 30107-3.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::Result;
use crate::config::Policy;
use crate::evaluate::metrics;
use crate::evaluate::{labels, see, tallest};
use crate::infer::Engine;
use crate::report::Progress;
use crate::verdict::rules;

/// The result, ready for JSON or for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LivenessReport {
    /// Network and weights.
    pub model: String,
    /// Bona fide presentations judged.
    pub bona_fide: usize,
    /// Attack presentations judged.
    pub attacks: usize,
    /// Pictures without a face, by path; they are in no rate.
    pub non_responses: Vec<String>,
    /// The threshold of the policy.
    pub threshold: f32,
    /// Share of attacks taken for bona fide at the threshold.
    pub apcer: f64,
    /// Share of bona fide presentations taken for attacks at the threshold.
    pub bpcer: f64,
    /// Equal error rate.
    pub equal_error_rate: Option<f64>,
    /// Area under the ROC curve.
    pub area_under_curve: Option<f64>,
    /// APCER where at most one bona fide presentation in a hundred is refused.
    pub apcer_at_bpcer_1: Option<f64>,
}

/// Judges the tallest face of each picture of a CSV file with the columns `label, path`, as an audit under this policy
/// would.
///
/// # Errors
/// [`crate::Error::Input`] when the label file or a picture cannot be read.
pub fn liveness(
    engine: &Engine,
    label_file: &Path,
    images: &Path,
    policy: &Policy,
    progress: Progress,
) -> Result<LivenessReport> {
    let rows = labels::read(label_file, &["label", "path"])?;
    let yes = ["live", "bona_fide", "bonafide", "real", "1"];
    let no = ["spoof", "attack", "fake", "imposter", "impostor", "print", "replay", "0"];
    let live: Vec<bool> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| labels::flag(label_file, number, &row[0], &yes, &no))
        .collect::<Result<_>>()?;
    let (paths, places) = labels::unique(images, rows.iter().map(|row| row[1].clone()));
    let stage = progress.stage("see", "pictures", paths.len() as u64, 0);
    let seen = see(engine, &paths, &stage)?;
    drop(stage);
    let (mut bona_fide, mut attacks, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    for (&place, &live) in places.iter().zip(&live) {
        let reading = seen[place].as_ref().ok().and_then(tallest).and_then(|f| f.reading.as_ref());
        match reading {
            Some(reading) if live => bona_fide.push(rules::bona_fide(reading, policy)),
            Some(reading) => attacks.push(rules::bona_fide(reading, policy)),
            None => silent.push(paths[place].display().to_string()),
        }
    }
    Ok(summarise(
        engine.liveness_id().to_owned(),
        policy.liveness.min_bona_fide,
        metrics::sorted(bona_fide),
        metrics::sorted(attacks),
        silent,
    ))
}

fn summarise(
    model: String,
    threshold: f32,
    bona_fide: Vec<f32>,
    attacks: Vec<f32>,
    non_responses: Vec<String>,
) -> LivenessReport {
    let share = |list: &[f32], count: usize| count as f64 / list.len().max(1) as f64;
    // The highest threshold that refuses at most one bona fide presentation in a hundred.
    let refused = bona_fide.len() / 100;
    LivenessReport {
        model,
        threshold,
        apcer: share(&attacks, attacks.iter().filter(|&&s| s >= threshold).count()),
        bpcer: share(&bona_fide, bona_fide.iter().filter(|&&s| s < threshold).count()),
        equal_error_rate: metrics::equal_error_rate(&bona_fide, &attacks),
        area_under_curve: metrics::area_under_curve(&bona_fide, &attacks),
        apcer_at_bpcer_1: bona_fide
            .get(refused)
            .map(|&limit| share(&attacks, attacks.iter().filter(|&&s| s >= limit).count())),
        bona_fide: bona_fide.len(),
        attacks: attacks.len(),
        non_responses,
    }
}

impl fmt::Display for LivenessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model                {}", self.model)?;
        writeln!(f, "bona fide, attacks   {}, {}", self.bona_fide, self.attacks)?;
        writeln!(f, "no face found        {}", self.non_responses.len())?;
        writeln!(f, "APCER, BPCER         {:.4}, {:.4} at threshold {}", self.apcer, self.bpcer, self.threshold)?;
        if let (Some(eer), Some(auc)) = (self.equal_error_rate, self.area_under_curve) {
            writeln!(f, "EER, AUC             {eer:.4}, {auc:.4}")?;
        }
        match self.apcer_at_bpcer_1 {
            Some(apcer) => write!(f, "APCER at BPCER 1 %   {apcer:.4}"),
            None => write!(f, "APCER at BPCER 1 %   no bona fide presentations"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_count_as_by_hand() {
        let live = metrics::sorted((1..=100).map(|i| i as f32 / 100.0).collect());
        let report = summarise("m".into(), 0.5, live, vec![0.01, 0.015, 0.3, 0.6], Vec::new());
        assert_eq!(report.apcer, 0.25);
        assert_eq!(report.bpcer, 0.49);
        // One of a hundred may be refused: the threshold is 0.02.
        assert_eq!(report.apcer_at_bpcer_1, Some(0.5));
    }

    #[test]
    fn nothing_judged_divides_by_nothing() {
        let report = summarise("m".into(), 0.5, Vec::new(), Vec::new(), vec!["a.jpg".into()]);
        assert_eq!((report.apcer, report.bpcer, report.apcer_at_bpcer_1), (0.0, 0.0, None));
    }
}
