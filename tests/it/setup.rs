//! What surrounds the commands: configuration, help, JSON, logs, completions, manual pages, exit codes.

use std::process::Command;

mod configuration;
#[cfg(target_os = "linux")]
mod gpu_kit;
mod help;
mod machines;
mod packaging;

/// The output of a command, or `None` where the program is not installed.
fn tool(program: &str, prepare: impl FnOnce(&mut Command) -> &mut Command) -> Option<(i32, String, String)> {
    let mut command = Command::new(program);
    prepare(&mut command);
    match command.output() {
        Ok(output) => {
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            Some((output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr)))
        }
        Err(_) => {
            eprintln!("skipped: {program} is not installed");
            None
        }
    }
}
