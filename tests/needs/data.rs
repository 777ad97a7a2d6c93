//! Public data sets: a few of their pictures through the real binary, with room below what all of them give
//! (docs/accuracy.md has the figures). Looked for in the folder that `CHEHRA_DATA` names, else in `../shared/data`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::skip;
use crate::util::{Place, chehra, run};

/// Rows of one label that are taken, evenly over the set.
const TAKEN: usize = 30;

fn data_set(name: &str) -> PathBuf {
    let given = std::env::var_os("CHEHRA_DATA").map(PathBuf::from);
    let root = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let folder = root.join(name);
    if !folder.is_dir() {
        skip(format!("no {} (CHEHRA_DATA names the folder of data sets)", folder.display()));
    }
    folder
}

/// Writes [`TAKEN`] rows of each label to a list of its own.
fn thin(list: &Path, column: &str, labels: [&str; 2], to: &Path) {
    let mut reader = csv::Reader::from_path(list).unwrap();
    let header = reader.headers().unwrap().clone();
    let at = header.iter().position(|name| name == column).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    let mut writer = csv::Writer::from_path(to).unwrap();
    writer.write_record(&header).unwrap();
    for label in labels {
        let own: Vec<_> = rows.iter().filter(|row| &row[at] == label).collect();
        assert!(own.len() >= TAKEN, "{}: only {} rows of {label}", list.display(), own.len());
        own.iter().step_by(own.len() / TAKEN).take(TAKEN).for_each(|row| writer.write_record(*row).unwrap());
    }
    writer.flush().unwrap();
}

fn evaluate<const N: usize>(kind: &str, list: [&str; N], images: &Path) -> Value {
    let mut command = chehra();
    let (code, stdout, stderr) =
        run(command.args(["evaluate", kind, "-q", "--json"]).args(list).arg("--images").arg(images));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

pub fn lfw_pairs_are_told_apart() {
    let (lfw, place) = (data_set("lfw"), Place::new());
    let pairs = place.path("pairs.csv");
    thin(&lfw.join("pairs.csv"), "same", ["1", "0"], &pairs);
    let report = evaluate("verification", ["--pairs", pairs.to_str().unwrap()], &lfw);
    assert_eq!(report["comparisons"], 2 * TAKEN);
    assert_eq!(report["failed_to_enrol"], serde_json::json!([]));
    let number = |value: &Value| value.as_f64().unwrap();
    assert!(number(&report["equal_error_rate"]) <= 0.04, "{report}");
    assert!(number(&report["mated"]["mean"]) > 0.55, "{report}");
    assert!(number(&report["impostor"]["mean"]).abs() < 0.1, "{report}");
}

pub fn nuaa_prints_are_not_accepted() {
    let (nuaa, place) = (data_set("nuaa"), Place::new());
    let labels = place.path("labels.csv");
    thin(&nuaa.join("labels.csv"), "label", ["live", "spoof"], &labels);
    let report = evaluate("liveness", ["--labels", labels.to_str().unwrap()], &nuaa);
    assert_eq!((&report["bona_fide"], &report["attacks"]), (&Value::from(TAKEN), &Value::from(TAKEN)));
    let rate = |value: &Value| value["rate"].as_f64().unwrap();
    assert!(rate(&report["bpcer_rejecting"]) <= 0.1, "honest faces rejected: {report}");
    assert!(rate(&report["all"]["apcer_asking"]) <= 0.1, "prints accepted without a question: {report}");
}

pub fn one_region_is_more_alike_than_the_world() {
    crate::slow();
    let (lfw, place) = (data_set("lfw"), Place::new());
    let ids = std::fs::read_to_string(lfw.join("south_asian_ids.txt")).unwrap();
    let ids: Vec<&str> = ids.split_whitespace().collect();
    // All pictures of the list's people, and those of every eighth other person.
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(lfw.join("images")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let name = |folder: &Path| folder.file_name().unwrap().to_str().unwrap().to_owned();
    let mut pictures: Vec<String> = Vec::new();
    let mut groups = String::from("id,group\n");
    for (number, folder) in folders.iter().enumerate() {
        let is_listed = ids.contains(&name(folder).as_str());
        if is_listed || number % 8 == 0 {
            groups += &format!("{},{}\n", name(folder), if is_listed { "south_asian" } else { "others" });
            pictures
                .extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().display().to_string()));
        }
    }
    pictures.sort();
    let (pairs, group_file) = (place.path("pairs.csv"), place.path("groups.csv"));
    let rows: String = pictures.windows(2).map(|two| format!("0,{},{},0\n", two[0], two[1])).collect();
    std::fs::write(&pairs, format!("fold,path_a,path_b,same\n{rows}")).unwrap();
    std::fs::write(&group_file, groups).unwrap();
    let list = ["--pairs", pairs.to_str().unwrap(), "--groups", group_file.to_str().unwrap()];
    let report = evaluate("verification", list, Path::new("/"));
    assert_eq!(report["groups"]["people"]["south_asian"], 47, "{report}");
    let rate = |fmr: &str| {
        let rates = report["groups"]["rates"].as_array().unwrap();
        let ends_so = |rate: &&Value| {
            rate["what"].as_str().unwrap().starts_with("FMR ") && rate["all"] == fmr.parse::<f64>().unwrap()
        };
        rates.iter().find(ends_so).unwrap().clone()
    };
    let at = rate("0.01");
    assert_eq!(at["worst_to_best"]["worst"], "south_asian", "{at}");
    assert!(at["worst_to_best"]["ratio"].as_f64().unwrap() > 1.5, "{at}");
    let south_asian = &at["groups"][1];
    assert_eq!(south_asian["group"], "south_asian");
    assert!(south_asian["rate"]["low"].as_f64().unwrap() > 0.01, "above the rate of all for certain: {at}");
    let rare = rate("0.0001");
    assert_eq!(rare["groups"][1]["is_large_enough"], false, "some 3,000 pairs show no rate of 1e-4: {rare}");
}
