//! Where the arithmetic runs. Only `auto` chooses; `cuda` and `metal` never become a CPU run.
//!
//! A binary built with the feature `cuda` needs nothing of CUDA to start: the libraries are opened here, at run time, and
//! what is missing is named. What runs on the device is left to `ops`.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "metal")]
mod metal;
#[cfg(any(feature = "cuda", test))]
mod needs;
#[cfg(not(feature = "cuda"))]
mod no_cuda;
#[cfg(not(feature = "metal"))]
mod no_metal;
#[cfg(feature = "cuda")]
pub mod nvjpeg;
pub mod processor;
mod survey;

use std::fmt;
use std::str::FromStr;

#[cfg(not(feature = "cuda"))]
use no_cuda as cuda;
#[cfg(not(feature = "metal"))]
use no_metal as metal;
pub use survey::{Card, Survey};

use crate::{Error, Result};

/// The device as asked for with `--device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A GPU if the binary was built for one and one is there, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA card number N.
    Cuda(usize),
    /// Metal device number N.
    Metal(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => {
                let number = number.parse().map_err(|_| format!("'{number}' is not a card number, as in cuda:1"))?;
                (name, Some(number))
            }
            None => (text, None),
        };
        match (name, number) {
            ("auto", None) => Ok(DeviceChoice::Auto),
            ("cpu", None) => Ok(DeviceChoice::Cpu),
            ("cuda", n) => Ok(DeviceChoice::Cuda(n.unwrap_or(0))),
            ("metal", n) => Ok(DeviceChoice::Metal(n.unwrap_or(0))),
            _ => Err(format!("'{text}' is not one of auto, cpu, cuda[:N], metal[:N]")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(n) => write!(f, "cuda:{n}"),
            DeviceChoice::Metal(n) => write!(f, "metal:{n}"),
        }
    }
}

/// Opens the device that was asked for; for [`DeviceChoice::Auto`] the first GPU that this binary can use, else the CPU.
///
/// What `auto` passed over is said in a warning where it looks like a fault: a binary built for a GPU that finds none, or
/// a machine with a GPU whose binary is built without.
///
/// # Errors
/// [`Error::Device`] when it is not there or the binary was built without it, with what was looked for.
pub fn open(choice: DeviceChoice) -> Result<candle_core::Device> {
    let absent = |(found, fix): (String, String)| Error::Device { asked: choice.to_string(), found, fix };
    match choice {
        DeviceChoice::Cpu => Ok(candle_core::Device::Cpu),
        DeviceChoice::Cuda(number) => cuda::open(number).map_err(absent),
        DeviceChoice::Metal(number) => metal::open(number).map_err(absent),
        DeviceChoice::Auto => Ok(automatic()),
    }
}

fn automatic() -> candle_core::Device {
    let mut passed_over = Vec::new();
    for (built, name, open) in [(cuda::BUILT, "cuda", cuda::open as Opener), (metal::BUILT, "metal", metal::open)] {
        match open(0) {
            Ok(device) => return device,
            Err((found, _)) if built => passed_over.push(format!("{name}: {found}")),
            Err(_) => {}
        }
    }
    match (passed_over.is_empty(), unused_card()) {
        (false, _) => log::warn!("--device auto takes the CPU; {}", passed_over.join("; ")),
        (true, Some(card)) => log::warn!("--device auto takes the CPU; {card}"),
        (true, None) => {}
    }
    candle_core::Device::Cpu
}

/// Opens card number N, or says what was found instead and what to do.
type Opener = fn(usize) -> std::result::Result<candle_core::Device, (String, String)>;

/// A GPU that this binary cannot use, in words.
fn unused_card() -> Option<String> {
    unused_cuda().or_else(unused_metal)
}

fn unused_cuda() -> Option<String> {
    let driver = !cuda::BUILT && std::path::Path::new("/proc/driver/nvidia/version").exists();
    driver.then(|| "this machine has an NVIDIA driver, but this binary was built without the feature 'cuda'".to_owned())
}

/// Every Mac with Apple's own processor has a GPU that would do.
fn unused_metal() -> Option<String> {
    let apple = !metal::BUILT && cfg!(all(target_os = "macos", target_arch = "aarch64"));
    apple.then(|| "this Mac has a GPU, but this binary was built without the feature 'metal'".to_owned())
}

/// The kind of an open device.
pub fn name(device: &candle_core::Device) -> &'static str {
    match device {
        candle_core::Device::Cpu => "cpu",
        candle_core::Device::Cuda(_) => "cuda",
        candle_core::Device::Metal(_) => "metal",
    }
}

/// Bytes of an open GPU's memory that are free, where the driver says.
pub fn free(device: &candle_core::Device) -> Option<u64> {
    match device {
        candle_core::Device::Cpu => None,
        candle_core::Device::Cuda(_) => cuda::free(device),
        candle_core::Device::Metal(_) => metal::free(device),
    }
}

/// What ends a run whose device has no memory left, even for the smallest part of the work.
pub fn out_of_memory(device: &candle_core::Device, doing: &str, error: &str) -> Error {
    let free = free(device).map_or_else(String::new, |bytes| format!(", {} MiB free", bytes >> 20));
    Error::Device {
        asked: describe(device),
        found: format!("no memory is left on it{free}, while {doing}: {error}"),
        fix: "end what else uses the card (`nvidia-smi` lists it), or use --device cpu or auto".to_owned(),
    }
}

/// An open device in words, as `run.json` records it: `cpu`, or the card with its name.
pub fn describe(device: &candle_core::Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => card_name(&cuda::survey(), "cuda", gpu_id),
        candle_core::DeviceLocation::Metal { gpu_id } => card_name(&metal::survey(), "metal", metal::number(gpu_id)),
    }
}

/// What the matrix units of a card could do in eight-bit integers at its highest clock, multiplications and additions a second
/// in units of 1e12; `None` for the CPU and cards whose rate is not known here.
pub fn integer_peak(device: &candle_core::Device) -> Option<f64> {
    match device.location() {
        candle_core::DeviceLocation::Cuda { gpu_id } => cuda::integer_peak(gpu_id),
        _ => None,
    }
}

fn card_name(survey: &Survey, kind: &str, number: usize) -> String {
    match survey.cards.get(number) {
        Some(card) => format!("{kind}:{number} ({})", card.name),
        None => format!("{kind}:{number}"),
    }
}

/// NVIDIA cards.
pub fn survey_cuda() -> Survey {
    let mut survey = cuda::survey();
    survey.problem = survey.problem.or_else(unused_cuda);
    survey
}

/// Apple GPUs.
pub fn survey_metal() -> Survey {
    let mut survey = metal::survey();
    survey.problem = survey.problem.or_else(unused_metal);
    survey
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_printed_alike() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3", "metal:0"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        assert!("gpu".parse::<DeviceChoice>().is_err());
        assert!("cuda:x".parse::<DeviceChoice>().is_err());
    }

    /// Card 4,000 is nowhere, whatever the binary and the machine have.
    #[test]
    fn a_gpu_never_becomes_a_cpu_run() {
        assert!(matches!(open(DeviceChoice::Cuda(4000)), Err(Error::Device { .. })));
        assert!(matches!(open(DeviceChoice::Metal(4000)), Err(Error::Device { .. })));
        assert!(open(DeviceChoice::Cpu).unwrap().is_cpu());
    }

    #[test]
    fn auto_takes_the_cpu_only_where_there_is_no_card() {
        let cards = survey_cuda().cards.len() + survey_metal().cards.len();
        assert_eq!(open(DeviceChoice::Auto).unwrap().is_cpu(), cards == 0);
    }
}
