//! `chehra.toml`, variables and flags, through the real binary.

use std::fs;

use serde_json::Value;

use crate::util::{Place, chehra, fixture, run};

/// `config show COMMAND --json` in a folder with this file, as (option, value, kind of source).
fn shown(place: &Place, file: &str, variables: &[(&str, &str)], words: &[&str]) -> Vec<(String, Value, Value)> {
    fs::write(place.path("chehra.toml"), file).unwrap();
    let mut command = chehra();
    command.current_dir(&place.dir).envs(variables.iter().copied()).args(["config", "show", "--json"]).args(words);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    let values = answer["values"].as_array().unwrap();
    values.iter().map(|v| (v["key"].as_str().unwrap().to_owned(), v["value"].clone(), v["source"].clone())).collect()
}

fn find<'a>(shown: &'a [(String, Value, Value)], key: &str) -> (&'a Value, &'a Value) {
    shown.iter().find(|(name, ..)| name == key).map(|(_, value, source)| (value, source)).unwrap()
}

#[test]
fn every_value_says_where_it_comes_from() {
    let place = Place::new();
    let file = "threads = 2\n\n[audit]\nstore = \"members\"\ncarry = [\"app\", \"batch\"]\n";
    let variables = [("CHEHRA_DEVICE", "cpu"), ("CHEHRA_AUDIT_REVIEW_BUDGET", "7")];
    let shown = shown(&place, file, &variables, &["audit", "dump", "--out", "o", "--force"]);
    let (value, source) = find(&shown, "store");
    let folder = fs::canonicalize(&place.dir).unwrap();
    assert_eq!(fs::canonicalize(place.dir.path()).unwrap().join("members"), folder.join("members"));
    assert!(value.as_str().unwrap().ends_with("members") && value.as_str().unwrap().starts_with('/'), "{value}");
    assert_eq!((&source["kind"], &source["line"]), (&"file".into(), &4.into()));
    assert_eq!(find(&shown, "carry").0, &serde_json::json!(["app", "batch"]));
    assert_eq!(find(&shown, "threads").1["line"], 1);
    assert_eq!(find(&shown, "device").1["variable"], "CHEHRA_DEVICE");
    assert_eq!(find(&shown, "review_budget").1["variable"], "CHEHRA_AUDIT_REVIEW_BUDGET");
    for (key, kind) in
        [("dump", "flag"), ("out", "flag"), ("force", "flag"), ("embedder", "default"), ("booths", "unset")]
    {
        assert_eq!(find(&shown, key).1["kind"], kind, "{key}");
    }
}

#[test]
fn a_name_of_an_option_and_of_a_command_is_told_by_its_value() {
    let place = Place::new();
    for file in ["weights = \"w\"", "[weights]\nweights = \"w\"", "[weights.list]\nweights = \"w\""] {
        let shown = shown(&place, file, &[], &["weights", "list"]);
        assert!(find(&shown, "weights").0.as_str().unwrap().ends_with("/w"), "{file}");
    }
}

#[test]
fn what_is_set_once_is_shown_once() {
    let place = Place::new();
    fs::write(place.path("chehra.toml"), "threads = 2\nstore = \"s\"\n").unwrap();
    let (code, stdout, stderr) = run(chehra().current_dir(&place.dir).args(["config", "show"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!((stdout.matches("--threads").count(), stdout.matches("--store").count()), (1, 1), "{stdout}");
    assert!(stdout.contains("for every command") && stdout.contains("for audit, "), "{stdout}");
}

#[test]
fn a_night_can_be_run_from_the_file_alone() {
    let place = Place::new();
    let deep = place.path("a/b");
    fs::create_dir_all(&deep).unwrap();
    let policy = "[verdicts]\none_face = \"reject\"\n";
    fs::write(place.path("policy.toml"), policy).unwrap();
    let file = format!(
        "policy = \"policy.toml\"\nquiet = true\n[audit]\ndump = [{:?}]\nout = \"out\"\nstore = \"store\"\n[gallery]\nstore = \"store\"\n",
        fixture("night")
    );
    fs::write(place.path("chehra.toml"), file).unwrap();
    let (code, stdout, stderr) = run(chehra().current_dir(&deep).args(["audit", "--json"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(answer["summary"]["rows"], 38);
    assert_eq!(place.list(), ["a", "chehra.toml", "out", "policy.toml", "store"], "paths start from the file");
    let record: Value = serde_json::from_str(&fs::read_to_string(place.path("out/run.json")).unwrap()).unwrap();
    assert_eq!(record["policy"]["verdicts"]["one_face"], "reject");
    let (code, stdout, _) = run(chehra().current_dir(&deep).args(["gallery", "stats", "--json"]));
    assert!(code == 0 && serde_json::from_str::<Value>(&stdout).is_ok(), "{stdout}");
    // A second run into the same folder is refused; a flag outweighs the file.
    let (code, _, stderr) = run(chehra().current_dir(&deep).args(["audit"]));
    assert!(code == 65 && stderr.contains("it exists"), "{stderr}");
    // What was typed outweighs the dump of the file: the two are not read as one.
    let (code, _, stderr) = run(chehra().current_dir(&deep).args(["audit", "nowhere.parquet", "--force"]));
    assert!(code == 65 && stderr.contains("nowhere.parquet") && !stderr.contains("night"), "{stderr}");
}

#[test]
fn the_file_is_named_found_or_left_out() {
    let place = Place::new();
    let at = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = chehra();
        run(command.current_dir(&place.dir).args(words).envs(variables.iter().copied()))
    };
    let (code, stdout, stderr) = at(&["config", "path"], &[]);
    assert!(code == 1 && stdout.is_empty() && stderr.contains("config init"), "{stderr}");
    fs::write(place.path("chehra.toml"), "threads = \"many\"").unwrap();
    fs::write(place.path("other.toml"), "thread = 2").unwrap();
    let (code, stdout, _) = at(&["config", "path"], &[]);
    assert!(code == 0 && stdout.trim().ends_with("/chehra.toml"), "{stdout}");
    let (_, stdout, _) = at(&["config", "path", "--json"], &[("CHEHRA_CONFIG", "other.toml")]);
    assert!(serde_json::from_str::<Value>(&stdout).unwrap()["path"].as_str().unwrap().ends_with("/other.toml"));
    // A value of the file is checked as if it had been typed, and its line is named.
    let (code, _, stderr) = at(&["policy"], &[]);
    assert!(code == 65 && stderr.contains("line 1, threads") && stderr.contains("many"), "{stderr}");
    let (code, _, stderr) = at(&["policy", "--config", "other.toml"], &[]);
    assert!(code == 65 && stderr.contains("line 1, thread") && stderr.contains("did you mean `threads`?"), "{stderr}");
    let (code, _, stderr) = at(&["policy"], &[("CHEHRA_CONFIG", "none.toml")]);
    assert!(code == 65 && stderr.contains("none.toml") && stderr.contains("CHEHRA_CONFIG"), "{stderr}");
    for (words, variables) in [
        (vec!["policy", "--no-config"], vec![]),
        (vec!["policy"], vec![("CHEHRA_NO_CONFIG", "1")]),
        (vec!["policy", "--threads", "2"], vec![]),
        (vec!["policy"], vec![("CHEHRA_THREADS", "2")]),
        // Help stands before any configuration.
        (vec!["audit", "--help"], vec![]),
        (vec!["completions", "bash"], vec![]),
    ] {
        let (code, stdout, stderr) = at(&words, &variables);
        assert!(code == 0 && !stdout.is_empty(), "{words:?}: {stderr}");
    }
    let (code, _, stderr) = at(&["policy", "--config", "other.toml", "--no-config"], &[]);
    assert!(code == 64 && stderr.contains("--no-config"), "{stderr}");
}

#[test]
fn variables_are_checked_and_named() {
    let with = |words: &[&str], name: &str, value: &str| run(chehra().args(words).env(name, value));
    let (code, _, stderr) = with(&["policy"], "CHEHRA_THREADS", "lots");
    assert!(code == 64 && stderr.contains("CHEHRA_THREADS") && stderr.contains("lots"), "{stderr}");
    let (code, _, stderr) = with(&["policy"], "CHEHRA_QUIET", "perhaps");
    assert!(code == 64 && stderr.contains("neither yes nor no"), "{stderr}");
    let (code, stdout, stderr) = with(&["policy"], "CHEHRA_THREDS", "2");
    assert!(code == 0 && stdout.contains("[verdicts]"), "{stderr}");
    assert!(stderr.contains("CHEHRA_THREDS is read by nothing: did you mean CHEHRA_THREADS?"), "{stderr}");
    let (code, stdout, _) = with(&["policy"], "CHEHRA_POLICY_JSON", "yes");
    assert!(code == 0 && serde_json::from_str::<Value>(&stdout).is_ok(), "{stdout}");
    let (code, stdout, _) = with(&["policy", "--json=false"], "CHEHRA_JSON", "yes");
    assert!(code == 0 && stdout.starts_with('#'), "a flag is taken back: {stdout}");
}

#[test]
fn a_sample_is_written_once_and_every_line_of_it_is_known() {
    let place = Place::new();
    let init = |words: &[&str]| run(chehra().current_dir(&place.dir).args(["config", "init"]).args(words));
    let (code, _, stderr) = init(&[]);
    assert_eq!(code, 0, "{stderr}");
    let text = fs::read_to_string(place.path("chehra.toml")).unwrap();
    assert!(text.contains("[gallery.forget]") && text.contains("# selfie = \"selfie\""), "{text}");
    let (code, _, stderr) = init(&[]);
    assert!(code == 65 && stderr.contains("it exists"), "{stderr}");
    let (code, stdout, _) = init(&["--out", "-"]);
    assert!(code == 0 && stdout.trim() == text.trim());
    // As written it sets nothing.
    let (code, stdout, stderr) = run(chehra().current_dir(&place.dir).args(["config", "show", "--json"]));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap()["values"], serde_json::json!([]));
    // With every line in use it is read; the values are made up, so no command is run.
    let is_value = |line: &str| line.starts_with("# ") && line.contains(" = ");
    let used: Vec<&str> = text.lines().map(|line| if is_value(line) { &line[2..] } else { line }).collect();
    fs::write(place.path("chehra.toml"), used.join("\n")).unwrap();
    let (code, stdout, stderr) = run(chehra().current_dir(&place.dir).args(["config", "show", "audit"]));
    assert!(code == 0 && stdout.contains("chehra.toml:"), "{stderr}");
}

#[test]
fn show_says_what_is_wrong_with_its_question() {
    let (code, _, stderr) = run(chehra().args(["config", "show", "audti"]));
    assert!(code == 64 && stderr.contains("did you mean `audit`?"), "{stderr}");
    let (code, _, stderr) = run(chehra().args(["config", "show", "--", "--threads", "2"]));
    assert!(code == 64 && stderr.contains("begin with a command"), "{stderr}");
    let (code, stdout, _) = run(chehra().args(["config", "show", "gallery"]));
    assert!(code == 0 && stdout.contains("gallery forget") && stdout.contains("required, not set"), "{stdout}");
}

#[test]
#[cfg(unix)]
fn a_file_that_everybody_may_write_is_not_followed() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path = place.path("chehra.toml");
    fs::write(&path, "threads = 2\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let (code, _, stderr) = run(chehra().current_dir(&place.dir).arg("policy"));
    assert!(code == 65 && stderr.contains("chmod o-w") && stderr.contains("--config"), "{stderr}");
    let (code, _, stderr) = run(chehra().current_dir(&place.dir).args(["policy", "--config", "chehra.toml"]));
    assert_eq!(code, 0, "{stderr}");
}
