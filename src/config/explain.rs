//! The policy as people read it: every key with what it means, its unit and its range.
//!
//! The words are those of the book's page on the policy, so that there is one place for them.

use crate::config::Policy;
use crate::reason::Reason;
use crate::{Error, Result};

/// The page: a heading `## [section]` and a table of keys for each section.
const PAGE: &str = include_str!("../../docs/policy.md");

/// Columns of a comment.
const WIDTH: usize = 100;

/// What the page says of a key.
struct Key<'a> {
    name: &'a str,
    meaning: &'a str,
    range: &'a str,
    is_set: bool,
}

/// The policy as TOML with a comment above every key; keys that are not set by default stand there as comments.
///
/// # Errors
/// [`Error::Bug`] when it cannot be written as TOML.
pub fn explained(policy: &Policy) -> Result<String> {
    let mut text = String::new();
    let mut section = "";
    let plain = policy.to_toml()?;
    for line in plain.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
            text += &format!("{}{line}\n", comment(&lead(section)));
            let unset = keys(section).filter(|key| !key.is_set && !is_given(&plain, key.name));
            unset.for_each(|key| text += &format!("{}# {} =\n", explanation(&key), key.name));
            continue;
        }
        // Lines inside of a list have no key, and an empty line ends a section.
        if let Some((name, _)) = line.split_once(" = ") {
            text += &match section {
                "verdicts" => comment(reason_of(name)?.meaning()),
                _ => keys(section).find(|key| key.name == name).map_or_else(String::new, |key| explanation(&key)),
            };
        }
        text += &format!("{line}\n");
    }
    Ok(text)
}

fn is_given(toml: &str, name: &str) -> bool {
    toml.lines().any(|line| line.split_once(" = ").is_some_and(|(key, _)| key == name))
}

fn reason_of(code: &str) -> Result<Reason> {
    let found = Reason::ALL.iter().find(|reason| reason.code() == code);
    found.copied().ok_or_else(|| Error::bug("printing the policy", format!("no reason {code}")))
}

/// The page's text of a section.
fn of_section(section: &str) -> &'static str {
    let heading = format!("\n## [{section}]\n");
    let text = PAGE.split_once(&heading).map_or("", |(_, text)| text);
    text.split("\n## ").next().unwrap_or_default()
}

/// The first sentence of a section.
fn lead(section: &str) -> String {
    let paragraph = of_section(section).trim().split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let is_table = paragraph.starts_with('|');
    let end = paragraph.find(". ").map_or(paragraph.len(), |end| end + 1);
    // Links of the book lead nowhere here.
    if is_table || paragraph[..end].contains("](") { String::new() } else { paragraph[..end].to_owned() }
}

fn keys(section: &str) -> impl Iterator<Item = Key<'static>> {
    let rows = of_section(section).lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (name, rest) = row.split_once("` | ")?;
        let (default, rest) = rest.split_once(" | ")?;
        let (meaning, range) = rest.strip_suffix(" |")?.rsplit_once(" | ")?;
        Some(Key { name, meaning, range, is_set: default != "not set" })
    })
}

fn explanation(key: &Key) -> String {
    comment(&format!("{} [{}]", key.meaning, key.range))
}

/// A text as lines of a comment.
fn comment(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].chars().count() + word.chars().count() + 3 > WIDTH {
            lines.push(String::new());
        }
        let last = lines.len() - 1;
        lines[last] += " ";
        lines[last] += word;
    }
    lines.retain(|line| !line.is_empty());
    lines.into_iter().map(|line| format!("#{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_meaning_unit_and_range_and_the_text_reads_back() {
        let policy = Policy::default();
        let text = explained(&policy).unwrap();
        assert_eq!(toml::from_str::<Policy>(&text).unwrap(), policy);
        let lines: Vec<&str> = text.lines().collect();
        let mut seen = 0;
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(" = ")) {
            assert!(at > 0 && lines[at - 1].starts_with("# "), "no comment above {line}");
            seen += 1;
        }
        assert!(seen > 90, "{seen}");
        assert!(text.contains("# Largest yaw either way, degrees. [degrees, 0 to 90]\nmax_yaw = 50.0"), "{text}");
        assert!(text.contains("# review_expected_false_matches ="), "{text}");
        assert!(lines.iter().filter(|line| line.starts_with('#')).all(|line| line.chars().count() <= WIDTH));
    }
}
