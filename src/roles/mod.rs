//! Who is the worker and who the member among the faces of one worker's submissions.
//!
//! The worker's face is in every one of that worker's pictures, so it must be told apart before any two members are
//! compared. A worker is known from an enrolled reference photo or, without one, as the face that recurs across the
//! worker's submissions ([`worker`]); then each submission is cast ([`cast`]).

mod cast;
mod worker;

use serde::{Deserialize, Serialize};

pub use cast::cast;
pub use worker::{Basis, KnownWorker, known_workers};

/// The part a face plays in its selfie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The field worker who submitted the selfie.
    Worker,
    /// The person being enrolled.
    Member,
    /// Somebody behind them.
    Bystander,
}

impl Role {
    /// The word written to tables.
    pub fn code(self) -> &'static str {
        match self {
            Role::Worker => "worker",
            Role::Member => "member",
            Role::Bystander => "bystander",
        }
    }
}

/// The roles of one selfie.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cast {
    /// Index of the worker's face.
    pub worker: Option<usize>,
    /// Index of the member's face.
    pub member: Option<usize>,
    /// Similarity of the worker's face to the worker's template, where one is known.
    pub worker_similarity: Option<f32>,
    /// What is wrong with the roles.
    pub reasons: Vec<crate::reason::Reason>,
}

impl Cast {
    /// The role of face number `index`.
    pub fn role(&self, index: usize) -> Role {
        match Some(index) {
            face if face == self.worker => Role::Worker,
            face if face == self.member => Role::Member,
            _ => Role::Bystander,
        }
    }
}
