//! Any reader of files from outside: CHEHRA_FUZZ_TARGET names which (tests/fuzz/targets.rs has the names).
#![no_main]

#[path = "../../tests/fuzz/targets.rs"]
#[allow(dead_code, reason = "seeds are for the harness without coverage")]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static CHOSEN: LazyLock<(&targets::Target, TempDir)> = LazyLock::new(|| {
    let name = std::env::var("CHEHRA_FUZZ_TARGET").expect("CHEHRA_FUZZ_TARGET: a name of tests/fuzz/targets.rs");
    let target = targets::TARGETS.iter().find(|target| target.name == name).expect("a name of tests/fuzz/targets.rs");
    (target, tempfile::tempdir().expect("a folder for files"))
});

fuzz_target!(|data: &[u8]| {
    let (target, folder) = &*CHOSEN;
    let mut bytes = data.to_vec();
    (target.seal)(&mut bytes);
    (target.read)(&bytes, folder.path());
});
