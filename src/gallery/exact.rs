//! Exact search: every stored code is multiplied with every probe, and masters decide.
//!
//! A panel of probes passes over the gallery in chunks that fit a core's own cache, so memory is read once per panel
//! and the arithmetic is the limit. A row whose integer product comes within the proven margin
//! ([`crate::infer::template::margin`]) of what is asked is rescored from the masters at once; nothing else is kept, so
//! memory grows with the answers only. Chunks are spread over all cores, and answers do not depend on how.

use std::sync::atomic::{AtomicU32, Ordering};

use half::f16;
use rayon::prelude::*;

use super::dot::filter::{Reach, reaching};
use super::dot::{Kernel, LANES, Probes, TILE_BLOCKS, TILE_PROBES};
use super::on_device::{self, Resident};
use super::query::{Hit, Pair, Probe, Want, settle};
use super::view::{Gallery, Part, Seen};
use crate::infer::template::{SCAN_SLACK, similarity_of_masters};
use crate::{Error, Result};

/// Probes per pass over the gallery: enough that reading it costs little beside the arithmetic. On a device more.
const PANEL: usize = 1024;

fn panel() -> usize {
    if on_device::chosen().is_some() { on_device::PANEL } else { PANEL }
}

/// Bytes of codes that one task works on with a whole panel: inside a core's second-level cache.
const CHUNK: usize = 512 << 10;

/// Finds what is wanted for each probe; answers in order of probe, most similar first, then by row.
///
/// # Errors
/// [`Error::Input`] when a stored master is damaged.
pub fn search(gallery: &Gallery, probes: &[Probe<'_>], want: Want, kernel: Kernel) -> Result<Vec<Hit>> {
    let (mut hits, most, resident) = (Vec::new(), panel(), Resident::default());
    for (number, panel) in probes.chunks(most).enumerate() {
        let first = (number * most) as u32;
        let found = match want {
            Want::Above(threshold) => above(gallery, panel, threshold, kernel, &resident)?,
            Want::Top { count, floor } => top(gallery, panel, (count, floor), kernel, &resident)?,
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
/// [`Error::Input`] when a stored master is damaged; what `sink` returns.
pub fn all_pairs(
    gallery: &Gallery,
    threshold: f32,
    kernel: Kernel,
    sink: &mut dyn FnMut(usize, &[Pair]) -> Result<()>,
) -> Result<()> {
    let (mut done, most, resident) = (0, panel(), Resident::default());
    for (at, seen) in gallery.parts.iter().enumerate() {
        let rows = seen.part.rows();
        for start in (0..rows).step_by(most) {
            let end = (start + most).min(rows);
            let panel = Panel::of_rows(seen, start..end);
            done += panel.owners.len();
            let mut pairs = Vec::new();
            for other in gallery.parts[at..].iter().filter(|other| other.part.model == seen.part.model) {
                pairs.extend(pairs_of((seen, &panel), other, threshold, kernel, &resident)?);
            }
            pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
            sink(done, &pairs)?;
        }
    }
    Ok(())
}

/// Pairs of a panel of `seen`'s rows with later rows of `other`.
fn pairs_of(
    (seen, panel): (&Seen, &Panel),
    other: &Seen,
    threshold: f32,
    kernel: Kernel,
    resident: &Resident,
) -> Result<Vec<Pair>> {
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
    Scan { seen: other, panel, kernel, resident, rising: false, limit: &limit, each: &each }.run(from)
}

fn above(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    threshold: f32,
    kernel: Kernel,
    resident: &Resident,
) -> Result<Vec<Hit>> {
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
        let scan = Scan { seen, panel: &panel, kernel, resident, rising: false, limit: &limit, each: &each };
        hits.extend(scan.run(0)?);
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

fn top(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    (count, floor): (usize, f32),
    kernel: Kernel,
    resident: &Resident,
) -> Result<Vec<Hit>> {
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
        let found = Scan { seen, panel: &panel, kernel, resident, rising: true, limit: &limit, each: &each }.run(0)?;
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

/// Probes of one model with what the scan needs of them.
pub(super) struct Panel {
    pub(super) probes: Probes,
    pub(super) scales: Vec<f32>,
    pub(super) residuals: Vec<f32>,
    /// Position in the list of probes, or row of the part.
    owners: Vec<u32>,
}

impl Panel {
    fn new(dim: usize) -> Panel {
        Panel { probes: Probes::new(dim), scales: Vec::new(), residuals: Vec::new(), owners: Vec::new() }
    }

    fn push(&mut self, owner: usize, codes: &[i8], scale: f32, residual: f32) {
        self.probes.push(codes);
        self.scales.push(scale);
        self.residuals.push(residual);
        self.owners.push(owner as u32);
    }

    fn of_probes(probes: &[Probe<'_>], part: &Part) -> Panel {
        let mut panel = Panel::new(part.codes.dim);
        for (at, probe) in probes.iter().enumerate().filter(|(_, p)| *p.model == part.model) {
            let t = probe.template;
            if t.dim() == part.codes.dim {
                panel.push(at, &t.codes, t.scale, t.residual);
            }
        }
        panel
    }

    fn of_rows(seen: &Seen, rows: std::ops::Range<usize>) -> Panel {
        let codes = &seen.part.codes;
        let mut panel = Panel::new(codes.dim);
        let mut row_codes = vec![0; codes.dim];
        for row in rows.filter(|&row| !seen.is_hidden(row)) {
            codes.read(row, &mut row_codes);
            panel.push(row, &row_codes, codes.scales[row], codes.residuals[row]);
        }
        panel
    }
}

/// A row whose codes say that it may be similar enough.
pub(super) struct Near {
    /// Position in the panel.
    probe: usize,
    /// Row of the part.
    row: usize,
    /// The similarity is at least this.
    least: f32,
    /// The similarity is at most this.
    most: f32,
}

/// What one task finds, and its scratch space.
pub(super) struct Found<T> {
    pub(super) items: Vec<T>,
    masters: [Vec<f16>; 2],
    /// Per probe of the panel, the highest lower ends seen by this task, ascending.
    best: Vec<Vec<f32>>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Found { items: Vec::new(), masters: [Vec::new(), Vec::new()], best: Vec::new() }
    }
}

impl<T> Found<T> {
    /// Notes a lower end; returns the `count`-th highest so far, if there are as many.
    fn ranks(&mut self, probe: usize, least: f32, count: usize) -> Option<f32> {
        if self.best.len() <= probe {
            self.best.resize_with(probe + 1, Vec::new);
        }
        let best = &mut self.best[probe];
        let at = best.partition_point(|&v| v < least);
        best.insert(at, least);
        if best.len() > count {
            best.remove(0);
        }
        if best.len() == count { best.first().copied() } else { None }
    }
}

/// One pass of a panel over a part.
pub(super) struct Scan<'a, T> {
    pub(super) seen: &'a Seen,
    pub(super) panel: &'a Panel,
    kernel: Kernel,
    /// What a device has already.
    pub(super) resident: &'a Resident,
    /// Whether limits rise while rows are found.
    pub(super) rising: bool,
    /// The similarity that a row must be able to reach, per probe of the panel; may rise meanwhile.
    pub(super) limit: &'a (dyn Fn(usize) -> f32 + Sync),
    /// Called for every row that may reach it.
    each: &'a (dyn Fn(Near, &mut Found<T>) -> Result<()> + Sync),
}

impl<T: Send> Scan<'_, T> {
    /// Scans the part from the chunk of row `from` on; what `each` collects comes back in order of chunks.
    fn run(&self, from: usize) -> Result<Vec<T>> {
        let codes = &self.seen.part.codes;
        if self.panel.probes.is_empty() || codes.rows == 0 {
            return Ok(Vec::new());
        }
        if let Some(card) = on_device::chosen() {
            return self.run_on(card, from);
        }
        let size = codes.block_size();
        let per_chunk = (CHUNK / size).next_multiple_of(TILE_BLOCKS).max(TILE_BLOCKS);
        let skip = from / LANES / per_chunk;
        let chunks: Vec<&[u8]> = codes.blocks().chunks(per_chunk * size).skip(skip).collect();
        let found: Result<Vec<Vec<T>>, Error> = chunks
            .into_par_iter()
            .enumerate()
            .map(|(number, chunk)| self.chunk(chunk, (skip + number) * per_chunk * LANES))
            .collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn chunk(&self, chunk: &[u8], first_row: usize) -> Result<Vec<T>> {
        let codes = &self.seen.part.codes;
        let size = codes.block_size();
        let probes = self.panel.probes.len();
        let mut into = Found::default();
        let mut sums = [0; TILE_PROBES * TILE_BLOCKS * LANES];
        for start in (0..probes).step_by(TILE_PROBES) {
            let tile = start..(start + TILE_PROBES).min(probes);
            let reaches: Vec<Reach> = tile.clone().map(|p| self.reach(p)).collect();
            for (at, blocks) in chunk.chunks(TILE_BLOCKS * size).enumerate() {
                self.kernel.dots(&self.panel.probes, tile.clone(), blocks, &mut sums);
                let rows = first_row + at * TILE_BLOCKS * LANES
                    ..first_row + at * TILE_BLOCKS * LANES + blocks.len() / size * LANES;
                let (scales, residuals) = (&codes.scales[rows.clone()], &codes.residuals[rows.clone()]);
                let mut mask = reaching(self.kernel, &sums, &reaches, scales, residuals);
                while mask != 0 {
                    let p = mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    self.near(start + p, reaches[p], rows.start, &sums[p * rows.len()..][..rows.len()], &mut into)?;
                }
            }
        }
        Ok(into.items)
    }

    /// What a probe asks of the sums: that the similarity may reach the limit, which is
    /// `sum * scales + e_p (1 + e_g) + e_g = sum * scales + e_g (1 + e_p) + e_p >= limit`.
    pub(super) fn reach(&self, probe: usize) -> Reach {
        let (scale, residual) = (self.panel.scales[probe], self.panel.residuals[probe]);
        Reach { scale, grown: 1.0 + residual, least: (self.limit)(probe) - (residual + SCAN_SLACK) }
    }

    /// Hands on those rows, from `first` on, that may reach the limit of one probe.
    #[cold]
    pub(super) fn near(
        &self,
        probe: usize,
        reach: Reach,
        first: usize,
        sums: &[i32],
        into: &mut Found<T>,
    ) -> Result<()> {
        let codes = &self.seen.part.codes;
        for (row, &sum) in (first..codes.rows).zip(sums) {
            let (scale, residual) = (codes.scales[row], codes.residuals[row]);
            let most = reach.most(sum, scale, residual);
            if most >= reach.least {
                let most = most + self.panel.residuals[probe] + SCAN_SLACK;
                let least = 2.0 * (sum as f32 * (reach.scale * scale)) - most;
                (self.each)(Near { probe, row, least, most }, into)?;
            }
        }
        Ok(())
    }
}
