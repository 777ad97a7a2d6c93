//! The nightly job as a system runs it.
