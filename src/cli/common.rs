//! What every command understands.

use std::path::PathBuf;

use clap::Args;

use super::voice::{self, LogFormat};
use crate::config::Columns;

/// What every command understands.
#[derive(Debug, Args)]
pub struct Common {
    /// Say more on standard error (-v for information, -vv for debugging)
    #[arg(short, long, global = true, help_heading = EVERYWHERE, conflicts_with = "quiet", action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// No progress and no notes; errors still appear
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    pub(super) quiet: bool,
    /// JSON for machines: one document on standard output; an error is one JSON line on standard error
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(super) json: bool,
    /// Log lines on standard error: text, or one JSON object a line
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// Worker threads [default: all cores]
    #[arg(
        long, global = true, help_heading = EVERYWHERE,
        value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub(super) threads: Option<u16>,
    /// Configuration file [default: chehra.toml in the working folder or above it]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE", conflicts_with = "no_config")]
    pub(super) config: Option<PathBuf>,
    /// Leave chehra.toml out
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(super) no_config: bool,
    /// What the configuration file says beyond options.
    #[arg(skip)]
    pub(super) settings: Settings,
}

impl Common {
    /// Begins to log.
    pub(super) fn log(&self) {
        voice::logging(self.verbose, self.quiet, self.log_format);
    }
}

const EVERYWHERE: &str = "Everywhere";

/// What the configuration file says beyond options.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What the dump's columns are called.
    pub columns: Columns,
}
