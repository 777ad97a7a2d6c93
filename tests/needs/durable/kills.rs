//! Commands killed at every operation that changes a file: the store stays whole, and the same command comes to the same
//! end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::scene::{FORGOTTEN, NEW, Scene, leave_spool, scene};
use super::{files, kill_everywhere, restore, shim, step, watched};
use crate::review::client::{Desk, id, items, lines, runs};
use crate::util::{Place, chehra, run};

/// What a store answers: counts, every pair, and the answers of members.
fn content(scene: &Scene) -> (Value, String, Vec<Vec<u8>>) {
    let stats = scene.answer(&mut scene.gallery("stats"));
    let mut dedup = chehra();
    let all = dedup.args(["-q", "dedup", "--all-pairs", "--format", "csv", "--store"]).arg(scene.path("store"));
    let (code, pairs, stderr) = run(all);
    assert_eq!(code, 0, "{stderr}");
    let is_answers = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "answers");
    let answers = files(&scene.path("store")).into_iter().filter(is_answers).map(|path| fs::read(path).unwrap());
    (stats["live"].clone(), pairs, answers.collect())
}

/// Kills a gallery command everywhere; each time it is given again and the store must be as if it had not been killed.
fn kills_of(name: &str, scene: &Scene, command: &dyn Fn() -> Command) {
    let place = Place::new();
    let base = place.path("base");
    super::copy(&scene.root, &base);
    assert_eq!(run(&mut command()).0, 0);
    let expected = content(scene);
    let (kills, operations) = kill_everywhere(&base, &scene.root, 1, command, &mut |at| {
        let when = format!("{name} killed at operation {at}");
        scene.assert_sound(&when);
        let (code, _, stderr) = run(&mut command());
        assert_eq!(code, 0, "{when}: {stderr}");
        assert_eq!(content(scene), expected, "{when}");
        scene.assert_sound(&when);
    });
    println!("{name}: killed at {kills} of {operations} operations");
    assert!(kills == operations && kills > 10, "{name}: {kills} of {operations}");
}

pub fn compaction_and_import_come_to_the_same_end() {
    shim();
    let place = Place::new();
    let here = scene(&place.path("scene"));
    assert_eq!(run(here.forget(&FORGOTTEN).arg("--later")).0, 0);
    kills_of("compact", &here, &|| here.gallery("compact"));
    let export = here.path("members.parquet");
    assert_eq!(run(here.gallery("export").arg("--to").arg(&export)).0, 0);
    let other = Scene { root: place.path("other") };
    // Before its first commit a store is none, and `verify` says so.
    drop(chehra::gallery::Store::open_or_create(other.path("store")).unwrap());
    kills_of("import", &other, &|| {
        let mut command = other.gallery("import");
        command.arg("--from").arg(&export);
        command
    });
}

fn tables(out: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tables = Vec::new();
    for path in files(out).into_iter().filter(|path| path.extension().is_some_and(|e| e == "parquet")) {
        tables.push((path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
    }
    tables
}

pub fn an_audit_comes_to_the_same_tables_and_the_same_store() {
    shim();
    let place = Place::new();
    let here = scene(&place.path("scene"));
    leave_spool(&here);
    fs::remove_dir_all(here.path("runs/.third.partial")).unwrap();
    // Of a member of the dump, and of one of an earlier night.
    let replies = here.path("replies.csv");
    fs::write(&replies, format!("submission_id,answer,channel\n{NEW},confirmed,call\nN2-002,denied,call\n")).unwrap();
    let audit = || {
        let mut audit = here.audit("third", "runs/third");
        audit.arg("--responses").arg(&replies);
        audit
    };
    let base = place.path("base");
    super::copy(&here.root, &base);
    let (code, _, stderr) = run(&mut audit());
    assert_eq!(code, 0, "{stderr}");
    let expected = (tables(&here.path("runs/third")), content(&here));
    assert!(expected.0.len() >= 5);
    let [answers] = &expected.1.2[..] else { panic!("{} files of answers", expected.1.2.len()) };
    let holds = |id: &str| answers.windows(id.len()).any(|window| window == id.as_bytes());
    assert!(holds(NEW) && holds("N2-002"));
    let (kills, operations) = kill_everywhere(&base, &here.root, step(13), &audit, &mut |at| {
        let when = format!("audit killed at operation {at}");
        here.assert_sound(&when);
        let (code, stdout, stderr) = run(&mut audit());
        assert_eq!(code, 0, "{when}: {stdout}{stderr}");
        assert_eq!(tables(&here.path("runs/third")), expected.0, "{when}");
        assert_eq!(content(&here), expected.1, "{when}");
        here.assert_sound(&when);
    });
    println!("audit: killed at {kills} of {operations} operations");
    assert!(kills > 5 && operations > 60, "{kills} of {operations}");
}

pub fn a_reviewer_is_told_only_of_what_is_in_the_log() {
    shim();
    let place = Place::new();
    let root = place.path("desk");
    let empty = place.path("empty");
    fs::create_dir_all(&empty).unwrap();
    let log = root.join("d.jsonl");
    let night = runs().join("one");
    let flags = ["--second-share", "0", "--seeded-share", "0"];
    let asked: Vec<String> =
        items(&Desk::start(&night, &place.path("other.jsonl"), &flags).state("asha"))[..3].iter().map(id).collect();
    let mut kills = 0;
    for at in 0.. {
        restore(&empty, &root);
        let mut command = chehra();
        command.arg("review").arg(&night).arg("--decisions").arg(&log).args(flags);
        let command = watched(&mut command, &root).env("DURABLE_KILL_AT", at.to_string()).stderr(Stdio::null());
        // A desk that is killed while it makes its log never says where it is.
        let desk = Desk::try_spawn(command.spawn().unwrap());
        let decide = |item: &&String| {
            let answer = desk.as_ref()?.try_post("decide", &Desk::decision("asha", item, "same"))?;
            (answer.status == 200).then_some(())
        };
        let told: Vec<&String> = asked.iter().take_while(|item| decide(item).is_some()).collect();
        drop(desk);
        // What a desk reads when it is started again.
        let desk = Desk::start(&night, &log, &flags);
        let known = items(&desk.state("asha"));
        for item in &told {
            assert!(
                known.iter().any(|i| id(i) == **item && i["mine"] == "same"),
                "killed at {at}: {item} was confirmed"
            );
        }
        drop(desk);
        if told.len() == asked.len() {
            assert_eq!(lines(&log).len(), asked.len());
            break;
        }
        kills += 1;
    }
    println!("review: killed at {kills} operations");
    assert!(kills >= 6);
}
