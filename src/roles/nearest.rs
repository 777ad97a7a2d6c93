//! For each face in question, the other worker of the drive that it is most like.
//!
//! Ten thousand workers and a hundred thousand members are a thousand million comparisons, so they are done as matrix
//! products of f32 masters, block by block; masters then decide among the few that are within the rounding of the best,
//! so the answer has the same bits on every machine. A match means little below a similarity that allows for so many
//! comparisons: `other_worker_similarity` is far above the one that finds a worker in the worker's own selfies.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::config::policy::RolePolicy;
use crate::infer::template::similarity;
use crate::infer::{Analysis, Template};
use crate::reason::Reason;
use crate::roles::account::worker_faces;
use crate::roles::cast::principals;
use crate::roles::{Account, Basis, Cast};

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

/// Notes of each account whose worker is the worker of another account too, the most similar one.
pub(super) fn name_shared_faces(accounts: &mut BTreeMap<String, Account>, policy: &RolePolicy) {
    let found = {
        let workers = worker_faces(accounts);
        let asked: Vec<(&Template, Option<&str>)> = workers.iter().map(|w| (w.template, Some(w.worker_id))).collect();
        let found = nearest_workers(&asked, &workers, policy.other_worker_similarity);
        let ids = workers.iter().map(|w| w.worker_id.to_owned());
        ids.zip(found).filter_map(|(id, other)| Some((id, other?))).collect::<Vec<_>>()
    };
    for (id, other) in found {
        let enrolled =
            |id: &str| accounts.get(id).and_then(|a| a.worker.as_ref()).is_some_and(|w| w.basis == Basis::Enrolled);
        let borrowed = enrolled(&other.worker_id) && !enrolled(&id);
        if let Some(account) = accounts.get_mut(&id) {
            account.borrowed = borrowed;
            account.same_as = Some(other);
        }
    }
}

/// Says which members, and which faces in the place of an absent worker, are other workers of the drive.
pub(super) fn name_other_workers(
    analyses: &[Analysis],
    accounts: &BTreeMap<String, Account>,
    casts: &mut [Cast],
    policy: &RolePolicy,
) {
    let workers = worker_faces(accounts);
    let found = |cast: &Cast| cast.worker_similarity.is_some_and(|s| s >= policy.worker_similarity);
    let mut asked: Vec<(usize, usize)> = Vec::new();
    for (row, cast) in casts.iter().enumerate() {
        match cast.worker {
            _ if cast.reasons.contains(&Reason::MemberIsWorker) => {}
            Some(_) if found(cast) || cast.reasons.contains(&Reason::WorkerMismatch) => {
                asked.extend(cast.member.map(|face| (row, face)));
            }
            // Anybody in the foreground may be in the worker's place.
            _ => asked.extend(principals(analyses[row].faces(), policy.principal_ratio).into_iter().map(|f| (row, f))),
        }
    }
    let template = |&(row, face): &(usize, usize)| {
        let own = analyses[row].facts.worker_id.as_deref();
        Some((&analyses[row].faces().get(face)?.reading.as_ref()?.template, own))
    };
    asked.retain(|face| template(face).is_some());
    let faces: Vec<(&Template, Option<&str>)> = asked.iter().filter_map(template).collect();
    let nearest = nearest_workers(&faces, &workers, policy.other_worker_similarity);
    for ((row, face), other) in asked.into_iter().zip(nearest) {
        if let Some(other) = other {
            let found = found(&casts[row]);
            name(&mut casts[row], face, other, found);
        }
    }
    for (analysis, cast) in analyses.iter().zip(casts.iter_mut()) {
        let account = analysis.facts.worker_id.as_ref().and_then(|id| accounts.get(id));
        if account.is_some_and(|a| a.borrowed) && cast.worker.is_some() && found(cast) {
            cast.add(Reason::WorkerMismatch);
            cast.other_worker = cast.other_worker.take().or_else(|| account.and_then(|a| a.same_as.clone()));
        }
    }
}

/// Notes that a face is another worker's: in the worker's place where the account's own was not `found`, else as the
/// member.
fn name(cast: &mut Cast, face: usize, other: OtherWorker, found: bool) {
    let taken = found || cast.reasons.iter().any(|r| matches!(r, Reason::OneFace | Reason::WorkerMismatch));
    if !taken {
        // The other worker is the worker of this selfie, and whoever else is there the member.
        if cast.member == Some(face) {
            cast.member = cast.worker.filter(|&worker| worker != face).or(cast.bystander);
        }
        cast.worker = Some(face);
        cast.reasons.retain(|&r| r != Reason::WorkerAbsent);
        cast.add(Reason::WorkerMismatch);
    } else if cast.member == Some(face) {
        cast.add(Reason::MemberIsOtherWorker);
    } else {
        return;
    }
    if cast.other_worker.as_ref().is_none_or(|known| known.similarity < other.similarity) {
        cast.other_worker = Some(other);
    }
}
