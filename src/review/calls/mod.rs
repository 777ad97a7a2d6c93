//! The queue of calls: members of a night's sample, one after the other, with the questions and what they answered.
//!
//! Answers go into a log of their own ([`crate::replies::calls`]), which `audit --responses` and `assurance` read as a table
//! of replies. What the audit found is not shown: a caller who knows the verdict hears it.

mod desk;
mod list;
mod views;

pub use desk::{Calls, GivenCall, Wanted};
pub use list::CallList;
