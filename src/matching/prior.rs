//! The false-match rate at a similarity, from a measured table.

/// False-match rate (ISO/IEC 19795-1) as a function of similarity: log-linear between measured points, continued beyond
/// the last with its last slope.
#[derive(Debug, Clone, PartialEq)]
pub struct FalseMatchRate {
    /// Similarity and log10 of the false-match rate at it; similarities ascending, rates descending.
    points: &'static [(f32, f64)],
}
