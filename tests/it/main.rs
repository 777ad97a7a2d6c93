//! One binary for all integration tests: they link once.

mod face;
mod layering;
mod nn;
mod photo;
