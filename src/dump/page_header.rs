//! What a Parquet page says of itself before it is unpacked (Thrift compact protocol; `parquet.thrift`, PageHeader).

use parquet::basic::Encoding;

use super::footer_scan::{Compact, FALSE, STRUCT};

/// A page's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageHeader {
    /// What the page holds.
    pub kind: PageKind,
    /// Bytes in the file.
    pub packed: u64,
    /// Bytes after unpacking, levels included.
    pub unpacked: u64,
    /// CRC-32 of the bytes in the file.
    pub checksum: Option<u32>,
    /// Values, nulls included.
    pub values: u32,
    /// How values are written; `None` for an encoding that nobody knows.
    pub encoding: Option<Encoding>,
    /// How the levels of definition and of repetition are written (version 1 of a data page).
    pub levels: [Option<Encoding>; 2],
    /// Bytes of the header itself.
    pub length: u64,
}

/// What a page holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageKind {
    /// Values and levels, packed together.
    Data,
    /// Values, packed or not, behind levels that are not packed.
    DataV2 {
        /// Rows and nulls.
        rows: u32,
        nulls: u32,
        /// Bytes of the two kinds of levels.
        definition_bytes: u32,
        repetition_bytes: u32,
        /// Whether the values are packed.
        is_packed: bool,
    },
    /// Values that others refer to.
    Dictionary {
        /// Whether they are in order.
        is_sorted: bool,
    },
    /// Anything else; no reader looks at it.
    Other,
}

impl PageHeader {
    /// Whether the page holds the values themselves, one behind the other. A dictionary's are always plain: old writers call
    /// that PLAIN_DICTIONARY.
    pub fn is_plain(&self) -> bool {
        match self.kind {
            PageKind::Dictionary { .. } => {
                matches!(self.encoding, Some(Encoding::PLAIN | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY))
            }
            _ => self.encoding == Some(Encoding::PLAIN),
        }
    }
}

/// Encodings by their numbers.
#[allow(deprecated)] // Files of old writers have it.
fn encoding(number: i64) -> Option<Encoding> {
    Some(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return None,
    })
}

/// Reads a header from the front of some bytes.
///
/// # Errors
/// What is wrong with it, in words; also where the bytes end too early.
pub fn parse(bytes: &[u8]) -> Result<PageHeader, String> {
    let mut input = Compact { rest: bytes };
    // Numbers of the header, and of the structure for its kind, by their ids; absent ones are -1.
    let mut own = [-1i64; 4];
    let mut checksum = None;
    let mut inner = [-1i64; 8];
    let mut kind_of_structure = 0;
    input.fields(&mut |input, id, kind| match (id, kind) {
        (1..=3, 4..=6) => {
            own[id as usize] = input.zigzag()?;
            Ok(())
        }
        (4, 4..=6) => {
            checksum = Some(input.zigzag()? as u32);
            Ok(())
        }
        (5 | 7 | 8, STRUCT) => {
            kind_of_structure = id;
            input.fields(&mut |input, id, kind| match (id, kind) {
                (1..=7, 4..=6) => {
                    inner[id as usize] = input.zigzag()?;
                    Ok(())
                }
                (1..=7, 1 | 2) => {
                    inner[id as usize] = i64::from(kind != FALSE);
                    Ok(())
                }
                _ => input.skip(kind, 1),
            })
        }
        _ => input.skip(kind, 0),
    })?;
    let size = |value: i64, what: &str| u32::try_from(value).map_err(|_| format!("a page of {value} {what}"));
    let kind = match (own[1], kind_of_structure) {
        (0, 5) => PageKind::Data,
        (2, 7) => PageKind::Dictionary { is_sorted: inner[3] == 1 },
        (3, 8) => PageKind::DataV2 {
            rows: size(inner[3], "rows")?,
            nulls: size(inner[2], "nulls")?,
            definition_bytes: size(inner[5], "bytes of levels")?,
            repetition_bytes: size(inner[6], "bytes of levels")?,
            is_packed: inner[7] != 0,
        },
        (0 | 2 | 3, _) => return Err("a page without the header of its kind".into()),
        _ => PageKind::Other,
    };
    let written_as = if matches!(kind, PageKind::DataV2 { .. }) { inner[4] } else { inner[2] };
    Ok(PageHeader {
        values: if kind == PageKind::Other { 0 } else { size(inner[1], "values")? },
        levels: [encoding(inner[3]), encoding(inner[4])],
        packed: size(own[3], "bytes")?.into(),
        unpacked: size(own[2], "bytes unpacked")?.into(),
        checksum,
        length: (bytes.len() - input.rest.len()) as u64,
        kind,
        encoding: encoding(written_as),
    })
}
