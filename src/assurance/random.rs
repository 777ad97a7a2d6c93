//! Numbers that anybody can draw again: SHA-256 of the seed, what it is for, and the number of the draw.
//!
//! So a sample can be checked with any tool (P. Stark's `cryptorandom` does the same), and does not hang on the order of
//! rows or on the version of a library.

pub use crate::statistics::uniform_of as uniform;

use crate::statistics::SplitMix64;

/// Many uniform numbers for simulations, seeded by [`uniform`].
#[derive(Debug, Clone)]
pub struct Stream(SplitMix64);

impl Stream {
    /// The stream of a thing under a seed.
    pub fn new(seed: &str, what: &str) -> Stream {
        Stream(SplitMix64::new((uniform(&[seed, what]) * (1u64 << 53) as f64) as u64))
    }

    /// The next number, from 0 to 1.
    pub fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    /// A whole number below `n`; 0 for 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }
}
