//! Exact search: every stored code is multiplied with every probe, and masters decide.
//!
//! A panel of probes passes over the gallery in chunks that fit a core's own cache, so memory is read once per panel
//! and the arithmetic is the limit. A row whose integer product comes within the proven margin
//! ([`crate::infer::template::margin`]) of what is asked is rescored from the masters at once; nothing else is kept, so
//! memory grows with the answers only. Chunks are spread over all cores, and answers do not depend on how.

use std::sync::atomic::{AtomicU32, Ordering};

use half::f16;

use super::on_device::{self, Resident};
use super::processor::Processor;
use super::query::{Hit, Pair, Probe, Want, settle};
use super::scan::{Found, Near, Panel, Scan};
use super::view::{Gallery, Part, Seen};
use crate::Result;
use crate::infer::template::similarity_of_masters;

/// Probes per pass over the gallery: enough that reading it costs little beside the arithmetic. On a device more.
const PANEL: usize = 1024;

/// One search's processor, with what a device keeps of the gallery meanwhile.
struct Runner {
    processor: Processor,
    resident: Resident,
}

impl Runner {
    fn new(processor: impl Into<Processor>) -> Runner {
        Runner { processor: processor.into(), resident: Resident::default() }
    }

    /// Probes that pass over the gallery together.
    fn panel(&self) -> usize {
        match self.processor {
            Processor::Cpu(_) => PANEL,
            Processor::Card(_) => on_device::PANEL,
        }
    }

    /// Scans a part from row `from` on; what comes back is in no order on a card.
    fn run<T: Send>(&self, scan: &Scan<T>, from: usize) -> Result<Vec<T>> {
        match &self.processor {
            _ if scan.is_empty() => Ok(Vec::new()),
            Processor::Cpu(kernel) => scan.run(*kernel, from),
            Processor::Card(card) => on_device::run(scan, card, &self.resident, from),
        }
    }
}

/// Finds what is wanted for each probe; answers in order of probe, most similar first, then by row.
///
/// # Errors
/// [`crate::Error::Input`] when a stored master is damaged.
pub fn search(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    want: Want,
    processor: impl Into<Processor>,
) -> Result<Vec<Hit>> {
    let runner = Runner::new(processor);
    let (mut hits, most) = (Vec::new(), runner.panel());
    for (number, panel) in probes.chunks(most).enumerate() {
        let first = (number * most) as u32;
        let found = match want {
            Want::Above(floor) | Want::AboveThinned { floor, .. } => above(gallery, panel, floor, &runner)?,
            Want::Top { count, floor } => top(gallery, panel, Top { count, floor }, &runner)?,
        };
        let found = settle(found, want);
        hits.extend(found.into_iter().map(|hit| Hit { probe: hit.probe + first, ..hit }));
    }
    Ok(hits)
}

/// Every pair of visible rows of one model at least `threshold` alike, given to `sink` in order of the first row, with
/// the number of rows that have been compared with all that follow them.
///
/// # Errors
/// [`crate::Error::Input`] when a stored master is damaged; what `sink` returns.
pub fn all_pairs(
    gallery: &Gallery,
    threshold: f32,
    processor: impl Into<Processor>,
    sink: &mut dyn FnMut(usize, &[Pair]) -> Result<()>,
) -> Result<()> {
    let runner = Runner::new(processor);
    let (mut done, most) = (0, runner.panel());
    for (at, seen) in gallery.parts.iter().enumerate() {
        let rows = seen.part.rows();
        for start in (0..rows).step_by(most) {
            let end = (start + most).min(rows);
            let panel = Panel::of_rows(seen, start..end);
            done += panel.owners.len();
            let mut pairs = Vec::new();
            for other in gallery.parts[at..].iter().filter(|other| other.part.model == seen.part.model) {
                pairs.extend(pairs_of(seen, &panel, other, threshold, &runner)?);
            }
            pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
            sink(done, &pairs)?;
        }
    }
    Ok(())
}

/// Pairs of a panel of `seen`'s rows with later rows of `other`.
fn pairs_of(seen: &Seen, panel: &Panel, other: &Seen, threshold: f32, runner: &Runner) -> Result<Vec<Pair>> {
    let same = seen.first == other.first;
    let from = if same { panel.owners.first().map_or(0, |&row| row as usize) } else { 0 };
    let limit = |_| threshold;
    let each = |near: Near, into: &mut Found<Pair>| {
        let row = panel.owners[near.probe] as usize;
        if (same && near.row <= row) || other.is_hidden(near.row) {
            return Ok(());
        }
        let [a, b] = &mut into.masters;
        seen.part.master(row, a)?;
        other.part.master(near.row, b)?;
        let similarity = similarity_of_masters(a, b);
        if similarity >= threshold {
            let (first, second) = ((seen.first + row) as u32, (other.first + near.row) as u32);
            into.items.push(Pair { first, second, similarity });
        }
        Ok(())
    };
    runner.run(&Scan { seen: other, panel, rising: false, limit: &limit, each: &each }, from)
}

fn above(gallery: &Gallery, probes: &[Probe<'_>], threshold: f32, runner: &Runner) -> Result<Vec<Hit>> {
    let mut hits = Vec::new();
    for seen in &gallery.parts {
        let panel = Panel::of_probes(probes, &seen.part);
        let each = |near: Near, into: &mut Found<Hit>| {
            let number = panel.owners[near.probe];
            let probe = &probes[number as usize];
            if seen.is_hidden(near.row) || !probe.filter.lets_pass(&seen.part.facts, near.row) {
                return Ok(());
            }
            let similarity = rescore(probe, &seen.part, near.row, &mut into.masters[0])?;
            if similarity >= threshold {
                into.items.push(Hit { probe: number, row: (seen.first + near.row) as u32, similarity });
            }
            Ok(())
        };
        let limit = |_| threshold;
        let scan = Scan { seen, panel: &panel, rising: false, limit: &limit, each: &each };
        hits.extend(runner.run(&scan, 0)?);
    }
    Ok(hits)
}

/// A row that may be among the best: its similarity lies between `least` and `most`.
struct Candidate {
    probe: u32,
    part: usize,
    row: usize,
    least: f32,
    most: f32,
}

/// The most similar rows that are wanted, none below a floor.
#[derive(Clone, Copy)]
struct Top {
    count: usize,
    floor: f32,
}

fn top(gallery: &Gallery, probes: &[Probe<'_>], wanted: Top, runner: &Runner) -> Result<Vec<Hit>> {
    let Top { count, floor } = wanted;
    // For each probe, a similarity that `count` rows are known to reach: what surely lies below cannot be an answer.
    // Any order of updates leaves the same answers, for a bound never exceeds the similarity of the last of them.
    let bounds: Vec<Bound> = probes.iter().map(|_| Bound::new(floor)).collect();
    let mut candidates = Vec::new();
    for (at, seen) in gallery.parts.iter().enumerate() {
        let panel = Panel::of_probes(probes, &seen.part);
        let limit = |p: usize| bounds[panel.owners[p] as usize].get();
        let each = |near: Near, into: &mut Found<Candidate>| {
            let number = panel.owners[near.probe];
            let probe = &probes[number as usize];
            let bound = &bounds[number as usize];
            if near.most < bound.get()
                || seen.is_hidden(near.row)
                || !probe.filter.lets_pass(&seen.part.facts, near.row)
            {
                return Ok(());
            }
            let (row, least, most) = (near.row, near.least, near.most);
            into.items.push(Candidate { probe: number, part: at, row, least, most });
            bound.raise(into.ranks(near.probe, near.least, count));
            Ok(())
        };
        let scan = Scan { seen, panel: &panel, rising: true, limit: &limit, each: &each };
        let found = runner.run(&scan, 0)?;
        candidates.extend(found.into_iter().filter(|c| c.most >= bounds[c.probe as usize].get()));
    }
    // The best `count` of the lower ends, over all chunks, is the last and sharpest bound.
    candidates.sort_unstable_by(|a, b| a.probe.cmp(&b.probe).then(b.least.total_cmp(&a.least)));
    let mut hits = Vec::new();
    let mut master = Vec::new();
    for group in candidates.chunk_by(|a, b| a.probe == b.probe) {
        let bound = group.get(count.wrapping_sub(1)).map_or(floor, |c| c.least.max(floor));
        for c in group.iter().filter(|c| c.most >= bound) {
            let seen = &gallery.parts[c.part];
            let similarity = rescore(&probes[c.probe as usize], &seen.part, c.row, &mut master)?;
            if similarity >= floor {
                hits.push(Hit { probe: c.probe, row: (seen.first + c.row) as u32, similarity });
            }
        }
    }
    Ok(hits)
}

/// A similarity that only rises.
struct Bound(AtomicU32);

impl Bound {
    fn new(floor: f32) -> Bound {
        Bound(AtomicU32::new(Self::key(floor)))
    }

    /// Floats as integers of the same order.
    fn key(value: f32) -> u32 {
        let bits = value.to_bits();
        if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
    }

    fn get(&self) -> f32 {
        let key = self.0.load(Ordering::Relaxed);
        f32::from_bits(if key >> 31 == 1 { key ^ 1 << 31 } else { !key })
    }

    fn raise(&self, to: Option<f32>) {
        if let Some(value) = to {
            self.0.fetch_max(Self::key(value), Ordering::Relaxed);
        }
    }
}

fn rescore(probe: &Probe<'_>, part: &Part, row: usize, master: &mut Vec<f16>) -> Result<f32> {
    part.master(row, master)?;
    Ok(similarity_of_masters(&probe.template.master, master))
}
