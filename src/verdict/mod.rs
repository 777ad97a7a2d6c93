//! Rules and policy -> verdicts, tables, run folder.

mod folder;
pub mod peers;
mod peers_table;
mod rows;
pub mod rules;
mod statistics;
mod tables;

pub use folder::RunFolder;
pub(crate) use folder::write_durably;
pub use peers_table::write_workers_audit;
pub use rows::{FaceRow, VerdictRow};
pub use tables::{VerdictWriter, write_clusters, write_pairs, write_review};
pub(crate) use tables::{create_private, write_table};
