//! Who stands in which picture: the whole drive as a list of small rows, before a single pixel is drawn.
//!
//! Three properties matter to whoever measures with it. A row never changes with what stands around it: its time, its
//! worker and its pictures are keyed by its slot. Fraud is planted by a threshold on a number that belongs to the
//! slot, and people are handed out from the most honest slot down; so the honest rows of a dump with 30 % fraud are the
//! same, with the same people in the same pictures, as in the dump with 5 % or none. And people who only ever appear in
//! fraud (ghosts, stand-ins) are never enrolled honestly, so fraud cannot make an honest member a duplicate.

use std::collections::HashMap;
use std::ops::Range;

use super::cast::{Cast, Member, another, hand_out, member_of, pick};
use super::field::Field;
use super::people::Person;
use super::plan::{Pattern, PatternKind, Plan};
use super::rng::{Rng, Use};
use super::row::{Pick, Row, Worker};
use crate::{Error, Result};

/// Microseconds in a minute.
const MINUTE: i64 = 60_000_000;
/// Share of a passed-on account's submissions that the second person makes.
const PASSED_ON: f64 = 0.4;

/// The drive.
#[derive(Debug)]
pub struct Story {
    /// Submissions in order of night and time.
    pub rows: Vec<Row>,
    /// Accounts.
    pub workers: Vec<Worker>,
    /// Where and when; empty where the plan asks for none of it.
    pub field: Field,
}

/// Whether the pattern repeats something of an earlier row.
fn needs_original(pattern: Pattern) -> bool {
    use Pattern::*;
    member_of(pattern) == Member::Repeated
        || matches!(pattern, BackgroundReused | MobileReused | EpicReused | IdRepeated)
}

/// Whether a row is a clean first enrolment that others may repeat.
fn is_base(pattern: Pattern) -> bool {
    matches!(pattern, Pattern::Honest | Pattern::Bystander)
}

/// The clean rows so far.
struct Bases {
    all: Vec<usize>,
    of_worker: Vec<Vec<usize>>,
}

/// Makes the drive.
///
/// # Errors
/// [`Error::Usage`] when there are too few people and the plan does not allow to repeat them, or when the date of the
/// first night is no date.
pub fn write(plan: &Plan, people: &[Person]) -> Result<Story> {
    let midnight = midnight(&plan.first_night)?;
    let mut workers = accounts(plan);
    let mut rows = Vec::with_capacity(plan.rows);
    let mut keys = vec![0.0; plan.rows];
    for (worker, account) in workers.iter().enumerate() {
        for slot in account.slots.clone() {
            let mut rng = Rng::new(plan.seed, Use::Slot, slot.into());
            let (u, at) = (rng.unit(), rng.unit());
            let night = rng.below(plan.nights) as u32;
            // Between 09:00 and 21:00 Indian time, which is 03:30 to 15:30 UTC.
            let at = midnight
                + i64::from(night) * 1440 * MINUTE
                + (210 + (at * 720.0) as i64) * MINUTE
                + rng.below(60_000_000) as i64;
            let pattern = planted(plan, u, &mut rng);
            keys[slot as usize] = u;
            rows.push(Row {
                slot,
                night,
                at,
                worker: worker as u32,
                pattern,
                member: None,
                front: None,
                others: Vec::new(),
                photo: None,
                of: None,
            });
        }
    }
    pass_on(plan, &mut workers, &mut rows);
    let field = Field::write(plan, midnight, &workers, &mut rows);
    rows.sort_by_key(|r| (r.at, r.slot));
    drop_orphans(&mut rows, &workers, &mut keys);
    let cast = hand_out(plan, people, &mut workers, &mut rows, &keys)?;
    let mut story = Story { rows, workers, field };
    story.repeat(plan, people);
    story.place(plan, people, &cast);
    story.settle();
    Ok(story)
}

fn midnight(date: &str) -> Result<i64> {
    let wrong = |e: jiff::Error| Error::usage("first_night", format!("{date}: {e}"), "give a date as 2026-11-20");
    let date: jiff::civil::Date = date.parse().map_err(wrong)?;
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(wrong)?;
    Ok(zoned.timestamp().as_microsecond())
}

fn accounts(plan: &Plan) -> Vec<Worker> {
    let mut workers = Vec::new();
    let mut next = 0;
    while (next as usize) < plan.rows {
        let mut rng = Rng::new(plan.seed, Use::Worker, workers.len() as u64);
        let load = (plan.members_per_worker as f32 * rng.between(0.2, 1.8)).round().max(1.0) as usize;
        let end = (next as usize + load).min(plan.rows) as u32;
        workers.push(Worker {
            person: 0,
            district: (workers.len() % plan.districts) as u32,
            successor: None,
            helper: rng.chance(plan.workers_with_helper).then_some(0),
            enrolled: rng.chance(plan.workers_enrolled),
            slots: next..end,
        });
        next = end;
    }
    workers
}

/// What is planted in a slot, by its number `u`: fraud below the threshold, else perhaps something innocent.
fn planted(plan: &Plan, u: f64, rng: &mut Rng) -> Pattern {
    let (fraud, innocent) = (rng.unit(), rng.unit());
    let rate = |p: &Pattern| if *p == Pattern::WorkerMismatch { 0.0 } else { plan.rates.get(*p) };
    let choose = |kind: PatternKind, mut left: f64| {
        for pattern in Pattern::PLANTED.iter().filter(|p| p.kind() == kind) {
            left -= rate(pattern);
            if left < 0.0 {
                return *pattern;
            }
        }
        Pattern::Honest
    };
    let total = plan.rates.total(PatternKind::Fraud) - plan.rates.get(Pattern::WorkerMismatch);
    if u < total { choose(PatternKind::Fraud, fraud * total) } else { choose(PatternKind::Innocent, innocent) }
}

/// Passes some accounts on to another person, for the last part of their submissions.
fn pass_on(plan: &Plan, workers: &mut [Worker], rows: &mut [Row]) {
    for (k, worker) in workers.iter_mut().enumerate() {
        let mut rng = Rng::new(plan.seed, Use::Original, k as u64);
        let n = worker.slots.len();
        if !rng.chance(plan.rates.get(Pattern::WorkerMismatch) / PASSED_ON) || n < 8 {
            continue;
        }
        worker.successor = Some(0);
        let own = &mut rows[worker.slots.start as usize..worker.slots.end as usize];
        let mut times: Vec<i64> = own.iter().map(|r| r.at).collect();
        times.sort_unstable();
        let from = times[n - (n as f64 * PASSED_ON) as usize];
        for row in own.iter_mut().filter(|r| r.at >= from) {
            row.pattern = Pattern::WorkerMismatch;
        }
    }
}

/// Makes honest the rows that would repeat an earlier one where there is none; they get their people last.
fn drop_orphans(rows: &mut [Row], workers: &[Worker], keys: &mut [f64]) {
    let mut of_district = HashMap::<u32, usize>::new();
    let mut of_worker = HashMap::<(u32, u32), usize>::new();
    let mut bases = 0;
    for row in rows {
        let district = workers[row.worker as usize].district;
        let near = of_district.get(&district).copied().unwrap_or(0);
        let orphan = needs_original(row.pattern)
            && match row.pattern {
                Pattern::DuplicateSameDistrict => near == 0,
                Pattern::DuplicateCrossDistrict => near == bases,
                Pattern::InnocentRetry => !of_worker.contains_key(&(row.worker, row.night)),
                _ => bases == 0,
            };
        if orphan {
            row.pattern = Pattern::Honest;
            keys[row.slot as usize] -= 1.0;
        }
        if is_base(row.pattern) {
            bases += 1;
            *of_district.entry(district).or_default() += 1;
            *of_worker.entry((row.worker, row.night)).or_default() += 1;
        }
    }
}

impl Story {
    /// Chooses, in order of time, what each repeating row repeats.
    fn repeat(&mut self, plan: &Plan, people: &[Person]) {
        let mut bases = Bases { all: Vec::new(), of_worker: vec![Vec::new(); self.workers.len()] };
        for k in 0..self.rows.len() {
            let pattern = self.rows[k].pattern;
            if needs_original(pattern) {
                let of = self.original(plan, people, k, &bases);
                self.rows[k].of = of;
                if let (Some(of), Member::Repeated) = (of, member_of(pattern)) {
                    self.rows[k].member = self.rows[of].member.map(|m| another(people, m));
                }
                if let (Some(of), Pattern::InnocentRetry) = (of, pattern) {
                    let later = 2 + Rng::new(plan.seed, Use::Original, self.rows[k].slot.into()).below(8) as i64;
                    self.rows[k].at = self.rows[of].at + later * MINUTE;
                }
            }
            if is_base(pattern) {
                bases.all.push(k);
                bases.of_worker[self.rows[k].worker as usize].push(k);
            }
        }
    }

    /// An earlier clean row for row `k`: first with every wish granted, then with the pattern's own condition alone.
    fn original(&self, plan: &Plan, people: &[Person], k: usize, bases: &Bases) -> Option<usize> {
        let row = &self.rows[k];
        let district = |r: &Row| self.workers[r.worker as usize].district;
        let mut rng = Rng::new(plan.seed, Use::Original, (1 << 40) | u64::from(row.slot));
        let (days_apart, same_worker) = (rng.chance(0.7), rng.chance(0.7));
        let copies =
            matches!(row.pattern, Pattern::SameFile | Pattern::Reencoded | Pattern::Cropped | Pattern::Mirrored);
        let own = &bases.of_worker[row.worker as usize];
        let near = row.pattern == Pattern::InnocentRetry || copies && same_worker && !own.is_empty();
        let bases = if near { own } else { &bases.all };
        let must = |o: &Row| match row.pattern {
            Pattern::DuplicateSameDistrict => district(o) == district(row),
            Pattern::DuplicateCrossDistrict => district(o) != district(row),
            Pattern::InnocentRetry => o.worker == row.worker && o.night == row.night,
            _ => true,
        };
        let pictures = |o: &Row| o.member.map_or(0, |m| people[m.person as usize].portraits.len());
        let wish = |o: &Row| match row.pattern {
            Pattern::DuplicateSameDistrict | Pattern::DuplicateCrossDistrict => {
                pictures(o) > 1 && (plan.nights == 1 || !days_apart || o.night != row.night)
            }
            Pattern::MobileReused | Pattern::EpicReused => o.worker != row.worker,
            _ => true,
        };
        for try_ in 0..80 {
            let of = *bases.get(rng.below(bases.len()))?;
            let other = &self.rows[of];
            if must(other) && (try_ >= 60 || wish(other)) {
                return Some(of);
            }
        }
        bases.iter().rev().find(|&&of| must(&self.rows[of])).copied()
    }

    /// Fills the other places: who stands for the worker, ghosts, bystanders, helpers, photos.
    fn place(&mut self, plan: &Plan, people: &[Person], cast: &Cast) {
        for k in 0..self.rows.len() {
            let row = &self.rows[k];
            let (slot, pattern, worker) = (row.slot, row.pattern, &self.workers[row.worker as usize]);
            let mut rng = Rng::new(plan.seed, Use::Cast, (2 << 40) | u64::from(slot));
            let of = |range: &Range<usize>, rng: &mut Rng| cast.order[range.start + rng.below(range.len())];
            let other_worker = |rng: &mut Rng| self.workers[rng.below(self.workers.len())].person;
            let mut front = Some(worker.person);
            let mut member = row.member;
            let mut others = Vec::new();
            match member_of(pattern) {
                Member::Ghost => member = Some(pick(plan, people, of(&cast.ghosts, &mut rng), slot, 0)),
                Member::Attack => member = attack(plan, people, slot, &mut rng),
                Member::Worker => member = Some(another(people, pick(plan, people, worker.person, slot, 1))),
                Member::OtherWorker => {
                    let person = (0..20).map(|_| other_worker(&mut rng)).find(|&p| p != worker.person);
                    member = Some(pick(plan, people, person.unwrap_or(worker.person), slot, 0));
                }
                _ => {}
            }
            match pattern {
                Pattern::WorkerAbsent => {
                    let colleague = other_worker(&mut rng);
                    let shared_phone = rng.chance(0.5) && colleague != worker.person;
                    front = Some(if shared_phone { colleague } else { of(&cast.strangers, &mut rng) });
                }
                Pattern::WorkerMismatch => front = worker.successor,
                Pattern::MemberAlone | Pattern::NoFace => front = None,
                Pattern::Group => others.extend((0..3 + rng.below(3)).map(|_| of(&cast.ghosts, &mut rng))),
                Pattern::RecurringBystander => others.push(cast.order[cast.strangers.start]),
                Pattern::Bystander => {
                    // Anybody but workers and strangers, so hardly one recurs across workers; and from a range that does
                    // not depend on how much fraud there is.
                    let crowd = cast.members.start..cast.order.len();
                    let people = (0..1 + rng.below(2)).map(|_| of(&crowd, &mut rng));
                    others.extend(people.filter(|p| member.is_none_or(|m| m.person != *p)));
                }
                _ => {}
            }
            if let (Some(helper), false) =
                (worker.helper, matches!(pattern, Pattern::NoFace | Pattern::MemberAlone | Pattern::WorkerAlone))
            {
                others.push(helper);
            }
            let photo = photo(plan, people, cast, row, member, &mut rng);
            let front = front.map(|p| pick(plan, people, p, slot, 1));
            let others = others.into_iter().zip(2..).map(|(p, what)| pick(plan, people, p, slot, what)).collect();
            let row = &mut self.rows[k];
            (row.front, row.member, row.others, row.photo) = (front, member, others, photo);
        }
    }

    /// Sorts once more, since retries were moved to follow what they repeat, and renumbers the references.
    fn settle(&mut self) {
        let slots: Vec<u32> = self.rows.iter().map(|r| r.slot).collect();
        self.rows.sort_by_key(|r| (r.night, r.at, r.slot));
        let place: HashMap<u32, usize> = self.rows.iter().enumerate().map(|(k, r)| (r.slot, k)).collect();
        for row in &mut self.rows {
            row.of = row.of.and_then(|old| place.get(&slots[old]).copied());
        }
        // Who tries again minutes later stands where he stood.
        let retries = self.rows.iter().filter(|row| row.pattern == Pattern::InnocentRetry);
        let again: Vec<[u32; 2]> = retries.filter_map(|row| Some([row.slot, self.rows[row.of?].slot])).collect();
        for [slot, of] in again {
            if let Some(made) = self.field.made.get(&of).cloned() {
                self.field.made.insert(slot, made);
            }
        }
    }
}

/// A picture of an attack; they stand behind all live people.
fn attack(plan: &Plan, people: &[Person], slot: u32, rng: &mut Rng) -> Option<Pick> {
    let first = people.iter().position(|person| person.is_attack)?;
    Some(pick(plan, people, (first + rng.below(people.len() - first)) as u32, slot, 0))
}

/// The uploaded photo of a row: the member in another picture, or somebody else where that is planted.
fn photo(plan: &Plan, people: &[Person], cast: &Cast, row: &Row, member: Option<Pick>, rng: &mut Rng) -> Option<Pick> {
    let share = rng.chance(plan.photo_share);
    match (row.pattern, member) {
        (Pattern::PhotoMismatch, Some(own)) => {
            let mut anybody = || cast.order[cast.members.start + rng.below(cast.members.len())];
            let person = (0..20).map(|_| anybody()).find(|&p| p != own.person);
            person.map(|p| pick(plan, people, p, row.slot, 9))
        }
        (Pattern::AttackMember, _) => None,
        (_, Some(own)) if share => Some(another(people, own)),
        _ => None,
    }
}
