//! The review desk: people look at a run's queues of pairs and rows in a browser on this machine.
//!
//! | part | |
//! |---|---|
//! | `tables`, `queue` | the run folder -> persons, and the pairs to ask about |
//! | `nights`, `pictures` | a membership -> its row in a dump at hand, its face and its whole picture as JPEG |
//! | `seeds` | pairs whose answer is known, mixed in unmarked |
//! | `selfies` | other selfies of a worker, and reference photos |
//! | `desk`, `list`, `views` | what each reviewer is shown of the pairs, and what becomes of an answer |
//! | `person` | a person at once: split and joined in one act |
//! | `rows/` | rows in review or rejected, and appeals |
//! | `work`, `given` | who has which part of the work |
//! | `calls/` | the members of a night's sample, to be called, and what they answered |
//! | `request` | what requests have in common |
//! | `guard`, `server` | loopback only, one secret address, no other origin |
//! | `files`, `page/` | the pages: HTML, CSS, script, words and a font, nothing from elsewhere |
//! | `measure`, `export` | how well reviewers answer; the log as Parquet |
//!
//! Decisions are kept by [`crate::decisions`], answers of calls by [`crate::replies::calls`], and the next audit takes them from
//! there; nothing here changes a run folder.
//!
//! **Blind.** A share of the queue is asked of two people. Neither sees that the other has answered, nor what; the same
//! holds for known pairs. Whoever opens the log itself sees everything: it is not hidden, only not shown.

mod calls;
mod desk;
mod export;
mod files;
mod given;
mod guard;
mod list;
mod measure;
mod nights;
mod person;
mod pictures;
mod queue;
mod rate;
mod request;
mod rows;
mod seeds;
mod selfies;
mod server;
mod tables;
mod views;
mod work;

pub use calls::CallList;
pub use desk::{Desk, Setup};
pub use export::export;
pub use measure::{Measured, measure};
pub use server::Server;
