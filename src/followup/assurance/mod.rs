//! Samples and replies -> what may be promised, and what each detector is worth on this drive.
//!
//! Only calls and visits count: an SMS is answered by whoever holds the phone. The population is that of the samples'
//! frames, whatever the replies say; a reply that does not fit is set aside with its reason.
//!
//! | part | |
//! |---|---|
//! | `job` | what to work out |
//! | `nights` | samples and replies that fit each other, and what an answer comes to |
//! | `promises` | answers -> promises for drive, divisions and districts |
//! | `detectors` | answers and decisions -> what each detector is worth, and at which limit |
//! | `tables` | the files of OUT |

mod detectors;
mod job;
mod nights;
mod promises;
mod tables;

use crate::Result;
use crate::assurance::record::{Assurance, Level};
use crate::decisions::Decisions;
use crate::replies::{Channel, Refused, Replies};

pub use job::AssuranceJob;
pub use nights::silent_members;
pub use tables::write;

/// Works it out; with the replies that were set aside.
///
/// # Errors
/// [`Error::Input`] for a sample that was changed, a table that is none; [`Error::Usage`] for a second sample without its
/// first, or two of one.
pub fn assure(job: &AssuranceJob) -> Result<(Assurance, Vec<Refused>)> {
    let nights = nights::read(&job.samples)?;
    let mut replies = Replies::read(&job.responses, &job.names, job.now)?;
    nights::check(&mut replies, &nights);
    let answers = replies.settle();
    let decided = detectors::decided_duplicates(&Decisions::read(&job.decisions)?);
    let mut promises = Vec::new();
    for (level, name, division) in promises::places(&nights) {
        promises.push(promises::promise(&nights, &answers, level, (name, division), job.goal));
    }
    let detectors =
        detectors::DETECTORS.iter().map(|d| detectors::detector_row(d, &nights, &answers, &decided, job)).collect();
    let unseen = promises.iter().filter(|p| p.level == Level::District && p.calls == 0).count();
    let mut assumptions = vec![
        "What a caller writes down is what is so: have some members called twice, by another caller.".to_owned(),
        "Each interval holds by itself, at every time of looking; of twenty districts one may be outside.".to_owned(),
        "Members who are silent or not to be reached count as not real, unless a second sample stands for them."
            .to_owned(),
    ];
    let without_time = answers.values().filter(|reply| reply.channel != Channel::Sms && reply.at.is_none()).count();
    if without_time > 0 {
        let because = "whether the sample was drawn before them cannot be checked";
        assumptions.push(format!("{without_time} answers have no time: {because}."));
    }
    if unseen > 0 {
        assumptions.push(format!("Of {unseen} districts nobody was called: nothing is promised of them."));
    }
    let assurance = Assurance {
        version: 1,
        lists: nights.iter().map(|night| night.first.record.list_sha256.clone()).collect(),
        goal: job.goal,
        promises,
        detectors,
        replies_used: answers.len() as u64,
        replies_refused: replies.refused_counts().into_iter().map(|(code, n)| (code.to_owned(), n)).collect(),
        assumptions,
    };
    Ok((assurance, replies.refused))
}
