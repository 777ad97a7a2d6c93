//! JPEG's entropy-coded bits: the reader that stops at markers, and Huffman tables (ITU-T T.81, annexes C and F).
//!
//! Made for walking over codes, not for making pixels: an entry of a table says how many bits code and value take
//! together, so that one look-up passes over both.

use super::unreadable;
use crate::reason::Reject;

/// Bits looked up at once; longer codes (rare) are found by comparison.
const LOOKUP_BITS: u32 = 10;

/// One decoded symbol.
#[derive(Debug, Clone, Copy)]
pub struct Symbol {
    /// Length of the code in bits; 0 if no code begins with these bits.
    pub length: u8,
    /// The value: run length in the upper four bits, size in the lower four.
    pub value: u8,
    /// Bits of the code and of the number of `size` bits that follows it.
    pub skip: u8,
    /// How far the position in a sequential block moves: run + 1, or [`END_OF_BLOCK`], or [`NO_CODE`].
    pub advance: u8,
}

/// More than any run.
pub const END_OF_BLOCK: u8 = 128;
/// More than any run and an end of block after it.
pub const NO_CODE: u8 = 255;

impl Symbol {
    const NONE: Symbol = Symbol { length: 0, value: 0, skip: 0, advance: NO_CODE };

    fn new(length: u32, value: u8) -> Symbol {
        let advance = match value {
            0xf0 => 16,
            _ if value & 15 == 0 => END_OF_BLOCK,
            _ => (value >> 4) + 1,
        };
        Symbol { length: length as u8, value, skip: length as u8 + (value & 15), advance }
    }
}

/// A Huffman table as a DHT segment defines it.
pub struct Table {
    lookup: Box<[Symbol; 1 << LOOKUP_BITS]>,
    /// Per length 1..=16: the first 16-bit-aligned code that is longer.
    limit: [u32; 18],
    /// Per length: index of its first value minus its first code.
    offset: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    /// From the 16 counts and the values of a DHT segment.
    pub fn new(counts: &[u8; 16], values: &[u8]) -> Result<Table, Reject> {
        let mut table = Table {
            lookup: Box::new([Symbol::NONE; 1 << LOOKUP_BITS]),
            limit: [0; 18],
            offset: [0; 17],
            values: values.to_vec(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = u32::from(counts[length as usize - 1]);
            table.offset[length as usize] = index as i32 - code as i32;
            if code + count > 1 << length {
                return Err(unreadable("JPEG with a Huffman table that has too many codes"));
            }
            for _ in 0..count {
                if length <= LOOKUP_BITS {
                    let first = (code << (LOOKUP_BITS - length)) as usize;
                    let symbol = Symbol::new(length, values[index]);
                    table.lookup[first..first + (1 << (LOOKUP_BITS - length))].fill(symbol);
                }
                code += 1;
                index += 1;
            }
            table.limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    /// The symbol that the 16 bits begin with.
    #[inline]
    pub fn symbol(&self, sixteen: u32) -> Symbol {
        let symbol = self.lookup[(sixteen >> (16 - LOOKUP_BITS)) as usize];
        if symbol.length != 0 { symbol } else { self.long(sixteen) }
    }

    #[cold]
    fn long(&self, sixteen: u32) -> Symbol {
        for length in LOOKUP_BITS + 1..=16 {
            if sixteen < self.limit[length as usize] {
                let index = (sixteen >> (16 - length)) as i32 + self.offset[length as usize];
                let value = usize::try_from(index).ok().and_then(|i| self.values.get(i));
                return value.map_or(Symbol::NONE, |&value| Symbol::new(length, value));
            }
        }
        Symbol::NONE
    }
}

/// Reads the bits of one entropy-coded segment, up to the next marker.
///
/// It is `Copy` and its rare path works on a copy, so that a loop over blocks can keep all of it in registers.
#[derive(Debug, Clone, Copy)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to load.
    at: usize,
    /// Loaded bits, the next one topmost; zeros below.
    buffer: u64,
    /// How many are loaded; negative after more were taken than there are.
    left: i32,
}

impl<'a> Bits<'a> {
    /// Starts at byte `at`.
    pub fn new(bytes: &'a [u8], at: usize) -> Bits<'a> {
        Bits { bytes, at, buffer: 0, left: 0 }
    }

    /// Makes sure that 32 bits are loaded, or all that come before the next marker.
    #[inline]
    pub fn fill(&mut self) {
        if self.left >= 32 {
            return;
        }
        if let Some(four) = self.bytes.get(self.at..self.at + 4) {
            let word = u32::from_be_bytes([four[0], four[1], four[2], four[3]]);
            // No byte of the word is 0xff: the usual case (Bit Twiddling Hacks, "haszero" on the complement).
            if (!word).wrapping_sub(0x0101_0101) & word & 0x8080_8080 == 0 && self.left >= 0 {
                self.buffer |= u64::from(word) << (32 - self.left);
                self.left += 32;
                self.at += 4;
                return;
            }
        }
        *self = self.filled_slowly();
    }

    #[cold]
    #[inline(never)]
    fn filled_slowly(mut self) -> Self {
        while (0..=48).contains(&self.left) {
            let Some(&byte) = self.bytes.get(self.at) else { break };
            if byte == 0xff {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    break; // a marker: the segment ends here
                }
                self.at += 1;
            }
            self.at += 1;
            self.buffer |= u64::from(byte) << (56 - self.left);
            self.left += 8;
        }
        self
    }

    /// The next 16 bits, zeros beyond the end.
    #[inline]
    pub fn sixteen(&self) -> u32 {
        (self.buffer >> 48) as u32
    }

    /// Passes over `count` bits, at most 32.
    #[inline]
    pub fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.left -= count as i32;
    }

    /// Takes `count` bits, at most 16; [`Bits::fill`] must have come before.
    #[inline]
    pub fn take(&mut self, count: u32) -> u32 {
        let value = if count == 0 { 0 } else { (self.buffer >> (64 - count)) as u32 };
        self.skip(count);
        value
    }

    /// Whether more was taken than there was.
    #[inline]
    pub fn overdrawn(&self) -> bool {
        self.left < 0
    }

    /// Ends the segment: how many whole bytes were not used, and where the marker stands that ends it.
    pub fn finish(self) -> (usize, usize) {
        let mut unused = (self.left.max(0) / 8) as usize;
        let mut at = self.at;
        while let Some(&byte) = self.bytes.get(at) {
            if byte == 0xff {
                match self.bytes.get(at + 1) {
                    Some(0) => at += 1,
                    _ => break,
                }
            }
            unused += 1;
            at += 1;
        }
        (unused, at)
    }
}
