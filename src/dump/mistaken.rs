//! A dump where a run folder was meant, and a run folder where a dump was meant.

use std::path::Path;

use crate::{Error, Result};

/// Tables of a run folder that could be taken for dumps.
const TABLES: [&str; 9] = [
    "verdicts.parquet",
    "pairs.parquet",
    "clusters.parquet",
    "review.parquet",
    "suspects.parquet",
    "call_first.parquet",
    "rings.parquet",
    "workers_audit.parquet",
    "replies_refused.parquet",
];

fn is_run(folder: &Path) -> bool {
    folder.join("run.json").is_file()
}

/// The error for a run folder where a dump is asked for.
pub fn is_a_run(dump: &Path) -> Error {
    refusal(dump, "a run folder: what `chehra audit` made of a dump, without pictures", dump)
}

fn refusal(dump: &Path, found: &str, run: &Path) -> Error {
    let run = run.display();
    let fix = format!(
        "name the dump that was audited (run.json names its files); to go on with the run:\n  \
         chehra review {run}\n  chehra report {run}\n  chehra dedup {run}"
    );
    Error::input(dump, "the dump", "a Parquet file of submissions, or a folder of them", found, fix)
}

/// Refuses a run folder, or a table of one, where a dump is asked for.
///
/// # Errors
/// [`Error::Input`] that says which commands read run folders.
pub fn refuse_run(dump: &Path) -> Result<()> {
    let folder = dump.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let is_table = dump.file_name().is_some_and(|name| TABLES.iter().any(|table| name == *table));
    let found = match () {
        () if is_run(dump) => "a run folder: what `chehra audit` made of a dump, without pictures",
        () if is_table && folder.is_some_and(is_run) => "a table of a run folder, without pictures",
        () => return Ok(()),
    };
    Err(refusal(dump, found, if is_run(dump) { dump } else { folder.unwrap_or(dump) }))
}

/// Refuses what is no run folder where one is asked for.
///
/// # Errors
/// [`Error::Input`] that says what it is instead, as far as that can be told.
pub fn expect_run(run: &Path) -> Result<()> {
    if is_run(run) {
        return Ok(());
    }
    let is_parquet = |path: &Path| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
    let entries = || std::fs::read_dir(run).into_iter().flatten().flatten().map(|entry| entry.path());
    let name = run.display();
    let audit = format!("audit it first:\n  chehra audit {name} --out out/night\nand then give out/night");
    let (found, fix) = match () {
        () if run.join("MANIFEST").is_file() => ("a store", "name a run folder that `chehra audit --out` made".into()),
        () if run.is_file() && run.parent().is_some_and(is_run) => {
            ("a file of a run folder", format!("name the folder: {}", run.parent().unwrap_or(run).display()))
        }
        () if run.is_file() && is_parquet(run) => ("a Parquet file: a dump?", audit),
        () if run.is_dir() && entries().any(|path| is_parquet(&path)) => {
            ("a folder of Parquet files without run.json: a dump?", audit)
        }
        () if run.is_dir() && entries().any(|path| is_run(&path)) => {
            let runs: Vec<String> = entries().filter(|path| is_run(path)).map(|p| p.display().to_string()).collect();
            let mut runs: Vec<&str> = runs.iter().map(String::as_str).collect();
            runs.sort_unstable();
            let last = runs.last().copied().unwrap_or_default();
            ("a folder of run folders", format!("name one of them, for example {last}"))
        }
        () if run.is_dir() => ("a folder without run.json", "name a folder that `chehra audit --out` made".into()),
        () if run.exists() => ("a file", "name the folder that `chehra audit --out` made".into()),
        () => ("nothing at this path", "check the path; `chehra audit DUMP --out RUN` makes such a folder".into()),
    };
    Err(Error::input(run, "RUN", "the folder of a finished run of `chehra audit`", found, fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_from_the_other() {
        let temp = tempfile::tempdir().unwrap();
        let (run, dump) = (temp.path().join("run"), temp.path().join("dump"));
        for (folder, file) in [(&run, "run.json"), (&run, "verdicts.parquet"), (&dump, "night.parquet")] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join(file), "").unwrap();
        }
        let text = |result: Result<()>| result.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(text(expect_run(&run)) + &text(refuse_run(&dump)), "");
        assert!(text(refuse_run(&run)).contains("chehra review"));
        assert!(text(refuse_run(&run.join("verdicts.parquet"))).contains("a table of a run folder"));
        for (path, found) in [
            (dump.clone(), "chehra audit "),
            (dump.join("night.parquet"), "chehra audit "),
            (run.join("run.json"), "name the folder: "),
            (temp.path().to_path_buf(), "for example "),
            (temp.path().join("no"), "nothing at this path"),
        ] {
            let told = text(expect_run(&path));
            assert!(told.contains(found), "{told}");
        }
    }
}
