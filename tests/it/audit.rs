//! `chehra audit` as a user meets it: the real binary on the sample dumps, against their true answers.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use chehra::audit::{self, Job};
use chehra::config::Policy;
use chehra::infer::Engine;
use chehra::infer::engine::DEFAULT_EMBEDDER;
use chehra::nn::WeightStore;
use chehra::report::Progress;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use serde_json::Value;

use crate::util::{Place, chehra, fixture, run, write_dump};

pub const TABLES: [&str; 8] = [
    "review.parquet",
    "suspects.parquet",
    "call_first.parquet",
    "rings.parquet",
    "verdicts.parquet",
    "pairs.parquet",
    "clusters.parquet",
    "workers_audit.parquet",
];

pub use crate::util::batches as read;

/// A column of texts; of a list column the lists, joined by commas.
pub fn texts(batches: &[RecordBatch], column: &str) -> Vec<Option<String>> {
    let one = |array: &dyn Array, row: usize| array.as_string::<i32>().value(row).to_owned();
    let mut values = Vec::new();
    for batch in batches {
        let array = batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
        for row in 0..array.len() {
            values.push(match array.as_list_opt::<i32>() {
                _ if array.is_null(row) => None,
                Some(lists) => {
                    let items = lists.value(row);
                    Some((0..items.len()).map(|i| one(&items, i)).collect::<Vec<_>>().join(","))
                }
                None => Some(one(array, row)),
            });
        }
    }
    values
}

fn set(list: &Option<String>) -> BTreeSet<&str> {
    list.as_deref().unwrap_or_default().split(',').filter(|s| !s.is_empty()).collect()
}

/// Holds a run against its truth: the verdict or an allowed one, all reasons and none beyond the allowed, the original.
fn assert_true(out: &Path, truth: &Path) {
    let (got, want) = (read(&out.join("verdicts.parquet")), read(truth));
    let [verdicts, reasons, originals, ids] =
        ["verdict", "reasons", "duplicate_of", "submission_id"].map(|column| texts(&got, column));
    let [verdict, allowed_verdicts, reason, allowed_reasons, original, true_ids, notes] =
        ["verdict", "verdicts_allowed", "reasons", "reasons_allowed", "duplicate_of", "submission_id", "note"]
            .map(|column| texts(&want, column));
    assert_eq!(ids, true_ids, "one row per row of the dump, in its order");
    let mut wrong = Vec::new();
    for row in 0..ids.len() {
        let mut right =
            verdicts[row] == verdict[row] || set(&allowed_verdicts[row]).contains(verdicts[row].as_deref().unwrap());
        let (found, asked) = (set(&reasons[row]), set(&reason[row]));
        right &=
            found.is_superset(&asked) && found.is_subset(&asked.union(&set(&allowed_reasons[row])).copied().collect());
        right &= !asked.contains("duplicate_member") || originals[row] == original[row];
        if !right {
            wrong.push(format!(
                "row {row} ({:?}): {:?} {found:?} of {:?}, expected {:?} {asked:?} of {:?}",
                notes[row], verdicts[row], originals[row], verdict[row], original[row]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!ids.is_empty());
}

fn assert_same_tables(one: &Path, other: &Path) {
    for table in TABLES {
        let same = std::fs::read(one.join(table)).unwrap() == std::fs::read(other.join(table)).unwrap();
        assert!(same, "{table} differs between {} and {}", one.display(), other.display());
    }
}

fn record(out: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap()
}

#[test]
fn two_nights_are_answered_as_their_truth_says() {
    let place = Place::new();
    let (one, two, store) = (place.path("one"), place.path("two"), place.path("store"));
    let audit = |night: &str, out: &Path| {
        run(chehra().args(["audit", "--out"]).arg(out).arg("--store").arg(&store).arg(fixture(night)))
    };
    let (code, stdout, stderr) = audit("night", &one);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("38 submissions") && stdout.contains("photo_of_photo"), "{stdout}");
    assert!(stderr.contains("see: 38 selfies in"), "plain progress where there is no terminal: {stderr}");
    assert_true(&one, &fixture("night/truth.parquet"));
    assert_eq!(audit("night2", &two).0, 0);
    assert_true(&two, &fixture("night2/truth.parquet"));
    let record_of_two = record(&two);
    assert_eq!(record_of_two["members_of_earlier_nights"], record(&one)["members_added_to_store"]);

    // The same dump into the same store once more: nothing is added, and nothing changes.
    let again = place.path("again");
    assert_eq!(audit("night", &again).0, 0);
    assert_eq!(record(&again)["members_added_to_store"], 0);
    assert_same_tables(&one, &again);
    let files: BTreeSet<_> = std::fs::read_dir(&one).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files.len(), 10, "{files:?}");
    assert_eq!(place.list(), ["again", "one", "store", "two"]);
}

/// A sample night and one of its rows once more, sent again under another id five minutes later.
fn write_with_another_try(night: &str, id: &str, to: &Path) {
    write_dump(night, &|_| true, Compression::SNAPPY, to);
    let mut batches = read(to);
    let one = read(to).iter().find_map(|batch| {
        let ids = batch.column_by_name("submission_id").unwrap().as_string::<i32>();
        (0..ids.len()).find(|&row| ids.value(row) == id).map(|row| batch.slice(row, 1))
    });
    let one = one.unwrap_or_else(|| panic!("no {id} in {night}"));
    let schema = one.schema();
    let columns = schema.fields().iter().zip(one.columns()).map(|(field, column)| -> ArrayRef {
        match field.name().as_str() {
            "submission_id" => Arc::new(StringArray::from(vec![format!("{id}-again")])),
            "captured_at" => {
                let at = arrow::compute::cast(column, &DataType::Int64).unwrap();
                let unit = match column.data_type() {
                    DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
                    DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000_000,
                    other => panic!("{other}"),
                };
                let later = at.as_primitive::<Int64Type>().unary::<_, Int64Type>(|at| at + 300 * unit);
                arrow::compute::cast(&later, column.data_type()).unwrap()
            }
            _ => column.clone(),
        }
    });
    batches.push(RecordBatch::try_new(schema.clone(), columns.collect()).unwrap());
    let mut writer = ArrowWriter::try_new(File::create(to).unwrap(), schema, None).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

#[test]
fn the_record_counts_the_members_that_the_store_takes() {
    let place = Place::new();
    let dump = place.path("dump/submissions.parquet");
    write_with_another_try("night", "N1-001", &dump);
    let out = place.path("out");
    let mut command = chehra();
    command.args(["audit", "-q", "--out"]).arg(&out).arg("--store").arg(place.path("store"));
    let (code, _, stderr) = run(command.arg("--workers").arg(fixture("night/workers.parquet")).arg(&dump));
    assert_eq!(code, 0, "{stderr}");
    let record = record(&out);
    assert_eq!(record["reuse"]["resubmitted"], 1);
    assert_eq!(record["members_enrolled_tonight"], record["members_added_to_store"], "another try enrols nobody");
}

/// The networks' policy is the run's: it decides, it is recorded, and there is no other.
#[test]
fn a_run_has_one_policy() {
    let place = Place::new();
    let mut policy = Policy::default();
    policy.facts.retry_minutes = 7;
    policy.quality.min_eye_distance = 400.0;
    let weights = WeightStore::open(Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("weights"))).unwrap();
    let engine = Engine::load(&weights, DEFAULT_EMBEDDER, candle_core::Device::Cpu, &policy).unwrap();
    let job = Job { page: None, ..Job::of(vec![fixture("night2")], place.path("out")) };
    audit::run(&job, &engine, Progress::new(true), &AtomicBool::new(false)).unwrap();
    let record = record(&place.path("out"));
    assert_eq!(serde_json::from_value::<Policy>(record["policy"].clone()).unwrap(), policy);
    assert_eq!(record["members_enrolled_tonight"], 0, "no face is as large as this policy asks");
}

#[test]
fn threads_and_search_engine_change_no_byte() {
    let place = Place::new();
    let audit = |out: &str, flags: &[&str]| {
        let (code, _, stderr) =
            run(chehra().args(["audit", "-q", "--out"]).arg(place.path(out)).args(flags).arg(fixture("night2")));
        assert_eq!(code, 0, "{stderr}");
        place.path(out)
    };
    let plain = audit("plain", &["--threads", "1"]);
    assert_same_tables(&plain, &audit("threads", &["--threads", "3"]));
    let hnsw = audit("hnsw", &["--search", "hnsw"]);
    assert_same_tables(&plain, &hnsw);
    assert_eq!(record(&hnsw)["search"]["engine"], "hnsw");
    assert_eq!(record(&hnsw)["search"]["certificate"]["missed"], 0);
}

/// A whole drive of two nights with a store, every search of which walks graphs.
#[test]
fn a_drive_that_walks_graphs_finds_the_pairs_of_exact_search() {
    let place = Place::new();
    for engine in ["exact", "hnsw"] {
        for night in ["night", "night2"] {
            let mut command = chehra();
            command.args(["audit", "-q", "--search", engine, "--store"]).arg(place.path(&format!("{engine}-store")));
            let out = place.path(&format!("{engine}-{night}"));
            let (code, _, stderr) = run(command.arg("--out").arg(&out).arg(fixture(night)));
            assert_eq!(code, 0, "{stderr}");
            assert_eq!(record(&out)["search"]["engine"], engine);
        }
    }
    for night in ["night", "night2"] {
        let [exact, hnsw] = ["exact", "hnsw"].map(|engine| place.path(&format!("{engine}-{night}")));
        assert!(read(&exact.join("pairs.parquet"))[0].num_rows() > 50);
        assert_same_tables(&exact, &hnsw);
        let certificate = record(&hnsw)["search"]["certificate"].clone();
        assert!(certificate["true_pairs"].as_u64().unwrap() > 0, "{certificate}");
        assert_eq!(certificate["missed"], 0);
    }
}

#[test]
fn an_unusable_dump_is_refused_before_anything_is_written() {
    let place = Place::new();
    let expected = [
        ("broken/not-parquet.parquet", "Parquet"),
        ("broken/truncated.parquet", "truncated.parquet"),
        ("broken/empty.parquet", "empty.parquet"),
        ("broken/norows.parquet", "rows"),
        ("broken/no-selfie-column.parquet", "selfie"),
        ("broken/wrong-type.parquet", "selfie"),
        ("broken/there-is-no-such-file.parquet", "no-such-file"),
    ];
    for (dump, word) in expected {
        let (code, stdout, stderr) = run(chehra().args(["audit", "--out"]).arg(place.path("out")).arg(fixture(dump)));
        assert_eq!(code, 65, "{dump}: {stderr}");
        assert!(stderr.contains(word) && stderr.contains("expected"), "{dump}: {stderr}");
        assert!(stdout.is_empty() && place.list().is_empty(), "{dump}: {:?}", place.list());
    }
}

#[test]
fn an_existing_run_folder_is_kept_unless_forced() {
    let place = Place::new();
    let out = place.path("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine.txt"), "keep").unwrap();
    let (code, _, stderr) = run(chehra().args(["audit", "--out"]).arg(&out).arg(fixture("night2")));
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("--force"), "{stderr}");
    assert_eq!(std::fs::read_to_string(out.join("mine.txt")).unwrap(), "keep");
    // --force replaces a run, and nothing that is none.
    let (code, _, stderr) = run(chehra().args(["audit", "-q", "--force", "--out"]).arg(&out).arg(fixture("night2")));
    assert!(code == 65 && stderr.contains("another folder"), "{stderr}");
    assert_eq!(std::fs::read_to_string(out.join("mine.txt")).unwrap(), "keep");
    let again = place.path("again");
    assert_eq!(run(chehra().args(["audit", "-q", "--out"]).arg(&again).arg(fixture("night"))).0, 0);
    assert_eq!(run(chehra().args(["audit", "-q", "--force", "--out"]).arg(&again).arg(fixture("night2"))).0, 0);
    assert_ne!(record(&again)["rows"], 38);
    assert_eq!(place.list(), ["again", "out"]);
}

#[test]
fn wrong_usage_and_absent_devices_have_their_codes() {
    let place = Place::new();
    assert_eq!(run(chehra().args(["audit", "--no-such-flag"])).0, 64);
    assert_eq!(run(chehra().args(["audit", "--device", "gpu", "--out", "x", "y"])).0, 64);
    assert_eq!(run(chehra().arg("--help")).0, 0);
    for device in ["cuda:4000", "metal:4000"] {
        let (code, _, stderr) =
            run(chehra().args(["audit", "--device", device, "--out"]).arg(place.path("out")).arg(fixture("night2")));
        assert_eq!(code, 69, "{stderr}");
        assert!(stderr.contains("--device") && place.list().is_empty(), "{stderr}");
    }
    let (code, policy, _) = run(chehra().arg("policy"));
    assert_eq!(code, 0);
    std::fs::write(place.path("policy.toml"), policy.replace("photo_of_photo", "photo_of_foto")).unwrap();
    let (code, _, stderr) = run(chehra().args(["policy", "--policy"]).arg(place.path("policy.toml")));
    assert_eq!(code, 65);
    assert!(stderr.contains("photo_of_foto"), "{stderr}");
}

/// A dump of `rows` rows, each with a small flat picture: quick to see, and long enough to be stopped half-way.
fn write_long_dump(path: &Path, rows: usize) {
    let picture = std::fs::read(fixture("photos/good/grey.jpg")).unwrap();
    let ids = StringArray::from_iter_values((0..rows).map(|i| format!("S{i:05}")));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("submission_id", Arc::new(ids)),
        ("worker_id", Arc::new(StringArray::from(vec!["W-1"; rows]))),
        ("district", Arc::new(StringArray::from(vec!["Ujjain"; rows]))),
        ("captured_at", Arc::new(TimestampMicrosecondArray::from(vec![1_790_000_000_000_000; rows]))),
        ("selfie", Arc::new(BinaryArray::from_iter_values((0..rows).map(|_| &picture)))),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, a)| a).collect()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bytes() {
    let place = Place::new();
    let dump = place.path("dump.parquet");
    write_long_dump(&dump, 700);
    let (whole, out) = (place.path("whole"), place.path("out"));
    let audit = |out: &Path| {
        let mut command = chehra();
        command.args(["audit", "-q", "--out"]).arg(out).arg(&dump);
        command
    };
    for signal in ["-KILL", "-INT"] {
        let mut child = audit(&out).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let batches = || std::fs::read_dir(place.path(".out.partial/spool")).map_or(0, |d| d.count());
        let (before, begun) = (batches(), Instant::now());
        while batches() < before + 2 {
            assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be stopped");
            assert!(begun.elapsed() < Duration::from_secs(120), "no batch was finished");
            std::thread::sleep(Duration::from_millis(2));
        }
        let id = child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        let status = child.wait().unwrap();
        assert_eq!(status.code(), (signal == "-INT").then_some(75));
        assert!(!out.exists(), "no half run folder is ever visible");
    }
    assert_eq!(run(&mut audit(&out)).0, 0);
    assert!(record(&out)["rows_resumed"].as_u64().unwrap() >= 128);
    assert_eq!(run(&mut audit(&whole)).0, 0);
    assert_eq!(record(&whole)["rows_resumed"], 0);
    assert_same_tables(&whole, &out);
    assert!(!place.path(".out.partial").exists());
}

#[test]
fn columns_are_mapped_and_carried() {
    let place = Place::new();
    let config = place.path("chehra.toml");
    std::fs::write(&config, "[columns]\nmember_name = \"\"\n").unwrap();
    let out = place.path("out");
    let mut command = chehra();
    command.args(["audit", "-q", "--carry", "app_version,booth_id", "--config"]).arg(&config);
    let (code, _, stderr) = run(command.arg("--out").arg(&out).arg(fixture("night2")));
    assert_eq!(code, 0, "{stderr}");
    let carried = texts(&read(&out.join("verdicts.parquet")), "app_version");
    let mut given = Vec::new();
    for entry in std::fs::read_dir(fixture("night2")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("submissions") {
            given.extend(texts(&read(&path), "app_version"));
        }
    }
    assert_eq!(carried, given);
    let (code, _, stderr) =
        run(chehra().args(["audit", "--carry", "no_such", "--out"]).arg(place.path("x")).arg(fixture("night2")));
    assert_eq!(code, 64, "{stderr}");
}
