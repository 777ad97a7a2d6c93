//! `chehra config`: what is set, and where.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Command, Subcommand};
use serde_json::{Value, json};

use crate::cli::typed::Typed;
use crate::cli::{Common, json, print};
use crate::config::layers::{Layers, Origin, Setting, own_variable};
use crate::config::options::{CommandOptions, OptionKind, commands};
use crate::config::sample::sample;
use crate::config::{Columns, file};
use crate::{Error, Result};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  chehra config init\n  chehra config show\n  chehra config show audit")]
pub enum ConfigCommand {
    /// Say what each option is set to, and where: default, file and line, variable or flag
    #[command(after_help = SHOW_HELP)]
    Show(ShowArgs),
    /// Print the path of the configuration file that holds; exit code 1 where there is none
    #[command(after_help = "Examples:\n  chehra config path\n  chehra config path --json")]
    Path,
    /// Write a sample with every option, commented out
    #[command(after_help = "Examples:\n  chehra config init\n  chehra config init --out -      # print it")]
    Init(InitArgs),
}

const SHOW_HELP: &str = "\
Examples:
  chehra config show                                  # what is set anywhere, by file or variable
  chehra config show audit                            # every option of audit
  chehra config show audit dump --threads 2 --json    # as that command line would have it
  chehra config show gallery";

/// Flags of `config show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A command, or a whole command line without `chehra`; all commands by default
    #[arg(value_name = "COMMAND", num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Flags of `config init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// File to write; - for standard output
    #[arg(short, long, value_name = "FILE", default_value = file::NAME)]
    out: PathBuf,
}

/// Runs it.
pub fn run(root: &Command, args: &ConfigCommand, common: &Common) -> Result<()> {
    match args {
        ConfigCommand::Show(args) => show(root, args, common),
        ConfigCommand::Path => path(root, common),
        ConfigCommand::Init(args) => init(root, args, common),
    }
}

/// The command line that `config show` is asked about, with the outer one's own choice of file.
fn asked(root: &Command, words: &[OsString], common: &Common, known: &[CommandOptions]) -> Result<(Typed, bool)> {
    let mut words = words.to_vec();
    // What follows the command is its own, `--json` too; it can only be meant for the answer.
    let as_json = common.json || words.iter().any(|word| word == "--json");
    let name = words.iter().take_while(|word| !word.to_string_lossy().starts_with('-')).count();
    let mut argv: Vec<OsString> = vec!["chehra".into()];
    if let Some(path) = &common.config {
        argv.extend(["--config".into(), path.clone().into_os_string()]);
    }
    if common.no_config {
        argv.push("--no-config".into());
    }
    if name == 0 && !words.is_empty() {
        words.insert(0, "audit".into());
        let problem = format!("{} is no command", words[1].display());
        return Err(Error::usage(
            "COMMAND",
            problem,
            "begin with a command, as in `chehra config show audit --threads 2`",
        ));
    }
    argv.extend(words);
    let typed = Typed::read(root, known, argv).map_err(|e| Error::bug("reading a command line", e))?;
    Ok((typed, as_json))
}

fn show(root: &Command, args: &ShowArgs, common: &Common) -> Result<()> {
    let known = commands(root);
    let (typed, as_json) = asked(root, &args.command, common, &known)?;
    if let (Some(first), true) = (args.command.first(), typed.path.is_empty()) {
        let names: Vec<String> = known.iter().map(|command| command.path[0].clone()).collect();
        let fix = match file::nearest(&first.to_string_lossy(), &names) {
            Some(other) => format!("did you mean `{other}`?"),
            None => "`chehra --help` lists the commands".to_owned(),
        };
        return Err(Error::usage("COMMAND", format!("'{}' is no command", first.display()), fix));
    }
    let layers = typed.layers(&known, true)?;
    let mut shown = Vec::new();
    for command in known.iter().filter(|command| command.path.starts_with(&typed.path)) {
        let settings = layers.settings(command, &typed.matches, &typed.off)?;
        // Without a command, what has its default would bury what has not.
        let is_asked = |setting: &Setting<'_>| !typed.path.is_empty() || setting.origin > Origin::Default;
        shown.push((command, settings.into_iter().filter(is_asked).collect::<Vec<_>>()));
    }
    let columns = columns(&layers);
    if as_json {
        let values: Vec<Value> =
            shown.iter().flat_map(|(command, settings)| settings.iter().map(|s| record(command, s))).collect();
        let file = layers.file.as_ref().map(|file| &file.path);
        return json(&json!({ "file": file, "values": values, "columns": columns }));
    }
    print(&describe(&layers, &shown, !typed.path.is_empty(), &columns))
}

/// The value as JSON: true or false, a number of times, a text, or a list.
fn value(setting: &Setting<'_>) -> Value {
    let texts: Vec<String> = setting.values.iter().map(|value| value.to_string_lossy().into_owned()).collect();
    match (setting.option.kind, texts.first()) {
        (_, None) => Value::Null,
        (OptionKind::Flag, Some(text)) => json!(text == "true"),
        (OptionKind::Count, Some(text)) => text.parse::<u8>().map_or(Value::Null, Value::from),
        (OptionKind::One, Some(text)) => json!(text),
        (OptionKind::Many, Some(_)) => json!(texts),
    }
}

fn record(command: &CommandOptions, setting: &Setting<'_>) -> Value {
    let option = setting.option;
    let source = match &setting.origin {
        Origin::Unset => json!({ "kind": "unset" }),
        Origin::Default => json!({ "kind": "default" }),
        Origin::File(path, line) => json!({ "kind": "file", "path": path, "line": line }),
        Origin::Variable(name) => json!({ "kind": "variable", "variable": name }),
        Origin::Flag => json!({ "kind": "flag" }),
    };
    json!({
        "command": command.name(),
        "option": option.name,
        "key": option.key,
        "variable": own_variable(command, option),
        "required": option.is_required,
        "value": value(setting),
        "source": source,
    })
}

/// Columns with their names in the dump, and the line that says so.
fn columns(layers: &Layers) -> Vec<Value> {
    let default = Columns::default();
    let (columns, lines) = match &layers.file {
        Some(file) => (&file.columns, file.column_lines.as_slice()),
        None => (&default, [].as_slice()),
    };
    let line = |name: &str| lines.iter().find(|(key, _)| key == name).map(|(_, line)| *line);
    let row = |(name, dump): (&str, &str)| json!({ "column": name, "in_dump": dump, "line": line(name) });
    columns.pairs().into_iter().map(row).collect()
}

fn describe(layers: &Layers, shown: &[(&CommandOptions, Vec<Setting<'_>>)], all: bool, columns: &[Value]) -> String {
    let mut text = match &layers.file {
        Some(file) => format!("file: {}\n", file.path.display()),
        None => "file: none\n".to_owned(),
    };
    match all {
        true => shown.iter().for_each(|(command, settings)| {
            text += &format!("\n{}\n", command.name());
            settings.iter().for_each(|setting| text += &format!("{}\n", row(setting).trim_end()));
        }),
        false => text += &by_line(shown),
    }
    let named: Vec<&Value> = columns.iter().filter(|column| !column["line"].is_null()).collect();
    if !named.is_empty() {
        text += "\ncolumns\n";
    }
    for column in named {
        let [name, dump] = ["column", "in_dump"].map(|field| column[field].as_str().unwrap_or_default());
        text += &format!("  {name:<18} {:<36} line {}\n", format!("\"{dump}\""), column["line"]);
    }
    if !all {
        text += "\nEverything else has its default; `chehra config show COMMAND` shows all options of one.\n";
    }
    text
}

fn row(setting: &Setting<'_>) -> String {
    format!("  {:<18} {:<36} {}", setting.option.name, words(setting), place(setting))
}

/// What is set, each line or variable once, with the commands for which it holds.
fn by_line(shown: &[(&CommandOptions, Vec<Setting<'_>>)]) -> String {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for (command, setting) in shown.iter().flat_map(|(command, settings)| settings.iter().map(move |s| (command, s))) {
        let row = row(setting);
        match rows.iter_mut().find(|(other, _)| *other == row) {
            Some((_, commands)) => commands.push(command.name()),
            None => rows.push((row, vec![command.name()])),
        }
    }
    let all = shown.iter().filter(|(command, _)| command.is_in_files).count();
    let whom = |commands: Vec<String>| match commands.len() >= all {
        true => "every command".to_owned(),
        false => commands.join(", "),
    };
    rows.into_iter().map(|(row, commands)| format!("\n{row}\n      for {}\n", whom(commands))).collect()
}

fn words(setting: &Setting<'_>) -> String {
    let texts: Vec<String> = setting.values.iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if texts.is_empty() { "-".into() } else { texts.join(" ") }
}

fn place(setting: &Setting<'_>) -> String {
    match &setting.origin {
        Origin::Unset if setting.option.is_required => "required, not set".into(),
        Origin::Unset => "not set".into(),
        Origin::Default => "default".into(),
        Origin::File(path, line) => format!("{}:{line}", path.display()),
        Origin::Variable(name) => format!("${name}"),
        Origin::Flag => "flag".into(),
    }
}

fn path(root: &Command, common: &Common) -> Result<()> {
    let (typed, _) = asked(root, &[], common, &[])?;
    let found = typed.file(&Layers::of(std::env::vars_os(), None))?;
    match (&found, common.json) {
        (path, true) => json(&json!({ "path": path }))?,
        (Some(path), false) => print(&path.display().to_string())?,
        (None, false) => {}
    }
    found.map(drop).ok_or_else(|| {
        let why = if common.no_config { "--no-config was given" } else { "none in the working folder or above it" };
        Error::Failed(format!("no {}: {why}; `chehra config init` writes one", file::NAME))
    })
}

fn init(root: &Command, args: &InitArgs, common: &Common) -> Result<()> {
    let text = sample(&commands(root));
    if args.out == Path::new("-") {
        return match common.json {
            true => json(&json!({ "path": null, "text": text })),
            false => print(&text),
        };
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&args.out);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::input(
            &args.out,
            "sample",
            "no file of this name yet",
            "it exists",
            "name another with --out, or --out -",
        ),
        _ => Error::io("create", &args.out)(error),
    })?;
    file.write_all(text.as_bytes()).map_err(Error::io("write", &args.out))?;
    match common.json {
        true => json(&json!({ "path": args.out })),
        false => print(&format!("{}: every option, commented out", args.out.display())),
    }
}
