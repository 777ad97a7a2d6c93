//! What the operating system refuses: for good (65, a person must act), or for now (75, the same command may work later).

use std::fs;
use std::process::Command;

use super::{audit, refused};
use crate::util::{Place, chehra, fixture, run};

#[test]
#[cfg(unix)]
fn what_stays_until_a_person_acts_is_not_try_again() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    std::os::unix::fs::symlink("loop", place.path("loop")).unwrap();
    let long = "x".repeat(300);
    let runs = ["file/run", "loop/run", &long];
    for out in runs {
        refused(&mut audit(&place.path(out)), 65, &["cannot"]);
        let mut store = audit(&place.path("out"));
        refused(store.arg("--store").arg(place.path(out)), 65, &["cannot"]);
    }
    // A file system without writing, and one on which root may not write either.
    if fs::metadata("/proc/version").is_ok() {
        refused(&mut audit("/proc/none/run".as_ref()), 65, &["/proc/none"]);
    }
    let mut page = chehra();
    page.args(["gallery", "stats", "--store"]).arg(place.path("file"));
    refused(&mut page, 65, &["file"]);
    let mut weights = audit(&place.path("out"));
    refused(weights.arg("--weights").arg(place.path("file")), 65, &["file"]);
    assert_eq!(place.list().iter().filter(|name| name.starts_with('.')).count(), 0);
}

#[test]
#[cfg(unix)]
fn too_few_file_handles_are_said_to_be_that() {
    let place = Place::new();
    let store = place.path("store");
    let mut first = audit(&place.path("first"));
    assert_eq!(run(first.arg("--store").arg(&store)).0, 0);
    let mut met = 0;
    for handles in 4..14 {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -n {handles}; exec \"$@\"")).arg("sh").arg(chehra().get_program());
        command.args(["audit", "-q", "--force", "--no-report", "--threads", "1", "--store"]).arg(&store);
        command.arg("--out").arg(place.path("out")).arg(fixture("night2"));
        let (code, _, stderr) = run(&mut command);
        if stderr.contains("os error 24") || stderr.contains("too few files") {
            met += 1;
            assert_eq!(code, 65, "{handles}: {stderr}");
            assert!(stderr.contains("ulimit -n"), "{handles}: {stderr}");
            assert!(!stderr.contains("backup") && !stderr.contains("copy it again"), "{handles}: {stderr}");
        }
    }
    assert!(met > 1, "{met}");
    let (code, _, stderr) = run(chehra().args(["gallery", "verify", "--store"]).arg(&store));
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_page_of_a_bare_name_is_written_into_the_working_folder() {
    let place = Place::new();
    assert_eq!(run(&mut audit(&place.path("out"))).0, 0);
    fs::write(place.path("x.tmp"), "mine").unwrap();
    let mut report = chehra();
    let (code, stdout, stderr) = run(report.current_dir(&place.dir).args(["report", "out", "--out", "x.html"]));
    assert_eq!((code, stdout.trim(), stderr.as_str()), (0, "x.html", ""));
    assert_eq!(place.list(), ["out", "x.html", "x.tmp"]);
    assert_eq!(fs::read(place.path("x.tmp")).unwrap(), b"mine");
}
