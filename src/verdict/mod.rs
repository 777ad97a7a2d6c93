//! Rules and policy -> verdicts, tables, run folder.

mod folder;
mod rows;
mod tables;

pub use folder::RunFolder;
pub use rows::{FaceRow, VerdictRow};
pub use tables::{write_clusters, write_pairs, write_verdicts};
