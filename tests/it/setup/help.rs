//! Every command explains itself: examples that parse, names that do not collide, exit codes, shells, manual pages.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;

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

/// The words of an example as a shell would split them; ends at a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<OsString> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '#') if !begun => break,
            (None, '|' | '>' | '&' | ';') => break,
            (None, '\'' | '"') => (quote, begun) = (Some(letter), true),
            (Some(open), _) if open == letter => quote = None,
            (None, '\\') => word.extend(letters.next()),
            (None, ' ') => {
                if begun {
                    words.push(std::mem::take(&mut word).into());
                }
                begun = false;
            }
            _ => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word.into());
    }
    words
}

fn examples(text: &str) -> Vec<Vec<OsString>> {
    let lines: Vec<String> = text.replace("\\\n", " ").lines().map(|line| line.trim_start().to_owned()).collect();
    lines.iter().filter(|line| line.starts_with("chehra ")).map(|line| words(line)).collect()
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
fn examples_of_the_readme_parse() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let root = chehra::cli::command();
    let blocks = text.split("```").skip(1).step_by(2).filter(|block| block.starts_with("sh\n"));
    let found: Vec<Vec<OsString>> = blocks.flat_map(examples).collect();
    for words in &found {
        if let Err(error) = root.clone().try_get_matches_from(words) {
            panic!("{words:?}: {}", error.render());
        }
    }
    assert!(found.len() > 10, "only {} examples", found.len());
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
fn the_exit_codes_stand_in_help_and_readme() {
    let (code, text, _) = run(chehra().arg("--help"));
    assert_eq!(code, 0);
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for exit in Exit::ALL {
        let (number, meaning) = (exit as u8, exit.meaning());
        let first_words: Vec<&str> = meaning.split(' ').take(3).collect();
        assert!(text.contains(&format!(" {number}  {}", first_words.join(" "))), "{number} in the help: {text}");
        assert!(readme.contains(&format!("| {number} | {meaning} |")), "{number} {meaning} in README.md");
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
