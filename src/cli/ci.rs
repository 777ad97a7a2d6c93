//! For continuous integration: conditions that a result must meet, as JUnit XML, and its figures as the JSON that
//! github-action-benchmark reads (`customSmallerIsBetter`).

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::{Common, json as print_json, print, print_as};
use crate::output::{check_file, write_durably_for_all};
use crate::{Error, Result};

/// The heading of these options in the help.
pub const HEADING: &str = "Continuous integration";

/// Conditions, and where to say what became of them.
#[derive(Debug, Args)]
pub struct GateArgs {
    /// What must hold of the result, else the exit code is 1: PATH>=NUMBER or PATH<=NUMBER, PATH as in the JSON of --json
    /// (`accuracy.mean>=0.99`, `patterns.duplicate_same_district.recall.rate>=0.6`)
    #[arg(long, value_name = "CONDITION", help_heading = HEADING)]
    gate: Vec<Gate>,
    /// Write what became of each --gate as JUnit XML
    #[arg(long, value_name = "FILE", help_heading = HEADING, requires = "gate")]
    junit: Option<PathBuf>,
    /// Write the figures of each --gate as JSON for github-action-benchmark; of those with >= how much 1 is more
    #[arg(long, value_name = "FILE", help_heading = HEADING, requires = "gate")]
    benchmark: Option<PathBuf>,
}

impl GateArgs {
    /// Whether its files may be written: asked before the work.
    ///
    /// # Errors
    /// [`Error::Usage`] and [`Error::Input`] for files of others.
    pub fn check(&self) -> Result<()> {
        may_write(self.junit.as_deref(), self.benchmark.as_deref())
    }

    /// Prints a report, and what became of the conditions.
    ///
    /// # Errors
    /// [`Error::Failed`], naming the conditions that do not hold; [`Error::Usage`] for a path that leads nowhere.
    pub fn judge<T: Serialize + Display>(&self, suite: &str, report: &T, common: &Common) -> Result<()> {
        if self.gate.is_empty() {
            return print_as(report, common.json);
        }
        let value = serde_json::to_value(report).map_err(|e| Error::bug("judging a report", e))?;
        let found: Result<Vec<Option<f64>>> = self.gate.iter().map(|gate| gate.find(&value)).collect();
        let Ok(found) = found else {
            // The figures took their time: they are shown whatever is wrong with the condition.
            print_as(report, common.json)?;
            return found.map(|_| ());
        };
        let cases: Vec<Case> = self.gate.iter().zip(&found).map(|(gate, &found)| gate.case(found)).collect();
        match common.json {
            true => print_json(&json!({ "report": value, "gates": cases }))?,
            false => {
                let lines: Vec<String> = cases.iter().map(ToString::to_string).collect();
                print(&format!("{report}\n\n{}", lines.join("\n")))?;
            }
        }
        if let Some(file) = &self.junit {
            write_durably_for_all(file, junit(suite, &cases).as_bytes())?;
        }
        if let Some(file) = &self.benchmark {
            let figures = self.gate.iter().zip(&found).filter_map(|(gate, found)| gate.figure(suite, (*found)?));
            write_figures(file, &figures.collect::<Vec<_>>())?;
        }
        let failed: Vec<&str> = cases.iter().filter_map(|case| case.problem.as_deref()).collect();
        if failed.is_empty() { Ok(()) } else { Err(Error::Failed(failed.join("; "))) }
    }
}

/// Refuses to replace files of others.
///
/// # Errors
/// [`Error::Usage`] and [`Error::Input`].
pub fn may_write(junit: Option<&Path>, benchmark: Option<&Path>) -> Result<()> {
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let is_junit = |path: &Path| text(path).contains("<testsuites name=\"chehra ");
    let is_figures = |path: &Path| serde_json::from_str::<Vec<Figure>>(&text(path)).is_ok();
    junit.map_or(Ok(()), |file| check_file("--junit", file, &[], "JUnit XML of chehra", is_junit))?;
    benchmark.map_or(Ok(()), |file| check_file("--benchmark", file, &[], "figures of a benchmark", is_figures))
}

/// A condition: `PATH>=NUMBER` or `PATH<=NUMBER`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    path: String,
    at_least: bool,
    limit: f64,
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Gate, String> {
        let found = [(">=", true), ("<=", false)].into_iter().find_map(|(sign, at_least)| {
            let (path, limit) = text.split_once(sign)?;
            let limit = limit.trim().parse::<f64>().ok().filter(|limit| limit.is_finite())?;
            Some(Gate { path: path.trim().to_owned(), at_least, limit })
        });
        found.filter(|gate| !gate.path.is_empty()).ok_or_else(|| "PATH>=NUMBER or PATH<=NUMBER expected".to_owned())
    }
}

impl Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.path, if self.at_least { ">=" } else { "<=" }, self.limit)
    }
}

impl Gate {
    /// The number that the path leads to; `None` where nothing was measured.
    fn find(&self, report: &Value) -> Result<Option<f64>> {
        let mut at = report;
        for word in self.path.split('.') {
            at = step(at, word).ok_or_else(|| {
                let problem = format!("{}: there is no '{word}' in the result", self.path);
                Error::usage("--gate", problem, format!("name one of these: {}", names(at).join(", ")))
            })?;
        }
        match at {
            Value::Number(number) => Ok(number.as_f64()),
            Value::Null => Ok(None),
            other => {
                let problem = format!("{} is no number", self.path);
                Err(Error::usage("--gate", problem, format!("go on with one of these: {}", names(other).join(", "))))
            }
        }
    }

    fn case(&self, found: Option<f64>) -> Case {
        let holds = found.is_some_and(|value| if self.at_least { value >= self.limit } else { value <= self.limit });
        let problem = (!holds).then(|| match found {
            Some(value) => format!("{} is {value}, and must be {} {}", self.path, self.direction(), self.limit),
            None => format!("{}: nothing was measured, and it must be {} {}", self.path, self.direction(), self.limit),
        });
        Case { name: self.to_string(), value: found, problem }
    }

    fn direction(&self) -> &'static str {
        if self.at_least { "at least" } else { "at most" }
    }

    /// Smaller is better, as the reader has one direction for a whole file.
    fn figure(&self, suite: &str, value: f64) -> Option<Figure> {
        let (name, value) = match self.at_least {
            true => (format!("{suite}: 1 - {}", self.path), 1.0 - value),
            false => (format!("{suite}: {}", self.path), value),
        };
        value.is_finite().then(|| Figure {
            name,
            unit: "share".into(),
            value,
            range: None,
            extra: Some(self.to_string()),
        })
    }
}

/// One step down: a key, the number of an entry, or the entry of a list that bears this name.
fn step<'a>(at: &'a Value, word: &str) -> Option<&'a Value> {
    match at {
        Value::Object(fields) => fields.get(word),
        Value::Array(entries) => {
            let numbered = word.parse::<usize>().ok().and_then(|number| entries.get(number));
            numbered.or_else(|| entries.iter().find(|entry| name_of(entry) == Some(word)))
        }
        _ => None,
    }
}

/// The name of a list's entry: its first field, where that is a text.
fn name_of(entry: &Value) -> Option<&str> {
    entry.as_object()?.values().next()?.as_str()
}

fn names(at: &Value) -> Vec<String> {
    match at {
        Value::Object(fields) => fields.keys().cloned().collect(),
        Value::Array(entries) => {
            let name = |(number, entry)| name_of(entry).map_or_else(|| usize::to_string(&number), str::to_owned);
            entries.iter().enumerate().map(name).collect()
        }
        _ => vec!["nothing: the path ends before it".to_owned()],
    }
}

/// A condition, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// Which.
    pub name: String,
    /// What was measured.
    pub value: Option<f64>,
    /// Why it does not hold.
    pub problem: Option<String>,
}

impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            None => write!(f, "gate passed: {}, found {}", self.name, self.value.unwrap_or(f64::NAN)),
            Some(problem) => write!(f, "gate FAILED: {problem}"),
        }
    }
}

/// JUnit XML, as GitLab, Jenkins and GitHub's actions read it: one suite, one case for each condition.
pub fn junit(suite: &str, cases: &[Case]) -> String {
    let failures = cases.iter().filter(|case| case.problem.is_some()).count();
    let (suite, counts) = (xml(suite), format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\"", cases.len()));
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"chehra {suite}\" {counts}>\n  \
         <testsuite name=\"chehra {suite}\" {counts}>\n"
    );
    for Case { name, value, problem } in cases {
        text += &format!("    <testcase classname=\"chehra.{}\" name=\"{}\">\n", suite.replace(' ', "."), xml(name));
        if let Some(problem) = problem {
            text += &format!("      <failure message=\"{0}\">{0}</failure>\n", xml(problem));
        }
        if let Some(value) = value {
            text += &format!("      <system-out>{value}</system-out>\n");
        }
        text += "    </testcase>\n";
    }
    text + "  </testsuite>\n</testsuites>\n"
}

/// A text in XML 1.0, which knows no control characters.
fn xml(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// One figure for github-action-benchmark.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct Figure {
    /// Which.
    pub name: String,
    /// Of the value.
    pub unit: String,
    /// Smaller is better.
    pub value: f64,
    /// How far it scatters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// Anything for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<String>,
}

/// Writes figures.
///
/// # Errors
/// [`Error::Io`] when the disk refuses.
pub fn write_figures(file: &Path, figures: &[Figure]) -> Result<()> {
    let text = serde_json::to_string_pretty(figures).map_err(|e| Error::bug("writing figures", e))?;
    write_durably_for_all(file, (text + "\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_finds_its_number() {
        let report =
            json!({"a": {"b": 0.5, "none": null}, "list": [{"reason": "x", "rate": 1}, {"reason": "y", "rate": 2}]});
        let found = |text: &str| text.parse::<Gate>().unwrap().find(&report);
        assert_eq!(found("a.b>=0.1").unwrap(), Some(0.5));
        assert_eq!(found("list.y.rate <= 3").unwrap(), Some(2.0));
        assert_eq!(found("list.0.rate<=3").unwrap(), Some(1.0));
        assert_eq!(found("a.none<=3").unwrap(), None);
        let problem = |text: &str| found(text).unwrap_err().to_string();
        assert!(problem("a.c>=1").contains("name one of these: b, none"));
        assert!(problem("list>=1").contains("go on with one of these: x, y"));
        assert!(problem("list.z>=1").contains("x, y"));
        for wrong in ["a.b", ">=1", "a.b>=x", "a.b=1", "a.b<=inf"] {
            assert!(wrong.parse::<Gate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_fails_is_named_and_what_was_not_measured_fails() {
        let gate: Gate = "a<=0.1".parse().unwrap();
        assert!(gate.case(Some(0.1)).problem.is_none());
        assert_eq!(gate.case(Some(0.2)).problem.unwrap(), "a is 0.2, and must be at most 0.1");
        assert!(gate.case(None).problem.unwrap().contains("nothing was measured"));
        let cases = [gate.case(Some(0.2)), Case { name: "<&\"\u{1}".into(), value: None, problem: None }];
        let text = junit("evaluate", &cases);
        assert!(text.contains("tests=\"2\" failures=\"1\"") && text.contains("name=\"&lt;&amp;&quot; \""), "{text}");
    }

    #[test]
    fn in_a_file_of_figures_smaller_is_better() {
        let figure = |text: &str, value| text.parse::<Gate>().unwrap().figure("s", value).unwrap();
        let (better, worse) = (figure("recall>=0.5", 0.9), figure("recall>=0.5", 0.6));
        assert!(better.value < worse.value && better.name == "s: 1 - recall");
        assert_eq!(figure("fnmr<=0.5", 0.25).value, 0.25);
    }
}
