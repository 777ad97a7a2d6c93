//! How the operations run on a CPU: which instructions, and the kernels written for them.
//!
//! Every path gives the same bits. An output element is one chain of fused multiply-adds that starts from the bias
//! and walks kernel rows, kernel columns and input channels upwards; vectors only run across *different* outputs.
//! So the instruction set, the tiling, the batch size and the number of threads are matters of speed alone, and a
//! test may compare bits. A padded tap is a tap of value zero, in the reference too.
//!
//! An operation runs on the thread that calls it: photos are what runs in parallel, and one level of it is enough.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
pub(super) mod depthwise;
pub(super) mod gemm;
mod lanes;
mod peak;
mod tile;

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use half::bf16;

use super::spec::{Activation, Precision};

pub use peak::fma_peak;

/// The environment variable that names the instruction set to use: `plain`, `avx2`, `avx512`, `amx` or `neon`.
pub const ISA_VARIABLE: &str = "CHEHRA_ISA";

/// An instruction set that the operations have code for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// The reference: scalar code in the order of the definition.
    Plain,
    /// x86-64 with AVX2 and FMA: eight lanes, sixteen registers.
    Avx2,
    /// x86-64 with AVX-512 F: sixteen lanes, thirty-two registers.
    Avx512,
    /// The same with AMX tiles and bf16, for convolutions that are not f32; in f32 it is [`Isa::Avx512`].
    Amx,
    /// aarch64: four lanes, thirty-two registers.
    Neon,
}

thread_local! {
    static FORCED: Cell<Option<Isa>> = const { Cell::new(None) };
}

impl Isa {
    /// All of them, slowest first.
    pub const ALL: [Isa; 5] = [Isa::Plain, Isa::Avx2, Isa::Avx512, Isa::Amx, Isa::Neon];

    /// The fastest that this machine has.
    pub fn detect() -> Self {
        *[Isa::Amx, Isa::Avx512, Isa::Avx2, Isa::Neon].iter().find(|isa| isa.is_supported()).unwrap_or(&Isa::Plain)
    }

    /// Whether this machine can run it.
    pub fn is_supported(self) -> bool {
        match self {
            Isa::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => is_x86_feature_detected!("avx512f") && Isa::Avx2.is_supported(),
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => Isa::Avx512.has_bf16() && amx::is_granted(amx::Factor::Bf16),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[allow(unreachable_patterns, reason = "reached for the sets of other architectures")]
            _ => false,
        }
    }

    /// Whether this machine and this set can multiply bf16: the reference always can.
    pub(super) fn has_bf16(self) -> bool {
        match self {
            Isa::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                self.is_supported()
                    && is_x86_feature_detected!("avx512bf16")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => self.is_supported(),
            _ => false,
        }
    }

    /// Whether this set can multiply split factors, [`super::Precision::Bf16x3`]: the reference always can.
    pub(super) fn has_split(self) -> bool {
        self == Isa::Plain || (self == Isa::Amx && self.is_supported())
    }

    /// The one to use here and now: what [`Isa::with`] set on this thread, else what [`ISA_VARIABLE`] named when it
    /// was first asked for, else [`Isa::detect`].
    ///
    /// # Errors
    /// When the variable names a set that is unknown or that this machine lacks: it is never silently replaced.
    pub fn current() -> candle_core::Result<Self> {
        static CHOSEN: OnceLock<Result<Isa, String>> = OnceLock::new();
        if let Some(isa) = FORCED.get() {
            return Ok(isa);
        }
        let chosen = CHOSEN.get_or_init(|| match std::env::var(ISA_VARIABLE) {
            Err(_) => Ok(Isa::detect()),
            Ok(name) => name.parse::<Isa>().and_then(Isa::supported).map_err(|e| format!("{ISA_VARIABLE}: {e}")),
        });
        chosen.clone().map_err(candle_core::Error::Msg)
    }

    /// Runs `work` with this instruction set in force for the operations that this thread builds and calls.
    ///
    /// # Errors
    /// When this machine lacks it.
    pub fn with<T>(self, work: impl FnOnce() -> T) -> candle_core::Result<T> {
        struct Restore(Option<Isa>);
        impl Drop for Restore {
            fn drop(&mut self) {
                FORCED.set(self.0);
            }
        }
        let isa = self.supported().map_err(candle_core::Error::Msg)?;
        let _restore = Restore(FORCED.replace(Some(isa)));
        Ok(work())
    }

    fn supported(self) -> Result<Self, String> {
        if self.is_supported() {
            return Ok(self);
        }
        Err(format!("this CPU cannot run {self}; the fastest it has is {}", Isa::detect()))
    }

    /// Runs a loop compiled for this instruction set.
    pub(crate) fn run(self, work: impl Loop) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` other than plain is only ever made by `detect`, `current` and `with`, which check it.
            Isa::Avx2 => unsafe { run_avx2(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx512 | Isa::Amx => unsafe { run_avx512(work) },
            _ => work.run(),
        }
    }
}

impl Precision {
    /// Whether [`Conv2d::with_precision`](super::Conv2d::with_precision) accepts it here and now, on the CPU.
    pub fn is_supported(self) -> bool {
        match self {
            Precision::F32 => true,
            Precision::Bf16 => Isa::current().is_ok_and(Isa::has_bf16),
            Precision::Bf16x3 => Isa::current().is_ok_and(Isa::has_split),
            Precision::F16 => false,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Plain => "plain",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Amx => "amx",
            Isa::Neon => "neon",
        })
    }
}

impl FromStr for Isa {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Isa::ALL
            .into_iter()
            .find(|isa| isa.to_string() == name)
            .ok_or_else(|| format!("{name:?} is not one of plain, avx2, avx512, amx, neon"))
    }
}

/// A loop without reductions that the compiler is to vectorise: the same source for every instruction set, so the
/// same bits. `run` must be `#[inline(always)]`, or it is compiled for the baseline.
pub(crate) trait Loop {
    fn run(self);
}

/// Runs a loop that is no operation of a network compiled for the instruction set in force: the baseline where
/// [`ISA_VARIABLE`] names one that is not there, which loading the networks refuses by name.
pub(crate) fn run(work: impl Loop) {
    Isa::current().unwrap_or(Isa::Plain).run(work);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(work: impl Loop) {
    work.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn run_avx512(work: impl Loop) {
    work.run();
}

/// What follows the sum of one output element, as the kernels take it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Finish {
    None,
    Relu,
    PRelu,
}

impl From<&Activation> for Finish {
    fn from(activation: &Activation) -> Self {
        match activation {
            Activation::None => Finish::None,
            Activation::Relu => Finish::Relu,
            Activation::PRelu(_) => Finish::PRelu,
        }
    }
}

/// Rounds floats to bf16, two to a slot, the first in the low half; an odd last one is paired with zero.
fn bf16_pairs(to: &mut [f32], from: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    if Isa::Avx512.has_bf16() {
        // SAFETY: the features are there.
        return unsafe { lanes::bf16_pairs(to, from) };
    }
    for (to, pair) in to.iter_mut().zip(from.chunks(2)) {
        let [low, high] = [Some(&pair[0]), pair.get(1)].map(|v| bf16::from_f32(v.copied().unwrap_or(0.0)).to_bits());
        *to = f32::from_bits(u32::from(low) | u32::from(high) << 16);
    }
}

/// A cache line: a vector of these starts where no vector load straddles two lines.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line([f32; 16]);

/// Zeros, at least `len` of them.
fn lines(len: usize) -> Vec<Line> {
    vec![Line([0.0; 16]); len.div_ceil(16)]
}

/// The floats of some lines.
fn floats(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: a line is sixteen floats without padding, and every bit pattern is a float.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 16) }
}

/// Runs a kernel on every instruction set of this machine that has it, on an output between guards: every element of
/// the output is written, and no guard.
#[cfg(test)]
fn writes_only_inside(len: usize, work: impl Fn(Isa, *mut f32) -> Option<()>) {
    const GUARD: usize = 64;
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
        let mut memory = vec![f32::NAN; len + 2 * GUARD];
        if work(isa, memory[GUARD..].as_mut_ptr()).is_some() {
            assert!(memory[GUARD..GUARD + len].iter().all(|v| !v.is_nan()), "{isa}: an element was left out");
            assert!(memory[..GUARD].iter().chain(&memory[GUARD + len..]).all(|v| v.is_nan()), "{isa}: beyond");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for isa in Isa::ALL {
            assert_eq!(isa.to_string().parse(), Ok(isa));
        }
        assert!("sse".parse::<Isa>().unwrap_err().contains("avx512"));
    }

    #[test]
    fn forcing_ends_with_the_work() {
        let before = Isa::current().unwrap();
        Isa::Plain.with(|| assert_eq!(Isa::current().unwrap(), Isa::Plain)).unwrap();
        assert_eq!(Isa::current().unwrap(), before);
    }

    #[test]
    fn a_missing_set_is_an_error() {
        let missing = Isa::ALL.into_iter().find(|isa| !isa.is_supported()).unwrap();
        let message = missing.with(|| ()).unwrap_err().to_string();
        assert!(message.contains("cannot run"), "{message}");
    }
}
