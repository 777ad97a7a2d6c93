//! JPEG's marker segments and frame header (ITU-T T.81, annex B).

use super::picture::{be16, unreadable};
use crate::reason::Reject;

/// Bytes between two segments that belong to nothing. Old cameras and gateways leave a few; more is a file in pieces.
const MOST_JUNK: usize = 64;

/// One marker segment: the marker's second byte and where its payload lies (empty for markers that stand alone).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The second byte of the marker.
    pub marker: u8,
    /// Where the payload begins, after the length.
    pub start: usize,
    /// Where it ends, and the next segment begins.
    pub end: usize,
}

/// The frame header (T.81, B.2.2).
#[derive(Debug, Clone)]
pub struct Frame {
    /// Width in pixels as stored.
    pub width: usize,
    /// Height in pixels as stored.
    pub height: usize,
    /// Progressive and not sequential.
    pub progressive: bool,
    /// Baseline sequential (SOF0).
    pub baseline: bool,
    /// One (grey), three (YCbCr or RGB) or four (CMYK or YCCK) of them.
    pub components: Vec<Component>,
}

/// One colour component.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The number by which scans name it.
    pub id: u8,
    /// The number of its quantization table.
    pub quantization: u8,
    /// Blocks side by side in a unit, 1..=4.
    pub horizontal: usize,
    /// Blocks on top of each other in a unit, 1..=4.
    pub vertical: usize,
}

impl Frame {
    /// Reads the payload of a frame header.
    ///
    /// # Errors
    /// `unreadable_image` for a kind that is not read.
    pub fn parse(marker: u8, payload: &[u8]) -> Result<Frame, Reject> {
        let kind = match marker {
            0xc0..=0xc2 => Ok(()),
            0xc3 | 0xc7 | 0xcb | 0xcf => Err("lossless"),
            0xc5 | 0xc6 | 0xcd | 0xce => Err("hierarchical"),
            _ => Err("arithmetic-coded"),
        };
        kind.map_err(|kind| unreadable(format!("a {kind} JPEG; baseline or progressive expected")))?;
        let short = || unreadable("JPEG with a short frame header");
        let [precision, _, _, _, _, count] = *payload.first_chunk::<6>().ok_or_else(short)?;
        if precision != 8 {
            return Err(unreadable(format!("a JPEG of {precision} bits a sample; 8 expected")));
        }
        if ![1, 3, 4].contains(&count) || payload.len() != 6 + 3 * usize::from(count) {
            return Err(unreadable(format!("a JPEG of {count} components; 1, 3 or 4 expected")));
        }
        let height = usize::from(be16(payload, 1).unwrap_or(0));
        let width = usize::from(be16(payload, 3).unwrap_or(0));
        if width == 0 || height == 0 {
            return Err(unreadable(format!("JPEG header says {width}x{height} pixels")));
        }
        let mut components = Vec::with_capacity(usize::from(count));
        for part in payload[6..].chunks_exact(3) {
            let (horizontal, vertical) = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
            if !(1..=4).contains(&horizontal) || !(1..=4).contains(&vertical) {
                return Err(unreadable("JPEG with an impossible subsampling"));
            }
            components.push(Component { id: part[0], quantization: part[2], horizontal, vertical });
        }
        Ok(Frame { width, height, progressive: marker == 0xc2, baseline: marker == 0xc0, components })
    }

    fn largest(&self) -> (usize, usize) {
        let horizontal = self.components.iter().map(|c| c.horizontal).max().unwrap_or(1);
        (horizontal, self.components.iter().map(|c| c.vertical).max().unwrap_or(1))
    }

    /// Columns and rows of interleaved units.
    pub fn mcus(&self) -> (usize, usize) {
        let (horizontal, vertical) = self.largest();
        (self.width.div_ceil(8 * horizontal), self.height.div_ceil(8 * vertical))
    }

    /// Columns and rows of the blocks of one component in a scan of its own (T.81, A.2.2).
    pub fn blocks(&self, component: usize) -> (usize, usize) {
        let (horizontal, vertical) = self.largest();
        let part = &self.components[component];
        let columns = (self.width * part.horizontal).div_ceil(horizontal).div_ceil(8);
        (columns, (self.height * part.vertical).div_ceil(vertical).div_ceil(8))
    }

    /// Samples of all components in whole units.
    pub fn samples(&self) -> usize {
        let (columns, rows) = self.mcus();
        columns * rows * 64 * self.components.iter().map(|c| c.horizontal * c.vertical).sum::<usize>()
    }
}

/// The segment that begins at or after `at`. Fill bytes before the marker are skipped; so are bytes that belong to nothing, as
/// libjpeg skips them (`next_marker`, jdmarker.c), and how many these are is told.
///
/// # Errors
/// `unreadable_image` if the file ends before the end of a segment.
pub fn next_segment(bytes: &[u8], at: usize) -> Result<(Segment, usize), Reject> {
    let truncated = || unreadable(format!("JPEG cut off after {} bytes, before its end marker", bytes.len()));
    let (mut here, mut junk) = (at, 0);
    let marker = loop {
        let rest = bytes.get(here..).ok_or_else(truncated)?;
        let skipped = rest.iter().position(|&byte| byte == 0xff).ok_or_else(truncated)?;
        here += skipped;
        let fill = bytes[here..].iter().position(|&byte| byte != 0xff).ok_or_else(truncated)?;
        here += fill;
        junk += skipped;
        match bytes[here] {
            0 => {
                here += 1;
                junk += 2;
            }
            marker => break marker,
        }
        if junk > MOST_JUNK {
            return Err(unreadable(format!("JPEG without a marker at byte {at}")));
        }
    };
    if junk > MOST_JUNK {
        return Err(unreadable(format!("JPEG without a marker at byte {at}")));
    }
    let start = here + 1;
    match marker {
        0xd0..=0xd9 | 0x01 => Ok((Segment { marker, start, end: start }, junk)),
        0x02..=0xbf => Err(unreadable(format!("JPEG without a marker at byte {at}"))),
        _ => {
            let length = usize::from(be16(bytes, start).ok_or_else(truncated)?);
            if length < 2 {
                return Err(unreadable(format!("JPEG with a segment of length {length} at byte {at}")));
            }
            if start + length > bytes.len() {
                return Err(truncated());
            }
            Ok((Segment { marker, start: start + 2, end: start + length }, junk))
        }
    }
}
