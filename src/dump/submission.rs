//! What one row of the dump is to the rest of the program.

use super::cells::{Blob, Said, are_long, cut, flag, flags, number, numbers, pictures, texts, time, times, trimmed};
use super::place::{Axis, Place, degrees, metres};
use super::schema::{Kind, Wanted};
use super::table::{Chunk, Row};
use crate::config::Columns;
use crate::{Error, Result};

/// One row of the dump. A `None` is a null cell (or, for optional columns, an absent column).
#[derive(Debug, Clone)]
pub struct Submission {
    /// Position in the whole dump, from 0, across files in their sorted order.
    pub row: u64,
    /// Everything but the pictures.
    pub facts: RowFacts,
    /// The selfie of worker and member: an encoded picture.
    pub selfie: Option<Blob>,
    /// The member's uploaded photo: an encoded picture.
    pub photo: Option<Blob>,
}

/// What a row says besides its pictures. Texts stand as written; a blank one is `None`.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RowFacts {
    /// Unique id of the submission; the verdict table joins back by it.
    pub submission_id: Option<String>,
    /// The field worker's id.
    pub worker_id: Option<String>,
    /// District of the enrolment.
    pub district: Option<String>,
    /// When the selfie was taken, microseconds since 1970-01-01T00:00:00Z.
    pub captured_at: Option<i64>,
    /// Division the district belongs to.
    pub division: Option<String>,
    /// Party sector.
    pub sector: Option<String>,
    /// Party mandalam.
    pub mandalam: Option<String>,
    /// Polling booth.
    pub booth_id: Option<String>,
    /// Mobile number as typed.
    pub mobile: Option<String>,
    /// Voter-ID (EPIC) number as typed.
    pub epic: Option<String>,
    /// Member's name as typed.
    pub member_name: Option<String>,
    /// Whether the member consented.
    pub consent: Option<bool>,
    /// Where the selfie was taken, as the phone says.
    pub place: Option<Place>,
    /// The phone, by an id of the app's choice.
    pub device_id: Option<String>,
    /// Version of the app.
    pub app_version: Option<String>,
    /// When the submission arrived, microseconds since 1970-01-01T00:00:00Z.
    pub uploaded_at: Option<i64>,
    /// The network by which it came, as the app names it.
    pub network: Option<String>,
    /// Names of the columns whose text was too long and was cut.
    pub cut: Vec<String>,
    /// Cells that say something that cannot be read, each as (name of the column, what it says): the value is `None`.
    pub unread: Vec<(String, String)>,
}

/// The columns of the contract under the names that the dump gives them.
///
/// # Errors
/// [`Error::Usage`] when a required column has no name, or two columns have the same.
pub fn wanted(columns: &Columns) -> Result<Vec<Wanted>> {
    const REQUIRED: [&str; 5] = ["submission_id", "worker_id", "district", "captured_at", "selfie"];
    let wanted: Vec<Wanted> = columns
        .pairs()
        .into_iter()
        .map(|(name, source)| Wanted {
            name,
            source: source.to_owned(),
            required: REQUIRED.contains(&name),
            kind: match name {
                "selfie" | "photo" => Kind::Picture,
                "captured_at" | "uploaded_at" => Kind::Time,
                "latitude" | "longitude" | "accuracy_m" => Kind::Number,
                "consent" => Kind::Flag,
                _ => Kind::Text,
            },
        })
        .collect();
    for (i, column) in wanted.iter().enumerate() {
        let flag = format!("[columns] {}", column.name);
        if column.required && column.source.is_empty() {
            return Err(Error::usage(flag, "is required and has no name", "give its name in the dump in chehra.toml"));
        }
        if let Some(other) = wanted[..i].iter().find(|o| !o.source.is_empty() && o.source == column.source) {
            let problem = format!("is `{}`, and so is {}", column.source, other.name);
            return Err(Error::usage(flag, problem, "give each its own column, or set an optional one to \"\""));
        }
    }
    Ok(wanted)
}

/// The columns of texts, by their places in [`Columns::pairs`].
const TEXTS: [(usize, &str); 13] = [
    (0, "submission_id"),
    (1, "worker_id"),
    (2, "district"),
    (6, "division"),
    (7, "sector"),
    (8, "mandalam"),
    (9, "booth_id"),
    (10, "mobile"),
    (11, "epic"),
    (12, "member_name"),
    (17, "device_id"),
    (18, "app_version"),
    (20, "network"),
];

/// A text that the name of a folder tells.
pub fn from_folder(folder: &str) -> Option<String> {
    let seen = trimmed(folder);
    (!seen.is_empty()).then(|| cut(seen.into()))
}

/// A phone's id, unless it is what systems give where they give none: zeros, a word for nothing, the MAC address that Android
/// shows to every app (02:00:00:00:00:00), the id that all phones of one maker had (9774d56d682e549c).
fn device(id: String) -> Said<String> {
    const NOTHING: [&str; 9] =
        ["null", "none", "nil", "unknown", "undefined", "nan", "na", "020000000000", "9774d56d682e549c"];
    let plain: String = id.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    match NOTHING.contains(&plain.as_str()) || plain.chars().all(|c| c == '0') {
        true => Said::Unread(id),
        false => Said::Value(id),
    }
}

/// 2001-09-09T01:46:40Z, microseconds: an arrival before it comes from a clock that was never set.
const FIRST_ARRIVAL: i64 = 1_000_000_000_000_000;

fn arrival(cell: Said<i64>) -> Said<i64> {
    match cell {
        Said::Value(at) if at < FIRST_ARRIVAL => Said::Unread(at.to_string()),
        cell => cell,
    }
}

impl Row for Submission {
    fn from_chunk(chunk: &Chunk) -> Result<Vec<Self>> {
        let text = |at: usize| chunk.cells(at, texts, from_folder).map(Vec::into_iter);
        let mut cut_columns = vec![Vec::new(); chunk.rows];
        for (at, name) in TEXTS {
            let long = chunk.cells(at, are_long, |_| None)?;
            long.iter().enumerate().filter(|(_, long)| **long == Some(true)).for_each(|(row, _)| {
                cut_columns[row].push(name.to_owned());
            });
        }
        // In the order of `Columns::pairs`, which `the_order_of_columns_is_the_contracts` holds to.
        let (mut submission_id, mut worker_id, mut district) = (text(0)?, text(1)?, text(2)?);
        let clock = &chunk.clock;
        let mut captured_at = chunk.cells(3, |c| times(c, clock), |text| Some(time(text, clock)))?.into_iter();
        let mut selfie = chunk.cells(4, pictures, |_| None)?.into_iter();
        let mut photo = chunk.cells(5, pictures, |_| None)?.into_iter();
        let (mut division, mut sector, mut mandalam, mut booth_id) = (text(6)?, text(7)?, text(8)?, text(9)?);
        let (mut mobile, mut epic, mut member_name) = (text(10)?, text(11)?, text(12)?);
        let mut consent = chunk.cells(13, flags, |text| Some(flag(text)))?.into_iter();
        let numbers = |at: usize, parse: &dyn Fn(&str) -> Option<f64>| {
            chunk.cells(at, |c| numbers(c, parse), |text| Some(number(text, parse))).map(Vec::into_iter)
        };
        let mut latitude = numbers(14, &|text| degrees(text, Axis::Latitude))?;
        let mut longitude = numbers(15, &|text| degrees(text, Axis::Longitude))?;
        let mut accuracy = numbers(16, &metres)?;
        let (mut device_id, mut app_version) = (text(17)?, text(18)?);
        let mut uploaded_at = chunk.cells(19, |c| times(c, clock), |text| Some(time(text, clock)))?.into_iter();
        let mut network = text(20)?;
        let row = |i: usize| {
            let mut unread = Vec::new();
            let captured_at = captured_at.next().flatten().and_then(|cell| cell.value_or("captured_at", &mut unread));
            let consent = consent.next().flatten().and_then(|cell| cell.value_or("consent", &mut unread));
            let (latitude, longitude) = (latitude.next().flatten(), longitude.next().flatten());
            let place = Place::of_cells(latitude, longitude, accuracy.next().flatten(), &mut unread);
            let device_id = device_id.next().flatten().and_then(|id| device(id).value_or("device_id", &mut unread));
            let uploaded_at = uploaded_at.next().flatten().map(arrival);
            let uploaded_at = uploaded_at.and_then(|cell| cell.value_or("uploaded_at", &mut unread));
            let facts = RowFacts {
                submission_id: submission_id.next().flatten(),
                worker_id: worker_id.next().flatten(),
                district: district.next().flatten(),
                captured_at,
                division: division.next().flatten(),
                sector: sector.next().flatten(),
                mandalam: mandalam.next().flatten(),
                booth_id: booth_id.next().flatten(),
                mobile: mobile.next().flatten(),
                epic: epic.next().flatten(),
                member_name: member_name.next().flatten(),
                consent,
                place,
                device_id,
                app_version: app_version.next().flatten(),
                uploaded_at,
                network: network.next().flatten(),
                cut: std::mem::take(&mut cut_columns[i]),
                unread,
            };
            let row = chunk.first_row + i as u64;
            Submission { row, facts, selfie: selfie.next().flatten(), photo: photo.next().flatten() }
        };
        Ok((0..chunk.rows).map(row).collect())
    }

    fn bytes(&self) -> usize {
        self.selfie.as_ref().map_or(0, |b| b.len()) + self.photo.as_ref().map_or(0, |b| b.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_columns_is_the_contracts() {
        let names: Vec<&str> = wanted(&Columns::default()).unwrap().iter().map(|w| w.name).collect();
        let expected = "submission_id worker_id district captured_at selfie photo division sector mandalam booth_id \
                        mobile epic member_name consent latitude longitude accuracy_m device_id app_version uploaded_at \
                        network";
        assert_eq!(names.join(" "), expected);
        assert!(TEXTS.iter().all(|(at, name)| names[*at] == *name));
    }

    #[test]
    fn what_systems_write_where_they_have_no_id_is_no_phone() {
        for id in
            ["0", "00000000-0000-0000-0000-000000000000", "NULL", "02:00:00:00:00:00", "9774d56d682e549c", "n/a", "-"]
        {
            assert_eq!(device(id.to_owned()), Said::Unread(id.to_owned()));
        }
        assert_eq!(device("a1b2".to_owned()), Said::Value("a1b2".to_owned()));
        assert_eq!(arrival(Said::Value(0)), Said::Unread("0".into()), "a clock of 1970");
        assert_eq!(arrival(Said::Value(FIRST_ARRIVAL)), Said::Value(FIRST_ARRIVAL));
    }

    #[test]
    fn a_mapping_that_cannot_be_meant_is_refused() {
        let none = Columns { selfie: String::new(), ..Columns::default() };
        assert!(wanted(&none).unwrap_err().to_string().contains("[columns] selfie"));
        let twice = Columns { photo: "selfie".into(), ..Columns::default() };
        assert!(wanted(&twice).unwrap_err().to_string().contains("and so is selfie"));
        let unread = Columns { photo: String::new(), epic: String::new(), ..Columns::default() };
        assert_eq!(wanted(&unread).unwrap().len(), 21);
    }
}
