//! The queue of calls: whom it shows, what is written down, and that other commands read it as it is.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::client::{Desk, id, items, lines, nonce, runs};
use crate::util::{Place, chehra, fixture, run};

/// A sample of the first night, and the rows of its `callers.csv`.
fn sample(place: &Place, calls: &str) -> (PathBuf, Vec<Vec<String>>) {
    let out = place.path("list.sample");
    let mut command = chehra();
    command.arg("sample").arg(runs().join("one")).args(["--calls", calls, "--seed", "7", "--out"]).arg(&out);
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let mut reader = csv::Reader::from_path(out.join("callers.csv")).unwrap();
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    (out, rows)
}

fn start(place: &Place, sample: &Path) -> Desk {
    let flags = ["--calls", sample.to_str().unwrap(), "--call-log", place.path("calls.jsonl").to_str().unwrap()]
        .map(str::to_owned);
    Desk::start(&runs().join("one"), &place.path("d.jsonl"), &flags.each_ref().map(String::as_str))
}

fn state(desk: &Desk, caller: &str) -> Value {
    desk.get(&format!("calls/state?reviewer={caller}")).json()
}

fn view(desk: &Desk, caller: &str, item: &str) -> Value {
    desk.get(&format!("calls/item/{item}?reviewer={caller}")).json()
}

fn given(caller: &str, item: &str, answer: &str) -> Value {
    json!({ "reviewer": caller, "nonce": nonce(), "item": item, "answer": answer,
            "in_person": true, "live": null, "first_time": false })
}

fn answer(desk: &Desk, caller: &str, item: &str, answer: &str) -> Value {
    desk.post("calls/answer", &given(caller, item, answer)).json()
}

fn find(state: &Value, item: &str) -> Value {
    items(state).into_iter().find(|i| i["id"] == item).unwrap()
}

fn json_of(command: &mut std::process::Command) -> Value {
    let (code, stdout, stderr) = run(command.arg("--json"));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn the_members_of_a_sample_are_shown_in_its_order_without_verdict_and_number() {
    let place = Place::new();
    let (sample, list) = sample(&place, "20");
    let desk = start(&place, &sample);
    assert_eq!(desk.get("desk").json()["calls"], 20);
    for page in ["calls", "calls.js", "common.js"] {
        assert_eq!(desk.get(page).status, 200, "{page}");
    }
    let before = state(&desk, "asha");
    assert_eq!((&before["total"], &before["left"], &before["channel"]), (&json!(20), &json!(20), &json!("call")));
    let mut faces = 0;
    for (item, row) in items(&before).iter().zip(&list) {
        let view = view(&desk, "asha", &id(item));
        assert_eq!(view["submission"], row[1], "the order of the list");
        let mut keys: Vec<&String> = view.as_object().unwrap().keys().collect();
        keys.sort();
        let expected = [
            "booth_id",
            "captured_at",
            "district",
            "epic",
            "has_face",
            "id",
            "member_name",
            "missing",
            "mobile",
            "picture",
            "submission",
            "worker",
        ];
        assert_eq!(keys, expected, "no verdict and no reason");
        if row[3].len() == 10 {
            assert_eq!(view["mobile"], format!("•••••••{}", &row[3][7..]));
        }
        let face = desk.get(&format!("calls/picture/{}/face", id(item)));
        assert_eq!(face.status, if view["has_face"] == true { 200 } else { 404 });
        faces += usize::from(view["has_face"] == true && view["picture"]["face"].is_array());
        if view["missing"].is_null() {
            assert_eq!(view["picture"]["faces"], json!([]), "what the audit found is not for callers");
            let whole = desk.get(&format!("calls/picture/{}/whole", id(item)));
            assert_eq!((whole.status, whole.header("content-type")), (200, Some("image/jpeg")));
        }
    }
    assert!(faces >= 10, "members' faces are framed: {faces}");

    // A number is shown to whoever asks for it, and the log says so before it is.
    let at = list.iter().position(|row| row[3].len() == 10).unwrap();
    let item = id(&items(&before)[at]);
    let wanted = json!({ "reviewer": "asha", "nonce": nonce(), "item": item });
    assert_eq!(desk.post("calls/number", &wanted).json()["number"], list[at][3]);
    let log = place.path("calls.jsonl");
    let shown = lines(&log);
    assert_eq!((shown.len(), &shown[0]["event"], &shown[0]["caller"]), (1, &json!("number_shown"), &json!("asha")));
    assert_eq!(shown[0]["submission"], list[at][1]);
    assert!(!std::fs::read_to_string(&log).unwrap().contains(&list[at][3]), "the number itself is not kept");
    assert_eq!(desk.post("calls/number", &json!({ "reviewer": "asha", "nonce": nonce(), "item": "0000" })).status, 404);
    assert_eq!(desk.get("calls/number").status, 404, "only a request with the page's own origin");
}

#[test]
fn answers_outlive_a_kill_and_are_read_by_audit_and_assurance_as_they_are() {
    let place = Place::new();
    let (sample, list) = sample(&place, "12");
    let log = place.path("calls.jsonl");
    let mut desk = start(&place, &sample);
    let all: Vec<String> = items(&state(&desk, "asha")).iter().map(id).collect();
    let said = ["confirmed", "denied", "wrong_data", "undelivered", "silent"];
    for (round, (item, said)) in all.iter().zip(said).enumerate() {
        let sent = given("asha", item, said);
        let told = desk.post("calls/answer", &sent);
        desk.kill();
        assert_eq!(told.json()["changed"], **item);
        desk = start(&place, &sample);
        // Sent again, because the first answer was lost: it counts once.
        assert_eq!(find(&desk.post("calls/answer", &sent).json(), item)["mine"], said);
        assert_eq!(lines(&log).len(), round + 1);
    }
    let spoken = &lines(&log)[0];
    assert_eq!((&spoken["in_person"], &spoken["first_time"], spoken.get("live")), (&json!(true), &json!(false), None));
    assert!(lines(&log)[3..].iter().all(|line| line.get("in_person").is_none()), "nobody spoke, nobody said anything");
    // A member who was silent comes back, but not at once.
    let silent = find(&state(&desk, "ravi"), &all[4]);
    assert_eq!((&silent["open"], &silent["silent"]), (&json!(false), &json!(1)));
    assert!(silent["again_at"].is_string() && state(&desk, "ravi")["later"] == 1, "{silent}");

    // The wrong key: taken back, and answered anew, with words.
    answer(&desk, "asha", &all[5], "denied");
    let undone = desk.post("calls/undo", &json!({ "reviewer": "asha", "nonce": nonce() })).json();
    assert_eq!((&undone["changed"], &find(&undone, &all[5])["open"]), (&json!(all[5]), &json!(true)));
    let mut with_note = given("asha", &all[5], "confirmed");
    with_note["note"] = json!("  बाद में \"कॉल\" करें  ");
    assert_eq!(find(&desk.post("calls/answer", &with_note).json(), &all[5])["note"], "बाद में \"कॉल\" करें");
    // Two callers who write the opposite.
    answer(&desk, "asha", &all[6], "confirmed");
    let other = answer(&desk, "ravi", &all[6], "denied");
    assert_eq!(find(&other, &all[6])["by"], json!([["asha", "confirmed"]]));
    let nobody = desk.post("calls/undo", &json!({ "reviewer": "meera", "nonce": nonce() }));
    assert_eq!(nobody.status, 409, "nothing of hers to take back");
    desk.kill();

    let found = json_of(chehra().arg("assurance").arg(&sample).arg("--responses").arg(&log));
    assert_eq!((&found["replies_used"], &found["replies_refused"]), (&json!(6), &json!({ "contradicting": 2 })));
    let out = place.path("answered");
    let mut audit = chehra();
    audit.args(["audit", "-q", "--no-report", "--out"]).arg(&out).arg(fixture("night")).arg("--responses").arg(&log);
    let (code, _, stderr) = run(&mut audit);
    assert_eq!(code, 0, "{stderr}");
    let record: Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    let expected = json!({ "confirmed": 2, "denied": 1, "silent": 1, "undelivered": 1, "wrong_data": 1 });
    assert_eq!((&record["replies"]["used"], &record["replies"]["tonight"]), (&expected, &json!(6)));
    // Who was silent is who a second sample is drawn from, and the desk goes there as it went to the first.
    let second = place.path("second.sample");
    let mut draw = chehra();
    draw.arg("sample").arg(runs().join("one")).args(["--silent-share", "0.99999", "--silent-of"]).arg(&sample);
    assert_eq!(json_of(draw.arg("--responses").arg(&log).arg("--out").arg(&second))["members"], 2);
    let desk = start(&place, &second);
    assert_eq!(state(&desk, "asha")["channel"], "visit");
    let visited = items(&state(&desk, "asha"));
    assert!(visited.iter().all(|item| item["open"] == true && item.get("mine").is_none()), "{visited:?}");
    answer(&desk, "asha", &id(&visited[0]), "denied");
    assert_eq!(lines(&log).last().unwrap()["channel"], "visit");
    assert_eq!(list.len(), 12);
}

#[test]
fn a_member_whom_one_calls_is_not_offered_to_another() {
    let place = Place::new();
    let (sample, _) = sample(&place, "4");
    let desk = start(&place, &sample);
    let first = id(&items(&state(&desk, "asha"))[0]);
    view(&desk, "asha", &first);
    assert_eq!(find(&state(&desk, "ravi"), &first)["held"], true);
    assert_eq!(find(&state(&desk, "asha"), &first).get("held"), None);
    answer(&desk, "asha", &first, "confirmed");
    assert_eq!(
        find(&state(&desk, "ravi"), &first),
        json!({ "id": first, "open": false, "by": [["asha", "confirmed"]] })
    );
}

#[test]
fn a_list_that_was_changed_is_not_called_from() {
    let place = Place::new();
    let (sample, _) = sample(&place, "5");
    let record = std::fs::read_to_string(sample.join("sample.json")).unwrap();
    std::fs::write(sample.join("sample.json"), record.replace("\"seed\": \"7\"", "\"seed\": \"8\"")).unwrap();
    let review = |flags: &[&str]| {
        let mut command = chehra();
        command.arg("review").arg(runs().join("one")).arg("--decisions").arg(place.path("d.jsonl")).args(flags);
        run(&mut command)
    };
    let (code, _, stderr) = review(&["--calls", sample.to_str().unwrap()]);
    assert!(code == 65 && stderr.contains("a seed that draws another list"), "{code} {stderr}");
    let (code, _, stderr) = review(&["--call-log", "calls.jsonl"]);
    assert!(code == 64 && stderr.contains("--calls"), "{code} {stderr}");
    std::fs::write(sample.join("sample.json"), record).unwrap();
    let inside = runs().join("one").join("calls.jsonl");
    let (code, _, stderr) = review(&["--calls", sample.to_str().unwrap(), "--call-log", inside.to_str().unwrap()]);
    assert!(code == 64 && stderr.contains("--call-log"), "{code} {stderr}");
    // Without a sample there is no queue of calls.
    let desk = Desk::start(&runs().join("one"), &place.path("d.jsonl"), &[]);
    assert_eq!((desk.get("desk").json()["calls"].clone(), desk.get("calls").status), (Value::Null, 404));
    assert_eq!(desk.get("calls/state?reviewer=asha").status, 404);
}

#[test]
fn the_desk_shows_what_may_be_promised_as_it_stands_now() {
    let place = Place::new();
    let (sample, _) = sample(&place, "20");
    let promise = place.path("promise");
    let assure = |replies: &[&Path]| {
        let mut command = chehra();
        command.arg("assurance").arg(&sample).arg("--out").arg(&promise);
        for file in replies {
            command.arg("--responses").arg(file);
        }
        let (code, _, stderr) = run(&mut command);
        assert_eq!(code, 0, "{stderr}");
    };
    assert_eq!(start(&place, &sample).get("promise").status, 404, "none was named");
    assure(&[]);
    let record = promise.join("assurance.json");
    let calls = place.path("calls.jsonl");
    let files = [("--calls", &sample), ("--call-log", &calls), ("--assurance", &record)];
    let flags: Vec<&str> = files.iter().flat_map(|(flag, path)| [*flag, path.to_str().unwrap()]).collect();
    let log = place.path("d.jsonl");
    let desk = Desk::start(&runs().join("one"), &log, &flags);
    assert_eq!(desk.get("desk").json()["promise"], true);
    let drive = |desk: &Desk| desk.get("promise").json()["promises"][0].clone();
    assert_eq!((&drive(&desk)["level"], &drive(&desk)["calls"]), (&json!("drive"), &json!(0)));
    let first = id(&items(&state(&desk, "asha"))[0]);
    answer(&desk, "asha", &first, "confirmed");
    assure(&[&calls]);
    assert!(desk.get("promise").json()["replies_used"] == 1, "read anew");
    std::fs::write(&record, "{").unwrap();
    let refused = desk.get("promise");
    assert_eq!(refused.status, 409);
    drop(desk);
    let mut command = chehra();
    command.arg("review").arg(runs().join("one")).args(flags);
    let (code, _, stderr) = run(&mut command);
    assert!(code == 65 && stderr.contains("assurance.json"), "{stderr}");
}
