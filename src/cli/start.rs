//! From words to a command: what was typed, what variables and `chehra.toml` add, and only then what it means.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};

use crate::cli::Cli;
use crate::config::Columns;
use crate::config::file::{self, File};
use crate::config::layers::{Layers, Origin, blame, command_line};
use crate::config::options::{CommandOptions, Kind, commands};
use crate::{Error, Result};

/// What the configuration file says beyond options.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What the dump's columns are called.
    pub columns: Columns,
}

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

/// Which command was typed, and what the parser made of its words alone.
#[derive(Debug)]
pub struct Typed {
    /// The command line without `--flag=false`.
    pub argv: Vec<OsString>,
    /// The flags switched off that way.
    pub off: Vec<String>,
    /// The command's words; shorter where it is incomplete.
    pub path: Vec<String>,
    /// The matches of that command.
    pub matches: ArgMatches,
}

impl Typed {
    /// Reads a command line as far as it can be read: nothing is missing or wrong yet.
    pub fn read(root: &Command, known: &[CommandOptions], argv: Vec<OsString>) -> Result<Typed, clap::Error> {
        let (argv, off) = switched_off(argv, known);
        let mut matches = root.clone().ignore_errors(true).try_get_matches_from(&argv)?;
        let mut path = Vec::new();
        while let Some((name, inner)) = matches.remove_subcommand() {
            path.push(name);
            matches = inner;
        }
        Ok(Typed { argv, off, path, matches })
    }

    /// Whether a flag was typed.
    pub fn flag(&self, id: &str) -> bool {
        self.matches.value_source(id) == Some(ValueSource::CommandLine)
    }

    /// Variables and configuration file: the one named, else the nearest, else none.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that cannot be used, [`Error::Usage`] for a variable that says neither yes nor no.
    pub fn layers(&self, known: &[CommandOptions], with_file: bool) -> Result<Layers> {
        let mut layers = Layers::of(std::env::vars_os(), None);
        let path = if with_file { self.file(&layers)? } else { None };
        layers.file = path.map(|path| File::read(&path, known)).transpose()?;
        Ok(layers)
    }

    /// The configuration file that holds.
    ///
    /// # Errors
    /// As [`file::find`].
    pub fn file(&self, variables: &Layers) -> Result<Option<PathBuf>> {
        let typed = self.matches.try_get_one::<PathBuf>("config").ok().flatten().filter(|_| self.flag("config"));
        if let Some(path) = typed {
            return absolute(path).map(Some);
        }
        if self.flag("no_config") || variables.says_yes("CHEHRA_NO_CONFIG")? {
            return Ok(None);
        }
        match variables.variable("CHEHRA_CONFIG") {
            Some(path) => absolute(path.as_ref()).map(Some),
            None => file::find(&absolute(".".as_ref())?),
        }
    }
}

fn absolute(path: &std::path::Path) -> Result<PathBuf> {
    // Without `.` at its end, so that its parents are the folders above.
    let path = if path.as_os_str() == "." { std::env::current_dir() } else { std::path::absolute(path) };
    path.map_err(Error::io("find", "the working folder"))
}

/// `--force=false` takes back what a file or a variable switched on; `--force=true` is `--force`.
fn switched_off(argv: Vec<OsString>, known: &[CommandOptions]) -> (Vec<OsString>, Vec<String>) {
    let of_kind = |is_flag: bool| -> BTreeSet<&str> {
        let options = known.iter().flat_map(|command| &command.options);
        options.filter(|option| (option.kind == Kind::Flag) == is_flag).map(|option| option.name.as_str()).collect()
    };
    let (flags, others) = (of_kind(true), of_kind(false));
    let (mut kept, mut off) = (Vec::with_capacity(argv.len()), Vec::new());
    let mut words = argv.into_iter();
    for word in words.by_ref() {
        if word == "--" {
            kept.push(word);
            break;
        }
        match word.to_str().and_then(|text| text.split_once('=')) {
            Some((name, "true")) if flags.contains(name) && !others.contains(name) => kept.push(name.into()),
            Some((name, "false")) if flags.contains(name) && !others.contains(name) => off.push(name.to_owned()),
            _ => kept.push(word),
        }
    }
    kept.extend(words);
    (kept, off)
}

/// The command with its values from all places; sets `as_json` as soon as it is known.
///
/// # Errors
/// [`Stop`]: help was asked for, or something is wrong.
pub fn start(as_json: &mut bool) -> Result<Cli, Stop> {
    let root = super::command();
    let known = commands(&root);
    in_utf8()?;
    let typed = Typed::read(&root, &known, std::env::args_os().collect())?;
    let parse = |argv: &[OsString]| root.clone().try_get_matches_from(argv);
    let alone = parse(&typed.argv);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_switched_off_by_name() {
        let known = commands(&crate::cli::command());
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let (kept, off) =
            switched_off(words("chehra audit --force=false --quiet=true --out=false -- --json=false"), &known);
        assert_eq!(kept, words("chehra audit --quiet --out=false -- --json=false"));
        assert_eq!(off, ["--force"]);
    }
}
