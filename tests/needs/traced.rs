//! What the system saw: calls of the real binary, watched and broken by strace.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::durable::files;
use crate::review::client::{Desk, id, items, runs};
use crate::util::{Place, chehra, fixture, run};
use crate::{skip, slow};

fn needs_strace() {
    if Command::new("strace").arg("--version").output().is_err() {
        skip("strace is not installed (Debian: apt-get install strace)");
    }
}

/// An audit of the second sample night.
fn audit(out: &Path) -> Command {
    let mut command = chehra();
    command.args(["audit", "-q", "--out"]).arg(out).arg(fixture("night2"));
    command
}

/// Killed at every rename, unlink and removal of a folder of the last second: the same command ends with 0 and the same
/// tables each time, and leaves nothing.
pub fn a_kill_at_any_step_of_the_commit_costs_nothing() {
    slow();
    needs_strace();
    let place = Place::new();
    let whole = place.path("whole");
    assert_eq!(run(&mut audit(&whole)).0, 0);
    let tables = |folder: &Path| -> BTreeMap<String, Vec<u8>> {
        let files = files(folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "parquet"));
        files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
    };
    let mut killed = 0;
    for force in [false, true] {
        for calls in ["renameat2", "rename", "unlinkat,unlink,rmdir"] {
            for number in [1, 2, 3, 4, 5, 6, 9, 12] {
                let out = place.path("out");
                drop(fs::remove_dir_all(&out));
                drop(fs::remove_dir_all(place.path(".out.partial")));
                if force {
                    assert_eq!(run(&mut audit(&out)).0, 0);
                }
                let plain = audit(&out);
                let mut traced = Command::new("strace");
                traced.args(["-f", "-qq", "-o", "/dev/null"]);
                traced.arg(format!("--trace={calls}")).arg(format!("--inject={calls}:signal=SIGKILL:when={number}"));
                traced.arg(plain.get_program()).args(plain.get_args());
                if force {
                    traced.arg("--force");
                }
                let ended = run(&mut traced);
                if ended.0 == 0 {
                    break;
                }
                if ended.2.contains("ptrace") {
                    skip(format!("strace may not trace here: {}", ended.2));
                }
                killed += 1;
                let mut again = audit(&out);
                if force {
                    again.arg("--force");
                }
                let (code, _, stderr) = run(&mut again);
                assert_eq!(code, 0, "{calls} {number} {force}: {stderr}");
                assert!(tables(&out) == tables(&whole), "{calls} {number} {force}");
                assert_eq!(place.list(), ["out", "whole"], "{calls} {number} {force}");
            }
        }
    }
    assert!(killed > 10, "{killed}");
    eprintln!("{killed} kills");
}

/// The night is done and stays so; but that there is no page must reach somebody.
pub fn a_night_without_its_page_is_whole_and_does_not_end_with_0() {
    needs_strace();
    let place = Place::new();
    let plain = audit(&place.path("out"));
    let mut traced = Command::new("strace");
    // The page is the one file that is written under a hidden name in tables/.
    let page = place.path(".out.partial/tables/.report.html.tmp");
    traced.args(["-f", "-qq", "-o", "/dev/null", "--trace=write", "--inject=write:error=ENOSPC", "-P"]).arg(page);
    traced.arg(plain.get_program()).args(plain.get_args());
    let output = traced.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if stderr.contains("ptrace") {
        skip(format!("strace may not trace here: {stderr}"));
    }
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for word in ["is done", "no report.html", "free some space", "chehra report"] {
        assert!(stderr.contains(word), "{word}: {stderr}");
    }
    let mut names: Vec<String> =
        fs::read_dir(place.path("out")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 9, "all tables and the record, and no half page: {names:?}");
    assert_eq!(place.list(), ["out"]);
    let (code, _, stderr) = run(chehra().arg("report").arg(place.path("out")));
    assert_eq!(code, 0, "{stderr}");
}

pub fn the_system_saw_the_flush_before_the_answer() {
    needs_strace();
    let place = Place::new();
    let trace = place.path("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=write,fsync,fdatasync,sendto,writev,sendmsg", "-s", "64", "-o"]).arg(&trace);
    command.arg(env!("CARGO_BIN_EXE_chehra")).arg("review").arg(runs().join("one"));
    command.arg("--decisions").arg(place.path("d.jsonl")).stdout(Stdio::piped()).stderr(Stdio::null());
    let desk = Desk::spawn(command.spawn().unwrap());
    let item = id(&items(&desk.state("asha"))[0]);
    assert_eq!(desk.decide("asha", &item, "same").status, 200);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let order = loop {
        let text = std::fs::read_to_string(&trace).unwrap_or_default();
        let calls: Vec<&str> = text.lines().collect();
        let find = |test: &dyn Fn(&str) -> bool| calls.iter().position(|call| test(call));
        let wrote = find(&|c| c.contains("write(") && c.contains("d.jsonl") && c.contains("same"));
        let wrote = wrote.or_else(|| find(&|c| c.contains("write(") && c.contains("d.jsonl>")));
        let flushed = calls.iter().rposition(|c| c.contains("fsync(") && c.contains("d.jsonl>"));
        let answered = calls.iter().rposition(|c| c.contains("HTTP/1.1 200"));
        if let (Some(wrote), Some(flushed), Some(answered)) = (wrote, flushed, answered)
            && wrote < flushed
        {
            break (wrote, flushed, answered);
        }
        assert!(std::time::Instant::now() < deadline, "{text}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert!(order.0 < order.1 && order.1 < order.2, "written, flushed, answered: {order:?}");
    // strace passes no signal on when it is killed itself; end what it watches.
    let pids: std::collections::BTreeSet<String> = std::fs::read_to_string(&trace)
        .unwrap()
        .lines()
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect();
    for pid in pids {
        drop(Command::new("kill").args(["-9", &pid]).stderr(Stdio::null()).status());
    }
}
