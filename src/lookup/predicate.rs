//! A row filter as people type it: an SQL expression over the columns of a row, evaluated by SQLite.
//!
//! Rows are laid, some at a time, into a table of a database in memory, and SQLite says which of them the expression
//! holds for. So it is SQL to the letter, with SQLite's own messages and the place in the text that they are about.
//!
//! - Text columns have text affinity: `mobile = 9826012345` and `mobile = '9826012345'` are the same.
//! - `captured_at` is compared as a time ([`super::moment`]); a text that is no time is an error and not a silent "no".
//! - A text in double quotes is a column's name, as the standard has it, so a misspelt name is never a silent constant.
//! - The expression looks at one row and can do nothing else: an authorizer refuses SELECT, and every function that
//!   does more than compute from its arguments.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use super::moment;
use crate::{Error, Result};

/// Rows in the table at a time.
const BATCH: usize = 4096;

/// Functions that an expression may use, besides operators; all give the same answer for the same arguments.
const FUNCTIONS: &[&str] = &[
    "abs",
    "coalesce",
    "date",
    "datetime",
    "glob",
    "if",
    "ifnull",
    "iif",
    "instr",
    "julianday",
    "length",
    "like",
    "lower",
    "ltrim",
    "max",
    "min",
    "nullif",
    "replace",
    "round",
    "rtrim",
    "strftime",
    "substr",
    "substring",
    "time",
    "trim",
    "typeof",
    "unixepoch",
    "upper",
];

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A point in time.
    Moment,
    /// A number.
    Number,
    /// Yes or no.
    Flag,
}

/// A column that an expression may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// Not known.
    Null,
    /// A text that the row holds.
    Text(&'a str),
    /// A text made for the purpose.
    Made(String),
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl<'a> Cell<'a> {
    /// A text that may be missing.
    pub fn text(value: Option<&'a str>) -> Self {
        value.map_or(Cell::Null, Cell::Text)
    }

    /// A number that may be missing.
    pub fn number(value: Option<impl Into<f64>>) -> Self {
        value.map_or(Cell::Null, |number| Cell::Number(number.into()))
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Made(text) => ValueRef::Text(text.as_bytes()),
            Cell::Number(number) => ValueRef::Real(*number),
            Cell::Flag(flag) => ValueRef::Integer((*flag).into()),
        }))
    }
}

/// A row that an expression can look at.
pub trait Facts {
    /// The value of a column; null for a column that the row does not have.
    fn cell(&self, column: &str) -> Cell<'_>;
}

/// An expression, checked and ready.
pub struct Predicate {
    text: String,
    of: String,
    db: Connection,
    columns: Vec<Column>,
    /// The columns that it reads.
    used: Vec<&'static str>,
    watch: Arc<Mutex<Watch>>,
}

impl std::fmt::Debug for Predicate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Predicate({})", self.text)
    }
}

/// What SQLite tells while it reads or evaluates an expression.
#[derive(Debug, Default)]
struct Watch {
    /// Whether the statement in preparation holds what was typed.
    on: bool,
    selects: usize,
    used: BTreeSet<String>,
    /// Something that no expression may do.
    refused: Option<String>,
    /// A text that `captured_at` was compared with and that is no time.
    no_time: Option<String>,
}

impl Watch {
    fn judge(&mut self, action: AuthAction<'_>) -> Authorization {
        if !self.on {
            return Authorization::Allow;
        }
        match action {
            AuthAction::Select if self.selects == 0 => self.selects += 1,
            AuthAction::Read { table_name: "facts", column_name } => drop(self.used.insert(column_name.to_owned())),
            AuthAction::Function { function_name } if allowed(function_name) => {}
            AuthAction::Function { function_name } => return self.refuse(function_name),
            AuthAction::Select | AuthAction::Recursive => return self.refuse("SELECT"),
            _ => return self.refuse("a statement"),
        }
        Authorization::Allow
    }

    fn refuse(&mut self, what: &str) -> Authorization {
        self.refused = Some(what.to_owned());
        Authorization::Deny
    }
}

fn allowed(function: &str) -> bool {
    FUNCTIONS.iter().any(|known| known.eq_ignore_ascii_case(function))
}

fn lock(watch: &Mutex<Watch>) -> MutexGuard<'_, Watch> {
    // Whoever panicked while holding it left plain values behind.
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bug(error: rusqlite::Error) -> Error {
    Error::bug("filtering rows", error)
}

impl Predicate {
    /// Reads an expression over these columns, which are `of` something: "this dump", "a store".
    ///
    /// # Errors
    /// [`Error::Usage`] with the expression, the place in it, and the columns there are.
    pub fn new(text: &str, of: &str, columns: &[Column]) -> Result<Predicate> {
        let (db, watch) = open(columns).map_err(bug)?;
        let columns = columns.to_vec();
        let mut predicate =
            Predicate { text: text.to_owned(), of: of.to_owned(), db, columns, used: Vec::new(), watch };
        // In brackets and without: what closes the bracket, goes on after the expression, or opens a comment that
        // never ends, is well-formed in at most one of the two.
        predicate.check(&format!("SELECT rowid FROM facts WHERE {text}"))?;
        predicate.check(&predicate.statement())?;
        let used = std::mem::take(&mut lock(&predicate.watch).used);
        let is_used = |column: &&Column| used.contains(column.name);
        predicate.used = predicate.columns.iter().filter(is_used).map(|column| column.name).collect();
        Ok(predicate)
    }

    fn statement(&self) -> String {
        format!("SELECT rowid FROM facts WHERE ({}\n)", self.text)
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn check(&self, sql: &str) -> Result<()> {
        let prepared = self.prepare(sql).map(|statement| statement.parameter_count());
        let start = sql.find(&self.text).unwrap_or_default();
        match prepared {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.refused("a placeholder; write the value itself", self.text.find(['?', ':', '@', '$']))),
            Err(rusqlite::Error::SqlInputError { msg, offset, .. }) => {
                let at = usize::try_from(offset).ok().and_then(|offset| offset.checked_sub(start));
                Err(self.said(&msg, at))
            }
            Err(rusqlite::Error::MultipleStatement) => {
                Err(self.refused("several statements; one expression is expected", self.text.find(';')))
            }
            Err(other) => Err(self.said(&other.to_string(), None)),
        }
    }

    /// Prepares a statement that holds what was typed.
    fn prepare(&self, sql: &str) -> rusqlite::Result<rusqlite::Statement<'_>> {
        {
            let mut watch = lock(&self.watch);
            (watch.on, watch.selects, watch.refused) = (true, 0, None);
        }
        let prepared = self.db.prepare(sql);
        lock(&self.watch).on = false;
        prepared
    }

    /// For which of these rows it holds, in order.
    ///
    /// # Errors
    /// [`Error::Usage`] when it cannot be evaluated, or compares a time with something that is none.
    pub fn passing<R: Facts>(&self, rows: impl IntoIterator<Item = R>) -> Result<Vec<bool>> {
        let mut passed = Vec::new();
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            self.step(rows.by_ref().take(BATCH), &mut passed)?;
        }
        Ok(passed)
    }

    fn step<R: Facts>(&self, rows: impl Iterator<Item = R>, passed: &mut Vec<bool>) -> Result<()> {
        let first = passed.len();
        self.db.execute_batch("DELETE FROM facts; BEGIN").map_err(bug)?;
        let names: String = self.used.iter().map(|name| format!(", {name}")).collect();
        let marks = ", ?".repeat(self.used.len());
        let mut insert =
            self.db.prepare(&format!("INSERT INTO facts (rowid{names}) VALUES (?{marks})")).map_err(bug)?;
        for (number, row) in rows.enumerate() {
            insert.raw_bind_parameter(1, number as i64).map_err(bug)?;
            for (place, name) in self.used.iter().enumerate() {
                insert.raw_bind_parameter(place + 2, row.cell(name)).map_err(bug)?;
            }
            insert.raw_execute().map_err(bug)?;
            passed.push(false);
        }
        self.db.execute_batch("COMMIT").map_err(bug)?;
        let sql = self.statement();
        let mut select = self.prepare(&sql).map_err(bug)?;
        let found: rusqlite::Result<Vec<i64>> = select.query_map([], |row| row.get(0)).and_then(|rows| rows.collect());
        if let Some(text) = lock(&self.watch).no_time.take() {
            let problem = format!("captured_at is compared with '{text}', which is no time");
            let fix = "write a day as 2026-11-30, a month as 2026-11, a time as 2026-11-30T18:00 (UTC) or \
                       2026-11-30T18:00+05:30";
            return Err(Error::usage("--where", self.shown(&problem, self.text.find(&text), text.len()), fix));
        }
        for number in found.map_err(|error| self.said(&error.to_string(), None))? {
            passed[first + number as usize] = true;
        }
        Ok(())
    }

    /// SQLite's own words, with what helps.
    fn said(&self, message: &str, at: Option<usize>) -> Error {
        if let Some(what) = lock(&self.watch).refused.take() {
            let place = self.text.to_ascii_lowercase().find(&what.to_ascii_lowercase());
            return match what.as_str() {
                "SELECT" => self.refused("SELECT: an expression looks at one row", place),
                "a statement" => self.refused("more than an expression", at),
                function => self.refused(&format!("the function {function}"), place),
            };
        }
        let unknown = |start: &str| message.strip_prefix(start).and_then(|rest| rest.split(' ').next());
        if let Some(name) = unknown("no such column: ") {
            let name = name.trim_matches('"');
            let at = at.or_else(|| self.text.find(name));
            let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
            let meant = match nearest(name, &names) {
                Some(near) => format!("did you mean {near}? "),
                None => format!("a text stands in single quotes: '{name}'. "),
            };
            let fix = format!("{meant}Columns of {}: {}", self.of, names.join(", "));
            let problem = self.shown(&format!("no such column: {name}"), at, self.word(at));
            return Error::usage("--where", problem, fix);
        }
        if let Some(name) = unknown("no such function: ") {
            let meant = nearest(name, FUNCTIONS).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
            let fix = format!("{meant}Functions: {}", FUNCTIONS.join(", "));
            let at = at.or_else(|| self.text.find(name));
            return Error::usage("--where", self.shown(message, at, self.word(at)), fix);
        }
        let fix = "an SQL expression is expected, such as \"district in ('Ujjain', 'Gwalior') and captured_at >= '2026-11-01'\"";
        // What is missing at the end is missing after the last letter.
        let at = at.or_else(|| message.contains("incomplete").then_some(self.text.trim_end().len()));
        Error::usage("--where", self.shown(message, at, self.word(at)), fix)
    }

    fn refused(&self, what: &str, at: Option<usize>) -> Error {
        let problem = self.shown(&format!("not allowed here: {what}"), at, self.word(at));
        let fix = format!("columns, operators and these functions may be used: {}", FUNCTIONS.join(", "));
        Error::usage("--where", problem, fix)
    }

    /// Bytes of the word that begins at a place, quotes included.
    fn word(&self, at: Option<usize>) -> usize {
        let rest = at.and_then(|at| self.text.get(at..)).unwrap_or_default();
        let belongs = |letter: char| letter.is_alphanumeric() || "_\".".contains(letter);
        rest.find(|letter| !belongs(letter)).unwrap_or(rest.len()).max(1)
    }

    /// The message, and below it the line of the expression that it is about, with the word marked.
    fn shown(&self, message: &str, at: Option<usize>, length: usize) -> String {
        let Some(at) = at.filter(|&at| at <= self.text.len() && self.text.is_char_boundary(at)) else {
            return format!("{message}\n    {}", self.text.replace('\n', "\n    "));
        };
        let start = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        let before = " ".repeat(self.text[start..at].chars().count());
        let marked = self.text.get(at..at + length).map_or(1, |word| word.chars().count().max(1));
        format!("{message}\n    {line}\n    {before}{}", "^".repeat(marked))
    }
}

/// A database in memory with an empty table of the columns.
fn open(columns: &[Column]) -> rusqlite::Result<(Connection, Arc<Mutex<Watch>>)> {
    let mut db = Connection::open_in_memory()?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    let watch = Arc::new(Mutex::new(Watch::default()));
    let seen = watch.clone();
    db.create_collation("moment", move |a: &str, b: &str| {
        moment::compare(a, b).unwrap_or_else(|text| {
            lock(&seen).no_time.get_or_insert_with(|| text.to_owned());
            a.cmp(b)
        })
    })?;
    let kind = |column: &Column| match column.kind {
        Kind::Text => "TEXT",
        Kind::Moment => "TEXT COLLATE moment",
        Kind::Number => "REAL",
        Kind::Flag => "INTEGER",
    };
    let list: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, kind(column))).collect();
    db.execute_batch(&format!("CREATE TABLE facts ({})", list.join(", ")))?;
    let seen = watch.clone();
    db.authorizer(Some(move |context: AuthContext<'_>| lock(&seen).judge(context.action)))?;
    Ok((db, watch))
}

/// The one of these names that a misspelt one was most likely meant to be.
fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let name = name.to_lowercase();
    let alike = |known: &&&str| strsim::jaro_winkler(&name, known);
    let best = names.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(&best) >= 0.8).then_some(*best)
}

#[cfg(test)]
mod tests;
