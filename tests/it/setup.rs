//! What surrounds the commands: configuration, help, JSON, logs, completions, manual pages, exit codes.

mod configuration;
mod help;
mod machines;
mod mistakes;
mod packaging;
