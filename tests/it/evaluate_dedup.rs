//! `chehra evaluate dedup` through the real binary: templates with known identities.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Builder, ListBuilder, RecordBatch, StringArray};
use chehra::gallery::generate::Crowd;
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use crate::util::{Place, chehra, run};

/// Templates of people with one or two pictures each.
pub fn write(path: &Path, people: u64, twice: u64) {
    let crowd = Crowd::new(64, 5);
    let (mut persons, mut pictures, mut embeddings) = (Vec::new(), Vec::new(), ListBuilder::new(Float32Builder::new()));
    for person in 0..people {
        for shot in 0..1 + u64::from(person < twice) {
            // Numbers of rows stand for people: each is somebody else, whatever duplicates the crowd plants.
            let template = crowd.shot(person, 1_000_000 + shot).unwrap();
            persons.push(format!("person {person}"));
            pictures.push(format!("{person}/{shot}.jpg"));
            embeddings.values().append_slice(&template.master.iter().map(|v| v.to_f32()).collect::<Vec<_>>());
            embeddings.append(true);
        }
    }
    let text = |v: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(v)) };
    let model = vec!["sface:generated".to_owned(); persons.len()];
    let templates: ArrayRef = Arc::new(embeddings.finish());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("submission_id", text(pictures.clone())),
        ("identity", text(persons)),
        ("path", text(pictures)),
        ("model", text(model)),
        ("embedding", templates.clone()),
        ("template", templates),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn evaluate(templates: &Path, flags: &[&str]) -> (i32, String, String) {
    run(chehra().args(["evaluate", "dedup", "-q", "--templates"]).arg(templates).args(flags))
}

pub fn report(templates: &Path, flags: &[&str]) -> Value {
    let (code, json, stderr) = evaluate(templates, &[flags, &["--json"]].concat());
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&json).unwrap()
}

/// The row of a size's limits.
pub fn limit(size: &Value, expected: f64) -> &Value {
    size["limits"].as_array().unwrap().iter().find(|l| l["expected"] == expected).unwrap()
}

#[test]
fn predicted_and_observed_agree_on_drawn_people() {
    let place = Place::new();
    let templates = place.path("people.parquet");
    write(&templates, 1500, 500);
    let out = place.path("out");
    let report = report(&templates, &["--sizes", "2000,12000", "--duplicates", "0.1", "--out", out.to_str().unwrap()]);
    assert_eq!((&report["labelled"], &report["people"]), (&Value::from(2000), &Value::from(1500)));
    let sizes = report["sizes"].as_array().unwrap();
    assert_eq!((&sizes[0]["gallery_size"], &sizes[0]["mated_pairs"]), (&Value::from(2000), &Value::from(500)));
    let large = &sizes[1];
    assert!(large["duplicates"].as_u64().unwrap() > 1300);
    for expected in [100.0, 1000.0] {
        let ratio = limit(large, expected)["observed"].as_f64().unwrap() / expected;
        assert!((0.5..=2.0).contains(&ratio), "{expected} expected, {ratio} of it");
    }
    let fnir = |expected: f64| limit(large, expected)["fnir"]["rate"].as_f64().unwrap();
    assert!(fnir(1000.0) < fnir(1.0) && fnir(1.0) < fnir(0.01) && fnir(0.01) < 0.4, "{large}");
    assert!(large["clusters"]["precision"].as_f64().unwrap() > 0.99, "{}", large["clusters"]);
    assert!(large["clusters"]["recall"].as_f64().unwrap() > 0.8, "{}", large["clusters"]);
    for name in ["dedup.json", "det.svg", "det.png", "predicted.svg", "predicted.png"] {
        assert!(std::fs::metadata(out.join(name)).unwrap().len() > 1000, "{name}");
    }
    let svg = std::fs::read_to_string(out.join("det.svg")).unwrap();
    assert!(svg.contains("gallery of 12 k") && svg.contains("false negative identification rate"));
    let png = image::open(out.join("det.png")).unwrap().to_rgb8();
    assert!(png.pixels().any(|p| p.0 == [0, 114, 178]), "the first size's line is blue");
}

#[test]
fn a_night_of_some_is_compared_with_all() {
    let place = Place::new();
    let templates = place.path("people.parquet");
    write(&templates, 1500, 500);
    let sizes = |flags: &[&str]| {
        let mut report = report(&templates, &[&["--sizes", "6000", "--duplicates", "0.2"], flags].concat());
        report["sizes"][0]["seconds"] = Value::Null;
        report["sizes"][0].take()
    };
    // Everybody asked about is everybody compared with everybody.
    let all = sizes(&[]);
    assert_eq!(sizes(&["--asked", "6000"]), all);
    let some = sizes(&["--asked", "1500"]);
    assert_eq!((&some["gallery_size"], &some["asked"]), (&Value::from(6000), &Value::from(1500)));
    let part = |field: &str| some[field].as_f64().unwrap() / all[field].as_f64().unwrap();
    assert_eq!(some["pairs"], 1500.0 * 4500.0 + 1500.0 * 1499.0 / 2.0);
    assert!((0.2..0.3).contains(&part("duplicates")) && (0.4..0.5).contains(&part("mated_pairs")), "{some}");
    // Expected false pairs are those of the pairs compared, and as many are there.
    let ratio = limit(&some, 1000.0)["observed"].as_f64().unwrap() / 1000.0;
    assert!((0.5..=2.0).contains(&ratio), "{ratio}");
    let (code, text, _) = evaluate(&templates, &["--sizes", "6000", "--asked", "1500"]);
    assert!(code == 0 && text.contains("gallery of 6000, 1500 of it compared with all: "), "{text}");
    for asked in ["0", "6001"] {
        let (code, _, stderr) = evaluate(&templates, &["--sizes", "6000", "--asked", asked]);
        assert!(code == 64 && stderr.contains("--asked"), "{asked}: {stderr}");
    }
}

#[test]
fn nobody_twice_is_said_so() {
    let place = Place::new();
    let templates = place.path("people.parquet");
    write(&templates, 1200, 0);
    let report = report(&templates, &["--sizes", "10000", "--duplicates", "0"]);
    let size = &report["sizes"][0];
    assert_eq!(size["duplicates"], 0);
    assert!(limit(size, 0.1)["observed"].as_u64().unwrap() <= 1);
    assert!(limit(size, 1.0)["observed"].as_u64().unwrap() <= 5);
    assert!(size["clusters"]["clusters"].as_u64().unwrap() <= 1);
    // Under the default limit at most a handful is sent to review, in the whole gallery and across districts.
    let review = size["review"].as_array().unwrap();
    assert_eq!(review.len(), 2);
    for flagged in review {
        assert!(
            flagged["promised_false_share"] == 0.05 && flagged["false_pairs"]["of"].as_u64() <= Some(5),
            "{flagged}"
        );
    }
    assert_eq!(size["det"], Value::Array(Vec::new()));
}

#[test]
fn another_seed_another_crowd_and_the_same_seed_the_same() {
    let place = Place::new();
    let templates = place.path("people.parquet");
    write(&templates, 400, 100);
    let of = |seed: &str| {
        let mut report = report(&templates, &["--distractors", "1500", "--seed", seed]);
        report["sizes"][0]["seconds"] = Value::Null;
        report
    };
    assert_eq!(of("3"), of("3"));
    assert_ne!(of("3")["sizes"], of("4")["sizes"]);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    let templates = place.path("people.parquet");
    write(&templates, 30, 10);
    let (code, text, stderr) = evaluate(&templates, &[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(text.contains("gallery of 40: 30 persons, 10 duplicates"), "{text}");
    let (code, _, stderr) = evaluate(&templates, &["--sizes", "1000"]);
    assert!(code == 64 && stderr.contains("30 labelled people"), "{stderr}");
    let (code, _, stderr) = evaluate(&templates, &["--duplicates", "1.5"]);
    assert!(code == 64 && stderr.contains("--duplicates"), "{stderr}");
    let (code, _, stderr) = evaluate(&place.path("nothing.parquet"), &[]);
    assert!(code == 65 && stderr.contains("nothing.parquet"), "{stderr}");
    let truth = place.path("truth.csv");
    std::fs::write(&truth, "submission_id,person\n0/0.jpg,Asha\n0/1.jpg,Asha\n1/0.jpg,Binu\n").unwrap();
    let report = report(&templates, &["--truth", truth.to_str().unwrap()]);
    assert_eq!((&report["labelled"], &report["people"]), (&Value::from(3), &Value::from(2)));
}

#[test]
fn rates_are_stated_by_group() {
    let place = Place::new();
    let templates = place.path("people.parquet");
    write(&templates, 1000, 800);
    let groups = place.path("groups.csv");
    // The people who are there twice are in the first group, and half of them in the second.
    let group = |person: usize| if person < 400 { "north" } else { "south" };
    let rows: String = (0..900).map(|person| format!("person {person},{}\n", group(person))).collect();
    std::fs::write(&groups, format!("id,group\n{rows}person 4000,south\n")).unwrap();
    let flags = ["--groups", groups.to_str().unwrap()];
    let report = report(&templates, &flags);
    let size = &report["sizes"][0];
    let by_group = &size["groups"];
    assert_eq!((&by_group["people"]["north"], &by_group["people"]["south"]), (&400.into(), &500.into()));
    assert_eq!((&by_group["people_in_no_group"], &by_group["unknown_ids"][0]), (&100.into(), &"person 4000".into()));
    let rates = by_group["rates"].as_array().unwrap();
    let rate = |what: &str| rates.iter().find(|rate| rate["what"] == what).unwrap_or_else(|| panic!("{rates:?}"));
    // All 800 duplicates are in one of the two groups: what is missed adds up.
    let missed = rate("FNIR at 0.01 expected in the gallery");
    let count = |rate: &Value, field: &str| -> Vec<u64> {
        rate["groups"].as_array().unwrap().iter().map(|group| group[field].as_u64().unwrap()).collect()
    };
    assert_eq!(count(missed, "comparisons"), [400, 400]);
    let all = limit(size, 0.01)["fnir"]["count"].as_u64().unwrap();
    assert_eq!(count(missed, "errors").iter().sum::<u64>(), all, "{missed}");
    assert!(missed["worst_to_best"]["ratio"].as_f64().is_some_and(|ratio| ratio >= 1.0), "{missed}");
    // North: 400 people of 2 pictures, 800 * 798 / 2 pairs of strangers; south: 400 of 2 and 100 of 1.
    let matched = rate("FMR at 1000 expected in the gallery");
    assert_eq!(count(matched, "comparisons"), [319_200, 404_550 - 400]);
    assert!(count(matched, "errors").iter().sum::<u64>() > 100, "{matched}");
    // One population, so the groups hardly differ.
    assert!(matched["worst_to_best"]["ratio"].as_f64().unwrap() < 2.0, "{matched}");

    let (_, text, _) = evaluate(&templates, &flags);
    for words in ["north 400, south 500; in no group 100", "1 ids of the group file are nobody", "worst to best"] {
        assert!(text.contains(words), "{words} is missing in\n{text}");
    }
    std::fs::write(&groups, "id,group\nAsha,north\n").unwrap();
    let (code, _, stderr) = evaluate(&templates, &flags);
    assert!(code == 65 && stderr.contains("groups.csv") && stderr.contains("Asha"), "{code} {stderr}");
}
