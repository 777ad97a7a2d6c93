//! A time as text, or as a bare number, to an instant: what can be read in one way only is read, the rest is not.
//!
//! Read are ISO 8601 and what people and programs make of it (a space for the `T`, a space before the offset, EXIF's
//! colons), RFC 2822, dates with a month in letters (Oracle, Java, MySQL's and Excel's exports), days and months in numbers
//! with a year of four digits, and counts since 1970 (in seconds, milliseconds, microseconds or nanoseconds, told by their
//! digits). Whether `05/11/2026` is in May or in November only other rows of the same dump can tell ([`DateOrder`]), or
//! `[columns] captured_at_format` in `chehra.toml`, a form in the letters of `strftime`.
//!
//! Zones in letters: UTC, GMT, Z and IST, which is India's (+05:30) unless the configured zone calls itself so.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};

use super::digits::digit;
use crate::config::Columns;
use crate::{Error, Result};

/// Which of two numbers before a year is the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// `20/11/2026`.
    DayFirst,
    /// `11/20/2026`.
    MonthFirst,
}

/// What the clock of a dump shows: the zone of times that have none, and the form of those that are texts.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: TimeZone,
    is_zone_set: bool,
    format: Option<String>,
    /// Learned from the dump; `None` where no value tells.
    pub order: Option<DateOrder>,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { zone: TimeZone::UTC, is_zone_set: false, format: None, order: None }
    }
}

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The date and time by the clock on the wall.
    pub civil: DateTime,
    /// The other date that the text may mean, where day and month can be told apart by nothing in it.
    pub other: Option<DateTime>,
    /// Which came first, where the text alone tells.
    pub order: Option<DateOrder>,
    /// The offset from UTC, where it has one.
    pub offset: Option<Offset>,
}

/// The time zone of that name.
///
/// # Errors
/// [`Error::Usage`] where there is none.
pub fn time_zone(name: &str) -> Result<TimeZone> {
    match name {
        "" => Ok(TimeZone::UTC),
        name => TimeZone::get(name).map_err(|_| {
            let problem = format!("`{name}` is no time zone");
            Error::usage("time_zone", problem, "name a zone of the IANA database, as \"Asia/Kolkata\", or \"UTC\"")
        }),
    }
}

impl Clock {
    /// The clock of the configuration.
    ///
    /// # Errors
    /// [`Error::Usage`] for a zone or a form that is none.
    pub fn new(columns: &Columns) -> Result<Clock> {
        let format = Some(columns.captured_at_format.clone()).filter(|format| !format.is_empty());
        if let Some(format) = &format {
            let shown = strtime::format(format, jiff::Timestamp::UNIX_EPOCH);
            if shown.is_err() || !format.contains('%') {
                let found = shown.err().map_or_else(|| "has no %".to_owned(), |error| error.to_string());
                let fix = "write it in the letters of strftime, as \"%d/%m/%Y %H:%M\"";
                return Err(Error::usage("[columns] captured_at_format", format!("`{format}`: {found}"), fix));
            }
        }
        let zone = time_zone(&columns.time_zone)?;
        Ok(Clock { zone, is_zone_set: !columns.time_zone.is_empty(), format, order: None })
    }

    /// Whether the configuration names the zone.
    pub fn is_zone_set(&self) -> bool {
        self.is_zone_set
    }

    /// The instant of a text, microseconds since 1970-01-01T00:00:00Z.
    pub fn parse(&self, text: &str) -> Option<i64> {
        let reading = self.read(text)?;
        let civil = match (reading.other, self.order) {
            (None, _) => reading.civil,
            (Some(_), None) => return None,
            (Some(_), Some(DateOrder::DayFirst)) => reading.civil,
            (Some(other), Some(DateOrder::MonthFirst)) => other,
        };
        match reading.offset {
            Some(offset) => offset.to_timestamp(civil).ok().map(|at| at.as_microsecond()),
            None => self.micros(civil),
        }
    }

    /// The instant of a time without a zone.
    pub fn micros(&self, civil: DateTime) -> Option<i64> {
        Some(self.zone.to_timestamp(civil).ok()?.as_microsecond())
    }

    /// The instant of a time without a zone that is given as microseconds since 1970-01-01 by the clock on the wall.
    pub fn from_local_micros(&self, local: i64) -> Option<i64> {
        if !self.is_zone_set {
            return Some(local);
        }
        self.micros(Offset::UTC.to_datetime(jiff::Timestamp::from_microsecond(local).ok()?))
    }

    /// What a text says, before the order of day and month is settled.
    pub fn read(&self, text: &str) -> Option<Reading> {
        let text = latin_digits(text.trim());
        if let Some(format) = &self.format {
            return by_format(format, &text);
        }
        if let Some(at) = since_1970(&text) {
            return Some(instant(at));
        }
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Some(instant(at));
        }
        if let Ok(civil) = text.parse::<DateTime>() {
            return Some(Reading { civil, other: None, order: None, offset: None });
        }
        if let Ok(zoned) = jiff::fmt::rfc2822::parse(&text) {
            return Some(instant(zoned.timestamp()));
        }
        self.by_words(&text)
    }

    /// A date and a time in words and numbers, in any of the usual orders.
    fn by_words(&self, text: &str) -> Option<Reading> {
        // JavaScript says the offset, and then the zone's name.
        let text = match (text.find(['+', '-']), text.split_once('(')) {
            (Some(_), Some((before, name))) if name.ends_with(')') => before.trim_end(),
            _ => text,
        };
        let mut words: Vec<String> = text
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        // The `T` of ISO 8601 between parts that are not.
        if let [first, ..] = words.as_mut_slice()
            && let Some((date, time)) = first
                .clone()
                .split_once('t')
                .filter(|(date, time)| is_numeric(date) && time.starts_with(|c: char| c.is_ascii_digit()))
        {
            *first = date.to_owned();
            words.insert(1, time.to_owned());
        }
        words.retain(|word| !is_weekday(word));
        let at = words.iter().position(|word| clock_time(word).is_some());
        let mut time = Time::midnight();
        let mut offset = None;
        if let Some(at) = at {
            let (parsed, rest) = clock_time(&words[at])?;
            words.remove(at);
            let mut half = None;
            let mut after: Vec<String> = Some(rest).filter(|rest| !rest.is_empty()).into_iter().collect();
            // What follows the time: am or pm, and a zone; a year may stand after them (Java, asctime).
            while words.len() > at && !is_year(&words[at]) && (is_half(&words[at]).is_some() || zone_word(&words[at])) {
                after.push(words.remove(at));
            }
            for word in &after {
                match is_half(word) {
                    Some(afternoon) if half.is_none() => half = Some(afternoon),
                    None if offset.is_none() => offset = Some(self.offset(word)?),
                    // "+05:30 IST": the same twice.
                    None if self.offset(word) == offset => {}
                    _ => return None,
                }
            }
            time = match half {
                Some(_) if !(1..=12).contains(&parsed.hour()) => return None,
                Some(afternoon) => {
                    parsed.with().hour(parsed.hour() % 12 + if afternoon { 12 } else { 0 }).build().ok()?
                }
                None => parsed,
            };
        }
        let date = words.join(" ");
        let (first, second, order) = calendar_date(&date)?;
        Some(Reading {
            civil: first.to_datetime(time),
            other: second.map(|date| date.to_datetime(time)),
            order,
            offset,
        })
    }

    /// An offset as `+0530`, `+05:30`, `gmt+5:30`, or a zone in letters.
    fn offset(&self, word: &str) -> Option<Offset> {
        let word = word.trim_matches(['(', ')']);
        let number = word.strip_prefix("utc").or_else(|| word.strip_prefix("gmt")).unwrap_or(word);
        if number.is_empty() || word == "z" {
            return Some(Offset::UTC);
        }
        if let Some(sign) = number.strip_prefix('+').map(|_| 1).or_else(|| number.strip_prefix('-').map(|_| -1)) {
            let digits: String = number[1..].chars().filter(|&c| c != ':').collect();
            let (hours, minutes) = match digits.len() {
                1 | 2 => (digits.as_str(), "0"),
                3 | 4 => digits.split_at(digits.len() - 2),
                _ => return None,
            };
            let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok().filter(|m| *m < 60)? * 60;
            return Offset::from_seconds(sign * seconds).ok();
        }
        let own = self.zone.to_offset_info(jiff::Timestamp::UNIX_EPOCH);
        match word {
            _ if self.is_zone_set && own.abbreviation().eq_ignore_ascii_case(word) => Some(own.offset()),
            "ist" => Offset::from_seconds(19_800).ok(),
            _ => None,
        }
    }
}

fn instant(at: jiff::Timestamp) -> Reading {
    Reading { civil: Offset::UTC.to_datetime(at), other: None, order: None, offset: Some(Offset::UTC) }
}

/// By a form in the letters of `strftime`.
fn by_format(format: &str, text: &str) -> Option<Reading> {
    let parsed = strtime::parse(format, text).ok()?;
    if let Ok(at) = parsed.to_timestamp() {
        return Some(instant(at));
    }
    let civil =
        parsed.to_datetime().or_else(|_| parsed.to_date().map(|date| date.to_datetime(Time::midnight()))).ok()?;
    Some(Reading { civil, other: None, order: None, offset: None })
}

/// Counts since 1970-01-01T00:00:00Z: of ten digits seconds, of thirteen milliseconds, of sixteen microseconds, of nineteen
/// nanoseconds. Each begins in 2001 and no other count has so many digits before 2286.
fn since_1970(text: &str) -> Option<jiff::Timestamp> {
    let whole = text.strip_suffix(".0").unwrap_or(text);
    if !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number_since_1970(whole.parse().ok()?)
}

/// As [`since_1970`], of a number.
pub fn number_since_1970(number: i64) -> Option<jiff::Timestamp> {
    let micros = match number {
        1_000_000_000..=9_999_999_999 => number * 1_000_000,
        1_000_000_000_000..=9_999_999_999_999 => number * 1_000,
        1_000_000_000_000_000..=9_999_999_999_999_999 => number,
        1_000_000_000_000_000_000.. => number / 1_000,
        _ => return None,
    };
    jiff::Timestamp::from_microsecond(micros).ok()
}

/// Digits of Indian scripts as ASCII.
fn latin_digits(text: &str) -> String {
    text.chars().map(|c| digit(c).unwrap_or(c)).collect()
}

fn is_numeric(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b"-/.:".contains(&byte))
}

fn is_weekday(word: &str) -> bool {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let word = word.trim_end_matches('.');
    word.len() >= 3 && DAYS.iter().any(|day| day.starts_with(word))
}

fn is_half(word: &str) -> Option<bool> {
    match word {
        "am" | "a.m." => Some(false),
        "pm" | "p.m." => Some(true),
        _ => None,
    }
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn zone_word(word: &str) -> bool {
    let inner = word.trim_matches(['(', ')']);
    inner.starts_with(['+', '-'])
        || !inner.is_empty()
            && inner.bytes().all(|byte| byte.is_ascii_alphabetic() || b"+:".contains(&byte) || byte.is_ascii_digit())
            && inner.starts_with(|c: char| c.is_ascii_alphabetic())
            && month(inner).is_none()
}

/// `9:05`, `09:05:07.25`, `09.05.07.000000` (Oracle), with what is glued to it: `am`, `+0530`, `z`.
fn clock_time(word: &str) -> Option<(Time, String)> {
    let end = word.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(word.len());
    let (digits, rest) = word.split_at(end);
    let separator = if digits.contains(':') { ':' } else { '.' };
    let mut parts = digits.splitn(3, separator);
    let (hour, minute) = (parts.next()?, parts.next()?);
    let seconds = parts.next();
    // A date with dots has a year; a time with dots has seconds.
    if separator == '.' && (seconds.is_none() || seconds?.split('.').next()?.len() != 2 || minute.len() != 2) {
        return None;
    }
    let two = |text: &str, most: i8| -> Option<i8> {
        (matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten()
            .filter(|n| *n <= most)
    };
    let (second, nanos) = match seconds {
        None => (0, 0),
        Some(text) => {
            let (whole, fraction) = text.split_once(['.', ':']).unwrap_or((text, ""));
            let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
            (two(whole, 59)?, nine.parse().ok()?)
        }
    };
    let minute = two(minute, 59).filter(|_| minute.len() == 2)?;
    Some((Time::new(two(hour, 23)?, minute, second, nanos).ok()?, rest.to_owned()))
}

/// The month of a name of at least three letters, in English.
fn month(word: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.trim_end_matches('.');
    let at = MONTHS
        .iter()
        .position(|month| word.len() >= 3 && month.starts_with(word) || word == "sept" && *month == "september");
    at.and_then(|at| i8::try_from(at + 1).ok())
}

/// The date of a text, the other that it may mean, and which of day and month came first where that is told.
fn calendar_date(text: &str) -> Option<(Date, Option<Date>, Option<DateOrder>)> {
    let parts: Vec<&str> = text.split([' ', '-', '/', '.', ':']).filter(|part| !part.is_empty()).collect();
    let [a, b, c] = parts[..] else { return None };
    let number = |text: &str, most: usize| -> Option<i16> {
        (text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
    };
    // A year of two digits is one of this century: only beside a month in letters can it be no day.
    let year = |text: &str, short: bool| match text.len() {
        4 => number(text, 4),
        2 if short => number(text, 2).map(|year| 2000 + year),
        _ => None,
    };
    let date = |year: i16, month: i16, day: i16| Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok();
    let ordinal = |text: &str| number(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()), 2);
    let only = |date: Date| Some((date, None, None));
    if let Some(month) = month(b) {
        return match year(a, false) {
            Some(_) => only(date(year(a, false)?, month.into(), ordinal(c)?)?),
            None => only(date(year(c, true)?, month.into(), ordinal(a)?)?),
        };
    }
    if let Some(month) = month(a) {
        return only(date(year(c, false)?, month.into(), ordinal(b)?)?);
    }
    if let Some(first) = year(a, false) {
        return only(date(first, number(b, 2)?, number(c, 2)?)?);
    }
    let (first, second, year) = (number(a, 2)?, number(b, 2)?, year(c, false)?);
    match (date(year, second, first), date(year, first, second)) {
        (Some(day_first), Some(month_first)) if day_first == month_first => only(day_first),
        (Some(day_first), Some(month_first)) => Some((day_first, Some(month_first), None)),
        (Some(day_first), None) => Some((day_first, None, Some(DateOrder::DayFirst))),
        (None, Some(month_first)) => Some((month_first, None, Some(DateOrder::MonthFirst))),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn what_can_be_read_in_one_way_is_read() {
        let clock = Clock { order: Some(DateOrder::DayFirst), ..Clock::default() };
        for (text, instant) in [
            ("2026-11-20T09:00:00Z", "2026-11-20T09:00:00Z"),
            ("2026-11-20 09:00:00.123456+05:30", "2026-11-20T03:30:00.123456Z"),
            ("2026-11-20 09:00:00 +0530", "2026-11-20T03:30:00Z"),
            ("2026-11-20 09:00:00 IST", "2026-11-20T03:30:00Z"),
            ("2026-11-20 09:00:00 UTC", "2026-11-20T09:00:00Z"),
            ("20/11/2026 09:00", "2026-11-20T09:00:00Z"),
            ("20-11-2026", "2026-11-20T00:00:00Z"),
            ("20.11.2026 9:05:07", "2026-11-20T09:05:07Z"),
            ("05/11/2026 09:00", "2026-11-05T09:00:00Z"),
            ("20/11/2026 09:00 PM", "2026-11-20T21:00:00Z"),
            ("20/11/2026 12:00 am", "2026-11-20T00:00:00Z"),
            ("20/11/2026, 9:00:00 pm", "2026-11-20T21:00:00Z"),
            ("20/11/2026 9:00pm", "2026-11-20T21:00:00Z"),
            ("2026:11:20 09:00:00", "2026-11-20T09:00:00Z"),
            ("2026/11/20 09:00:00", "2026-11-20T09:00:00Z"),
            ("Fri, 20 Nov 2026 09:00:00 +0530", "2026-11-20T03:30:00Z"),
            ("Fri, 20 Nov 2026 09:00:00 GMT", "2026-11-20T09:00:00Z"),
            ("Fri Nov 20 09:00:00 IST 2026", "2026-11-20T03:30:00Z"),
            ("Fri Nov 20 09:00:00 2026", "2026-11-20T09:00:00Z"),
            ("Fri Nov 20 2026 09:00:00 GMT+0530 (IST)", "2026-11-20T03:30:00Z"),
            ("Fri Nov 20 2026 09:00:00 GMT+0530 (India Standard Time)", "2026-11-20T03:30:00Z"),
            ("20-Nov-2026 09:00", "2026-11-20T09:00:00Z"),
            ("20-NOV-26 09.00.00.000000000 AM", "2026-11-20T09:00:00Z"),
            ("20-NOV-26 09.00.00.000000 AM +05:30", "2026-11-20T03:30:00Z"),
            ("Nov 20, 2026 9:00 AM", "2026-11-20T09:00:00Z"),
            ("20th November 2026", "2026-11-20T00:00:00Z"),
            ("२०/११/२०२६ ०९:००", "2026-11-20T09:00:00Z"),
            ("1795165200", "2026-11-20T09:00:00Z"),
            ("1795165200000", "2026-11-20T09:00:00Z"),
            ("1795165200000000", "2026-11-20T09:00:00Z"),
            ("1795165200.0", "2026-11-20T09:00:00Z"),
        ] {
            assert_eq!(clock.parse(text), Some(at(instant)), "{text}");
        }
        let silent = Clock::default();
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-02-30",
            "05/11/2026",
            "20/11/26",
            "1795",
            "31/02/2026",
            "20/11/2026 25:00",
            "20/11/2026 13:00 PM",
            "2026-11-20 09:00 XYZ",
            "20/11/2026 09:00 09:00",
            "12.05.26 9",
        ] {
            assert_eq!(silent.parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_form_and_a_zone_are_taken_from_the_configuration() {
        let columns = |format: &str, zone: &str| Columns {
            captured_at_format: format.to_owned(),
            time_zone: zone.to_owned(),
            ..Columns::default()
        };
        let clock = Clock::new(&columns("%m/%d/%y %H:%M", "Asia/Kolkata")).unwrap();
        assert_eq!(clock.parse("11/05/26 09:00"), Some(at("2026-11-05T03:30:00Z")));
        assert_eq!(clock.parse("2026-11-05 09:00"), None, "the form holds for every row");
        let clock = Clock::new(&columns("", "Asia/Kolkata")).unwrap();
        assert_eq!(clock.parse("2026-11-05 09:00:00"), Some(at("2026-11-05T03:30:00Z")));
        assert_eq!(clock.parse("2026-11-05 09:00:00Z"), Some(at("2026-11-05T09:00:00Z")));
        assert_eq!(clock.from_local_micros(at("2026-11-05T09:00:00Z")), Some(at("2026-11-05T03:30:00Z")));
        let jerusalem = Clock::new(&columns("", "Asia/Jerusalem")).unwrap();
        assert_eq!(jerusalem.parse("2026-11-20 09:00:00 IST"), Some(at("2026-11-20T07:00:00Z")));
        for (format, zone, word) in
            [("%Q%%Q%", "", "captured_at_format"), ("dd/mm", "", "no %"), ("", "India", "no time zone")]
        {
            let said = Clock::new(&columns(format, zone)).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,40}", numbers in "[0-9/:. +apmZTi-]{0,30}") {
            let clock = Clock::default();
            let _ = (clock.parse(&text), clock.parse(&numbers));
        }
    }
}
