//! Templates on disk, and the search for those that are alike.
//!
//! A [`Store`] is a folder of immutable segments; a [`Gallery`] is what a search sees of it, of rows in memory, or of
//! both. [`exact`] compares every code, [`hnsw`] walks a graph; both only propose, and masters decide, so a similarity
//! never depends on how it was found. What a similar pair means is for [`crate::matching`] to say.

mod derived;
pub mod dot;
pub mod exact;
mod failpoint;
mod files;
pub mod generate;
pub mod hnsw;
mod manifest;
mod member;
mod query;
pub mod search;
mod segment;
mod store;
mod view;

pub use manifest::{Receipt, Run};
pub use member::{Member, Row};
pub use query::{Filter, Hit, Pair, Probe, Want};
pub use search::{Engine, SearchPolicy, SearchReport, search};
pub use store::{Commit, Store, Writer};
pub use view::{Gallery, Memory};
