//! What ends a run. A bad row never does: it becomes a [`crate::reason::Reject`] and a row of the verdict table.
//!
//! Every variant carries what a person needs to act: which file, flag or device, what was expected, what was found
//! and what to do. The exit code follows from the variant alone (see [`crate::exit`]).

use std::path::{Path, PathBuf};

/// The result of anything that can end a run.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A reason to end the run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that cannot be meant.
    #[error("{flag}: {problem}\n  {fix}")]
    Usage {
        /// The flag or argument, as typed.
        flag: String,
        /// What is wrong with it.
        problem: String,
        /// What to type instead.
        fix: String,
    },
    /// A file that was to be read does not hold what it must.
    #[error("{}: {item}\n  expected: {expected}\n  found:    {found}\n  {fix}", path.display())]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// The part of it: a column, a row, the header.
        item: String,
        /// What had to be there.
        expected: String,
        /// What was there.
        found: String,
        /// What to do.
        fix: String,
    },
    /// The device asked for is not there, or not built in.
    #[error("--device {asked}: {found}\n  {fix}")]
    Device {
        /// What was asked for.
        asked: String,
        /// What was found instead.
        found: String,
        /// What to do.
        fix: String,
    },
    /// Somebody else holds what this run needs.
    #[error("{}: {holder}\n  {fix}", path.display())]
    Busy {
        /// The locked file or folder.
        path: PathBuf,
        /// Who holds it, as far as known.
        holder: String,
        /// What to do.
        fix: String,
    },
    /// The operating system refused a read or a write.
    #[error("{}: cannot {operation}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "read", "create", "rename".
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: std::io::Error,
    },
    /// The run was stopped by Ctrl-C or a termination signal.
    #[error("stopped on request; nothing half-written is visible, and the same command goes on from the last batch")]
    Interrupted,
    /// A comparison found a regression it was told to fail on.
    #[error("{0}")]
    Failed(String),
    /// Something that must not happen: a bug in `chehra`.
    #[error("internal error while {doing}: {found}\n  please report this with the command and run.json")]
    Bug {
        /// What the program was doing.
        doing: String,
        /// What it met.
        found: String,
    },
}

impl Error {
    /// An [`Error::Usage`].
    pub fn usage(flag: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Error::Usage { flag: flag.into(), problem: problem.into(), fix: fix.into() }
    }

    /// An [`Error::Input`].
    pub fn input(
        path: impl AsRef<Path>,
        item: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Error::Input {
            path: path.as_ref().to_path_buf(),
            item: item.into(),
            expected: expected.into(),
            found: found.into(),
            fix: fix.into(),
        }
    }

    /// An [`Error::Bug`].
    pub fn bug(doing: impl Into<String>, found: impl std::fmt::Display) -> Self {
        Error::Bug { doing: doing.into(), found: found.to_string() }
    }

    /// Turns an I/O error into an [`Error::Io`]; for `map_err`.
    pub fn io(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { operation, path, source }
    }
}

impl From<candle_core::Error> for Error {
    /// Shapes and weights are checked when a network is loaded, so a tensor error after that is a bug.
    fn from(error: candle_core::Error) -> Self {
        Error::bug("running a network", error)
    }
}
