//! A tail whose shape changes with depth.
//!
//! A generalised Pareto tail is what exceedances tend to; at any depth that can be observed the best shape is another
//! one, and it moves on steadily: the derivative of the inverse hazard at that depth (the penultimate approximation:
//! Fisher and Tippett 1928; Gomes and de Haan, "Approximation by penultimate extreme value distributions", 1999). From
//! where pairs can be sampled to where one is expected in a gallery of millions lie eight decades, and one shape for all
//! of them would be decided where most scores are and wrong where decisions are made. So the inverse hazard is a line
//! that may bend every few decades; each stretch is generalised Pareto, given the one before.

use super::pareto::log_survival;

/// The inverse hazard is never less, cosine.
const LEAST_SCALE: f64 = 1e-4;

/// A tail in stretches of equal length, each generalised Pareto; the last has no end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Graded {
    /// Where the tail begins, cosine.
    pub start: f64,
    /// Share of scores at or above `start`, 0..=1.
    pub rate: f64,
    /// Inverse hazard at `start`, cosine, > 0.
    pub scale: f64,
    /// Shape of each stretch: by how much the inverse hazard grows with the score.
    pub shapes: Vec<f64>,
    /// Length of a stretch, cosine.
    pub stretch: f64,
}

impl Graded {
    /// Natural logarithm of `P(S >= s)`; minus infinity beyond the end of a negative shape.
    pub(super) fn log_survival(&self, s: f64) -> f64 {
        let mut left = (s - self.start).max(0.0);
        let (mut log, mut scale) = (self.rate.ln(), self.scale);
        for (number, &shape) in self.shapes.iter().enumerate() {
            let last = number + 1 == self.shapes.len();
            let here = if last { left } else { left.min(self.stretch) };
            log += log_survival(here / scale, shape);
            left -= here;
            if left <= 0.0 {
                break;
            }
            scale = (scale + shape * self.stretch).max(LEAST_SCALE);
        }
        log
    }
}

#[cfg(test)]
mod tests {
    use super::super::pareto::Tail;
    use super::*;

    #[test]
    fn with_one_shape_it_is_the_generalised_pareto_tail() {
        let plain = Tail { start: 0.4, rate: 1e-4, scale: 0.022, shape: -0.05 };
        let graded = Graded { start: 0.4, rate: 1e-4, scale: 0.022, shapes: vec![-0.05; 4], stretch: 0.09 };
        for s in [0.4, 0.47, 0.5, 0.6, 0.7, 0.8] {
            assert!((plain.log_survival(s) - graded.log_survival(s)).abs() < 1e-9, "{s}");
        }
        assert_eq!(graded.log_survival(0.95), f64::NEG_INFINITY);
        assert_eq!(graded.log_survival(0.1), 1e-4f64.ln());
    }

    #[test]
    fn each_stretch_goes_on_where_the_one_before_ends() {
        let graded = Graded { start: 0.4, rate: 1e-4, scale: 0.022, shapes: vec![-0.08, -0.02, 0.0], stretch: 0.1 };
        let hazard = |s: f64| (graded.log_survival(s - 1e-6) - graded.log_survival(s + 1e-6)) / 2e-6;
        for end in [0.5, 0.6] {
            assert!((hazard(end - 1e-5) / hazard(end + 1e-5) - 1.0).abs() < 0.01, "{end}");
        }
        assert!((1.0 / hazard(0.4999) - (0.022 - 0.08 * 0.1)).abs() < 1e-4);
    }
}
