//! A share with its interval.

use std::fmt;

use serde::Serialize;

use crate::statistics::wilson;

/// How many of how many, and the share's 95 % interval (E. B. Wilson, JASA 22, 1927), which takes the trials to be
/// independent. Of nothing there is no share, and the interval is all of 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// Hits.
    pub count: usize,
    /// Trials.
    pub of: usize,
    /// Hits by trials, 0..=1.
    pub rate: Option<f64>,
    /// From and to.
    pub interval: [f64; 2],
}

impl Rate {
    /// The rate of `count` among `of`.
    pub fn new(count: usize, of: usize) -> Self {
        let rate = (of > 0).then(|| count as f64 / of as f64);
        Rate { count, of, rate, interval: wilson(count as u64, of as u64) }
    }

    /// The rate of those cases for which `hit` holds.
    pub fn among<T>(cases: impl IntoIterator<Item = T>, hit: impl Fn(&T) -> bool) -> Self {
        let (mut count, mut of) = (0, 0);
        for case in cases {
            of += 1;
            count += usize::from(hit(&case));
        }
        Rate::new(count, of)
    }
}

impl fmt::Display for Rate {
    /// As `97.50 [95.1, 98.8] 195/200`, in percent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.rate {
            None => "- of none".to_owned(),
            Some(rate) => {
                let [low, high] = self.interval.map(|end| 100.0 * end);
                format!("{:.2} [{low:.1}, {high:.1}] {}/{}", 100.0 * rate, self.count, self.of)
            }
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_its_interval_or_nothing() {
        let half = Rate::new(5, 10);
        assert_eq!(half.rate, Some(0.5));
        // scipy 1.17.1: binomtest(5, 10).proportion_ci(0.95, method="wilson")
        assert!((half.interval[0] - 0.236593).abs() < 1e-6 && (half.interval[1] - 0.763407).abs() < 1e-6);
        assert_eq!(half.to_string(), "50.00 [23.7, 76.3] 5/10");
        assert_eq!(Rate::new(0, 0).to_string(), "- of none");
        assert_eq!(Rate::among([1, 2, 3, 4], |n| n % 2 == 0), Rate::new(2, 4));
    }
}
