//! Who is the worker and who the member among the faces of one worker's submissions.
//!
//! The worker's face is in every one of that worker's pictures, so it must be told apart before any two members are
//! compared. [`assign`] does all of it for a night:
//!
//! | part | |
//! |---|---|
//! | `recurring` | the faces that come back across one worker's selfies |
//! | `account` | which of them is the worker, from enrolment, memory and the night; or that nobody can say |
//! | `cast` | worker, member and bystanders of one selfie |
//! | `nearest` | for each face in question, the other worker it is most like |
//! | `memory` | what is carried to the next night |
//!
//! Everything here depends on the set of submissions and on nothing else: neither on their order nor on threads.

mod account;
mod cast;
mod memory;
mod nearest;
mod recurring;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use account::{Account, Basis, KnownWorker};
pub use cast::{cast, cast_account};
pub use memory::{UnresolvedSelfie, WorkerMemory, WorkerMemoryV1};
pub use nearest::{OtherWorker, WorkerFace, nearest_workers};

use crate::config::policy::RolePolicy;
use crate::infer::{Analysis, Template};
use crate::reason::Reason;
use recurring::Selfie;

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
    /// Index of the worker's face: of whoever stands in the worker's place where the account's own is absent.
    pub worker: Option<usize>,
    /// Index of the member's face.
    pub member: Option<usize>,
    /// Highest similarity of a face to the worker's template, where one is known.
    pub worker_similarity: Option<f32>,
    /// What is wrong with the roles.
    pub reasons: Vec<Reason>,
    /// The next face in the foreground after worker and member.
    bystander: Option<usize>,
    /// The other worker of the drive who is in the picture, as the member or in the worker's place.
    pub other_worker: Option<OtherWorker>,
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

    fn add(&mut self, reason: Reason) {
        if let Err(place) = self.reasons.binary_search(&reason) {
            self.reasons.insert(place, reason);
        }
    }
}

/// The roles of a night.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Roles {
    /// One per submission, in the order given.
    pub casts: Vec<Cast>,
    /// What is known of each worker id that submitted tonight, is enrolled or is remembered.
    pub accounts: BTreeMap<String, Account>,
}

/// Casts a whole night. `enrolled` are the reference faces of the table of workers, `memory` is what earlier nights left
/// ([`Roles::remember`]); templates and memories are of one model, the night's. A submission without a worker id is cast
/// alone.
pub fn assign(
    analyses: &[Analysis],
    enrolled: &BTreeMap<String, Template>,
    memory: &BTreeMap<String, WorkerMemory>,
    policy: &RolePolicy,
) -> Roles {
    let mut accounts = accounts(analyses, enrolled, memory, policy);
    account::settle_by_other_workers(&mut accounts, policy);
    nearest::name_shared_faces(&mut accounts, policy);
    let nobody = Account::default();
    let mut casts: Vec<Cast> = analyses
        .par_iter()
        .map(|analysis| {
            let account = analysis.facts.worker_id.as_ref().and_then(|id| accounts.get(id)).unwrap_or(&nobody);
            cast_account(analysis.faces(), account, policy)
        })
        .collect();
    nearest::name_other_workers(analyses, &accounts, &mut casts, policy);
    Roles { casts, accounts }
}

/// Every worker whose face is enrolled or can be learned from the night for certain, by worker id.
pub fn known_workers(
    analyses: &[Analysis],
    enrolled: &BTreeMap<String, Template>,
    policy: &RolePolicy,
) -> BTreeMap<String, KnownWorker> {
    let accounts = accounts(analyses, enrolled, &BTreeMap::new(), policy);
    accounts.into_iter().filter_map(|(id, account)| Some((id, account.worker.filter(|w| w.certain)?))).collect()
}

fn accounts(
    analyses: &[Analysis],
    enrolled: &BTreeMap<String, Template>,
    memory: &BTreeMap<String, WorkerMemory>,
    policy: &RolePolicy,
) -> BTreeMap<String, Account> {
    let mut by_worker: BTreeMap<&str, Vec<&Analysis>> = BTreeMap::new();
    for id in enrolled.keys().chain(memory.keys()) {
        by_worker.entry(id).or_default();
    }
    for analysis in analyses {
        if let Some(worker) = &analysis.facts.worker_id {
            by_worker.entry(worker).or_default().push(analysis);
        }
    }
    by_worker
        .into_par_iter()
        .map(|(id, submissions)| {
            let selfies = Selfie::distinct(submissions, policy);
            (id.to_owned(), account::decide(selfies, enrolled.get(id), memory.get(id), policy))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests;
