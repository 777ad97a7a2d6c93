//! 1:1 verification on labelled pairs of pictures.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::evaluate::metrics::{self, Comparison, Mean};
use crate::evaluate::{central, labels, see};
use crate::infer::template::similarity;
use crate::infer::{Engine, Template};
use crate::report::Progress;
use crate::{Error, Result};

/// The result, ready for JSON or for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerificationReport {
    /// Network and weights of the templates.
    pub model: String,
    /// Pictures named.
    pub pictures: usize,
    /// Failures to enrol: pictures without a face, and their paths.
    pub failed_to_enrol: Vec<String>,
    /// Comparisons made.
    pub comparisons: usize,
    /// Accuracy over the folds.
    pub accuracy: Mean,
    /// False non-match rate where one impostor in a hundred passes, and the threshold.
    pub fnmr_at_fmr_1e2: Option<(f64, f32)>,
    /// False non-match rate where one impostor in a thousand passes, and the threshold.
    pub fnmr_at_fmr_1e3: Option<(f64, f32)>,
    /// Equal error rate.
    pub equal_error_rate: Option<f64>,
    /// Similarity of mated pairs.
    pub mated: Mean,
    /// Similarity of impostor pairs.
    pub impostor: Mean,
}

/// Compares the pairs of a CSV file with the columns `fold, path_a, path_b, same`.
///
/// The face nearest to the middle of each picture is taken. A pair with a picture in which no face is found counts as a comparison of score -1: it is neither dropped nor
/// helped.
///
/// # Errors
/// [`Error::Input`] when the label file or a picture cannot be read.
pub fn verification(engine: &Engine, pairs: &Path, images: &Path, progress: Progress) -> Result<VerificationReport> {
    let rows = labels::read(pairs, &["fold", "path_a", "path_b", "same"])?;
    let uses = rows.iter().flat_map(|row| [row[1].clone(), row[2].clone()]);
    let (paths, places) = labels::unique(images, uses);
    let stage = progress.stage("see", "pictures", paths.len() as u64, 0);
    let seen = see(engine, &paths, &stage)?;
    drop(stage);
    let templates: Vec<Option<&Template>> = seen
        .iter()
        .map(|s| s.as_ref().ok().and_then(central).and_then(|f| f.reading.as_ref()).map(|r| &r.template))
        .collect();
    let mut comparisons = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        let fold = row[0].trim().parse().map_err(|_| {
            Error::input(
                pairs,
                format!("line {}, fold", number + 2),
                "a whole number",
                format!("'{}'", row[0]),
                "correct the label file",
            )
        })?;
        let mated =
            labels::flag(pairs, number, &row[3], &["1", "true", "yes", "same"], &["0", "false", "no", "different"])?;
        let score = match (templates[places[2 * number]], templates[places[2 * number + 1]]) {
            (Some(a), Some(b)) => similarity(a, b),
            _ => -1.0,
        };
        comparisons.push(Comparison { fold, score, mated });
    }
    let failed = paths.iter().zip(&templates).filter(|(_, t)| t.is_none()).map(|(p, _)| p.display().to_string());
    Ok(summarise(engine.embedder_id().to_owned(), paths.len(), failed.collect(), &comparisons))
}

fn summarise(
    model: String,
    pictures: usize,
    failed_to_enrol: Vec<String>,
    comparisons: &[Comparison],
) -> VerificationReport {
    let scores = |mated: bool| -> Vec<f32> {
        metrics::sorted(comparisons.iter().filter(|c| c.mated == mated).map(|c| c.score).collect())
    };
    let (mated, impostor) = (scores(true), scores(false));
    let spread = |scores: &[f32]| metrics::mean(&scores.iter().map(|&s| s as f64).collect::<Vec<_>>());
    VerificationReport {
        model,
        pictures,
        failed_to_enrol,
        comparisons: comparisons.len(),
        accuracy: metrics::mean(&metrics::fold_accuracies(comparisons)),
        fnmr_at_fmr_1e2: metrics::fnmr_at_fmr(&mated, &impostor, 1e-2),
        fnmr_at_fmr_1e3: metrics::fnmr_at_fmr(&mated, &impostor, 1e-3),
        equal_error_rate: metrics::equal_error_rate(&mated, &impostor),
        mated: spread(&mated),
        impostor: spread(&impostor),
    }
}

impl fmt::Display for VerificationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model                {}", self.model)?;
        writeln!(f, "pictures             {}, failures to enrol: {}", self.pictures, self.failed_to_enrol.len())?;
        writeln!(f, "comparisons          {}", self.comparisons)?;
        writeln!(f, "accuracy             {:.4} +- {:.4} (cross-validated)", self.accuracy.mean, self.accuracy.error)?;
        for (name, value) in [("1e-2", self.fnmr_at_fmr_1e2), ("1e-3", self.fnmr_at_fmr_1e3)] {
            if let Some((fnmr, threshold)) = value {
                writeln!(f, "FNMR at FMR {name}     {fnmr:.4} (TAR {:.4}, threshold {threshold:.4})", 1.0 - fnmr)?;
            }
        }
        if let Some(eer) = self.equal_error_rate {
            writeln!(f, "equal error rate     {eer:.4}")?;
        }
        writeln!(f, "mated similarity     {:.3}, deviation {:.3}", self.mated.mean, self.mated.deviation)?;
        write!(f, "impostor similarity  {:.3}, deviation {:.3}", self.impostor.mean, self.impostor.deviation)
    }
}
