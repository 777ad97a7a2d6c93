//! Rows in review or rejected: looked at, decided, passed on, appealed against; and what the next audit makes of it.

use std::path::{Path, PathBuf};

use arrow::array::Array;
use arrow::util::display::array_value_to_string;
use serde_json::{Value, json};

use super::client::{Answer, Desk, id, items, lines, nonce, runs};
use crate::util::{Place, batches, chehra, fixture, run};

const QUEUES: [&str; 7] = ["liveness", "worker", "copy", "photo", "facts", "appeals", "disputes"];

fn state(desk: &Desk, reviewer: &str, queue: &str) -> Value {
    desk.get(&format!("rows/state?reviewer={reviewer}&queue={queue}")).json()
}

fn view(desk: &Desk, reviewer: &str, item: &str) -> Value {
    desk.get(&format!("rows/item/{item}?reviewer={reviewer}")).json()
}

fn decide(desk: &Desk, reviewer: &str, item: &str, answer: &str, queue: &str) -> Answer {
    let given = json!({ "reviewer": reviewer, "nonce": nonce(), "item": item, "answer": answer, "queue": queue });
    desk.post("rows/decide", &given)
}

fn find(state: &Value, item: &str) -> Value {
    items(state).into_iter().find(|i| i["id"] == item).unwrap_or_else(|| panic!("no item {item}"))
}

/// The rows of a run: submission, verdict, reasons, decision, detail.
fn verdicts(run: &Path) -> Vec<Value> {
    let mut rows = Vec::new();
    for batch in batches(&run.join("verdicts.parquet")) {
        let columns = ["submission_id", "verdict", "reasons", "decision", "detail", "cluster_id"];
        let cell = |name: &str, at: usize| {
            let column = batch.column_by_name(name).unwrap();
            column.is_valid(at).then(|| array_value_to_string(column, at).unwrap())
        };
        for at in 0..batch.num_rows() {
            let fields = columns.iter().map(|name| ((*name).to_owned(), json!(cell(name, at))));
            rows.push(Value::Object(fields.collect()));
        }
    }
    rows
}

fn row(rows: &[Value], submission: &str) -> Value {
    rows.iter().find(|row| row["submission_id"] == submission).cloned().unwrap_or_else(|| panic!("no {submission}"))
}

fn audit(place: &Place, name: &str, log: &Path) -> PathBuf {
    let out = place.path(name);
    let mut command = chehra();
    command.args(["audit", "-q", "--out"]).arg(&out).arg("--decisions").arg(log).arg(fixture("night"));
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    out
}

#[test]
fn every_row_in_review_or_rejected_has_a_queue_or_a_pair() {
    let place = Place::new();
    let desk =
        Desk::start(&runs().join("one"), &place.path("d.jsonl"), &["--second-share", "0", "--seeded-share", "0"]);
    let mut queued: Vec<(String, String)> = Vec::new();
    for queue in QUEUES {
        for item in items(&state(&desk, "asha", queue)) {
            let view = view(&desk, "asha", &id(&item));
            assert_eq!(view["missing"], Value::Null, "{view}");
            assert!(view["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()), "{view}");
            let picture = desk.get(&format!("rows/picture/{}/whole", id(&item)));
            assert_eq!(picture.header("content-type"), Some("image/jpeg"));
            if view["selfies"].as_array().is_some_and(|selfies| !selfies.is_empty()) {
                assert_eq!(desk.get(&format!("rows/picture/{}/worker/0", id(&item))).status, 200);
            }
            queued.push((view["submission"].as_str().unwrap().to_owned(), queue.to_owned()));
        }
    }
    let flagged: Vec<Value> = verdicts(&runs().join("one"))
        .into_iter()
        .filter(|row| row["verdict"] == "review" || row["verdict"] == "reject")
        .filter(|row| row["reasons"] != "[duplicate_member]")
        .collect();
    assert!(flagged.len() >= 5, "the sample night has such rows: {}", flagged.len());
    for row in &flagged {
        let times = queued.iter().filter(|(submission, _)| row["submission_id"] == *submission).count();
        assert_eq!(times, 1, "{row} stands in one queue: {queued:?}");
    }
    assert_eq!(queued.len(), flagged.len());
}

#[test]
fn what_is_decided_about_rows_stands_in_the_next_audit() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    let plain = runs().join("one");
    let desk = Desk::start(&plain, &log, &["--second-share", "0", "--seeded-share", "0"]);
    let all: Vec<(String, String, Value)> = QUEUES
        .iter()
        .flat_map(|queue| items(&state(&desk, "asha", queue)).into_iter().map(move |item| (queue, item)))
        .map(|(queue, item)| ((*queue).to_owned(), id(&item), view(&desk, "asha", &id(&item))))
        .collect();
    let submission = |view: &Value| view["submission"].as_str().unwrap().to_owned();
    // A picture of a picture that was none, another row upheld, a third to be taken again, a fourth passed on.
    let overturned = all.iter().find(|(queue, _, _)| queue == "liveness").expect("a row about liveness");
    let mut others = all.iter().filter(|(_, item, _)| *item != overturned.1);
    let (upheld, retaken, passed) = (others.next().unwrap(), others.next().unwrap(), others.next().unwrap());
    for ((queue, item, _), answer) in
        [(overturned, "overturn"), (upheld, "uphold"), (retaken, "retake"), (passed, "pass")]
    {
        let after = decide(&desk, "asha", item, answer, queue).json();
        assert_eq!((&find(&after, item)["mine"], &find(&after, item)["open"]), (&json!(answer), &json!(false)));
    }
    // Passed on: open for everybody else.
    assert_eq!(find(&state(&desk, "ravi", &passed.0), &passed.1)["open"], true);
    // Undo is of rows here; the pairs' undo has nothing to take back.
    assert_eq!(desk.undo("asha").status, 409);
    let undone = desk.post("rows/undo", &json!({ "reviewer": "asha", "nonce": nonce(), "queue": passed.0 })).json();
    assert_eq!((&undone["changed"], &find(&undone, &passed.1)["open"]), (&json!(passed.1), &json!(true)));
    drop(desk);

    let before = verdicts(&plain);
    let after = verdicts(&audit(&place, "decided", &log));
    let now = |view: &(String, String, Value)| row(&after, &submission(&view.2));
    let was = |view: &(String, String, Value)| row(&before, &submission(&view.2));
    assert_eq!(now(overturned)["decision"], "overturned");
    let (old, new) = (was(overturned)["reasons"].to_string(), now(overturned)["reasons"].to_string());
    assert!(old.contains("photo_of_photo") && !new.contains("photo_of_photo"), "{old} -> {new}");
    assert_eq!((&now(upheld)["decision"], &now(upheld)["verdict"]), (&json!("upheld"), &json!("reject")));
    assert_eq!((&now(retaken)["decision"], &now(retaken)["verdict"]), (&json!("retake"), &json!("retake")));
    assert_eq!(now(passed)["decision"], Value::Null);
    let record: Value =
        serde_json::from_slice(&std::fs::read(place.path("decided").join("run.json")).unwrap()).unwrap();
    let counts = &record["decisions"]["rows"];
    assert_eq!([&counts["upheld"], &counts["overturned"], &counts["retake"]], [1, 1, 1]);
    // Why verdicts moved is known.
    let mut command = chehra();
    command.args(["report", "--json", "--diff"]).arg(&plain).arg(place.path("decided"));
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("decisions") && !stdout.contains("unknown"), "{stdout}");

    let (code, stdout, stderr) = run(chehra().args(["review", "--measure"]).arg(&plain).arg("--decisions").arg(&log));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("1 upheld, 1 overturned, 1 to be taken again"), "{stdout}");
    let sheet = place.path("d.csv");
    let (code, _, stderr) =
        run(chehra().args(["review", "--export"]).arg(&sheet).arg(&plain).arg("--decisions").arg(&log));
    assert_eq!(code, 0, "{stderr}");
    let text = std::fs::read_to_string(&sheet).unwrap();
    assert!(text.contains("decide_row") && text.contains("overturned"), "{text}");
}

#[test]
fn an_appeal_is_decided_by_somebody_else_and_the_letter_says_so() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    let plain = runs().join("one");
    let desk = Desk::start(&plain, &log, &["--second-share", "0", "--seeded-share", "0"]);
    let rejected = verdicts(&plain).into_iter().find(|row| row["verdict"] == "reject").expect("a rejected row");
    let submission = rejected["submission_id"].as_str().unwrap().to_owned();
    let item = desk.get(&format!("rows/find?reviewer=asha&submission={submission}")).json();
    let item = item["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.get("rows/find?reviewer=asha&submission=nobody").status, 404);
    let accepted = verdicts(&plain).into_iter().find(|row| row["verdict"] == "accept").unwrap();
    let path = format!("rows/find?reviewer=asha&submission={}", accepted["submission_id"].as_str().unwrap());
    let accepted = desk.get(&path).json()["id"].as_str().unwrap().to_owned();
    let appeal = |item: &str, text: &str| json!({ "reviewer": "asha", "nonce": nonce(), "item": item, "text": text, "queue": "appeals" });
    assert_eq!(desk.post("rows/appeal", &appeal(&accepted, "why?")).status, 400, "nothing to appeal against");
    assert_eq!(desk.post("rows/appeal", &appeal(&item, "  ")).status, 400);
    let filed = desk.post("rows/appeal", &appeal(&item, "I stood there myself.")).json();
    assert_eq!(find(&filed, &item)["open"], false, "who files an appeal does not decide it");
    assert_eq!(decide(&desk, "asha", &item, "overturn", "appeals").status, 400);
    let letter = |language: &str| {
        let answer = desk.get(&format!("letter/{item}?language={language}"));
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        String::from_utf8(answer.body).unwrap()
    };
    assert!(letter("en").contains(&submission) && letter("en").contains("You have objected"));
    assert!(letter("hi").contains("आपने आपत्ति की है"));
    assert_eq!(desk.get(&format!("letter/{item}?language=xx")).status, 404);

    let seen = view(&desk, "ravi", &item);
    assert_eq!((&seen["appeal"]["text"], &seen["appeal"]["by"]), (&json!("I stood there myself."), &json!("asha")));
    assert_eq!(decide(&desk, "ravi", &item, "overturn", "appeals").status, 200);
    assert!(letter("en").contains("you are right"));
    drop(desk);
    // The log alone is enough: another desk knows of it.
    let desk = Desk::start(&plain, &log, &["--second-share", "0", "--seeded-share", "0"]);
    assert_eq!(items(&state(&desk, "meera", "appeals")).len(), 1);
    assert_eq!(state(&desk, "meera", "appeals")["left"], 0);
    let after = verdicts(&audit(&place, "granted", &log));
    let row = row(&after, &submission);
    assert_eq!(row["decision"], "appeal_granted", "{row}");
    // Now the member is compared, and may be found to be there twice: that is another matter.
    let (was, now) = (rejected["reasons"].to_string(), row["reasons"].to_string());
    assert!(row["verdict"] != "reject" && !now.contains("photo") && was != now, "{was} -> {now}");
}

#[test]
fn people_who_disagree_leave_it_to_a_third_one() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    let desk = Desk::start(&runs().join("one"), &log, &["--second-share", "1", "--seeded-share", "0"]);
    let first = state(&desk, "asha", "");
    let (queue, item) = (first["queue"].as_str().unwrap().to_owned(), id(&items(&first)[0]));
    decide(&desk, "asha", &item, "uphold", &queue).json();
    let blind = find(&state(&desk, "ravi", &queue), &item);
    assert_eq!((&blind["open"], &blind["by"]), (&json!(true), &Value::Null), "not shown what another said");
    let after = decide(&desk, "ravi", &item, "overturn", &queue).json();
    let known = find(&after, &item);
    assert_eq!((&known["disputed"], &known["by"][0][0]), (&json!(true), &json!("asha")), "afterwards it is");
    assert_eq!(state(&desk, "ravi", "disputes")["left"], 0);
    let third = state(&desk, "meera", "disputes");
    assert_eq!((third["left"].as_u64(), find(&third, &item)["by"].as_array().map(Vec::len)), (Some(1), Some(2)));
    decide(&desk, "meera", &item, "overturn", "disputes").json();
    assert_eq!(lines(&log)[2]["why"], "dispute");
    assert_eq!(state(&desk, "leela", "disputes")["left"], 0);
    drop(desk);

    // The same of pairs.
    let log = place.path("pairs.jsonl");
    let desk = Desk::start(&runs().join("two"), &log, &["--second-share", "0", "--seeded-share", "0"]);
    let all: Vec<String> = items(&desk.state("asha")).iter().map(id).collect();
    for item in &all {
        desk.decide("asha", item, "same").json();
    }
    let disputed = &all[0];
    desk.decide("ravi", disputed, "different").json();
    let third = desk.state("meera");
    assert!(third["left"].as_u64().unwrap() >= 1 && third["disputes"] == 1, "not done, people disagree: {third}");
    let found = items(&third).into_iter().find(|item| item["disputed"] == true).unwrap();
    assert_eq!(found["id"], json!(disputed));
    desk.decide("meera", disputed, "same").json();
    assert_eq!(desk.state("leela")["disputes"], 0);
}

#[test]
fn a_reviewer_who_fails_known_pairs_is_stopped_until_somebody_looks() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    let flags = ["--second-share", "0", "--seeded-share", "1"];
    let desk = Desk::start(&runs().join("one"), &log, &flags);
    // Whatever is known is answered wrongly: pairs first, then rows.
    for item in items(&desk.state("asha")) {
        desk.decide("asha", &id(&item), "same").json();
        let last = lines(&log).pop().unwrap();
        if last["why"] == "seed" && last["truth"] == "same" {
            desk.decide("asha", &id(&item), "different").json();
        }
    }
    let mut stopped = None;
    for item in items(&state(&desk, "asha", "worker")) {
        let mut answer = decide(&desk, "asha", &id(&item), "uphold", "worker");
        let last = lines(&log).pop().unwrap();
        if answer.status == 200 && last["why"] == "seed" && last["truth"] == "uphold" {
            answer = decide(&desk, "asha", &id(&item), "overturn", "worker");
        }
        if answer.status == 409 {
            stopped = Some(String::from_utf8(answer.body).unwrap());
        }
    }
    let last = items(&desk.state("asha")).last().map(id).unwrap();
    let refused = desk.decide("asha", &last, "not_sure");
    let stopped = stopped.or_else(|| (refused.status == 409).then(|| String::from_utf8(refused.body).unwrap()));
    let known = lines(&log).iter().filter(|line| line["why"] == "seed").count();
    let stopped = stopped.unwrap_or_else(|| panic!("not stopped after {known} known answers"));
    assert!(stopped.contains("known answers were wrong"), "{stopped}");
    assert!(desk.state("asha")["stopped"]["wrong"].as_u64().unwrap() >= 3);
    let others = desk.state("ravi");
    assert_eq!(others["left"], others["total"], "what was said is set apart, and asked anew");
    for path in ["undo", "rows/undo"] {
        let body = json!({ "reviewer": "asha", "nonce": nonce() });
        let body =
            if path == "undo" { body } else { json!({ "queue": "worker", "reviewer": "asha", "nonce": nonce() }) };
        assert_eq!(desk.post(path, &body).status, 409, "{path}: known answers are not taken back one by one");
    }

    let look = |reviewer: &str, keep: bool| {
        desk.post("work/look", &json!({ "reviewer": reviewer, "nonce": nonce(), "to": "asha", "keep": keep }))
    };
    assert_eq!(look("asha", true).status, 400, "not by oneself");
    let work = look("ravi", false).json();
    let asha = work["people"].as_array().unwrap().iter().find(|person| person["name"] == "asha").unwrap().clone();
    assert_eq!(asha["stopped"], Value::Null);
    assert_eq!(desk.state("asha")["stopped"], Value::Null);
    let again = id(&items(&desk.state("asha"))[0]);
    assert_eq!(desk.decide("asha", &again, "not_sure").status, 200);
    assert_eq!(look("ravi", true).status, 400, "nobody is stopped now");
}

#[test]
fn work_is_given_by_district_and_by_part() {
    let place = Place::new();
    let desk = Desk::start(&runs().join("two"), &place.path("d.jsonl"), &["--seeded-share", "0"]);
    let work = desk.get("work?reviewer=asha").json();
    let districts: Vec<String> =
        work["districts"].as_array().unwrap().iter().map(|d| d.as_str().unwrap().to_owned()).collect();
    assert!(districts.len() > 1, "{work}");
    let assign = |to: &str, districts: &[&str], part: Value| {
        let body = json!({ "reviewer": "asha", "nonce": nonce(), "to": to, "districts": districts, "part": part });
        desk.post("work/assign", &body)
    };
    assert_eq!(assign("ravi", &["Nowhere"], Value::Null).status, 400);
    assert_eq!(assign("ravi", &[], json!([3, 2])).status, 400);
    assign("ravi", &[&districts[0]], Value::Null).json();
    let (all, own) = (items(&desk.state("asha")), items(&desk.state("ravi")));
    assert!(own.len() < all.len(), "{} of {}", own.len(), all.len());
    for item in &own {
        let view = desk.view("ravi", &id(item));
        assert!([0, 1].iter().any(|&k| view["sides"][k]["district"] == districts[0]), "{view}");
    }
    for (to, k) in [("meera", 1), ("leela", 2)] {
        assign(to, &[], json!([k, 2])).json();
    }
    let parts = items(&desk.state("meera")).len() + items(&desk.state("leela")).len();
    assert_eq!(parts, all.len(), "two parts are the whole");
    let people = desk.get("work?reviewer=asha").json()["people"].clone();
    let names: Vec<&str> = people.as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["asha", "leela", "meera", "ravi"]);
}

#[test]
fn a_person_is_split_and_joined_in_one_act_and_a_wrong_face_is_corrected() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    let desk = Desk::start(&runs().join("one"), &log, &["--second-share", "0", "--seeded-share", "0"]);
    let person_of = |item: &str| desk.get(&format!("person/{item}?reviewer=asha")).json();
    let (item, person) = items(&desk.state("asha"))
        .iter()
        .map(|item| (id(item), person_of(&id(item))))
        .find(|(_, person)| person["members"].as_array().unwrap().len() > 2)
        .expect("a person of three");
    let count = person["members"].as_array().unwrap().len();
    let ties = person["ties"].as_array().unwrap().clone();
    assert_eq!(ties.iter().filter(|tie| tie["weakest"] == true).count(), 1, "{person}");
    for at in 0..count {
        assert_eq!(desk.get(&format!("person/{item}/picture/{at}/face")).status, 200);
    }
    let act = |members: Vec<usize>, answer: &str, nonce: &str| {
        let body = json!({ "reviewer": "asha", "nonce": nonce, "item": item, "members": members, "answer": answer });
        desk.post("person/decide", &body)
    };
    let across = ties.iter().filter(|tie| (tie["a"] == 0) != (tie["b"] == 0)).count();
    let first = nonce();
    act(vec![0], "different", &first).json();
    act(vec![0], "different", &first).json();
    assert_eq!(lines(&log).len(), across, "one act, every pair of it, and once");
    assert!(lines(&log).iter().all(|line| line["answer"] == "different"));
    act((1..count).collect(), "same", &nonce()).json();
    assert_eq!(lines(&log).len(), ties.len());
    let decided = person_of(&item);
    assert!(decided["ties"].as_array().unwrap().iter().all(|tie| tie["answer"] != Value::Null), "{decided}");
    assert_eq!(act(vec![0], "same", &nonce()).status, 400, "one alone is nobody's mate");
    assert_eq!(act(vec![99], "same", &nonce()).status, 404);

    // The same face, but on side a somebody else is the member.
    let view = desk.view("asha", &item);
    let faces = view["sides"][0]["picture"]["faces"].as_array().unwrap().clone();
    let worker = faces.iter().position(|face| face["role"] == "worker").expect("a worker's face");
    let body = json!({ "reviewer": "asha", "nonce": nonce(), "item": item, "answer": "not_member" });
    assert_eq!(desk.post("decide", &body).status, 400, "on which side?");
    let body = json!({ "reviewer": "asha", "nonce": nonce(), "item": item, "answer": "not_member", "side": "a",
                       "face": worker });
    let after = desk.post("decide", &body).json();
    assert_eq!(items(&after).iter().find(|i| i["id"] == json!(item)).unwrap()["mine"], "not_member");
    let submission = view["sides"][0]["submission"].as_str().unwrap().to_owned();
    drop(desk);
    let out = audit(&place, "corrected", &log);
    let row = row(&verdicts(&out), &submission);
    assert!(row["detail"].as_str().unwrap().contains("which face is the member's"), "{row}");
    let desk = Desk::start(&out, &place.path("e.jsonl"), &["--seeded-share", "0"]);
    let found = desk.get(&format!("rows/find?reviewer=asha&submission={submission}")).json();
    let view = self::view(&desk, "asha", found["id"].as_str().unwrap());
    let now = &view["picture"]["faces"][worker]["role"];
    assert_eq!(now, "member", "{view}");
}
