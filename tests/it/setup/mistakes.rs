//! Typical mistakes at the command line, and what each is told: the mistake by its name, and what to type instead.

use std::fs;

use crate::util::{Place, chehra, fixture, run};

/// What a command says on standard error, and its exit code.
fn told(words: &[&str], place: &Place) -> (i32, String) {
    let (code, _, stderr) = run(chehra().current_dir(place.path(".")).args(words));
    (code, stderr)
}

#[test]
fn each_mistake_is_called_by_its_name() {
    let place = Place::new();
    let night = fixture("night").display().to_string();
    let path = |name: &str| place.path(name).display().to_string();
    fs::create_dir_all(place.path("run")).unwrap();
    fs::write(place.path("run/run.json"), "{}").unwrap();
    fs::write(place.path("run/review.parquet"), "").unwrap();
    fs::write(place.path("dump.csv"), "submission_id,worker_id\n1,2\n").unwrap();
    fs::write(place.path("dump.json"), "[{\"submission_id\": 1}]").unwrap();
    let mut workbook = b"PK\x03\x04".to_vec();
    workbook.resize(30, 0);
    workbook.extend(b"[Content_Types].xml and more of it");
    fs::write(place.path("dump.xlsx"), workbook).unwrap();
    let (csv, json, xlsx, folder) = (path("dump.csv"), path("dump.json"), path("dump.xlsx"), path("run"));
    let cases: [(&[&str], &[&str], &[&str]); 12] = [
        (&["audit", &night, "--ot", "x"], &["'--out"], &["--booths"]),
        (&["audit", &night, "--out", "x", "--policy", "none.toml"], &["chehra policy > policy.toml"], &["line named"]),
        (&["audit", &folder, "--out", "x"], &["a run folder", "chehra review"], &["submission_id ="]),
        (&["audit", &format!("{folder}/review.parquet"), "--out", "x"], &["a table of a run folder"], &["copy it"]),
        (&["audit", &csv, "--out", "x"], &["text (CSV?)", "read_csv", "read_blob"], &["copy it again"]),
        (&["audit", &json, "--out", "x"], &["text (JSON?)", "read_json"], &["copy it again"]),
        (&["audit", &xlsx, "--out", "x"], &["an Excel workbook", "save it as CSV"], &["copy it again"]),
        (&["review", &night], &["a dump?", "chehra audit"], &["No such file"]),
        (&["report", &night], &["a dump?", "chehra audit"], &["No such file"]),
        (&["release", "none"], &["nothing at this path"], &["No such file"]),
        (&["sample", "run/run.json"], &["a file of a run folder", "name the folder"], &[]),
        (&["dedup", &csv], &["read_csv"], &["copy it again"]),
    ];
    for (words, wanted, unwanted) in cases {
        let (code, text) = told(words, &place);
        assert!(code == 64 || code == 65, "{words:?}: {code}: {text}");
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in wanted {
            assert!(flat.contains(word), "{words:?} lacks {word}: {text}");
        }
        for word in unwanted {
            assert!(!flat.contains(word), "{words:?} has {word}: {text}");
        }
    }
}

#[test]
fn the_policy_is_printed_with_meaning_unit_and_range() {
    let (code, text, _) = run(chehra().arg("policy"));
    assert_eq!(code, 0);
    assert!(text.contains("# Largest yaw either way, degrees. [degrees, 0 to 90]\nmax_yaw = 50.0"), "{text}");
    let place = Place::new();
    fs::write(place.path("policy.toml"), &text).unwrap();
    let (code, again, stderr) = run(chehra().args(["policy", "--policy"]).arg(place.path("policy.toml")));
    assert_eq!((code, again), (0, text), "{stderr}");
}

#[test]
fn examples_can_be_copied_from_the_help_of_a_narrow_terminal() {
    for command in ["audit", "dedup", "report", "review", "search", "release", "sample", "synth"] {
        let (code, text, _) = run(chehra().env("COLUMNS", "80").args([command, "--help"]));
        assert_eq!(code, 0);
        let examples = text.split("Examples:\n").nth(1).unwrap_or_else(|| panic!("{command}: no examples"));
        let lines: Vec<&str> = examples.lines().take_while(|line| !line.is_empty()).collect();
        for pair in lines.windows(2) {
            let begins = ["  chehra ", "  # "].iter().any(|start| pair[1].starts_with(start));
            assert!(begins || pair[0].ends_with('\\'), "{command}: {pair:?}");
        }
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{command}: {lines:?}");
    }
    let (_, text, _) = run(chehra().args(["audit", "--help"]));
    for heading in
        ["What is read:", "What is written:", "Comparison and review:", "Networks and policy:", "Everywhere:"]
    {
        assert!(text.contains(heading), "{heading}: {text}");
    }
}
