//! `chehra dedup` on anything, `search`, `compare` and `inspect` as they are typed: answers on good, empty and broken
//! input, exit codes, and messages that say what to do.

mod dedup;
mod photos;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type};
use serde_json::Value;

use crate::audit::{read, texts};
use crate::util::{Place, chehra, fixture, run};

/// Two audited nights: `store`, `one` and `two` (their run folders), `members.parquet` (the store's export).
fn nights() -> &'static Place {
    static NIGHTS: OnceLock<Place> = OnceLock::new();
    NIGHTS.get_or_init(|| {
        let place = Place::new();
        for (night, out) in [("night", "one"), ("night2", "two")] {
            let mut audit = chehra();
            audit.args(["-q", "audit"]).arg(fixture(night)).arg("--store").arg(place.path("store"));
            let (code, _, stderr) = run(audit.arg("--out").arg(place.path(out)));
            assert_eq!(code, 0, "{stderr}");
        }
        let mut export = chehra();
        export.args(["gallery", "export", "--store"]).arg(place.path("store"));
        assert_eq!(run(export.arg("--to").arg(place.path("members.parquet"))).0, 0);
        place
    })
}

/// One pair, three questions: the audit's table, a comparison with the store, and a photo.
#[test]
fn one_similarity_means_one_number_of_false_matches_whoever_asks() {
    let place = nights();
    let batches = read(&place.path("two/pairs.parquet"));
    let [a, b] = ["submission_a", "submission_b"].map(|column| texts(&batches, column));
    let number = |column: &str, row: usize| {
        let all = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        let cells = arrow::compute::cast(all.column_by_name(column).unwrap(), &DataType::Float64).unwrap();
        cells.as_primitive::<Float64Type>().value(row)
    };
    let sides = |row: usize| [a[row].clone().unwrap(), b[row].clone().unwrap()];
    let row = (0..a.len()).find(|&row| sides(row).contains(&"N2-000".to_owned())).unwrap();
    let mate = sides(row).into_iter().find(|id| id != "N2-000").unwrap();
    let (similarity, expected) = (number("similarity", row), number("expected_false_matches", row));

    let store = place.path("store");
    let mut asked = command("dedup", &[&fixture("night2")]);
    let said = answer(asked.args(["--where", "submission_id = 'N2-000'", "--against"]).arg(&store));
    let pairs = said["pairs"].as_array().unwrap();
    let pair = pairs.iter().find(|p| p["submission_a"] == mate.as_str() || p["submission_b"] == mate.as_str()).unwrap();
    assert_eq!(pair["similarity"].as_f64().unwrap() as f32, similarity as f32);
    // JSON is read to the last digit but one.
    let same =
        |said: &Value, number: f64| assert!((said.as_f64().unwrap() / number - 1.0).abs() < 1e-12, "{said} {number}");
    same(&pair["expected_false_matches"], expected);
    same(&pair["expected_false_matches_upper"], number("expected_false_matches_upper", row));

    let scratch = Place::new();
    let said = answer(command("search", &[&photos::selfie(&scratch, 0)]).args(["--top", "26", "--store"]).arg(&store));
    let faces = said["photos"][0]["faces"].as_array().unwrap();
    let found = faces.iter().flat_map(|face| face["nearest"].as_array().unwrap());
    let found = found.filter(|member| member["submission_id"] == mate.as_str());
    let found = found.max_by(|x, y| x["similarity"].as_f64().unwrap().total_cmp(&y["similarity"].as_f64().unwrap()));
    let found = found.unwrap();
    assert_eq!(found["similarity"].as_f64().unwrap() as f32, similarity as f32);
    same(&found["expected_false_matches"], expected);
    assert_eq!(found["within_limit"], true);
}

/// A command on some paths.
fn command(name: &str, paths: &[&Path]) -> Command {
    let mut command = chehra();
    command.args(["-q", name]).args(paths);
    command
}

fn answer(command: &mut Command) -> Value {
    let (code, stdout, stderr) = run(command.arg("--json"));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// Asserts exit code 0 and that the answer has all the words.
fn says(command: &mut Command, words: &[&str]) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, 0, "{stderr}");
    words.iter().for_each(|word| assert!(stdout.contains(word), "'{word}' is not in: {stdout}"));
    stdout
}

/// Asserts the exit code and that the message has all the words.
fn refused(command: &mut Command, expected: i32, words: &[&str]) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, expected, "{stdout}{stderr}");
    assert!(stdout.is_empty() && !stderr.contains("panicked") && !stderr.contains("internal error"), "{stderr}");
    words.iter().for_each(|word| assert!(stderr.contains(word), "'{word}' is not in: {stderr}"));
    stderr
}

/// Every file below a folder with its bytes.
fn bytes(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            files.extend(bytes(&entry));
        } else {
            files.push((entry.clone(), std::fs::read(&entry).unwrap()));
        }
    }
    files.sort();
    files
}
