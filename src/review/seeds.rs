//! Pairs whose answer is known, mixed into the queue unmarked: they measure the reviewers.
//!
//! Where the answers come from:
//! - **same**: the worker's face in two of that worker's selfies. It is the face that recurs in all of them, or the one of
//!   the reference photo.
//! - **different**: the member of a selfie, and the worker of that selfie, who stands beside the member. The worker's face
//!   is taken from another selfie of the same worker, or the shared picture would give the pair away.
//!
//! Only selfies in which nothing casts doubt on who is who are taken ([`CLEAR`]), accepted ones before others.
//!
//! So that nothing but the faces tells them from pairs of the queue, each borrows the record (district, worker, time,
//! numbers, evidence) of a pair of the queue. Two people picked like this are less alike than two that the matcher
//! confused: errors on the known pairs are a lower bound of errors in the queue.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::nights::{Known, Night};
use super::queue::Queue;
use super::tables;
use crate::Result;
use crate::decisions::{Answer, Side};
use crate::reason::Reason;
use crate::statistics::uniform_of;

/// Most workers that known pairs are drawn from.
const MOST_WORKERS: usize = 2_000;

/// Selfies of each of them that known pairs take.
const SELFIES: usize = 2;

/// Selfies of each of them that are kept, for known rows show several.
const KEPT: usize = 4;

/// Reasons that say nothing about who is who in the selfie.
const CLEAR: [Reason; 8] = [
    Reason::DuplicateMember,
    Reason::MobileReused,
    Reason::EpicReused,
    Reason::MobileMalformed,
    Reason::EpicMalformed,
    Reason::BackgroundShared,
    Reason::BoothOutsideDistrict,
    Reason::CapturedAtImplausible,
];

/// Faces of less quality than this are no fair question.
const LEAST_QUALITY: f32 = 0.4;

/// A face of a known pair.
#[derive(Debug, Clone)]
pub struct SeedFace {
    /// The submission whose selfie shows it.
    pub side: Side,
    /// Which face: `worker` or `member`.
    pub role: &'static str,
}

/// A pair whose answer is known.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The first face.
    pub a: SeedFace,
    /// The other.
    pub b: SeedFace,
    /// The right answer.
    pub truth: Answer,
    /// How it is known.
    pub basis: &'static str,
    /// The pair of the queue whose record it borrows: person and pair.
    pub record: (usize, usize),
    /// The pair of the queue after which it comes: person and pair.
    pub after: (usize, usize),
}

fn is_clear(reasons: &[String]) -> bool {
    reasons.iter().all(|reason| CLEAR.iter().any(|clear| clear.code() == reason))
}

/// The workers of a run that have selfies enough, an even draw of them.
pub fn workers(run: &Path) -> Result<HashSet<String>> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    tables::read(&run.join("verdicts.parquet"), &["worker_id", "reasons"], |rows| {
        for (worker, reasons) in rows.texts("worker_id")?.into_iter().zip(rows.lists("reasons")?) {
            if let (Some(worker), true) = (worker, is_clear(&reasons)) {
                *counts.entry(worker).or_default() += 1;
            }
        }
        Ok(())
    })?;
    let mut drawn: Vec<(f64, String)> = counts
        .into_iter()
        .filter(|(_, n)| *n >= SELFIES)
        .map(|(worker, _)| (uniform_of(&["worker", &worker]), worker))
        .collect();
    drawn.sort_by(|x, y| x.0.total_cmp(&y.0));
    drawn.truncate(MOST_WORKERS);
    Ok(drawn.into_iter().map(|(_, worker)| worker).collect())
}

/// Chooses rows for known pairs while a run's table is read.
#[derive(Debug, Default)]
pub struct Pool {
    wanted: HashSet<String>,
    chosen: BTreeMap<String, Vec<(bool, u64)>>,
}

impl Pool {
    /// Rows of these workers.
    pub fn of(wanted: HashSet<String>) -> Self {
        Pool { wanted, chosen: BTreeMap::new() }
    }

    /// Whether a row is taken: of a wanted worker, in no doubt, both faces there and sharp.
    pub fn take(&mut self, known: &Known, reasons: &[String]) -> bool {
        let clear =
            |role: &str| known.faces.iter().any(|f| f.role == role && f.quality.is_some_and(|q| q >= LEAST_QUALITY));
        let Some(worker) = known.worker.as_ref().filter(|w| self.wanted.contains(*w)) else { return false };
        if !is_clear(reasons) || !clear("worker") || !clear("member") {
            return false;
        }
        let rows = self.chosen.entry(worker.clone()).or_default();
        let doubted = !reasons.is_empty();
        let free = rows.iter().filter(|(other, _)| *other == doubted).count() < KEPT;
        if free {
            rows.push((doubted, known.row));
        }
        free
    }

    /// The workers whose rows were taken, in an order drawn for the run, with the rows of each, the clearest first.
    pub fn workers(&self, run_id: &str) -> Vec<(String, Vec<u64>)> {
        let mut workers: Vec<(String, Vec<u64>)> = Vec::new();
        for (worker, rows) in self.chosen.iter().filter(|(_, rows)| rows.len() >= SELFIES) {
            let mut rows = rows.clone();
            rows.sort_unstable();
            workers.push((worker.clone(), rows.into_iter().map(|(_, row)| row).collect()));
        }
        workers.sort_by(|x, y| uniform_of(&[run_id, &x.0]).total_cmp(&uniform_of(&[run_id, &y.0])));
        workers
    }

    /// Known pairs for a queue: `share` of its pairs, half of them the same person, spread evenly.
    pub fn seeds(&self, night: &Night, queue: &Queue, share: f64) -> Vec<Seed> {
        let asked: Vec<(usize, usize)> = queue
            .persons
            .iter()
            .enumerate()
            .flat_map(|(at, person)| person.asked(&|_| None).into_iter().map(move |pair| (at, pair)))
            .collect();
        let wanted = (share * asked.len() as f64).ceil() as usize;
        let workers = self.workers(&night.run_id);
        let count = wanted.min(workers.len());
        let mut seeds = Vec::new();
        for (number, (worker, rows)) in workers.iter().take(count).enumerate() {
            let sides: Vec<Side> = rows.iter().take(SELFIES).filter_map(|row| night.side(*row)).collect();
            let [one, other] = sides.as_slice() else { continue };
            let face = |side: &Side, role| SeedFace { side: side.clone(), role };
            let (a, truth, basis) = match number % 2 {
                0 => (face(one, "member"), Answer::Different, "two_faces_of_one_selfie"),
                _ => (face(one, "worker"), Answer::Same, "worker_in_two_selfies"),
            };
            // Evenly over the queue, and within its stretch where chance puts it.
            let chance = uniform_of(&[&night.run_id, "place", worker]);
            let at = ((number as f64 + chance) / count as f64 * asked.len() as f64) as usize;
            let lends = (uniform_of(&[&night.run_id, "record", worker]) * asked.len() as f64) as usize;
            let last = asked.len() - 1;
            let (after, record) = (asked[at.min(last)], asked[lends.min(last)]);
            seeds.push(Seed { a, b: face(other, "worker"), truth, basis, record, after });
        }
        seeds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_the_same_each_time() {
        let draws: Vec<f64> = (0..2000).map(|i| uniform_of(&["x", &i.to_string()])).collect();
        assert_eq!(draws[7], uniform_of(&["x", "7"]));
        assert_ne!(uniform_of(&["ab", "c"]), uniform_of(&["a", "bc"]));
        let below = draws.iter().filter(|&&d| d < 0.1).count();
        assert!((140..260).contains(&below), "{below}");
        assert!(draws.iter().all(|d| (0.0..1.0).contains(d)));
    }
}
