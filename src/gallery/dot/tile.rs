//! How codes lie, and the input of one call of a kernel.

/// Templates in a block.
pub const LANES: usize = 16;
/// Dimensions are padded with zero codes to a multiple of this: the bytes of one tile row.
pub const K_STEP: usize = 64;
/// Byte of a zero code.
pub const ZERO: u8 = 0x80;
/// Most probes in one call of [`Kernel::dots`].
pub const TILE_PROBES: usize = 32;
/// Most blocks in one call of [`Kernel::dots`].
pub const TILE_BLOCKS: usize = 2;

/// Dimensions as stored: padded to [`K_STEP`].
pub fn padded(dim: usize) -> usize {
    dim.next_multiple_of(K_STEP)
}

/// The checked input of one kernel call: every row has `width` codes, every block `width * LANES` bytes.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) width: usize,
    pub(super) rows: &'a [i8],
    pub(super) starts: &'a [i32],
    pub(super) blocks: &'a [u8],
    pub(super) count: usize,
}
