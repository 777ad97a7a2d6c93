//! Maps the outcome of a command to an exit code.

use std::process::ExitCode;

/// Tensors are large and short-lived: an allocator that keeps their pages spares a page fault per 4 KiB written.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    chehra::cli::run().into()
}
