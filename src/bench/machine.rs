//! The machine, and how fast it could be.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::device::processor;
use crate::gallery::dot::Kernel;
use crate::ops::Precision;
use crate::ops::cpu::{Isa, fma_peak};

/// What the figures were measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, as it calls itself.
    pub cpu: String,
    /// Cores of the system, and threads used.
    pub cores: usize,
    /// Worker threads used.
    pub threads: usize,
    /// What of vectors and matrices the processor has, by the system's names; empty where it does not say.
    #[serde(default)]
    pub features: Vec<String>,
    /// Instruction set of the convolutions.
    pub isa: String,
    /// Instruction set of the gallery's scan.
    pub kernel: String,
    /// Multiply-adds a second of one core, in registers, f32, in units of 1e9.
    pub peak_gmac_s: Option<f64>,
    /// The same in bf16, where the machine has it.
    pub peak_bf16_gmac_s: Option<f64>,
    /// Bytes a second that one core reads from memory, in units of 1e9.
    pub read_gb_s: f64,
}

impl Machine {
    /// Asks and measures: a third of a second.
    pub fn measure() -> Self {
        let time = Duration::from_millis(100);
        Machine {
            cpu: processor::name(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads: rayon::current_num_threads(),
            features: processor::features(),
            isa: Isa::current().map_or_else(|e| e.to_string(), |isa| isa.to_string()),
            kernel: Kernel::best().name().to_owned(),
            peak_gmac_s: peak(Precision::F32, time),
            peak_bf16_gmac_s: peak(Precision::Bf16, time),
            read_gb_s: read_rate(time),
        }
    }
}

/// Multiply-adds a second of one core in units of 1e9.
pub fn peak(precision: Precision, time: Duration) -> Option<f64> {
    Some(fma_peak(Isa::current().ok()?, precision, time)? / 2e9)
}

/// Reads 256 MiB, more than any cache, over and over; the best rate counts.
fn read_rate(time: Duration) -> f64 {
    let data = vec![1u64; 32 << 20];
    let (started, mut best) = (Instant::now(), 0f64);
    loop {
        let round = Instant::now();
        let mut sums = [0u64; 8];
        for chunk in black_box(&data).as_chunks::<8>().0 {
            sums.iter_mut().zip(chunk).for_each(|(sum, &value)| *sum = sum.wrapping_add(value));
        }
        black_box(sums);
        best = best.max((data.len() * 8) as f64 / round.elapsed().as_secs_f64() / 1e9);
        if started.elapsed() >= time {
            return best;
        }
    }
}

/// Peak of resident memory in MiB; Linux alone says.
pub fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}
