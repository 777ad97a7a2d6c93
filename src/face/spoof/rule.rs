//! Weighing the marks of a recapture with the network's probability.

use serde::{Deserialize, Serialize};

use super::SpoofEvidence;

/// Probabilities nearer to 0 or 1 than this are taken for this: a network that says "certain" may be wrong.
const EDGE: f32 = 1e-4;

/// A logistic rule: `logit P(bona fide) = bias + network * logit(p) - Σ weight * max(0, mark - usual) / spread`.
///
/// Weights are never negative: a mark speaks against a face or is silent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpoofRule {
    /// The intercept.
    pub bias: f32,
    /// Weight of the network's own logit.
    pub network: f32,
    /// What each mark is in ordinary pictures at most (its 90th percentile); less says nothing.
    pub usual: [f32; SpoofEvidence::COUNT],
    /// The unit of each mark.
    pub spread: [f32; SpoofEvidence::COUNT],
    /// Weight of each mark.
    pub weights: [f32; SpoofEvidence::COUNT],
}

impl SpoofRule {
    /// The network alone.
    pub const FITTED: SpoofRule = SpoofRule {
        bias: 0.0,
        network: 1.0,
        usual: [0.0; SpoofEvidence::COUNT],
        spread: [1.0; SpoofEvidence::COUNT],
        weights: [0.0; SpoofEvidence::COUNT],
    };

    /// The probability of a bona fide presentation from the network's probability and the marks, 0..=1.
    pub fn bona_fide(&self, network: f32, evidence: &SpoofEvidence) -> f32 {
        let p = network.clamp(EDGE, 1.0 - EDGE);
        let mut logit = self.bias + self.network * (p / (1.0 - p)).ln();
        for (mark, value) in evidence.values().into_iter().enumerate() {
            logit -= self.weights[mark] * ((value - self.usual[mark]) / self.spread[mark]).clamp(0.0, 3.0);
        }
        1.0 / (1.0 + (-logit).exp())
    }
}
