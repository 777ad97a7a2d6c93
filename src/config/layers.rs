//! Where each value comes from: flag, variable, file or default.
//!
//! What a variable or the file sets is written into the command line as if it had been typed, and the parser reads the
//! whole: so every check that holds for a flag (ranges, needs, conflicts) holds for the other two. A value that cannot
//! be given together with one of more weight is left out instead: `--templates` outweighs a `faces` in the file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;

use crate::config::file::{File, Value, nearest};
use crate::config::options::{CommandOptions, Opt, OptionKind, variable};
use crate::{Error, Result};

/// What variables that configure the program begin with.
const PREFIX: &str = "CHEHRA_";

/// Variables that are read elsewhere: kernels, tests.
const OTHERS: [&str; 4] = ["CHEHRA_ISA", "CHEHRA_DATA", "CHEHRA_SLOW", "CHEHRA_CUDA_LIBS"];

/// Where a value comes from; the later outweighs the earlier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nowhere: there is no default, or it depends on the machine.
    Unset,
    /// The program's own default.
    Default,
    /// A line of the file.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// What was typed.
    Flag,
}

/// An option of a command with its value.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// Which one.
    pub option: &'a Opt,
    /// Its values as one would type them; of a flag `true` or `false`, of a count its number.
    pub values: Vec<OsString>,
    /// Where they come from.
    pub origin: Origin,
}

impl Setting<'_> {
    /// Whether something other than the default was asked for.
    fn is_given(&self) -> bool {
        let off = |value: &OsString| value == "false" || value == "0";
        let is_off = matches!(self.option.kind, OptionKind::Flag | OptionKind::Count) && self.values.iter().all(off);
        self.origin > Origin::Default && !is_off
    }

    fn unset(option: &Opt) -> Setting<'_> {
        let values: Vec<OsString> = match option.kind {
            OptionKind::Flag => vec!["false".into()],
            OptionKind::Count => vec!["0".into()],
            OptionKind::One | OptionKind::Many => option.defaults.iter().map(OsString::from).collect(),
        };
        let origin = if values.is_empty() { Origin::Unset } else { Origin::Default };
        Setting { option, values, origin }
    }

    /// As words of a command line; positionals are bare.
    fn words(&self) -> Vec<OsString> {
        let name = &self.option.name;
        let with_value = |value: &OsString| match self.option.is_positional {
            true => value.clone(),
            false => {
                let mut word = OsString::from(format!("{name}="));
                word.push(value);
                word
            }
        };
        match self.option.kind {
            OptionKind::Flag => vec![name.into()],
            OptionKind::Count => {
                let times = self.values.first().and_then(|v| v.to_str()?.parse().ok()).unwrap_or(0);
                vec![name.into(); times]
            }
            OptionKind::Many if self.option.is_tuple => {
                [OsString::from(name)].into_iter().chain(self.values.iter().cloned()).collect()
            }
            OptionKind::One | OptionKind::Many => self.values.iter().map(with_value).collect(),
        }
    }
}

/// Variables and file, as they were found.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    variables: BTreeMap<String, OsString>,
    /// The configuration file, if there is one.
    pub file: Option<File>,
}

impl Layers {
    /// The variables that configure the program, out of all; an empty one counts as absent.
    pub fn of(variables: impl Iterator<Item = (OsString, OsString)>, file: Option<File>) -> Layers {
        let ours = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            (name.starts_with(PREFIX) && !value.is_empty()).then_some((name, value))
        };
        Layers { variables: variables.filter_map(ours).collect(), file }
    }

    /// A variable's value.
    pub fn variable(&self, name: &str) -> Option<&OsString> {
        self.variables.get(name)
    }

    /// Whether a variable says yes.
    ///
    /// # Errors
    /// [`Error::Usage`] when it says neither yes nor no.
    pub fn says_yes(&self, name: &str) -> Result<bool> {
        self.variables.get(name).map_or(Ok(false), |value| yes_or_no(name, &value.to_string_lossy()))
    }

    /// Every option of a command with its value, in the command's order.
    ///
    /// `typed` is what the parser made of the command line alone, `off` the flags that were typed as `--flag=false`.
    ///
    /// # Errors
    /// [`Error::Usage`] when a variable cannot be what the option takes.
    pub fn settings<'a>(
        &self,
        command: &'a CommandOptions,
        typed: &ArgMatches,
        off: &[String],
    ) -> Result<Vec<Setting<'a>>> {
        let is_typed = |option: &Opt| typed.value_source(&option.id) == Some(ValueSource::CommandLine);
        let places_are_typed = command.options.iter().any(|option| option.is_positional && is_typed(option));
        let mut settings = Vec::with_capacity(command.options.len());
        for option in &command.options {
            let setting = match off.contains(&option.name) {
                true => Some(Setting { option, values: vec!["false".into()], origin: Origin::Flag }),
                false if is_typed(option) => Some(typed_setting(option, typed)),
                false if option.is_positional && (places_are_typed || command.takes_the_rest) => None,
                false => self.given(command, option)?,
            };
            settings.push(setting.unwrap_or_else(|| Setting::unset(option)));
        }
        let outweighed: Vec<usize> =
            (0..settings.len()).filter(|&at| settings.iter().any(|other| outweighs(other, &settings[at]))).collect();
        outweighed.into_iter().for_each(|at| settings[at] = Setting::unset(settings[at].option));
        Ok(settings)
    }

    /// What a variable or the file says.
    fn given<'a>(&self, command: &CommandOptions, option: &'a Opt) -> Result<Option<Setting<'a>>> {
        for name in command.variables(option) {
            if let Some(value) = self.variables.get(&name) {
                let values = from_variable(option, &name, value)?;
                return Ok(Some(Setting { option, values, origin: Origin::Variable(name) }));
            }
        }
        let in_file = self.file.as_ref().filter(|_| option.is_in_files && command.is_in_files);
        Ok(in_file.and_then(|file| file.entry(command, option).map(|entry| (file, entry))).map(|(file, entry)| {
            let values = match &entry.value {
                Value::Bool(value) => vec![value.to_string().into()],
                Value::Word(word) => vec![from_folder(option, file.folder(), word)],
                Value::List(words) => words.iter().map(|word| from_folder(option, file.folder(), word)).collect(),
            };
            Setting { option, values, origin: Origin::File(file.path.clone(), entry.line) }
        }))
    }

    /// Variables that no option reads, each with what may have been meant.
    pub fn unread(&self, commands: &[CommandOptions]) -> Vec<(String, String)> {
        let mut known: Vec<String> =
            commands.iter().flat_map(|c| c.options.iter().flat_map(|o| c.variables(o))).collect();
        known.sort_unstable();
        known.dedup();
        let is_unread = |name: &&String| !known.contains(name) && !OTHERS.contains(&name.as_str());
        let ours = |name: &&String| !name.starts_with("CHEHRA_CRASH_");
        // Compared without the prefix that all have.
        let short = |name: &String| name[PREFIX.len()..].to_owned();
        let known_short: Vec<String> = known.iter().map(short).collect();
        let meant = |name: &String| match nearest(&short(name), &known_short) {
            Some(other) => format!("did you mean {PREFIX}{other}?"),
            None => "no option has this name".to_owned(),
        };
        self.variables.keys().filter(is_unread).filter(ours).map(|name| (name.clone(), meant(name))).collect()
    }
}

fn typed_setting<'a>(option: &'a Opt, typed: &ArgMatches) -> Setting<'a> {
    let values = match option.kind {
        OptionKind::Flag => vec!["true".into()],
        OptionKind::Count => vec![typed.get_count(&option.id).to_string().into()],
        OptionKind::One | OptionKind::Many => {
            let raw = typed.try_get_raw(&option.id).ok().flatten();
            raw.map(|values| values.map(ToOwned::to_owned).collect()).unwrap_or_default()
        }
    };
    Setting { option, values, origin: Origin::Flag }
}

/// Whether two settings cannot stand together and the first has more weight.
fn outweighs(strong: &Setting<'_>, weak: &Setting<'_>) -> bool {
    let weight = |setting: &Setting<'_>| match setting.origin {
        Origin::Unset | Origin::Default => 0,
        Origin::File(..) => 1,
        Origin::Variable(_) => 2,
        Origin::Flag => 3,
    };
    strong.is_given()
        && weak.is_given()
        && weight(strong) > weight(weak)
        && weak.option.conflicts.contains(&strong.option.id)
}

fn yes_or_no(name: &str, value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Error::usage(name, format!("'{value}' is neither yes nor no"), "set it to 1 or 0")),
    }
}

/// Several paths are separated as in PATH, other values as the option itself separates them, else by commas.
fn from_variable(option: &Opt, name: &str, value: &OsString) -> Result<Vec<OsString>> {
    let text = value.to_str();
    match option.kind {
        OptionKind::Flag => Ok(vec![yes_or_no(name, &value.to_string_lossy())?.to_string().into()]),
        OptionKind::Count => match text.and_then(|text| text.parse::<u8>().ok()) {
            Some(count) => Ok(vec![count.to_string().into()]),
            None => Err(Error::usage(name, format!("{value:?} is no small number"), "set it to 0, 1 or 2")),
        },
        OptionKind::One => Ok(vec![value.clone()]),
        OptionKind::Many if option.is_path => Ok(std::env::split_paths(value).map(PathBuf::into_os_string).collect()),
        OptionKind::Many => match (option.delimiter, text) {
            (None, Some(text)) => Ok(text.split(',').map(OsString::from).collect()),
            (Some(_), _) | (_, None) => Ok(vec![value.clone()]),
        },
    }
}

/// A path in the file starts from the file's folder; `-` is no path.
fn from_folder(option: &Opt, folder: &Path, word: &str) -> OsString {
    match option.is_path && word != "-" {
        true => folder.join(word).into_os_string(),
        false => word.into(),
    }
}

/// The command line with what variables and file set written into it.
pub fn command_line(argv: &[OsString], command: &CommandOptions, settings: &[Setting<'_>]) -> Vec<OsString> {
    let from_elsewhere =
        |setting: &&Setting<'_>| matches!(setting.origin, Origin::Variable(_) | Origin::File(..)) && setting.is_given();
    let (mut first, mut last, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for setting in settings.iter().filter(from_elsewhere) {
        match setting.option {
            Opt { is_global: true, .. } => first.extend(setting.words()),
            _ if command.takes_the_rest => {}
            Opt { is_positional: true, .. } => places.extend(setting.words()),
            _ => last.extend(setting.words()),
        }
    }
    // Behind `--` everything is a positional.
    let end = argv.iter().position(|word| word == "--").unwrap_or(argv.len());
    let (head, rest) = (argv.iter().take(1), argv.iter().take(end).skip(1));
    let mut line: Vec<OsString> = head.cloned().chain(first).chain(rest.cloned()).chain(last).collect();
    if end < argv.len() || !places.is_empty() {
        line.push("--".into());
        line.extend(argv.iter().skip(end + 1).cloned());
        line.extend(places);
    }
    line
}

/// The parser's complaint about a value that was not typed: names the line or the variable it stands in.
pub fn blame(error: &clap::Error, command: &CommandOptions, settings: &[Setting<'_>]) -> Option<Error> {
    let texts = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    };
    let named = [ContextKind::InvalidArg, ContextKind::PriorArg].map(texts).concat();
    let names = |setting: &&Setting<'_>| named.contains(&setting.option.shown);
    let setting = settings.iter().filter(names).find(|s| matches!(s.origin, Origin::Variable(_) | Origin::File(..)))?;
    let text = error.render().to_string();
    // The first lines say what is wrong; usage and where to find help follow after a blank line.
    let problem = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default().trim().to_owned();
    let taken = format!("what {} of `chehra {}` takes", setting.option.shown, command.name());
    let fix = format!("correct it; `chehra config show {}` says where each value comes from", command.name());
    match &setting.origin {
        Origin::File(path, line) => {
            Some(Error::input(path, format!("line {line}, {}", setting.option.key), taken, problem, fix))
        }
        Origin::Variable(name) => Some(Error::usage(name, problem, fix)),
        _ => None,
    }
}

/// The variable that narrows an option to a command.
pub fn own_variable(command: &CommandOptions, option: &Opt) -> String {
    match option.is_global {
        true => variable(&[], &option.key),
        false => variable(&command.path, &option.key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::{commands, tests::sample};

    /// The values of one command, as `key=values@origin`.
    fn layered(words: &[&str], variables: &[(&str, &str)], file: &str) -> Result<(Vec<String>, Vec<String>)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chehra.toml");
        std::fs::write(&path, file).unwrap();
        let commands = commands(&sample());
        let file = File::read(&path, &commands)?;
        let layers = Layers::of(variables.iter().map(|(n, v)| (n.into(), v.into())), Some(file));
        let argv: Vec<OsString> = ["chehra"].iter().chain(words).map(OsString::from).collect();
        let matches = sample().ignore_errors(true).try_get_matches_from(&argv).unwrap();
        let (mut typed, mut path) = (&matches, Vec::new());
        while let Some((name, inner)) = typed.subcommand() {
            path.push(name.to_owned());
            typed = inner;
        }
        let command = commands.iter().find(|command| command.path == path).unwrap();
        let settings = layers.settings(command, typed, &[])?;
        let short = |text: &OsString| text.to_string_lossy().replace(folder.path().to_str().unwrap(), "FOLDER");
        let show = |setting: &Setting<'_>| {
            let values: Vec<String> = setting.values.iter().map(short).collect();
            let origin = match &setting.origin {
                Origin::File(_, line) => format!("line {line}"),
                Origin::Variable(name) => name.clone(),
                other => format!("{other:?}").to_lowercase(),
            };
            format!("{}={}@{origin}", setting.option.key, values.join(" "))
        };
        let line = command_line(&argv, command, &settings);
        Ok((settings.iter().map(show).collect(), line.iter().skip(1).map(short).collect()))
    }

    fn has(settings: &[String], wanted: &[&str]) {
        for wanted in wanted {
            assert!(settings.iter().any(|setting| setting == wanted), "{wanted} in {settings:?}");
        }
    }

    #[test]
    fn flags_outweigh_variables_and_these_the_file() {
        let file = "threads = 3\nstore = \"top\"\n[audit]\nstore = \"deep\"\ndump = [\"a\", \"/b\"]\nforce = true\n";
        let (settings, line) = layered(&["audit"], &[], file).unwrap();
        has(
            &settings,
            &["threads=3@line 1", "store=FOLDER/deep@line 4", "dump=FOLDER/a /b@line 5", "force=true@line 6"],
        );
        assert_eq!(
            line,
            ["--threads=3", "audit", "--store=FOLDER/deep", "--force", "--", "FOLDER/a", "/b"].map(String::from)
        );
        let variables = [("CHEHRA_THREADS", "5"), ("CHEHRA_STORE", "v"), ("CHEHRA_FORCE", "no")];
        let (settings, line) = layered(&["audit", "d", "--threads", "7"], &variables, file).unwrap();
        has(&settings, &["threads=7@flag", "store=v@CHEHRA_STORE", "dump=d@flag", "force=false@CHEHRA_FORCE"]);
        assert_eq!(line, ["audit", "d", "--threads", "7", "--store=v"].map(String::from));
        let variables = [("CHEHRA_STORE", "wide"), ("CHEHRA_AUDIT_STORE", "narrow")];
        has(&layered(&["audit"], &variables, "").unwrap().0, &["store=narrow@CHEHRA_AUDIT_STORE"]);
    }

    #[test]
    fn what_nobody_set_is_a_default_or_unset() {
        let (settings, line) = layered(&["audit"], &[("CHEHRA_STORE", "")], "").unwrap();
        has(&settings, &["threads=2@default", "store=@unset", "force=false@default", "verbose=0@default"]);
        assert_eq!(line, ["audit"]);
    }

    #[test]
    fn an_option_of_more_weight_shuts_out_what_conflicts() {
        let (settings, line) = layered(&["audit", "--templates", "t"], &[], "[audit]\nfaces = \"f\"").unwrap();
        has(&settings, &["templates=t@flag", "faces=@unset"]);
        assert_eq!(line, ["audit", "--templates", "t"].map(String::from));
        // Of one weight, the parser decides.
        let (_, line) = layered(&["audit"], &[], "[audit]\nfaces = \"f\"\ntemplates = \"t\"").unwrap();
        assert_eq!(line, ["audit", "--faces=f", "--templates=t"].map(String::from));
    }

    #[test]
    fn several_values_of_a_variable_are_separated() {
        let dumps = std::env::join_paths(["a", "b"]).unwrap();
        let variables =
            [("CHEHRA_AUDIT_DUMP", dumps.to_str().unwrap()), ("CHEHRA_CARRY", "x,y"), ("CHEHRA_VERBOSE", "2")];
        let (_, line) = layered(&["audit"], &variables, "").unwrap();
        assert_eq!(line, ["--verbose", "--verbose", "audit", "--carry=x,y", "--", "a", "b"].map(String::from));
        let (_, line) = layered(&["audit"], &[], "[audit]\ndiff = [\"a\", \"b\"]").unwrap();
        assert_eq!(line, ["audit", "--diff", "a", "b"].map(String::from));
        let (_, line) = layered(&["gallery", "forget"], &[("CHEHRA_GALLERY_MEMBER", "m,n")], "").unwrap();
        assert_eq!(line, ["gallery", "forget", "--member=m", "--member=n"].map(String::from));
    }

    #[test]
    fn positionals_of_two_places_are_not_mixed() {
        let (_, line) = layered(&["audit", "--", "-odd"], &[], "[audit]\ndump = \"d\"\nstore = \"s\"").unwrap();
        assert_eq!(line, ["audit", "--store=FOLDER/s", "--", "-odd"].map(String::from));
        let (_, line) = layered(&["config", "show", "audit", "--force"], &[], "[audit]\nstore = \"s\"").unwrap();
        assert_eq!(line, ["config", "show", "audit", "--force"].map(String::from));
    }

    #[test]
    fn variables_that_cannot_be_meant_are_refused_and_unread_ones_named() {
        for (name, value) in [("CHEHRA_FORCE", "perhaps"), ("CHEHRA_VERBOSE", "-1")] {
            assert!(layered(&["audit"], &[(name, value)], "").unwrap_err().to_string().contains(name));
        }
        let odd = ["CHEHRA_STOER", "CHEHRA_DATA", "CHEHRA_XYZZYXYZZY", "OTHER"];
        let layers = Layers::of(odd.iter().map(|name| (name.into(), "x".into())), None);
        let unread = layers.unread(&commands(&sample()));
        let right = [("CHEHRA_STOER", "did you mean CHEHRA_STORE?"), ("CHEHRA_XYZZYXYZZY", "no option has this name")];
        assert_eq!(unread, right.map(|(name, hint)| (name.to_owned(), hint.to_owned())));
    }
}
