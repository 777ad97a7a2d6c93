//! Maps the outcome of a command to an exit code.

use std::process::ExitCode;

use chehra::exit::Exit;

fn main() -> ExitCode {
    match chehra::cli::run() {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            eprintln!("chehra: {error}");
            Exit::from(&error).into()
        }
    }
}
