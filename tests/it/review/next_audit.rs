//! Decisions flow into the next audit.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use serde_json::Value;

use super::client::{Desk, id, items, nonce, runs};
use crate::util::{Place, chehra, fixture, run, table};

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap();
    column.as_string::<i32>().iter().map(|cell| cell.unwrap_or_default().to_owned()).collect()
}

fn lists(batch: &RecordBatch, name: &str) -> Vec<BTreeSet<String>> {
    let column = batch.column_by_name(name).unwrap().as_list::<i32>().clone();
    let set = |row: usize| column.value(row).as_string::<i32>().iter().map(|s| s.unwrap().to_owned()).collect();
    (0..column.len()).map(set).collect()
}

fn record(out: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap()
}

/// Audits the sample night anew, with decisions.
fn audit(place: &Place, name: &str, flags: &[&Path]) -> std::path::PathBuf {
    let out = place.path(name);
    let mut command = chehra();
    command.args(["audit", "-q", "--out"]).arg(&out).arg(fixture("night"));
    for path in flags {
        command.arg("--decisions").arg(path);
    }
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    out
}

#[test]
fn what_was_told_apart_is_no_longer_flagged_and_what_was_confirmed_stays() {
    let place = Place::new();
    let log = place.path("logs/night.decisions.jsonl");
    std::fs::create_dir(place.path("logs")).unwrap();
    let plain = audit(&place, "plain", &[]);
    let desk = Desk::start(&plain, &log, &["--second-share", "0", "--seeded-share", "0"]);
    // Of the first person, the first membership is told apart from every other; another pair is confirmed.
    let person = lists(&table(&[plain.join("clusters.parquet")]), "submissions")
        .into_iter()
        .find(|s| s.contains("N1-001"))
        .unwrap();
    let sides = |view: &Value| [0, 1].map(|k| view["sides"][k]["submission"].as_str().unwrap().to_owned());
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let (mut cleared, mut confirmed, mut open) = (BTreeSet::new(), None, None);
    while let Some(item) = items(&desk.state("asha")).into_iter().find(|i| i["open"] == true && !asked.contains(&id(i)))
    {
        asked.insert(id(&item));
        let pair = sides(&desk.view("asha", &id(&item)));
        let answer = match () {
            () if !pair.iter().all(|s| person.contains(s)) => continue,
            () if pair.contains(&"N1-001".to_owned()) => "different",
            () if confirmed.is_none() => "same",
            () if open.is_none() => "not_sure",
            () => continue,
        };
        assert_eq!(desk.decide("asha", &id(&item), answer).status, 200);
        if answer == "different" {
            cleared.insert(pair);
        } else if answer == "same" {
            confirmed = Some(pair);
        } else {
            open = Some(pair);
        }
    }
    let (confirmed, open) = (confirmed.unwrap(), open.unwrap());
    assert!(cleared.len() >= 2, "{cleared:?}");
    drop(desk);

    let out = audit(&place, "reviewed", &[&log]);
    let pairs = table(&[out.join("pairs.parquet")]);
    let (a, b, decision) = (texts(&pairs, "submission_a"), texts(&pairs, "submission_b"), texts(&pairs, "decision"));
    let word = |pair: &[String; 2]| {
        let at =
            (0..a.len()).find(|&i| [&a[i], &b[i]] == [&pair[0], &pair[1]] || [&b[i], &a[i]] == [&pair[0], &pair[1]]);
        decision[at.unwrap_or_else(|| panic!("{pair:?} is gone"))].clone()
    };
    assert!(cleared.iter().all(|pair| word(pair) == "cleared"), "kept with its note");
    assert_eq!((word(&confirmed).as_str(), word(&open).as_str()), ("confirmed", "not_sure"));
    assert_eq!(decision.iter().filter(|d| !d.is_empty()).count(), cleared.len() + 2);

    // The one that was told apart from all of its person is a person of its own, and its row says why.
    let clusters = lists(&table(&[out.join("clusters.parquet")]), "submissions");
    for pair in &cleared {
        assert!(clusters.iter().all(|c| !pair.iter().all(|s| c.contains(s))), "{pair:?} in one cluster");
    }
    assert!(clusters.iter().any(|c| confirmed.iter().all(|s| c.contains(s))));
    let verdicts = table(&[out.join("verdicts.parquet")]);
    let details = texts(&verdicts, "detail");
    let row = texts(&verdicts, "submission_id").iter().position(|id| id == "N1-001").unwrap();
    assert!(details[row].contains("cleared by review as another person"), "{}", details[row]);
    assert!(details.iter().any(|d| d.contains("confirmed by review as the same person")));
    let reasons = lists(&verdicts, "reasons");
    let was = lists(&table(&[plain.join("verdicts.parquet")]), "reasons");
    assert_eq!(reasons.len(), was.len());

    let run = record(&out);
    assert_eq!(run["decisions"]["cleared"], cleared.len());
    assert_eq!((run["decisions"]["confirmed"].as_u64(), run["decisions"]["not_sure"].as_u64()), (Some(1), Some(1)));
    assert_eq!(run["decisions"]["files"][0]["sha256"].as_str().unwrap().len(), 64);
    assert_ne!(run["run_id"], record(&plain)["run_id"], "decisions are part of the run's key");
    assert_eq!(record(&plain)["decisions"], Value::Null);

    // A folder of logs, and the same log twice, come to the same tables.
    for (name, flags) in [("folder", vec![place.path("logs")]), ("twice", vec![log.clone(), place.path("logs")])] {
        let flags: Vec<&Path> = flags.iter().map(std::path::PathBuf::as_path).collect();
        let again = audit(&place, name, &flags);
        for table in ["pairs.parquet", "clusters.parquet", "review.parquet"] {
            assert!(
                std::fs::read(out.join(table)).unwrap() == std::fs::read(again.join(table)).unwrap(),
                "{name}/{table}"
            );
        }
    }
}

#[test]
fn a_pair_of_two_that_was_cleared_is_flagged_no_more() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    let desk = Desk::start(&runs().join("two"), &log, &["--second-share", "0", "--seeded-share", "0"]);
    // N2-000 and N2-005 are a person of two: told apart, neither is a duplicate of the other.
    let of_two = |view: &Value| {
        let ids = [0, 1].map(|k| view["sides"][k]["submission"].as_str().unwrap().to_owned());
        BTreeSet::from(ids) == BTreeSet::from(["N2-000".to_owned(), "N2-005".to_owned()])
    };
    let item = items(&desk.state("asha")).iter().map(id).find(|id| of_two(&desk.view("asha", id))).unwrap();
    let given = serde_json::json!({ "reviewer": "asha", "nonce": nonce(), "item": item, "answer": "different" });
    assert_eq!(desk.post("decide", &given).status, 200);
    drop(desk);
    let audited = |name: &str, decisions: bool| {
        let out = place.path(name);
        let mut command = chehra();
        command.args(["audit", "-q", "--out"]).arg(&out).arg("--store").arg(runs().join("store"));
        if decisions {
            command.arg("--decisions").arg(&log);
        }
        let (code, _, stderr) = run(command.arg(fixture("night2")));
        assert_eq!(code, 0, "{stderr}");
        let verdicts = table(&[out.join("verdicts.parquet")]);
        let at = |id: &str| texts(&verdicts, "submission_id").iter().position(|i| i == id).unwrap();
        let reasons = lists(&verdicts, "reasons");
        let both = reasons[at("N2-000")].union(&reasons[at("N2-005")]).cloned().collect::<BTreeSet<_>>();
        (
            both,
            lists(&table(&[out.join("clusters.parquet")]), "submissions").len(),
            table(&[out.join("review.parquet")]).num_rows(),
        )
    };
    let (before, clusters, queue) = audited("before", false);
    let (after, clusters_after, queue_after) = audited("after", true);
    assert!(before.contains("duplicate_member") && !after.contains("duplicate_member"), "{before:?} {after:?}");
    assert_eq!((clusters - 1, queue - 1), (clusters_after, queue_after));
}

#[test]
fn a_damaged_log_is_refused_before_any_work() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    std::fs::write(&log, "{\"v\":1}\n{\"v\":1}\n").unwrap();
    let mut command = chehra();
    command.args(["audit", "--out"]).arg(place.path("out")).arg("--decisions").arg(&log);
    let (code, _, stderr) = run(command.arg(fixture("night2")));
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("line 1") && place.list() == ["d.jsonl"], "{stderr}");
    let mut command = chehra();
    command.args(["audit", "--out"]).arg(place.path("out")).arg("--decisions").arg(place.path("none.jsonl"));
    assert_eq!(run(command.arg(fixture("night2"))).0, 65);
}
