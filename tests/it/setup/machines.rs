//! What machines read: JSON on standard output, errors and logs as JSON lines, exit codes.

use serde_json::Value;

use crate::util::{Place, chehra, fixture, run};

/// Every line of standard error as JSON.
fn lines(stderr: &str) -> Vec<Value> {
    stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn text(path: std::path::PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

#[test]
fn every_command_that_prints_answers_in_json() {
    let place = Place::new();
    let [out, store, members] = ["out", "store", "members.parquet"].map(|name| text(place.path(name)));
    let (night, faces) = (text(fixture("night")), text(place.path("faces")));
    for person in 0..40u8 {
        let folder = place.path("faces").join(format!("person-{person}"));
        std::fs::create_dir_all(&folder).unwrap();
        image::RgbImage::from_pixel(40, 40, image::Rgb([6 * person; 3])).save(folder.join("1.png")).unwrap();
    }
    let truth = format!("{night}/truth.parquet");
    let [drawn, man] = ["drawn", "man"].map(|name| text(place.path(name)));
    let commands: &[&[&str]] = &[
        &["audit", &night, "--store", &store, "--out", &out],
        &["evaluate", "audit", "--run", &out, "--truth", &truth],
        &["gallery", "stats", "--store", &store],
        &["gallery", "verify", "--store", &store],
        &["gallery", "export", "--store", &store, "--to", &members],
        &["gallery", "import", "--store", &store, "--from", &members],
        &["gallery", "compact", "--store", &store],
        &["dedup", "--store", &store, "--all-pairs"],
        &["policy"],
        &["synth", "--print-plan"],
        &["synth", "--faces", &faces, "--out", &drawn, "--rows", "6", "--repeat-people"],
        &["weights", "list"],
        &["weights", "verify"],
        &["config", "show"],
        &["config", "init", "--out", "-"],
        &["completions", "fish"],
        &["man", "--out", &man],
    ];
    for words in commands {
        // Before the command or after it: it is the same flag.
        let (code, stdout, stderr) = run(chehra().arg("--json").args(*words));
        assert_eq!(code, 0, "{words:?}: {stderr}");
        let answer: Value = serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{words:?}: {e}: {stdout}"));
        assert!(answer.is_object(), "{words:?}: {answer}");
    }
}

#[test]
fn every_command_knows_the_flag() {
    for command in chehra::config::options::commands(&chehra::cli::command()) {
        assert!(command.option("json").is_some() || command.option("format").is_some(), "{}", command.name());
    }
}

#[test]
fn errors_are_one_json_line_with_their_parts() {
    let (code, stdout, stderr) =
        run(chehra().args(["audit", "--json", "--device", "cpu", "nowhere.parquet", "--out", "/tmp/none"]));
    let found = lines(&stderr);
    let last = found.last().unwrap();
    assert_eq!((code, stdout.as_str()), (65, ""), "{stderr}");
    assert_eq!((&last["level"], &last["error"]["kind"]), (&"ERROR".into(), &"input".into()));
    assert_eq!(last["error"]["exit_code"], 65);
    assert!(last["error"]["path"].as_str().unwrap().contains("nowhere.parquet"), "{last}");
    assert!(last["error"]["fix"].is_string() && last["time"].as_str().unwrap().ends_with('Z'), "{last}");
    // Of the parser, and of the configuration.
    let wrong: &[&[&str]] = &[
        &["policy", "--json", "--thread", "2"],
        &["policy", "--thread", "2", "--json"],
        &["policy", "--thread", "2", "--log-format", "json"],
        &["polcy", "--json"],
        &["--json"],
    ];
    for words in wrong {
        let (code, _, stderr) = run(chehra().args(*words));
        let last = lines(&stderr).pop().unwrap();
        assert_eq!((code, &last["error"]["kind"]), (64, &"usage".into()), "{last}");
    }
    let (code, _, stderr) = run(chehra().args(["policy", "--config", "/nowhere.toml"]).env("CHEHRA_JSON", "1"));
    let last = lines(&stderr).pop().unwrap();
    assert_eq!((code, &last["error"]["path"]), (65, &"/nowhere.toml".into()), "{last}");
    let (code, _, stderr) = run(chehra().args(["audit", "--json", "--device", "cuda", "x", "--out", "/tmp/none"]));
    assert!(code == 69 || code == 65, "{stderr}");
    lines(&stderr);
}

#[test]
fn log_lines_are_text_or_json() {
    let place = Place::new();
    let [night, out] = [text(fixture("night")), text(place.path("out"))];
    let audit = |words: &[&str]| {
        let mut command = chehra();
        run(command.args(["audit", &night, "--out", &out, "--force"]).args(words))
    };
    let (code, stdout, stderr) = audit(&["-v", "--log-format", "json"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("38 submissions"), "standard output stays as it was: {stdout}");
    let found = lines(&stderr);
    let of = |target: &str| found.iter().filter(|line| line["target"] == target).count();
    assert!(of("chehra::progress") > 0, "progress is logged: {stderr}");
    let keys: Vec<&String> = found[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["time", "level", "target", "message"]);
    let is_information = |line: &&Value| line["level"] == "INFO" && line["target"] != "chehra::progress";
    assert!(found.iter().find(is_information).is_some(), "-v: {stderr}");
    assert!(found.iter().all(|line| line["level"] != "DEBUG"), "{stderr}");

    let (_, _, stderr) = audit(&[]);
    assert!(stderr.contains("see: 38 selfies in") && !stderr.contains("INFO"), "{stderr}");
    let (_, _, stderr) = audit(&["-v"]);
    assert!(stderr.contains("[INFO  chehra::"), "{stderr}");
    let (_, _, stderr) = audit(&["--quiet"]);
    assert_eq!(stderr, "");
    let (code, _, stderr) = audit(&["--quiet", "-v"]);
    assert!(code == 64 && stderr.contains("cannot be used with"), "{stderr}");
}

#[test]
fn twice_verbose_says_more_and_a_filter_outweighs_it() {
    let place = Place::new();
    let (night, out) = (fixture("night"), place.path("out"));
    let count = |words: &[&str], filter: &str| {
        let mut command = chehra();
        command.args(["audit", "--force", "--out"]).arg(&out).arg(&night).args(words);
        let (code, _, stderr) = run(command.args(["--log-format=json"]).env("RUST_LOG", filter));
        assert_eq!(code, 0, "{stderr}");
        lines(&stderr).iter().filter(|line| line["level"] == "DEBUG").count()
    };
    let (twice, filtered) = (count(&["-vv"], ""), count(&[], "chehra=debug"));
    assert!(twice > 0 && filtered > 0);
    assert_eq!(count(&["-vv"], "warn"), 0);
}
