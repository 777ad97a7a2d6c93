//! Compiles `kernels/cuda/*.cu` where the feature `cuda` is on; any other build passes through here in no time.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Machine code for Ampere and Hopper, and PTX from which the driver compiles for anything newer.
const TARGETS: [&str; 3] = [
    "-gencode=arch=compute_80,code=sm_80",
    "-gencode=arch=compute_90,code=sm_90",
    "-gencode=arch=compute_80,code=compute_80",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_some() {
        println!("cargo::rerun-if-changed=kernels/cuda");
        println!("cargo::rerun-if-changed=kernels/core");
        for name in ["NVCC", "CUDA_HOME", "CUDA_PATH", "NVCC_CCBIN"] {
            println!("cargo::rerun-if-env-changed={name}");
        }
        if let Err(error) = cuda() {
            println!("cargo::error={error}");
        }
    }
}

fn cuda() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    let nvcc = nvcc();
    for name in ["faces", "conv", "pointwise", "pool", "search"] {
        let source = Path::new("kernels/cuda").join(format!("{name}.cu"));
        let mut command = Command::new(&nvcc);
        command.args(["-O3", "-std=c++17", "-fmad=false", "-fatbin"]).args(TARGETS);
        if let Some(compiler) = env::var_os("NVCC_CCBIN") {
            command.arg("-ccbin").arg(compiler);
        }
        command.arg("-o").arg(out.join(format!("{name}.fatbin"))).arg(&source);
        let status = command.status();
        let status = status.map_err(|e| {
            let tried = nvcc.to_string_lossy();
            format!("the feature cuda needs nvcc of CUDA 13.0; tried {tried}: {e}; set NVCC or CUDA_HOME")
        })?;
        if !status.success() {
            return Err(format!("nvcc failed on {}: {status}", source.display()));
        }
    }
    Ok(())
}

fn nvcc() -> OsString {
    let toolkit = || env::var_os("CUDA_HOME").or_else(|| env::var_os("CUDA_PATH"));
    let inside = || toolkit().map(|folder| PathBuf::from(folder).join("bin/nvcc").into_os_string());
    env::var_os("NVCC").or_else(inside).unwrap_or_else(|| "nvcc".into())
}
