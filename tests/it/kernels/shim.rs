//! Builds the shim once per process and calls into it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use half::{bf16, f16};
use libloading::{Library, Symbol};

/// The kernels of one dialect.
pub struct Shim {
    pub dialect: &'static str,
    library: Library,
}

impl Shim {
    /// A launcher by its name.
    pub fn get<F>(&self, name: &str) -> Symbol<'_, F> {
        // SAFETY: the callers give the types that `kernels/host/launchers.h` declares.
        unsafe { self.library.get(format!("{}_{name}", self.dialect)) }.unwrap_or_else(|e| panic!("{name}: {e}"))
    }
}

impl Shim {
    /// A launcher for a type of number; Metal has no bf16.
    pub fn of<T: Number, F>(&self, name: &str) -> Option<Symbol<'_, F>> {
        (self.dialect != "metal" || T::SUFFIX != "bf16").then(|| self.get(&format!("{name}_{}", T::SUFFIX)))
    }
}

/// CUDA's and Metal's kernels; none, said aloud, without a C++ compiler.
pub fn dialects() -> &'static [Shim] {
    static BUILT: OnceLock<Vec<Shim>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let Some(compiler) = compiler() else {
            eprintln!("skipped: no C++ compiler ($CXX, c++, g++ or clang++), so kernels cannot be run on the CPU");
            return Vec::new();
        };
        ["cuda", "metal"].into_iter().map(|dialect| build(&compiler, dialect)).collect()
    })
}

fn compiler() -> Option<String> {
    let given = std::env::var("CXX").ok();
    let names = given.into_iter().chain(["c++", "g++", "clang++"].map(String::from));
    // The shim's fibers are those of Linux.
    let mut usable = names.filter(|name| {
        cfg!(target_os = "linux") && Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success())
    });
    usable.next()
}

fn build(compiler: &str, dialect: &'static str) -> Shim {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/host").join(format!("{dialect}.cpp"));
    let name = format!("{dialect}-{}.so", std::process::id());
    let out: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let flags =
        ["-std=c++17", "-Ikernels/host", "-O1", "-ffp-contract=off", "-fno-fast-math", "-shared", "-fPIC", "-w"];
    let built = Command::new(compiler)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(flags)
        .arg("-o")
        .arg(&out)
        .arg(&source)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    // SAFETY: our own library, without initialisers.
    let library = unsafe { Library::new(&out) }.unwrap();
    // Linux keeps what is loaded.
    std::fs::remove_file(&out).unwrap();
    Shim { dialect, library }
}

/// A type that kernels compute on.
pub trait Number: Copy + Default {
    const SUFFIX: &'static str;
    /// Share of a value that its rounding may cost.
    const EPSILON: f32;
    fn of(value: f32) -> Self;
    fn value(self) -> f32;
}

impl Number for f32 {
    const SUFFIX: &'static str = "f32";
    const EPSILON: f32 = 0.0;
    fn of(value: f32) -> Self {
        value
    }
    fn value(self) -> f32 {
        self
    }
}

impl Number for f16 {
    const SUFFIX: &'static str = "f16";
    const EPSILON: f32 = 1.0 / 2048.0;
    fn of(value: f32) -> Self {
        f16::from_f32(value)
    }
    fn value(self) -> f32 {
        self.to_f32()
    }
}

impl Number for bf16 {
    const SUFFIX: &'static str = "bf16";
    const EPSILON: f32 = 1.0 / 256.0;
    fn of(value: f32) -> Self {
        bf16::from_f32(value)
    }
    fn value(self) -> f32 {
        self.to_f32()
    }
}
