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
            if let Some(id) = &facts.worker_id {
                let spellings = self.workers.entry(id.to_lowercase()).or_default();
                if !spellings.contains(id) {
                    spellings.push(id.clone());
                }
            }
        }
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
