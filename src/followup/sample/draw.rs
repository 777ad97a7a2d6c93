//! The two ways to draw: of all memberships of a night, and of those of a sample who did not answer.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::super::members::{Member, NightMembers};
use super::callers::write_callers;
use super::folder::{finish, write};
use super::job::{SampleJob, SampleSummary};
use super::list::{drawn, drawn_again};
use super::record::{FrameRow, ListRow, Sample, SampleRecord, SecondRecord, VERSION, frame_hash, hex, list_hash};
use super::strata::stratify;
use crate::dump::facts::folded;
use crate::output::{self, Kept};
use crate::{Error, Result};

/// Draws a sample and writes its folder.
///
/// # Errors
/// [`Error::Usage`] and [`Error::Input`] before anything is written: a run or its dump that cannot be read, a folder that is
/// there. [`Error::Io`].
pub fn draw(job: &SampleJob) -> Result<SampleSummary> {
    let kept: Vec<Kept> = job.runs.iter().map(|run| Kept::whole("a run folder", run)).collect();
    output::check("--out", &job.out, &kept)?;
    refuse_existing(&job.out)?;
    let nights: Vec<NightMembers> =
        job.runs.iter().map(|run| NightMembers::read(run, &job.dumps, &job.columns)).collect::<Result<_>>()?;
    let mut checked: HashSet<(String, String)> = HashSet::new();
    for earlier in &job.earlier {
        let sample = Sample::read(earlier)?;
        let called: HashSet<&str> = sample.list.iter().map(|row| row.submission_id.as_str()).collect();
        for row in sample.frame.iter().filter(|row| called.contains(row.submission_id.as_str())) {
            let district = &sample.record.strata[row.stratum].district;
            checked.extend(row.booth_id.as_deref().map(|booth| (folded(district), folded(booth))));
        }
    }
    let seed = match &job.seed {
        Some(seed) => seed.clone(),
        None => fresh_seed()?,
    };
    let (strata, frame) = stratify(&nights, &checked, job)?;
    let list = drawn(&strata, &frame, &seed);
    let rows: u64 = nights.iter().map(|night| night.rows).sum();
    let record = SampleRecord {
        version: VERSION,
        seed,
        drawn_at: job.now,
        runs: nights.iter().map(|night| night.run_id.clone()).collect(),
        promised: nights.iter().map(|night| night.promised).collect(),
        left_out: rows - frame.len() as u64,
        frame_sha256: frame_hash(&frame),
        list_sha256: list_hash(&list),
        strata,
        second: None,
    };
    let people: HashMap<&str, &Member> =
        nights.iter().flat_map(|night| &night.members).map(|m| (m.submission_id.as_str(), m)).collect();
    write(&job.out, &record, &frame, &list)?;
    write_callers(&job.out, &list, &people, "call", job.language)?;
    let unchecked = |row: &&ListRow| !record.strata[row.stratum].booth_checked;
    finish(&job.out, &record)?;
    Ok(SampleSummary {
        sample: job.out.clone(),
        seed: record.seed.clone(),
        list_sha256: record.list_sha256.clone(),
        members: frame.len() as u64,
        calls: list.len() as u64,
        unchecked_booths: list.iter().filter(unchecked).count() as u64,
        strata: record.strata.len(),
        strata_without_call: record.strata.iter().filter(|stratum| stratum.calls == 0).count(),
    })
}

/// Draws a second sample of `silent` members of a sample.
///
/// # Errors
/// As [`draw`].
pub fn draw_again(
    first: &Sample,
    silent: &HashSet<String>,
    probability: f64,
    job: &SampleJob,
) -> Result<SampleSummary> {
    output::check("--out", &job.out, &[Kept::whole("the sample", &first.path)])?;
    refuse_existing(&job.out)?;
    let on_list: HashSet<&str> = first.list.iter().map(|row| row.submission_id.as_str()).collect();
    let is_silent =
        |row: &&FrameRow| on_list.contains(row.submission_id.as_str()) && silent.contains(&row.submission_id);
    let frame: Vec<FrameRow> = first.frame.iter().filter(is_silent).cloned().collect();
    let seed = match &job.seed {
        Some(seed) => seed.clone(),
        None => fresh_seed()?,
    };
    let list = drawn_again(&frame, &seed, probability);
    let mut strata = first.record.strata.clone();
    for (number, stratum) in strata.iter_mut().enumerate() {
        stratum.members = frame.iter().filter(|row| row.stratum == number).count() as u64;
        stratum.calls = list.iter().filter(|row| row.stratum == number).count() as u64;
    }
    let record = SampleRecord {
        version: VERSION,
        seed,
        drawn_at: job.now,
        runs: first.record.runs.clone(),
        promised: first.record.promised.clone(),
        left_out: 0,
        frame_sha256: frame_hash(&frame),
        list_sha256: list_hash(&list),
        strata,
        second: Some(SecondRecord { list_sha256: first.record.list_sha256.clone(), probability }),
    };
    let nights: Vec<NightMembers> =
        job.runs.iter().map(|run| NightMembers::read(run, &job.dumps, &job.columns)).collect::<Result<_>>()?;
    let people: HashMap<&str, &Member> =
        nights.iter().flat_map(|night| &night.members).map(|m| (m.submission_id.as_str(), m)).collect();
    write(&job.out, &record, &frame, &list)?;
    write_callers(&job.out, &list, &people, "visit", job.language)?;
    finish(&job.out, &record)?;
    Ok(SampleSummary {
        sample: job.out.clone(),
        seed: record.seed.clone(),
        list_sha256: record.list_sha256.clone(),
        members: frame.len() as u64,
        calls: list.len() as u64,
        unchecked_booths: 0,
        strata: record.strata.iter().filter(|stratum| stratum.members > 0).count(),
        strata_without_call: 0,
    })
}

fn refuse_existing(out: &Path) -> Result<()> {
    match std::fs::symlink_metadata(out) {
        Err(_) => Ok(()),
        Ok(_) => {
            let fix = "a sample is drawn once, before the answers are known; name another --out for another night";
            Err(Error::input(out, "--out", "no folder of this name yet", "one that is there", fix))
        }
    }
}

/// A seed of 20 hexadecimal digits from the system.
fn fresh_seed() -> Result<String> {
    let mut bytes = [0u8; 10];
    getrandom::fill(&mut bytes).map_err(|e| Error::bug("drawing a seed", e))?;
    Ok(hex(&bytes))
}
