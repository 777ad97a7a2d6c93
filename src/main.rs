//! Maps the outcome of a command to an exit code.

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

/// Tensors are large and short-lived: an allocator that keeps their pages spares a page fault per 4 KiB written.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

    /// The number is right: no other option is a thousand unless told.
    #[test]
    fn the_option_is_the_delay() {
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            // SAFETY: reads a number.
            assert_eq!(unsafe { mi_option_get(PURGE_DELAY) }, 1000);
        }
    }
}
