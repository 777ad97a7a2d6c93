//! What exact search multiplies on: the cores, with one of their kernels, or a card. Answers are the same to the last bit.

use candle_core::Device;

use super::dot::Kernel;
use crate::ops::gpu::Card;

/// What exact search runs on. A value that is handed down: two searches of one process may run on two.
#[derive(Debug, Clone)]
pub enum Processor {
    /// The cores, with this kernel.
    Cpu(Kernel),
    /// A GPU.
    Card(Card),
}

impl Processor {
    /// A device; of the cores the best kernel.
    pub fn on(device: &Device) -> Processor {
        Card::of(device).map_or_else(|_| Processor::default(), Processor::Card)
    }

    /// The name of the kernel.
    pub fn name(&self) -> &'static str {
        match self {
            Processor::Cpu(kernel) => kernel.name(),
            Processor::Card(card) => card.scan_name(),
        }
    }

    /// The kernel for what the cores do all the same, such as walking graphs.
    pub(super) fn kernel(&self) -> Kernel {
        match self {
            Processor::Cpu(kernel) => *kernel,
            Processor::Card(_) => Kernel::best(),
        }
    }
}

impl Default for Processor {
    fn default() -> Self {
        Processor::Cpu(Kernel::best())
    }
}

impl From<Kernel> for Processor {
    fn from(kernel: Kernel) -> Self {
        Processor::Cpu(kernel)
    }
}

impl From<&Processor> for Processor {
    fn from(processor: &Processor) -> Self {
        processor.clone()
    }
}
