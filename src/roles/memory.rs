//! What a night leaves to the next: each worker's face, and the selfies from which it could not be told yet.

use serde::{Deserialize, Serialize};

use crate::infer::{ModelId, Template};

/// Where a worker's template comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The reference photo in the table of workers.
    Enrolled,
    /// Earlier nights: so many, with so many selfies.
    Remembered {
        /// Nights before this one.
        nights: u32,
        /// Selfies of those nights that hold the face.
        submissions: u64,
    },
    /// Found in `recurrences` of `submissions` selfies.
    Recurring {
        /// Selfies that hold the face.
        recurrences: usize,
        /// Selfies that hold any face.
        submissions: usize,
    },
}

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

    /// The worker's face; `None` while it could not be told.
    pub fn template(&self) -> Option<&Template> {
        self.face.as_ref().map(|face| &face.0)
    }

    /// How well it is known.
    pub fn basis(&self) -> Basis {
        Basis::Remembered { nights: self.nights, submissions: self.submissions }
    }

    /// A worker whose face was seen for the first time, in so many selfies.
    pub(super) fn first_seen(worker_id: &str, model: &ModelId, face: Template, submissions: u64) -> Self {
        let (worker_id, model) = (worker_id.to_owned(), model.clone());
        WorkerMemory { worker_id, model, nights: 1, submissions, face: Some(Face(face)), unresolved: Vec::new() }
    }

    /// A worker whose face could not be told yet.
    pub(super) fn not_told(worker_id: &str, model: &ModelId, unresolved: Vec<UnresolvedSelfie>) -> Self {
        let (worker_id, model) = (worker_id.to_owned(), model.clone());
        WorkerMemory { worker_id, model, nights: 0, submissions: 0, face: None, unresolved }
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
}
