//! `chehra report` as a user meets it: the real binary on the sample nights.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::util::{Place, chehra, fixture, run};

const HOSTILE: &str = "</script><script>alert('x')</script><img src=x onerror=alert(1)>&\"'";

fn audit(night: &str, out: &Path, flags: &[&str]) {
    let (code, _, stderr) = run(chehra().args(["audit", "-q", "--out"]).arg(out).arg(fixture(night)).args(flags));
    assert_eq!(code, 0, "{stderr}");
}

/// The data of the page under this id.
fn data(page: &str, id: &str) -> Value {
    let opening = format!("<script type=\"application/json\" id=\"{id}\">");
    let (_, rest) = page.split_once(&opening).unwrap_or_else(|| panic!("no {id}"));
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// A copy of a dump's file in which every text of these columns is another.
fn with_texts(from: &Path, to: &Path, columns: &[&str], change: impl Fn(&str) -> String) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(from).unwrap()).unwrap();
    let schema = reader.schema().clone();
    let mut writer = ArrowWriter::try_new(fs::File::create(to).unwrap(), schema.clone(), None).unwrap();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let column = |at: usize| -> ArrayRef {
            let array = batch.column(at);
            match columns.contains(&schema.field(at).name().as_str()) {
                false => array.clone(),
                true => Arc::new(array.as_string::<i32>().iter().map(|t| t.map(&change)).collect::<StringArray>()),
            }
        };
        let arrays = (0..batch.num_columns()).map(column).collect();
        writer.write(&RecordBatch::try_new(schema.clone(), arrays).unwrap()).unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn a_night_has_a_page_with_pictures_that_only_its_owner_reads() {
    let place = Place::new();
    let out = place.path("night");
    audit("night", &out, &[]);
    let file = out.join("report.html");
    let page = fs::read_to_string(&file).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(page.contains("default-src 'none'"), "a content security policy");
    for outside in ["http://", "https://", "src=\"//", "@import", "url("] {
        let text = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains(outside), "the page names {outside}");
    }
    let pictures = data(&page, "pictures-data");
    let persons = data(&page, "persons-data");
    assert_eq!(persons.as_array().unwrap().len(), 2, "{persons}");
    let first = &persons[0];
    assert_eq!((first["w"].as_str(), first["x"].as_bool()), (Some("cross_district_repeated"), Some(true)));
    for member in first["m"].as_array().unwrap() {
        let jpeg = pictures[member["p"].as_u64().unwrap() as usize].as_str().unwrap();
        assert!(jpeg.starts_with("/9j/"), "a JPEG in base64");
        let masked = |value: &Value| value.as_str().is_none_or(|text| text.starts_with("•••••••"));
        assert!(masked(&member["m"]) && masked(&member["e"]), "{member}");
    }
    let spoofs = data(&page, "spoofs-data");
    assert_eq!(spoofs["list"].as_array().unwrap().len(), 4);
    assert!(spoofs["list"][0]["p"].as_u64().is_some(), "{spoofs}");
    for number in ["90000110", "XYZ1001"] {
        assert!(!page.contains(number), "a number that is not masked");
    }
}

#[test]
fn a_page_is_made_anew_with_and_without_the_dump() {
    let place = Place::new();
    let (out, file) = (place.path("night"), place.path("page.html"));
    audit("night", &out, &["--no-report"]);
    assert!(!out.join("report.html").exists());
    let report = |flags: &[&str]| run(chehra().arg("report").arg(&out).arg("--out").arg(&file).args(flags));
    let (code, stdout, stderr) = report(&[]);
    assert_eq!((code, stdout.trim()), (0, file.to_str().unwrap()), "{stderr}");
    let bare = fs::read_to_string(&file).unwrap();
    assert_eq!(data(&bare, "pictures-data").as_array().unwrap().len(), 0);
    assert!(bare.contains("This page was made without the dump"));

    let dump = fixture("night");
    let (code, _, stderr) = report(&["--crops", "1", "--dump", dump.to_str().unwrap()]);
    assert_eq!(code, 0, "{stderr}");
    let one = fs::read_to_string(&file).unwrap();
    let persons = data(&one, "persons-data");
    assert!(
        persons[0]["m"][0]["p"].is_u64() && persons[1]["m"][0]["p"].is_null(),
        "pictures for the first person alone"
    );

    let other = fixture("night2");
    let (code, _, stderr) = report(&["--dump", other.to_str().unwrap()]);
    assert_eq!(code, 65, "another dump is refused: {stderr}");
    assert!(stderr.contains("submission_id in row") || stderr.contains("a row of the dump"), "{stderr}");
    let (code, _, stderr) = run(chehra().arg("report").arg(place.path("nothing")));
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("nothing at this path"), "{stderr}");
}

#[test]
fn texts_of_the_dump_stay_texts() {
    let place = Place::new();
    let (dump, out) = (place.path("dump"), place.path("night"));
    fs::create_dir(&dump).unwrap();
    for part in ["submissions-0.parquet", "submissions-1.parquet"] {
        let hostile = |text: &str| format!("{text}{HOSTILE}");
        let from = fixture("night").join(part);
        with_texts(&from, &dump.join(part), &["submission_id", "worker_id", "district", "division", "mobile"], hostile);
    }
    let (code, _, stderr) = run(chehra().args(["audit", "-q", "--out"]).arg(&out).arg(&dump));
    assert_eq!(code, 0, "{stderr}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    let scripts = page.matches("<script").count();
    assert_eq!((scripts, page.matches("</script>").count()), (6, 6), "five blocks of data and the page's own script");
    assert!(!page.contains("<img src=x"), "markup from the dump");
    assert!(page.contains("&#60;/script&#62;") || page.contains("&lt;/script&gt;"), "it is shown as it was written");
    let persons = data(&page, "persons-data");
    assert!(persons[0]["m"][0]["s"].as_str().unwrap().ends_with(HOSTILE));
}

#[test]
fn earlier_nights_stand_beside_tonight() {
    let place = Place::new();
    let store = place.path("store");
    let store = ["--store", store.to_str().unwrap()];
    audit("night", &place.path("2026-11-20"), &store);
    audit("night2", &place.path("2026-11-21"), &store);
    let page = fs::read_to_string(place.path("2026-11-21").join("report.html")).unwrap();
    assert!(page.contains("2026-11-20") && page.contains("id=\"c-nights\""), "the night before");
    let persons = data(&page, "persons-data");
    let members = persons[0]["m"].as_array().unwrap();
    let earlier = members.iter().filter(|m| m["v"].is_null());
    assert!(earlier.clone().count() > 0 && earlier.clone().all(|m| m["p"].is_u64()), "pictures of the night before");
    let first = fs::read_to_string(place.path("2026-11-20").join("report.html")).unwrap();
    assert!(!first.contains("id=\"c-nights\""), "a later night is no earlier one");

    // A night whose dump is gone costs its pictures and nothing else.
    let record = place.path("2026-11-20").join("run.json");
    let text = fs::read_to_string(&record).unwrap().replace("submissions-0.parquet", "gone.parquet");
    fs::write(&record, text).unwrap();
    let dump = fixture("night2");
    let (code, _, stderr) = run(chehra().args(["report", "-q"]).arg(place.path("2026-11-21")).arg("--dump").arg(dump));
    assert_eq!(code, 0, "{stderr}");
    let page = fs::read_to_string(place.path("2026-11-21").join("report.html")).unwrap();
    let persons = data(&page, "persons-data");
    let members = persons.as_array().unwrap().iter().flat_map(|p| p["m"].as_array().unwrap());
    assert!(members.clone().filter(|m| m["v"].is_null()).all(|m| m["p"].is_null()));
    assert!(members.filter(|m| m["v"].is_string()).all(|m| m["p"].is_u64()), "tonight's pictures");
}

#[test]
fn two_runs_are_compared() {
    let place = Place::new();
    let (a, b, policy) = (place.path("a"), place.path("b"), place.path("policy.toml"));
    fs::write(&policy, "[liveness]\nreject_below = 0.0\nreview_below = 0.0\n[verdicts]\none_face = \"reject\"\n")
        .unwrap();
    audit("night", &a, &["--no-report"]);
    audit("night", &b, &["--no-report", "--policy", policy.to_str().unwrap()]);
    let diff = |flags: &[&str]| run(chehra().args(["report", "--diff"]).arg(&a).arg(&b).args(flags));
    let (code, stdout, stderr) = diff(&["--json"]);
    assert_eq!(code, 0, "{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    let keys: Vec<&str> =
        found["differences"]["policy"].as_array().unwrap().iter().map(|d| d["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["liveness.reject_below", "liveness.review_below", "verdicts.one_face"]);
    assert_eq!((&found["rows_in_both"], &found["rows_only_in_a"]), (&38.into(), &0.into()));
    assert_eq!(found["differences"]["same_dump"], true);
    let changes = found["changes"].as_array().unwrap();
    let change = |from: &str, to: &str| changes.iter().find(|c| c["from"] == from && c["to"] == to).unwrap();
    let one_face = change("retake", "reject");
    assert_eq!(one_face["policy_keys"], serde_json::json!(["verdicts.one_face"]));
    assert_eq!((&one_face["lost"], &one_face["causes"]), (&serde_json::json!([]), &serde_json::json!(["policy"])));
    assert!(changes.iter().any(|c| c["lost"] == serde_json::json!(["photo_of_photo"])), "{stdout}");
    assert!(changes.iter().all(|c| c["causes"] == serde_json::json!(["policy"])), "{stdout}");

    let (code, stdout, _) = diff(&[]);
    assert_eq!(code, 0);
    assert!(stdout.contains("liveness.reject_below") && stdout.contains("retake -> reject"), "{stdout}");
    let (code, stdout, _) = run(chehra().args(["report", "--diff"]).arg(&a).arg(&a));
    assert_eq!(code, 0);
    assert!(stdout.contains("0 with another verdict, 0 with other reasons alone"), "{stdout}");
    assert_eq!(run(chehra().arg("report")).0, 64, "neither a run nor --diff");
    assert_eq!(run(chehra().args(["report", "--diff"]).arg(&a).arg(place.path("none"))).0, 65);
}

#[test]
fn a_page_can_be_of_one_division_and_its_tables_are_taken_away() {
    let place = Place::new();
    let out = place.path("night");
    audit("night2", &out, &["--no-report"]);
    let made = |words: &[&str]| run(chehra().current_dir(place.path(".")).args(["report", "night"]).args(words));
    let (code, _, stderr) = made(&["--only-division", "ujjain", "--out", "part.html", "--tables", "part.xlsx"]);
    assert_eq!(code, 0, "{stderr}");
    let page = fs::read_to_string(place.path("part.html")).unwrap();
    let drive = data(&page, "drive-data");
    let names: Vec<&str> = drive["names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(names.contains(&"Ujjain") && !names.contains(&"Gwalior"), "{names:?}");
    assert!(fs::read(place.path("part.xlsx")).unwrap().starts_with(b"PK"));
    let (code, _, stderr) = made(&["--tables", "csv", "--language", "hi"]);
    assert_eq!(code, 0, "{stderr}");
    let files: Vec<_> = fs::read_dir(place.path("csv")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        assert!(fs::read_to_string(&file).unwrap().starts_with('\u{feff}'), "{}", file.display());
    }
    let (code, _, stderr) = made(&["--only-district", "Pune"]);
    assert!(code == 64 && stderr.contains("the run has") && stderr.contains("Gwalior"), "{stderr}");
    let (code, _, stderr) = made(&["--tables", "one.csv"]);
    assert!(code == 64 && stderr.contains("x.xlsx"), "{stderr}");
}

#[test]
fn targets_and_booths_of_workers_say_who_is_astray() {
    let place = Place::new();
    let out = place.path("night");
    audit("night2", &out, &["--no-report"]);
    fs::write(place.path("targets.csv"), "district,booth_id,target\nUjjain,,4\n,B-NONE,20\n").unwrap();
    fs::write(place.path("workers.csv"), "worker_id,booth_id,name\nW-202,B-ELSEWHERE,Asha\n").unwrap();
    let (code, _, stderr) = run(chehra().current_dir(place.path(".")).args([
        "report",
        "night",
        "--targets",
        "targets.csv",
        "--worker-booths",
        "workers.csv",
        "--out",
        "page.html",
    ]));
    assert_eq!(code, 0, "{stderr}");
    let page = fs::read_to_string(place.path("page.html")).unwrap();
    assert!(page.contains("data-t=\"todo.empty\"") && page.contains(">B-NONE</a>"), "a booth without a worker");
    let drive = data(&page, "drive-data");
    assert_eq!(drive["homes"]["w-202"][0], "Asha", "{}", drive["homes"]);
    assert_eq!(drive["targets"].as_array().unwrap().len(), 2);
}

#[test]
fn verdicts_say_what_the_worker_can_do_better_and_when_and_where_it_was_sent() {
    let place = Place::new();
    let out = place.path("night");
    audit("night2", &out, &["--no-report"]);
    let batches = crate::util::batches(&out.join("verdicts.parquet"));
    let schema = batches[0].schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names.last(), Some(&"advice"));
    let advice = batches[0].column_by_name("advice").unwrap().as_string::<i32>();
    let told: Vec<&str> = advice.iter().flatten().collect();
    assert_eq!(told, ["अच्छी, एक-सी रोशनी में खड़े हों, लेंस साफ़ करें और पास से फ़ोटो लें।"]);
    for name in ["captured_at", "booth_id", "division"] {
        assert!(batches[0].column_by_name(name).unwrap().null_count() < batches[0].num_rows(), "{name}");
    }
}
