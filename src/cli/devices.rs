//! `chehra devices`.

use std::fmt;

use clap::Args;
use serde::Serialize;

use crate::Result;
use crate::cli::{Common, print_as};
use crate::device::{Survey, processor, survey_cuda, survey_metal};
use crate::gallery::dot::Kernel;
use crate::ops::Precision;
use crate::ops::cpu::Isa;

const EXAMPLES: &str = "\
Examples:
  chehra devices
  chehra devices --json | jq '.cuda.cards[].name'";

/// `devices` has no flags of its own.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DevicesArgs {}

/// What networks and searches can run on here.
#[derive(Debug, Serialize)]
struct Devices {
    /// Features this binary was built with that name a device.
    features: Vec<&'static str>,
    cpu: Cpu,
    cuda: Survey,
    metal: Survey,
}

#[derive(Debug, Serialize)]
struct Cpu {
    name: String,
    cores: usize,
    /// Instruction set of the networks.
    networks: String,
    /// Whether it multiplies bf16.
    bf16: bool,
    /// Kernel of the gallery's scan.
    search: &'static str,
    /// Vector instructions that this program has code for and the processor has.
    simd: Vec<String>,
}

/// Runs it.
pub fn run(common: &Common) -> Result<()> {
    let features = [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))];
    let sets = Isa::ALL.iter().filter(|isa| **isa != Isa::Plain && isa.is_supported()).map(Isa::to_string);
    let kernels = Kernel::ALL.iter().filter(|kernel| **kernel != Kernel::Plain && kernel.is_available());
    let mut simd: Vec<String> = sets.chain(kernels.map(|kernel| kernel.name().to_owned())).collect();
    simd.dedup();
    simd.sort_unstable();
    simd.dedup();
    let devices = Devices {
        features: features.into_iter().filter_map(|(name, built)| built.then_some(name)).collect(),
        cpu: Cpu {
            name: processor::name(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            networks: Isa::current()?.to_string(),
            bf16: Precision::Bf16.is_supported(),
            search: Kernel::best().name(),
            simd,
        },
        cuda: survey_cuda(),
        metal: survey_metal(),
    };
    print_as(&devices, common.json)
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cpu { name, cores, networks, bf16, search, simd } = &self.cpu;
        let features = if self.features.is_empty() { "none".to_owned() } else { self.features.join(", ") };
        writeln!(f, "features of this binary: {features}")?;
        writeln!(f, "cpu      {name}, {cores} cores; {}", simd.join(" "))?;
        let bf16 = if *bf16 { ", bf16 possible" } else { "" };
        writeln!(f, "         networks by {networks}{bf16}; search by {search}")?;
        lines(f, "cuda", &self.cuda)?;
        lines(f, "metal", &self.metal)
    }
}

/// One line a card, or why there is none.
fn lines(f: &mut fmt::Formatter<'_>, kind: &str, survey: &Survey) -> fmt::Result {
    for (number, card) in survey.cards.iter().enumerate() {
        write!(f, "{:<8} {}, {:.1} GiB", format!("{kind}:{number}"), card.name, gib(card.memory))?;
        if let Some(free) = card.free {
            write!(f, " ({:.1} free)", gib(free))?;
        }
        if let Some(capability) = &card.compute_capability {
            write!(f, ", compute capability {capability}")?;
        }
        if let Some(processors) = card.processors {
            write!(f, ", {processors} multiprocessors")?;
        }
        if let Some(driver) = &survey.driver {
            write!(f, ", driver for CUDA {driver}")?;
        }
        writeln!(f)?;
    }
    match (&survey.problem, survey.built) {
        (Some(problem), _) => writeln!(f, "{kind:<8} none: {problem}"),
        (None, false) => writeln!(f, "{kind:<8} not in this binary"),
        (None, true) => Ok(()),
    }
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}
