//! What is derived from a segment for searching: the codes as the kernels read them, and the masters by row.
//!
//! Both are files of a fixed header and a payload. The header carries the hash of the segment they derive from; a
//! file that is missing, stale, damaged or of another version is built anew from the segment, in memory if the folder
//! cannot be written. The codes are read wholly by every search, so their hash is checked when they are opened.
//! Masters are read here and there, so each row carries its own checksum, checked at every read.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use half::f16;
use memmap2::Mmap;
use sha2::{Digest, Sha256};

use super::dot::{self, LANES, ZERO, padded};
use super::files::Pending;
use super::member::hex;
use crate::infer::Template;
use crate::{Error, Result};

/// Ending and magic number of the codes file.
pub(super) const CODES: Kind = Kind { ending: "codes", magic: *b"CHEHRAcd", version: 1 };
/// Ending and magic number of the masters file.
pub(super) const MASTERS: Kind = Kind { ending: "masters", magic: *b"CHEHRAms", version: 1 };
/// Ending and magic number of the graph file. Its version also stands for how graphs are built.
pub(super) const GRAPH: Kind = Kind { ending: "graph", magic: *b"CHEHRAgr", version: 1 };

/// A kind of derived file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) ending: &'static str,
    magic: [u8; 8],
    version: u32,
}

/// Header: magic, version u32, dim u32, rows u64, payload length u64, source sha256 (64 hex digits), payload sha256
/// (64 hex digits), zeros. A page long, so that the payload is aligned in memory.
const HEADER: usize = 4096;

/// Bytes in memory or mapped from a file.
#[derive(Debug)]
pub(super) enum Bytes {
    Owned(Vec<u8>),
    Mapped(Mmap),
}

impl Bytes {
    pub(super) fn get(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(map) => &map[HEADER..],
        }
    }
}

/// What a derived file must be of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) dim: usize,
    pub(super) rows: usize,
    pub(super) sha256: &'a str,
}

impl Kind {
    fn header(self, source: Source<'_>, payload: &[&[u8]]) -> Vec<u8> {
        let mut hash = Sha256::new();
        payload.iter().for_each(|part| hash.update(part));
        let length: usize = payload.iter().map(|part| part.len()).sum();
        let mut header = self.magic.to_vec();
        header.extend(self.version.to_le_bytes());
        header.extend((source.dim as u32).to_le_bytes());
        header.extend((source.rows as u64).to_le_bytes());
        header.extend((length as u64).to_le_bytes());
        header.extend(source.sha256.as_bytes());
        header.extend(hex(&hash.finalize()).as_bytes());
        header.resize(HEADER, 0);
        header
    }

    /// Writes a derived file. Durable, for masters are trusted row by row: a file that a power cut left full of zeros
    /// would open, and fail at the first row read.
    pub(super) fn write(self, path: &Path, source: Source<'_>, payload: &[&[u8]]) -> Result<()> {
        let mut file = Pending::create(path)?;
        file.write_all(&self.header(source, payload)).map_err(Error::io("write", path))?;
        for part in payload {
            file.write_all(part).map_err(Error::io("write", path))?;
        }
        file.commit().map(drop)
    }

    /// Maps a derived file, or says why it cannot be used.
    pub(super) fn open(self, path: &Path, source: Source<'_>, check_payload: bool) -> Result<Bytes, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        // SAFETY: derived files are written under another name and renamed, never changed in place; a store's owner
        // alone may write them.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| e.to_string())?;
        if map.len() < HEADER {
            return Err("shorter than its header".into());
        }
        let payload = &map[HEADER..];
        let mut expected = self.header(source, &[]);
        expected[24..32].copy_from_slice(&(payload.len() as u64).to_le_bytes());
        // Everything up to the payload's hash must be as expected, and nothing may follow it.
        if map[..96] != expected[..96] || map[160..HEADER] != expected[160..] {
            return Err("made from another segment, by another version, or damaged".into());
        }
        if check_payload && map[96..160] != *hex(&Sha256::digest(payload)).as_bytes() {
            return Err("damaged: its contents do not have the hash its header states".into());
        }
        Ok(Bytes::Mapped(map))
    }
}

/// Codes as the kernels read them, with a scale and residual per row.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) dim: usize,
    /// Padded dimensions.
    pub(super) width: usize,
    pub(super) rows: usize,
    bytes: Bytes,
    /// Per row, padded with zeros to whole blocks.
    pub(super) scales: Vec<f32>,
    /// Per row, padded with zeros to whole blocks.
    pub(super) residuals: Vec<f32>,
}

impl Codes {
    /// Bytes of one block.
    pub(super) fn block_size(&self) -> usize {
        self.width * LANES
    }

    /// Blocks, the last one padded with zero codes.
    pub(super) fn blocks(&self) -> &[u8] {
        &self.bytes.get()[..self.rows.div_ceil(LANES) * self.block_size()]
    }

    /// The codes of one row.
    pub(super) fn read(&self, row: usize, codes: &mut [i8]) {
        let size = self.block_size();
        dot::get(&self.blocks()[row / LANES * size..][..size], row % LANES, codes);
    }

    /// The payload of the codes file.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get()
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes.get().len() + (self.scales.capacity() + self.residuals.capacity()) * 4
    }

    fn from_bytes(bytes: Bytes, dim: usize, rows: usize) -> Result<Codes, String> {
        let width = padded(dim);
        let lanes = rows.div_ceil(LANES) * LANES;
        let blocks = lanes * width;
        if bytes.get().len() != blocks + lanes * 8 {
            return Err("of another length than its rows need".into());
        }
        let floats = |range: std::ops::Range<usize>| -> Vec<f32> {
            bytes.get()[range].as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
        };
        let scales = floats(blocks..blocks + lanes * 4);
        let residuals = floats(blocks + lanes * 4..blocks + lanes * 8);
        Ok(Codes { dim, width, rows, bytes, scales, residuals })
    }

    pub(super) fn open(path: &Path, source: Source<'_>) -> Result<Codes, String> {
        Codes::from_bytes(CODES.open(path, source, true)?, source.dim, source.rows)
    }
}

/// Masters by row.
#[derive(Debug)]
pub(super) struct Masters {
    dim: usize,
    stride: usize,
    bytes: Bytes,
}

/// Bytes of a row of masters: the values, a checksum, padding.
fn master_stride(dim: usize) -> usize {
    (dim * 2 + 4).next_multiple_of(8)
}

/// A checksum against chance, of a row at its place: masters of two rows exchanged are damage too.
fn checksum(row: usize, bytes: &[u8]) -> u32 {
    let mut state = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    for &word in words.iter().chain([&last]) {
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        state ^= state >> 32;
    }
    state as u32
}

impl Masters {
    pub(super) fn open(path: &Path, source: Source<'_>) -> Result<Masters, String> {
        let bytes = MASTERS.open(path, source, false)?;
        let stride = master_stride(source.dim);
        if bytes.get().len() != source.rows * stride {
            return Err("of another length than its rows need".into());
        }
        Ok(Masters { dim: source.dim, stride, bytes })
    }

    /// Reads one row's master; `None` when its checksum is wrong.
    pub(super) fn read(&self, row: usize, into: &mut Vec<f16>) -> Option<()> {
        let bytes = &self.bytes.get()[row * self.stride..][..self.stride];
        let (values, rest) = bytes.split_at(self.dim * 2);
        if rest[..4] != checksum(row, values).to_le_bytes() {
            return None;
        }
        into.clear();
        into.extend(values.as_chunks::<2>().0.iter().map(|&b| f16::from_le_bytes(b)));
        Some(())
    }

    /// The payload of the masters file.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get()
    }

    /// Bytes of memory that are not backed by a file.
    pub(super) fn memory(&self) -> usize {
        if let Bytes::Owned(bytes) = &self.bytes { bytes.len() } else { 0 }
    }
}

/// Collects the templates of a segment into both derived forms.
#[derive(Debug)]
pub(super) struct Builder {
    dim: usize,
    rows: usize,
    blocks: Vec<u8>,
    scales: Vec<f32>,
    residuals: Vec<f32>,
    masters: Vec<u8>,
}

impl Builder {
    pub(super) fn new(dim: usize, rows: usize) -> Builder {
        let lanes = rows.next_multiple_of(LANES);
        Builder {
            dim,
            rows: 0,
            blocks: Vec::with_capacity(lanes * padded(dim) + lanes * 8),
            scales: Vec::with_capacity(lanes),
            residuals: Vec::with_capacity(lanes),
            masters: Vec::with_capacity(rows * master_stride(dim)),
        }
    }

    pub(super) fn push(&mut self, template: &Template) {
        let size = padded(self.dim) * LANES;
        let lane = self.rows % LANES;
        if lane == 0 {
            self.blocks.resize(self.blocks.len() + size, ZERO);
        }
        let start = self.blocks.len() - size;
        dot::put(&mut self.blocks[start..], lane, &template.codes);
        self.scales.push(template.scale);
        self.residuals.push(template.residual);
        let start = self.masters.len();
        self.masters.extend(template.master.iter().flat_map(|v| v.to_le_bytes()));
        let sum = checksum(self.rows, &self.masters[start..]);
        self.masters.extend(sum.to_le_bytes());
        self.masters.resize(start + master_stride(self.dim), 0);
        self.rows += 1;
    }

    pub(super) fn finish(mut self) -> Result<(Codes, Masters)> {
        let lanes = self.rows.next_multiple_of(LANES);
        self.scales.resize(lanes, 0.0);
        self.residuals.resize(lanes, 0.0);
        let (dim, rows) = (self.dim, self.rows);
        self.blocks.extend(self.scales.iter().chain(&self.residuals).flat_map(|v| v.to_le_bytes()));
        let codes = Codes::from_bytes(Bytes::Owned(self.blocks), dim, rows);
        let codes = codes.map_err(|e| Error::bug("laying out codes", e))?;
        let masters = Masters { dim, stride: master_stride(dim), bytes: Bytes::Owned(self.masters) };
        Ok((codes, masters))
    }
}

/// Writes both derived files of a segment from what a builder made.
pub(super) fn write_both(paths: [&Path; 2], source: Source<'_>, codes: &Codes, masters: &Masters) -> Result<()> {
    CODES.write(paths[0], source, &[codes.bytes.get()])?;
    MASTERS.write(paths[1], source, &[masters.bytes.get()])
}
