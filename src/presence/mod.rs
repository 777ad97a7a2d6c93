//! Enrolled from home: where, when and with which phone a worker enrols, against peers.
//!
//! The face tells who is there, not where. A worker who photographs thirty cousins in one room, or enrols a list at midnight,
//! passes every check of faces. What an auditor would look at is measured here: a [`Sign`] is one thing that a submission may
//! show beside those of the same worker, such as that it comes from the same point as most others. One sign says nothing, for
//! camps, families and shared phones show the same; so each worker's count is compared with how much peers' counts scatter
//! ([`scatter`]), and whoever is far outside stands first in the list of workers to call ([`list`]). No verdict follows from it.
//!
//! | file | |
//! |---|---|
//! | `visit` | what is known of a submission |
//! | `place`, `pace`, `device`, `room`, `edited` | the signs |
//! | `scatter` | the chance of so many signs among peers that differ: beta-binomial |
//! | `workers` | every worker and sign against peers |
//! | `rings` | workers tied to each other |
//! | `list`, `words` | whom to call first, and why, in English and Hindi |

mod device;
mod edited;
mod list;
mod pace;
mod place;
mod rings;
mod room;
mod scatter;
mod sign;
mod visit;
mod words;
mod workers;

pub use list::{ListedWorker, call_first, write_call_first};
pub use rings::{RingRow, Tie, Together, rings, shared_phones, write_rings};
pub use room::EarlierRoom;
pub use sign::{Sign, Signs};
pub use visit::Visit;
pub use workers::{findings, measure};
