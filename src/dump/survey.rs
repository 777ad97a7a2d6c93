//! What is asked of whole columns before any work: a form that no row can be read in must not be found out next morning.
//!
//! A single cell that cannot be read is that row's trouble. A column of them is the dump's: it is refused, quoting a value,
//! or named in a warning at the top of the summary.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;

use super::cells::{Said, texts, times};
use super::partitions::DumpFile;
use super::place::why_no_place;
use super::schema::{Source, Wanted};
use super::submission::RowFacts;
use super::table::{Chunk, FACTS_ROWS, Row, Table};
use super::times::{Clock, DateOrder};
use crate::{Error, Result};

/// One cell in so many may be no time at all: a dump with more of them is not understood.
const MOST_UNREAD: u64 = 100;
/// Rows ahead of now that are worth a word: one in so many.
const MANY: u64 = 20;
/// Clocks of phones differ by so much from ours; microseconds.
const CLOCK_SKEW: i64 = 10 * 60 * 1_000_000;
/// Ids that a message names.
const NAMED: usize = 3;

/// The text of one row's time, where it is a text; what a number says, where that is none.
struct TimeCell(Option<String>);

impl Row for TimeCell {
    fn from_chunk(chunk: &Chunk) -> Result<Vec<Self>> {
        let read = |column: &_| -> Result<Vec<Option<String>>> {
            let column: &arrow::array::ArrayRef = column;
            if column.data_type() == &DataType::BinaryView {
                return texts(column);
            }
            let unread = |cell: Option<Said<i64>>| match cell {
                Some(Said::Unread(text)) => Some(text),
                _ => None,
            };
            Ok(times(column, &chunk.clock)?.into_iter().map(unread).collect())
        };
        Ok(chunk.cells(0, read, |text| Some(text.to_owned()))?.into_iter().map(TimeCell).collect())
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// A value and the row it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Example {
    row: u64,
    text: String,
}

/// What the times of one file look like.
#[derive(Debug, Default)]
struct Look {
    values: u64,
    with_zone: u64,
    without_zone: u64,
    unread: u64,
    first_unread: Option<Example>,
    day_first: Option<Example>,
    month_first: Option<Example>,
    either: Option<Example>,
}

/// Tells from the texts of a column of times in which order day and month stand, and gives the clock that reads them.
///
/// # Errors
/// [`Error::Input`] quoting a value when most cannot be read, when some can be read in two ways, or when files with and
/// without a zone meet and the configuration names none.
pub fn read_times(inputs: &[DumpFile], table: &Table, captured_at: &Wanted, at: usize, clock: &Clock) -> Result<Clock> {
    let mut all = Look::default();
    let mut zoned: Option<(&Path, String)> = None;
    let mut local: Option<(&Path, String)> = None;
    let mut first_either: Option<&Path> = None;
    for (file, input) in table.files.iter().zip(inputs) {
        let look = match &file.plan.sources[at] {
            Source::Absent => continue,
            Source::Folder(_) => look_at(input, captured_at, clock)?,
            Source::Column(column) => match file.plan.arrow.field(file.plan.roots[*column]).data_type() {
                DataType::Timestamp(_, zone) => {
                    let side = if zone.is_some() { &mut zoned } else { &mut local };
                    side.get_or_insert((&file.path, "a timestamp".to_owned()));
                    continue;
                }
                DataType::Date32 | DataType::Date64 => {
                    local.get_or_insert((&file.path, "a date".to_owned()));
                    continue;
                }
                DataType::Null => continue,
                _ => look_at(input, captured_at, clock)?,
            },
        };
        if let Some(example) = &look.first_unread
            && look.unread > 1.max(look.values / MOST_UNREAD)
        {
            let expected = "times that can be read in one way (`2026-11-20 09:00:00+05:30`, `20/11/2026 09:00`)";
            let found = format!(
                "{} in row {} (so {} of {} rows)",
                quoted(&example.text),
                example.row,
                look.unread,
                look.values
            );
            return Err(refused(&file.path, captured_at, expected, found));
        }
        if look.with_zone > 0 {
            zoned.get_or_insert((&file.path, "texts".to_owned()));
        }
        if look.without_zone > 0 {
            local.get_or_insert((&file.path, "texts".to_owned()));
        }
        if look.either.is_some() {
            first_either.get_or_insert(&file.path);
        }
        all.day_first = all.day_first.or(look.day_first);
        all.month_first = all.month_first.or(look.month_first);
        all.either = all.either.or(look.either);
    }
    let first = table.files.first().map_or(Path::new(""), |file| &file.path);
    if let (Some((zoned, _)), Some((local, what)), false) = (&zoned, &local, clock.is_zone_set()) {
        let item = format!("column `{}`", captured_at.source);
        let expected = format!("times with a zone, as in {}", zoned.display());
        let fix = "say in chehra.toml in which zone the others are meant, at its top: time_zone = \"Asia/Kolkata\" (or \"UTC\")";
        return Err(Error::input(local, item, expected, format!("{what} without one"), fix));
    }
    let order = match (all.day_first, all.month_first, all.either) {
        (Some(day), Some(month), _) => {
            let found =
                format!("{} in row {} and {} in row {}", quoted(&day.text), day.row, quoted(&month.text), month.row);
            return Err(refused(first, captured_at, "day and month in one order", found));
        }
        (Some(_), None, _) => Some(DateOrder::DayFirst),
        (None, Some(_), _) => Some(DateOrder::MonthFirst),
        (None, None, Some(either)) => {
            let found = format!("{} in row {}, and no value tells day from month", quoted(&either.text), either.row);
            let file = first_either.unwrap_or(first);
            return Err(refused(file, captured_at, "times that can be read in one way", found));
        }
        (None, None, None) => None,
    };
    let mut clock = clock.clone();
    clock.order = order;
    Ok(clock)
}

fn quoted(text: &str) -> String {
    format!("`{text}`")
}

fn refused(path: &Path, captured_at: &Wanted, expected: &str, found: String) -> Error {
    let fix = "say in chehra.toml, section [columns], how they are written: captured_at_format = \"%d/%m/%Y %H:%M\"";
    Error::input(path, format!("column `{}`", captured_at.source), expected, found, fix)
}

fn look_at(input: &DumpFile, captured_at: &Wanted, clock: &Clock) -> Result<Look> {
    let only = [captured_at.clone()];
    let table = Arc::new(Table::open(std::slice::from_ref(input), &only, clock)?);
    let mut look = Look::default();
    let mut row = 0;
    for batch in table.batches::<TimeCell>(FACTS_ROWS, usize::MAX, 0) {
        for TimeCell(text) in batch? {
            row += 1;
            look.values += 1;
            let Some(text) = text else { continue };
            let example = || Some(Example { row: row - 1, text: text.clone() });
            let Some(reading) = clock.read(&text) else {
                look.unread += 1;
                look.first_unread = look.first_unread.take().or_else(example);
                continue;
            };
            match reading.offset {
                Some(_) => look.with_zone += 1,
                None => look.without_zone += 1,
            }
            let kept = match (reading.order, reading.other) {
                (Some(DateOrder::DayFirst), _) => &mut look.day_first,
                (Some(DateOrder::MonthFirst), _) => &mut look.month_first,
                (None, Some(_)) => &mut look.either,
                (None, None) => continue,
            };
            *kept = kept.take().or_else(example);
        }
    }
    Ok(look)
}

/// What the facts of a whole dump make worth a word.
#[derive(Debug, Default)]
pub struct Survey {
    rows: u64,
    times: u64,
    ahead: u64,
    farthest: i64,
    consents: u64,
    first_consent: Option<String>,
    unread_consents: u64,
    places: u64,
    in_india: u64,
    swapped: u64,
    /// Rows whose cells are no place, by why.
    placeless: BTreeMap<&'static str, u64>,
    arrivals: u64,
    early_arrivals: u64,
    unread_arrivals: u64,
    first_unread_arrival: Option<String>,
    devices: u64,
    unread_devices: u64,
    first_device: Option<String>,
    has_other_devices: bool,
    /// Spellings of each worker's id, by its lower-case form.
    workers: BTreeMap<String, Vec<String>>,
}

impl Survey {
    /// Takes in rows; `now` in microseconds since 1970-01-01T00:00:00Z.
    pub fn count<'a>(&mut self, rows: impl Iterator<Item = &'a RowFacts>, now: i64) {
        for facts in rows {
            self.rows += 1;
            if let Some(at) = facts.captured_at {
                self.times += 1;
                let ahead = at.saturating_sub(now);
                if ahead > CLOCK_SKEW {
                    self.ahead += 1;
                    self.farthest = self.farthest.max(ahead);
                }
            }
            self.consents += u64::from(facts.consent.is_some());
            if let Some((_, text)) = facts.unread.iter().find(|(column, _)| column == "consent") {
                self.unread_consents += 1;
                self.first_consent.get_or_insert_with(|| text.clone());
            }
            self.count_evidence(facts);
            if let Some(id) = &facts.worker_id {
                let spellings = self.workers.entry(id.to_lowercase()).or_default();
                if !spellings.contains(id) {
                    spellings.push(id.clone());
                }
            }
        }
    }

    fn count_evidence(&mut self, facts: &RowFacts) {
        if let Some(place) = &facts.place {
            self.places += 1;
            self.in_india += u64::from(place.is_in_india());
            self.swapped += u64::from(place.would_be_in_india());
        } else if let Some(why) = why_no_place(&facts.unread) {
            *self.placeless.entry(why).or_default() += 1;
        }
        if let Some(at) = facts.uploaded_at {
            self.arrivals += 1;
            self.early_arrivals +=
                u64::from(facts.captured_at.is_some_and(|taken| at < taken.saturating_sub(CLOCK_SKEW)));
        }
        for (column, text) in &facts.unread {
            match column.as_str() {
                "uploaded_at" => {
                    self.unread_arrivals += 1;
                    self.first_unread_arrival.get_or_insert_with(|| text.clone());
                }
                "device_id" => self.unread_devices += 1,
                _ => {}
            }
        }
        if let Some(device) = &facts.device_id {
            self.devices += 1;
            let first = self.first_device.get_or_insert_with(|| device.clone());
            self.has_other_devices |= first != device;
        }
    }

    /// Whether all rows name one phone although several workers sent them: no phone's id, but a constant of the app.
    pub fn has_one_device(&self) -> bool {
        self.devices >= MANY && !self.has_other_devices && self.workers.len() > 1
    }

    /// What is wrong with the columns of place, phone and arrival as a whole.
    fn of_evidence(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let half = |part: u64| part > 1 && part * 2 >= self.rows;
        let lost: u64 = self.placeless.values().sum();
        if let Some((why, _)) = self.placeless.iter().max_by_key(|(_, count)| **count).filter(|_| half(lost)) {
            let rows = self.rows;
            warnings.push(format!(
                "{lost} of {rows} rows have no place, most for this: {why}; write degrees, as 23.18 and 75.78"
            ));
        }
        if self.swapped > 1 && self.swapped * 2 >= self.places && self.in_india == 0 {
            warnings.push(format!(
                "{} of {} places lie outside of India, and within it if latitude and longitude are exchanged: are the two columns \
                 mistaken for each other? They are taken as they stand; exchange them in chehra.toml: [columns] latitude = \
                 \"longitude\", longitude = \"latitude\"",
                self.swapped, self.places
            ));
        }
        if self.has_one_device() {
            warnings.push(format!(
                "device_id is the same in all {} rows that have one: it is no phone's id, and nothing is made of it",
                self.devices
            ));
        }
        if half(self.unread_devices) {
            let (count, rows) = (self.unread_devices, self.rows);
            warnings
                .push(format!("device_id is no phone's id in {count} of {rows} rows: zeros, or a word for nothing"));
        }
        if let Some(text) = self.first_unread_arrival.as_ref().filter(|_| half(self.unread_arrivals)) {
            let (count, rows, text) = (self.unread_arrivals, self.rows, quoted(text));
            warnings.push(format!(
                "uploaded_at cannot be read in {count} of {rows} rows, as {text}: write it as a timestamp, of a clock that was set"
            ));
        }
        if self.early_arrivals > 1 && self.early_arrivals * 2 >= self.arrivals {
            warnings.push(format!(
                "uploaded_at lies before captured_at in {} of {} rows: are the two in different time zones?",
                self.early_arrivals, self.arrivals
            ));
        }
        warnings
    }

    /// The workers' ids of the dump.
    pub fn has_worker(&self, id: &str) -> bool {
        self.workers.get(&id.to_lowercase()).is_some_and(|spellings| spellings.iter().any(|known| known == id))
    }

    /// How the dump spells an id that differs by case alone.
    pub fn spelling(&self, id: &str) -> Option<&str> {
        let spellings = self.workers.get(&id.to_lowercase())?;
        if spellings.iter().any(|known| known == id) { None } else { spellings.first().map(String::as_str) }
    }

    /// In sentences.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.ahead > 0 && self.ahead * MANY >= self.times {
            let minutes = self.farthest / 60_000_000;
            warnings.push(format!(
                "{} of {} times lie ahead of now, the farthest by {}:{:02} hours: if they are without a zone, say which one is \
                 meant, as time_zone = \"Asia/Kolkata\" at the top of chehra.toml",
                self.ahead,
                self.times,
                minutes / 60,
                minutes % 60
            ));
        }
        if let Some(text) = &self.first_consent
            && self.unread_consents * MANY >= self.rows
        {
            warnings.push(format!(
                "consent is neither yes nor no in {} of {} rows, as {}: write it as a boolean, or as yes and no",
                self.unread_consents,
                self.rows,
                quoted(text)
            ));
        }
        warnings.extend(self.of_evidence());
        let several: Vec<String> = self
            .workers
            .values()
            .filter(|spellings| spellings.len() > 1)
            .map(|spellings| spellings.join(" and "))
            .collect();
        if let Some((first, more)) = several.split_first() {
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            warnings
                .push(format!("ids of workers that differ by case alone count as different workers: {first}{more}"));
        }
        warnings
    }
}

/// The first of some ids for a message.
pub fn first_ids(ids: &[String]) -> String {
    let shown = ids.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if ids.len() > NAMED { format!("{shown} and {} more", ids.len() - NAMED) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::Place;

    fn row(worker: u64) -> RowFacts {
        RowFacts { worker_id: Some(format!("W{}", worker % 5)), ..RowFacts::default() }
    }

    fn warnings(row_of: &dyn Fn(u64) -> RowFacts) -> Vec<String> {
        let rows: Vec<RowFacts> = (0..40).map(row_of).collect();
        let mut survey = Survey::default();
        survey.count(rows.iter(), 0);
        survey.warnings()
    }

    #[test]
    fn whole_columns_that_fail_are_named_once() {
        let unread = |cells: &[(&str, &str)]| cells.iter().map(|(c, t)| ((*c).to_owned(), (*t).to_owned())).collect();
        let cases: [(&str, &dyn Fn(u64) -> RowFacts); 6] = [
            ("phone that has no place (0)", &|k| RowFacts {
                unread: unread(&[("latitude", "0"), ("longitude", "0")]),
                ..row(k)
            }),
            ("exchange them in chehra.toml", &|k| RowFacts { place: Place::new(75.78, 23.18), ..row(k) }),
            ("the same in all 40 rows", &|k| RowFacts { device_id: Some("A1".into()), ..row(k) }),
            ("no phone's id in 40 of 40", &|k| RowFacts { unread: unread(&[("device_id", "0000")]), ..row(k) }),
            ("cannot be read in 40 of 40 rows, as `0`", &|k| RowFacts {
                unread: unread(&[("uploaded_at", "0")]),
                ..row(k)
            }),
            ("before captured_at in 40 of 40", &|k| RowFacts {
                captured_at: Some(-10_000_000_000),
                uploaded_at: Some(-29_800_000_000),
                ..row(k)
            }),
        ];
        for (said, row_of) in cases {
            let warnings = warnings(row_of);
            assert!(warnings.len() == 1 && warnings[0].contains(said), "{said}: {warnings:?}");
        }
    }

    #[test]
    fn single_cells_that_fail_are_no_column() {
        let mixed = |k: u64| RowFacts {
            place: Place::new(23.18, 75.78).filter(|_| k > 3),
            unread: if k < 3 {
                vec![("latitude".into(), "0".into()), ("longitude".into(), "0".into())]
            } else {
                vec![]
            },
            device_id: Some(format!("A{}", k % 2)),
            ..row(k)
        };
        assert_eq!(warnings(&mixed), Vec::<String>::new());
        let alone = |_| RowFacts { device_id: Some("A1".into()), ..row(0) };
        assert_eq!(warnings(&alone), Vec::<String>::new(), "one worker with one phone");
    }
}
