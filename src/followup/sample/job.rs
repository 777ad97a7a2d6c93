//! What to draw, and what was drawn in a sentence or two.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::Columns;
use crate::config::policy::Language;

/// What to draw.
#[derive(Debug, Clone)]
pub struct SampleJob {
    /// Run folders of the nights to draw from.
    pub runs: Vec<PathBuf>,
    /// The dumps, where they have moved.
    pub dumps: Vec<PathBuf>,
    /// What the dump's columns are called.
    pub columns: Columns,
    /// Samples of earlier nights: their booths have had a check.
    pub earlier: Vec<PathBuf>,
    /// The folder to make.
    pub out: PathBuf,
    /// Members to call.
    pub calls: u64,
    /// Share of the calls that goes to memberships that were not accepted.
    pub other_share: f64,
    /// How much likelier members of booths without a check are called.
    pub booth_weight: f64,
    /// The seed; `None` draws one.
    pub seed: Option<String>,
    /// Language of the questions.
    pub language: Language,
    /// Now, microseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}

/// What was drawn, in a sentence or two.
#[derive(Debug, Clone, Serialize)]
pub struct SampleSummary {
    /// The folder.
    pub sample: PathBuf,
    /// The seed.
    pub seed: String,
    /// SHA-256 of the list.
    pub list_sha256: String,
    /// Memberships that could be drawn.
    pub members: u64,
    /// Members to call.
    pub calls: u64,
    /// Of these, of booths without a check.
    pub unchecked_booths: u64,
    /// Strata, and those without a call.
    pub strata: usize,
    /// Those of them for which no call was left.
    pub strata_without_call: usize,
}

impl std::fmt::Display for SampleSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} calls among {} memberships in {} strata, {} of them in booths without a check so far",
            self.calls, self.members, self.strata, self.unchecked_booths
        )?;
        if self.strata_without_call > 0 {
            writeln!(
                f,
                "{} strata have no call: nothing can be promised of their members; raise --calls to {} or more",
                self.strata_without_call, self.strata
            )?;
        }
        writeln!(f, "seed {}, list {}", self.seed, self.list_sha256)?;
        write!(f, "{}", self.sample.display())
    }
}

/// The folder of a run's sample, beside the run folder.
pub fn beside(run: &Path) -> PathBuf {
    let mut name = run.file_name().unwrap_or_default().to_os_string();
    name.push(".sample");
    run.with_file_name(name)
}
