//! Files that nobody wrote, given to every reader of files from outside.
//!
//! Without more, each target reads a few hundred mutations, the same ones every time. A long run takes another stretch of
//! mutations and goes on for so many seconds for each target:
//!
//!     CHEHRA_FUZZ_SECONDS=3600 CHEHRA_FUZZ_FROM=1000000 cargo test --release --test fuzz -- dump
//!
//! A finding is a panic that the program does not answer for itself, memory beyond a limit, or (in long runs) a file that
//! takes very long; its bytes are left in the folder that `CHEHRA_FUZZ_FOLDER` names, and the number of its mutation is
//! in the message. Should the process die, `NAME.at` in that folder says at which one.

mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chehra::statistics::SplitMix64;
use libtest_mimic::{Arguments, Failed, Trial};

use targets::{TARGETS, Target};

/// Mutations of each target in a short run.
const SHORT: u64 = 300;
/// Most bytes that a file of at most 1 MiB may make the program hold at a time.
const MOST_MEMORY: u64 = 600 << 20;
/// What is reported as a hang in a long run.
const MOST_TIME: Duration = Duration::from_secs(20);

/// What the last panic said, and where. Most are answered by the reader that guards against them, and are no news.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn main() {
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = panic.to_string();
        }
    }));
    let mut arguments = Arguments::from_args();
    // What is taken is counted for the process as a whole.
    arguments.test_threads = Some(1);
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seconds, from) = (number("CHEHRA_FUZZ_SECONDS"), number("CHEHRA_FUZZ_FROM").unwrap_or(0));
    let trials = TARGETS.iter().map(|target| Trial::test(target.name, move || fuzz(target, from, seconds)));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Where findings are left.
fn findings() -> PathBuf {
    let folder =
        std::env::var_os("CHEHRA_FUZZ_FOLDER").map_or_else(|| std::env::temp_dir().join("chehra-fuzz"), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The file of a mutation: its number alone decides.
fn made(target: &Target, seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
    let name: u64 = target.name.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(131).wrapping_add(byte.into()));
    let mut random = SplitMix64::new(name ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut bytes = seeds[random.below(seeds.len())].clone();
    mutate::mutate(&mut bytes, seeds, &mut random);
    if random.below(8) > 0 {
        (target.seal)(&mut bytes);
    }
    bytes
}

fn fuzz(target: &Target, from: u64, seconds: Option<u64>) -> Result<(), Failed> {
    let seeds: Vec<Vec<u8>> = (target.seeds)().into_iter().filter(|seed| !seed.is_empty()).collect();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let folder = tempfile::tempdir().unwrap();
    let findings = findings();
    let begun = Instant::now();
    let goes_on = |number: u64| match seconds {
        None => number < from + SHORT,
        Some(seconds) => begun.elapsed() < Duration::from_secs(seconds),
    };
    let mut found = Vec::new();
    for (name, bytes) in found_before(target.name) {
        found.extend(tried(target, &bytes, folder.path(), false).map(|what| format!("{name}: {what}")));
    }
    let mut number = from;
    while goes_on(number) && found.len() < 20 {
        let bytes = made(target, &seeds, number);
        if seconds.is_some() {
            std::fs::write(findings.join(format!("{}.at", target.name)), number.to_string()).unwrap();
        }
        if let Some(what) = tried(target, &bytes, folder.path(), seconds.is_some()) {
            std::fs::write(findings.join(format!("{}-{number}", target.name)), &bytes).unwrap();
            found.push(format!("{}, mutation {number}: {what}", target.name));
        }
        number += 1;
    }
    if seconds.is_some() {
        println!(
            "{}: {} files in {:.0} s, {} findings",
            target.name,
            number - from,
            begun.elapsed().as_secs_f64(),
            found.len()
        );
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(format!("{}\nfiles are in {}", found.join("\n"), findings.display()).into()),
    }
}

/// Files of earlier findings, `TARGET-what-it-was`.
fn found_before(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/found");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    assert!(!names.is_empty(), "{}", folder.display());
    names.sort();
    names.retain(|name| name.split('-').next() == Some(target));
    names.into_iter().map(|name| (name.clone(), std::fs::read(folder.join(&name)).unwrap())).collect()
}

/// What is wrong with how a file was read.
fn tried(target: &Target, bytes: &[u8], folder: &Path, is_long: bool) -> Option<String> {
    let begun = Instant::now();
    let before = resident(true);
    let read = catch_unwind(AssertUnwindSafe(|| (target.read)(bytes, folder)));
    let taken = resident(false).saturating_sub(before);
    let took = begun.elapsed();
    match read {
        Err(_) => {
            let last = LAST_PANIC.lock().map(|last| last.clone()).unwrap_or_default();
            Some(format!("a panic: {last}"))
        }
        Ok(()) if taken > MOST_MEMORY => Some(format!("{} MiB of memory", taken >> 20)),
        Ok(()) if is_long && took > MOST_TIME => Some(format!("{:.0} s", took.as_secs_f64())),
        Ok(()) => None,
    }
}

/// Most bytes that were resident since the count was begun anew; Linux alone says.
fn resident(anew: bool) -> u64 {
    if anew {
        // Where it may not be written, the peak of all files so far stands: a later finding may be missed, none is made up.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}
