//! Approximate search over a graph (HNSW: Malkov and Yashunin, 2018, arXiv:1603.09320). It proposes, masters decide.
//!
//! `hnsw_rs` builds the graph, and what it built is frozen into a flat file of our own. That answers its limits one by
//! one: a frozen point takes its codes and some 150 bytes, not three to five thousand; the file has a hash, so a
//! damaged one is rebuilt and never loaded; nothing is ever inserted after a reload. One thread builds one graph, so a
//! graph is a function of its rows; the graphs of a large segment are built side by side.
//!
//! Many templates that are nearly the same (one picture sent five hundred times) crowd each other's neighbour lists
//! and cut off the rest, so each group is collapsed to its first row, its leader, before the graph is built; finding a
//! leader finds its group. A search widens until the least similar leader it found lies below what was asked, and
//! where that takes too much of the graph it scans the shard instead.

mod build;
pub(super) mod graph;

use rayon::prelude::*;

pub(super) use build::{SHARD, build};
pub(super) use graph::Graph;
use graph::{Scored, Shard, Visited, Walker};

use super::dot::{Kernel, RowDot};
use super::query::{Hit, Probe, Want, settle};
use super::view::{Gallery, Seen};
use crate::Result;
use crate::config::policy::HnswPolicy;
use crate::infer::template::similarity_of_masters;

/// A leader this much less similar than what is asked may still lead a row that is similar enough. Row and leader
/// differ by a vector no longer than `sqrt(2 - 2 * SAME)` = 0.14, whose product with a probe scatters by 0.14 / sqrt(dim),
/// 0.0125 at 128 values; the error of the codes scatters far less. This is four times that; the certificate counts
/// what lies beyond.
const SLACK: f32 = 0.05;

/// How wide a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Breadth {
    /// Leaders kept while walking, at first.
    pub start: usize,
    /// Where widening ends: beyond this many leaders a shard is scanned.
    pub most: usize,
}

impl Default for Breadth {
    fn default() -> Self {
        let limits = HnswPolicy::default();
        Breadth { start: limits.breadth, most: limits.most_breadth }
    }
}

/// Searches every part through its graph; answers as [`super::exact::search`] gives them, but some may be missing.
///
/// # Errors
/// [`crate::Error::Input`] when a stored row is damaged.
pub fn search(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    want: Want,
    breadth: Breadth,
    kernel: Kernel,
) -> Result<Vec<Hit>> {
    for seen in &gallery.parts {
        seen.part.graph(kernel)?;
    }
    let found: Result<Vec<Vec<Hit>>> = probes
        .par_iter()
        .enumerate()
        .map_init(Visited::default, |visited, (number, probe)| {
            let mut hits = Vec::new();
            for seen in gallery.parts.iter().filter(|s| s.part.model == *probe.model) {
                let graph = seen.part.graph(kernel)?;
                for shard in graph.shards() {
                    let search = ShardSearch { seen, graph: &graph, shard, number, probe, want, breadth, kernel };
                    search.run(visited, &mut hits)?;
                }
            }
            Ok(settle(hits, want))
        })
        .collect();
    Ok(found?.into_iter().flatten().collect())
}

struct ShardSearch<'a> {
    seen: &'a Seen,
    graph: &'a Graph,
    shard: &'a Shard,
    number: usize,
    probe: &'a Probe<'a>,
    want: Want,
    breadth: Breadth,
    kernel: Kernel,
}

impl ShardSearch<'_> {
    fn run(&self, visited: &mut Visited, hits: &mut Vec<Hit>) -> Result<()> {
        let t = self.probe.template;
        if t.dim() != self.seen.part.codes.dim {
            return Ok(());
        }
        let walker = Walker::new(self.graph, self.shard, t, RowDot::new(self.kernel));
        // As many rows as a top search asks for end it; a threshold search ends below its threshold only.
        let (least, enough) = match self.want {
            Want::Above(floor) | Want::AboveThinned { floor, .. } => (floor, None),
            Want::Top { count, floor } => (floor, Some(count)),
        };
        let tail = least - SLACK;
        let wide = enough.map_or(0, |count| count.saturating_mul(2).min(self.breadth.most));
        let mut breadth = self.breadth.start.max(wide).max(1);
        loop {
            let all = breadth >= walker.leaders();
            let found = if all { walker.every_leader() } else { walker.walk(breadth, visited) };
            let worst = found.iter().min().map_or(-1.0, |s| s.similarity);
            let passing = self.rescore(&found, least, tail)?;
            if all || worst < tail || enough.is_some_and(|count| passing.len() >= count) {
                hits.extend(passing);
                return Ok(());
            }
            breadth = if breadth >= self.breadth.most { usize::MAX } else { breadth * 2 };
        }
    }

    /// The rows of the leaders' groups that the filter lets pass and that are similar enough.
    fn rescore(&self, leaders: &[Scored], least: f32, tail: f32) -> Result<Vec<Hit>> {
        let part = &self.seen.part;
        let mut master = Vec::new();
        let mut hits = Vec::new();
        for scored in leaders.iter().filter(|s| s.similarity >= tail) {
            for row in self.graph.group(self.shard, scored.node) {
                if self.seen.is_hidden(row) || !self.probe.filter.lets_pass(&part.facts, row) {
                    continue;
                }
                part.master(row, &mut master)?;
                let similarity = similarity_of_masters(&self.probe.template.master, &master);
                if similarity >= least {
                    hits.push(Hit { probe: self.number as u32, row: (self.seen.first + row) as u32, similarity });
                }
            }
        }
        Ok(hits)
    }
}
