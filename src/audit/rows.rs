//! Where the rows of an audit come from: the dump, or what was seen in it elsewhere.

use std::path::Path;

use crate::dump::{Dump, FilePrint};
use crate::seen::SeenFolder;
use crate::{Error, Result};

/// The rows of a night.
#[derive(Debug)]
pub enum Rows {
    /// To be seen by this audit.
    Dump(Dump),
    /// Seen already. With the dump there are also its pictures, for the page, and its other columns.
    Seen(SeenFolder, Option<Dump>),
}

impl Rows {
    /// Of what is there: with both, of what was seen.
    ///
    /// # Errors
    /// [`Error::Usage`] for neither.
    pub fn new(dump: Option<Dump>, seen: Option<SeenFolder>) -> Result<Rows> {
        match (dump, seen) {
            (dump, Some(seen)) => Ok(Rows::Seen(seen, dump)),
            (Some(dump), None) => Ok(Rows::Dump(dump)),
            (None, None) => Err(Error::usage("DUMP", "no input was given", "name a dump, or --seen")),
        }
    }

    /// The dump, where it is there.
    pub fn dump(&self) -> Option<&Dump> {
        match self {
            Rows::Dump(dump) => Some(dump),
            Rows::Seen(_, dump) => dump.as_ref(),
        }
    }

    /// Rows of the whole dump.
    pub fn total(&self) -> u64 {
        match self {
            Rows::Dump(dump) => dump.total_rows(),
            Rows::Seen(seen, _) => seen.total_rows(),
        }
    }

    /// In how many of what kind of files they lie, for people.
    pub fn places(&self) -> String {
        match self {
            Rows::Dump(dump) => format!("{} files", dump.files().len()),
            Rows::Seen(seen, _) => format!("{} parts of {}", seen.parts(), seen.path().display()),
        }
    }

    /// The folder of what was seen.
    pub fn seen(&self) -> Option<&Path> {
        match self {
            Rows::Dump(_) => None,
            Rows::Seen(seen, _) => Some(seen.path()),
        }
    }

    /// Whether any file has the column that goes by this name in `chehra`.
    pub fn has_column(&self, name: &str) -> bool {
        match self {
            Rows::Dump(dump) => dump.has_column(name),
            Rows::Seen(seen, _) => seen.has_column(name),
        }
    }

    /// The files of the dump with their hashes, in row order.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read; [`Error::Input`] when the dump is not the one that was seen.
    pub fn prints(&self) -> Result<Vec<FilePrint>> {
        let (seen, dump) = match self {
            Rows::Dump(dump) => return dump.fingerprint(),
            Rows::Seen(seen, None) => return Ok(seen.prints().to_vec()),
            Rows::Seen(seen, Some(dump)) => (seen, dump),
        };
        let prints = dump.fingerprint()?;
        let fix = "name the dump that was seen, or leave it out";
        if prints.len() != seen.prints().len() {
            let (expected, found) = (format!("{} files", seen.prints().len()), format!("{} files", prints.len()));
            return Err(Error::input(seen.path(), "the dump that was seen", expected, found, fix));
        }
        for (now, then) in prints.iter().zip(seen.prints()) {
            if now.sha256 != then.sha256 {
                let (item, expected) = ("the file that was seen", format!("SHA-256 {}", then.sha256));
                return Err(Error::input(&now.path, item, expected, now.sha256.clone(), fix));
            }
        }
        Ok(prints)
    }
}
