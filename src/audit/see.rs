//! Pictures in, analyses out: the one long stage, durable batch by batch.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::audit::ordered::{Window, in_order};
use crate::config::policy::RolePolicy;
use crate::dump::{Dump, Submission, Workers};
use crate::gallery::{SeenNote, Spool, withhold};
use crate::infer::clock::Spent;
use crate::infer::template::similarity;
use crate::infer::{Analysis, Engine, Lanes, SeenPhoto, Template};
use crate::report::Progress;
use crate::report::metrics::Metrics;
use crate::seen::SeenFolder;
use crate::{Error, Result};

/// Rows per batch of the spool: what a crash may lose.
pub(crate) const BATCH_ROWS: usize = 128;
/// Bytes of encoded pictures that are read at a time.
const BATCH_BYTES: usize = 64 << 20;
/// Rows that may be finished while one before them is not: about four kilobytes each.
const WAITING_ROWS: usize = 8192;

/// What was seen in a dump.
#[derive(Debug)]
pub struct Seen {
    /// Each row, in order.
    pub analyses: Vec<Analysis>,
    /// The workers' reference photos.
    pub photos: WorkerPhotos,
    /// Rows that came from an earlier attempt.
    pub resumed: u64,
    /// When the first attempt began, microseconds since 1970-01-01T00:00:00Z.
    pub begun: i64,
    /// Processor seconds by stage.
    pub spent: Spent,
}

/// Who is told how far the stage has come, and who may stop it.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a> {
    /// People.
    pub progress: Progress,
    /// Machines.
    pub metrics: Option<&'a Metrics>,
    /// Set by whoever wants it to stop.
    pub stop: &'a AtomicBool,
}

/// Sees some consecutive rows of the dump, going on after the batches that an earlier attempt finished. Rows of submissions that the
/// store has forgotten are not looked at, and what was seen of those forgotten meanwhile is let go.
pub fn see_dump(
    dump: &Dump,
    range: Range<u64>,
    photos: WorkerPhotos,
    engine: &Engine,
    spool: &mut Spool<'_>,
    watch: Watch<'_>,
) -> Result<Seen> {
    let Watch { progress, metrics, stop } = watch;
    let total = range.end - range.start;
    let mut analyses = Vec::with_capacity(total as usize);
    for batch in spool.read() {
        analyses.extend(batch?);
    }
    let resumed = analyses.len() as u64;
    let stage = progress.stage("see", "selfies", total, resumed);
    metrics.iter().for_each(|metrics| metrics.expect(total, resumed));
    let before = engine.spent();
    let mut spooled = analyses.len();
    let erased = spool.withheld()?;
    let withheld =
        |row: &Submission| row.facts.submission_id.as_ref().is_some_and(|id| !erased.is_empty() && erased.contains(id));
    let rows = Selection { range: range.start + resumed..range.end, wanted: &|_| true, withheld: &withheld };
    let ended = see_rows(dump, engine, rows, &mut |read, seen| {
        analyses.extend(seen);
        stage.advance(read);
        metrics.iter().for_each(|metrics| metrics.seen(read));
        if analyses.len() >= spooled + BATCH_ROWS {
            spool.push(&mut analyses[spooled..])?;
            spooled = analyses.len();
        }
        if stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    });
    if analyses.len() > spooled && matches!(ended, Ok(()) | Err(Error::Interrupted)) {
        spool.push(&mut analyses[spooled..])?;
    }
    ended?;
    drop(stage);
    withhold(&mut analyses, &spool.withheld()?);
    let spent = engine.spent().since(&before);
    match analyses.len() as u64 == total {
        true => Ok(Seen { analyses, photos, resumed, begun: spool.begun(), spent }),
        false => Err(Error::bug("seeing the dump", format!("{} of {total} rows", analyses.len()))),
    }
}

/// Reads what was seen of every row elsewhere. Of submissions that the store has forgotten it is let go, in the folder too.
pub fn read_seen(
    folder: &SeenFolder,
    photos: WorkerPhotos,
    spool: &Spool<'_>,
    noted: Option<&SeenNote>,
    watch: Watch<'_>,
) -> Result<Seen> {
    let stage = watch.progress.stage("see", "selfies", folder.total_rows(), 0);
    watch.metrics.iter().for_each(|metrics| metrics.expect(folder.total_rows(), 0));
    let mut analyses = folder.read(&mut |rows| {
        stage.advance(rows);
        watch.metrics.iter().for_each(|metrics| metrics.seen(rows));
    })?;
    drop(stage);
    let withheld = spool.withheld()?;
    withhold(&mut analyses, &withheld);
    let left = noted.filter(|_| !withheld.is_empty()).map(|noted| noted.erase(&withheld)).transpose()?;
    left.into_iter().flatten().for_each(|left| log::warn!("{left}"));
    Ok(Seen { analyses, photos, resumed: 0, begun: spool.begun(), spent: Spent::default() })
}

/// Which rows of a dump are seen.
#[derive(Clone)]
pub(crate) struct Selection<'a> {
    /// Their positions.
    pub range: Range<u64>,
    /// Those of which anything is asked.
    pub wanted: &'a (dyn Fn(&Submission) -> bool + Sync),
    /// Those of them whose pictures are not looked at.
    pub withheld: &'a (dyn Fn(&Submission) -> bool + Sync),
}

/// Sees the selected rows of a dump, and gives `sink` how many rows were read and what was seen in those that were wanted,
/// a few at a time and in order. Of the withheld ones only the facts are in it.
///
/// In memory are the encoded pictures of one stretch of the dump (128 rows, 64 MiB or one row) and of a few rows for each
/// thread, the decoded ones of a few pictures for each thread, and what was seen in at most 8,192 rows.
///
/// # Errors
/// The dump's, the device's, the sink's: the first in the dump's order.
pub(crate) fn see_rows(
    dump: &Dump,
    engine: &Engine,
    rows: Selection<'_>,
    sink: &mut dyn FnMut(u64, Vec<Analysis>) -> Result<()>,
) -> Result<()> {
    let Lanes { threads, rows: at_a_time } = engine.lanes();
    let work = |mut piece: Vec<Submission>| {
        let read = piece.len() as u64;
        piece.retain(|row| (rows.wanted)(row));
        for row in piece.iter_mut().filter(|row| (rows.withheld)(row)) {
            (row.selfie, row.photo) = (None, None);
        }
        Ok((read, engine.analyse(&piece)?))
    };
    let window = Window { workers: threads, most: WAITING_ROWS / at_a_time };
    let Range { start, end } = rows.range;
    let mut batches = dump.batches(BATCH_ROWS, BATCH_BYTES, start);
    let mut next = start;
    // Nothing behind the range is read, nor complained of.
    let batches = std::iter::from_fn(move || {
        let mut batch = if next < end { batches.next()? } else { return None };
        next = end;
        if let Ok(rows) = &mut batch {
            rows.retain(|row| row.row < end);
            next = rows.last().map_or(end, |row| row.row + 1);
        }
        Some(batch)
    });
    let pieces = batches.flat_map(|batch| pieces(batch, at_a_time));
    in_order(pieces, window, &work, &mut |(read, seen)| sink(read, seen))
}

/// A batch, a few rows at a time.
pub(super) fn pieces<T>(batch: Result<Vec<T>>, rows: usize) -> impl Iterator<Item = Result<Vec<T>>> {
    let (mut left, mut failed) = match batch {
        Ok(batch) => (batch.into_iter(), None),
        Err(error) => (Vec::new().into_iter(), Some(error)),
    };
    std::iter::from_fn(move || {
        if let Some(error) = failed.take() {
            return Some(Err(error));
        }
        let piece: Vec<T> = left.by_ref().take(rows).collect();
        (!piece.is_empty()).then_some(Ok(piece))
    })
}

/// Reference faces by worker id: all that a worker's photo shows in the foreground, the one nearest its middle first.
#[derive(Debug, Default)]
pub struct References(BTreeMap<String, Vec<Template>>);

impl References {
    /// The reference face of each worker. Where the photo shows several people, the one who is in most of the worker's
    /// selfies; if none is in more than another, the one nearest the middle.
    pub fn settle(&self, analyses: &[Analysis], policy: &RolePolicy) -> BTreeMap<String, Template> {
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
        for (id, faces) in &self.0 {
            let own = selfies.get(id.as_str()).map_or(&[][..], |own| own);
            let count = |face: &Template| own.iter().filter(|analysis| shows(analysis, face)).count();
            let best = faces.iter().enumerate().max_by_key(|(at, face)| (count(face), std::cmp::Reverse(*at)));
            settled.extend(best.map(|(_, face)| (id.clone(), face.clone())));
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

/// What a night's workers table gave.
#[derive(Debug, Default)]
pub struct WorkerPhotos {
    /// The table.
    pub table: Option<PathBuf>,
    /// Workers with a face.
    pub enrolled: u64,
    /// Rows that enrol nobody.
    pub refused: u64,
    references: References,
}

impl WorkerPhotos {
    /// As [`References::settle`].
    pub fn settle(&self, analyses: &[Analysis], policy: &RolePolicy) -> BTreeMap<String, Template> {
        self.references.settle(analyses, policy)
    }
}

/// Sees the workers table of a night, where there is one; see [`references`].
///
/// # Errors
/// As [`references`].
pub fn worker_photos(table: Option<&Path>, engine: &Engine, progress: Progress) -> Result<WorkerPhotos> {
    let Some(path) = table else { return Ok(WorkerPhotos::default()) };
    let (references, refused) = references(path, &|_| true, engine, &engine.policy().roles, progress)?;
    Ok(WorkerPhotos { table: Some(path.to_path_buf()), enrolled: references.0.len() as u64, refused, references })
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

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::config::{Columns, Policy};
    use crate::infer::engine::DEFAULT_EMBEDDER;
    use crate::nn::WeightStore;

    /// Rows one by one, a few at a time on several threads, and all at once give the same analyses to the bit, from
    /// whatever row on.
    #[test]
    fn how_rows_are_grouped_changes_nothing() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let weights = WeightStore::open(Some(&folder.join("weights"))).unwrap();
        let engine = Engine::load(&weights, DEFAULT_EMBEDDER, Device::Cpu, &Policy::default()).unwrap();
        let dump = Dump::open(&[folder.join("fixtures/night2")], &Columns::default()).unwrap();
        let all: Vec<Submission> = dump.batches(1000, usize::MAX, 0).flat_map(|batch| batch.unwrap()).take(9).collect();
        assert_eq!(all.len(), 9);
        let at_once = engine.analyse(&all).unwrap();
        assert!(at_once.iter().filter(|analysis| !analysis.faces().is_empty()).count() > 4);
        let alone: Vec<Analysis> =
            all.iter().flat_map(|row| engine.analyse(std::slice::from_ref(row)).unwrap()).collect();
        assert_eq!(alone, at_once);
        let mut seen = Vec::new();
        let rows = Selection { range: 2..9, wanted: &|row| row.row != 5, withheld: &|_| false };
        see_rows(&dump, &engine, rows, &mut |read, analyses| {
            assert!(read as usize >= analyses.len());
            seen.extend(analyses);
            Ok(())
        })
        .unwrap();
        let expected: Vec<&Analysis> = at_once[2..].iter().filter(|analysis| analysis.row != 5).collect();
        assert_eq!(seen.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_batch_is_cut_into_pieces_and_an_error_stays_one() {
        let cut =
            |rows: usize| pieces(Ok((0..5).collect::<Vec<_>>()), rows).map(|piece| piece.unwrap()).collect::<Vec<_>>();
        assert_eq!(cut(2), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(cut(9), [vec![0, 1, 2, 3, 4]]);
        let failed: Vec<_> = pieces(Err::<Vec<u8>, _>(Error::bug("test", 1)), 2).collect();
        assert!(matches!(failed[..], [Err(_)]));
    }
}
