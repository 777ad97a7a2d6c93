//! Which engine searches, why, and how much it may have missed.
//!
//! # The choice
//! `auto` compares two estimates of wall time, from rates measured on this machine just before (a fraction of a second):
//! - exact: `probes * rows / pairs_per_second`, the rate of the blocked scan on all cores with this kernel and
//!   dimension, taken on a few megabytes of made-up codes;
//! - HNSW: `probes * graphs * walk_seconds / cores + rows_without_graph / BUILD_RATE / cores`, where a walk compares
//!   [`COMPARISONS`] rows per unit of breadth at the measured cost of one comparison at a random place.
//!
//! HNSW must promise to be [`ADVANTAGE`] times faster to be chosen: exact search finds everything, and a choice near
//! the line would flip from run to run. All numbers are in the [`SearchReport`], which goes into `run.json`. Exact
//! search gives the same answers on every machine; HNSW gives the same answers for one store, whatever the threads,
//! and a choice that must not depend on the machine is made by naming the engine.
//!
//! # The certificate
//! After an HNSW search a sample of the probes, fixed by a seed, is searched exactly. The share of true pairs that HNSW
//! missed is reported with its 95 % Wilson score interval (Wilson, 1927); if the share is above what the policy allows,
//! all probes are searched exactly and the report says so.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::dot::{Kernel, LANES, Probes, RowDot, TILE_BLOCKS, TILE_PROBES, padded};
use super::query::{Hit, Probe, Want};
use super::view::Gallery;
use super::{exact, hnsw};
use crate::{Error, Result};

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

impl Default for SearchPolicy {
    fn default() -> Self {
        SearchPolicy { engine: Engine::Auto, breadth: Default::default(), checked_probes: 1000, max_missed: 0.001 }
    }
}

/// What was measured to choose an engine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// Pairs that exact search compares in a second on all cores.
    pub pairs_per_second: f64,
    /// Seconds that one comparison takes while walking a graph.
    pub comparison_seconds: f64,
    /// Estimated seconds of exact search.
    pub exact_seconds: f64,
    /// Estimated seconds of HNSW, with building the graphs that are missing.
    pub hnsw_seconds: f64,
}

/// What an HNSW search missed of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Certificate {
    /// Probes searched exactly as well.
    pub probes: usize,
    /// Pairs that exact search found for them.
    pub true_pairs: usize,
    /// Those of them that HNSW did not find.
    pub missed: usize,
    /// `missed / true_pairs`; 0 without pairs.
    pub missed_share: f64,
    /// 95 % Wilson score interval of the share; 0 to 1 without pairs.
    pub interval: [f64; 2],
}

/// How a search was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchReport {
    /// What was asked for.
    pub asked: Engine,
    /// What gave the answers: exact or HNSW.
    pub engine: Engine,
    /// Why.
    pub reason: String,
    /// The kernel of the dot products.
    pub kernel: &'static str,
    /// Probes searched.
    pub probes: usize,
    /// Rows searched.
    pub rows: usize,
    /// Answers.
    pub hits: usize,
    /// Wall time, seconds.
    pub seconds: f64,
    /// For `auto`.
    pub calibration: Option<Calibration>,
    /// For HNSW, also when it was not good enough.
    pub certificate: Option<Certificate>,
}

/// How much better HNSW's estimate must be to be chosen.
pub const ADVANTAGE: f64 = 2.0;
/// Points that one thread adds to a graph in a second: measured, on the slow side.
pub const BUILD_RATE: f64 = 500.0;
/// Comparisons per unit of breadth of a walk: most of the 32 links of a leader are new to it, and a heap is kept.
pub const COMPARISONS: f64 = 30.0;

/// Probes searched between two calls of a progress function.
const STEP: usize = 2048;

/// Told how many probes are done, of those given; an error it returns, such as [`Error::Interrupted`], ends the search.
pub type Progress<'a> = &'a mut dyn FnMut(usize) -> Result<()>;

/// Searches a gallery with the engine that the policy names or that measures faster.
///
/// # Errors
/// [`Error::Input`] when a stored row is damaged.
pub fn search(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    want: Want,
    policy: &SearchPolicy,
) -> Result<(Vec<Hit>, SearchReport)> {
    search_with(gallery, probes, want, policy, &mut |_| Ok(()))
}

/// As [`search`], telling how far it is.
///
/// # Errors
/// As [`search`], and what `progress` returns.
pub fn search_with(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    want: Want,
    policy: &SearchPolicy,
    progress: Progress<'_>,
) -> Result<(Vec<Hit>, SearchReport)> {
    check_dims(gallery, probes)?;
    let started = Instant::now();
    let kernel = Kernel::best();
    let mut report = SearchReport {
        asked: policy.engine,
        engine: policy.engine,
        reason: "asked for".into(),
        kernel: kernel.name(),
        probes: probes.len(),
        rows: gallery.live(),
        hits: 0,
        seconds: 0.0,
        calibration: None,
        certificate: None,
    };
    if policy.engine == Engine::Auto {
        choose(gallery, probes, policy, kernel, &mut report);
    }
    let mut hits = Vec::new();
    if report.engine == Engine::Hnsw {
        hits = in_steps(probes, progress, |probes| hnsw::search(gallery, probes, want, policy.breadth, kernel))?;
        let certificate = certify(gallery, probes, want, &hits, policy.checked_probes, kernel)?;
        if certificate.missed_share > policy.max_missed {
            report.engine = Engine::Exact;
            report.reason = format!(
                "HNSW missed {:.4} of the true pairs of {} probes, the policy allows {}",
                certificate.missed_share, certificate.probes, policy.max_missed
            );
        }
        report.certificate = Some(certificate);
    }
    if report.engine == Engine::Exact {
        hits = in_steps(probes, progress, |probes| exact::search(gallery, probes, want, kernel))?;
    }
    report.hits = hits.len();
    report.seconds = started.elapsed().as_secs_f64();
    Ok((hits, report))
}

/// Searches some probes at a time.
fn in_steps<'p>(
    probes: &[Probe<'p>],
    progress: Progress<'_>,
    search: impl Fn(&[Probe<'p>]) -> Result<Vec<Hit>>,
) -> Result<Vec<Hit>> {
    let mut hits = Vec::new();
    for (number, step) in probes.chunks(STEP).enumerate() {
        let first = (number * STEP) as u32;
        hits.extend(search(step)?.into_iter().map(|hit| Hit { probe: hit.probe + first, ..hit }));
        progress(first as usize + step.len())?;
    }
    Ok(hits)
}

/// Refuses probes that say they are of a model and have another length than its rows: they would find nothing.
fn check_dims(gallery: &Gallery, probes: &[Probe<'_>]) -> Result<()> {
    for seen in &gallery.parts {
        let (model, dim) = (&seen.part.model, seen.part.codes.dim);
        if let Some(probe) = probes.iter().find(|p| p.model == model && p.template.dim() != dim) {
            let found = format!("{} and {dim} values from model {}", probe.template.dim(), model.0);
            return Err(Error::bug("searching for templates of one model", found));
        }
    }
    Ok(())
}

/// Fills in the engine, the reason and what was measured.
fn choose(gallery: &Gallery, probes: &[Probe<'_>], policy: &SearchPolicy, kernel: Kernel, report: &mut SearchReport) {
    report.engine = Engine::Exact;
    let Some(dim) = gallery.parts.iter().map(|seen| seen.part.codes.dim).max() else {
        report.reason = "nothing to search".into();
        return;
    };
    let pairs = probes.len() as f64 * gallery.rows() as f64;
    // A tenth of a second on the slowest machine: measuring would take longer than searching.
    if pairs * dim as f64 <= 1e9 {
        report.reason = "too little to search for a graph to pay".into();
        return;
    }
    let cores = rayon::current_num_threads() as f64;
    let pairs_per_second = measure_scan(dim, kernel);
    let comparison_seconds = measure_comparison(dim, kernel);
    let (mut graphs, mut unbuilt) = (0.0, 0.0);
    for seen in &gallery.parts {
        graphs += seen.part.rows().div_ceil(hnsw::SHARD) as f64;
        unbuilt += if seen.part.has_graph() { 0.0 } else { seen.part.rows() as f64 };
    }
    let walk = policy.breadth.start as f64 * COMPARISONS * comparison_seconds;
    let exact_seconds = pairs / pairs_per_second;
    let hnsw_seconds = (probes.len() as f64 * graphs * walk + unbuilt / BUILD_RATE) / cores;
    report.engine = decide(exact_seconds, hnsw_seconds);
    report.reason = format!("estimated {exact_seconds:.1} s exact, {hnsw_seconds:.1} s HNSW");
    report.calibration = Some(Calibration { pairs_per_second, comparison_seconds, exact_seconds, hnsw_seconds });
}

fn decide(exact_seconds: f64, hnsw_seconds: f64) -> Engine {
    if hnsw_seconds * ADVANTAGE < exact_seconds { Engine::Hnsw } else { Engine::Exact }
}

/// How long each measurement runs.
const MEASURE: Duration = Duration::from_millis(150);

/// Pairs per second of the blocked scan, on all cores.
fn measure_scan(dim: usize, kernel: Kernel) -> f64 {
    let size = padded(dim) * LANES;
    let blocks: Vec<u8> = (0..64 * size).map(|i| (i * 31 % 255) as u8 + 1).collect();
    let codes: Vec<i8> = (0..dim).map(|i| (i * 7 % 255) as i8).collect();
    let mut probes = Probes::new(dim);
    (0..TILE_PROBES).for_each(|_| probes.push(&codes));
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

/// Searches a fixed sample of the probes exactly and counts what `hits` lacks.
///
/// # Errors
/// As [`exact::search`].
pub fn certify(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    want: Want,
    hits: &[Hit],
    sample: usize,
    kernel: Kernel,
) -> Result<Certificate> {
    let chosen = spread_sample(probes.len(), sample);
    let checked: Vec<Probe<'_>> = chosen.iter().map(|&at| probes[at]).collect();
    let truth = exact::search(gallery, &checked, want, kernel)?;
    let found: HashSet<(u32, u32)> = hits.iter().map(|hit| (hit.probe, hit.row)).collect();
    let missed = truth.iter().filter(|hit| !found.contains(&(chosen[hit.probe as usize] as u32, hit.row))).count();
    let share = if truth.is_empty() { 0.0 } else { missed as f64 / truth.len() as f64 };
    Ok(Certificate {
        probes: checked.len(),
        true_pairs: truth.len(),
        missed,
        missed_share: share,
        interval: wilson(missed, truth.len()),
    })
}

/// `sample` of `count` positions, ascending and without repetition: those with the smallest mixed numbers.
fn spread_sample(count: usize, sample: usize) -> Vec<usize> {
    let mixed = |at: usize| {
        (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xd6e8_feb8_6659_fd93)
    };
    let mut all: Vec<usize> = (0..count).collect();
    all.sort_unstable_by_key(|&at| mixed(at));
    all.truncate(sample);
    all.sort_unstable();
    all
}

/// 95 % Wilson score interval of `hits` in `trials`.
pub fn wilson(hits: usize, trials: usize) -> [f64; 2] {
    if trials == 0 {
        return [0.0, 1.0];
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (n, p) = (trials as f64, hits as f64 / trials as f64);
    let centre = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    [((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_matches_published_values() {
        // Brown, Cai and DasGupta (2001), and R's binom::binom.wilson.
        let close = |a: [f64; 2], b: [f64; 2]| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 5e-5);
        assert!(close(wilson(0, 10), [0.0, 0.27753]), "{:?}", wilson(0, 10));
        assert!(close(wilson(5, 10), [0.23659, 0.76341]), "{:?}", wilson(5, 10));
        assert!(close(wilson(1, 1000), [0.00018, 0.00564]), "{:?}", wilson(1, 1000));
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
    }

    #[test]
    fn a_sample_is_fixed_and_has_no_repetition() {
        let sample = spread_sample(1000, 100);
        assert_eq!(sample, spread_sample(1000, 100));
        assert!(sample.windows(2).all(|w| w[0] < w[1]) && sample.len() == 100);
        assert_eq!(spread_sample(5, 100), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn exact_search_has_the_benefit_of_the_doubt() {
        assert_eq!(decide(10.0, 4.9), Engine::Hnsw);
        assert_eq!(decide(10.0, 5.0), Engine::Exact);
        assert_eq!(decide(0.0, 0.0), Engine::Exact);
    }

    #[test]
    fn engines_are_read_and_printed_alike() {
        for text in ["auto", "exact", "hnsw"] {
            assert_eq!(text.parse::<Engine>().map(|e| e.to_string()), Ok(text.to_owned()));
        }
        assert!("fast".parse::<Engine>().is_err());
    }
}
