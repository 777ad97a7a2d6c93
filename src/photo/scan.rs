//! Whether a JPEG's scans are all there: every Huffman code of every block, walked without making a pixel.
//!
//! Decoders cannot be asked. When data run out, or an EOI stands in the middle (as after a "repair" of a cut file),
//! they decode zeros to the end of the picture and call it done; data left over, which show that the header understates the
//! height, they skip. Here each scan must give exactly the blocks that the frame header promises, each restart
//! interval its own share, and each coefficient of a progressive file must have been brought to full precision.
//! It costs about a tenth of decoding, since symbols are passed over and not evaluated.

use super::be16;
use super::huffman::{Bits, Table};
use super::jpeg::{Frame, Segment, next_segment};
use super::unreadable;
use crate::reason::Reject;

/// Scans of a progressive file beyond which it is an attack on our time: encoders use about ten.
const MAX_SCANS: usize = 64;
/// Unused bytes allowed at the end of a scan; some cameras pad there.
const MAX_PADDING: usize = 8;

/// What the tables and scans so far have established.
struct State<'a> {
    bytes: &'a [u8],
    frame: &'a Frame,
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart_interval: usize,
    components: Vec<Progress>,
}

/// How far one component has come.
struct Progress {
    /// Blocks in a row of the padded grid, as interleaved scans see it.
    stride: usize,
    /// Per block, which of the 64 coefficients are not zero so far; empty for sequential files.
    nonzero: Vec<u64>,
    /// Per coefficient, the lowest bit seen so far; `u8::MAX` before the first.
    lowest_bit: [u8; 64],
}

/// What a scan header asks for.
struct Scan {
    /// Index into the frame's components, DC table, AC table.
    parts: Vec<(usize, usize, usize)>,
    spectral: (usize, usize),
    /// Zero in the first scan of these coefficients, the bit before this one in a refining scan.
    high: u8,
}

/// Checks everything from the frame header's end at `at` to the EOI marker.
///
/// # Errors
/// `unreadable_image`, naming what is missing.
pub fn verify(bytes: &[u8], frame: &Frame, tables: &[(u8, usize, usize)], at: usize) -> Result<(), Reject> {
    let mut state = State::new(bytes, frame);
    for &(marker, start, end) in tables {
        state.table(marker, &bytes[start..end])?;
    }
    let mut at = at;
    let mut scans = 0;
    loop {
        let segment = next_segment(bytes, at)?;
        match segment {
            Segment { marker: 0xd9, .. } => break,
            Segment { marker: 0xda, start, end } => {
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(unreadable(format!("JPEG with more than {MAX_SCANS} scans")));
                }
                let scan = state.scan_header(&bytes[start..end])?;
                at = state.scan(&scan, end)?;
            }
            // A restart marker that closes the last interval: superfluous, and some encoders write it.
            Segment { marker: 0xd0..=0xd7, end, .. } if scans > 0 => at = end,
            Segment { marker, start, end } => {
                state.table(marker, &bytes[start..end])?;
                at = end;
            }
        }
    }
    state.complete()
}

impl<'a> State<'a> {
    fn new(bytes: &'a [u8], frame: &'a Frame) -> Self {
        let (columns, rows) = frame.mcus();
        let components = frame.components.iter().map(|c| {
            let blocks = if frame.progressive { columns * c.horizontal * rows * c.vertical } else { 0 };
            Progress { stride: columns * c.horizontal, nonzero: vec![0; blocks], lowest_bit: [u8::MAX; 64] }
        });
        let components = components.collect();
        State { bytes, frame, dc: Default::default(), ac: Default::default(), restart_interval: 0, components }
    }

    /// Takes in a DHT or DRI segment; others do not concern the scans.
    fn table(&mut self, marker: u8, payload: &[u8]) -> Result<(), Reject> {
        match marker {
            0xc4 => self.huffman_tables(payload),
            0xdd => {
                let interval = be16(payload, 0).ok_or_else(|| unreadable("JPEG with a short DRI segment"))?;
                self.restart_interval = usize::from(interval);
                Ok(())
            }
            0xc0..=0xcf => Err(unreadable("JPEG with a second frame header or arithmetic coding")),
            _ => Ok(()),
        }
    }

    fn huffman_tables(&mut self, mut payload: &[u8]) -> Result<(), Reject> {
        let short = || unreadable("JPEG with a short Huffman table");
        while let Some((&kind, rest)) = payload.split_first() {
            let counts: &[u8; 16] = rest.first_chunk().ok_or_else(short)?;
            let total = counts.iter().map(|&c| usize::from(c)).sum::<usize>();
            let values = rest.get(16..16 + total).ok_or_else(short)?;
            payload = &rest[16 + total..];
            let set = match kind >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(unreadable("JPEG with a Huffman table of an unknown class")),
            };
            let slot = set.get_mut(usize::from(kind & 15));
            *slot.ok_or_else(|| unreadable("JPEG with a fifth Huffman table"))? = Some(Table::new(counts, values)?);
        }
        Ok(())
    }

    fn scan_header(&mut self, payload: &[u8]) -> Result<Scan, Reject> {
        let bad = || unreadable("JPEG with a scan header that fits no component");
        let count = usize::from(*payload.first().ok_or_else(bad)?);
        if !(1..=4).contains(&count) || payload.len() != 4 + 2 * count {
            return Err(bad());
        }
        let mut parts: Vec<(usize, usize, usize)> = Vec::with_capacity(count);
        for pair in payload[1..1 + 2 * count].chunks_exact(2) {
            let component = self.frame.components.iter().position(|c| c.id == pair[0]).ok_or_else(bad)?;
            if parts.iter().any(|&(other, ..)| other == component) {
                return Err(bad());
            }
            parts.push((component, usize::from(pair[1] >> 4), usize::from(pair[1] & 15)));
        }
        let [from, to, bits] = payload[1 + 2 * count..] else { return Err(bad()) };
        let spectral = if self.frame.progressive { (usize::from(from), usize::from(to)) } else { (0, 63) };
        let (high, low) = if self.frame.progressive { (bits >> 4, bits & 15) } else { (0, 0) };
        let fits = spectral.0 <= spectral.1 && spectral.1 < 64 && low < 14;
        // A progressive scan has either the DC coefficient of any components or AC coefficients of one (T.81, G.1.1.1).
        let pure = !self.frame.progressive || (spectral.0 == 0) == (spectral.1 == 0) && (spectral.0 == 0 || count == 1);
        if !fits || !pure {
            return Err(unreadable("JPEG with an impossible progression"));
        }
        for &(component, ..) in &parts {
            let seen = &mut self.components[component].lowest_bit[spectral.0..=spectral.1];
            if !self.frame.progressive && seen.iter().any(|&bit| bit != u8::MAX) {
                return Err(unreadable("JPEG that codes a component twice"));
            }
            seen.fill(low);
        }
        Ok(Scan { parts, spectral, high })
    }

    /// Walks one scan's data from byte `at`; gives the position of the marker after it.
    fn scan(&mut self, scan: &Scan, at: usize) -> Result<usize, Reject> {
        let (columns, rows) = match scan.parts[..] {
            [(one, ..)] => self.frame.blocks(one),
            _ => self.frame.mcus(),
        };
        let total = columns * rows;
        let interval = if self.restart_interval == 0 { total } else { self.restart_interval };
        let (mut done, mut at, mut restarts) = (0, at, 0u8);
        loop {
            let until = (done + interval).min(total);
            let mut walk = Walk { bits: Bits::new(self.bytes, at), run: 0 };
            let ok = if self.frame.progressive {
                self.progressive_units(scan, &mut walk, columns, done..until)
            } else {
                self.sequential_units(scan, &mut walk, until - done)?
            };
            if let Err(unit) = ok {
                let done = done + unit;
                return Err(unreadable(format!("JPEG data end or go wrong at unit {done} of {total} of a scan")));
            }
            let (unused, marker) = walk.bits.finish();
            if unused > if until == total { MAX_PADDING } else { 0 } {
                return Err(unreadable(format!(
                    "JPEG with {unused} bytes more data than {until} of {total} units need"
                )));
            }
            (done, at) = (until, marker);
            if done == total {
                return Ok(at);
            }
            let segment = next_segment(self.bytes, at)?;
            if segment.marker != 0xd0 + restarts % 8 {
                return Err(unreadable(format!("JPEG data stop at unit {done} of {total} of a scan")));
            }
            restarts = restarts.wrapping_add(1);
            at = segment.end;
        }
    }

    /// Sequential units of 8x8 blocks; the inner error is the unit at which the data fail.
    fn sequential_units(&self, scan: &Scan, walk: &mut Walk, units: usize) -> Result<Result<(), usize>, Reject> {
        let missing = || unreadable("JPEG without a Huffman table that a scan uses");
        let mut order: Vec<(&Table, &Table)> = Vec::with_capacity(10);
        for &(component, dc, ac) in &scan.parts {
            let dc = self.dc.get(dc).and_then(Option::as_ref).ok_or_else(missing)?;
            let ac = self.ac.get(ac).and_then(Option::as_ref).ok_or_else(missing)?;
            let part = &self.frame.components[component];
            let blocks = if scan.parts.len() == 1 { 1 } else { part.horizontal * part.vertical };
            order.extend(std::iter::repeat_n((dc, ac), blocks));
        }
        for unit in 0..units {
            for (dc, ac) in &order {
                if !walk.sequential_block(dc, ac) {
                    return Ok(Err(unit));
                }
            }
        }
        Ok(Ok(()))
    }

    fn progressive_units(
        &mut self,
        scan: &Scan,
        walk: &mut Walk,
        columns: usize,
        units: std::ops::Range<usize>,
    ) -> Result<(), usize> {
        let first = units.start;
        for unit in units {
            let (row, column) = (unit / columns, unit % columns);
            for &(component, dc, ac) in &scan.parts {
                let part = &self.frame.components[component];
                let (h, v) = if scan.parts.len() == 1 { (1, 1) } else { (part.horizontal, part.vertical) };
                let progress = &mut self.components[component];
                for block in 0..h * v {
                    let at = (row * v + block / h) * progress.stride + column * h + block % h;
                    let Some(nonzero) = progress.nonzero.get_mut(at) else { return Err(unit - first) };
                    let fine = match (scan.spectral.0, scan.high) {
                        (0, 0) => self.dc.get(dc).and_then(Option::as_ref).is_some_and(|t| walk.dc(t)),
                        (0, _) => walk.dc_bit(),
                        (_, high) => {
                            let table = self.ac.get(ac).and_then(Option::as_ref);
                            table.is_some_and(|t| match high {
                                0 => walk.ac_first(t, scan.spectral, nonzero),
                                _ => walk.ac_refine(t, scan.spectral, nonzero),
                            })
                        }
                    };
                    if !fine {
                        return Err(unit - first);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether every coefficient that makes the picture has arrived in full.
    fn complete(&self) -> Result<(), Reject> {
        for (index, progress) in self.components.iter().enumerate() {
            // Chroma may be left coarse by an encoder's choice; brightness never is.
            let needed = if index == 0 { 64 } else { 1 };
            if progress.lowest_bit[..needed].iter().any(|&bit| bit != 0) {
                return Err(unreadable("JPEG that ends before its last scan"));
            }
        }
        Ok(())
    }
}

/// The position in one entropy-coded segment.
struct Walk<'a> {
    bits: Bits<'a>,
    /// Blocks still covered by an end-of-band run.
    run: u32,
}

impl Walk<'_> {
    /// Passes over one block of a sequential scan (T.81, F.2.2); false if the data fail.
    #[inline]
    fn sequential_block(&mut self, dc: &Table, ac: &Table) -> bool {
        if !self.dc(dc) {
            return false;
        }
        let mut k = 1;
        while k < 64 {
            self.bits.fill();
            let symbol = ac.symbol(self.bits.sixteen());
            let (run, size) = (u32::from(symbol.value >> 4), u32::from(symbol.value & 15));
            if symbol.length == 0 {
                return false;
            }
            self.bits.skip(u32::from(symbol.length) + size);
            match (run, size) {
                (15, 0) => k += 16,
                (_, 0) => return !self.bits.overdrawn(),
                _ => k += run + 1,
            }
        }
        k == 64 && !self.bits.overdrawn()
    }

    /// Passes over a DC difference.
    #[inline]
    fn dc(&mut self, table: &Table) -> bool {
        self.bits.fill();
        let symbol = table.symbol(self.bits.sixteen());
        if symbol.length == 0 || symbol.value > 15 {
            return false;
        }
        self.bits.skip(u32::from(symbol.length) + u32::from(symbol.value));
        !self.bits.overdrawn()
    }

    /// Passes over one more bit of a DC coefficient.
    fn dc_bit(&mut self) -> bool {
        self.bits.fill();
        self.bits.skip(1);
        !self.bits.overdrawn()
    }

    /// Passes over a block's band in its first scan (T.81, G.1.2.2).
    fn ac_first(&mut self, table: &Table, (from, to): (usize, usize), nonzero: &mut u64) -> bool {
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
    fn ac_refine(&mut self, table: &Table, (from, to): (usize, usize), nonzero: &mut u64) -> bool {
        let mut k = from;
        while self.run == 0 && k <= to {
            self.bits.fill();
            let symbol = table.symbol(self.bits.sixteen());
            let (mut run, size) = (u32::from(symbol.value >> 4), symbol.value & 15);
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
            while k <= to {
                if *nonzero >> k & 1 == 1 {
                    self.bits.fill();
                    self.bits.skip(1);
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                k += 1;
            }
            if size == 1 {
                if k > to {
                    return false;
                }
                *nonzero |= 1 << k;
            }
            k += 1;
        }
        if self.run > 0 {
            let band = (u64::MAX >> (63 - to)) & u64::MAX.checked_shl(k as u32).unwrap_or(0);
            for _ in 0..(*nonzero & band).count_ones() {
                self.bits.fill();
                self.bits.skip(1);
            }
            self.run -= 1;
        }
        !self.bits.overdrawn()
    }
}
