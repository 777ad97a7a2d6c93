//! What outlives a kill and a power cut, and what no longer lives once it was erased: the real binary, ended, stopped or
//! cut off at every operation that changes a file. `shim.c` is loaded into it and counts them.
//!
//! `just durable` runs all of it at every operation and prints the counts; without `CHEHRA_SLOW` a share of the points.
#![cfg(target_os = "linux")]

pub mod erasure;
pub mod kills;
mod model;
pub mod power;
mod scene;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::skip;

/// The compiled shim.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("durable.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/needs/durable/shim.c");
        let compiler = std::env::var_os("CC").unwrap_or("cc".into());
        let mut command = Command::new(compiler);
        command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        if !command.status().is_ok_and(|status| status.success()) {
            skip("no C compiler ($CC or cc) for tests/needs/durable/shim.c");
        }
        library
    })
}

/// Loads the shim into a command, to watch what it changes below `root`.
fn watched<'a>(command: &'a mut Command, root: &Path) -> &'a mut Command {
    command.env("LD_PRELOAD", shim()).env("DURABLE_ROOT", root).stdout(Stdio::piped()).stderr(Stdio::piped())
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ended {
    Killed,
    Code(i32),
}

/// Runs a command that is killed instead of operation number `at`; gives how it ended, and what it said.
fn killed_at(command: &mut Command, root: &Path, at: usize) -> (Ended, String) {
    let output = watched(command, root).env("DURABLE_KILL_AT", at.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match (output.status.signal(), output.status.code()) {
        (Some(9), _) => (Ended::Killed, said),
        (None, Some(code)) => (Ended::Code(code), said),
        other => panic!("ended by {other:?}: {said}"),
    }
}

/// Kills a command at operations 0, `step`, 2 `step` and so on, each time on a fresh copy of `base` in `root`, and calls
/// `check` after each kill. Gives the number of kills and of operations.
fn kill_everywhere(
    base: &Path,
    root: &Path,
    step: usize,
    command: &dyn Fn() -> Command,
    check: &mut dyn FnMut(usize),
) -> (usize, usize) {
    let mut kills = 0;
    for at in (0..).step_by(step) {
        restore(base, root);
        match killed_at(&mut command(), root, at) {
            (Ended::Killed, _) => {
                kills += 1;
                check(at);
            }
            (Ended::Code(0), _) => return (kills, at),
            (Ended::Code(code), said) => panic!("exit code {code} at operation {at}: {said}"),
        }
    }
    unreachable!("a command has an end")
}

/// Makes `root` a copy of `base`.
fn restore(base: &Path, root: &Path) {
    drop(fs::remove_dir_all(root));
    copy(base, root);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() { copy(&entry, &target) } else { _ = fs::copy(&entry, &target).unwrap() }
    }
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        match path.is_dir() {
            true => open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path())),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// Every `many`-th operation where the slow tests are not asked for.
fn step(many: usize) -> usize {
    if std::env::var_os("CHEHRA_SLOW").is_some() { 1 } else { many }
}
