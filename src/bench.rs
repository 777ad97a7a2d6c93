//! `chehra bench`: what a night costs on this machine, stage by stage, and whether that has become worse.
//!
//! Machines are shared and their clocks change, so every figure is kept as processor seconds beside the rate of
//! multiply-adds that a core did in registers just before. The product, multiply-adds a selfie could have had, moves
//! little with the neighbours' load, and is what [`compare`] judges. Time on the wall is reported for people.

pub mod compare;
pub mod embed;
mod machine;
pub mod pairs;
mod text;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use serde::{Deserialize, Serialize};

pub use machine::Machine;

use crate::audit::{self, Job};
use crate::dump::Dump;
use crate::gallery::generate::Crowd;
use crate::gallery::{Filter, Gallery, Probe, Processor, Want, exact};
use crate::infer::clock::Spent;
use crate::infer::{Engine, JpegReport, Lanes};
use crate::ops::{self, Precision};
use crate::report::Progress;
use crate::{Error, Result, device};

/// Layout of the JSON.
const VERSION: u32 = 1;
/// Rows of the generated gallery, and probes, of the search.
const GALLERY: u64 = 100_000;
/// See [`GALLERY`].
const PROBES: u64 = 1_024;
/// Values per generated template: those of the default embedder.
const DIM: usize = 128;
/// Least similarity of an answer.
const THRESHOLD: f32 = 0.45;
/// How long the yardstick is held against a core before each run.
const YARDSTICK: Duration = Duration::from_millis(60);
/// Rows that the CPU sees before the clock starts.
const WARM_UP: usize = 16;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reading and seeing alone: what grows with every selfie.
    See,
    /// And the whole audit, to the committed run folder, and a search.
    All,
}

/// What to measure, how often.
#[derive(Debug)]
pub struct BenchJob {
    /// The audit that is run; its `out` is a folder that does not exist.
    pub audit: Job,
    /// What is measured.
    pub scope: Scope,
    /// Runs of each; the median is reported.
    pub runs: usize,
    /// Most rows of the dump that are seen.
    pub rows: usize,
}

/// All that was measured, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BenchReport {
    /// Layout of this record.
    pub version: u32,
    /// Version of the program, and the commit where it was built from one.
    pub program: String,
    /// The machine.
    pub machine: Machine,
    /// Where networks and search ran.
    #[serde(default)]
    pub device: String,
    /// Who decoded JPEGs.
    #[serde(default)]
    pub jpeg: Option<JpegReport>,
    /// Networks, and the embedder's arithmetic.
    pub models: Vec<String>,
    /// Arithmetic of the embedder.
    pub precision: String,
    /// Reading and seeing.
    pub see: See,
    /// The whole audit.
    pub audit: Option<Whole>,
    /// Exact search of a generated gallery.
    pub search: Option<Search>,
    /// Peak of resident memory of the process, MiB, where the system says.
    pub peak_mib: Option<u64>,
}

/// One timed run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Run {
    /// Seconds on the wall.
    pub wall_s: f64,
    /// Processor seconds of all threads.
    pub cpu_s: f64,
    /// Multiply-adds a second that one core did in registers just before, f32, in units of 1e9.
    pub peak_gmac_s: f64,
    /// Processor seconds by stage.
    pub stages: Vec<(String, f64)>,
}

/// Reading and seeing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct See {
    /// Rows.
    pub selfies: u64,
    /// Pictures in them, uploaded photos too.
    pub pictures: u64,
    /// Faces whose liveness and template were taken.
    pub faces: u64,
    /// Bytes of the decoded pictures.
    #[serde(default)]
    pub pixel_bytes: u64,
    /// Multiply-adds of all convolutions, in units of 1e9.
    pub gmac: f64,
    /// Median processor seconds by stage, of all rows; `other` is what no stage has booked: reading, allocation.
    pub stages_cpu_s: Vec<(String, f64)>,
    /// On a device: median seconds by the clock of the threads that wait for it, by stage.
    #[serde(default)]
    pub stages_wall_s: Vec<(String, f64)>,
    /// The runs.
    pub runs: Vec<Run>,
}

/// The whole audit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Whole {
    /// Rows of the dump.
    pub selfies: u64,
    /// The runs.
    pub runs: Vec<Run>,
}

/// Exact search.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Search {
    /// Templates in the gallery.
    pub rows: u64,
    /// Probes.
    pub probes: u64,
    /// The kernel that the machine chose.
    pub kernel: String,
    /// Answers, the same in every run.
    pub hits: usize,
    /// The runs.
    pub runs: Vec<Run>,
}

impl See {
    /// Median over the runs of a cost a selfie, in seconds.
    pub fn median(&self, cost: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(cost)) / self.selfies.max(1) as f64
    }
}

/// The middle value; the mean of two.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Measures.
///
/// # Errors
/// As [`audit::run`]; [`Error::Input`] for a dump without rows.
pub fn bench(job: &BenchJob, engine: &Engine, precision: Precision, progress: Progress) -> Result<BenchReport> {
    let dump = Dump::open(&job.audit.inputs, &job.audit.columns)?;
    let rows = (dump.total_rows() as usize).min(job.rows);
    if rows == 0 {
        let path = job.audit.inputs.first().cloned().unwrap_or_default();
        return Err(Error::input(path, "rows", "at least one", "none", "name a dump with rows"));
    }
    let see = see(&dump, engine, rows, job.runs, progress)?;
    let audit = (job.scope >= Scope::All).then(|| whole(job, engine, dump.total_rows())).transpose()?;
    let processor = Processor::on(engine.device());
    let search = (job.scope >= Scope::All).then(|| search(job.runs, &processor, progress)).transpose()?;
    // Before the machine is measured: that takes memory of its own.
    let peak_mib = machine::peak_mib();
    Ok(BenchReport {
        version: VERSION,
        program: match option_env!("CHEHRA_COMMIT") {
            Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
            None => env!("CARGO_PKG_VERSION").to_owned(),
        },
        machine: Machine::measure(),
        device: device::describe(engine.device()),
        jpeg: Some(engine.jpeg().clone()),
        models: engine.models().to_vec(),
        precision: format!("{precision:?}").to_lowercase(),
        see,
        audit,
        search,
        peak_mib,
    })
}

/// Runs something once, with the yardstick before it.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Run, T)> {
    let peak = machine::peak(Precision::F32, YARDSTICK).unwrap_or(0.0);
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    let done = work()?;
    let (wall_s, cpu_s) = (wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    Ok((Run { wall_s, cpu_s, peak_gmac_s: peak, stages: Vec::new() }, done))
}

/// Rows seen before the clock starts. On a device a full part for each of its threads: matrix products of that size are
/// chosen, memory is taken and page-locked, and code is compiled at the first one.
fn warm_up(engine: &Engine) -> usize {
    let Lanes { threads, rows } = engine.lanes();
    if engine.device().is_cpu() { WARM_UP } else { threads * rows }
}

fn see(dump: &Dump, engine: &Engine, rows: usize, runs: usize, progress: Progress) -> Result<See> {
    see_once(dump, engine, rows.min(warm_up(engine)), &|_| ())?;
    let stage = progress.stage("see", "selfies", (rows * runs) as u64, 0);
    let mut see = See::default();
    let mut waited = Vec::new();
    for _ in 0..runs {
        let (before, macs) = (engine.spent(), ops::multiply_adds());
        let (mut run, seen) = timed(|| see_once(dump, engine, rows, &|count| stage.advance(count)))?;
        let Spent { pictures, faces, stages, elapsed } = engine.spent().since(&before);
        let booked: f64 = stages.iter().map(|s| s.1).sum();
        run.stages = stages.into_iter().map(|(name, seconds)| (name.to_owned(), seconds)).collect();
        run.stages.push(("other".to_owned(), (run.cpu_s - booked).max(0.0)));
        waited.push(elapsed);
        (see.selfies, see.pictures, see.faces) = (seen.selfies, pictures, faces);
        see.pixel_bytes = seen.pixel_bytes;
        see.gmac = (ops::multiply_adds() - macs) as f64 / 1e9;
        see.runs.push(run);
    }
    if !engine.device().is_cpu() {
        see.stages_wall_s = (0..)
            .zip(waited.first().into_iter().flatten())
            .map(|(i, (name, _)): (usize, _)| ((*name).to_owned(), median(waited.iter().map(|run| run[i].1))))
            .collect();
    }
    let names: Vec<String> =
        see.runs.first().map(|r| r.stages.iter().map(|s| s.0.clone()).collect()).unwrap_or_default();
    see.stages_cpu_s =
        names.into_iter().enumerate().map(|(i, name)| (name, median(see.runs.iter().map(|r| r.stages[i].1)))).collect();
    Ok(see)
}

/// What a run saw.
#[derive(Debug, Default)]
struct Seen {
    selfies: u64,
    pixel_bytes: u64,
}

/// Sees the first rows of a dump as the audit does, and forgets what it saw.
fn see_once(dump: &Dump, engine: &Engine, rows: usize, advance: &dyn Fn(u64)) -> Result<Seen> {
    let mut seen = Seen::default();
    let selection = audit::Selection { range: 0..rows as u64, wanted: &|_| true, withheld: &|_| false };
    let ended = audit::see_rows(dump, engine, selection, &mut |_, batch| {
        for analysis in &batch {
            let pictures = [Some(&analysis.selfie), analysis.photo.as_ref()].into_iter().flatten().flatten();
            seen.pixel_bytes += pictures.map(|p| u64::from(p.width) * u64::from(p.height) * 3).sum::<u64>();
        }
        seen.selfies += batch.len() as u64;
        advance(batch.len() as u64);
        if seen.selfies < rows as u64 { Ok(()) } else { Err(Error::Interrupted) }
    });
    match ended {
        Ok(()) | Err(Error::Interrupted) => Ok(seen),
        Err(error) => Err(error),
    }
}

/// The audit as it is run at night, each time into a new run folder and without a store.
fn whole(job: &BenchJob, engine: &Engine, selfies: u64) -> Result<Whole> {
    let mut runs = Vec::with_capacity(job.runs);
    for _ in 0..job.runs {
        let audit = Job { force: true, ..job.audit.clone() };
        let (run, _) = timed(|| audit::run(&audit, engine, Progress::new(true), &AtomicBool::new(false)))?;
        runs.push(run);
    }
    Ok(Whole { selfies, runs })
}

/// Probes that each have a mate in a gallery of made-up faces.
fn search(runs: usize, processor: &Processor, progress: Progress) -> Result<Search> {
    progress.say("making a gallery to search");
    let made = |e| Error::bug("making up templates", e);
    let crowd = Crowd::new(DIM, 1);
    let gallery = Gallery::from_rows(&crowd.rows(0..GALLERY).map_err(made)?)?;
    let shot = |i: u64| {
        let row = i * (GALLERY / PROBES);
        Ok((crowd.member(row), crowd.shot(crowd.person(row), 1 << 50 | i).map_err(made)?))
    };
    let probes = (0..PROBES).map(shot).collect::<Result<Vec<_>>>()?;
    let probes: Vec<Probe<'_>> =
        probes.iter().map(|(m, t)| Probe { template: t, model: &m.model, filter: Filter::default() }).collect();
    let mut found =
        Search { rows: GALLERY, probes: PROBES, kernel: processor.name().into(), hits: 0, runs: Vec::new() };
    exact::search(&gallery, &probes, Want::Above(THRESHOLD), processor)?;
    for _ in 0..runs {
        let (run, hits) = timed(|| exact::search(&gallery, &probes, Want::Above(THRESHOLD), processor))?;
        found.hits = hits.len();
        found.runs.push(run);
    }
    Ok(found)
}

/// Where the audits of a bench go: a folder of its own, removed afterwards.
pub fn scratch() -> Result<(PathBuf, Scratch)> {
    let folder = std::env::temp_dir().join(format!("chehra-bench-{}", std::process::id()));
    // Not one that is there: somebody else made it, and it may lead elsewhere.
    std::fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
    Ok((folder.join("run"), Scratch(folder)))
}

/// Removes its folder when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's folder for such things.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_stand_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }
}
