//! From a night to a promise: release, sample, replies, assurance, with the real binary.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::util::{Place, chehra, fixture, run};

/// A night that was audited, once for all tests of a place.
fn night(place: &Place, name: &str) -> PathBuf {
    let out = place.path("night-1");
    let (code, _, errors) = run(chehra().args(["audit", "-q", "--no-report", "--out"]).arg(&out).arg(fixture(name)));
    assert_eq!(code, 0, "{errors}");
    out
}

fn said(args: &[&str]) -> Value {
    let (code, text, errors) = run(chehra().args(args).arg("--json"));
    assert_eq!(code, 0, "{args:?}: {errors}");
    serde_json::from_str(&text).unwrap()
}

fn refused(args: &[&str], expected: &str) {
    let (code, _, errors) = run(chehra().args(args));
    assert!(code == 65 || code == 64, "{args:?}: {code}");
    assert!(errors.contains(expected), "{args:?}: {errors}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn rows(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_release_asks_nobody_twice_and_shows_no_number_of_those_who_wait() {
    let place = Place::new();
    let night = night(&place, "night");
    let first = said(&["release", text(&night)]);
    let list = place.path("night-1.release/release.csv");
    let sent: Vec<Vec<String>> = rows(&list).into_iter().filter(|row| row[3] == "send").collect();
    assert!(!sent.is_empty() && first["batch"] == 1, "{first}");
    for row in rows(&list) {
        assert_eq!(row[5].starts_with("+91"), row[3] == "send", "{row:?}");
        assert_eq!(row[6].is_empty(), row[3] == "hold", "{row:?}");
    }
    #[cfg(unix)]
    for file in ["release.csv", "release.parquet"] {
        assert_eq!(mode(&place.path("night-1.release").join(file)), 0o600);
    }
    let ledger = fs::read_to_string(place.path("asked.jsonl")).unwrap();
    let retakes = rows(&list).iter().filter(|row| row[3] == "retake").count();
    assert_eq!(ledger.lines().count(), sent.len() + retakes);
    assert!(sent.iter().all(|row| !ledger.contains(&row[5][3..])), "the ledger has no numbers");

    // Once more: nothing new, and the list stays.
    let before = fs::read(&list).unwrap();
    let again = said(&["release", text(&night)]);
    assert!(again["release"].is_null(), "{again}");
    assert_eq!(fs::read(&list).unwrap(), before);
    // The list is lost: it comes back as it was, and nobody is asked besides.
    fs::remove_file(&list).unwrap();
    fs::remove_file(list.with_extension("parquet")).unwrap();
    said(&["release", text(&night)]);
    assert_eq!(fs::read(&list).unwrap(), before);
    // Whoever is upheld later is asked then, alone.
    let waits = rows(&list).into_iter().find(|row| row[4] == "waits_for_review").unwrap();
    let upheld = place.path("upheld.txt");
    fs::write(&upheld, &waits[0]).unwrap();
    let later = said(&["release", text(&night), "--upheld", text(&upheld), "--language", "en"]);
    assert_eq!((&later["batch"], &later["rows"]["send"]["upheld"]), (&2.into(), &1.into()), "{later}");
    let second = rows(&place.path("night-1.release/release-2.csv"));
    let sent: Vec<&Vec<String>> = second.iter().filter(|row| row[3] == "send").collect();
    assert!(second.iter().all(|row| row[3] != "retake"), "no worker is asked twice");
    assert!(sent.len() == 1 && sent[0][0] == waits[0] && sent[0][6].contains("did you become a member"), "{sent:?}");
}

#[test]
fn a_list_that_was_changed_is_refused_and_bad_replies_are_rows() {
    let place = Place::new();
    let night = night(&place, "night");
    let sample = place.path("night-1.sample");
    refused(&["sample", text(&night), "--calls", "0"], "--calls");
    let drawn = said(&["sample", text(&night), "--calls", "20", "--seed", "7"]);
    assert_eq!(drawn["calls"], 20);
    refused(&["sample", text(&night), "--calls", "20", "--seed", "8"], "drawn once");
    // The same seed draws the same list.
    let other = place.path("other.sample");
    let again = said(&["sample", text(&night), "--calls", "20", "--seed", "7", "--out", text(&other)]);
    assert_eq!(again["list_sha256"], drawn["list_sha256"]);
    #[cfg(unix)]
    for file in ["callers.csv", "sample.parquet", "frame.parquet", "sample.json"] {
        assert_eq!(mode(&sample.join(file)), 0o600, "{file}");
    }
    let list = rows(&sample.join("callers.csv"));
    assert_eq!(list.len(), 20);
    for file in ["frame.parquet", "sample.parquet", "sample.json"] {
        let bytes = fs::read(sample.join(file)).unwrap();
        let has = |number: &str| bytes.windows(number.len()).any(|part| part == number.as_bytes());
        assert!(list.iter().all(|row| row[3].is_empty() || !has(&row[3])), "{file} holds a number");
    }

    let (id, other_id) = (&list[0][1], &list[1][1]);
    let replies = place.path("calls.csv");
    let lines = [
        "submission_id,answer,channel,at,mobile".to_owned(),
        format!("{id},confirmed,call,,"),
        format!("{id},confirmed,call,,"),
        format!("{other_id},confirmed,call,,"),
        format!("{other_id},denied,call,,"),
        "NOBODY,denied,call,,".to_owned(),
        format!("{},denied,call,2020-01-01T00:00:00Z,", list[2][1]),
        format!("{},denied,call,2099-01-01T00:00:00Z,", list[3][1]),
        format!("{},maybe,call,,", list[4][1]),
        format!("{},denied,call,,1234", list[5..].iter().find(|row| !row[3].is_empty()).unwrap()[1]),
    ];
    fs::write(&replies, lines.join("\n")).unwrap();
    let out = place.path("promise");
    let found = said(&["assurance", text(&sample), "--responses", text(&replies), "--out", text(&out)]);
    let expected = serde_json::json!({
        "answer_unknown": 1, "before_sample": 1, "contradicting": 2, "id_unknown": 1, "other_mobile": 1, "repeated": 1,
        "time_in_future": 1,
    });
    assert_eq!(found["replies_refused"], expected);
    assert_eq!(found["replies_used"], 1);
    assert_eq!(rows(&out.join("replies_refused.csv")).len(), 8);
    let page = place.path("page.html");
    let record = out.join("assurance.json");
    said(&["report", text(&night), "--assurance", text(&record), "--out", text(&page)]);
    let html = fs::read_to_string(&page).unwrap();
    assert!(
        html.contains("id=\"promises\"")
            && html.contains("worker_absent")
            && html.contains("<td class=\"num\">95.0 %</td>"),
        "the page shows promises and detectors"
    );

    // Edited by hand: the list, then the seed.
    let record = fs::read_to_string(sample.join("sample.json")).unwrap();
    fs::copy(sample.join("frame.parquet"), sample.join("sample.parquet")).unwrap();
    refused(&["assurance", text(&sample)], "sample.parquet");
    fs::copy(other.join("sample.parquet"), sample.join("sample.parquet")).unwrap();
    fs::write(sample.join("sample.json"), record.replace("\"seed\": \"7\"", "\"seed\": \"8\"")).unwrap();
    refused(&["assurance", text(&sample)], "a seed that draws another list");
    fs::write(sample.join("sample.json"), record).unwrap();
    refused(&["assurance", text(&sample), text(&other)], "one sample for each night");
    assert_eq!(found["promises"][0]["level"], "drive");
}

#[test]
fn calls_to_all_leave_no_doubt_and_the_silent_are_sampled_again() {
    let place = Place::new();
    let night = night(&place, "night");
    let sample = place.path("night-1.sample");
    said(&["sample", text(&night), "--calls", "100000", "--seed", "dice 3 1 4"]);
    let list = rows(&sample.join("callers.csv"));
    let replies = place.path("calls.csv");
    let write = |answer: &str| {
        let lines: String = list.iter().map(|row| format!("{},{answer},call\n", row[1])).collect();
        fs::write(&replies, format!("submission_id,answer,channel\n{lines}")).unwrap();
    };
    write("confirmed");
    let found = said(&["assurance", text(&sample), "--responses", text(&replies)]);
    let share = &found["promises"][0]["share"];
    assert!(share["high"].as_f64().unwrap() < 1e-3 && share["more_calls"] == 0, "{share}");

    write("silent");
    let silent = said(&["assurance", text(&sample), "--responses", text(&replies)]);
    let share = &silent["promises"][0]["share"];
    assert_eq!((&share["high"], &share["low"], &share["more_calls"]), (&1.0.into(), &0.0.into(), &Value::Null));
    let second = place.path("night-1.second");
    let args = ["sample", text(&night), "--silent-of", text(&sample), "--responses", text(&replies), "--out"];
    let drawn = said(&[&args[..], &[text(&second), "--silent-share", "0.99999"]].concat());
    assert_eq!(drawn["members"].as_u64().unwrap() as usize, list.len());
    let visits = place.path("visits.csv");
    let lines: String = rows(&second.join("callers.csv")).iter().map(|r| format!("{},denied,visit\n", r[1])).collect();
    fs::write(&visits, format!("submission_id,answer,channel\n{lines}")).unwrap();
    let both = [text(&sample), text(&second)];
    let found = said(&["assurance", both[0], both[1], "--responses", text(&replies), text(&visits)]);
    let share = &found["promises"][0]["share"];
    assert!(share["estimate"] == 1.0 && share["low"].as_f64().unwrap() > 0.9 && share["high"] == 1.0, "{share}");
    refused(&["assurance", both[1]], "the first one is not named");
}

#[test]
fn duplicates_are_judged_at_every_limit_beside_what_was_promised() {
    let place = Place::new();
    let night = night(&place, "night");
    let sample = place.path("night-1.sample");
    said(&["sample", text(&night), "--calls", "100000", "--seed", "7"]);
    let list = rows(&sample.join("callers.csv"));
    let flagged: HashSet<String> = rows_with(&night, &["duplicate_member", "duplicate_selfie"]).into_iter().collect();
    let on_list: Vec<&String> = list.iter().map(|row| &row[1]).filter(|id| flagged.contains(*id)).collect();
    assert!(on_list.len() >= 2, "{on_list:?}");
    // Who is flagged was enrolled before, and so was one member whom nothing flags.
    let missed = list.iter().map(|row| &row[1]).find(|id| !flagged.contains(*id)).unwrap();
    let replies = place.path("calls.csv");
    let line = |row: &Vec<String>| {
        let first = if flagged.contains(&row[1]) || row[1] == *missed { "no" } else { "yes" };
        format!("{},confirmed,call,{first}\n", row[1])
    };
    let lines: String = list.iter().map(line).collect();
    fs::write(&replies, format!("submission_id,answer,channel,first_time\n{lines}")).unwrap();
    let args = ["assurance", text(&sample), "--responses", text(&replies)];
    let found = said(&args);
    let row = found["detectors"].as_array().unwrap().iter().find(|row| row["detector"] == "duplicate").unwrap();
    let recall = on_list.len() as f64 / (on_list.len() + 1) as f64;
    assert_eq!(
        (&row["rates"]["precision"]["estimate"], &row["flagged"]),
        (&1.0.into(), &on_list.len().into()),
        "{row}"
    );
    assert!((row["rates"]["recall"]["estimate"].as_f64().unwrap() - recall).abs() < 1e-9, "{row}");
    assert_eq!(row["policy_key"], "matching.review_false_share");
    assert_eq!(row["promised"]["precision"], 0.95);
    assert!(row["promised"]["recall"].as_f64().is_some_and(|share| share > 0.0 && share <= 1.0), "{row}");
    let limits = row["limits"].as_array().unwrap();
    let of = |name: &str| limits.iter().map(|limit| limit[name].as_f64().unwrap()).collect::<Vec<_>>();
    assert_eq!(of("limit"), [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3]);
    assert!(of("flagged").is_sorted() && of("flagged")[6] > 0.0, "a wider limit flags no fewer: {limits:?}");
    for limit in limits {
        let (recall, precision) = (&limit["rates"]["recall"], &limit["rates"]["precision"]);
        assert!(
            recall["low"].as_f64() <= recall["estimate"].as_f64() && recall["units"] == on_list.len() + 1,
            "{limit}"
        );
        assert!(precision["high"].as_f64() >= precision["estimate"].as_f64(), "{limit}");
    }
    let (code, shown, _) = run(chehra().args(args));
    assert!(code == 0 && shown.contains("promised by the runs: finds") && shown.contains("at 0.05"), "{shown}");
}

#[test]
fn simulated_drives_hold_the_promises_to_the_truth() {
    let place = Place::new();
    let out = place.path("out");
    let found = said(&["evaluate", "assurance", "-q", "--drives", "24", "--widths", "1", "--out", text(&out)]);
    for row in found["scenarios"].as_array().unwrap() {
        if row["breaks"].is_null() {
            assert!(row["held"].as_u64().unwrap() >= 21, "{row}");
        }
    }
    assert!(out.join("width.svg").exists() && out.join("assurance.json").exists());
}

#[test]
fn an_audit_takes_in_what_members_answered() {
    let place = Place::new();
    let plain = night(&place, "night");
    let ids = |wanted: &str| -> Vec<String> {
        verdicts(&plain).into_iter().filter(|(_, verdict)| verdict == wanted).map(|(id, _)| id).collect()
    };
    let (accepted, reviewed) = (ids("accept"), ids("review"));
    let replies = place.path("sms.csv");
    let lines = [
        "MSGID,STATUS,number".to_owned(),
        format!("{},NO,", accepted[0]),
        format!("{},NO,6000000001", accepted[1]),
        format!("{},YES,", reviewed[0]),
        format!("{},UNDELIV,", reviewed[1]),
        "NOBODY,NO,".to_owned(),
    ];
    fs::write(&replies, lines.join("\n")).unwrap();
    let out = place.path("answered");
    let names = "submission_id=MSGID,answer=STATUS,mobile=number";
    let (code, _, errors) = run(chehra()
        .args(["audit", "-q", "--no-report", "--reply-columns", names])
        .args(["--answers", "NO=denied,YES=confirmed,UNDELIV=undelivered", "--out"])
        .arg(&out)
        .arg(fixture("night"))
        .arg("--responses")
        .arg(&replies));
    assert_eq!(code, 0, "{errors}");
    let after: std::collections::HashMap<String, String> = verdicts(&out).into_iter().collect();
    assert_eq!(after[&accepted[0]], "reject");
    assert_eq!(after[&accepted[1]], "accept", "the denial came from another number");
    assert_eq!((after[&reviewed[0]].as_str(), after[&reviewed[1]].as_str()), ("review", "review"));
    let record: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
    let expected = serde_json::json!({
        "used": { "confirmed": 1, "denied": 1, "undelivered": 1 },
        "tonight": 3,
        "refused": { "id_unknown": 1, "other_mobile": 1 },
    });
    assert_eq!(record["replies"], expected);
    assert_eq!(record["responses"].as_array().unwrap().len(), 1);
    assert!(out.join("replies_refused.parquet").exists() && !plain.join("replies_refused.parquet").exists());
}

/// Ids of the rows of a run that have one of these reasons.
fn rows_with(run: &Path, reasons: &[&str]) -> Vec<String> {
    use arrow::array::AsArray;
    let mut found = Vec::new();
    for batch in crate::util::batches(&run.join("verdicts.parquet")) {
        let (ids, lists) = (batch["submission_id"].as_string::<i32>(), batch["reasons"].as_list::<i32>());
        for (id, list) in ids.iter().zip(lists.iter()) {
            let list = list.unwrap();
            let has = list.as_string::<i32>().iter().flatten().any(|reason| reasons.contains(&reason));
            found.extend(id.filter(|_| has).map(str::to_owned));
        }
    }
    found
}

/// Ids and verdicts of a run.
fn verdicts(run: &Path) -> Vec<(String, String)> {
    use arrow::array::AsArray;
    let file = fs::File::open(run.join("verdicts.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut found = Vec::new();
    for batch in reader.map(|batch| batch.unwrap()) {
        let (ids, verdicts) = (batch["submission_id"].as_string::<i32>(), batch["verdict"].as_string::<i32>());
        found.extend(ids.iter().zip(verdicts).filter_map(|(id, v)| Some((id?.to_owned(), v?.to_owned()))));
    }
    found
}

#[test]
fn the_store_keeps_answers_until_their_member_is_forgotten() {
    let place = Place::new();
    let (store, first, second) = (place.path("store"), place.path("n1"), place.path("n2"));
    let audit = |night: &str, out: &Path, more: &[&str]| {
        let (code, _, errors) = run(chehra()
            .args(["audit", "-q", "--no-report", "--store", text(&store), "--out", text(out)])
            .arg(fixture(night))
            .args(more));
        assert_eq!(code, 0, "{errors}");
    };
    audit("night", &first, &[]);
    let id = verdicts(&first).into_iter().find(|(_, verdict)| verdict == "accept").unwrap().0;
    let replies = place.path("sms.csv");
    fs::write(&replies, format!("submission_id,answer\n{id},denied\n")).unwrap();
    audit("night2", &second, &["--responses", text(&replies)]);
    let record: Value = serde_json::from_slice(&fs::read(second.join("run.json")).unwrap()).unwrap();
    assert_eq!((&record["replies"]["used"]["denied"], &record["replies"]["tonight"]), (&1.into(), &0.into()));
    let kept = || {
        let files = fs::read_dir(store.join("segments")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|ending| ending == "answers")).count()
    };
    assert_eq!(kept(), 1);
    let (code, _, errors) = run(chehra().args(["gallery", "forget", "--store", text(&store), "--member", &id]));
    assert_eq!(code, 0, "{errors}");
    assert_eq!(kept(), 0);
    let (code, said, errors) = run(chehra().args(["gallery", "verify", "--store", text(&store)]));
    assert_eq!(code, 0, "{said} {errors}");
}
