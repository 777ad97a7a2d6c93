//! `chehra completions` and `chehra man`: what a shell and a reader of manual pages need.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::StyledStr;
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;

use crate::cli::{Common, json, print};
use crate::config::options::variable;
use crate::exit::Exit;
use crate::output;
use crate::{Error, Result};

const COMPLETIONS_HELP: &str = "\
Examples:
  chehra completions bash > ~/.local/share/bash-completion/completions/chehra
  chehra completions zsh > ~/.zfunc/_chehra        # with fpath+=~/.zfunc before compinit
  chehra completions fish > ~/.config/fish/completions/chehra.fish";

const MAN_HELP: &str = "\
Examples:
  chehra man --out man1
  chehra man --out ~/.local/share/man/man1         # then: man chehra-audit";

/// Flags of `completions`.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
#[command(after_help = MAN_HELP)]
pub struct ManArgs {
    /// Folder to write the pages to; created if absent
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints the completions of a shell.
pub fn completions(mut root: Command, args: &CompletionsArgs, common: &Common) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut root, "chehra", &mut script);
    let script = String::from_utf8(script).map_err(|error| Error::bug("writing completions", error))?;
    match common.json {
        true => json(&json!({ "shell": args.shell.to_string(), "script": script })),
        false => print(&script),
    }
}

/// Writes a page for every command.
pub fn man(root: Command, args: &ManArgs, common: &Common) -> Result<()> {
    output::check("--out", &args.out, &[])?;
    std::fs::create_dir_all(&args.out).map_err(Error::io("create", &args.out))?;
    let mut root = root.disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    write_pages(&root, &args.out, &mut pages)?;
    match common.json {
        true => json(&json!({ "pages": pages })),
        false => print(&format!("{} pages in {}", pages.len(), args.out.display())),
    }
}

fn write_pages(command: &Command, folder: &Path, pages: &mut Vec<PathBuf>) -> Result<()> {
    let page = Man::new(command.clone());
    let path = folder.join(page.get_filename());
    let mut text = Vec::new();
    render(&page, command, &mut text).map_err(|error| Error::bug("writing a manual page", error))?;
    let mut file = std::fs::File::create(&path).map_err(Error::io("create", &path))?;
    file.write_all(&text).map_err(Error::io("write", &path))?;
    pages.push(path);
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).try_for_each(|sub| write_pages(sub, folder, pages))
}

/// The sections in the order of man-pages(7). The examples keep their lines, which the renderer's own section would join.
fn render(page: &Man, command: &Command, out: &mut dyn Write) -> std::io::Result<()> {
    // Not the renderer's own title: it leaves an empty date out, and what follows moves into its place.
    let (name, version) = (page.get_filename(), env!("CARGO_PKG_VERSION"));
    writeln!(out, ".TH \"{}\" \"1\" \"\" \"chehra {version}\" \"chehra\"", name.trim_end_matches(".1"))?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(out)?;
    }
    section(out, "EXIT STATUS", &Exit::table())?;
    let own: Vec<String> = command.get_bin_name().unwrap_or_default().split(' ').skip(1).map(str::to_owned).collect();
    let environment = format!(
        "Every option can stand in a variable: {} holds for every command that has OPTION,\n{} for this one. \
         RUST_LOG sets the log levels and outweighs -v.",
        variable(&[], "OPTION"),
        variable(&own, "OPTION"),
    );
    section(out, "ENVIRONMENT", &environment)?;
    section(out, "FILES", "chehra.toml, in the working folder or above it: see chehra-config-init(1).")?;
    let text = command.get_after_long_help().or(command.get_after_help()).map(StyledStr::to_string);
    // The root's help repeats the exit codes.
    let examples = text.unwrap_or_default().split("\n\nExit codes:").next().unwrap_or_default().to_owned();
    section(
        out,
        "EXAMPLES",
        examples.trim_start_matches("Examples:").trim_start_matches("Example:").trim_matches('\n'),
    )?;
    page.render_version_section(out)
}

/// A section whose lines stay as they are.
fn section(out: &mut dyn Write, title: &str, text: &str) -> std::io::Result<()> {
    writeln!(out, ".SH \"{title}\"\n.nf")?;
    for line in text.lines() {
        // A leading dot or quote would be a request, a backslash an escape, and a plain hyphen may become another sign.
        let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        let guard = if line.starts_with('.') { "\\&" } else { "" };
        writeln!(out, "{guard}{line}")?;
    }
    writeln!(out, ".fi")
}
