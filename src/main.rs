//! Maps the outcome of a command to an exit code.

use std::process::ExitCode;

use chehra::exit::Exit;

/// Tensors are large and short-lived: an allocator that keeps their pages spares a page fault per 4 KiB written.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match chehra::cli::run() {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            eprintln!("chehra: {error}");
            Exit::from(&error).into()
        }
    }
}
