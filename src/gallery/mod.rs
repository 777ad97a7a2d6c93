//! Templates on disk, and the search for those that are alike.
//!
//! A [`Store`] is a folder of immutable segments; a [`Gallery`] is what a search sees of it, of rows in memory, or of
//! both. [`exact`] compares every code, [`hnsw`] walks a graph; both only propose, and masters decide, so a similarity
//! never depends on how it was found. What a similar pair means is for [`crate::matching`] to say.

mod answers;
#[cfg(test)]
mod crash;
mod curves;
mod derived;
pub mod dot;
pub mod exact;
mod exchange;
mod failpoint;
mod files;
mod forget;
pub mod generate;
mod graphs;
pub mod hnsw;
mod known_workers;
mod layout;
mod leftovers;
mod manifest;
mod member;
mod night_pictures;
mod notes;
mod on_device;
mod outside;
mod pictures;
mod place;
mod processor;
mod query;
mod scan;
pub mod search;
mod segment;
mod spool;
mod store;
mod verify;
mod view;
mod workers;

pub use answers::StoredAnswer;
pub use forget::{CompactPolicy, Compaction, Forgotten};
pub use known_workers::KnownWorkers;
pub use manifest::{Receipt, Renewal, Run};
pub use member::{Member, Row};
pub use night_pictures::{Backdrop, KeptPicture, Marks, NightPictures, Stranger};
pub use outside::SeenNote;
pub use processor::Processor;
pub use query::{Filter, Hit, Pair, Probe, Thinning, Want};
pub use search::{Engine, SearchPolicy, SearchReport, Searcher, all_pairs, search, search_with};
pub use spool::{Spool, withhold};
pub use store::{Commit, Curve, Night, Store, Writer};
pub use verify::{SegmentStats, Stats, Verification};
pub use view::{Gallery, Memory};
