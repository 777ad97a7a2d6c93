//! One binary for all integration tests: they link once.

mod dump;
mod layering;
mod matching;
mod ops;
