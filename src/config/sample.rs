//! A commented `chehra.toml` with every option of every command, made from the command line's own help.

use crate::config::Columns;
use crate::config::options::{CommandOptions, Opt, OptionKind};

const HEAD: &str = "\
# chehra.toml: what stays the same from night to night.
#
# Looked for in the working folder and in every folder above it; --config FILE names one, --no-config leaves it out.
# Flags outweigh environment variables, and these outweigh this file. `chehra config show COMMAND` says which value
# holds and where it comes from. Relative paths start from the folder of this file. Take away the '#' of a line to use it.
# What stands above the first [section] holds for every command that has the option.
";

/// Options that belong at the top: each means the same in every command that has it.
const SHARED: [&str; 6] = ["store", "policy", "weights", "device", "embedder", "precision"];

/// The text; every value is commented out.
pub fn sample(commands: &[CommandOptions]) -> String {
    let mut text = HEAD.to_owned();
    let shared: Vec<&Opt> = SHARED
        .iter()
        .filter_map(|key| commands.iter().filter(|c| c.is_in_files).find_map(|command| command.option(key)))
        .collect();
    let globals = commands.iter().take(1).flat_map(|command| command.options.iter().filter(|o| o.is_global));
    for option in globals.chain(shared) {
        text += &line(option);
    }
    text += "# time_zone = \"Asia/Kolkata\"       # Zone of times without one, and of all times that are shown [default: UTC]\n";
    text += "\n# What the dump calls its columns; \"\" leaves an optional one out.\n[columns]\n";
    for (name, default) in Columns::default().pairs() {
        text += &format!("# {name} = \"{default}\"\n");
    }
    text += "# captured_at_format = \"%d/%m/%Y %H:%M\"   # The form of times that are texts, if it cannot be told\n";
    // A section of the name of an option above could not stand in one file with it.
    let has_section = |command: &&CommandOptions| {
        command.is_in_files && command.path.first().is_none_or(|word| !SHARED.contains(&word.as_str()))
    };
    for command in commands.iter().filter(has_section) {
        let own: Vec<&Opt> = command
            .options
            .iter()
            .filter(|option| !option.is_global && !SHARED.contains(&option.key.as_str()))
            .collect();
        if !own.is_empty() {
            text += &format!("\n# {}\n[{}]\n", command.about, command.path.join("."));
            own.into_iter().for_each(|option| text += &line(option));
        }
    }
    text
}

fn line(option: &Opt) -> String {
    if !option.is_in_files {
        return String::new();
    }
    let help = option.help.replace('\n', " ");
    format!("# {:<32} # {help}\n", format!("{} = {}", option.key, value(option)))
}

/// The default, or the name of a value in quotes.
fn value(option: &Opt) -> String {
    let quoted = |text: &str| match text.parse::<f64>() {
        Ok(_) => text.to_owned(),
        Err(_) => toml::Value::String(text.to_owned()).to_string(),
    };
    let default = option.defaults.first().map_or_else(|| quoted(&option.value_name), |default| quoted(default));
    match option.kind {
        OptionKind::Flag => "false".into(),
        OptionKind::Count => "0".into(),
        OptionKind::One => default,
        OptionKind::Many => format!("[{default}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::File;
    use crate::config::options::{commands, tests};

    #[test]
    fn every_line_of_the_sample_can_be_used() {
        let commands = commands(&tests::sample());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chehra.toml");
        let text = sample(&commands);
        std::fs::write(&path, &text).unwrap();
        assert!(File::read(&path, &commands).unwrap().entries.is_empty(), "a sample sets nothing");
        let is_value = |line: &&str| line.starts_with("# ") && line.contains(" = ");
        let used = text.lines().map(|line| if is_value(&line) { &line[2..] } else { line });
        std::fs::write(&path, used.collect::<Vec<_>>().join("\n")).unwrap();
        let file = File::read(&path, &commands).unwrap();
        assert!(file.entries.len() >= 9 && file.column_lines.len() == 23, "{text}");
    }
}
