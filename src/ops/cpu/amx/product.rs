//! One block of a matrix product: up to 32 rows by up to 32 columns, all sums in tile registers.
//!
//! Two tiles of rows and two of weights make four tiles of sums, so that every load serves two products: 64 cycles of
//! multiplying for 32 of loading from the first-level cache. `tdpbf16ps` multiplies 32 bf16 of a row with 32 of a column,
//! adds the even and the odd products separately, both to f32, takes denormals for zero, and adds the two to the sum.
//! A sum depends on its own row and column alone, so a row gives the same bits wherever it stands in a block.

use std::arch::asm;

use super::ROWS;

/// Columns of a block.
pub(in super::super) const COLUMNS: usize = 32;
/// Bytes of a tile.
pub(in super::super) const TILE: usize = 1024;

/// A stretch of the sum: where it begins in the rows and in the weights, in bytes, and how many steps of 32 factors.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(in super::super) struct Segment {
    pub(super) rows: usize,
    pub(super) weight: usize,
    pub(super) steps: usize,
}

/// The addresses of a block, as the assembly reads them.
#[repr(C)]
pub(in super::super) struct Block<'a> {
    pub(super) rows: *const u8,
    /// Per segment: per step a tile for each 16 columns.
    pub(super) weight: *const u8,
    /// What the sums start from, for each column.
    pub(super) bias: *const f32,
    pub(super) sums: &'a mut Sums,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    pub(super) segments: &'a [Segment],
}

/// Row by row, 32 columns each.
#[derive(Debug)]
#[repr(C, align(64))]
pub(in super::super) struct Sums(pub(super) [[f32; COLUMNS]; 2 * ROWS]);

impl Sums {
    pub(in super::super) const fn new() -> Self {
        Sums([[0.0; COLUMNS]; 2 * ROWS])
    }
}

/// Assembles a kernel: how sums begin, one step, by how much the weights move on, and where the sums go.
macro_rules! kernel {
    ($name:ident: [$($begin:literal)*] [$($step:literal)*] $along:literal [$($end:literal)*]) => {
        /// # Safety
        /// AMX bf16 is granted and set up; for every segment the rows of all tiles and the weights are good for its steps,
        /// and there is a bias for every column.
        unsafe fn $name(block: &mut Block<'_>) {
            // SAFETY: the caller's promise; the stores stay inside `sums`, which no other reference reaches.
            unsafe {
                asm!(
                    $($begin,)*
                    "2:",
                    "mov {a}, [{segment}]",
                    "add {a}, {rows}",
                    "lea {c}, [{a} + {lower}]",
                    "mov {b}, [{segment} + 8]",
                    "add {b}, {weight}",
                    "mov {n}, [{segment} + 16]",
                    "3:",
                    $($step,)*
                    "add {a}, 64",
                    "add {c}, 64",
                    $along,
                    "dec {n}",
                    "jnz 3b",
                    "add {segment}, 24",
                    "dec {count}",
                    "jnz 2b",
                    $($end,)*
                    a = inout(reg) block.bias => _,
                    b = out(reg) _,
                    c = out(reg) _,
                    n = inout(reg) 0usize => _,
                    rows = in(reg) block.rows,
                    weight = in(reg) block.weight,
                    lower = in(reg) ROWS * block.stride,
                    stride = in(reg) block.stride,
                    segment = inout(reg) block.segments.as_ptr() => _,
                    count = inout(reg) block.segments.len() => _,
                    line = inout(reg) 64usize => _,
                    sums = in(reg) block.sums.0.as_mut_ptr(),
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

kernel!(two_by_two:
    ["tileloadd tmm0, [{a} + {n}*1]"
     "tileloadd tmm1, [{a} + {n}*1 + 64]"
     "tileloadd tmm2, [{a} + {n}*1]"
     "tileloadd tmm3, [{a} + {n}*1 + 64]"]
    ["tileloadd tmm4, [{a} + {stride}*1]"
     "tileloadd tmm6, [{b} + {line}*1]"
     "tileloadd tmm7, [{b} + {line}*1 + 1024]"
     "tileloadd tmm5, [{c} + {stride}*1]"
     "tdpbf16ps tmm0, tmm4, tmm6"
     "tdpbf16ps tmm1, tmm4, tmm7"
     "tdpbf16ps tmm2, tmm5, tmm6"
     "tdpbf16ps tmm3, tmm5, tmm7"]
    "add {b}, 2048"
    ["add {line}, 64"
     "tilestored [{sums} + {line}*1], tmm0"
     "tilestored [{sums} + {line}*1 + 64], tmm1"
     "tilestored [{sums} + {line}*1 + 2048], tmm2"
     "tilestored [{sums} + {line}*1 + 2112], tmm3"]);

kernel!(one_by_two:
    ["tileloadd tmm0, [{a} + {n}*1]"
     "tileloadd tmm1, [{a} + {n}*1 + 64]"]
    ["tileloadd tmm4, [{a} + {stride}*1]"
     "tileloadd tmm6, [{b} + {line}*1]"
     "tileloadd tmm7, [{b} + {line}*1 + 1024]"
     "tdpbf16ps tmm0, tmm4, tmm6"
     "tdpbf16ps tmm1, tmm4, tmm7"]
    "add {b}, 2048"
    ["add {line}, 64"
     "tilestored [{sums} + {line}*1], tmm0"
     "tilestored [{sums} + {line}*1 + 64], tmm1"]);

kernel!(two_by_one:
    ["tileloadd tmm0, [{a} + {n}*1]"
     "tileloadd tmm2, [{a} + {n}*1]"]
    ["tileloadd tmm4, [{a} + {stride}*1]"
     "tileloadd tmm6, [{b} + {line}*1]"
     "tileloadd tmm5, [{c} + {stride}*1]"
     "tdpbf16ps tmm0, tmm4, tmm6"
     "tdpbf16ps tmm2, tmm5, tmm6"]
    "add {b}, 1024"
    ["add {line}, 64"
     "tilestored [{sums} + {line}*1], tmm0"
     "tilestored [{sums} + {line}*1 + 2048], tmm2"]);

kernel!(one_by_one:
    ["tileloadd tmm0, [{a} + {n}*1]"]
    ["tileloadd tmm4, [{a} + {stride}*1]"
     "tileloadd tmm6, [{b} + {line}*1]"
     "tdpbf16ps tmm0, tmm4, tmm6"]
    "add {b}, 1024"
    ["add {line}, 64"
     "tilestored [{sums} + {line}*1], tmm0"]);

impl Block<'_> {
    /// Computes the sums of one or two tiles of rows by one or two of columns.
    ///
    /// # Safety
    /// AMX bf16 is granted and set up. Every segment has steps, the rows of all tiles asked for are readable where it leads,
    /// the weights are too, and there is a bias for every column.
    pub(super) unsafe fn multiply(&mut self, two_rows: bool, two_columns: bool) {
        // SAFETY: the caller's promise.
        unsafe {
            match (two_rows, two_columns) {
                (true, true) => two_by_two(self),
                (false, true) => one_by_two(self),
                (true, false) => two_by_one(self),
                (false, false) => one_by_one(self),
            }
        }
    }
}

/// Products of four tiles of sums in registers, for the yardstick: `rounds` times four of 16 x 16 x 32 multiply-adds.
///
/// # Safety
/// AMX bf16 is granted.
pub(in super::super) unsafe fn burst(rounds: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        let _tiles = super::Tiles::set_up();
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "tilezero tmm4",
            "tilezero tmm5",
            "tilezero tmm6",
            "tilezero tmm7",
            "2:",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "dec {rounds}",
            "jnz 2b",
            rounds = inout(reg) rounds => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, nomem),
        );
    }
}
