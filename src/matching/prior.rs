//! The false-match rate at a similarity, from a measured table.

use crate::infer::ModelId;

/// False-match rate (ISO/IEC 19795-1) as a function of similarity: log-linear between measured points, continued beyond
/// the last with its last slope.
#[derive(Debug, Clone, PartialEq)]
pub struct FalseMatchRate {
    /// Similarity and log10 of the false-match rate at it; similarities ascending, rates descending.
    points: &'static [(f32, f64)],
}

impl FalseMatchRate {
    /// Provisional.
    pub fn of(_model: &ModelId) -> Self {
        FalseMatchRate { points: &[(0.0, -0.1), (0.3, -2.0), (0.45, -4.2), (0.6, -7.0)] }
    }

    /// The rate at a similarity.
    pub fn at(&self, similarity: f32) -> f64 {
        let after = self.points.partition_point(|p| p.0 <= similarity).clamp(1, self.points.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.points[after - 1], self.points[after]);
        10f64.powf(y0 + (y1 - y0) * f64::from(similarity - x0) / f64::from(x1 - x0)).min(1.0)
    }
}
