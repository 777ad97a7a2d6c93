//! A random sample of all memberships of a night, for callers; and a second one of those who did not answer.
//!
//! Strata are night, division, district, accepted or not, and whether the booth has had a check. Within a stratum all are
//! equally likely ([`design`]). A sample is a folder:
//!
//! | file | |
//! |---|---|
//! | `sample.parquet` | who is called, in which order, with which probability |
//! | `frame.parquet` | every membership that could have been drawn, its stratum, its verdict and scores: the population |
//! | `sample.json` | seed, time, strata, SHA-256 of list and frame; written last |
//! | `callers.csv` | the list to work with, **with mobile numbers**; delete it when the calls are done |
//! | `questions.txt` | what callers ask |
//!
//! List and frame hold the last three digits of a number, nothing more. Whoever has seed and frame can draw again: that is
//! how an edited list is found out. All files are readable by their owner alone.
//!
//! | part | |
//! |---|---|
//! | `job` | what to draw, and what was drawn in a sentence |
//! | `record` | strata, frame and list, and their hashes |
//! | `strata` | the memberships of nights -> strata with their calls, and the frame |
//! | `list` | frame and seed -> the list |
//! | `draw` | the two ways to draw: of a night, and of those who did not answer |
//! | `folder` | the folder, written, read back and checked |
//! | `callers` | the list to work with |

mod callers;
mod draw;
mod folder;
mod job;
mod list;
mod record;
mod strata;

pub use draw::{draw, draw_again};
pub use job::{SampleJob, SampleSummary, beside};
pub use record::{FrameRow, ListRow, Sample, SampleRecord, SecondRecord, Stratum};
pub(super) use strata::end_of;
