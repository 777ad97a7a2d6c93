//! The dump reader against files that Spark, pyarrow, DuckDB and polars really wrote (`fixtures/writers/make.py`), and
//! against what dumps should not be.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use chehra::config::Columns;
use chehra::dump::{Dump, RowFacts, Submission, Workers, read_workers};
use chehra::exit::Exit;
use chehra::{Error, Result};

const ROWS: usize = 6;
/// 2026-01-05T10:22:32Z
const START: i64 = 1_767_608_552_000_000;

fn writers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/writers")
}

fn file(name: &str) -> PathBuf {
    writers().join(format!("{name}.parquet"))
}

fn picture(column: &str, row: usize) -> Option<Vec<u8>> {
    fs::read(writers().join("pictures").join(format!("{column}_{row}"))).ok()
}

/// The rows as `make.py` states them.
fn truth() -> Vec<RowFacts> {
    let workers = ["7001", "7001", "7002", "7002", "7003", "7003"];
    let districts = ["Wayanad", "Wayanad", "Kollam", "Kollam", "Wayanad", "Kollam"];
    let names = [Some("A"), Some("B"), None, None, Some("E"), Some("\u{d05}\u{d28}\u{d3f}\u{d24}")];
    let consents = [Some(true), Some(false), None, Some(true), Some(true), Some(true)];
    let booths = [Some("101"), Some("101"), Some("101"), Some("102"), Some("102"), None];
    let versions = [Some("3"), Some("3"), Some("4"), Some("4"), None, Some("5")];
    (0..ROWS)
        .map(|i| RowFacts {
            app_version: versions[i].map(Into::into),
            submission_id: Some(format!("S-{i:04}")),
            worker_id: Some(workers[i].into()),
            district: Some(districts[i].into()),
            captured_at: (i != 4).then_some(START + i as i64 * 1_000_000),
            booth_id: booths[i].map(Into::into),
            mobile: (i != 2).then(|| (9_447_012_340 + i as u64).to_string()),
            member_name: names[i].map(Into::into),
            consent: consents[i],
            ..RowFacts::default()
        })
        .collect()
}

fn read(dump: &Dump, batch_rows: usize, max_bytes: usize, start: u64) -> Result<Vec<Submission>> {
    let mut rows = Vec::new();
    for batch in dump.batches(batch_rows, max_bytes, start) {
        let batch = batch?;
        assert!(!batch.is_empty() && batch.len() <= batch_rows);
        rows.extend(batch);
    }
    Ok(rows)
}

fn bytes(blob: &Option<chehra::dump::Blob>) -> Option<Vec<u8>> {
    blob.as_ref().map(|b| b.to_vec())
}

fn assert_rows(what: &str, rows: &[Submission], expected: &[RowFacts]) {
    assert_eq!(rows.len(), expected.len(), "{what}");
    for (i, (row, facts)) in rows.iter().zip(expected).enumerate() {
        assert_eq!(row.row, i as u64, "{what}");
        assert_eq!(&row.facts, facts, "{what}, row {i}");
    }
}

fn assert_pictures(what: &str, rows: &[Submission]) {
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(bytes(&row.selfie), picture("selfie", i), "{what}, selfie of row {i}");
        assert_eq!(bytes(&row.photo), picture("photo", i), "{what}, photo of row {i}");
    }
}

/// Opens and reads a file, and holds it to the truth.
fn assert_truth(names: &[&str]) {
    for name in names {
        let dump = Dump::open(&[file(name)], &Columns::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(dump.total_rows(), ROWS as u64, "{name}");
        let rows = read(&dump, 64, 1 << 20, 0).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_rows(name, &rows, &truth());
        assert_pictures(name, &rows);
    }
}

#[test]
fn pyarrow_files_read_as_written() {
    assert_truth(&[
        "pyarrow_default",
        "pyarrow_groups_zstd_v2",
        "pyarrow_large_gzip",
        "pyarrow_views_brotli",
        "pyarrow_dictionary_lz4",
        "pyarrow_int96_plain",
        "pyarrow_delta",
    ]);
}

#[test]
fn polars_files_read_as_written() {
    assert_truth(&[
        "polars_zstd",
        "polars_snappy",
        "polars_lz4",
        "polars_gzip",
        "polars_brotli",
        "polars_uncompressed",
        "polars_categories",
    ]);
}

#[test]
fn duckdb_files_read_as_written() {
    assert_truth(&[
        "duckdb_snappy",
        "duckdb_zstd",
        "duckdb_lz4_raw",
        "duckdb_gzip",
        "duckdb_brotli",
        "duckdb_uncompressed",
        "duckdb_types",
    ]);
}

#[test]
fn spark_files_read_as_written() {
    assert_truth(&[
        "spark_int96_snappy",
        "spark_micros_zstd",
        "spark_millis_gzip",
        "spark_lz4_hadoop",
        "spark_lz4_raw",
        "spark_plain_v2",
        "spark_ntz_decimal",
    ]);
}

#[test]
fn every_written_file_is_in_a_test() {
    let text = include_str!("dump.rs");
    let mut files = 0;
    for entry in fs::read_dir(writers()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(stem) = name.strip_suffix(".parquet") {
            assert!(text.contains(&format!("\"{stem}\"")), "{name} is read by no test");
            files += 1;
        }
    }
    assert!(files >= 30, "only {files} files");
}

#[test]
fn names_are_mapped_and_words_understood() {
    let columns = Columns { selfie: "image_bytes".into(), mobile: "phone".into(), ..Columns::default() };
    let dump = Dump::open(&[file("pyarrow_text")], &columns).unwrap();
    let rows = read(&dump, 4, 1 << 20, 0).unwrap();
    let mut expected = truth();
    expected[4].captured_at = None;
    expected[4].unread = vec![("captured_at".into(), "yesterday".into())];
    assert_rows("pyarrow_text", &rows, &expected);
    assert_pictures("pyarrow_text", &rows);
}

#[test]
fn fixed_size_pictures_and_dates() {
    let dump = Dump::open(&[file("pyarrow_fixed_date")], &Columns::default()).unwrap();
    let rows = read(&dump, 4, 1 << 20, 0).unwrap();
    let mut expected = truth();
    for facts in &mut expected {
        facts.captured_at = facts.captured_at.map(|_| 1_767_571_200_000_000);
    }
    assert_rows("pyarrow_fixed_date", &rows, &expected);
    assert!(rows.iter().all(|row| bytes(&row.selfie) == picture("selfie", 0)));
}

#[test]
fn a_folder_as_spark_leaves_it() {
    let dump = Dump::open(&[writers().join("spark_folder")], &Columns::default()).unwrap();
    assert_eq!(dump.files().count(), 2);
    let rows = read(&dump, 4, 1 << 20, 0).unwrap();
    assert_rows("spark_folder", &rows, &truth());
    assert!(rows.iter().all(|row| row.photo.is_none()));
}

#[test]
fn partition_folders_tell_their_column() {
    for input in [writers().join("pyarrow_partitions"), writers().join("pyarrow_partitions/*/part-*.parquet")] {
        let dump = Dump::open(&[input], &Columns::default()).unwrap();
        let rows = read(&dump, 64, 1 << 20, 0).unwrap();
        let mut expected = truth();
        expected.sort_by_key(|facts| (facts.district.clone(), facts.submission_id.clone()));
        assert_rows("pyarrow_partitions", &rows, &expected);
    }
}

/// Times without a zone are meant in UTC: else files with and without one are refused.
fn in_utc() -> Columns {
    Columns { time_zone: "UTC".into(), ..Columns::default() }
}

/// Files of four writers with different physical types are one dump.
fn mixed() -> Vec<PathBuf> {
    let names = ["pyarrow_groups_zstd_v2", "spark_int96_snappy", "duckdb_types", "polars_categories", "pyarrow_delta"];
    names.map(file).to_vec()
}

#[test]
fn batches_and_starts_change_nothing() {
    let dump = Dump::open(&mixed(), &in_utc()).unwrap();
    assert_eq!(dump.total_rows(), 5 * ROWS as u64);
    let whole = read(&dump, 1000, usize::MAX, 0).unwrap();
    assert_eq!(whole.len(), 5 * ROWS);
    let mut sorted = mixed();
    sorted.sort();
    assert!(dump.files().eq(sorted.iter().map(PathBuf::as_path)));
    let same = |a: &Submission, b: &Submission| {
        a.row == b.row
            && a.facts == b.facts
            && bytes(&a.selfie) == bytes(&b.selfie)
            && bytes(&a.photo) == bytes(&b.photo)
    };
    for batch_rows in [1, 2, 3, 5, 7, 64] {
        for max_bytes in [0, 500, 1500, usize::MAX] {
            for start in 0..=whole.len() {
                let rows = read(&dump, batch_rows, max_bytes, start as u64).unwrap();
                assert_eq!(rows.len(), whole.len() - start, "{batch_rows} {max_bytes} {start}");
                assert!(rows.iter().zip(&whole[start..]).all(|(a, b)| same(a, b)), "{batch_rows} {max_bytes} {start}");
            }
        }
    }
    assert!(read(&dump, 4, 0, 10_000).unwrap().is_empty());
}

#[test]
fn batches_are_full_across_files_and_keep_to_their_bytes() {
    let dump = Dump::open(&mixed(), &in_utc()).unwrap();
    let sizes: Vec<usize> = dump.batches(8, usize::MAX, 0).map(|b| b.unwrap().len()).collect();
    assert_eq!(sizes, [8, 8, 8, 6]);
    for batch in dump.batches(1000, 1500, 0) {
        let batch = batch.unwrap();
        let sum: usize = batch.iter().flat_map(|r| [&r.selfie, &r.photo]).flatten().map(|b| b.len()).sum();
        assert!(sum <= 1500 || batch.len() == 1, "{sum} bytes in {} rows", batch.len());
    }
}

#[test]
fn carried_columns_keep_their_types() {
    let paths = [file("pyarrow_default"), file("pyarrow_delta"), file("pyarrow_groups_zstd_v2")];
    let dump = Dump::open(&paths, &in_utc()).unwrap();
    let names = ["place".to_owned(), "app_version".to_owned()];
    let mut carry = dump.carry(&names).unwrap();
    let types: Vec<String> = carry.schema().fields().iter().map(|f| f.data_type().to_string()).collect();
    assert!(types[0].starts_with("Struct") && types[1] == "Int16", "{types:?}");
    let all = carry.read(0, 3 * ROWS).unwrap();
    assert_eq!((all.len(), all[0].len()), (2, 3 * ROWS));
    let versions: Vec<Option<i16>> =
        all[1].as_any().downcast_ref::<arrow::array::Int16Array>().unwrap().iter().collect();
    assert_eq!(versions[..ROWS], [Some(3), Some(3), Some(4), Some(4), None, Some(5)]);
    assert_eq!(versions[..ROWS], versions[ROWS..2 * ROWS]);
    for (start, rows) in [(0, 1), (1, 4), (5, 8), (13, 5), (2, 3), (17, 1), (18, 0)] {
        let part = carry.read(start as u64, rows).unwrap();
        assert!((0..2).all(|c| part[c].as_ref() == all[c].slice(start, rows).as_ref()), "{start} {rows}");
    }
    assert!(matches!(carry.read(17, 2).unwrap_err(), Error::Bug { .. }));
    assert!(dump.carry(&[]).unwrap().read(0, 18).unwrap().is_empty());
}

#[test]
fn carrying_what_cannot_be_carried_is_refused_up_front() {
    let carry = |files: &[&str], names: &[&str]| {
        let paths: Vec<PathBuf> = files.iter().map(|f| file(f)).collect();
        let dump = Dump::open(&paths, &in_utc()).unwrap();
        dump.carry(&names.iter().map(|n| n.to_string()).collect::<Vec<_>>()).unwrap_err()
    };
    let unknown = carry(&["pyarrow_default"], &["app_versoin"]);
    assert!(matches!(unknown, Error::Usage { .. }) && unknown.to_string().contains("app_version"), "{unknown}");
    let twice = carry(&["pyarrow_default"], &["place", "Place"]);
    assert!(matches!(twice, Error::Usage { .. }), "{twice}");
    let picture = carry(&["pyarrow_default"], &["Selfie"]);
    assert!(picture.to_string().contains("picture"), "{picture}");
    let missing = carry(&["duckdb_zstd", "pyarrow_default", "polars_zstd"], &["place"]);
    assert!(matches!(missing, Error::Usage { .. }), "{missing}");
    let missing = carry(&["pyarrow_default", "polars_zstd", "pyarrow_delta"], &["place"]);
    assert!(missing.to_string().contains("polars_zstd.parquet"), "{missing}");
    let types = carry(&["pyarrow_default", "pyarrow_large_gzip"], &["mobile"]);
    assert!(types.to_string().contains("expected: Utf8") && types.to_string().contains("Int64"), "{types}");
}

#[test]
fn fingerprints_are_the_files_sha256() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(file("pyarrow_default"), dir.path().join("a.parquet")).unwrap();
    fs::write(dir.path().join("workers.parquet"), b"not looked at").unwrap();
    let dump = Dump::open(&[dir.path()], &Columns::default()).unwrap();
    assert_eq!(dump.workers_path(), Some(dir.path().join("workers.parquet").as_path()));
    let prints = dump.fingerprint().unwrap();
    assert_eq!(prints.len(), 1);
    assert_eq!(prints[0].path, dir.path().join("a.parquet"));
    assert_eq!(prints[0].size, fs::metadata(file("pyarrow_default")).unwrap().len());
    use sha2::Digest;
    let digest = sha2::Sha256::digest(fs::read(file("pyarrow_default")).unwrap());
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(prints[0].sha256, hex);
}

#[test]
fn workers_are_read() {
    let rows = read_workers(&file("pyarrow_workers")).unwrap();
    let ids: Vec<Option<&str>> = rows.iter().map(|r| r.worker_id.as_deref()).collect();
    assert_eq!(ids, [Some("7001"), Some("7002"), None]);
    assert_eq!(rows[1].district.as_deref(), Some("Kollam"));
    assert!(
        rows.iter().enumerate().all(|(i, r)| r.row == i as u64 && r.photo.as_ref().unwrap().starts_with(b"\xff\xd8"))
    );
    let workers = Workers::open(&file("pyarrow_workers")).unwrap();
    assert_eq!(workers.total_rows(), 3);
    assert_eq!(workers.batches(2, usize::MAX, 1).map(|b| b.unwrap().len()).sum::<usize>(), 2);
    let error = read_workers(&writers().join("spark_folder/part-00000.snappy.parquet")).unwrap_err().to_string();
    assert!(error.contains("column `photo`"), "{error}");
}

// What dumps should not be.

/// The error for one input, which must be one that says "unusable input" (exit 65) and names the file.
fn refused(path: &Path, columns: &Columns) -> String {
    let error = Dump::open(&[path], columns).expect_err("this dump is not one");
    assert_eq!(Exit::from(&error), Exit::Input, "{error}");
    let text = error.to_string();
    assert!(text.starts_with(path.to_str().unwrap()), "{text}");
    text
}

#[test]
fn files_that_are_not_parquet_are_told_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let good = fs::read(file("pyarrow_default")).unwrap();
    let cases: &[(&str, &[u8])] = &[
        ("empty file (0 bytes)", b""),
        ("text (CSV?)", b"submission_id,worker_id\n1,2\n"),
        ("text", b"x"),
        ("cut off", &good[..good.len() / 2]),
        ("cut off", &good[..4]),
        ("start is damaged", &good[9..]),
        ("Arrow IPC", b"ARROW1\0\0............ARROW1"),
        ("ZIP", b"PK\x03\x04............"),
        ("encrypted", b"PARE............PARE"),
        ("picture", b"\xff\xd8\xff\xe0............"),
        ("start with [00, 01", b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"),
        ("footer", b"PAR1\xff\xff\xff\x7fPAR1"),
        ("footer", b"PAR1............\x08\x00\x00\x00PAR1"),
    ];
    for (found, content) in cases {
        let path = dir.path().join("night.parquet");
        fs::write(&path, content).unwrap();
        let text = refused(&path, &Columns::default());
        assert!(text.contains(found), "expected `{found}` in: {text}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    refused(&dir.path().join("night.parquet"), &Columns::default());
    refused(&dir.path().join("*.parquet"), &Columns::default());
    refused(dir.path(), &Columns::default());
}

#[test]
fn missing_columns_are_named_with_what_could_be_meant() {
    let text = refused(&file("pyarrow_text"), &Columns::default());
    assert!(text.contains("column `selfie`"), "{text}");
    let text = refused(&file("pyarrow_workers"), &Columns::default());
    assert!(text.contains("columns `submission_id`, `captured_at`, `selfie`"), "{text}");
    let columns = Columns { selfie: "image_byte".into(), ..Columns::default() };
    let text = refused(&file("pyarrow_text"), &columns);
    assert!(text.contains("selfie = \"Image_Bytes\""), "{text}");
    // The good file first: every file is checked before any work.
    let error = Dump::open(&[file("pyarrow_default"), file("pyarrow_text")], &Columns::default()).unwrap_err();
    assert!(error.to_string().starts_with(file("pyarrow_text").to_str().unwrap()), "{error}");
}

#[test]
fn a_renamed_optional_column_must_be_somewhere() {
    let columns = Columns { mobile: "phone".into(), ..Columns::default() };
    let text = refused(&file("pyarrow_default"), &columns);
    assert!(text.contains("`phone`") && text.contains("mobile"), "{text}");
    let columns = Columns { mobile: String::new(), ..Columns::default() };
    let dump = Dump::open(&[file("pyarrow_default")], &columns).unwrap();
    assert!(read(&dump, 64, 1 << 20, 0).unwrap().iter().all(|row| row.facts.mobile.is_none()));
}

#[test]
fn wrong_types_are_named_with_what_was_found() {
    for (columns, parts) in [
        (Columns { selfie: "app_version".into(), ..Columns::default() }, ["app_version", "Int16"]),
        (Columns { captured_at: "app_version".into(), ..Columns::default() }, ["app_version", "`3`"]),
        (Columns { district: "place".into(), ..Columns::default() }, ["place", "Struct"]),
        (
            Columns { consent: "captured_at".into(), captured_at: "consent".into(), ..Columns::default() },
            ["consent", "Boolean"],
        ),
    ] {
        let columns = Columns { app_version: String::new(), ..columns };
        let text = refused(&file("pyarrow_default"), &columns);
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(text.contains("expected:") && text.contains("found:"), "{text}");
    }
}

/// Writes rows of the contract's required columns, with Arrow's own writer.
fn write(path: &Path, rows: usize, selfie: &[u8], group_rows: usize) {
    use arrow::array::*;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;
    let ids: StringArray = (0..rows).map(|i| Some(format!("S{i}"))).collect();
    let same: StringArray = (0..rows).map(|_| Some("x")).collect();
    let times = TimestampSecondArray::from_iter_values((0..rows).map(|i| i as i64));
    let selfies: BinaryArray = (0..rows).map(|_| Some(selfie)).collect();
    let columns: [(&str, ArrayRef); 5] = [
        ("submission_id", std::sync::Arc::new(ids)),
        ("worker_id", std::sync::Arc::new(same.clone())),
        ("district", std::sync::Arc::new(same)),
        ("captured_at", std::sync::Arc::new(times)),
        ("selfie", std::sync::Arc::new(selfies)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_text_in_a_broken_encoding_is_one_bad_cell() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let mut content = fs::read(file("pyarrow_int96_plain")).unwrap();
    let found: Vec<usize> = (0..content.len() - 6).filter(|&i| &content[i..i + 6] == b"S-0003").collect();
    assert_eq!(found.len(), 1);
    content[found[0]] = 0xff;
    fs::write(&path, content).unwrap();
    let rows = read(&Dump::open(&[&path], &Columns::default()).unwrap(), 64, 1 << 20, 0).unwrap();
    let mut expected = truth();
    expected[3].submission_id = Some("\u{fffd}-0003".into());
    assert_rows("broken encoding", &rows, &expected);
}

#[test]
fn seconds_that_only_the_arrow_schema_knows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, 3, b"x", 10);
    let rows = read(&Dump::open(&[&path], &Columns::default()).unwrap(), 64, 1 << 20, 0).unwrap();
    assert_eq!(rows[2].facts.captured_at, Some(2_000_000));
}

#[test]
fn no_rows_at_all_is_no_dump_but_an_empty_part_is_fine() {
    let dir = tempfile::tempdir().unwrap();
    let (empty, full) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
    write(&empty, 0, b"x", 10);
    assert!(refused(&empty, &Columns::default()).contains("no rows"));
    write(&full, 3, b"x", 10);
    let dump = Dump::open(&[dir.path()], &Columns::default()).unwrap();
    assert_eq!(read(&dump, 2, 1 << 20, 0).unwrap().len(), 3);
}

#[test]
fn a_damaged_page_is_named_after_the_rows_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("night.parquet");
    write(&path, 9, &[b'x'; 4000], 3);
    let mut content = fs::read(&path).unwrap();
    let footer =
        parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&fs::File::open(&path).unwrap());
    let (offset, length) = footer.unwrap().row_group(1).column(4).byte_range();
    let half = offset as usize + length as usize / 2;
    content[half..(offset + length) as usize].fill(0xa5);
    fs::write(&path, &content).unwrap();
    let dump = Dump::open(&[&path], &Columns::default()).unwrap();
    let results: Vec<Result<Vec<Submission>>> = dump.batches(2, 1 << 20, 0).collect();
    let rows: usize = results.iter().flatten().map(Vec::len).sum();
    assert_eq!(rows, 3, "the row group before it is answered");
    let error = results.last().unwrap().as_ref().unwrap_err();
    assert_eq!(Exit::from(error), Exit::Input);
    let text = error.to_string();
    assert!(text.starts_with(path.to_str().unwrap()) && text.contains("row group 1"), "{text}");
    assert_eq!(read(&dump, 2, 1 << 20, 6).unwrap().len(), 3, "the row group after it needs nothing of it");
}

#[test]
fn a_dump_that_changes_under_the_reader_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("night.parquet");
    write(&path, 9, b"x", 3);
    let dump = Dump::open(&[&path], &Columns::default()).unwrap();
    write(&path, 6, b"x", 3);
    let error = read(&dump, 2, 1 << 20, 0).unwrap_err().to_string();
    assert!(error.contains("do not write to a dump"), "{error}");
}

#[test]
fn no_flipped_byte_brings_the_reader_down() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("night.parquet");
    let (mut read_whole, mut ended) = (0, 0);
    for name in ["pyarrow_delta", "duckdb_uncompressed", "spark_lz4_hadoop", "polars_categories"] {
        let good = fs::read(file(name)).unwrap();
        fs::write(&path, &good).unwrap();
        // In place, because rewriting the file thousands of times takes its time on some file systems.
        let night = fs::File::options().write(true).open(&path).unwrap();
        for at in (4..good.len()).step_by(7) {
            night.write_all_at(&[good[at] ^ (1 << (at % 6)) ^ 0x40], at as u64).unwrap();
            let outcome = Dump::open(&[&path], &Columns::default()).and_then(|dump| read(&dump, 4, 1 << 20, 0));
            match outcome {
                Ok(_) => read_whole += 1,
                Err(error) => {
                    assert_eq!(Exit::from(&error), Exit::Input, "{name}, byte {at}: {error}");
                    ended += 1;
                }
            }
            night.write_all_at(&good[at..=at], at as u64).unwrap();
        }
    }
    assert!(read_whole > 100 && ended > 100, "{read_whole} read, {ended} ended");
}
