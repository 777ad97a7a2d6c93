//! Pictures in, analyses out: the one long stage, durable batch by batch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::audit::Job;
use crate::audit::ordered::in_order;
use crate::audit::record::Record;
use crate::audit::spool::Spool;
use crate::dump::{Dump, Submission, Workers};
use crate::infer::{Analysis, Engine, Template};
use crate::report::Progress;
use crate::{Error, Result};

/// Rows per batch. A batch is what a stop may lose, and what is in memory as encoded pictures.
pub(crate) const BATCH_ROWS: usize = 128;
/// Bytes of encoded pictures per batch.
pub(crate) const BATCH_BYTES: usize = 64 << 20;
/// Batches that are seen at the same time: while the last pictures of one keep some cores, the next has work for the
/// others. One more is being read meanwhile, so at most three batches of encoded pictures are in memory.
pub(crate) const IN_FLIGHT: usize = 2;

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
    record.resumed(analyses.len() as u64);
    let stage = progress.stage("see", "selfies", dump.total_rows(), analyses.len() as u64);
    let before = engine.spent();
    let batches = dump.batches(BATCH_ROWS, BATCH_BYTES, analyses.len() as u64);
    in_order(batches, IN_FLIGHT, &|batch: Vec<Submission>| engine.analyse(&batch), &mut |batch: Vec<Analysis>| {
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

/// The reference faces of the workers table: of each worker the tallest face of the first photo that shows one.
///
/// A photo without a face enrols nobody; the worker is then learned from the night, and the record says so.
pub fn enrolled_workers(
    job: &Job,
    dump: &Dump,
    engine: &Engine,
    progress: Progress,
    record: &mut Record,
) -> Result<BTreeMap<String, Template>> {
    let Some(path) = job.workers.as_deref().or_else(|| dump.workers_path()) else { return Ok(BTreeMap::new()) };
    let table = Workers::open(path)?;
    let stage = progress.stage("workers", "photos", table.total_rows(), 0);
    let mut enrolled = BTreeMap::new();
    let mut refused = 0;
    for batch in table.batches(BATCH_ROWS, BATCH_BYTES, 0) {
        let batch = batch?;
        let pictures: Vec<&[u8]> = batch.iter().map(|row| row.photo.as_deref().unwrap_or_default()).collect();
        for (row, seen) in batch.iter().zip(engine.see(&pictures)?) {
            let face = seen.as_ref().ok().and_then(|photo| photo.faces.iter().find_map(|f| f.reading.as_ref()));
            match (&row.worker_id, face) {
                (Some(id), Some(reading)) => {
                    enrolled.entry(id.clone()).or_insert_with(|| reading.template.clone());
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
    record.enrolled(path, enrolled.len() as u64, refused);
    Ok(enrolled)
}
