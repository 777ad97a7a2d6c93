//! `chehra dedup` on anything, `search`, `compare` and `inspect` as they are typed: answers on good, empty and broken
//! input, exit codes, and messages that say what to do.

mod dedup;
mod photos;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::util::{Place, chehra, fixture, run};

/// Two audited nights: `store`, `one` and `two` (their run folders), `members.parquet` (the store's export).
fn nights() -> &'static Place {
    static NIGHTS: OnceLock<Place> = OnceLock::new();
    NIGHTS.get_or_init(|| {
        let place = Place::new();
        for (night, out) in [("night", "one"), ("night2", "two")] {
            let mut audit = chehra();
            audit.args(["-q", "audit"]).arg(fixture(night)).arg("--store").arg(place.path("store"));
            let (code, _, stderr) = run(audit.arg("--out").arg(place.path(out)));
            assert_eq!(code, 0, "{stderr}");
        }
        let mut export = chehra();
        export.args(["gallery", "export", "--store"]).arg(place.path("store"));
        assert_eq!(run(export.arg("--to").arg(place.path("members.parquet"))).0, 0);
        place
    })
}

/// A command on some paths.
fn command(name: &str, paths: &[&Path]) -> Command {
    let mut command = chehra();
    command.args(["-q", name]).args(paths);
    command
}

fn answer(command: &mut Command) -> Value {
    let (code, stdout, stderr) = run(command.arg("--json"));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// Asserts exit code 0 and that the answer has all the words.
fn says(command: &mut Command, words: &[&str]) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, 0, "{stderr}");
    words.iter().for_each(|word| assert!(stdout.contains(word), "'{word}' is not in: {stdout}"));
    stdout
}

/// Asserts the exit code and that the message has all the words.
fn refused(command: &mut Command, expected: i32, words: &[&str]) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, expected, "{stdout}{stderr}");
    assert!(stdout.is_empty() && !stderr.contains("panicked") && !stderr.contains("internal error"), "{stderr}");
    words.iter().for_each(|word| assert!(stderr.contains(word), "'{word}' is not in: {stderr}"));
    stderr
}

/// Every file below a folder with its bytes.
fn bytes(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            files.extend(bytes(&entry));
        } else {
            files.push((entry.clone(), std::fs::read(&entry).unwrap()));
        }
    }
    files.sort();
    files
}
