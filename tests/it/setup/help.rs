//! Every command explains itself: examples that parse, names that do not collide, exit codes, shells, manual pages. So does
//! the documentation: its commands parse, its links lead somewhere, its tables are the program's.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use chehra::config::Policy;
use chehra::config::options::commands;
use chehra::exit::Exit;

use crate::util::{Place, chehra, run};

/// Every command, groups as well.
fn every(command: &clap::Command, path: &str, visit: &mut impl FnMut(&str, &clap::Command)) {
    visit(path, command);
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        every(sub, &format!("{path} {}", sub.get_name()), visit);
    }
}

fn help(command: &clap::Command) -> String {
    command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string).unwrap_or_default()
}

/// The commands of a line as a shell would split them, each as its words. A comment ends the line, a redirection the words
/// of its command.
fn split(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let (mut quote, mut begun, mut redirected) = (None, false, false);
    let mut letters = line.chars();
    loop {
        let letter = letters.next();
        match (quote, letter) {
            (Some(open), Some(letter)) if open == letter => quote = None,
            (None, Some('\'' | '"')) => (quote, begun) = (letter, true),
            (None, Some('\\')) => {
                word.extend(letters.next());
                begun = true;
            }
            (Some(_), Some(letter)) => word.push(letter),
            // What another command prints is one word here.
            (None, Some('(')) if word.ends_with('$') => {
                word.extend(letters.by_ref().take_while(|&letter| letter != ')'))
            }
            (None, Some(letter)) if !" #|&;<>".contains(letter) || (letter == '#' && begun) => {
                word.push(letter);
                begun = true;
            }
            // What stands outside of quotes and ends a word.
            (_, end) => {
                let word = std::mem::take(&mut word);
                let redirects = matches!(end, Some('<' | '>'));
                let descriptor = redirects && word.bytes().all(|byte| byte.is_ascii_digit());
                if std::mem::take(&mut begun) && !redirected && !descriptor {
                    words.push(word);
                }
                redirected |= redirects;
                if !matches!(end, Some(' ' | '<' | '>')) {
                    commands.push(std::mem::take(&mut words));
                    redirected = false;
                }
                if matches!(end, None | Some('#')) {
                    return commands;
                }
            }
        }
    }
}

/// What a command gives to `chehra`, if it starts it: by name or path, in a loop, with variables before it, or by cargo.
fn given_to_chehra(command: &[String]) -> Option<Vec<OsString>> {
    let leads = |word: &String| {
        ["do", "then", "nice", "time", "/usr/bin/time", "-v"].contains(&word.as_str())
            || word.split_once('=').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
    };
    let words = &command[command.iter().take_while(|word| leads(word)).count()..];
    let given = match words {
        [first, given @ ..] if first == "chehra" || first.ends_with("/chehra") => given,
        [first, second, ..] if first == "cargo" && second == "run" => {
            &words[words.iter().position(|word| word == "--")? + 1..]
        }
        _ => return None,
    };
    Some(std::iter::once("chehra".into()).chain(given.iter().map(OsString::from)).collect())
}

/// Everything that a text gives to `chehra`, line by line.
fn examples(text: &str) -> Vec<Vec<OsString>> {
    let text = text.replace("\\\n", " ");
    let commands = text.lines().flat_map(|line| split(line.trim_start()));
    commands.filter_map(|command| given_to_chehra(&command)).collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The README and the pages of the book, by name.
fn documentation() -> BTreeMap<String, String> {
    let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    let found: BTreeMap<_, _> = pages.chain(["README.md".to_owned()]).map(|name| (name.clone(), read(&name))).collect();
    assert!(found.len() > 10, "{:?}", found.keys());
    found
}

/// The targets of links and pictures, but for those in code.
fn links(text: &str) -> Vec<String> {
    let outside_blocks: Vec<&str> = text.split("```").step_by(2).collect();
    let prose: String = outside_blocks.join("\n").split('`').step_by(2).collect();
    prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// The names by which the headings of a page can be linked to, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let outside_blocks: Vec<&str> = text.split("```").step_by(2).collect();
    let lines: Vec<&str> = outside_blocks.iter().flat_map(|part| part.lines()).collect();
    let titles = lines.iter().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    titles
        .map(|title| {
            let letters = title.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
            letters.map(|letter| if letter == ' ' { '-' } else { letter }).collect::<String>().to_lowercase()
        })
        .collect()
}

#[test]
fn every_command_has_examples_and_they_parse() {
    let root = chehra::cli::command();
    let (mut seen, mut wrong) = (0, Vec::new());
    every(&root, "chehra", &mut |path, command| {
        let examples = examples(&help(command));
        if examples.is_empty() {
            wrong.push(format!("{path}: no example in its help"));
        }
        for words in examples {
            seen += 1;
            if let Err(error) = root.clone().try_get_matches_from(&words) {
                wrong.push(format!("{path}: {words:?}: {}", error.render()));
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 40, "only {seen} examples");
}

#[test]
fn every_command_of_the_documentation_parses() {
    let root = chehra::cli::command();
    let (mut seen, mut wrong) = (0, Vec::new());
    for (name, text) in documentation() {
        let blocks = text.split("```").skip(1).step_by(2).filter(|block| block.starts_with("sh\n"));
        for words in blocks.flat_map(examples) {
            seen += 1;
            if let Err(error) = root.clone().try_get_matches_from(&words) {
                wrong.push(format!("{name}: {words:?}: {}", error.render()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 40, "only {seen} commands");
}

#[test]
fn commands_of_a_line_are_split_as_a_shell_does() {
    let line = "for n in 1 2; do A_B=1 chehra audit 'a b' --out x# > y z; done | cat # chehra no";
    let given = examples(line);
    assert_eq!(given, [["chehra", "audit", "a b", "--out", "x#"].map(OsString::from)]);
    assert_eq!(examples("cargo run --release -- audit d\ncargo test -- chehra"), [["chehra", "audit", "d"]]);
    assert_eq!(examples("chehra audit $(ls -d a 2>b) 2>c d"), [["chehra", "audit", "$ls -d a 2>b"]]);
    assert_eq!(examples("a/chehra devices && chehra policy \\\n  -q").len(), 2);
    assert_eq!(examples("install -m 755 bin/chehra /usr/local/bin"), Vec::<Vec<OsString>>::new());
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    assert_eq!(links("[`a`](b.md#c) `[x](y)`\n```\n[x](y)\n```\n![d](e.png)"), ["b.md#c", "e.png"]);
    assert!(anchors("# A `b`, c-d\n```\n# e\n```\n").iter().eq(["a-b-c-d"]));
    let mut pages = documentation();
    pages.extend(["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| (name.to_owned(), read(name))));
    let (mut seen, mut wrong) = (0, Vec::new());
    for (name, text) in &pages {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        for link in links(text).iter().filter(|link| !link.contains("://")) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link.as_str(), ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            if !target.exists() {
                wrong.push(format!("{name}: {link}: no such file"));
            } else if !anchor.is_empty() && !anchors(&fs::read_to_string(&target).unwrap()).contains(anchor) {
                wrong.push(format!("{name}: {link}: no such heading"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 60, "only {seen} links");
}

#[test]
fn the_readme_is_short_and_the_book_lists_every_page_and_command() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 200, "README.md has {lines} lines; what is longer belongs into docs/");
    let summary = read("docs/SUMMARY.md");
    for name in documentation().keys().filter_map(|name| name.strip_prefix("docs/")) {
        assert!(name == "SUMMARY.md" || summary.contains(&format!("]({name})")), "{name} in docs/SUMMARY.md");
    }
    let commands = read("docs/commands.md");
    for command in chehra::cli::command().get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_name();
        assert!(
            commands.contains(&format!("`chehra {name} ")) || commands.contains(&format!("`chehra {name}`")),
            "{name} in docs/commands.md"
        );
    }
}

#[test]
fn the_book_has_every_key_of_the_policy_and_every_reason_with_its_default() {
    let policy: toml::Table = Policy::default().to_toml().unwrap().parse().unwrap();
    let (page, reasons) = (read("docs/policy.md"), read("docs/reasons-and-verdicts.md"));
    for (section, keys) in &policy {
        let keys = keys.as_table().unwrap();
        let (_, text) = page.split_once(&format!("\n## [{section}]\n")).unwrap_or_else(|| panic!("[{section}]"));
        let text = text.split("\n## ").next().unwrap();
        for (key, value) in keys {
            if section == "verdicts" {
                let ending = format!(" | {} |", value.as_str().unwrap());
                let mut rows =
                    reasons.lines().filter(|row| row.split(" | ").next().unwrap().contains(&format!("`{key}`")));
                assert!(rows.next().is_some_and(|row| row.ends_with(&ending)), "{key}: {ending}");
                continue;
            }
            let row = format!("| `{key}` | `{value}` |");
            assert!(text.contains(&row), "[{section}] in docs/policy.md: {row}");
        }
        for row in text.lines().filter(|row| row.starts_with("| `")) {
            let key = row.split('`').nth(1).unwrap();
            assert!(keys.contains_key(key) || row.contains("| not set |"), "[{section}] has no key {key}");
        }
    }
}

#[test]
fn no_two_options_of_a_command_share_a_name() {
    let mut root = chehra::cli::command();
    root.build();
    every(&root, "chehra", &mut |path, command| {
        let mut seen = BTreeSet::new();
        for arg in command.get_arguments() {
            let names = [arg.get_long().map(str::to_owned), arg.get_short().map(|short| short.to_string())];
            for name in names.into_iter().flatten().chain([format!("id {}", arg.get_id())]) {
                assert!(seen.insert(name.clone()), "{path}: {name} twice");
            }
        }
    });
}

/// Options of a command that has many stand under headings that say what they are for: a list of twenty is not read.
#[test]
fn many_options_are_grouped() {
    let mut root = chehra::cli::command();
    root.build();
    let (mut seen, mut wrong) = (0, Vec::new());
    every(&root, "chehra", &mut |path, command| {
        let ungrouped: Vec<String> = command
            .get_arguments()
            .filter(|arg| !arg.is_positional() && arg.get_help_heading().is_none())
            .map(|arg| arg.get_id().to_string())
            .filter(|id| id != "help" && id != "version")
            .collect();
        let grouped = ["audit", "synth", "search", "bench", "evaluate", "gallery"];
        if grouped.contains(&path.split(' ').nth(1).unwrap_or("")) {
            seen += 1;
            if !ungrouped.is_empty() {
                wrong.push(format!("{path}: {ungrouped:?}"));
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 12, "{seen}");
}

#[test]
fn keys_and_variables_mean_one_thing() {
    let commands = commands(&chehra::cli::command());
    assert!(commands.len() >= 18, "{}", commands.len());
    let mut meanings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for command in &commands {
        let mut keys = BTreeSet::new();
        for option in &command.options {
            assert!(keys.insert(&option.key), "{}: two options are called {}", command.name(), option.key);
            assert_ne!(option.key, "columns", "the section of column names");
            for (section, variable) in command.sections().zip(command.variables(option)) {
                let meaning = format!("[{}] {}", section.join("."), option.key);
                meanings.entry(variable).or_default().insert(meaning);
            }
        }
    }
    let twice: Vec<_> = meanings.iter().filter(|(_, meanings)| meanings.len() > 1).collect();
    assert!(twice.is_empty(), "variables with two meanings: {twice:?}");
}

#[test]
fn the_exit_codes_stand_in_help_and_book() {
    let (code, text, _) = run(chehra().arg("--help"));
    assert_eq!(code, 0);
    let page = read("docs/operations.md");
    for exit in Exit::ALL {
        let (number, meaning) = (exit as u8, exit.meaning());
        let first_words: Vec<&str> = meaning.split(' ').take(3).collect();
        assert!(text.contains(&format!(" {number}  {}", first_words.join(" "))), "{number} in the help: {text}");
        assert!(page.contains(&format!("| {number} | {meaning} |")), "{number} {meaning} in docs/operations.md");
    }
}

fn script(place: &Place, shell: &str) -> std::path::PathBuf {
    let (code, script, stderr) = run(chehra().args(["completions", shell]));
    assert!(code == 0 && script.contains("review-budget") && script.contains("chehra"), "{shell}: {stderr}");
    let path = place.path(shell);
    fs::write(&path, script).unwrap();
    path
}

#[test]
fn completions_are_there_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        script(&place, shell);
    }
    let (code, _, stderr) = run(chehra().args(["completions", "tcsh"]));
    assert!(code == 64 && stderr.contains("possible values"), "{stderr}");
}

#[test]
fn manual_pages_are_whole() {
    let place = Place::new();
    let (code, stdout, stderr) = run(chehra().args(["man", "--json", "--out"]).arg(place.path("man1")));
    assert_eq!(code, 0, "{stderr}");
    let pages = serde_json::from_str::<serde_json::Value>(&stdout).unwrap()["pages"].as_array().unwrap().len();
    let mut names = Vec::new();
    every(&chehra::cli::command(), "chehra", &mut |path, _| names.push(path.replace(' ', "-")));
    assert_eq!(pages, names.len());
    for name in names {
        let page = place.path("man1").join(format!("{name}.1"));
        let text = fs::read_to_string(&page).unwrap();
        let sections = ["SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES"];
        assert!(sections.iter().all(|section| text.contains(&format!(".SH \"{section}\"")) || text.contains(&format!(".SH {section}"))), "{name}");
        assert!(!text.contains("Exit codes:"), "{name}");
        assert!(text.contains(&format!(".TH \"{name}\" \"1\" \"\" \"chehra ")), "{name}");
    }
    let (code, _, stderr) = run(chehra().args(["man", "--out", "/proc/none/man"]));
    assert!(code == 65 && stderr.contains("cannot create"), "{stderr}");
}
