//! What requests have in common: who sends them, what makes each count once, why one is not done.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use crate::Error;
use crate::decisions::{Entry, Event, KnownAnswers, VERSION};

/// Why a request is not done.
#[derive(Debug)]
pub enum Refusal {
    /// It cannot be meant.
    Wrong(&'static str),
    /// There is no such pair.
    Unknown,
    /// Nothing to take back.
    Nothing,
    /// The reviewer has answered known pairs and rows wrongly too often.
    Stopped(KnownAnswers),
    /// The log did not take it.
    Log(Error),
}

impl From<KnownAnswers> for Refusal {
    fn from(answers: KnownAnswers) -> Self {
        Refusal::Stopped(answers)
    }
}

/// An undo as the page sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenBack {
    /// Who.
    pub reviewer: String,
    /// Made up by the page.
    pub nonce: String,
}

/// Words beside an answer, trimmed; none where there are none.
pub fn note(typed: Option<&str>) -> Result<Option<String>, Refusal> {
    let note = typed.map(str::trim).filter(|note| !note.is_empty()).map(str::to_owned);
    match note.as_ref().is_some_and(|note| note.chars().count() > 2000) {
        true => Err(Refusal::Wrong("a note has at most 2000 characters")),
        false => Ok(note),
    }
}

/// The name of whoever sends a request; of a desk that was started for one person, that person's.
pub fn name(typed: &str, only: Option<&str>) -> Result<String, Refusal> {
    let name = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = (1..=40).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    match only {
        _ if !fits => Err(Refusal::Wrong("a reviewer's name has 1 to 40 characters")),
        Some(only) if only != name => Err(Refusal::Wrong("this desk was started for another reviewer")),
        _ => Ok(name),
    }
}

/// The nonce of a request, which becomes the id of its line.
pub fn nonce(sent: &str) -> Result<String, Refusal> {
    let fits = (16..=64).contains(&sent.len()) && sent.bytes().all(|b| b.is_ascii_alphanumeric());
    if fits { Ok(sent.to_owned()) } else { Err(Refusal::Wrong("a nonce has 16 to 64 letters and digits")) }
}

/// A line of the log of decisions.
pub fn entry(run: &str, reviewer: &str, nonce_sent: &str, event: Event) -> Result<Entry, Refusal> {
    Ok(Entry {
        v: VERSION,
        id: nonce(nonce_sent)?,
        at: now(),
        reviewer: reviewer.to_owned(),
        run: run.to_owned(),
        event,
    })
}

/// Now, as a line of a log has it.
pub fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

/// A panic elsewhere is no reason to refuse decisions: what the lock guards is whole between two calls.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
