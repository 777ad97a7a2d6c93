//! What all tables of this room need: folders that are their owner's, cells that are no formulas.

use std::path::Path;

use crate::{Error, Result};

/// Makes a folder that its owner alone can open.
///
/// # Errors
/// [`Error::Io`].
pub fn private_folder(path: &Path) -> Result<()> {
    #[allow(unused_mut, reason = "there are no modes elsewhere")]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(Error::io("create", path))
}

/// A cell that no spreadsheet takes for a formula: names are typed by strangers.
pub fn plain_cell(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
