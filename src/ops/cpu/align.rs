//! An allocator that starts tensors on a cache line.
//!
//! The system allocator aligns to sixteen bytes. A 64-byte vector load that starts there straddles two lines, and a
//! depthwise convolution, which is nearly all loads and stores, takes up to twice as long. A tensor's memory is an
//! ordinary `Vec<f32>`, so only the program's allocator can place it better.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system allocator, with blocks of a KiB and more on 64-byte boundaries.
///
/// A program that runs networks on the CPU declares it: `#[global_allocator] static ALLOCATOR: CacheAligned = CacheAligned;`
#[derive(Debug, Clone, Copy, Default)]
pub struct CacheAligned;

const LINE: usize = 64;
const LARGE: usize = 1024;

/// The layout asked of the system, a function of the size and alignment alone: so `dealloc` finds it again.
fn placed(layout: Layout) -> Layout {
    if layout.size() < LARGE {
        return layout;
    }
    layout.align_to(LINE).unwrap_or(layout)
}

// SAFETY: every block comes from the system allocator and goes back with the layout it was asked for; a stricter
// alignment than asked serves the caller too.
unsafe impl GlobalAlloc for CacheAligned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is the caller's, not zero.
        unsafe { System.alloc(placed(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(placed(layout)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `alloc` placed the block with this same layout.
        unsafe { System.dealloc(block, placed(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size fits the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let (from, to) = (placed(layout), placed(new));
        // SAFETY: the block has the layout `from`; where the alignment changes, it is copied into a new one.
        unsafe {
            if from.align() == to.align() {
                return System.realloc(block, from, size);
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

    #[test]
    fn blocks_are_aligned_and_keep_their_bytes_as_they_grow_and_shrink() {
        let layout = |size| Layout::from_size_align(size, 4).unwrap();
        // SAFETY: blocks are used within their sizes and freed with their layouts.
        unsafe {
            let mut size = 16;
            let mut block = CacheAligned.alloc(layout(size));
            block.write_bytes(7, size);
            for next in [512, 1023, 1024, 5000, 200_000, 1025, 1000, 64] {
                block = CacheAligned.realloc(block, layout(size), next);
                assert!(next < LARGE || block.addr().is_multiple_of(LINE), "{next}");
                assert_eq!(std::slice::from_raw_parts(block, 16), [7; 16], "{next}");
                size = next;
            }
            CacheAligned.dealloc(block, layout(size));
            let zeros = CacheAligned.alloc_zeroed(layout(4096));
            assert!(zeros.addr().is_multiple_of(LINE));
            assert!(std::slice::from_raw_parts(zeros, 4096).iter().all(|&b| b == 0));
            CacheAligned.dealloc(zeros, layout(4096));
        }
    }
}
