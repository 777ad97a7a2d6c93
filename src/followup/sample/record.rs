//! What a sample is made of: strata, frame and list, with the hashes that say whether they were changed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::members::PromisedPairs;
use crate::reason::{Reason, Verdict};

/// Version of the folder.
pub const VERSION: u32 = 2;

/// A stratum of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stratum {
    /// The run.
    pub run_id: String,
    /// The division, as first spelt; blank where the dump has none.
    pub division: String,
    /// The district.
    pub district: String,
    /// Whether its members were accepted.
    pub accepted: bool,
    /// Whether their booths had a check before.
    pub booth_checked: bool,
    /// Its members.
    pub members: u64,
    /// Those to call.
    pub calls: u64,
}

/// `sample.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// Version of the folder.
    pub version: u32,
    /// The seed.
    pub seed: String,
    /// When it was drawn, microseconds since 1970-01-01T00:00:00Z.
    pub drawn_at: i64,
    /// The runs drawn from.
    pub runs: Vec<String>,
    /// What they promised of duplicates, in their order.
    pub promised: Vec<PromisedPairs>,
    /// Rows of these runs that are no membership of their own: other tries, repeated ids, erased ones, rows without an id.
    pub left_out: u64,
    /// The strata, in the order of their numbers.
    pub strata: Vec<Stratum>,
    /// SHA-256 of the frame.
    pub frame_sha256: String,
    /// SHA-256 of the list.
    pub list_sha256: String,
    /// Of a second sample: the list that it was drawn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<SecondRecord>,
}

/// What a second sample was drawn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondRecord {
    /// SHA-256 of the first list.
    pub list_sha256: String,
    /// The chance with which each silent member was taken.
    pub probability: f64,
}

/// A membership of the frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameRow {
    /// Its id.
    pub submission_id: String,
    /// Number of its stratum.
    pub stratum: usize,
    /// Its booth.
    pub booth_id: Option<String>,
    /// The last three digits of its mobile number.
    pub mobile_end: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Its reasons.
    pub reasons: Vec<Reason>,
    /// The lower liveness of its two faces.
    pub liveness: Option<f32>,
    /// The highest similarity to another membership.
    pub similarity: Option<f32>,
    /// The least share of false ones at which its face would be flagged as enrolled before.
    pub review_at_false_share: Option<f64>,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListRow {
    /// Whom to call.
    pub submission_id: String,
    /// Number of the stratum.
    pub stratum: usize,
    /// Number of the draw within the stratum, from 0.
    pub draw: u64,
    /// Where it stands in the night's list: all strata go through it evenly.
    pub place: u64,
    /// Its chance of being on the list.
    pub inclusion_probability: f64,
}

/// A sample as it is read back.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its folder.
    pub path: PathBuf,
    /// `sample.json`.
    pub record: SampleRecord,
    /// The population.
    pub frame: Vec<FrameRow>,
    /// The list, by stratum and draw.
    pub list: Vec<ListRow>,
}

/// SHA-256 of a frame.
pub fn frame_hash(frame: &[FrameRow]) -> String {
    let mut hash = Sha256::new();
    for row in frame {
        let reasons: Vec<&str> = row.reasons.iter().map(|reason| reason.code()).collect();
        let (booth, end) = (row.booth_id.as_deref().unwrap_or(""), row.mobile_end.as_deref().unwrap_or(""));
        let line = (&row.submission_id, row.stratum, booth, end, row.verdict.code(), reasons);
        hash.update(format!("{line:?} {:?} {:?} {:?}\n", row.liveness, row.similarity, row.review_at_false_share));
    }
    hex(&hash.finalize())
}

/// SHA-256 of a list.
pub fn list_hash(list: &[ListRow]) -> String {
    let mut hash = Sha256::new();
    for row in list {
        hash.update(format!("{:?}\n", (&row.submission_id, row.stratum, row.draw, row.place)));
    }
    hex(&hash.finalize())
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
