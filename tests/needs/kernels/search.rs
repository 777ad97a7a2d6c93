//! Integer search: the sums of the CPU, every row that may be near enough, and none of the best lost where limits rise.

use chehra::gallery::dot::{LANES, ZERO, dot, padded, put};
use chehra::infer::template::{SCAN_SLACK, Template};
use chehra::ops::gpu::search::{Chunk, DeviceChunk, DevicePanel, Pass};
use chehra::ops::params::{MOST_TOP, SearchHit, SearchReach, limit_key};

use super::Noise;
use super::shim::{Shim, dialects};

/// Rows and probes as a device has them.
struct Bench {
    width: usize,
    rows: Vec<Template>,
    probes: Vec<Template>,
    codes: Vec<u8>,
    scales: Vec<f32>,
    residuals: Vec<f32>,
    panel: Vec<i8>,
    starts: Vec<i32>,
    reaches: Vec<SearchReach>,
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
            panel.extend_from_slice(&t.codes);
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
            width,
            codes: blocks,
            scales: rows.iter().map(|t| t.scale).collect(),
            residuals: rows.iter().map(|t| t.residual).collect(),
            panel,
            starts: probes.iter().map(|t| -128 * t.codes.iter().map(|&c| i32::from(c)).sum::<i32>()).collect(),
            reaches: probes.iter().map(reach).collect(),
            rows,
            probes,
        }
    }

    /// All that one pass brings back, sorted.
    fn run(&self, shim: &'static Shim, limit: f32, top: usize) -> Vec<SearchHit> {
        let limits = vec![limit_key(limit); self.probes.len()];
        let mut panel =
            DevicePanel::new(&shim.card(), self.width, &self.panel, &self.starts, &self.reaches, &limits).unwrap();
        let chunk =
            Chunk { blocks: &self.codes, scales: &self.scales, residuals: &self.residuals, first_row: FIRST_ROW };
        assert!(panel.scan(Chunk { residuals: &self.residuals[1..], ..chunk }, top).is_err(), "a residual too few");
        match panel.scan(chunk, top).unwrap() {
            Pass::Hits(mut hits) => {
                hits.sort_unstable();
                hits
            }
            Pass::Full => panic!("fewer pairs than a list of hits holds"),
        }
    }

    /// By definition, with the floats of `gallery::exact`.
    fn expected(&self, limit: f32) -> Vec<SearchHit> {
        let mut hits = Vec::new();
        for (p, probe) in self.probes.iter().enumerate() {
            for (r, row) in self.rows.iter().enumerate() {
                let sum = dot(&probe.codes, &row.codes);
                let most = sum as f32 * (probe.scale * row.scale) + row.residual * (1.0 + probe.residual);
                if most >= limit - (probe.residual + SCAN_SLACK) {
                    hits.push(SearchHit { probe: p as u32, row: (FIRST_ROW + r) as u32, sum });
                }
            }
        }
        hits
    }
}

const FIRST_ROW: usize = 1000;

/// More pairs within reach than a list holds: that is said, and parts of the same rows still give every pair. A list that is just
/// full is none of that.
pub fn a_list_that_overflows_is_said_to_be_full() {
    let bench = Bench::new(64, 401, 70, &mut Noise(23));
    let expected = bench.expected(-1.0);
    assert_eq!(expected.len(), 401 * 70);
    let chunk =
        Chunk { blocks: &bench.codes, scales: &bench.scales, residuals: &bench.residuals, first_row: FIRST_ROW };
    for shim in dialects() {
        let card = shim.card();
        let limits = vec![limit_key(-1.0); bench.probes.len()];
        let panel = DevicePanel::new(&card, bench.width, &bench.panel, &bench.starts, &bench.reaches, &limits).unwrap();
        let mut panel = panel.with_capacity(401 * 70 - 1);
        let whole = DeviceChunk::upload(&card, bench.width, chunk).unwrap();
        assert!(matches!(panel.scan_part(&whole, 0..401, 0).unwrap(), Pass::Full), "{}", shim.scan);
        let mut found = Vec::new();
        for part in [0..208, 208..401] {
            let Pass::Hits(hits) = panel.scan_part(&whole, part, 0).unwrap() else { panic!("half of them fit") };
            found.extend(hits);
        }
        found.sort_unstable();
        assert!(found == expected, "{}: {} hits for {}", shim.scan, found.len(), expected.len());
        let mut panel = panel.with_capacity(401 * 70);
        assert!(matches!(panel.scan_part(&whole, 0..401, 0).unwrap(), Pass::Hits(hits) if hits.len() == 401 * 70));
    }
}

pub fn every_row_within_reach_is_found_with_the_sum_of_the_cpu() {
    let mut noise = Noise(21);
    // Several blocks across, several panels down, and rows that fill no block.
    for (dim, rows, probes) in [(64, 300, 5), (100, 17, 70), (512, 33, 9), (1024, 5, 3), (64, 1, 1), (64, 16, 8)] {
        let bench = Bench::new(dim, rows, probes, &mut noise);
        for limit in [-1.0, 0.3, 0.6] {
            let expected = bench.expected(limit);
            assert!(limit > 0.0 || expected.len() == rows * probes);
            for shim in dialects() {
                let found = bench.run(shim, limit, 0);
                let (count, all) = (found.len(), expected.len());
                assert!(found == expected, "{} {dim} {limit}: {count} hits for {all}, or others", shim.scan);
            }
        }
    }
}

/// With a running list fewer rows come back where a kernel raises limits, and never is one of the best lost.
pub fn the_best_rows_always_come_back() {
    let mut noise = Noise(22);
    for (dim, rows, probes, top) in [(64, 900, 66, 3), (128, 1100, 3, MOST_TOP)] {
        let bench = Bench::new(dim, rows, probes, &mut noise);
        let all = rows * probes;
        for shim in dialects() {
            let found = bench.run(shim, -1.0, top);
            let rises = shim.dialect == "cuda";
            assert_eq!(found.len() < all, rises, "{}: {} of {all} came back", shim.scan, found.len());
            for (p, probe) in bench.probes.iter().enumerate() {
                let mut similar: Vec<(f32, u32)> = bench
                    .rows
                    .iter()
                    .enumerate()
                    .map(|(r, row)| (chehra::infer::template::similarity(probe, row), (FIRST_ROW + r) as u32))
                    .collect();
                similar.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                for &(_, row) in &similar[..top] {
                    let there = found.iter().any(|hit| hit.probe == p as u32 && hit.row == row);
                    assert!(there, "{}: probe {p} lost row {row}", shim.scan);
                }
            }
        }
    }
}
