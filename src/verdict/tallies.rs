//! Submissions counted by worker, booth, district and division: what [`super::peers`] compares.

use std::collections::BTreeMap;

use crate::config::policy::PeersPolicy;
use crate::dump::facts::folded;
use crate::reason::{Reason, Verdict};

/// What the comparison needs of one submission.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// Who sent it.
    pub worker_id: Option<&'a str>,
    /// From which booth.
    pub booth_id: Option<&'a str>,
    /// From which district.
    pub district: Option<&'a str>,
    /// Of which division.
    pub division: Option<&'a str>,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its reasons, each once.
    pub reasons: &'a [Reason],
}

/// What is compared with its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// A field worker.
    Worker,
    /// A polling booth; booth ids of two districts are two booths.
    Booth,
    /// A district.
    District,
}

impl Unit {
    /// The word written to tables.
    pub fn code(self) -> &'static str {
        match self {
            Unit::Worker => "worker",
            Unit::Booth => "booth",
            Unit::District => "district",
        }
    }
}

/// With whom a unit is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peers {
    /// The other submissions of the district.
    District,
    /// The other submissions of the division.
    Division,
    /// All other submissions.
    All,
}

impl Peers {
    /// The word written to tables.
    pub fn code(self) -> &'static str {
        match self {
            Peers::District => "district",
            Peers::Division => "division",
            Peers::All => "all",
        }
    }
}

/// Whether a row counts towards a reason. What was found counts as suspected too: a worker's suspicious rows lie on both sides
/// of the limit between the two, and only all of them together say how often that worker sends such.
pub(super) fn is_hit(reasons: &[Reason], reason: Reason) -> bool {
    let implied = reason == Reason::PhotoOfPhotoSuspected && reasons.contains(&Reason::PhotoOfPhoto);
    implied || reasons.contains(&reason)
}

/// Submissions, and how many of them are hits: column 0 for any verdict but accept, then a column per tested reason.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub submissions: u64,
    pub hits: Vec<u64>,
}

impl Tally {
    fn add(&mut self, hits: &[bool]) {
        self.submissions += 1;
        self.hits.resize(hits.len(), 0);
        self.hits.iter_mut().zip(hits).for_each(|(count, &hit)| *count += u64::from(hit));
    }

    /// Everything here that is not in a part of it.
    fn without(&self, part: &Tally) -> Tally {
        let hits = self.hits.iter().zip(&part.hits).map(|(all, part)| all.saturating_sub(*part)).collect();
        Tally { submissions: self.submissions.saturating_sub(part.submissions), hits }
    }
}

/// The submissions of one unit.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub id: String,
    pub tally: Tally,
    pub districts: BTreeMap<String, u64>,
    pub divisions: BTreeMap<String, u64>,
    /// The unit's submissions within each district and division: a worker may serve several.
    by_district: BTreeMap<String, Tally>,
    by_division: BTreeMap<String, Tally>,
}

/// Whom a unit is compared with.
#[derive(Debug)]
pub(super) struct PeerGroup {
    /// `None` where there is nobody else.
    pub kind: Option<Peers>,
    pub tally: Tally,
}

/// All counts of a run.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub all: Tally,
    pub districts: BTreeMap<String, Tally>,
    pub divisions: BTreeMap<String, Tally>,
    /// By unit, district (of booths) and id, all folded.
    pub units: BTreeMap<(Unit, String, String), Group>,
}

impl Tallies {
    pub(super) fn of(submissions: &[Judged], tested: &[Reason]) -> Tallies {
        let mut tallies = Tallies::default();
        tallies.all.hits = vec![0; tested.len() + 1];
        for submission in submissions {
            let mut hits = vec![submission.verdict != Verdict::Accept];
            hits.extend(tested.iter().map(|&reason| is_hit(submission.reasons, reason)));
            tallies.add(submission, &hits);
        }
        tallies
    }

    fn add(&mut self, submission: &Judged, hits: &[bool]) {
        self.all.add(hits);
        let district = submission.district.map(folded);
        let division = submission.division.map(folded);
        if let Some(district) = &district {
            self.districts.entry(district.clone()).or_default().add(hits);
        }
        if let Some(division) = &division {
            self.divisions.entry(division.clone()).or_default().add(hits);
        }
        let units = [
            (Unit::Worker, String::new(), submission.worker_id),
            (Unit::Booth, district.clone().unwrap_or_default(), submission.booth_id),
            (Unit::District, String::new(), submission.district),
        ];
        for (unit, within, id) in units {
            let Some(id) = id else { continue };
            // Worker ids are ids, to the letter; names of places are typed.
            let key = if unit == Unit::Worker { id.to_owned() } else { folded(id) };
            let group = self.units.entry((unit, within, key)).or_default();
            // Of several spellings the first in the order of letters, whatever the order of the rows.
            if group.id.is_empty() || id < group.id.as_str() {
                group.id = id.to_owned();
            }
            group.tally.add(hits);
            for (name, spelt, names, tallies) in [
                (&district, submission.district, &mut group.districts, &mut group.by_district),
                (&division, submission.division, &mut group.divisions, &mut group.by_division),
            ] {
                if let (Some(name), Some(spelt)) = (name, spelt) {
                    *names.entry(spelt.to_owned()).or_default() += 1;
                    tallies.entry(name.clone()).or_default().add(hits);
                }
            }
        }
    }

    /// With whom a unit is compared, and their counts.
    pub(super) fn peers(&self, unit: Unit, group: &Group, policy: &PeersPolicy) -> PeerGroup {
        let within = |all: &BTreeMap<String, Tally>, own: &BTreeMap<String, u64>, parts: &BTreeMap<String, Tally>| {
            let place = folded(&most(own)?);
            Some(all.get(&place)?.without(parts.get(&place)?))
        };
        let district = || within(&self.districts, &group.districts, &group.by_district);
        let division = || within(&self.divisions, &group.divisions, &group.by_division);
        let enough = |tally: &Tally| tally.submissions >= policy.min_peer_submissions;
        if unit != Unit::District
            && let Some(peers) = district().filter(enough)
        {
            return PeerGroup { kind: Some(Peers::District), tally: peers };
        }
        if let Some(peers) = division().filter(enough) {
            return PeerGroup { kind: Some(Peers::Division), tally: peers };
        }
        let all = self.all.without(&group.tally);
        PeerGroup { kind: (all.submissions > 0).then_some(Peers::All), tally: all }
    }
}

/// The name that stands most often; of equal ones the first in the order of letters.
pub(super) fn most(names: &BTreeMap<String, u64>) -> Option<String> {
    names.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))).map(|(name, _)| name.clone())
}
