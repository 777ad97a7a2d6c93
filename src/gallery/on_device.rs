//! Exact search on a GPU: the store streams through the device's memory, and only rows within reach come back.
//!
//! The device computes the integer products of [`super::dot`] and the same inequality of floats; who is near enough is then
//! told by the masters on the CPU, as for a scan there. So answers are the same to the last bit, and the gallery may be larger
//! than the device's memory. A pass whose list of hits overflows, or for which memory does not suffice, is made again with
//! fewer rows.

use std::sync::OnceLock;

use candle_core::Device;
use rayon::prelude::*;

use super::dot::LANES;
use super::exact::{Found, Scan};
use crate::infer::template::SCAN_SLACK;
use crate::ops::gpu::search::{Chunk, DevicePanel, Pass};
use crate::ops::gpu::{Card, is_out_of_memory};
use crate::ops::params::{SearchHit, SearchReach, limit_key};
use crate::{Error, Result};

static CHOSEN: OnceLock<Card> = OnceLock::new();

/// Lets the exact searches of this process run on a device; the first call counts. The CPU is chosen by not calling.
pub fn search_on(device: &Device) {
    if let Ok(card) = Card::of(device) {
        CHOSEN.get_or_init(|| card);
    }
}

/// The device on which exact searches run; `None` for the CPU.
pub(super) fn chosen() -> Option<&'static Card> {
    CHOSEN.get()
}

/// Bytes of codes of one pass: some milliseconds of copying, and little beside any card's memory.
const BYTES: usize = 256 << 20;
/// Rows of the first pass where limits are still to rise.
const FIRST_ROWS: usize = 4096;
/// Hits that a thread rescores at a time.
const TOGETHER: usize = 4096;

impl<T: Send> Scan<'_, T> {
    /// As `Scan::run`, on a device; what is collected comes back in another order.
    pub(super) fn run_on(&self, card: &Card, from: usize) -> Result<Vec<T>> {
        let codes = &self.seen.part.codes;
        let (width, rows_of_probes, starts) = self.panel.probes.parts();
        let size = codes.block_size();
        let most = (BYTES / size).max(1) * LANES;
        let mut rows = if self.rising { FIRST_ROWS.min(most) } else { most };
        let mut at = from / LANES * LANES;
        let mut items = Vec::new();
        while at < codes.rows {
            let end = (at + rows).min(codes.rows);
            let limits: Vec<u32> = (0..starts.len()).map(|p| limit_key((self.limit)(p))).collect();
            let blocks = at / LANES * size..end.div_ceil(LANES) * size;
            let chunk = Chunk {
                blocks: &codes.blocks()[blocks],
                scales: &codes.scales[at..end],
                residuals: &codes.residuals[at..end],
                first_row: at,
            };
            let pass = DevicePanel::new(card, width, rows_of_probes, starts, &self.reaches(), &limits)
                .and_then(|mut panel| panel.scan(chunk, 0));
            match pass {
                Ok(Pass::Hits(hits)) => {
                    items.extend(self.judge(hits)?);
                    at = end;
                    rows = (rows * 2).min(most);
                }
                Ok(Pass::Full) if rows > LANES => rows = (rows / 4).max(LANES).next_multiple_of(LANES),
                Ok(Pass::Full) => return Err(Error::bug("searching on the device", "a full list for one block")),
                Err(error) if rows > LANES && is_out_of_memory(&error.to_string()) => {
                    rows = (rows / 2).max(LANES).next_multiple_of(LANES);
                }
                Err(error) => return Err(Error::bug("searching on the device", error)),
            }
        }
        Ok(items)
    }

    fn reaches(&self) -> Vec<SearchReach> {
        let scales = self.panel.scales.iter().zip(&self.panel.residuals);
        let reach = |(&scale, &residual): (&f32, &f32)| SearchReach {
            scale,
            grown: 1.0 + residual,
            slack: residual + SCAN_SLACK,
            residual,
            rounding: SCAN_SLACK,
        };
        scales.map(reach).collect()
    }

    /// Hands every hit on, as the scan on the CPU does.
    fn judge(&self, mut hits: Vec<SearchHit>) -> Result<Vec<T>> {
        hits.par_sort_unstable();
        let parts: Result<Vec<Vec<T>>> = hits
            .par_chunks(TOGETHER)
            .map(|hits| {
                let mut into = Found::default();
                for hit in hits {
                    let (probe, row) = (hit.probe as usize, hit.row as usize);
                    self.near(probe, self.reach(probe), row, &[hit.sum], &mut into)?;
                }
                Ok(into.items)
            })
            .collect();
        Ok(parts?.into_iter().flatten().collect())
    }
}
