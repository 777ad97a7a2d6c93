//! The most probable parameters of Poisson counts, and how sure they are.
//!
//! Fisher scoring with Levenberg's damping: the counts' expectation is a function of a dozen parameters, each with a
//! normal belief; the step solves `(J' W J + beliefs + damping) step = gradient` with `W = 1 / expectation`, and the
//! matrix without damping at the top is the inverse of the parameters' covariance (Laplace's approximation).

/// What is believed of a parameter before the data: a normal distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Belief {
    /// Its centre.
    pub mean: f64,
    /// Its standard deviation, > 0.
    pub deviation: f64,
}

/// Steps from a start; a few dozen are the rule.
const STEPS: usize = 200;

/// Expectations are never less: an unexpected count costs much, not everything.
const LEAST: f64 = 1e-9;

/// Where the climb ended.
#[derive(Debug, Clone)]
pub(super) struct Top {
    /// The parameters.
    pub at: Vec<f64>,
    /// Covariance of the parameters, row by row.
    pub covariance: Vec<f64>,
}

/// Log-likelihood of Poisson counts, up to what depends on the counts alone.
pub(super) fn log_likelihood(counts: &[f64], expected: &[f64]) -> f64 {
    counts.iter().zip(expected).map(|(n, e)| n * e.max(LEAST).ln() - e.max(LEAST)).sum()
}

/// Climbs from `start` to the nearest top. `None` where nothing finite is found.
pub(super) fn climb(
    counts: &[f64],
    expected: &dyn Fn(&[f64]) -> Vec<f64>,
    beliefs: &[Belief],
    start: Vec<f64>,
) -> Option<Top> {
    let height = |at: &[f64]| -> f64 {
        let fit = log_likelihood(counts, &expected(at));
        let off: f64 = at.iter().zip(beliefs).map(|(x, b)| 0.5 * ((x - b.mean) / b.deviation).powi(2)).sum();
        fit - off
    };
    let n = start.len();
    let mut at = start;
    let mut here = height(&at);
    let mut damping = 1e-3;
    let mut information = Vec::new();
    for _ in 0..STEPS {
        let (gradient, matrix) = slopes(counts, expected, beliefs, &at);
        information = matrix;
        let mut moved = None;
        for _ in 0..12 {
            let mut damped = information.clone();
            (0..n).for_each(|i| damped[i * n + i] *= 1.0 + damping);
            let step = cholesky(&damped, n).map(|lower| solve(&lower, &gradient));
            let there: Vec<f64> = step.iter().flatten().zip(&at).map(|(d, x)| x + d).collect();
            let value = if there.len() == n { height(&there) } else { f64::NAN };
            if value > here {
                moved = Some((there, value));
                damping = (damping * 0.2).max(1e-9);
                break;
            }
            damping *= 6.0;
        }
        let Some((there, value)) = moved else { break };
        let gained = value - here;
        (at, here) = (there, value);
        if gained < 1e-7 {
            break;
        }
    }
    let lower = cholesky(&information, n)?;
    let mut covariance = vec![0.0; n * n];
    for column in 0..n {
        let unit: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i == column))).collect();
        solve(&lower, &unit).into_iter().enumerate().for_each(|(row, v)| covariance[row * n + column] = v);
    }
    here.is_finite().then_some(Top { at, covariance })
}

/// Gradient of the height, and Fisher information with the beliefs', row by row.
fn slopes(
    counts: &[f64],
    expected: &dyn Fn(&[f64]) -> Vec<f64>,
    beliefs: &[Belief],
    at: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    const STEP: f64 = 1e-5;
    let n = at.len();
    let here = expected(at);
    let slope = |i: usize| -> Vec<f64> {
        let moved = |by: f64| {
            let mut there = at.to_vec();
            there[i] += by;
            expected(&there)
        };
        moved(STEP).iter().zip(moved(-STEP)).map(|(up, down)| (up - down) / (2.0 * STEP)).collect()
    };
    let jacobian: Vec<Vec<f64>> = (0..n).map(slope).collect();
    let gradient = (0..n)
        .map(|i| {
            let data: f64 = (0..counts.len()).map(|k| (counts[k] / here[k].max(LEAST) - 1.0) * jacobian[i][k]).sum();
            data - (at[i] - beliefs[i].mean) / beliefs[i].deviation.powi(2)
        })
        .collect();
    let mut information = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..counts.len()).map(|k| jacobian[i][k] * jacobian[j][k] / here[k].max(LEAST)).sum();
            information[i * n + j] = sum;
            information[j * n + i] = sum;
        }
        information[i * n + i] += beliefs[i].deviation.powi(-2);
    }
    (gradient, information)
}

/// Lower triangle whose square is the matrix; `None` where the matrix is not positive definite.
pub(super) fn cholesky(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut lower = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let inner: f64 = (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum();
            let left = matrix[i * n + j] - inner;
            if i == j {
                if left.is_nan() || left <= 0.0 {
                    return None;
                }
                lower[i * n + i] = left.sqrt();
            } else {
                lower[i * n + j] = left / lower[j * n + j];
            }
        }
    }
    Some(lower)
}

/// Solves `lower lower' x = b`.
fn solve(lower: &[f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut x = b.to_vec();
    for i in 0..n {
        let inner: f64 = (0..i).map(|k| lower[i * n + k] * x[k]).sum();
        x[i] = (x[i] - inner) / lower[i * n + i];
    }
    for i in (0..n).rev() {
        let inner: f64 = (i + 1..n).map(|k| lower[k * n + i] * x[k]).sum();
        x[i] = (x[i] - inner) / lower[i * n + i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_and_a_slope_are_found_with_their_variance() {
        // Expectation e^(a + b k): the top is where the data say, the covariance the inverse of the information.
        let expected = |p: &[f64]| (0..20).map(|k| (p[0] + p[1] * k as f64 / 10.0).exp()).collect::<Vec<f64>>();
        let counts = expected(&[3.0, -0.7]);
        let loose = Belief { mean: 0.0, deviation: 1e3 };
        let top = climb(&counts, &expected, &[loose, loose], vec![0.0, 0.0]).unwrap();
        assert!((top.at[0] - 3.0).abs() < 1e-4 && (top.at[1] + 0.7).abs() < 1e-4, "{:?}", top.at);
        let (i00, i01, i11) = counts.iter().enumerate().fold((0.0, 0.0, 0.0), |(a, b, c), (k, n)| {
            let x = k as f64 / 10.0;
            (a + n, b + n * x, c + n * x * x)
        });
        let det = i00 * i11 - i01 * i01;
        assert!((top.covariance[0] / (i11 / det) - 1.0).abs() < 1e-3);
        assert!((top.covariance[1] / (-i01 / det) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_firm_belief_holds_against_the_counts() {
        let expected = |p: &[f64]| vec![p[0].exp()];
        let firm = Belief { mean: 1.0, deviation: 1e-4 };
        let top = climb(&[100.0], &expected, &[firm], vec![1.0]).unwrap();
        assert!((top.at[0] - 1.0).abs() < 1e-3 && (top.covariance[0].sqrt() / 1e-4 - 1.0).abs() < 1e-2);
    }

    #[test]
    fn what_is_not_positive_has_no_root() {
        assert!(cholesky(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert_eq!(cholesky(&[4.0, 2.0, 2.0, 5.0], 2).unwrap(), [2.0, 0.0, 1.0, 2.0]);
    }
}
