//! Whether a JPEG's scans are all there: every Huffman code of every block, walked without making a pixel.
//!
//! Decoders cannot be asked. When data run out, or an EOI stands in the middle (as after a "repair" of a cut file),
//! they decode zeros to the end of the picture and call it done; data left over, which show that the header understates
//! the height, they skip. Here each scan must give exactly the blocks that the frame header promises, each restart
//! interval its own share, and each coefficient of a progressive file must have been brought to full precision.
//! It costs about a fifth of decoding, since symbols are passed over and not evaluated.

use std::ops::Range;

use super::blocks::Walk;
use super::huffman::{Bits, STANDARD_TABLES, Table, unstuff};
use super::markers::{Frame, Segment, next_segment};
use super::picture::{be16, unreadable};
use crate::reason::Reject;

/// Scans of a progressive file beyond which it is an attack on our time: encoders use about ten.
const MAX_SCANS: usize = 64;
/// Unused bytes of any kind allowed at the end of a scan; some cameras pad there.
const MAX_PADDING: usize = 8;
/// Zeros allowed before a restart marker: webcams fill up to a word or a line of their memory.
const MAX_ZEROS: usize = 64;

/// What the tables and scans so far have established.
struct State<'a> {
    bytes: &'a [u8],
    frame: &'a Frame,
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart_interval: usize,
    components: Vec<Progress>,
    /// Whether nothing was met that decoders may take amiss.
    is_regular: bool,
    /// The same codes in a file of nothing else, where that is asked for.
    rebuilt: Option<&'a mut Vec<u8>>,
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

/// A file whose scans are all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Scans.
    pub scans: usize,
    /// Bytes up to and with the EOI marker.
    pub end: usize,
    /// Whether it holds nothing between the codes that decoders may take amiss.
    pub is_regular: bool,
}

/// Checks everything from the frame header's end at `at` to the EOI marker. What libjpeg passes over without harm is passed
/// over: bytes between segments, zeros before a restart marker and before the end. Into `rebuilt` goes a file of the same codes
/// without any of it.
///
/// # Errors
/// `unreadable_image`, naming what is missing.
pub fn verify(
    bytes: &[u8],
    frame: &Frame,
    tables: &[Segment],
    at: usize,
    rebuilt: Option<&mut Vec<u8>>,
) -> Result<Whole, Reject> {
    let mut state = State::new(bytes, frame, rebuilt);
    state.begin(tables)?;
    let mut at = at;
    let mut scans = 0;
    let end = loop {
        let (segment, junk) = next_segment(bytes, at)?;
        state.is_regular &= junk == 0;
        match segment {
            Segment { marker: 0xd9, end, .. } => break end,
            Segment { marker: 0xda, start, end } => {
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(unreadable(format!("JPEG with more than {MAX_SCANS} scans")));
                }
                let scan = state.scan_header(&bytes[start..end])?;
                state.keep_scan_header(&bytes[start..end]);
                at = state.scan(&scan, end)?;
            }
            // A restart marker that closes the last interval: superfluous, and some encoders write it.
            Segment { marker: 0xd0..=0xd7, end, .. } if scans > 0 => at = end,
            Segment { marker: 0xd8, .. } => return Err(unreadable("JPEG that begins anew before its end")),
            segment => {
                state.is_regular &= matches!(segment.marker, 0xc4 | 0xdb | 0xdd) || scans == 0;
                state.table(segment)?;
                at = segment.end;
            }
        }
    };
    state.complete()?;
    if let Some(rebuilt) = &mut state.rebuilt {
        rebuilt.extend([0xff, 0xd9]);
    }
    Ok(Whole { scans, end, is_regular: state.is_regular })
}

impl<'a> State<'a> {
    fn new(bytes: &'a [u8], frame: &'a Frame, rebuilt: Option<&'a mut Vec<u8>>) -> Self {
        let (columns, rows) = frame.mcus();
        let components = frame.components.iter().map(|c| {
            let blocks = if frame.progressive { columns * c.horizontal * rows * c.vertical } else { 0 };
            Progress { stride: columns * c.horizontal, nonzero: vec![0; blocks], lowest_bit: [u8::MAX; 64] }
        });
        let components = components.collect();
        let (dc, ac) = Default::default();
        State { bytes, frame, dc, ac, restart_interval: 0, components, is_regular: true, rebuilt }
    }

    /// Takes in what stood before the first scan. Frames of motion JPEG have no Huffman tables: they mean the standard ones.
    fn begin(&mut self, tables: &[Segment]) -> Result<(), Reject> {
        let Frame { width, height, components, .. } = self.frame;
        if let Some(rebuilt) = &mut self.rebuilt {
            let marker = if self.frame.progressive { 0xc2 } else { 0xc1 };
            rebuilt.extend([0xff, 0xd8, 0xff, marker, 0, 8 + 3 * components.len() as u8, 8]);
            rebuilt.extend((*height as u16).to_be_bytes());
            rebuilt.extend((*width as u16).to_be_bytes());
            rebuilt.push(components.len() as u8);
            for part in components {
                rebuilt.extend([part.id, (part.horizontal << 4 | part.vertical) as u8, part.quantization]);
            }
        }
        if !tables.iter().any(|segment| segment.marker == 0xc4) && !self.frame.progressive {
            self.is_regular = false;
            self.keep(0xc4, STANDARD_TABLES);
            self.huffman_tables(STANDARD_TABLES)?;
        }
        tables.iter().try_for_each(|&segment| self.table(segment))
    }

    /// Puts a segment into the file that is rebuilt.
    fn keep(&mut self, marker: u8, payload: &[u8]) {
        if let Some(rebuilt) = &mut self.rebuilt {
            rebuilt.extend([0xff, marker]);
            rebuilt.extend((payload.len() as u16 + 2).to_be_bytes());
            rebuilt.extend_from_slice(payload);
        }
    }

    /// Keeps a scan header; of a sequential scan with the only values that its last bytes can mean.
    fn keep_scan_header(&mut self, payload: &[u8]) {
        let mut payload = payload.to_vec();
        if !self.frame.progressive
            && let Some(last) = payload.last_chunk_mut::<3>()
        {
            self.is_regular &= *last == [0, 63, 0];
            *last = [0, 63, 0];
        }
        self.keep(0xda, &payload);
    }

    /// Keeps the codes of an interval.
    fn keep_codes(&mut self, codes: &[u8], restart: Option<u8>) {
        if let Some(rebuilt) = &mut self.rebuilt {
            for &byte in codes {
                rebuilt.push(byte);
                if byte == 0xff {
                    rebuilt.push(0);
                }
            }
            rebuilt.extend(restart.map(|number| [0xff, 0xd0 + number]).into_iter().flatten());
        }
    }

    /// Takes in a DHT or DRI segment; others do not concern the scans.
    fn table(&mut self, segment: Segment) -> Result<(), Reject> {
        let payload = &self.bytes[segment.start..segment.end];
        if matches!(segment.marker, 0xc4 | 0xdb | 0xdd) {
            self.keep(segment.marker, payload);
        }
        match segment.marker {
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
            let mut table = Table::new(counts, values)?;
            let set = match kind >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(unreadable("JPEG with a Huffman table of an unknown class")),
            };
            if kind >> 4 == 1 && !self.frame.progressive {
                table.make_steps();
            }
            let slot = set.get_mut(usize::from(kind & 15));
            *slot.ok_or_else(|| unreadable("JPEG with a fifth Huffman table"))? = Some(table);
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
        let mut clean = Vec::new();
        loop {
            let until = (done + interval).min(total);
            let marker = unstuff(self.bytes, at, &mut clean);
            let walk = self.units(scan, Walk::new(Bits::new(&clean)), done..until)?;
            let walk = walk.map_err(|unit| {
                let unit = done + unit;
                unreadable(format!("JPEG data end or go wrong at unit {unit} of {total} of a scan"))
            })?;
            let unused = walk.unused();
            let is_last = until == total;
            // Zeros after the codes are padding; zeros that were read as codes are what fills a file that was cut.
            let is_padded =
                unused > 0 && walk.is_closed() && clean[clean.len() - unused..].iter().all(|&byte| byte == 0);
            let most = match (is_last, is_padded) {
                (true, true) => usize::MAX,
                (true, false) => MAX_PADDING,
                (false, true) => MAX_ZEROS,
                (false, false) => 0,
            };
            if unused > most {
                let detail = format!("JPEG with {unused} bytes left over after unit {until} of {total}");
                return Err(unreadable(detail));
            }
            self.is_regular &= unused == 0;
            (done, at) = (until, marker);
            let restart = (!is_last).then_some(restarts % 8);
            self.keep_codes(&clean[..clean.len() - unused], restart);
            if is_last {
                return Ok(at);
            }
            let (segment, junk) = next_segment(self.bytes, at)?;
            if segment.marker != 0xd0 + restarts % 8 || junk > 0 {
                return Err(unreadable(format!("JPEG data stop at unit {done} of {total} of a scan")));
            }
            restarts = restarts.wrapping_add(1);
            at = segment.end;
        }
    }

    /// Walks over a stretch of a scan's units; the inner error is the unit, counted from the first, at which the data
    /// fail.
    fn units<'b>(
        &mut self,
        scan: &Scan,
        walk: Walk<'b>,
        units: Range<usize>,
    ) -> Result<Result<Walk<'b>, usize>, Reject> {
        let count = units.len();
        match (self.frame.progressive, &scan.parts[..], scan.spectral, scan.high) {
            (false, ..) => {
                let order =
                    self.in_order(scan, |dc, ac| Some((self.dc.get(dc)?.as_ref()?, self.ac.get(ac)?.as_ref()?)))?;
                Ok(repeat(walk, count, |walk| order.iter().all(|(dc, ac)| walk.sequential_block(dc, ac))))
            }
            (true, &[(component, _, ac)], (1.., _), high) => {
                let table = self.ac.get(ac).and_then(Option::as_ref).ok_or_else(missing_table)?;
                let (columns, _) = self.frame.blocks(component);
                let Progress { stride, nonzero, .. } = &mut self.components[component];
                let pass = if high == 0 { Walk::ac_first } else { Walk::ac_refine };
                let mut at = units.start;
                Ok(repeat(walk, count, |walk| {
                    let block = nonzero.get_mut(at / columns * *stride + at % columns);
                    at += 1;
                    block.is_some_and(|block| pass(walk, table, scan.spectral, block))
                }))
            }
            (true, .., 0) => {
                let order = self.in_order(scan, |dc, _| self.dc.get(dc)?.as_ref())?;
                Ok(repeat(walk, count, |walk| order.iter().all(|table| walk.dc(table))))
            }
            (true, ..) => {
                let blocks = self.in_order(scan, |_, _| Some(()))?.len();
                Ok(repeat(walk, count, |walk| (0..blocks).all(|_| walk.dc_bit())))
            }
        }
    }

    /// What `pick` gives for the table numbers of each block of one unit, in the order in which the blocks are coded.
    fn in_order<T: Clone>(&self, scan: &Scan, pick: impl Fn(usize, usize) -> Option<T>) -> Result<Vec<T>, Reject> {
        let mut order = Vec::with_capacity(10);
        for &(component, dc, ac) in &scan.parts {
            let part = &self.frame.components[component];
            let blocks = if scan.parts.len() == 1 { 1 } else { part.horizontal * part.vertical };
            order.extend(std::iter::repeat_n(pick(dc, ac).ok_or_else(missing_table)?, blocks));
        }
        Ok(order)
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

fn missing_table() -> Reject {
    unreadable("JPEG without a Huffman table that a scan uses")
}

/// Does `unit` `count` times from `walk` on; the error is how many went well before one did not.
#[inline]
fn repeat<'a>(walk: Walk<'a>, count: usize, mut unit: impl FnMut(&mut Walk<'a>) -> bool) -> Result<Walk<'a>, usize> {
    // A local copy, so that the bit buffer can stay in registers.
    let mut walk = walk;
    match (0..count).position(|_| !unit(&mut walk)) {
        Some(failed) => Err(failed),
        None => Ok(walk),
    }
}
