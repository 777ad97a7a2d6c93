//! Page-locked memory of the host, kept from copy to copy: a card reads and writes it beside all other work, and locking it anew
//! for each copy would take longer than the copy.
//!
//! Copies of less than [`SMALL`] go without: the driver stages them at once.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Result;
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, CudaEvent, CudaStream, PinnedHostSlice, sys};
use rayon::prelude::*;

/// Bytes below which a copy is not worth a page-locked buffer.
pub(super) const SMALL: usize = 1 << 20;
/// Buffers kept of each kind.
const KEPT: usize = 4;
/// Sizes are multiples of this.
const GRAIN: usize = 16 << 20;
/// Bytes that one core moves at a time.
const PIECE: usize = 4 << 20;

/// Which way a buffer's bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To the card: written combined, slow to read.
    Up,
    /// Back.
    Down,
}

/// A buffer that nobody else uses.
pub(super) struct Buffer {
    way: Way,
    bytes: PinnedHostSlice<u8>,
    /// The last copy out of it or into it.
    copied: CudaEvent,
    context: Arc<CudaContext>,
}

static FREE: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

impl Buffer {
    /// One of at least `size` bytes, once its last copy is done.
    pub(super) fn take(context: &Arc<CudaContext>, way: Way, size: usize) -> Result<Buffer> {
        let kept = {
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = |b: &Buffer| b.way == way && b.context == *context && b.bytes.num_bytes() >= size;
            let best = free.iter().enumerate().filter(|(_, b)| fits(b)).min_by_key(|(_, b)| b.bytes.num_bytes());
            best.map(|(at, _)| at).map(|at| free.swap_remove(at))
        };
        if let Some(buffer) = kept {
            buffer.copied.synchronize().w()?;
            return Ok(buffer);
        }
        let flags = if way == Way::Up { sys::CU_MEMHOSTALLOC_WRITECOMBINED } else { 0 };
        // SAFETY: bytes, of which only those that were written are read.
        let bytes = unsafe { context.alloc_pinned_with_flags::<u8>(size.next_multiple_of(GRAIN), flags) }.w()?;
        let copied = context.new_event(Some(sys::CUevent_flags::CU_EVENT_BLOCKING_SYNC)).w()?;
        Ok(Buffer { way, bytes, copied, context: context.clone() })
    }

    /// Its bytes.
    pub(super) fn bytes(&mut self) -> Result<&mut [u8]> {
        self.bytes.as_mut_slice().w()
    }

    /// Notes that a copy was put on a stream: whoever takes the buffer next waits for it.
    pub(super) fn in_use(&self, stream: &CudaStream) -> Result<()> {
        self.copied.record(stream).w()
    }

    /// Waits for the copy that was noted last.
    pub(super) fn wait(&self) -> Result<()> {
        self.copied.synchronize().w()
    }

    /// Keeps it for the next copy, or the larger ones of many.
    pub(super) fn give_back(self) {
        let way = self.way;
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(self);
        let own = free.iter().filter(|b| b.way == way).count();
        let smallest = free.iter().enumerate().filter(|(_, b)| b.way == way).min_by_key(|(_, b)| b.bytes.num_bytes());
        if let Some((at, _)) = smallest.filter(|_| own > KEPT) {
            let gone = free.swap_remove(at);
            drop(free);
            // Its memory must outlive its copy.
            gone.context.record_err(gone.copied.synchronize());
        }
    }
}

/// Copies parts one behind the other, on all cores.
pub(super) fn gather(parts: &[&[u8]], mut into: &mut [u8]) {
    let mut pieces = Vec::new();
    for part in parts {
        let (own, after) = into.split_at_mut(part.len());
        pieces.extend(own.chunks_mut(PIECE).zip(part.chunks(PIECE)));
        into = after;
    }
    pieces.into_par_iter().for_each(|(to, from)| to.copy_from_slice(from));
}
