//! The review desk: the real binary over real HTTP.

mod calls;
pub mod client;
mod next_audit;
mod rows;
mod safety;
mod work;
