//! What is in a bucket is audited as what is on a disk.

use std::fs;

use serde_json::Value;

use crate::server::{Server, nothing_is_left};
use crate::util::{Place, chehra, fixture};
use crate::{assert_same, assert_same_here, done, refused};

pub fn a_dump_in_a_bucket_is_audited_as_one_on_a_disk() {
    let (server, place) = (Server::shared(), Place::new());
    server.bucket_of_a_night("dumps", "night");
    server.put("dumps/night/_temporary/0/part-9.parquet", b"half");
    let (here, there, glob) = (place.path("here"), place.path("there"), place.path("glob"));
    done(chehra().args(["-q", "audit", "--no-report", "--out"]).arg(&here).arg(fixture("night")));
    done(server.chehra(&place).args(["-q", "audit", "s3://dumps/night", "--out"]).arg(&there));
    assert_same_here(&here, &there);
    assert!(fs::read_to_string(there.join("report.html")).unwrap().contains("data:image/jpeg;base64"));
    let record =
        |out: &std::path::Path| -> Value { serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap() };
    for key in ["run_id", "store_key", "rows"] {
        assert_eq!(record(&here)[key], record(&there)[key], "{key}");
    }
    assert_eq!(record(&there)["inputs"][0]["path"], "s3://dumps/night/submissions-0.parquet");

    // Globs, single files, a list; the table of workers and a column that is carried.
    let mut command = server.chehra(&place);
    command.args(["-q", "audit", "--no-report", "s3://dumps/*/sub*-[01].parquet", "--out"]).arg(&glob);
    done(&mut command);
    assert_same_here(&here, &glob);
    let (list, files) = (place.path("files.txt"), place.path("files"));
    fs::write(&list, "s3://dumps/night/submissions-1.parquet\n").unwrap();
    let mut command = server.chehra(&place);
    command.args(["-q", "audit", "--no-report", "s3://dumps/night/submissions-0.parquet", "--workers"]);
    command.args(["s3://dumps/night/workers.parquet", "--files"]).arg(&list).arg("--out").arg(&files);
    done(&mut command);
    assert_same_here(&here, &files);

    let no = place.path("no");
    let mut command = server.chehra(&place);
    refused(
        command.args(["-q", "audit", "s3://dumps/nothing", "--out"]).arg(&no),
        65,
        &["s3://dumps/nothing", "nothing"],
    );
    server.put("dumps/delta/_delta_log/0.json", b"{}");
    server.put("dumps/delta/part-0.parquet", b"PAR1");
    let mut command = server.chehra(&place);
    refused(command.args(["-q", "audit", "s3://dumps/delta", "--out"]).arg(&no), 65, &["a Delta table"]);
    server.put("dumps/delta/x/y/part-0.parquet", b"PAR1");
    let mut command = server.chehra(&place);
    refused(
        command.args(["-q", "audit", "s3://dumps/delta/x/y", "--out"]).arg(&no),
        65,
        &["s3://dumps/delta", "a Delta table"],
    );
    server.put("dumps/run/run.json", b"{}");
    let mut command = server.chehra(&place);
    refused(command.args(["-q", "audit", "s3://dumps/run", "--out"]).arg(&no), 65, &["a run folder"]);
    server.put("dumps/bad.parquet", &fs::read(fixture("broken/truncated.parquet")).unwrap());
    let mut command = server.chehra(&place);
    refused(command.args(["-q", "audit", "s3://dumps/bad.parquet", "--out"]).arg(&no), 65, &["cut off after"]);
    assert!(!no.exists());
    nothing_is_left(&place);
}

pub fn what_was_seen_goes_into_a_bucket_and_comes_out_of_it() {
    let (server, place) = (Server::shared(), Place::new());
    server.bucket_of_a_night("seen", "night");
    let (here, seen, out) = (place.path("here"), place.path("seen"), place.path("out"));
    done(chehra().args(["-q", "audit", "--no-report", "--out"]).arg(&here).arg(fixture("night")));
    for part in ["1/2", "2/2"] {
        done(server.chehra(&place).args(["-q", "see", "s3://seen/night", "--part", part, "--out", "s3://seen/parts"]));
        done(server.chehra(&place).args(["-q", "see", "s3://seen/night", "--part", part, "--out"]).arg(&seen));
    }
    for name in ["rows-00001-of-00002.parquet", "rows-00002-of-00002.parquet", "dump-00001-of-00002.parquet"] {
        assert!(server.get(&format!("seen/parts/{name}")) == fs::read(seen.join(name)).unwrap(), "{name}");
    }
    nothing_is_left(&place);
    let said =
        done(server.chehra(&place).args(["see", "s3://seen/night", "--part", "1/2", "--out", "s3://seen/parts"]));
    assert!(said.contains("part 1/2: 19 of 38"), "{said}");

    let audit = |out: &str| {
        let mut command = server.chehra(&place);
        command.args(["-q", "audit", "--seen", "s3://seen/parts", "--workers", "s3://seen/night/workers.parquet"]);
        command.args(["--no-report", "--out", out]);
        command
    };
    done(&mut audit(out.to_str().unwrap()));
    assert_same_here(&here, &out);
    done(&mut audit("s3://seen/runs/night"));
    assert_same(server, "seen/runs/night", &here);
    nothing_is_left(&place);

    server.delete("seen/parts/rows-00002-of-00002.parquet");
    refused(&mut audit("s3://seen/runs/no"), 65, &["all 38 rows", "--part 2/2"]);
    assert!(!server.has("seen/runs/no/run.json"));
}

pub fn a_run_folder_is_finished_when_its_marker_is_there() {
    let (server, place) = (Server::shared(), Place::new());
    server.bucket_of_a_night("runs", "night");
    let here = place.path("here");
    done(chehra().args(["-q", "audit", "--out"]).arg(&here).arg(fixture("night")));
    let audit = |more: &[&str]| {
        let mut command = server.chehra(&place);
        command.args(["-q", "audit", "s3://runs/night", "--out", "s3://runs/out/night"]).args(more);
        command
    };
    let report = |out: &str| {
        let mut command = server.chehra(&place);
        command.args(["-q", "report", "s3://runs/out/night", "--out"]).arg(place.path(out));
        command
    };
    done(&mut audit(&[]));
    assert_same(server, "runs/out/night", &here);
    nothing_is_left(&place);
    let marker: Value = serde_json::from_slice(&server.get("runs/out/night/_SUCCESS")).unwrap();
    let record: Value = serde_json::from_slice(&server.get("runs/out/night/run.json")).unwrap();
    assert_eq!(marker["run_id"], record["run_id"]);
    let names: Vec<&str> =
        marker["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert!(
        names.contains(&"run.json") && names.contains(&"verdicts.parquet") && !names.contains(&"report.html"),
        "{names:?}"
    );

    // Readers: a page, and what differs from a run on this disk. The page goes into the bucket as well.
    done(&mut report("page.html"));
    assert!(fs::read_to_string(place.path("page.html")).unwrap().contains("<html"));
    let said = done(server.chehra(&place).args(["report", "--diff", "s3://runs/out/night"]).arg(&here));
    assert!(said.contains("0 with another verdict"), "{said}");
    let mut command = server.chehra(&place);
    done(command.args(["-q", "report", "s3://runs/out/night", "--dump", "s3://runs/night"]));
    assert!(String::from_utf8_lossy(&server.get("runs/out/night/report.html")).contains("data:image/jpeg;base64"));
    nothing_is_left(&place);

    // It is not replaced unasked, nor what is no run's.
    refused(&mut audit(&[]), 65, &["s3://runs/out/night", "it exists", "--force"]);
    done(&mut audit(&["--force", "--no-report"]));
    assert!(!server.has("runs/out/night/report.html"), "the page of the run before went with it");
    server.put("runs/out/night/mine.txt", b"mine");
    refused(&mut audit(&["--force"]), 65, &["no run's: mine.txt"]);
    assert_eq!(server.get("runs/out/night/mine.txt"), b"mine");
    server.delete("runs/out/night/mine.txt");

    // Without the marker it is not finished, whatever else is there; the same command makes it whole.
    server.delete("runs/out/night/_SUCCESS");
    refused(&mut report("no.html"), 65, &["s3://runs/out/night", "_SUCCESS", "not finished"]);
    assert!(!place.path("no.html").exists());
    done(&mut audit(&[]));
    done(&mut report("again.html"));
    // And with a file that is another one it is refused by name.
    server.put("runs/out/night/pairs.parquet", b"PAR1 other PAR1");
    refused(&mut report("no.html"), 65, &["pairs.parquet", "another one, of 15 bytes"]);
    nothing_is_left(&place);
}

pub fn one_file_is_read_over_http_where_that_is_allowed() {
    let (server, place) = (Server::shared(), Place::new());
    server.bucket_of_a_night("web", "night");
    let address = format!("http://127.0.0.1:{}/web/night/submissions-0.parquet", server.port);
    let seen = place.path("seen");
    let see = || {
        let mut command = server.chehra(&place);
        command.args(["-q", "see", &address, "--part", "1/4", "--out"]).arg(&seen);
        command
    };
    refused(&mut see(), 65, &["/web/night/submissions-0.parquet", "ALLOW_HTTP=true"]);
    done(see().env("ALLOW_HTTP", "true"));
    let local = place.path("local");
    let file = fixture("night/submissions-0.parquet");
    done(chehra().args(["-q", "see", "--part", "1/4", "--out"]).arg(&local).arg(file));
    let name = "rows-00001-of-00004.parquet";
    assert!(fs::read(seen.join(name)).unwrap() == fs::read(local.join(name)).unwrap());
    // It is read alone.
    let out = format!("http://127.0.0.1:{}/web/out", server.port);
    let mut command = server.chehra(&place);
    command.env("ALLOW_HTTP", "true").args(["-q", "audit", &address, "--out", &out]);
    refused(&mut command, 65, &["https://"]);
}

pub fn a_member_who_is_forgotten_is_erased_from_what_was_seen_in_a_bucket() {
    let (server, place) = (Server::shared(), Place::new());
    server.bucket_of_a_night("erased", "night");
    done(server.chehra(&place).args(["-q", "see", "s3://erased/night", "--out", "s3://erased/seen"]));
    let store = place.path("store");
    let audit = |out: &str, more: &[&str]| {
        let mut command = server.chehra(&place);
        command.args(["-q", "audit", "--no-report", "--seen", "s3://erased/seen", "--workers"]);
        command
            .args(["s3://erased/night/workers.parquet", "--out"])
            .arg(place.path(out))
            .arg("--store")
            .arg(&store)
            .args(more);
        command
    };
    done(&mut audit("one", &[]));
    let part = "erased/seen/rows-00001-of-00001.parquet";
    let before = server.get(part);
    let verdicts = crate::util::table(&[place.path("one/verdicts.parquet")]);
    let texts = |name: &str| arrow::array::AsArray::as_string::<i32>(verdicts.column_by_name(name).unwrap()).clone();
    let (ids, decided) = (texts("submission_id"), texts("verdict"));
    let accepted = (0..arrow::array::Array::len(&ids)).find(|&row| decided.value(row) == "accept").unwrap();
    let id = ids.value(accepted).to_owned();

    // While the server cannot be reached the receipt is not settled, and says where something is left.
    let forget = |command: &mut std::process::Command| {
        command.args(["gallery", "forget", "--member", &id, "--store"]).arg(&store);
    };
    let mut away = server.chehra(&place);
    away.env("AWS_ENDPOINT", "http://127.0.0.1:9");
    forget(&mut away);
    let (_, stdout, stderr) = crate::util::run(&mut away);
    assert!(format!("{stdout}{stderr}").contains("s3://erased/seen"), "{stdout}{stderr}");
    assert!(server.get(part) == before);
    done(server.chehra(&place).args(["gallery", "compact", "--store"]).arg(&store));
    let after = server.get(part);
    assert!(after != before, "the object was written anew");
    done(server.chehra(&place).args(["gallery", "verify", "--store"]).arg(&store));

    done(&mut audit("two", &["--keep-seen", "0"]));
    let verdicts = crate::util::table(&[place.path("two/verdicts.parquet")]);
    let reasons = arrow::compute::cast(verdicts.column_by_name("reasons").unwrap(), &arrow::datatypes::DataType::Utf8);
    let reasons = format!("{:?}", reasons.unwrap().slice(accepted, 1));
    assert!(reasons.contains("erased_before"), "{reasons}");
    assert!(!server.has(part), "kept for no day");
}
