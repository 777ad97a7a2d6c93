//! What reviewers see, decide and take back; two of them; known pairs; what is measured.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::client::{Desk, id, items, lines, nonce, runs};
use crate::util::{Place, batches, chehra, fixture, run};

fn find(state: &Value, item: &str) -> Value {
    items(state).into_iter().find(|i| i["id"] == item).unwrap_or_else(|| panic!("no item {item}"))
}

#[test]
fn a_pair_is_shown_decided_and_taken_back() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    let desk = Desk::start(&runs().join("two"), &log, &["--second-share", "0", "--seeded-share", "0"]);
    let before = desk.state("asha");
    let first = id(&items(&before)[0]);
    assert!(before["total"].as_u64().unwrap() >= 3 && before["left"] == before["total"]);

    let view = desk.view("asha", &first);
    assert_eq!(view["sides"][0]["earlier_night"], false);
    assert!(view["evidence"].as_array().unwrap().iter().any(|part| part[0] == "face"), "{view}");
    for (side, name) in [(0, "a"), (1, "b")] {
        let data = &view["sides"][side];
        assert_eq!(data["missing"], Value::Null, "{data}");
        assert!(data["picture"]["face"].is_array(), "{data}");
        let epic = data["epic"].as_str().unwrap();
        assert!(epic.starts_with("•••") && epic.chars().filter(|c| *c != '•').count() == 3, "{epic}");
        for kind in ["face", "whole"] {
            let picture = desk.get(&format!("picture/{first}/{name}/{kind}"));
            assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/jpeg")));
            assert!(picture.body.starts_with(&[0xff, 0xd8]));
        }
    }
    // Of an earlier night: found through the run folder beside this one.
    let from_store =
        items(&before).iter().map(|i| desk.view("asha", &id(i))).find(|v| v["sides"][1]["earlier_night"] == true);
    let from_store = from_store.expect("a pair with an earlier night");
    assert_eq!(from_store["sides"][1]["missing"], Value::Null);

    // One answer sent twice counts once.
    let given = json!({ "reviewer": "asha", "nonce": nonce(), "item": first, "answer": "different",
                        "note": " scar on the left cheek ", "looked_ms": 1500 });
    let after = desk.post("decide", &given).json();
    assert_eq!(desk.post("decide", &given).json()["mine"], 1);
    let mine = find(&after, &first);
    assert_eq!(
        (&mine["mine"], &mine["note"], &mine["open"]),
        (&json!("different"), &json!("scar on the left cheek"), &json!(false))
    );
    assert_eq!(lines(&log).len(), 1);
    assert_eq!(lines(&log)[0]["looked_ms"], 1500);

    // A second thought replaces it, undo brings the first back, a second undo leaves it open.
    assert_eq!(find(&desk.decide("asha", &first, "same").json(), &first)["mine"], "same");
    let undone = desk.undo("asha").json();
    assert_eq!((&undone["changed"], &find(&undone, &first)["mine"]), (&json!(first), &json!("different")));
    let again = json!({ "reviewer": "asha", "nonce": nonce() });
    assert_eq!(find(&desk.post("undo", &again).json(), &first)["open"], true);
    assert_eq!(desk.post("undo", &again).status, 200, "an undo sent twice counts once");
    assert_eq!(desk.undo("asha").status, 409);
    assert_eq!(lines(&log).len(), 4, "undo is a line, never an edit");

    for (body, status) in [
        (json!({ "reviewer": "asha", "nonce": "short", "item": first, "answer": "same" }), 400),
        (json!({ "reviewer": "asha", "nonce": nonce(), "item": first, "answer": "maybe" }), 400),
        (json!({ "reviewer": "x".repeat(60), "nonce": nonce(), "item": first, "answer": "same" }), 400),
        (json!({ "reviewer": "asha", "nonce": nonce(), "item": "0123", "answer": "same" }), 404),
        (json!({ "reviewer": "asha", "nonce": nonce(), "item": first, "answer": "same", "extra": 1 }), 400),
    ] {
        assert_eq!(desk.post("decide", &body).status, status, "{body}");
    }
    assert_eq!(lines(&log).len(), 4);
}

#[test]
fn two_desks_on_one_log_see_each_other_but_for_blind_pairs() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    let flags = ["--second-share", "0.4", "--seeded-share", "0"];
    let one = Desk::start(&runs().join("one"), &log, &flags);
    let two = Desk::start(&runs().join("one"), &log, &flags);
    let all = items(&one.state("asha"));
    assert_eq!(all, items(&two.state("ravi")), "both are asked the same");
    for item in &all {
        assert_eq!(one.decide("asha", &id(item), "same").status, 200);
    }
    let blind: BTreeSet<String> = items(&two.state("ravi")).iter().filter(|i| i["open"] == true).map(id).collect();
    assert!(!blind.is_empty() && blind.len() < all.len(), "{} of {}", blind.len(), all.len());
    for item in items(&two.state("ravi")) {
        match blind.contains(&id(&item)) {
            true => assert_eq!(item, json!({ "id": id(&item), "open": true }), "nothing tells of the other answer"),
            false => assert_eq!(item["by"], json!([["asha", "same"]])),
        }
    }
    let asked: Vec<String> = blind.iter().cloned().collect();
    for (n, item) in asked.iter().enumerate() {
        assert_eq!(two.decide("ravi", item, if n == 0 { "different" } else { "same" }).status, 200);
    }
    let decided: BTreeSet<String> = all.iter().map(id).collect();
    // Where a dispute leaves the person in two, further pairs come up.
    for item in items(&one.state("asha")).into_iter().filter(|item| decided.contains(&id(item))) {
        let is_disputed = id(&item) == asked[0];
        let told = if is_disputed { json!([["ravi", "different"]]) } else { Value::Null };
        assert_eq!((&item["by"], &item["disputed"] == true), (&told, is_disputed), "{item}");
        assert_eq!(item["mine"], "same");
    }
    let left: Vec<Value> = items(&one.state("meera")).into_iter().filter(|item| item["open"] == true).collect();
    assert!(left.iter().any(|item| id(item) == asked[0]), "where two disagree a third one is asked");
    assert!(left.iter().all(|item| item["by"] == Value::Null || id(item) == asked[0]));

    let measure = |json: bool| {
        let mut command = chehra();
        command.arg("review").arg(runs().join("one")).arg("--measure").arg("--decisions").arg(&log);
        let (code, stdout, stderr) = run(if json { command.arg("--json") } else { &mut command });
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    let measured: Value = serde_json::from_str(&measure(true)).unwrap();
    assert_eq!(measured["seen_twice"], asked.len());
    assert_eq!(measured["disputed"], 1);
    let pair = &measured["agreement"][0];
    assert_eq!(
        (&pair["a"], &pair["b"], &pair["agree"]["count"]),
        (&json!("asha"), &json!("ravi"), &json!(asked.len() - 1))
    );
    assert_eq!(measured["reviewers"][0]["answers"], json!([all.len(), 0, 0]));
    let text = measure(false);
    assert!(text.contains("asha and ravi: agree on") && text.contains("none asked"), "{text}");
}

#[test]
fn a_pair_that_one_looks_at_is_not_offered_to_another() {
    let place = Place::new();
    let desk =
        Desk::start(&runs().join("one"), &place.path("d.jsonl"), &["--second-share", "0", "--seeded-share", "0"]);
    let first = id(&items(&desk.state("asha"))[0]);
    desk.view("asha", &first);
    assert_eq!(find(&desk.state("ravi"), &first)["held"], true);
    assert_eq!(find(&desk.state("asha"), &first).get("held"), None);
    // Nobody is kept from deciding, and who decides differently leaves the pair open for talk.
    desk.decide("ravi", &first, "different").json();
    let state = desk.decide("asha", &first, "same").json();
    assert_eq!(find(&state, &first)["by"], json!([["ravi", "different"]]));
    assert_eq!(find(&state, &first)["mine"], "same");
}

#[test]
fn known_pairs_are_mixed_in_unmarked_and_measured() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    let flags = ["--second-share", "0", "--seeded-share", "1"];
    let desk = Desk::start(&runs().join("one"), &log, &flags);
    let plain =
        Desk::start(&runs().join("one"), &place.path("other.jsonl"), &["--second-share", "0", "--seeded-share", "0"]);
    let real: BTreeSet<String> = items(&plain.state("asha")).iter().map(id).collect();
    let all = items(&desk.state("asha"));
    let known: Vec<String> = all.iter().map(id).filter(|id| !real.contains(id)).collect();
    assert_eq!(known.len(), 2, "one worker pair of each kind in so small a night: {known:?}");
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let real_view = desk.view("asha", real.iter().next().unwrap());
    for item in &known {
        let view = desk.view("asha", item);
        assert_eq!(keys(&view), keys(&real_view), "nothing marks it");
        assert_eq!(keys(&view["sides"][0]), keys(&real_view["sides"][0]));
        assert_eq!(view["sides"][0]["has_face"], true);
        for side in ["a", "b"] {
            assert_eq!(desk.get(&format!("picture/{item}/{side}/face")).status, 200);
        }
        assert_eq!(desk.decide("asha", item, "same").status, 200);
        let other = desk.state("ravi");
        assert_eq!(find(&other, item), json!({ "id": item, "open": true }), "every reviewer is measured");
    }
    let truths: BTreeSet<String> = lines(&log).iter().map(|l| l["truth"].as_str().unwrap().to_owned()).collect();
    assert_eq!(truths, BTreeSet::from(["different".into(), "same".into()]));
    assert!(lines(&log).iter().all(|line| line["why"] == "seed" && line["basis"].is_string()));

    let (code, stdout, stderr) =
        run(chehra().arg("review").arg(runs().join("one")).args(["--measure", "--json", "--decisions"]).arg(&log));
    assert_eq!(code, 0, "{stderr}");
    let measured: Value = serde_json::from_str(&stdout).unwrap();
    let asha = &measured["reviewers"][0];
    assert_eq!((&asha["called_same"]["count"], &asha["called_same"]["of"]), (&json!(1), &json!(1)));
    assert_eq!((&asha["called_different"]["count"], &asha["called_different"]["of"]), (&json!(0), &json!(1)));
    assert_eq!((&asha["decisions"], &measured["pairs"]), (&json!(0), &json!(0)), "known pairs decide nothing");
    let low = asha["called_same"]["interval"][0].as_f64().unwrap();
    assert!((low - 0.206549).abs() < 1e-5, "Wilson, 1 of 1: {low}");
}

#[test]
fn decisions_and_their_history_are_exported() {
    let place = Place::new();
    let (log, out) = (place.path("d.jsonl"), place.path("decisions.parquet"));
    let desk = Desk::start(&runs().join("one"), &log, &["--second-share", "0", "--seeded-share", "0"]);
    let first = id(&items(&desk.state("asha"))[0]);
    desk.decide("asha", &first, "same").json();
    desk.decide("asha", &first, "different").json();
    desk.undo("asha").json();
    let mut command = chehra();
    command.arg("review").arg(runs().join("one")).arg("--decisions").arg(&log).arg("--export").arg(&out);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("3 rows"), "{stdout}");
    let sheet = place.path("decisions.csv");
    let mut command = chehra();
    command.arg("review").arg(runs().join("one")).arg("--decisions").arg(&log).arg("--export").arg(&sheet);
    assert_eq!(run(&mut command).0, 0);
    let written = std::fs::read_to_string(&sheet).unwrap();
    assert!(written.starts_with("\u{feff}at,reviewer,event,") && written.lines().count() == 4, "CSV: {written}");
    let batches = batches(&out);
    let text = |name: &str| -> Vec<Option<String>> {
        use arrow::array::AsArray;
        let column = batches[0].column_by_name(name).unwrap();
        column.as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect()
    };
    let some = |words: [&str; 3]| words.map(|w| (!w.is_empty()).then(|| w.to_owned())).to_vec();
    assert_eq!(text("event"), some(["decide", "decide", "undo"]));
    assert_eq!(text("answer"), some(["same", "different", ""]));
    assert_eq!(text("pair_decision"), some(["same", "same", ""]));
    assert_eq!(text("undoes")[2], text("id")[1]);
    let stands = {
        use arrow::array::AsArray;
        batches[0].column_by_name("stands").unwrap().as_boolean().iter().collect::<Vec<_>>()
    };
    assert_eq!(stands, [Some(true), Some(false), None]);
    let (code, _, stderr) =
        run(chehra().arg("review").arg(runs().join("one")).args(["--measure", "--decisions", "no-such.jsonl"]));
    assert_eq!(code, 65, "{stderr}");
}

#[test]
fn without_the_dump_the_desk_says_what_is_missing() {
    let place = Place::new();
    let dump = place.path("dump");
    std::fs::create_dir(&dump).unwrap();
    for entry in std::fs::read_dir(fixture("night2")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dump.join(path.file_name().unwrap())).unwrap();
    }
    let out = place.path("night");
    assert_eq!(run(chehra().args(["audit", "-q", "--out"]).arg(&out).arg(&dump)).0, 0);
    let elsewhere = place.path("archive");
    std::fs::rename(&dump, &elsewhere).unwrap();
    let flags = ["--second-share", "0"];
    let desk = Desk::start(&out, &place.path("d.jsonl"), &flags);
    assert!(desk.get("desk").json()["without_dump"].as_str().unwrap().contains("submissions-0.parquet"));
    let first = id(&items(&desk.state("asha"))[0]);
    assert_eq!(desk.view("asha", &first)["sides"][0]["missing"], "dump");
    assert_eq!(desk.get(&format!("picture/{first}/a/face")).status, 404);
    assert_eq!(desk.decide("asha", &first, "not_sure").status, 200, "the record alone may do");
    drop(desk);
    // Moved, and named.
    let named = |path: &Path| {
        Desk::start(&out, &place.path("d.jsonl"), &["--second-share", "0", "--dump", path.to_str().unwrap()])
    };
    let desk = named(&elsewhere);
    assert_eq!(desk.get("desk").json()["without_dump"], Value::Null);
    assert_eq!(desk.view("asha", &first)["sides"][0]["missing"], Value::Null);
    drop(desk);
    // Another dump than the one that was audited is not taken for it.
    let desk = named(&fixture("night"));
    assert_eq!(desk.view("asha", &first)["sides"][0]["missing"], "dump");
}

#[test]
fn the_only_reviewer_is_the_one_named() {
    let place = Place::new();
    let desk = Desk::start(&runs().join("one"), &place.path("d.jsonl"), &["--reviewer", "Asha Rao", "--quiet"]);
    assert_eq!(desk.get("desk").json()["reviewer"], "Asha Rao");
    assert_eq!(desk.get("state?reviewer=Asha%20Rao").status, 200);
    assert_eq!(desk.get("state?reviewer=Ravi").status, 400);
}
