//! Rules and policy -> verdicts, tables, run folder.

mod findings;
mod folder;
pub mod peers;
mod peers_table;
mod rows;
pub mod rules;
mod statistics;
pub mod suspects;
mod tables;
mod tallies;

pub(crate) use crate::output::create_private;
pub use findings::{Finding, Findings, Membership, Original, Sign, assemble, rows_of};
pub use folder::RunFolder;
pub use peers_table::write_workers_audit;
pub use rows::{FaceRow, SentFrom, VerdictRow};
pub use suspects::write_suspects;
pub(crate) use tables::write_table;
pub use tables::{Everywhere, VerdictWriter, write_clusters, write_pairs, write_review};
