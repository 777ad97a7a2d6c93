//! Samples and replies -> what may be promised, and what each detector is worth on this drive.
//!
//! Only calls and visits count: an SMS is answered by whoever holds the phone. The population is that of the samples'
//! frames, whatever the replies say; a reply that does not fit is set aside with its reason.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sample::{FrameRow, ListRow, Sample, end_of, plain_cell};
use crate::assurance::detectors::{JudgedStratum, estimates, rates};
use crate::assurance::promise::{CalledUnit, Goal, NightStratum, Outcome, Second, Share, share};
use crate::assurance::record::{Assurance, DetectorRow, Level, LimitRow, Promise};
use crate::decisions::{self, Decisions};
use crate::dump::facts::folded;
use crate::output::{self, Kept, create_private, write_durably};
use crate::reason::Reason;
use crate::replies::{Answer, Answers, Channel, Refusal, Refused, Replies, Reply, ReplyNames};
use crate::verdict::write_table;
use crate::{Error, Result};
use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

/// What to work out.
#[derive(Debug, Clone)]
pub struct AssuranceJob {
    /// Sample folders, in the order of their nights; second samples among them.
    pub samples: Vec<PathBuf>,
    /// Tables of replies.
    pub responses: Vec<PathBuf>,
    /// What they call things.
    pub names: ReplyNames,
    /// Logs of reviewers' decisions.
    pub decisions: Vec<PathBuf>,
    /// How sure, and of what.
    pub goal: Goal,
    /// Precision that a suggested limit must keep.
    pub precision: f64,
    /// Now, microseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}

/// A sample with its second sample.
struct Night {
    first: Sample,
    second: Option<Sample>,
}

/// Works it out; with the replies that were set aside.
///
/// # Errors
/// [`Error::Input`] for a sample that was changed, a table that is none; [`Error::Usage`] for a second sample without its
/// first, or two of one.
pub fn assure(job: &AssuranceJob) -> Result<(Assurance, Vec<Refused>)> {
    let nights = read_nights(&job.samples)?;
    let mut replies = Replies::read(&job.responses, &job.names, job.now)?;
    check(&mut replies, &nights);
    let answers = replies.settle();
    let decided = decided_duplicates(&Decisions::read(&job.decisions)?);
    let mut promises = Vec::new();
    for (level, name, division) in places(&nights) {
        promises.push(promise(&nights, &answers, level, (name, division), job.goal));
    }
    let detectors = DETECTORS.iter().map(|d| detector_row(d, &nights, &answers, &decided, job)).collect();
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

fn read_nights(paths: &[PathBuf]) -> Result<Vec<Night>> {
    let mut nights: Vec<Night> = Vec::new();
    let mut seconds = Vec::new();
    for path in paths {
        let sample = Sample::read(path)?;
        match sample.record.second {
            Some(_) => seconds.push(sample),
            None => nights.push(Night { first: sample, second: None }),
        }
    }
    for second in seconds {
        let list = second.record.second.as_ref().map(|of| of.list_sha256.clone()).unwrap_or_default();
        let named = second.path.display().to_string();
        match nights.iter_mut().find(|night| night.first.record.list_sha256 == list) {
            Some(night) if night.second.is_none() => night.second = Some(second),
            Some(_) => {
                return Err(Error::usage(
                    "SAMPLE",
                    format!("{named} is another second sample of one list"),
                    "name one",
                ));
            }
            None => {
                let problem = format!("{named} is a second sample, and the first one is not named");
                return Err(Error::usage("SAMPLE", problem, "name the first one, too"));
            }
        }
    }
    // A membership belongs to one population.
    let mut seen: HashMap<&str, &Path> = HashMap::new();
    for night in &nights {
        for row in &night.first.frame {
            if let Some(other) = seen.insert(&row.submission_id, &night.first.path) {
                let problem =
                    format!("{} and {} both have {}", other.display(), night.first.path.display(), row.submission_id);
                return Err(Error::usage("SAMPLE", problem, "name one sample for each night"));
            }
        }
    }
    Ok(nights)
}

/// Sets aside the replies that do not fit the samples.
fn check(replies: &mut Replies, nights: &[Night]) {
    struct Known<'a> {
        row: &'a FrameRow,
        drawn_at: i64,
        is_on_list: bool,
        asked_again_at: Option<i64>,
    }
    let mut known: HashMap<&str, Known> = HashMap::new();
    for Night { first, second } in nights {
        let listed: HashSet<&str> = first.list.iter().map(|row| row.submission_id.as_str()).collect();
        for row in &first.frame {
            let (id, drawn_at) = (row.submission_id.as_str(), first.record.drawn_at);
            known.insert(id, Known { row, drawn_at, is_on_list: listed.contains(id), asked_again_at: None });
        }
        for row in second.iter().flat_map(|second| &second.frame) {
            if let (Some(known), Some(second)) = (known.get_mut(row.submission_id.as_str()), second) {
                known.asked_again_at = Some(second.record.drawn_at);
            }
        }
    }
    replies.keep(&|reply: &Reply| {
        let Some(known) = known.get(reply.submission_id.as_str()) else {
            return Some((Refusal::IdUnknown, "in no sample's frame".to_owned()));
        };
        if let (Some(mobile), Some(end)) = (&reply.mobile, &known.row.mobile_end)
            && end_of(mobile) != *end
        {
            return Some((Refusal::OtherMobile, format!("ends with {}, the member's with {end}", end_of(mobile))));
        }
        let by_person = reply.channel != Channel::Sms && known.is_on_list;
        if by_person && reply.at.is_some_and(|at| at < known.drawn_at) {
            return Some((Refusal::BeforeSample, "older than the list".to_owned()));
        }
        let asked_again = known.asked_again_at.filter(|_| reply.channel == Channel::Call);
        if asked_again.is_some_and(|since| reply.at.is_some_and(|at| at > since)) {
            return Some((Refusal::AfterSecondSample, "write what the second sample brings as a visit".to_owned()));
        }
        None
    });
}

/// Memberships that reviewers said are, or are not, a person's second.
fn decided_duplicates(decisions: &Decisions) -> HashMap<String, bool> {
    let ledger = decisions.ledger();
    let mut decided: HashMap<String, bool> = HashMap::new();
    for pair in ledger.pairs() {
        let Some(settled) = ledger.settled(pair).filter(|settled| !settled.disputed) else { continue };
        let is_same = match settled.answer {
            decisions::Answer::Same => true,
            decisions::Answer::Different => false,
            decisions::Answer::NotSure => continue,
        };
        for (submission, ..) in pair.sides() {
            *decided.entry(submission.clone()).or_insert(false) |= is_same;
        }
    }
    decided
}

/// The drive, its divisions and its districts, in order.
fn places(nights: &[Night]) -> Vec<(Level, String, String)> {
    let mut places: BTreeMap<(Level, String, String), (String, String)> = BTreeMap::new();
    places.insert((Level::Drive, String::new(), String::new()), (String::new(), String::new()));
    for stratum in nights.iter().flat_map(|night| &night.first.record.strata).filter(|stratum| stratum.accepted) {
        let (division, district) = (folded(&stratum.division), folded(&stratum.district));
        if !division.is_empty() {
            let spelt = (stratum.division.clone(), stratum.division.clone());
            places.entry((Level::Division, division.clone(), String::new())).or_insert(spelt);
        }
        if !district.is_empty() {
            let spelt = (stratum.district.clone(), stratum.division.clone());
            places.entry((Level::District, division, district)).or_insert(spelt);
        }
    }
    places.into_iter().map(|((level, ..), (name, division))| (level, name, division)).collect()
}

/// What calls and visits came to for a member of the first list, and whom the answer is from.
fn answer_of<'a>(answers: &'a Answers, submission: &str) -> Option<&'a Reply> {
    let by = |channel| answers.get(&(submission.to_owned(), channel));
    let (visit, call) = (by(Channel::Visit), by(Channel::Call));
    visit.filter(|reply| reply.answer.is_answer()).or(call).or(visit)
}

fn outcome(reply: Option<&Reply>) -> Outcome {
    match reply.map(|reply| reply.answer.is_real()) {
        None => Outcome::Pending,
        Some(None) => Outcome::Silent,
        Some(Some(true)) => Outcome::Real,
        Some(Some(false)) => Outcome::NotReal,
    }
}

fn called_unit(night: &Night, row: &ListRow, answers: &Answers) -> CalledUnit {
    let id = &row.submission_id;
    let candidate = night.second.as_ref().filter(|second| second.frame.iter().any(|other| other.submission_id == *id));
    let (outcome, second) = match candidate {
        None => (outcome(answer_of(answers, id)), None),
        Some(second) => {
            let is_taken = second.list.iter().any(|other| other.submission_id == *id);
            let visit = answers.get(&(id.clone(), Channel::Visit));
            let probability = second.record.second.as_ref().map_or(1.0, |of| of.probability);
            let outcome = is_taken.then(|| outcome(visit));
            (Outcome::Silent, Some(Second { probability, outcome }))
        }
    };
    CalledUnit { order: row.place, inclusion_probability: row.inclusion_probability, outcome, second }
}

fn promise(
    nights: &[Night],
    answers: &Answers,
    level: Level,
    (name, division): (String, String),
    goal: Goal,
) -> Promise {
    let mut strata = Vec::new();
    let mut counts: BTreeMap<Answer, u64> = BTreeMap::new();
    let (mut members, mut drawn) = (0, 0);
    for (number, night) in nights.iter().enumerate() {
        for (at, stratum) in night.first.record.strata.iter().enumerate().filter(|(_, stratum)| stratum.accepted) {
            let same = |a: &str, b: &str| folded(a) == folded(b);
            let is_inside = match level {
                Level::Drive => true,
                Level::Division => same(&stratum.division, &name),
                Level::District => same(&stratum.district, &name) && same(&stratum.division, &division),
            };
            if !is_inside {
                continue;
            }
            let rows: Vec<&ListRow> = night.first.list.iter().filter(|row| row.stratum == at).collect();
            members += stratum.members;
            drawn += rows.len() as u64;
            for reply in rows.iter().filter_map(|row| answer_of(answers, &row.submission_id)) {
                *counts.entry(reply.answer).or_default() += 1;
            }
            let units = rows.into_iter().map(|row| called_unit(night, row, answers)).collect();
            strata.push(NightStratum { night: number, population: stratum.members, units });
        }
    }
    let calls = counts.values().sum();
    Promise { level, name, division, members, drawn, calls, answers: counts, share: share(&strata, goal) }
}

/// A detector, the reasons it gives, and whose word says what is true.
struct Detector {
    name: &'static str,
    reasons: &'static [Reason],
    truth: fn(&Reply) -> Option<bool>,
    by_reviewers: bool,
    score: Option<Score>,
}

/// A score that a limit of the policy cuts.
struct Score {
    key: &'static str,
    of: fn(&FrameRow) -> Option<f32>,
    flags_below: bool,
}

const DETECTORS: [Detector; 4] = [
    Detector {
        name: "photo_of_photo",
        reasons: &[Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected],
        truth: |reply| reply.live.map(|is_live| !is_live),
        by_reviewers: false,
        score: Some(Score { key: "liveness.review_below", of: |row| row.liveness, flags_below: true }),
    },
    Detector {
        name: "duplicate",
        reasons: &[Reason::DuplicateMember, Reason::DuplicateSelfie],
        truth: |reply| reply.first_time.map(|is_first| !is_first),
        by_reviewers: true,
        score: None,
    },
    Detector {
        name: "stand_in",
        reasons: &[
            Reason::StandIn,
            Reason::MemberIsWorker,
            Reason::MemberIsOtherWorker,
            Reason::PhotoMismatch,
            Reason::BystanderRecurs,
        ],
        truth: |reply| reply.answer.is_real().map(|is_real| !is_real),
        by_reviewers: false,
        score: None,
    },
    Detector {
        name: "worker_absent",
        reasons: &[Reason::WorkerAbsent, Reason::WorkerMismatch, Reason::OneFace, Reason::NoFace],
        truth: |reply| reply.in_person.map(|was_there| !was_there),
        by_reviewers: false,
        score: None,
    },
];

fn detector_row(
    detector: &Detector,
    nights: &[Night],
    answers: &Answers,
    decided: &HashMap<String, bool>,
    job: &AssuranceJob,
) -> DetectorRow {
    let truth = |id: &str| {
        let by_reviewers = decided.get(id).copied().filter(|_| detector.by_reviewers);
        by_reviewers.or_else(|| answer_of(answers, id).and_then(detector.truth))
    };
    let by_reason = |row: &FrameRow| row.reasons.iter().any(|reason| detector.reasons.contains(reason));
    let strata = judged(nights, &by_reason, &truth);
    let flagged: u64 = strata.iter().filter(|stratum| stratum.is_flagged).map(|stratum| stratum.population).sum();
    let limits = detector.score.as_ref().map_or_else(Vec::new, |score| limits(score, nights, &truth));
    let suggestion =
        detector.score.as_ref().and_then(|score| suggestion(score, &limits, flagged, &strata, job.precision));
    DetectorRow {
        detector: detector.name.to_owned(),
        flagged,
        judged: strata.iter().map(|stratum| stratum.truths.iter().flatten().count() as u64).sum(),
        rates: rates(&strata, job.goal.confidence),
        policy_key: detector.score.as_ref().map(|score| score.key.to_owned()),
        limits,
        suggestion,
    }
}

/// Strata parted by what is flagged, with what people say of those drawn.
fn judged(
    nights: &[Night],
    is_flagged: &dyn Fn(&FrameRow) -> bool,
    truth: &dyn Fn(&str) -> Option<bool>,
) -> Vec<JudgedStratum> {
    let mut strata = Vec::new();
    for Night { first, .. } in nights {
        let by_id: HashMap<&str, &FrameRow> = first.frame.iter().map(|row| (row.submission_id.as_str(), row)).collect();
        let count = first.record.strata.len();
        let mut parts: Vec<[JudgedStratum; 2]> = (0..count)
            .map(|_| [false, true].map(|is_flagged| JudgedStratum { is_flagged, ..JudgedStratum::default() }))
            .collect();
        for row in &first.frame {
            parts[row.stratum][usize::from(is_flagged(row))].population += 1;
        }
        for row in &first.list {
            let Some(of_frame) = by_id.get(row.submission_id.as_str()) else { continue };
            parts[row.stratum][usize::from(is_flagged(of_frame))].truths.push(truth(&row.submission_id));
        }
        strata.extend(parts.into_iter().flatten().filter(|part| part.population > 0));
    }
    strata
}

fn limits(score: &Score, nights: &[Night], truth: &dyn Fn(&str) -> Option<bool>) -> Vec<LimitRow> {
    let row = |tenths: u32| {
        let limit = f64::from(tenths) / 20.0;
        let is_flagged =
            |row: &FrameRow| (score.of)(row).is_some_and(|value| (f64::from(value) < limit) == score.flags_below);
        let strata = judged(nights, &is_flagged, truth);
        let flagged = strata.iter().filter(|stratum| stratum.is_flagged).map(|stratum| stratum.population).sum();
        let (precision, recall) = estimates(&strata);
        LimitRow { limit, flagged, precision, recall }
    };
    (1..20).map(row).collect()
}

/// The limit that finds most among those that keep the precision, where it finds more than today's.
fn suggestion(
    score: &Score,
    limits: &[LimitRow],
    flagged_now: u64,
    now: &[JudgedStratum],
    precision: f64,
) -> Option<String> {
    let (_, recall_now) = estimates(now);
    let keeps = |row: &&LimitRow| row.precision.is_some_and(|found| found >= precision);
    let best = limits
        .iter()
        .filter(keeps)
        .max_by(|a, b| a.recall.partial_cmp(&b.recall).unwrap_or(std::cmp::Ordering::Equal))?;
    let (found, before) = (best.recall?, recall_now?);
    (found > before + 0.01).then(|| {
        format!(
            "{} = {:.2} would find {:.0} % instead of {:.0} %, and flag {} members instead of {}",
            score.key,
            best.limit,
            100.0 * found,
            100.0 * before,
            best.flagged,
            flagged_now
        )
    })
}

/// Writes `assurance.json`, `promises.parquet` and `replies_refused.csv` into a folder.
///
/// # Errors
/// [`Error::Usage`] for a folder that is read; [`Error::Io`].
pub fn write(assurance: &Assurance, refused: &[Refused], out: &Path, job: &AssuranceJob) -> Result<()> {
    let samples = job.samples.iter().map(|path| Kept::whole("a sample", path));
    let responses = job.responses.iter().map(|path| Kept::itself("replies", path));
    output::check("--out", out, &samples.chain(responses).collect::<Vec<_>>())?;
    std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
    let text = serde_json::to_string_pretty(assurance).map_err(|e| Error::bug("writing assurance.json", e))?;
    write_durably(&out.join("assurance.json"), text.as_bytes())?;
    write_promises(&out.join("promises.parquet"), &assurance.promises)?;
    write_refused(&out.join("replies_refused.csv"), refused)
}

fn write_promises(path: &Path, promises: &[Promise]) -> Result<()> {
    let text =
        |get: fn(&Promise) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(promises.iter().map(get))) };
    let count = |get: &dyn Fn(&Promise) -> Option<u64>| -> ArrayRef {
        Arc::new(promises.iter().map(|p| get(p).and_then(|n| i64::try_from(n).ok())).collect::<Int64Array>())
    };
    let share = |get: fn(&Share) -> Option<f64>| -> ArrayRef {
        Arc::new(promises.iter().map(|p| get(&p.share)).collect::<Float64Array>())
    };
    let answer = |answer: Answer| count(&|p| Some(p.answers.get(&answer).copied().unwrap_or(0)));
    write_table(
        path,
        vec![
            ("level", text(|p| p.level.code())),
            ("name", text(|p| &p.name)),
            ("division", text(|p| &p.division)),
            ("members", count(&|p| Some(p.members))),
            ("drawn", count(&|p| Some(p.drawn))),
            ("calls", count(&|p| Some(p.calls))),
            ("confirmed", answer(Answer::Confirmed)),
            ("denied", answer(Answer::Denied)),
            ("wrong_data", answer(Answer::WrongData)),
            ("undelivered", answer(Answer::Undelivered)),
            ("silent", answer(Answer::Silent)),
            ("not_real", share(|s| s.estimate)),
            ("not_real_low", share(|s| Some(s.low))),
            ("not_real_high", share(|s| Some(s.high))),
            ("not_real_high_if_silent_are_alike", share(|s| Some(s.high_if_silent_are_alike))),
            ("more_calls", count(&|p| p.share.more_calls)),
        ],
    )
}

fn write_refused(path: &Path, refused: &[Refused]) -> Result<()> {
    let failed = |e: csv::Error| Error::io("write", path)(std::io::Error::other(e));
    let mut writer = csv::Writer::from_writer(create_private(path)?);
    writer.write_record(["file", "row", "submission_id", "reason", "detail"]).map_err(failed)?;
    for row in refused {
        let cells = [
            row.file.display().to_string(),
            row.row.to_string(),
            row.submission_id.clone().unwrap_or_default(),
            row.reason.code().to_owned(),
            row.detail.clone(),
        ];
        writer.write_record(cells.iter().map(|cell| plain_cell(cell))).map_err(failed)?;
    }
    writer.flush().map_err(Error::io("write", path))
}

/// Members of a first sample that were called and did not answer.
///
/// # Errors
/// [`Error::Input`] for a table that is none.
pub fn silent_members(first: &Sample, responses: &[PathBuf], names: &ReplyNames, now: i64) -> Result<HashSet<String>> {
    let mut replies = Replies::read(responses, names, now)?;
    let nights = [Night { first: first.clone(), second: None }];
    check(&mut replies, &nights);
    let answers = replies.settle();
    let is_silent = |row: &&ListRow| outcome(answer_of(&answers, &row.submission_id)) == Outcome::Silent;
    Ok(first.list.iter().filter(is_silent).map(|row| row.submission_id.clone()).collect())
}
