//! Rows whose answer is known, mixed unmarked into the queue about workers: they measure the reviewers.
//!
//! - **overturn**: a selfie in which nothing casts doubt on who is who, with other selfies of its worker beside it. The
//!   worker is there.
//! - **uphold**: the same with the selfies of another worker beside it. That worker is not there.
//!
//! Each borrows the record (worker, district, time, reasons) of a row of the queue, so that nothing but the faces tells
//! them apart. What a picture of a picture looks like is known of no row of a night, so the other queues have none.

use super::super::nights::Night;
use super::super::seeds::Pool;
use super::list::RowList;
use crate::decisions::{Question, RowAnswer, Side};
use crate::statistics::uniform_of;

/// A row whose answer is known.
#[derive(Debug, Clone)]
pub struct RowSeed {
    /// The row whose selfie is asked about.
    pub side: Side,
    /// Its position in the dump.
    pub row: u64,
    /// Positions of the selfies beside it.
    pub beside: Vec<u64>,
    /// The right answer.
    pub truth: RowAnswer,
    /// How it is known.
    pub basis: &'static str,
    /// The row of the queue whose record it borrows.
    pub record: usize,
    /// The row of the queue after which it comes.
    pub after: usize,
}

/// Known rows for the queue about workers: `share` of it, half of them upheld, spread evenly.
pub fn seeds(pool: &Pool, night: &Night, list: &RowList, share: f64) -> Vec<RowSeed> {
    let queue: Vec<usize> = (0..list.rows.len()).filter(|&at| list.rows[at].question == Question::Worker).collect();
    let wanted = (share * queue.len() as f64).ceil() as usize;
    let workers = pool.workers(&night.run_id);
    // Each takes two workers: the other one's selfies are those that do not belong.
    let count = wanted.min(workers.len() / 2);
    let mut seeds = Vec::new();
    for number in 0..count {
        let (own, other) = (&workers[2 * number], &workers[2 * number + 1]);
        let Some(side) = night.side(own.1[0]) else { continue };
        let (beside, truth, basis) = match number % 2 {
            0 => (own.1[1..].to_vec(), RowAnswer::Overturn, "worker_in_own_selfie"),
            _ => (other.1.clone(), RowAnswer::Uphold, "selfie_of_another_worker"),
        };
        let chance = uniform_of(&[&night.run_id, "row place", &own.0]);
        let at = ((number as f64 + chance) / count as f64 * queue.len() as f64) as usize;
        let lends = (uniform_of(&[&night.run_id, "row record", &own.0]) * queue.len() as f64) as usize;
        let last = queue.len() - 1;
        let (after, record) = (queue[at.min(last)], queue[lends.min(last)]);
        seeds.push(RowSeed { row: own.1[0], side, beside, truth, basis, record, after });
    }
    seeds
}
