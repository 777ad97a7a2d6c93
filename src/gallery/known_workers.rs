//! What a store remembers of workers.

use std::collections::BTreeMap;

use crate::roles::WorkerMemory;

/// Known workers by id.
pub type KnownWorkers = BTreeMap<String, WorkerMemory>;
