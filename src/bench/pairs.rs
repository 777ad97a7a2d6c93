//! Every pair of a made-up gallery, searched exactly: what a whole state against itself costs on this device.
//!
//! A tally of its own beside the stages of a night, because it needs no dump, and because the galleries that matter have
//! millions of rows. The arithmetic is known (a product of eight-bit codes a value and pair), so the rate is set against what the
//! matrix units could do.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Run, THRESHOLD, median, timed};
use crate::config::policy::HnswPolicy;
use crate::device;
use crate::gallery::generate::Crowd;
use crate::gallery::{Gallery, Searcher, search};
use crate::report::Progress;
use crate::{Error, Result};

/// Rows that are made at a time: those of one segment of a store.
const NIGHT: u64 = 250_000;

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pairs {
    /// Templates.
    pub rows: u64,
    /// Values of each.
    pub dim: usize,
    /// Pairs compared.
    pub pairs: f64,
    /// Pairs at least as alike as the least similarity of an answer, the same in every run.
    pub found: usize,
    /// Where it ran.
    pub device: String,
    /// The kernel of the dot products.
    pub kernel: String,
    /// Median over the runs.
    pub seconds: f64,
    /// Pairs a second, by the clock.
    pub pairs_per_s: f64,
    /// Multiplications and additions a second, in units of 1e12.
    pub tera_ops_s: f64,
    /// What the matrix units of the card could do in eight bits at its highest clock, in the same unit.
    pub peak_tera_ops_s: Option<f64>,
    /// The share of it.
    pub share_of_peak: Option<f64>,
    /// The runs.
    pub runs: Vec<Run>,
}

/// Measures `runs` times over `rows` made-up templates of `dim` values, on the device that searches use.
///
/// # Errors
/// Where a device refuses; [`Error::Usage`] where `dim` is no power of two.
pub fn measure(
    (rows, dim): (u64, usize),
    runs: usize,
    device: &candle_core::Device,
    progress: Progress,
) -> Result<Pairs> {
    let gallery = gallery(rows, dim, progress)?;
    let searcher = Searcher::new(search::Engine::Exact, &HnswPolicy::default(), device);
    let mut done = Vec::new();
    let (mut found, mut kernel) = (0, "");
    for _ in 0..runs {
        let stage = progress.stage("search", "templates", rows, 0);
        let mut before = 0;
        let mut advance = |now: usize| {
            stage.advance((now - before) as u64);
            before = now;
            Ok(())
        };
        let (run, (pairs, report)) = timed(|| search::all_pairs(&gallery, THRESHOLD, None, &searcher, &mut advance))?;
        (found, kernel) = (pairs.len(), report.kernel);
        done.push(run);
    }
    let pairs = rows as f64 * rows.saturating_sub(1) as f64 / 2.0;
    let seconds = median(done.iter().map(|run| run.wall_s)).max(1e-9);
    let tera_ops_s = pairs * dim as f64 * 2.0 / seconds / 1e12;
    let peak_tera_ops_s = device::integer_peak(device);
    Ok(Pairs {
        rows,
        dim,
        pairs,
        found,
        device: device::describe(device),
        kernel: kernel.to_owned(),
        seconds,
        pairs_per_s: pairs / seconds,
        tera_ops_s,
        peak_tera_ops_s,
        share_of_peak: peak_tera_ops_s.map(|peak| tera_ops_s / peak),
        runs: done,
    })
}

fn gallery(rows: u64, dim: usize, progress: Progress) -> Result<Gallery> {
    if !dim.is_power_of_two() {
        return Err(Error::usage("--dim", format!("{dim}"), "give a power of two, such as 128 or 512"));
    }
    let crowd = Crowd::new(dim, 1);
    let stage = progress.stage("make", "templates", rows, 0);
    let mut gallery = Gallery::default();
    for first in (0..rows).step_by(NIGHT as usize) {
        let night = first..(first + NIGHT).min(rows);
        let count = night.end - night.start;
        let night = crowd.rows(night).map_err(|e| Error::bug("making up templates", e))?;
        gallery = gallery.followed_by(&Gallery::from_rows(&night)?);
        stage.advance(count);
    }
    Ok(gallery)
}

impl fmt::Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "all pairs  of {} templates of {} values on {} ({}): ",
            self.rows, self.dim, self.device, self.kernel
        )?;
        write!(f, "{:.1} s, {:.3e} pairs/s, {:.2} Tera-op/s", self.seconds, self.pairs_per_s, self.tera_ops_s)?;
        if let (Some(peak), Some(share)) = (self.peak_tera_ops_s, self.share_of_peak) {
            write!(f, ", {:.0} % of the {peak:.0} that the matrix units could do", 100.0 * share)?;
        }
        write!(f, "; {} pairs found", self.found)
    }
}
