//! AMX: tile registers of 16 rows by 64 bytes and a unit that multiplies them (Intel Sapphire Rapids and later), by inline
//! assembly, for the intrinsics are not stable.
//!
//! A convolution here is a matrix product: rows of inputs in bf16, one for each output pixel, by tiles of weights. `rows`
//! makes the former, [`dense`] packs the latter, [`product`] multiplies, [`sink`] applies what follows a sum and writes it
//! in the form that the next layer reads. [`chain`] runs several layers band by band, so that what lies between them stays
//! in the cache. Sums are f32.
//!
//! The system must grant the tile registers to a process first (Linux: `arch_prctl`); a virtual machine may show the
//! processor's flag and grant nothing.

pub(crate) mod chain;
pub(crate) mod dense;
mod pool;
pub(super) mod product;
mod rows;
pub(crate) mod sink;
mod window;

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Rows of a tile register.
pub(crate) const ROWS: usize = 16;
/// Bytes of a tile's row.
pub(crate) const ROW_BYTES: usize = 64;

/// What the tiles hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factor {
    /// `tdpbsud` and its like.
    Int8,
    /// `tdpbf16ps`.
    Bf16,
}

/// Whether the processor multiplies tiles of such factors and the system has granted the registers.
pub(crate) fn is_granted(factor: Factor) -> bool {
    static FLAGS: OnceLock<u32> = OnceLock::new();
    let flags = *FLAGS.get_or_init(|| {
        let flags = if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).edx } else { 0 };
        // CPUID leaf 7, EDX: bit 24 is AMX-TILE.
        if flags >> 24 & 1 == 1 && request() { flags } else { 0 }
    });
    let bit = match factor {
        Factor::Bf16 => 22,
        Factor::Int8 => 25,
    };
    flags >> bit & 1 == 1
}

/// Asks Linux for the tile registers: they are part of a thread's state only on request, for all threads at once.
#[cfg(target_os = "linux")]
fn request() -> bool {
    const ARCH_PRCTL: u64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let answer: i64;
    // SAFETY: the call takes two numbers and touches no memory; the kernel clobbers rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

#[cfg(not(target_os = "linux"))]
fn request() -> bool {
    false
}

/// The layout of `ldtilecfg`: palette 1, then bytes per row and rows of each tile register.
#[repr(C, align(64))]
pub(crate) struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// All eight registers at their full size.
pub(crate) static WHOLE: Config = {
    let (mut row_bytes, mut rows, mut i) = ([0; 16], [0; 16], 0);
    while i < 8 {
        (row_bytes[i], rows[i]) = (ROW_BYTES as u16, ROWS as u8);
        i += 1;
    }
    Config { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
};

/// The tile registers of this thread, set up as [`WHOLE`] until this is dropped.
pub(super) struct Tiles(PhantomData<*mut ()>);

impl Tiles {
    /// Sets them up, once for many products.
    ///
    /// # Safety
    /// AMX is granted ([`is_granted`]), and this thread holds no other.
    pub(super) unsafe fn set_up() -> Self {
        // SAFETY: the caller's promise; the compiler itself never uses tile registers.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly)) };
        Tiles(PhantomData)
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: there are tile registers, or this would not exist. In their initial state they cost a switch of
        // threads nothing.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
