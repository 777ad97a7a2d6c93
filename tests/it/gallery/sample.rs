//! Stores written by earlier versions must open for ever. `fixtures/store-v1` was written by version 0.1.0: two nights
//! of eight and four rows, one of them forgotten; its derived files are left out, as after a copy of the record alone.
//! `fixtures/store-v2` is what audits of the last version before 3 left: three selfies of two workers of whom nothing was
//! known, whose faces are in `workers/000000000001.workers`, and then the second sample night.

use std::fs;
use std::path::{Path, PathBuf};

use chehra::gallery::dot::Kernel;
use chehra::gallery::generate::Crowd;
use chehra::gallery::{Gallery, KnownWorkers, Store, Want, exact};
use chehra::infer::ModelId;

use super::{probes, rows};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store-v1")
}

fn crowd() -> Crowd {
    Crowd { duplicates: 0.3, copies: 0.1, ..Crowd::new(32, 20) }
}

/// Writes the sample; run by hand, once per version of the format.
#[test]
#[ignore = "writes fixtures/store-v1"]
fn write_the_sample() {
    let store = Store::open_or_create(sample()).unwrap();
    let mut writer = store.begin().unwrap();
    writer.add_run("2026-11-01", &rows(&crowd(), 0..8)).unwrap();
    writer.add_run("2026-11-02", &rows(&crowd(), 8..12)).unwrap();
    writer.forget(&["S00000000003".to_owned()]).unwrap();
    drop(writer);
    for entry in fs::read_dir(sample().join("segments")).unwrap().map(|e| e.unwrap().path()) {
        if entry.extension().is_some_and(|e| e != "parquet") {
            fs::remove_file(entry).unwrap();
        }
    }
    fs::remove_file(sample().join("LOCK")).unwrap();
}

/// Every pair as text: rows by submission, similarity bit by bit.
fn answers(gallery: &Gallery) -> Vec<String> {
    let mut lines = Vec::new();
    exact::all_pairs(gallery, 0.45, Kernel::best(), &mut |_, pairs| {
        for pair in pairs {
            let id = |row| gallery.row(row).unwrap().submission_id.trim_start_matches(['S', '0']).to_owned();
            lines.push(format!("{}-{} {:08x}", id(pair.first), id(pair.second), pair.similarity.to_bits()));
        }
        Ok(())
    })
    .unwrap();
    lines
}

#[test]
fn a_store_of_version_1_opens_and_answers_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let segments = folder.path().join("segments");
    fs::create_dir(&segments).unwrap();
    fs::copy(sample().join("MANIFEST"), folder.path().join("MANIFEST")).unwrap();
    for name in ["00000001.parquet", "00000002.parquet"] {
        fs::copy(sample().join("segments").join(name), segments.join(name)).unwrap();
    }
    let store = Store::open(folder.path()).unwrap();
    let gallery = store.view(None).unwrap();
    assert_eq!(gallery.live(), 11);
    assert_eq!(store.view(Some("2026-11-02")).unwrap().live(), 7);
    let stats = store.stats().unwrap();
    assert_eq!((stats.commit, stats.dead, stats.runs.len()), (3, 1, 2));
    assert_eq!(stats.forgotten[0].submission_ids, ["S00000000003"]);
    let row = gallery.row(9).unwrap();
    assert_eq!((row.submission_id, row.worker_id, row.run_key), ("S00000000009", "W000000", "2026-11-02"));
    assert_eq!(row.mobile.map(str::len), Some(10));
    assert_eq!(answers(&gallery), ANSWERS);
    // The generator and the making of templates are as they were, too.
    let again = rows(&crowd(), 0..12);
    for (number, row) in gallery.iter() {
        let (member, template) = &again[number as usize];
        assert_eq!(row.submission_id, member.submission_id);
        assert_eq!(&gallery.template(number).unwrap(), template);
    }
    let found = exact::search(&gallery, &probes(&again), Want::Above(0.999), Kernel::best()).unwrap();
    assert!(found.iter().any(|hit| hit.probe == 11 && hit.row == 11));
    assert!(store.verify().unwrap().is_sound());
    store.begin().unwrap().compact(&Default::default()).unwrap();
    assert_eq!(answers(&store.view(None).unwrap()), ANSWERS);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() { copy(&entry, &target) } else { _ = fs::copy(&entry, &target).unwrap() }
    }
}

#[test]
fn a_store_of_version_2_keeps_its_workers_and_forgets_what_it_must() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store-v2"), &path);
    let store = Store::open(&path).unwrap();
    let verified = store.verify().unwrap();
    assert!(verified.is_sound() && verified.workers == 2, "{:?}", verified.damaged);
    let model = ModelId(store.stats().unwrap().segments[0].model.clone());
    let known = |run: usize| {
        let key = store.runs().unwrap().get(run).map(|run| run.key.clone());
        store.workers(key.as_deref(), &model).unwrap()
    };
    // As of each run, and after the last one.
    let before = [known(0), known(1), known(2)];
    assert_eq!(before.each_ref().map(|known| known.len()), [0, 2, 2]);
    let unresolved = |known: &KnownWorkers| known.values().map(|w| w.unresolved().len()).sum::<usize>();
    assert_eq!(before.each_ref().map(unresolved), [0, 3, 0]);
    // Damage to a file of the old folder is noticed.
    let old = path.join("workers/000000000001.workers");
    let good = fs::read(&old).unwrap();
    for at in [0, 15, 20, 60, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 8;
        fs::write(&old, bad).unwrap();
        assert!(!store.verify().unwrap().is_sound() && store.check().is_err() && store.begin().is_err(), "byte {at}");
    }
    fs::write(&old, &good).unwrap();
    // The first writer brings it to version 3: the same workers, in files that the manifest names.
    drop(store.begin().unwrap());
    assert!(
        !path.join("workers").exists() && fs::read_to_string(path.join("MANIFEST")).unwrap().contains("\"version\":3")
    );
    assert_eq!([known(0), known(1), known(2)], before);
    assert_eq!(store.verify().unwrap().workers, 2);
    // Of the faces that version 1 of the memory kept nobody knows whose they are: all go with the first who is forgotten.
    let forgotten = store.begin().unwrap().forget(&["N1-000".to_owned()]).unwrap();
    assert_eq!(forgotten.receipt.unwrap().submission_ids, ["N1-000"]);
    assert_eq!(unresolved(&known(1)), 0);
    assert_eq!(known(2), before[2]);
    assert!(store.verify().unwrap().is_sound());
}

const ANSWERS: &[&str] = &[
    "-1 3f800000",
    "-2 3f4d6ae2",
    "-4 3f3a0d80",
    "-5 3f51ade6",
    "-6 3f359a51",
    "-8 3f37c880",
    "-10 3f469367",
    "1-2 3f4d6ae2",
    "1-4 3f3a0d80",
    "1-5 3f51ade6",
    "1-6 3f359a51",
    "1-8 3f37c880",
    "1-10 3f469367",
    "2-4 3f6183d4",
    "2-5 3f606b0b",
    "2-6 3f485a72",
    "2-8 3f499902",
    "2-10 3f6426ca",
    "4-5 3f424dce",
    "4-6 3f3c1356",
    "4-8 3f523f8f",
    "4-10 3f49aac0",
    "5-6 3f2e43b7",
    "5-8 3f433927",
    "5-10 3f46bc20",
    "6-8 3f4a6e91",
    "6-10 3f381569",
    "8-10 3f4d6008",
];
