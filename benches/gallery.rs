//! What a gallery costs and how fast it answers, on made-up faces.
//!
//! ```text
//! cargo bench --bench gallery -- [kernels] [scan ROWS DIM PROBES] [store ROWS DIM PROBES] [hnsw ROWS DIM PROBES]
//!                                [pairs ROWS DIM] [write ROWS DIM PROBES]
//! ```
//! `kernels`: pairs per second of each dot-product kernel. `scan`: exact search of rows in memory. `store`: the same
//! through a store on disk: building, bytes on disk and in memory, opening, searching. `hnsw`: building the graphs,
//! searching through them, pair recall against exact search. `pairs`: every pair of one gallery. `write`: puts the same rows, probes and true pairs into
//! `target/peers` for `benches/gallery_peers.py`, which measures hnswlib and usearch on them and draws the plot. Each
//! line of output is a JSON object. Rates are per second of processor time where they say so, for machines are shared.

use std::hint::black_box;
use std::time::{Duration, Instant};

use chehra::gallery::dot::{Kernel, LANES, Probes, TILE_BLOCKS, TILE_PROBES, padded};
use chehra::gallery::generate::Crowd;
use chehra::gallery::{Filter, Gallery, Member, Probe, Store, Want, exact, hnsw, search};
use chehra::infer::Template;
use serde_json::{Value, json};

/// The threshold at which lookalikes begin to be pairs.
const THRESHOLD: f32 = 0.45;
/// Rows generated and added to a store at a time.
const NIGHT: u64 = 250_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1).filter(|a| a != "--bench").peekable();
    if words.peek().is_none() {
        kernels();
        scan(100_000, 128, 2_000)?;
        hnsw_search(20_000, 128, 1_000)?;
    }
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|w| w.replace('_', "").parse::<u64>().ok()).ok_or("ROWS DIM PROBES");
        match word.as_str() {
            "kernels" => kernels(),
            "scan" => scan(number()?, number()?, number()?)?,
            "store" => store(number()?, number()?, number()?)?,
            "pairs" => pairs(number()?, number()?)?,
            "write" => write(number()?, number()?, number()?)?,
            "hnsw" => hnsw_search(number()?, number()?, number()?)?,
            other => return Err(format!("{other}: not one of kernels, scan, pairs, store, hnsw, write").into()),
        }
    }
    Ok(())
}

fn say(line: Value) {
    println!("{line}");
}

/// Peak and present resident memory of this process, MiB.
fn resident() -> [u64; 2] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    [field("VmHWM"), field("VmRSS")]
}

/// Processor seconds of this process so far: what counts on a machine that is shared. In ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.iter().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Wall and processor time of something.
struct Clock(Instant, f64);

impl Clock {
    fn start() -> Clock {
        Clock(Instant::now(), cpu_seconds())
    }

    /// Wall seconds, processor seconds.
    fn read(&self) -> (f64, f64) {
        (self.0.elapsed().as_secs_f64(), (cpu_seconds() - self.1).max(0.01))
    }
}

/// Cycles per second of this core, from a chain of multiplication (3 cycles) and exclusive or (1 cycle).
fn clock_rate() -> f64 {
    let (clock, mut value, mut count) = (Clock::start(), 3u64, 0u64);
    let factor = black_box(0x9e37_79b9_7f4a_7c15u64);
    while clock.read().1 < 0.5 {
        for i in 0..1_000_000 {
            value = value.wrapping_mul(factor) ^ i;
        }
        count += 1_000_000;
    }
    black_box(value);
    4.0 * count as f64 / clock.read().1
}

/// Products of eight-bit numbers per cycle that a kernel's instruction set allows, where one instruction starts per
/// cycle: 64 for `vpdpbusd` on 512 bits (Zen 4; Sapphire Rapids starts two), 1024 for a tile of AMX, 32 on 256 bits.
fn kernels() {
    let cycles = clock_rate();
    for dim in [128, 512] {
        let size = padded(dim) * LANES;
        let blocks: Vec<u8> = (0..64 * size).map(|i| (i * 31 % 255) as u8 + 1).collect();
        let codes: Vec<i8> = (0..dim).map(|i| (i * 7 % 255) as i8).collect();
        let mut probes = Probes::new(dim);
        (0..TILE_PROBES).for_each(|_| probes.push(&codes));
        for &kernel in Kernel::ALL.iter().filter(|k| k.is_available()) {
            let mut sums = [0; TILE_PROBES * TILE_BLOCKS * LANES];
            let (clock, mut pairs) = (Clock::start(), 0u64);
            while clock.read().1 < 1.0 {
                // Reading the clock takes as long as some products.
                for pair in (0..50).flat_map(|_| blocks.chunks(TILE_BLOCKS * size)) {
                    kernel.dots(&probes, 0..TILE_PROBES, pair, &mut sums);
                    pairs += black_box(&sums).len() as u64;
                }
            }
            let rate = pairs as f64 / clock.read().1;
            let gmacs = (rate * dim as f64 / 1e9).round();
            say(json!({"bench": "kernel", "kernel": kernel.name(), "dim": dim, "pairs_per_cpu_s": rate.round(),
                "gmac_per_cpu_s": gmacs, "mac_per_cycle": rate * dim as f64 / cycles}));
        }
    }
}

/// Probes: other shots of persons spread over the rows, so that each has at least one mate.
fn mates(crowd: &Crowd, rows: u64, count: u64) -> Vec<(Member, Template)> {
    let row = |i: u64| i * (rows / count).max(1) % rows;
    (0..count)
        .map(|i| (crowd.member(row(i)), crowd.shot(crowd.person(row(i)), 1 << 50 | i).expect("a power of two")))
        .collect()
}

fn as_probes(rows: &[(Member, Template)]) -> Vec<Probe<'_>> {
    rows.iter().map(|(m, t)| Probe { template: t, model: &m.model, filter: Filter::default() }).collect()
}

fn report_search(name: &str, gallery: &Gallery, dim: u64, probes: &[Probe<'_>]) -> chehra::Result<()> {
    let clock = Clock::start();
    let hits = exact::search(gallery, probes, Want::Above(THRESHOLD), Kernel::best())?;
    let (seconds, cpu) = clock.read();
    let pairs = gallery.rows() as f64 * probes.len() as f64;
    let memory = gallery.memory();
    say(json!({
        "bench": name, "engine": "exact", "kernel": Kernel::best().name(), "rows": gallery.rows(), "dim": dim,
        "probes": probes.len(), "seconds": seconds, "probes_per_s": probes.len() as f64 / seconds,
        "pairs_per_s": pairs / seconds, "cpu_seconds": cpu, "pairs_per_cpu_s": pairs / cpu, "hits": hits.len(), "threads": rayon::current_num_threads(),
        "code_bytes_per_row": memory.codes as f64 / gallery.rows() as f64,
        "fact_bytes_per_row": memory.facts as f64 / gallery.rows() as f64, "resident_mib_peak_now": resident(),
    }));
    Ok(())
}

fn scan(rows: u64, dim: u64, count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let crowd = Crowd::new(dim as usize, 1);
    let gallery = Gallery::from_rows(&crowd.rows(0..rows)?)?;
    let probes = mates(&crowd, rows, count);
    report_search("scan", &gallery, dim, &as_probes(&probes))?;
    Ok(())
}

fn pairs(rows: u64, dim: u64) -> Result<(), Box<dyn std::error::Error>> {
    let crowd = Crowd::new(dim as usize, 1);
    let gallery = Gallery::from_rows(&crowd.rows(0..rows)?)?;
    let (clock, mut found) = (Clock::start(), 0);
    exact::all_pairs(&gallery, THRESHOLD, Kernel::best(), &mut |pairs| {
        found += pairs.len();
        Ok(())
    })?;
    let (seconds, cpu) = clock.read();
    let compared = rows as f64 * (rows - 1) as f64 / 2.0;
    say(json!({"bench": "pairs", "kernel": Kernel::best().name(), "rows": rows, "dim": dim, "seconds": seconds,
        "cpu_seconds": cpu, "pairs_per_cpu_s": compared / cpu, "found": found}));
    Ok(())
}

fn store(rows: u64, dim: u64, count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir_in("target")?;
    let crowd = Crowd::new(dim as usize, 1);
    let store = Store::open_or_create(folder.path())?;
    let mut adding = Duration::ZERO;
    for first in (0..rows).step_by(NIGHT as usize) {
        let night = crowd.rows(first..(first + NIGHT).min(rows))?;
        let started = Instant::now();
        store.begin()?.add_run(&format!("night-{first}"), &night)?;
        adding += started.elapsed();
    }
    let stats = store.stats()?;
    let disk = |bytes: u64| bytes as f64 / rows as f64;
    let derived: u64 = stats.segments.iter().flat_map(|s| s.derived_bytes).sum();
    let started = Instant::now();
    let gallery = Store::open(folder.path())?.view(None)?;
    say(json!({
        "bench": "store", "rows": rows, "dim": dim, "segments": stats.segments.len(),
        "rows_added_per_s": rows as f64 / adding.as_secs_f64(), "open_s": started.elapsed().as_secs_f64(),
        "segment_bytes_per_row": disk(stats.segments.iter().map(|s| s.bytes).sum()), "derived_bytes_per_row": disk(derived),
    }));
    let probes = mates(&crowd, rows, count);
    report_search("store", &gallery, dim, &as_probes(&probes))?;
    Ok(())
}

fn hnsw_search(rows: u64, dim: u64, count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let crowd = Crowd::new(dim as usize, 1);
    let gallery = Gallery::from_rows(&crowd.rows(0..rows)?)?;
    let probes = mates(&crowd, rows, count);
    let probes = as_probes(&probes);
    let clock = Clock::start();
    let one = &probes[..1];
    hnsw::search(&gallery, one, Want::Above(THRESHOLD), hnsw::Breadth::default(), Kernel::best())?;
    let (build, cpu) = clock.read();
    say(json!({"bench": "hnsw-build", "rows": rows, "dim": dim, "seconds": build, "rows_per_cpu_s": rows as f64 / cpu,
        "graph_bytes_per_row": gallery.memory().graphs as f64 / rows as f64, "resident_mib_peak_now": resident()}));
    for start in [64, 128, 256, 512] {
        let breadth = hnsw::Breadth { start, ..hnsw::Breadth::default() };
        let clock = Clock::start();
        let hits = hnsw::search(&gallery, &probes, Want::Above(THRESHOLD), breadth, Kernel::best())?;
        let (seconds, cpu) = clock.read();
        let found = search::certify(&gallery, &probes, Want::Above(THRESHOLD), &hits, usize::MAX, Kernel::best())?;
        say(json!({"bench": "hnsw", "rows": rows, "dim": dim, "probes": probes.len(), "breadth": start,
            "seconds": seconds, "probes_per_s": probes.len() as f64 / seconds,
            "probes_per_cpu_s": probes.len() as f64 / cpu, "true_pairs": found.true_pairs,
            "pair_recall": 1.0 - found.missed_share, "missed_95": found.interval}));
    }
    report_search("hnsw", &gallery, dim, &probes)?;
    let (_, report) = search::search(&gallery, &probes, Want::Above(THRESHOLD), &search::SearchPolicy::default())?;
    say(json!({"bench": "auto", "report": report}));
    Ok(())
}

/// Rows and probes as little-endian f32, true pairs as little-endian u32 (probe, row).
fn write(rows: u64, dim: u64, count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let crowd = Crowd::new(dim as usize, 1);
    let stored = crowd.rows(0..rows)?;
    let probes = mates(&crowd, rows, count);
    let hits =
        exact::search(&Gallery::from_rows(&stored)?, &as_probes(&probes), Want::Above(THRESHOLD), Kernel::best())?;
    std::fs::create_dir_all("target/peers")?;
    let floats = |rows: &[(Member, Template)]| -> Vec<u8> {
        rows.iter().flat_map(|(_, t)| &t.master).flat_map(|v| v.to_f32().to_le_bytes()).collect()
    };
    std::fs::write("target/peers/rows.f32", floats(&stored))?;
    std::fs::write("target/peers/probes.f32", floats(&probes))?;
    let pairs: Vec<u8> = hits.iter().flat_map(|h| [h.probe, h.row]).flat_map(u32::to_le_bytes).collect();
    std::fs::write("target/peers/pairs.u32", pairs)?;
    Ok(())
}
