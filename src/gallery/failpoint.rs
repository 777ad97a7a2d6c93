//! The steps at which a test kills the process, to see that the store survives it. Nothing outside unit tests.

#[cfg(test)]
use std::sync::atomic::{AtomicI64, Ordering};

/// Steps until the process ends; negative while no test asked for it.
#[cfg(test)]
static LEFT: AtomicI64 = AtomicI64::new(-1);

/// Ends the process at the step of this number from now, from 0.
#[cfg(test)]
pub(super) fn arm(step: i64) {
    LEFT.store(step, Ordering::SeqCst);
}

/// A step: everything before it has happened, nothing after it.
#[inline(always)]
pub(super) fn reach(_name: &str) {
    #[cfg(test)]
    if LEFT.load(Ordering::SeqCst) >= 0 && LEFT.fetch_sub(1, Ordering::SeqCst) == 0 {
        eprintln!("killed at {_name}");
        std::process::abort();
    }
}
