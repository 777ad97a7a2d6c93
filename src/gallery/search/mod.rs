//! Which engine searches, why, and how much it may have missed.
//!
//! `auto` takes the engine whose estimated time is less ([`cost`]); HNSW must promise to be [`ADVANTAGE`] times faster.
//! After an HNSW search a sample of the probes is searched exactly ([`certificate`]); if the share of true pairs that
//! HNSW missed is above what the policy allows, all probes are searched exactly. What was measured, chosen, missed and
//! done again is in the [`SearchReport`], which goes into `run.json`.
//!
//! Exact search gives the same answers on every machine. HNSW gives the same answers for one store, whatever the
//! threads and the kernel, because a graph is a function of its rows. What may vary is which of the two `auto` takes,
//! for that follows from measured rates; then answers differ by pairs that HNSW missed, of which the certificate states
//! the share, and never in a similarity. A choice that must not depend on the machine is made by naming the engine.

mod certificate;
mod cost;
mod engine;

use std::time::Instant;

use serde::Serialize;

use super::processor::Processor;
use super::query::{Hit, Pair, Probe, Thinning, Want};
use super::view::Gallery;
use super::{exact, hnsw, on_device};
use crate::{Error, Result};

pub use certificate::{Certificate, certify};
use certificate::{as_probes, certify_pairs, own_probes};
pub use cost::{ADVANTAGE, COMPARISONS, Calibration, INSERTION};
use cost::{Choice, Work, choose};
pub use engine::{Engine, SearchPolicy, Searcher};

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
    /// The share of true pairs that the policy lets HNSW miss of those checked.
    pub max_missed_share: f64,
}

impl SearchReport {
    fn new(gallery: &Gallery, probes: usize, searcher: &Searcher) -> SearchReport {
        let Searcher { policy, processor } = searcher;
        SearchReport {
            asked: policy.engine,
            engine: policy.engine,
            reason: "asked for".into(),
            kernel: processor.name(),
            probes,
            rows: gallery.live(),
            hits: 0,
            seconds: 0.0,
            calibration: None,
            certificate: None,
            max_missed_share: policy.max_missed,
        }
    }

    /// Keeps which engine was chosen, and why.
    fn chosen(&mut self, choice: Choice) {
        self.engine = choice.engine;
        self.reason = choice.reason;
        self.calibration = choice.calibration;
    }

    /// Keeps what the check of an HNSW search found, and turns to exact search where it found too much.
    fn certified(&mut self, certificate: Certificate, policy: &SearchPolicy) {
        if certificate.missed_share > policy.max_missed {
            self.engine = Engine::Exact;
            self.reason = format!(
                "HNSW missed {:.4} of the true pairs of {} probes, the policy allows {}: all were searched exactly",
                certificate.missed_share, certificate.probes, policy.max_missed
            );
        }
        self.certificate = Some(certificate);
    }
}

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
    searcher: impl Into<Searcher>,
) -> Result<(Vec<Hit>, SearchReport)> {
    search_with(gallery, probes, want, searcher, &mut |_| Ok(()))
}

/// As [`search`], telling how far it is.
///
/// # Errors
/// As [`search`], and what `progress` returns.
pub fn search_with(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    want: Want,
    searcher: impl Into<Searcher>,
    progress: Progress<'_>,
) -> Result<(Vec<Hit>, SearchReport)> {
    check_dims(gallery, probes)?;
    let started = Instant::now();
    let searcher = searcher.into();
    let Searcher { policy, processor } = &searcher;
    let mut report = SearchReport::new(gallery, probes.len(), &searcher);
    if policy.engine == Engine::Auto {
        let work = Work { probes: probes.len(), pairs: probes.len() as f64 * gallery.rows() as f64 };
        report.chosen(choose(gallery, work, &searcher));
    }
    let mut hits = Vec::new();
    if report.engine == Engine::Hnsw {
        let walk = |probes: &[Probe<'_>]| hnsw::search(gallery, probes, want, policy.breadth, processor.kernel());
        hits = in_steps(probes, STEP, progress, walk)?;
        report.certified(certify(gallery, probes, want, &hits, policy.checked_probes, processor)?, policy);
    }
    if report.engine == Engine::Exact {
        let step = match processor {
            Processor::Cpu(_) => STEP,
            Processor::Card(_) => on_device::PANEL,
        };
        hits = in_steps(probes, step, progress, |probes| exact::search(gallery, probes, want, processor))?;
    }
    report.hits = hits.len();
    report.seconds = started.elapsed().as_secs_f64();
    Ok((hits, report))
}

/// Every pair of visible rows of one model at least `threshold` alike, each once, in order of the rows, with the engine
/// that the policy names or that measures faster. With a thinning not every pair of who is there very often, where the search
/// is exact. `progress` is told how many rows have been compared with all others.
///
/// # Errors
/// As [`search_with`].
pub fn all_pairs(
    gallery: &Gallery,
    threshold: f32,
    thinning: Option<Thinning>,
    searcher: impl Into<Searcher>,
    progress: Progress<'_>,
) -> Result<(Vec<Pair>, SearchReport)> {
    let started = Instant::now();
    let searcher = searcher.into();
    let Searcher { policy, processor } = &searcher;
    let live = gallery.live();
    let mut report = SearchReport::new(gallery, live, &searcher);
    if policy.engine == Engine::Auto {
        let work = Work { probes: live, pairs: live as f64 * live.saturating_sub(1) as f64 / 2.0 };
        report.chosen(choose(gallery, work, &searcher));
    }
    let mut pairs = Vec::new();
    if report.engine == Engine::Hnsw {
        let rows: Vec<u32> = gallery.iter().map(|(row, _)| row).collect();
        pairs = pairs_by_hnsw(gallery, &rows, threshold, &searcher, progress)?;
        let certificate = certify_pairs(gallery, &rows, threshold, &pairs, policy.checked_probes, processor)?;
        report.certified(certificate, policy);
    }
    if report.engine == Engine::Exact {
        pairs.clear();
        let mut is_joined = vec![false; gallery.rows()];
        exact::all_pairs(gallery, threshold, processor, &mut |done, found| {
            match thinning {
                Some(thinning) => pairs.extend(thinning.pairs(found, &mut is_joined)),
                None => pairs.extend_from_slice(found),
            }
            progress(done)
        })?;
    }
    report.hits = pairs.len();
    report.seconds = started.elapsed().as_secs_f64();
    Ok((pairs, report))
}

/// Looks for each row in the graphs; a pair that is found from one of its ends is found.
fn pairs_by_hnsw(
    gallery: &Gallery,
    rows: &[u32],
    threshold: f32,
    searcher: &Searcher,
    progress: Progress<'_>,
) -> Result<Vec<Pair>> {
    let (breadth, kernel) = (searcher.policy.breadth, searcher.processor.kernel());
    let mut pairs = Vec::new();
    for (number, step) in rows.chunks(STEP).enumerate() {
        let own = own_probes(gallery, step)?;
        for hit in hnsw::search(gallery, &as_probes(&own), Want::Above(threshold), breadth, kernel)? {
            let (a, b) = (step[hit.probe as usize], hit.row);
            if a != b {
                pairs.push(Pair { first: a.min(b), second: a.max(b), similarity: hit.similarity });
            }
        }
        progress(number * STEP + step.len())?;
    }
    pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
    pairs.dedup_by_key(|pair| (pair.first, pair.second));
    Ok(pairs)
}

/// Searches some probes at a time.
fn in_steps<'p>(
    probes: &[Probe<'p>],
    step: usize,
    progress: Progress<'_>,
    search: impl Fn(&[Probe<'p>]) -> Result<Vec<Hit>>,
) -> Result<Vec<Hit>> {
    let mut hits = Vec::new();
    for (number, step_probes) in probes.chunks(step).enumerate() {
        let first = (number * step) as u32;
        hits.extend(search(step_probes)?.into_iter().map(|hit| Hit { probe: hit.probe + first, ..hit }));
        progress(first as usize + step_probes.len())?;
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
