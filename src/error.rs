//! What ends a run. A bad row never does: it becomes a [`crate::reason::Reject`] and a row of the verdict table.
//!
//! Every variant carries what a person needs to act: which file, flag or device, what was expected, what was found
//! and what to do. The exit code follows from the variant alone (see [`crate::exit`]).

use std::cell::Cell;
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
    /// The operating system refused a read or a write. [`is_permanent`] tells whether trying again can help.
    #[error("{}: cannot {operation}: {source}{}", path.display(), remedy_line(source))]
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

    /// What a library's reader of `path` failed with: [`Error::Io`] where the system refused, which says nothing about the
    /// file, else what `damage` makes of the reader's words.
    pub fn of_reader(
        path: impl AsRef<Path>,
        error: &(dyn std::error::Error + 'static),
        damage: impl FnOnce(String) -> Self,
    ) -> Self {
        match system_error(error) {
            Some(refused) => Error::io("read", path)(refused),
            None => damage(error.to_string()),
        }
    }

    /// A file that could not be opened or read: [`Error::Io`] where another try may help or the system is short of
    /// something, else what `unusable` makes of the system's words.
    pub fn of_file(path: impl AsRef<Path>, error: std::io::Error, unusable: impl FnOnce(String) -> Self) -> Self {
        match is_permanent(&error) && shortage(&error).is_none() && StoreRefusal::behind(&error).is_none() {
            true => unusable(error.to_string()),
            false => Error::io("read", path)(error),
        }
    }
}

/// What an object store says instead of an answer; an [`std::io::Error`] carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreRefusal {
    /// There is no such object, bucket or folder.
    NotThere(String),
    /// The credentials are missing, wrong, or not enough.
    NoRights(String),
    /// Asking again will not help.
    Unusable(String),
    /// The connection or the server failed, as often as it was tried.
    Later(String),
}

/// Before and after what a store says, so that its words are known again where a library keeps words alone.
const STORE_SAYS: &str = "object store: ";
const STORE_KINDS: [&str; 4] = [" [not there]", " [no rights]", " [not like this]", " [may pass]"];

impl StoreRefusal {
    fn parts(&self) -> (&str, usize) {
        match self {
            StoreRefusal::NotThere(says) => (says, 0),
            StoreRefusal::NoRights(says) => (says, 1),
            StoreRefusal::Unusable(says) => (says, 2),
            StoreRefusal::Later(says) => (says, 3),
        }
    }

    /// What a text has of one.
    fn in_text(text: &str) -> Option<StoreRefusal> {
        let (_, says) = text.split_once(STORE_SAYS)?;
        let found = STORE_KINDS.iter().enumerate().filter_map(|(at, kind)| Some((says.find(kind)?, at)));
        let (end, kind) = found.min()?;
        let says = says[..end].to_owned();
        Some([StoreRefusal::NotThere, StoreRefusal::NoRights, StoreRefusal::Unusable, StoreRefusal::Later][kind](says))
    }

    /// What was said by a store, if anything was.
    pub fn behind(error: &std::io::Error) -> Option<StoreRefusal> {
        error.get_ref().and_then(|carried| StoreRefusal::in_text(&carried.to_string()))
    }

    fn remedy(&self) -> &'static str {
        match self {
            StoreRefusal::NotThere(_) => "check the address: the bucket, and every letter of the name",
            StoreRefusal::NoRights(_) => {
                "check the credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION; GOOGLE_... \
                 and AZURE_... for the others), and what they may do there"
            }
            StoreRefusal::Unusable(says) if says.contains("without `cloud`") => {
                "take one that was built with `--features cloud`, or copy the files to this machine and name the copies"
            }
            StoreRefusal::Unusable(_) => "check the address and the variables of the environment that name its server",
            StoreRefusal::Later(_) => {
                "check that its server can be reached from here, then give the same command again"
            }
        }
    }
}

impl std::fmt::Display for StoreRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (says, kind) = self.parts();
        write!(f, "{STORE_SAYS}{says}{}", STORE_KINDS[kind])
    }
}

impl std::error::Error for StoreRefusal {}

impl From<StoreRefusal> for std::io::Error {
    fn from(refusal: StoreRefusal) -> Self {
        use std::io::ErrorKind as K;
        let kind = [K::NotFound, K::PermissionDenied, K::InvalidInput, K::ConnectionAborted][refusal.parts().1];
        std::io::Error::new(kind, refusal)
    }
}

/// The error of the operating system, or of an object store, behind a library's error, if there is one.
pub fn system_error(error: &(dyn std::error::Error + 'static)) -> Option<std::io::Error> {
    if let Some(refusal) = StoreRefusal::in_text(&error.to_string()) {
        return Some(refusal.into());
    }
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<std::io::Error>();
        if let Some(code) = io.and_then(std::io::Error::raw_os_error) {
            return Some(std::io::Error::from_raw_os_error(code));
        }
        // An error that `std::io::Error` carries is not among its sources, only those behind it.
        next = match io.and_then(std::io::Error::get_ref) {
            Some(carried) => Some(carried),
            None => error.source(),
        };
        if next.is_none() {
            // Arrow keeps the words alone.
            let text = error.to_string();
            let code = text.rsplit_once("(os error ").and_then(|(_, rest)| rest.split_once(')'));
            return code.and_then(|(code, _)| code.parse().ok()).map(std::io::Error::from_raw_os_error);
        }
    }
    None
}

/// Whether the same command will meet the same refusal again until a person has done something: rights, paths, names,
/// a file system without writing, a limit of this process. A full disk, a lost connection or a failing read may pass.
pub fn is_permanent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    let behind = system_error(error);
    let error = behind.as_ref().unwrap_or(error);
    let by_kind = matches!(
        error.kind(),
        K::NotFound
            | K::PermissionDenied
            | K::ReadOnlyFilesystem
            | K::NotADirectory
            | K::IsADirectory
            | K::DirectoryNotEmpty
            | K::AlreadyExists
            | K::InvalidFilename
            | K::InvalidInput
            | K::Unsupported
            | K::CrossesDevices
            | K::FileTooLarge
            | K::TooManyLinks
            | K::NotSeekable
            | K::UnexpectedEof
            | K::InvalidData
    );
    by_kind || shortage(error) == Some(Shortage::Process) || loops_or_has_no_device(error)
}

/// Too few file handles, of the process or of the whole system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shortage {
    Process,
    System,
}

#[cfg(unix)]
fn shortage(error: &std::io::Error) -> Option<Shortage> {
    use rustix::io::Errno;
    match Errno::from_io_error(error)? {
        Errno::MFILE => Some(Shortage::Process),
        Errno::NFILE => Some(Shortage::System),
        _ => None,
    }
}

#[cfg(unix)]
fn loops_or_has_no_device(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(error).is_some_and(|code| [Errno::LOOP, Errno::NXIO, Errno::NODEV].contains(&code))
}

#[cfg(not(unix))]
fn shortage(_: &std::io::Error) -> Option<Shortage> {
    None
}

#[cfg(not(unix))]
fn loops_or_has_no_device(_: &std::io::Error) -> bool {
    false
}

/// What to do about a refusal of the operating system, where that is known.
pub fn remedy(error: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind as K;
    let error = &system_error(error)?;
    if let Some(refusal) = StoreRefusal::behind(error) {
        return Some(refusal.remedy());
    }
    match (shortage(error), error.kind()) {
        (Some(Shortage::Process), _) => Some(
            "the file is not to blame: this process may open too few files; raise the limit (`ulimit -n`, LimitNOFILE= \
             in a unit)",
        ),
        (Some(Shortage::System), _) => {
            Some("the file is not to blame: all programs of this machine together have too many files open; try again")
        }
        (_, K::StorageFull | K::QuotaExceeded) => Some("free some space there, then give the same command again"),
        (_, K::PermissionDenied) => Some("check whose it is, and what the user of this process may do there"),
        (_, K::ReadOnlyFilesystem) => Some("nothing can be written there: name another place, or mount it for writing"),
        (_, K::NotFound) => Some("check the path: the file, or a folder on the way to it, is not there"),
        (_, K::NotADirectory) => Some("check the path: a part of it is a file and no folder"),
        (_, K::IsADirectory) => Some("a folder stands there: name a file"),
        (_, K::InvalidFilename) => Some("name it shorter, and with letters that its file system allows"),
        (_, K::FileTooLarge) => Some("its file system, or a limit of this process, allows no file so large"),
        _ => None,
    }
}

/// The remedy on a line of its own, or nothing.
fn remedy_line(error: &std::io::Error) -> String {
    remedy(error).map_or_else(String::new, |fix| format!("\n  {fix}"))
}

impl From<candle_core::Error> for Error {
    /// Shapes and weights are checked when a network is loaded, so a tensor error after that is a bug.
    fn from(error: candle_core::Error) -> Self {
        Error::bug("running a network", error)
    }
}

thread_local! {
    static GUARDED: Cell<usize> = const { Cell::new(0) };
}

/// Runs a reader of others' files over bytes that nobody vouches for; `None` where it panicked. Whoever asks says what that
/// means, so the panic itself is not reported.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    GUARDED.set(GUARDED.get() + 1);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    GUARDED.set(GUARDED.get() - 1);
    done.ok()
}

/// Whether a panic of this thread is one that [`guarded`] answers for.
pub fn is_guarded() -> bool {
    GUARDED.get() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_object_store_says_is_found_behind_the_words_of_libraries() {
        let refused = || std::io::Error::from(StoreRefusal::NoRights("the server answers 403".into()));
        assert!(is_permanent(&refused()));
        let parquet = parquet::errors::ParquetError::External(Box::new(refused()));
        assert_eq!(system_error(&parquet).map(|error| error.kind()), Some(std::io::ErrorKind::PermissionDenied));
        let arrow = arrow::error::ArrowError::ParquetError(parquet.to_string());
        assert_eq!(StoreRefusal::behind(&system_error(&arrow).unwrap()), StoreRefusal::behind(&refused()));
        let later =
            Error::of_reader("s3://b/x", &std::io::Error::from(StoreRefusal::Later("cut".into())), |_| unreachable!());
        assert!(matches!(&later, Error::Io { source, .. } if !is_permanent(source)));
        assert!(later.to_string().contains("can be reached from here"), "{later}");
    }

    #[test]
    #[cfg(unix)]
    fn the_systems_error_is_found_behind_those_of_libraries() {
        let full = || std::io::Error::from_raw_os_error(28);
        let parquet = parquet::errors::ParquetError::External(Box::new(full()));
        let wrapped = std::io::Error::other(parquet);
        assert_eq!(system_error(&wrapped).and_then(|e| e.raw_os_error()), Some(28));
        let arrow = arrow::error::ArrowError::ParquetError("External: Too many open files (os error 24)".into());
        assert_eq!(system_error(&arrow).and_then(|e| e.raw_os_error()), Some(24));
        assert!(system_error(&std::io::Error::other("no number")).is_none());
        assert!(!is_permanent(&wrapped) && is_permanent(&std::io::Error::from_raw_os_error(24)));
        let damage = |text: String| Error::input("f", "file", "whole", text, "restore it");
        let error = Error::of_reader("f", &arrow, damage);
        assert!(matches!(error, Error::Io { .. }));
        let text = error.to_string();
        assert!(text.contains("ulimit -n") && !text.contains("restore"), "{text}");
    }
}
