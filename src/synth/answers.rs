//! What members of a synthetic night would answer: by SMS, to a caller, and to a visitor, each of whom asks everybody.
//!
//! `replies.csv` is what a gateway would report of a night's members, `answers.csv` what a call to each would come to,
//! `visits.csv` what is found at the door, where nobody is silent, all as `--responses` reads them. Only the members on a
//! sample's list are called or visited in life; the others' rows lie unused. Answers have no time, for a sample is drawn
//! after the night was made.

use std::fs::File;
use std::path::Path;

use super::facts;
use super::plan::{Pattern, ReplyPlan};
use super::rng::{Rng, Use};
use super::story::Story;
use crate::replies::Answer;
use crate::{Error, Result};

/// Whether there is a member behind a row of this pattern who agreed.
fn is_real(pattern: Pattern) -> bool {
    use Pattern::*;
    !matches!(
        pattern,
        PhoneMember
            | PrintMember
            | AttackMember
            | MonitorFrame
            | PrintFrame
            | SameFile
            | Reencoded
            | Cropped
            | Mirrored
    ) && !matches!(pattern, MemberIsWorker | MemberIsOtherWorker | WorkerAlone | NoFace | Group | PhotoMismatch)
        && !matches!(pattern, MobileReused | EpicReused | ConsentMissing | BackgroundReused)
}

/// Whether the picture was taken of the member's picture.
fn is_of_a_picture(pattern: Pattern) -> bool {
    use Pattern::*;
    matches!(pattern, PhoneMember | PrintMember | AttackMember | MonitorFrame | PrintFrame)
}

/// Whether the worker was not there.
fn is_without_worker(pattern: Pattern) -> bool {
    use Pattern::*;
    matches!(pattern, WorkerAbsent | WorkerMismatch | MemberAlone | NoFace | PhoneWorker | MonitorFrame | PrintFrame)
}

/// Writes the three tables of a night. `is_second` says whether a row enrols somebody who was enrolled before.
///
/// # Errors
/// [`Error::Io`].
pub fn write(
    story: &Story,
    seed: u64,
    plan: &ReplyPlan,
    folder: &Path,
    rows: std::ops::Range<usize>,
    is_second: &dyn Fn(usize) -> bool,
) -> Result<()> {
    let [of_sms, of_calls, of_visits] = ["replies.csv", "answers.csv", "visits.csv"].map(|name| folder.join(name));
    let mut sms = Csv::create(&of_sms, &["submission_id", "answer", "channel"])?;
    let header = ["submission_id", "answer", "channel", "in_person", "live", "first_time"];
    let mut calls = Csv::create(&of_calls, &header)?;
    let mut visits = Csv::create(&of_visits, &header)?;
    for k in rows {
        let Some(id) = facts::of(story, seed, k).submission_id else { continue };
        let row = &story.rows[k];
        let mut rng = Rng::new(seed, Use::Replies, row.slot.into());
        let real = is_real(row.pattern);
        let reply = said(&mut rng, real, plan.silent, plan.undelivered, plan);
        sms.write(&[&id, reply.code(), "sms"])?;
        // A caller tries again and again, and reaches half of the silent.
        let mut answer = said(&mut rng, real, plan.silent / 2.0, plan.undelivered, plan);
        if rng.chance(plan.caller_error) {
            answer = if answer == Answer::Denied { Answer::Confirmed } else { Answer::Denied };
        }
        let truths = [!is_without_worker(row.pattern), !is_of_a_picture(row.pattern), !is_second(k)];
        calls.write_answer(&id, answer, "call", truths)?;
        visits.write_answer(&id, said(&mut rng, real, 0.0, 0.0, plan), "visit", truths)?;
    }
    sms.finish()?;
    calls.finish()?;
    visits.finish()
}

fn said(rng: &mut Rng, is_real: bool, silent: f64, undelivered: f64, plan: &ReplyPlan) -> Answer {
    // Numbers that were made up reach nobody more often.
    let factor = if is_real { 1.0 } else { plan.unreal_silence };
    let (chance, draw) = (rng.unit(), rng.unit());
    match () {
        () if chance < undelivered * factor => Answer::Undelivered,
        () if chance < (undelivered + silent) * factor => Answer::Silent,
        () if !is_real => Answer::Denied,
        () if draw < plan.denied_by_real => Answer::Denied,
        () if draw < plan.denied_by_real + plan.wrong_data => Answer::WrongData,
        () => Answer::Confirmed,
    }
}

struct Csv<'a> {
    path: &'a Path,
    writer: csv::Writer<File>,
}

impl<'a> Csv<'a> {
    fn create(path: &'a Path, header: &[&str]) -> Result<Csv<'a>> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        let mut csv = Csv { path, writer: csv::Writer::from_writer(file) };
        csv.write(header)?;
        Ok(csv)
    }

    fn write(&mut self, cells: &[&str]) -> Result<()> {
        self.writer.write_record(cells).map_err(|e| Error::io("write", self.path)(std::io::Error::other(e)))
    }

    /// An answer with what was said of worker, picture and earlier enrolments, where somebody spoke.
    fn write_answer(&mut self, id: &str, answer: Answer, channel: &str, truths: [bool; 3]) -> Result<()> {
        let [in_person, live, first_time] = truths.map(|is_so| match (answer.is_answer(), is_so) {
            (false, _) => "",
            (true, true) => "yes",
            (true, false) => "no",
        });
        self.write(&[id, answer.code(), channel, in_person, live, first_time])
    }

    fn finish(mut self) -> Result<()> {
        self.writer.flush().map_err(Error::io("write", self.path))
    }
}
