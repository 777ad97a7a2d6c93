//! A panic ends a command as an error does.

use crate::{Error, Result};

/// A panic is a bug like any other: it has its message, its line and its exit code.
pub(super) fn caught(command: impl FnOnce() -> Result<()>) -> Result<()> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(command)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Error::bug("running the command", text.unwrap_or("a panic without a text")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_panic_ends_as_a_bug_with_its_text() {
        let error = caught(|| panic!("row {} of none", 3)).unwrap_err();
        assert!(error.to_string().contains("row 3 of none"), "{error}");
        assert_eq!(Exit::from(&error), Exit::Bug);
        assert!(caught(|| Ok(())).is_ok());
    }
}
