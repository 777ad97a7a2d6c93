//! Damaged, foreign and future files: rebuilt where that loses nothing, else named; never fewer members in silence.

use std::fs;
use std::path::Path;

use chehra::Error;
use chehra::gallery::dot::Kernel;
use chehra::gallery::generate::Crowd;
use chehra::gallery::hnsw::Breadth;
use chehra::gallery::{Member, Store, Want, exact, hnsw};
use chehra::infer::Template;

use super::{brute_force, crowd, probes, rows, store_with};

/// Opens a store and searches it by both engines: all rows are found, or there is an error that says what to do.
fn whole_or_error(path: &Path, all: &[(Member, Template)]) -> Result<(), Error> {
    let gallery = Store::open(path)?.view(None)?;
    let probes = probes(all);
    let found = exact::search(&gallery, &probes, Want::Above(0.3), Kernel::best())?;
    assert_eq!(found, brute_force(all, all, 0.3), "never silently fewer or others");
    let wide = Breadth { start: 1000, most: 1000 };
    assert_eq!(hnsw::search(&gallery, &probes, Want::Above(0.3), wide, Kernel::best())?, found);
    for (at, (row, (member, _))) in gallery.iter().zip(all).enumerate() {
        assert_eq!((row.0, row.1.submission_id), (at as u32, member.submission_id.as_str()));
    }
    Ok(())
}

#[test]
fn damaged_files_are_rebuilt_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let crowd = Crowd { dim: 16, ..crowd() };
    let all = rows(&crowd, 0..40);
    let store = store_with(folder.path(), &crowd, &[40]);
    whole_or_error(folder.path(), &all).unwrap();
    assert!(store.verify().unwrap().rebuildable.is_empty());
    for name in [
        "MANIFEST",
        "segments/00000001.parquet",
        "segments/00000001.codes",
        "segments/00000001.masters",
        "segments/00000001.graph",
    ] {
        let file = folder.path().join(name);
        let good = fs::read(&file).unwrap();
        let derived = !name.ends_with("parquet") && name != "MANIFEST";
        let mut cases = vec![
            ("empty", Vec::new()),
            ("foreign", b"GIF89a and so on\n".repeat(99)),
            ("half", good[..good.len() / 2].to_vec()),
        ];
        cases.push(("longer", [good.as_slice(), b"x"].concat()));
        let step = (good.len() / 60).max(1);
        cases.extend((0..good.len()).step_by(step).chain(good.len() - 8..good.len()).map(|at| {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            ("a flipped bit", bad)
        }));
        for (what, bad) in cases {
            fs::remove_file(&file).unwrap();
            fs::write(&file, &bad).unwrap();
            let verified = Store::open(folder.path()).and_then(|store| store.verify());
            match verified {
                Ok(v) => assert!(!v.is_sound() || (derived && !v.rebuildable.is_empty()), "{name}: {what} is noticed"),
                Err(e) => assert!(name == "MANIFEST" && matches!(e, Error::Input { .. }), "{name}: {what}: {e}"),
            }
            match whole_or_error(folder.path(), &all) {
                Err(Error::Input { path, fix, .. }) => {
                    assert!(path == file || path == folder.path(), "{name}: {what}: {}", path.display());
                    assert!(fix.len() > 20);
                }
                Err(other) => panic!("{name}: {what}: {other}"),
                Ok(()) => assert!(name != "MANIFEST", "{name}: {what} is not noticed"),
            }
            fs::remove_file(&file).unwrap();
            if derived {
                whole_or_error(folder.path(), &all).unwrap(); // missing: rebuilt
                assert_eq!(fs::read(&file).unwrap(), good, "{name} comes back as it was");
            } else {
                assert!(matches!(whole_or_error(folder.path(), &all), Err(Error::Input { .. })), "{name} missing");
            }
            fs::write(&file, &good).unwrap();
        }
    }
    whole_or_error(folder.path(), &all).unwrap();
}

#[test]
fn a_damaged_row_of_masters_is_made_anew_in_the_middle_of_a_search() {
    let folder = tempfile::tempdir().unwrap();
    let all = rows(&crowd(), 0..40);
    let store = store_with(folder.path(), &crowd(), &[40]);
    let masters = folder.path().join("segments/00000001.masters");
    let good = fs::read(&masters).unwrap();
    let damage = || {
        let mut bytes = good.clone();
        bytes[5000] ^= 1;
        fs::remove_file(&masters).unwrap();
        fs::write(&masters, bytes).unwrap();
    };
    damage();
    assert_eq!(store.verify().unwrap().rebuildable.len(), 1);
    whole_or_error(folder.path(), &all).unwrap();
    assert_eq!(fs::read(&masters).unwrap(), good, "the search wrote it anew");
    damage();
    store.repair().unwrap();
    assert!(store.verify().unwrap().rebuildable.is_empty());
    // With the segment damaged as well, the row is nowhere: said, and not left out.
    damage();
    let segment = folder.path().join("segments/00000001.parquet");
    let mut bytes = fs::read(&segment).unwrap();
    let stored = all[10].1.master.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let at = bytes.windows(stored.len()).position(|w| w == stored).unwrap();
    bytes[at] ^= 1;
    fs::remove_file(&segment).unwrap();
    fs::write(&segment, bytes).unwrap();
    let error = whole_or_error(folder.path(), &all).unwrap_err().to_string();
    assert!(error.contains("00000001.parquet") && error.contains("backup"), "{error}");
}

#[test]
fn segments_and_derived_files_of_the_future_are_not_guessed_at() {
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;
    let folder = tempfile::tempdir().unwrap();
    let all = rows(&crowd(), 0..9);
    store_with(folder.path(), &crowd(), &[9]);
    // A derived file of another version is built anew.
    let codes = folder.path().join("segments/00000001.codes");
    let good = fs::read(&codes).unwrap();
    let mut later = good.clone();
    later[8] = 2;
    fs::remove_file(&codes).unwrap();
    fs::write(&codes, later).unwrap();
    whole_or_error(folder.path(), &all).unwrap();
    assert_eq!(fs::read(&codes).unwrap(), good);
    // A segment of another version, and a manifest that names it.
    let path = folder.path().join("segments/00000001.parquet");
    let before = fs::read(&path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap();
    let schema = reader.schema().clone();
    let pair = KeyValue::new("chehra.segment".to_string(), "3".to_string());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![pair])).build();
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let after = writer.into_inner().unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, &after).unwrap();
    let footer = |bytes: &[u8]| {
        let length = u32::from_le_bytes(*bytes[bytes.len() - 8..].first_chunk().unwrap()) as usize + 8;
        sha256(&bytes[bytes.len() - length..])
    };
    let manifest = folder.path().join("MANIFEST");
    let text = fs::read_to_string(&manifest).unwrap();
    let body = text.split_once('\n').unwrap().1;
    let body = body.replace(&footer(&before), &footer(&after)).replace(&sha256(&before), &sha256(&after));
    let body = body.replace(&format!("\"bytes\": {}", before.len()), &format!("\"bytes\": {}", after.len()));
    let head = format!("{{\"format\":\"chehra-store\",\"version\":1,\"sha256\":\"{}\"}}\n", sha256(body.as_bytes()));
    fs::write(&manifest, head + &body).unwrap();
    let error = whole_or_error(folder.path(), &all).unwrap_err().to_string();
    for word in ["00000001.parquet", "version", "expected: version 1 to 2", "found:    3", "later one"] {
        assert!(error.contains(word), "{word}: {error}");
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn a_store_of_the_future_is_not_guessed_at() {
    let folder = tempfile::tempdir().unwrap();
    store_with(folder.path(), &crowd(), &[5]);
    let file = folder.path().join("MANIFEST");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"version\":3", "\"version\":4", 1)).unwrap();
    let error = Store::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("version") && error.contains('4') && error.contains("later"), "{error}");
    assert!(Store::open_or_create(folder.path()).is_err(), "and not made anew");
}

#[test]
fn another_folder_is_not_taken_for_a_store() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open(folder.path().join("nowhere")), Err(Error::Input { .. })));
    fs::write(folder.path().join("holiday.jpg"), b"x").unwrap();
    let error = Store::open_or_create(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Input { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is written into it");
}

#[test]
fn a_folder_that_cannot_be_written_is_searched_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let all = rows(&crowd(), 0..40);
    store_with(folder.path(), &crowd(), &[40]);
    // A folder where a derived file should be: neither read nor replaced, whoever runs the test.
    for ending in ["codes", "masters", "graph"] {
        let path = folder.path().join(format!("segments/00000001.{ending}"));
        let _ = fs::remove_file(&path);
        fs::create_dir(path).unwrap();
    }
    whole_or_error(folder.path(), &all).unwrap();
}

#[test]
fn other_peoples_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &crowd(), &[10]);
    let theirs = ["7.txt", "notes.tmp", "segments/00000099.csv", "segments/readme.parquet"];
    let ours = ["MANIFEST.1-0.tmp", "segments/00000099.parquet", "segments/00000001.codes.5-7.tmp"];
    theirs.iter().chain(&ours).for_each(|name| fs::write(folder.path().join(name), "x").unwrap());
    drop(store.begin().unwrap());
    assert!(theirs.iter().all(|name| folder.path().join(name).exists()));
    assert!(!ours.iter().any(|name| folder.path().join(name).exists()));
}
