//! Exit codes: 0 done, 1 a check that was asked for failed, and the `sysexits` numbers below.

use crate::Error;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done. Bad rows are rows, not failures.
    Done = 0,
    /// A comparison that was asked to fail found what it looks for.
    Failed = 1,
    /// The command line is wrong.
    Usage = 64,
    /// An input file, store or weights file is unusable.
    Input = 65,
    /// The device asked for is absent or not built in.
    Device = 69,
    /// A bug in `chehra`.
    Bug = 70,
    /// Something passing: a lock, a full disk, a stop request. The same command may work later.
    TryAgain = 75,
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error {
            Error::Usage { .. } => Exit::Usage,
            Error::Input { .. } => Exit::Input,
            Error::Device { .. } => Exit::Device,
            Error::Failed(_) => Exit::Failed,
            Error::Bug { .. } => Exit::Bug,
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
}
