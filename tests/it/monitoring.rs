//! Metrics for Prometheus, and the command that is told of the end: what they say, and that they change nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::util::{Place, chehra, fixture, run};

/// Samples of a file in Prometheus' text-based exposition format 0.0.4, by name and labels as written; panics where the
/// file breaks its rules: HELP and TYPE once before a metric's samples, all of them together, none twice.
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    let name = |word: &str| {
        let is_letter =
            |(i, c): (usize, char)| c.is_ascii_alphabetic() || "_:".contains(c) || i > 0 && c.is_ascii_digit();
        assert!(!word.is_empty() && word.chars().enumerate().all(is_letter), "no name: {word}");
        word.to_owned()
    };
    let (mut found, mut families, mut helped) = (BTreeMap::new(), Vec::new(), None);
    assert!(text.ends_with('\n'), "the last line ends as well");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = Some(name(rest.split_once(' ').expect("a text after the name").0));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (family, kind) = rest.split_once(' ').expect("a type");
            assert_eq!((Some(name(family)), kind), (helped.take(), "gauge"), "{line}");
            assert!(!families.contains(&family.to_owned()), "{family} twice");
            families.push(family.to_owned());
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let (family, labels) = sample.split_once('{').expect("labels");
            assert_eq!(families.last(), Some(&name(family)), "{line}: after its own TYPE");
            let mut rest = labels.strip_suffix('}').expect("an end of the labels");
            while !rest.is_empty() {
                let (label, after) = rest.split_once("=\"").expect("a quoted value");
                name(label);
                let mut escaped = false;
                let end = after.find(|c| {
                    let is_end = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    is_end
                });
                rest = &after[end.expect("an end of the value") + 1..];
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            assert!(found.insert(sample.to_owned(), value.parse().expect("a number")).is_none(), "{sample} twice");
        }
    }
    assert!(!found.is_empty(), "no sample");
    found
}

struct Night {
    place: Place,
}

impl Night {
    fn new() -> Self {
        Night { place: Place::new() }
    }

    /// An audit of these words with store and metrics.
    fn audit(&self, out: &str, words: &[&str]) -> Command {
        let mut command = chehra();
        command.current_dir(&self.place.dir).args([
            "audit",
            "--store",
            "store",
            "--metrics",
            "audit.prom",
            "--out",
            out,
        ]);
        command.args(words);
        command
    }

    fn metrics(&self) -> Metrics {
        Metrics(samples(&fs::read_to_string(self.place.path("audit.prom")).unwrap()))
    }

    /// A script of the tester's that writes down what it is told, and then does this.
    fn script(&self, then: &str) -> String {
        let path = self.place.path("page.sh");
        let told = self.place.path("told");
        let text = format!("printf '%s\\n' \"$#\" \"$@\" > '{}'\n{then}\n", told.display());
        fs::write(&path, text).unwrap();
        format!("sh '{}'", path.display())
    }

    fn told(&self) -> Vec<String> {
        fs::read_to_string(self.place.path("told")).unwrap().lines().map(str::to_owned).collect()
    }
}

struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// The one sample of this metric in which these words stand.
    fn get(&self, name: &str, label: &str) -> Option<f64> {
        let mut found =
            self.0.iter().filter(|(key, _)| key.starts_with(&format!("chehra_{name}{{")) && key.contains(label));
        let value = found.next().map(|(_, value)| *value);
        assert!(found.next().is_none(), "{name} {label} stands for several");
        value
    }
}

fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_good_night_and_a_failed_one_are_told_in_metrics_and_to_the_command() {
    let night = Night::new();
    let dump = fixture("night2");
    let script = night.script("echo told-on-standard-output");
    let command = format!("{script} night");
    let words = ["--json", "--notify-command", &command, word(&dump)];
    let (code, stdout, stderr) = run(&mut night.audit("out", &words));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str::<Value>(&stdout).expect("standard output is the answer alone");
    assert!(stderr.contains("told-on-standard-output"), "{stderr}");
    let record = night.place.path("out/run.json");
    let told = night.told();
    assert_eq!(told[..4], ["4", "night", word(&record.canonicalize().unwrap()), "0"].map(str::to_owned), "{told:?}");

    let record: Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    let metrics = night.metrics();
    for verdict in ["accept", "review", "retake", "reject", "unreadable"] {
        let counted = record["summary"]["verdicts"].get(verdict).map_or(0.0, |count| count.as_f64().unwrap());
        assert_eq!(metrics.get("audit_rows", &format!("verdict=\"{verdict}\"")), Some(counted), "{verdict}");
    }
    let duplicates = record["summary"]["reasons"]["duplicate_member"].as_f64();
    assert!(duplicates > Some(0.0));
    assert_eq!(metrics.get("audit_reasons", "reason=\"duplicate_member\""), duplicates);
    assert_eq!(metrics.get("audit_review_queue_persons", ""), record["review"]["persons"].as_f64());
    assert_eq!(metrics.get("audit_duplicate_pairs", ""), record["summary"]["pairs"].as_f64());
    assert_eq!(metrics.get("store_members", ""), record["members_added_to_store"].as_f64());
    assert!(metrics.get("store_bytes", "") > Some(1000.0));
    let expected = record["rows"].as_f64();
    assert_eq!(
        (metrics.get("audit_selfies_seen", ""), metrics.get("audit_selfies_expected", "")),
        (expected, expected)
    );
    for stage in record["stages"].as_array().unwrap() {
        let (name, seconds) = (stage["stage"].as_str().unwrap(), stage["seconds"].as_f64());
        assert_eq!(metrics.get("audit_stage_seconds", &format!("stage=\"{name}\"")), seconds, "{name}");
    }
    assert_eq!((metrics.get("audit_running", ""), metrics.get("audit_exit_code", "")), (Some(0.0), Some(0.0)));
    let good = metrics.get("audit_last_success_timestamp_seconds", "");
    assert!(good > Some(1.7e9) && good <= metrics.get("audit_updated_timestamp_seconds", ""));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(night.place.path("audit.prom")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "the collector is another user");
    }

    // The next dump is damaged: what is known of the good night stays.
    let broken = fixture("broken/truncated.parquet");
    let (code, _, stderr) = run(&mut night.audit("next", &["--notify-command", &script, word(&broken)]));
    assert_eq!(code, 65, "{stderr}");
    let told = night.told();
    assert_eq!(told[..3], ["3", "", "65"].map(str::to_owned), "{told:?}");
    assert!(told[3].contains("truncated.parquet"), "{told:?}");
    let after = night.metrics();
    assert_eq!((after.get("audit_exit_code", ""), after.get("audit_running", "")), (Some(65.0), Some(0.0)));
    assert_eq!(after.get("audit_last_success_timestamp_seconds", ""), good);
    assert_eq!(after.get("audit_reasons", "reason=\"duplicate_member\""), duplicates);
    assert_eq!(after.get("audit_stage_seconds", "stage=\"see\""), None, "of the audit that ended");
    assert_eq!(night.place.list().iter().filter(|name| name.contains(".prom")).count(), 1, "nothing lies beside it");
}

#[test]
fn metrics_that_cannot_be_written_cost_no_night_and_replace_nothing_of_others() {
    let night = Night::new();
    let dump = fixture("night2");
    let (code, _, stderr) = run(&mut night.audit("out", &["--metrics", "nowhere/audit.prom", word(&dump)]));
    // The flag twice is wrong usage; so by variable.
    assert_eq!(code, 64, "{stderr}");
    let audit = |out: &str, metrics: &str| {
        let mut command = chehra();
        command.current_dir(&night.place.dir).args(["audit", "--out", out]).arg(&dump).env("CHEHRA_METRICS", metrics);
        run(&mut command)
    };
    let (code, _, stderr) = audit("out", "nowhere/audit.prom");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stderr.matches("no metrics: ").count(), 1, "said once: {stderr}");
    assert!(stderr.contains("nowhere") && night.place.path("out/verdicts.parquet").is_file(), "{stderr}");
    // What is not ours is refused before any work.
    fs::write(night.place.path("notes.prom"), "mine").unwrap();
    let (code, _, stderr) = audit("second", "notes.prom");
    assert!(code == 65 && stderr.contains("another file") && !night.place.path("second").exists(), "{stderr}");
    assert_eq!(fs::read_to_string(night.place.path("notes.prom")).unwrap(), "mine");
    let (code, _, stderr) = audit("third", "third/audit.prom");
    assert!(code == 64 && stderr.contains("lies in the run folder"), "{stderr}");
}

#[test]
#[cfg(unix)]
fn a_command_that_fails_hangs_or_is_not_there_changes_no_exit_code() {
    let night = Night::new();
    let dump = fixture("night2");
    let audit = |command: &str| {
        run(&mut night.audit("out", &["--force", "--notify-timeout", "1", "--notify-command", command, word(&dump)]))
    };
    let (code, _, stderr) = audit(&night.script("exit 3"));
    assert!(code == 0 && stderr.contains("failed: exit status: 3"), "{code}: {stderr}");
    let (code, _, stderr) = audit("/no/such/pager");
    assert!(code == 0 && stderr.contains("failed: exit status: 127"), "{code}: {stderr}");
    // A child of the command holds standard error: it must go too, or whoever reads that waits for it.
    let pid = night.place.path("pid");
    let hangs = night.script(&format!("sleep 600 & echo $! > '{}'; wait", pid.display()));
    let (code, _, stderr) = audit(&hangs);
    assert!(code == 0 && stderr.contains("was stopped after 1 s") && stderr.contains("--notify-timeout"), "{stderr}");
    let child = fs::read_to_string(pid).unwrap();
    let (alive, ..) = run(Command::new("sh").args(["-c", "kill -s 0 \"$0\"", child.trim()]));
    let status = fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    assert!(alive != 0 || status.contains(") Z "), "the command's own child still runs");
    // Nor does it hide how an audit failed.
    let broken = fixture("broken/truncated.parquet");
    let words = ["--notify-command", "/no/such/pager", word(&broken)];
    assert_eq!(run(&mut night.audit("broken", &words)).0, 65);
}

#[test]
fn both_can_stand_in_the_configuration_file() {
    let night = Night::new();
    let script = night.script("").replace('\\', "\\\\");
    let text = format!("store = \"store\"\n[audit]\nmetrics = \"file.prom\"\nnotify_command = \"{script}\"\n");
    fs::write(night.place.path("chehra.toml"), text).unwrap();
    let mut command = chehra();
    command.current_dir(&night.place.dir).args(["audit", "--out", "out"]).arg(fixture("night2"));
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(night.told()[2], "0");
    let metrics = samples(&fs::read_to_string(night.place.path("file.prom")).unwrap());
    assert!(metrics.keys().any(|key| key.contains(word(&night.place.path("store").canonicalize().unwrap()))));
}
