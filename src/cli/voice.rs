//! What is said on standard error: log lines and the one error that ends a command, as text or as JSON lines.
//!
//! A JSON line has `time` (RFC 3339, UTC), `level`, `target` and `message`; the error of a command also has `error` with
//! its kind, exit code and parts. `--json` makes that last line JSON, `--log-format json` all of them.

use std::io::Write;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::exit::Exit;
use crate::report::{PROGRESS, Progress};
use crate::terminal::{visible, visible_line};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Log lines on standard error; `RUST_LOG` outweighs the flags.
pub fn logging(verbose: u8, quiet: bool, format: LogFormat) {
    let level = match (quiet, verbose) {
        (true, _) => log::LevelFilter::Error,
        (false, 0) => log::LevelFilter::Warn,
        (false, 1) => log::LevelFilter::Info,
        (false, _) => log::LevelFilter::Debug,
    };
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level);
    if !quiet {
        builder.filter_module(PROGRESS, level.max(log::LevelFilter::Info));
    }
    if let Ok(filters) = std::env::var("RUST_LOG") {
        builder.parse_filters(&filters);
    }
    builder.format(move |out, record| match format {
        LogFormat::Json => {
            writeln!(out, "{}", line(record.level().as_str(), record.target(), &record.args().to_string(), None))
        }
        LogFormat::Text if record.target() == PROGRESS => writeln!(out, "{}", visible(&record.args().to_string())),
        LogFormat::Text => {
            let message = record.args().to_string();
            writeln!(out, "[{:<5} {}] {}", record.level(), record.target(), visible_line(&message))
        }
    });
    if format == LogFormat::Json {
        Progress::never_draw();
    }
    // A second logger in one process (a test) is no reason to stop.
    drop(builder.try_init());
}

fn line(level: &str, target: &str, message: &str, error: Option<Value>) -> Value {
    let time = format!("{:.3}", jiff::Timestamp::now());
    let mut line = json!({ "time": time, "level": level, "target": target, "message": message });
    if let (Some(error), Some(line)) = (error, line.as_object_mut()) {
        line.insert("error".into(), error);
    }
    line
}

/// Says why the command ends.
pub fn complain(error: &Error, as_json: bool) {
    match as_json {
        true => say(&line("ERROR", "chehra", &error.to_string(), Some(parts(error))).to_string()),
        false => say(&visible(&format!("chehra: {error}"))),
    }
}

/// Says what is wrong with the command line, in the parser's words.
pub fn complain_of_usage(error: &clap::Error, as_json: bool) {
    match as_json {
        true => {
            let exit = Exit::Usage;
            let parts = json!({ "kind": exit.name(), "exit_code": exit as u8 });
            let text = error.render().to_string();
            say(&line("ERROR", "chehra", text.trim_start_matches("error: ").trim(), Some(parts)).to_string());
        }
        false => drop(error.print()),
    }
}

/// Standard error may be closed; there is nobody to tell then.
fn say(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// An error in its parts.
fn parts(error: &Error) -> Value {
    let exit = Exit::from(error);
    let mut parts = Map::new();
    parts.insert("kind".into(), exit.name().into());
    parts.insert("exit_code".into(), (exit as u8).into());
    let mut put = |fields: &[(&str, &str)]| {
        fields.iter().for_each(|(name, text)| drop(parts.insert((*name).to_owned(), (*text).into())));
    };
    match error {
        Error::Usage { flag, problem, fix } => put(&[("flag", flag), ("problem", problem), ("fix", fix)]),
        Error::Input { path, item, expected, found, fix } => {
            let path = path.display().to_string();
            put(&[("path", &path), ("item", item), ("expected", expected), ("found", found), ("fix", fix)]);
        }
        Error::Device { asked, found, fix } => put(&[("asked", asked), ("found", found), ("fix", fix)]),
        Error::Busy { path, holder, fix } => {
            put(&[("path", &path.display().to_string()), ("holder", holder), ("fix", fix)]);
        }
        Error::Io { operation, path, source } => {
            let path = path.display().to_string();
            put(&[("operation", operation), ("path", &path), ("found", &source.to_string())]);
            put(&crate::error::remedy(source).map(|fix| ("fix", fix)).into_iter().collect::<Vec<_>>());
        }
        Error::Bug { doing, found } => put(&[("doing", doing), ("found", found)]),
        Error::Interrupted | Error::Failed(_) => {}
    }
    Value::Object(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_for_machines_has_its_parts() {
        let error = Error::input("a.parquet", "column selfie", "binary", "text", "name it in [columns]");
        let parts = parts(&error);
        assert_eq!((&parts["kind"], &parts["exit_code"]), (&json!("input"), &json!(65)));
        assert_eq!((&parts["path"], &parts["found"]), (&json!("a.parquet"), &json!("text")));
        let line = line("ERROR", "chehra", "x\ny", Some(parts)).to_string();
        assert!(!line.contains('\n') && line.starts_with("{\"time\":\""), "{line}");
    }
}
