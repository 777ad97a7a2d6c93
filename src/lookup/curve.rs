//! How often chance makes two people as alike as this: the curve of a look-up, and what it rests on.

use serde::Serialize;

use crate::Result;
use crate::gallery::Gallery;
use crate::infer::ModelId;
use crate::matching::strata::quality_stratum;
use crate::matching::{Basis, ImpostorReport, Impostors, prior};
use crate::pairs;

/// False-match rates for one network.
#[derive(Debug)]
pub struct Curve {
    impostors: Impostors,
    prior: prior::Prior,
}

/// What a curve rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurveReport {
    /// In words.
    pub source: String,
    /// The least rate at which pairs were counted; below it the curve is extrapolated.
    pub measured_down_to: f64,
    /// The fit.
    pub impostors: ImpostorReport,
}

/// The rate at one similarity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Chance {
    /// Share of pairs of different people at least this similar (FMR, ISO/IEC 19795-1).
    pub false_match_rate: f64,
    /// Upper bound of it, one-sided 95 %.
    pub false_match_rate_upper: f64,
    /// Whether no pair of different people as similar was among those measured.
    pub extrapolated: bool,
}

impl Curve {
    /// Fitted on members known to differ; the curve that ships for the network where they are too few.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when a stored row is damaged.
    pub fn of(model: &ModelId, members: &Gallery) -> Result<Curve> {
        Ok(Curve { impostors: Impostors::new(model, &pairs::of_members(members)?), prior: prior::of(model) })
    }

    /// What happens by chance at a similarity of two faces of these qualities.
    pub fn at(&self, similarity: f32, qualities: [f32; 2]) -> Chance {
        let model = self.impostors.of(quality_stratum(qualities[0], qualities[1]));
        let rate = model.fmr(similarity);
        Chance {
            false_match_rate: rate,
            false_match_rate_upper: model.fmr_upper(similarity),
            extrapolated: rate < self.measured_down_to(),
        }
    }

    /// Share of pairs of one person that are less similar (FNMR), as measured for the network.
    pub fn missed(&self, similarity: f32) -> f64 {
        self.prior.fnmr(similarity)
    }

    fn measured_down_to(&self) -> f64 {
        let report = self.impostors.pooled().report();
        match report.basis {
            Basis::Fitted => 1.0 / report.scores.max(1) as f64,
            Basis::Prior => 1.0 / prior::PAIRS,
        }
    }

    /// What it rests on.
    pub fn report(&self) -> CurveReport {
        let impostors = self.impostors.pooled().report().clone();
        CurveReport { source: impostors.source(), measured_down_to: self.measured_down_to(), impostors }
    }
}
