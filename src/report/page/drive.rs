//! Who sent what from where: the rows of a night by division, district, sector, mandalam, booth and worker, for lists that
//! are opened step by step.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use arrow::array::TimestampMicrosecondArray;
use arrow::datatypes::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::format::time;
use super::night::COMPLAINTS;
use super::scope::Scope;
use super::text::word;
use crate::config::policy::Language;
use crate::dump::facts::folded;
use crate::dump::{TextColumn, read_texts};
use crate::reason::{Reason, Verdict};
use crate::report::run::Run;
use crate::report::table::{Texts, read, reason, value, verdict};
use crate::{Error, Result};

/// Selfies that the page lists by worker; of a larger night only those that were not accepted.
const MOST_ROWS: usize = 40_000;

/// What is counted of rows of one worker at one place.
#[derive(Debug, Clone, Default, PartialEq)]
struct Counts {
    /// By verdict, in the order of [`Verdict::ALL`].
    verdicts: [u64; 5],
    /// Photos of photos, found or suspected.
    spoofs: u64,
    /// Members enrolled before, and pictures submitted before.
    duplicates: u64,
    /// Pictures whose taking could be better.
    quality: u64,
    /// Expected fake memberships among them.
    fakes: f64,
    /// The variance of that.
    variance: f64,
}

/// One selfie.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    leaf: usize,
    submission: String,
    at: Option<i64>,
    verdict: Verdict,
    reasons: Vec<Reason>,
}

/// Tables of the party's own that a page may be given.
#[derive(Debug, Clone, Default)]
pub struct OwnTables {
    /// Members to be won: division, district, booth, and the number.
    targets: Vec<([Option<String>; 3], u64)>,
    /// By folded worker id: the name, booth and division.
    workers: BTreeMap<String, [Option<String>; 3]>,
}

impl OwnTables {
    /// Reads a table of targets and one of workers.
    ///
    /// # Errors
    /// [`Error::Input`] for a table that cannot be read, lacks a column or has a target that is no number.
    pub fn read(targets: Option<&Path>, workers: Option<&Path>) -> Result<OwnTables> {
        let column = |name: &str, required: bool| TextColumn { name: name.to_owned(), required };
        let mut tables = OwnTables::default();
        if let Some(path) = targets {
            let columns = [("target", true), ("division", false), ("district", false), ("booth_id", false)];
            let rows = read_texts(path, &columns.map(|(name, required)| column(name, required)))?;
            for (at, row) in rows.into_iter().enumerate() {
                let cell = |at: usize| row.get(at).cloned().flatten();
                let text = cell(0).unwrap_or_default();
                let number = text.replace(',', "").parse::<u64>().map_err(|_| {
                    let fix = "write how many members are to be won, as 250";
                    Error::input(path, format!("row {}, target", at + 1), "a whole number", format!("`{text}`"), fix)
                })?;
                let places = [1, 2, 3].map(cell);
                if places.iter().all(Option::is_none) {
                    let fix = "name a division, a district or a booth_id in each row";
                    return Err(Error::input(path, format!("row {}", at + 1), "a place", "none", fix));
                }
                tables.targets.push((places, number));
            }
        }
        if let Some(path) = workers {
            let columns = [("worker_id", true), ("booth_id", true), ("name", false), ("division", false)];
            for row in read_texts(path, &columns.map(|(name, required)| column(name, required)))? {
                let cell = |at: usize| row.get(at).cloned().flatten();
                if let Some(worker) = cell(0) {
                    tables.workers.insert(folded(&worker), [cell(2), cell(1), cell(3)]);
                }
            }
        }
        Ok(tables)
    }
}

impl OwnTables {
    /// Whether a table says in which booth each worker is.
    pub fn has_workers(&self) -> bool {
        !self.workers.is_empty()
    }
}

/// Of an earlier night: which, submissions, and those held back.
type Earlier = (usize, i64, i64);

/// All of it.
#[derive(Debug, Default)]
pub struct Drive {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
    leaves: Vec<([usize; 6], Counts)>,
    rows: Vec<Sent>,
    /// Selfies in all.
    all_rows: usize,
    /// By unit and folded name, for each earlier night: submissions and those held back.
    before: BTreeMap<(String, String), Vec<Earlier>>,
}

/// How sure the best pair of a submission is, by its id: the probability that it is of two people; 0 where people decided
/// that it is one.
type Pairs = HashMap<String, f64>;

fn pairs(tables: &Path) -> Result<Pairs> {
    let mut found = Pairs::new();
    let columns = ["submission_a", "submission_b", "probability_false", "decision"];
    read(&tables.join("pairs.parquet"), &columns, |batch| {
        let sides = [batch.texts("submission_a")?, batch.texts("submission_b")?];
        let (doubt, decisions) = (batch.numbers::<Float64Type>("probability_false")?, batch.texts_if_any("decision"));
        for row in 0..batch.rows() {
            let doubt = match decisions.and_then(|decisions| decisions.get(row)) {
                Some("confirmed") => 0.0,
                Some("cleared") => continue,
                _ => value(doubt, row).unwrap_or(1.0),
            };
            for id in sides.iter().filter_map(|side| side.get(row)) {
                let least = found.entry(id.to_owned()).or_insert(1.0);
                *least = least.min(doubt);
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Probability that a row is no member of its own: the surest of what was found.
fn fake(reasons: &[Reason], liveness: Option<f32>, doubt: Option<f64>) -> f64 {
    let of = |reason: &Reason| match reason {
        Reason::DuplicateSelfie | Reason::MemberDenied => 1.0,
        Reason::DuplicateMember => 1.0 - doubt.unwrap_or(0.5),
        Reason::PhotoOfPhoto | Reason::PhotoOfPhotoSuspected => 1.0 - f64::from(liveness.unwrap_or(0.5)),
        _ => 0.0,
    };
    reasons.iter().map(of).fold(0.0, f64::max).clamp(0.0, 1.0)
}

impl Drive {
    /// Reads the verdict table of a run folder, and of earlier nights how much of each unit's was held back.
    ///
    /// # Errors
    /// [`Error::Input`] for a table that is missing or of another form.
    pub fn read(tables: &Path, earlier: &[Run], divisions: &HashMap<String, String>, scope: &Scope) -> Result<Drive> {
        let mut drive = Drive::default();
        drive.number("");
        let pairs = pairs(tables)?;
        let mut places: HashMap<[usize; 6], usize> = HashMap::new();
        let columns = [
            "submission_id",
            "worker_id",
            "district",
            "verdict",
            "reasons",
            "member_liveness",
            "worker_liveness",
            "captured_at",
            "division",
            "sector",
            "mandalam",
            "booth_id",
        ];
        read(&tables.join("verdicts.parquet"), &columns, |batch| {
            let (ids, workers, districts) =
                (batch.texts("submission_id")?, batch.texts("worker_id")?, batch.texts("district")?);
            let (verdicts, reasons) = (batch.texts("verdict")?, batch.lists("reasons")?);
            let liveness =
                [batch.numbers::<Float32Type>("member_liveness")?, batch.numbers::<Float32Type>("worker_liveness")?];
            // Tables of earlier versions, and dumps with columns of their own, lack these.
            let [division, sector, mandalam, booth] =
                ["division", "sector", "mandalam", "booth_id"].map(|name| batch.texts_if_any(name));
            let times: Option<&TimestampMicrosecondArray> =
                batch.numbers::<TimestampMicrosecondType>("captured_at").ok();
            let cell = |texts: Option<Texts>, row: usize| texts.and_then(|texts| texts.get(row).map(str::to_owned));
            for row in (0..batch.rows()).filter(|&row| scope.has(districts.get(row))) {
                let district = districts.get(row);
                let of_district = || district.and_then(|name| divisions.get(&folded(name)).cloned());
                let key = [
                    cell(division, row).or_else(of_district),
                    district.map(str::to_owned),
                    cell(sector, row),
                    cell(mandalam, row),
                    cell(booth, row),
                    workers.get(row).map(str::to_owned),
                ]
                .map(|name| drive.number(name.as_deref().unwrap_or_default()));
                let leaf = *places.entry(key).or_insert_with(|| {
                    drive.leaves.push((key, Counts::default()));
                    drive.leaves.len() - 1
                });
                let verdict = verdicts.get(row).and_then(verdict).unwrap_or(Verdict::Review);
                let reasons: Vec<Reason> = reasons.get(row).into_iter().filter_map(reason).collect();
                let id = ids.get(row).unwrap_or_default();
                let live = liveness.iter().filter_map(|column| value(column, row)).reduce(f32::min);
                let fake = fake(&reasons, live, pairs.get(id).copied());
                drive.leaves[leaf].1.add(verdict, &reasons, fake);
                let at = times.and_then(|times| value(times, row));
                drive.rows.push(Sent { leaf, submission: id.to_owned(), at, verdict, reasons });
            }
            Ok(())
        })?;
        drive.all_rows = drive.rows.len();
        if drive.rows.len() > MOST_ROWS {
            drive.rows.retain(|row| row.verdict != Verdict::Accept);
            drive.rows.truncate(MOST_ROWS);
        }
        for (night, run) in earlier.iter().enumerate() {
            drive.read_before(night, &run.path)?;
        }
        Ok(drive)
    }

    fn read_before(&mut self, night: usize, tables: &Path) -> Result<()> {
        let columns = ["unit", "id", "reason", "submissions", "count"];
        read(&tables.join("workers_audit.parquet"), &columns, |batch| {
            let (units, ids, reasons) = (batch.texts("unit")?, batch.texts("id")?, batch.texts("reason")?);
            let (all, held) = (batch.numbers::<Int64Type>("submissions")?, batch.numbers::<Int64Type>("count")?);
            for row in (0..batch.rows()).filter(|&row| reasons.get(row) == Some("any")) {
                let key = [units, ids].map(|texts| texts.get(row).unwrap_or_default());
                let counts = (night, value(all, row).unwrap_or_default(), value(held, row).unwrap_or_default());
                self.before.entry((key[0].to_owned(), folded(key[1]))).or_default().push(counts);
            }
            Ok(())
        })
    }

    fn number(&mut self, name: &str) -> usize {
        let next = self.names.len();
        match self.numbers.get(&folded(name)) {
            Some(&number) => number,
            None => {
                self.numbers.insert(folded(name), next);
                self.names.push(name.to_owned());
                next
            }
        }
    }

    /// Fake memberships among what was flagged, with the 95 % interval.
    pub fn fakes(&self) -> [f64; 3] {
        let sum = |get: fn(&Counts) -> f64| self.leaves.iter().map(|(_, counts)| get(counts)).sum::<f64>();
        let (mean, reach) = (sum(|counts| counts.fakes), 1.96 * sum(|counts| counts.variance).sqrt());
        [mean, (mean - reach).max(0.0), mean + reach]
    }

    /// Workers whose submissions are of another booth than the table of workers gives them, and booths of the tables from
    /// which nothing was sent: (name, what of it).
    pub fn astray(&self, own: &OwnTables) -> [Vec<String>; 2] {
        let mut outside: BTreeMap<&str, u64> = BTreeMap::new();
        let mut heard: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();
        for (key, counts) in &self.leaves {
            let [booth, worker] = [key[4], key[5]].map(|number| self.names[number].as_str());
            heard.insert(folded(booth));
            let home = own.workers.get(&folded(worker)).and_then(|[_, booth, _]| booth.as_deref());
            if !booth.is_empty() && home.is_some_and(|home| folded(home) != folded(booth)) {
                *outside.entry(worker).or_default() += counts.verdicts.iter().sum::<u64>();
            }
        }
        let mut outside: Vec<(&str, u64)> = outside.into_iter().collect();
        outside.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
        let of_targets = own.targets.iter().filter_map(|(places, _)| places[2].clone());
        let of_workers = own.workers.values().filter_map(|[_, booth, _]| booth.as_deref().map(folded));
        let manned: std::collections::BTreeSet<String> = of_workers.collect();
        let is_empty = |booth: &String| !manned.contains(&folded(booth)) && !heard.contains(&folded(booth));
        let mut empty: Vec<String> = of_targets.filter(is_empty).collect();
        empty.sort();
        empty.dedup();
        [outside.into_iter().map(|(name, _)| name.to_owned()).collect(), empty]
    }

    /// Who sent how much from where, a row for each worker at each place.
    pub fn counted(&self) -> Vec<Vec<String>> {
        let row = |(key, counts): &([usize; 6], Counts)| {
            let names = key.iter().map(|&number| self.names[number].clone());
            let numbers = [counts.spoofs, counts.duplicates, counts.quality];
            let all = [counts.verdicts.iter().sum::<u64>()].into_iter().chain(counts.verdicts).chain(numbers);
            names.chain(all.map(|number| number.to_string())).chain([format!("{:.2}", counts.fakes)]).collect()
        };
        self.leaves.iter().map(row).collect()
    }

    /// The selfies, with what to tell the worker.
    pub fn selfies(&self, zone: &TimeZone, language: Language) -> Vec<Vec<String>> {
        let row = |row: &Sent| {
            let reason = |reason: &Reason| word(&format!("r.{}", reason.code()), language).to_owned();
            let reasons: Vec<String> = row.reasons.iter().map(reason).collect();
            let mut advice: Vec<&str> =
                row.reasons.iter().filter_map(|reason| reason.advice()).map(|told| language.of(told)).collect();
            advice.dedup();
            vec![
                row.submission.clone(),
                self.names[self.leaves[row.leaf].0[5]].clone(),
                row.at.map(|at| time(at, zone)).unwrap_or_default(),
                word(&format!("v.{}", row.verdict.code()), language).to_owned(),
                reasons.join("; "),
                advice.join(" "),
            ]
        };
        self.rows.iter().map(row).collect()
    }

    /// What the page's script is given.
    pub fn data(&self, own: &OwnTables, nights: &[Run], zone: &TimeZone, fee: f64, flags: &Value) -> Value {
        let leaf = |(key, c): &([usize; 6], Counts)| {
            let round = |x: f64| (x * 1000.0).round() / 1000.0;
            json!([key, c.verdicts, c.spoofs, c.duplicates, c.quality, round(c.fakes), round(c.variance)])
        };
        let row = |row: &Sent| {
            let reasons: Vec<usize> = row.reasons.iter().map(|&reason| reason as usize).collect();
            json!([row.leaf, row.submission, row.at.map(|at| time(at, zone)), row.verdict as usize, reasons])
        };
        let mut before: BTreeMap<&str, BTreeMap<&str, &Vec<Earlier>>> = BTreeMap::new();
        for ((unit, name), nights) in &self.before {
            before.entry(unit).or_default().insert(name, nights);
        }
        let homes: BTreeMap<&String, &[Option<String>; 3]> = own.workers.iter().collect();
        json!({
            "names": self.names,
            "leaves": self.leaves.iter().map(leaf).collect::<Vec<_>>(),
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "all": self.all_rows,
            "reasons": Reason::ALL.iter().map(|reason| reason.code()).collect::<Vec<_>>(),
            "quality": COMPLAINTS.map(|reason| reason as usize),
            "nights": nights.iter().map(|night| night.name.as_str()).collect::<Vec<_>>(),
            "before": before,
            "targets": own.targets,
            "homes": homes,
            "fee": fee,
            "flags": flags,
        })
    }
}

impl Counts {
    fn add(&mut self, verdict: Verdict, reasons: &[Reason], fake: f64) {
        let any = |of: &[Reason]| u64::from(reasons.iter().any(|reason| of.contains(reason)));
        self.verdicts[verdict as usize] += 1;
        self.spoofs += any(&[Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected]);
        self.duplicates += any(&[Reason::DuplicateMember, Reason::DuplicateSelfie]);
        self.quality += any(&COMPLAINTS);
        self.fakes += fake;
        self.variance += fake * (1.0 - fake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fake_is_as_sure_as_the_surest_of_what_was_found() {
        assert_eq!(fake(&[], Some(0.1), Some(0.0)), 0.0);
        assert_eq!(fake(&[Reason::DuplicateMember], None, Some(0.25)), 0.75);
        assert_eq!(fake(&[Reason::DuplicateMember, Reason::DuplicateSelfie], None, Some(0.25)), 1.0);
        assert!((fake(&[Reason::PhotoOfPhoto], Some(0.2), None) - 0.8).abs() < 1e-6);
        let mut counts = Counts::default();
        counts.add(Verdict::Review, &[Reason::DuplicateMember, Reason::FaceBlurred], 0.75);
        assert_eq!((counts.verdicts[2], counts.duplicates, counts.quality), (1, 1, 1));
        assert_eq!((counts.fakes, counts.variance), (0.75, 0.1875));
    }

    #[test]
    fn own_tables_are_read_and_what_is_missing_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let (targets, workers) = (temp.path().join("t.csv"), temp.path().join("w.csv"));
        std::fs::write(&targets, "division,booth_id,target\nUjjain,,500\n,B1,20\n,B2,30\n").unwrap();
        std::fs::write(&workers, "worker_id,booth_id,name\nW1,B1,Asha\n").unwrap();
        let own = OwnTables::read(Some(&targets), Some(&workers)).unwrap();
        assert_eq!(own.targets.len(), 3);
        let mut drive = Drive::default();
        let key = ["", "Dewas", "", "", "B9", "W1"].map(|name| drive.number(name));
        drive.leaves.push((key, Counts { verdicts: [3, 0, 0, 0, 0], ..Counts::default() }));
        assert_eq!(drive.astray(&own), [vec!["W1".to_owned()], vec!["B2".to_owned()]]);
        std::fs::write(&targets, "booth_id,target\nB1,many\n").unwrap();
        assert!(OwnTables::read(Some(&targets), None).unwrap_err().to_string().contains("row 1, target"));
    }
}
