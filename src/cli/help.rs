//! Help that is wrapped once, by the parser, and examples that can be copied from it.

use clap::Command;

/// Headings that several commands have.
pub const INPUT: &str = "What is read";
/// Files and folders that come of it, and what stands in them.
pub const OUTPUT: &str = "What is written";
/// What chance decides.
pub const DRAWN: &str = "What is drawn";

/// Columns within which an example stays, its indent included, so that no terminal of usual width breaks it.
const WIDTH: usize = 80;

/// Has the closing text of every command laid out for the parser's own wrapping.
pub fn laid_out(command: Command) -> Command {
    let text = command.get_after_help().map(ToString::to_string);
    let command = match text {
        Some(text) => command.after_help(lay_out(&text)),
        None => command,
    };
    command.mut_subcommands(laid_out)
}

/// Joins the lines of a paragraph, which the parser breaks at the width of the terminal, and breaks examples that are too
/// long as a shell continues them.
fn lay_out(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        let is_indented = line.starts_with(' ');
        let is_own = line.is_empty() || is_indented || line.ends_with(':');
        match (lines.last_mut(), line.trim_start()) {
            (Some(last), _) if !is_own && is_open => *last += &format!(" {line}"),
            (_, example) if is_indented && example.starts_with("chehra ") => lines.extend(broken(example)),
            _ => lines.push(line.to_owned()),
        }
        is_open = !line.is_empty() && !is_indented && !line.ends_with(':');
    }
    lines.join("\n")
}

/// An example on as many lines as it needs, its comment above it where both are too long for one.
fn broken(example: &str) -> Vec<String> {
    let indented = format!("  {example}");
    if indented.chars().count() < WIDTH {
        return vec![indented];
    }
    let mut lines = Vec::new();
    let command = match example.split_once(" # ") {
        Some((command, comment)) => {
            lines.push(format!("  # {}", comment.trim()));
            command.trim_end()
        }
        None => example,
    };
    let mut line = "  ".to_owned();
    for part in parts(command) {
        let is_full = line.chars().count() + part.chars().count() + 3 > WIDTH;
        if is_full && !line.trim().is_empty() {
            lines.push(format!("{line} \\"));
            line = "      ".to_owned();
        }
        line += if line.trim().is_empty() { "" } else { " " };
        line += part;
    }
    lines.push(line);
    lines
}

/// The words of a command; a text in quotes is one.
fn parts(command: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, letter) in command.char_indices() {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (None, ' ') => {
                parts.push(&command[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&command[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_fit_and_paragraphs_are_one_line() {
        let text = "Examples:\n  chehra a --b  # short\n  chehra dedup /data/dump/2026-11-21 --where \"district in ('a', 'b') \
                    and worker = 'W17'\" --against store     # with a comment\n\nOne sentence\nover two lines.\n\nExit codes:\n  0  done";
        let found = lay_out(text);
        assert!(found.contains("\n\nOne sentence over two lines.\n\nExit codes:\n  0  done"), "{found}");
        assert!(found.contains("  chehra a --b  # short\n  # with a comment\n  chehra dedup"), "{found}");
        let continued = found.replace("\\\n", "");
        let words = parts(continued.lines().nth(3).unwrap());
        assert_eq!(words[4], "\"district in ('a', 'b') and worker = 'W17'\"");
        assert!(
            found.lines().filter(|line| line.starts_with("  ")).all(|line| line.chars().count() <= WIDTH),
            "{found}"
        );
    }
}
