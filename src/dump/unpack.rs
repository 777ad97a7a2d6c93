//! Compressed bytes as a stream of what they stand for, so that what is too large passes by in pieces.
//!
//! Snappy and LZ4 have no streams of their own in Parquet: a page is one block, and a library unpacks it into memory as a
//! whole. Both formats are a few rules (`format_description.txt` of Snappy, `lz4_Block_format.md`), and their writers refer
//! back by 64 KiB at most, so a window of one MiB is enough to unpack them piece by piece.

use std::io::{self, BufRead, Read};

use parquet::basic::Compression;

/// How far back a block may refer.
const WINDOW: usize = 1 << 20;
/// Bytes that are unpacked at a time.
const PIECE: u64 = 64 << 10;

/// What packed bytes stand for; `None` for compressions that cannot be read in pieces.
///
/// # Errors
/// The decoder's, where it cannot begin.
pub fn unpacked<'a>(
    packed: impl BufRead + Send + 'a,
    compression: Compression,
) -> io::Result<Option<Box<dyn Read + Send + 'a>>> {
    Ok(Some(match compression {
        Compression::UNCOMPRESSED => Box::new(packed),
        Compression::GZIP(_) => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Compression::BROTLI(_) => Box::new(brotli::Decompressor::new(packed, PIECE as usize)),
        Compression::ZSTD(_) => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
        Compression::SNAPPY => Box::new(Block::new(packed, Format::Snappy)),
        Compression::LZ4_RAW => Box::new(Block::new(packed, Format::Lz4)),
        _ => return Ok(None),
    }))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Snappy,
    Lz4,
}

/// One block, unpacked piece by piece.
struct Block<R> {
    packed: R,
    format: Format,
    is_begun: bool,
    /// What was unpacked last.
    window: Vec<u8>,
    /// How much of the window was handed out.
    given: usize,
    /// Bytes still to be taken as they are.
    literal: u64,
    /// Bytes still to be copied, from how far back.
    copy: (u64, usize),
    /// LZ4: the copy that follows the literal, by its token.
    token: Option<u8>,
}

impl<R: BufRead> Block<R> {
    fn new(packed: R, format: Format) -> Self {
        Block { packed, format, is_begun: false, window: Vec::new(), given: 0, literal: 0, copy: (0, 0), token: None }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.packed.read_exact(&mut byte).map(|()| byte[0])
    }

    fn number(&mut self, bytes: usize) -> io::Result<u64> {
        let mut number = [0; 8];
        self.packed.read_exact(&mut number[..bytes])?;
        Ok(u64::from_le_bytes(number))
    }

    fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.packed.fill_buf()?.is_empty())
    }

    /// Unpacks some bytes; false at the end.
    fn step(&mut self) -> io::Result<bool> {
        if self.window.len() > 2 * WINDOW {
            let old = self.window.len() - WINDOW;
            self.window.drain(..old);
            self.given -= old;
        }
        if self.literal > 0 {
            let count = self.literal.min(PIECE);
            let read = (&mut self.packed).take(count).read_to_end(&mut self.window)? as u64;
            if read < count {
                return Err(damaged("ends early"));
            }
            self.literal -= count;
            return Ok(true);
        }
        if self.copy.0 > 0 {
            let (left, back) = self.copy;
            let count = left.min(PIECE);
            let from = self.window.len().checked_sub(back).filter(|_| back > 0);
            let from = from.ok_or_else(|| damaged("refers back to what is not there"))?;
            (0..count as usize).for_each(|at| self.window.push(self.window[from + at]));
            self.copy.0 -= count;
            return Ok(true);
        }
        match self.format {
            Format::Snappy => self.next_snappy(),
            Format::Lz4 => self.next_lz4(),
        }
    }

    fn next_snappy(&mut self) -> io::Result<bool> {
        if !std::mem::replace(&mut self.is_begun, true) {
            // The length of all, which the page's header has too.
            while self.byte()? >= 0x80 {}
        }
        if self.is_at_end()? {
            return Ok(false);
        }
        let tag = self.byte()?;
        let high = u64::from(tag >> 2);
        match tag & 3 {
            0 if high < 60 => self.literal = high + 1,
            0 => self.literal = self.number(high as usize - 59)? + 1,
            1 => self.copy = (4 + (high & 7), usize::from(tag >> 5) << 8 | usize::from(self.byte()?)),
            2 => self.copy = (high + 1, self.number(2)? as usize),
            _ => self.copy = (high + 1, self.number(4)? as usize),
        }
        Ok(true)
    }

    fn next_lz4(&mut self) -> io::Result<bool> {
        if let Some(token) = self.token.take() {
            if self.is_at_end()? {
                return Ok(false);
            }
            let back = self.number(2)? as usize;
            self.copy = (4 + self.lz4_length(token & 15)?, back);
            return Ok(true);
        }
        if self.is_at_end()? {
            return Ok(false);
        }
        let token = self.byte()?;
        self.literal = self.lz4_length(token >> 4)?;
        self.token = Some(token);
        Ok(true)
    }

    fn lz4_length(&mut self, nibble: u8) -> io::Result<u64> {
        let mut length = u64::from(nibble);
        let mut more = nibble == 15;
        while more {
            let byte = self.byte()?;
            length += u64::from(byte);
            more = byte == 255;
        }
        Ok(length)
    }
}

impl<R: BufRead> Read for Block<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.window.len() {
            if out.is_empty() || !self.step()? {
                return Ok(0);
            }
        }
        let count = out.len().min(self.window.len() - self.given);
        out[..count].copy_from_slice(&self.window[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a compressed page that {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(packed: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut stream = unpacked(packed, compression)?.ok_or_else(|| damaged("cannot be read"))?;
        // A block of a few bytes may stand for gigabytes.
        stream.by_ref().take(64 << 20).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn blocks_are_unpacked_by_their_rules() {
        // Snappy: 16 bytes; a literal of 3, a copy of 9 from 3 back, a copy of 4 from 1 back.
        let snappy = [16, 2 << 2, b'a', b'b', b'c', 5 << 2 | 1, 3, 1, 1];
        assert_eq!(read(&snappy, Compression::SNAPPY).unwrap(), b"abcabcabcabccccc");
        // LZ4: a literal of 3 and a copy of 4 + 15 + 2 from 2 back; a last literal.
        let lz4 = [0x3f, b'a', b'b', b'c', 2, 0, 2, 0x10, b'z'];
        assert_eq!(read(&lz4, Compression::LZ4_RAW).unwrap(), b"abcbcbcbcbcbcbcbcbcbcbcbz");
        // Both far beyond the window.
        let snappy = [&[0xff, 0xff, 0xff, 0x7f, 0, b'x'][..], &[63 << 2 | 2, 1, 0].repeat(100_000)].concat();
        let found = read(&snappy, Compression::SNAPPY).unwrap();
        assert!(found.len() == 6_400_001 && found.iter().all(|&byte| byte == b'x'));
        let lz4 = [&[0x1f, b'x', 1, 0][..], &[255; 40_000], &[0]].concat();
        assert_eq!(read(&lz4, Compression::LZ4_RAW).unwrap().len(), 1 + 19 + 255 * 40_000);
    }

    #[test]
    fn blocks_that_cannot_be_are_errors() {
        for (packed, compression) in [
            // Back to what is not there, no way back, literals and lengths that end early.
            (&[9, 0, b'a', 63 << 2 | 2, 2, 0][..], Compression::SNAPPY),
            (&[9, 0, b'a', 63 << 2 | 2, 0, 0], Compression::SNAPPY),
            (&[9, 63 << 2, 255, 255, 255, 255, 1], Compression::SNAPPY),
            (&[0xff, 0xff], Compression::SNAPPY),
            (&[0x1f, b'a', 2, 0, 0], Compression::LZ4_RAW),
            (&[0xf0, 255, 255], Compression::LZ4_RAW),
            (&[0x10, b'a', 1], Compression::LZ4_RAW),
        ] {
            assert!(read(packed, compression).is_err(), "{packed:?}");
        }
        let mut random = crate::statistics::SplitMix64::new(3);
        for _ in 0..2_000 {
            let packed: Vec<u8> = (0..random.below(60)).map(|_| random.next() as u8).collect();
            let _ = read(&packed, Compression::SNAPPY);
            let _ = read(&packed, Compression::LZ4_RAW);
        }
    }
}
