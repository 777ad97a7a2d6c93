//! Batch-norms folded into the linear layer beside them, once, at load.
//!
//! At inference a batch-norm is an affine map per channel, `y = s x + t` with `s = weight / sqrt(var + eps)` and
//! `t = bias - s mean` (Ioffe and Szegedy, 2015, algorithm 2). After a convolution it scales the convolution's rows and
//! moves its bias, exactly. In front of one it scales the columns; that is exact only without zero padding, which the
//! map would turn into something else, so it is offered for fully connected layers alone.

use crate::Result;
use crate::nn::weights::WeightMap;
use crate::ops::Parameters;

/// PyTorch's default, for files that do not state theirs.
const DEFAULT_EPS: f32 = 1e-5;

/// `s x + t` per channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    /// The batch-norm `NAME.weight`, `.bias`, `.running_mean`, `.running_var` and, where stated, `.eps`.
    ///
    /// # Errors
    /// When one is missing or does not have `channels` values.
    pub fn batch_norm(weights: &WeightMap, name: &str, channels: usize) -> Result<Self> {
        let part = |part: &str| weights.vector(&format!("{name}.{part}"), channels);
        let (gamma, beta, mean, var) = (part("weight")?, part("bias")?, part("running_mean")?, part("running_var")?);
        let eps_name = format!("{name}.eps");
        let eps = if weights.has(&eps_name) { weights.vector(&eps_name, 1)?[0] } else { DEFAULT_EPS };
        if let Some(value) = var.iter().find(|&&v| v + eps <= 0.0) {
            let item = format!("{name}.running_var");
            return Err(weights.refuse(&item, "variances above zero", value.to_string()));
        }
        let scale: Vec<f64> =
            gamma.iter().zip(var).map(|(&g, &v)| f64::from(g) / (f64::from(v) + f64::from(eps)).sqrt()).collect();
        let shift = beta.iter().zip(mean).zip(&scale).map(|((&b, &m), s)| f64::from(b) - s * f64::from(m)).collect();
        Ok(Affine { scale, shift })
    }

    /// Factors and terms, for a map that stays an operation of its own.
    pub fn factors(&self) -> (Vec<f32>, Vec<f32>) {
        let floats = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
        (floats(&self.scale), floats(&self.shift))
    }
}

/// A linear layer: `cout` rows of weights and a bias each.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// `(cout, whatever one output is summed over)`.
    pub weight: Vec<f32>,
    /// `cout` values.
    pub bias: Vec<f32>,
}

impl Linear {
    /// The same as a convolution takes them.
    pub fn parameters(&self) -> Parameters<'_> {
        Parameters { weight: &self.weight, bias: &self.bias }
    }

    /// `affine(linear(x))` as one layer.
    #[must_use]
    pub fn then(mut self, after: &Affine) -> Self {
        let row = self.weight.len() / self.bias.len();
        let rows = self.weight.chunks_exact_mut(row).zip(&mut self.bias);
        for ((weights, bias), (&scale, &shift)) in rows.zip(after.scale.iter().zip(&after.shift)) {
            weights.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
            *bias = (f64::from(*bias) * scale + shift) as f32;
        }
        self
    }

    /// `linear(affine(x))` as one layer, for a layer over whole feature maps flattened channel by channel: each channel
    /// of `before` covers `area` neighbouring columns.
    #[must_use]
    pub fn after(mut self, before: &Affine, area: usize) -> Self {
        let row = before.scale.len() * area;
        for (weights, bias) in self.weight.chunks_exact_mut(row).zip(&mut self.bias) {
            let mut moved = f64::from(*bias);
            for (columns, (&scale, &shift)) in
                weights.chunks_exact_mut(area).zip(before.scale.iter().zip(&before.shift))
            {
                for w in columns {
                    moved += f64::from(*w) * shift;
                    *w = (f64::from(*w) * scale) as f32;
                }
            }
            *bias = moved as f32;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(layer: &Linear, x: &[f64]) -> Vec<f64> {
        let rows = layer.weight.chunks_exact(x.len()).zip(&layer.bias);
        rows.map(|(w, &b)| w.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum::<f64>() + f64::from(b)).collect()
    }

    #[test]
    fn folding_changes_nothing_but_the_number_of_layers() {
        let layer = Linear { weight: (0..24).map(|i| (i as f32 * 0.37).sin()).collect(), bias: vec![0.5, -1.0] };
        let before = Affine { scale: vec![2.0, -0.5, 1.5], shift: vec![0.1, 3.0, -2.0] };
        let after = Affine { scale: vec![0.25, -4.0], shift: vec![7.0, 0.0] };
        let x: Vec<f64> = (0..12).map(|i| (f64::from(i) * 1.1).cos()).collect();
        let mapped: Vec<f64> =
            x.iter().enumerate().map(|(i, x)| x * before.scale[i / 4] + before.shift[i / 4]).collect();
        let plain = apply(&layer, &mapped);
        let expected: Vec<f64> = (0..2).map(|o| plain[o] * after.scale[o] + after.shift[o]).collect();
        let folded = apply(&layer.after(&before, 4).then(&after), &x);
        for (a, b) in folded.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-5, "{folded:?} {expected:?}");
        }
    }
}
