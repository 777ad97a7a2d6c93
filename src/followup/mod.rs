//! After a night: whom to ask by SMS, whom to call, and what the answers come to.
//!
//! | part | |
//! |---|---|
//! | `files` | cells that are no formulas |
//! | `members` | a run folder and its dump -> the memberships of a night |
//! | [`release`] | whom the SMS goes to, who is asked for another selfie, who waits |
//! | [`sample`] | a random sample of all memberships for callers, and a second one of the silent |
//! | [`assurance`] | samples and replies -> what may be promised, and what each detector is worth |

pub mod assurance;
mod files;
mod members;
pub mod release;
pub mod sample;
mod text;
