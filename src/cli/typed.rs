//! What was typed: which command, which flags, and which configuration file it names.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use crate::config::file::{self, File};
use crate::config::layers::Layers;
use crate::config::options::{CommandOptions, OptionKind};
use crate::{Error, Result};

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
        options
            .filter(|option| (option.kind == OptionKind::Flag) == is_flag)
            .map(|option| option.name.as_str())
            .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::commands;

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
