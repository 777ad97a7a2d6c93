//! What was typed becomes what it means: policy, weights, device, networks, threads.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::config::Policy;
use crate::device::{self, DeviceChoice};
use crate::infer::engine::DEFAULT_EMBEDDER;
use crate::infer::{Engine, JpegChoice};
use crate::memory;
use crate::nn::WeightStore;
use crate::ops::Precision;
use crate::{Error, Result};

/// What every command that runs the networks understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Networks and policy")]
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
    /// Arithmetic of the networks: f32 (the same scores on every CPU), bf16x3 (nearly f32, at the rate of AMX), bf16 (the
    /// embedder in bf16, the others in bf16x3 or f32), f16 (GPUs), or auto (f16 on a GPU, bf16 where the CPU has it)
    #[arg(long, value_name = "KIND", default_value = "f32")]
    pub precision: Arithmetic,
    /// Who decodes JPEGs: cpu, gpu (nvJPEG, with --device cuda), or auto (the faster by measurement)
    #[arg(long, value_name = "WHO", default_value = "auto")]
    pub jpeg: JpegChoice,
    /// Policy file; what it does not name keeps its default (see `chehra policy`)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

impl EngineArgs {
    /// Opens the device.
    pub fn device(&self) -> Result<candle_core::Device> {
        let device = device::open(self.device)?;
        log::info!("device: {}", device::describe(&device));
        Ok(device)
    }

    /// Opens device and weights, and loads the networks.
    pub fn engine(&self, policy: &Policy) -> Result<Engine> {
        let (weights, device) = self.weights()?;
        Engine::load(&weights, &self.embedder, device, policy)?.with_jpeg(self.jpeg)
    }

    /// Opens device and weights: networks made from these run on that device, in the precision asked for.
    pub fn weights(&self) -> Result<(WeightStore, candle_core::Device)> {
        let device = self.device()?;
        let precision = self.precision.resolve(&device)?;
        let weights = WeightStore::open(self.weights.as_deref())?.with_precision(precision);
        log::info!("weights: {}", weights.origin());
        Ok((weights.with_device(device.clone()), device))
    }
}

/// What was asked for of the networks' arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arithmetic {
    /// f16 on a GPU; bf16 where the CPU multiplies it, else f32.
    Auto,
    /// The same bits on every machine.
    F32,
    /// The embedder in bf16, or an error.
    Bf16,
    /// All networks with factors of two bf16 each, or an error.
    Bf16x3,
    /// f16, or an error.
    F16,
}

impl Arithmetic {
    /// What it means on this device.
    pub fn resolve(self, device: &candle_core::Device) -> Result<Precision> {
        let no = |kind: &str, found: &str, fix: &str| Err(Error::usage("--precision", format!("{kind}: {found}"), fix));
        match (self, device.is_cpu(), Precision::Bf16.is_supported()) {
            (Arithmetic::F32, ..) | (Arithmetic::Auto, true, false) => Ok(Precision::F32),
            (Arithmetic::Auto | Arithmetic::F16, false, _) => Ok(Precision::F16),
            (Arithmetic::Bf16, false, _) | (Arithmetic::Auto | Arithmetic::Bf16, true, true) => Ok(Precision::Bf16),
            (Arithmetic::F16, true, _) => no("f16", "no CPU computes in it", "use --precision f32, bf16 or auto"),
            (Arithmetic::Bf16, true, false) => {
                no("bf16", "this CPU does not multiply bf16 (AVX-512 BF16 needed)", "use --precision f32 or auto")
            }
            (Arithmetic::Bf16x3, true, _) if Precision::Bf16x3.is_supported() => Ok(Precision::Bf16x3),
            (Arithmetic::Bf16x3, true, _) => {
                no("bf16x3", "this CPU does not multiply tiles (AMX needed)", "use --precision f32, bf16 or auto")
            }
            (Arithmetic::Bf16x3, false, _) => no("bf16x3", "no GPU computes in it", "use --precision f32, f16 or bf16"),
        }
    }
}

/// The default policy or the one in a file.
pub fn policy(path: Option<&Path>) -> Result<Policy> {
    path.map_or_else(|| Ok(Policy::default()), Policy::read)
}

/// [`policy`] for a command that decodes pictures: none may need more memory than there will ever be room for.
pub fn working_policy(path: Option<&Path>) -> Result<Policy> {
    let mut policy = policy(path)?;
    if let Some(limit) = memory::fit(&mut policy.photo) {
        let (all, most) = (limit.bytes >> 20, policy.photo.max_memory >> 20);
        log::warn!(
            "{} is {all} MiB: pictures that need more than {most} MiB to decode are image_too_large",
            limit.from
        );
    }
    Ok(policy)
}

/// Sizes the pool of worker threads.
pub fn threads(count: Option<u16>) -> Result<()> {
    let Some(count) = count else { return Ok(()) };
    rayon::ThreadPoolBuilder::new()
        .num_threads(count.into())
        .build_global()
        .map_err(|e| Error::bug("starting worker threads", e))
}
