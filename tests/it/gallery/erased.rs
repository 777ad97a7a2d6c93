//! Who was forgotten does not come back by a dump, an export or a program that is unaware of it; and `verify` reads all
//! that erasing is about.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use parquet::basic::Compression;
use serde_json::Value;

use crate::audit::{read, texts};
use crate::util::{Place, chehra, fixture, run, write_dump};

/// A member of the second sample night.
const ERASED: &str = "N2-000";

fn gallery(place: &Place, command: &str) -> Command {
    let mut chehra = chehra();
    chehra.args(["-q", "gallery", command, "--store"]).arg(place.path("store"));
    chehra
}

fn answer(command: &mut Command) -> Value {
    let (code, stdout, stderr) = run(command.arg("--json"));
    assert_eq!(code, 0, "{stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

fn live(place: &Place) -> u64 {
    answer(&mut gallery(place, "stats"))["live"].as_u64().unwrap()
}

/// The second night as another program wrote it, with the table of workers.
fn dump(place: &Place, name: &str, compression: Compression) -> PathBuf {
    let folder = place.path(name);
    write_dump("night2", &|_| true, compression, &folder.join("part-00000.parquet"));
    fs::copy(fixture("night2/workers.parquet"), folder.join("workers.parquet")).unwrap();
    folder
}

fn audit(place: &Place, dump: &Path, out: &str, flags: &[&str]) -> PathBuf {
    let mut command = chehra();
    command.args(["audit", "-q", "--no-report", "--store"]).arg(place.path("store")).args(flags);
    let (code, _, stderr) = run(command.arg("--out").arg(place.path(out)).arg(dump));
    assert_eq!(code, 0, "{out}: {stderr}");
    place.path(out)
}

/// Verdict, reasons and detail of a submission.
fn row(out: &Path, id: &str) -> (String, String, String) {
    let table = read(&out.join("verdicts.parquet"));
    let at = texts(&table, "submission_id").iter().position(|found| found.as_deref() == Some(id)).unwrap();
    let cell = |column: &str| texts(&table, column)[at].clone().unwrap_or_default();
    (cell("verdict"), cell("reasons"), cell("detail"))
}

#[test]
fn a_forgotten_submission_that_comes_again_is_a_row_until_its_consent_is_renewed() {
    let place = Place::new();
    let first = dump(&place, "first", Compression::SNAPPY);
    let before = row(&audit(&place, &first, "one", &[]), ERASED);
    assert!(!before.1.contains("erased_before"), "{before:?}");
    let members = live(&place);
    assert_eq!(run(gallery(&place, "forget").args(["--member", ERASED])).0, 0);
    assert_eq!(live(&place), members - 1);

    // The same dump, and the same rows in another file: the row says so, nothing of it was looked at, and nobody comes in.
    let second = dump(&place, "second", Compression::LZ4_RAW);
    for (name, dump) in [("again", &first), ("anew", &second)] {
        let out = audit(&place, dump, name, &[]);
        let (verdict, reasons, detail) = row(&out, ERASED);
        assert_eq!((verdict.as_str(), reasons.as_str()), ("reject", "erased_before"), "{name}");
        assert!(detail.contains("--consent-renewed"), "{detail}");
        assert_eq!(live(&place), members - 1, "{name}");
        let (code, text, stderr) = run(&mut gallery(&place, "verify"));
        assert!(code == 0 && text.contains("1 receipts"), "{text}{stderr}");
    }
    // Consent given anew: from the dump that the store knows, that member alone comes in, as the first time.
    let list = place.path("renewed.txt");
    fs::write(&list, format!("{ERASED}\nN9-999\n")).unwrap();
    let renewed = ["--consent-renewed", list.to_str().unwrap()];
    assert_eq!(row(&audit(&place, &first, "renewed", &renewed), ERASED), before);
    assert_eq!(live(&place), members);
    assert_eq!(run(&mut gallery(&place, "verify")).0, 0);
    // From now on it is a submission like any other, and may be forgotten again.
    assert_eq!(row(&audit(&place, &first, "later", &[]), ERASED), before);
    assert_eq!(live(&place), members);
    assert_eq!(run(gallery(&place, "forget").args(["--member", ERASED])).0, 0);
    assert_eq!(live(&place), members - 1);
    assert_eq!(row(&audit(&place, &first, "last", &[]), ERASED).1, "erased_before");
    let mut without = chehra();
    let (code, _, stderr) = run(without.args(["audit", "-q", "--consent-renewed"]).arg(place.path("nowhere")).args([
        "--out",
        "x",
        second.to_str().unwrap(),
    ]));
    assert!(code == 65 && stderr.contains("--consent-renewed"), "{stderr}");
}

#[test]
fn an_export_brings_back_neither_the_known_nor_the_forgotten() {
    let place = Place::new();
    audit(&place, &dump(&place, "dump", Compression::SNAPPY), "one", &[]);
    let members = live(&place);
    let file = place.path("members.parquet");
    answer(gallery(&place, "export").arg("--to").arg(&file));
    let import = |flags: &[&str]| answer(gallery(&place, "import").arg("--from").arg(&file).args(flags));
    let own = import(&[]);
    assert_eq!((&own["added"], &own["known"]), (&0.into(), &members.into()));
    assert_eq!(live(&place), members, "a store's own export does not double it");
    // The old export once more, written by another program, after somebody was forgotten.
    assert_eq!(run(gallery(&place, "forget").args(["--member", ERASED])).0, 0);
    let bytes = fs::read(&file).unwrap();
    let batch = crate::util::batches(&file).remove(0);
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(fs::File::create(&file).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert_ne!(fs::read(&file).unwrap(), bytes);
    let old = import(&[]);
    assert_eq!((&old["added"], &old["known"], &old["erased_before"]), (&0.into(), &(members - 1).into(), &1.into()));
    let (code, text, _) = run(gallery(&place, "import").arg("--from").arg(&file));
    assert!(code == 0 && text.contains("nothing added"), "{text}");
    let list = place.path("renewed.txt");
    fs::write(&list, ERASED).unwrap();
    assert_eq!(import(&["--consent-renewed", list.to_str().unwrap()])["added"], 1);
    assert_eq!(live(&place), members);
    assert_eq!(run(&mut gallery(&place, "verify")).0, 0);
}

#[test]
fn verify_notices_every_damage_to_workers_receipts_and_notes_and_names_what_is_left_over() {
    let place = Place::new();
    audit(&place, &dump(&place, "dump", Compression::SNAPPY), "one", &[]);
    assert_eq!(run(gallery(&place, "forget").args(["--member", ERASED])).0, 0);
    let store = place.path("store");
    let find = |folder: &str, ending: &str| {
        let files = fs::read_dir(store.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|e| e == ending)).collect::<Vec<_>>()
    };
    let workers = find("segments", "workers");
    assert_eq!(workers.len(), 1);
    let verified = answer(&mut gallery(&place, "verify"));
    assert_eq!((&verified["workers"], &verified["receipts"], &verified["pictures"]), (&1.into(), &1.into(), &1.into()));
    let good = fs::read(&workers[0]).unwrap();
    let mut mutations = 0;
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&workers[0], bad).unwrap();
        let (code, text, _) = run(&mut gallery(&place, "verify"));
        assert!(code == 65 && text.contains(".workers"), "byte {at}: {text}");
        mutations += 1;
    }
    // An audit finds it before any work, and begins nothing.
    let mut command = chehra();
    command.args(["audit", "-q", "--store"]).arg(&store).arg("--out").arg(place.path("two")).arg(place.path("dump"));
    let (code, _, stderr) = run(&mut command);
    assert!(code == 65 && stderr.contains(".workers") && stderr.contains("backup"), "{stderr}");
    assert!(!place.list().iter().any(|name| name.contains("two")), "{:?}", place.list());
    for bad in [&b""[..], &good[..good.len() / 2], b"chehra workers 9 and so on"] {
        fs::write(&workers[0], bad).unwrap();
        assert_eq!(run(&mut gallery(&place, "verify")).0, 65);
    }
    fs::remove_file(&workers[0]).unwrap();
    assert_eq!(run(&mut gallery(&place, "verify")).0, 65);
    fs::write(&workers[0], &good).unwrap();
    assert!(mutations >= 40 && run(&mut gallery(&place, "verify")).0 == 0);

    // A receipt's file is a copy: whatever happens to it is told, and mended.
    let receipt = &find("receipts", "json")[0];
    let text = fs::read_to_string(receipt).unwrap();
    for bad in [text.replace(ERASED, "N2-009"), String::new(), text.replace("rows", "words")] {
        fs::write(receipt, bad).unwrap();
        let stale = &answer(&mut gallery(&place, "verify"))["rebuildable"][0];
        assert!(stale.as_str().unwrap().contains("receipts"), "{stale}");
    }
    // What killed processes leave.
    for name in ["segments/00000900.workers", "segments/00000001.codes.77-0.tmp", "MANIFEST.77-1.tmp"] {
        fs::write(store.join(name), "faces").unwrap();
        let (code, text, _) = run(&mut gallery(&place, "verify"));
        assert!(code == 0 && text.contains("left by a killed process") && text.contains(name), "{text}");
    }
    assert_eq!(run(gallery(&place, "verify").arg("--repair")).0, 0);
    let verified = answer(&mut gallery(&place, "verify"));
    assert_eq!((&verified["leftovers"], &verified["rebuildable"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    assert_eq!(fs::read_to_string(receipt).unwrap(), text);
}
