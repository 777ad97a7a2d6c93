//! `chehra` (चेहरा, "face") audits the selfies of a membership drive.
//!
//! The modules stand in the order in which the data flows; a module uses only what stands before it here, plus the
//! leaves. `tests/it/layering.rs` fails on an arrow that runs back.
//!
//! | leaves | |
//! |---|---|
//! | [`error`], [`exit`], [`reason`] | what can go wrong with a run, and with a row |
//! | [`lock`], [`journal`] | lock files; logs of what people said |
//! | [`statistics`] | random numbers that stay the same, and an interval |
//! | [`output`], [`sheets`] | where results may be written; tables for spreadsheets |
//! | [`config`] | policy, column names, what was typed resolved into what it means |
//! | [`memory`] | how much of it there is, and room for pictures in it |
//! | [`device`], [`ops`], [`nn`] | where the arithmetic runs, the operations, the networks and their weights |
//!
//! | flow | |
//! |---|---|
//! | [`dump`] | Parquet rows -> [`dump::Submission`] |
//! | [`photo`] | bytes -> [`photo::Photo`] |
//! | [`face`] | photo -> detections, aligned crops, quality |
//! | [`infer`] | crops in batches -> liveness, [`infer::Template`] |
//! | [`seen`] | what was seen, as Parquet: parts of a dump that many machines share |
//! | [`roles`] | the faces of one worker's submissions -> who is the worker, who the member |
//! | [`replies`] | what members answered, by SMS, call or visit |
//! | [`gallery`] | templates on disk, exact search and HNSW |
//! | [`decisions`] | what reviewers decided: a log that only grows |
//! | [`matching`] | candidates -> pairs -> clusters |
//! | [`pairs`] | members -> candidates -> judged: the one way for a night, a store and look-ups |
//! | [`verdict`] | rules, policy, tables, run folder |
//! | [`presence`] | where, when and with which phone workers enrol, against peers |
//! | [`assurance`] | what may be promised of a drive, from random calls: designs and confidence sequences |
//! | [`report`] | progress and summaries for people |
//! | [`audit`] | the stages above wired in order |
//! | [`lookup`] | what analysts ask: row filters, one photo against a store, two photos, one photo |
//! | [`followup`] | whom to ask, whom to call, and what the answers come to |
//! | [`synth`] | dumps with known truth, from any face pictures |
//! | [`evaluate`] | accuracy in ISO/IEC 19795-1 and 30107-3 terms |
//! | [`bench`] | cost by stage, and whether it has grown |
//! | [`review`] | the review desk: a run's queue in a browser, on this machine alone |

pub mod assurance;
pub mod audit;
pub mod bench;
pub mod cli;
pub mod config;
pub mod decisions;
pub mod device;
pub mod dump;
pub mod error;
pub mod evaluate;
pub mod exit;
pub mod face;
pub mod followup;
pub mod gallery;
pub mod infer;
pub mod journal;
pub mod lock;
pub mod lookup;
pub mod matching;
pub mod memory;
pub mod nn;
pub mod objects;
pub mod ops;
pub mod output;
pub mod pairs;
pub mod photo;
pub mod presence;
pub mod reason;
pub mod replies;
pub mod report;
pub mod review;
pub mod roles;
pub mod seen;
pub mod sheets;
pub mod statistics;
pub mod synth;
mod terminal;
pub mod verdict;

pub use error::{Error, Result};
