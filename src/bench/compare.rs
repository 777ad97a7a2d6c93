//! Has it become slower? Two reports, cost by cost, each as a ratio with its interval.
//!
//! A cost is processor seconds a selfie times the yardstick of the same run: what the processor could have done in that
//! time. The ratio is that of the geometric means, its 95 % interval Welch's on the logarithms (B. L. Welch,
//! Biometrika 34, 1947). A regression is a ratio beyond the limit whose interval does not reach 1: neither noise nor a
//! real change that is too small to matter fails a build.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::{BenchReport, Run};
use crate::{Error, Result};

/// Two reports compared.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The limit, as a share: 0.1 for 10 %.
    pub fail_above: f64,
    /// What differs between the two reports and makes them hard to compare.
    pub differences: Vec<String>,
    /// Cost by cost.
    pub costs: Vec<Cost>,
}

/// One cost, new by old.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// Which.
    pub name: String,
    /// New by old; above 1 is slower.
    pub ratio: f64,
    /// Its 95 % interval; none when a report has a single run.
    pub interval: Option<[f64; 2]>,
    /// Slower than allowed.
    pub regression: bool,
}

impl Comparison {
    /// Compares a new report with an old one.
    pub fn between(old: &BenchReport, new: &BenchReport, fail_above: f64) -> Self {
        let mut differences = Vec::new();
        let mut differ = |what: &str, a: &str, b: &str| {
            if a != b {
                differences.push(format!("{what}: {a} then, {b} now"));
            }
        };
        differ("processor", &old.machine.cpu, &new.machine.cpu);
        differ("instruction set", &old.machine.isa, &new.machine.isa);
        differ("threads", &old.machine.threads.to_string(), &new.machine.threads.to_string());
        differ("models", &old.models.join(" "), &new.models.join(" "));
        differ("precision", &old.precision, &new.precision);
        differ("selfies", &old.see.selfies.to_string(), &new.see.selfies.to_string());
        differ("faces", &old.see.faces.to_string(), &new.see.faces.to_string());
        let mut costs = vec![cost("see", &old.see.runs, &new.see.runs, fail_above, |run| Some(run.cpu_s))];
        let total: f64 = new.see.stages_cpu_s.iter().map(|stage| stage.1).sum();
        for (name, seconds) in &new.see.stages_cpu_s {
            // A stage that is next to nothing doubles by chance, and nobody would notice.
            if *seconds >= 0.05 * total {
                let of = |run: &Run| run.stages.iter().find(|stage| stage.0 == *name).map(|stage| stage.1);
                costs.push(cost(&format!("see: {name}"), &old.see.runs, &new.see.runs, fail_above, of));
            }
        }
        for (name, old, new) in [
            ("audit", old.audit.as_ref().map(|w| &w.runs), new.audit.as_ref().map(|w| &w.runs)),
            ("search", old.search.as_ref().map(|s| &s.runs), new.search.as_ref().map(|s| &s.runs)),
        ] {
            if let (Some(old), Some(new)) = (old, new) {
                costs.push(cost(name, old, new, fail_above, |run| Some(run.cpu_s)));
            }
        }
        Comparison { fail_above, differences, costs }
    }

    /// Whether nothing has become slower than allowed.
    ///
    /// # Errors
    /// [`Error::Failed`], naming the costs that have.
    pub fn check(&self) -> Result<()> {
        let worse: Vec<String> = self
            .costs
            .iter()
            .filter(|cost| cost.regression)
            .map(|cost| format!("{} costs {:.2} times as much", cost.name, cost.ratio))
            .collect();
        match worse.is_empty() {
            true => Ok(()),
            false => {
                Err(Error::Failed(format!("{}; {:.0} % more is allowed", worse.join(", "), 100.0 * self.fail_above)))
            }
        }
    }
}

/// Reads a report that was kept.
///
/// # Errors
/// [`Error::Input`] when it is not one.
pub fn read(path: &Path) -> Result<BenchReport> {
    let refuse = |found: String| {
        let expected = "a report of `chehra bench --json`, version 1";
        Error::input(path, "benchmark report", expected, found, "keep one with: chehra bench DUMP --json > FILE")
    };
    let text = std::fs::read_to_string(path).map_err(|e| refuse(e.to_string()))?;
    let report: BenchReport = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
    match report.version {
        super::VERSION => Ok(report),
        other => Err(refuse(format!("version {other}"))),
    }
}

fn cost(name: &str, old: &[Run], new: &[Run], limit: f64, of: impl Fn(&Run) -> Option<f64>) -> Cost {
    let logs = |runs: &[Run]| -> Vec<f64> {
        let yardstick = |run: &Run| if run.peak_gmac_s > 0.0 { run.peak_gmac_s } else { 1.0 };
        runs.iter().filter_map(|run| Some((of(run)?.max(1e-9) * yardstick(run)).ln())).collect()
    };
    let (old, new) = (logs(old), logs(new));
    let (log_ratio, half) = welch(&old, &new);
    let ratio = log_ratio.exp();
    let interval = half.map(|half| [(log_ratio - half).exp(), (log_ratio + half).exp()]);
    let certain = interval.is_none_or(|[low, _]| low > 1.0);
    Cost { name: name.to_owned(), ratio, interval, regression: ratio > 1.0 + limit && certain }
}

/// Difference of the means of `b` and `a`, and half its 95 % interval where both have two values or more.
fn welch(a: &[f64], b: &[f64]) -> (f64, Option<f64>) {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
    // Variance of the mean.
    let error = |v: &[f64]| {
        let m = mean(v);
        v.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (v.len() - 1) as f64 / v.len() as f64
    };
    let difference = mean(b) - mean(a);
    if a.len() < 2 || b.len() < 2 {
        return (difference, None);
    }
    let (ea, eb) = (error(a), error(b));
    let total = ea + eb;
    if total <= 0.0 {
        return (difference, Some(0.0));
    }
    let freedom = total * total / (ea * ea / (a.len() - 1) as f64 + eb * eb / (b.len() - 1) as f64);
    (difference, Some(student(freedom) * total.sqrt()))
}

/// Two-sided 95 % quantile of Student's distribution, rounded towards fewer degrees of freedom.
fn student(freedom: f64) -> f64 {
    const TABLE: [(f64, f64); 14] = [
        (1.0, 12.706),
        (2.0, 4.303),
        (3.0, 3.182),
        (4.0, 2.776),
        (5.0, 2.571),
        (6.0, 2.447),
        (7.0, 2.365),
        (8.0, 2.306),
        (9.0, 2.262),
        (10.0, 2.228),
        (15.0, 2.131),
        (20.0, 2.086),
        (30.0, 2.042),
        (60.0, 2.0),
    ];
    TABLE.iter().rev().find(|(from, _)| freedom >= *from).map_or(12.706, |(_, t)| *t)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "not the same: {difference}")?;
        }
        write!(f, "{:<18} {:>9}  95 % interval", "cost, new by old", "ratio")?;
        for Cost { name, ratio, interval, regression } in &self.costs {
            let interval = interval.map_or("one run only".to_owned(), |[low, high]| format!("{low:.3} to {high:.3}"));
            let mark = if *regression { "  SLOWER" } else { "" };
            write!(f, "\n{name:<18} {ratio:>9.3}  {interval}{mark}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(costs: &[f64], peak: f64) -> Vec<Run> {
        costs.iter().map(|&cpu_s| Run { cpu_s, peak_gmac_s: peak, ..Run::default() }).collect()
    }

    fn judge(old: &[Run], new: &[Run]) -> Cost {
        cost("see", old, new, 0.1, |run| Some(run.cpu_s))
    }

    #[test]
    fn a_clear_loss_fails_and_noise_does_not() {
        let old = runs(&[1.00, 1.02, 0.99, 1.01, 1.00], 100.0);
        let slower = judge(&old, &runs(&[1.20, 1.22, 1.19, 1.21, 1.20], 100.0));
        assert!(slower.regression && (slower.ratio - 1.2).abs() < 0.01, "{slower:?}");
        let [low, high] = slower.interval.unwrap();
        assert!(low > 1.15 && high < 1.25, "{slower:?}");
        // Slower, but not by the tenth that is allowed.
        assert!(!judge(&old, &runs(&[1.05, 1.06, 1.05, 1.04, 1.05], 100.0)).regression);
        // Slower on average, by one bad run.
        assert!(!judge(&old, &runs(&[1.00, 1.01, 2.40, 1.00, 0.99], 100.0)).regression);
        assert!(!judge(&old, &runs(&[0.5, 0.51, 0.5, 0.49, 0.5], 100.0)).regression);
    }

    #[test]
    fn a_machine_at_half_its_clock_is_not_a_regression() {
        let old = runs(&[1.00, 1.02, 0.99], 100.0);
        let throttled = judge(&old, &runs(&[2.00, 2.04, 1.98], 50.0));
        assert!(!throttled.regression && (throttled.ratio - 1.0).abs() < 1e-9, "{throttled:?}");
    }

    #[test]
    fn one_run_has_no_interval_and_is_judged_by_its_ratio() {
        let single = judge(&runs(&[1.0], 100.0), &runs(&[1.3], 100.0));
        assert!(single.regression && single.interval.is_none());
    }

    #[test]
    fn the_interval_is_students() {
        // Means 2 and 4, each of variance 1 and three values: standard error sqrt(2/3), four degrees of freedom.
        let (difference, half) = welch(&[1.0, 2.0, 3.0], &[3.0, 4.0, 5.0]);
        assert!((difference - 2.0).abs() < 1e-12);
        assert!((half.unwrap() - 2.776 * (2.0f64 / 3.0).sqrt()).abs() < 1e-9);
    }
}
