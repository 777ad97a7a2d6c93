//! Where the arithmetic runs. Only `auto` chooses; `cuda` and `metal` never become a CPU run.

use std::fmt;
use std::str::FromStr;

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

/// Opens the device that was asked for.
///
/// # Errors
/// [`Error::Device`] when it is not there or the binary was built without it.
pub fn open(choice: DeviceChoice) -> Result<candle_core::Device> {
    match choice {
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok(candle_core::Device::Cpu),
        DeviceChoice::Cuda(_) | DeviceChoice::Metal(_) => Err(Error::Device {
            asked: choice.to_string(),
            found: "this binary was built for the CPU only".into(),
            fix: "use --device cpu or --device auto".into(),
        }),
    }
}

/// The name of an open device as `run.json` records it.
pub fn name(device: &candle_core::Device) -> &'static str {
    match device {
        candle_core::Device::Cpu => "cpu",
        candle_core::Device::Cuda(_) => "cuda",
        candle_core::Device::Metal(_) => "metal",
    }
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

    #[test]
    fn a_gpu_never_becomes_a_cpu_run() {
        assert!(matches!(open(DeviceChoice::Cuda(0)), Err(Error::Device { .. })));
        assert!(matches!(open(DeviceChoice::Metal(0)), Err(Error::Device { .. })));
    }
}
