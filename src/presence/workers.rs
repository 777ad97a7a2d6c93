//! Every worker and sign against peers: how unlikely so many are, and who stands out.

use std::collections::{BTreeMap, HashSet};
use std::ops::Add;

use super::scatter::{Count, Shares, Sums};
use super::sign::Signs;
use super::visit::Visit;
use super::words;
use crate::config::policy::{PeersPolicy, PresencePolicy};
use crate::dump::facts::folded;
use crate::reason::Reason;
use crate::statistics::wilson;
use crate::verdict::Finding;
use crate::verdict::peers::{Peers, Unit, UnitRow, is_flagged};
use crate::verdict::statistics::q_values;

/// One worker's submissions.
struct Worker<'a> {
    id: &'a str,
    /// As it is typed most often, and folded.
    district: String,
    folded: String,
    visits: Vec<usize>,
}

/// A row of `workers_audit.parquet` for each worker and sign that can be told of the worker: `submissions` are those of which
/// it can be told, `p_value` is that of the beta-binomial distribution of the peers, `q_value` goes over all of these tests.
pub fn measure(visits: &[Visit], signs: &[Signs], presence: &PresencePolicy, peers: &PeersPolicy) -> Vec<UnitRow> {
    let workers = workers(visits);
    let mut rows: Vec<UnitRow> = signs.iter().flat_map(|signs| of_one_sign(&workers, signs, presence, peers)).collect();
    rows.sort_by(|a, b| a.id.cmp(&b.id).then(a.reason.cmp(&b.reason)));
    let p_values: Vec<f64> = rows.iter().filter_map(|row| row.p_value).collect();
    let mut q_values = q_values(&p_values, p_values.len()).into_iter();
    for row in rows.iter_mut().filter(|row| row.p_value.is_some()) {
        row.q_value = q_values.next();
        row.flagged = is_flagged(row, peers);
    }
    rows
}

/// The rows that show a sign by which their worker stands out. A sign of anybody else is no finding.
pub fn findings(visits: &[Visit], signs: &[Signs], measured: &[UnitRow]) -> Vec<Finding> {
    let mut found = Vec::new();
    for signs in signs {
        let reason = signs.sign.reason();
        let flagged: BTreeMap<&str, &UnitRow> = measured
            .iter()
            .filter(|row| row.flagged && row.reason == Some(reason))
            .map(|row| (row.id.as_str(), row))
            .collect();
        for (visit, shown) in visits.iter().zip(&signs.shown) {
            if let (Some(true), Some(row)) = (shown, flagged.get(visit.worker)) {
                found.push(Finding::new(visit.row, reason).noted(words::english(row)));
            }
        }
    }
    found
}

fn workers<'a>(visits: &[Visit<'a>]) -> Vec<Worker<'a>> {
    let mut by_id: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    visits.iter().enumerate().for_each(|(at, visit)| by_id.entry(visit.worker).or_default().push(at));
    let worker = |(id, own): (&'a str, Vec<usize>)| {
        let mut districts: BTreeMap<&str, usize> = BTreeMap::new();
        own.iter().for_each(|&at| *districts.entry(visits[at].district).or_default() += 1);
        let most = districts.into_iter().rev().max_by_key(|(_, count)| *count);
        let district = most.map_or_else(String::new, |(name, _)| name.to_owned());
        Worker { id, folded: folded(&district), district, visits: own }
    };
    by_id.into_iter().map(worker).collect()
}

fn of_one_sign(workers: &[Worker], signs: &Signs, presence: &PresencePolicy, policy: &PeersPolicy) -> Vec<UnitRow> {
    let count = |worker: &Worker| {
        let told = || worker.visits.iter().filter_map(|&at| signs.shown[at]);
        Count { hits: told().filter(|shown| *shown).count() as u64, trials: told().count() as u64 }
    };
    let counts: Vec<Count> = workers.iter().map(count).collect();
    let total = |wanted: &dyn Fn(&Worker) -> bool| {
        let of = workers.iter().zip(&counts).filter(|(worker, _)| wanted(worker));
        of.map(|(_, count)| Sums::from(*count)).fold(Sums::default(), Add::add)
    };
    let names: HashSet<&str> = workers.iter().map(|worker| worker.folded.as_str()).collect();
    let districts: BTreeMap<&str, Sums> =
        names.into_iter().map(|name| (name, total(&|worker: &Worker| worker.folded == name))).collect();
    let all = total(&|_| true);
    let mut rows = Vec::new();
    for (worker, &own) in workers.iter().zip(&counts).filter(|(_, count)| count.trials > 0) {
        let near = districts[worker.folded.as_str()] - Sums::from(own);
        let far = all - Sums::from(own);
        let compared = [(Peers::District, near), (Peers::All, far)]
            .into_iter()
            .find_map(|(kind, sums)| Some((kind, sums, Shares::of(sums, presence.least_peers)?)));
        rows.push(row(worker, signs.sign.reason(), own, compared, policy));
    }
    rows
}

fn row(
    worker: &Worker,
    reason: Reason,
    own: Count,
    compared: Option<(Peers, Sums, Shares)>,
    policy: &PeersPolicy,
) -> UnitRow {
    let Count { hits, trials } = own;
    let [rate_low, rate_high] = wilson(hits, trials);
    let sums = compared.map_or_else(Sums::default, |(_, sums, _)| sums);
    let peer_rate = if sums.trials > 0.0 { sums.hits / sums.trials } else { 0.0 };
    let weight = if compared.is_some() { policy.prior_weight } else { 0.0 };
    UnitRow {
        unit: Unit::Worker,
        id: worker.id.to_owned(),
        district: Some(worker.district.clone()).filter(|name| !name.is_empty()),
        division: None,
        submissions: trials,
        reason: Some(reason),
        count: hits,
        rate: hits as f64 / trials as f64,
        rate_low,
        rate_high,
        shrunken_rate: (hits as f64 + weight * peer_rate) / (trials as f64 + weight),
        peers: compared.map(|(kind, _, _)| kind),
        peer_submissions: sums.trials as u64,
        peer_count: sums.hits as u64,
        p_value: compared.map(|(_, _, shares)| shares.chance_of_at_least(own)),
        q_value: None,
        flagged: false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::visit::tests::visit;
    use super::*;
    use crate::dump::Place;
    use crate::statistics::SplitMix64;

    const WORKERS: usize = 60;
    const ROWS: usize = 25;

    fn names() -> Vec<String> {
        (0..WORKERS).map(|n| format!("W{n:02}")).collect()
    }

    /// A day of a district, nine hours: a third of the workers stand in a camp for most of it, the others walk; gaps have heavy tails.
    fn day<'a>(names: &'a [String], random: &mut SplitMix64) -> Vec<Visit<'a>> {
        let mut visits = Vec::new();
        for (n, name) in names.iter().enumerate() {
            let camp = n % 3 == 0;
            let mut minute = 0.0;
            for _ in 0..ROWS {
                minute += (2.0 + random.normal().abs()).exp() * if camp { 0.3 } else { 1.0 };
                let metres = if camp && random.unit() < 0.8 { 5.0 } else { 1_500.0 };
                let degrees = |random: &mut SplitMix64| metres * random.normal() / 111_000.0;
                let place = Place {
                    latitude: 23.0 + n as f64 * 0.05 + degrees(random),
                    longitude: 75.0 + degrees(random),
                    accuracy_m: Some(12.0),
                };
                visits.push(Visit { place: Some(place), ..visit(name, visits.len() as u64, (minute % 540.0) as i64) });
            }
        }
        visits
    }

    fn measured(visits: &[Visit]) -> Vec<UnitRow> {
        let (presence, peers) = (PresencePolicy::default(), PeersPolicy::default());
        measure(visits, &Signs::of(visits, &[], &presence, 0.99), &presence, &peers)
    }

    /// Where nobody is at fault p-values must not be small more often than they say: workers of one district and day change
    /// their submissions among each other.
    #[test]
    fn p_values_of_workers_who_exchanged_their_submissions_are_not_too_small() {
        let (names, mut random) = (names(), SplitMix64::new(28));
        let mut p_values = Vec::new();
        for _ in 0..30 {
            let mut visits = day(&names, &mut random);
            for at in (1..visits.len()).rev() {
                let other = random.below(at + 1);
                let (one, two) = (visits[at].worker, visits[other].worker);
                (visits[at].worker, visits[other].worker) = (two, one);
            }
            p_values.extend(measured(&visits).into_iter().filter_map(|row| Some((row.reason?, row.p_value?))));
        }
        let reasons: HashSet<Reason> = p_values.iter().map(|(reason, _)| *reason).collect();
        assert!(reasons.contains(&Reason::SamePlace) && reasons.contains(&Reason::Burst), "{reasons:?}");
        for level in [0.2, 0.05, 0.01] {
            for &reason in &reasons {
                let of: Vec<f64> = p_values.iter().filter(|(other, _)| *other == reason).map(|(_, p)| *p).collect();
                let share = of.iter().filter(|p| **p <= level).count() as f64 / of.len() as f64;
                let noise = 3.0 * (level * (1.0 - level) / of.len() as f64).sqrt();
                assert!(share <= level + noise, "{reason:?}: {share} of {} are at most {level}", of.len());
            }
        }
    }

    #[test]
    fn who_enrols_at_home_stands_out_of_a_district_with_camps_of_a_day() {
        let (names, mut random) = (names(), SplitMix64::new(3));
        let mut visits = day(&names, &mut random);
        // W01: all from one point, eight minutes apart, to the second.
        let home = visits[ROWS].place;
        for (n, visit) in (0..).zip(visits[ROWS..2 * ROWS].iter_mut()) {
            (visit.place, visit.captured_at) = (home, super::super::visit::tests::visit("", 0, 8 * n).captured_at);
        }
        let rows = measured(&visits);
        let flagged: Vec<(&str, Reason)> =
            rows.iter().filter(|row| row.flagged).map(|row| (row.id.as_str(), row.reason.unwrap())).collect();
        assert_eq!(flagged, [("W01", Reason::RegularGaps)], "camps make one point usual, nothing makes a clock so");
        let of = |id: &str, reason| rows.iter().find(|row| row.id == id && row.reason == Some(reason)).unwrap();
        assert_eq!(of("W01", Reason::SamePlace).count, 24);
        assert!(of("W01", Reason::SamePlace).p_value < of("W02", Reason::SamePlace).p_value);
        let presence = PresencePolicy::default();
        let found = findings(&visits, &Signs::of(&visits, &[], &presence, 0.99), &rows);
        assert_eq!(found.len(), 23);
        assert!(found.iter().all(|finding| (25..50).contains(&finding.row)));
        assert!(found[0].note.as_deref().unwrap().contains("23 of 23"), "{found:?}");
    }

    #[test]
    fn few_peers_say_nothing() {
        let names = names();
        let visits = day(&names[..4], &mut SplitMix64::new(1));
        let rows = measured(&visits);
        assert!(
            !rows.is_empty() && rows.iter().all(|row| row.p_value.is_none() && row.peers.is_none() && !row.flagged)
        );
        assert!(measured(&[]).is_empty());
    }
}
