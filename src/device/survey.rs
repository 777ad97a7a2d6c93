//! What there is of GPUs, whoever looked for it.

use serde::Serialize;

/// What there is of one kind of GPU.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Survey {
    /// Whether this binary can use it.
    pub built: bool,
    /// Version of the driver's interface, such as "13.0".
    pub driver: Option<String>,
    /// Why there are no cards to use, and what was looked for.
    pub problem: Option<String>,
    /// The cards, by number.
    pub cards: Vec<Card>,
}

/// One GPU.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Card {
    /// As it calls itself.
    pub name: String,
    /// Bytes of its memory.
    pub memory: u64,
    /// Bytes of it that are free, where the driver says.
    pub free: Option<u64>,
    /// CUDA's compute capability, such as "9.0".
    pub compute_capability: Option<String>,
    /// Multiprocessors, where the driver says.
    pub processors: Option<u32>,
}
