//! One binary for all integration tests: they link once.

mod dump;
mod layering;
mod nn;
mod ops;
mod face;
mod layering;
mod nn;
mod photo;
