//! The list to work with: in the order of calling, with numbers, and with room for the answers.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use super::super::files::plain_cell;
use super::super::members::Member;
use super::super::text::questions;
use super::record::ListRow;
use crate::config::policy::Language;
use crate::dump::facts::Mobile;
use crate::output::create_private;
use crate::{Error, Result};

/// The list to work with, in the order of calling, with columns for the answers under the names of a table of replies.
pub fn write_callers(
    out: &Path,
    list: &[ListRow],
    people: &HashMap<&str, &Member>,
    channel: &str,
    language: Language,
) -> Result<()> {
    let path = out.join("callers.csv");
    let refuse = |e: csv::Error| Error::io("write", &path)(std::io::Error::other(e));
    let mut writer = csv::Writer::from_writer(create_private(&path)?);
    let header = [
        "number",
        "submission_id",
        "member_name",
        "mobile",
        "booth_id",
        "district",
        "worker_id",
        "channel",
        "answer",
        "in_person",
        "live",
        "first_time",
        "at",
    ];
    writer.write_record(header).map_err(refuse)?;
    let mut rows: Vec<&ListRow> = list.iter().collect();
    rows.sort_by_key(|row| (row.place, row.stratum));
    for (number, row) in (1u64..).zip(rows) {
        let facts = people.get(row.submission_id.as_str()).map(|member| &member.facts);
        let of = |get: &dyn Fn(&crate::dump::RowFacts) -> Option<String>| facts.and_then(get).unwrap_or_default();
        let mobile = of(&|f| {
            let typed = f.mobile.as_deref()?;
            Some(Mobile::parse(typed).map_or(typed.to_owned(), |mobile| mobile.as_str().to_owned()))
        });
        let cells = [
            number.to_string(),
            row.submission_id.clone(),
            of(&|f| f.member_name.clone()),
            mobile,
            of(&|f| f.booth_id.clone()),
            of(&|f| f.district.clone()),
            of(&|f| f.worker_id.clone()),
            channel.to_owned(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ];
        // The id joins back, so it stays as it is.
        let shown = cells.iter().enumerate().map(|(at, cell)| if at == 1 { cell.clone() } else { plain_cell(cell) });
        writer.write_record(shown).map_err(refuse)?;
    }
    writer.flush().map_err(Error::io("write", &path))?;
    let path = out.join("questions.txt");
    create_private(&path)?.write_all(questions(language).as_bytes()).map_err(Error::io("write", &path))
}
