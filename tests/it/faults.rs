//! What may not be touched, what stops no night, and which code says what: the real binary on paths and files that nobody
//! should give it.

mod hostile;
mod outputs;
mod system;

use std::path::Path;
use std::process::Command;

use crate::util::{chehra, fixture, run};

/// An audit of the second sample night.
fn audit(out: &Path) -> Command {
    let mut command = chehra();
    command.args(["audit", "-q", "--out"]).arg(out).arg(fixture("night2"));
    command
}

/// Runs a command that must be refused with this code, naming each of these words.
fn refused(command: &mut Command, expected: i32, words: &[&str]) -> String {
    let (code, _, stderr) = run(command);
    assert_eq!(code, expected, "{command:?}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{command:?}: '{word}' is not in: {stderr}");
    }
    stderr
}
