//! Faces that are alike across accounts: the nearest worker of each face, and faces that come up under many accounts.
//!
//! Ten thousand workers and a hundred thousand members are a thousand million comparisons, so they are done as matrix
//! products of f32 masters, block by block; masters then decide among the few that are within the rounding of the best,
//! so the answer has the same bits on every machine. A match means little below a similarity that allows for so many
//! comparisons: `other_worker_similarity` is far above the one that finds a worker in the worker's own selfies.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::infer::Template;
use crate::infer::template::similarity;

/// Faces and workers of one matrix product: 8 MiB of scores.
const FACES: usize = 512;
const WORKERS: usize = 4096;

/// Twice what an f32 sum of 1024 products of unit vectors can be off: 1024 * 2^-24, generously.
const SLACK: f32 = 1.3e-4;

/// A worker whose face is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorkerFace<'a> {
    /// The worker.
    pub worker_id: &'a str,
    /// The face.
    pub template: &'a Template,
}

/// Another worker of the drive.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherWorker {
    /// The worker.
    pub worker_id: String,
    /// Cosine of the two masters, -1..=1.
    pub similarity: f32,
}

/// For each of `faces`, given with the worker id that is not asked (its own), the most similar of `workers` that is
/// at least `least` similar. Of equally similar ones the first id. Templates of other lengths are never alike.
pub fn nearest_workers(
    faces: &[(&Template, Option<&str>)],
    workers: &[WorkerFace],
    least: f32,
) -> Vec<Option<OtherWorker>> {
    let mut found: Vec<Option<OtherWorker>> = vec![None; faces.len()];
    let mut by_length: BTreeMap<usize, Vec<&WorkerFace>> = BTreeMap::new();
    for worker in workers {
        by_length.entry(worker.template.dim()).or_default().push(worker);
    }
    for (dim, workers) in by_length {
        let asked: Vec<usize> = (0..faces.len()).filter(|&face| faces[face].0.dim() == dim).collect();
        for workers in workers.chunks(WORKERS) {
            let columns = masters(workers.iter().map(|w| w.template), dim);
            for asked in asked.chunks(FACES) {
                let rows = masters(asked.iter().map(|&face| faces[face].0), dim);
                let scores = products(&rows, &columns, dim);
                let best: Vec<Option<OtherWorker>> = asked
                    .par_iter()
                    .enumerate()
                    .map(|(row, &face)| best_of(faces[face], workers, scores.row(row, workers.len()), least))
                    .collect();
                for (&face, best) in asked.iter().zip(best) {
                    found[face] = better(found[face].take(), best);
                }
            }
        }
    }
    found
}

/// The best worker of one block, by masters.
fn best_of(
    (face, own): (&Template, Option<&str>),
    workers: &[&WorkerFace],
    scores: Option<&[f32]>,
    least: f32,
) -> Option<OtherWorker> {
    let score = |at: usize| scores.map_or_else(|| similarity(face, workers[at].template), |s| s[at]);
    let asked = || (0..workers.len()).filter(|&at| Some(workers[at].worker_id) != own);
    let highest = asked().map(score).fold(f32::NEG_INFINITY, f32::max);
    let floor = (highest - SLACK).max(least - SLACK);
    asked()
        .filter(|&at| score(at) >= floor)
        .map(|at| OtherWorker {
            worker_id: workers[at].worker_id.to_owned(),
            similarity: similarity(face, workers[at].template),
        })
        .filter(|other| other.similarity >= least)
        .fold(None, |best, next| better(best, Some(next)))
}

fn better(a: Option<OtherWorker>, b: Option<OtherWorker>) -> Option<OtherWorker> {
    match (a, b) {
        (Some(a), Some(b)) => {
            let order = a.similarity.total_cmp(&b.similarity).then_with(|| b.worker_id.cmp(&a.worker_id));
            Some(if order.is_lt() { b } else { a })
        }
        (a, b) => a.or(b),
    }
}

fn masters<'a>(templates: impl Iterator<Item = &'a Template>, dim: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(templates.size_hint().0 * dim);
    templates.for_each(|t| values.extend(t.master.iter().map(|v| v.to_f32())));
    values
}

/// The scores of one block, or `None` where no matrix product could be had: then every pair is compared by masters.
struct Products(Option<Vec<f32>>);

impl Products {
    fn row(&self, row: usize, columns: usize) -> Option<&[f32]> {
        self.0.as_ref().and_then(|values| values.get(row * columns..(row + 1) * columns))
    }
}

fn products(rows: &[f32], columns: &[f32], dim: usize) -> Products {
    let product = || -> candle_core::Result<Vec<f32>> {
        let rows = Tensor::from_slice(rows, (rows.len() / dim, dim), &Device::Cpu)?;
        let columns = Tensor::from_slice(columns, (columns.len() / dim, dim), &Device::Cpu)?;
        rows.matmul(&columns.t()?)?.flatten_all()?.to_vec1()
    };
    Products(product().ok())
}

/// A face that comes up under several accounts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SharedFace {
    /// Which of the faces asked are this one, ascending.
    pub faces: Vec<usize>,
    /// The accounts.
    pub accounts: BTreeSet<String>,
}

/// Faces that come up under at least `min_accounts` accounts, those of most accounts first: faces at least `least`
/// similar to one of another account are one, directly or over others.
pub(super) fn shared_faces(faces: &[WorkerFace], least: f32, min_accounts: usize) -> Vec<SharedFace> {
    let asked: Vec<(&Template, Option<&str>)> =
        faces.iter().map(|face| (face.template, Some(face.worker_id))).collect();
    let has_mate = nearest_workers(&asked, faces, least);
    let shared: Vec<usize> = (0..faces.len()).filter(|&face| has_mate[face].is_some()).collect();
    let mut left: BTreeSet<usize> = shared.iter().copied().collect();
    let mut found = Vec::new();
    while let Some(first) = left.pop_first() {
        let mut members = vec![first];
        let mut at = 0;
        while at < members.len() {
            let face = faces[members[at]].template;
            let is_mate = |other: &&usize| {
                let other = faces[**other].template;
                other.dim() == face.dim() && similarity(face, other) >= least
            };
            let mates: Vec<usize> = left.iter().filter(is_mate).copied().collect();
            left.retain(|face| !mates.contains(face));
            members.extend(mates);
            at += 1;
        }
        members.sort_unstable();
        let accounts: BTreeSet<String> = members.iter().map(|&face| faces[face].worker_id.to_owned()).collect();
        if accounts.len() >= min_accounts {
            found.push(SharedFace { faces: members, accounts });
        }
    }
    found.sort_by_key(|shared| std::cmp::Reverse(shared.accounts.len()));
    found
}
