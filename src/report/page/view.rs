//! What is gathered -> what is shown: texts, numbers and data of the template.

use askama::Template;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::actions::{Action, actions, worker_href};
use super::call_first::{self, CallRow};
use super::charts::{self, Bar};
use super::format::{data, escaped, hash, percent, share, small, time};
use super::gathered::Gathered;
use super::lists::lists;
use super::mask::grouped;
use super::night::{COMPLAINTS, Tally};
use super::peers::Standing;
use super::promises::{self, DetectorRow, PromiseRow};
use super::text;
use super::units::{
    PlaceRow, QualityRow, StandingRow, district_rows, division_rows, flags, quality_rows, standing_row, training_rows,
};
use crate::config::Policy;
use crate::reason::{Reason, Verdict};
use crate::report::Summary;
use crate::report::run::Run;
use crate::{Error, Result};

/// Entries of the table of workers.
const MOST_WORKERS: usize = 300;
/// Entries of the table of booths.
const MOST_BOOTHS: usize = 100;
/// Rows of the table of pairs of districts.
const MOST_BETWEEN: usize = 60;

const CSS: &str = include_str!("report.css");
const JS: &str = include_str!("report.js");
const DRIVE_JS: &str = include_str!("drive.js");
const LIGHT: &str = "--bg:#f6f7f8;--paper:#fff;--ink:#1b2328;--soft:#56636b;--line:#d9dfe2;--row:#f1f4f5;--accent:#00597f;\
--focus:#005fcc;--accept:#007055;--retake:#855c00;--review:#0068a8;--reject:#b43f00;--unreadable:#63636b;\
--b-accept:#008060;--b-retake:#d69500;--b-review:#0068a8;--b-reject:#c84600;--b-unreadable:#7a7a80;\
--shade:0 1px 2px rgba(20,30,40,.07)";
const DARK: &str = "--bg:#12171a;--paper:#1a2126;--ink:#e4eaed;--soft:#9fadb5;--line:#333e45;--row:#222b31;--accent:#7cc4ea;\
--focus:#8ec7ff;--accept:#4ccfa7;--retake:#e9b949;--review:#6cb8ee;--reject:#f6915f;--unreadable:#a9a9b2;\
--b-accept:#35c49b;--b-retake:#e9b949;--b-review:#5fb0ea;--b-reject:#f2804a;--b-unreadable:#a2a2ab;--shade:none";

#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Page {
    pub(super) run: RunView,
    pub(super) style: String,
    pub(super) style_hash: String,
    pub(super) script: String,
    pub(super) script_hash: String,
    pub(super) tiles: Vec<Tile>,
    pub(super) legend: [&'static str; 4],
    pub(super) verdict_keys: [&'static str; 5],
    pub(super) reasons: Vec<ReasonRow>,
    pub(super) nights: Vec<NightRow>,
    pub(super) nights_chart: String,
    pub(super) districts_chart: String,
    pub(super) divisions: Vec<PlaceRow>,
    pub(super) districts: Vec<PlaceRow>,
    pub(super) max_q: String,
    pub(super) q_false: String,
    pub(super) min_submissions: String,
    pub(super) min_ratio: String,
    pub(super) workers: Vec<StandingRow>,
    pub(super) workers_shown: String,
    pub(super) workers_all: String,
    pub(super) all_workers: String,
    pub(super) booths: Vec<StandingRow>,
    pub(super) workers_chart: String,
    pub(super) call_first: Vec<CallRow>,
    pub(super) call_first_all: String,
    pub(super) promises: Vec<PromiseRow>,
    pub(super) promise_detectors: Vec<DetectorRow>,
    pub(super) promise_confidence: String,
    pub(super) pictures: bool,
    pub(super) has_persons: bool,
    pub(super) persons_listed: String,
    pub(super) persons_all: String,
    pub(super) persons_pictured: String,
    pub(super) loose: String,
    pub(super) kinds: Vec<String>,
    pub(super) between: Vec<(String, String, String)>,
    pub(super) between_shown: String,
    pub(super) between_all: String,
    pub(super) has_spoofs: bool,
    pub(super) spoofs_listed: String,
    pub(super) spoofs_all: String,
    pub(super) spoofs_pictured: String,
    pub(super) reject_below: String,
    pub(super) review_below: String,
    pub(super) quality: Vec<QualityRow>,
    pub(super) quality_shown: String,
    pub(super) quality_all: String,
    pub(super) complaint_keys: Vec<String>,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) scope: Option<String>,
    pub(super) actions: Vec<Action>,
    pub(super) fakes: [String; 3],
    pub(super) has_homes: bool,
    pub(super) training: Vec<QualityRow>,
    pub(super) drive_json: String,
    pub(super) texts_json: String,
    pub(super) persons_json: String,
    pub(super) spoofs_json: String,
    pub(super) pictures_json: String,
}

pub(super) struct RunView {
    pub(super) name: String,
    pub(super) rows: String,
    pub(super) read: String,
    /// The zone of every time on the page.
    pub(super) zone: String,
    pub(super) in_store: bool,
    pub(super) earlier_members: String,
    pub(super) expected_false: String,
    pub(super) expected_false_upper: String,
    pub(super) poor_fit: bool,
    /// What is wrong with whole columns, as the run said it.
    pub(super) warnings: Vec<String>,
}

pub(super) struct Tile {
    pub(super) key: &'static str,
    pub(super) class: &'static str,
    pub(super) count: String,
    pub(super) share: String,
}

pub(super) struct ReasonRow {
    pub(super) key: String,
    pub(super) code: &'static str,
    pub(super) verdict: &'static str,
    pub(super) verdict_key: String,
    pub(super) count: String,
    pub(super) share: String,
    pub(super) usual: String,
    pub(super) unusual: bool,
}

pub(super) struct NightRow {
    pub(super) name: String,
    pub(super) tonight: bool,
    pub(super) date: String,
    pub(super) rows: String,
    pub(super) shares: Vec<String>,
    pub(super) persons: String,
}

impl Page {
    /// A text that the switch translates.
    fn t(&self, key: &str) -> String {
        format!("<span data-t=\"{}\">{}</span>", escaped(key), escaped(text::english(key)))
    }

    /// A text with something put in.
    fn ta(&self, key: &str, values: &[&str]) -> String {
        let given = json!(values).to_string();
        let filled = text::english_with(key, values);
        format!("<span data-t=\"{}\" data-a=\"{}\">{}</span>", escaped(key), escaped(&given), escaped(&filled))
    }

    /// The English text alone, for attributes that the script translates.
    fn en<'a>(&self, key: &'a str) -> &'a str {
        text::english(key)
    }

    /// The heading of a table of those who stand out.
    fn standing_head(&self) -> String {
        let words = ["unit", "district", "reason"].map(|key| format!("<th scope=\"col\">{}</th>", self.t(key)));
        let numbers = ["count", "rate", "peer.rate", "times", "q.value"];
        let numbers = numbers.map(|key| format!("<th scope=\"col\" class=\"num\">{}</th>", self.t(key)));
        format!("<thead><tr>{}{}</tr></thead>", words.concat(), numbers.concat())
    }
}

fn tally_of(summary: &Summary) -> Tally {
    let verdicts = Verdict::ALL.map(|v| summary.verdicts.get(&v).copied().unwrap_or(0));
    Tally { submissions: summary.rows, verdicts, ..Tally::default() }
}

/// Renders the page.
pub(super) fn render(page: &Page) -> Result<String> {
    page.render().map_err(|e| Error::bug("rendering the report", e))
}

/// What the page shows.
pub(super) fn page(gathered: &Gathered) -> Result<Page> {
    let Gathered { run, earlier, persons, night, peers, called, pictures, assurance, drive, own, part, zone } =
        gathered;
    let summary = run.summary();
    let policy: Policy = serde_json::from_value(run.record.policy.clone()).unwrap_or_default();
    let script = JS.replace("/* drive.js */", DRIVE_JS);
    let style = CSS.replace("LIGHT", LIGHT).replace("DARK", DARK) + &charts::colour_rules();
    let mut divisions = division_rows(gathered);
    divisions.retain(|_| !peers.divisions.is_empty());
    let (districts, districts_chart) = district_rows(gathered)?;
    let (quality, quality_all) = quality_rows(night.workers.values());
    let [reject_below, review_below] = liveness_limits(&run.record.policy);
    let (data_persons, data_spoofs, data_pictures) = lists(gathered, review_below);
    let mut kinds: Vec<String> = persons.listed.iter().map(|p| p.worth.clone()).collect();
    kinds.sort();
    kinds.dedup();
    let standing = |all: &[Standing], most: usize| all.iter().take(most).map(standing_row).collect::<Vec<_>>();
    let mut workers = standing(&peers.workers, MOST_WORKERS);
    workers.iter_mut().for_each(|row| row.href = worker_href(&row.id));
    let pictured = |listed: usize, cut: Option<usize>| grouped(cut.unwrap_or(0).min(listed) as u64);
    Ok(Page {
        run: run_view(run, zone),
        style_hash: hash(&style),
        style,
        script_hash: hash(&script),
        script,
        tiles: tiles(&summary),
        legend: ["retake", "review", "reject", "unreadable"],
        verdict_keys: ["v.accept", "v.retake", "v.review", "v.reject", "v.unreadable"],
        reasons: reason_rows(&summary, earlier, &policy),
        nights: night_rows(run, earlier, zone),
        nights_chart: nights_chart(run, earlier)?,
        districts_chart,
        divisions,
        districts,
        max_q: small(policy.peers.max_q),
        q_false: small(100.0 * policy.peers.max_q),
        min_submissions: policy.peers.min_submissions.to_string(),
        min_ratio: small(policy.peers.min_ratio),
        workers_shown: grouped(workers.len() as u64),
        workers_all: grouped(peers.workers.len() as u64),
        all_workers: grouped(peers.all_workers),
        workers,
        booths: standing(&peers.booths, MOST_BOOTHS),
        workers_chart: if peers.all_workers < 2 { String::new() } else { charts::workers(peers)? },
        call_first: call_first::rows(called, peers),
        call_first_all: grouped(called.len() as u64),
        promises: promises::promises(assurance.as_ref()),
        promise_detectors: promises::detectors(assurance.as_ref(), &policy),
        promise_confidence: promises::confidence(assurance.as_ref()),
        pictures: pictures.is_some(),
        has_persons: !persons.listed.is_empty(),
        persons_listed: grouped(persons.listed.iter().filter(|p| !p.id.is_empty()).count() as u64),
        persons_all: grouped(persons.all),
        persons_pictured: pictured(persons.listed.len(), pictures.as_ref().map(|p| p.members.len())),
        loose: grouped(persons.loose),
        kinds,
        between: persons
            .between
            .iter()
            .take(MOST_BETWEEN)
            .map(|((a, b), n)| (a.clone(), b.clone(), grouped(*n)))
            .collect(),
        between_shown: grouped(persons.between.len().min(MOST_BETWEEN) as u64),
        between_all: grouped(persons.between.len() as u64),
        has_spoofs: !night.spoofs.is_empty(),
        spoofs_listed: grouped(night.spoofs.len() as u64),
        spoofs_all: grouped(night.all_spoofs),
        spoofs_pictured: pictured(night.spoofs.len(), pictures.as_ref().map(|p| p.spoofs.len())),
        reject_below: reject_below.to_string(),
        review_below: review_below.to_string(),
        quality_shown: grouped(quality.len() as u64),
        quality_all: grouped(quality_all),
        quality,
        complaint_keys: COMPLAINTS.iter().map(|r| format!("q.{}", r.code())).collect(),
        facts: facts(run),
        scope: part.clone(),
        actions: actions(gathered),
        fakes: drive.fakes().map(|number| grouped(number.round() as u64)),
        has_homes: own.has_workers(),
        training: training_rows(gathered),
        drive_json: data(&drive.data(own, earlier, zone, policy.drive.membership_fee, &flags(peers))),
        texts_json: data(&text::table()),
        persons_json: data(&data_persons),
        spoofs_json: data(&data_spoofs),
        pictures_json: data(&data_pictures),
    })
}

fn run_view(run: &Run, zone: &TimeZone) -> RunView {
    let matching = run.record.matching.clone().unwrap_or_default();
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), small);
    RunView {
        name: run.name.clone(),
        rows: grouped(run.record.rows),
        read: time(run.record.read_at, zone),
        zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        in_store: run.record.members_of_earlier_nights > 0,
        earlier_members: grouped(run.record.members_of_earlier_nights),
        expected_false: number(matching.expected_false_pairs),
        expected_false_upper: number(matching.expected_false_pairs_upper),
        poor_fit: matching.impostors.poor_fit.is_some(),
        warnings: run.summary().warnings,
    }
}

fn tiles(summary: &Summary) -> Vec<Tile> {
    let verdict = |at: usize| {
        let verdict = Verdict::ALL[at];
        let count = summary.verdicts.get(&verdict).copied().unwrap_or(0);
        let key = ["v.accept", "v.retake", "v.review", "v.reject", "v.unreadable"][at];
        Tile { key, class: verdict.code(), count: grouped(count), share: percent(share(count, summary.rows)) }
    };
    let plain = |key, count| Tile { key, class: "", count: grouped(count), share: String::new() };
    let mut tiles = vec![plain("submissions", summary.rows)];
    tiles.extend((0..5).map(verdict));
    tiles.push(plain("tile.persons", summary.clusters));
    tiles.push(plain("tile.cross", summary.cross_district_clusters));
    tiles.push(plain("tile.pairs", summary.pairs));
    tiles
}

/// Reasons by count, against their pooled share in the earlier nights.
fn reason_rows(summary: &Summary, earlier: &[Run], policy: &Policy) -> Vec<ReasonRow> {
    let earlier: Vec<Summary> = earlier.iter().map(Run::summary).collect();
    let before: u64 = earlier.iter().map(|s| s.rows).sum();
    let mut reasons: Vec<(Reason, u64)> = summary.reasons.iter().map(|(&reason, &count)| (reason, count)).collect();
    reasons.sort_by_key(|&(reason, count)| (std::cmp::Reverse(count), reason));
    let row = |(reason, count): (Reason, u64)| {
        let usual = share(earlier.iter().filter_map(|s| s.reasons.get(&reason)).sum(), before);
        let now = share(count, summary.rows);
        let verdict = policy.verdicts.of(reason).code();
        // Twice as often as usual, and beyond three standard deviations of a count of this size.
        let expected = usual * summary.rows as f64;
        let unusual = before > 0 && now > 2.0 * usual && count as f64 > expected + 3.0 * expected.max(1.0).sqrt();
        ReasonRow {
            key: format!("r.{}", reason.code()),
            code: reason.code(),
            verdict,
            verdict_key: format!("v.{verdict}"),
            count: grouped(count),
            share: percent(now),
            usual: percent(usual),
            unusual,
        }
    };
    reasons.into_iter().map(row).collect()
}

fn night_rows(run: &Run, earlier: &[Run], zone: &TimeZone) -> Vec<NightRow> {
    let row = |night: &Run, tonight: bool| {
        let summary = night.summary();
        let tally = tally_of(&summary);
        NightRow {
            name: night.name.clone(),
            tonight,
            date: time(night.record.read_at, zone),
            rows: grouped(summary.rows),
            shares: tally.verdicts.iter().map(|&count| percent(share(count, summary.rows))).collect(),
            persons: grouped(summary.clusters),
        }
    };
    match earlier {
        [] => Vec::new(),
        earlier => earlier.iter().map(|night| row(night, false)).chain([row(run, true)]).collect(),
    }
}

fn nights_chart(run: &Run, earlier: &[Run]) -> Result<String> {
    if earlier.is_empty() {
        return Ok(String::new());
    }
    let nights: Vec<(&str, Tally)> =
        earlier.iter().chain([run]).map(|night| (night.name.as_str(), tally_of(&night.summary()))).collect();
    charts::nights(&nights.iter().map(|(label, tally)| Bar { label, tally }).collect::<Vec<_>>())
}

/// Limits of liveness as the run had them: below the first a row was rejected, below the second it was asked about. Runs of an
/// earlier version had one limit, which rejected.
fn liveness_limits(recorded: &Value) -> [f64; 2] {
    let limit = |key: &str| recorded.get("liveness").and_then(|liveness| liveness.get(key)).and_then(Value::as_f64);
    let default = Policy::default().liveness;
    // Recorded numbers are single: 0.8 is to be read as 0.8.
    let short = |value: f32| value.to_string().parse().unwrap_or(f64::from(value));
    let reject = limit("reject_below").or_else(|| limit("min_bona_fide"));
    let review = limit("review_below").or(reject);
    [reject.unwrap_or_else(|| short(default.reject_below)), review.unwrap_or_else(|| short(default.review_below))]
}

fn facts(run: &Run) -> Vec<(&'static str, String)> {
    let record = &run.record;
    let matching = record.matching.clone().unwrap_or_default();
    let files: Vec<String> = record
        .inputs
        .iter()
        .take(8)
        .map(|file| {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            format!("{name} ({} bytes, sha256 {}…)", grouped(file.size), file.sha256.get(..12).unwrap_or_default())
        })
        .collect();
    let more = record.inputs.len().saturating_sub(8);
    let more = if more > 0 { format!(", +{more}") } else { String::new() };
    let models: Vec<String> = record.models.iter().map(|(role, model)| format!("{role} {model}")).collect();
    let queue = record.review.clone().unwrap_or_default();
    vec![
        ("about.run", record.run_id.clone()),
        ("about.version", format!("chehra {}", record.version)),
        ("about.models", models.join(", ")),
        ("about.device", record.device.clone()),
        ("about.inputs", files.join(", ") + &more),
        ("about.gallery", grouped(matching.gallery_size)),
        ("about.similarity", matching.review_similarity.map_or_else(|| "–".to_owned(), |s| format!("{s:.3}"))),
        (
            "about.queue",
            format!(
                "{} ({} false, +{})",
                grouped(queue.persons),
                percent(queue.expected_false_share),
                grouped(queue.left_out)
            ),
        ),
    ]
}
