//! What a gallery costs and how fast it answers, on made-up faces.
//!
//! ```text
//! cargo bench --bench gallery -- [kernels] [add ROWS DIM] [open ROWS DIM] [scan ROWS DIM PROBES]
//!                                [hnsw ROWS DIM PROBES] [pairs ROWS DIM] [peers ROWS DIM PROBES]
//! ```
//! `kernels`: pairs per second of each dot-product kernel, and products per cycle. `add`: makes a store, a night of
//! 250,000 rows at a time: rate and bytes on disk. `open`: time and memory of opening it. `scan`: exact search, and how
//! many of the pairs that the masters alone give it finds. `hnsw`: building graphs, searching through them, pair recall
//! against exact search. `pairs`: every pair within the store. `peers`: puts rows, probes and true pairs into
//! `target/peers` for `benches/gallery_peers.py`, which measures hnswlib and usearch on them.
//!
//! Stores are kept in the folder that `CHEHRA_BENCH_STORES` names (else below `target`) and found there again: making
//! five million faces takes longer than searching them. Each line of output is a JSON object. Rates are per second of
//! processor time where they say so, for machines are shared.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use chehra::gallery::dot::{Kernel, LANES, Probes, TILE_BLOCKS, TILE_PROBES, padded};
use chehra::gallery::generate::Crowd;
use chehra::gallery::{Filter, Gallery, Member, Probe, SearchPolicy, Store, Want, exact, hnsw, search};
use chehra::infer::Template;
use chehra::infer::template::similarity_of_masters;
use rayon::prelude::*;
use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The threshold at which lookalikes begin to be pairs.
const THRESHOLD: f32 = 0.45;
/// Rows generated and added to a store at a time.
const NIGHT: u64 = 250_000;

/// Probes whose pairs are also found by comparing masters alone.
const BY_DEFINITION: usize = 64;

fn main() -> Outcome {
    let mut words = std::env::args().skip(1).filter(|a| a != "--bench").peekable();
    if words.peek().is_none() {
        kernels();
        add(100_000, 128)?;
        scan(100_000, 128, 2_000)?;
        hnsw_search(100_000, 128, 2_000)?;
    }
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|w| w.replace('_', "").parse::<u64>().ok()).ok_or("ROWS DIM PROBES");
        match word.as_str() {
            "kernels" => kernels(),
            "add" => add(number()?, number()?)?,
            "open" => drop(open(number()?, number()?)?),
            "scan" => scan(number()?, number()?, number()?)?,
            "pairs" => pairs(number()?, number()?)?,
            "peers" => peers(number()?, number()?, number()?)?,
            "hnsw" => hnsw_search(number()?, number()?, number()?)?,
            other => return Err(format!("{other}: not one of kernels, add, open, scan, pairs, peers, hnsw").into()),
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

/// Where the store of so many rows lies.
fn place(rows: u64, dim: u64) -> PathBuf {
    let folder = std::env::var_os("CHEHRA_BENCH_STORES").map_or_else(|| "target/stores".into(), PathBuf::from);
    folder.join(format!("{rows}x{dim}"))
}

/// Adds what the store lacks of its rows.
fn add(rows: u64, dim: u64) -> Outcome {
    let crowd = Crowd::new(dim as usize, 1);
    let store = Store::open_or_create(place(rows, dim))?;
    let (mut added, mut seconds, mut cpu) = (0, 0.0, 0.0);
    for first in (store.stats()?.live..rows).step_by(NIGHT as usize) {
        let night = crowd.rows(first..(first + NIGHT).min(rows))?;
        let clock = Clock::start();
        added += store.begin()?.add_run(&format!("night-{first}"), &night)?.added;
        let (wall, processor) = clock.read();
        (seconds, cpu) = (seconds + wall, cpu + processor);
    }
    let stats = store.stats()?;
    let derived: u64 = stats.segments.iter().flat_map(|s| &s.derived_bytes[..2]).sum();
    let per_row = |bytes: u64| bytes as f64 / rows as f64;
    say(json!({"bench": "add", "rows": rows, "dim": dim, "added": added, "segments": stats.segments.len(),
        "seconds": seconds, "rows_per_s": added as f64 / seconds, "cpu_seconds": cpu,
        "rows_per_cpu_s": added as f64 / cpu, "segment_bytes_per_row": per_row(stats.segments.iter().map(|s| s.bytes).sum()),
        "derived_bytes_per_row": per_row(derived)}));
    Ok(())
}

fn open(rows: u64, dim: u64) -> Result<Gallery, Box<dyn std::error::Error>> {
    let path = place(rows, dim);
    if !path.exists() {
        add(rows, dim)?;
    }
    let clock = Clock::start();
    let gallery = Store::open(&path)?.view(None)?;
    let (seconds, cpu) = clock.read();
    let (memory, live) = (gallery.memory(), gallery.live() as f64);
    say(json!({"bench": "open", "rows": rows, "dim": dim, "seconds": seconds, "cpu_seconds": cpu,
        "code_bytes_per_row": memory.codes as f64 / live, "fact_bytes_per_row": memory.facts as f64 / live,
        "resident_mib_peak_now": resident()}));
    Ok(gallery)
}

/// The share of pairs that exact search found, of those that every master compared with some probes gives: no codes,
/// no margin, no blocks.
fn recall_by_definition(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    hits: &[chehra::gallery::Hit],
) -> chehra::Result<Value> {
    let step = probes.len().div_ceil(BY_DEFINITION).max(1);
    let chosen: Vec<usize> = (0..probes.len()).step_by(step).collect();
    let expected: Vec<(u32, u32)> = (0..gallery.rows() as u32)
        .into_par_iter()
        .map(|row| {
            let master = gallery.master(row)?;
            let near = |&&p: &&usize| similarity_of_masters(&probes[p].template.master, &master) >= THRESHOLD;
            Ok(chosen.iter().filter(near).map(|&p| (p as u32, row)).collect::<Vec<_>>())
        })
        .collect::<chehra::Result<Vec<_>>>()?
        .concat();
    let found: std::collections::HashSet<(u32, u32)> = hits.iter().map(|hit| (hit.probe, hit.row)).collect();
    let missed = expected.iter().filter(|pair| !found.contains(pair)).count();
    Ok(json!({"probes": chosen.len(), "true_pairs": expected.len(), "missed": missed}))
}

fn scan(rows: u64, dim: u64, count: u64) -> Outcome {
    let gallery = open(rows, dim)?;
    let crowd = Crowd::new(dim as usize, 1);
    let mates = mates(&crowd, rows, count);
    let probes = as_probes(&mates);
    let cycles = clock_rate();
    let clock = Clock::start();
    let hits = exact::search(&gallery, &probes, Want::Above(THRESHOLD), Kernel::best())?;
    let (seconds, cpu) = clock.read();
    let rate = gallery.rows() as f64 * probes.len() as f64 / cpu;
    say(json!({
        "bench": "scan", "engine": "exact", "kernel": Kernel::best().name(), "rows": rows, "dim": dim,
        "probes": count, "threads": rayon::current_num_threads(), "seconds": seconds,
        "probes_per_s": count as f64 / seconds, "cpu_seconds": cpu, "probes_per_cpu_s": count as f64 / cpu,
        "pairs_per_cpu_s": rate, "mac_per_cycle": rate * dim as f64 / cycles, "hits": hits.len(),
        "resident_mib_peak_now": resident(), "by_definition": recall_by_definition(&gallery, &probes, &hits)?,
    }));
    Ok(())
}

fn pairs(rows: u64, dim: u64) -> Outcome {
    let gallery = open(rows, dim)?;
    let (clock, mut found) = (Clock::start(), 0);
    exact::all_pairs(&gallery, THRESHOLD, Kernel::best(), &mut |_, pairs| {
        found += pairs.len();
        Ok(())
    })?;
    let (seconds, cpu) = clock.read();
    let compared = rows as f64 * (rows - 1) as f64 / 2.0;
    say(json!({"bench": "pairs", "kernel": Kernel::best().name(), "rows": rows, "dim": dim, "seconds": seconds,
        "cpu_seconds": cpu, "pairs_per_cpu_s": compared / cpu, "found": found}));
    Ok(())
}

fn hnsw_search(rows: u64, dim: u64, count: u64) -> Outcome {
    let gallery = open(rows, dim)?;
    let crowd = Crowd::new(dim as usize, 1);
    let mates = mates(&crowd, rows, count);
    let probes = as_probes(&mates);
    let graphs = || -> Result<u64, Box<dyn std::error::Error>> {
        Ok(Store::open(place(rows, dim))?.stats()?.segments.iter().map(|s| s.derived_bytes[2]).sum())
    };
    let known = graphs()?;
    let clock = Clock::start();
    hnsw::search(&gallery, &probes[..1], Want::Above(THRESHOLD), hnsw::Breadth::default(), Kernel::best())?;
    let (seconds, cpu) = clock.read();
    if known == 0 {
        say(json!({"bench": "hnsw-build", "rows": rows, "dim": dim, "seconds": seconds, "cpu_seconds": cpu,
            "rows_per_cpu_s": rows as f64 / cpu, "graph_bytes_per_row": graphs()? as f64 / rows as f64,
            "resident_mib_peak_now": resident()}));
    }
    for start in [64, 128, 256, 512] {
        let breadth = hnsw::Breadth { start, ..hnsw::Breadth::default() };
        let clock = Clock::start();
        let hits = hnsw::search(&gallery, &probes, Want::Above(THRESHOLD), breadth, Kernel::best())?;
        let (seconds, cpu) = clock.read();
        let found = search::certify(&gallery, &probes, Want::Above(THRESHOLD), &hits, usize::MAX, Kernel::best())?;
        say(json!({"bench": "hnsw", "engine": "hnsw", "rows": rows, "dim": dim, "probes": count, "breadth": start,
            "seconds": seconds, "cpu_seconds": cpu, "probes_per_cpu_s": count as f64 / cpu,
            "true_pairs": found.true_pairs, "pair_recall": 1.0 - found.missed_share, "missed_95": found.interval}));
    }
    let (_, report) = search::search(&gallery, &probes, Want::Above(THRESHOLD), &SearchPolicy::default())?;
    say(json!({"bench": "auto", "rows": rows, "dim": dim, "report": report}));
    Ok(())
}

/// Rows and probes as little-endian f32, true pairs as little-endian u32 (probe, row).
fn peers(rows: u64, dim: u64, count: u64) -> Outcome {
    let gallery = open(rows, dim)?;
    let crowd = Crowd::new(dim as usize, 1);
    let mates = mates(&crowd, rows, count);
    let hits = exact::search(&gallery, &as_probes(&mates), Want::Above(THRESHOLD), Kernel::best())?;
    std::fs::create_dir_all("target/peers")?;
    let floats = |master: &[half::f16]| -> Vec<u8> { master.iter().flat_map(|v| v.to_f32().to_le_bytes()).collect() };
    let mut stored = Vec::new();
    for row in 0..gallery.rows() as u32 {
        stored.extend(floats(&gallery.master(row)?));
    }
    std::fs::write("target/peers/rows.f32", stored)?;
    std::fs::write("target/peers/probes.f32", mates.iter().flat_map(|(_, t)| floats(&t.master)).collect::<Vec<u8>>())?;
    let pairs: Vec<u8> = hits.iter().flat_map(|h| [h.probe, h.row]).flat_map(u32::to_le_bytes).collect();
    std::fs::write("target/peers/pairs.u32", pairs)?;
    Ok(())
}
