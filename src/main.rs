//! Maps the outcome of a command to an exit code.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_long};
use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Tensors are large and short-lived: an allocator that keeps their pages spares a page fault per 4 KiB written.
#[global_allocator]
static ALLOCATOR: Telling = Telling(MiMalloc);

/// mimalloc, which tells a person when there is no memory: whoever asked aborts the process a moment later.
struct Telling(MiMalloc);

fn told(found: *mut u8, bytes: usize) -> *mut u8 {
    if found.is_null() {
        // Standard error may be closed; there is nobody to tell then.
        drop(chehra::memory::tell_of_shortage(&mut std::io::stderr(), bytes));
    }
    found
}

// SAFETY: every call is mimalloc's own with the same arguments and the same result; what is added allocates nothing and
// does not unwind.
unsafe impl GlobalAlloc for Telling {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        told(unsafe { self.0.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        told(unsafe { self.0.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        told(unsafe { self.0.realloc(old, layout, size) }, size)
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.0.dealloc(old, layout) }
    }
}

unsafe extern "C" {
    /// Of mimalloc: sets an option that no environment variable has set.
    fn mi_option_set_default(option: c_int, value: c_long);
}

/// mimalloc's number for milliseconds until free pages are given back to the system; negative for never.
const PURGE_DELAY: c_int = 15;

fn main() -> ExitCode {
    // By default it gives back once a second whatever is free at that moment, and every page that is taken again must be
    // cleared by the kernel: a twelfth of the processor time. What is kept is never more than the peak.
    // SAFETY: takes two numbers, and is called before there is a second thread.
    unsafe { mi_option_set_default(PURGE_DELAY, -1) };
    chehra::cli::run().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    /// What cannot be had is null as before, and said. A size that no machine has; nothing is written to it.
    #[test]
    fn a_shortage_is_null_and_what_can_be_had_is_there() {
        let none = Layout::from_size_align(1 << 60, 8).unwrap();
        // SAFETY: the layouts have sizes, and each block is freed once, with the layout that it was last given.
        unsafe {
            assert!(ALLOCATOR.alloc(none).is_null() && ALLOCATOR.alloc_zeroed(none).is_null());
            let layout = Layout::from_size_align(64, 8).unwrap();
            let block = ALLOCATOR.alloc_zeroed(layout);
            assert!(ALLOCATOR.realloc(block, layout, 1 << 60).is_null());
            assert_eq!(*block, 0);
            ALLOCATOR.dealloc(block, layout);
        }
    }

    /// The number is right: no other option is a thousand unless told.
    #[test]
    fn the_option_is_the_delay() {
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            // SAFETY: reads a number.
            assert_eq!(unsafe { mi_option_get(PURGE_DELAY) }, 1000);
        }
    }
}
