//! Do the promises hold? Simulated drives with a known truth, looked at again and again, and how wide the intervals are.
//!
//! Nothing of a real drive is read. Design and intervals are those of `chehra sample` and `chehra assurance`
//! ([`crate::assurance`]); a scenario whose assumption is broken on purpose is named as such, with its assumption.

use std::fmt;

use rayon::prelude::*;
use serde::Serialize;

use crate::assurance::promise::Goal;
use crate::assurance::simulate::{Calling, Scenario, drive};
use crate::report::Progress;

/// How much to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AssurancePlan {
    /// Drives of each scenario.
    pub drives: usize,
    /// Of these, how many give widths.
    pub widths: usize,
    /// Nights of a drive.
    pub nights: usize,
    /// Districts.
    pub districts: usize,
    /// Accepted members of a night.
    pub members: u64,
    /// Calls of a night.
    pub calls: u64,
    /// Looks during each night.
    pub looks: usize,
    /// Confidence of the intervals.
    pub confidence: f64,
}

/// Width after so many calls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Width {
    /// Calls so far.
    pub calls: u64,
    /// Mean of the true share of members that are not real.
    pub truth: f64,
    /// Mean lower end.
    pub low: f64,
    /// Mean upper end.
    pub high: f64,
    /// Mean upper end if the silent were like the others.
    pub high_if_silent_are_alike: f64,
}

/// What a scenario came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScenarioRow {
    /// Its name.
    pub scenario: String,
    /// The assumption that it breaks on purpose.
    pub breaks: Option<String>,
    /// Drives in which the interval held at every look.
    pub held: usize,
    /// Drives in which the truth was above it at some look.
    pub above: usize,
    /// Drives in which the truth was below it at some look.
    pub below: usize,
    /// Looks at each drive.
    pub looks: usize,
    /// By calls.
    pub widths: Vec<Width>,
}

/// The result, ready for JSON or for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AssuranceReport {
    /// What was simulated.
    pub plan: AssurancePlan,
    /// One for each scenario.
    pub scenarios: Vec<ScenarioRow>,
    /// How long it took.
    pub seconds: f64,
}

/// Simulates every scenario.
pub fn assurance(plan: &AssurancePlan, progress: Progress) -> AssuranceReport {
    let begun = std::time::Instant::now();
    let goal = Goal { confidence: plan.confidence, at_most: 0.02 };
    let calling = Calling {
        nights: plan.nights,
        strata: plan.districts,
        members: plan.members,
        calls: plan.calls,
        looks: plan.looks,
    };
    let scenarios = Scenario::all();
    let mut rows = Vec::new();
    let stage = progress.stage("simulate", "drives", (scenarios.len() * plan.drives) as u64, 0);
    for scenario in &scenarios {
        let one = |number: usize| {
            let result = drive(scenario, calling, goal, number, number < plan.widths);
            stage.advance(1);
            result
        };
        let drives: Vec<_> = (0..plan.drives).into_par_iter().map(one).collect();
        let count = |is: &dyn Fn([usize; 2]) -> bool| drives.iter().filter(|drive| is(drive.misses)).count();
        let width = |night: usize| {
            let of: Vec<_> = drives.iter().filter_map(|drive| drive.widths.get(night)).collect();
            let mean = |get: &dyn Fn(&(u64, f64, crate::assurance::promise::Share)) -> f64| {
                of.iter().map(|width| get(width)).sum::<f64>() / of.len().max(1) as f64
            };
            Width {
                calls: of.first().map_or(0, |width| width.0),
                truth: mean(&|width| width.1),
                low: mean(&|width| width.2.low),
                high: mean(&|width| width.2.high),
                high_if_silent_are_alike: mean(&|width| width.2.high_if_silent_are_alike),
            }
        };
        rows.push(ScenarioRow {
            scenario: scenario.name.to_owned(),
            breaks: scenario.breaks.map(str::to_owned),
            held: count(&|misses| misses == [0, 0]),
            above: count(&|misses| misses[0] > 0),
            below: count(&|misses| misses[1] > 0),
            looks: drives.first().map_or(0, |drive| drive.looks),
            widths: if plan.widths == 0 { Vec::new() } else { (0..plan.nights).map(width).collect() },
        });
    }
    drop(stage);
    AssuranceReport { plan: *plan, scenarios: rows, seconds: begun.elapsed().as_secs_f64() }
}

impl fmt::Display for AssuranceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        writeln!(
            f,
            "{} drives of each kind, {} nights with {} accepted members and {} calls each in {} districts; {} % intervals",
            plan.drives,
            plan.nights,
            plan.members,
            plan.calls,
            plan.districts,
            100.0 * plan.confidence
        )?;
        writeln!(f, "{:<52} {:>6} {:>6} {:>6}  interval by calls", "scenario", "held", "above", "below")?;
        for row in &self.scenarios {
            let held = 100.0 * row.held as f64 / plan.drives.max(1) as f64;
            let width = |w: &Width| format!("{}: {:.2} to {:.2} %", w.calls, 100.0 * w.low, 100.0 * w.high);
            let widths: Vec<String> = row.widths.iter().map(width).collect();
            writeln!(
                f,
                "{:<52} {:>4.1} % {:>6} {:>6}  {}",
                row.scenario,
                held,
                row.above,
                row.below,
                widths.join("; ")
            )?;
            if let Some(assumption) = &row.breaks {
                writeln!(f, "  breaks on purpose: {assumption}")?;
            }
        }
        write!(f, "held: at every one of {} looks; {:.1} s", plan.nights * plan.looks, self.seconds)
    }
}
