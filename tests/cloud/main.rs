//! Dumps, SEEN and run folders in object stores, with the binary against a real server of the S3 protocol: moto, from PyPI.
//!
//! `pip install 'moto[server,s3,iam]'` into any environment; `CHEHRA_MOTO` names its `moto_server`, else it is looked for in
//! PATH. Without it every test here is counted as ignored. Connections are cut by a proxy in [`server`].

mod audits;
mod failures;
mod ranges;
mod server;
#[path = "../it/util.rs"]
#[allow(dead_code, reason = "the tests of `it` use all of it")]
mod util;

use std::fs;
use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use server::Server;

/// A test and its name.
type Test = (&'static str, fn());

macro_rules! tests {
    ($($test:path),+ $(,)?) => { &[$((stringify!($test), $test as fn())),+] };
}

const TESTS: &[Test] = tests![
    audits::a_dump_in_a_bucket_is_audited_as_one_on_a_disk,
    audits::a_member_who_is_forgotten_is_erased_from_what_was_seen_in_a_bucket,
    audits::a_run_folder_is_finished_when_its_marker_is_there,
    audits::one_file_is_read_over_http_where_that_is_allowed,
    audits::what_was_seen_goes_into_a_bucket_and_comes_out_of_it,
    failures::a_bucket_that_is_not_there_and_a_server_that_is_down_are_told_apart,
    failures::connections_that_are_cut_cost_nothing_unless_they_always_are,
    failures::secrets_stand_nowhere,
    failures::wrong_credentials_are_told_at_once,
    ranges::columns_and_row_groups_that_are_not_needed_are_not_fetched,
];

fn main() {
    let arguments = Arguments::from_args();
    let trial = |&(name, test): &Test| Trial::ignorable_test(name, move || outcome(test));
    let code = libtest_mimic::run(&arguments, TESTS.iter().map(trial).collect());
    server::stop();
    code.exit();
}

/// Why a test was left out.
struct Skipped(String);

fn outcome(test: fn()) -> Result<Completion, Failed> {
    match catch_unwind(test) {
        Ok(()) => Ok(Completion::Completed),
        Err(panic) => match panic.downcast::<Skipped>() {
            Ok(skipped) => Ok(Completion::ignored_with(skipped.0)),
            Err(panic) => resume_unwind(panic),
        },
    }
}

/// Ends the test that calls it: it is counted as ignored, for this reason.
fn skip(reason: impl Into<String>) -> ! {
    resume_unwind(Box::new(Skipped(reason.into())))
}

/// Runs a command that must succeed and gives what it prints.
fn done(command: &mut Command) -> String {
    let (code, stdout, stderr) = util::run(command);
    assert_eq!(code, 0, "{command:?}: {stdout}{stderr}");
    stdout
}

/// Runs a command that must end with this code and these words.
fn refused(command: &mut Command, expected: i32, words: &[&str]) -> String {
    let (code, stdout, stderr) = util::run(command);
    assert_eq!(code, expected, "{command:?}: {stdout}{stderr}");
    words.iter().for_each(|word| assert!(stderr.contains(word), "no {word} in {stderr}"));
    stderr
}

const TABLES: [&str; 6] = [
    "review.parquet",
    "suspects.parquet",
    "verdicts.parquet",
    "pairs.parquet",
    "clusters.parquet",
    "workers_audit.parquet",
];

/// The tables of a run in a bucket are those of one on this disk.
fn assert_same(server: &Server, address: &str, run: &Path) {
    for name in TABLES {
        let there = server.get(&format!("{address}/{name}"));
        assert!(
            there == fs::read(run.join(name)).unwrap(),
            "{name} of {address} is another than that of {}",
            run.display()
        );
    }
}

/// The tables of two runs on this disk are the same.
fn assert_same_here(one: &Path, other: &Path) {
    for name in TABLES {
        let same = fs::read(one.join(name)).unwrap() == fs::read(other.join(name)).unwrap();
        assert!(same, "{name} differs between {} and {}", one.display(), other.display());
    }
}
