//! Stores written by earlier versions must open for ever. `fixtures/store-v1` was written by version 0.1.0: two nights
//! of eight and four rows, one of them forgotten; its derived files are left out, as after a copy of the record alone.

use std::fs;
use std::path::{Path, PathBuf};

use chehra::gallery::dot::Kernel;
use chehra::gallery::generate::Crowd;
use chehra::gallery::{Gallery, Store, Want, exact};

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
