//! Rules and policy -> verdicts, tables, run folder.

mod folder;
mod rows;
pub mod rules;
mod tables;

pub use folder::RunFolder;
pub(crate) use folder::write_durably;
pub use rows::{FaceRow, VerdictRow};
pub(crate) use tables::create_private;
pub use tables::{VerdictWriter, write_clusters, write_pairs};
