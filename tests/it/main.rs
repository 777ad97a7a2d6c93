//! One binary for all integration tests: they link once.

mod audit;
mod bench;
mod devices;
mod dump;
mod evaluate;
mod evaluate_dedup;
mod face;
mod facts;
mod farmed;
mod faults;
mod followup;
mod gallery;
mod intake;
mod iresnet;
mod layering;
mod lookups;
mod matching;
mod monitoring;
mod nn;
mod ops;
mod photo;
mod report;
mod review;
mod setup;
mod synth;
mod util;
