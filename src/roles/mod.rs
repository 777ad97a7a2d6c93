//! Who is the worker and who the member among the faces of one worker's submissions.
//!
//! The worker's face is in every one of that worker's pictures, so it must be told apart before any two members are
//! compared. [`assign`] does all of it for a night:
//!
//! | part | |
//! |---|---|
//! | `recurring` | the faces that come back across one worker's selfies |
//! | `alike` | faces that are alike across accounts |
//! | `memory` | what is carried to the next night |
//! | `account` | which of them is the worker, from enrolment, memory and the night; or that nobody can say |
//! | `cast` | worker, member and bystanders of one selfie |
//! | `other_accounts` | what other accounts tell: a face under many of them is nobody's worker |
//! | `remember` | tonight's evidence added to the memory |
//!
//! Everything here depends on the set of submissions and on nothing else: neither on their order nor on threads.

mod account;
mod alike;
mod cast;
mod memory;
mod other_accounts;
mod recurring;
mod remember;

use std::collections::BTreeMap;

pub use account::{Account, KnownWorker};
pub use alike::{OtherWorker, WorkerFace, nearest_workers};
pub use cast::{Cast, Role, cast, cast_account, member_doubt_percent};
pub use memory::{Basis, UnresolvedSelfie, WorkerMemory, WorkerMemoryV1};
use rayon::prelude::*;

use crate::config::policy::RolePolicy;
use crate::infer::{Analysis, ModelId, Template};
use account::Known;
use recurring::Selfie;

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
    other_accounts::tell_helpers_apart(&mut accounts, policy);
    other_accounts::name_shared_faces(&mut accounts, policy);
    let unknown_account = Account::default();
    let mut casts: Vec<Cast> = analyses
        .par_iter()
        .map(|analysis| {
            let account = analysis.facts.worker_id.as_ref().and_then(|id| accounts.get(id)).unwrap_or(&unknown_account);
            cast_account(analysis.faces(), account, policy)
        })
        .collect();
    other_accounts::name_other_workers(analyses, &accounts, &mut casts, policy);
    other_accounts::name_stand_ins(analyses, &mut casts, policy);
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
    let decide = |(id, submissions): (&str, &Vec<&Analysis>), shared: &[Template]| {
        let selfies = Selfie::distinct(submissions.clone(), policy);
        let known = Known { enrolled: enrolled.get(id), memory: memory.get(id), shared };
        (id.to_owned(), account::decide(selfies, known, policy))
    };
    let alone: Vec<(String, Account)> =
        by_worker.par_iter().map(|(id, submissions)| decide((id, submissions), &[])).collect();
    let mut accounts: BTreeMap<String, Account> = alone.into_iter().collect();
    // Once more where a face recurs that recurs under many accounts.
    let faces_of_nobody = other_accounts::faces_of_nobody(&accounts, policy);
    let again: Vec<(String, Account)> = faces_of_nobody
        .par_iter()
        .filter_map(|(id, shared)| Some(decide((id, by_worker.get(id.as_str())?), shared)))
        .collect();
    accounts.extend(again);
    accounts
}

impl Roles {
    /// What to keep of each worker for the next night: `last` as it was given to [`assign`], with tonight's evidence.
    /// Workers who submitted nothing tonight stay as they were.
    pub fn remember(
        &self,
        last: &BTreeMap<String, WorkerMemory>,
        model: &ModelId,
        policy: &RolePolicy,
    ) -> BTreeMap<String, WorkerMemory> {
        remember::remember(&self.accounts, last, model, policy)
    }
}

#[cfg(test)]
mod tests;
