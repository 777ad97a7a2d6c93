//! How often chance makes two people as alike as this: the curve of a look-up, and what it rests on.

use serde::Serialize;

use crate::Result;
use crate::gallery::Gallery;
use crate::infer::ModelId;
use crate::matching::strata::quality_stratum;
use crate::matching::{Basis, ImpostorReport, Impostors, prior};
use crate::pairs::{self, KeptCurve};

/// False-match rates for one network.
#[derive(Debug)]
pub struct Curve {
    impostors: Impostors,
    prior: prior::Prior,
    measured_down_to: f64,
    gallery_size: u64,
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
    /// The curve that the store's last night was judged with; else fitted on members known to differ; else the curve that
    /// ships for the network, where they are too few.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when a stored row is damaged.
    pub fn of(model: &ModelId, members: &Gallery, kept: Option<&KeptCurve>) -> Result<Curve> {
        let (prior, live) = (prior::of(model), members.live() as u64);
        Ok(match kept {
            Some(kept) => Curve {
                impostors: kept.impostors(model),
                prior,
                measured_down_to: kept.measured_down_to,
                gallery_size: kept.gallery_size.max(live),
            },
            None => {
                let impostors = Impostors::new(model, &pairs::of_members(members)?);
                let report = impostors.pooled().report();
                let measured_down_to = match report.basis {
                    Basis::Fitted => 1.0 / report.scores.max(1) as f64,
                    Basis::Prior | Basis::Kept => 1.0 / prior::PAIRS,
                };
                Curve { impostors, prior, measured_down_to, gallery_size: live }
            }
        })
    }

    /// Members of the gallery for all pairs of which expected false matches are stated.
    pub fn gallery_size(&self) -> u64 {
        self.gallery_size
    }

    /// What happens by chance at a similarity of two faces of these qualities.
    pub fn at(&self, similarity: f32, qualities: [f32; 2]) -> Chance {
        let model = self.impostors.of(quality_stratum(qualities[0], qualities[1]));
        let rate = model.fmr(similarity);
        Chance {
            false_match_rate: rate,
            false_match_rate_upper: model.fmr_upper(similarity),
            extrapolated: rate < self.measured_down_to,
        }
    }

    /// Share of pairs of one person that are less similar (FNMR), as measured for the network.
    pub fn missed(&self, similarity: f32) -> f64 {
        self.prior.fnmr(similarity)
    }

    /// How many times as likely faces so alike are when they are one person's than when they are two people's: the ratio of
    /// the two densities of similarities, each over the same short stretch around it.
    pub fn likelihood_ratio(&self, similarity: f32, qualities: [f32; 2]) -> f64 {
        const STRETCH: f32 = 0.02;
        // What neither reaches counts as one pair in so many; and faces less alike than not at all are two people's.
        const LEAST_MATES: f64 = 1e-5;
        const LEAST_STRANGERS: f64 = 1e-12;
        let model = self.impostors.of(quality_stratum(qualities[0], qualities[1]));
        let similarity = similarity.max(0.0);
        let (low, high) = (similarity - STRETCH, (similarity + STRETCH).min(1.0));
        let mates = self.prior.fnmr(high) - self.prior.fnmr(low);
        let strangers = model.fmr(low) - model.fmr(high);
        mates.max(LEAST_MATES) / strangers.max(LEAST_STRANGERS)
    }

    /// Share of pairs of one person that are at least as similar, as measured for the network.
    pub fn found(&self, similarity: f32) -> f64 {
        1.0 - self.missed(similarity)
    }

    /// What it rests on.
    pub fn report(&self) -> CurveReport {
        let impostors = self.impostors.pooled().report().clone();
        CurveReport { source: impostors.source(), measured_down_to: self.measured_down_to, impostors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_speaks_for_two_people_below_and_for_one_above() {
        for network in ["sface", "mobilefacenet192", "sface+mobilefacenet192"] {
            let curve = Curve::of(&ModelId(network.into()), &Gallery::empty(), None).unwrap();
            let ratio = |similarity: f32| curve.likelihood_ratio(similarity, [1.0; 2]);
            for low in [-1.0, -0.5, 0.0, 0.1] {
                assert!(ratio(low) < 0.5, "{network} at {low}: {}", ratio(low));
            }
            for high in [0.75, 0.9, 1.0] {
                assert!(ratio(high) >= 1e6, "{network} at {high}: {}", ratio(high));
            }
        }
    }
}
