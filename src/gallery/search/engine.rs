//! What searches: an engine, its limits, and what its exact part runs on.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::config::policy::HnswPolicy;
use crate::gallery::hnsw;
use crate::gallery::processor::Processor;

/// The engine as asked for with `--search`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The faster one by measurement; exact where in doubt.
    #[default]
    Auto,
    /// Every code is compared.
    Exact,
    /// A graph is walked, and a sample is checked.
    Hnsw,
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Engine::Auto),
            "exact" => Ok(Engine::Exact),
            "hnsw" => Ok(Engine::Hnsw),
            _ => Err(format!("'{text}' is not one of auto, exact, hnsw")),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Auto => "auto",
            Engine::Exact => "exact",
            Engine::Hnsw => "hnsw",
        })
    }
}

/// How to search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchPolicy {
    /// Which engine.
    pub engine: Engine,
    /// How wide an HNSW search is.
    pub breadth: hnsw::Breadth,
    /// Probes that an HNSW search is checked with.
    pub checked_probes: usize,
    /// Largest share of true pairs that an HNSW search may miss of the checked ones; above it the search is exact.
    pub max_missed: f64,
}

impl SearchPolicy {
    /// This engine, with the limits of a policy file.
    pub fn new(engine: Engine, limits: &HnswPolicy) -> SearchPolicy {
        SearchPolicy {
            engine,
            breadth: hnsw::Breadth { start: limits.breadth, most: limits.most_breadth },
            checked_probes: limits.checked_probes,
            max_missed: limits.max_missed_share,
        }
    }
}

impl Default for SearchPolicy {
    fn default() -> Self {
        SearchPolicy::new(Engine::Auto, &HnswPolicy::default())
    }
}

/// What searches galleries: an engine with its limits, and what its exact part runs on. A value that is handed down.
#[derive(Debug, Clone, Default)]
pub struct Searcher {
    pub(super) policy: SearchPolicy,
    pub(super) processor: Processor,
}

impl Searcher {
    /// This engine with the limits of a policy; exact search runs on the device.
    pub fn new(engine: Engine, limits: &HnswPolicy, device: &Device) -> Searcher {
        Searcher { policy: SearchPolicy::new(engine, limits), processor: Processor::on(device) }
    }

    /// The one that compares every code, on the same processor.
    pub fn exact(&self) -> Searcher {
        let policy = SearchPolicy { engine: Engine::Exact, ..self.policy.clone() };
        Searcher { policy, processor: self.processor.clone() }
    }

    /// What exact search runs on.
    pub fn processor(&self) -> &Processor {
        &self.processor
    }
}

/// On the cores.
impl From<&SearchPolicy> for Searcher {
    fn from(policy: &SearchPolicy) -> Self {
        Searcher { policy: policy.clone(), processor: Processor::default() }
    }
}

impl From<&Searcher> for Searcher {
    fn from(searcher: &Searcher) -> Self {
        searcher.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_read_and_printed_alike() {
        for text in ["auto", "exact", "hnsw"] {
            assert_eq!(text.parse::<Engine>().map(|e| e.to_string()), Ok(text.to_owned()));
        }
        assert!("fast".parse::<Engine>().is_err());
    }
}
