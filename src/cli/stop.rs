//! Stopping a long command on request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::report::PROGRESS;
use crate::{Error, Result};

/// Becomes true on Ctrl-C or a termination signal; the second one ends the process at once, which is safe as well.
pub(super) fn stop_on_request() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(crate::exit::Exit::TryAgain as i32);
        }
        log::warn!(target: PROGRESS, "chehra: stopping after the pictures at hand; once more to stop at once");
    })
    .map_err(|e| Error::bug("listening for Ctrl-C", e))?;
    Ok(stop)
}
