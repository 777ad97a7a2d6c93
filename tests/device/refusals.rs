//! What the real program says where a card cannot be used: no card, an older driver, an older card, a full one, a library that is
//! missing. The answers come from a driver of our own making, a dozen functions that read them from the environment: machines
//! with such cards are not at hand, and what the program makes of the answers is what is tested.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::engine::fixtures;

const DEVICE_ABSENT: i32 = 69;

/// Functions of the driver's interface up to the first that needs a real card; 75 and 76 are the numbers of the compute
/// capability's two parts.
const DRIVER: &str = r#"
#include <stdlib.h>
#include <string.h>
static long answer(const char* name, long usual) { const char* said = getenv(name); return said ? atol(said) : usual; }
int cuInit(unsigned flags) { return (int)answer("MADE_UP_INIT", 0); }
int cuDriverGetVersion(int* version) { *version = (int)answer("MADE_UP_VERSION", 13000); return 0; }
int cuDeviceGetCount(int* count) { *count = (int)answer("MADE_UP_CARDS", 1); return 0; }
int cuDeviceGet(int* device, int number) { *device = number; return 0; }
int cuDeviceGetName(char* name, int size, int device) { strncpy(name, "Made-up Card", size); return 0; }
int cuDeviceGetAttribute(int* value, int which, int device) {
    *value = (int)(which == 75 ? answer("MADE_UP_MAJOR", 9) : which == 76 ? answer("MADE_UP_MINOR", 0) : 1);
    return 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) { *bytes = (size_t)24 << 30; return 0; }
int cuDevicePrimaryCtxRetain(void** context, int device) { *context = (void*)8; return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { return 0; }
int cuCtxGetCurrent(void** context) { *context = (void*)8; return 0; }
int cuCtxSetCurrent(void* context) { return 0; }
int cuMemGetInfo_v2(size_t* free, size_t* total) {
    *free = (size_t)answer("MADE_UP_FREE_MIB", 20000) << 20;
    *total = (size_t)24 << 30;
    return 0;
}
int cuGetErrorName(int error, const char** name) { *name = "CUDA_ERROR_NO_DEVICE"; return 0; }
int cuGetErrorString(int error, const char** text) { *text = "no CUDA-capable device is detected"; return 0; }
"#;

/// The program, where it was built or beside this binary in a kit.
fn program() -> Option<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("chehra"));
    [Some(PathBuf::from(env!("CARGO_BIN_EXE_chehra"))), beside()].into_iter().flatten().find(|path| path.exists())
}

/// Why this cannot be tested here.
pub fn missing() -> Option<String> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    match (program(), Command::new(&compiler).arg("--version").output()) {
        (None, _) => Some("the program lies neither where it was built nor beside this binary".to_owned()),
        (_, Err(error)) => Some(format!("no C compiler: {compiler}: {error}")),
        _ => None,
    }
}

fn library(folder: &Path, name: &str, text: &str) {
    let source = folder.join(format!("{name}.c"));
    std::fs::write(&source, text).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut command = Command::new(compiler);
    command
        .args(["-shared", "-fPIC", "-w", "-o"])
        .arg(folder.join(name))
        .arg(&source)
        .arg(format!("-Wl,-soname,{name}"));
    let built = command.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// Each case ends with 69 and one message that says what was found, before any work, and never on the CPU instead.
pub fn a_card_that_cannot_be_used_is_refused_in_one_message() {
    let place = tempfile::tempdir().unwrap();
    let libraries = place.path().join("libraries");
    let broken = place.path().join("broken");
    for folder in [&libraries, &broken] {
        std::fs::create_dir(folder).unwrap();
        library(folder, "libcuda.so.1", DRIVER);
    }
    for name in ["libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10"] {
        library(&libraries, name, "int made_up;");
    }
    let nowhere = place.path().join("nowhere").display().to_string();
    let folders = format!("{nowhere}:{}", libraries.display());
    let cases: [(&str, &str, &[&str]); 6] = [
        ("MADE_UP_INIT", "100", &["CUDA_ERROR_NO_DEVICE", "chehra devices"]),
        ("MADE_UP_CARDS", "0", &["the driver lists 0 cards", "chehra devices"]),
        ("MADE_UP_CARDS", "2", &["the driver lists 2 cards, numbered from 0"]),
        ("MADE_UP_VERSION", "12040", &["driver is for CUDA 12.4", "13.0 or later", "580"]),
        ("MADE_UP_MAJOR", "7", &["Made-up Card has compute capability 7.0", "8.0 (Ampere) or later"]),
        (
            "MADE_UP_FREE_MIB",
            "300",
            &["Made-up Card has 300 MiB of its 24576 MiB", "1024 MiB are needed", "nvidia-smi"],
        ),
    ];
    for (variable, value, said) in cases {
        let device = if value == "2" { "cuda:2" } else { "cuda" };
        refused(&folders, (variable, value), device, said, place.path());
    }
    // A library that only a machine without CUDA lacks.
    if chehra::device::survey_cuda().cards.is_empty() {
        let said = ["not found: cuBLASLt (libcublasLt.so.13), cuBLAS", "(no such folder)", "broken"];
        refused(&format!("{nowhere}:{}", broken.display()), ("MADE_UP_CARDS", "1"), "cuda", &said, place.path());
    }
}

fn refused(folders: &str, (variable, value): (&str, &str), device: &str, said: &[&str], place: &Path) {
    let out = place.join("run");
    let mut command = Command::new(program().unwrap());
    command.args(["--quiet", "audit"]).arg(fixtures().join("night")).arg("--out").arg(&out).args(["--device", device]);
    let answer = command.env("CHEHRA_CUDA_LIBS", folders).env(variable, value).output().unwrap();
    let stderr = String::from_utf8_lossy(&answer.stderr);
    println!("{variable}={value}: {}", stderr.trim_end());
    assert_eq!(answer.status.code(), Some(DEVICE_ABSENT), "{variable}={value}: {stderr}");
    assert!(said.iter().all(|words| stderr.contains(words)), "{variable}={value}: {stderr}");
    assert_eq!(
        stderr.matches("--device ").count() - stderr.matches("use --device cpu").count(),
        1,
        "one message: {stderr}"
    );
    assert!(!stderr.contains("panicked") && !out.exists(), "{stderr}");
}
