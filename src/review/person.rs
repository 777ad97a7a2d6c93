//! A person at once: all members that flagged pairs hold together, what ties them, and one act that splits or joins them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::desk::{Desk, Spot, judgement, why};
use super::nights::Missing;
use super::pictures::Shown;
use super::queue::{Member, Pair, root};
use super::request::{self, Refusal, lock};
use super::rows::SelfieView;
use super::views::{PairAnswer, State, instant, parts};
use crate::decisions::{Answer, Event, Judgement, RowKey, row_key};
use crate::journal::Receipt;
use crate::reason::Verdict;

/// Members of a person that are listed: a face that was enrolled thousands of times is seen from the first few hundred.
const MOST_MEMBERS: usize = 400;

/// A person in full.
#[derive(Debug, Serialize)]
pub struct PersonView {
    pub id: String,
    pub rank: u64,
    pub cluster_id: String,
    pub worth: String,
    pub members: Vec<MemberView>,
    /// Members that are not listed, for there are too many.
    pub hidden: usize,
    pub ties: Vec<TieView>,
}

/// A membership of it.
#[derive(Debug, Serialize)]
pub struct MemberView {
    pub at: usize,
    pub submission: String,
    pub worker: String,
    pub district: String,
    pub captured_at: String,
    pub earlier_night: bool,
    pub missing: Option<Missing>,
}

/// A flagged pair between two of its members.
#[derive(Debug, Serialize)]
pub struct TieView {
    pub a: usize,
    pub b: usize,
    pub item: String,
    pub similarity: f64,
    pub probability_false: f64,
    pub grade: Option<String>,
    pub evidence: Vec<(String, f64)>,
    pub answer: Option<PairAnswer>,
    /// Whether the person falls apart most easily here.
    pub weakest: bool,
}

/// One act about a person, as the page sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenPerson {
    pub reviewer: String,
    pub nonce: String,
    /// A pair of the person.
    pub item: String,
    /// Places of the members that were selected.
    pub members: BTreeSet<usize>,
    /// `different`: they do not belong to the others; `same`: they are one person.
    pub answer: Answer,
    #[serde(default)]
    pub note: Option<String>,
}

/// Members and the flagged pairs between them, by their places in the list of members.
struct Tied<'a> {
    members: Vec<&'a Member>,
    ties: Vec<(usize, usize, &'a Pair)>,
}

impl Tied<'_> {
    /// The tie without which the person falls apart most easily: of the surest ties that hold it together, the least sure.
    fn weakest(&self, is_apart: impl Fn(&Pair) -> bool) -> Option<usize> {
        let mut order: Vec<usize> = (0..self.ties.len()).filter(|&at| !is_apart(self.ties[at].2)).collect();
        order.sort_by(|&x, &y| self.ties[x].2.probability_false.total_cmp(&self.ties[y].2.probability_false));
        let mut parent: Vec<usize> = (0..self.members.len()).collect();
        let mut last = None;
        for at in order {
            let (a, b, _) = self.ties[at];
            let (a, b) = (root(&parent, a), root(&parent, b));
            if a != b {
                parent[a.max(b)] = a.min(b);
                last = Some(at);
            }
        }
        last
    }
}

impl Desk {
    /// The person that a pair belongs to.
    pub fn person(&self, reviewer: &str, item: &str) -> Result<PersonView, Refusal> {
        let reviewer = self.name(reviewer)?;
        let (person, _) = self.pair_of(item)?;
        let tied = self.tied(item)?;
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        let ledger = log.ledger();
        // Of a pair that two people are asked about, one's own answer.
        let answer = |pair: &Pair| {
            let answers = ledger.answers(&pair.key);
            let own = answers.get(reviewer.as_str()).copied();
            let stands = || answers.values().copied().next().filter(|_| !pair.second);
            own.or_else(stands).map(PairAnswer::of)
        };
        let weakest = tied.weakest(|pair| answer(pair).is_some_and(|answer| answer.plain() == Answer::Different));
        let listed = tied.ties.iter().enumerate().filter(|(_, tie)| tie.0.max(tie.1) < MOST_MEMBERS);
        let ties = listed.map(|(at, &(a, b, pair))| TieView {
            a,
            b,
            item: pair.id.clone(),
            similarity: pair.similarity,
            probability_false: pair.probability_false,
            grade: pair.grade.clone(),
            evidence: parts(&pair.evidence),
            answer: answer(pair),
            weakest: Some(at) == weakest,
        });
        let ties = ties.collect();
        drop(log);
        let person = &self.queue.persons[person];
        let shown = tied.members.iter().take(MOST_MEMBERS).enumerate();
        Ok(PersonView {
            id: item.to_owned(),
            rank: person.rank,
            cluster_id: person.cluster_id.clone(),
            worth: person.worth.clone(),
            members: shown.map(|(at, member)| self.member_view(at, member)).collect(),
            hidden: tied.members.len().saturating_sub(MOST_MEMBERS),
            ties,
        })
    }

    /// The JPEG of a member of a person: the cut-out face, or the whole picture.
    pub fn person_picture(&self, item: &str, at: usize, whole: bool) -> Result<Vec<u8>, Refusal> {
        let tied = self.tied(item)?;
        let member = tied.members.get(at).ok_or(Refusal::Unknown)?;
        let shown = self.shown_side(member).map_err(|_| Refusal::Unknown)?;
        match whole {
            true => Ok(shown.whole.clone()),
            false => shown.face.clone().ok_or(Refusal::Unknown),
        }
    }

    /// Splits or joins: one act writes the decision of every pair that it is about.
    pub fn decide_person(&self, given: &GivenPerson) -> Result<(State, Receipt), Refusal> {
        let reviewer = self.name(&given.reviewer)?;
        let note = request::note(given.note.as_deref())?;
        let tied = self.tied(&given.item)?;
        if given.members.iter().any(|&at| at >= tied.members.len()) {
            return Err(Refusal::Unknown);
        }
        let is_selected = |at: usize| given.members.contains(&at);
        let about: Vec<&Pair> = match given.answer {
            Answer::Different => {
                tied.ties.iter().filter(|(a, b, _)| is_selected(*a) != is_selected(*b)).map(|tie| tie.2).collect()
            }
            Answer::Same => {
                tied.ties.iter().filter(|(a, b, _)| is_selected(*a) && is_selected(*b)).map(|tie| tie.2).collect()
            }
            Answer::NotSure => return Err(Refusal::Wrong("a person is split or joined")),
        };
        if about.is_empty() {
            return Err(Refusal::Wrong("no flagged pair is between those that were selected"));
        }
        let mut log = lock(&self.log);
        log.refresh().map_err(Refusal::Log)?;
        // The lines of one act bear its nonce and their number, so that an act sent again counts once.
        let name = |number: usize| format!("{}.{number}", given.nonce);
        log.ledger().expect_trusted(&reviewer, &name(0))?;
        let mut entries = Vec::new();
        for (number, pair) in about.into_iter().enumerate() {
            let why = why(log.ledger(), &reviewer, pair);
            let judged = Judgement { note: note.clone(), ..judgement(pair, given.answer, why) };
            let mut entry = self.entry(&reviewer, &given.nonce, Event::Decide(judged))?;
            entry.id = name(number);
            entries.push(entry);
        }
        let receipt = log.append_all(entries).map_err(Refusal::Log)?;
        Ok((self.state_of(&log, &reviewer, Some(given.item.clone())), receipt))
    }

    /// Other selfies of the worker of a side.
    pub fn worker_selfies(&self, item: &str, second: bool) -> Result<Vec<SelfieView>, Refusal> {
        let member = self.side(item, second)?;
        let view = |(at, selfie): (usize, &super::selfies::Selfie)| SelfieView {
            at,
            submission: selfie.submission.clone(),
            captured_at: instant(selfie.captured_at),
            verdict: Verdict::ALL.into_iter().find(|v| v.code() == selfie.verdict).map_or("", Verdict::code),
        };
        let row = self.row_of(member);
        Ok(self.selfies.beside(&member.side.worker, row).into_iter().enumerate().map(view).collect())
    }

    /// The JPEG of such a selfie.
    pub fn worker_selfie(&self, item: &str, second: bool, at: usize) -> Result<Vec<u8>, Refusal> {
        let member = self.side(item, second)?;
        let selfies = self.selfies.beside(&member.side.worker, self.row_of(member));
        let row = selfies.get(at).ok_or(Refusal::Unknown)?.row;
        let night = self.nights.own().ok_or(Refusal::Unknown)?;
        let bytes = night.submission(row).ok().and_then(|found| found.selfie).ok_or(Refusal::Unknown)?;
        let shown = super::pictures::show(&bytes, &night.limits, &[], None).map_err(|_| Refusal::Unknown)?;
        Ok(shown.whole)
    }

    fn row_of(&self, member: &Member) -> Option<u64> {
        let is_tonight = !member.side.earlier_night;
        let rows = self.nights.own().filter(|_| is_tonight)?.rows(&member.side.submission);
        rows.first().map(|known| known.row)
    }

    /// The record of a side; of a known pair that which it bears.
    fn side(&self, item: &str, second: bool) -> Result<&Member, Refusal> {
        let (person, pair) = self.pair_of(item)?;
        let pair = &self.queue.persons[person].pairs[pair];
        Ok(if second { &pair.b } else { &pair.a })
    }

    /// Person and pair of an item; of a known pair those whose record it bears.
    fn pair_of(&self, item: &str) -> Result<(usize, usize), Refusal> {
        match self.spot(item)? {
            Spot::Pair(person, pair) => Ok((person, pair)),
            Spot::Seed(at) => Ok(self.seeds[at].record),
        }
    }

    /// The members of a pair's person. Pairs between persons are of none: there it is those that pairs tie to this one.
    fn tied(&self, item: &str) -> Result<Tied<'_>, Refusal> {
        let (person, pair) = self.pair_of(item)?;
        let person = &self.queue.persons[person];
        let mut place: HashMap<RowKey, usize> = HashMap::new();
        let mut tied = Tied { members: Vec::new(), ties: Vec::new() };
        for pair in &person.pairs {
            let ends = [&pair.a, &pair.b].map(|member| {
                *place.entry(row_key(&member.side)).or_insert_with(|| {
                    tied.members.push(member);
                    tied.members.len() - 1
                })
            });
            tied.ties.push((ends[0], ends[1], pair));
        }
        if person.rank > 0 {
            return Ok(tied);
        }
        let mut parent: Vec<usize> = (0..tied.members.len()).collect();
        for &(a, b, _) in &tied.ties {
            let (a, b) = (root(&parent, a), root(&parent, b));
            parent[a.max(b)] = a.min(b);
        }
        let own = root(&parent, tied.ties[pair].0);
        let kept: Vec<usize> = (0..tied.members.len()).filter(|&at| root(&parent, at) == own).collect();
        let new_place = |old: usize| kept.binary_search(&old).ok();
        let ties = tied.ties.iter().filter_map(|&(a, b, pair)| Some((new_place(a)?, new_place(b)?, pair)));
        let ties = ties.collect();
        Ok(Tied { members: kept.iter().map(|&at| tied.members[at]).collect(), ties })
    }

    fn member_view(&self, at: usize, member: &Member) -> MemberView {
        MemberView {
            at,
            submission: member.side.submission.clone(),
            worker: member.side.worker.clone(),
            district: member.district.clone(),
            captured_at: instant(member.side.captured_at),
            earlier_night: member.side.earlier_night,
            missing: self.nights.missing(&member.side),
        }
    }

    fn shown_side(&self, member: &Member) -> Result<Arc<Shown>, Missing> {
        let key = (row_key(&member.side), member.side.earlier_night);
        self.shown_sides.get(&key, || self.nights.find(&member.side)?.show("member"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::tests::pair;
    use super::*;

    #[test]
    fn the_weakest_tie_is_the_least_sure_of_those_that_hold_the_person_together() {
        // A triangle of sure ties and one that only the doubtful pair ties to it; a still more doubtful one is needless.
        let pairs = [pair("a", "b", 0.01), pair("b", "c", 0.02), pair("a", "c", 0.9), pair("c", "d", 0.3)];
        let places = [(0, 1), (1, 2), (0, 2), (2, 3)];
        let members = vec![&pairs[0].a, &pairs[0].b, &pairs[1].b, &pairs[3].b];
        let ties = places.iter().zip(&pairs).map(|(&(a, b), pair)| (a, b, pair)).collect();
        let tied = Tied { members, ties };
        assert_eq!(tied.weakest(|_| false), Some(3));
        // Told apart already: then the triangle's second tie is the weakest.
        assert_eq!(tied.weakest(|pair| pair.key == pairs[3].key), Some(1));
    }
}
