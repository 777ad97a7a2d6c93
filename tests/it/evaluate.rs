//! `chehra evaluate audit` on the committed night, through the real binary.

use std::path::Path;

use serde_json::Value;

use crate::util::{Place, chehra, fixture, run};

fn audited(place: &Place, night: &str) -> std::path::PathBuf {
    let out = place.path(night);
    let mut command = chehra();
    command.args(["audit", "-q", "--store"]).arg(place.path("store")).arg("--out").arg(&out).arg(fixture(night));
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    out
}

fn evaluate(nights: &[(&Path, &Path)], flags: &[&str]) -> (i32, String, String) {
    let mut command = chehra();
    command.args(["evaluate", "audit"]).args(flags);
    for (run, truth) in nights {
        command.arg("--run").arg(run).arg("--truth").arg(truth);
    }
    run(&mut command)
}

/// `[count, of]` of a rate.
fn counts(rate: &Value) -> [u64; 2] {
    ["count", "of"].map(|field| rate[field].as_u64().unwrap_or_else(|| panic!("no {field} in {rate}")))
}

#[test]
fn two_nights_against_their_truth() {
    let place = Place::new();
    let (one, two) = (audited(&place, "night"), audited(&place, "night2"));
    let (truth, truth2) = (fixture("night/truth.parquet"), fixture("night2"));
    let (code, json, stderr) = evaluate(&[(&one, &truth)], &["--json"]);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["rows"], 38);
    // The night is answered as its truth says (tests/it/audit.rs), so every required reason is found and none is wrong.
    let reasons = report["reasons"].as_array().unwrap();
    assert!(reasons.iter().all(|r| r["missed"] == 0 && r["false_alarms"] == 0), "{json}");
    let of = |code: &str| reasons.iter().find(|r| r["reason"] == code).unwrap();
    assert_eq!(counts(&of("photo_of_photo")["recall"]), [3, 3]);
    assert_eq!(counts(&of("photo_of_photo_suspected")["recall"]), [1, 1]);
    assert_eq!(counts(&of("unreadable_image")["recall"]), [7, 7]);
    assert_eq!(counts(&of("duplicate_member")["recall"]), [15, 15]);
    assert_eq!(counts(&report["verdicts"]["right_or_allowed"]), [38, 38]);
    assert_eq!(counts(&report["honest"]["false_alarms"]), [0, 2]);
    assert_eq!(counts(&report["attacks"]["species"]["any"]["apcer"]), [0, 3]);
    assert_eq!(counts(&report["attacks"]["bpcer"])[0], 0);
    // Macron stands in 8 rows that count and Ardern in 9: 28 + 36 pairs.
    let pairs = &report["duplicates"]["pairs"];
    assert_eq!((counts(&pairs["recall"]), &pairs["false_pairs"]), ([64, 64], &Value::from(0)), "{pairs}");
    assert_eq!(counts(&report["duplicates"]["clusters"]["recall"]), [2, 2]);
    assert_eq!(report["duplicates"]["b_cubed"]["recall"]["mean"], 1.0);
    assert!(report["not_measured"].as_array().unwrap().iter().any(|n| n.as_str().unwrap().starts_with("pattern")));

    let (code, text, stderr) = evaluate(&[(&one, &truth), (&two, &truth2)], &[]);
    assert_eq!(code, 0, "{stderr}");
    for words in ["rows of 2 nights", "across nights", "BPCER", "B-cubed", "photo_of_photo", "the truth has no attack"]
    {
        assert!(text.contains(words), "{words} is missing in\n{text}");
    }
}

#[test]
fn a_truth_that_does_not_fit_is_refused() {
    let place = Place::new();
    let run_folder = audited(&place, "night");
    let truth = fixture("night/truth.parquet");
    let (code, _, stderr) = evaluate(&[(&run_folder, &fixture("night2/truth.parquet"))], &[]);
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("expected: 38, as many as in") && stderr.contains("truth of its own dump"), "{stderr}");

    // The verdicts table is no truth: it has no such columns as a truth needs, or other ids.
    let (code, _, stderr) = evaluate(&[(&run_folder, &run_folder.join("clusters.parquet"))], &[]);
    assert_eq!(code, 65);
    assert!(stderr.contains("column submission_id") && stderr.contains("cluster_id, size, original"), "{stderr}");

    let (code, _, stderr) = evaluate(&[(&run_folder, &place.path("nowhere"))], &[]);
    assert!(code == 65 && stderr.contains("nowhere"), "{stderr}");

    let (code, _, stderr) =
        run(chehra().args(["evaluate", "audit", "--run", "a", "--run", "b", "--truth"]).arg(&truth));
    assert!(code == 64 && stderr.contains("--truth: 1 of them for 2 of --run"), "{stderr}");
}

#[test]
fn liveness_is_stated_by_species_with_intervals() {
    let place = Place::new();
    let labels = place.path("labels.csv");
    // Honest portraits; two of them under the name of an attack, so that the answer is known: nothing of it is found.
    let rows = "live,a,,faces/macron_2025.jpg\nlive,b,,faces/obama.jpg\nlive,c,,faces/ardern_2018.jpg\n\
                spoof,a,print,faces/macron_2014.jpg\nspoof,b,phone,faces/collins.jpg\n";
    std::fs::write(&labels, format!("label,subject,species,path\n{rows}")).unwrap();
    let evaluate = |flags: &[&str]| {
        let mut command = chehra();
        command.args(["evaluate", "liveness", "-q"]).args(flags).arg("--labels").arg(&labels);
        run(command.arg("--images").arg(fixture("")))
    };
    let (code, json, stderr) = evaluate(&["--json"]);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&report["bona_fide"], &report["attacks"], &report["subjects"]), (&3.into(), &2.into(), &3.into()));
    assert_eq!(report["bpcer_rejecting"]["rate"], 0.0, "{json}");
    for species in ["print", "phone"] {
        let rates = &report["species"][species];
        assert_eq!((&rates["attacks"], &rates["apcer_rejecting"]["rate"]), (&1.into(), &1.0.into()), "{json}");
        for bpcer in ["1 %", "5 %", "10 %"] {
            assert!(rates["apcer_at_bpcer"][bpcer]["high"].is_number(), "{json}");
        }
    }
    assert!(report["worst"].is_string() && report["limits"][0].as_f64() <= report["limits"][1].as_f64());
    let (_, text, _) = evaluate(&[]);
    for words in ["print: 1 presentations", "APCER at BPCER 5 %", "bootstrap over subjects", "the worst species"] {
        assert!(text.contains(words), "{words} is missing in\n{text}");
    }
    let groups = place.path("groups.csv");
    std::fs::write(&groups, "id,group\na,north\nb,south\nz,south\n").unwrap();
    let (code, json, stderr) = evaluate(&["--json", "--groups", groups.to_str().unwrap()]);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&report["groups"]["people_in_no_group"], &report["groups"]["unknown_ids"][0]),
        (&1.into(), &"z".into())
    );
    let apcer = &report["groups"]["rates"][2];
    assert_eq!((&apcer["what"], &apcer["all"]), (&"APCER, not rejected".into(), &1.0.into()), "{json}");
    assert_eq!((&apcer["groups"][0]["errors"], &apcer["groups"][0]["comparisons"]), (&1.into(), &1.into()), "{json}");
    assert_eq!(apcer["groups"][0]["is_large_enough"], false, "one attack tells nothing: {json}");
    std::fs::write(&labels, "label,path\nperhaps,faces/obama.jpg\n").unwrap();
    let (code, _, stderr) = evaluate(&[]);
    assert!(code == 65 && stderr.contains("line 2") && stderr.contains("'perhaps'"), "{code} {stderr}");
}

#[test]
fn conditions_of_a_result_pass_or_fail_and_are_written_for_machines() {
    let place = Place::new();
    let (night, truth) = (audited(&place, "night"), fixture("night/truth.parquet"));
    let (junit, figures) = (place.path("gates.xml"), place.path("figures.json"));
    let files = ["--junit", junit.to_str().unwrap(), "--benchmark", figures.to_str().unwrap()];
    let holds = ["--gate", "reasons.duplicate_member.recall.rate>=0.9", "--gate", "honest.false_alarms.rate<=0.5"];
    let (code, text, stderr) = evaluate(&[(&night, &truth)], &[&holds[..], &files].concat());
    assert_eq!(code, 0, "{stderr}");
    assert!(text.contains("gate passed: reasons.duplicate_member.recall.rate >= 0.9, found 1"), "{text}");
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"0\"") && !xml.contains("<failure"), "{xml}");
    let entries: Vec<Value> = serde_json::from_slice(&std::fs::read(&figures).unwrap()).unwrap();
    let named: Vec<_> = entries.iter().map(|e| (e["name"].as_str().unwrap(), e["value"].as_f64().unwrap())).collect();
    assert_eq!(named[0], ("evaluate audit: 1 - reasons.duplicate_member.recall.rate", 0.0));
    assert_eq!(named.len(), 2);

    // One that does not hold: the whole report is there, the files say it, and so does the exit code.
    let fails = ["--gate", "attacks.bpcer.count<=0", "--gate", "duplicates.pairs.recall.rate<=0.5", "--json"];
    let (code, text, stderr) = evaluate(&[(&night, &truth)], &[&fails[..], &files].concat());
    assert!(code == 1 && stderr.contains("must be at most 0.5") && !stderr.contains("bpcer"), "{stderr}");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["report"]["rows"], json["gates"].as_array().unwrap().len()), (&Value::from(38), 2));
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"1\"") && xml.contains("must be at most 0.5"), "{xml}");

    // A path that leads nowhere is wrong usage, and says what there is; files of others stay.
    let (code, text, stderr) = evaluate(&[(&night, &truth)], &["--gate", "duplicates.pears.recall>=1"]);
    assert!(code == 64 && stderr.contains("no 'pears'") && stderr.contains("b_cubed"), "{stderr}");
    assert!(text.contains("photo_of_photo"), "the figures are shown: {text}");
    std::fs::write(&junit, "mine").unwrap();
    let (code, text, stderr) = evaluate(&[(&night, &truth)], &[&holds[..], &files].concat());
    assert!(code == 65 && text.is_empty() && stderr.contains("another file"), "{stderr}");
    assert_eq!(std::fs::read_to_string(&junit).unwrap(), "mine");
}
