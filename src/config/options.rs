//! The options of every command, read off the description of the command line.
//!
//! An option is called by one name everywhere: `--review-budget` is `review_budget` in the file and
//! `CHEHRA_REVIEW_BUDGET` in the environment; a positional goes by its value's name (`DUMP` is `dump`). Both may be
//! narrowed to a command: `[audit] review_budget` and `CHEHRA_AUDIT_REVIEW_BUDGET`.

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command, ValueHint};

/// Commands that are about the configuration or the program itself: nothing in a file changes what they do.
const APART: [&str; 3] = ["config", "completions", "man"];

/// What a value of an option looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    /// Given or not.
    Flag,
    /// Given so many times.
    Count,
    /// One value.
    One,
    /// Any number of values.
    Many,
}

/// One option of one command.
#[derive(Debug, Clone)]
pub struct Opt {
    /// What the command line's parser calls it.
    pub id: String,
    /// Its name in the file.
    pub key: String,
    /// As errors of the parser show it: `--store <DIR>`.
    pub shown: String,
    /// `--store`, or the value's name of a positional.
    pub name: String,
    /// Whether it is told by its place and not by a name.
    pub is_positional: bool,
    /// What its value looks like.
    pub kind: OptionKind,
    /// Whether its values belong together, as the two of `--diff A B`.
    pub is_tuple: bool,
    /// Whether values are paths, which in a file start from the file's folder.
    pub is_path: bool,
    /// What separates several values in one word.
    pub delimiter: Option<char>,
    /// Whether every command has it.
    pub is_global: bool,
    /// Whether the command cannot run without it.
    pub is_required: bool,
    /// Whether files may set it; `--config` itself may not be.
    pub is_in_files: bool,
    /// The default as one would type it.
    pub defaults: Vec<String>,
    /// Name of its value.
    pub value_name: String,
    /// What it is for.
    pub help: String,
    /// Ids of options that cannot be given together with it.
    pub conflicts: Vec<String>,
}

/// One command that can be run.
#[derive(Debug, Clone)]
pub struct CommandOptions {
    /// The words that call it: `["gallery", "forget"]`.
    pub path: Vec<String>,
    /// What it is for.
    pub about: String,
    /// Its options in the order of its help, those of every command last.
    pub options: Vec<Opt>,
    /// Whether a file may set its options.
    pub is_in_files: bool,
    /// Whether it takes another command line as its own arguments.
    pub takes_the_rest: bool,
}

impl CommandOptions {
    /// The words that call it, as typed.
    pub fn name(&self) -> String {
        self.path.join(" ")
    }

    /// The option of this name in a file.
    pub fn option(&self, key: &str) -> Option<&Opt> {
        self.options.iter().find(|option| option.key == key)
    }

    /// Sections of the file that hold for this command, the narrowest first; the last is the top.
    pub fn sections(&self) -> impl Iterator<Item = &[String]> {
        (0..=self.path.len()).rev().map(|length| &self.path[..length])
    }

    /// Variables that set an option of this command, the narrowest first.
    pub fn variables(&self, option: &Opt) -> Vec<String> {
        self.sections().map(|section| variable(section, &option.key)).collect()
    }
}

/// `CHEHRA_AUDIT_STORE` of the section `audit` and the key `store`.
pub fn variable(section: &[String], key: &str) -> String {
    let words: Vec<&str> = section.iter().map(String::as_str).chain([key]).collect();
    format!("CHEHRA_{}", words.join("_").replace('-', "_").to_uppercase())
}

/// Every command that can be run, in the order of the help.
pub fn commands(root: &Command) -> Vec<CommandOptions> {
    let mut root = root.clone();
    root.build();
    let mut found = Vec::new();
    walk(&root, &mut Vec::new(), &mut found);
    found
}

fn walk(command: &Command, path: &mut Vec<String>, found: &mut Vec<CommandOptions>) {
    let mut is_leaf = true;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        is_leaf = false;
        path.push(sub.get_name().to_owned());
        walk(sub, path, found);
        path.pop();
    }
    if !is_leaf || path.is_empty() {
        return;
    }
    let is_answer = |arg: &Arg| {
        matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version)
    };
    let args: Vec<&Arg> = command.get_arguments().filter(|arg| !is_answer(arg)).collect();
    let mut options: Vec<Opt> = args.iter().map(|arg| describe(command, arg)).collect();
    mutual(&mut options);
    // Two options of one name cannot be told apart in a file: the positional gives way.
    for at in 0..options.len() {
        if options[at].is_positional && options.iter().filter(|o| o.key == options[at].key).count() > 1 {
            options[at].key = options[at].id.clone();
        }
    }
    options.sort_by_key(|option| option.is_global);
    found.push(CommandOptions {
        path: path.clone(),
        about: command.get_about().map(ToString::to_string).unwrap_or_default(),
        options,
        is_in_files: !APART.contains(&path[0].as_str()),
        takes_the_rest: args.iter().any(|arg| arg.is_trailing_var_arg_set()),
    });
}

fn describe(command: &Command, arg: &Arg) -> Opt {
    let value_name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let value_name = value_name.unwrap_or_else(|| arg.get_id().as_str().to_uppercase());
    let is_positional = arg.is_positional();
    let (key, name) = match arg.get_long() {
        Some(long) => (long.to_owned(), format!("--{long}")),
        None if is_positional => (value_name.trim_end_matches('.').to_lowercase(), value_name.clone()),
        None => (arg.get_id().to_string(), arg.get_short().map(|short| format!("-{short}")).unwrap_or_default()),
    };
    let id = arg.get_id().to_string();
    Opt {
        kind: kind(arg),
        is_tuple: arg.get_num_args().is_some_and(|range| range.min_values() > 1) && !is_positional,
        is_path: is_path(arg.get_value_parser(), arg.get_value_hint()),
        delimiter: arg.get_value_delimiter(),
        is_global: arg.is_global_set(),
        is_required: arg.is_required_set(),
        is_in_files: !["config", "no_config"].contains(&id.as_str()),
        defaults: arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect(),
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        conflicts: conflicts(command, arg),
        shown: arg.to_string(),
        key: key.replace('-', "_"),
        id,
        name,
        is_positional,
        value_name,
    }
}

fn kind(arg: &Arg) -> OptionKind {
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => OptionKind::Flag,
        ArgAction::Count => OptionKind::Count,
        ArgAction::Append => OptionKind::Many,
        _ if arg.get_num_args().is_some_and(|range| range.max_values() > 1) => OptionKind::Many,
        _ => OptionKind::One,
    }
}

fn is_path(parser: &ValueParser, hint: ValueHint) -> bool {
    let hinted = matches!(hint, ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath);
    hinted || parser.type_id() == std::any::TypeId::of::<std::path::PathBuf>()
}

/// Conflicts that the option names itself, and the other options of a group of which one may be given.
fn conflicts(command: &Command, arg: &Arg) -> Vec<String> {
    let mut ids: Vec<String> =
        command.get_arg_conflicts_with(arg).iter().map(|other| other.get_id().to_string()).collect();
    for group in command.get_groups() {
        let members: Vec<String> = group.get_args().map(ToString::to_string).collect();
        if !group.clone().is_multiple() && members.iter().any(|member| member == arg.get_id().as_str()) {
            ids.extend(members.into_iter().filter(|member| member != arg.get_id().as_str()));
        }
    }
    ids
}

/// A conflict holds both ways, whichever of the two names it.
fn mutual(options: &mut [Opt]) {
    let pairs: Vec<(String, String)> =
        options.iter().flat_map(|o| o.conflicts.iter().map(|other| (other.clone(), o.id.clone()))).collect();
    for (from, to) in pairs {
        if let Some(option) = options.iter_mut().find(|option| option.id == from)
            && !option.conflicts.contains(&to)
        {
            option.conflicts.push(to);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A small command line with every kind of option.
    pub fn sample() -> Command {
        let path = || clap::value_parser!(std::path::PathBuf);
        let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
        let number = || clap::value_parser!(u16);
        let audit = Command::new("audit")
            .about("Audit a night")
            .arg(Arg::new("inputs").value_name("DUMP").num_args(1..).required(true).value_parser(path()))
            .arg(Arg::new("store").long("store").value_name("DIR").value_parser(path()))
            .arg(Arg::new("carry").long("carry").value_delimiter(',').action(ArgAction::Append))
            .arg(Arg::new("review_budget").long("review-budget").value_name("N").value_parser(number()))
            .arg(flag("force"))
            .arg(Arg::new("diff").long("diff").num_args(2))
            .arg(Arg::new("faces").long("faces").conflicts_with("templates"))
            .arg(Arg::new("templates").long("templates"));
        let forget = Command::new("forget")
            .arg(Arg::new("member").long("member").action(ArgAction::Append))
            .arg(Arg::new("store").long("store").value_parser(path()).required(true));
        let rest = Arg::new("rest").value_name("COMMAND").num_args(0..).trailing_var_arg(true);
        Command::new("chehra")
            .arg(Arg::new("threads").long("threads").global(true).value_parser(number()).default_value("2"))
            .arg(Arg::new("verbose").short('v').long("verbose").global(true).action(ArgAction::Count))
            .arg(flag("quiet").global(true))
            .arg(Arg::new("config").long("config").global(true).value_parser(path()))
            .subcommand(audit)
            .subcommand(Command::new("gallery").subcommand(forget))
            .subcommand(Command::new("config").subcommand(Command::new("show").arg(rest)))
    }

    #[test]
    fn options_are_read_off_the_command_line() {
        let commands = commands(&sample());
        let names: Vec<String> = commands.iter().map(CommandOptions::name).collect();
        assert_eq!(names, ["audit", "gallery forget", "config show"]);
        let audit = &commands[0];
        let kinds = ["dump", "store", "carry", "force", "verbose"].map(|key| audit.option(key).unwrap().kind);
        assert_eq!(kinds, [OptionKind::Many, OptionKind::One, OptionKind::Many, OptionKind::Flag, OptionKind::Count]);
        assert!(audit.option("store").unwrap().is_path && !audit.option("carry").unwrap().is_path);
        assert_eq!(audit.option("templates").unwrap().conflicts, ["faces"]);
        assert!(audit.option("help").is_none());
        assert!(!commands[2].is_in_files && commands[2].takes_the_rest);
    }

    #[test]
    fn variables_go_from_narrow_to_wide() {
        let commands = commands(&sample());
        let budget = commands[0].option("review_budget").unwrap();
        assert_eq!(commands[0].variables(budget), ["CHEHRA_AUDIT_REVIEW_BUDGET", "CHEHRA_REVIEW_BUDGET"]);
        let member = commands[1].option("member").unwrap();
        let names = ["CHEHRA_GALLERY_FORGET_MEMBER", "CHEHRA_GALLERY_MEMBER", "CHEHRA_MEMBER"];
        assert_eq!(commands[1].variables(member), names);
    }
}
