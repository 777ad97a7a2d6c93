//! `chehra gallery` and `chehra dedup` as they are typed: answers, exit codes, and messages that say what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chehra::gallery::generate::Crowd;
use chehra::gallery::{Member, Receipt, Store};
use chehra::infer::Template;
use serde_json::Value;

use super::{crowd, rows, store_with};
use crate::util::{Place, chehra, run};

fn gallery(command: &str, store: &Path) -> Command {
    let mut chehra = chehra();
    chehra.args(["-q", "gallery", command, "--store"]).arg(store);
    chehra
}

fn answer(command: &mut Command) -> Value {
    let (code, stdout, stderr) = run(command.arg("--json"));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// Asserts the exit code and that the message has all the words.
fn refused(command: &mut Command, expected: i32, words: &[&str]) {
    let (code, _, stderr) = run(command);
    assert_eq!(code, expected, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    words.iter().for_each(|word| assert!(stderr.contains(word), "'{word}' is not in: {stderr}"));
}

/// A store of two nights, 100 and 60 members, and its rows.
fn store(place: &Place) -> (PathBuf, Vec<(Member, Template)>) {
    let path = place.path("store");
    store_with(&path, &crowd(), &[100, 160]);
    (path, rows(&crowd(), 0..160))
}

#[test]
fn a_store_is_counted_read_and_compacted() {
    let place = Place::new();
    let (path, _) = store(&place);
    let stats = answer(&mut gallery("stats", &path));
    assert_eq!((&stats["live"], stats["runs"].as_array().unwrap().len()), (&160.into(), 2));
    let (code, text, _) = run(&mut gallery("stats", &path));
    assert!(code == 0 && text.starts_with("160 members") && text.contains("160 templates of 128 values"), "{text}");
    let verified = answer(&mut gallery("verify", &path));
    assert_eq!((&verified["segments"], &verified["rows"]), (&2.into(), &160.into()));
    let compacted = answer(&mut gallery("compact", &path));
    assert_eq!((&compacted["segments_before"], &compacted["segments_after"]), (&2.into(), &1.into()));
    let (code, text, _) = run(&mut gallery("verify", &path));
    assert!(code == 0 && text.contains("160 rows read") && text.contains("whole"), "{text}");
}

#[test]
fn members_are_forgotten_with_a_receipt() {
    let place = Place::new();
    let (path, all) = store(&place);
    let id = |row: usize| all[row].0.submission_id.as_str();
    let list = place.path("ids.txt");
    fs::write(&list, format!("{}\n\n  {}\n", id(7), id(120))).unwrap();
    let said = answer(gallery("forget", &path).args(["--member", id(3), "--from"]).arg(&list));
    let file = said["receipt_file"].as_str().unwrap();
    let receipt: Receipt = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!((receipt.rows, receipt.submission_ids.len(), receipt.segments.as_slice()), (3, 3, &[1, 2][..]));
    assert!(receipt.erased_commit.is_some() && said["forgotten"]["receipt"]["erased_at"].is_string());
    assert_eq!(Store::open(&path).unwrap().stats().unwrap().live, 157);
    // Again: nothing to do, and no error.
    let (code, text, _) = run(gallery("forget", &path).args(["--member", id(3)]));
    assert!(code == 0 && text.contains("0 memberships") && text.contains("forgotten before"), "{text}");
    // Somebody else's id beside a known one: the known one is forgotten, the other one is said loudly.
    let mut command = gallery("forget", &path);
    refused(command.args(["--later", "--member", id(9), "--member", "S-9"]), 65, &["S-9", "all others were forgotten"]);
    let stats = answer(&mut gallery("stats", &path));
    assert_eq!((&stats["live"], &stats["dead"]), (&156.into(), &1.into()));
    let (_, text, _) = run(&mut gallery("stats", &path));
    assert!(text.contains("still on disk: run compact"), "{text}");
    assert_eq!(answer(&mut gallery("compact", &path))["rows_erased"], 1);
    fs::write(&list, "\n").unwrap();
    refused(gallery("forget", &path).arg("--from").arg(&list), 65, &["ids.txt", "no id"]);
    refused(gallery("forget", &path).arg("--from").arg(place.path("nowhere")), 65, &["nowhere", "check --from"]);
    refused(&mut gallery("forget", &path), 64, &["--member"]);
}

#[test]
fn an_export_is_imported() {
    let place = Place::new();
    let (path, _) = store(&place);
    let file = place.path("members.parquet");
    assert_eq!(answer(gallery("export", &path).arg("--to").arg(&file))["rows"], 160);
    let other = place.path("other");
    assert_eq!(answer(gallery("import", &other).arg("--from").arg(&file))["added"], 160);
    assert_eq!(answer(gallery("import", &other).arg("--from").arg(&file))["repeated"], true);
    let broken = place.path("broken.parquet");
    let bytes = fs::read(&file).unwrap();
    let places = [0, 10, bytes.len() / 2, bytes.len() - 1];
    for (cut, name) in places.iter().zip(["empty", "start", "half", "most"]) {
        fs::write(&broken, &bytes[..*cut]).unwrap();
        let mut command = gallery("import", &other);
        refused(command.arg("--from").arg(&broken), 65, &["broken.parquet", "expected", "found"]);
        assert_eq!(Store::open(&other).unwrap().stats().unwrap().live, 160, "{name}");
    }
    let third = place.path("third");
    refused(gallery("import", &third).arg("--from").arg(place.path("nothing")), 65, &["nothing", "check --from"]);
    refused(gallery("import", &third).arg("--from").arg(&path), 65, &["a folder"]);
    assert!(!third.exists(), "no store is made for nothing");
    refused(gallery("export", &path).arg("--to").arg(place.path("no/folder/x.parquet")), 65, &["no/folder", "cannot"]);
}

#[test]
fn stores_that_are_none_are_named() {
    let place = Place::new();
    fs::create_dir(place.path("folder")).unwrap();
    fs::write(place.path("file"), "x").unwrap();
    fs::create_dir(place.path("torn")).unwrap();
    fs::write(place.path("torn/MANIFEST"), "{\"format\":\"chehra-store\"").unwrap();
    let out = place.path("out.parquet");
    for (name, word) in [("nowhere", "MANIFEST"), ("folder", "MANIFEST"), ("file", "file"), ("torn", "MANIFEST")] {
        let path = place.path(name);
        for command in ["stats", "verify", "compact", "forget", "export"] {
            let mut chehra = gallery(command, &path);
            match command {
                "forget" => drop(chehra.args(["--member", "S-1"])),
                "export" => drop(chehra.arg("--to").arg(&out)),
                _ => {}
            }
            let (code, _, stderr) = run(&mut chehra);
            assert!([65, 75].contains(&code) && stderr.contains(name) && stderr.contains(word), "{name}: {stderr}");
            assert!(!stderr.contains("panicked") && !out.exists(), "{stderr}");
        }
        let mut dedup = chehra();
        let (code, _, stderr) = run(dedup.args(["dedup", "--all-pairs", "--store"]).arg(&path));
        assert!([65, 75].contains(&code) && stderr.contains(name), "{name}: {stderr}");
    }
    assert!(!place.path("nowhere").exists());
}

#[test]
fn a_damaged_or_missing_segment_is_named_by_every_command() {
    let place = Place::new();
    let (path, all) = store(&place);
    let segment = path.join("segments/00000002.parquet");
    let good = fs::read(&segment).unwrap();
    let out = place.path("out.parquet");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    for (what, bytes) in [("missing", None), ("short", Some(&good[..good.len() - 9])), ("flipped", Some(&flipped[..]))]
    {
        let _ = fs::remove_file(&segment);
        if let Some(bytes) = bytes {
            fs::write(&segment, bytes).unwrap();
        }
        let (code, stdout, stderr) = run(&mut gallery("verify", &path));
        assert!(
            code == 65 && stdout.contains("00000002.parquet") && stderr.contains("backup"),
            "{what}: {stdout}{stderr}"
        );
        let (code, stdout, _) = run(&mut gallery("stats", &path));
        assert_eq!(
            (code, stdout.contains("damaged: segments/00000002.parquet")),
            if what == "flipped" { (0, false) } else { (65, true) }
        );
        let words = ["00000002.parquet", "backup"];
        refused(&mut gallery("compact", &path), 65, &words);
        if what != "flipped" {
            refused(gallery("export", &path).arg("--to").arg(&out), 65, &words);
            refused(gallery("forget", &path).args(["--member", &all[1].0.submission_id]), 65, &words);
            refused(chehra().args(["-q", "dedup", "--all-pairs", "--store"]).arg(&path), 65, &words);
        }
        assert!(!out.exists());
    }
    fs::remove_file(&segment).unwrap();
    fs::write(&segment, &good).unwrap();
    // Derived files cost nothing: they come back.
    let codes = path.join("segments/00000001.codes");
    fs::remove_file(&codes).unwrap();
    let (code, text, _) = run(&mut gallery("verify", &path));
    assert!(code == 0 && text.contains("00000001.codes") && text.contains("--repair"), "{text}");
    let (code, text, _) = run(gallery("verify", &path).arg("--repair"));
    assert!(code == 0 && codes.exists(), "{text}");
    assert_eq!(answer(&mut gallery("verify", &path))["rebuildable"].as_array().unwrap().len(), 0);
}

#[test]
fn a_store_that_another_process_writes_is_only_read() {
    let place = Place::new();
    let (path, all) = store(&place);
    let file = place.path("members.parquet");
    let open = Store::open(&path).unwrap();
    let writer = open.begin().unwrap();
    let me = std::process::id().to_string();
    let words = ["LOCK", "another process writes this store", me.as_str(), "wait until it ends"];
    refused(&mut gallery("compact", &path), 75, &words);
    refused(gallery("forget", &path).args(["--member", &all[0].0.submission_id]), 75, &words);
    assert_eq!(answer(&mut gallery("stats", &path))["live"], 160);
    assert_eq!(answer(gallery("export", &path).arg("--to").arg(&file))["rows"], 160);
    refused(gallery("import", &path).arg("--from").arg(&file), 75, &words);
    drop(writer);
    assert_eq!(answer(&mut gallery("compact", &path))["segments_after"], 1);
}

/// A store in which rows 0 and 40, 1 and 41, ... show one person each.
fn twins(place: &Place) -> PathBuf {
    let crowd = Crowd { duplicates: 0.0, copies: 0.0, lookalikes: 0.0, ..crowd() };
    let mut all = rows(&crowd, 0..400);
    for row in 0..5 {
        all[row + 200].1 = all[row].1.clone();
    }
    let path = place.path("twins");
    Store::open_or_create(&path).unwrap().begin().unwrap().add_run("night", &all).unwrap();
    path
}

#[test]
fn a_whole_store_is_compared_with_either_engine_and_with_filters() {
    let place = Place::new();
    let path = twins(&place);
    let dedup = |more: &[&str]| {
        let mut command = chehra();
        command.args(["-q", "dedup", "--all-pairs", "--store"]).arg(&path).args(more);
        command
    };
    for engine in ["auto", "exact", "hnsw"] {
        let said = answer(&mut dedup(&["--search", engine]));
        assert_eq!((&said["matching"]["clusters"], &said["search"]["asked"]), (&5.into(), &engine.into()));
        assert_eq!(said["search"]["certificate"].is_object(), engine == "hnsw");
    }
    let out = place.path("out");
    let (code, text, stderr) = run(dedup(&["--search", "hnsw", "--out"]).arg(&out));
    assert!(code == 0 && text.contains("5 persons") && text.contains("HNSW missed 0 of"), "{text}{stderr}");
    for name in ["pairs.parquet", "clusters.parquet", "run.json"] {
        assert!(out.join(name).exists(), "{name}");
    }
    let record: Value = serde_json::from_str(&fs::read_to_string(out.join("run.json")).unwrap()).unwrap();
    assert_eq!((&record["search"]["engine"], &record["search"]["certificate"]["missed"]), (&"hnsw".into(), &0.into()));
    refused(dedup(&["--out"]).arg(&out), 65, &["out", "name another --out"]);
    // Rows 0..50 are of the first worker, in district-00; their twins are in district-04.
    assert_eq!(answer(&mut dedup(&["--only-district", "district-00"]))["matching"]["clusters"], 0);
    assert_eq!(answer(&mut dedup(&["--not-district", "district-07"]))["matching"]["clusters"], 5);
    assert_eq!(answer(&mut dedup(&["--not-district", "district-04"]))["matching"]["clusters"], 0);
    assert_eq!(answer(&mut dedup(&["--not-worker", "W000000"]))["matching"]["clusters"], 0);
    assert_eq!(answer(&mut dedup(&["--not-submission", "S00000000002"]))["matching"]["clusters"], 4);
    refused(&mut dedup(&["--only-district", "Pune"]), 64, &["no member is left", "district-00"]);
    refused(&mut dedup(&["--model", "other"]), 64, &["other", "generated (400 members)"]);
    refused(&mut dedup(&["--search", "fast"]), 64, &["auto, exact, hnsw"]);
    refused(chehra().args(["dedup", "--store", "x"]), 64, &["--all-pairs"]);
}

#[test]
fn an_empty_store_and_one_of_two_models_are_said_to_be_so() {
    let place = Place::new();
    let empty = place.path("empty");
    Store::open_or_create(&empty).unwrap();
    let dedup = |path: &Path| {
        let mut command = chehra();
        command.args(["-q", "dedup", "--all-pairs", "--store"]).arg(path);
        command
    };
    refused(&mut dedup(&empty), 64, &["no members", "audit a dump"]);
    assert_eq!(answer(&mut gallery("stats", &empty))["live"], 0);
    assert_eq!(answer(&mut gallery("verify", &empty))["rows"], 0);
    assert_eq!(answer(&mut gallery("compact", &empty))["segments_after"], 0);
    let file = place.path("none.parquet");
    assert_eq!(answer(gallery("export", &empty).arg("--to").arg(&file))["rows"], 0);
    assert_eq!(answer(gallery("import", &place.path("other")).arg("--from").arg(&file))["added"], 0);
    let two = place.path("two");
    let mut all = rows(&crowd(), 0..60);
    all[30..].iter_mut().for_each(|row| row.0.model.0 = "another".into());
    Store::open_or_create(&two).unwrap().begin().unwrap().add_run("night", &all).unwrap();
    refused(&mut dedup(&two), 64, &["--model", "several models", "generated (30 members), another (30 members)"]);
    assert_eq!(answer(dedup(&two).args(["--model", "another"]))["matching"]["gallery_size"], 30);
}
