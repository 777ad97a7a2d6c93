//! Nightly dumps with known truth, made from any collection of face pictures.
//!
//! A [`Plan`] says how many submissions, workers and nights, and which share of the rows gets which [`Pattern`] of fraud
//! or of harmless trouble. From it and the pictures follows a story (who stands in which row), from the story the
//! selfies, and beside them the truth as a table. The same plan and pictures give the same bytes on every run,
//! whatever the number of threads.
//!
//! ```text
//! OUT/plan.toml               the plan as it was resolved
//! OUT/booths.parquet          booth_id, district
//! OUT/night-1/submissions-000.parquet ...
//! OUT/night-1/workers.parquet the enrolled workers
//! OUT/night-1/truth.parquet   see [`tables::truth_schema`]
//! OUT/night-1/replies.csv     what members answer by SMS, and
//! OUT/night-1/answers.csv     to callers,
//! OUT/night-1/visits.csv      and at the door, see [`answers`]
//! ```
//!
//! What it is not: photographs. Two cut-outs on an invented background test whether an audit keeps people, rows and
//! reasons apart; its error rates on real phones must be measured on real phones.

mod answers;
mod canvas;
mod cast;
mod draw;
mod exif;
mod facts;
mod field;
mod people;
mod plan;
mod recapture;
mod rng;
mod row;
mod scene;
mod story;
mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

pub use field::{Habit, HomeWay};
pub use people::{ATTACK_LABELS, Collections, FaceBox, FindFace, LIVE_LABELS};
pub use plan::{FieldPlan, Pattern, PatternKind, Plan, Rates, ReplyPlan};
pub use tables::truth_schema;

use crate::output::{self, Kept, parent};
use crate::{Error, Result};
use draw::Studio;
use tables::{Ledger, Pictures, Table};

/// Rows drawn between two writes: enough to keep every core busy, few enough to hold in memory (about 20 MB).
const CHUNK: usize = 64;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Submissions.
    pub rows: usize,
    /// Nights that have rows.
    pub nights: usize,
    /// Workers' accounts.
    pub workers: usize,
    /// People in the pictures that were given.
    pub people: usize,
    /// Rows of each pattern.
    pub patterns: BTreeMap<&'static str, usize>,
    /// Rows whose member was enrolled by an earlier row.
    pub duplicates: usize,
    /// Bytes of all Parquet files of submissions.
    pub bytes: u64,
}

/// Writes the dumps of a plan into `out`, a new or empty folder, which appears only when all of it is there.
///
/// A collection is a folder `NAME/*.jpg` (also .png, .webp) or a CSV table `person,path[,x,y,w,h][,label][,species]`.
/// `progress` is told rows done and rows in all after each chunk, and can end the run by an error of its own.
///
/// # Errors
/// [`Error::Usage`] for a plan that cannot be, as one with real attacks and no pictures of them, or a folder that is not empty; [`Error::Input`] for pictures that cannot
/// be read; [`Error::Io`]; whatever `progress` returns.
pub fn write(
    plan: &Plan,
    faces: &Collections,
    out: &Path,
    progress: &dyn Fn(usize, usize) -> Result<()>,
) -> Result<Summary> {
    let plan = plan.resolved()?;
    let attacks = faces.attacks.iter().map(|path| Kept::whole("the faces of attacks", path));
    let kept: Vec<Kept> = std::iter::once(Kept::whole("the faces", faces.live)).chain(attacks).collect();
    output::check("--out", out, &kept)?;
    if plan.rates.get(Pattern::AttackMember) > 0.0 && faces.attacks.is_none() {
        let problem = "attack_member is to be planted, and there are no pictures of attacks";
        return Err(Error::usage("rates", problem, "name them with --attacks, or set rates.attack_member to 0"));
    }
    let people = people::read(faces)?;
    let partial = Partial::begin(out)?;
    let story = story::write(&plan, &people)?;
    let studio = Studio { plan: &plan, people: &people, story: &story };
    let ledger = Ledger::new(&studio);
    let mut summary = Summary {
        rows: story.rows.len(),
        nights: 0,
        workers: story.workers.len(),
        people: people.iter().filter(|person| !person.is_attack).count(),
        patterns: BTreeMap::new(),
        duplicates: (0..story.rows.len()).filter(|&k| ledger.duplicate_of(&studio, k).is_some()).count(),
        bytes: 0,
    };
    for row in &story.rows {
        *summary.patterns.entry(row.pattern.code()).or_default() += 1;
    }
    progress(0, story.rows.len())?;
    for night in nights(&story) {
        let folder = partial.path.join(format!("night-{}", story.rows[night.start].night + 1));
        fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
        summary.bytes += submissions(&studio, &folder, night.clone(), progress)?;
        around(&studio, &ledger, &folder, night)?;
        summary.nights += 1;
    }
    let mut booths = Table::create(&partial.path.join("booths.parquet"), tables::booths_schema())?;
    booths.append(&tables::booths_rows(&studio)?)?;
    booths.close()?;
    let text = toml::to_string(&plan).map_err(|e| Error::bug("writing the plan", e))?;
    let path = partial.path.join("plan.toml");
    fs::write(&path, text).map_err(Error::io("write", &path))?;
    partial.finish()?;
    Ok(summary)
}

/// The rows of each night.
fn nights(story: &story::Story) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut start = 0;
    for rows in story.rows.chunk_by(|a, b| a.night == b.night) {
        out.push(start..start + rows.len());
        start += rows.len();
    }
    out
}

/// Draws a night and writes its submissions, chunk by chunk; the bytes written.
fn submissions(
    studio: &Studio,
    folder: &Path,
    night: Range<usize>,
    progress: &dyn Fn(usize, usize) -> Result<()>,
) -> Result<u64> {
    let mut bytes = 0;
    let rows: Vec<usize> = night.collect();
    for (number, file) in rows.chunks(studio.plan.rows_per_file).enumerate() {
        let path = folder.join(format!("submissions-{number:03}.parquet"));
        let mut table = Table::create(&path, tables::dump_schema(studio))?;
        for chunk in file.chunks(CHUNK) {
            let drawn = chunk
                .par_iter()
                .map(|&k| {
                    let pictures = Pictures { selfie: studio.selfie(k)?, photo: studio.photo(k)? };
                    Ok((facts::of(studio.story, studio.plan.seed, k), pictures))
                })
                .collect::<Result<Vec<_>>>()?;
            table.append(&tables::dump_rows(studio, &drawn)?)?;
            progress(chunk[chunk.len() - 1] + 1, studio.story.rows.len())?;
        }
        bytes += table.close()?;
    }
    Ok(bytes)
}

/// The tables beside a night's submissions.
fn around(studio: &Studio, ledger: &Ledger, folder: &Path, night: Range<usize>) -> Result<()> {
    let mut truth = Table::create(&folder.join("truth.parquet"), tables::truth_columns(studio))?;
    for start in night.clone().step_by(4096) {
        let which = start..(start + 4096).min(night.end);
        truth.append(&tables::truth_rows(studio, ledger, night.start, which)?)?;
    }
    truth.close()?;
    let is_second = |k: usize| ledger.duplicate_of(studio, k).is_some();
    answers::write(studio.story, studio.plan.seed, &studio.plan.replies, folder, night, &is_second)?;
    if studio.story.workers.iter().any(|w| w.enrolled) {
        let mut workers = Table::create(&folder.join("workers.parquet"), tables::workers_schema())?;
        for start in (0..studio.story.workers.len()).step_by(256) {
            let which = start..(start + 256).min(studio.story.workers.len());
            workers.append(&tables::workers_rows(studio, which)?)?;
        }
        workers.close()?;
    }
    Ok(())
}

/// A folder that gets its name only when it is whole, and vanishes otherwise.
struct Partial {
    path: PathBuf,
    out: PathBuf,
}

impl Partial {
    fn begin(out: &Path) -> Result<Self> {
        if out.exists() && fs::read_dir(out).map_err(Error::io("list", out))?.next().is_some() {
            let problem = format!("{} is there and not empty", out.display());
            return Err(Error::usage("--out", problem, "name a new folder, or remove that one"));
        }
        let name = out.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let path = out.with_file_name(format!(".{name}.partial-{}", std::process::id()));
        let above = parent(out);
        fs::create_dir_all(above).map_err(Error::io("create", above))?;
        // Not one that is there: somebody else made it, and it may lead elsewhere.
        fs::create_dir(&path).map_err(Error::io("create", &path))?;
        Ok(Partial { path, out: out.to_path_buf() })
    }

    fn finish(self) -> Result<()> {
        if self.out.exists() {
            fs::remove_dir(&self.out).map_err(Error::io("replace", &self.out))?;
        }
        fs::rename(&self.path, &self.out).map_err(Error::io("rename", &self.path))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Nothing is left to report to; after `finish` the folder has another name and this does nothing.
        let _ = fs::remove_dir_all(&self.path);
    }
}
