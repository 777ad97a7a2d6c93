//! Places where a test kills the process, to see that the store survives it. Nothing outside unit tests.

/// Ends the process here if a test asked for it.
#[inline(always)]
pub(super) fn reach(_name: &str) {
    #[cfg(test)]
    if std::env::var("CHEHRA_TEST_FAILPOINT").is_ok_and(|wanted| wanted == _name) {
        std::process::abort();
    }
}
