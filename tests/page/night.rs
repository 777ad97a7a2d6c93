//! Run folders to look at: the sample night audited by the real binary, and a large night written with the program's own
//! writers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use chehra::config::policy::{Language, PeersPolicy, VerdictPolicy};
use chehra::matching::{Cluster, Enrolment, Pair, Parts, ReviewRow, Worth};
use chehra::reason::{Reason, Verdict};
use chehra::roles::Role;
use chehra::verdict::peers::{Judged, compare};
use chehra::verdict::{
    Everywhere, FaceRow, SentFrom, VerdictRow, VerdictWriter, write_clusters, write_pairs, write_review,
    write_workers_audit,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn chehra(arguments: &[&str], paths: &[&Path]) {
    let output = Command::new(env!("CARGO_BIN_EXE_chehra")).args(arguments).args(paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The two sample nights, one after the other; the pages of both.
pub fn samples(folder: &Path) -> [PathBuf; 2] {
    let store = folder.join(".store");
    [("night", "2026-11-20"), ("night2", "2026-11-21")].map(|(night, name)| {
        let out = folder.join(name);
        chehra(&["audit", "-q", "--out"], &[&out, Path::new("--store"), &store, &fixture(night)]);
        out.join("report.html")
    })
}

const DISTRICTS: [&str; 8] = ["Ujjain", "Indore", "Bhopal", "Gwalior", "Jabalpur", "Rewa", "Sagar", "उज्जैन ग्रामीण"];

/// A night of `persons` persons enrolled twice, and half as many photos of photos, with pictures for the first 200 of
/// each; its page.
pub fn large(folder: &Path, persons: usize) -> PathBuf {
    let out = folder.join("large");
    fs::create_dir_all(&out).unwrap();
    let rows: Vec<VerdictRow> = (0..persons * 5 / 2).map(|row| verdict_row(row, persons)).collect();
    let enrolments: Vec<Enrolment> = rows[..2 * persons].iter().map(enrolment).collect();
    let pair = |k: usize| Pair {
        a: 2 * k,
        b: 2 * k + 1,
        similarity: 0.9 - 0.4 * k as f32 / persons as f32,
        expected_false_matches: 1e-9,
        probability_false: 1e-6,
        parts: Parts {
            face: 6.0,
            record: [0.3, 0.0, -0.2, 0.1, 0.0, 0.0],
            levels: [Some(1), None, Some(0), Some(2), None, None],
        },
        ..Pair::default()
    };
    let pairs: Vec<Pair> = (0..persons).map(pair).collect();
    let cluster = |k: usize| {
        let mut districts = vec![enrolments[2 * k].district.clone(), enrolments[2 * k + 1].district.clone()];
        districts.sort();
        districts.dedup();
        let workers = vec![enrolments[2 * k].worker_id.clone(), enrolments[2 * k + 1].worker_id.clone()];
        Cluster {
            id: format!("P{k:06}"),
            original: 2 * k,
            members: vec![2 * k, 2 * k + 1],
            districts,
            workers,
            weakest: 0.6,
        }
    };
    let clusters: Vec<Cluster> = (0..persons).map(cluster).collect();
    let review = |(k, c): (usize, &Cluster)| ReviewRow {
        rank: k as u32 + 1,
        cluster_id: c.id.clone(),
        original: enrolments[c.original].submission_id.clone(),
        submissions: c.members.iter().map(|&m| enrolments[m].submission_id.clone()).collect(),
        districts: c.districts.clone(),
        workers: c.workers.clone(),
        worth: if c.cross_district() { Worth::CrossDistrict } else { Worth::OneDistrict },
        value: 4.0,
        probability_false: 1e-6,
        expected_false_matches: 1e-9,
        evidence: pairs[k].parts.text(),
    };
    let queue: Vec<ReviewRow> = clusters.iter().enumerate().map(review).collect();
    write_review(&out.join("review.parquet"), &queue).unwrap();
    write_pairs(&out.join("pairs.parquet"), &enrolments, &pairs).unwrap();
    write_clusters(&out.join("clusters.parquet"), &enrolments, &clusters).unwrap();
    let peers =
        compare(&rows.iter().map(judged).collect::<Vec<_>>(), &VerdictPolicy::default(), &PeersPolicy::default());
    write_workers_audit(&out.join("workers_audit.parquet"), &peers).unwrap();
    let everywhere = Everywhere { models: "models".into(), run_id: "run".into(), language: Language::Hi };
    let mut writer = VerdictWriter::create(&out.join("verdicts.parquet"), Vec::new(), everywhere).unwrap();
    writer.write(&rows, &[]).unwrap();
    writer.finish().unwrap();
    let count = |verdict: Verdict| rows.iter().filter(|r| r.verdict == verdict).count();
    let record = json!({
        "run_id": "large", "version": env!("CARGO_PKG_VERSION"), "rows": rows.len(), "read_at": 1_795_000_000_000_000i64,
        "summary": {
            "rows": rows.len(), "reasons": {"duplicate_member": persons, "photo_of_photo": persons / 2}, "pairs": persons,
            "clusters": persons, "cross_district_clusters": persons * 7 / 8,
            "verdicts": {"accept": count(Verdict::Accept), "review": count(Verdict::Review), "reject": count(Verdict::Reject)},
        },
    });
    fs::write(out.join("run.json"), record.to_string()).unwrap();
    let dump = folder.join("large.parquet");
    write_dump(&dump, &rows);
    chehra(&["report", "-q"], &[&out, Path::new("--dump"), &dump]);
    out.join("report.html")
}

fn verdict_row(row: usize, persons: usize) -> VerdictRow {
    let spoof = row >= 2 * persons;
    let again = !spoof && row % 2 == 1;
    let face = |role, left: f32, live| FaceRow {
        bbox: [left, 200.0, 180.0, 220.0],
        landmarks: [0.0; 10],
        role,
        score: 0.9,
        quality: Some(0.8),
        liveness: Some(live),
        looks: vec![live, live],
        grain: Some(0.5),
    };
    VerdictRow {
        row: row as u64,
        submission_id: Some(format!("S-{row:07}")),
        worker_id: Some(format!("W-{:04}", row / 25)),
        district: Some(DISTRICTS[(row / 2 + row % 2 * (row / 16 % 8)) % 8].into()),
        verdict: if spoof {
            Verdict::Reject
        } else if again {
            Verdict::Review
        } else {
            Verdict::Accept
        },
        reasons: if spoof {
            vec![Reason::PhotoOfPhoto]
        } else if again {
            vec![Reason::DuplicateMember]
        } else {
            vec![]
        },
        decision: None,
        detail: None,
        duplicate_of: None,
        cluster_id: (!spoof).then(|| format!("P{:06}", row / 2)),
        cross_district: None,
        review_at_false_share: None,
        similarity: None,
        expected_false_matches: None,
        grade: None,
        evidence: None,
        member_liveness: Some(0.9),
        worker_liveness: Some(0.9),
        photo_similarity: None,
        quality: Some(0.8),
        faces: vec![face(Role::Worker, 100.0, 0.9), face(Role::Member, 500.0, if spoof { 0.05 } else { 0.9 })],
        sent: SentFrom { booth_id: Some(format!("B-{:03}", row / 50)), ..SentFrom::default() },
    }
}

fn enrolment(row: &VerdictRow) -> Enrolment {
    Enrolment {
        submission_id: row.submission_id.clone().unwrap(),
        worker_id: row.worker_id.clone().unwrap(),
        district: row.district.clone().unwrap(),
        captured_at: 1_795_000_000_000_000 + row.row as i64 * 1_000_000,
        row: Some(row.row),
        ..Enrolment::default()
    }
}

fn judged(row: &VerdictRow) -> Judged<'_> {
    Judged {
        worker_id: row.worker_id.as_deref(),
        booth_id: None,
        district: row.district.as_deref(),
        division: Some("Malwa"),
        verdict: row.verdict,
        reasons: &row.reasons,
    }
}

/// The dump of those rows: one selfie of the sample night throughout, which a dictionary keeps small.
fn write_dump(path: &Path, rows: &[VerdictRow]) {
    let file = File::open(fixture("night/submissions-0.parquet")).unwrap();
    let sample = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap().unwrap();
    let selfie = sample.column_by_name("selfie").unwrap().as_binary::<i32>().value(0).to_vec();
    let mut writer: Option<ArrowWriter<File>> = None;
    for part in rows.chunks(256) {
        let text = |get: fn(&VerdictRow) -> &Option<String>| -> ArrayRef {
            Arc::new(part.iter().map(|r| get(r).as_deref()).collect::<StringArray>())
        };
        let times = TimestampMicrosecondArray::from(vec![1_795_000_000_000_000i64; part.len()]);
        let batch = RecordBatch::try_from_iter([
            ("submission_id", text(|r| &r.submission_id)),
            ("worker_id", text(|r| &r.worker_id)),
            ("district", text(|r| &r.district)),
            ("captured_at", Arc::new(times) as ArrayRef),
            ("selfie", Arc::new(BinaryArray::from_iter_values(part.iter().map(|_| &selfie))) as ArrayRef),
        ])
        .unwrap();
        let file = || ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
        writer.get_or_insert_with(file).write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
}
