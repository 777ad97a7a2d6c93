//! Stores: runs, restarts, locks, forgetting, compaction, export and import.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chehra::Error;
use chehra::gallery::dot::Kernel;
use chehra::gallery::generate::Crowd;
use chehra::gallery::hnsw::Breadth;
use chehra::gallery::{Engine, Gallery, SearchPolicy, Store, Want, exact, hnsw, search};

use super::{brute_force, crowd, forget, probes, rows, store_with};

#[test]
fn a_store_keeps_rows_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(store_with(&path, &crowd(), &[300, 333]));
    let store = Store::open(&path).unwrap();
    let gallery = store.view(None).unwrap();
    let original = rows(&crowd(), 0..333);
    assert_eq!(gallery.live(), 333);
    for (at, (member, template)) in original.iter().enumerate() {
        let row = gallery.row(at as u32).unwrap();
        assert_eq!(row.submission_id, member.submission_id);
        assert_eq!((row.worker_id, row.district), (member.worker_id.as_str(), member.district.as_str()));
        assert_eq!((row.mobile, row.epic), (member.mobile.as_deref(), member.epic.as_deref()));
        assert_eq!(row.member_name, member.member_name.as_deref());
        assert_eq!((row.captured_at, row.quality), (member.captured_at, member.quality));
        assert_eq!((row.selfie_sha256, row.selfie_dhash), (&member.selfie_sha256, member.selfie_dhash));
        assert_eq!(row.run_key, if at < 300 { "night-0" } else { "night-1" });
        assert_eq!(&gallery.template(at as u32).unwrap(), template);
    }
    let found = exact::search(&gallery, &probes(&original), Want::Above(0.3), Kernel::best()).unwrap();
    assert_eq!(found, brute_force(&original, &original, 0.3));
}

#[test]
fn a_run_added_twice_adds_nothing_and_sees_what_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &crowd(), &[100, 150, 170]);
    let again = store.begin().unwrap().add_run("night-1", &rows(&crowd(), 100..150)).unwrap();
    assert!(again.repeated && again.added == 0);
    assert_eq!(store.view(None).unwrap().live(), 170);
    assert_eq!(store.view(Some("night-1")).unwrap().live(), 100);
    assert_eq!(store.view(Some("night-0")).unwrap().live(), 0);
    assert_eq!(store.view(Some("night-7")).unwrap().live(), 170, "a new run sees all");
    assert_eq!(store.runs().unwrap().iter().map(|r| r.rows).collect::<Vec<_>>(), [100, 50, 20]);
}

#[test]
fn empty_stores_and_runs_are_fine() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &crowd(), &[0]);
    let gallery = store.view(None).unwrap();
    assert!(gallery.is_empty() && gallery.rows() == 0);
    let asked = rows(&crowd(), 0..3);
    for engine in [Engine::Auto, Engine::Exact, Engine::Hnsw] {
        let policy = SearchPolicy { engine, ..SearchPolicy::default() };
        assert!(search(&gallery, &probes(&asked), Want::Above(0.0), &policy).unwrap().0.is_empty());
        assert!(search(&Gallery::empty(), &probes(&asked), Want::Above(0.0), &policy).unwrap().0.is_empty());
    }
    assert!(store.begin().unwrap().add_run("night-0", &asked).unwrap().repeated);
}

#[test]
fn two_writers_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &crowd(), &[10]);
    let writer = store.begin().unwrap();
    let other = Store::open(folder.path()).unwrap();
    match other.begin() {
        Err(Error::Busy { path, holder, fix }) => {
            assert!(path.ends_with("LOCK") && holder.contains(&std::process::id().to_string()), "{holder}");
            assert!(fix.contains("again"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(other.view(None).unwrap().live(), 10, "reading needs no lock");
    drop(writer);
    other.begin().unwrap();
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    store_with(&path, &crowd(), &[20]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("segments"))), (0o700, 0o700));
    let mut seen = 0;
    for folder in [&path, &path.join("segments")] {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()) {
            assert_eq!(mode(&entry), 0o600, "{}", entry.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 5, "manifest, lock, segment, codes, masters");
}

#[test]
fn forgotten_members_are_found_by_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let crowd = Crowd { duplicates: 0.0, copies: 0.0, ..crowd() };
    let all = rows(&crowd, 0..200);
    let store = store_with(folder.path(), &crowd, &[100, 200]);
    let ids: Vec<&str> = [7, 150].iter().map(|&row: &usize| all[row].0.submission_id.as_str()).collect();
    let forgotten = forget(&store, &[ids[0], ids[1], "nobody"]);
    let receipt = forgotten.receipt.unwrap();
    assert_eq!((receipt.rows, receipt.submission_ids.len(), receipt.segments.as_slice()), (2, 2, &[1, 2][..]));
    assert_eq!(forgotten.unknown, ["nobody"]);
    assert!(receipt.erased_commit.is_none() && forgotten.before.is_empty());
    let file = store.receipt_path(&receipt);
    let kept = || serde_json::from_str::<chehra::gallery::Receipt>(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(kept(), receipt);
    let json = serde_json::to_string(&receipt).unwrap();
    assert!(json.contains(ids[0]) && !json.contains("codes") && json.len() < 400, "{json}");
    let check = |gallery: &Gallery| {
        assert_eq!(gallery.live(), 198);
        let asked = probes(&all);
        for want in [Want::Above(0.98), Want::Top { count: 3, floor: -1.0 }] {
            let exact = exact::search(gallery, &asked, want, Kernel::best()).unwrap();
            let approximate = hnsw::search(gallery, &asked, want, Breadth::default(), Kernel::best()).unwrap();
            assert_eq!(exact, approximate);
            assert!(exact.iter().all(|hit| !ids.contains(&gallery.row(hit.row).unwrap().submission_id)));
        }
        let mut rows = BTreeSet::new();
        exact::all_pairs(gallery, -1.0, Kernel::best(), &mut |_, pairs| {
            rows.extend(pairs.iter().flat_map(|p| [p.first, p.second]));
            Ok(())
        })
        .unwrap();
        assert!(rows.iter().all(|&row| gallery.row(row).is_some()));
    };
    check(&store.view(None).unwrap());
    let report = store.begin().unwrap().compact(&Default::default()).unwrap();
    assert_eq!((report.segments_before, report.segments_after, report.rows_erased), (2, 1, 2));
    check(&store.view(None).unwrap());
    assert!(store.stats().unwrap().forgotten[0].erased_commit.is_some());
    assert_eq!(kept(), store.stats().unwrap().forgotten[0], "the file says so as well");
    fs::remove_file(&file).unwrap();
    let again = forget(&store, &ids);
    assert!(again.receipt.is_none() && again.before == ids && again.unknown.is_empty(), "they are gone: {again:?}");
    assert_eq!(kept().rows, 2, "a lost copy is written again");
    // What a run saw, it sees after compaction too, less the forgotten.
    assert_eq!(store.view(Some("night-1")).unwrap().live(), 99);
    assert!(store.begin().unwrap().add_run("night-1", &all).unwrap().repeated);
}

#[test]
fn compaction_merges_small_segments_and_keeps_order_and_bits() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &crowd(), &[40, 41, 120, 121]);
    let before = store.view(None).unwrap();
    let report = store.begin().unwrap().compact(&Default::default()).unwrap();
    assert_eq!((report.segments_before, report.segments_after, report.rows_erased), (4, 1, 0));
    let after = Store::open(folder.path()).unwrap().view(None).unwrap();
    assert!(before.iter().eq(after.iter()), "a view taken before lives on, and the new one is the same");
    for row in 0..121 {
        assert_eq!(before.master(row).unwrap(), after.master(row).unwrap());
    }
    let again = store.begin().unwrap().compact(&Default::default()).unwrap();
    assert_eq!((again.segments_before, again.segments_after), (1, 1), "nothing is left to do");
    assert_eq!(store.stats().unwrap().segments[0].id, 5, "and nothing was written");
}

#[test]
fn an_export_comes_back_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = rows(&crowd(), 0..150);
    all[3].0.mobile = None;
    all[4].0.member_name = Some(String::new());
    all[5].0.member_doubt_percent = 40;
    let store = Store::open_or_create(folder.path().join("a")).unwrap();
    store.begin().unwrap().add_run("night", &all).unwrap();
    forget(&store, &[&all[9].0.submission_id]);
    let file = folder.path().join("export.parquet");
    assert_eq!(store.export(&file).unwrap(), 149);
    let other = Store::open_or_create(folder.path().join("b")).unwrap();
    assert_eq!(other.begin().unwrap().import(&file, &Default::default()).unwrap().added, 149);
    assert!(other.begin().unwrap().import(&file, &Default::default()).unwrap().repeated);
    let (a, b) = (store.view(None).unwrap(), other.view(None).unwrap());
    for ((x, left), (y, right)) in a.iter().zip(b.iter()) {
        let left = chehra::gallery::Row { run_key: right.run_key, commit: right.commit, ..left };
        assert_eq!(left, right);
        assert_eq!(a.template(x).unwrap(), b.template(y).unwrap());
    }
    assert_eq!(b.live(), 149);
    assert!(b.row(4).unwrap().member_name.is_none());
    assert_eq!(b.row(5).unwrap().member_doubt_percent, 40);
}

#[test]
fn importing_something_else_names_the_column() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder.path().join("store"), &crowd(), &[5]);
    let text = folder.path().join("text");
    fs::write(&text, "submission_id,worker_id\n").unwrap();
    let segment = folder.path().join("store/segments/00000001.parquet");
    for (path, word) in [(&text, "Parquet"), (&segment, "selfie_sha256")] {
        let error = store.begin().unwrap().import(path, &Default::default()).unwrap_err();
        assert!(matches!(error, Error::Input { .. }) && error.to_string().contains(word), "{error}");
    }
    assert_eq!(store.view(None).unwrap().live(), 5);
}

#[test]
fn an_export_rewritten_with_large_types_comes_back_too() {
    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder.path().join("a"), &crowd(), &[20]);
    let [file, large] = ["a.parquet", "b.parquet"].map(|name| folder.path().join(name));
    store.export(&file).unwrap();
    // As polars and Spark's Arrow writers may have it: large strings and lists, float64, another time unit.
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&file).unwrap()).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let wide = |kind: &DataType| match kind {
        DataType::Utf8 => DataType::LargeUtf8,
        DataType::List(_) => DataType::LargeList(Field::new("element", DataType::Float64, true).into()),
        DataType::Timestamp(_, zone) => DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, zone.clone()),
        DataType::Float32 => DataType::Float64,
        other => other.clone(),
    };
    let fields: Vec<Field> =
        batch.schema().fields().iter().map(|f| Field::new(f.name(), wide(f.data_type()), true)).collect();
    let columns = batch.columns().iter().zip(&fields).map(|(c, f)| arrow::compute::cast(c, f.data_type()).unwrap());
    let schema = std::sync::Arc::new(Schema::new(fields.clone()));
    let batch = arrow::array::RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(&large).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let other = Store::open_or_create(folder.path().join("b")).unwrap();
    assert_eq!(other.begin().unwrap().import(&large, &Default::default()).unwrap().added, 20);
    let (a, b) = (store.view(None).unwrap(), other.view(None).unwrap());
    for row in 0..20 {
        assert_eq!(a.template(row).unwrap(), b.template(row).unwrap());
        let right = b.row(row).unwrap();
        let left = chehra::gallery::Row { run_key: right.run_key, commit: right.commit, ..a.row(row).unwrap() };
        assert_eq!(left, right);
    }
}
