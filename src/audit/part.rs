//! The first stage by itself: a share of a dump, seen and written as a part of a SEEN folder.
//!
//! A part is whole or not there. What was seen so far is spooled as in an audit, so the same command goes on after a stop.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::see::{Watch, WorkerPhotos, see_dump};
use crate::config::Columns;
use crate::dump::{Dump, FilePrint};
use crate::gallery::Spool;
use crate::infer::Engine;
use crate::lock::FileLock;
use crate::objects::{self, kept_place};
use crate::output::{self, create_private_folder};
use crate::report::Progress;
use crate::seen::{Contract, DumpFileRow, Origin, origin_of, write_dump, write_rows};
use crate::{Error, Result};

/// Most parts of a dump: more machines than anybody has.
const MAX_PARTS: u64 = 99_999;

/// Which share of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    number: u64,
    /// Parts of the whole dump.
    of: u64,
}

impl Part {
    /// All of it.
    pub const WHOLE: Part = Part { number: 1, of: 1 };

    /// The rows of a dump of so many that are its share: parts differ by one row at most.
    pub fn rows(self, total: u64) -> Range<u64> {
        let border = |part: u64| (u128::from(total) * u128::from(part) / u128::from(self.of)) as u64;
        border(self.number - 1)..border(self.number)
    }

    fn has_file(self, file: usize) -> bool {
        file as u64 % self.of == self.number - 1
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Part, String> {
        let wrong = || format!("`{text}` is no part: write 3/10 for the third of ten, at most {MAX_PARTS}");
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let part = Part { number: number.parse().map_err(|_| wrong())?, of: of.parse().map_err(|_| wrong())? };
        if (1..=part.of).contains(&part.number) && part.of <= MAX_PARTS { Ok(part) } else { Err(wrong()) }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// What to see, and where to put it.
#[derive(Debug, Clone)]
pub struct SeeJob {
    /// Parquet files, folders or globs.
    pub inputs: Vec<PathBuf>,
    /// What the dump's columns are called.
    pub columns: Columns,
    /// The SEEN folder, which may have other parts already.
    pub out: PathBuf,
    /// Which share.
    pub part: Part,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartSeen {
    /// The table of rows.
    pub table: PathBuf,
    /// The share, as it was asked for.
    pub part: String,
    /// Rows of the part.
    pub rows: u64,
    /// Position of the first one in the dump.
    pub first_row: u64,
    /// Rows of the whole dump.
    pub rows_of_dump: u64,
    /// Rows whose selfie could not be read.
    pub unreadable: u64,
    /// Rows that came from an earlier attempt; all of them where the part was there already.
    pub rows_resumed: u64,
}

impl fmt::Display for PartSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PartSeen { part, rows, rows_of_dump, unreadable, .. } = self;
        write!(f, "part {part}: {rows} of {rows_of_dump} selfies, {unreadable} unreadable\n{}", self.table.display())
    }
}

/// Sees a share of a dump and adds the part to the folder.
///
/// # Errors
/// Before any work: an unusable dump, a part that was made otherwise, another process that makes it. Later only
/// [`Error::Io`], [`Error::Interrupted`] and bugs.
pub fn see_part(job: &SeeJob, engine: &Engine, progress: Progress, stop: &AtomicBool) -> Result<PartSeen> {
    let dump = Dump::open(&job.inputs, &job.columns)?;
    output::check("--out", &job.out, &dump.kept())?;
    objects::check("--out", &job.out)?;
    let is_address = objects::is_address(&job.out);
    if !is_address && job.out.exists() && !job.out.is_dir() {
        let fix = "name a folder: it may have other parts of the same dump";
        return Err(Error::input(&job.out, "--out", "a folder, or nothing", "a file", fix));
    }
    let mut files = DumpFileRow::of(&dump)?;
    let origin = Origin {
        contract: Contract::of(engine)?,
        picture_memory: i64::try_from(engine.policy().photo.max_memory).unwrap_or(i64::MAX),
        dump: files.first().map(|file| file.dump.clone()).unwrap_or_default(),
    };
    let place = Place::of(&job.out, job.part);
    if is_address {
        progress.say(&format!("what is unfinished lies in {}", place.unfinished.display()));
    } else {
        create_private_folder(&job.out)?;
    }
    create_private_folder(&place.unfinished)?;
    let (held, fix) = ("another chehra process is making this part", "wait for it to end, or make another part");
    let _lock = FileLock::take(&place.unfinished.join("lock"), held, fix)?;

    let range = job.part.rows(dump.total_rows());
    let mut done = PartSeen {
        table: place.rows.clone(),
        part: job.part.to_string(),
        rows: range.end - range.start,
        first_row: range.start,
        rows_of_dump: dump.total_rows(),
        unreadable: 0,
        rows_resumed: 0,
    };
    if objects::is_file(&place.rows).map_err(Error::io("look for", &place.rows))? {
        place.expect(&origin)?;
        place.clear()?;
        progress.say(&format!("{}: done already", place.rows.display()));
        return Ok(PartSeen { rows_resumed: done.rows, ..done });
    }
    progress.say(&format!("part {}: {} of {} selfies", job.part, done.rows, done.rows_of_dump));
    for (at, path) in dump.files().enumerate().filter(|(at, _)| job.part.has_file(*at)) {
        files[at].sha256 = Some(FilePrint::of(path)?.sha256);
    }
    write_dump(&place.dump, &files)?;

    let nobody = HashSet::new();
    let key = key(&origin, job.part, &files)?;
    let mut spool = Spool::open(&place.unfinished.join("spool"), &key, None, &nobody)?;
    let watch = Watch { progress, metrics: None, stop };
    let seen = see_dump(&dump, range, WorkerPhotos::default(), engine, &mut spool, watch)?;
    write_rows(&place.rows, &origin, &seen.analyses)?;
    place.clear()?;
    done.unreadable = seen.analyses.iter().filter(|analysis| analysis.selfie.is_err()).count() as u64;
    done.rows_resumed = seen.resumed;
    Ok(done)
}

/// Names the work: what an earlier attempt spooled is of use for the same share, seen in the same way.
fn key(origin: &Origin, part: Part, files: &[DumpFileRow]) -> Result<String> {
    let work = (&origin.contract, origin.picture_memory, part.to_string(), files);
    let bytes = serde_json::to_vec(&work).map_err(|e| Error::bug("naming a part", e))?;
    Ok(Sha256::digest(bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect())
}

/// Where the files of a part are.
struct Place {
    rows: PathBuf,
    dump: PathBuf,
    unfinished: PathBuf,
}

impl Place {
    fn of(out: &Path, part: Part) -> Place {
        let name = format!("{:05}-of-{:05}", part.number, part.of);
        // What is unfinished is locked, appended to and flushed: on this machine, wherever the part goes.
        let here = if objects::is_address(out) { kept_place(out) } else { out.to_path_buf() };
        Place {
            rows: out.join(format!("rows-{name}.parquet")),
            dump: out.join(format!("dump-{name}.parquet")),
            unfinished: here.join(format!(".part-{name}")),
        }
    }

    /// A part that is there must be the one that was asked for.
    fn expect(&self, origin: &Origin) -> Result<()> {
        let found = match origin_of(&self.rows)? {
            // A part without rows says nothing of itself.
            None => return Ok(()),
            Some(found) if found == *origin => return Ok(()),
            Some(found) if found.dump != origin.dump => "a part of another dump",
            Some(_) => "a part that was seen with another program, networks, precision or limits",
        };
        let (expected, fix) = ("no such part yet, or this one", "name another --out, or remove the part");
        Err(Error::input(&self.rows, "the part", expected, found, fix))
    }

    fn clear(&self) -> Result<()> {
        fs::remove_dir_all(&self.unfinished).map_err(Error::io("remove", &self.unfinished))?;
        if objects::is_address(&self.rows) {
            // Other parts may be unfinished there.
            drop(self.unfinished.parent().map(fs::remove_dir));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole_and_differ_by_a_row() {
        for (total, of) in [(0, 3), (1, 4), (10, 3), (500_000, 7)] {
            let parts: Vec<Range<u64>> = (1..=of).map(|number| Part { number, of }.rows(total)).collect();
            assert_eq!((parts[0].start, parts[parts.len() - 1].end), (0, total));
            assert!(parts.windows(2).all(|two| two[0].end == two[1].start));
            let sizes: Vec<u64> = parts.iter().map(|part| part.end - part.start).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
    }

    #[test]
    fn a_part_is_typed_as_a_fraction() {
        assert_eq!("3/10".parse::<Part>().unwrap().to_string(), "3/10");
        assert_eq!("1/1".parse(), Ok(Part::WHOLE));
        for wrong in ["0/3", "4/3", "3", "a/b", "1/0", "1/100000", "-1/3", ""] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }
}
