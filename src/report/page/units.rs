//! Places and workers of a night -> rows of the page's tables.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::actions::worker_href;
use super::charts::{self, Bar};
use super::format::{percent, small};
use super::gathered::Gathered;
use super::mask::grouped;
use super::night::{Tally, WorkerQuality};
use super::peers::{PeerTable, Standing};
use crate::Result;
use crate::dump::facts::folded;

/// Rows of the table of quality.
const MOST_QUALITY: usize = 200;

pub(super) struct PlaceRow {
    pub(super) name: String,
    pub(super) division: String,
    pub(super) cells: Vec<String>,
    pub(super) stands: Vec<Stand>,
}

pub(super) struct Stand {
    pub(super) key: String,
    pub(super) q: String,
}

pub(super) struct StandingRow {
    pub(super) id: String,
    /// The worker's part of the page; blank for a booth.
    pub(super) href: String,
    pub(super) district: String,
    pub(super) key: String,
    pub(super) count: i64,
    pub(super) submissions: i64,
    pub(super) rate: String,
    pub(super) interval: String,
    pub(super) peer_rate: String,
    pub(super) peers: String,
    pub(super) times: String,
    pub(super) q: String,
}

pub(super) struct QualityRow {
    pub(super) id: String,
    pub(super) href: String,
    pub(super) district: String,
    pub(super) submissions: String,
    pub(super) troubled: String,
    pub(super) counts: Vec<String>,
    pub(super) advice: String,
}

fn cells(tally: &Tally) -> Vec<String> {
    let counts = [tally.submissions].into_iter().chain(tally.verdicts).map(grouped);
    counts.chain([percent(tally.held_back()), grouped(tally.spoofs), grouped(tally.duplicates)]).collect()
}

fn by_held_back<T>(rows: &mut [(T, Tally)]) {
    rows.sort_by(|x, y| y.1.held_back().total_cmp(&x.1.held_back()).then(y.1.submissions.cmp(&x.1.submissions)));
}

pub(super) fn division_rows(gathered: &Gathered) -> Vec<PlaceRow> {
    let mut divisions: BTreeMap<&str, Tally> = BTreeMap::new();
    for (key, (_, tally)) in &gathered.night.districts {
        let division = key.as_ref().and_then(|key| gathered.peers.divisions.get(key));
        divisions.entry(division.map_or("", String::as_str)).or_default().add(tally);
    }
    let mut rows: Vec<(&str, Tally)> = divisions.into_iter().collect();
    by_held_back(&mut rows);
    let row = |(name, tally): (&str, Tally)| PlaceRow {
        name: name.to_owned(),
        division: String::new(),
        cells: cells(&tally),
        stands: Vec::new(),
    };
    rows.into_iter().map(row).collect()
}

pub(super) fn district_rows(gathered: &Gathered) -> Result<(Vec<PlaceRow>, String)> {
    let night = &gathered.night;
    let mut rows: Vec<((&Option<String>, &str), Tally)> = night
        .districts
        .iter()
        .map(|(key, (name, tally))| ((key, name.as_deref().unwrap_or_default()), tally.clone()))
        .collect();
    by_held_back(&mut rows);
    let bars: Vec<Bar> =
        rows.iter().map(|((_, name), tally)| Bar { label: if name.is_empty() { "–" } else { name }, tally }).collect();
    let chart = if bars.is_empty() { String::new() } else { charts::districts(&bars)? };
    let row = |((key, name), tally): &((&Option<String>, &str), Tally)| {
        let standings = key.as_ref().and_then(|key| gathered.peers.districts.get(key));
        let division = key.as_ref().and_then(|key| gathered.peers.divisions.get(key));
        PlaceRow {
            name: (*name).to_owned(),
            division: division.cloned().unwrap_or_default(),
            cells: cells(tally),
            stands: standings
                .into_iter()
                .flatten()
                .take(3)
                .map(|s| Stand { key: reason_key(&s.reason), q: small(s.q_value) })
                .collect(),
        }
    };
    Ok((rows.iter().map(row).collect(), chart))
}

fn reason_key(code: &str) -> String {
    if code == "any" { code.to_owned() } else { format!("r.{code}") }
}

pub(super) fn standing_row(standing: &Standing) -> StandingRow {
    let [rate, low, high] = standing.rate;
    StandingRow {
        id: standing.id.clone(),
        href: String::new(),
        district: standing.district.clone().unwrap_or_default(),
        key: reason_key(&standing.reason),
        count: standing.count,
        submissions: standing.submissions,
        rate: percent(rate),
        interval: format!("95 %: {} – {}", percent(low), percent(high)),
        peer_rate: percent(standing.peer_rate),
        peers: format!("p.{}", standing.peers),
        times: if standing.peer_rate > 0.0 { format!("{:.1}", rate / standing.peer_rate) } else { "–".to_owned() },
        q: small(standing.q_value),
    }
}

pub(super) fn quality_rows<'a>(workers: impl Iterator<Item = &'a WorkerQuality>) -> (Vec<QualityRow>, u64) {
    let mut workers: Vec<&WorkerQuality> = workers.filter(|w| w.troubled > 0).collect();
    workers.sort_by(|x, y| y.troubled.cmp(&x.troubled).then_with(|| x.id.cmp(&y.id)));
    let row = |worker: &&WorkerQuality| quality_row(worker);
    (workers.iter().take(MOST_QUALITY).map(row).collect(), workers.len() as u64)
}

fn quality_row(worker: &WorkerQuality) -> QualityRow {
    QualityRow {
        id: worker.id.clone(),
        href: worker_href(&worker.id),
        district: worker.district.clone().unwrap_or_default(),
        submissions: grouped(worker.submissions),
        troubled: grouped(worker.troubled),
        counts: worker.complaints.iter().map(|&n| if n == 0 { "·".to_owned() } else { grouped(n) }).collect(),
        advice: format!("a.{}", worker.commonest().code()),
    }
}

/// For the next training of each division: its complaints, and what to tell most.
pub(super) fn training_rows(gathered: &Gathered) -> Vec<QualityRow> {
    let mut divisions: BTreeMap<&str, WorkerQuality> = BTreeMap::new();
    for worker in gathered.night.workers.values().filter(|worker| worker.troubled > 0) {
        let division = worker.district.as_deref().and_then(|name| gathered.peers.divisions.get(&folded(name)));
        let name = division.map_or("", String::as_str);
        let all =
            divisions.entry(name).or_insert_with(|| WorkerQuality { id: name.to_owned(), ..WorkerQuality::default() });
        all.submissions += worker.submissions;
        all.troubled += worker.troubled;
        all.complaints.iter_mut().zip(worker.complaints).for_each(|(sum, count)| *sum += count);
    }
    divisions.values().map(quality_row).collect()
}

/// For which reasons each worker stands out, by folded id: code and q-value.
pub(super) fn flags(peers: &PeerTable) -> Value {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for worker in &peers.workers {
        found.entry(folded(&worker.id)).or_default().push(json!([worker.reason, small(worker.q_value)]));
    }
    json!(found)
}

#[cfg(test)]
mod tests {
    use super::super::night::COMPLAINTS;
    use super::*;

    #[test]
    fn the_advice_is_for_the_commonest_complaint() {
        let worker = |complaints: [u64; COMPLAINTS.len()]| WorkerQuality {
            id: "W".into(),
            submissions: 9,
            troubled: complaints.iter().sum(),
            complaints,
            ..WorkerQuality::default()
        };
        let workers = [worker([0, 3, 1, 0, 0, 0, 0, 0, 0]), worker([0; 9]), worker([0, 0, 0, 0, 2, 0, 0, 2, 0])];
        let (rows, all) = quality_rows(workers.iter());
        assert_eq!(all, 2, "who has nothing to improve is not listed");
        assert_eq!(rows.iter().map(|r| r.advice.as_str()).collect::<Vec<_>>(), ["a.face_blurred", "a.one_face"]);
    }
}
