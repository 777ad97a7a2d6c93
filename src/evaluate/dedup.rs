//! Deduplication on labelled identities: what a whole gallery's search finds, misses and takes for one person, over
//! gallery sizes, against what it predicted.
//!
//! Labelled templates are filled up with drawn people ([`crowd`]) to each size asked for, with duplicates planted among
//! them, and go the way of `chehra dedup --all-pairs`: impostor model from members of different districts, exact search,
//! matching. The labels are used only afterwards. Records are left out: faces alone are measured.
//!
//! - False negative identification rate (ISO/IEC 19795-1) against expected and observed false pairs.
//! - Predicted against observed false pairs, with intervals.
//! - Clusters by B-cubed precision and recall.

mod charts;
mod crowd;
mod labelled;
mod people;
mod report;
mod size;
mod text;

use std::path::{Path, PathBuf};

pub use labelled::{Face, Labelled};
pub use report::DedupReport;
pub use size::{ClusterReport, DetPoint, FalsePair, LIMITS, LimitReport, SizeReport};

use crate::config::policy::MatchingPolicy;
use crate::evaluate::groups::GroupFile;
use crate::report::Progress;
use crate::{Error, Result};
use people::Population;

/// What to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct DedupPlan {
    /// Gallery sizes; none for the labelled templates alone.
    pub sizes: Vec<usize>,
    /// One more size: the labelled templates and so many drawn people.
    pub distractors: Option<usize>,
    /// So many memberships, drawn from all, are compared with all, as a night is with a store; `None`: each with every other.
    pub asked: Option<usize>,
    /// Share of the drawn memberships that show a drawn person again, 0..1.
    pub duplicates: f64,
    /// Most pictures of each labelled person.
    pub each: usize,
    /// Everything drawn follows from it.
    pub seed: u64,
    /// CSV with the columns `id, group`, an id being a labelled person: rates by group.
    pub groups: Option<PathBuf>,
}

/// Measures each size.
///
/// # Errors
/// [`Error::Usage`] for a plan that the labelled templates cannot fill.
pub fn dedup(
    mut labelled: Labelled,
    plan: &DedupPlan,
    policy: &MatchingPolicy,
    progress: Progress,
) -> Result<DedupReport> {
    if !(0.0..1.0).contains(&plan.duplicates) {
        return Err(Error::usage("--duplicates", plan.duplicates.to_string(), "give a share from 0 to below 1"));
    }
    labelled.at_most(plan.each, plan.seed);
    let mut sizes = plan.sizes.clone();
    sizes.extend(plan.distractors.map(|more| labelled.faces.len() + more));
    if sizes.is_empty() {
        sizes.push(labelled.faces.len());
    }
    sizes.sort_unstable();
    sizes.dedup();
    if sizes[0] < 2 {
        return Err(Error::usage("--sizes", format!("a gallery of {}", sizes[0]), "give sizes of two and more"));
    }
    if let Some(asked) = plan.asked {
        let fix = "give a number from 1 to the smallest gallery, without --groups";
        if asked == 0 || asked > sizes[0] || plan.groups.is_some() {
            return Err(Error::usage("--asked", asked.to_string(), fix));
        }
    }
    let mut persons: Vec<&str> = labelled.faces.iter().map(|f| f.person.as_str()).collect();
    persons.dedup();
    let people = persons.len();
    let what = "names of labelled people";
    let assign = |file: &PathBuf| GroupFile::read(file)?.assign(persons.iter().copied(), what);
    let groups = plan.groups.as_ref().map(assign).transpose()?;
    let mut report = DedupReport {
        model: labelled.model.0.clone(),
        labelled: labelled.faces.len(),
        people,
        failed_to_enrol: labelled.failed_to_enrol.clone(),
        duplicates: plan.duplicates,
        seed: plan.seed,
        alike: None,
        sizes: Vec::new(),
    };
    let population = Population::new(labelled, sizes[sizes.len() - 1], plan.duplicates, plan.seed)?;
    report.alike = population.alike();
    for size in sizes {
        progress.say(&format!("gallery of {size}"));
        report.sizes.push(size::measure(&population, size, plan.asked, policy, groups.as_ref())?);
    }
    Ok(report)
}

/// Writes `dedup.json`, and the charts `det.svg`, `det.png`, `predicted.svg` and `predicted.png` into a folder that is
/// made if need be.
///
/// # Errors
/// [`Error::Io`] when the disk refuses.
pub fn write(report: &DedupReport, folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let json = folder.join("dedup.json");
    let text = serde_json::to_string_pretty(report).map_err(|e| Error::bug("writing the report", e))?;
    std::fs::write(&json, text + "\n").map_err(Error::io("write", &json))?;
    let mut written = vec![json];
    written.extend(charts::write(report, folder)?);
    Ok(written)
}
