//! Cells too large to be held, and what stands for one in memory.
//!
//! A selfie of a gigabyte is no picture and a name of a megabyte is no name, but a compressed file of a few kilobytes can
//! hold both. Such a cell is never in memory: its first bytes stand for it, followed by how long it is and its SHA-256, so
//! that two that differ stay two. [`crate::photo`] names the length, a text is cut as any long text is.

use sha2::{Digest, Sha256};

use crate::config::policy::PhotoLimits;

/// Most bytes of a picture's cell: twice what the policy reads of a picture by default, for a cell may have it in hexadecimal
/// digits. The policy allows no picture of more.
pub const MAX_PICTURE_CELL: usize = PhotoLimits::MOST_BYTES;
/// Most bytes of any other cell: far more than [`super::MAX_TEXT`] characters.
pub const MAX_TEXT_CELL: usize = 64 << 10;

/// Bytes that are kept of a cell: more than are kept of a text.
const HEAD: usize = 1024;
const MARK: &[u8] = b" ~ cut by chehra: bytes and SHA-256 of the whole cell: ";
/// Hexadecimal digits of length and hash.
const DIGITS: usize = 16 + 64;

/// Bytes of what stands for a cell.
pub const STAND_IN: usize = HEAD + MARK.len() + DIGITS;

/// Makes what stands for a cell, from its bytes as they pass.
#[derive(Default)]
pub struct StandIn {
    head: Vec<u8>,
    bytes: u64,
    hash: Sha256,
}

impl StandIn {
    /// The next bytes of the cell.
    pub fn take(&mut self, bytes: &[u8]) {
        let missing = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..missing]);
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// What stands for it.
    pub fn finish(self) -> Vec<u8> {
        let hash: String = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut cell = self.head;
        cell.resize(HEAD, b' ');
        cell.extend_from_slice(MARK);
        cell.extend_from_slice(format!("{:016x}{hash}", self.bytes).as_bytes());
        cell
    }
}

/// Bytes of a cell: those of the cell that it stands for, where it stands for one.
pub fn cell_bytes(cell: &[u8]) -> u64 {
    let stated = || {
        let length = cell.get(HEAD..)?.strip_prefix(MARK)?.get(..16)?;
        u64::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()
    };
    if cell.len() == STAND_IN { stated().unwrap_or(STAND_IN as u64) } else { cell.len() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand_in(cell: &[u8]) -> Vec<u8> {
        let mut found = StandIn::default();
        cell.chunks(700).for_each(|piece| found.take(piece));
        found.finish()
    }

    #[test]
    fn a_stand_in_says_how_long_the_cell_is_and_tells_two_apart() {
        let cell = vec![7; 100_000];
        let found = stand_in(&cell);
        assert_eq!((found.len(), cell_bytes(&found), &found[..HEAD]), (STAND_IN, 100_000, &cell[..HEAD]));
        let mut other = cell.clone();
        other[99_999] = 8;
        assert_ne!(stand_in(&other), found);
        assert_eq!(cell_bytes(&cell), 100_000);
        assert_eq!(cell_bytes(&cell[..STAND_IN]), STAND_IN as u64);
    }
}
