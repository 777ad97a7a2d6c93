//! The data goes one way: a module may use only what stands before it in the flow, plus the leaves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LEAVES: &[&str] = &["error", "lock", "exit", "reason", "output", "config", "memory", "device", "ops", "nn"];
const FLOW: &[&str] = &[
    "dump",
    "photo",
    "face",
    "infer",
    "roles",
    "gallery",
    "decisions",
    "matching",
    "pairs",
    "verdict",
    "report",
    "synth",
    "audit",
    "lookup",
    "evaluate",
    "bench",
    "review",
    "cli",
];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The position of a module: leaves by their own order, then the flow.
fn rank(module: &str) -> Option<usize> {
    LEAVES.iter().chain(FLOW).position(|&m| m == module)
}

#[test]
fn no_import_runs_back_up() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in &files {
        let relative = file.strip_prefix(&src).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if ["main", "lib"].contains(&module) {
            continue;
        }
        let here = rank(module).unwrap_or_else(|| panic!("src/{module} is not in the flow: add it to this test"));
        seen.insert(module.to_owned());
        let text = fs::read_to_string(file).unwrap();
        // Doc links may point anywhere; code may not.
        for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for part in line.split("crate::").skip(1) {
                let names: Vec<&str> = match part.strip_prefix('{') {
                    Some(list) => list.split(['{', '}', ',']).map(str::trim).collect(),
                    None => vec![part],
                };
                for name in names {
                    let target = name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
                    if rank(target).is_some_and(|there| there > here) {
                        wrong.push(format!("src/{}:{}: {module} uses {target}", relative.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports that run back up:\n{}", wrong.join("\n"));
    assert_eq!(seen.len(), LEAVES.len() + FLOW.len(), "every module of the flow exists: {seen:?}");
}
