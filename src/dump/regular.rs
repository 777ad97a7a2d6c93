//! Whether a path is a file with bytes of its own.

use std::fs;
use std::path::Path;

use crate::objects::{self, InputFile};
use crate::{Error, Result};

/// Refuses what is no file with bytes of its own: a pipe would be waited for, a device never ends, and neither can be
/// read a second time.
///
/// # Errors
/// [`Error::Input`] that says what it is, [`Error::Io`] when that cannot be told.
pub fn regular(path: &Path) -> Result<()> {
    if objects::is_address(path) {
        return InputFile::open(path).map(drop).map_err(Error::io("open", path));
    }
    let there = match fs::metadata(path) {
        Ok(there) if there.is_file() => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.is_symlink() => None,
        there => Some(there.map_err(Error::io("look at", path))?),
    };
    let found = there.map_or("a link to nothing", |there| if there.is_dir() { "a folder" } else { special(&there) });
    let fix = "give the path of a file; what comes through a pipe must be written to a file first";
    Err(Error::input(path, "the file", "a file with bytes of its own", found, fix))
}

#[cfg(unix)]
fn special(there: &fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = there.file_type();
    match () {
        () if kind.is_fifo() => "a pipe (FIFO)",
        () if kind.is_socket() => "a socket",
        () if kind.is_block_device() || kind.is_char_device() => "a device",
        () => "something else",
    }
}

#[cfg(not(unix))]
fn special(_: &fs::Metadata) -> &'static str {
    "something else"
}
