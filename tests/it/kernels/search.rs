//! Integer search: the sums of the CPU, every row that may be near enough, and limits that never rise too far.

use chehra::gallery::dot::{LANES, ZERO, dot, padded, put};
use chehra::infer::template::{SCAN_SLACK, Template};
use chehra::ops::params::{MOST_TOP, SearchHit, SearchParams, SearchReach, limit_key};

use super::Noise;
use super::shim::{Shim, dialects};

type Search = unsafe extern "C" fn(
    *const u32,
    *const f32,
    *const f32,
    *const u32,
    *const i32,
    *const SearchReach,
    *mut u32,
    *mut SearchHit,
    *mut u32,
    *const SearchParams,
    u32,
);

/// Rows and probes as a device has them.
struct Bench {
    words: usize,
    rows: Vec<Template>,
    probes: Vec<Template>,
    codes: Vec<u32>,
    scales: Vec<f32>,
    residuals: Vec<f32>,
    panel: Vec<u32>,
    starts: Vec<i32>,
    reaches: Vec<SearchReach>,
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

impl Bench {
    /// Faces around a few centres, so that some are alike.
    fn new(dim: usize, rows: usize, probes: usize, noise: &mut Noise) -> Bench {
        let centres: Vec<Vec<f32>> = (0..5).map(|_| noise.floats(dim)).collect();
        let mut face = |_| {
            let (centre, far) = (&centres[noise.below(5)], 0.2 + noise.float().abs() * 3.0);
            let values: Vec<f32> = centre.iter().map(|v| v + far * noise.float()).collect();
            Template::from_embedding(&values).unwrap()
        };
        let rows: Vec<Template> = (0..rows).map(&mut face).collect();
        let probes: Vec<Template> = (0..probes).map(&mut face).collect();
        let width = padded(dim);
        let mut blocks = vec![ZERO; rows.len().div_ceil(LANES) * LANES * width];
        for (at, t) in rows.iter().enumerate() {
            put(&mut blocks[at / LANES * LANES * width..][..LANES * width], at % LANES, &t.codes);
        }
        let mut panel = Vec::new();
        for t in &probes {
            panel.extend(t.codes.iter().map(|&c| c as u8));
            panel.resize(panel.len().next_multiple_of(width), 0);
        }
        let reach = |t: &Template| SearchReach {
            scale: t.scale,
            grown: 1.0 + t.residual,
            slack: t.residual + SCAN_SLACK,
            residual: t.residual,
            rounding: SCAN_SLACK,
        };
        Bench {
            words: width / 4,
            codes: words(&blocks),
            scales: rows.iter().map(|t| t.scale).collect(),
            residuals: rows.iter().map(|t| t.residual).collect(),
            panel: words(&panel),
            starts: probes.iter().map(|t| -128 * t.codes.iter().map(|&c| i32::from(c)).sum::<i32>()).collect(),
            reaches: probes.iter().map(reach).collect(),
            rows,
            probes,
        }
    }

    fn run(&self, shim: &Shim, name: &str, limit: f32, top: usize, blocks: u32) -> (Vec<SearchHit>, Vec<u32>) {
        let run = shim.get::<Search>(name);
        let capacity = self.rows.len() * self.probes.len();
        let (mut hits, mut count) = (vec![SearchHit::default(); capacity], 0u32);
        let mut limits = vec![limit_key(limit); self.probes.len()];
        let p = SearchParams {
            probes: self.probes.len() as i32,
            words: self.words as i32,
            rows: self.rows.len() as i32,
            first_row: 1000,
            top: top as i32,
            capacity: capacity as u32,
        };
        // SAFETY: sizes as the parameters say.
        unsafe {
            run(
                self.codes.as_ptr(),
                self.scales.as_ptr(),
                self.residuals.as_ptr(),
                self.panel.as_ptr(),
                self.starts.as_ptr(),
                self.reaches.as_ptr(),
                limits.as_mut_ptr(),
                hits.as_mut_ptr(),
                &mut count,
                &p,
                blocks,
            );
        }
        hits.truncate(count as usize);
        hits.sort_unstable();
        (hits, limits)
    }

    /// By definition, with the floats of `gallery::exact`.
    fn expected(&self, limit: f32) -> Vec<SearchHit> {
        let mut hits = Vec::new();
        for (p, probe) in self.probes.iter().enumerate() {
            for (r, row) in self.rows.iter().enumerate() {
                let sum = dot(&probe.codes, &row.codes);
                let most = sum as f32 * (probe.scale * row.scale) + row.residual * (1.0 + probe.residual);
                if most >= limit - (probe.residual + SCAN_SLACK) {
                    hits.push(SearchHit { probe: p as u32, row: 1000 + r as u32, sum });
                }
            }
        }
        hits
    }
}

const KERNELS: [&str; 2] = ["search_mma", "search_dp4a"];

/// Which kernels a dialect has: the matrix units' is CUDA's alone.
fn kernels(shim: &Shim) -> &'static [&'static str] {
    if shim.dialect == "cuda" { &KERNELS } else { &["search"] }
}

#[test]
fn every_row_within_reach_is_found_with_the_sum_of_the_cpu() {
    let mut noise = Noise(21);
    for (dim, rows, probes, blocks) in [(64, 300, 5, 1), (100, 17, 70, 2), (512, 33, 9, 1), (1024, 5, 3, 3)] {
        let bench = Bench::new(dim, rows, probes, &mut noise);
        for limit in [-1.0, 0.3, 0.6] {
            let expected = bench.expected(limit);
            assert!(limit > 0.0 || expected.len() == rows * probes);
            for shim in dialects() {
                for name in kernels(shim) {
                    let (found, _) = bench.run(shim, name, limit, 0, blocks);
                    assert_eq!(found, expected, "{} {name} {dim} {limit}", shim.dialect);
                }
            }
        }
    }
}

/// With a running list fewer rows come back, never one of the best, and a limit is at most what as many rows reach.
#[test]
fn the_best_rows_always_come_back() {
    let mut noise = Noise(22);
    for (dim, rows, probes, blocks, top) in [(64, 900, 66, 1, 3), (128, 1100, 3, 1, MOST_TOP)] {
        let bench = Bench::new(dim, rows, probes, &mut noise);
        let all = rows * probes;
        for shim in dialects().iter().filter(|shim| shim.dialect == "cuda") {
            for name in KERNELS {
                let (found, limits) = bench.run(shim, name, -1.0, top, blocks);
                assert!(found.len() < all, "{name}: {} of {all} came back", found.len());
                for (p, probe) in bench.probes.iter().enumerate() {
                    let mut similar: Vec<(f32, u32)> = bench
                        .rows
                        .iter()
                        .enumerate()
                        .map(|(r, row)| (chehra::infer::template::similarity(probe, row), 1000 + r as u32))
                        .collect();
                    similar.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                    assert!(limits[p] <= limit_key(similar[top - 1].0), "{name}: the limit of probe {p} rose too far");
                    for &(_, row) in &similar[..top] {
                        let there = found.iter().any(|hit| hit.probe == p as u32 && hit.row == row);
                        assert!(there, "{name}: probe {p} lost row {row}");
                    }
                }
            }
        }
    }
}
