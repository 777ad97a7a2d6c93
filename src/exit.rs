//! Exit codes: one table, from which the help, the manual pages and a test of the documentation are made.
//!
//! 0 and 1 are everybody's; the others are those of `sysexits.h`, so that a scheduler can tell "never again like this"
//! (64, 65, 69, 70) from "again later" (75).

use crate::Error;
use crate::error::is_permanent;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done. Bad rows are rows, not failures.
    Done = 0,
    /// A comparison that was asked to fail found what it looks for, or a run is whole but for its page.
    Failed = 1,
    /// The command line is wrong.
    Usage = 64,
    /// An input file, store or weights file is unusable, or the system refuses a path for good: rights, a file system
    /// without writing, a name too long.
    Input = 65,
    /// The device asked for is absent or not built in.
    Device = 69,
    /// A bug in `chehra`.
    Bug = 70,
    /// Something passing: a lock, a full disk, a stop request. The same command may work later.
    TryAgain = 75,
}

impl Exit {
    /// All of them, by number.
    pub const ALL: [Exit; 7] =
        [Exit::Done, Exit::Failed, Exit::Usage, Exit::Input, Exit::Device, Exit::Bug, Exit::TryAgain];

    /// What a script should know.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "done; bad rows are rows",
            Exit::Failed => "a check that was asked for failed, or a run is done but for its page",
            Exit::Usage => "wrong usage: a flag, a variable, a value out of range",
            Exit::Input => {
                "an input, a store or a path is unusable (damaged, not there, no rights); there is no run folder"
            }
            Exit::Device => "the device asked for is not available",
            Exit::Bug => "a bug: please report it",
            Exit::TryAgain => "something passing (a lock, a full disk, a stop): try the same command again",
        }
    }

    /// One word, for machines.
    pub fn name(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Failed => "failed",
            Exit::Usage => "usage",
            Exit::Input => "input",
            Exit::Device => "device",
            Exit::Bug => "bug",
            Exit::TryAgain => "try_again",
        }
    }

    /// The table for people, one code a line.
    pub fn table() -> String {
        let row = |exit: &Exit| format!("  {:>2}  {}\n", *exit as u8, exit.meaning());
        Exit::ALL.iter().map(row).collect::<String>().trim_end().to_owned()
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error {
            Error::Usage { .. } => Exit::Usage,
            Error::Input { .. } => Exit::Input,
            Error::Device { .. } => Exit::Device,
            Error::Failed(_) => Exit::Failed,
            Error::Bug { .. } => Exit::Bug,
            Error::Io { source, .. } if is_permanent(source) => Exit::Input,
            Error::Busy { .. } | Error::Io { .. } | Error::Interrupted => Exit::TryAgain,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_code() {
        let code = |error: Error| Exit::from(&error) as u8;
        assert_eq!(code(Error::usage("--x", "y", "z")), 64);
        assert_eq!(code(Error::input("p", "i", "e", "f", "x")), 65);
        assert_eq!(code(Error::Device { asked: "cuda".into(), found: "".into(), fix: "".into() }), 69);
        assert_eq!(code(Error::bug("testing", "nothing")), 70);
        assert_eq!(code(Error::Busy { path: "s".into(), holder: "".into(), fix: "".into() }), 75);
        assert_eq!(code(Error::io("read", "p")(std::io::Error::other("x"))), 75);
        assert_eq!(code(Error::Interrupted), 75);
        assert_eq!(code(Error::Failed("slower".into())), 1);
    }

    /// What stays until a person acts is not "try again", which schedulers do without a word.
    #[test]
    #[cfg(unix)]
    fn what_the_system_refuses_for_good_is_told_from_what_may_pass() {
        use rustix::io::Errno;
        let code = |errno: Errno| Exit::from(&Error::io("open", "p")(errno.into())) as u8;
        let permanent = [
            Errno::ACCESS,
            Errno::PERM,
            Errno::ROFS,
            Errno::NOTDIR,
            Errno::NAMETOOLONG,
            Errno::ISDIR,
            Errno::NOENT,
            Errno::LOOP,
            Errno::XDEV,
            Errno::FBIG,
            Errno::NXIO,
            Errno::MFILE,
        ];
        assert!(permanent.iter().all(|&errno| code(errno) == 65), "{permanent:?}");
        let passing = [
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::IO,
            Errno::AGAIN,
            Errno::NOMEM,
            Errno::NFILE,
            Errno::STALE,
            Errno::TIMEDOUT,
        ];
        assert!(passing.iter().all(|&errno| code(errno) == 75), "{passing:?}");
    }

    #[test]
    fn the_table_has_every_code_once_and_in_order() {
        let numbers: Vec<u8> = Exit::ALL.iter().map(|&exit| exit as u8).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert_eq!(Exit::table().lines().count(), Exit::ALL.len());
    }
}
