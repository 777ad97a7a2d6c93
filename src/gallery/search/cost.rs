//! What a search will cost by either engine, from rates measured on this machine a moment before.
//!
//! Estimates are of wall time on `T` threads:
//! - exact: `pairs / pairs_per_second`. The rate is that of the blocked scan with its filter, on all threads, with this
//!   kernel and dimension, on a few megabytes of made-up codes.
//! - HNSW: `(probes * graphs * breadth * COMPARISONS + unbuilt rows * INSERTION) * comparison_seconds / T`, and the exact
//!   search of the probes that the certificate checks. The time of a comparison is that of two rows that lie apart in
//!   more memory than a core's caches hold, which is what a walk does; the two constants are how many such comparisons
//!   a step of a walk and the insertion of a row into a graph are worth, heaps and sets included. They were fitted to
//!   walks and builds of 100,000 rows of 128 values (`benches/results/gallery.md`).
//!
//! Graphs hold at most [`hnsw::SHARD`] rows, so both estimates grow with probes times rows, and which engine is
//! better depends on the kernel, hardly on the size: with VNNI or AMX a scan passes a shard in a tenth of the time
//! that a walk takes; with plain code the walk wins, once graphs are built.

use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::Serialize;

use super::engine::{Engine, SearchPolicy, Searcher};
use crate::gallery::dot::filter::{Reach, reaching};
use crate::gallery::dot::{Kernel, LANES, Probes, RowDot, TILE_BLOCKS, TILE_PROBES, padded};
use crate::gallery::hnsw;
use crate::gallery::processor::Processor;
use crate::gallery::view::Gallery;

/// What was measured to choose an engine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// Threads.
    pub threads: usize,
    /// Pairs that exact search would compare.
    pub pairs: f64,
    /// Pairs that exact search compares in a second on all threads: measured.
    pub pairs_per_second: f64,
    /// Graphs that HNSW would walk for each probe.
    pub graphs: usize,
    /// Leaders kept at first in a walk.
    pub breadth: usize,
    /// Rows whose graph is not built yet.
    pub rows_without_graph: usize,
    /// Seconds that one comparison takes while walking a graph: measured.
    pub comparison_seconds: f64,
    /// Estimated seconds of exact search.
    pub exact_seconds: f64,
    /// Estimated seconds of HNSW, with building the graphs that are missing and with its certificate.
    pub hnsw_seconds: f64,
    /// HNSW is chosen when its estimate is so many times smaller.
    pub advantage_asked: f64,
}

/// How much better HNSW's estimate must be to be chosen: exact search finds everything, and a choice near the line
/// would flip from run to run.
pub const ADVANTAGE: f64 = 2.0;
/// Comparisons that a unit of breadth of a walk is worth: most of the 32 links of a leader are new to it, and a heap is
/// kept.
pub const COMPARISONS: f64 = 15.0;
/// Comparisons that the insertion of a row into a graph is worth: a walk of breadth 200, and neighbours chosen anew on
/// both sides.
pub const INSERTION: f64 = 20_000.0;
/// Below so many products measuring would take longer than searching.
const TOO_LITTLE: f64 = 1e9;
/// How long each measurement runs.
const MEASURE: Duration = Duration::from_millis(150);

/// What is to be searched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) probes: usize,
    /// Pairs that exact search would compare.
    pub(super) pairs: f64,
}

/// An engine, why it, and what was measured for that.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) engine: Engine,
    pub(super) reason: String,
    pub(super) calibration: Option<Calibration>,
}

impl Choice {
    fn exact(reason: &str) -> Choice {
        Choice { engine: Engine::Exact, reason: reason.to_owned(), calibration: None }
    }
}

/// The engine whose estimated time is less.
pub(super) fn choose(gallery: &Gallery, work: Work, searcher: &Searcher) -> Choice {
    let Searcher { policy, processor } = searcher;
    let &Processor::Cpu(kernel) = processor else {
        return Choice::exact("exact search runs on the GPU");
    };
    let Some(dim) = gallery.parts.iter().map(|seen| seen.part.codes.dim).max() else {
        return Choice::exact("nothing to search");
    };
    if work.pairs * dim as f64 <= TOO_LITTLE {
        return Choice::exact("too little to search for a graph to pay");
    }
    let calibration = estimate(gallery, work, policy, [measure_scan(dim, kernel), measure_comparison(dim, kernel)]);
    let [exact, hnsw] = [calibration.exact_seconds, calibration.hnsw_seconds];
    Choice {
        engine: decide(exact, hnsw),
        reason: format!("estimated {exact:.1} s exact, {hnsw:.1} s HNSW"),
        calibration: Some(calibration),
    }
}

/// The two estimates, from pairs per second and seconds per comparison.
fn estimate(gallery: &Gallery, work: Work, policy: &SearchPolicy, measured: [f64; 2]) -> Calibration {
    let [pairs_per_second, comparison_seconds] = measured;
    let threads = rayon::current_num_threads();
    let (mut graphs, mut unbuilt) = (0, 0);
    for seen in &gallery.parts {
        graphs += seen.part.rows().div_ceil(hnsw::SHARD);
        unbuilt += if seen.part.has_graph() { 0 } else { seen.part.rows() };
    }
    let breadth = policy.breadth.start;
    let comparisons = work.probes as f64 * (graphs * breadth) as f64 * COMPARISONS + unbuilt as f64 * INSERTION;
    let checked = (policy.checked_probes.min(work.probes) * gallery.rows()) as f64;
    Calibration {
        threads,
        pairs: work.pairs,
        pairs_per_second,
        graphs,
        breadth,
        rows_without_graph: unbuilt,
        comparison_seconds,
        exact_seconds: work.pairs / pairs_per_second,
        hnsw_seconds: comparisons * comparison_seconds / threads as f64 + checked / pairs_per_second,
        advantage_asked: ADVANTAGE,
    }
}

fn decide(exact_seconds: f64, hnsw_seconds: f64) -> Engine {
    if hnsw_seconds * ADVANTAGE < exact_seconds { Engine::Hnsw } else { Engine::Exact }
}

/// Pairs per second of the blocked scan, on all threads.
fn measure_scan(dim: usize, kernel: Kernel) -> f64 {
    let size = padded(dim) * LANES;
    let blocks: Vec<u8> = (0..64 * size).map(|i| (i * 31 % 255) as u8 + 1).collect();
    let codes: Vec<i8> = (0..dim).map(|i| (i * 7 % 255) as i8).collect();
    let mut probes = Probes::new(dim);
    (0..TILE_PROBES).for_each(|_| probes.push(&codes));
    // Out of reach, as nearly every row is of every probe.
    let reaches = [Reach { scale: 1e-9, grown: 1.0, least: 1.0 }; TILE_PROBES];
    let rows = [1e-9; TILE_BLOCKS * LANES];
    let started = Instant::now();
    let pairs: usize = (0..rayon::current_num_threads())
        .into_par_iter()
        .map(|_| {
            let mut sums = [0; TILE_PROBES * TILE_BLOCKS * LANES];
            let mut pairs = 0;
            while started.elapsed() < MEASURE {
                for blocks in blocks.chunks(TILE_BLOCKS * size) {
                    kernel.dots(&probes, 0..TILE_PROBES, blocks, &mut sums);
                    pairs += std::hint::black_box(&sums).len();
                    std::hint::black_box(reaching(kernel, &sums, &reaches, &rows, &rows));
                }
            }
            pairs
        })
        .sum();
    pairs as f64 / started.elapsed().as_secs_f64()
}

/// Seconds of one comparison of rows that lie apart, as in a walk.
fn measure_comparison(dim: usize, kernel: Kernel) -> f64 {
    let width = padded(dim);
    let rows = (32 << 20) / width;
    let bytes = vec![129u8; rows * width];
    let dot = RowDot::new(kernel);
    let started = Instant::now();
    let (mut count, mut at, mut sum) = (0u64, 1usize, 0i32);
    while started.elapsed() < MEASURE {
        for _ in 0..256 {
            at = (at.wrapping_mul(0x9e37_79b9) + 12_345) % rows;
            sum = sum.wrapping_add(dot.of(&bytes[..width], &bytes[at * width..][..width], -128));
        }
        count += 256;
    }
    std::hint::black_box(sum);
    started.elapsed().as_secs_f64() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::generate::Crowd;

    #[test]
    fn exact_search_has_the_benefit_of_the_doubt() {
        assert_eq!(decide(10.0, 4.9), Engine::Hnsw);
        assert_eq!(decide(10.0, 5.0), Engine::Exact);
        assert_eq!(decide(0.0, 0.0), Engine::Exact);
    }

    #[test]
    fn a_slow_scan_and_graphs_that_are_built_speak_for_hnsw() {
        let gallery = Gallery::from_rows(&Crowd::new(64, 1).rows(0..500).unwrap()).unwrap();
        let policy = SearchPolicy::default();
        let work = Work { probes: 1_000_000, pairs: 5e8 };
        let at = |rates| estimate(&gallery, work, &policy, rates);
        let unbuilt = at([1e6, 1e-9]);
        assert_eq!((unbuilt.graphs, unbuilt.rows_without_graph, unbuilt.exact_seconds), (1, 500, 500.0));
        hnsw::search(&gallery, &[], crate::gallery::Want::Above(0.5), Default::default(), Kernel::best()).unwrap();
        let built = at([1e6, 1e-9]);
        assert_eq!(built.rows_without_graph, 0);
        assert!(built.hnsw_seconds < unbuilt.hnsw_seconds);
        assert_eq!(decide(built.exact_seconds, built.hnsw_seconds), Engine::Hnsw);
        let fast = at([1e9, 1e-7]);
        assert_eq!(decide(fast.exact_seconds, fast.hnsw_seconds), Engine::Exact);
        // No more probes than the certificate checks: HNSW would only come on top.
        let few = estimate(&gallery, Work { probes: 1000, pairs: 5e5 }, &policy, [1e6, 1e-9]);
        assert!(few.hnsw_seconds > few.exact_seconds);
    }
}
