//! Exact search on a card gives the bits of the CPU: the same rows, the same similarities, in the same order.

use candle_core::Device;
use chehra::gallery::dot::{LANES, ZERO, dot, padded, put};
use chehra::gallery::generate::Crowd;
use chehra::gallery::{Filter, Gallery, Hit, Member, Pair, Probe, Processor, Want, exact};
use chehra::infer::Template;
use chehra::ops::gpu::Card;
use chehra::ops::gpu::search::{CAPACITY, Chunk, DeviceChunk, DevicePanel, Pass};
use chehra::ops::params::{SearchHit, SearchReach, limit_key};

use crate::ops::values;

/// A gallery of three parts, some rows hidden, and probes with mates in it.
struct Crowded {
    gallery: Gallery,
    probes: Vec<(Member, Template)>,
}

impl Crowded {
    fn new(dim: usize, rows: u64, probes: u64) -> Crowded {
        let crowd = Crowd { duplicates: 0.05, copies: 0.01, ..Crowd::new(dim, 5) };
        let part = |range| Gallery::from_rows(&crowd.rows(range).unwrap()).unwrap();
        let gallery = part(0..rows / 2).followed_by(&part(rows / 2..rows - 17)).followed_by(&part(rows - 17..rows));
        let shot = |i| (crowd.member(i), crowd.shot(crowd.person(i * 7 % rows), 1 << 50 | i).unwrap());
        Crowded { gallery: gallery.keeping(&|row| row % 11 != 3), probes: (0..probes).map(shot).collect() }
    }

    /// Whatever is asked of a gallery.
    fn answers(&self, processor: &Processor) -> (Vec<Vec<Hit>>, Vec<Pair>) {
        let filtered = |(at, (member, template)): (usize, &'_ (Member, Template))| {
            let only = (at % 3 == 0).then_some("district-03");
            (member.model.clone(), template.clone(), only)
        };
        let own: Vec<_> = self.probes.iter().enumerate().map(filtered).collect();
        let probes: Vec<Probe<'_>> = own
            .iter()
            .map(|(model, template, only)| Probe {
                template,
                model,
                filter: Filter { only_district: *only, ..Filter::default() },
            })
            .collect();
        let wants = [
            (Want::Above(0.45), probes.len()),
            (Want::Top { count: 5, floor: -1.0 }, probes.len()),
            (Want::Top { count: 1, floor: 0.3 }, probes.len()),
            // Every row of every probe: of the larger parts more pairs than a list of hits holds, so that passes are made again
            // with fewer rows (450 x 10,005 of 4,194,304).
            (Want::Above(-1.0), 450.min(probes.len())),
        ];
        let hits = wants.map(|(want, count)| exact::search(&self.gallery, &probes[..count], want, processor).unwrap());
        let mut pairs = Vec::new();
        exact::all_pairs(&self.gallery, 0.4, processor, &mut |_, found| {
            pairs.extend_from_slice(found);
            Ok(())
        })
        .unwrap();
        (hits.into(), pairs)
    }
}

/// Odd numbers of rows, two lengths of template, lists that overflow.
pub fn exact_search(device: &Device) {
    let cases = [Crowded::new(128, 20_011, 1_500), Crowded::new(512, 5_003, 70)];
    let expected: Vec<_> = cases.iter().map(|case| case.answers(&Processor::default())).collect();
    assert!(expected.iter().all(|(hits, pairs)| hits.iter().all(|hits| hits.len() > 50) && pairs.len() > 50));
    let card = Processor::on(device);
    assert!(matches!(card, Processor::Card(_)));
    for (case, (hits, pairs)) in cases.iter().zip(expected) {
        let (found, found_pairs) = case.answers(&card);
        for (found, expected) in found.iter().zip(&hits) {
            assert!(found == expected, "{} answers for {}", found.len(), expected.len());
        }
        assert!(found_pairs == pairs, "{} pairs for {}", found_pairs.len(), pairs.len());
        println!(
            "{:?} answers and {} pairs are those of the CPU",
            hits.iter().map(Vec::len).collect::<Vec<_>>(),
            pairs.len()
        );
    }
}

/// More pairs than a list holds: that is said, and parts of the same rows still give every pair.
pub fn full_lists(device: &Device) {
    const DIM: usize = 64;
    const ROWS: usize = 4_001;
    const PROBES: usize = 1_100;
    const { assert!(ROWS * PROBES > CAPACITY) };
    let codes = |seed, count: usize| -> Vec<i8> {
        values(seed, count * DIM).iter().map(|value| (value * 127.0) as i8).collect()
    };
    let (rows, probes) = (codes(33, ROWS), codes(34, PROBES));
    let mut blocks = vec![ZERO; ROWS.div_ceil(LANES) * LANES * DIM];
    for (at, row) in rows.chunks(DIM).enumerate() {
        put(&mut blocks[at / LANES * LANES * DIM..][..LANES * DIM], at % LANES, row);
    }
    let starts: Vec<i32> =
        probes.chunks(DIM).map(|row| -128 * row.iter().map(|&code| i32::from(code)).sum::<i32>()).collect();
    let reach = SearchReach { scale: 1.0, grown: 1.0, slack: 0.0, residual: 0.0, rounding: 0.0 };
    let (reaches, limits) = (vec![reach; PROBES], vec![limit_key(f32::MIN); PROBES]);
    let card = Card::of(device).unwrap();
    let mut panel = DevicePanel::new(&card, DIM, &probes, &starts, &reaches, &limits).unwrap();
    let (scales, residuals) = (vec![1.0; ROWS], vec![0.0; ROWS]);
    let chunk = Chunk { blocks: &blocks, scales: &scales, residuals: &residuals, first_row: 0 };
    let whole = DeviceChunk::upload(&card, DIM, chunk).unwrap();
    assert!(matches!(panel.scan_part(&whole, 0..ROWS, 0).unwrap(), Pass::Full), "more pairs than a list holds");
    let mut found = Vec::new();
    for part in [0..2_000, 2_000..ROWS] {
        let Pass::Hits(hits) = panel.scan_part(&whole, part, 0).unwrap() else { panic!("half of them fit") };
        found.extend(hits);
    }
    found.sort_unstable();
    let pairs = (0..PROBES).flat_map(|probe| (0..ROWS).map(move |row| (probe, row)));
    let expected = pairs.map(|(probe, row)| SearchHit {
        probe: probe as u32,
        row: row as u32,
        sum: dot(&probes[probe * DIM..][..DIM], &rows[row * DIM..][..DIM]),
    });
    assert!(found.iter().copied().eq(expected), "{} hits, or others", found.len());
    println!("a full list is said; {} pairs in two parts", found.len());
}

/// The scan of a GPU brings back every row within reach, with the sums of the CPU.
pub fn integer_scan(device: &Device) {
    for (dim, rows, probes) in [(64usize, 300usize, 5usize), (512, 1000, 70), (1024, 33, 3)] {
        let codes = |seed, count: usize| -> Vec<Vec<i8>> {
            let values = values(seed, count * dim);
            values.chunks(dim).map(|row| row.iter().map(|v| (v * 127.0) as i8).collect()).collect()
        };
        let (rows, probes) = (codes(31, rows), codes(32, probes));
        let width = padded(dim);
        let mut blocks = vec![ZERO; rows.len().div_ceil(LANES) * LANES * width];
        for (at, codes) in rows.iter().enumerate() {
            put(&mut blocks[at / LANES * LANES * width..][..LANES * width], at % LANES, codes);
        }
        let mut panel = Vec::new();
        for codes in &probes {
            panel.extend_from_slice(codes);
            panel.resize(panel.len().next_multiple_of(width), 0);
        }
        let starts: Vec<i32> = probes.iter().map(|c| -128 * c.iter().map(|&c| i32::from(c)).sum::<i32>()).collect();
        // What reaches a limit is told by the sum alone: a power of two loses nothing.
        let reach = SearchReach { scale: 1.0 / 4096.0, grown: 1.0, slack: 0.0, residual: 0.0, rounding: 0.0 };
        let (reaches, scales, residuals) =
            (vec![reach; probes.len()], vec![1.0 / 4096.0; rows.len()], vec![0.0; rows.len()]);
        for least in [-(1 << 25), 0, 50_000] {
            let limits = vec![limit_key(least as f32 / (1 << 24) as f32); probes.len()];
            let mut expected = Vec::new();
            for (p, probe) in probes.iter().enumerate() {
                let hit =
                    |(r, row): (usize, &Vec<i8>)| SearchHit { probe: p as u32, row: r as u32, sum: dot(probe, row) };
                expected.extend(rows.iter().enumerate().map(hit).filter(|hit| hit.sum >= least));
            }
            let card = Card::of(device).unwrap();
            let mut panel = DevicePanel::new(&card, width, &panel, &starts, &reaches, &limits).unwrap();
            let chunk = Chunk { blocks: &blocks, scales: &scales, residuals: &residuals, first_row: 0 };
            let Pass::Hits(mut hits) = panel.scan(chunk, 0).unwrap() else { panic!("a full list") };
            hits.sort_unstable();
            let (count, all, name) = (hits.len(), expected.len(), card.scan_name());
            assert!(hits == expected, "{name} dim {dim} least {least}: {count} hits for {all}, or others");
        }
    }
}
