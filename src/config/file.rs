//! `chehra.toml`: what stays the same from night to night.
//!
//! The top holds values for every command that has such an option, `[audit]` and `[gallery.forget]` those of one
//! command, `[columns]` the dump's own column names. A key that no command knows ends the run with its line and the
//! nearest key: a typing error is never a silent default.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::Columns;
use crate::config::options::{CommandOptions, Opt, OptionKind};
use crate::{Error, Result};

/// Name of the file that is looked for.
pub const NAME: &str = "chehra.toml";

/// The key, at the top, of the zone in which times without one are meant, and in which people are shown all times.
const TIME_ZONE: &str = "time_zone";

/// A value as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A text, a number or a time, as one would type it.
    Word(String),
    /// Several of those.
    List(Vec<String>),
}

/// One line of the file that sets an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The command's words; empty at the top.
    pub section: Vec<String>,
    /// The option.
    pub key: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// What it is set to.
    pub value: Value,
}

/// A configuration file, read and checked.
#[derive(Debug, Clone)]
pub struct File {
    /// Where it lies.
    pub path: PathBuf,
    /// What it sets, in its order.
    pub entries: Vec<Entry>,
    /// What the dump's columns are called.
    pub columns: Columns,
    /// Lines of the columns it names: (`chehra`'s name, line).
    pub column_lines: Vec<(String, usize)>,
}

/// The nearest `chehra.toml`, in `start` or a folder above it.
///
/// # Errors
/// [`Error::Input`] when anybody on the machine may write it, or put one there: it could redirect where faces go.
pub fn find(start: &Path) -> Result<Option<PathBuf>> {
    let Some(path) = start.ancestors().map(|folder| folder.join(NAME)).find(|path| path.is_file()) else {
        return Ok(None);
    };
    #[cfg(unix)]
    for place in [path.as_path(), path.parent().unwrap_or(start)] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(place).map_err(Error::io("look at", place))?.permissions().mode();
        if mode & 0o002 != 0 {
            return Err(Error::input(
                &path,
                "configuration file found on the way up",
                "a file and a folder that not everybody may write",
                format!("{} has mode {:o}", place.display(), mode & 0o7777),
                "chmod o-w it, name it with --config if you trust it, or leave it out with --no-config",
            ));
        }
    }
    Ok(Some(path))
}

impl File {
    /// Reads a file and holds it against the commands' options.
    ///
    /// # Errors
    /// [`Error::Input`] with the line when the file is missing, is not TOML, has a key that no command knows, or a value
    /// of another shape than the option takes.
    pub fn read(path: &Path, commands: &[CommandOptions]) -> Result<File> {
        let bytes = std::fs::read(path).map_err(|error| {
            let expected = "a TOML file (`chehra config init` writes one)";
            Error::input(path, "configuration", expected, error.to_string(), "check --config and CHEHRA_CONFIG")
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let found = format!("another byte at position {}", error.utf8_error().valid_up_to());
            Error::input(path, "configuration", "text in UTF-8", found, "save the file as UTF-8")
        })?;
        let mut reader = Reader { path, text: &text, commands, entries: Vec::new() };
        let table = DeTable::parse(&text).map_err(|error| {
            let line = reader.line(&error.span().unwrap_or_default());
            reader.refuse(line, "", "TOML", error.message().to_owned(), "correct this line")
        })?;
        let (columns, column_lines) = reader.columns(table.get_ref())?;
        reader.section(table.get_ref(), &[])?;
        let mut entries = reader.entries;
        entries.sort_by_key(|entry| entry.line);
        Ok(File { path: path.to_owned(), entries, columns, column_lines })
    }

    /// The folder from which its paths start.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The entry for an option of a command, the narrowest section first.
    pub fn entry(&self, command: &CommandOptions, option: &Opt) -> Option<&Entry> {
        let named = |section: &[String]| self.entries.iter().find(|e| e.key == option.key && e.section == section);
        command.sections().find_map(named)
    }
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    commands: &'a [CommandOptions],
    entries: Vec<Entry>,
}

impl Reader<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        self.text.bytes().take(span.start).filter(|&byte| byte == b'\n').count() + 1
    }

    fn refuse(&self, line: usize, key: &str, expected: &str, found: String, fix: &str) -> Error {
        let item = if key.is_empty() { format!("line {line}") } else { format!("line {line}, {key}") };
        Error::input(self.path, item, expected, found, fix)
    }

    fn columns(&self, table: &DeTable<'_>) -> Result<(Columns, Vec<(String, usize)>)> {
        let mut known: Vec<String> = Columns::default().pairs().iter().map(|(name, _)| (*name).to_owned()).collect();
        known.push("captured_at_format".to_owned());
        let mut lines = Vec::new();
        let mut chosen = toml::Table::new();
        if let Some((key, value)) = table.get_key_value(TIME_ZONE) {
            let line = self.line(&key.span());
            let Some(name) = value.get_ref().as_str() else {
                let fix = "write the name of the zone in quotes, as \"Asia/Kolkata\"";
                return Err(self.refuse(line, TIME_ZONE, "the IANA name of a time zone", kind_of(value), fix));
            };
            chosen.insert(TIME_ZONE.to_owned(), toml::Value::String(name.to_owned()));
            lines.push((TIME_ZONE.to_owned(), line));
        }
        let Some(value) = table.get("columns") else { return self.made(chosen, lines) };
        let Some(section) = value.get_ref().as_table() else {
            let line = self.line(&value.span());
            return Err(self.refuse(line, "columns", "a table, [columns]", kind_of(value), "write [columns] above"));
        };
        for (key, value) in section {
            let (name, line) = (key.get_ref().to_string(), self.line(&key.span()));
            if !known.contains(&name) {
                let expected = "a column that chehra knows, in [columns]";
                return Err(self.refuse(
                    line,
                    &name,
                    expected,
                    "a name it does not know".into(),
                    &did_you_mean(&name, &known),
                ));
            }
            let Some(text) = value.get_ref().as_str() else {
                let fix = "write the name in quotes; \"\" leaves an optional column out";
                return Err(self.refuse(line, &name, "the column's name in the dump", kind_of(value), fix));
            };
            chosen.insert(name.clone(), toml::Value::String(text.to_owned()));
            lines.push((name, line));
        }
        self.made(chosen, lines)
    }

    fn made(&self, chosen: toml::Table, lines: Vec<(String, usize)>) -> Result<(Columns, Vec<(String, usize)>)> {
        let columns = chosen.try_into().map_err(|error| Error::bug("reading [columns]", error))?;
        Ok((columns, lines))
    }

    /// Commands at and below a section.
    fn below(&self, section: &[String]) -> impl Iterator<Item = &CommandOptions> {
        self.commands.iter().filter(move |command| command.is_in_files && command.path.starts_with(section))
    }

    fn section(&mut self, table: &DeTable<'_>, section: &[String]) -> Result<()> {
        for (key, value) in table {
            let line = self.line(&key.span());
            let name = key.get_ref().to_string();
            if section.is_empty() && (name == "columns" || name == TIME_ZONE) {
                continue;
            }
            let deeper = [section, std::slice::from_ref(&name)].concat();
            if let Some(inner) = value.get_ref().as_table()
                && self.below(&deeper).next().is_some()
            {
                self.section(inner, &deeper)?;
                continue;
            }
            let key = name.replace('-', "_");
            let options: Vec<Opt> =
                self.below(section).filter_map(|c| c.option(&key)).filter(|o| o.is_in_files).cloned().collect();
            if options.is_empty() {
                return Err(self.unknown(section, &name, line));
            }
            let value = self.value(value, &name, line)?;
            for option in &options {
                shape(option, &value).map_err(|(expected, found)| {
                    self.refuse(line, &name, expected, found, "correct the value, or see `chehra COMMAND --help`")
                })?;
            }
            if let Some(twice) = self.entries.iter().find(|entry| entry.section == section && entry.key == key) {
                let found = format!("set in line {} as well", twice.line);
                return Err(self.refuse(line, &name, "each option once in a section", found, "keep one of them"));
            }
            self.entries.push(Entry { section: section.to_vec(), key, line, value });
        }
        Ok(())
    }

    fn value(&self, value: &Spanned<DeValue<'_>>, key: &str, line: usize) -> Result<Value> {
        let refuse = |found| {
            let expected = "a text, a number, true or false, or a list of texts and numbers";
            self.refuse(line, key, expected, found, "see `chehra COMMAND --help` for what the option takes")
        };
        match value.get_ref() {
            DeValue::Boolean(value) => Ok(Value::Bool(*value)),
            DeValue::Array(items) => {
                let words = items.iter().map(|item| word(item.get_ref()).ok_or_else(|| refuse(kind_of(item))));
                Ok(Value::List(words.collect::<Result<_>>()?))
            }
            other => word(other).map(Value::Word).ok_or_else(|| refuse(kind_of(value))),
        }
    }

    fn unknown(&self, section: &[String], name: &str, line: usize) -> Error {
        let mut known: Vec<String> = self
            .below(section)
            .flat_map(|c| c.options.iter().filter(|o| o.is_in_files).map(|o| o.key.clone()))
            .collect();
        known.extend(self.below(section).filter_map(|command| command.path.get(section.len()).cloned()));
        if section.is_empty() {
            known.extend(["columns".to_owned(), TIME_ZONE.to_owned()]);
        }
        let place = if section.is_empty() { "at the top".to_owned() } else { format!("in [{}]", section.join(".")) };
        let key = name.replace('-', "_");
        let is_owner = |command: &&CommandOptions| command.option(&key).is_some_and(|option| option.is_in_files);
        let owners: Vec<String> =
            self.below(&[]).filter(is_owner).map(|command| format!("[{}]", command.path.join("."))).collect();
        let fix = match owners.is_empty() {
            _ if ["config", "no_config"].contains(&key.as_str()) => {
                "a file cannot say which file is read: use the flag, or its variable".into()
            }
            true => did_you_mean(name, &known),
            false => format!("it is an option of {}: set it there, or at the top for all of them", owners.join(", ")),
        };
        let expected = format!("the name of an option or of a command, {place}");
        self.refuse(line, name, &expected, "a key that nothing reads".into(), &fix)
    }
}

/// A single value as one would type it.
fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => match number.radix() {
            10 => Some(number.as_str().replace('_', "")),
            radix => i64::from_str_radix(&number.as_str().replace('_', ""), radix).ok().map(|n| n.to_string()),
        },
        DeValue::Float(number) => Some(number.as_str().replace('_', "")),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn kind_of(value: &Spanned<DeValue<'_>>) -> String {
    match value.get_ref().type_str() {
        "array" => "a list".into(),
        "integer" => "a whole number".into(),
        kind => format!("a {kind}"),
    }
}

/// Whether an option can take a value of this shape; else what was expected and found.
pub(super) fn shape(option: &Opt, value: &Value) -> Result<(), (&'static str, String)> {
    let found = match value {
        Value::Bool(value) => format!("{value}"),
        Value::Word(word) => format!("\"{word}\""),
        Value::List(words) => format!("a list of {}", words.len()),
    };
    match (option.kind, value) {
        (OptionKind::Flag, Value::Bool(_)) | (OptionKind::One, Value::Word(_)) => Ok(()),
        (OptionKind::Many, Value::Word(_) | Value::List(_)) => Ok(()),
        (OptionKind::Count, Value::Word(word)) if word.parse::<u8>().is_ok() => Ok(()),
        (OptionKind::Flag, _) => Err(("true or false", found)),
        (OptionKind::Count, _) => Err(("a small whole number", found)),
        (OptionKind::One, _) => Err(("one text or number", found)),
        (OptionKind::Many, _) => Err(("a text or a list of texts", found)),
    }
}

/// The known name that a misspelt one most likely stands for.
pub fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let typed = name.replace('-', "_").to_lowercase();
    let distances = known.iter().map(|other| (strsim::damerau_levenshtein(&typed, &other.to_lowercase()), other));
    distances.min().filter(|(distance, _)| *distance <= 1 + name.len() / 3).map(|(_, other)| other.as_str())
}

fn did_you_mean(name: &str, known: &[String]) -> String {
    match nearest(name, known) {
        Some(other) => format!("did you mean `{other}`?"),
        None => "`chehra config init --out -` prints every key".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::{commands, tests::sample};

    fn read(text: &str) -> Result<File> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        std::fs::write(&path, text).unwrap();
        File::read(&path, &commands(&sample()))
    }

    fn refusal(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn entries_have_their_lines_and_sections() {
        let file = read(
            "# night\nthreads = 0x04\n\n[audit]\nstore = \"s\"\ncarry = [\"a\", 2]\n[gallery.forget]\nmember = \"x\"\n",
        )
        .unwrap();
        let lines: Vec<(usize, String)> = file.entries.iter().map(|e| (e.line, e.key.clone())).collect();
        let right = [(2, "threads"), (5, "store"), (6, "carry"), (8, "member")].map(|(n, k)| (n, k.to_owned()));
        assert_eq!(lines, right);
        assert_eq!(file.entries[0].value, Value::Word("4".into()));
        assert_eq!(file.entries[2].value, Value::List(vec!["a".into(), "2".into()]));
        assert_eq!(file.entries[3].section, ["gallery", "forget"]);
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line_and_the_nearest() {
        for (text, line, fix) in [
            ("\nthread = 2", "line 2, thread", "did you mean `threads`?"),
            ("[audit]\nstroe = \"x\"", "line 2, stroe", "did you mean `store`?"),
            ("[adit]\nstore = \"x\"", "line 1, adit", "did you mean `audit`?"),
            ("[gallery]\nforce = true", "line 2, force", "an option of [audit]"),
            ("zzzzzzzz = 1", "line 1, zzzzzzzz", "config init"),
            ("config = \"x\"", "line 1, config", "use the flag"),
            ("[columns]\nselfy = \"x\"", "line 2, selfy", "did you mean `selfie`?"),
        ] {
            let error = refusal(text);
            assert!(error.contains(line) && error.contains(fix), "{text}: {error}");
        }
    }

    #[test]
    fn a_wrong_shape_is_refused_with_its_line() {
        for (text, words) in [
            ("[audit]\nforce = \"yes\"", "true or false"),
            ("[audit]\nstore = [\"a\"]", "one text or number"),
            ("[audit]\nstore = true", "one text or number"),
            ("verbose = \"much\"", "small whole number"),
            ("[audit]\ncarry = [[1]]", "a list"),
            ("[audit]\nreview-budget = 1\nreview_budget = 2", "as well"),
            ("columns = 3", "a table"),
            ("[columns]\nselfie = 3", "in quotes"),
            ("[audit\nstore = 1", "line 1"),
            ("threads = ", "line 1"),
        ] {
            let error = refusal(text);
            assert!(error.contains("line ") && error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_renamed_column_keeps_the_other_names() {
        let file = read("[columns]\nselfie = \"image_bytes\"\nphoto = \"\"\n").unwrap();
        assert_eq!((file.columns.selfie.as_str(), file.columns.photo.as_str()), ("image_bytes", ""));
        assert_eq!(file.columns.worker_id, Columns::default().worker_id);
        assert_eq!(file.column_lines, [("photo".to_owned(), 3), ("selfie".to_owned(), 2)]);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        std::fs::write(&path, b"threads = 2\n# \xff\n").unwrap();
        assert!(File::read(&path, &[]).unwrap_err().to_string().contains("position 14"));
        assert!(File::read(&folder.path().join("none"), &[]).unwrap_err().to_string().contains("check --config"));
    }

    #[test]
    #[cfg(unix)]
    fn a_file_is_found_upward_unless_everybody_may_write_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(find(&deep).unwrap(), None, "a file above the temporary folder is in the way of this test");
        let path = folder.path().join(NAME);
        std::fs::write(&path, "").unwrap();
        assert_eq!(find(&deep).unwrap(), Some(path.clone()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(find(&deep).unwrap_err().to_string().contains("mode 666"));
    }
}
