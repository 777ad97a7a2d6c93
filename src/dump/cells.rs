//! One column of a batch -> the cells that `chehra` works with.
//!
//! A cell that cannot be what its column says (a date that is none, a name in a broken encoding) is that cell's
//! trouble alone: it becomes null, or keeps what can be read of it, and never ends a run.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimeUnit, UInt64Type};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Buffers this much larger than the pictures that are kept from them are not kept alive: the pictures are copied out.
const SHARED_SLACK: usize = 1 << 20;

/// Bytes of one cell, shared with the batch they came from.
#[derive(Clone)]
pub struct Blob(pub Buffer);

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

/// Pictures, one per row.
///
/// A picture shares the memory of the page it was unpacked from, unless most of that page is other rows': some writers
/// put a thousand pictures into one page, and a single picture would keep all of it in memory.
///
/// # Errors
/// [`Error::Bug`] when the column was read as a type that the schema check lets nobody read.
pub fn pictures(column: &ArrayRef) -> Result<Vec<Option<Blob>>> {
    match column.data_type() {
        DataType::BinaryView => Ok(views(column.as_binary_view())),
        DataType::FixedSizeBinary(_) => {
            let cells = column.as_fixed_size_binary();
            Ok(cells.iter().map(|cell| cell.map(|bytes| Blob(Buffer::from(bytes)))).collect())
        }
        DataType::Null => Ok(vec![None; column.len()]),
        other => Err(unread("a picture", other)),
    }
}

fn views(cells: &BinaryViewArray) -> Vec<Option<Blob>> {
    let buffers = cells.data_buffers();
    let locate = |row: usize| -> Option<(usize, usize, usize)> {
        if cells.is_null(row) {
            return None;
        }
        // The layout of a view: length, then (if over 12) prefix, buffer index, offset, each 32 bits.
        let view = cells.views()[row];
        let length = view as u32 as usize;
        (length > 12).then_some(((view >> 64) as u32 as usize, (view >> 96) as u32 as usize, length))
    };
    let mut used = vec![0usize; buffers.len()];
    for (buffer, _, length) in (0..cells.len()).filter_map(locate) {
        used[buffer] += length;
    }
    let cell = |row: usize| match locate(row) {
        Some((buffer, offset, length)) if buffers[buffer].len() <= 2 * used[buffer] + SHARED_SLACK => {
            Some(Blob(buffers[buffer].slice_with_length(offset, length)))
        }
        _ => cells.is_valid(row).then(|| Blob(Buffer::from(cells.value(row)))),
    };
    (0..cells.len()).map(cell).collect()
}

/// Most characters of a text. Names, ids and places have a tenth of it; whole pages cost time and memory in every row
/// that they are compared with.
pub const MAX_TEXT: usize = 256;
/// Characters of a longer text that stay; the rest of [`MAX_TEXT`] is a mark.
const KEPT: usize = 240;

/// A text of at most [`MAX_TEXT`] characters: a longer one is cut, and ends with `~` and the first 15 hexadecimal digits of
/// the SHA-256 of the whole, so that two long ids stay two.
pub fn cut(text: Cow<'_, str>) -> String {
    // Most texts are told short by their bytes alone.
    if text.len() <= MAX_TEXT || text.char_indices().nth(MAX_TEXT).is_none() {
        return text.into_owned();
    }
    let mark: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).take(8).collect();
    let mut short: String = text.chars().take(KEPT).collect();
    short.push('~');
    short.push_str(&mark[..MAX_TEXT - KEPT - 1]);
    short
}

/// Which rows have a text of more than [`MAX_TEXT`] characters, which [`texts`] cuts.
///
/// # Errors
/// None; as the other readers of a column.
pub fn are_long(column: &ArrayRef) -> Result<Vec<Option<bool>>> {
    let is_long =
        |bytes: &[u8]| bytes.len() > MAX_TEXT && String::from_utf8_lossy(bytes).char_indices().nth(MAX_TEXT).is_some();
    Ok(match column.data_type() {
        DataType::BinaryView => column.as_binary_view().iter().map(|cell| cell.map(is_long)).collect(),
        _ => vec![None; column.len()],
    })
}

/// Strings, one per row, as written but no longer than [`MAX_TEXT`] (see [`cut`]); a blank one is null, and what is not
/// UTF-8 shows as U+FFFD.
///
/// # Errors
/// As [`pictures`].
pub fn texts(column: &ArrayRef) -> Result<Vec<Option<String>>> {
    match column.data_type() {
        DataType::BinaryView => {
            let text = |bytes: &[u8]| {
                let text = String::from_utf8_lossy(bytes);
                (!text.trim().is_empty()).then(|| cut(text))
            };
            Ok(column.as_binary_view().iter().map(|cell| cell.and_then(text)).collect())
        }
        DataType::UInt64 => {
            Ok(column.as_primitive::<UInt64Type>().iter().map(|cell| cell.map(|n| n.to_string())).collect())
        }
        DataType::Decimal128(_, 0) => {
            Ok(column.as_primitive::<Decimal128Type>().iter().map(|cell| cell.map(|n| n.to_string())).collect())
        }
        data_type if data_type.is_integer() => {
            Ok(integers(column)?.into_iter().map(|cell| cell.map(|n| n.to_string())).collect())
        }
        DataType::Null => Ok(vec![None; column.len()]),
        other => Err(unread("text", other)),
    }
}

fn integers(column: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let cells = cast(column, &DataType::Int64).map_err(|e| Error::bug("reading integers of the dump", e))?;
    Ok(cells.as_primitive::<Int64Type>().iter().collect())
}

/// Times, one per row, in microseconds since 1970-01-01T00:00:00Z. A time without a zone is taken as UTC, a date as its
/// first moment; what is out of range or is no date is null.
///
/// # Errors
/// As [`pictures`].
pub fn times(column: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let scaled = |to_micros: fn(i64) -> Option<i64>| -> Result<Vec<Option<i64>>> {
        Ok(integers(column)?.into_iter().map(|cell| cell.and_then(to_micros)).collect())
    };
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => scaled(|t| t.checked_mul(1_000_000)),
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => scaled(|t| t.checked_mul(1_000)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => scaled(Some),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => scaled(|t| Some(t.div_euclid(1_000))),
        DataType::Date32 => {
            let days = cast(column, &DataType::Int32).map_err(|e| Error::bug("reading dates of the dump", e))?;
            Ok(integers(&days)?.into_iter().map(|cell| cell.and_then(|d| d.checked_mul(86_400_000_000))).collect())
        }
        DataType::BinaryView => Ok(texts(column)?.into_iter().map(|cell| cell.and_then(|s| parse_time(&s))).collect()),
        DataType::Null => Ok(vec![None; column.len()]),
        other => Err(unread("a time", other)),
    }
}

/// ISO 8601: a date, a date and time, or one with an offset.
pub fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(instant.as_microsecond());
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond())
}

/// Flags, one per row; what is neither yes nor no is null.
///
/// # Errors
/// As [`pictures`].
pub fn flags(column: &ArrayRef) -> Result<Vec<Option<bool>>> {
    match column.data_type() {
        DataType::Boolean => Ok(column.as_boolean().iter().collect()),
        DataType::BinaryView => Ok(texts(column)?.into_iter().map(|cell| cell.and_then(|s| parse_flag(&s))).collect()),
        DataType::Null => Ok(vec![None; column.len()]),
        data_type if data_type.is_integer() => {
            let flag = |n| match n {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            };
            Ok(integers(column)?.into_iter().map(|cell| cell.and_then(flag)).collect())
        }
        other => Err(unread("yes or no", other)),
    }
}

/// Yes or no as people and programs write it in English.
pub fn parse_flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "t" | "1" => Some(true),
        "no" | "n" | "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

fn unread(what: &str, found: &DataType) -> Error {
    Error::bug(format!("reading {what} from the dump"), format!("a column of type {found}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;

    use super::*;

    #[test]
    fn times_of_every_make_agree() {
        let second = 1_767_608_552i64; // 2026-01-05T10:22:32Z
        let micros = Some(second * 1_000_000);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampSecondArray::from(vec![second])),
            Arc::new(TimestampMillisecondArray::from(vec![second * 1_000]).with_timezone("Asia/Kolkata")),
            Arc::new(TimestampMicrosecondArray::from(vec![second * 1_000_000])),
            Arc::new(TimestampNanosecondArray::from(vec![second * 1_000_000_000 + 999])),
            Arc::new(BinaryViewArray::from(vec!["2026-01-05T15:52:32+05:30".as_bytes()])),
            Arc::new(BinaryViewArray::from(vec![" 2026-01-05 10:22:32Z ".as_bytes()])),
            Arc::new(BinaryViewArray::from(vec!["2026-01-05 10:22:32".as_bytes()])),
        ];
        for column in columns {
            assert_eq!(times(&column).unwrap(), [micros], "{}", column.data_type());
        }
        let date: ArrayRef = Arc::new(Date32Array::from(vec![20_458, -1]));
        assert_eq!(times(&date).unwrap(), [parse_time("2026-01-05"), Some(-86_400_000_000)]);
        let far: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
        assert_eq!(times(&far).unwrap(), [None]);
        for bad in ["", "yesterday", "2026-13-01", "05/01/2026", "1767608552"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_before_1970_round_down() {
        let column: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-1]));
        assert_eq!(times(&column).unwrap(), [Some(-1)]);
    }

    #[test]
    fn texts_keep_what_can_be_read() {
        let bytes: [&[u8]; 4] = [b"W-17 ", b"  ", b"J\xf6rg", b""];
        let column: ArrayRef = Arc::new(BinaryViewArray::from_iter_values(bytes));
        assert_eq!(texts(&column).unwrap(), [Some("W-17 ".into()), None, Some("J\u{fffd}rg".into()), None]);
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
        assert_eq!(texts(&column).unwrap(), [Some("18446744073709551615".into())]);
        let column: ArrayRef = Arc::new(Int8Array::from(vec![Some(-7), None]));
        assert_eq!(texts(&column).unwrap(), [Some("-7".into()), None]);
        let decimals = Decimal128Array::from(vec![9_447_012_345]).with_precision_and_scale(20, 0).unwrap();
        assert_eq!(texts(&(Arc::new(decimals) as ArrayRef)).unwrap(), [Some("9447012345".into())]);
    }

    #[test]
    fn flags_are_yes_no_or_unknown() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(1), Some(2), None]));
        assert_eq!(flags(&column).unwrap(), [Some(false), Some(true), None, None]);
        let words: Vec<&[u8]> = vec![b"YES", b"n", b"True", b"perhaps"];
        let column: ArrayRef = Arc::new(BinaryViewArray::from(words));
        assert_eq!(flags(&column).unwrap(), [Some(true), Some(false), Some(true), None]);
    }

    #[test]
    fn a_picture_keeps_no_page_alive_that_is_mostly_others() {
        let big = Buffer::from(vec![7u8; 4 << 20]);
        let view = |offset: u32| make_view(&big[..100], 0, offset);
        let array =
            BinaryViewArray::new(vec![view(0), view(100), make_view(b"tiny", 0, 0)].into(), vec![big.clone()], None);
        let blobs = pictures(&(Arc::new(array) as ArrayRef)).unwrap();
        let within = |blob: &Blob| big.as_slice().as_ptr_range().contains(&blob.as_ptr());
        assert!(blobs.iter().flatten().all(|b| !within(b)));
        assert_eq!(blobs.iter().flatten().map(|b| b.len()).collect::<Vec<_>>(), [100, 100, 4]);

        let whole = BinaryViewArray::new(vec![make_view(&big, 0, 0)].into(), vec![big.clone()], None);
        let blobs = pictures(&(Arc::new(whole) as ArrayRef)).unwrap();
        assert!(within(blobs[0].as_ref().unwrap()), "a picture that fills its page shares it");
    }
}
