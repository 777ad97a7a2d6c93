//! Facts across rows and nights, as a user meets them: the real binary on small dumps made from the sample pictures.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Float64Type, Schema};
use image::codecs::jpeg::JpegEncoder;
use image::{RgbImage, imageops};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use crate::util::{Place, batches, chehra, fixture, run};

/// 2026-11-20T09:00:00Z.
const BEGIN: i64 = 1_795_165_200_000_000;
const MINUTE: i64 = 60_000_000;

/// The selfies of `fixtures/night`, by row.
fn selfies() -> Vec<Option<Vec<u8>>> {
    let parts = [0, 1].map(|k| batches(&fixture(&format!("night/submissions-{k}.parquet"))));
    let cells = |batch: &RecordBatch| {
        let column = batch.column_by_name("selfie").unwrap().as_binary::<i32>().clone();
        (0..column.len()).map(move |k| column.is_valid(k).then(|| column.value(k).to_vec())).collect::<Vec<_>>()
    };
    parts.iter().flatten().flat_map(cells).collect()
}

/// Selfies of the sample night: worker Collins with Macron, worker Obama with Ardern, Collins with Ardern, Collins with
/// Macron once more, and twelve years younger.
fn people() -> [Vec<u8>; 5] {
    let all = selfies();
    [0, 1, 3, 4, 28].map(|row| all[row].clone().unwrap())
}

#[derive(Clone)]
struct Row {
    id: &'static str,
    worker: &'static str,
    district: &'static str,
    minute: i64,
    selfie: Option<Vec<u8>>,
    mobile: Option<&'static str>,
    booth: Option<&'static str>,
}

fn row(id: &'static str, worker: &'static str, district: &'static str, minute: i64, selfie: &[u8]) -> Row {
    Row { id, worker, district, minute, selfie: Some(selfie.to_vec()), mobile: None, booth: None }
}

fn table(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let fields: Vec<Field> = columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, a)| a).collect()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn dump(path: &Path, rows: &[Row]) {
    let text = |get: fn(&Row) -> Option<&str>| -> ArrayRef { Arc::new(rows.iter().map(get).collect::<StringArray>()) };
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| BEGIN + r.minute * MINUTE));
    let pictures: BinaryArray = rows.iter().map(|r| r.selfie.as_deref()).collect();
    table(
        path,
        vec![
            ("submission_id", text(|r| Some(r.id))),
            ("worker_id", text(|r| Some(r.worker))),
            ("district", text(|r| Some(r.district))),
            ("captured_at", Arc::new(times)),
            ("selfie", Arc::new(pictures)),
            ("mobile", text(|r| r.mobile)),
            ("booth_id", text(|r| r.booth)),
        ],
    );
}

/// What a run said of one row: verdict, reasons, original, detail.
#[derive(Debug, PartialEq)]
struct Said {
    verdict: String,
    reasons: Vec<String>,
    of: Option<String>,
    detail: String,
}

fn said(out: &Path) -> Vec<Said> {
    let mut all = Vec::new();
    for batch in batches(&out.join("verdicts.parquet")) {
        let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let (verdicts, originals, details) = (text("verdict"), text("duplicate_of"), text("detail"));
        let reasons = batch.column_by_name("reasons").unwrap().as_list::<i32>();
        for k in 0..batch.num_rows() {
            all.push(Said {
                verdict: verdicts.value(k).to_owned(),
                reasons: reasons.value(k).as_string::<i32>().iter().flatten().map(str::to_owned).collect(),
                of: originals.is_valid(k).then(|| originals.value(k).to_owned()),
                detail: if details.is_valid(k) { details.value(k).to_owned() } else { String::new() },
            });
        }
    }
    all
}

impl Said {
    fn has(&self, reason: &str) -> bool {
        self.reasons.iter().any(|r| r == reason)
    }
}

fn audit(place: &Place, name: &str, rows: &[Row], flags: &[&str]) -> PathBuf {
    let input = place.path(&format!("{name}.parquet"));
    dump(&input, rows);
    let out = place.path(name);
    let (code, _, stderr) = run(chehra().args(["audit", "-q", "--out"]).arg(&out).args(flags).arg(&input));
    assert_eq!(code, 0, "{stderr}");
    out
}

fn record(out: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap()
}

fn jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
    bytes
}

/// The picture encoded anew at another size, its mirror image, and a part of it.
fn copies(selfie: &[u8]) -> [Vec<u8>; 3] {
    let image = image::load_from_memory(selfie).unwrap().to_rgb8();
    let (w, h) = image.dimensions();
    let small = imageops::resize(&image, w * 3 / 4, h * 3 / 4, imageops::FilterType::Triangle);
    let part = imageops::crop_imm(&image, w / 30, h / 40, w * 9 / 10, h * 19 / 20).to_image();
    [jpeg(&small, 55), jpeg(&imageops::flip_horizontal(&image), 85), jpeg(&part, 85)]
}

#[test]
fn a_picture_is_known_again_on_another_night_in_another_district() {
    let place = Place::new();
    let [first, other, ..] = people();
    let store = place.path("store").to_str().unwrap().to_owned();
    let flags = ["--store", store.as_str()];
    audit(
        &place,
        "one",
        &[row("first-of-all", "W-1", "Ujjain", 0, &first), row("A1", "W-2", "Indore", 1, &other)],
        &flags,
    );
    let [anew, mirrored, part] = copies(&first);
    let day = 24 * 60;
    let night = [
        row("B0", "W-1", "Bhopal", day, &first),
        row("B1", "W-1", "Bhopal", day + 1, &anew),
        row("B2", "W-1", "Bhopal", day + 2, &mirrored),
        row("B3", "W-1", "Bhopal", day + 3, &part),
        row("B4", "W-2", "Indore", day + 4, &people()[2]),
    ];
    let two = audit(&place, "two", &night, &flags);
    let rows = said(&two);
    for (k, word) in [(0, "the file of"), (1, "encoded anew"), (2, "mirror image"), (3, "a part of")] {
        assert!(rows[k].has("duplicate_selfie"), "row {k}: {:?}", rows[k]);
        assert_eq!(rows[k].verdict, "reject");
        assert_eq!(rows[k].of.as_deref(), Some("first-of-all"), "{:?}", rows[k]);
        assert!(rows[k].detail.contains(word), "row {k}: {:?}", rows[k]);
    }
    assert!(!rows[4].has("duplicate_selfie"), "another picture of the same two people: {:?}", rows[4]);
    let counts = &record(&two)["reuse"];
    for kind in ["same_file", "encoded_anew", "mirrored", "cropped"] {
        assert_eq!(counts[kind], 1, "{counts}");
    }
    assert_eq!(counts["pictures_of_earlier_nights"], 2);

    // The same night again, on another number of threads: the same answers.
    let again = audit(&place, "two-again", &night, &[&flags[..], &["--threads", "3"]].concat());
    let bytes = |out: &Path| std::fs::read(out.join("verdicts.parquet")).unwrap();
    assert!(said(&again) == rows && record(&again)["members_added_to_store"] == 0);
    // Written with other paths, the dump is the same run.
    assert_eq!(bytes(&again), bytes(&two));

    // Who is forgotten is known by no picture any more.
    let (code, _, stderr) = run(chehra().args(["gallery", "forget", "--member", "first-of-all", "--store", &store]));
    assert_eq!(code, 0, "{stderr}");
    for entry in std::fs::read_dir(place.path("store/segments")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(12).any(|w| w == b"first-of-all"));
    }
    assert_eq!(run(chehra().args(["gallery", "verify", "--store", &store])).0, 0);
    let three = audit(&place, "three", &[row("C0", "W-1", "Ujjain", 2 * day, &first)], &flags);
    assert_ne!(said(&three)[0].of.as_deref(), Some("first-of-all"), "{:?}", said(&three));
}

#[test]
fn another_try_is_told_from_a_second_membership() {
    let place = Place::new();
    let [first, _, _, once_more, younger] = people();
    let sent = |id, worker, district, minute, selfie: &[u8]| Row {
        mobile: Some("9826012345"),
        ..row(id, worker, district, minute, selfie)
    };
    let rows = [
        sent("T0", "W-1", "Ujjain", 0, &first),
        sent("T1", "W-1", "Ujjain", 5, &once_more),
        sent("T2", "W-1", "Ujjain", 9, &first),
        sent("T3", "W-1", "Indore", 300, &younger),
    ];
    let said = said(&audit(&place, "out", &rows, &[]));
    assert!(said[0].reasons.iter().all(|r| r == "worker_unknown"), "{:?}", said[0]);
    for retry in [1, 2] {
        assert!(said[retry].has("resubmitted") && !said[retry].has("duplicate_member"), "{:?}", said[retry]);
        assert!(!said[retry].has("mobile_reused") && !said[retry].has("duplicate_selfie"), "{:?}", said[retry]);
        assert_eq!(said[retry].of.as_deref(), Some("T0"));
        assert_eq!(said[retry].verdict, "accept");
    }
    assert!(said[3].has("duplicate_member") && said[3].has("mobile_reused"), "{:?}", said[3]);
}

#[test]
fn booths_and_times_that_cannot_be_are_said() {
    let place = Place::new();
    let [first, other, ..] = people();
    let at = |id, district, booth, minute, selfie: &[u8]| Row {
        booth: Some(booth),
        ..row(id, "W-1", district, minute, selfie)
    };
    let years = 80 * 365 * 24 * 60;
    let rows = [
        at("S0", "Ujjain", "12", 0, &first),
        at("S1", "Ujjain", "99", 1, &other),
        at("S2", "ujjain ", "77", years, &people()[2]),
    ];
    let booths = place.path("booths.csv");
    std::fs::write(&booths, "booth_id,district,name\n12,UJJAIN,School\n99,Indore,Hall\n").unwrap();
    let rows = said(&audit(&place, "out", &rows, &["--booths", booths.to_str().unwrap()]));
    assert!(!rows[0].has("booth_outside_district") && !rows[0].has("captured_at_implausible"));
    assert!(rows[1].has("booth_outside_district"), "{:?}", rows[1]);
    assert!(!rows[2].has("booth_outside_district"), "an unlisted booth says nothing");
    assert!(rows[2].has("captured_at_implausible"), "{:?}", rows[2]);

    for (text, word) in [("booth,district\n12,Ujjain\n", "booth_id"), ("booth_id,district\n", "at least one booth")] {
        std::fs::write(&booths, text).unwrap();
        let mut command = chehra();
        command.args(["audit", "-q", "--booths"]).arg(&booths).arg("--out").arg(place.path("x"));
        let (code, _, stderr) = run(command.arg(place.path("out.parquet")));
        assert_eq!(code, 65, "{stderr}");
        assert!(stderr.contains(word) && stderr.contains("booths.csv"), "{stderr}");
        assert!(!place.path("x").exists());
    }
    let missing = place.path("none.csv");
    let mut command = chehra();
    command.args(["audit", "--booths"]).arg(&missing).arg("--out").arg(place.path("x")).arg(place.path("out.parquet"));
    assert_eq!(run(&mut command).0, 65);
}

#[test]
fn an_untidy_table_of_workers_costs_no_row() {
    let place = Place::new();
    let [first, other, ..] = people();
    let rows = [row("S0", "W-101", "Ujjain", 0, &first), row("S1", "W-2", "Ujjain", 1, &other)];
    dump(&place.path("dump.parquet"), &rows);
    let reference = batches(&fixture("night/workers.parquet"));
    let photo = reference[0].column_by_name("photo").unwrap().as_binary::<i32>().value(0).to_vec();
    let untidy = place.path("untidy.parquet");
    let ids = [Some("W-101"), Some("W-101"), Some("W-2"), Some("W-9"), None];
    let photos: [Option<&[u8]>; 5] =
        [Some(b"no picture"), Some(&photo), Some(&photo[..photo.len() / 2]), None, Some(&photo)];
    table(
        &untidy,
        vec![
            ("worker_id", Arc::new(StringArray::from(ids.to_vec()))),
            ("photo", Arc::new(BinaryArray::from(photos.to_vec()))),
            ("shoe_size", Arc::new(StringArray::from(vec![Some("42"); 5]))),
        ],
    );
    let audit = |workers: &Path, out: &str| {
        let mut command = chehra();
        command.args(["audit", "--out"]).arg(place.path(out)).arg("--workers").arg(workers);
        run(command.arg(place.path("dump.parquet")))
    };
    let (code, _, stderr) = audit(&untidy, "out");
    assert_eq!(code, 0, "{stderr}");
    for word in ["W-2", "W-9", "no worker_id", "learned from the selfies"] {
        assert!(stderr.contains(word), "{word}: {stderr}");
    }
    let counts = &record(&place.path("out"))["workers"];
    assert_eq!((&counts["enrolled"], &counts["photos_refused"]), (&1.into(), &4.into()), "{counts}");
    assert!(said(&place.path("out"))[0].reasons.is_empty(), "the second photo of W-101 was read");

    let wrong = place.path("wrong.parquet");
    table(&wrong, vec![("worker", Arc::new(StringArray::from(vec!["W-1"])))]);
    let (code, _, stderr) = audit(&wrong, "x");
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("worker_id") && !place.path("x").exists(), "{stderr}");
}

/// Every number of a table of peers is a number.
fn assert_sane(out: &Path) {
    for batch in batches(&out.join("workers_audit.parquet")) {
        for name in ["rate", "rate_low", "rate_high", "shrunken_rate", "p_value", "q_value"] {
            let column = batch.column_by_name(name).unwrap().as_primitive::<Float64Type>();
            assert!(column.iter().flatten().all(|v| (0.0..=1.0).contains(&v)), "{name}: {column:?}");
        }
        let flagged = batch.column_by_name("flagged").unwrap().as_boolean();
        assert_eq!(flagged.true_count(), 0, "so few rows accuse nobody");
    }
}

#[test]
fn the_smallest_nights_get_sensible_verdicts() {
    let place = Place::new();
    let [first, other, third, ..] = people();
    let one = audit(&place, "one-row", &[row("S0", "W-1", "Ujjain", 0, &first)], &[]);
    assert_eq!(said(&one)[0].verdict, "accept");
    assert_eq!(said(&one)[0].reasons, ["worker_unknown"], "one selfie shows nobody to be the worker");
    assert_sane(&one);
    // One worker alone in a district, and a worker with one submission beside one with two.
    let rows = [
        row("S0", "W-1", "Ujjain", 0, &first),
        row("S1", "W-1", "Ujjain", 1, &third),
        row("S2", "W-2", "Indore", 2, &other),
    ];
    let few = audit(&place, "few", &rows, &[]);
    assert_eq!(said(&few).len(), 3);
    assert!(said(&few)[..2].iter().all(|s| s.verdict == "accept"), "{:?}", said(&few));
    assert_sane(&few);
    // Nothing but pictures that cannot be read.
    let broken = Row { selfie: None, ..row("S0", "W-1", "Ujjain", 0, &first) };
    let none = audit(&place, "none", &[broken], &[]);
    assert_eq!((said(&none)[0].verdict.as_str(), said(&none)[0].has("unreadable_image")), ("unreadable", true));
    assert_sane(&none);
}
