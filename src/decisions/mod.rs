//! What people decided about pairs and rows: a log that only grows, and what follows from it.
//!
//! | part | |
//! |---|---|
//! | `about` | what a decision is about, and why it was asked |
//! | `entry` | one decision or undo, as a line of JSON with its checksum |
//! | `row` | decisions about rows, and appeals |
//! | `people` | who has which part of the work, and whose answers are set apart |
//! | `log` | the file, kept by [`crate::journal`] |
//! | `ledger` | the entries together: who thinks what of a pair or row now, and what that comes to |
//!
//! It stands before [`crate::matching`], which takes pairs apart that people told apart, and before [`crate::verdict`],
//! which takes reasons away that people overturned. Who is asked about which pair, and
//! how well people answer, is the business of [`crate::review`].

mod about;
mod entry;
mod ledger;
mod log;
mod people;
mod row;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::dump::{FilePrint, regular};
use crate::journal;
use crate::{Error, Result};

pub use about::{PairKey, RowKey, Side, Why, row_key};
pub use entry::{Answer, Entry, Event, Judgement, NotMember, VERSION};
pub use ledger::{Appealed, Filed, Ledger, Settled, SettledRow};
pub use log::Log;
pub use people::{Assignment, KnownAnswers, Look};
pub use row::{Appeal, Question, RowAnswer, RowJudgement, covers};

/// The decisions of one file or several, as an audit takes them.
#[derive(Debug, Default)]
pub struct Decisions {
    /// The files, as they were when they were read.
    pub files: Vec<FilePrint>,
    /// Lines that were begun and never finished.
    pub torn: usize,
    ledger: Ledger,
}

impl Decisions {
    /// Reads logs; of a folder every `*.jsonl` in it. A line that stands in two files counts once.
    ///
    /// # Errors
    /// [`Error::Input`] when a file cannot be read or a line before its last is damaged.
    pub fn read(paths: &[PathBuf]) -> Result<Self> {
        let mut decisions = Decisions::default();
        let mut entries = Vec::new();
        for path in files(paths)? {
            regular(&path)?;
            let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
            let (found, whole) = journal::parse::<Ledger>(&path, &bytes, 1)?;
            if whole < bytes.len() {
                decisions.torn += 1;
                ::log::warn!("{}: the last line was never finished and does not count (byte {whole})", path.display());
            }
            entries.extend(found);
            let sha256 = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
            decisions.files.push(FilePrint { path, size: bytes.len() as u64, sha256 });
        }
        if decisions.files.len() > 1 {
            // Each file keeps its own order; between files the clock decides.
            entries.sort_by(|x, y| x.at.cmp(&y.at));
        }
        entries.into_iter().for_each(|entry| decisions.ledger.add(entry));
        Ok(decisions)
    }

    /// All entries, and what follows from them.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What was decided about two memberships; `None` where nothing stands.
    pub fn of(&self, a: &Side, b: &Side) -> Option<Answer> {
        self.ledger.settled(&PairKey::new(a, b)).map(|settled| settled.answer)
    }

    /// Every pair about which something stands.
    pub fn settled(&self) -> impl Iterator<Item = (&PairKey, Settled)> {
        self.ledger.pairs().iter().filter_map(|pair| Some((pair, self.ledger.settled(pair)?)))
    }
}

/// The files meant, sorted by path within a folder.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => files.extend(folder(path)?),
            false => files.push(path.clone()),
        }
    }
    files.dedup();
    Ok(files)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Error::io("list", path))? {
        let file = entry.map_err(Error::io("list", path))?.path();
        if file.extension().is_some_and(|e| e == "jsonl") {
            found.push(file);
        }
    }
    found.sort();
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::input(
            path,
            "decisions",
            "*.jsonl files as the review desk writes them",
            "none in this folder",
            "name the log of a review, such as RUN.decisions.jsonl",
        )),
    }
}
