//! From words to a command: what was typed, what variables and `chehra.toml` add, and only then what it means.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, FromArgMatches};

use super::addresses;
use super::commands::{self, Cli};
use super::common::Settings;
use super::typed::Typed;
use crate::config::file::nearest;
use crate::config::layers::{Layers, Origin, blame, command_line};
use crate::config::options::commands;
use crate::{Error, Result};

/// Why there is no command to run.
#[derive(Debug)]
pub enum Stop {
    /// Help or version were asked for, or the command line is wrong.
    Parser(Box<clap::Error>),
    /// A file or a variable is wrong.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

impl From<clap::Error> for Stop {
    fn from(error: clap::Error) -> Self {
        Stop::Parser(Box::new(error))
    }
}

/// The command with its values from all places; sets `as_json` as soon as it is known.
///
/// # Errors
/// [`Stop`]: help was asked for, or something is wrong.
pub fn start(as_json: &mut bool) -> Result<Cli, Stop> {
    let root = commands::command();
    let known = commands(&root);
    in_utf8()?;
    let typed = Typed::read(&root, &known, std::env::args_os().collect())?;
    let parse = |argv: &[OsString]| root.clone().try_get_matches_from(argv);
    let alone = parse(&typed.argv).map_err(|error| suggest(error, &root, &typed.path));
    *as_json = asks_for_json(&typed, &Layers::of(std::env::vars_os(), None));
    let command = known.iter().find(|command| command.path == typed.path);
    let (Some(command), None | Some(ErrorKind::MissingRequiredArgument)) =
        (command, alone.as_ref().err().map(clap::Error::kind))
    else {
        // Nothing in a file or a variable can mend it, and none of them, however broken, stands before the help.
        return finish(&alone?, Settings::default());
    };
    let layers = typed.layers(&known, command.is_in_files)?;
    let settings = layers.settings(command, &typed.matches, &typed.off)?;
    let is = |id: &str, wanted: &str| {
        settings.iter().any(|setting| setting.option.id == id && setting.values.iter().any(|value| value == wanted))
    };
    *as_json = is("json", "true") || is("log_format", "json");
    let matches = parse(&command_line(&typed.argv, command, &settings))
        .map_err(|error| blame(&error, command, &settings).map_or_else(|| Stop::from(error), Stop::from))?;
    addresses::check(&root, &matches)?;
    let columns = layers.file.as_ref().map(|file| file.columns.clone()).unwrap_or_default();
    let cli = finish(&matches, Settings { columns })?;
    cli.common.log();
    for (name, hint) in layers.unread(&known) {
        log::warn!("the variable {name} is read by nothing: {hint}");
    }
    if let Some(file) = &layers.file {
        log::info!("configuration: {}", file.path.display());
    }
    for setting in settings.iter().filter(|setting| setting.origin > Origin::Default) {
        log::debug!("{} = {:?}, from {:?}", setting.option.name, setting.values, setting.origin);
    }
    Ok(cli)
}

/// Has an unknown option answered by the nearest one: the parser's own measure takes `--ot` for `--booths`.
fn suggest(mut error: clap::Error, root: &clap::Command, path: &[String]) -> clap::Error {
    let unknown = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(unknown))) if unknown.starts_with("--") => {
            unknown.clone()
        }
        _ => return error,
    };
    let command = path.iter().try_fold(root, |command, word| command.find_subcommand(word));
    let options = command.into_iter().chain([root]).flat_map(clap::Command::get_arguments);
    let names: Vec<String> = options.filter_map(clap::Arg::get_long).map(str::to_owned).collect();
    // The parser's usage has its own guess in it.
    let mut built = root.clone();
    built.build();
    let found = path.iter().try_fold(&mut built, |command, word| command.find_subcommand_mut(word));
    if let Some(command) = found {
        error.insert(ContextKind::Usage, ContextValue::StyledStr(command.render_usage()));
    }
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::Suggested);
    if let Some(name) = nearest(unknown.trim_start_matches('-'), &names) {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(format!("--{name}")));
    }
    error
}

/// Whether what is wrong with the command line is to be said in JSON: by its words, for the parser stops at a wrong one.
fn asks_for_json(typed: &Typed, variables: &Layers) -> bool {
    let words: Vec<&str> =
        typed.argv.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str()).collect();
    let json = words.contains(&"--json") || variables.says_yes("CHEHRA_JSON").unwrap_or(false);
    let lines = words.contains(&"--log-format=json") || words.windows(2).any(|pair| pair == ["--log-format", "json"]);
    let lines = lines || variables.variable("CHEHRA_LOG_FORMAT").is_some_and(|format| format == "json");
    lines || json && !typed.off.contains(&"--json".to_owned())
}

/// Paths are told in records and answers, which are UTF-8.
fn in_utf8() -> Result<()> {
    match std::env::args_os().find(|word| word.to_str().is_none()) {
        None => Ok(()),
        Some(word) => {
            let fix = "rename the file or folder, or name it by a link whose name is in UTF-8";
            Err(Error::input(word, "argument", "a name in UTF-8", "bytes that are none", fix))
        }
    }
}

fn finish(matches: &ArgMatches, settings: Settings) -> Result<Cli, Stop> {
    let mut cli = Cli::from_arg_matches(matches)?;
    cli.common.settings = settings;
    Ok(cli)
}
