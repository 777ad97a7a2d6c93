//! Exact search on a GPU: the store streams through the device's memory, and only rows within reach come back.
//!
//! The device computes the integer products of [`super::dot`] and the same inequality of floats; who is near enough is then
//! told by the masters on the CPU, as for a scan there. So answers are the same to the last bit, and the gallery may be larger
//! than the device's memory: what fits stays there for the whole search, the rest goes over again with each panel. A pass whose list of hits overflows, or for which memory does not suffice, is made again with
//! fewer rows.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::derived::Codes;
use super::dot::LANES;
use super::scan::{Found, Panel, Scan};
use crate::infer::template::SCAN_SLACK;
use crate::ops::gpu::search::{CAPACITY, Chunk, DeviceChunk, DevicePanel, Pass};
use crate::ops::gpu::{Card, is_out_of_memory};
use crate::ops::params::{SearchHit, SearchReach, limit_key};
use crate::{Error, Result, device};

/// Probes that pass over the gallery together on a device: reading a row once for so many, over a bus that is slow beside the
/// matrix units, takes about as long as multiplying it.
pub(super) const PANEL: usize = 32 << 10;
/// Bytes of codes that go over together: some milliseconds of copying, and little beside any card's memory.
const BYTES: usize = 256 << 20;
/// Bytes that stay free for everything else while codes are kept on the device.
const SPARE: u64 = 2 << 30;
/// Rows of the first pass where limits are still to rise.
const FIRST_ROWS: usize = 4096;
/// Hits that a thread rescores at a time.
const TOGETHER: usize = 4096;

/// The rows of one search that are in a device's memory already: all of them where they fit, so that they go over once and not
/// with every panel.
#[derive(Debug, Default)]
pub(super) struct Resident(Mutex<HashMap<(usize, usize, usize), Arc<DeviceChunk>>>);

impl Resident {
    /// Some rows of a part, kept if there is room. A part has its place in memory for as long as its gallery is searched.
    fn chunk(&self, card: &Card, codes: &Codes, rows: Range<usize>) -> candle_core::Result<Arc<DeviceChunk>> {
        let key = (std::ptr::from_ref(codes) as usize, rows.start, rows.end);
        if let Some(chunk) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(chunk.clone());
        }
        let size = codes.block_size();
        let chunk = Chunk {
            blocks: &codes.blocks()[rows.start / LANES * size..rows.end.div_ceil(LANES) * size],
            scales: &codes.scales[rows.clone()],
            residuals: &codes.residuals[rows.clone()],
            first_row: rows.start,
        };
        let chunk = Arc::new(DeviceChunk::upload(card, size / LANES, chunk)?);
        if device::free(card.device()).is_some_and(|free| free > SPARE + 2 * chunk.bytes() as u64) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, chunk.clone());
        }
        Ok(chunk)
    }

    /// Forgets all; whether there was anything.
    fn make_room(&self) -> bool {
        let mut chunks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = !chunks.is_empty();
        chunks.clear();
        there
    }
}

/// As [`Scan::run`], on a device; what is collected comes back in another order.
pub(super) fn run<T: Send>(scan: &Scan<T>, card: &Card, resident: &Resident, from: usize) -> Result<Vec<T>> {
    let failed = |error: String| match is_out_of_memory(&error) {
        true => device::out_of_memory(card.device(), "searching on it", &error),
        false => Error::bug("searching on the device", error),
    };
    let codes = &scan.seen.part.codes;
    let (width, rows_of_probes, starts) = scan.panel.probes.parts();
    let limits = || -> Vec<u32> { (0..starts.len()).map(|p| limit_key((scan.limit)(p))).collect() };
    let (reaches, first) = (reaches(scan.panel), limits());
    let mut panel =
        DevicePanel::new(card, width, rows_of_probes, starts, &reaches, &first).map_err(|e| failed(e.to_string()))?;
    let mut whole = (BYTES / codes.block_size()).max(1) * LANES;
    // Hits are counted in 32 bits.
    let most = (u32::MAX as usize / starts.len().max(1) / LANES).max(1) * LANES;
    let start = (CAPACITY / starts.len().max(1) / LANES).max(1) * LANES;
    let mut rows = if scan.rising { FIRST_ROWS.min(start) } else { most };
    let mut at = from / LANES * LANES;
    let mut items = Vec::new();
    while at < codes.rows {
        let first = at / whole * whole;
        let last = (first + whole).min(codes.rows);
        let end = (at + rows).min(last);
        let pass = resident.chunk(card, codes, first..last).and_then(|chunk| {
            if scan.rising {
                panel.set_limits(&limits())?;
            }
            panel.scan_part(&chunk, at - first..end - first, 0)
        });
        match pass {
            Ok(Pass::Hits(hits)) => {
                items.extend(judge(scan, hits)?);
                at = end;
                rows = (rows * 2).min(most);
            }
            Ok(Pass::Full) if end - at > LANES => rows = ((end - at) / 4).max(LANES).next_multiple_of(LANES),
            Ok(Pass::Full) => return Err(failed("a full list for one block".to_owned())),
            Err(error) if !is_out_of_memory(&error.to_string()) => return Err(failed(error.to_string())),
            Err(_) if resident.make_room() => {}
            Err(_) if whole > LANES => whole = (whole / 2).next_multiple_of(LANES),
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    Ok(items)
}

fn reaches(panel: &Panel) -> Vec<SearchReach> {
    let scales = panel.scales.iter().zip(&panel.residuals);
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
fn judge<T: Send>(scan: &Scan<T>, mut hits: Vec<SearchHit>) -> Result<Vec<T>> {
    hits.par_sort_unstable();
    let parts: Result<Vec<Vec<T>>> = hits
        .par_chunks(TOGETHER)
        .map(|hits| {
            let mut into = Found::default();
            for hit in hits {
                let (probe, row) = (hit.probe as usize, hit.row as usize);
                scan.near(probe, scan.reach(probe), row, &[hit.sum], &mut into)?;
            }
            Ok(into.items)
        })
        .collect();
    Ok(parts?.into_iter().flatten().collect())
}
