//! The memberships of a night: the rows of a run folder with what the dump says of them.

use std::path::{Path, PathBuf};

use arrow::datatypes::{Float32Type, Float64Type, Int64Type};
use serde::{Deserialize, Serialize};

use crate::config::Columns;
use crate::dump::{Dump, RowFacts};
use crate::reason::{Reason, Verdict};
use crate::report::table;
use crate::{Error, Result};

/// One row of a night.
#[derive(Debug, Clone)]
pub struct Member {
    /// Unique id; rows without one are left out.
    pub submission_id: String,
    /// What the dump says.
    pub facts: RowFacts,
    /// The verdict.
    pub verdict: Verdict,
    /// Its reasons.
    pub reasons: Vec<Reason>,
    /// The earlier submission of the same member.
    pub duplicate_of: Option<String>,
    /// The lower liveness of its two faces.
    pub liveness: Option<f32>,
    /// The highest similarity to another membership.
    pub similarity: Option<f32>,
    /// The least share of false ones at which its face would be flagged as enrolled before.
    pub review_at_false_share: Option<f64>,
}

impl Member {
    /// Whether it is the first try of a membership of its own.
    pub fn is_own_membership(&self) -> bool {
        let none = [Reason::SubmissionIdRepeated, Reason::Resubmitted, Reason::ErasedBefore];
        !self.reasons.iter().any(|reason| none.contains(reason))
    }
}

/// A night.
#[derive(Debug, Clone)]
pub struct NightMembers {
    /// The run's name.
    pub run_id: String,
    /// Rows of the run.
    pub rows: u64,
    /// Rows that have an id, in the dump's order.
    pub members: Vec<Member>,
    /// Whether the dump has a column of consents.
    pub has_consent: bool,
    /// What the run promised of duplicates.
    pub promised: PromisedPairs,
}

/// What a run promised of the pairs that it flagged, by its own curves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PromisedPairs {
    /// The share of false ones among the memberships flagged, at most; `None` where the policy has another limit.
    pub review_false_share: Option<f64>,
    /// Pairs flagged.
    #[serde(default)]
    pub flagged_pairs: f64,
    /// How many of them are expected to be two people.
    #[serde(default)]
    pub expected_false_pairs: f64,
    /// How many of all pairs compared are expected to be one person.
    #[serde(default)]
    pub mated_pairs: f64,
}

#[derive(Debug, Deserialize)]
struct Record {
    run_id: String,
    inputs: Vec<Input>,
    #[serde(default)]
    matching: Option<Matching>,
}

/// The part of `run.json` that promises something.
#[derive(Debug, Default, Deserialize)]
struct Matching {
    #[serde(flatten)]
    pairs: PromisedPairs,
    #[serde(default)]
    local_fdr: PromisedPairs,
}

#[derive(Debug, Deserialize)]
struct Input {
    path: PathBuf,
    size: u64,
}

const COLUMNS: [&str; 9] = [
    "submission_id",
    "verdict",
    "reasons",
    "duplicate_of",
    "member_liveness",
    "worker_liveness",
    "similarity",
    "review_at_false_share",
    "row",
];

impl NightMembers {
    /// Reads a run folder and, from its dump, the facts of its rows. Pictures are not read. `at_hand` are files of the dump
    /// that have moved: one counts as the recorded one when name and size are the same.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder is not that of a finished run, or its dump is not at hand.
    pub fn read(run: &Path, at_hand: &[PathBuf], columns: &Columns) -> Result<NightMembers> {
        let path = run.join("run.json");
        let refuse = |found: String| {
            Error::input(&path, "run", "the record of a finished run", found, "name a folder that `chehra audit` made")
        };
        let bytes = std::fs::read(&path).map_err(|e| refuse(e.to_string()))?;
        let record: Record = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
        let dump = Dump::open(&files(run, &record.inputs, at_hand)?, columns)?;
        let mut facts = Vec::new();
        for batch in dump.facts()? {
            facts.extend(batch?.into_iter().map(|row| row.facts));
        }
        let rows = facts.len() as u64;
        let mut members = Vec::new();
        table::read(&run.join("verdicts.parquet"), &COLUMNS, |batch| {
            let (ids, verdicts, reasons) =
                (batch.texts("submission_id")?, batch.texts("verdict")?, batch.lists("reasons")?);
            let (first, places) = (batch.texts("duplicate_of")?, batch.numbers::<Int64Type>("row")?);
            let number = |name| batch.numbers::<Float32Type>(name);
            let (member, worker, similarity) =
                (number("member_liveness")?, number("worker_liveness")?, number("similarity")?);
            let shares = batch.numbers_if_any::<Float64Type>("review_at_false_share");
            for row in 0..batch.rows() {
                let place = table::value(places, row).and_then(|place| usize::try_from(place).ok());
                let of_dump = place.and_then(|place| facts.get_mut(place)).map(std::mem::take);
                let (Some(id), Some(facts)) = (ids.get(row), of_dump) else { continue };
                if facts.submission_id.as_deref() != Some(id) {
                    let found = format!("{id} there, {} in the dump", facts.submission_id.unwrap_or_default());
                    return Err(refuse(format!("another dump than the run's: {found}")));
                }
                let liveness = [member, worker].into_iter().filter_map(|column| table::value(column, row));
                members.push(Member {
                    submission_id: id.to_owned(),
                    facts,
                    verdict: verdicts.get(row).and_then(table::verdict).unwrap_or(Verdict::Review),
                    reasons: reasons.get(row).into_iter().filter_map(table::reason).collect(),
                    duplicate_of: first.get(row).map(str::to_owned),
                    liveness: liveness.reduce(f32::min),
                    similarity: table::value(similarity, row),
                    review_at_false_share: shares.and_then(|column| table::value(column, row)),
                });
            }
            Ok(())
        })?;
        let Matching { pairs, local_fdr } = record.matching.unwrap_or_default();
        Ok(NightMembers {
            run_id: record.run_id,
            rows,
            members,
            has_consent: dump.has_column("consent"),
            promised: PromisedPairs { mated_pairs: local_fdr.mated_pairs, ..pairs },
        })
    }
}

/// The dump's files, each where it was or under the same name and size among those at hand.
fn files(run: &Path, inputs: &[Input], at_hand: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let size = |path: &Path| std::fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len());
    let mut listed = Vec::new();
    for path in at_hand {
        match path.is_dir() {
            true => {
                listed.extend(std::fs::read_dir(path).map_err(Error::io("list", path))?.flatten().map(|e| e.path()))
            }
            false => listed.push(path.clone()),
        }
    }
    let find = |input: &Input| {
        let same = |path: &&PathBuf| path.file_name() == input.path.file_name() && size(path) == Some(input.size);
        let there = listed.iter().find(same).cloned();
        let there = there.or_else(|| (size(&input.path) == Some(input.size)).then(|| input.path.clone()));
        there.ok_or_else(|| {
            let expected = format!("{} with {} bytes", input.path.display(), input.size);
            Error::input(run, "its dump", expected, "no such file", "name the dump, or its folder, with --dump")
        })
    };
    inputs.iter().map(find).collect()
}
