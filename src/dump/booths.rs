//! The optional table of polling booths: in which district each one lies.
//!
//! A CSV file with a header, or Parquet; columns `booth_id` and `district`, anything else is left alone. Booth numbers
//! start again in every constituency, so one id may stand in several rows with different districts: a row of the dump
//! is then right in any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::cells::{cut, texts};
use super::facts::folded;
use super::partitions::DumpFile;
use super::regular::regular;
use super::schema::{Kind, Wanted};
use super::table::{Chunk, Row, Table};
use super::times::Clock;
use crate::objects::InputFile;
use crate::{Error, Result};

const COLUMNS: [&str; 2] = ["booth_id", "district"];

/// The booths of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Booths {
    districts: BTreeMap<String, BTreeSet<String>>,
}

/// Where a booth lies, seen from a row of the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoothPlace {
    /// In the row's district.
    Inside,
    /// In other districts only.
    Outside,
    /// The table does not list it, or the row names no booth or no district.
    Unlisted,
}

impl Booths {
    /// Reads the table whole; a state has about seventy thousand booths. Rows without a booth or a district are left
    /// out.
    ///
    /// # Errors
    /// [`Error::Input`] when the file cannot be read as CSV or Parquet, lacks a column, or holds no booth.
    pub fn read(path: &Path) -> Result<Booths> {
        regular(path)?;
        let csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        let rows = if csv { read_csv(path)? } else { read_parquet(path)? };
        let mut booths = Booths::default();
        for (booth, district) in rows {
            booths.insert(&booth, &district);
        }
        if booths.districts.is_empty() {
            return Err(refuse(path, "rows", "at least one booth with its district", "none".into()));
        }
        Ok(booths)
    }

    /// Adds one booth; blank texts are left out.
    pub fn insert(&mut self, booth_id: &str, district: &str) {
        let (booth, district) = (folded(booth_id), folded(district));
        if !booth.is_empty() && !district.is_empty() {
            self.districts.entry(booth).or_default().insert(district);
        }
    }

    /// How many booths are listed.
    pub fn len(&self) -> usize {
        self.districts.len()
    }

    /// Whether no booth is listed.
    pub fn is_empty(&self) -> bool {
        self.districts.is_empty()
    }

    /// Where a row's booth lies. Case and spaces do not matter.
    pub fn place(&self, booth_id: Option<&str>, district: Option<&str>) -> BoothPlace {
        let (Some(booth), Some(district)) = (booth_id, district) else { return BoothPlace::Unlisted };
        match self.districts.get(&folded(booth)) {
            None => BoothPlace::Unlisted,
            Some(districts) if districts.contains(&folded(district)) => BoothPlace::Inside,
            Some(_) => BoothPlace::Outside,
        }
    }
}

fn refuse(path: &Path, item: &str, expected: &str, found: String) -> Error {
    let fix = "give a table with the columns booth_id and district, as CSV with a header or as Parquet";
    Error::input(path, item, expected, found, fix)
}

fn read_csv(path: &Path) -> Result<Vec<(String, String)>> {
    let broken = |e: csv::Error| refuse(path, "CSV", "lines of as many fields as the header", e.to_string());
    let file = InputFile::open(path).and_then(|file| file.reader(0)).map_err(Error::io("open", path))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().map_err(broken)?.clone();
    // Spreadsheets begin UTF-8 files with a byte order mark.
    let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}')).collect();
    let place = |column: &str| {
        names.iter().position(|name| *name == column).ok_or_else(|| {
            refuse(
                path,
                &format!("column `{column}`"),
                "a column of this name",
                format!("columns {}", names.join(", ")),
            )
        })
    };
    let (booth, district) = (place(COLUMNS[0])?, place(COLUMNS[1])?);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let field = |at: usize| cut(record.get(at).unwrap_or_default().into());
        rows.push((field(booth), field(district)));
    }
    Ok(rows)
}

fn read_parquet(path: &Path) -> Result<Vec<(String, String)>> {
    let wanted = COLUMNS.map(|name| Wanted { name, source: name.to_owned(), required: true, kind: Kind::Text });
    let table =
        Arc::new(Table::open(&[DumpFile { path: path.to_path_buf(), root: None }], &wanted, &Clock::default())?);
    let mut rows = Vec::new();
    for batch in table.batches::<BoothRow>(4096, 64 << 20, 0) {
        rows.extend(batch?.into_iter().map(|row| (row.0, row.1)));
    }
    Ok(rows)
}

/// One row of a Parquet table of booths; a null is blank.
#[derive(Debug)]
struct BoothRow(String, String);

impl Row for BoothRow {
    fn from_chunk(chunk: &Chunk) -> Result<Vec<Self>> {
        let text = |at: usize| chunk.cells(at, texts, |folder| Some(cut(folder.into())));
        let rows = text(0)?.into_iter().zip(text(1)?);
        Ok(rows.map(|(booth, district)| BoothRow(booth.unwrap_or_default(), district.unwrap_or_default())).collect())
    }

    fn bytes(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Booths> {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join(name);
        std::fs::write(&path, text).unwrap();
        Booths::read(&path)
    }

    #[test]
    fn a_booth_lies_where_the_table_says() {
        let text =
            "\u{feff}booth_id,name,district\nB 1, School ,Ujjain\nB 2,Hall,Indore\nB 1,Tank,DEWAS\n,x,y\nB3,z,\n";
        let booths = read("booths.csv", text).unwrap();
        assert_eq!(booths.len(), 2);
        assert_eq!(booths.place(Some(" b  1"), Some("UJJAIN")), BoothPlace::Inside);
        assert_eq!(booths.place(Some("B 1"), Some("Dewas ")), BoothPlace::Inside);
        assert_eq!(booths.place(Some("B 1"), Some("Indore")), BoothPlace::Outside);
        assert_eq!(booths.place(Some("B 9"), Some("Indore")), BoothPlace::Unlisted);
        assert_eq!(booths.place(None, Some("Indore")), BoothPlace::Unlisted);
        assert_eq!(booths.place(Some("B 1"), None), BoothPlace::Unlisted);
    }

    #[test]
    fn a_table_that_cannot_be_used_is_refused() {
        for (text, said) in [
            ("booth,district\nB1,Ujjain\n", "column `booth_id`"),
            ("booth_id,district\n", "at least one booth"),
            ("booth_id,district\nB1\n", "CSV"),
        ] {
            let message = read("booths.csv", text).unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
        }
        assert!(read("booths.parquet", "booth_id,district\n").is_err());
        assert!(Booths::read(Path::new("/nowhere/booths.csv")).is_err());
    }

    #[test]
    fn parquet_says_the_same() {
        use arrow::array::{ArrayRef, RecordBatch, StringArray};
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("booths.parquet");
        let ids: ArrayRef = Arc::new(StringArray::from(vec![Some("B1"), None, Some("B2")]));
        let districts: ArrayRef = Arc::new(StringArray::from(vec![Some("Ujjain"), Some("Indore"), Some("Indore")]));
        let batch = RecordBatch::try_from_iter([("district", districts), ("booth_id", ids)]).unwrap();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let booths = Booths::read(&path).unwrap();
        assert_eq!(booths.len(), 2);
        assert_eq!(booths.place(Some("B1"), Some("Indore")), BoothPlace::Outside);
    }
}
