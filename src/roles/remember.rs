//! Tonight's evidence of each worker's face, added to what earlier nights left.

use std::collections::BTreeMap;

use crate::config::policy::RolePolicy;
use crate::infer::ModelId;
use crate::infer::template::similarity;
use crate::roles::account::Account;
use crate::roles::memory::{Basis, WorkerMemory};
use crate::roles::recurring::mean;

/// What to keep of each worker for the next night: `last` with the evidence of tonight's `accounts`. Workers who submitted
/// nothing tonight stay as they were.
pub(super) fn remember(
    accounts: &BTreeMap<String, Account>,
    last: &BTreeMap<String, WorkerMemory>,
    model: &ModelId,
    policy: &RolePolicy,
) -> BTreeMap<String, WorkerMemory> {
    let mut kept: BTreeMap<String, WorkerMemory> =
        last.iter().filter(|(_, memory)| memory.model == *model).map(|(id, m)| (id.clone(), m.clone())).collect();
    for (id, account) in accounts {
        let earlier = kept.remove(id).filter(|_| !account.forgets_memory);
        kept.extend(merged(id, earlier, account, model, policy).map(|memory| (id.clone(), memory)));
    }
    kept
}

/// Last night's memory with tonight's evidence; `None` when there is nothing to remember.
///
/// A face that contradicts the remembered one never takes its place: that is what an account used by somebody else
/// looks like. Only an enrolment does.
fn merged(
    id: &str,
    last: Option<WorkerMemory>,
    account: &Account,
    model: &ModelId,
    policy: &RolePolicy,
) -> Option<WorkerMemory> {
    let tonight = account.tonight.as_ref().filter(|_| account.worker.as_ref().is_some_and(|w| w.certain));
    let remembered = last.as_ref().and_then(|memory| Some((memory, memory.template()?)));
    let enrolled = account.worker.as_ref().is_some_and(|w| w.basis == Basis::Enrolled);
    let seen = account.seen as u64;
    match (remembered, tonight) {
        (Some((memory, old)), Some(new))
            if old.dim() == new.dim() && similarity(old, new) >= policy.worker_similarity =>
        {
            let weight = (memory.submissions as f32).min(WorkerMemory::MOST_WEIGHT);
            let face = mean([(old, weight), (new, account.seen as f32)].into_iter())?;
            let mut renewed = WorkerMemory::first_seen(id, model, face, memory.submissions.saturating_add(seen));
            renewed.nights = memory.nights.saturating_add(1);
            Some(renewed)
        }
        (Some(_), Some(new)) if enrolled => Some(WorkerMemory::first_seen(id, model, new.clone(), seen)),
        (Some((memory, _)), _) => Some(memory.clone()),
        (None, Some(new)) => Some(WorkerMemory::first_seen(id, model, new.clone(), seen)),
        (None, None) if account.unresolved.is_empty() => last,
        (None, None) => Some(WorkerMemory::not_told(id, model, account.unresolved.clone())),
    }
}
