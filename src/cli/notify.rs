//! `--notify-command`: a command of the user's own at the end of an audit, for whom a pager is a script.
//!
//! It is told three words: the path of `run.json` (empty where there is none), the exit code, and what happened. It may
//! neither hold the audit up for long nor change how it ends: what goes wrong with it is said in the log.

use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::Args;

use crate::exit::Exit;

/// How often it is looked whether the command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whom to tell of the end of an audit.
#[derive(Debug, Args)]
pub struct NotifyArgs {
    /// Command that is run when the audit ends, well or not: CMD RUN_JSON EXIT_CODE MESSAGE. It changes no exit code
    #[arg(long, value_name = "CMD", help_heading = "Monitoring")]
    notify_command: Option<String>,
    /// Seconds after which that command is stopped
    #[arg(
        long, value_name = "SECONDS", default_value_t = 60, help_heading = "Monitoring",
        value_parser = clap::value_parser!(u32).range(1..=3600)
    )]
    notify_timeout: u32,
}

impl NotifyArgs {
    /// Runs the command, if there is one, and waits for it.
    pub fn tell(&self, run_json: &str, exit: Exit, message: &str) {
        let Some(command) = &self.notify_command else { return };
        let limit = Duration::from_secs(self.notify_timeout.into());
        let outcome =
            start(command, &[run_json, &(exit as u8).to_string(), message]).and_then(|child| wait(child, limit));
        match outcome {
            Ok(Some(status)) if status.success() => log::info!("--notify-command '{command}' has ended well"),
            Ok(Some(status)) => {
                log::error!("--notify-command '{command}' failed: {status}; the audit ends as without it")
            }
            Ok(None) => log::error!(
                "--notify-command '{command}' was stopped after {} s; --notify-timeout gives it longer",
                self.notify_timeout
            ),
            Err(error) => log::error!("--notify-command '{command}' could not be run: {error}"),
        }
    }
}

/// Starts it in a group of its own. What it prints goes to standard error: standard output has the audit's answer.
fn start(command: &str, words: &[&str]) -> io::Result<Child> {
    let mut shell = shell(command);
    shell.args(words).stdin(Stdio::null()).stdout(io::stderr()).spawn()
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    shell.args(["-c", &format!("{command} \"$@\""), "chehra"]);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.args(["/C", command]);
    shell
}

/// How it ended; `None` where it had to be stopped.
fn wait(mut child: Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() >= limit {
            stop(&mut child)?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Ends the command and all that it has started.
fn stop(child: &mut Child) -> io::Result<()> {
    if cfg!(unix) {
        let group = format!("-{}", child.id());
        Command::new("sh").args(["-c", "kill -s KILL -- \"$0\"", &group]).status()?;
    }
    // Where the group could not be ended, at least itself; one that has ended is no error.
    child.kill()
}
