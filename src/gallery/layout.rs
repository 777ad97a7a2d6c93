//! Where things lie in a store's folder, and what their files end in.

use std::path::{Path, PathBuf};

/// Ending of what is kept of a night's selfies.
pub(super) const PICTURES: &str = "pictures";
/// Ending of the workers' faces.
pub(super) const WORKERS: &str = "workers";
/// Ending of the curves that nights were judged with.
pub(super) const CURVE: &str = "curve";

/// Ending of what members answered.
pub(super) const ANSWERS: &str = "answers";

/// Copies of the receipts.
pub(super) fn receipts_folder(store: &Path) -> PathBuf {
    store.join("receipts")
}

/// Notes of what lies outside of the store and holds templates.
pub(super) fn notes_folder(store: &Path) -> PathBuf {
    store.join("outside")
}

/// The folder in which version 1 and 2 of a store keep the workers.
pub(super) fn folder_of_version_1(store: &Path) -> PathBuf {
    store.join("workers")
}
