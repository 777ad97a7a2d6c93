//! Rules and policy -> verdicts, tables, run folder.

mod decided;
mod decision;
mod findings;
mod folder;
pub mod peers;
mod peers_table;
mod remote;
mod rows;
pub mod rules;
pub(crate) mod statistics;
pub mod suspects;
mod tables;
mod tallies;

pub(crate) use crate::output::create_private;
pub use decided::{DecidedRows, RowCounts, name_of_row};
pub use decision::RowDecision;
pub use findings::{Finding, Findings, Membership, Original, Sign, assemble, rows_of};
pub use folder::RunFolder;
pub use peers_table::write_workers_audit;
pub use rows::{FaceRow, SentFrom, VerdictRow};
pub use suspects::write_suspects;
pub use tables::{Everywhere, VerdictWriter, write_clusters, write_pairs, write_pairs_as, write_review};
pub(crate) use tables::{write_by_ending, write_table};
