//! An allocator for tensors: large blocks start on a cache line and are used again.
//!
//! A tensor's memory is an ordinary `Vec<f32>`, so only the program's allocator can place it. Two things cost more than
//! the arithmetic of a small layer. The system allocator aligns to sixteen bytes, so that most 64-byte vector loads
//! straddle two lines; and it hands large blocks back to the kernel, so that every new tensor pays a page fault for
//! each 4 KiB. Here the blocks of a finished layer serve the next one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Alignment of the blocks from [`LARGE`] on.
const LINE: usize = 64;
const LARGE: usize = 1 << 10;
/// Blocks are kept from the first size up to the second; larger ones are few and long-lived.
const KEPT: usize = 1 << 16;
const KEPT_MOST: usize = 1 << 26;
/// Sizes of kept blocks between one power of two and the next, so that rounding wastes an eighth at most.
const STEPS: usize = 8;
const CLASSES: usize = STEPS * (KEPT_MOST / KEPT).ilog2() as usize + 1;
/// Idle blocks of a size.
const IDLE: usize = 16;
/// Idle bytes altogether.
const BUDGET: usize = 256 << 20;

/// The system allocator, with blocks of a KiB and more on 64-byte boundaries, and with those of 64 KiB to 64 MiB kept
/// for the next request of their size: at most 256 MiB lie idle.
///
/// A program that runs networks on the CPU declares it:
/// `#[global_allocator] static ALLOCATOR: TensorMemory = TensorMemory::new();`
#[derive(Debug)]
pub struct TensorMemory {
    idle: [Mutex<Idle>; CLASSES],
    bytes: AtomicUsize,
}

/// A stack of free blocks of one size.
#[derive(Debug)]
struct Idle {
    count: usize,
    /// Addresses with exposed provenance.
    blocks: [usize; IDLE],
}

impl TensorMemory {
    /// With nothing kept.
    pub const fn new() -> Self {
        let idle = [const { Mutex::new(Idle { count: 0, blocks: [0; IDLE] }) }; CLASSES];
        TensorMemory { idle, bytes: AtomicUsize::new(0) }
    }

    /// An idle block of a class.
    fn take(&self, class: usize) -> Option<*mut u8> {
        let mut idle = self.idle[class].lock().ok()?;
        idle.count = idle.count.checked_sub(1)?;
        self.bytes.fetch_sub(class_size(class), Ordering::Relaxed);
        Some(std::ptr::with_exposed_provenance_mut(idle.blocks[idle.count]))
    }

    /// Keeps a block, unless enough lie idle.
    fn keep(&self, class: usize, block: *mut u8) -> bool {
        let Ok(mut idle) = self.idle[class].lock() else { return false };
        let size = class_size(class);
        if idle.count == IDLE || self.bytes.load(Ordering::Relaxed) + size > BUDGET {
            return false;
        }
        self.bytes.fetch_add(size, Ordering::Relaxed);
        let at = idle.count;
        idle.blocks[at] = block.expose_provenance();
        idle.count += 1;
        true
    }
}

impl Default for TensorMemory {
    fn default() -> Self {
        Self::new()
    }
}

/// The class of a size, where blocks of it are kept.
fn class(layout: Layout) -> Option<usize> {
    let size = layout.size();
    if !(KEPT..=KEPT_MOST).contains(&size) || layout.align() > LINE {
        return None;
    }
    let power = size.ilog2() as usize;
    let step = 1 << (power - STEPS.ilog2() as usize);
    Some((power - KEPT.ilog2() as usize) * STEPS + (size - (1 << power)).div_ceil(step))
}

/// The bytes of the blocks of a class.
fn class_size(class: usize) -> usize {
    let base = KEPT << (class / STEPS);
    base + class % STEPS * (base / STEPS)
}

/// The layout asked of the system, a function of the size and alignment alone: so `dealloc` finds it again.
fn placed(layout: Layout) -> Layout {
    let size = class(layout).map_or(layout.size(), class_size);
    let align = if layout.size() < LARGE { layout.align() } else { layout.align().max(LINE) };
    Layout::from_size_align(size, align).unwrap_or(layout)
}

// SAFETY: every block comes from the system allocator with the layout `placed`, which has at least the size and
// alignment asked for, and goes back with the same one; an idle block belongs to nobody else, and is handed out once.
unsafe impl GlobalAlloc for TensorMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is the caller's or more, not zero.
        class(layout).and_then(|class| self.take(class)).unwrap_or_else(|| unsafe { System.alloc(placed(layout)) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match class(layout).and_then(|class| self.take(class)) {
            Some(block) => {
                // SAFETY: the block has at least the size of the layout.
                unsafe { block.write_bytes(0, layout.size()) };
                block
            }
            // SAFETY: the size is the caller's or more, not zero.
            None => unsafe { System.alloc_zeroed(placed(layout)) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !class(layout).is_some_and(|class| self.keep(class, block)) {
            // SAFETY: the block was made with this same layout.
            unsafe { System.dealloc(block, placed(layout)) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size fits the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let (from, to) = (placed(layout), placed(new));
        if from == to {
            return block;
        }
        // SAFETY: a block that is kept in neither size grows or shrinks where it was made, and any other is copied.
        unsafe {
            if from.align() == to.align() && class(layout).is_none() && class(new).is_none() {
                return System.realloc(block, from, to.size());
            }
            let moved = self.alloc(new);
            if !moved.is_null() {
                block.copy_to_nonoverlapping(moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 4).unwrap()
    }

    #[test]
    fn classes_cover_their_sizes_and_waste_little() {
        assert_eq!(class(layout(KEPT - 1)), None);
        assert_eq!(class(layout(KEPT_MOST + 1)), None);
        assert_eq!(class(layout(KEPT)), Some(0));
        assert_eq!(class(layout(KEPT_MOST)), Some(CLASSES - 1));
        let mut size = KEPT;
        while size < KEPT_MOST {
            let room = class_size(class(layout(size)).unwrap());
            assert!(room >= size && room <= size + size / 8, "{size} {room}");
            assert_eq!(placed(layout(room)), placed(layout(size)), "{size}");
            size += size / 13;
        }
    }

    #[test]
    fn blocks_keep_their_bytes_as_they_grow_and_shrink() {
        let memory = TensorMemory::new();
        // SAFETY: blocks are used within their sizes and freed with their layouts.
        unsafe {
            let mut size = 16;
            let mut block = memory.alloc(layout(size));
            block.write_bytes(7, size);
            for next in [512, 1023, 1024, 5000, 70_000, 70_001, 200_000, KEPT_MOST + 8, 100_000, 1025, 1000, 64] {
                block = memory.realloc(block, layout(size), next);
                assert!(next < LARGE || block.addr().is_multiple_of(LINE), "{next}");
                assert_eq!(std::slice::from_raw_parts(block, 16), [7; 16], "{next}");
                block.write_bytes(7, next);
                size = next;
            }
            memory.dealloc(block, layout(size));
        }
    }

    #[test]
    fn a_free_block_serves_the_next_request_and_is_zeroed_where_asked() {
        let memory = TensorMemory::new();
        let size = 300_000;
        // SAFETY: blocks are used within their sizes and freed with their layouts.
        unsafe {
            let block = memory.alloc(layout(size));
            block.write_bytes(9, size);
            memory.dealloc(block, layout(size));
            let again = memory.alloc_zeroed(layout(size - 1000));
            assert_eq!(again, block);
            assert!(std::slice::from_raw_parts(again, size - 1000).iter().all(|&b| b == 0));
            let other = memory.alloc(layout(size));
            assert_ne!(other, block);
            memory.dealloc(again, layout(size - 1000));
            memory.dealloc(other, layout(size));
        }
        assert_eq!(memory.bytes.load(Ordering::Relaxed), 2 * class_size(class(layout(size)).unwrap()));
    }

    #[test]
    fn idle_blocks_are_bounded() {
        let memory = TensorMemory::new();
        for size in [KEPT, KEPT_MOST] {
            // SAFETY: blocks are freed with their layouts.
            unsafe {
                let blocks: Vec<_> = (0..IDLE + 4).map(|_| memory.alloc(layout(size))).collect();
                blocks.into_iter().for_each(|block| memory.dealloc(block, layout(size)));
            }
            assert!(memory.bytes.load(Ordering::Relaxed) <= BUDGET);
        }
        assert_eq!(memory.idle[0].lock().unwrap().count, IDLE);
        assert!(memory.idle[CLASSES - 1].lock().unwrap().count < IDLE);
    }
}
