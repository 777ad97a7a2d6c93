//! Passing over the coded blocks of a JPEG, one kind of block after the other (T.81, F.2.2 and G.1.2).
//!
//! Only what the position of the next code depends on is kept: for a progressive file's refining scans that is which
//! coefficients are not zero, 64 bits a block.

use super::huffman::{Bits, END_OF_BLOCK, NO_CODE, Table};

/// The position in one entropy-coded segment.
pub struct Walk<'a> {
    bits: Bits<'a>,
    /// Blocks still covered by an end-of-band run.
    run: u32,
}

impl<'a> Walk<'a> {
    /// At the beginning of a segment.
    pub fn new(bits: Bits<'a>) -> Self {
        Walk { bits, run: 0 }
    }

    /// How many whole bytes of the segment were not used.
    pub fn unused(&self) -> usize {
        self.bits.unused()
    }

    /// Whether the codes end as encoders end them: the bits that are left of the last byte are ones (T.81, F.1.2.3), or none is
    /// left of a byte that is not zero.
    pub fn is_closed(&self) -> bool {
        self.bits.is_closed()
    }

    /// Passes over one block of a sequential scan (T.81, F.2.2) whose AC table has made its steps; false if the data fail.
    #[inline(always)]
    pub fn sequential_block(&mut self, dc: &Table, ac: &Table) -> bool {
        if !self.dc(dc) {
            return false;
        }
        let mut k = 1;
        while k < 64 {
            self.bits.fill();
            // Two steps of at most 27 bits each are loaded.
            k = self.step(ac, k);
            if k < 64 {
                k = self.step(ac, k);
            }
        }
        let ended = k == 64 || (usize::from(END_OF_BLOCK)..usize::from(NO_CODE)).contains(&k);
        ended && !self.bits.overdrawn()
    }

    /// Passes over one or more codes of a sequential block from coefficient `k` on; gives the coefficient after them, plus
    /// [`END_OF_BLOCK`] or [`NO_CODE`].
    #[inline(always)]
    fn step(&mut self, ac: &Table, k: usize) -> usize {
        let step = ac.step(self.bits.peek());
        if step.skip != 0 && k + usize::from(step.before) < 64 {
            self.bits.skip(u32::from(step.skip));
            return k + usize::from(step.advance);
        }
        let advance;
        (self.bits, advance) = single(self.bits, ac);
        k + usize::from(advance)
    }

    /// Passes over a DC difference.
    #[inline(always)]
    pub fn dc(&mut self, table: &Table) -> bool {
        self.bits.fill();
        let symbol = table.symbol(self.bits.sixteen());
        if symbol.length == 0 || symbol.value > 15 {
            return false;
        }
        self.bits.skip(u32::from(symbol.skip));
        !self.bits.overdrawn()
    }

    /// Passes over one more bit of a DC coefficient.
    pub fn dc_bit(&mut self) -> bool {
        self.bits.fill();
        self.bits.skip(1);
        !self.bits.overdrawn()
    }

    /// Passes over a block's band in its first scan (T.81, G.1.2.2).
    pub fn ac_first(&mut self, table: &Table, (from, to): (usize, usize), nonzero: &mut u64) -> bool {
        if self.run > 0 {
            self.run -= 1;
            return true;
        }
        let mut k = from;
        while k <= to {
            self.bits.fill();
            let symbol = table.symbol(self.bits.sixteen());
            let (run, size) = (u32::from(symbol.value >> 4), u32::from(symbol.value & 15));
            if symbol.length == 0 {
                return false;
            }
            self.bits.skip(u32::from(symbol.length));
            if size == 0 && run < 15 {
                self.bits.fill();
                self.run = (1 << run) + self.bits.take(run) - 1;
                return !self.bits.overdrawn();
            }
            k += run as usize;
            if size > 0 {
                if k > to {
                    return false;
                }
                *nonzero |= 1 << k;
                self.bits.skip(size);
            }
            k += 1;
        }
        !self.bits.overdrawn()
    }

    /// Passes over a block's band in a refining scan (T.81, G.1.2.3): one bit for each coefficient that is not zero.
    pub fn ac_refine(&mut self, table: &Table, (from, to): (usize, usize), nonzero: &mut u64) -> bool {
        let mut k = from;
        while self.run == 0 && k <= to {
            self.bits.fill();
            let symbol = table.symbol(self.bits.sixteen());
            let (run, size) = (u32::from(symbol.value >> 4), symbol.value & 15);
            if symbol.length == 0 || size > 1 {
                return false;
            }
            self.bits.skip(u32::from(symbol.length));
            if size == 0 && run < 15 {
                self.bits.fill();
                self.run = (1 << run) + self.bits.take(run);
                break;
            }
            self.bits.skip(u32::from(size));
            // `run` coefficients that are still zero are passed over, and every one between that is not.
            let mut zeros = !*nonzero & band(k, to);
            for _ in 0..run {
                zeros &= zeros.wrapping_sub(1);
            }
            let next = if zeros == 0 { to + 1 } else { zeros.trailing_zeros() as usize };
            self.skip_many((*nonzero & band(k, to) & !band(next, 63)).count_ones());
            k = next;
            if size == 1 {
                if k > to {
                    return false;
                }
                *nonzero |= 1 << k;
            }
            k += 1;
        }
        if self.run > 0 {
            self.skip_many((*nonzero & band(k, to)).count_ones());
            self.run -= 1;
        }
        !self.bits.overdrawn()
    }

    /// Passes over up to 64 bits.
    #[inline]
    fn skip_many(&mut self, count: u32) {
        self.bits.fill();
        self.bits.skip(count.min(32));
        if count > 32 {
            self.bits.fill();
            self.bits.skip(count - 32);
        }
    }
}

/// Exactly one code of a sequential block: a long one, or the last of a block that ends before the codes of a step do. It
/// works on a copy, so that a loop over blocks keeps the bits in registers.
#[cold]
#[inline(never)]
fn single<'a>(mut bits: Bits<'a>, ac: &Table) -> (Bits<'a>, u8) {
    bits.fill();
    let symbol = ac.symbol(bits.sixteen());
    bits.skip(u32::from(symbol.skip));
    bits.fill();
    (bits, symbol.advance)
}

/// The coefficients `from..=to` as a set; empty if there are none.
fn band(from: usize, to: usize) -> u64 {
    let from_there = u64::MAX.checked_shl(from as u32).unwrap_or(0);
    from_there & (u64::MAX >> (63 - to))
}
