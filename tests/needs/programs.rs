//! What other programs say of what is written for them: shells, man, systemd, Python, and the release archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::util::{Place, chehra, fixture, run};
use crate::{skip, tool};

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

fn script(place: &Place, shell: &str) -> PathBuf {
    let (code, script, stderr) = run(chehra().args(["completions", shell]));
    assert!(code == 0 && script.contains("review-budget") && script.contains("chehra"), "{shell}: {stderr}");
    let path = place.path(shell);
    fs::write(&path, script).unwrap();
    path
}

pub fn bash_completes() {
    let place = Place::new();
    let ask = r#"source "$1" && COMP_WORDS=(chehra gallery ver) COMP_CWORD=2 && _chehra chehra ver gallery && echo "${COMPREPLY[@]}"
        COMP_WORDS=(chehra audit --rev) COMP_CWORD=2 && _chehra chehra --rev audit && echo "${COMPREPLY[@]}"; complete -p chehra"#;
    let bash = script(&place, "bash");
    let (code, stdout, stderr) = tool("bash", |c| c.args(["-euc", ask, "bash"]).arg(&bash));
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.starts_with("verify\n--review-budget\ncomplete "), "{stdout}");
}

pub fn zsh_reads_its_completions() {
    let place = Place::new();
    let zsh = script(&place, "zsh");
    let (code, _, stderr) = tool("zsh", |c| c.arg("-n").arg(&zsh));
    assert_eq!((code, stderr.as_str()), (0, ""));
}

pub fn fish_completes() {
    let place = Place::new();
    let fish = script(&place, "fish");
    let ask = format!("source {}; complete -C'chehra gallery ver'", fish.display());
    let (code, stdout, stderr) = tool("fish", |c| c.args(["--no-config", "-c"]).arg(ask).env("HOME", place.dir.path()));
    assert!(code == 0 && stdout.contains("verify"), "{stdout}{stderr}");
}

/// The manual pages, written anew.
fn pages(place: &Place) -> Vec<PathBuf> {
    let (code, stdout, stderr) = run(chehra().args(["man", "--json", "--out"]).arg(place.path("man1")));
    assert_eq!(code, 0, "{stderr}");
    let written: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let pages: Vec<PathBuf> =
        written["pages"].as_array().unwrap().iter().map(|page| page.as_str().unwrap().into()).collect();
    assert!(pages.len() > 10, "{stdout}");
    pages
}

pub fn man_shows_the_pages_without_a_warning() {
    let place = Place::new();
    for page in pages(&place) {
        let (_, stdout, stderr) = tool("man", |c| {
            c.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(&page).env("LC_ALL", "C.UTF-8")
        });
        assert!(stderr.is_empty() && !stdout.is_empty(), "{}: {stderr}", page.display());
    }
}

pub fn mandoc_finds_no_error_in_the_pages() {
    let place = Place::new();
    for page in pages(&place) {
        let (code, stdout, _) = tool("mandoc", |c| c.args(["-T", "lint", "-W", "error"]).arg(&page));
        assert_eq!(code, 0, "{}: {stdout}", page.display());
    }
}

pub fn units_are_verified_by_systemd() {
    let place = Place::new();
    let names = ["chehra-audit.service", "chehra-audit.timer", "chehra-audit-failed.service"];
    let mut paths = Vec::new();
    for name in names {
        let text = fs::read_to_string(packaging("systemd").join(name)).unwrap();
        // Not installed here, so the script is named where it lies.
        let script = packaging("nightly.sh");
        let text = text.replace("/usr/local/lib/chehra/nightly.sh", script.to_str().unwrap());
        let text = text.replace("/usr/bin/logger", "/bin/sh");
        paths.push(place.path(name));
        fs::write(&paths[paths.len() - 1], text).unwrap();
    }
    let (code, stdout, stderr) = tool("systemd-analyze", |command| command.args(["verify", "--man=no"]).args(&paths));
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
}

#[cfg(target_os = "linux")]
pub fn the_archive_is_whole_and_made_the_same_way_twice() {
    let place = Place::new();
    for program in ["tar", "gzip", "strip", "sha256sum", "python3", "cargo", "rustc"] {
        tool(program, |command| command.arg("--version"));
    }
    let pack = |out: &str| {
        let mut command = Command::new(packaging("dist.sh"));
        command.arg("--binary").arg(chehra().get_program()).arg("--out").arg(place.path(out));
        // In a checkout without its history, too.
        let (code, stdout, stderr) = run(command.env("SOURCE_DATE_EPOCH", "1790000000"));
        assert_eq!(code, 0, "{stderr}");
        PathBuf::from(stdout.trim())
    };
    let (first, second) = (pack("one"), pack("two"));
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "two archives differ");
    let check = |folder: &Path| {
        let (code, _, stderr) =
            run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(folder));
        assert_eq!(code, 0, "{stderr}");
    };
    check(first.parent().unwrap());
    let (code, _, stderr) = run(Command::new("tar").arg("-xzf").arg(&first).arg("-C").arg(place.path("one")));
    assert_eq!(code, 0, "{stderr}");
    let name = first.file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.gz");
    let folder = place.path("one").join(name);
    check(&folder);
    for file in [
        "LICENSE",
        "README.md",
        "CONTRIBUTING.md",
        "docs/SUMMARY.md",
        "docs/operations.md",
        "docs/reasons-and-verdicts.md",
        "THIRD-PARTY.txt",
        "weights/LICENSES/README.md",
        "man/man1/chehra-audit.1",
        "completions/chehra.bash",
        "packaging/nightly.sh",
        "packaging/systemd/chehra-audit.timer",
        "examples/read_tables.py",
        "chehra.toml.sample",
    ] {
        assert!(folder.join(file).metadata().is_ok_and(|m| m.len() > 0), "{file}");
    }
    assert!(fs::read_to_string(folder.join("THIRD-PARTY.txt")).unwrap().contains("candle-core"));
    // It runs from where it was unpacked, with the weights inside it.
    let (code, stdout, stderr) =
        run(Command::new(folder.join("bin/chehra")).args(["weights", "verify", "--no-config"]));
    assert!(code == 0 && stdout.contains("whole"), "{stderr}");
    let (code, _, stderr) = run(Command::new(packaging("dist.sh")).arg("--nonsense"));
    assert!(code == 64 && stderr.contains("--binary FILE"), "{stderr}");
}

pub fn the_example_reads_the_tables_of_a_run() {
    let place = Place::new();
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let (code, ..) = tool(&python, |command| command.args(["-c", "import duckdb, polars, pyarrow"]));
    if code != 0 {
        skip(format!("{python} lacks duckdb, polars or pyarrow (PYTHON names another)"));
    }
    let out = place.path("out");
    let (code, _, stderr) = run(chehra().args(["audit", "--quiet", "--out"]).arg(&out).arg(fixture("night")));
    assert_eq!(code, 0, "{stderr}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/read_tables.py");
    let (code, stdout, stderr) = run(Command::new(&python).arg(&script).arg(&out));
    assert_eq!((code, stderr.as_str()), (0, ""));
    for word in ["38 submissions", "photo_of_photo", "fraud by district", "pairs across districts", "bystander"] {
        assert!(stdout.contains(word), "{word}: {stdout}");
    }
    let (code, _, stderr) = run(Command::new(&python).arg(&script).arg(place.dir.path()));
    assert!(code == 1 && stderr.contains("verdicts.parquet"), "{stderr}");
}

pub fn alerts_hold_and_metrics_are_prometheus() {
    let promtool = std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".into());
    for (verb, file) in [("check", "chehra.rules.yml"), ("test", "chehra.test.yml")] {
        let (code, stdout, stderr) =
            tool(&promtool, |command| command.args([verb, "rules"]).arg(packaging("prometheus").join(file)));
        assert!(code == 0 && stdout.contains("SUCCESS"), "{file}: {stdout}{stderr}");
    }
    let place = Place::new();
    let metrics = place.path("audit.prom");
    let mut audit = chehra();
    audit.args(["audit", "--quiet", "--store"]).arg(place.path("store")).arg("--metrics").arg(&metrics);
    let (code, _, stderr) = run(audit.arg("--out").arg(place.path("out")).arg(fixture("night2")));
    assert_eq!(code, 0, "{stderr}");
    let text = fs::File::open(&metrics).unwrap();
    let (code, stdout, stderr) = tool(&promtool, |command| command.args(["check", "metrics"]).stdin(text));
    assert!(code == 0 && stdout.is_empty() && stderr.is_empty(), "{stdout}{stderr}");
    // Every metric of an alert is one that the program writes.
    let (rules, text) =
        (fs::read_to_string(packaging("prometheus/chehra.rules.yml")).unwrap(), fs::read_to_string(&metrics).unwrap());
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let names = rules.split(|letter| !is_name(letter)).filter(|word| word.starts_with("chehra_")).collect::<Vec<_>>();
    assert!(names.len() > 8, "{names:?}");
    names.iter().for_each(|name| assert!(text.contains(&format!("# TYPE {name} gauge")), "{name}"));
}

pub fn python_module_reads_what_the_program_leaves() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let (code, ..) = tool(&python, |command| command.args(["-c", "import pytest, pandas, polars, pyarrow"]));
    if code != 0 {
        skip(format!("{python} lacks pytest, pandas, polars or pyarrow (PYTHON names another)"));
    }
    let mut tests = Command::new(&python);
    tests.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).arg(packaging("python"));
    tests.env("CHEHRA_BINARY", chehra().get_program()).env("PYTHONDONTWRITEBYTECODE", "1");
    let (code, stdout, stderr) = run(&mut tests);
    assert!(code == 0 && stdout.contains(" passed") && !stdout.contains("skipped"), "{stdout}{stderr}");
}

pub fn the_dockerfile_is_clean() {
    let hadolint = std::env::var("HADOLINT").unwrap_or_else(|_| "hadolint".into());
    let (code, stdout, stderr) = tool(&hadolint, |command| command.arg(packaging("Dockerfile")));
    assert!(code == 0 && stdout.is_empty(), "{stdout}{stderr}");
}
