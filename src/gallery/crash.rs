//! Tests: a process killed at every step of a commit, a forgetting, a compaction and a first opening loses nobody who
//! was committed and shows nobody who was forgotten.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::generate::Crowd;
use super::{CompactPolicy, Engine, Filter, Gallery, Member, Probe, SearchPolicy, Store, Want, failpoint, search};
use crate::infer::Template;

fn rows(range: std::ops::Range<u64>) -> Vec<(Member, Template)> {
    // No duplicates: what a file holds of a forgotten row must not come from another one.
    Crowd { duplicates: 0.0, copies: 0.0, ..Crowd::new(64, 3) }.rows(range).unwrap()
}

fn id(row: u64) -> String {
    rows(row..row + 1)[0].0.submission_id.clone()
}

/// What is done to a store while it is killed.
fn act(what: &str, path: &Path) {
    let store = Store::open_or_create(path).unwrap();
    let mut writer = store.begin().unwrap();
    match what {
        "create" => {}
        "commit" => drop(writer.add_run("night-2", &rows(60..90)).unwrap()),
        "forget" => drop(writer.forget(&[id(3), id(35), id(50)]).unwrap()),
        "compact" => drop(writer.compact(&CompactPolicy::default()).unwrap()),
        other => panic!("{other}"),
    }
}

/// Not a test of its own: the process that is killed.
#[test]
#[ignore = "started by the tests below"]
fn child() {
    let what = std::env::var("CHEHRA_CRASH_DO").unwrap();
    let path = std::env::var("CHEHRA_CRASH_STORE").unwrap();
    failpoint::arm(std::env::var("CHEHRA_CRASH_STEP").unwrap().parse().unwrap());
    act(&what, Path::new(&path));
}

/// Runs the child on a copy of `base` for each step; calls `check` on what it left, until it comes to its end.
fn at_every_step(what: &str, base: &Path, least_steps: u32, check: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    for step in 0..200 {
        let path = folder.path().join(step.to_string());
        copy(base, &path);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "gallery::crash::child", "--ignored", "--nocapture"])
            .env("CHEHRA_CRASH_DO", what)
            .env("CHEHRA_CRASH_STORE", &path)
            .env("CHEHRA_CRASH_STEP", step.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success() || words.contains("killed at"), "{what}, step {step}: {words}");
        check(&path);
        if child.status.success() {
            assert!(step >= least_steps, "{what} has only {step} steps");
            return;
        }
    }
    panic!("{what} does not end");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|e| e.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() { copy(&entry, &target) } else { _ = fs::copy(&entry, &target).unwrap() }
    }
}

/// Two nights, 0..30 and 30..60.
fn base(path: &Path) {
    let store = Store::open_or_create(path).unwrap();
    let mut writer = store.begin().unwrap();
    writer.add_run("night-0", &rows(0..30)).unwrap();
    writer.add_run("night-1", &rows(30..60)).unwrap();
}

fn ids(gallery: &Gallery) -> BTreeSet<String> {
    gallery.iter().map(|(_, row)| row.submission_id.to_owned()).collect()
}

/// Which of the rows a search for each of them finds, by either engine.
fn found(gallery: &Gallery, rows: &[(Member, Template)]) -> BTreeSet<String> {
    let probes: Vec<_> =
        rows.iter().map(|(m, t)| Probe { template: t, model: &m.model, filter: Filter::default() }).collect();
    let by = |engine| -> BTreeSet<String> {
        let policy = SearchPolicy { engine, ..SearchPolicy::default() };
        let (hits, _) = search(gallery, &probes, Want::Above(0.98), &policy).unwrap();
        hits.iter().map(|hit| gallery.row(hit.row).unwrap().submission_id.to_owned()).collect()
    };
    let exact = by(Engine::Exact);
    assert_eq!(exact, by(Engine::Hnsw));
    exact
}

fn of(rows: &[(Member, Template)]) -> BTreeSet<String> {
    rows.iter().map(|(m, _)| m.submission_id.clone()).collect()
}

/// Whether any file of the store holds the template's codes, in a row or in a block, or its master.
fn is_on_disk(store: &Path, template: &Template) -> bool {
    let master: Vec<u8> = template.master.iter().flat_map(|v| v.to_le_bytes()).collect();
    let codes: Vec<u8> = template.codes.iter().map(|&c| c as u8).collect();
    let biased: Vec<u8> = codes.iter().map(|c| c ^ 0x80).collect();
    let mut files = vec![store.to_owned()];
    let mut found = false;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
        // In a block, four codes lie every 64 bytes: sixteen of them are enough to know one.
        let in_block =
            bytes.windows(64 * 3 + 4).any(|w| (0..4).all(|k| w[64 * k..64 * k + 4] == biased[4 * k..4 * k + 4]));
        found |= has(&master) || has(&codes) || has(&biased) || in_block;
    }
    found
}

#[test]
fn making_a_store() {
    let folder = tempfile::tempdir().unwrap();
    at_every_step("create", folder.path(), 2, |path| {
        let store = Store::open_or_create(path).unwrap();
        store.begin().unwrap().add_run("night-0", &rows(0..3)).unwrap();
        assert_eq!(ids(&store.view(None).unwrap()), of(&rows(0..3)));
    });
}

#[test]
fn committing_a_run() {
    let folder = tempfile::tempdir().unwrap();
    base(folder.path());
    let (old, all) = (rows(0..60), rows(0..90));
    at_every_step("commit", folder.path(), 7, |path| {
        let store = Store::open(path).unwrap();
        let gallery = store.view(None).unwrap();
        assert_eq!(found(&gallery, &all), ids(&gallery));
        assert!([of(&old), of(&all)].contains(&ids(&gallery)), "all of a run or nothing of it");
        // The same command once more comes to the same end.
        act("commit", path);
        assert_eq!(found(&store.view(None).unwrap(), &all), of(&all));
        assert_eq!(store.runs().unwrap().len(), 3);
        assert!(store.verify().unwrap().is_sound());
    });
}

#[test]
fn forgetting_members() {
    let folder = tempfile::tempdir().unwrap();
    base(folder.path());
    let all = rows(0..60);
    let kept: BTreeSet<String> = of(&all).into_iter().filter(|i| ![id(3), id(35), id(50)].contains(i)).collect();
    at_every_step("forget", folder.path(), 3, |path| {
        let store = Store::open(path).unwrap();
        let gallery = store.view(None).unwrap();
        let receipts = store.stats().unwrap().forgotten.len();
        let expected = if receipts == 0 { of(&all) } else { kept.clone() };
        assert_eq!((ids(&gallery), found(&gallery, &all)), (expected.clone(), expected));
        act("forget", path);
        assert_eq!(found(&store.view(None).unwrap(), &all), kept);
        assert_eq!(store.stats().unwrap().forgotten.len(), 1, "what was forgotten is not forgotten twice");
    });
}

#[test]
fn compacting() {
    let folder = tempfile::tempdir().unwrap();
    base(folder.path());
    let all = rows(0..60);
    // Graphs too hold codes of the forgotten.
    found(&Store::open(folder.path()).unwrap().view(None).unwrap(), &all);
    act("forget", folder.path());
    let gone = [3, 35, 50].map(|row| all[row].1.clone());
    let kept: BTreeSet<String> = of(&all).into_iter().filter(|i| ![id(3), id(35), id(50)].contains(i)).collect();
    assert!(gone.iter().all(|t| is_on_disk(folder.path(), t)), "the search for remains finds them");
    at_every_step("compact", folder.path(), 10, |path| {
        let store = Store::open(path).unwrap();
        let gallery = store.view(None).unwrap();
        assert_eq!((ids(&gallery), found(&gallery, &all)), (kept.clone(), kept.clone()));
        let receipts = store.stats().unwrap().forgotten;
        assert_eq!(receipts.len(), 1);
        if receipts[0].erased_commit.is_some() {
            assert!(!gone.iter().any(|t| is_on_disk(path, t)), "a receipt says erased only when it is so");
        }
        act("compact", path);
        let gallery = Store::open(path).unwrap().view(None).unwrap();
        assert_eq!((ids(&gallery), found(&gallery, &all)), (kept.clone(), kept.clone()));
        let stats = store.stats().unwrap();
        assert!(stats.forgotten[0].erased_commit.is_some() && stats.dead == 0 && stats.segments.len() == 1);
        assert!(!gone.iter().any(|t| is_on_disk(path, t)));
        assert!(store.verify().unwrap().is_sound());
    });
}
