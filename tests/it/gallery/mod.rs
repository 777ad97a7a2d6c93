//! The gallery as a whole: what goes in is found again, by every engine and kernel, now and after a restart.

mod cli;
mod damage;
mod erased;
mod sample;
mod search;
mod store;

use std::path::Path;

use chehra::gallery::dot::Kernel;
use chehra::gallery::generate::Crowd;
use chehra::gallery::{Filter, Hit, Member, Probe, Store};
use chehra::infer::Template;
use chehra::infer::template::similarity;

fn rows(crowd: &Crowd, range: std::ops::Range<u64>) -> Vec<(Member, Template)> {
    crowd.rows(range).unwrap()
}

fn probes(rows: &[(Member, Template)]) -> Vec<Probe<'_>> {
    rows.iter().map(|(m, t)| Probe { template: t, model: &m.model, filter: Filter::default() }).collect()
}

fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.iter().copied().filter(|k| k.is_available())
}

/// All pairs by the definition: no codes, no blocks.
fn brute_force(gallery: &[(Member, Template)], probes: &[(Member, Template)], threshold: f32) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (p, (_, probe)) in probes.iter().enumerate() {
        let mut found: Vec<Hit> = gallery
            .iter()
            .enumerate()
            .map(|(r, (_, t))| Hit { probe: p as u32, row: r as u32, similarity: similarity(probe, t) })
            .filter(|hit| hit.similarity >= threshold)
            .collect();
        found.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.row.cmp(&b.row)));
        hits.extend(found);
    }
    hits
}

fn crowd() -> Crowd {
    Crowd { duplicates: 0.1, lookalikes: 0.1, copies: 0.02, ..Crowd::new(128, 11) }
}

/// A store of several nights, given by the row at which each ends.
fn store_with(path: &Path, crowd: &Crowd, ends: &[u64]) -> Store {
    let store = Store::open_or_create(path).unwrap();
    let mut first = 0;
    for (night, &end) in ends.iter().enumerate() {
        store.begin().unwrap().add_run(&format!("night-{night}"), &rows(crowd, first..end)).unwrap();
        first = end;
    }
    store
}

fn forget(store: &Store, ids: &[&str]) -> chehra::gallery::Forgotten {
    let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
    store.begin().unwrap().forget(&ids).unwrap()
}
