//! `see`, `worker` and `contract`: what many machines saw of a dump is audited as if one had, and what does not belong
//! together is refused by name.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Int64Type, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use crate::audit::{TABLES, read, texts};
use crate::util::{Place, chehra, fixture, run, table};

/// Runs a command that must succeed and gives what it prints.
fn done(command: &mut Command) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, 0, "{command:?}: {stdout}{stderr}");
    stdout
}

/// Runs a command that must be refused with 65 and these words.
fn refused(command: &mut Command, words: &[&str]) {
    let (code, _, stderr) = run(command);
    assert_eq!(code, 65, "{command:?}: {stderr}");
    words.iter().for_each(|word| assert!(stderr.contains(word), "no {word} in {stderr}"));
}

fn see(dump: &Path, part: &str, out: &Path) -> Command {
    let mut command = chehra();
    command.args(["-q", "see", "--part", part, "--out"]).arg(out).arg(dump);
    command
}

fn audit_seen(seen: &Path, out: &Path) -> Command {
    let mut command = chehra();
    command.args(["-q", "audit", "--no-report", "--seen"]).arg(seen).arg("--out").arg(out);
    command.arg("--workers").arg(fixture("night/workers.parquet"));
    command
}

fn assert_same(one: &Path, other: &Path) {
    for name in TABLES {
        let same = fs::read(one.join(name)).unwrap() == fs::read(other.join(name)).unwrap();
        assert!(same, "{name} differs between {} and {}", one.display(), other.display());
    }
}

/// A file written anew with one column replaced.
fn rewrite(path: &Path, column: &str, change: impl Fn(&ArrayRef) -> ArrayRef) {
    let batch = table(&[path]);
    let schema = batch.schema();
    let named = schema.fields().iter().zip(batch.columns());
    let columns = named.map(|(field, values)| if field.name() == column { change(values) } else { values.clone() });
    let batch = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
#[cfg(unix)]
fn parts_seen_elsewhere_are_audited_as_the_dump_is() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let (whole, seen) = (place.path("whole"), place.path("seen"));
    done(chehra().args(["-q", "audit", "--no-report", "--out"]).arg(&whole).arg(fixture("night")));
    for part in ["3/3", "1/3", "2/3"] {
        // One of them elsewhere: a folder in the folder.
        let out = if part == "2/3" { seen.join("second") } else { seen.clone() };
        done(&mut see(&fixture("night"), part, &out));
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&seen), 0o700);
    assert_eq!(mode(&seen.join("rows-00001-of-00003.parquet")), 0o600);
    assert_eq!(fs::read_dir(&seen).unwrap().count(), 5, "two tables of each part, a folder, and nothing half");

    let out = place.path("out");
    done(&mut audit_seen(&seen, &out));
    // Workers, run id and store key included: the hashes of the dump's files came with the parts.
    assert_same(&whole, &out);
    let record = |out: &Path| -> Value { serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap() };
    for key in ["run_id", "store_key", "rows", "reuse", "models", "members_enrolled_tonight"] {
        assert_eq!(record(&whole)[key], record(&out)[key], "{key}");
    }
    assert_eq!(record(&out)["seen"], seen.display().to_string());

    // Without the table of workers the tables are others, and somebody has to know.
    let mut bare = chehra();
    bare.args(["audit", "--no-report", "--seen"]).arg(&seen).arg("--out").arg(place.path("bare"));
    let said = done(&mut bare);
    let table = fixture("night/workers.parquet");
    assert!(said.contains("warning: the dump had a table of workers") && said.contains("--workers"), "{said}");
    assert!(said.contains(&table.display().to_string()), "{said}");
    assert_eq!(record(&place.path("bare"))["summary"]["warnings"].as_array().unwrap().len(), 1);

    // With the dump there are pictures and other columns; another dump is refused.
    let with = place.path("with");
    let both = |dump: &str, out: &Path| {
        let mut command = chehra();
        command.args(["-q", "audit", "--seen"]).arg(&seen).arg("--out").arg(out).arg(fixture(dump));
        command
    };
    done(&mut both("night", &with));
    assert_same(&whole, &with);
    assert!(fs::read_to_string(with.join("report.html")).unwrap().contains("data:image/jpeg;base64"));
    refused(&mut both("night2", &place.path("no")), &["that was seen", "leave it out"]);

    // Again: the part is there already. The same bytes from another machine.
    let said = done(chehra().args(["see", "--part", "1/3", "--out"]).arg(&seen).arg(fixture("night")));
    assert!(said.contains("part 1/3: 12 of 38"), "{said}");
    done(&mut see(&fixture("night"), "1/3", &place.path("other")));
    let name = "rows-00001-of-00003.parquet";
    assert_eq!(fs::read(seen.join(name)).unwrap(), fs::read(place.path("other").join(name)).unwrap());
}

/// Also in a program without the feature: what addresses are, and where none may stand.
#[test]
fn an_address_is_refused_where_none_can_be_taken() {
    let place = Place::new();
    let usage = |words: &[&str], expected: &[&str]| {
        let (code, _, stderr) = run(chehra().args(words).arg("--out").arg(place.path("out")));
        assert_eq!(code, 64, "{words:?}: {stderr}");
        expected.iter().for_each(|word| assert!(stderr.contains(word), "no {word} in {stderr}"));
        assert!(!stderr.contains("hidden"), "{stderr}");
    };
    let night = fixture("night").display().to_string();
    usage(&["audit", &night, "--store", "s3://b/store"], &["--store: s3://b/store", "atomic rename"]);
    usage(&["release", "gs://b/run"], &["gs://b/run: an address", "copy it to this machine"]);
    usage(&["see", "https://me:hidden@h/x.parquet"], &["DUMP: https://***@h/x.parquet", "a user or a password"]);
    usage(&["see", "https://h/x.parquet?sig=hidden"], &["DUMP: https://h/x.parquet?...", "a query"]);
    if !cfg!(feature = "cloud") {
        usage(&["audit", "s3://b/night"], &["DUMP: s3://b/night", "without `cloud`", "--features cloud"]);
        let list = place.path("list.txt");
        fs::write(&list, "s3://b/night/part-0.parquet\n").unwrap();
        let mut command = chehra();
        command.args(["audit", "--files"]).arg(&list).arg("--out").arg(place.path("out"));
        refused(&mut command, &["s3://b/night/part-0.parquet", "without `cloud`", "--features cloud"]);
    }
    assert_eq!(place.list().iter().filter(|name| *name == "out").count(), 0);
}

#[test]
fn parts_that_do_not_belong_together_are_refused_by_name() {
    let place = Place::new();
    let seen = place.path("seen");
    let part = |number: u32| seen.join(format!("rows-0000{number}-of-00002.parquet"));
    for number in ["1/2", "2/2"] {
        done(&mut see(&fixture("night"), number, &seen));
    }
    let out = place.path("out");
    let check = |words: &[&str]| {
        refused(&mut audit_seen(&seen, &out), words);
        assert!(!out.exists());
    };
    let with_part = |from: &Path, words: &[&str]| {
        let kept = fs::read(part(2)).unwrap();
        fs::copy(from, part(2)).unwrap();
        check(words);
        fs::write(part(2), kept).unwrap();
    };
    let changed = |column: &'static str, change: &dyn Fn(&ArrayRef) -> ArrayRef, words: &[&str]| {
        let copy = place.path("changed.parquet");
        fs::copy(part(2), &copy).unwrap();
        rewrite(&copy, column, change);
        with_part(&copy, words);
    };

    // Missing, and there twice.
    fs::rename(part(2), place.path("aside")).unwrap();
    check(&["all 38 rows", "19 in no part: rows 19 to 37", "--part 2/2"]);
    fs::rename(place.path("aside"), part(2)).unwrap();
    let copy = seen.join("rows-copy.parquet");
    fs::copy(part(1), &copy).unwrap();
    check(&["row 0", "rows-00001-of-00002.parquet", "rows-copy.parquet"]);
    fs::remove_file(copy).unwrap();
    fs::rename(seen.join("dump-00002-of-00002.parquet"), place.path("aside")).unwrap();
    check(&["SHA-256 of", "submissions-1.parquet", "in none"]);
    fs::rename(place.path("aside"), seen.join("dump-00002-of-00002.parquet")).unwrap();

    // Of another dump, with other limits, another model, another precision, another version.
    let (other, policy) = (place.path("other"), place.path("policy.toml"));
    done(&mut see(&fixture("night2"), "2/2", &other));
    with_part(
        &other.join("rows-00002-of-00002.parquet"),
        &["rows-00002-of-00002.parquet", "the dump", "a part of dump"],
    );
    fs::copy(other.join("dump-00002-of-00002.parquet"), seen.join("dump-other.parquet")).unwrap();
    check(&["dump-other.parquet", "a part of dump"]);
    fs::remove_file(seen.join("dump-other.parquet")).unwrap();
    fs::write(&policy, "[detection]\nmax_read = 3\n").unwrap();
    done(see(&fixture("night"), "2/2", &place.path("limits")).arg("--policy").arg(&policy));
    with_part(&place.path("limits/rows-00002-of-00002.parquet"), &["limits", "--policy"]);
    let text = |value: &'static str| {
        move |column: &ArrayRef| -> ArrayRef { Arc::new(StringArray::from(vec![value; column.len()])) }
    };
    changed("embedder", &text("another:0"), &["embedder", "another:0", "sface"]);
    changed("arithmetic", &text("bf16 by amx"), &["arithmetic", "bf16 by amx", "f32", "--precision"]);
    changed("program", &text("9.9.9"), &["program", "9.9.9"]);
    let version = |column: &ArrayRef| -> ArrayRef { Arc::new(Int32Array::from(vec![1; column.len()])) };
    changed("seen_version", &version, &["rows-00002-of-00002.parquet", "version 1", "see the dump anew"]);
    let memory = |column: &ArrayRef| -> ArrayRef { Arc::new(Int64Array::from(vec![1 << 20; column.len()])) };
    changed("picture_memory", &memory, &["1048576 bytes", "photo.max_memory"]);
    let beyond = |column: &ArrayRef| -> ArrayRef { Arc::new(Int64Array::from(vec![38; column.len()])) };
    changed("row", &beyond, &["row 38", "rows 0 to 37"]);

    // Changed since it was written, damaged, or no part at all.
    changed("district", &text("Elsewhere"), &["rows-00002-of-00002.parquet", "row 19", "check does not hold"]);
    let damaged = place.path("damaged");
    let mut bytes = fs::read(part(2)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(&damaged, &bytes).unwrap();
    with_part(&damaged, &["rows-00002-of-00002.parquet"]);
    fs::write(&damaged, &bytes[..middle]).unwrap();
    with_part(&damaged, &["rows-00002-of-00002.parquet", "a part of SEEN"]);
    with_part(&fixture("night/workers.parquet"), &["another table"]);
    refused(&mut audit_seen(&place.path("nowhere"), &out), &["nowhere", "nothing"]);

    // What is missing of the dump is asked for, and a place that has something else is left alone.
    let (code, _, stderr) = run(audit_seen(&seen, &out).args(["--carry", "app_version"]));
    assert!(code == 64 && stderr.contains("chehra audit DUMP --seen SEEN"), "{stderr}");
    refused(&mut see(&fixture("night2"), "1/2", &seen), &["a part of another dump", "--out"]);
    refused(see(&fixture("night"), "1/2", &seen).arg("--policy").arg(&policy), &["precision or limits"]);
    let (code, _, stderr) = run(&mut see(&fixture("night"), "3/2", &seen));
    assert!(code == 64 && stderr.contains("3/10 for the third of ten"), "{stderr}");
    done(&mut audit_seen(&seen, &out));
}

/// Killed at several moments: no part is there, or a whole one; and the same command makes it.
#[test]
fn a_killed_see_leaves_no_torn_part() {
    let place = Place::new();
    let (seen, whole) = (place.path("seen"), place.path("whole"));
    done(&mut see(&fixture("night"), "1/1", &whole));
    let name = "rows-00001-of-00001.parquet";
    let spool = seen.join(".part-00001-of-00001");
    for after in [0, 50, 400] {
        let mut child = see(&fixture("night"), "1/1", &seen).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !spool.join("spool").exists() && begun.elapsed() < Duration::from_secs(300) {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(after));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!seen.join(name).exists());
        refused(&mut audit_seen(&seen, &place.path("out")), &["SEEN", "no table of rows"]);
    }
    done(&mut see(&fixture("night"), "1/1", &seen));
    assert!(!spool.exists());
    assert_eq!(fs::read(seen.join(name)).unwrap(), fs::read(whole.join(name)).unwrap());
}

/// A sample night as batches with positions, and reasons not to look at some rows.
fn stream(unreadable: &[(usize, &str)]) -> RecordBatch {
    let night = table(&[fixture("night/submissions-0.parquet"), fixture("night/submissions-1.parquet")]);
    let rows = night.num_rows();
    let mut reasons = vec![None; rows];
    unreadable.iter().for_each(|&(row, reason)| reasons[row] = Some(reason));
    let mut fields: Vec<Arc<Field>> = night.schema().fields().iter().cloned().collect();
    let mut columns = night.columns().to_vec();
    let own: [(&str, ArrayRef); 2] = [
        ("row", Arc::new(Int64Array::from((0..rows as i64).collect::<Vec<_>>()))),
        ("unreadable", Arc::new(StringArray::from(reasons))),
    ];
    for (name, column) in own {
        fields.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn worker() -> Command {
    let mut command = chehra();
    command.args(["-q", "worker"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_worker_answers_each_batch_before_the_next_and_sees_what_see_sees() {
    let place = Place::new();
    done(&mut see(&fixture("night"), "1/1", &place.path("seen")));
    let expected = table(&[place.path("seen/rows-00001-of-00001.parquet")]);
    let dump = texts(std::slice::from_ref(&expected), "dump")[0].clone().unwrap();

    let contract: Value = serde_json::from_str(&done(chehra().arg("contract"))).unwrap();
    let digest = contract["digest"].as_str().unwrap();
    let mut child = worker().args(["--dump", &dump, "--contract", digest]).spawn().unwrap();
    let batch = stream(&[]);
    let mut to = StreamWriter::try_new(child.stdin.take().unwrap(), &batch.schema()).unwrap();
    let mut from = None;
    let mut seen = Vec::new();
    for (first, rows) in [(0, 1), (1, 20), (21, 0), (21, 17)] {
        to.write(&batch.slice(first, rows)).unwrap();
        to.flush().unwrap();
        // Nothing more is written before the answer: it comes although the input has not ended.
        let from = from
            .get_or_insert_with(|| StreamReader::try_new(BufReader::new(child.stdout.take().unwrap()), None).unwrap());
        seen.push(from.next().unwrap().unwrap());
        assert_eq!(seen.last().unwrap().num_rows(), rows);
    }
    to.finish().unwrap();
    drop(to);
    let mut from = from.unwrap();
    assert!(from.next().is_none());
    let mut rest = Vec::new();
    std::io::Read::read_to_end(from.get_mut(), &mut rest).unwrap();
    assert!(rest.is_empty(), "nothing else is on standard output");
    assert!(child.wait().unwrap().success());
    let seen = concat_batches(&seen[0].schema(), &seen).unwrap();
    assert_eq!(seen.num_rows(), 38);
    assert_eq!(seen.columns(), expected.columns());

    // The contract is what stands in the rows, and lists the columns of both sides.
    for name in ["program", "detector", "liveness", "embedder", "arithmetic", "device", "limits"] {
        assert_eq!(contract[name].as_str(), texts(std::slice::from_ref(&seen), name)[0].as_deref(), "{name}");
    }
    let names = |side: &str| -> Vec<&str> {
        contract[side].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect()
    };
    assert_eq!(names("output"), seen.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>());
    assert_eq!(names("input")[..3], ["row", "unreadable", "submission_id"]);
    fs::write(place.path("policy.toml"), "[quality]\nmin_score = 0.3\n").unwrap();
    let other = chehra().args(["contract", "--embedder", "mobilefacenet192"]).output().unwrap();
    let other: Value = serde_json::from_slice(&other.stdout).unwrap();
    assert!(other["embedder"].as_str().unwrap().starts_with("mobilefacenet192"));
    assert_ne!(other["digest"], contract["digest"]);
}

#[test]
fn a_worker_is_told_what_not_to_look_at_and_refuses_what_it_cannot_use() {
    let batch = stream(&[(1, "it ended a process")]).slice(0, 2);
    let bytes = |batch: &RecordBatch| {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap()
    };
    let answer = |flags: &[&str], input: &[u8]| {
        let mut child = worker().args(flags).spawn().unwrap();
        // A worker that refuses at once has closed its end.
        drop(child.stdin.take().unwrap().write_all(input));
        child.wait_with_output().unwrap()
    };
    let output = answer(&[], &bytes(&batch));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen = StreamReader::try_new(&output.stdout[..], None).unwrap().next().unwrap().unwrap();
    let rows = std::slice::from_ref(&seen);
    assert_eq!(seen.column_by_name("row").unwrap().as_primitive::<Int64Type>().values(), &[0, 1]);
    assert!(seen.column_by_name("selfie").unwrap().is_null(1));
    assert_eq!(texts(rows, "selfie_reason"), [None, Some("unreadable_image".to_owned())]);
    assert_eq!(texts(rows, "selfie_detail")[1].as_deref(), Some("it ended a process"));
    assert!(texts(rows, "submission_id")[1].is_some(), "its facts are read all the same");

    let whole = bytes(&batch);
    let without = bytes(&batch.project(&(1..batch.num_columns()).collect::<Vec<_>>()).unwrap());
    for (flags, input, words) in [
        (&["--contract", "another"][..], &whole[..], &["the contract", "another", "chehra contract"][..]),
        (&[], b"no arrow at all", &["standard input", "Arrow IPC stream"]),
        (&[], b"", &["standard input", "Arrow IPC stream"]),
        (&[], &whole[..whole.len() / 2], &["standard input", "Arrow IPC stream"]),
        (&[], &without, &["submission_id", "no such column"]),
    ] {
        let output = answer(flags, input);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(65), "{stderr}");
        words.iter().for_each(|word| assert!(stderr.contains(word), "no {word} in {stderr}"));
    }
}

/// What was seen holds templates: erasing reaches it once an audit of the store has read it, and the store removes it.
#[test]
fn erasing_reaches_what_was_seen_and_the_store_removes_it() {
    const ERASED: &str = "N1-000";
    let place = Place::new();
    let (seen, store) = (place.path("seen"), place.path("store"));
    for part in ["1/2", "2/2"] {
        done(&mut see(&fixture("night"), part, &seen));
    }
    let parts: Vec<PathBuf> = (1..=2).map(|n| seen.join(format!("rows-0000{n}-of-00002.parquet"))).collect();
    let ids = texts(&parts.iter().flat_map(|part| read(part)).collect::<Vec<_>>(), "submission_id");
    let at =
        ids.iter().position(|id| id.as_deref() == Some(ERASED)).unwrap_or_else(|| panic!("no {ERASED} in {ids:?}"));
    let templates = |path: &Path| -> Vec<Vec<u8>> {
        let batch = table(&[path]);
        let faces = batch.column_by_name("selfie").unwrap().as_struct().column_by_name("faces").unwrap().clone();
        let of = |row: usize| {
            let list = faces.as_list::<i32>();
            let found = list.is_valid(row).then(|| list.value(row));
            let bytes = |faces: ArrayRef| {
                let reading = faces.as_struct().column_by_name("reading").unwrap().clone();
                let column = reading.as_struct().column_by_name("template").unwrap().clone();
                column.as_binary::<i32>().iter().flatten().flatten().copied().collect::<Vec<u8>>()
            };
            found.map(bytes).unwrap_or_default()
        };
        (0..batch.num_rows()).map(of).collect()
    };
    let before = templates(&parts[0]);
    assert!(at < before.len() && !before[at].is_empty());
    let holds = |needle: &[u8]| fs::read(&parts[0]).unwrap().windows(needle.len()).any(|window| window == needle);

    let audit = |out: &str, keep: Option<&str>| {
        let mut command = audit_seen(&seen, &place.path(out));
        command.arg("--store").arg(&store).args(keep.map(|days| ["--keep-seen", days]).into_iter().flatten());
        done(&mut command)
    };
    audit("one", None);
    let said = done(chehra().args(["gallery", "forget", "--member", ERASED, "--store"]).arg(&store));
    assert!(said.contains(ERASED) || !said.is_empty());
    assert!(templates(&parts[0])[at].is_empty(), "its row stays, without what was seen");
    assert!(!holds(&before[at][..64]));
    for (row, template) in templates(&parts[0]).iter().enumerate().filter(|(row, _)| *row != at) {
        assert_eq!(template, &before[row], "row {row}");
    }
    done(chehra().args(["gallery", "verify", "--store"]).arg(&store));

    // A copy of the part as it was, put back: the next audit erases it again, and says why the row has no picture.
    done(&mut see(&fixture("night"), "1/2", &place.path("again")));
    fs::copy(place.path("again/rows-00001-of-00002.parquet"), &parts[0]).unwrap();
    audit("two", None);
    assert!(templates(&parts[0])[at].is_empty());
    let reasons = texts(&read(&place.path("two/verdicts.parquet")), "reasons");
    assert_eq!(reasons[at].as_deref(), Some("erased_before"));

    fs::write(seen.join("notes.txt"), "mine").unwrap();
    audit("three", Some("7"));
    assert!(parts[0].exists(), "it is kept for a week");
    audit("four", Some("0"));
    assert_eq!(fs::read_dir(&seen).unwrap().count(), 1, "what is somebody else's stays");
    done(chehra().args(["gallery", "verify", "--store"]).arg(&store));
}
