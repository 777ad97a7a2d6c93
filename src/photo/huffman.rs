//! JPEG's entropy-coded bits: the reader that stops at markers, and Huffman tables (ITU-T T.81, annexes C and F).
//!
//! Made for walking over codes, not for making pixels: an entry of a table says how many bits code and value take
//! together, so that one look-up passes over both, and in sequential scans over as many codes as fit into it.

use super::picture::unreadable;
use crate::reason::Reject;

/// Bits looked up at once; longer codes (rare) are found by comparison.
const LOOKUP_BITS: u32 = 10;
/// Bits looked up at once where several codes are passed over together: 16 KiB a table, so that two fit into the nearest
/// cache.
const STEP_BITS: u32 = 12;

/// The payload of a DHT segment with the four tables of T.81, annex K.3.3, which motion JPEG means where it has none.
#[rustfmt::skip]
pub const STANDARD_TABLES: &[u8] = &[
    0x00, 0x00, 0x01, 0x05, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02,
    0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x00, 0x02, 0x01, 0x03, 0x03, 0x02, 0x04, 0x03, 0x05, 0x05,
    0x04, 0x04, 0x00, 0x00, 0x01, 0x7d, 0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51,
    0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33,
    0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63,
    0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9,
    0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2,
    0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2,
    0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0x01, 0x00, 0x03, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x11, 0x00, 0x02,
    0x01, 0x02, 0x04, 0x04, 0x03, 0x04, 0x07, 0x05, 0x04, 0x04, 0x00, 0x01, 0x02, 0x77, 0x00, 0x01, 0x02, 0x03, 0x11, 0x04,
    0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1,
    0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19,
    0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a,
    0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76,
    0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
    0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3,
    0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

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

/// All codes of a sequential block that lie within the bits looked up, passed over together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Step {
    /// Bits of the codes and of their numbers; 0 where the first code is longer than what is looked up, or none.
    pub skip: u8,
    /// How far the position moves.
    pub advance: u8,
    /// How far it moves before the last of the codes: that one is only there if the block has not ended by then.
    pub before: u8,
}

/// A Huffman table as a DHT segment defines it.
pub struct Table {
    lookup: Box<[Symbol; 1 << LOOKUP_BITS]>,
    /// Per length 1..=16: the first 16-bit-aligned code that is longer.
    limit: [u32; 18],
    /// Per length: index of its first value minus its first code.
    offset: [i32; 17],
    values: Vec<u8>,
    /// Empty until [`Table::make_steps`].
    steps: Vec<Step>,
}

impl Table {
    /// From the 16 counts and the values of a DHT segment.
    pub fn new(counts: &[u8; 16], values: &[u8]) -> Result<Table, Reject> {
        let mut table = Table {
            lookup: Box::new([Symbol::NONE; 1 << LOOKUP_BITS]),
            limit: [0; 18],
            offset: [0; 17],
            values: values.to_vec(),
            steps: Vec::new(),
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

    /// Gets ready for [`Table::step`]: the table is of AC coefficients and a sequential scan uses it.
    pub fn make_steps(&mut self) {
        let step = |bits: u32| {
            let mut step = Step::default();
            loop {
                let known = STEP_BITS - u32::from(step.skip);
                let symbol = self.symbol(bits << (16 - STEP_BITS) << step.skip & 0xffff);
                if symbol.length == 0 || u32::from(symbol.length) > known {
                    return step;
                }
                step.before = step.advance;
                step.advance += symbol.advance;
                step.skip += symbol.skip;
                // No block is longer than 64: what comes then is another's.
                if step.advance >= 64 || u32::from(step.skip) >= STEP_BITS {
                    return step;
                }
            }
        };
        self.steps = (0..1 << STEP_BITS).map(step).collect();
    }

    /// The codes that the 64 bits begin with.
    #[inline]
    pub fn step(&self, bits: u64) -> Step {
        let at = (bits >> (64 - STEP_BITS)) as usize;
        self.steps.get(at).copied().unwrap_or_default()
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

/// Copies an entropy-coded segment that begins at byte `at`, without the zeros that are stuffed after 0xff (T.81, F.1.2.3),
/// and gives the position of the marker that ends it, or of the end of the file.
pub fn unstuff(bytes: &[u8], at: usize, into: &mut Vec<u8>) -> usize {
    const WIDE: usize = 32;
    into.clear();
    let mut at = at;
    loop {
        // Most stretches hold no 0xff and are copied whole.
        while let Some(wide) = bytes[at..].first_chunk::<WIDE>() {
            if wide.iter().fold(false, |any, &byte| any | (byte == 0xff)) {
                break;
            }
            into.extend_from_slice(wide);
            at += WIDE;
        }
        let until = (at + WIDE).min(bytes.len());
        while at < until {
            if bytes[at] != 0xff {
                into.push(bytes[at]);
                at += 1;
            } else if bytes.get(at + 1) == Some(&0) {
                into.push(0xff);
                at += 2;
            } else {
                return at;
            }
        }
        if at >= bytes.len() {
            return at;
        }
    }
}

/// Reads the bits of one entropy-coded segment, as [`unstuff`] gives it; beyond its end there are zeros.
#[derive(Debug, Clone, Copy)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to load.
    at: usize,
    /// Loaded bits, the next one topmost; below them more of the same bits, or zeros.
    buffer: u64,
    /// How many are loaded, 0..=63.
    left: u32,
}

impl<'a> Bits<'a> {
    /// At the beginning.
    pub fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0, buffer: 0, left: 0 }
    }

    /// Makes sure that 56 bits are loaded.
    #[inline(always)]
    pub fn fill(&mut self) {
        // What is loaded twice is the same bits in the same place (F. Giesen, "Reading bits in far too many ways", 2018).
        let next = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>());
        let word = match next {
            Some(&eight) => u64::from_be_bytes(eight),
            None => last_word(self.bytes, self.at),
        };
        self.buffer |= word >> self.left;
        self.at += ((63 - self.left) >> 3) as usize;
        self.left |= 56;
    }

    /// The next bits, topmost first: all that are loaded, and zeros or later bits below.
    #[inline(always)]
    pub fn peek(&self) -> u64 {
        self.buffer
    }

    /// The next 16 bits.
    #[inline(always)]
    pub fn sixteen(&self) -> u32 {
        (self.buffer >> 48) as u32
    }

    /// Passes over `count` bits, at most as many as are loaded.
    #[inline(always)]
    pub fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.left -= count;
    }

    /// Takes `count` bits, at most 16 and at most as many as are loaded.
    #[inline(always)]
    pub fn take(&mut self, count: u32) -> u32 {
        let value = if count == 0 { 0 } else { (self.buffer >> (64 - count)) as u32 };
        self.skip(count);
        value
    }

    /// Bits that were passed over.
    #[inline(always)]
    fn taken(&self) -> usize {
        self.at * 8 - self.left as usize
    }

    /// Whether more was taken than there was.
    #[inline(always)]
    pub fn overdrawn(&self) -> bool {
        self.taken() > self.bytes.len() * 8
    }

    /// Whether the last byte that was begun is used up, and not zero, or what is left of it are ones.
    pub fn is_closed(&self) -> bool {
        let taken = self.taken();
        let Some(&last) = taken.checked_sub(1).and_then(|bit| self.bytes.get(bit / 8)) else { return false };
        let left = (8 - taken % 8) % 8;
        if left == 0 { last != 0 } else { last.trailing_ones() as usize >= left }
    }

    /// How many whole bytes are not used; 0 if more was taken than there was.
    pub fn unused(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.taken()) / 8
    }
}

/// The last bytes, zeros behind them. A function of its own, so that [`Bits`] can stay in registers.
#[cold]
#[inline(never)]
fn last_word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    let mut eight = [0; 8];
    eight[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_zeros_go_and_markers_end() {
        let mut clean = Vec::new();
        assert_eq!(unstuff(&[1, 0xff, 0, 2, 0xff, 0xd9, 7], 0, &mut clean), 4);
        assert_eq!(clean, [1, 0xff, 2]);
        assert_eq!(unstuff(&[9, 9, 1, 0xff], 2, &mut clean), 3);
        assert_eq!(clean, [1]);
        // Longer ones, with 0xff at every place of a stretch and without any.
        for at in 0..100usize {
            let mut data: Vec<u8> = (0..150).map(|i| (i % 255) as u8).collect();
            data.splice(at..=at, [0xff, 0]);
            data.extend([0xff, 0xff, 0xd9]);
            let end = unstuff(&data, 0, &mut clean);
            assert_eq!((end, clean.len(), clean[at]), (151, 150, 0xff), "{at}");
        }
        assert_eq!(unstuff(&[5; 64], 64, &mut clean), 64);
        assert!(clean.is_empty());
    }

    #[test]
    fn bits_come_in_order_and_zeros_after_them() {
        let bytes: Vec<u8> = (0..40u8).map(|i| i.wrapping_mul(73).wrapping_add(11)).collect();
        let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| u32::from(byte >> (7 - at % 8) & 1));
        let (mut bits, mut at) = (Bits::new(&bytes), 0usize);
        for count in (0..=16).cycle().take(60) {
            bits.fill();
            let expected = (at..at + count).fold(0, |value, at| value << 1 | bit(at));
            assert_eq!(bits.take(count as u32), expected, "{count} bits at {at}");
            at += count;
            assert_eq!(bits.overdrawn(), at > 320);
            assert_eq!(bits.unused(), 320usize.saturating_sub(at) / 8);
        }
        assert!(bits.overdrawn());
    }

    /// Steps are symbols one after the other, for every prefix, of a table with codes of all lengths.
    #[test]
    fn steps_are_symbols_in_a_row() {
        // Two codes of 2 bits, then one of each length, the last one longer than a step looks at.
        let counts = [0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1];
        let values = [0x01, 0x00, 0x12, 0x03, 0xf0, 0x25, 0x41, 0x06, 0x11, 0xe1, 0x02, 0x31, 0x51, 0x61, 0x71];
        let mut table = Table::new(&counts, &values).unwrap();
        table.make_steps();
        for prefix in 0..1u64 << 16 {
            let bits = prefix << 48 | 0x5a5a_5a5a_5a5a;
            let step = table.step(bits);
            let (mut skip, mut advance, mut before) = (0u32, 0u32, 0u32);
            while skip < u32::from(step.skip) {
                let symbol = table.symbol((bits << skip >> 48) as u32);
                (before, advance, skip) = (advance, advance + u32::from(symbol.advance), skip + u32::from(symbol.skip));
                assert!(symbol.advance != END_OF_BLOCK || skip == u32::from(step.skip), "{prefix:x}");
            }
            let found = [step.skip, step.advance, step.before].map(u32::from);
            assert_eq!(found, [skip, advance, before], "{prefix:x}");
            let first = table.symbol((bits >> 48) as u32);
            assert_eq!(step.skip == 0, first.length == 0 || u32::from(first.length) > STEP_BITS, "{prefix:x}");
        }
    }
}
