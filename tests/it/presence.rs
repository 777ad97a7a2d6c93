//! Enrolled from home, with the real binary: who stands out is on the list, on the page and in the rows, and nobody's verdict
//! has changed.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Float64Type, Schema};
use parquet::arrow::ArrowWriter;

use crate::audit::texts;
use crate::util::{Place, batches, chehra, run, table};

const WORKERS: usize = 14;
const ROWS: usize = 12;

/// A night of workers who walk, but for W00, who stays where the first of them was and enrols by the clock. Pictures cannot be
/// read: what is asked here needs none.
fn write_night(path: &Path, with_places: bool) {
    let all: Vec<(usize, usize)> = (0..WORKERS).flat_map(|worker| (0..ROWS).map(move |row| (worker, row))).collect();
    let scatter =
        |worker: usize, row: usize, salt: usize| ((worker * 31 + row * 17 + salt) * 7_919 % 1_000) as f64 / 20_000.0;
    let is_home = |worker: usize| worker == 0;
    let place = |base: f64, salt: usize| -> ArrayRef {
        let degrees =
            |&(worker, row): &(usize, usize)| base + scatter(worker, if is_home(worker) { 0 } else { row }, salt);
        Arc::new(Float64Array::from_iter_values(all.iter().map(degrees)))
    };
    let minute = |&(worker, row): &(usize, usize)| -> i64 {
        let walked: usize = (0..row).map(|row| 6 + (worker * 13 + row * 29) % 41).sum();
        let minute = if is_home(worker) { 9 * row } else { walked };
        1_795_248_000_000_000 + minute as i64 * 60_000_000
    };
    let words = |word: &dyn Fn(usize, usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(all.iter().map(|&(worker, row)| word(worker, row))))
    };
    let pictures = all.iter().map(|(worker, row)| format!("no picture {worker} {row}"));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("submission_id", words(&|worker, row| format!("S{worker:02}-{row:02}"))),
        ("worker_id", words(&|worker, _| format!("W{worker:02}"))),
        ("district", words(&|_, _| "Ujjain".to_owned())),
        (
            "captured_at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(all.iter().map(minute)).with_timezone("UTC")),
        ),
        ("selfie", Arc::new(BinaryArray::from_iter_values(pictures))),
    ];
    if with_places {
        columns.push(("latitude", place(23.17, 1)));
        columns.push(("longitude", place(75.78, 500)));
        columns.push(("device_id", words(&|worker, _| format!("phone {worker}"))));
    }
    let fields: Vec<Field> = columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, values)| values).collect()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn audited(dump: &Path, out: &Path) {
    let (code, stdout, stderr) = run(chehra().args(["audit", "-q", "--out"]).arg(out).arg(dump));
    assert_eq!(code, 0, "{stdout}{stderr}");
}

#[test]
fn whoever_enrols_by_the_clock_from_one_point_is_called_first_and_no_verdict_changes() {
    let place = Place::new();
    let (dump, out) = (place.path("night.parquet"), place.path("out"));
    write_night(&dump, true);
    audited(&dump, &out);

    let list = batches(&out.join("call_first.parquet"));
    assert_eq!(texts(&list, "worker_id")[0].as_deref(), Some("W00"));
    let (english, hindi) =
        (texts(&list, "reasons_en")[0].clone().unwrap(), texts(&list, "reasons_hi")[0].clone().unwrap());
    assert!(english.contains("11 of 11 further members from one point"), "{english}");
    assert!(english.contains("10 of 10 members after the same time"), "{english}");
    assert!(hindi.contains("11 में से 11 सदस्य एक ही जगह से"), "{hindi}");
    let flagged = list[0].column_by_name("flagged").unwrap().as_boolean();
    assert_eq!(flagged.iter().flatten().filter(|flagged| *flagged).count(), 1, "nobody else");

    let verdicts = batches(&out.join("verdicts.parquet"));
    let reasons = texts(&verdicts, "reasons");
    assert!(
        reasons[1].as_deref().unwrap().contains("same_place") && !reasons[0].as_deref().unwrap().contains("same_place")
    );
    assert!(texts(&verdicts, "detail")[1].as_deref().unwrap().contains("11 of 11"));
    let of_others = reasons[ROWS..].iter().flatten().filter(|reasons| reasons.contains("same_place"));
    assert_eq!(of_others.count(), 0);

    let units = table(&[&out.join("workers_audit.parquet")]);
    let units = [units];
    let reasons = texts(&units, "reason");
    let p = units[0].column_by_name("p_value").unwrap().as_primitive::<Float64Type>();
    let measured = (0..reasons.len()).filter(|&row| reasons[row].as_deref() == Some("same_place"));
    assert_eq!(measured.clone().count(), WORKERS);
    assert!(measured.clone().all(|row| (0.0..=1.0).contains(&p.value(row))));

    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("id=\"call-first\"") && page.contains("11 / 11"), "the page has the list");

    // The same rows without places and phones: the same verdicts.
    let (bare, other) = (place.path("bare.parquet"), place.path("other"));
    write_night(&bare, false);
    audited(&bare, &other);
    assert_eq!(texts(&verdicts, "verdict"), texts(&batches(&other.join("verdicts.parquet")), "verdict"));
    let list = batches(&other.join("call_first.parquet"));
    assert_eq!(texts(&list, "strongest")[0].as_deref(), Some("regular_gaps"));
}

#[test]
fn few_workers_make_an_empty_list() {
    let place = Place::new();
    let (dump, out) = (crate::util::fixture("night"), place.path("out"));
    audited(&dump, &out);
    assert_eq!(batches(&out.join("call_first.parquet")).iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    assert!(!fs::read_to_string(out.join("report.html")).unwrap().contains("id=\"call-first\""));
}
