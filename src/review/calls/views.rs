//! What the page of calls is told.

use serde::Serialize;

use super::super::nights::Missing;
use super::super::pictures::Place;
use crate::replies::{Answer, Channel};

/// What a caller's list says of one member.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallItem {
    pub id: String,
    /// Whether somebody is to call.
    pub open: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mine: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What the caller wrote down beside the answer: worker there, taken in life, first enrolment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<[Option<bool>; 3]>,
    /// What other callers were told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<(String, Answer)>,
    /// Calls that nobody answered.
    #[serde(skip_serializing_if = "is_zero")]
    pub silent: usize,
    /// When to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_at: Option<String>,
    /// Somebody else has the member on the screen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A caller's list.
#[derive(Debug, Serialize)]
pub struct CallState {
    pub run: String,
    pub reviewer: String,
    pub channel: Channel,
    pub items: Vec<CallItem>,
    pub total: usize,
    pub done: usize,
    pub left: usize,
    pub mine: usize,
    /// Members who did not answer and are to be tried again later.
    pub later: usize,
    /// Members of the list whose night is another run's.
    pub elsewhere: usize,
    pub torn: usize,
    /// What was written or taken back just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
}

/// One member in full, without the verdict.
#[derive(Debug, Serialize)]
pub struct CallView {
    pub id: String,
    pub submission: String,
    pub district: String,
    pub worker: Option<String>,
    pub captured_at: Option<String>,
    pub member_name: Option<String>,
    pub booth_id: Option<String>,
    pub mobile: Option<String>,
    pub epic: Option<String>,
    pub picture: Option<Place>,
    pub has_face: bool,
    pub missing: Option<Missing>,
}

/// A member's number, for whoever asked for it.
#[derive(Debug, Serialize)]
pub struct Number {
    pub number: Option<String>,
}
