//! One binary for all integration tests: they link once.

mod audit;
mod bench;
mod dump;
mod evaluate;
mod face;
mod facts;
mod gallery;
mod layering;
mod matching;
mod nn;
mod ops;
mod photo;
mod synth;
mod util;
