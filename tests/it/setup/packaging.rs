//! The nightly job as a system runs it: script, units, lock, archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::util::{Place, chehra, chehra_note, fixture, run};

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// `nightly.sh` with its folders in `place`.
fn nightly(place: &Place, words: &[&str]) -> Command {
    // The variables of `chehra` that a tester may have set must not reach the script either.
    let clean = chehra();
    let mut command = Command::new(packaging("nightly.sh"));
    clean.get_envs().filter(|(_, value)| value.is_none()).for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
        .args(words)
        .current_dir(&place.dir)
        .env("CHEHRA_NIGHTLY_DUMPS", place.path("dumps"))
        .env("CHEHRA_NIGHTLY_RUNS", place.path("runs"))
        .env("CHEHRA_NIGHTLY_PROGRAM", chehra().get_program())
        .env("CHEHRA_STORE", place.path("store"))
        .env("CHEHRA_QUIET", "1");
    command
}

#[test]
#[cfg(unix)]
fn the_nightly_script_waits_audits_once_and_passes_on_what_went_wrong() {
    let place = Place::new();
    let at = |night: &str| run(&mut nightly(&place, &[night]));
    let (code, _, stderr) = at("yesterday");
    assert!(code == 64 && stderr.contains("no date"), "{stderr}");
    fs::create_dir(place.path("dumps")).unwrap();
    let (code, _, stderr) = at("2001-11-21");
    assert!(code == 75 && stderr.contains("not there yet"), "{stderr}");
    let dump = place.path("dumps/2001-11-21");
    fs::create_dir_all(&dump).unwrap();
    fs::copy(fixture("night/submissions-0.parquet"), dump.join("submissions-0.parquet")).unwrap();
    let (code, _, stderr) = at("2001-11-21");
    assert!(code == 75 && stderr.contains("_SUCCESS is not there yet"), "{stderr}");
    fs::write(dump.join("_SUCCESS"), "").unwrap();
    let (code, _, stderr) = at("2001-11-21");
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(place.path("runs/2001-11-21/verdicts.parquet").is_file() && place.path("store/MANIFEST").is_file());
    let (code, _, stderr) = at("2001-11-21");
    assert!(code == 0 && stderr.contains("is done"), "{stderr}");
    // Killed after the run folder was renamed, and before its leavings, faces among them, were removed.
    let note = chehra_note(&place.path("runs/2001-11-21"));
    let partial = place.path("runs/.2001-11-21.partial");
    fs::create_dir_all(partial.join("spool")).unwrap();
    fs::write(partial.join("committed"), note).unwrap();
    let before = fs::read(place.path("runs/2001-11-21/run.json")).unwrap();
    let (code, _, stderr) = at("2001-11-21");
    assert_eq!((code, stderr.as_str(), partial.exists()), (0, "", false));
    assert!(fs::read(place.path("runs/2001-11-21/run.json")).unwrap() == before, "and nothing was done again");
    let broken = place.path("dumps/2001-11-22");
    fs::create_dir_all(&broken).unwrap();
    fs::copy(fixture("broken/truncated.parquet"), broken.join("part.parquet")).unwrap();
    fs::write(broken.join("_SUCCESS"), "").unwrap();
    let (code, _, stderr) = at("2001-11-22");
    assert!(code == 65 && stderr.contains("part.parquet"), "{stderr}");
    assert!(!place.path("runs/2001-11-22").exists());
    // Something that no later try changes is not "not there yet".
    fs::write(place.path("dumps/2001-11-23"), "").unwrap();
    let (code, _, stderr) = at("2001-11-23");
    assert!(code == 65 && stderr.contains("cannot be looked into"), "{stderr}");
    let (code, _, stderr) = run(nightly(&place, &["2001-11-24"]).env("CHEHRA_NIGHTLY_DUMPS", place.path("nowhere")));
    assert!(code == 65 && stderr.contains("CHEHRA_NIGHTLY_DUMPS"), "{stderr}");
    // Without a date it is last night's, whose dump is not here.
    assert_eq!(run(&mut nightly(&place, &[])).0, 75);
}

#[test]
fn a_second_audit_of_a_store_does_not_begin() {
    let place = Place::new();
    let store = place.path("store");
    let audit = |out: &str| {
        let mut command = chehra();
        command.args(["audit", "--quiet", "--store"]).arg(&store).arg("--out").arg(place.path(out));
        run(command.arg(fixture("night2")))
    };
    let (code, _, stderr) = audit("first");
    assert_eq!(code, 0, "{stderr}");
    let night = fs::OpenOptions::new().write(true).open(store.join("NIGHT")).unwrap();
    night.try_lock().unwrap();
    let (code, stdout, stderr) = audit("second");
    assert_eq!((code, stdout.as_str()), (75, ""), "{stderr}");
    assert!(stderr.contains("another audit runs on this store (process ") && stderr.contains("NIGHT"), "{stderr}");
    assert_eq!(place.list(), ["first", "store"], "nothing was begun");
    // Who erases members is not kept waiting by a night.
    let (code, _, stderr) = run(chehra().args(["gallery", "compact", "--store"]).arg(&store));
    assert_eq!(code, 0, "{stderr}");
    // Not only closed: a child of another test may hold a copy of the open file for a moment.
    night.unlock().unwrap();
    let (code, _, stderr) = audit("second");
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn units_have_their_sandbox_and_their_options() {
    // The whole sandbox stands in the unit; a line that is lost is noticed.
    let service = fs::read_to_string(packaging("systemd/chehra-audit.service")).unwrap();
    for line in [
        "ProtectSystem=strict",
        "ReadWritePaths=/srv/chehra",
        "PrivateNetwork=yes",
        "User=chehra",
        "NoNewPrivileges=yes",
        "TimeoutStartSec=10h",
        "OnFailure=chehra-audit-failed.service",
        "RestartPreventExitStatus=1 64 65 69 70 SIGABRT SIGSEGV SIGBUS SIGILL SIGFPE SIGTRAP SIGSYS",
    ] {
        assert!(service.lines().any(|found| found == line), "{line}");
    }
    // Every option of the environment file is one that the program reads.
    let environment = fs::read_to_string(packaging("nightly.env")).unwrap();
    let options = environment.lines().filter(|l| l.starts_with("CHEHRA_") && !l.starts_with("CHEHRA_NIGHTLY_"));
    let mut command = chehra();
    command.args(["config", "show", "audit", "--no-config"]);
    let mut count = 0;
    for (name, value) in options.filter_map(|line| line.split_once('=')) {
        command.env(name, value);
        count += 1;
    }
    let (code, stdout, stderr) = run(&mut command);
    assert!(code == 0 && !stderr.contains("read by nothing") && count > 1, "{stderr}");
    assert_eq!(stdout.matches("$CHEHRA_").count(), count, "{stdout}");
}

#[test]
fn the_cron_lines_are_crontab_lines_and_tell_of_a_last_try_in_vain() {
    let place = Place::new();
    let text = fs::read_to_string(packaging("cron")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("30 ")).collect();
    assert_eq!(lines.len(), 2);
    for (line, hours, alerts) in [(lines[0], "1-7", [false, true]), (lines[1], "8", [true, true])] {
        let words: Vec<&str> = line.splitn(7, ' ').collect();
        assert_eq!(&words[..6], ["30", hours, "*", "*", "*", "chehra"], "minute, hours, days, user");
        assert!(!line.contains('%'), "cron reads % as a line break");
        // What is printed is mailed: after 75 only by the last try, after everything else by each.
        for (code, alert) in [(0, false), (75, alerts[0]), (65, alerts[1]), (134, alerts[1])] {
            let script = words[6]
                .replace("/srv/chehra", place.dir.path().to_str().unwrap())
                .replace(". /etc/chehra/nightly.env", "true")
                .replace("/usr/local/lib/chehra/nightly.sh", &format!("sh -c 'exit {code}'"));
            let (_, stdout, stderr) = run(Command::new("sh").args(["-c", &script]));
            assert_eq!((!stdout.is_empty(), stderr.as_str()), (alert, ""), "{hours} {code}: {stdout}");
        }
    }
}
