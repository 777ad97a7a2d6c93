//! The review desk: the real binary over real HTTP, and its page in a real browser.

mod browser;
mod chromium;
pub mod client;
mod next_audit;
mod safety;
mod work;
