//! The log as Parquet, CSV or XLSX, by the ending of the file: one row per line of the log, oldest first, with what stands of it
//! now.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};

use super::views::PairAnswer;
use crate::Result;
use crate::decisions::{Assignment, Entry, Event, Ledger, PairKey, RowAnswer, Side, Why, row_key};
use crate::matching::UNKNOWN_TIME;
use crate::verdict::{RowDecision, write_by_ending};

/// A line of the log, as the table has it.
#[derive(Default)]
struct Line<'a> {
    event: &'static str,
    a: Option<&'a Side>,
    b: Option<&'a Side>,
    answer: Option<&'static str>,
    note: Option<String>,
    /// What all answers about the pair or row come to.
    decision: Option<&'static str>,
    disputed: Option<bool>,
    stands: Option<bool>,
    why: Option<Why>,
    truth: Option<&'static str>,
    basis: Option<&'a str>,
    reasons: Option<String>,
    looked_ms: Option<u64>,
    undoes: Option<&'a str>,
    /// The reviewer whose work or answers the line is about.
    about: Option<&'a str>,
}

/// Writes decisions with their history.
///
/// # Errors
/// [`crate::Error::Io`] when the disk refuses.
pub fn export(ledger: &Ledger, path: &Path) -> Result<()> {
    let entries = ledger.entries();
    let lines: Vec<Line> = entries.iter().enumerate().map(|(place, entry)| line(ledger, place, entry)).collect();
    let of_entry = |get: &dyn Fn(&Entry) -> String| -> ArrayRef {
        Arc::new(entries.iter().map(|entry| Some(get(entry))).collect::<StringArray>())
    };
    let text = |get: &dyn Fn(&Line) -> Option<String>| -> ArrayRef {
        Arc::new(lines.iter().map(get).collect::<StringArray>())
    };
    let code = |get: fn(&Line) -> Option<&'static str>| text(&|line| get(line).map(str::to_owned));
    let flag =
        |get: fn(&Line) -> Option<bool>| -> ArrayRef { Arc::new(lines.iter().map(get).collect::<BooleanArray>()) };
    let times = |values: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(values.into_iter().collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let taken = |get: for<'l> fn(&'l Line<'_>) -> Option<&'l Side>| {
        let at = |line: &Line| get(line).map(|side| side.captured_at).filter(|&at| at != UNKNOWN_TIME);
        times(lines.iter().map(at).collect())
    };
    let written = |entry: &Entry| entry.at.parse::<jiff::Timestamp>().ok().map(|at| at.as_microsecond());
    let looked: Int64Array = lines.iter().map(|line| line.looked_ms.and_then(|ms| i64::try_from(ms).ok())).collect();
    write_by_ending(
        path,
        "decisions",
        vec![
            ("at", times(entries.iter().map(written).collect())),
            ("reviewer", of_entry(&|entry| entry.reviewer.clone())),
            ("event", code(|line| Some(line.event))),
            ("submission_a", text(&|line| Some(line.a?.submission.clone()))),
            ("submission_b", text(&|line| Some(line.b?.submission.clone()))),
            ("worker_a", text(&|line| Some(line.a?.worker.clone()))),
            ("worker_b", text(&|line| Some(line.b?.worker.clone()))),
            ("captured_at_a", taken(|line| line.a)),
            ("captured_at_b", taken(|line| line.b)),
            ("earlier_night", flag(|line| Some(line.a?.earlier_night || line.b?.earlier_night))),
            ("answer", code(|line| line.answer)),
            ("note", text(&|line| line.note.clone())),
            ("stands", flag(|line| line.stands)),
            ("pair_decision", code(|line| line.decision.filter(|_| line.b.is_some()))),
            ("row_decision", code(|line| line.decision.filter(|_| line.b.is_none()))),
            ("disputed", flag(|line| line.disputed)),
            ("why", code(|line| line.why.map(Why::code))),
            ("truth", code(|line| line.truth)),
            ("basis", text(&|line| line.basis.map(str::to_owned))),
            ("reasons", text(&|line| line.reasons.clone())),
            ("about", text(&|line| line.about.map(str::to_owned))),
            ("looked_ms", Arc::new(looked)),
            ("run_id", of_entry(&|entry| entry.run.clone())),
            ("id", of_entry(&|entry| entry.id.clone())),
            ("undoes", text(&|line| line.undoes.map(str::to_owned))),
        ],
    )
}

fn line<'a>(ledger: &Ledger, place: usize, entry: &'a Entry) -> Line<'a> {
    let counts = ledger.counts(place);
    match &entry.event {
        Event::Decide(judged) => {
            let key = PairKey::new(&judged.a, &judged.b);
            let is_seed = judged.why == Why::Seed;
            let answers = if is_seed { ledger.seeded(&key) } else { ledger.answers(&key) };
            let settled = ledger.settled(&key).filter(|_| !is_seed);
            Line {
                event: "decide",
                a: Some(&judged.a),
                b: Some(&judged.b),
                answer: Some(PairAnswer::of(judged).code()),
                note: judged.note.clone(),
                decision: settled.map(|settled| settled.answer.code()),
                disputed: settled.map(|settled| settled.disputed),
                stands: Some(answers.get(entry.reviewer.as_str()).is_some_and(|last| std::ptr::eq(*last, judged))),
                why: Some(judged.why),
                truth: judged.truth.map(|truth| truth.code()),
                basis: judged.basis.as_deref(),
                looked_ms: judged.looked_ms,
                ..Line::default()
            }
        }
        Event::DecideRow(judged) => {
            let key = row_key(&judged.row);
            let is_seed = judged.why == Why::Seed;
            let stands = match is_seed {
                true => ledger.seeded_row(&key).get(entry.reviewer.as_str()).copied(),
                false => ledger.row_answers(&key).get(entry.reviewer.as_str()).map(|(_, last)| *last),
            };
            let settled = ledger.settled_row(&key).filter(|_| !is_seed);
            Line {
                event: "decide_row",
                a: Some(&judged.row),
                answer: Some(judged.answer.code()),
                note: judged.note.clone(),
                decision: settled.as_ref().and_then(RowDecision::of).map(RowDecision::code),
                disputed: settled.map(|settled| settled.disputed),
                stands: Some(stands.is_some_and(|last| std::ptr::eq(last, judged))),
                why: Some(judged.why),
                truth: judged.truth.map(RowAnswer::code),
                basis: judged.basis.as_deref(),
                reasons: Some(judged.reasons.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(", ")),
                looked_ms: judged.looked_ms,
                ..Line::default()
            }
        }
        Event::Appeal(appeal) => Line {
            event: "appeal",
            a: Some(&appeal.row),
            note: Some(appeal.text.clone()),
            stands: Some(counts),
            ..Line::default()
        },
        Event::Assign(Assignment { to, districts, part }) => {
            let part = part.map(|[k, n]| format!("part {k} of {n}"));
            let what: Vec<String> = districts.iter().cloned().chain(part).collect();
            Line { event: "assign", about: Some(to), note: Some(what.join(", ")), ..Line::default() }
        }
        Event::Look(look) => Line {
            event: "look",
            about: Some(&look.to),
            answer: Some(if look.keep { "keep" } else { "set_aside" }),
            ..Line::default()
        },
        Event::Undo { undoes } => Line { event: "undo", undoes: Some(undoes), ..Line::default() },
    }
}
