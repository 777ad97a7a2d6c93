//! One pass of a panel of probes over a part: the integer products, and who of the rows comes near enough.
//!
//! On the cores in chunks that fit a core's own cache, over all of them; [`super::on_device`] does the same on a GPU. What
//! is near is handed on; masters decide ([`super::exact`]).

use half::f16;
use rayon::prelude::*;

use super::dot::filter::{Reach, reaching};
use super::dot::{Kernel, LANES, Probes, TILE_BLOCKS, TILE_PROBES};
use super::query::Probe;
use super::view::{Part, Seen};
use crate::infer::template::SCAN_SLACK;
use crate::{Error, Result};

/// Bytes of codes that one task works on with a whole panel: inside a core's second-level cache.
const CHUNK: usize = 512 << 10;

/// Probes of one model with what the scan needs of them.
pub(super) struct Panel {
    pub(super) probes: Probes,
    pub(super) scales: Vec<f32>,
    pub(super) residuals: Vec<f32>,
    /// Position in the list of probes, or row of the part.
    pub(super) owners: Vec<u32>,
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

    pub(super) fn of_probes(probes: &[Probe<'_>], part: &Part) -> Panel {
        let mut panel = Panel::new(part.codes.dim);
        for (at, probe) in probes.iter().enumerate().filter(|(_, p)| *p.model == part.model) {
            let t = probe.template;
            if t.dim() == part.codes.dim {
                panel.push(at, &t.codes, t.scale, t.residual);
            }
        }
        panel
    }

    pub(super) fn of_rows(seen: &Seen, rows: std::ops::Range<usize>) -> Panel {
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
    pub(super) probe: usize,
    /// Row of the part.
    pub(super) row: usize,
    /// The similarity is at least this.
    pub(super) least: f32,
    /// The similarity is at most this.
    pub(super) most: f32,
}

/// What one task finds, and its scratch space.
pub(super) struct Found<T> {
    pub(super) items: Vec<T>,
    pub(super) masters: [Vec<f16>; 2],
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
    pub(super) fn ranks(&mut self, probe: usize, least: f32, count: usize) -> Option<f32> {
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
    /// Whether limits rise while rows are found.
    pub(super) rising: bool,
    /// The similarity that a row must be able to reach, per probe of the panel; may rise meanwhile.
    pub(super) limit: &'a (dyn Fn(usize) -> f32 + Sync),
    /// Called for every row that may reach it.
    pub(super) each: &'a (dyn Fn(Near, &mut Found<T>) -> Result<()> + Sync),
}

impl<T: Send> Scan<'_, T> {
    /// Whether there is nothing to scan.
    pub(super) fn is_empty(&self) -> bool {
        self.panel.probes.is_empty() || self.seen.part.codes.rows == 0
    }

    /// Scans the part on the cores, from the chunk of row `from` on; what `each` collects comes back in order of chunks.
    pub(super) fn run(&self, kernel: Kernel, from: usize) -> Result<Vec<T>> {
        let codes = &self.seen.part.codes;
        let size = codes.block_size();
        let per_chunk = (CHUNK / size).next_multiple_of(TILE_BLOCKS).max(TILE_BLOCKS);
        let skip = from / LANES / per_chunk;
        let chunks: Vec<&[u8]> = codes.blocks().chunks(per_chunk * size).skip(skip).collect();
        let found: Result<Vec<Vec<T>>, Error> = chunks
            .into_par_iter()
            .enumerate()
            .map(|(number, chunk)| self.chunk(kernel, chunk, (skip + number) * per_chunk * LANES))
            .collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn chunk(&self, kernel: Kernel, chunk: &[u8], first_row: usize) -> Result<Vec<T>> {
        let codes = &self.seen.part.codes;
        let size = codes.block_size();
        let probes = self.panel.probes.len();
        let mut into = Found::default();
        let mut sums = [0; TILE_PROBES * TILE_BLOCKS * LANES];
        for start in (0..probes).step_by(TILE_PROBES) {
            let tile = start..(start + TILE_PROBES).min(probes);
            let reaches: Vec<Reach> = tile.clone().map(|p| self.reach(p)).collect();
            for (at, blocks) in chunk.chunks(TILE_BLOCKS * size).enumerate() {
                kernel.dots(&self.panel.probes, tile.clone(), blocks, &mut sums);
                let rows = first_row + at * TILE_BLOCKS * LANES
                    ..first_row + at * TILE_BLOCKS * LANES + blocks.len() / size * LANES;
                let (scales, residuals) = (&codes.scales[rows.clone()], &codes.residuals[rows.clone()]);
                let mut mask = reaching(kernel, &sums, &reaches, scales, residuals);
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
