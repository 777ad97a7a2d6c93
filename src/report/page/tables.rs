//! The tables of the page, to take away: a workbook, or a folder with a CSV file for each.

use std::path::Path;

use jiff::tz::TimeZone;

use super::drive::Drive;
use super::text::word;
use super::view::Page;
use crate::config::policy::Language;
use crate::output::write_durably;
use crate::sheets::{Cell, Sheet, SheetFormat, csv, xlsx};
use crate::{Error, Result};

/// A number of the page as a number, its words as words.
fn cell(text: &str) -> Cell {
    let plain = text.replace(',', "");
    let share = plain.strip_suffix(" %").and_then(|share| share.parse::<f64>().ok());
    match share.or_else(|| plain.parse().ok()) {
        Some(number) => Cell::Number(number),
        None => Cell::from(if text == "·" { "" } else { text }),
    }
}

/// A table of texts; the head of a column of shares says that they are percent.
fn sheet(language: Language, name: &str, keys: &[&str], rows: Vec<Vec<String>>) -> Sheet {
    let is_share = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(|text| text.ends_with(" %")));
    let title = |(at, key): (usize, &&str)| word(key, language).to_owned() + if is_share(at) { ", %" } else { "" };
    let header = keys.iter().enumerate().map(title).collect();
    let rows = rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    Sheet { name: word(name, language).to_owned(), header, rows }
}

/// All tables of a page.
pub(super) fn sheets(page: &Page, drive: &Drive, zone: &TimeZone, language: Language) -> Vec<Sheet> {
    let of = |name: &str, keys: &[&str], rows: Vec<Vec<String>>| sheet(language, name, keys, rows);
    let said = |key: &str| word(key, language).to_owned();
    let verdicts = page.verdict_keys;
    let counted: Vec<&str> =
        ["submissions"].into_iter().chain(verdicts).chain(["held", "spoofs", "duplicates"]).collect();
    let quality: Vec<&str> = page.complaint_keys.iter().map(String::as_str).collect();
    let standing = |rows: &[super::units::StandingRow]| {
        let row = |row: &super::units::StandingRow| {
            let numbers = [row.count.to_string(), row.submissions.to_string(), row.rate.clone(), row.peer_rate.clone()];
            let words = [row.id.clone(), row.district.clone(), said(&row.key)];
            words.into_iter().chain(numbers).chain([row.times.clone(), row.q.clone()]).collect()
        };
        rows.iter().map(row).collect::<Vec<Vec<String>>>()
    };
    const STANDING: [&str; 9] =
        ["unit", "district", "reason", "count", "submissions", "rate", "peer.rate", "times", "q.value"];
    let reasons = page.reasons.iter().map(|row| {
        vec![
            said(&row.key),
            row.code.to_owned(),
            said(&row.verdict_key),
            row.count.clone(),
            row.share.clone(),
            row.usual.clone(),
        ]
    });
    let nights = page.nights.iter().map(|row| {
        let first = [row.name.clone(), row.date.clone(), row.rows.clone()];
        first.into_iter().chain(row.shares.iter().cloned()).chain([row.persons.clone()]).collect()
    });
    let place = |row: &super::units::PlaceRow| {
        [row.name.clone(), row.division.clone()].into_iter().chain(row.cells.iter().cloned()).collect()
    };
    let complaints = |row: &super::units::QualityRow| {
        let first = [row.id.clone(), row.district.clone(), row.submissions.clone(), row.troubled.clone()];
        first.into_iter().chain(row.counts.iter().cloned()).chain([said(&row.advice)]).collect()
    };
    let night_keys: Vec<&str> =
        ["night", "read.on", "submissions"].into_iter().chain(verdicts).chain(["persons.twice"]).collect();
    let place_keys =
        |first: &'static str| [first, "division"].into_iter().chain(counted.iter().copied()).collect::<Vec<_>>();
    let quality_keys: Vec<&str> =
        ["worker", "district", "submissions", "again"].into_iter().chain(quality).chain(["advice"]).collect();
    let promises = page.promises.iter().map(|row| {
        [&row.name, &row.division, &row.members, &row.calls, &row.at_most, &row.found, &row.more]
            .map(String::clone)
            .to_vec()
    });
    let detectors = page
        .promise_detectors
        .iter()
        .map(|row| [&row.name, &row.judged, &row.recall, &row.precision, &row.promised].map(String::clone).to_vec());
    let between = page.between.iter().map(|(one, other, count)| vec![one.clone(), other.clone(), count.clone()]);
    let mut all = vec![
        of("h.reasons", &["reason", "code", "verdict", "submissions", "share", "usual"], reasons.collect()),
        of("h.nights", &night_keys, nights.collect()),
        of("c.divisions", &place_keys("division"), page.divisions.iter().map(place).collect()),
        of("c.places", &place_keys("district"), page.districts.iter().map(place).collect()),
        of(
            "h.everyone",
            &[
                "division",
                "district",
                "sector",
                "mandalam",
                "booth",
                "worker",
                "submissions",
                "v.accept",
                "v.retake",
                "v.review",
                "v.reject",
                "v.unreadable",
                "spoofs",
                "duplicates",
                "again",
                "fakes",
            ],
            drive.counted(),
        ),
        of("stands.out", &STANDING, standing(&page.workers)),
        of("c.booths", &STANDING, standing(&page.booths)),
        of("h.quality", &quality_keys, page.quality.iter().map(complaints).collect()),
        of("nav.between", &["district", "other.district", "persons.twice"], between.collect()),
        of(
            "selfies",
            &["submission", "worker", "taken", "verdict", "h.reasons", "advice"],
            drive.selfies(zone, language),
        ),
    ];
    if !page.promises.is_empty() {
        all.push(of(
            "h.promises",
            &["place", "division", "accepted.members", "calls", "at.most", "found.share", "more.calls"],
            promises.collect(),
        ));
        all.push(of(
            "c.detectors",
            &["detector", "judged", "recall", "precision", "promised.precision"],
            detectors.collect(),
        ));
    }
    all.retain(|sheet| !sheet.rows.is_empty());
    all
}

/// Writes the tables: a workbook where the path ends in `.xlsx`, else a folder of CSV files, each with a byte order mark.
///
/// # Errors
/// [`Error::Io`] when the disk refuses, [`Error::Usage`] for a path of another ending.
pub(super) fn write(path: &Path, sheets: &[Sheet]) -> Result<()> {
    match (SheetFormat::by_ending(path), path.extension()) {
        (Some(SheetFormat::Xlsx), _) => write_durably(path, &xlsx(sheets)?),
        (Some(SheetFormat::Csv), _) => {
            let problem = format!("{} is one file, and the page has {} tables", path.display(), sheets.len());
            Err(Error::usage(
                "--tables",
                problem,
                "name x.xlsx for a workbook, or a folder for a CSV file of each table",
            ))
        }
        (None, _) => {
            std::fs::create_dir_all(path).map_err(Error::io("create", path))?;
            for (number, sheet) in (1..).zip(sheets) {
                let plain = |letter: char| if letter == '/' || letter.is_whitespace() { '-' } else { letter };
                let name: String = sheet.name.chars().map(plain).take(60).collect();
                write_durably(&path.join(format!("{number:02}-{name}.csv")), &csv(sheet)?)?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_page_are_numbers_in_a_sheet() {
        let cells = ["1,23,456", "12 %", "", "·", "Ujjain", "< 0.1 %"].map(cell);
        let expected =
            [Cell::Number(123_456.0), Cell::Number(12.0), Cell::Blank, Cell::Blank, "Ujjain".into(), "< 0.1 %".into()];
        assert_eq!(cells, expected);
        let rows = vec![vec!["a".to_owned(), "1 %".to_owned()]];
        let table = sheet(Language::Hi, "h.reasons", &["reason", "share"], rows);
        assert_eq!((table.name.as_str(), &table.header[..]), ("कारण", &["कारण".to_owned(), "हिस्सा, %".to_owned()][..]));
    }
}
