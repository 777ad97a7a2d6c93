//! Tables that people take away: CSV that spreadsheets open in any language, and XLSX workbooks.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rust_xlsxwriter::{Format, Workbook, XlsxError};

use crate::output::write_durably;
use crate::{Error, Result};

/// Letters of a cell, and rows of a sheet, that a workbook can hold.
const MOST_LETTERS: usize = 32_767;
const MOST_ROWS: usize = 1_048_575;

/// Letters of a sheet's name.
const MOST_NAME: usize = 31;

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number.
    Number(f64),
    /// Nothing.
    Blank,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        if text.is_empty() { Cell::Blank } else { Cell::Text(text.to_owned()) }
    }
}

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// Its name.
    pub name: String,
    /// Names of its columns.
    pub header: Vec<String>,
    /// Its rows, each as long as the header.
    pub rows: Vec<Vec<Cell>>,
}

/// What a file's ending asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SheetFormat {
    /// Comma-separated, UTF-8 with a byte order mark.
    Csv,
    /// A workbook.
    Xlsx,
}

impl SheetFormat {
    /// By the ending of a path; `None` for any other.
    pub fn by_ending(path: &Path) -> Option<SheetFormat> {
        let ending = path.extension()?.to_str()?;
        match () {
            () if ending.eq_ignore_ascii_case("csv") => Some(SheetFormat::Csv),
            () if ending.eq_ignore_ascii_case("xlsx") => Some(SheetFormat::Xlsx),
            () => None,
        }
    }
}

impl Sheet {
    /// A table of columns; times as ISO 8601, lists joined by spaces.
    ///
    /// # Errors
    /// [`Error::Bug`] for a column of a type that has no words.
    pub fn of_columns(name: &str, columns: &[(&str, ArrayRef)]) -> Result<Sheet> {
        let failed = |error| Error::bug("writing a sheet", error);
        let length = columns.first().map_or(0, |(_, column)| column.len());
        let mut rows: Vec<Vec<Cell>> = vec![Vec::with_capacity(columns.len()); length];
        for (_, column) in columns {
            let is_number = column.data_type().is_numeric();
            let numbers = is_number.then(|| cast(column, &DataType::Float64)).transpose().map_err(failed)?;
            let options = FormatOptions::default();
            // Arrow knows no zone by name, and UTC is one.
            let in_utc = column.as_primitive_opt::<TimestampMicrosecondType>();
            let in_utc = in_utc.map(|times| times.clone().with_timezone("+00:00"));
            let column: &dyn Array = in_utc.as_ref().map_or(column.as_ref(), |times| times);
            let words = ArrayFormatter::try_new(column, &options).map_err(failed)?;
            for (at, row) in rows.iter_mut().enumerate() {
                row.push(match (&numbers, column.as_list_opt::<i32>()) {
                    _ if column.is_null(at) => Cell::Blank,
                    (Some(numbers), _) => Cell::Number(numbers.as_primitive::<Float64Type>().value(at)),
                    (None, Some(list)) => Cell::from(joined(&list.value(at)).as_str()),
                    (None, None) => Cell::from(words.value(at).to_string().as_str()),
                });
            }
        }
        let header = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Ok(Sheet { name: name.to_owned(), header, rows })
    }
}

fn joined(items: &ArrayRef) -> String {
    let texts = items.as_string_opt::<i32>().into_iter().flatten().flatten();
    texts.collect::<Vec<_>>().join(" ")
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

/// CSV without a cell that a spreadsheet takes for a formula.
///
/// # Errors
/// [`Error::Bug`] when it is no CSV.
pub fn without_formulas(text: &[u8]) -> Result<String> {
    let failed = |error: csv::Error| Error::bug("writing CSV", error);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in reader.records() {
        writer.write_record(record.map_err(failed)?.iter().map(harmless)).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::bug("writing CSV", error))?;
    String::from_utf8(bytes).map_err(|error| Error::bug("writing CSV", error))
}

/// A table as CSV with a byte order mark, by which Excel knows that it is UTF-8.
///
/// # Errors
/// [`Error::Bug`] when it cannot be written.
pub fn csv(sheet: &Sheet) -> Result<Vec<u8>> {
    let failed = |error: csv::Error| Error::bug("writing CSV", error);
    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    writer.write_record(&sheet.header).map_err(failed)?;
    for row in &sheet.rows {
        let cells = row.iter().map(|cell| match cell {
            Cell::Text(text) => harmless(text),
            Cell::Number(number) => number.to_string(),
            Cell::Blank => String::new(),
        });
        writer.write_record(cells).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Error::bug("writing CSV", error))
}

/// Tables as one workbook, a sheet each: heads stay in sight, rows can be filtered.
///
/// # Errors
/// [`Error::Usage`] for a table with more rows than a sheet can hold, [`Error::Bug`] when it cannot be written.
pub fn xlsx(sheets: &[Sheet]) -> Result<Vec<u8>> {
    if let Some(sheet) = sheets.iter().find(|sheet| sheet.rows.len() > MOST_ROWS) {
        let problem = format!("{} rows in {}; a sheet holds {MOST_ROWS}", sheet.rows.len(), sheet.name);
        return Err(Error::usage("XLSX", problem, "write CSV or Parquet instead"));
    }
    workbook(sheets).map_err(|error| Error::bug("writing XLSX", error))
}

fn workbook(sheets: &[Sheet]) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let head = Format::new().set_bold();
    for (number, sheet) in sheets.iter().enumerate() {
        let page = book.add_worksheet();
        page.set_name(sheet_name(number, &sheet.name))?;
        for (column, name) in (0u16..).zip(&sheet.header) {
            page.write_string_with_format(0, column, name, &head)?;
        }
        for (at, row) in (1u32..).zip(&sheet.rows) {
            for (column, cell) in (0u16..).zip(row) {
                match cell {
                    Cell::Text(text) => {
                        page.write_string(at, column, text.chars().take(MOST_LETTERS).collect::<String>())?;
                    }
                    Cell::Number(number) if number.is_finite() => {
                        page.write_number(at, column, *number)?;
                    }
                    Cell::Number(_) | Cell::Blank => {}
                }
            }
        }
        page.set_freeze_panes(1, 0)?;
        if let (Some(last), true) =
            (u16::try_from(sheet.header.len()).ok().and_then(|n| n.checked_sub(1)), !sheet.rows.is_empty())
        {
            page.autofilter(0, 0, sheet.rows.len() as u32, last)?;
        }
        page.autofit();
    }
    book.save_to_buffer()
}

/// A name that a workbook allows, and that no other sheet has.
fn sheet_name(number: usize, name: &str) -> String {
    let plain: String = name.chars().map(|letter| if "[]:*?/\\'".contains(letter) { ' ' } else { letter }).collect();
    let numbered = format!("{} {}", number + 1, plain.trim());
    numbered.chars().take(MOST_NAME).collect()
}

/// Writes one table as the ending of the path says.
///
/// # Errors
/// As [`csv`] and [`xlsx`]; [`Error::Io`] when the disk refuses.
pub fn write(path: &Path, kind: SheetFormat, sheet: &Sheet) -> Result<()> {
    let bytes = match kind {
        SheetFormat::Csv => csv(sheet)?,
        SheetFormat::Xlsx => xlsx(std::slice::from_ref(sheet))?,
    };
    write_durably(path, &bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn sheet() -> Sheet {
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("उज्जैन, \"म.प्र.\""), Some("=1+1"), None]));
        let counts: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(-2)]));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, 1, 2]).with_timezone("UTC"));
        Sheet::of_columns("ज़िले/a", &[("name", names), ("count", counts), ("at", times)]).unwrap()
    }

    #[test]
    fn csv_is_known_for_utf8_and_holds_no_formula() {
        let bytes = csv(&sheet()).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "\u{feff}name,count,at");
        assert_eq!(lines[1], "\"उज्जैन, \"\"म.प्र.\"\"\",3,1970-01-01T00:00:00Z");
        assert!(lines[2].starts_with("'=1+1,,") && lines[3].starts_with(",-2,"), "{text}");
    }

    #[test]
    fn formulas_are_texts_and_numbers_stay() {
        let text = "id,n\n=cmd|' /C calc'!A0,-2.5\n\"@a,b\",+919826012345\n";
        let plain = "id,n\n'=cmd|' /C calc'!A0,-2.5\n\"'@a,b\",+919826012345\n";
        assert_eq!(without_formulas(text.as_bytes()).unwrap(), plain);
        assert_eq!(without_formulas(b"").unwrap(), "");
    }

    #[test]
    fn a_workbook_has_its_sheets_and_words() {
        let bytes = xlsx(&[sheet(), sheet()]).unwrap();
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        let mut text = |name: &str| {
            let mut text = String::new();
            zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        let book = text("xl/workbook.xml");
        assert!(book.contains("name=\"1 ज़िले a\"") && book.contains("name=\"2 ज़िले a\""), "{book}");
        assert!(text("xl/sharedStrings.xml").contains("=1+1"), "a text, not a formula");
        assert!(!text("xl/worksheets/sheet1.xml").contains("<f>"));
    }

    #[test]
    fn the_ending_says_what_is_written() {
        let kinds = ["a.csv", "a.XLSX", "a.parquet", "a"].map(|name| SheetFormat::by_ending(Path::new(name)));
        assert_eq!(kinds, [Some(SheetFormat::Csv), Some(SheetFormat::Xlsx), None, None]);
    }
}
