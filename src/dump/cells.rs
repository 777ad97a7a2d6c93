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
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit, UInt64Type};

use sha2::{Digest, Sha256};

use super::encoded;
use super::schema::PICTURE_BYTES;
use super::times::{Clock, number_since_1970};
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
    let written = written_pictures(column)?;
    // What was written as base64 or hex is the bytes that it stands for.
    let decoded = |blob: Blob| encoded::decoded(&blob).map_or(blob, |bytes| Blob(Buffer::from(bytes)));
    Ok(written.into_iter().map(|cell| cell.map(decoded)).collect())
}

fn written_pictures(column: &ArrayRef) -> Result<Vec<Option<Blob>>> {
    match column.data_type() {
        DataType::Struct(_) => {
            let unread = || unread("a picture", column.data_type());
            let bytes = column.as_struct().column_by_name(PICTURE_BYTES).ok_or_else(unread)?;
            let views = cast(bytes, &DataType::BinaryView).map_err(|_| unread())?;
            let mut cells = written_pictures(&views)?;
            cells.iter_mut().enumerate().filter(|(row, _)| column.is_null(*row)).for_each(|(_, cell)| *cell = None);
            Ok(cells)
        }
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

/// A text without what nobody sees at its ends: white space of every width, no-break and zero-width characters, marks of
/// direction, byte-order marks, NUL (fixed-width columns are filled with it) and other control characters.
pub fn trimmed(text: &str) -> &str {
    let is_unseen = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.trim_matches(is_unseen)
}

/// Strings, one per row, as written but [`trimmed`] and no longer than [`MAX_TEXT`] (see [`cut`]); a blank one is null, and
/// what is not UTF-8 shows as U+FFFD. A number that arrived as floating point or as a decimal with a fraction is a text as far
/// as it is whole and exact; others stay as they print, so that nothing joins to them by mistake.
///
/// # Errors
/// As [`pictures`].
pub fn texts(column: &ArrayRef) -> Result<Vec<Option<String>>> {
    match column.data_type() {
        DataType::BinaryView => Ok(column.as_binary_view().iter().map(|cell| cell.and_then(bytes)).collect()),
        DataType::UInt64 => {
            Ok(column.as_primitive::<UInt64Type>().iter().map(|cell| cell.map(|n| n.to_string())).collect())
        }
        DataType::Decimal128(_, scale) => {
            let unit = 10i128.checked_pow(u32::try_from(*scale).unwrap_or(0));
            let cells = column.as_primitive::<Decimal128Type>();
            let text = |row: usize| match unit {
                Some(unit) if cells.value(row) % unit == 0 => (cells.value(row) / unit).to_string(),
                _ => cells.value_as_string(row),
            };
            Ok((0..cells.len()).map(|row| cells.is_valid(row).then(|| text(row))).collect())
        }
        DataType::Float32 | DataType::Float64 => {
            Ok(doubles(column)?.into_iter().map(|cell| cell.filter(|n| !n.is_nan()).map(|n| n.to_string())).collect())
        }
        DataType::FixedSizeBinary(_) => {
            Ok(column.as_fixed_size_binary().iter().map(|cell| cell.and_then(bytes)).collect())
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

fn doubles(column: &ArrayRef) -> Result<Vec<Option<f64>>> {
    let cells = cast(column, &DataType::Float64).map_err(|e| Error::bug("reading numbers of the dump", e))?;
    Ok(cells.as_primitive::<Float64Type>().iter().collect())
}

/// Bytes as text. Sixteen that are none are a UUID (Parquet's type, and MySQL's `BINARY(16)`).
fn bytes(bytes: &[u8]) -> Option<String> {
    if bytes.len() == 16 && std::str::from_utf8(bytes).is_err() {
        return Some(uuid(bytes));
    }
    let text = String::from_utf8_lossy(bytes);
    let seen = trimmed(&text);
    (!seen.is_empty()).then(|| cut(seen.into()))
}

/// A UUID in the form of RFC 9562: lower case, with hyphens.
fn uuid(sixteen: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in sixteen.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// What a cell that is not null says: a value, or a text that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<T> {
    /// The value.
    Value(T),
    /// The cell as it stands, at most [`MAX_TEXT`] characters.
    Unread(String),
}

impl<T> Said<T> {
    /// The value; what is none is noted under the name of its column.
    pub fn value_or(self, column: &str, unread: &mut Vec<(String, String)>) -> Option<T> {
        match self {
            Said::Value(value) => Some(value),
            Said::Unread(text) => {
                unread.push((column.to_owned(), text));
                None
            }
        }
    }
}

/// Cells of a type, one per row, by what `read` makes of each; what it makes nothing of stays as it prints.
fn said<C: ToString, T>(cells: Vec<Option<C>>, read: impl Fn(&C) -> Option<T>) -> Vec<Option<Said<T>>> {
    let one = |cell: C| read(&cell).map_or_else(|| Said::Unread(cut(cell.to_string().into())), Said::Value);
    cells.into_iter().map(|cell| cell.map(one)).collect()
}

/// Times, one per row, in microseconds since 1970-01-01T00:00:00Z. A time without a zone is taken by the clock, a date as its
/// first moment.
///
/// # Errors
/// As [`pictures`].
pub fn times(column: &ArrayRef, clock: &Clock) -> Result<Vec<Option<Said<i64>>>> {
    let scaled = |zone: &Option<_>, to_micros: fn(i64) -> Option<i64>| -> Result<Vec<Option<Said<i64>>>> {
        let is_local = zone.is_none();
        let micros = |t: &i64| to_micros(*t).and_then(|t| if is_local { clock.from_local_micros(t) } else { Some(t) });
        Ok(said(integers(column)?, micros))
    };
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, zone) => scaled(zone, |t| t.checked_mul(1_000_000)),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => scaled(zone, |t| t.checked_mul(1_000)),
        DataType::Date64 => scaled(&None, |t| t.checked_mul(1_000)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => scaled(zone, Some),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => scaled(zone, |t| Some(t.div_euclid(1_000))),
        DataType::Date32 => {
            let days = cast(column, &DataType::Int32).map_err(|e| Error::bug("reading dates of the dump", e))?;
            let micros = |d: &i64| d.checked_mul(86_400_000_000).and_then(|t| clock.from_local_micros(t));
            Ok(said(integers(&days)?, micros))
        }
        DataType::BinaryView => Ok(said(texts(column)?, |text| clock.parse(text))),
        DataType::Float32 | DataType::Float64 => {
            // A count of seconds may have a fraction, as Python's time.time() does.
            let micros = |n: &f64| match n {
                n if (1e9..1e10).contains(n) => Some((n * 1e6).round() as i64),
                n => number_since_1970(*n as i64).map(|at| at.as_microsecond()),
            };
            Ok(said(doubles(column)?.into_iter().map(|cell| cell.filter(|n| !n.is_nan())).collect(), micros))
        }
        DataType::Null => Ok(vec![None; column.len()]),
        data_type if data_type.is_integer() => {
            Ok(said(integers(column)?, |n| number_since_1970(*n).map(|at| at.as_microsecond())))
        }
        other => Err(unread("a time", other)),
    }
}

/// The time that a text says.
pub fn time(text: &str, clock: &Clock) -> Said<i64> {
    clock.parse(trimmed(text)).map_or_else(|| Said::Unread(cut(text.into())), Said::Value)
}

/// Numbers, one per row; `parse` reads those that are texts. NaN is null, for that is how data frames write it.
///
/// # Errors
/// As [`pictures`].
pub fn numbers(column: &ArrayRef, parse: impl Fn(&str) -> Option<f64>) -> Result<Vec<Option<Said<f64>>>> {
    match column.data_type() {
        DataType::BinaryView => Ok(said(texts(column)?, |text| parse(text))),
        DataType::Null => Ok(vec![None; column.len()]),
        data_type if data_type.is_numeric() => {
            let cells = doubles(column)?.into_iter().map(|cell| cell.filter(|n| !n.is_nan())).collect();
            Ok(said(cells, |n| Some(*n).filter(|n| n.is_finite())))
        }
        other => Err(unread("a number", other)),
    }
}

/// The number that a text says.
pub fn number(text: &str, parse: impl Fn(&str) -> Option<f64>) -> Said<f64> {
    parse(trimmed(text)).map_or_else(|| Said::Unread(cut(text.into())), Said::Value)
}

/// Flags, one per row.
///
/// # Errors
/// As [`pictures`].
pub fn flags(column: &ArrayRef) -> Result<Vec<Option<Said<bool>>>> {
    match column.data_type() {
        DataType::Boolean => Ok(column.as_boolean().iter().map(|cell| cell.map(Said::Value)).collect()),
        DataType::BinaryView => Ok(said(texts(column)?, |text| parse_flag(text))),
        DataType::Null => Ok(vec![None; column.len()]),
        data_type if data_type.is_integer() => {
            let flag = |n: &i64| match n {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            };
            Ok(said(integers(column)?, flag))
        }
        other => Err(unread("yes or no", other)),
    }
}

/// The flag that a text says.
pub fn flag(text: &str) -> Said<bool> {
    parse_flag(text).map_or_else(|| Said::Unread(cut(text.into())), Said::Value)
}

/// Yes or no as people and programs write it in English.
pub fn parse_flag(text: &str) -> Option<bool> {
    match trimmed(text).to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "t" | "1" | "1.0" => Some(true),
        "no" | "n" | "false" | "f" | "0" | "0.0" => Some(false),
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
        let micros = Some(Said::Value(second * 1_000_000));
        let clock = Clock::default();
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
            assert_eq!(times(&column, &clock).unwrap(), std::slice::from_ref(&micros), "{}", column.data_type());
        }
        let date: ArrayRef = Arc::new(Date32Array::from(vec![20_458, -1]));
        let first = clock.parse("2026-01-05").map(Said::Value);
        assert_eq!(times(&date, &clock).unwrap(), [first, Some(Said::Value(-86_400_000_000))]);
        let far: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
        assert_eq!(times(&far, &clock).unwrap(), [Some(Said::Unread(i64::MAX.to_string()))]);
        let counts: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![second])),
            Arc::new(Int64Array::from(vec![second * 1_000])),
            Arc::new(Float64Array::from(vec![second as f64])),
        ];
        for column in counts {
            assert_eq!(times(&column, &clock).unwrap(), std::slice::from_ref(&micros), "{}", column.data_type());
        }
    }

    #[test]
    fn times_before_1970_round_down() {
        let column: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-1]));
        assert_eq!(times(&column, &Clock::default()).unwrap(), [Some(Said::Value(-1))]);
    }

    #[test]
    fn texts_keep_what_can_be_read() {
        let bytes: [&[u8]; 4] = [b"W-17 ", b"  ", b"J\xf6rg", b""];
        let column: ArrayRef = Arc::new(BinaryViewArray::from_iter_values(bytes));
        assert_eq!(texts(&column).unwrap(), [Some("W-17".into()), None, Some("J\u{fffd}rg".into()), None]);
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
        assert_eq!(texts(&column).unwrap(), [Some("18446744073709551615".into())]);
        let column: ArrayRef = Arc::new(Int8Array::from(vec![Some(-7), None]));
        assert_eq!(texts(&column).unwrap(), [Some("-7".into()), None]);
        let decimals = Decimal128Array::from(vec![9_447_012_345]).with_precision_and_scale(20, 0).unwrap();
        assert_eq!(texts(&(Arc::new(decimals) as ArrayRef)).unwrap(), [Some("9447012345".into())]);
        let decimals = Decimal128Array::from(vec![944_701_234_500, 150]).with_precision_and_scale(20, 2).unwrap();
        assert_eq!(texts(&(Arc::new(decimals) as ArrayRef)).unwrap(), [Some("9447012345".into()), Some("1.50".into())]);
        let doubles: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(9_447_012_345.0), Some(f64::NAN), None, Some(0.5)]));
        assert_eq!(texts(&doubles).unwrap(), [Some("9447012345".into()), None, None, Some("0.5".into())]);
        let sixteen: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([[0x9f_u8; 16]].into_iter()).unwrap());
        assert_eq!(texts(&sixteen).unwrap(), [Some("9f9f9f9f-9f9f-9f9f-9f9f-9f9f9f9f9f9f".into())]);
    }

    #[test]
    fn what_nobody_sees_is_taken_from_the_ends_of_a_text() {
        for text in
            ["Pune", "Pune ", "Pune\u{a0}", "\u{feff}Pune", "Pune\0\0", "\u{200b}Pune\u{200e}\u{202f}", "\tPune\r\n"]
        {
            assert_eq!(trimmed(text), "Pune", "{text:?}");
        }
        assert_eq!(trimmed("New\u{a0}Delhi"), "New\u{a0}Delhi");
        assert_eq!(trimmed("\u{200d}\0 "), "");
    }

    #[test]
    fn numbers_are_read_from_every_type_that_writers_use() {
        let text: ArrayRef = Arc::new(BinaryViewArray::from(vec!["12,97".as_bytes(), b"here"]));
        let read = |column: &ArrayRef| numbers(column, |text| text.replace(',', ".").parse().ok()).unwrap();
        let value = Some(Said::Value(12.97));
        assert_eq!(read(&text), [value.clone(), Some(Said::Unread("here".into()))]);
        let doubles: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(12.97), Some(f64::NAN), None, Some(f64::INFINITY)]));
        assert_eq!(read(&doubles), [value.clone(), None, None, Some(Said::Unread("inf".into()))]);
        let decimals = Decimal128Array::from(vec![1297]).with_precision_and_scale(20, 2).unwrap();
        assert_eq!(read(&(Arc::new(decimals) as ArrayRef)), [value]);
        let whole: ArrayRef = Arc::new(Int32Array::from(vec![Some(12), None]));
        assert_eq!(read(&whole), [Some(Said::Value(12.0)), None]);
        assert!(numbers(&(Arc::new(BooleanArray::from(vec![true])) as ArrayRef), |_| None).is_err());
    }

    #[test]
    fn flags_are_yes_no_or_unknown() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(1), Some(2), None]));
        let (yes, no) = (Some(Said::Value(true)), Some(Said::Value(false)));
        assert_eq!(flags(&column).unwrap(), [no.clone(), yes.clone(), Some(Said::Unread("2".into())), None]);
        let words: Vec<&[u8]> = vec![b"YES", b"n", b"True", b"perhaps"];
        let column: ArrayRef = Arc::new(BinaryViewArray::from(words));
        assert_eq!(flags(&column).unwrap(), [yes.clone(), no, yes, Some(Said::Unread("perhaps".into()))]);
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
