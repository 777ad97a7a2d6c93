//! `chehra audit`.

use clap::Args;

use crate::Result;
use crate::cli::Common;

/// Flags of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {}

/// Runs it.
pub fn run(_args: &AuditArgs, _common: &Common) -> Result<()> {
    Ok(())
}
