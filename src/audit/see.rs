//! Pictures in, analyses out: the one long stage, durable batch by batch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::audit::Job;
use crate::audit::ordered::in_order;
use crate::audit::record::Record;
use crate::audit::spool::Spool;
use crate::config::policy::RolePolicy;
use crate::dump::{Dump, Submission, Workers};
use crate::infer::template::similarity;
use crate::infer::{Analysis, Engine, SeenPhoto, Template};
use crate::report::Progress;
use crate::{Error, Result};

/// Rows per batch. A batch is what a stop may lose, and what is in memory as encoded pictures.
pub(crate) const BATCH_ROWS: usize = 128;
/// Bytes of encoded pictures per batch.
pub(crate) const BATCH_BYTES: usize = 64 << 20;
/// Batches that are seen at the same time: while the last pictures of one keep some cores, the next has work for the
/// others. One more is being read meanwhile, so at most three batches of encoded pictures are in memory.
const IN_FLIGHT: usize = 2;
/// On a GPU: one batch being decoded, two on the device, one whose marks and hashes are measured.
const IN_FLIGHT_ON_GPU: usize = 4;

/// Batches that are seen at the same time.
pub(crate) fn in_flight(engine: &Engine) -> usize {
    if engine.device().is_cpu() { IN_FLIGHT } else { IN_FLIGHT_ON_GPU }
}

/// Sees every row of the dump, going on after the batches that an earlier attempt finished.
pub fn see(
    dump: &Dump,
    engine: &Engine,
    spool: &Path,
    progress: Progress,
    stop: &AtomicBool,
    record: &mut Record,
) -> Result<Vec<Analysis>> {
    let mut spool = Spool::open(spool, record.run_id())?;
    let mut analyses = Vec::with_capacity(dump.total_rows() as usize);
    for batch in spool.read() {
        analyses.extend(batch?);
    }
    record.resumed(analyses.len() as u64, spool.begun());
    let stage = progress.stage("see", "selfies", dump.total_rows(), analyses.len() as u64);
    let before = engine.spent();
    let batches = dump.batches(BATCH_ROWS, BATCH_BYTES, analyses.len() as u64);
    let work = |batch: Vec<Submission>| engine.analyse(&batch);
    in_order(batches, in_flight(engine), &work, &mut |batch: Vec<Analysis>| {
        spool.push(&batch)?;
        stage.advance(batch.len() as u64);
        analyses.extend(batch);
        if stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    })?;
    drop(stage);
    record.stage("see");
    record.seen(&engine.spent().since(&before));
    match analyses.len() as u64 == dump.total_rows() {
        true => Ok(analyses),
        false => Err(Error::bug("seeing the dump", format!("{} of {} rows", analyses.len(), dump.total_rows()))),
    }
}

/// Reference faces by worker id: all that a worker's photo shows in the foreground, the one nearest its middle first.
#[derive(Debug, Default)]
pub struct References(BTreeMap<String, Vec<Template>>);

impl References {
    /// The reference face of each worker. Where the photo shows several people, the one who is in most of the worker's
    /// selfies; if none is in more than another, the one nearest the middle.
    pub fn settle(self, analyses: &[Analysis], policy: &RolePolicy) -> BTreeMap<String, Template> {
        let mut selfies: BTreeMap<&str, Vec<&Analysis>> = BTreeMap::new();
        for analysis in analyses {
            if let Some(id) =
                analysis.facts.worker_id.as_deref().filter(|&id| self.0.get(id).is_some_and(|f| f.len() > 1))
            {
                selfies.entry(id).or_default().push(analysis);
            }
        }
        let shows = |analysis: &Analysis, face: &Template| {
            let seen = analysis.faces().iter().filter_map(|f| f.reading.as_ref());
            seen.map(|r| &r.template).any(|t| t.dim() == face.dim() && similarity(t, face) >= policy.worker_similarity)
        };
        let mut settled = BTreeMap::new();
        for (id, faces) in self.0 {
            let own = selfies.get(id.as_str()).map_or(&[][..], |own| own);
            let count = |face: &Template| own.iter().filter(|analysis| shows(analysis, face)).count();
            let best = faces.into_iter().enumerate().max_by_key(|(at, face)| (count(face), std::cmp::Reverse(*at)));
            settled.extend(best.map(|(_, face)| (id, face)));
        }
        settled
    }
}

/// Faces of a reference photo at least this high, as a share of the tallest one's, may be the worker's.
fn foreground(photo: &SeenPhoto, ratio: f32) -> Vec<Template> {
    let least = photo.faces.first().map_or(0.0, |face| face.detection.bbox[3] * ratio);
    let (cx, cy) = (photo.width as f32 / 2.0, photo.height as f32 / 2.0);
    let mut faces: Vec<(f32, &Template)> = Vec::new();
    for face in photo.faces.iter().filter(|face| face.detection.bbox[3] >= least) {
        let [left, top, width, height] = face.detection.bbox;
        let off = (left + width / 2.0 - cx).hypot(top + height / 2.0 - cy);
        faces.extend(face.reading.as_ref().map(|reading| (off, &reading.template)));
    }
    faces.sort_by(|a, b| a.0.total_cmp(&b.0));
    faces.into_iter().map(|(_, template)| template.clone()).collect()
}

/// The reference faces of the workers table of a night's audit; see [`references`].
pub fn enrolled_workers(
    job: &Job,
    dump: &Dump,
    engine: &Engine,
    progress: Progress,
    record: &mut Record,
) -> Result<References> {
    let Some(path) = job.workers.as_deref().or_else(|| dump.workers_path()) else { return Ok(References::default()) };
    let (found, refused) = references(path, &|_| true, engine, &job.policy.roles, progress)?;
    record.enrolled(path, found.0.len() as u64, refused);
    Ok(found)
}

/// The reference faces in a workers table of those workers that `wanted` names: of each those of the first photo that
/// shows any. Also the number of rows that enrol nobody.
///
/// A photo without a face enrols nobody; the worker is then learned from the selfies, and the log says so.
pub fn references(
    path: &Path,
    wanted: &dyn Fn(&str) -> bool,
    engine: &Engine,
    policy: &RolePolicy,
    progress: Progress,
) -> Result<(References, u64)> {
    let table = Workers::open(path)?;
    let stage = progress.stage("workers", "photos", table.total_rows(), 0);
    let mut enrolled = BTreeMap::new();
    let mut refused = 0;
    for batch in table.batches(BATCH_ROWS, BATCH_BYTES, 0) {
        let batch = batch?;
        let asked: Vec<_> = batch.iter().filter(|row| row.worker_id.as_deref().is_none_or(wanted)).collect();
        let pictures: Vec<&[u8]> = asked.iter().map(|row| row.photo.as_deref().unwrap_or_default()).collect();
        for (row, seen) in asked.into_iter().zip(engine.see(&pictures)?) {
            let ratio = policy.principal_ratio;
            let faces = seen.as_ref().map_or_else(|_| Vec::new(), |photo| foreground(photo, ratio));
            match (&row.worker_id, faces) {
                (Some(id), faces) if !faces.is_empty() => {
                    enrolled.entry(id.clone()).or_insert(faces);
                }
                (id, _) => {
                    refused += 1;
                    let why = seen.err().map_or_else(|| "no face found".to_owned(), |reject| reject.detail);
                    let id = id.as_deref().unwrap_or("no worker_id");
                    log::warn!(
                        "{}: row {} ({id}): {why}; this worker is learned from the selfies",
                        path.display(),
                        row.row
                    );
                }
            }
        }
        stage.advance(batch.len() as u64);
    }
    drop(stage);
    Ok((References(enrolled), refused))
}
