//! What the page of rows is told.

use serde::Serialize;

use super::super::nights::Missing;
use super::super::pictures::Place;
use crate::decisions::{KnownAnswers, RowAnswer};

/// What a reviewer's list says of one row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowItem {
    pub id: String,
    /// Whether this reviewer is to answer.
    pub open: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mine: Option<RowAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What others said, where one may know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<(String, RowAnswer)>,
    /// Somebody else is looking at it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// People disagree, where one may know.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disputed: bool,
    pub verdict: &'static str,
}

/// One queue of rows.
#[derive(Debug, Serialize)]
pub struct QueueCounts {
    pub queue: &'static str,
    pub total: usize,
    pub left: usize,
    pub disputed: usize,
}

/// A reviewer's list of one queue, and how the others stand.
#[derive(Debug, Serialize)]
pub struct RowState {
    pub run: String,
    pub reviewer: String,
    pub queue: &'static str,
    pub queues: Vec<QueueCounts>,
    pub items: Vec<RowItem>,
    pub total: usize,
    pub done: usize,
    pub left: usize,
    pub mine: usize,
    pub per_hour: Option<f64>,
    /// Lines of the log that were begun and never finished.
    pub torn: usize,
    pub stopped: Option<KnownAnswers>,
    /// What was recorded or taken back just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
}

/// One row in full.
#[derive(Debug, Serialize)]
pub struct RowView {
    pub id: String,
    pub queue: &'static str,
    pub submission: String,
    pub worker: String,
    pub district: String,
    pub booth_id: Option<String>,
    pub member_name: Option<String>,
    pub mobile: Option<String>,
    pub epic: Option<String>,
    pub captured_at: String,
    pub verdict: &'static str,
    pub reasons: Vec<&'static str>,
    pub detail: Option<String>,
    pub member_liveness: Option<f32>,
    pub worker_liveness: Option<f32>,
    pub photo_similarity: Option<f32>,
    pub quality: Option<f32>,
    pub picture: Option<Place>,
    pub has_face: bool,
    pub missing: Option<Missing>,
    pub has_photo: bool,
    pub has_reference: bool,
    pub selfies: Vec<SelfieView>,
    pub twin: Option<TwinView>,
    pub appeal: Option<AppealView>,
    pub decided: Option<DecidedView>,
}

/// Another selfie of the same worker.
#[derive(Debug, Clone, Serialize)]
pub struct SelfieView {
    pub at: usize,
    pub submission: String,
    pub captured_at: String,
    pub verdict: &'static str,
}

/// The submission that a row repeats.
#[derive(Debug, Serialize)]
pub struct TwinView {
    pub submission: String,
    pub worker: Option<String>,
    pub district: Option<String>,
    pub captured_at: Option<String>,
    pub earlier_night: bool,
    pub missing: Option<Missing>,
    pub picture: Option<Place>,
}

/// What a member says against a decision.
#[derive(Debug, Serialize)]
pub struct AppealView {
    pub text: String,
    pub by: String,
    pub at: String,
}

/// What the answers come to, where one may know.
#[derive(Debug, Serialize)]
pub struct DecidedView {
    pub answer: Option<RowAnswer>,
    pub people: usize,
    pub disputed: bool,
    pub appeal: bool,
}
