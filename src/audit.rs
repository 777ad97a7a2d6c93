//! The nightly job: the stages wired in order.

mod spool;
