//! Numbers that anybody can draw again: SHA-256 of the seed, what it is for, and the number of the draw.
//!
//! So a sample can be checked with any tool (P. Stark's `cryptorandom` does the same), and does not hang on the order of
//! rows or on the version of a library.

use sha2::{Digest, Sha256};

use crate::statistics::SplitMix64;

/// A uniform number from 0 to 1 (open on both sides) for a thing under a seed.
pub fn uniform(words: &[&str]) -> f64 {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word.as_bytes());
    }
    let digest = hash.finalize();
    let bytes: [u8; 8] = std::array::from_fn(|i| digest[i]);
    ((u64::from_le_bytes(bytes) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

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
