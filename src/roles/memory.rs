//! What a night leaves to the next: each worker's face, and the selfies from which it could not be told yet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::policy::RolePolicy;
use crate::infer::template::similarity;
use crate::infer::{ModelId, Template};
use crate::roles::account::Basis;
use crate::roles::recurring::mean;
use crate::roles::{Account, Roles};

/// A worker as remembered from night to night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerMemory {
    /// The worker.
    pub worker_id: String,
    /// The network that made the templates; with another model the memory is of no use and is dropped.
    pub model: ModelId,
    /// Nights on which the worker's face was seen.
    pub nights: u32,
    /// Selfies that held it.
    pub submissions: u64,
    face: Option<Face>,
    unresolved: Vec<UnresolvedSelfie>,
}

/// A selfie from which the worker could not be told: some of its faces are members'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnresolvedSelfie {
    /// The submission, by which it can be erased; `None` where version 1 of the memory did not record it.
    pub submission_id: Option<String>,
    faces: Vec<Face>,
}

impl UnresolvedSelfie {
    pub(super) fn new<'a>(submission_id: Option<&str>, faces: impl Iterator<Item = &'a Template>) -> Self {
        let faces = faces.map(|template| Face(template.clone())).collect();
        UnresolvedSelfie { submission_id: submission_id.map(str::to_owned), faces }
    }

    pub(super) fn faces(&self) -> impl Iterator<Item = &Template> {
        self.faces.iter().map(|face| &face.0)
    }
}

/// A memory as version 1 of its file has it: unresolved selfies are faces without a submission.
#[derive(Debug, Deserialize)]
pub struct WorkerMemoryV1 {
    worker_id: String,
    model: ModelId,
    nights: u32,
    submissions: u64,
    face: Option<Face>,
    unresolved: Vec<Vec<Face>>,
}

impl From<WorkerMemoryV1> for WorkerMemory {
    fn from(old: WorkerMemoryV1) -> Self {
        let WorkerMemoryV1 { worker_id, model, nights, submissions, face, unresolved } = old;
        let unresolved = unresolved.into_iter().map(|faces| UnresolvedSelfie { submission_id: None, faces }).collect();
        WorkerMemory { worker_id, model, nights, submissions, face, unresolved }
    }
}

/// A template, written as the bits of its master.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Face(#[serde(with = "crate::infer::analysis::master_bits")] Template);

impl WorkerMemory {
    /// A remembered face weighs at most as much as so many selfies, so that it follows a face that ages or grows a
    /// beard.
    pub(super) const MOST_WEIGHT: f32 = 200.0;

    /// The worker's face and how well it is known; `None` while it could not be told.
    pub fn template(&self) -> Option<(&Template, Basis)> {
        let basis = Basis::Remembered { nights: self.nights, submissions: self.submissions };
        self.face.as_ref().map(|face| (&face.0, basis))
    }

    /// Drops the selfies that `is_gone` holds for; says whether there were any. The worker's own face stays.
    pub fn drop_selfies(&mut self, is_gone: &dyn Fn(&UnresolvedSelfie) -> bool) -> bool {
        let before = self.unresolved.len();
        self.unresolved.retain(|selfie| !is_gone(selfie));
        self.unresolved.len() < before
    }

    /// Selfies of earlier nights from which the worker could not be told yet.
    pub fn unresolved(&self) -> &[UnresolvedSelfie] {
        &self.unresolved
    }

    /// Whether there is nothing left to remember.
    pub fn is_empty(&self) -> bool {
        self.face.is_none() && self.unresolved.is_empty()
    }

    /// Last night's memory with tonight's evidence; `None` when there is nothing to remember.
    ///
    /// A face that contradicts the remembered one never takes its place: that is what an account used by somebody else
    /// looks like. Only an enrolment does.
    fn merged(
        id: &str,
        last: Option<&WorkerMemory>,
        account: &Account,
        model: &ModelId,
        policy: &RolePolicy,
    ) -> Option<Self> {
        let last = last.filter(|memory| memory.model == *model);
        let tonight = account.tonight.as_ref().filter(|_| account.worker.as_ref().is_some_and(|w| w.certain));
        let remembered = last.and_then(|memory| Some((memory, memory.template()?.0)));
        let enrolled = account.worker.as_ref().is_some_and(|w| w.basis == Basis::Enrolled);
        let fresh = |face: &Template| WorkerMemory {
            worker_id: id.to_owned(),
            model: model.clone(),
            nights: 1,
            submissions: account.seen as u64,
            face: Some(Face(face.clone())),
            unresolved: Vec::new(),
        };
        match (remembered, tonight) {
            (Some((memory, old)), Some(new))
                if old.dim() == new.dim() && similarity(old, new) >= policy.worker_similarity =>
            {
                let weight = (memory.submissions as f32).min(Self::MOST_WEIGHT);
                let face = mean([(old, weight), (new, account.seen as f32)].into_iter())?;
                Some(WorkerMemory {
                    nights: memory.nights.saturating_add(1),
                    submissions: memory.submissions.saturating_add(account.seen as u64),
                    ..fresh(&face)
                })
            }
            (Some(_), Some(new)) if enrolled => Some(fresh(new)),
            (Some((memory, _)), _) => Some(memory.clone()),
            (None, Some(new)) => Some(fresh(new)),
            (None, None) if account.unresolved.is_empty() => last.cloned(),
            (None, None) => Some(WorkerMemory {
                worker_id: id.to_owned(),
                model: model.clone(),
                nights: 0,
                submissions: 0,
                face: None,
                unresolved: account.unresolved.clone(),
            }),
        }
    }
}

impl Roles {
    /// What to keep of each worker for the next night: `last` as it was given to [`super::assign`], with tonight's
    /// evidence. Workers who submitted nothing tonight stay as they were.
    pub fn remember(
        &self,
        last: &BTreeMap<String, WorkerMemory>,
        model: &ModelId,
        policy: &RolePolicy,
    ) -> BTreeMap<String, WorkerMemory> {
        let merged = |(id, account): (&String, &Account)| {
            Some((id.clone(), WorkerMemory::merged(id, last.get(id), account, model, policy)?))
        };
        let mut kept: BTreeMap<String, WorkerMemory> =
            last.iter().filter(|(_, m)| m.model == *model).map(|(id, m)| (id.clone(), m.clone())).collect();
        kept.extend(self.accounts.iter().filter_map(merged));
        kept
    }
}
