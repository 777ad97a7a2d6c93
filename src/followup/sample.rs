//! A random sample of all memberships of a night, for callers; and a second one of those who did not answer.
//!
//! Strata are night, division, district, accepted or not, and whether the booth has had a check. Within a stratum all are
//! equally likely ([`design`]). A sample is a folder:
//!
//! | file | |
//! |---|---|
//! | `sample.parquet` | who is called, in which order, with which probability |
//! | `frame.parquet` | every membership that could have been drawn, its stratum, its verdict and scores: the population |
//! | `sample.json` | seed, time, strata, SHA-256 of list and frame; written last |
//! | `callers.csv` | the list to work with, **with mobile numbers**; delete it when the calls are done |
//! | `questions.txt` | what callers ask |
//!
//! List and frame hold the last three digits of a number, nothing more. Whoever has seed and frame can draw again: that is
//! how an edited list is found out. All files are readable by their owner alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, ListBuilder, StringArray, StringBuilder,
};
use arrow::datatypes::{Float32Type, Float64Type, Int64Type};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::members::{Member, NightMembers};
use super::text::questions;
use crate::assurance::design;
use crate::assurance::random::uniform;
use crate::config::Columns;
use crate::config::policy::Language;
use crate::dump::facts::{Mobile, folded};
use crate::output::{self, Kept, create_private, create_private_folder, write_durably};
use crate::reason::{Reason, Verdict};
use crate::report::table;
use crate::verdict::write_table;
use crate::{Error, Result};

/// Version of the folder.
const VERSION: u32 = 1;

/// What to draw.
#[derive(Debug, Clone)]
pub struct SampleJob {
    /// Run folders of the nights to draw from.
    pub runs: Vec<PathBuf>,
    /// The dumps, where they have moved.
    pub dumps: Vec<PathBuf>,
    /// What the dump's columns are called.
    pub columns: Columns,
    /// Samples of earlier nights: their booths have had a check.
    pub earlier: Vec<PathBuf>,
    /// The folder to make.
    pub out: PathBuf,
    /// Members to call.
    pub calls: u64,
    /// Share of the calls that goes to memberships that were not accepted.
    pub other_share: f64,
    /// How much likelier members of booths without a check are called.
    pub booth_weight: f64,
    /// The seed; `None` draws one.
    pub seed: Option<String>,
    /// Language of the questions.
    pub language: Language,
    /// Now, microseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}

/// A stratum of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stratum {
    /// The run.
    pub run_id: String,
    /// The division, as first spelt; blank where the dump has none.
    pub division: String,
    /// The district.
    pub district: String,
    /// Whether its members were accepted.
    pub accepted: bool,
    /// Whether their booths had a check before.
    pub booth_checked: bool,
    /// Its members.
    pub members: u64,
    /// Those to call.
    pub calls: u64,
}

/// `sample.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// Version of the folder.
    pub version: u32,
    /// The seed.
    pub seed: String,
    /// When it was drawn, microseconds since 1970-01-01T00:00:00Z.
    pub drawn_at: i64,
    /// The runs drawn from.
    pub runs: Vec<String>,
    /// Rows of these runs that are no membership of their own: other tries, repeated ids, erased ones, rows without an id.
    pub left_out: u64,
    /// The strata, in the order of their numbers.
    pub strata: Vec<Stratum>,
    /// SHA-256 of the frame.
    pub frame_sha256: String,
    /// SHA-256 of the list.
    pub list_sha256: String,
    /// Of a second sample: the list that it was drawn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<SecondRecord>,
}

/// What a second sample was drawn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondRecord {
    /// SHA-256 of the first list.
    pub list_sha256: String,
    /// The chance with which each silent member was taken.
    pub probability: f64,
}

/// A membership of the frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameRow {
    /// Its id.
    pub submission_id: String,
    /// Number of its stratum.
    pub stratum: usize,
    /// Its booth.
    pub booth_id: Option<String>,
    /// The last three digits of its mobile number.
    pub mobile_end: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Its reasons.
    pub reasons: Vec<Reason>,
    /// The lower liveness of its two faces.
    pub liveness: Option<f32>,
    /// The highest similarity to another membership.
    pub similarity: Option<f32>,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListRow {
    /// Whom to call.
    pub submission_id: String,
    /// Number of the stratum.
    pub stratum: usize,
    /// Number of the draw within the stratum, from 0.
    pub draw: u64,
    /// Where it stands in the night's list: all strata go through it evenly.
    pub place: u64,
    /// Its chance of being on the list.
    pub inclusion_probability: f64,
}

/// A sample as it is read back.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its folder.
    pub path: PathBuf,
    /// `sample.json`.
    pub record: SampleRecord,
    /// The population.
    pub frame: Vec<FrameRow>,
    /// The list, by stratum and draw.
    pub list: Vec<ListRow>,
}

/// What was drawn, in a sentence or two.
#[derive(Debug, Clone, Serialize)]
pub struct SampleSummary {
    /// The folder.
    pub sample: PathBuf,
    /// The seed.
    pub seed: String,
    /// SHA-256 of the list.
    pub list_sha256: String,
    /// Memberships that could be drawn.
    pub members: u64,
    /// Members to call.
    pub calls: u64,
    /// Of these, of booths without a check.
    pub unchecked_booths: u64,
    /// Strata, and those without a call.
    pub strata: usize,
    /// Those of them for which no call was left.
    pub strata_without_call: usize,
}

impl std::fmt::Display for SampleSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} calls among {} memberships in {} strata, {} of them in booths without a check so far",
            self.calls, self.members, self.strata, self.unchecked_booths
        )?;
        if self.strata_without_call > 0 {
            writeln!(
                f,
                "{} strata have no call: nothing can be promised of their members; raise --calls to {} or more",
                self.strata_without_call, self.strata
            )?;
        }
        writeln!(f, "seed {}, list {}", self.seed, self.list_sha256)?;
        write!(f, "{}", self.sample.display())
    }
}

/// The folder of a run's sample, beside the run folder.
pub fn beside(run: &Path) -> PathBuf {
    let mut name = run.file_name().unwrap_or_default().to_os_string();
    name.push(".sample");
    run.with_file_name(name)
}

/// Draws a sample and writes its folder.
///
/// # Errors
/// [`Error::Usage`] and [`Error::Input`] before anything is written: a run or its dump that cannot be read, a folder that is
/// there. [`Error::Io`].
pub fn draw(job: &SampleJob) -> Result<SampleSummary> {
    let kept: Vec<Kept> = job.runs.iter().map(|run| Kept::whole("a run folder", run)).collect();
    output::check("--out", &job.out, &kept)?;
    refuse_existing(&job.out)?;
    let nights: Vec<NightMembers> =
        job.runs.iter().map(|run| NightMembers::read(run, &job.dumps, &job.columns)).collect::<Result<_>>()?;
    let mut checked: HashSet<(String, String)> = HashSet::new();
    for earlier in &job.earlier {
        let sample = Sample::read(earlier)?;
        let called: HashSet<&str> = sample.list.iter().map(|row| row.submission_id.as_str()).collect();
        for row in sample.frame.iter().filter(|row| called.contains(row.submission_id.as_str())) {
            let district = &sample.record.strata[row.stratum].district;
            checked.extend(row.booth_id.as_deref().map(|booth| (folded(district), folded(booth))));
        }
    }
    let seed = match &job.seed {
        Some(seed) => seed.clone(),
        None => fresh_seed()?,
    };
    let (strata, frame) = stratify(&nights, &checked, job)?;
    let list = drawn(&strata, &frame, &seed);
    let rows: u64 = nights.iter().map(|night| night.rows).sum();
    let record = SampleRecord {
        version: VERSION,
        seed,
        drawn_at: job.now,
        runs: nights.iter().map(|night| night.run_id.clone()).collect(),
        left_out: rows - frame.len() as u64,
        frame_sha256: frame_hash(&frame),
        list_sha256: list_hash(&list),
        strata,
        second: None,
    };
    let people: HashMap<&str, &Member> =
        nights.iter().flat_map(|night| &night.members).map(|m| (m.submission_id.as_str(), m)).collect();
    write(&job.out, &record, &frame, &list)?;
    write_callers(&job.out, &list, &people, "call", job.language)?;
    let unchecked = |row: &&ListRow| !record.strata[row.stratum].booth_checked;
    finish(&job.out, &record)?;
    Ok(SampleSummary {
        sample: job.out.clone(),
        seed: record.seed.clone(),
        list_sha256: record.list_sha256.clone(),
        members: frame.len() as u64,
        calls: list.len() as u64,
        unchecked_booths: list.iter().filter(unchecked).count() as u64,
        strata: record.strata.len(),
        strata_without_call: record.strata.iter().filter(|stratum| stratum.calls == 0).count(),
    })
}

fn refuse_existing(out: &Path) -> Result<()> {
    match std::fs::symlink_metadata(out) {
        Err(_) => Ok(()),
        Ok(_) => {
            let fix = "a sample is drawn once, before the answers are known; name another --out for another night";
            Err(Error::input(out, "--out", "no folder of this name yet", "one that is there", fix))
        }
    }
}

/// A seed of 20 hexadecimal digits from the system.
fn fresh_seed() -> Result<String> {
    let mut bytes = [0u8; 10];
    getrandom::fill(&mut bytes).map_err(|e| Error::bug("drawing a seed", e))?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

type StratumKey = (usize, String, String, bool, bool);

/// Strata with their calls, and the frame.
fn stratify(
    nights: &[NightMembers],
    checked: &HashSet<(String, String)>,
    job: &SampleJob,
) -> Result<(Vec<Stratum>, Vec<FrameRow>)> {
    let mut groups: BTreeMap<StratumKey, Vec<&Member>> = BTreeMap::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for (night, members) in nights.iter().enumerate() {
        for member in members.members.iter().filter(|member| member.is_own_membership()) {
            if !seen.insert(&member.submission_id) {
                continue;
            }
            let place = |text: &Option<String>| text.as_deref().map(folded).unwrap_or_default();
            let district = place(&member.facts.district);
            let is_checked = checked.contains(&(district.clone(), place(&member.facts.booth_id)));
            let accepted = member.verdict == Verdict::Accept;
            let key = (night, place(&member.facts.division), district, accepted, is_checked);
            groups.entry(key).or_default().push(member);
        }
    }
    if groups.is_empty() {
        let (problem, fix) = ("none of the rows is a membership with an id", "name a run with rows");
        return Err(Error::usage("RUN", problem, fix));
    }
    let mut strata = Vec::new();
    let mut frame = Vec::new();
    for ((night, _, _, accepted, booth_checked), members) in groups {
        let spelt = |of: fn(&Member) -> &Option<String>| {
            members.iter().filter_map(|member| of(member).clone()).min().unwrap_or_default()
        };
        strata.push(Stratum {
            run_id: nights[night].run_id.clone(),
            division: spelt(|member| &member.facts.division),
            district: spelt(|member| &member.facts.district),
            accepted,
            booth_checked,
            members: members.len() as u64,
            calls: 0,
        });
        frame.extend(members.into_iter().map(|member| frame_row(member, strata.len() - 1)));
    }
    allocate(&mut strata, job);
    Ok((strata, frame))
}

/// Calls for accepted members and for others, each over their strata.
fn allocate(strata: &mut [Stratum], job: &SampleJob) {
    let members = |accepted: bool| -> u64 {
        strata.iter().filter(|stratum| stratum.accepted == accepted).map(|stratum| stratum.members).sum()
    };
    let wanted = (job.calls as f64 * job.other_share).round() as u64;
    // What one side cannot take goes to the other.
    let others = wanted.min(members(false)).max(job.calls.saturating_sub(members(true)));
    for (accepted, calls) in [(true, job.calls.saturating_sub(others.min(job.calls))), (false, others)] {
        let own: Vec<usize> = (0..strata.len()).filter(|&s| strata[s].accepted == accepted).collect();
        let weight = |s: usize| if strata[s].booth_checked { 1.0 } else { job.booth_weight };
        let sizes: Vec<(u64, f64)> = own.iter().map(|&s| (strata[s].members, weight(s))).collect();
        let given = design::allocate(&sizes, calls);
        own.into_iter().zip(given).for_each(|(s, calls)| strata[s].calls = calls);
    }
}

fn frame_row(member: &Member, stratum: usize) -> FrameRow {
    let mobile = member.facts.mobile.as_deref().and_then(|typed| Mobile::parse(typed).ok());
    FrameRow {
        submission_id: member.submission_id.clone(),
        stratum,
        booth_id: member.facts.booth_id.clone(),
        mobile_end: mobile.map(|mobile| end_of(mobile.as_str())),
        verdict: member.verdict,
        reasons: member.reasons.clone(),
        liveness: member.liveness,
        similarity: member.similarity,
    }
}

/// The last three digits: enough to notice another number, not to dial it.
pub(super) fn end_of(mobile: &str) -> String {
    mobile.chars().skip(mobile.chars().count().saturating_sub(3)).collect()
}

/// Draws the list from the frame.
fn drawn(strata: &[Stratum], frame: &[FrameRow], seed: &str) -> Vec<ListRow> {
    let mut by_stratum: Vec<Vec<&str>> = vec![Vec::new(); strata.len()];
    for row in frame {
        if let Some(ids) = by_stratum.get_mut(row.stratum) {
            ids.push(&row.submission_id);
        }
    }
    let mut list = Vec::new();
    for (number, (stratum, ids)) in strata.iter().zip(&by_stratum).enumerate() {
        for (draw, at) in (0u64..).zip(design::draw(seed, ids, stratum.calls)) {
            list.push(ListRow {
                submission_id: ids[at].to_owned(),
                stratum: number,
                draw,
                place: design::place(draw, stratum.calls),
                inclusion_probability: stratum.calls as f64 / ids.len() as f64,
            });
        }
    }
    list
}

fn frame_hash(frame: &[FrameRow]) -> String {
    let mut hash = Sha256::new();
    for row in frame {
        let reasons: Vec<&str> = row.reasons.iter().map(|reason| reason.code()).collect();
        let (booth, end) = (row.booth_id.as_deref().unwrap_or(""), row.mobile_end.as_deref().unwrap_or(""));
        let line = (&row.submission_id, row.stratum, booth, end, row.verdict.code(), reasons);
        hash.update(format!("{line:?} {:?} {:?}\n", row.liveness, row.similarity));
    }
    hex(&hash.finalize())
}

fn list_hash(list: &[ListRow]) -> String {
    let mut hash = Sha256::new();
    for row in list {
        hash.update(format!("{:?}\n", (&row.submission_id, row.stratum, row.draw, row.place)));
    }
    hex(&hash.finalize())
}

fn write(out: &Path, record: &SampleRecord, frame: &[FrameRow], list: &[ListRow]) -> Result<()> {
    create_private_folder(out)?;
    let text = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let stratum = |at: usize| &record.strata[at];
    let of = |get: fn(&Stratum) -> &str, at: Vec<usize>| text(at.into_iter().map(|s| Some(get(stratum(s)))).collect());
    let mut reasons = ListBuilder::new(StringBuilder::new());
    frame.iter().for_each(|row| reasons.append_value(row.reasons.iter().map(|reason| Some(reason.code()))));
    let strata = |rows: Vec<usize>| -> ArrayRef {
        Arc::new(Int64Array::from(rows.into_iter().map(|s| s as i64).collect::<Vec<_>>()))
    };
    let places = || frame.iter().map(|row| row.stratum).collect::<Vec<_>>();
    write_table(
        &out.join("frame.parquet"),
        vec![
            ("submission_id", text(frame.iter().map(|row| Some(row.submission_id.as_str())).collect())),
            ("stratum", strata(places())),
            ("division", of(|s| &s.division, places())),
            ("district", of(|s| &s.district, places())),
            ("booth_id", text(frame.iter().map(|row| row.booth_id.as_deref()).collect())),
            ("mobile_end", text(frame.iter().map(|row| row.mobile_end.as_deref()).collect())),
            ("verdict", text(frame.iter().map(|row| Some(row.verdict.code())).collect())),
            ("reasons", Arc::new(reasons.finish())),
            ("liveness", Arc::new(frame.iter().map(|row| row.liveness).collect::<Float32Array>())),
            ("similarity", Arc::new(frame.iter().map(|row| row.similarity).collect::<Float32Array>())),
        ],
    )?;
    let places = || list.iter().map(|row| row.stratum).collect::<Vec<_>>();
    let number = |get: fn(&ListRow) -> u64| -> ArrayRef {
        Arc::new(list.iter().map(|row| i64::try_from(get(row)).ok()).collect::<Int64Array>())
    };
    let checked = places().into_iter().map(|s| Some(stratum(s).booth_checked)).collect::<BooleanArray>();
    write_table(
        &out.join("sample.parquet"),
        vec![
            ("submission_id", text(list.iter().map(|row| Some(row.submission_id.as_str())).collect())),
            ("stratum", strata(places())),
            ("run_id", of(|s| &s.run_id, places())),
            ("division", of(|s| &s.division, places())),
            ("district", of(|s| &s.district, places())),
            ("booth_checked", Arc::new(checked)),
            ("draw", number(|row| row.draw)),
            ("place", number(|row| row.place)),
            (
                "inclusion_probability",
                Arc::new(list.iter().map(|row| Some(row.inclusion_probability)).collect::<Float64Array>()),
            ),
        ],
    )
}

/// `sample.json`, last: a folder without it is no sample.
fn finish(out: &Path, record: &SampleRecord) -> Result<()> {
    let text = serde_json::to_string_pretty(record).map_err(|e| Error::bug("writing sample.json", e))?;
    write_durably(&out.join("sample.json"), text.as_bytes())
}

/// The list to work with, in the order of calling, with columns for the answers under the names of a table of replies.
fn write_callers(
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

/// A cell that no spreadsheet takes for a formula: names are typed by strangers.
pub(super) fn plain_cell(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

impl Sample {
    /// Reads a sample and checks it: list and frame are those of the record, and the seed draws this list from this frame.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder is no sample, or was changed.
    pub fn read(path: &Path) -> Result<Sample> {
        let file = path.join("sample.json");
        let refuse = |found: String| {
            Error::input(&file, "sample", "the record of a sample", found, "name a folder that `chehra sample` made")
        };
        let bytes = std::fs::read(&file).map_err(|e| refuse(e.to_string()))?;
        let record: SampleRecord = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
        if record.version != VERSION {
            return Err(refuse(format!("version {}", record.version)));
        }
        let sample = Sample {
            path: path.to_path_buf(),
            frame: read_frame(&path.join("frame.parquet"))?,
            list: read_list(&path.join("sample.parquet"))?,
            record,
        };
        sample.check()?;
        Ok(sample)
    }

    fn check(&self) -> Result<()> {
        let changed = |file: &str, found: &str| {
            let fix =
                "restore the folder as `chehra sample` wrote it: answers to a list that was changed prove nothing";
            Error::input(self.path.join(file), "sample", "what its seed draws and its hash says", found, fix)
        };
        if frame_hash(&self.frame) != self.record.frame_sha256 {
            return Err(changed("frame.parquet", "another population than the one drawn from"));
        }
        if list_hash(&self.list) != self.record.list_sha256 {
            return Err(changed("sample.parquet", "another list: rows were added, taken away or changed"));
        }
        let members = |number: usize| self.frame.iter().filter(|row| row.stratum == number).count() as u64;
        let strata = &self.record.strata;
        if self.frame.iter().any(|row| row.stratum >= strata.len())
            || strata.iter().enumerate().any(|(number, stratum)| members(number) != stratum.members)
        {
            return Err(changed("sample.json", "strata of other sizes than in frame.parquet"));
        }
        let again = match &self.record.second {
            None => drawn(strata, &self.frame, &self.record.seed),
            Some(second) => drawn_again(&self.frame, &self.record.seed, second.probability),
        };
        if again.iter().map(|row| &row.submission_id).ne(self.list.iter().map(|row| &row.submission_id)) {
            return Err(changed("sample.json", "a seed that draws another list"));
        }
        Ok(())
    }
}

fn read_frame(path: &Path) -> Result<Vec<FrameRow>> {
    let columns =
        ["submission_id", "stratum", "booth_id", "mobile_end", "verdict", "reasons", "liveness", "similarity"];
    let mut frame = Vec::new();
    table::read(path, &columns, |batch| {
        let (ids, booths, ends) = (batch.texts("submission_id")?, batch.texts("booth_id")?, batch.texts("mobile_end")?);
        let (verdicts, reasons) = (batch.texts("verdict")?, batch.lists("reasons")?);
        let strata = batch.numbers::<Int64Type>("stratum")?;
        let (liveness, similarity) =
            (batch.numbers::<Float32Type>("liveness")?, batch.numbers::<Float32Type>("similarity")?);
        for row in 0..batch.rows() {
            frame.push(FrameRow {
                submission_id: ids.get(row).unwrap_or_default().to_owned(),
                stratum: table::value(strata, row).and_then(|s| usize::try_from(s).ok()).unwrap_or(usize::MAX),
                booth_id: booths.get(row).map(str::to_owned),
                mobile_end: ends.get(row).map(str::to_owned),
                verdict: verdicts.get(row).and_then(table::verdict).unwrap_or(Verdict::Review),
                reasons: reasons.get(row).into_iter().filter_map(table::reason).collect(),
                liveness: table::value(liveness, row),
                similarity: table::value(similarity, row),
            });
        }
        Ok(())
    })?;
    Ok(frame)
}

fn read_list(path: &Path) -> Result<Vec<ListRow>> {
    let mut list = Vec::new();
    table::read(path, &["submission_id", "stratum", "draw", "place", "inclusion_probability"], |batch| {
        let ids = batch.texts("submission_id")?;
        let whole = |name| batch.numbers::<Int64Type>(name);
        let (strata, draws, places) = (whole("stratum")?, whole("draw")?, whole("place")?);
        let chances = batch.numbers::<Float64Type>("inclusion_probability")?;
        for row in 0..batch.rows() {
            let number = |column| table::value(column, row).and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX);
            list.push(ListRow {
                submission_id: ids.get(row).unwrap_or_default().to_owned(),
                stratum: number(strata) as usize,
                draw: number(draws),
                place: number(places),
                inclusion_probability: table::value(chances, row).unwrap_or(0.0),
            });
        }
        Ok(())
    })?;
    Ok(list)
}

/// Those of the silent who are asked again, each by its own chance.
fn drawn_again(frame: &[FrameRow], seed: &str, probability: f64) -> Vec<ListRow> {
    let taken = frame.iter().filter(|row| uniform(&[seed, "silent", &row.submission_id]) < probability);
    let row = |(draw, row): (u64, &FrameRow)| ListRow {
        submission_id: row.submission_id.clone(),
        stratum: row.stratum,
        draw,
        place: draw,
        inclusion_probability: probability,
    };
    (0u64..).zip(taken).map(row).collect()
}

/// Draws a second sample of `silent` members of a sample.
///
/// # Errors
/// As [`draw`].
pub fn draw_again(
    first: &Sample,
    silent: &HashSet<String>,
    probability: f64,
    job: &SampleJob,
) -> Result<SampleSummary> {
    output::check("--out", &job.out, &[Kept::whole("the sample", &first.path)])?;
    refuse_existing(&job.out)?;
    let on_list: HashSet<&str> = first.list.iter().map(|row| row.submission_id.as_str()).collect();
    let is_silent =
        |row: &&FrameRow| on_list.contains(row.submission_id.as_str()) && silent.contains(&row.submission_id);
    let frame: Vec<FrameRow> = first.frame.iter().filter(is_silent).cloned().collect();
    let seed = match &job.seed {
        Some(seed) => seed.clone(),
        None => fresh_seed()?,
    };
    let list = drawn_again(&frame, &seed, probability);
    let mut strata = first.record.strata.clone();
    for (number, stratum) in strata.iter_mut().enumerate() {
        stratum.members = frame.iter().filter(|row| row.stratum == number).count() as u64;
        stratum.calls = list.iter().filter(|row| row.stratum == number).count() as u64;
    }
    let record = SampleRecord {
        version: VERSION,
        seed,
        drawn_at: job.now,
        runs: first.record.runs.clone(),
        left_out: 0,
        frame_sha256: frame_hash(&frame),
        list_sha256: list_hash(&list),
        strata,
        second: Some(SecondRecord { list_sha256: first.record.list_sha256.clone(), probability }),
    };
    let nights: Vec<NightMembers> =
        job.runs.iter().map(|run| NightMembers::read(run, &job.dumps, &job.columns)).collect::<Result<_>>()?;
    let people: HashMap<&str, &Member> =
        nights.iter().flat_map(|night| &night.members).map(|m| (m.submission_id.as_str(), m)).collect();
    write(&job.out, &record, &frame, &list)?;
    write_callers(&job.out, &list, &people, "visit", job.language)?;
    finish(&job.out, &record)?;
    Ok(SampleSummary {
        sample: job.out.clone(),
        seed: record.seed.clone(),
        list_sha256: record.list_sha256.clone(),
        members: frame.len() as u64,
        calls: list.len() as u64,
        unchecked_booths: 0,
        strata: record.strata.iter().filter(|stratum| stratum.members > 0).count(),
        strata_without_call: 0,
    })
}
