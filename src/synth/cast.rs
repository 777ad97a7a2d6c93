//! Who plays whom: the people of the collection cut into workers, strangers, members and people of frauds.

use std::ops::Range;

use super::people::Person;
use super::plan::{Pattern, Plan};
use super::rng::{Rng, Use};
use super::row::{Pick, Row, Worker};
use crate::{Error, Result};

/// How a pattern gets its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// Somebody who was never enrolled.
    New,
    /// Somebody of the people of frauds, who are never enrolled honestly.
    Ghost,
    /// The member of an earlier row.
    Repeated,
    /// Somebody of the pictures of attacks.
    Attack,
    /// The worker.
    Worker,
    /// Another account's worker.
    OtherWorker,
    /// Nobody, or nobody who can be seen.
    Nobody,
}

/// How this pattern does.
pub fn member_of(pattern: Pattern) -> Member {
    use Pattern::*;
    match pattern {
        InnocentRetry | DuplicateSameDistrict | DuplicateCrossDistrict => Member::Repeated,
        SameFile | Reencoded | Cropped | Mirrored => Member::Repeated,
        AttackMember => Member::Attack,
        MemberIsWorker => Member::Worker,
        MemberIsOtherWorker => Member::OtherWorker,
        WorkerAlone | NoFace | BrokenFile => Member::Nobody,
        WorkerAbsent | WorkerMismatch | MemberAlone | Group | BackgroundReused => Member::Ghost,
        PhoneMember | PrintMember | PhoneWorker | MonitorFrame | PrintFrame => Member::Ghost,
        _ => Member::New,
    }
}

/// The people by part; workers come first, helpers between strangers and members.
#[derive(Debug)]
pub struct Cast {
    /// Who stands in for workers; the first is the bystander who recurs.
    pub strangers: Range<usize>,
    /// Who may be enrolled.
    pub members: Range<usize>,
    /// Who is only ever in frauds.
    pub ghosts: Range<usize>,
    /// Indices of people; the ranges are of this.
    pub order: Vec<u32>,
}

/// Gives every part a person: workers are those with most pictures, since theirs recur; strangers and helpers next;
/// then the new members, from the most honest slot down; ghosts from the other end.
///
/// # Errors
/// [`Error::Usage`] when there are too few people.
pub fn hand_out(
    plan: &Plan,
    people: &[Person],
    workers: &mut [Worker],
    rows: &mut [Row],
    keys: &[f64],
) -> Result<Cast> {
    // An account is passed on whatever its rows are otherwise: they keep their places in the order, unused, so that the
    // members after them stay who they are.
    let counts = |row: &Row| member_of(row.pattern) == Member::New || row.pattern == Pattern::WorkerMismatch;
    let mut new: Vec<usize> = (0..rows.len()).filter(|&k| counts(&rows[k])).collect();
    new.sort_by(|&a, &b| keys[rows[b].slot as usize].total_cmp(&keys[rows[a].slot as usize]).then(a.cmp(&b)));
    let staged = rows.iter().filter(|r| member_of(r.pattern) == Member::Ghost).count();
    let cast = Cast::divide(plan, people, workers, [new.len(), staged])?;
    for (k, worker) in workers.iter_mut().enumerate() {
        worker.person = cast.order[k];
        let mut rng = Rng::new(plan.seed, Use::Cast, 1 + k as u64);
        let stand_in = cast.order[cast.strangers.start + 1 + rng.below(cast.strangers.len() - 1)];
        worker.successor = worker.successor.map(|_| stand_in);
    }
    for (worker, person) in workers.iter_mut().filter(|w| w.helper.is_some()).zip(cast.strangers.end..) {
        worker.helper = Some(cast.order[person]);
    }
    for (k, &row) in new.iter().enumerate() {
        if member_of(rows[row].pattern) != Member::New {
            continue;
        }
        let person = cast.order[cast.members.start + k % cast.members.len()];
        rows[row].member = Some(pick(plan, people, person, rows[row].slot, 0));
    }
    Ok(cast)
}

impl Cast {
    /// Cuts the people into parts for this many new members and staged rows.
    fn divide(plan: &Plan, people: &[Person], workers: &[Worker], [new, staged]: [usize; 2]) -> Result<Cast> {
        let live = people.iter().filter(|person| !person.is_attack).count();
        let mut order: Vec<u32> = (0..live as u32).collect();
        let mut rng = Rng::new(plan.seed, Use::Cast, 0);
        rng.shuffle(&mut order);
        order.sort_by_key(|&p| std::cmp::Reverse(people[p as usize].portraits.len().min(8)));
        let accounts = workers.len().min(order.len());
        rng.shuffle(&mut order[accounts..]);
        let strangers = workers.len()..workers.len() + (workers.len() / 4).max(6);
        let helpers = workers.iter().filter(|w| w.helper.is_some()).count();
        // A person of frauds serves about four staged rows; where people are short they must serve more.
        let ghosts = staged.div_ceil(4).max(6).min((live / 10).max(6));
        let members = strangers.end + helpers..order.len().saturating_sub(ghosts);
        let needed = if plan.repeat_people { 1 } else { new.max(1) };
        if members.len() < needed {
            let problem = format!(
                "{live} people are too few for {} workers, {} strangers and helpers, {ghosts} people of frauds and {new} new members",
                workers.len(),
                strangers.len() + helpers,
            );
            return Err(Error::usage("rows", problem, Self::advice(plan, members.len(), new)));
        }
        Ok(Cast { ghosts: members.end..order.len(), strangers, members, order })
    }

    fn advice(plan: &Plan, room: usize, new: usize) -> String {
        if room == 0 {
            return "raise members_per_worker (fewer workers), lower rows, or add faces".to_owned();
        }
        let rows = plan.rows * room / new.max(1);
        format!("lower rows below about {rows}, add faces, or set repeat_people (the rest become true duplicates)")
    }
}

/// A picture of a person for one use in one slot.
pub fn pick(plan: &Plan, people: &[Person], person: u32, slot: u32, what: u64) -> Pick {
    let mut rng = Rng::new(plan.seed, Use::Cast, (1 << 40) | (what << 32) | u64::from(slot));
    Pick { person, portrait: rng.below(people[person as usize].portraits.len()) as u32 }
}

/// Another picture of the same person, if there is one.
pub fn another(people: &[Person], pick: Pick) -> Pick {
    Pick { portrait: (pick.portrait + 1) % people[pick.person as usize].portraits.len() as u32, ..pick }
}
