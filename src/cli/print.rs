//! Results on standard output.

use std::io::{self, ErrorKind, Write};

use crate::terminal::visible;
use crate::{Error, Result};

/// Prints a text for people to standard output, where nothing of it moves the cursor; a reader that has gone away is no error.
pub(super) fn print(text: &str) -> Result<()> {
    print_as_it_is(&visible(text))
}

/// Prints what machines read.
pub(super) fn print_as_it_is(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::io("write", "standard output")(error)),
        _ => Ok(()),
    }
}

/// Prints a value for machines.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<()> {
    print_as_it_is(&serde_json::to_string_pretty(value).map_err(|e| Error::bug("printing JSON", e))?)
}

/// Prints a value for people or, with `json`, for machines.
pub(super) fn print_as<T: serde::Serialize + std::fmt::Display>(value: &T, as_json: bool) -> Result<()> {
    match as_json {
        true => json(value),
        false => print(&value.to_string()),
    }
}
