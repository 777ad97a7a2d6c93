use std::collections::BTreeSet;
use std::fs;

use chehra::gallery::Store;
use serde_json::Value;

use super::{answer, bytes, command, nights, refused, says};
use crate::util::{Place, chehra, fixture, run};

/// The pairs of an answer by their two submissions.
fn pairs(said: &Value) -> BTreeSet<(String, String)> {
    let id = |pair: &Value, name: &str| pair[name].as_str().unwrap().to_owned();
    let pairs = said["pairs"].as_array().unwrap().iter();
    pairs.map(|pair| (id(pair, "submission_a"), id(pair, "submission_b"))).collect()
}

#[test]
fn a_dump_an_export_a_store_and_a_run_give_the_same_pairs() {
    let place = nights();
    let whole = answer(&mut command("dedup", &[&place.path("store")]));
    assert_eq!(whole["inputs"][0]["rows"], 26);
    assert!(pairs(&whole).len() > 50);
    assert_eq!(pairs(&whole), pairs(&answer(&mut command("dedup", &[&place.path("members.parquet")]))));
    let mut legacy = chehra();
    legacy.args(["-q", "dedup", "--all-pairs", "--store"]).arg(place.path("store"));
    assert_eq!(pairs(&whole), pairs(&answer(&mut legacy)));

    // The run finds its members in its store without seeing a picture, and in its dump without a store.
    let two = place.path("two");
    let stored = answer(command("dedup", &[&two]).arg("--store").arg(place.path("store")));
    assert_eq!(stored["inputs"][0]["rows"], 10);
    let seen = answer(&mut command("dedup", &[&two]));
    // A store takes no copies and no id twice, so the dump has more.
    assert!(pairs(&stored).len() == 3 && pairs(&stored).is_subset(&pairs(&seen)), "{stored} {seen}");
    let dump = answer(&mut command("dedup", &[&fixture("night2")]));
    assert_eq!(pairs(&dump), pairs(&seen));
    assert!(dump["inputs"][0]["left_out"].is_object(), "{dump}");
}

#[test]
fn chosen_rows_are_compared_with_a_store_that_stays_as_it_is() {
    let place = nights();
    let store = place.path("store");
    let before = bytes(&store);
    let filter = "district in ('Ujjain', 'Gwalior') and captured_at >= '2026-11-21' and worker_id = 'W-202' \
                  and submission_id <> 'N2-006'";
    let mut asked = command("dedup", &[&fixture("night2")]);
    let said = answer(asked.args(["--where", filter, "--against", "store", "--store"]).arg(&store));
    assert_eq!(bytes(&store), before, "a look-up must not write to the store");
    let input = &said["inputs"][0];
    assert_eq!((&input["rows"], &input["passed"]), (&10.into(), &4.into()), "{input}");
    // Each pair has one of the rows asked about, none is with itself, and the size is that of the whole store.
    let mine: BTreeSet<&str> = ["N2-000", "N2-004", "N2-008", "N2-009"].into();
    let found = pairs(&said);
    assert!(!found.is_empty());
    assert!(found.iter().all(|(a, b)| a != b && (mine.contains(a.as_str()) || mine.contains(b.as_str()))), "{found:?}");
    // That of the store's last audit: 26 members, and a row that was compared and enrolled nobody.
    assert_eq!(said["matching"]["gallery_size"], 27);
    let by_path = answer(command("dedup", &[&fixture("night2")]).args(["--where", filter, "--against"]).arg(&store));
    assert_eq!(pairs(&by_path), found);
    // The same rows asked of the store itself, and of its export against its export.
    for input in [&store, &place.path("members.parquet")] {
        let mut asked = command("dedup", &[input]);
        let again = answer(asked.args(["--where", filter, "--against"]).arg(place.path("members.parquet")));
        assert_eq!(pairs(&again), found, "{}", input.display());
    }
}

#[test]
fn a_run_can_be_asked_for_its_verdicts() {
    let place = nights();
    let run = |filter: &str| {
        let mut asked = command("dedup", &[&place.path("one")]);
        answer(asked.args(["--where", filter, "--store"]).arg(place.path("store")))["inputs"][0]["passed"].clone()
    };
    assert_eq!(
        run("verdict = 'review' and reasons like '%duplicate_member%'"),
        run("duplicate_of is not null and verdict = 'review'")
    );
    assert_eq!(run("verdict = 'unreadable'"), 0, "those are in no store");
    let said = refused(
        command("dedup", &[&place.path("one")]).args(["--where", "verdikt = 'review'"]),
        64,
        &["verdikt", "^^^^^^^", "did you mean verdict?", "booth_id", "cluster_id"],
    );
    assert!(said.contains("Columns of this run"), "{said}");
}

#[test]
fn every_format_holds_the_same_pairs() {
    let place = nights();
    let out = Place::new();
    let store = place.path("store");
    let dedup = |more: &[&str]| {
        let mut asked = command("dedup", &[&store]);
        asked.args(["--where", "captured_at = '2026-11-21'", "--against"]).arg(&store).args(more);
        asked
    };
    let json = answer(&mut dedup(&[]));
    let count = json["pairs"].as_array().unwrap().len();
    let csv = says(&mut dedup(&["--format", "csv"]), &["submission_a,submission_b,similarity,expected_false_matches"]);
    assert_eq!(csv.lines().count(), count + 1);
    let (first, pair) = (csv.lines().nth(1).unwrap(), &json["pairs"][0]);
    assert!(first.starts_with(&format!("{},", pair["submission_a"].as_str().unwrap())), "{first} {pair}");
    says(
        &mut dedup(&[]),
        &["how sure", "near certain", "first", "again", "6 selected", "False matches from the store's last audit"],
    );
    for name in ["pairs.csv", "pairs.json", "pairs.parquet", "pairs.xlsx", "folder"] {
        let file = out.path(name);
        says(dedup(&["--out"]).arg(&file), &["members"]);
        refused(dedup(&["--out"]).arg(&file), 65, &[name, "name another --out"]);
    }
    let written = fs::read_to_string(out.path("pairs.csv")).unwrap();
    let plain = written.strip_prefix('\u{feff}').expect("Excel knows UTF-8 by the mark");
    assert_eq!(plain.trim_end(), csv.trim_end());
    assert!(fs::read(out.path("pairs.xlsx")).unwrap().starts_with(b"PK"));
    let rows = |name: &str| {
        let file = fs::File::open(out.path(name)).unwrap();
        let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        builder.metadata().file_metadata().num_rows() as usize
    };
    assert_eq!((rows("pairs.parquet"), rows("folder/pairs.parquet")), (count, count));
    refused(&mut dedup(&["--format", "parquet"]), 64, &["--out pairs.parquet"]);
    refused(&mut dedup(&["--format", "xml"]), 64, &["table", "csv", "json", "parquet"]);
}

#[test]
fn nothing_selected_is_an_answer() {
    let place = nights();
    let store = place.path("store");
    for input in [&store, &place.path("members.parquet"), &fixture("night2"), &place.path("two")] {
        let none = || {
            let mut asked = command("dedup", &[input]);
            asked.args(["--where", "district = 'Mars'"]);
            asked
        };
        says(&mut none(), &["0 selected", "Nobody is left to compare."]);
        let said = answer(&mut none());
        assert_eq!((&said["pairs"], &said["inputs"][0]["passed"]), (&Value::Array(Vec::new()), &0.into()));
        assert_eq!(says(none().args(["--format", "csv"]), &[]).lines().count(), 1);
    }
}

#[test]
fn a_bad_predicate_is_wrong_usage_and_points_at_the_word() {
    let place = nights();
    for (filter, words) in [
        ("distrct = 'Ujjain'", &["no such column: distrct", "    ^^^^^^^\n", "did you mean district?"][..]),
        ("district = \"Ujjain\"", &["no such column: Ujjain", "single quotes: 'Ujjain'"]),
        ("district = 'Ujjain' and", &["incomplete input"]),
        ("captured_at > 'last week'", &["'last week', which is no time", "2026-11-30"]),
        ("booth_id = '12'", &["no such column: booth_id", "Columns of a store"]),
        ("1; DROP TABLE facts", &["--where"]),
        ("worker_id in (select worker_id from facts)", &["not allowed here: SELECT", "^^^^^^"]),
    ] {
        refused(command("dedup", &[&place.path("store")]).args(["--where", filter]), 64, words);
    }
    // Of a dump, before any picture is seen.
    refused(command("dedup", &[&fixture("night")]).args(["--where", "bot_id = 1"]), 64, &["did you mean booth_id?"]);
}

#[test]
fn unusable_inputs_are_named() {
    let place = nights();
    let other = Place::new();
    let store = place.path("store");
    for broken in ["truncated", "not-parquet", "norows", "no-selfie-column", "empty"] {
        let dump = fixture(&format!("broken/{broken}.parquet"));
        refused(&mut command("dedup", &[&dump]), 65, &[broken, "expected"]);
        refused(command("dedup", &[&store]).arg("--against").arg(&dump), 65, &[broken, "expected"]);
    }
    refused(&mut command("dedup", &[&other.path("nowhere")]), 65, &["nowhere", "found:    nothing"]);
    refused(&mut command("dedup", &[]), 64, &["nothing to look at", "--all-pairs"]);
    refused(command("dedup", &[&store]).args(["--against", "store"]), 64, &["--against store", "--store DIR"]);
    let empty = other.path("empty");
    Store::open_or_create(&empty).unwrap();
    refused(&mut command("dedup", &[&empty]), 64, &["no members"]);
    refused(command("dedup", &[&store]).arg("--against").arg(&empty), 64, &["nobody is there to compare with"]);
    // Templates of another network.
    let mut another = command("dedup", &[&fixture("night2")]);
    another.args(["--embedder", "mobilefacenet192", "--where", "submission_id = 'N2-000'", "--against"]).arg(&store);
    refused(&mut another, 64, &["sface", "mobilefacenet192", "never compared"]);
    // A run whose dump has changed since, and whose store is not named.
    let gone = other.path("run");
    fs::create_dir(&gone).unwrap();
    fs::copy(place.path("two/verdicts.parquet"), gone.join("verdicts.parquet")).unwrap();
    let record = fs::read_to_string(place.path("two/run.json")).unwrap();
    fs::write(gone.join("run.json"), record.replace("submissions-0", "submissions-9")).unwrap();
    refused(&mut command("dedup", &[&gone]), 65, &["submissions-9", "--store"]);
    says(command("dedup", &[&gone]).arg("--store").arg(&store), &["10 rows"]);
    fs::write(gone.join("run.json"), "{}").unwrap();
    refused(&mut command("dedup", &[&gone]), 65, &["run.json", "expected"]);
    let (code, help, _) = run(chehra().args(["dedup", "--help"]));
    assert!(code == 0 && help.contains("Examples:") && help.contains("--where"), "{help}");
}
