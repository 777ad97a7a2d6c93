//! Builds the shim once per process, and launches the kernels through it as on a GPU: by name, with a grid and arguments.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use candle_core::{CpuStorage, DType, Device, Result, Storage, bail};
use chehra::ops::gpu::{Arg, Card, Gpu, Kernel};
use chehra::ops::gpu::{cuda_scan, metal_scan};
use half::{bf16, f16};
use libloading::{Library, Symbol};

use crate::skip;

/// The kernels of one dialect on the CPU, with tensors of the CPU.
pub struct Shim {
    pub dialect: &'static str,
    /// Which of a dialect's kernels scans.
    pub scan: &'static str,
    library: &'static Library,
}

impl Shim {
    /// The operations of `chehra::ops::gpu` by this way.
    pub fn card(&'static self) -> Card {
        Card::through(Device::Cpu, self)
    }
}

/// An argument as `kernels/host/launch.h` takes it.
#[repr(C)]
struct Given {
    at: *mut c_void,
    size: usize,
    kind: c_int,
}

const IN: c_int = 0;
const OUT: c_int = 1;
const VALUE: c_int = 2;

type Launch = unsafe extern "C" fn(*const c_char, *const Given, c_int, c_uint, c_uint, c_uint) -> c_int;

/// Calls `$run` with the vector of a storage.
macro_rules! any_vec {
    ($storage:expr, $of:ident => $run:expr) => {
        match $storage {
            Storage::Cpu(CpuStorage::U8($of)) => $run,
            Storage::Cpu(CpuStorage::U32($of)) => $run,
            Storage::Cpu(CpuStorage::F32($of)) => $run,
            Storage::Cpu(CpuStorage::F16($of)) => $run,
            Storage::Cpu(CpuStorage::BF16($of)) => $run,
            other => bail!("the shim has no {:?}", other.dtype()),
        }
    };
}

impl Gpu for Shim {
    fn upload(&self, _: &Device, parts: &[&[u8]]) -> Result<Storage> {
        Ok(Storage::Cpu(CpuStorage::U8(parts.concat())))
    }

    /// Filled with what no kernel would write.
    fn room(&self, _: &Device, dtype: DType, count: usize) -> Result<Storage> {
        Ok(Storage::Cpu(match dtype {
            DType::U8 => CpuStorage::U8(vec![0xA5; count]),
            DType::U32 => CpuStorage::U32(vec![0xA5A5_A5A5; count]),
            DType::F32 => CpuStorage::F32(vec![f32::NAN; count]),
            DType::F16 => CpuStorage::F16(vec![f16::NAN; count]),
            DType::BF16 => CpuStorage::BF16(vec![bf16::NAN; count]),
            other => bail!("the shim has no {other:?}"),
        }))
    }

    fn read(&self, from: &Storage, into: &mut [u8]) -> Result<()> {
        any_vec!(from, v => {
            assert!(into.len() <= size_of_val(v.as_slice()));
            // SAFETY: numbers, as many bytes as there are.
            unsafe { std::ptr::copy_nonoverlapping(v.as_ptr().cast(), into.as_mut_ptr(), into.len()) };
        });
        Ok(())
    }

    fn launch(&self, _: &Device, kernel: Kernel<'_>, args: &mut [Arg<'_>]) -> Result<()> {
        let given = args.iter_mut().map(given).collect::<Result<Vec<Given>>>()?;
        let name = CString::new(kernel.name).unwrap();
        let [across, down] = kernel.grid.blocks.map(|v| v as c_uint);
        // SAFETY: the type is that of `kernels/host/cuda.cpp` and `metal.cpp`.
        let launch: Symbol<'_, Launch> = unsafe { self.library.get(format!("{}_launch", self.dialect)) }.unwrap();
        // SAFETY: the entry is known by name, and number, kind and size of arguments are checked there; that storages are
        // large enough is what the operations vouch for, here as on a GPU.
        let answer = unsafe {
            launch(name.as_ptr(), given.as_ptr(), given.len() as c_int, across, down, kernel.grid.threads as c_uint)
        };
        match answer {
            0 => Ok(()),
            1 => bail!("{}: no entry {}", self.dialect, kernel.name),
            2 => bail!("{}: {} does not take {} arguments", self.dialect, kernel.name, given.len()),
            other => bail!("{}: argument {} of {} does not fit", self.dialect, other - 100, kernel.name),
        }
    }

    fn scan(&self, probes: usize, words: usize, rows: usize) -> Kernel<'static> {
        match self.dialect {
            "cuda" => cuda_scan(self.scan, probes, words, rows),
            _ => metal_scan(probes, rows),
        }
    }

    fn scan_name(&self) -> &'static str {
        self.scan
    }
}

fn given(arg: &mut Arg<'_>) -> Result<Given> {
    fn of<T>(at: *const T, kind: c_int) -> Given {
        Given { at: at.cast_mut().cast(), size: size_of::<T>(), kind }
    }
    match arg {
        Arg::In(storage, from) => any_vec!(storage, v => Ok(of(&raw const v[*from..][0], IN))),
        Arg::Out(storage) => any_vec!(&mut **storage, v => Ok(of(v.as_mut_ptr(), OUT))),
        Arg::Value(bytes) => Ok(Given { at: bytes.as_ptr().cast_mut().cast(), size: bytes.len(), kind: VALUE }),
    }
}

/// CUDA's and Metal's kernels, CUDA's with either of its scans.
pub fn dialects() -> &'static [Shim] {
    static BUILT: OnceLock<Vec<Shim>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let Some(compiler) = compiler() else {
            skip("no C++ compiler ($CXX, c++, g++ or clang++), so kernels cannot be run on the CPU");
        };
        let [cuda, metal] = ["cuda", "metal"].map(|dialect| build(&compiler, dialect));
        vec![
            Shim { dialect: "cuda", scan: "search_mma", library: cuda },
            Shim { dialect: "metal", scan: "search", library: metal },
            Shim { dialect: "cuda", scan: "search_dp4a", library: cuda },
        ]
    })
}

/// As [`dialects`], each once.
pub fn cards() -> impl Iterator<Item = (&'static str, Card)> {
    dialects().iter().take(2).map(|shim| (shim.dialect, shim.card()))
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

fn build(compiler: &str, dialect: &'static str) -> &'static Library {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/host").join(format!("{dialect}.cpp"));
    let name = format!("{dialect}-{}.so", std::process::id());
    let out: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // What a Mac's compiler is given, to the letter.
    let msl = out.with_extension("metal");
    std::fs::write(&msl, chehra::ops::gpu::msl::source()).unwrap();
    let flags =
        ["-std=c++17", "-Ikernels/host", "-O1", "-ffp-contract=off", "-fno-fast-math", "-shared", "-fPIC", "-w"];
    let built = Command::new(compiler)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(flags)
        .arg(format!("-DMSL_SOURCE=\"{}\"", msl.display()))
        .arg("-o")
        .arg(&out)
        .arg(&source)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    // SAFETY: our own library, without initialisers.
    let library = unsafe { Library::new(&out) }.unwrap();
    std::fs::remove_file(&msl).unwrap();
    // Linux keeps what is loaded.
    std::fs::remove_file(&out).unwrap();
    Box::leak(Box::new(library))
}

/// What kernels compute in, and the share of a value that rounding to it may cost.
pub const TYPES: [(DType, f32); 3] = [(DType::F32, 0.0), (DType::F16, 1.0 / 2048.0), (DType::BF16, 1.0 / 256.0)];
