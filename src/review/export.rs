//! The log as Parquet, CSV or XLSX, by the ending of the file: one row per decision or undo, oldest first, with what stands of it now.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};

use crate::Result;
use crate::decisions::{Entry, Event, Judgement, Ledger, PairKey, Side, Why};
use crate::verdict::write_by_ending;

/// Writes decisions with their history.
///
/// # Errors
/// [`crate::Error::Io`] when the disk refuses.
pub fn export(ledger: &Ledger, path: &Path) -> Result<()> {
    let entries = ledger.entries();
    let text = |get: &dyn Fn(&Entry) -> Option<String>| -> ArrayRef {
        Arc::new(entries.iter().map(get).collect::<StringArray>())
    };
    let judged =
        |get: &dyn Fn(&Judgement) -> Option<String>| -> ArrayRef { text(&|entry| judgement(entry).and_then(get)) };
    let times = |get: &dyn Fn(&Entry) -> Option<i64>| -> ArrayRef {
        Arc::new(entries.iter().map(get).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let side_time = |get: fn(&Judgement) -> &Side| times(&|entry| judgement(entry).map(|j| get(j).captured_at));
    let flag = |get: &dyn Fn(&Entry) -> Option<bool>| -> ArrayRef {
        Arc::new(entries.iter().map(get).collect::<BooleanArray>())
    };
    let settled = |j: &Judgement| match j.why {
        Why::Seed => None,
        Why::Queue | Why::Second => ledger.settled(&PairKey::new(&j.a, &j.b)),
    };
    let stands = |entry: &Entry| {
        let j = judgement(entry)?;
        let key = PairKey::new(&j.a, &j.b);
        let answers = if j.why == Why::Seed { ledger.seeded(&key) } else { ledger.answers(&key) };
        Some(answers.get(entry.reviewer.as_str()).is_some_and(|standing| std::ptr::eq(*standing, j)))
    };
    let at = |entry: &Entry| entry.at.parse::<jiff::Timestamp>().ok().map(|at| at.as_microsecond());
    let why = |why: Why| match why {
        Why::Queue => "queue",
        Why::Second => "second",
        Why::Seed => "seed",
    };
    let looked: Int64Array =
        entries.iter().map(|e| judgement(e)?.looked_ms.and_then(|ms| i64::try_from(ms).ok())).collect();
    write_by_ending(
        path,
        "decisions",
        vec![
            ("at", times(&at)),
            ("reviewer", text(&|e| Some(e.reviewer.clone()))),
            ("event", text(&|e| Some(if judgement(e).is_some() { "decide" } else { "undo" }.to_owned()))),
            ("submission_a", judged(&|j| Some(j.a.submission.clone()))),
            ("submission_b", judged(&|j| Some(j.b.submission.clone()))),
            ("worker_a", judged(&|j| Some(j.a.worker.clone()))),
            ("worker_b", judged(&|j| Some(j.b.worker.clone()))),
            ("captured_at_a", side_time(|j| &j.a)),
            ("captured_at_b", side_time(|j| &j.b)),
            ("earlier_night", flag(&|e| judgement(e).map(|j| j.a.earlier_night || j.b.earlier_night))),
            ("answer", judged(&|j| Some(j.answer.code().to_owned()))),
            ("note", judged(&|j| j.note.clone())),
            ("stands", flag(&stands)),
            ("pair_decision", judged(&|j| settled(j).map(|s| s.answer.code().to_owned()))),
            ("disputed", flag(&|e| judgement(e).and_then(settled).map(|s| s.disputed))),
            ("why", judged(&|j| Some(why(j.why).to_owned()))),
            ("truth", judged(&|j| j.truth.map(|truth| truth.code().to_owned()))),
            ("basis", judged(&|j| j.basis.clone())),
            ("looked_ms", Arc::new(looked)),
            ("run_id", text(&|e| Some(e.run.clone()))),
            ("id", text(&|e| Some(e.id.clone()))),
            ("undoes", text(&|e| undoes(e).map(str::to_owned))),
        ],
    )
}

fn judgement(entry: &Entry) -> Option<&Judgement> {
    match &entry.event {
        Event::Decide(judgement) => Some(judgement),
        Event::Undo { .. } => None,
    }
}

fn undoes(entry: &Entry) -> Option<&str> {
    match &entry.event {
        Event::Decide(_) => None,
        Event::Undo { undoes } => Some(undoes),
    }
}
