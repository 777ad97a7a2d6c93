//! A first look at a Parquet footer, before the reader builds a schema from it.
//!
//! The reader turns the list of schema elements into a tree by recursion, and so do those who convert it to Arrow: a schema
//! nested thousands deep, in a file of a few kilobytes, would overflow the stack, which no handler catches. It also makes
//! room for as many children as an element claims. And it reads an encrypted column without noticing, as damage. All of this
//! can be told from the footer's bytes (Thrift compact protocol; `parquet.thrift`, FileMetaData) without recursion.

use std::collections::BTreeSet;

use crate::objects::InputFile;

/// Groups in groups: what writers make of tables of tables ends near ten.
pub const MAX_DEPTH: usize = 64;
/// Structures in structures besides the schema, as deep as the format itself goes twice over.
const MAX_STRUCTS: usize = 32;

/// What the footer says that the reader does not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FooterScan {
    /// Columns (leaves, counted from 0) that are encrypted in any row group.
    pub encrypted: BTreeSet<usize>,
}

/// Looks at the footer of a file that ends as Parquet does.
///
/// # Errors
/// What is wrong with it, in words; the system's error where the file cannot be read.
pub fn scan(file: &InputFile, size: u64) -> std::io::Result<Result<FooterScan, String>> {
    if size < 12 {
        return Ok(Err(format!("{size} bytes")));
    }
    let tail = file.bytes_at(size - 8, 8)?;
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if length + 12 > size {
        return Ok(Err(format!("a footer of {length} bytes in a file of {size}")));
    }
    let bytes = file.bytes_at(size - 8 - length, length as usize)?;
    Ok(scan_bytes(&bytes))
}

fn scan_bytes(bytes: &[u8]) -> Result<FooterScan, String> {
    let mut found = FooterScan::default();
    let mut input = Compact { rest: bytes };
    input.fields(&mut |input, id, kind| match (id, kind) {
        (2, LIST) => input.schema(),
        (4, LIST) => input.list(&mut |input| input.row_group(&mut found.encrypted)),
        _ => input.skip(kind, 0),
    })?;
    Ok(found)
}

/// Types of the compact protocol.
const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
pub(super) const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// Bytes of the compact protocol, read from the front.
pub(super) struct Compact<'a> {
    pub(super) rest: &'a [u8],
}

/// What is done with a field, given its id and type.
pub(super) type OnField<'f, 'a> = &'f mut dyn FnMut(&mut Compact<'a>, i64, u8) -> Result<(), String>;

impl<'a> Compact<'a> {
    fn byte(&mut self) -> Result<u8, String> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or("a footer that ends early")?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A variable-length integer of at most ten bytes.
    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number without an end".into())
    }

    pub(super) fn zigzag(&mut self) -> Result<i64, String> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The fields of a structure.
    pub(super) fn fields(&mut self, each: OnField<'_, 'a>) -> Result<(), String> {
        let mut id = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => self.zigzag()?,
                step => id + i64::from(step),
            };
            each(self, id, head & 15)?;
        }
    }

    /// Element type and length of a list.
    fn list_head(&mut self) -> Result<(u8, u64), String> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        // Every element takes a byte at least.
        match length <= self.rest.len() as u64 {
            true => Ok((head & 15, length)),
            false => Err(format!("a list of {length} in the {} bytes that are left", self.rest.len())),
        }
    }

    /// A list of structures, each read by `each`.
    fn list(&mut self, each: &mut dyn FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        match self.list_head()? {
            (STRUCT, length) => (0..length).try_for_each(|_| each(self)),
            (_, 0) => Ok(()),
            (other, _) => Err(format!("a list of type {other} where structures must be")),
        }
    }

    pub(super) fn skip(&mut self, kind: u8, depth: usize) -> Result<(), String> {
        if depth > MAX_STRUCTS {
            return Err(format!("structures nested more than {MAX_STRUCTS} deep"));
        }
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.take(1).map(drop),
            I16..=I64 => self.varint().map(drop),
            DOUBLE => self.take(8).map(drop),
            UUID => self.take(16).map(drop),
            BINARY => {
                let length = self.varint()?;
                self.take(usize::try_from(length).unwrap_or(usize::MAX)).map(drop)
            }
            LIST | SET => {
                let (element, length) = self.list_head()?;
                (0..length).try_for_each(|_| self.skip_element(element, depth))
            }
            MAP => match self.varint()? {
                0 => Ok(()),
                length => {
                    let kinds = self.byte()?;
                    (0..length).try_for_each(|_| {
                        self.skip_element(kinds >> 4, depth)?;
                        self.skip_element(kinds & 15, depth)
                    })
                }
            },
            STRUCT => self.fields(&mut |input, _, kind| input.skip(kind, depth + 1)),
            other => Err(format!("a field of type {other}")),
        }
    }

    /// In a list a truth value takes a byte; as a field it is in its head.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Result<(), String> {
        match kind {
            TRUE | FALSE => self.take(1).map(drop),
            other => self.skip(other, depth + 1),
        }
    }

    /// The schema: elements in depth-first order, each with the number of its children.
    fn schema(&mut self) -> Result<(), String> {
        // Children that are still to come, of each group that is open.
        let mut open: Vec<u64> = Vec::new();
        let (_, all) = Compact { rest: self.rest }.list_head()?;
        self.list(&mut |input| {
            let mut children = 0;
            input.fields(&mut |input, id, kind| match (id, kind) {
                (5, I16..=I64) => {
                    children = input.zigzag()?;
                    Ok(())
                }
                _ => input.skip(kind, 0),
            })?;
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            match u64::try_from(children) {
                Ok(children) if children <= all => open.push(children),
                _ => return Err(format!("a group of {children} columns in a schema of {all}")),
            }
            while open.last() == Some(&0) {
                open.pop();
            }
            match open.len() <= MAX_DEPTH {
                true => Ok(()),
                false => Err(format!("columns nested more than {MAX_DEPTH} deep")),
            }
        })
    }

    /// Notes the columns with `crypto_metadata`.
    fn row_group(&mut self, encrypted: &mut BTreeSet<usize>) -> Result<(), String> {
        self.fields(&mut |input, id, kind| match (id, kind) {
            (1, LIST) => {
                let mut column = 0;
                input.list(&mut |input| {
                    input.fields(&mut |input, id, kind| {
                        if id == 8 && kind == STRUCT {
                            encrypted.insert(column);
                        }
                        input.skip(kind, 0)
                    })?;
                    column += 1;
                    Ok(())
                })
            }
            _ => input.skip(kind, 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The footer of a schema with `depth` groups in each other and one column of numbers in the innermost.
    fn nested(depth: usize) -> Vec<u8> {
        // FileMetaData: version 1; schema: a list of depth + 2 structures.
        let mut bytes = vec![0x15, 2, 0x19, 0xfc];
        let mut count = depth + 2;
        while count >= 0x80 {
            bytes.push(count as u8 | 0x80);
            count >>= 7;
        }
        bytes.push(count as u8);
        // name (4), num_children (5) = 1, after repetition (3) = optional but in the root.
        bytes.extend([0x48, 1, b'r', 0x15, 2, 0]);
        for _ in 0..depth {
            bytes.extend([0x35, 2, 0x18, 1, b'g', 0x15, 2, 0]);
        }
        bytes.extend([0x15, 2, 0x25, 2, 0x18, 1, b'x', 0]);
        // num_rows, no row groups.
        bytes.extend([0x16, 0, 0x19, 0x0c, 0]);
        bytes
    }

    #[test]
    fn a_schema_is_read_down_to_a_depth_and_no_further() {
        assert_eq!(scan_bytes(&nested(3)), Ok(FooterScan::default()));
        assert_eq!(scan_bytes(&nested(MAX_DEPTH - 1)), Ok(FooterScan::default()));
        for depth in [MAX_DEPTH, 1600, 1_000_000] {
            assert!(scan_bytes(&nested(depth)).unwrap_err().contains("64 deep"), "{depth}");
        }
    }

    #[test]
    fn claims_that_cannot_be_are_refused() {
        // A group of 2^31 - 1 columns: the reader would make room for all of them.
        let mut claims = nested(1);
        let root = claims[5..].windows(2).position(|pair| pair == [0x15, 2]).unwrap() + 5;
        claims.splice(root + 1..root + 2, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        assert!(scan_bytes(&claims).unwrap_err().contains("a group of 2147483647"));
        assert!(scan_bytes(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0x7f]).unwrap_err().contains("a list of"));
        // Lists in lists.
        let deep = [&[0x19][..], &[0x19; 10_000], &[0]].concat();
        assert!(scan_bytes(&deep).unwrap_err().contains("nested"));
        for cut in 0..nested(2).len() {
            assert!(scan_bytes(&nested(2)[..cut]).is_err(), "{cut}");
        }
    }
}
