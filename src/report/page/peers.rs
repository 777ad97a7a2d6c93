//! Workers, booths and districts against their peers, from `workers_audit.parquet`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use arrow::datatypes::{Float64Type, Int64Type};

use super::scope::Scope;
use crate::Result;
use crate::dump::facts::folded;
use crate::reason::Reason;
use crate::report::table::{read, value};

/// One unit and one reason for which it stands out.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Worker id, booth id or name of a district.
    pub id: String,
    /// The district of most of its submissions.
    pub district: Option<String>,
    /// Code of the reason, or `any`.
    pub reason: String,
    /// Submissions.
    pub submissions: i64,
    /// Those with the reason.
    pub count: i64,
    /// Rate and its 95 % interval.
    pub rate: [f64; 3],
    /// Rate of its peers.
    pub peer_rate: f64,
    /// `district`, `division` or `all`.
    pub peers: String,
    /// The q-value.
    pub q_value: f64,
}

/// A worker in the chart of workers.
#[derive(Debug, Clone, PartialEq)]
pub struct Dot {
    /// The worker.
    pub id: String,
    /// The district of most of its submissions.
    pub district: Option<String>,
    /// Submissions.
    pub submissions: i64,
    /// Those not accepted.
    pub held: i64,
    /// Whether the worker stands out for any reason.
    pub is_flagged: bool,
}

/// What the table says.
#[derive(Debug, Default)]
pub struct PeerTable {
    /// Workers that stand out, surest first.
    pub workers: Vec<Standing>,
    /// Booths that stand out.
    pub booths: Vec<Standing>,
    /// Districts that stand out, by folded name.
    pub districts: HashMap<String, Vec<Standing>>,
    /// Workers in all.
    pub all_workers: u64,
    /// Names of all districts.
    pub district_names: Vec<String>,
    /// Division of each district, by folded name.
    pub divisions: HashMap<String, String>,
    /// All workers, by id.
    pub dots: Vec<Dot>,
}

impl PeerTable {
    /// Leaves out units beyond a part of the drive.
    pub fn keep(&mut self, scope: &Scope) {
        if !scope.is_part() {
            return;
        }
        self.workers.retain(|worker| scope.has(worker.district.as_deref()));
        self.booths.retain(|booth| scope.has(booth.district.as_deref()));
        self.districts.retain(|district, _| scope.has(Some(district)));
        self.dots.retain(|dot| scope.has(dot.district.as_deref()));
        self.all_workers = self.dots.len() as u64;
    }

    /// Workers that stand out for any of these reasons.
    pub fn stand_out_for(&self, reasons: &[Reason]) -> HashSet<&str> {
        let named = |code: &str| reasons.iter().any(|reason| reason.code() == code);
        self.workers.iter().filter(|worker| named(&worker.reason)).map(|worker| worker.id.as_str()).collect()
    }

    /// Reads the table of a run folder.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a table that is missing or of another form.
    pub fn read(tables: &Path) -> Result<PeerTable> {
        let mut table = PeerTable::default();
        let columns = [
            "unit",
            "id",
            "district",
            "division",
            "submissions",
            "reason",
            "count",
            "rate",
            "rate_low",
            "rate_high",
            "peers",
            "peer_submissions",
            "peer_count",
            "q_value",
            "flagged",
        ];
        read(&tables.join("workers_audit.parquet"), &columns, |batch| {
            let text = |name: &str| batch.texts(name);
            let (units, ids, districts) = (text("unit")?, text("id")?, text("district")?);
            let (divisions, reasons, peers) = (text("division")?, text("reason")?, text("peers")?);
            let count = |name: &str| batch.numbers::<Int64Type>(name);
            let (submissions, counts) = (count("submissions")?, count("count")?);
            let (peer_submissions, peer_counts) = (count("peer_submissions")?, count("peer_count")?);
            let number = |name: &str| batch.numbers::<Float64Type>(name);
            let rates = [number("rate")?, number("rate_low")?, number("rate_high")?];
            let (q_values, flags) = (number("q_value")?, batch.flags("flagged")?);
            for row in 0..batch.rows() {
                let standing = Standing {
                    id: ids.get(row).unwrap_or_default().to_owned(),
                    district: districts.get(row).map(str::to_owned),
                    reason: reasons.get(row).unwrap_or_default().to_owned(),
                    submissions: value(submissions, row).unwrap_or_default(),
                    count: value(counts, row).unwrap_or_default(),
                    rate: rates.map(|r| value(r, row).unwrap_or_default()),
                    peer_rate: value(peer_counts, row).unwrap_or_default() as f64
                        / value(peer_submissions, row).unwrap_or_default().max(1) as f64,
                    peers: peers.get(row).unwrap_or_default().to_owned(),
                    q_value: value(q_values, row).unwrap_or(1.0),
                };
                let unit = units.get(row).unwrap_or_default();
                if standing.reason == "any" {
                    match unit {
                        "worker" => {
                            table.dots.push(Dot {
                                id: standing.id.clone(),
                                district: standing.district.clone(),
                                submissions: standing.submissions,
                                held: standing.count,
                                is_flagged: false,
                            });
                        }
                        "district" => {
                            table.district_names.push(standing.id.clone());
                            let division = divisions.get(row).map(str::to_owned);
                            table.divisions.extend(division.map(|d| (folded(&standing.id), d)));
                        }
                        _ => {}
                    }
                }
                if flags.value(row) {
                    table.flag(unit, standing);
                }
            }
            Ok(())
        })?;
        table.finish();
        Ok(table)
    }

    fn flag(&mut self, unit: &str, standing: Standing) {
        match unit {
            "worker" => self.workers.push(standing),
            "booth" => self.booths.push(standing),
            _ => self.districts.entry(folded(&standing.id)).or_default().push(standing),
        }
    }

    fn finish(&mut self) {
        self.all_workers = self.dots.len() as u64;
        let order = |x: &Standing, y: &Standing| {
            let times = |s: &Standing| s.rate[0] / s.peer_rate.max(1e-9);
            x.q_value.total_cmp(&y.q_value).then(times(y).total_cmp(&times(x))).then_with(|| x.id.cmp(&y.id))
        };
        self.workers.sort_by(order);
        self.booths.sort_by(order);
        self.districts.values_mut().for_each(|standings| standings.sort_by(order));
        let flagged: HashSet<&str> = self.workers.iter().map(|s| s.id.as_str()).collect();
        self.dots.iter_mut().for_each(|dot| dot.is_flagged = flagged.contains(dot.id.as_str()));
        self.dots.sort_by(|x, y| x.id.cmp(&y.id));
    }
}
