//! What was typed becomes what it means: policy, weights, device, networks, threads.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::config::Policy;
use crate::device::{self, DeviceChoice};
use crate::infer::Engine;
use crate::infer::engine::DEFAULT_EMBEDDER;
use crate::nn::WeightStore;
use crate::ops::Precision;
use crate::{Error, Result};

/// What every command that runs the networks understands.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// Where the networks run: auto, cpu, cuda[:N], metal[:N]. Only auto chooses
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
    /// Folder of weights with their manifest.toml [default: $CHEHRA_WEIGHTS, weights/ beside the executable, or those built in]
    #[arg(long, value_name = "DIR")]
    pub weights: Option<PathBuf>,
    /// Embedder, by its name in the manifest
    #[arg(long, value_name = "NAME", default_value = DEFAULT_EMBEDDER)]
    pub embedder: String,
    /// Arithmetic of the networks: f32 (the same scores on every machine), bf16 (faster where the CPU multiplies bf16), or
    /// auto (bf16 where the CPU has it)
    #[arg(long, value_name = "KIND", default_value = "f32")]
    pub precision: Arithmetic,
    /// Policy file; what it does not name keeps its default (see `chehra policy`)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

impl EngineArgs {
    /// Opens device and weights, and loads the networks.
    pub fn engine(&self, policy: &Policy) -> Result<Engine> {
        let device = device::open(self.device)?;
        let precision = self.precision.resolve()?;
        let weights = WeightStore::open(self.weights.as_deref())?.with_precision(precision);
        log::info!("weights: {}", weights.origin());
        Engine::load(&weights, &self.embedder, device, policy)
    }
}

/// What was asked for of the networks' arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arithmetic {
    /// bf16 where the CPU multiplies it, else f32.
    Auto,
    /// The same bits on every machine.
    F32,
    /// bf16, or an error.
    Bf16,
}

impl Arithmetic {
    /// What it means on this machine.
    pub fn resolve(self) -> Result<Precision> {
        match (self, Precision::Bf16.is_supported()) {
            (Arithmetic::F32, _) | (Arithmetic::Auto, false) => Ok(Precision::F32),
            (Arithmetic::Auto | Arithmetic::Bf16, true) => Ok(Precision::Bf16),
            (Arithmetic::Bf16, false) => {
                let found = "this CPU does not multiply bf16 (AVX-512 BF16 needed)";
                Err(Error::usage("--precision", format!("bf16: {found}"), "use --precision f32 or auto"))
            }
        }
    }
}

/// The default policy or the one in a file.
pub fn policy(path: Option<&Path>) -> Result<Policy> {
    path.map_or_else(|| Ok(Policy::default()), Policy::read)
}

/// Sizes the pool of worker threads.
pub fn threads(count: Option<u16>) -> Result<()> {
    let Some(count) = count else { return Ok(()) };
    rayon::ThreadPoolBuilder::new()
        .num_threads(count.into())
        .build_global()
        .map_err(|e| Error::bug("starting worker threads", e))
}
